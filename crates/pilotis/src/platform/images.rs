//! Images a machine without any other registry starts with: the builder, and two certified bases.
//!
//! The bases come from Debian packages through the host's own apt sources, once; the builder is
//! this very program. Both are kept by digest in the platform's registry.

use std::path::Path;

use anyhow::{Context, Result};
use pilotis_build::debian::{BUILD_C, Recipe, STATIC};
use pilotis_build::{Layout, debian, program, registry};
use pilotis_oci::{Digest, Document};
use pilotis_transfer::Client;

use crate::lifecycle;

/// Repository of the builder's image.
const BUILDER: &str = "base/builder";
/// First argument of this program when it is the builder pod.
pub const BUILDER_ARGUMENT: &str = "__builder";

/// Repositories of all images this module brings.
pub fn repositories() -> [String; 3] {
    [BUILDER, STATIC.name, BUILD_C.name].map(str::to_owned)
}

/// Makes sure the bases are there.
///
/// # Errors
/// When packages cannot be had, or the registry refuses.
pub async fn bases(client: &Client, data_dir: &Path, work: &Path) -> Result<()> {
    for recipe in [STATIC, BUILD_C] {
        if client.resolve(recipe.name, "latest").await?.is_some() {
            continue;
        }
        let what = format!("base image {} from Debian packages", recipe.name);
        lifecycle::phase(data_dir, &what);
        make(client, recipe, work, data_dir)
            .await
            .with_context(|| format!("cannot make base image {}", recipe.name))?;
    }
    Ok(())
}

async fn make(client: &Client, recipe: Recipe, work: &Path, data_dir: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(work)?;
    let path = folder.path().to_owned();
    let data_dir = data_dir.to_owned();
    let (layout, manifest) = tokio::task::spawn_blocking(move || -> Result<_> {
        let layout = Layout::open(&path.join("layout"))?;
        let manifest = debian::make(&recipe, &path.join("work"), &layout, &mut |line| {
            lifecycle::phase(&data_dir, line);
        })?;
        Ok((layout, manifest))
    })
    .await??;
    registry::push(client, recipe.name, &layout, &manifest, &["latest"]).await?;
    Ok(())
}

/// Makes sure the registry has this very program as the builder's image; returns its reference by
/// digest.
///
/// # Errors
/// When the program cannot be read, or the registry refuses.
pub async fn builder(client: &Client, work: &Path) -> Result<String> {
    let digest = match present(client).await? {
        Some(digest) => digest,
        None => push_builder(client, work).await?,
    };
    Ok(format!("{}/{BUILDER}@{digest}", client.registry()))
}

/// The builder's image, if the one in the registry is made of this program.
async fn present(client: &Client) -> Result<Option<Digest>> {
    if client.resolve(BUILDER, "latest").await?.is_none() {
        return Ok(None);
    }
    let (descriptor, bytes) = client.manifest(BUILDER, "latest").await?;
    let identity = tokio::task::spawn_blocking(program::identity).await??;
    let document = Document::parse(&descriptor.media_type, &bytes)?;
    let made_of = document.annotations().get(program::IDENTITY_ANNOTATION);
    let same = made_of.is_some_and(|found| *found == identity.to_string());
    Ok(same.then_some(descriptor.digest))
}

async fn push_builder(client: &Client, work: &Path) -> Result<Digest> {
    let folder = tempfile::tempdir_in(work)?;
    let path = folder.path().to_owned();
    let (layout, manifest) = tokio::task::spawn_blocking(move || -> Result<_> {
        let layout = Layout::open(&path.join("layout"))?;
        let manifest = program::make(&[BUILDER_ARGUMENT], &path.join("work"), &layout)?;
        Ok((layout, manifest))
    })
    .await??;
    registry::push(client, BUILDER, &layout, &manifest, &["latest"])
        .await
        .context("cannot push the builder's image")?;
    Ok(manifest.digest)
}
