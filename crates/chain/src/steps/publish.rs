//! Publish: the signed digest gets a name people can use, the commit's.

use pilotis_kinds::pilotis::DeliveryStatus;
use pilotis_kinds::reason::Reason;

use crate::Context;
use crate::api::Error;
use crate::gates::Outcome;
use crate::steps::{Commit, verify};

pub(crate) async fn run(
    commit: &Commit,
    status: &DeliveryStatus,
    context: &Context,
) -> Result<Outcome, Error> {
    let path = commit.image_path();
    let digest = verify::digest(status).ok_or(Error::Malformed("image reference"))?;
    let (descriptor, bytes) = context
        .registry
        .manifest(&path, digest)
        .await
        .map_err(Error::registry("read the image"))?;
    context
        .registry
        .put_manifest(&path, &descriptor.media_type, &bytes, &[commit.short()])
        .await
        .map_err(Error::registry("tag the image"))?;
    let image = format!("{}/{path}:{}", context.registry.registry(), commit.short());
    Ok(Outcome::passed(Reason::Published { image }))
}
