//! A build from its request to an image in a layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pilotis_dockerfile::{Dockerfile, Ignore, platform_arguments};
use pilotis_oci::{Descriptor, Digest, Image};

use crate::layout::Layout;
use crate::stage::{Build, Stage};
use crate::step::Stepper;
use crate::{Error, root::Root};

/// What to build.
pub struct Request<'a> {
    /// The instructions.
    pub dockerfile: &'a Dockerfile,
    /// The stage to build; `None` for the last.
    pub target: Option<&'a str>,
    /// Values of `ARG`s.
    pub arguments: &'a BTreeMap<String, String>,
    /// Directory that `COPY` reads.
    pub context: &'a Path,
    /// Directory for stages; needs room, is left dirty.
    pub work: &'a Path,
    /// Seconds since 1970 of everything that is made (`SOURCE_DATE_EPOCH`).
    pub epoch: i64,
    /// How steps start.
    pub stepper: Stepper,
}

/// A base image that was fetched.
#[derive(Debug, Clone)]
pub struct Base {
    /// The reference as the Dockerfile has it.
    pub reference: String,
    /// Its manifest, in the layout with everything it needs.
    pub manifest: Descriptor,
}

/// Where base images come from.
pub trait Bases {
    /// Brings an image into the layout: manifest, configuration, layers, verified.
    ///
    /// # Errors
    /// When it is not there or not allowed.
    fn fetch(
        &mut self,
        image: &str,
        layout: &Layout,
    ) -> Result<Descriptor, Box<dyn std::error::Error + Send + Sync>>;
}

/// A finished build.
#[derive(Debug)]
pub struct Built {
    /// The image's manifest, in the layout.
    pub manifest: Descriptor,
    /// Its configuration.
    pub image: Image,
    /// What it was made from, for its provenance.
    pub bases: Vec<Base>,
}

/// Builds an image into a layout. `progress` hears each instruction as it begins.
///
/// # Errors
/// [`Error::Dockerfile`] with positions for what the author can mend; [`Error::Step`] when a
/// command fails.
pub fn build(
    request: &Request<'_>,
    bases: &mut dyn Bases,
    layout: &Layout,
    progress: &mut dyn FnMut(&str),
) -> Result<Built, Error> {
    let architecture = architecture();
    let mut arguments = platform_arguments(&format!("linux/{architecture}"));
    arguments.extend(request.arguments.clone());
    let plan = request
        .dockerfile
        .plan(request.target, &arguments)
        .map_err(Error::Dockerfile)?;
    let ignore = read_ignore(request.context);
    let mut build = Build {
        request,
        layout,
        architecture,
        ignore,
        context: Root::new(request.context),
        bases,
        progress,
        fetched: Vec::new(),
        plan: &plan.stages,
        done: Vec::new(),
    };
    for (index, planned) in plan.stages.iter().enumerate() {
        let stage = Stage::start(&mut build, index, planned)?;
        let stage = stage.run(&mut build, planned)?;
        build.done.push(stage);
    }
    let Build {
        mut done, fetched, ..
    } = build;
    let last = done
        .pop()
        .ok_or_else(|| Error::Image("Dockerfile".to_owned()))?;
    let (manifest, image) = last.publish(layout)?;
    layout.publish(&manifest, None)?;
    Ok(Built {
        manifest,
        image,
        bases: fetched,
    })
}

fn read_ignore(context: &Path) -> Ignore {
    let text = std::fs::read_to_string(context.join(".dockerignore"));
    Ignore::parse(&text.unwrap_or_default())
}

/// This machine's processor in Go's spelling.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// RFC 3339 of the build's time.
pub(crate) fn date(epoch: i64) -> String {
    jiff::Timestamp::from_second(epoch)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

/// A directory of a build that starts empty.
pub(crate) fn fresh(path: PathBuf) -> Result<PathBuf, Error> {
    crate::archive::remove(&path)?;
    std::fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
    Ok(path)
}

/// The digests of a base, for the log.
pub(crate) fn short(digest: &Digest) -> &str {
    &digest.hex()[..12]
}
