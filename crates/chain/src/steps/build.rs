//! Build: the image is rebuilt from the commit, in a pod, by the platform's own builder.

use pilotis_build::pod::Outcome as Word;
use pilotis_kinds::pilotis::{DeliveryStatus, GateName};
use pilotis_kinds::reason::Reason;
use pilotis_oci::Digest;

use crate::Context;
use crate::api::Error;
use crate::evidence::{self, Document, figures};
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
            let digest = manifest.to_string();
            Ok(Outcome::Passed {
                reason: Reason::ImageBuilt { digest },
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
        return Ok(Built::No(Outcome::failed(Reason::NoBuilder)));
    };
    let (word, log) = match job::advance(commit, target, builds, context).await? {
        Standing::Exceeded(reason) => return Ok(Built::No(Outcome::failed(reason))),
        Standing::Running(reason) => return Ok(Built::No(Outcome::Waiting { reason })),
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
            let message = diagnostics.first().map_or(message, |d| d.message.clone());
            let mut outcome = Outcome::failed(Reason::BuildStopped { message });
            if let Outcome::Failed {
                blocked, evidence, ..
            } = &mut outcome
            {
                blocked.file = Some(position.as_ref().map_or(dockerfile, |p| p.file.clone()));
                blocked.line = position.map(|p| p.line);
                blocked.fix = hint.unwrap_or_else(|| std::mem::take(&mut blocked.fix));
                evidence.push(kept);
            }
            Ok(Built::No(outcome))
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
        figures: figures([("lines", log.lines().count())]),
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
