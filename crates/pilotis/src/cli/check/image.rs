//! Images to judge: an OCI layout, an archive of `docker save` or of a layout, or a registry's.
//!
//! Whatever the form, it becomes named pieces of files on disk, read when the engine asks. An
//! archive is not unpacked: its entries are read in place. Layers of a registry are fetched into a
//! temporary folder, verified on the way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use pilotis_check::{Built, Layer, LayerError};
use pilotis_oci::{Descriptor, Digest, Document, Image, Index, Manifest, Reference};
use pilotis_transfer::{Client, Credential, Endpoint, Error, Latitude};
use serde::Deserialize;

use super::super::Instance;
use crate::lifecycle;

/// Largest manifest or configuration read.
const DOCUMENT_BYTES_MAX: u64 = 8 << 20;
/// Most entries of an archive looked at.
const ENTRIES_MAX: usize = 100_000;
/// Largest image fetched from a registry, in bytes.
const FETCHED_BYTES_MAX: u64 = 16 << 30;
/// Deepest nesting of indexes followed.
const INDEXES_MAX: usize = 4;

/// A piece of a file.
struct Piece {
    file: PathBuf,
    offset: u64,
    size: u64,
}

/// An image on disk, by the names of its pieces.
pub(super) struct Opened {
    pieces: Pieces,
    config: Image,
    layers: Vec<String>,
    name: String,
    /// Holds what was fetched or unfolded for as long as it is read.
    _folder: Option<tempfile::TempDir>,
}

enum Pieces {
    Layout(PathBuf),
    Archive(BTreeMap<String, Piece>),
}

/// Whether a path holds an image; a chart archive and anything else does not.
pub(super) fn is_image(path: &Path) -> bool {
    if path.is_dir() {
        return path.join("oci-layout").is_file() && path.join("index.json").is_file();
    }
    let name = path.to_string_lossy();
    name.ends_with(".tar")
        && path.is_file()
        && entries(path).is_ok_and(|entries| is_archive(&entries))
}

/// Whether an argument that is no path on disk names an image of a registry.
pub(super) fn reference(argument: &Path) -> Option<Reference> {
    let text = argument.to_str()?;
    let named = text.contains(':') || text.contains('@');
    named.then(|| text.parse().ok())?
}

fn is_archive(entries: &BTreeMap<String, Piece>) -> bool {
    entries.contains_key("manifest.json") || entries.contains_key("index.json")
}

/// Opens an image on disk.
pub(super) fn open(path: &Path) -> Result<Opened> {
    let pieces = match path.is_dir() {
        true => Pieces::Layout(path.to_owned()),
        false => Pieces::Archive(entries(path)?),
    };
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned();
    opened(pieces, name, None).with_context(|| format!("cannot read image {}", path.display()))
}

fn opened(pieces: Pieces, name: String, folder: Option<tempfile::TempDir>) -> Result<Opened> {
    let (config, layers) = match pieces.has("index.json") {
        true => layout(&pieces)?,
        false => saved(&pieces)?,
    };
    let config = serde_json::from_slice(&config).context("its configuration is malformed")?;
    Ok(Opened {
        pieces,
        config,
        layers,
        name,
        _folder: folder,
    })
}

impl Opened {
    /// Hands the image to the engine.
    pub(super) fn judge<T>(self, judge: impl FnOnce(Built<'_>) -> T) -> T {
        let pieces = &self.pieces;
        let mut layers = self.layers.iter().map(|name| {
            let bytes = pieces
                .open(name)
                .map_err(|error| LayerError(std::io::Error::other(error)))?;
            Ok(Layer { bytes })
        });
        judge(Built {
            name: self.name,
            config: self.config,
            layers: &mut layers,
        })
    }
}

impl Pieces {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::Layout(folder) => folder.join(name).is_file(),
            Self::Archive(entries) => entries.contains_key(name),
        }
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read>> {
        let missing = || anyhow!("it has no {name}");
        match self {
            Self::Layout(folder) => {
                let file = File::open(folder.join(name)).map_err(|_| missing())?;
                Ok(Box::new(file))
            }
            Self::Archive(entries) => {
                let piece = entries.get(name).ok_or_else(missing)?;
                let mut file = File::open(&piece.file)?;
                file.seek(SeekFrom::Start(piece.offset))?;
                Ok(Box::new(file.take(piece.size)))
            }
        }
    }

