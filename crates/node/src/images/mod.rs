//! Images on this machine: names, configurations and unpacked layers, all checked by digest.
//!
//! Layout below the store's directory: `layers/<hex>` (one directory per unpacked layer, named by
//! the digest of its uncompressed archive, present only when complete), `configs/<hex>.json`, and
//! `names.json`. Images come from [`Images::pull`] (registries named in the settings, nothing else)
//! or from [`Images::import`] (OCI layouts and docker archives). An image already here is never
//! fetched again by tag unless the pod says `imagePullPolicy: Always`.

mod import;
mod layer;
mod name;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use name::{ImageName, NameError};
pub use registry::{Credentials, PullError, Registry};

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The name cannot be read.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The registry did not give the image.
    #[error(transparent)]
    Pull(#[from] PullError),
    /// A file of the store or of an archive failed.
    #[error("cannot use {path}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Bytes are not what their digest says.
    #[error("{what} has digest {actual}, not {expected}")]
    Digest {
        /// Which bytes.
        what: &'static str,
        /// The digest they should have.
        expected: String,
        /// The digest they have.
        actual: String,
    },
    /// A document of the image is not what it should be.
    #[error("{what} is malformed: {message}")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// What is wrong.
        message: String,
    },
}

/// An image ready to run.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of its configuration: the image id.
    pub id: String,
    /// `registry/repository@sha256:…` when it came by digest, else the id.
    pub reference: String,
    /// Unpacked layers, the topmost first.
    pub layers: Vec<PathBuf>,
    /// How its author wants it to be run.
    pub config: RunConfig,
    /// Bytes of its layers, unpacked, as far as known.
    pub size: u64,
}

/// The part of an image configuration that matters to a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunConfig {
    /// User as `name`, `uid`, `uid:gid` or `name:group`.
    pub user: String,
    /// `NAME=value` entries.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// Program.
    #[serde(deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    /// Arguments, or the program when there is no entry point.
    #[serde(deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    /// Working directory.
    pub working_dir: String,
    /// Signal that asks it to end.
    pub stop_signal: Option<String>,
}

fn nullable<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(from)?.unwrap_or_default())
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ConfigFile {
    #[serde(default)]
    config: Option<RunConfig>,
    rootfs: RootFs,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    config: String,
    manifest: Option<String>,
    size: u64,
}

/// The images of this machine.
#[derive(Debug)]
pub struct Images {
    root: PathBuf,
    registries: Vec<Registry>,
    names: Mutex<BTreeMap<String, Entry>>,
    pulling: tokio::sync::Mutex<()>,
}

