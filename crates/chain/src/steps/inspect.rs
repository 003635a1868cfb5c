//! Inspect: the rules about sources, and secrets. The chart is judged at `verify`, where what it
//! renders for each environment is known.

use std::collections::BTreeSet;

use pilotis_check::{Change, Language, Options, Referential, Report, Tree};
use pilotis_kinds::pilotis::{Blocked, Evidence, GateName};
use pilotis_kinds::reason::Reason;
use pilotis_report::{Finding, Level};

use crate::Context;
use crate::api::Error;
use crate::decisions;
use crate::evidence::{self, Document, figures};
use crate::gates::Outcome;
use crate::steps::{Commit, History};

/// Most derogations named in the summary of a report.
const DEROGATIONS_TOLD_MAX: usize = 5;
/// Kind of the document that tells what was found in the sources or the chart.
const COMPLIANCE_REPORT: &str = "compliance-report";
/// Media type of a compliance report.
const REPORT: &str = "application/vnd.pilotis.compliance-report.v1+json";

pub(crate) async fn run(commit: &Commit, context: &Context) -> Result<Outcome, Error> {
    let chart = format!("{}/", commit.repository.spec.chart);
    let mut files = commit.files()?;
    let options = options(commit, &files, context).await?;
    files.retain(|path, _| !path.starts_with(&chart));
    if !files.contains_key(&commit.repository.spec.dockerfile) {
        let path = commit.repository.spec.dockerfile.clone();
        return Ok(Outcome::failed(Reason::NoDockerfile { path }));
    }
    let past = commit.history(move |path| !path.starts_with(&chart))?;
    let report = judge(files, (past, commit.changes()?), options).await?;
    judged(commit, context, GateName::Inspect, &report).await
}

/// How a commit is judged: in French, with the decisions that hold for its project.
pub(crate) async fn options(
    commit: &Commit,
    files: &Tree,
    context: &Context,
) -> Result<Options, Error> {
    Ok(Options {
        language: Language::French,
        decisions: decisions::read(files, commit.slug.as_str(), context).await?,
        ..Options::default()
    })
}

/// Judges files on a thread of its own: rendering and patterns are work.
pub(crate) async fn judge(
    files: Tree,
    (mut past, changes): (History, Vec<Change>),
    options: Options,
) -> Result<Report, Error> {
    let work = tokio::task::spawn_blocking(move || {
        let history = pilotis_check::History {
            versions: &mut past,
            changes,
            base: None,
        };
        pilotis_check::run_whole(&files, history, &options)
    });
    let report = work.await.map_err(Error::git("judge the sources"))?;
    report.map_err(Error::git("load the rules"))
}

/// Keeps the report and passes, or stops at the first blocking finding.
pub(crate) async fn judged(
    commit: &Commit,
    context: &Context,
    gate: GateName,
    report: &Report,
) -> Result<Outcome, Error> {
    let kept = keep(commit, context, (gate, COMPLIANCE_REPORT), report).await?;
    let open = |f: &&Finding| f.level == Level::P && f.derogation.is_none();
    let blocking: Vec<&Finding> = report.findings.iter().filter(open).collect();
    let Some(first) = blocking.first() else {
        let reason = Reason::Judged {
            rules: report.evaluated.len() as u64,
            remarks: report.findings.len() as u64,
        };
        return Ok(Outcome::Passed {
            reason,
            evidence: vec![kept],
        });
    };
    let mut blocked = Box::new(blocked(first, blocking.len() - 1));
    blocked.title = title(first.requirement.as_deref());
    let reason = Reason::RuleBroken {
        blocking: blocking.len() as u64,
    };
    Ok(Outcome::Failed {
        reason,
        blocked,
        evidence: vec![kept],
    })
}

/// Keeps a report as a document of this kind.
pub(crate) async fn keep(
    commit: &Commit,
    context: &Context,
    (gate, kind): (GateName, &'static str),
    report: &Report,
) -> Result<Evidence, Error> {
    let bytes = pilotis_check::json(report).to_string().into_bytes();
    let (findings, rules) = (report.findings.len(), report.evaluated.len());
    let document = Document {
        kind,
        media_type: REPORT,
        summary: format!(
            "{findings} findings, {rules} rules evaluated{}",
            derogations(report)
        ),
        figures: figures([("findings", findings), ("rules", rules)]),
        bytes,
    };
    evidence::keep(
        context,
        &commit.image_path(),
        &commit.delivery,
        gate,
        document,
    )
    .await
}

/// The derogations that cover findings, so that nobody has to open the report to see that some do.
fn derogations(report: &Report) -> String {
    let names = report
        .findings
        .iter()
        .filter_map(|f| f.derogation.as_deref());
    let names: BTreeSet<&str> = names.collect();
    let mut shown: Vec<&str> = names.iter().copied().take(DEROGATIONS_TOLD_MAX).collect();
    if names.len() > shown.len() {
        shown.push("…");
    }
    match shown.is_empty() {
        true => String::new(),
        false => format!(", covered by {}", shown.join(", ")),
    }
}

/// What a requirement asks.
pub(crate) fn title(requirement: Option<&str>) -> Option<String> {
    let referential = Referential::load().ok()?;
    Some(referential.requirement(requirement?)?.fr.clone())
}

fn blocked(finding: &Finding, others: usize) -> Blocked {
    let fix = finding.fix.as_ref();
    Blocked {
        requirement: finding.requirement.clone(),
        title: None,
        rule: Some(finding.rule.clone()),
        object: finding.object.clone(),
        cause: finding.message.clone(),
        owner: "team".to_owned(),
        file: finding.position.as_ref().map(|p| p.file.clone()),
        line: finding.position.as_ref().map(|p| p.line),
        fix: fix.map(|f| f.description.clone()).unwrap_or_default(),
        patch: fix.and_then(|f| f.patch.clone()),
        others: u32::try_from(others).unwrap_or(u32::MAX),
    }
}
