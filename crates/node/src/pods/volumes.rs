//! Volumes of a pod: made on disk before its containers start, kept in step afterwards.
//!
//! Files of a ConfigMap, Secret, projected or downward volume live in a directory of their own per
//! version; `..data` points to the current one and is replaced atomically, so that a reader sees
//! the old files or the new ones, never half of each (as upstream). Secrets and tokens are kept on
//! a file system of memory. What a volume refers to and cannot be found is an error the pod waits
//! on, unless it is optional.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Component, Path, PathBuf};

use k8s_openapi::api::core::v1::{KeyToPath, Pod, Volume};

use super::env::{Facts, Objects, field_value, resource_value};
use super::record;

/// Why a volume cannot be made; the words are upstream's where it has any.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VolumeError {
    #[error("{kind} \"{name}\" not found")]
    Missing { kind: &'static str, name: String },
    #[error("references non-existent config key: {0}")]
    Key(String),
    #[error("path `{0}` must be relative and stay inside the volume")]
    Path(String),
    #[error("hostPath type check failed: {0} does not fit")]
    HostPath(String),
    #[error("volume \"{0}\" is of a kind this node does not have")]
    Unsupported(String),
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    #[error("cannot write volume \"{name}\"")]
    Io { name: String, source: io::Error },
}

/// Where a pod's volumes are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// On disk.
    pub(crate) disk: PathBuf,
    /// On a file system of memory.
    pub(crate) memory: PathBuf,
}

/// Tokens made for the projected sources of a pod, by volume and path.
pub(crate) type Tokens = BTreeMap<(String, String), String>;

/// Everything volumes are made of.
pub(crate) struct Sources<'a> {
    pub(crate) facts: &'a Facts<'a>,
    pub(crate) objects: &'a Objects,
    pub(crate) tokens: &'a Tokens,
}

/// The host path of a volume.
pub(crate) fn path(places: &Places, volume: &Volume) -> PathBuf {
    if let Some(host) = &volume.host_path {
        return PathBuf::from(&host.path);
    }
    let base = if on_memory(volume) {
        &places.memory
    } else {
        &places.disk
    };
    base.join(&volume.name)
}

fn on_memory(volume: &Volume) -> bool {
    let memory = |medium: Option<&String>| medium.is_some_and(|medium| medium == "Memory");
    volume.secret.is_some()
        || volume.projected.is_some()
        || volume
            .empty_dir
            .as_ref()
            .is_some_and(|empty| memory(empty.medium.as_ref()))
}

/// Makes or refreshes every volume of a pod; empty ones are made once.
pub(crate) fn prepare(
    pod: &Pod,
    places: &Places,
    sources: &Sources<'_>,
) -> Result<(), VolumeError> {
    let spec = pod.spec.as_ref();
    let group = spec
        .and_then(|spec| spec.security_context.as_ref())
        .and_then(|context| context.fs_group)
        .and_then(|group| u32::try_from(group).ok());
    for volume in spec
        .and_then(|spec| spec.volumes.as_ref())
        .into_iter()
        .flatten()
    {
        let target = path(places, volume);
        if volume.empty_dir.is_some() {
            empty(&target, group).map_err(|source| failed(volume, source))?;
        } else if let Some(host) = &volume.host_path {
            host_path(&target, host.type_.as_deref().unwrap_or_default())?;
        } else {
            let files = files(pod, volume, sources)?;
            write(&target, &files, group).map_err(|source| failed(volume, source))?;
        }
    }
    Ok(())
}

fn failed(volume: &Volume, source: io::Error) -> VolumeError {
    VolumeError::Io {
        name: volume.name.clone(),
        source,
    }
}

fn empty(target: &Path, group: Option<u32>) -> io::Result<()> {
    if target.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(target)?;
    let mode = if group.is_some() { 0o2777 } else { 0o777 };
    chown(target, None, group)?;
    fs::set_permissions(target, fs::Permissions::from_mode(mode))
}

fn host_path(target: &Path, kind: &str) -> Result<(), VolumeError> {
    let found = fs::metadata(target);
    let refused = || VolumeError::HostPath(target.display().to_string());
    match kind {
        "DirectoryOrCreate" if found.is_err() => fs::create_dir_all(target).map_err(|_| refused()),
        "FileOrCreate" if found.is_err() => fs::write(target, "").map_err(|_| refused()),
        "" | "DirectoryOrCreate" | "Directory" | "FileOrCreate" | "File" => {
            let data = found.map_err(|_| refused())?;
            let fits = match kind {
                "" => true,
                "Directory" | "DirectoryOrCreate" => data.is_dir(),
                _ => data.is_file(),
            };
            if fits { Ok(()) } else { Err(refused()) }
        }
        _ => Err(refused()),
    }
}

