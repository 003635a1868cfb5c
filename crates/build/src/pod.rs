//! The builder pod: reads one file, builds, uploads, and says the result in its last line.
//!
//! The pod holds no credential but a capability of the registry: it may read the context and base
//! images and put one untagged manifest into one repository. What it says is a claim; whoever
//! started it reads the manifest back from the registry.
//!
//! Input: the file named by `PILOTIS_BUILD_FILE`, else `/run/pilotis/build.json`, a [`Task`].
//! Output: progress on standard error; one JSON line on standard output, an [`Outcome`].
//! Exit code: 0 built, 2 the Dockerfile or a command of it is wrong, 1 anything else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pilotis_dockerfile::Dockerfile;
use pilotis_oci::{Descriptor, Digest};
use pilotis_report::Diagnostic;
use pilotis_transfer::{Client, Credential, Endpoint};
use serde::{Deserialize, Serialize};

use crate::patience::patiently;
use crate::registry::{RegistryBases, push};
use crate::step::Stepper;
use crate::{Built, ContextLimits, Error, Layout, Request, build, unpack_context};

/// The variable that names the task's file.
pub const FILE_VARIABLE: &str = "PILOTIS_BUILD_FILE";
const FILE: &str = "/run/pilotis/build.json";

/// What a builder pod is to do.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Task {
    /// The registry's name in image references.
    pub registry: String,
    /// Where it listens, when the name does not say so.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Its authority, PEM.
    #[serde(default)]
    pub ca: Option<String>,
    /// Without TLS, for tests.
    #[serde(default)]
    pub plain: bool,
    /// The upload capability.
    pub token: String,
    /// Where the context lies and the image goes.
    pub repository: String,
    /// The context: a blob of that repository, tar or tar with gzip.
    pub context: Descriptor,
    /// Path of the Dockerfile in the context.
    #[serde(default = "dockerfile")]
    pub dockerfile: String,
    /// The stage to build; the last when absent.
    #[serde(default)]
    pub target: Option<String>,
    /// Build arguments.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// Seconds since 1970 of everything made; the commit's time.
    pub epoch: i64,
    /// A directory with room.
    #[serde(default = "work")]
    pub work: PathBuf,
}

fn dockerfile() -> String {
    "Dockerfile".to_owned()
}

fn work() -> PathBuf {
    PathBuf::from("/work")
}

/// The last line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It was built and uploaded.
    Built {
        /// Digest of the manifest.
        manifest: Digest,
        /// Its size in bytes.
        size: u64,
        /// Base images: reference and digest of each.
        bases: BTreeMap<String, Digest>,
    },
    /// It was not.
    Failed {
        /// What went wrong, for people.
        message: String,
        /// Where in the Dockerfile.
        #[serde(default)]
        diagnostics: Vec<Diagnostic>,
    },
}

/// The entry of the builder pod.
#[must_use]
pub fn main() -> ExitCode {
    let file = std::env::var_os(FILE_VARIABLE).map_or_else(|| PathBuf::from(FILE), PathBuf::from);
    let (outcome, code) = match read(&file).and_then(|task| run(&task)) {
        Ok(built) => (outcome(&built), 0),
        Err(error) => {
            let code = match error {
                Error::Dockerfile(_) | Error::Step { .. } => 2,
                _ => 1,
            };
            (failure(error), code)
        }
    };
    match serde_json::to_string(&outcome) {
        Ok(line) => println!("{line}"),
        Err(error) => eprintln!("error: cannot write the result: {error}"),
    }
    ExitCode::from(code)
}

fn read(file: &Path) -> Result<Task, Error> {
    let text = std::fs::read(file).map_err(Error::file("read", file))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::file("read", file)(std::io::Error::new(std::io::ErrorKind::InvalidData, error))
    })
}

fn outcome(built: &Built) -> Outcome {
    let base = |base: &crate::Base| (base.reference.clone(), base.manifest.digest.clone());
    Outcome::Built {
        manifest: built.manifest.digest.clone(),
        size: built.manifest.size,
        bases: built.bases.iter().map(base).collect(),
    }
}

fn failure(error: Error) -> Outcome {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    eprintln!("error: {message}");
    let diagnostics = match error {
        Error::Dockerfile(diagnostics) => diagnostics,
        _ => Vec::new(),
    };
    Outcome::Failed {
        message,
        diagnostics,
    }
}

/// Carries out a task: fetches, builds, uploads.
///
/// # Errors
/// As [`build`], or when the registry cannot be used.
pub fn run(task: &Task) -> Result<Built, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(Error::file("start", Path::new("the runtime")))?;
    let client = Client::new(Endpoint {
        name: task.registry.clone(),
        address: task.address,
        ca_pem: task.ca.clone(),
        plain: task.plain,
        credential: Credential::Bearer(task.token.clone()),
    })?;
    let context = crate::build::fresh(task.work.join("context"))?;
    fetch_context(task, &client, &runtime, &context)?;
    let dockerfile = read_dockerfile(&context, &task.dockerfile)?;
    let layout = Layout::open(&crate::build::fresh(task.work.join("layout"))?)?;
    let request = Request {
        dockerfile: &dockerfile,
        target: task.target.as_deref(),
        arguments: &task.arguments,
        context: &context,
        work: &task.work,
        epoch: task.epoch,
        stepper: Stepper::default(),
    };
    let mut bases = RegistryBases::new(client.clone(), runtime.handle().clone());
    let built = build(&request, &mut bases, &layout, &mut |line| {
        eprintln!("{line}")
    })?;
    let upload = async || push(&client, &task.repository, &layout, &built.manifest, &[]).await;
    runtime.block_on(patiently(upload, |error| error))?;
    Ok(built)
}

/// Fetches the context into a file, which need not fit into memory, and unpacks it.
fn fetch_context(
    task: &Task,
    client: &Client,
    runtime: &tokio::runtime::Runtime,
    into: &Path,
) -> Result<(), Error> {
    let path = task.work.join("context.tar.gz");
    let fetch = async || {
        let file = tokio::fs::File::create(&path).await;
        let mut file = file.map_err(Error::file("create", &path))?;
        let copied = client.copy_blob(&task.repository, &task.context, &mut file);
        copied.await.map_err(Error::from)
    };
    runtime.block_on(patiently(fetch, |error| error))?;
    let file = std::fs::File::open(&path).map_err(Error::file("open", &path))?;
    unpack_context(into, file, ContextLimits::default())?;
    std::fs::remove_file(&path).map_err(Error::file("remove", &path))
}

fn read_dockerfile(context: &Path, name: &str) -> Result<Dockerfile, Error> {
    let root = crate::root::Root::new(context);
    let path = root
        .resolve(Path::new(name))
        .unwrap_or_else(|| context.join("Dockerfile"));
    let text = std::fs::read_to_string(&path).map_err(|source| Error::File {
        action: "read",
        path: name.to_owned(),
        source,
    })?;
    Dockerfile::parse_named(name, &text).map_err(Error::Dockerfile)
}