    fn document(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(name)?
            .take(DOCUMENT_BYTES_MAX + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
            bail!("{name} is larger than 8 MiB");
        }
        Ok(bytes)
    }

    /// A document whose bytes are those its digest names.
    fn blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        let bytes = self.document(&blob_name(digest))?;
        match digest.matches(&bytes) {
            true => Ok(bytes),
            false => Err(anyhow!("blob {digest} is not what its digest says")),
        }
    }
}

fn blob_name(digest: &Digest) -> String {
    let text = digest.to_string();
    format!("blobs/{}", text.replacen(':', "/", 1))
}

/// The entries of an archive, by name, each where it stands.
fn entries(path: &Path) -> Result<BTreeMap<String, Piece>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut archive = tar::Archive::new(file);
    let mut found = BTreeMap::new();
    for entry in archive.entries_with_seek()?.take(ENTRIES_MAX) {
        let entry = entry.context("it is not an archive")?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes())
            .trim_start_matches("./")
            .to_owned();
        let piece = Piece {
            file: path.to_owned(),
            offset: entry.raw_file_position(),
            size: entry.size(),
        };
        found.insert(name, piece);
    }
    Ok(found)
}

/// The configuration and layers of an OCI layout.
fn layout(pieces: &Pieces) -> Result<(Vec<u8>, Vec<String>)> {
    let bytes = pieces.document("index.json")?;
    let mut index: Index = serde_json::from_slice(&bytes).context("its index is malformed")?;
    for _ in 0..INDEXES_MAX {
        let wanted = wanted(&index).ok_or_else(|| anyhow!("its index lists no image"))?;
        let bytes = pieces.blob(&wanted.digest)?;
        match Document::parse(&wanted.media_type, &bytes)? {
            Document::Index(inner) => index = inner,
            Document::Manifest(manifest) => return parts(pieces, &manifest),
        }
    }
    bail!("its indexes are nested too deeply")
}

fn parts(pieces: &Pieces, manifest: &Manifest) -> Result<(Vec<u8>, Vec<String>)> {
    let config = pieces.blob(&manifest.config.digest)?;
    let layers = manifest.layers.iter().map(|layer| blob_name(&layer.digest));
    Ok((config, layers.collect()))
}

