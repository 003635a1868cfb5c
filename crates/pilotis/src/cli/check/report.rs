//! The signed report: the verdict for programs and for people, and what proves who gave it.
//!
//! Three files and their signatures. `statement.json` is an in-toto statement about the two others,
//! with the project, the commit and the time; each `.sig` is an ECDSA signature in base64 over the
//! bytes of its file, as `cosign sign-blob --key` makes them, so `cosign verify-blob` accepts it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::Timestamp;
use pilotis_git::Repository;
use pilotis_oci::Digest;
use pilotis_signing::PublicKey;
use serde_json::{Value, json};

use super::super::Outcome;
use super::{Judge, decide};

const VERDICT: &str = "report.json";
const PAGE: &str = "report.html";
const STATEMENT: &str = "statement.json";
/// Type of the statement about a report.
const PREDICATE: &str = "https://pilotis.dev/compliance-report/v1alpha1";
const IN_TOTO: &str = "https://in-toto.io/Statement/v1";
/// Largest file of a report read.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A report to verify.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// Folder of the report
    pub folder: PathBuf,
    /// Public key of who must have signed it, PEM
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

/// Writes a report and its signatures.
pub(super) fn write(
    folder: &Path,
    key: &Path,
    (verdict, page): (&Value, &str),
    arguments: &Judge,
) -> Result<()> {
    let key = decide::key_of(key)?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let verdict = serde_json::to_string_pretty(verdict)? + "\n";
    let subjects = [(VERDICT, verdict.as_bytes()), (PAGE, page.as_bytes())];
    let statement = serde_json::to_string_pretty(&statement(&subjects, arguments))? + "\n";
    let files: [(&str, &[u8]); 3] = [subjects[0], subjects[1], (STATEMENT, statement.as_bytes())];
    for (name, bytes) in files {
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
        };
        put(name, bytes)?;
        put(
            &format!("{name}.sig"),
            STANDARD.encode(key.sign(bytes)).as_bytes(),
        )?;
    }
    eprintln!(
        "{}: {VERDICT}, {PAGE} and {STATEMENT}, signed",
        folder.display()
    );
    Ok(())
}

fn statement(subjects: &[(&str, &[u8])], arguments: &Judge) -> Value {
    let subject = |(name, bytes): &(&str, &[u8])| json!({"name": name, "digest": {"sha256": Digest::sha256(bytes).hex()}});
    json!({
        "_type": IN_TOTO,
        "subject": subjects.iter().map(subject).collect::<Vec<Value>>(),
        "predicateType": PREDICATE,
        "predicate": {
            "judged": arguments.title(),
            "project": arguments.project,
            "environment": arguments.environment,
            "commit": commit(arguments),
            "edition": pilotis_check::EDITION,
            "tool": format!("pilotis {}", env!("CARGO_PKG_VERSION")),
            "time": Timestamp::now(),
        },
    })
}

/// The commit of the repository judged, when it is one.
fn commit(arguments: &Judge) -> Option<String> {
    let repository = Repository::open(&arguments.path().join(".git")).ok()?;
    Some(repository.resolve("HEAD").ok()?.to_string())
}

/// Verifies a report: every signature, and that the statement is about these very files.
pub(super) fn verify(arguments: &Verify) -> Result<Outcome> {
    match verified(arguments) {
        Ok(statement) => {
            let predicate = &statement["predicate"];
            let text = |key: &str| predicate[key].as_str().unwrap_or("-").to_owned();
            println!(
                "report of {} at {}, commit {}: signature and digests hold",
                text("judged"),
                text("time"),
                text("commit")
            );
            Ok(Outcome::Done)
        }
        Err(error) => {
            eprintln!("error: the report is not to be trusted: {error:#}");
            eprintln!("hint: ask for it again from whoever signed it");
            Ok(Outcome::Findings)
        }
    }
}

fn verified(arguments: &Verify) -> Result<Value> {
    let pem = std::fs::read_to_string(&arguments.key)
        .with_context(|| format!("cannot read {}", arguments.key.display()))?;
    let key = PublicKey::from_pem(&pem)?;
    let mut digests = BTreeMap::new();
    let mut statement = Value::Null;
    for name in [VERDICT, PAGE, STATEMENT] {
        let bytes = read(&arguments.folder.join(name))?;
        let signature = read(&arguments.folder.join(format!("{name}.sig")))?;
        let signature = STANDARD
            .decode(signature.trim_ascii())
            .with_context(|| format!("{name}.sig is malformed"))?;
        if !key.verifies(&bytes, &signature) {
            bail!("{name} is not signed by this key");
        }
        match name {
            STATEMENT => {
                statement = serde_json::from_slice(&bytes).context("the statement is malformed")?
            }
            name => {
                digests.insert(name.to_owned(), Digest::sha256(&bytes).hex().to_owned());
            }
        }
    }
    if statement["_type"] != IN_TOTO || statement["predicateType"] != PREDICATE {
        bail!("the statement is of another kind");
    }
    let subjects = statement["subject"]
        .as_array()
        .ok_or_else(|| anyhow!("the statement is about nothing"))?;
    let about: BTreeMap<String, String> = subjects
        .iter()
        .filter_map(|subject| {
            Some((
                subject["name"].as_str()?.to_owned(),
                subject["digest"]["sha256"].as_str()?.to_owned(),
            ))
        })
        .collect();
    if about != digests {
        bail!("the statement is about other files");
    }
    Ok(statement)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .len();
    if size > FILE_BYTES_MAX {
        bail!("{} is larger than 64 MiB", path.display());
    }
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
