//! Images from files: OCI layouts (directory or tar) and docker archives.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{Entry, ImageError, ImageName, Images, at, check, is_digest, malformed, sha256};

/// Most bytes of a document (index, manifest, configuration).
const DOCUMENT_MAX: u64 = 4 << 20;

/// Most members of an archive.
const MEMBERS_MAX: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Takes every named image of `path`.
pub(super) fn import(images: &Images, path: &Path) -> Result<Vec<String>, ImageError> {
    if path.is_dir() {
        return import_directory(images, path);
    }
    let name = format!("import-{}", std::process::id());
    let directory = images.incoming(&name);
    let result = extract(path, &directory).and_then(|()| import_directory(images, &directory));
    // A leftover is removed with the store; the result matters more.
    let _ = fs::remove_dir_all(&directory);
    result
}

/// Extracts regular files only, each inside `target`.
fn extract(path: &Path, target: &Path) -> Result<(), ImageError> {
    fs::create_dir_all(target).map_err(at(target))?;
    let file = BufReader::new(File::open(path).map_err(at(path))?);
    let mut archive = tar::Archive::new(file);
    for (count, entry) in archive.entries().map_err(at(path))?.enumerate() {
        let mut entry = entry.map_err(at(path))?;
        if count >= MEMBERS_MAX {
            let message = format!("more than {MEMBERS_MAX} members");
            return Err(ImageError::Malformed {
                what: "image archive",
                message,
            });
        }
        if entry.header().entry_type().is_file() || entry.header().entry_type().is_dir() {
            entry.unpack_in(target).map_err(at(path))?;
        }
    }
    Ok(())
}

fn import_directory(images: &Images, directory: &Path) -> Result<Vec<String>, ImageError> {
    if directory.join("index.json").exists() {
        import_layout(images, directory)
    } else {
        import_docker(images, directory)
    }
}

fn import_layout(images: &Images, directory: &Path) -> Result<Vec<String>, ImageError> {
    let bytes = document(&directory.join("index.json"))?;
    let index: Index = serde_json::from_slice(&bytes).map_err(malformed("index.json"))?;
    let mut names = Vec::new();
    for descriptor in &index.manifests {
        let named = [
            "io.containerd.image.name",
            "org.opencontainers.image.ref.name",
        ]
        .iter()
        .find_map(|key| descriptor.annotations.get(*key));
        let Some(name) = named else { continue };
        let name: ImageName = name.parse()?;
        let manifest = platform_manifest(directory, descriptor)?;
        let entry = import_manifest(images, directory, &manifest)?;
        images.remember(&name, entry)?;
        names.push(name.to_string());
    }
    Ok(names)
}

/// The manifest a descriptor means: itself, or the first of an index of platforms.
fn platform_manifest(directory: &Path, descriptor: &Descriptor) -> Result<String, ImageError> {
    if !descriptor.media_type.contains("index") && !descriptor.media_type.contains("list") {
        return Ok(descriptor.digest.clone());
    }
    let bytes = blob(directory, &descriptor.digest)?;
    super::registry::choose_platform(&bytes).map_err(ImageError::Pull)
}

fn import_manifest(images: &Images, directory: &Path, digest: &str) -> Result<Entry, ImageError> {
    let bytes = blob(directory, digest)?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(malformed("manifest"))?;
    let config = blob(directory, &manifest.config.digest)?;
    let diff_ids = images.keep_config(&manifest.config.digest, &config)?;
    let mut layers = Vec::with_capacity(manifest.layers.len());
    for layer in &manifest.layers {
        layers.push(blob_path(directory, &layer.digest)?);
    }
    let size = keep_layers(images, &diff_ids, &layers)?;
    Ok(Entry {
        config: manifest.config.digest,
        manifest: Some(digest.to_owned()),
        size,
    })
}

fn import_docker(images: &Images, directory: &Path) -> Result<Vec<String>, ImageError> {
    let bytes = document(&directory.join("manifest.json"))?;
    let all: Vec<DockerImage> =
        serde_json::from_slice(&bytes).map_err(malformed("manifest.json"))?;
    let mut names = Vec::new();
    for image in all {
        let config = document(&member(directory, &image.config)?)?;
        let digest = sha256(&config);
        let diff_ids = images.keep_config(&digest, &config)?;
        let layers: Result<Vec<_>, _> = image
            .layers
            .iter()
            .map(|layer| member(directory, layer))
            .collect();
        let size = keep_layers(images, &diff_ids, &layers?)?;
        for tag in image.repo_tags.unwrap_or_default() {
            let name: ImageName = tag.parse()?;
            let entry = Entry {
                config: digest.clone(),
                manifest: None,
                size,
            };
            images.remember(&name, entry)?;
            names.push(name.to_string());
        }
    }
    Ok(names)
}

fn keep_layers(
    images: &Images,
    diff_ids: &[String],
    archives: &[PathBuf],
) -> Result<u64, ImageError> {
    if diff_ids.len() != archives.len() {
        let message = format!(
            "{} layers and {} digests of layers",
            archives.len(),
            diff_ids.len()
        );
        return Err(ImageError::Malformed {
            what: "image",
            message,
        });
    }
    let mut size = 0;
    for (id, archive) in diff_ids.iter().zip(archives) {
        size += images.keep_layer(id, archive)?;
    }
    Ok(size)
}

fn blob_path(directory: &Path, digest: &str) -> Result<PathBuf, ImageError> {
    if !is_digest(digest) {
        let message = format!("`{digest}` is not a sha256 digest");
        return Err(ImageError::Malformed {
            what: "image archive",
            message,
        });
    }
    Ok(directory.join("blobs/sha256").join(super::hex(digest)))
}

fn blob(directory: &Path, digest: &str) -> Result<Vec<u8>, ImageError> {
    let bytes = document(&blob_path(directory, digest)?)?;
    check("document", digest, &sha256(&bytes))?;
    Ok(bytes)
}

/// A member of an archive by the name another member gives it.
fn member(directory: &Path, name: &str) -> Result<PathBuf, ImageError> {
    let normal = |part: Component<'_>| matches!(part, Component::Normal(_));
    if Path::new(name).components().all(normal) {
        return Ok(directory.join(name));
    }
    let message = format!("`{name}` is not a member");
    Err(ImageError::Malformed {
        what: "image archive",
        message,
    })
}

fn document(path: &Path) -> Result<Vec<u8>, ImageError> {
    let size = fs::metadata(path).map_err(at(path))?.len();
    if size > DOCUMENT_MAX {
        let message = format!("{size} bytes, at most {DOCUMENT_MAX} are read");
        return Err(ImageError::Malformed {
            what: "document",
            message,
        });
    }
    fs::read(path).map_err(at(path))
}
