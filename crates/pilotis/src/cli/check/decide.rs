//! Signed decisions: read beside a verdict, made by `derogate` and `vouch`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use jiff::Timestamp;
use pilotis_check::decisions::{
    Approver, Attestation, DECISION_BYTES_MAX, Decision, Decisions, Derogation,
};
use pilotis_signing::{PrivateKey, PublicKey};

use super::super::Outcome;
use super::Judge;

/// A rule set aside for a while.
#[derive(Debug, Clone, Args)]
pub struct Derogate {
    /// Name of the derogation, shown in verdicts
    pub name: String,
    /// Requirement or rule set aside
    #[arg(long, value_name = "ID")]
    pub subject: String,
    /// Object it is limited to, such as Deployment/web
    #[arg(long)]
    pub object: Option<String>,
    /// File it is limited to
    #[arg(long)]
    pub file: Option<String>,
    /// Why
    #[arg(long)]
    pub reason: String,
    /// Who bears the cost
    #[arg(long)]
    pub cost_owner: String,
    /// Who asked
    #[arg(long)]
    pub requester: String,
    /// Who decides, and whose key signs
    #[arg(long)]
    pub approver: String,
    /// Print a Derogation object for the platform, not a file for the repository
    #[arg(long)]
    pub as_object: bool,
    /// For which project, when, and with which key.
    #[command(flatten)]
    pub terms: Terms,
}

/// A requirement a person vouches for.
#[derive(Debug, Clone, Args)]
pub struct Vouch {
    /// Requirement vouched for
    pub requirement: String,
    /// Who vouches, and whose key signs
    #[arg(long)]
    pub author: String,
    /// Address or digest of what proves it
    #[arg(long)]
    pub evidence: String,
    /// For which project, when, and with which key.
    #[command(flatten)]
    pub terms: Terms,
}

/// What every decision says.
#[derive(Debug, Clone, Args)]
pub struct Terms {
    /// Project it holds for
    #[arg(long)]
    pub project: String,
    /// When it begins, such as 2026-12-01T00:00:00Z [default: now]
    #[arg(long)]
    pub start: Option<Timestamp>,
    /// When it ends
    #[arg(long)]
    pub end: Timestamp,
    /// File of the private key, PEM
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

pub(super) fn derogate(arguments: &Derogate) -> Result<Outcome> {
    let arguments = arguments.clone();
    let terms = arguments.terms;
    let derogation = Derogation {
        name: arguments.name,
        project: terms.project.clone(),
        subject: arguments.subject,
        object: arguments.object,
        file: arguments.file,
        reason: arguments.reason,
        cost_owner: arguments.cost_owner,
        requester: arguments.requester,
        approver: arguments.approver,
        // An API keeps whole seconds of a time.
        start: whole_seconds(terms.start.unwrap_or_else(Timestamp::now)),
        end: whole_seconds(terms.end),
    };
    let decision = Decision::Derogation(derogation.clone());
    match arguments.as_object {
        true => seal(&decision, &terms.key, |envelope| {
            object(&derogation, envelope)
        }),
        false => seal(&decision, &terms.key, Ok),
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The object that carries a signed derogation, for `kubectl apply`.
fn object(derogation: &Derogation, envelope: String) -> Result<String> {
    let mut spec = serde_json::to_value(derogation)?;
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("name");
        fields.remove("project");
        fields.insert("envelope".to_owned(), envelope.into());
    }
    let object = serde_json::json!({
        "apiVersion": "pilotis.dev/v1alpha1",
        "kind": "Derogation",
        "metadata": {
            "name": derogation.name,
            "namespace": format!("project-{}", derogation.project),
        },
        "spec": spec,
    });
    Ok(serde_json::to_string_pretty(&object)?)
}

pub(super) fn vouch(arguments: &Vouch) -> Result<Outcome> {
    let arguments = arguments.clone();
    let terms = arguments.terms;
    let decision = Decision::Attestation(Attestation {
        requirement: arguments.requirement,
        project: terms.project.clone(),
        author: arguments.author,
        evidence: arguments.evidence,
        start: terms.start.unwrap_or_else(Timestamp::now),
        end: terms.end,
    });
    seal(&decision, &terms.key, Ok)
}

/// Prints a signed decision in the form asked for.
fn seal(
    decision: &Decision,
    key: &Path,
    form: impl FnOnce(String) -> Result<String>,
) -> Result<Outcome> {
    let made = key_of(key).and_then(|key| form(decision.seal(&key)?));
    match made {
        Ok(text) => {
            println!("{text}");
            Ok(Outcome::Done)
        }
        Err(error) => {
            eprintln!("error: the decision cannot be signed: {error:#}");
            Ok(Outcome::Usage)
        }
    }
}

pub(super) fn key_of(path: &Path) -> Result<PrivateKey> {
    let pem =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(PrivateKey::from_pem(&pem)?)
}

/// The decisions that hold for a verdict; each one that is not honoured is told on standard error.
pub(super) fn read(arguments: &Judge) -> Result<Decisions> {
    let own = arguments.path().join(".pilotis/decisions");
    let folder = arguments.decisions.clone().unwrap_or(own);
    let mut decisions = Decisions {
        all: Vec::new(),
        now: Some(Timestamp::now()),
    };
    if arguments.live && arguments.decisions.is_none() {
        return Ok(decisions);
    }
    if !folder.is_dir() {
        return match arguments.decisions.is_some() {
            true => Err(anyhow!("{} is not a folder", folder.display())),
            false => Ok(decisions),
        };
    }
    let approvers = approvers(arguments)?;
    let Some(project) = &arguments.project else {
        eprintln!("warning: decisions are left out: --project does not say whose they are");
        return Ok(decisions);
    };
    for (path, text) in files(&folder, "json")? {
        match Decision::open(&text, project, &approvers) {
            Ok(decision) => decisions.all.push(decision),
            Err(refused) => eprintln!("warning: {} {refused}", path.display()),
        }
    }
    Ok(decisions)
}

/// Those who may decide. Their keys never come from the tree that is judged.
pub(super) fn approvers(arguments: &Judge) -> Result<Vec<Approver>> {
    let Some(folder) = &arguments.approvers else {
        return Ok(Vec::new());
    };
    let inside = |folder: &Path, root: &Path| {
        let both = folder.canonicalize().ok().zip(root.canonicalize().ok());
        both.is_some_and(|(folder, root)| folder.starts_with(root))
    };
    if inside(folder, arguments.path()) {
        bail!("approvers' keys may not come from the folder that is judged");
    }
    let read = |(path, pem): (PathBuf, String)| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let key = PublicKey::from_pem(&pem)
            .with_context(|| format!("{} holds no public key", path.display()))?;
        Ok(Approver {
            name: name.into_owned(),
            key,
        })
    };
    files(folder, "pem")?.into_iter().map(read).collect()
}

/// Small files of a folder by extension, in order of name.
fn files(folder: &Path, extension: &str) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let small = entry.metadata()?.len() <= DECISION_BYTES_MAX as u64;
        if path.extension().is_some_and(|e| e == extension) && entry.file_type()?.is_file() && small
        {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}