/// One file of a volume.
#[derive(Debug, PartialEq)]
struct FileContent {
    bytes: Vec<u8>,
    mode: u32,
}

type Files = BTreeMap<String, FileContent>;

fn files(pod: &Pod, volume: &Volume, sources: &Sources<'_>) -> Result<Files, VolumeError> {
    let mut out = Files::new();
    if let Some(map) = &volume.config_map {
        let data = object(
            &sources.objects.config_maps,
            "configmap",
            &map.name,
            map.optional,
        )?;
        let mode = mode(map.default_mode);
        select(&mut out, data, map.items.as_deref(), mode, map.optional)?;
    } else if let Some(secret) = &volume.secret {
        let name = secret.secret_name.as_deref().unwrap_or_default();
        let data = object(&sources.objects.secrets, "secret", name, secret.optional)?;
        let mode = mode(secret.default_mode);
        select(
            &mut out,
            data,
            secret.items.as_deref(),
            mode,
            secret.optional,
        )?;
    } else if let Some(downward) = &volume.downward_api {
        for item in downward.items.iter().flatten() {
            let bytes = downward_value(pod, item, sources)?;
            let mode = mode(item.mode.or(downward.default_mode));
            put(&mut out, &item.path, FileContent { bytes, mode })?;
        }
    } else if let Some(projected) = &volume.projected {
        projected_files(&mut out, pod, volume, projected, sources)?;
    } else {
        return Err(VolumeError::Unsupported(volume.name.clone()));
    }
    Ok(out)
}

fn projected_files(
    out: &mut Files,
    pod: &Pod,
    volume: &Volume,
    projected: &k8s_openapi::api::core::v1::ProjectedVolumeSource,
    sources: &Sources<'_>,
) -> Result<(), VolumeError> {
    let default = mode(projected.default_mode);
    for source in projected.sources.iter().flatten() {
        if let Some(map) = &source.config_map {
            let data = object(
                &sources.objects.config_maps,
                "configmap",
                &map.name,
                map.optional,
            )?;
            select(out, data, map.items.as_deref(), default, map.optional)?;
        }
        if let Some(secret) = &source.secret {
            let data = object(
                &sources.objects.secrets,
                "secret",
                &secret.name,
                secret.optional,
            )?;
            select(out, data, secret.items.as_deref(), default, secret.optional)?;
        }
        for item in source
            .downward_api
            .iter()
            .flat_map(|one| &one.items)
            .flatten()
        {
            let bytes = downward_value(pod, item, sources)?;
            put(
                out,
                &item.path,
                FileContent {
                    bytes,
                    mode: item.mode.map_or(default, bits),
                },
            )?;
        }
        if let Some(token) = &source.service_account_token {
            let key = (volume.name.clone(), token.path.clone());
            let found = sources
                .tokens
                .get(&key)
                .ok_or_else(|| VolumeError::Missing {
                    kind: "token",
                    name: token.path.clone(),
                })?;
            let bytes = found.clone().into_bytes();
            put(
                out,
                &token.path,
                FileContent {
                    bytes,
                    mode: default,
                },
            )?;
        }
    }
    Ok(())
}

fn object<'o>(
    all: &'o BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    kind: &'static str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'o BTreeMap<String, Vec<u8>>>, VolumeError> {
    match all.get(name) {
        None if optional != Some(true) => Err(VolumeError::Missing {
            kind,
            name: name.to_owned(),
        }),
        found => Ok(found),
    }
}

fn select(
    out: &mut Files,
    data: Option<&BTreeMap<String, Vec<u8>>>,
    items: Option<&[KeyToPath]>,
    mode: u32,
    optional: Option<bool>,
) -> Result<(), VolumeError> {
    let Some(data) = data else { return Ok(()) };
    let Some(items) = items else {
        for (key, bytes) in data {
            put(
                out,
                key,
                FileContent {
                    bytes: bytes.clone(),
                    mode,
                },
            )?;
        }
        return Ok(());
    };
    for item in items {
        match data.get(&item.key) {
            Some(bytes) => {
                let mode = item.mode.map_or(mode, bits);
                put(
                    out,
                    &item.path,
                    FileContent {
                        bytes: bytes.clone(),
                        mode,
                    },
                )?;
            }
            None if optional == Some(true) => {}
            None => return Err(VolumeError::Key(item.key.clone())),
        }
    }
    Ok(())
}

