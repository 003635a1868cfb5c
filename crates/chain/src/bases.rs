//! The platform's own images carry its signature, as every image of a team does.
//!
//! They are made and pushed by whoever starts the instance, who has no key; the chain vouches for
//! what it finds under their names, once per digest. Without this no pod could run one of them
//! where policy is enforced, and nobody could tell a base image from a forged one.

use pilotis_oci::Reference;
use pilotis_signing::{bundle_signature, signature_tag, simple_signature};

use crate::Context;
use crate::api::Error;
use crate::steps::store;

/// The tag the platform gives its own images.
const TAG: &str = "latest";

/// Signs the platform's images that have no signature yet.
///
/// # Errors
/// When the registry refuses; those before it stay signed.
pub(crate) async fn vouch(context: &Context) -> Result<(), Error> {
    for repository in &context.settings.own_images {
        sign(context, repository).await?;
    }
    Ok(())
}

async fn sign(context: &Context, repository: &str) -> Result<(), Error> {
    let registry = &context.registry;
    let resolve = async |selector: &str| {
        let found = registry.resolve(repository, selector).await;
        found.map_err(Error::registry("find an image of the platform"))
    };
    let Some(image) = resolve(TAG).await? else {
        // Making it failed, which was said where it was made.
        return Ok(());
    };
    if resolve(&signature_tag(&image.digest)).await?.is_some() {
        return Ok(());
    }
    let reference = Reference::new(registry.registry(), repository)
        .map_err(|_| Error::Malformed("image reference"))?;
    // The one with the tag last: it is what says that the image is signed.
    store(context, repository, bundle_signature(&image, &context.key)).await?;
    let simple = simple_signature(&reference, &image.digest, &context.key);
    store(context, repository, simple).await?;
    tracing::info!(repository, digest = %image.digest, "image of the platform signed");
    Ok(())
}