/// The image for this kind of machine, or the first that is one.
fn wanted(index: &Index) -> Option<&Descriptor> {
    let images = index
        .manifests
        .iter()
        .filter(|one| !one.annotations.contains_key("vnd.docker.reference.type"));
    let images: Vec<&Descriptor> = images.collect();
    let amd64 = |one: &&&Descriptor| {
        one.platform
            .as_ref()
            .is_some_and(|p| p.os == "linux" && p.architecture == "amd64")
    };
    images.iter().find(amd64).or(images.first()).copied()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

/// The configuration and layers of an archive of `docker save`.
fn saved(pieces: &Pieces) -> Result<(Vec<u8>, Vec<String>)> {
    let bytes = pieces.document("manifest.json")?;
    let images: Vec<Saved> =
        serde_json::from_slice(&bytes).context("its manifest.json is malformed")?;
    let image = images
        .into_iter()
        .next()
        .ok_or_else(|| anyhow!("it holds no image"))?;
    Ok((pieces.document(&image.config)?, image.layers))
}

/// Fetches an image of a registry into a temporary folder.
pub(super) async fn fetch(reference: &Reference, instance: &Instance) -> Result<Opened> {
    let client = client(reference, instance).await?;
    let repository = reference.repository();
    let mut selector = reference.selector();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut nesting = 0;
    let manifest = loop {
        let (descriptor, bytes) = client.manifest(repository, &selector).await?;
        match Document::parse(&descriptor.media_type, &bytes)? {
            Document::Manifest(manifest) => break manifest,
            Document::Index(index) => {
                let wanted = wanted(&index).ok_or_else(|| anyhow!("{reference} lists no image"))?;
                selector = wanted.digest.to_string();
            }
        }
        nesting += 1;
        if nesting > INDEXES_MAX {
            bail!("the indexes of {reference} are nested too deeply");
        }
    };
    let size: u64 = manifest.layers.iter().map(|layer| layer.size).sum();
    if size > FETCHED_BYTES_MAX {
        bail!("{reference} is larger than 16 GiB");
    }
    for blob in manifest
        .layers
        .iter()
        .chain(std::iter::once(&manifest.config))
    {
        let path = folder.path().join(blob_name(&blob.digest));
        std::fs::create_dir_all(path.parent().unwrap_or(folder.path()))?;
        let mut file = tokio::fs::File::create(&path).await?;
        client.copy_blob(repository, blob, &mut file).await?;
    }
    let pieces = Pieces::Layout(folder.path().to_owned());
    let (config, layers) = parts(&pieces, &manifest)?;
    let config = serde_json::from_slice(&config).context("its configuration is malformed")?;
    Ok(Opened {
        pieces,
        config,
        layers,
        name: reference.to_string(),
        _folder: Some(folder),
    })
}

/// A client of the registry of a reference. Accounts are those of `docker login`.
async fn client(reference: &Reference, instance: &Instance) -> Result<Client> {
    let name = reference.registry();
    let (address, ca_pem) = match own(name, instance)? {
        Some((address, authority)) => (Some(address), Some(authority)),
        None => (None, None),
    };
    let is_own = address.is_some();
    let endpoint = Endpoint {
        name: name.to_owned(),
        address,
        ca_pem,
        plain: false,
        credential: credential(name),
    };
    if is_own {
        return Ok(Client::new(endpoint)?);
    }
    // Others send blobs from elsewhere and give tokens elsewhere, as Docker's own does.
    let latitude = Latitude {
        follows_redirects: true,
        trusts_realm: true,
        uses_proxy: true,
        ..Latitude::default()
    };
    let client = Client::with(endpoint.clone(), &latitude)?;
    if is_loopback(name) && matches!(client.ping().await, Err(Error::Network { .. })) {
        let plain = Endpoint {
            plain: true,
            ..endpoint
        };
        return Ok(Client::with(plain, &latitude)?);
    }
    Ok(client)
}

/// Whether a registry listens on this machine alone, where container tools do without TLS.
fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Where the instance's own registry listens and whom to trust, when this is its name.
fn own(name: &str, instance: &Instance) -> Result<Option<(SocketAddr, String)>> {
    let found = lifecycle::endpoints(&instance.data_dir).and_then(|endpoints| endpoints.registry);
    let Some(url) = found.filter(|_| name == pilotis_kinds::names::REGISTRY_NAME) else {
        return Ok(None);
    };
    let address = url.trim_start_matches("https://").trim_end_matches('/');
    let address = address
        .parse()
        .context("the instance's registry has no address")?;
    let authority = instance.data_dir.join("ca.crt");
    let authority = std::fs::read_to_string(&authority)
        .with_context(|| format!("cannot read {}", authority.display()))?;
    Ok(Some((address, authority)))
}

/// What `docker login` keeps for a registry, itself or by a program; nobody when it keeps nothing.
fn credential(registry: &str) -> Credential {
    let home = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    let file = home.map(|home| home.join("config.json"));
    pilotis_chart_repository::stored(&file, registry)
}