impl Images {
    /// Opens the store, making it when it does not exist.
    ///
    /// # Errors
    /// When its directory cannot be used.
    pub fn open(root: &Path, registries: Vec<Registry>) -> Result<Self, ImageError> {
        for directory in ["layers", "configs", "incoming"] {
            let path = root.join(directory);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        let path = root.join("names.json");
        let names = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(malformed("names.json"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(at(&path)(error)),
        };
        let names = Mutex::new(names);
        Ok(Images {
            root: root.to_owned(),
            registries,
            names,
            pulling: Default::default(),
        })
    }

    /// The image of that name, if it is here.
    ///
    /// # Errors
    /// When the name or the stored configuration cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<Image>, ImageError> {
        let name: ImageName = name.parse()?;
        let entry = self.names().get(&name.to_string()).cloned();
        entry.map(|entry| self.load(&name, &entry)).transpose()
    }

    /// Fetches the image of that name from its registry.
    ///
    /// # Errors
    /// When the registry is unknown, refuses, or sends something else.
    pub async fn pull(&self, name: &str, credentials: &[Credentials]) -> Result<Image, ImageError> {
        let name: ImageName = name.parse()?;
        // One at a time: layers are shared, and the machine's disk is the limit anyway.
        let _one = self.pulling.lock().await;
        let registry = self
            .registries
            .iter()
            .find(|registry| registry.host == name.registry)
            .ok_or_else(|| PullError::UnknownRegistry(name.registry.clone()))?;
        let fetched = registry.fetch(&name, credentials, self).await?;
        self.remember(&name, fetched)
    }

    /// Takes the images of an OCI layout (directory or tar) or a docker archive; returns their
    /// names.
    ///
    /// # Errors
    /// When the archive cannot be read or is not what its digests say.
    pub fn import(&self, path: &Path) -> Result<Vec<String>, ImageError> {
        import::import(self, path)
    }

    /// Drops names that are not in `used` and then layers no name needs; returns how many layers.
    ///
    /// # Errors
    /// When the store cannot be changed.
    pub fn collect(&self, used: &BTreeSet<String>) -> Result<usize, ImageError> {
        let used: BTreeSet<String> = used
            .iter()
            .filter_map(|name| name.parse::<ImageName>().ok())
            .map(|name| name.to_string())
            .collect();
        let mut names = self.names();
        names.retain(|name, _| used.contains(name));
        self.save(&names)?;
        let mut needed = BTreeSet::new();
        for entry in names.values() {
            needed.extend(
                self.config(&entry.config)?
                    .rootfs
                    .diff_ids
                    .iter()
                    .map(|id| hex(id)),
            );
        }
        let layers = self.root.join("layers");
        let mut dropped = 0;
        for entry in fs::read_dir(&layers).map_err(at(&layers))?.flatten() {
            if !needed.contains(&entry.file_name().to_string_lossy().into_owned()) {
                fs::remove_dir_all(entry.path()).map_err(at(&entry.path()))?;
                dropped += 1;
            }
        }
        Ok(dropped)
    }

    /// Notes an image whose layers are all here.
    fn remember(&self, name: &ImageName, entry: Entry) -> Result<Image, ImageError> {
        let image = self.load(name, &entry)?;
        let mut names = self.names();
        names.insert(name.to_string(), entry);
        self.save(&names)?;
        Ok(image)
    }

    fn save(&self, names: &BTreeMap<String, Entry>) -> Result<(), ImageError> {
        let bytes = serde_json::to_vec_pretty(names).map_err(malformed("names.json"))?;
        write_whole(&self.root.join("names.json"), &bytes)
    }

    fn load(&self, name: &ImageName, entry: &Entry) -> Result<Image, ImageError> {
        let file = self.config(&entry.config)?;
        let reference = match &entry.manifest {
            Some(digest) => format!("{}/{}@{digest}", name.registry, name.repository),
            None => entry.config.clone(),
        };
        let layers = file
            .rootfs
            .diff_ids
            .iter()
            .rev()
            .map(|id| self.layer_path(id))
            .collect();
        let config = file.config.unwrap_or_default();
        Ok(Image {
            id: entry.config.clone(),
            reference,
            layers,
            config,
            size: entry.size,
        })
    }

    fn config(&self, digest: &str) -> Result<ConfigFile, ImageError> {
        let path = self
            .root
            .join("configs")
            .join(format!("{}.json", hex(digest)));
        let bytes = fs::read(&path).map_err(at(&path))?;
        serde_json::from_slice(&bytes).map_err(malformed("image configuration"))
    }

    /// Keeps a configuration and tells the digests of its layers.
    fn keep_config(&self, digest: &str, bytes: &[u8]) -> Result<Vec<String>, ImageError> {
        check("image configuration", digest, &sha256(bytes))?;
        let file: ConfigFile =
            serde_json::from_slice(bytes).map_err(malformed("image configuration"))?;
        for id in &file.rootfs.diff_ids {
            if !is_digest(id) {
                let message = format!("`{id}` is not a sha256 digest");
                return Err(ImageError::Malformed {
                    what: "image configuration",
                    message,
                });
            }
        }
        let path = self
            .root
            .join("configs")
            .join(format!("{}.json", hex(digest)));
        write_whole(&path, bytes)?;
        Ok(file.rootfs.diff_ids)
    }

    /// Unpacks a layer unless it is here already; returns its unpacked size.
    fn keep_layer(&self, diff_id: &str, archive: &Path) -> Result<u64, ImageError> {
        let target = self.layer_path(diff_id);
        if target.is_dir() {
            return Ok(0);
        }
        let partial = self.root.join("incoming").join(hex(diff_id));
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at(&partial)(error));
            }
            _ => fs::create_dir(&partial).map_err(at(&partial))?,
        }
        let file = fs::File::open(archive).map_err(at(archive))?;
        let unpacked = layer::unpack(file, &partial).map_err(at(archive))?;
        check("layer", diff_id, &unpacked.digest)?;
        fs::rename(&partial, &target).map_err(at(&target))?;
        Ok(unpacked.size)
    }

    fn layer_path(&self, diff_id: &str) -> PathBuf {
        self.root.join("layers").join(hex(diff_id))
    }

    fn incoming(&self, name: &str) -> PathBuf {
        self.root.join("incoming").join(name)
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Entry>> {
        self.names
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> ImageError + '_ {
    move |source| ImageError::Io {
        path: path.to_owned(),
        source,
    }
}

fn malformed(what: &'static str) -> impl Fn(serde_json::Error) -> ImageError {
    move |error| ImageError::Malformed {
        what,
        message: error.to_string(),
    }
}

fn check(what: &'static str, expected: &str, actual: &str) -> Result<(), ImageError> {
    if expected == actual {
        return Ok(());
    }
    Err(ImageError::Digest {
        what,
        expected: expected.to_owned(),
        actual: actual.to_owned(),
    })
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes).map_err(at(&partial))?;
    fs::rename(&partial, path).map_err(at(path))
}

fn sha256(bytes: &[u8]) -> String {
    digest_text(Sha256::digest(bytes))
}

fn digest_text(digest: impl AsRef<[u8]>) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in digest.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Whether text is `sha256:` and 64 lower-case hexadecimal digits, and so safe as a file name.
fn is_digest(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(digit))
}

fn hex(digest: &str) -> String {
    digest.trim_start_matches("sha256:").to_owned()
}