fn downward_value(
    pod: &Pod,
    item: &k8s_openapi::api::core::v1::DownwardAPIVolumeFile,
    sources: &Sources<'_>,
) -> Result<Vec<u8>, VolumeError> {
    if let Some(field) = &item.field_ref {
        return field_value(&field.field_path, sources.facts)
            .map(String::into_bytes)
            .map_err(|_| VolumeError::Field(field.field_path.clone()));
    }
    let wrong = || VolumeError::Field(item.path.clone());
    let resource = item.resource_field_ref.as_ref().ok_or_else(wrong)?;
    let name = resource.container_name.as_deref().unwrap_or_default();
    let spec = pod.spec.as_ref().ok_or_else(wrong)?;
    let (container, _) = record::containers(spec)
        .find(|(one, _)| one.name == name)
        .ok_or_else(wrong)?;
    let divisor = resource
        .divisor
        .as_ref()
        .map(|quantity| quantity.0.as_str());
    resource_value(&resource.resource, divisor, container, sources.facts)
        .map(String::into_bytes)
        .ok_or_else(wrong)
}

fn put(out: &mut Files, path: &str, content: FileContent) -> Result<(), VolumeError> {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
    if path.is_empty() || path.starts_with("..") || !Path::new(path).components().all(inside) {
        return Err(VolumeError::Path(path.to_owned()));
    }
    out.insert(path.to_owned(), content);
    Ok(())
}

fn mode(given: Option<i32>) -> u32 {
    given.map_or(0o644, bits)
}

fn bits(mode: i32) -> u32 {
    mode.unsigned_abs() & 0o777
}

/// Writes a version of a volume unless the current one is the same.
fn write(target: &Path, files: &Files, group: Option<u32>) -> io::Result<()> {
    fs::create_dir_all(target)?;
    let link = target.join("..data");
    let current = fs::read_link(&link).ok();
    if let Some(current) = &current
        && same(&target.join(current), files)
    {
        return Ok(());
    }
    let name = format!(
        "..{}",
        jiff::Timestamp::now().strftime("%Y_%m_%d_%H_%M_%S.%9f")
    );
    let version = target.join(&name);
    fs::create_dir(&version)?;
    fs::set_permissions(&version, fs::Permissions::from_mode(0o755))?;
    for (path, content) in files {
        let file = version.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, &content.bytes)?;
        let readable = if group.is_some() {
            content.mode | 0o440
        } else {
            content.mode
        };
        fs::set_permissions(&file, fs::Permissions::from_mode(readable))?;
        chown(&file, None, group)?;
    }
    let next = target.join("..data_tmp");
    let _ = fs::remove_file(&next);
    symlink(&name, &next)?;
    fs::rename(&next, &link)?;
    names(target, files)?;
    match current {
        Some(old) => fs::remove_dir_all(target.join(old)),
        None => Ok(()),
    }
}

/// First path parts become links through `..data`; those of files that are gone go.
fn names(target: &Path, files: &Files) -> io::Result<()> {
    let wanted: std::collections::BTreeSet<&str> = files
        .keys()
        .filter_map(|path| path.split('/').next())
        .collect();
    for entry in fs::read_dir(target)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !wanted.contains(name.as_str()) {
            fs::remove_file(entry.path())?;
        }
    }
    for name in wanted {
        let link = target.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new("..data").join(name), link)?;
        }
    }
    Ok(())
}

fn same(version: &Path, files: &Files) -> bool {
    let equal = |(path, content): (&String, &FileContent)| {
        fs::read(version.join(path)).is_ok_and(|bytes| bytes == content.bytes)
    };
    count(version) == files.len() && files.iter().all(equal)
}

fn count(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| {
            if entry.path().is_dir() {
                count(&entry.path())
            } else {
                1
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(pairs: &[(&str, &str)]) -> Files {
        let one = |(path, text): &(&str, &str)| {
            (
                path.to_string(),
                FileContent {
                    bytes: text.as_bytes().to_vec(),
                    mode: 0o644,
                },
            )
        };
        pairs.iter().map(one).collect()
    }

    #[test]
    fn versions_are_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("v");
        write(&target, &content(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(fs::read_to_string(target.join("d/b")).unwrap(), "2");
        let first = fs::read_link(target.join("..data")).unwrap();
        write(&target, &content(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(
            fs::read_link(target.join("..data")).unwrap(),
            first,
            "nothing changed"
        );
        write(&target, &content(&[("a", "3")]), None).unwrap();
        assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "3");
        assert!(!target.join("d").exists() && !target.join(first).exists());
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["../x", "/x", "a/../x", "..data", ""] {
            let content = FileContent {
                bytes: vec![],
                mode: 0,
            };
            assert!(put(&mut Files::new(), path, content).is_err(), "{path}");
        }
    }
}
