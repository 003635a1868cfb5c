//! Build: the image is rebuilt from the commit, in a pod, by the platform's own builder.

use pilotis_build::pod::Outcome as Word;
use pilotis_kinds::pilotis::{Blocked, DeliveryStatus, GateName};
use pilotis_oci::Digest;

use crate::Context;
use crate::api::Error;
use crate::evidence::{self, Document};
use crate::gates::Outcome;
use crate::steps::Commit;
use crate::steps::job::{self, Standing};

pub(crate) async fn run(
    commit: &Commit,
    status: &mut DeliveryStatus,
    context: &Context,
) -> Result<Outcome, Error> {
    match built(commit, None, GateName::Build, context).await? {
        Built::No(outcome) => Ok(outcome),
        Built::Yes { manifest, log } => {
            let path = commit.image_path();
            status.image = Some(format!("{}/{path}@{manifest}", context.registry.registry()));
            let message = format!("{manifest}");
            Ok(Outcome::Passed {
                message,
                evidence: vec![log],
            })
        }
    }
}

/// What became of a build.
pub(crate) enum Built {
    /// The registry holds this manifest.
    Yes {
        manifest: Digest,
        log: pilotis_kinds::pilotis::Evidence,
    },
    /// Not yet, or not at all.
    No(Outcome),
}

/// Takes the build of a target one step further.
pub(crate) async fn built(
    commit: &Commit,
    target: Option<&str>,
    gate: GateName,
    context: &Context,
) -> Result<Built, Error> {
    let Some(builds) = &context.settings.builds else {
        return Ok(Built::No(no_builder()));
    };
    let (word, log) = match job::advance(commit, target, builds, context).await? {
        Standing::Running(message) => return Ok(Built::No(Outcome::Waiting { message })),
        Standing::Exceeded { cause, fix } => {
            return Ok(Built::No(Outcome::failed(cause, fix)));
        }
        Standing::Lost(message) => {
            job::remove(commit, target, context).await?;
            return Err(Error::Git {
                action: "read the build's result".to_owned(),
                source: message.into(),
            });
        }
        Standing::Ended { outcome, log } => (*outcome, log),
    };
    let kept = keep(commit, gate, context, &log).await?;
    match word {
        Word::Built { manifest, .. } => {
            // The pod's word is a claim; the registry knows.
            let found = context
                .registry
                .resolve(&commit.image_path(), &manifest.to_string())
                .await
                .map_err(Error::registry("read the image back"))?;
            found.ok_or(Error::Malformed("image of the build"))?;
            Ok(Built::Yes {
                manifest,
                log: kept,
            })
        }
        Word::Failed {
            message,
            diagnostics,
        } => {
            let position = diagnostics.first().and_then(|d| d.position.clone());
            let hint = diagnostics.first().and_then(|d| d.hint.clone());
            let dockerfile = commit.repository.spec.dockerfile.clone();
            let blocked = Blocked {
                cause: diagnostics.first().map_or(message, |d| d.message.clone()),
                owner: "team".to_owned(),
                file: Some(position.as_ref().map_or(dockerfile, |p| p.file.clone())),
                line: position.map(|p| p.line),
                fix: hint.unwrap_or_else(|| "read the build's log, the evidence".to_owned()),
                ..Blocked::default()
            };
            let blocked = Box::new(blocked);
            Ok(Built::No(Outcome::Failed {
                blocked,
                evidence: vec![kept],
            }))
        }
    }
}

async fn keep(
    commit: &Commit,
    gate: GateName,
    context: &Context,
    log: &str,
) -> Result<pilotis_kinds::pilotis::Evidence, Error> {
    let document = Document {
        kind: "log",
        media_type: "text/plain",
        bytes: log.as_bytes().to_vec(),
        summary: format!("{} lines", log.lines().count()),
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

fn no_builder() -> Outcome {
    let blocked = Blocked {
        cause: "this instance runs no containers, so nothing can be built".to_owned(),
        owner: "operator".to_owned(),
        fix: "start it without --no-containers".to_owned(),
        ..Blocked::default()
    };
    Outcome::Failed {
        blocked: Box::new(blocked),
        evidence: Vec::new(),
    }
}
