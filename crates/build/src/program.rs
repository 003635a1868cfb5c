//! The builder's own image: one program and exactly the shared libraries it loads, nothing else.
//!
//! The libraries are those this process runs with, from the host, so the image is as old as the
//! host's packages. There is no shell in it and nothing to exploit but the program.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use pilotis_oci::{Algorithm, Descriptor, Digest, Hasher, Image, Manifest, media};

use crate::archive::set_mode;
use crate::build::{architecture, date, fresh};
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::{Error, Layout, layer};

/// Where the program lies in the image.
pub const PROGRAM: &str = "/usr/bin/pilotis";

/// Annotation of the image's manifest: the [`identity`] of the program in it.
pub const IDENTITY_ANNOTATION: &str = "dev.pilotis.program";
/// The running program, whatever became of its file.
const OWN: &str = "/proc/self/exe";
/// Bytes at the start of a program that hold its headers and the name of its loader.
const HEAD_SIZE: u64 = 64 * 1024;

/// A digest over the running program and the libraries it loads: equal programs make equal images.
///
/// # Errors
/// When the program or a library cannot be read.
pub fn identity() -> Result<Digest, Error> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 256 * 1024];
    for path in std::iter::once(PathBuf::from(OWN)).chain(libraries()?) {
        let mut file = File::open(&path).map_err(Error::file("read", &path))?;
        hasher.update(path.as_os_str().as_encoded_bytes());
        loop {
            let count = file.read(&mut buffer).map_err(Error::file("read", &path))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
    }
    Ok(hasher.finish())
}

/// Makes an image of the running program in a layout, started with `arguments`.
///
/// # Errors
/// When the program or a library cannot be read.
pub fn make(arguments: &[&str], work: &Path, layout: &Layout) -> Result<Descriptor, Error> {
    let root = Root::new(&fresh(work.join("root"))?);
    let empty = Snapshot::take(&root)?;
    let own = Path::new(OWN);
    copy(own, &root.path().join(PROGRAM.trim_start_matches('/')))?;
    for library in libraries()? {
        copy(
            &library,
            &root
                .path()
                .join(library.strip_prefix("/").unwrap_or(&library)),
        )?;
    }
    if let Some(loader) = interpreter(&head(own)?) {
        copy(
            &loader,
            &root
                .path()
                .join(loader.strip_prefix("/").unwrap_or(&loader)),
        )?;
    }
    for folder in ["tmp", "work", "etc", "proc", "dev", "sys", "run"] {
        let path = root.path().join(folder);
        fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
    }
    set_mode(&root.path().join("tmp"), 0o1777)?;
    let path = root.path().join("etc/passwd");
    fs::write(&path, "root:x:0:0:root:/:/\n").map_err(Error::file("write", &path))?;
    let changes = empty.changes(&Snapshot::take(&root)?);
    let layer = layer::write(&root, &changes, 0, layout)?;
    let mut image = Image::scratch(architecture());
    image.created = Some(date(0));
    image.rootfs.diff_ids.push(layer.diff_id);
    let words = std::iter::once(PROGRAM).chain(arguments.iter().copied());
    image.config.entrypoint = Some(words.map(str::to_owned).collect());
    image.config.working_dir = Some("/".to_owned());
    let config = layout.put(media::CONFIG, &image.to_bytes())?;
    let mut manifest = Manifest::image(config, vec![layer.descriptor]);
    manifest
        .annotations
        .insert(IDENTITY_ANNOTATION.to_owned(), identity()?.to_string());
    let manifest = layout.put(media::MANIFEST, &manifest.to_bytes())?;
    layout.publish(&manifest, Some("latest"))?;
    Ok(manifest)
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    }
    fs::copy(from, to).map_err(Error::file("copy", from))?;
    set_mode(to, 0o755)
}

fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::file("read", path))?;
    file.take(HEAD_SIZE)
        .read_to_end(&mut bytes)
        .map_err(Error::file("read", path))?;
    Ok(bytes)
}

/// The shared libraries of this process, as the kernel has mapped them.
fn libraries() -> Result<BTreeSet<PathBuf>, Error> {
    let maps = Path::new("/proc/self/maps");
    let text = fs::read_to_string(maps).map_err(Error::file("read", maps))?;
    let path = |line: &str| line.split_whitespace().nth(5).map(PathBuf::from);
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.is_absolute() && (name.contains(".so.") || name.ends_with(".so"))
    };
    Ok(text.lines().filter_map(path).filter(is_library).collect())
}

/// The loader a 64-bit little-endian ELF program names; `None` for a static one.
fn interpreter(bytes: &[u8]) -> Option<PathBuf> {
    const INTERPRETER: u32 = 3;
    let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = usize::try_from(word(32)?).ok()?;
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    for number in 0..count {
        let entry = table.checked_add(number * size)?;
        let kind = u32::from_le_bytes(bytes.get(entry..entry + 4)?.try_into().ok()?);
        if kind == INTERPRETER {
            let start = usize::try_from(word(entry + 8)?).ok()?;
            let length = usize::try_from(word(entry + 32)?).ok()?;
            let text = bytes.get(start..start.checked_add(length)?)?;
            return std::str::from_utf8(text)
                .ok()
                .map(|t| PathBuf::from(t.trim_end_matches('\0')));
        }
    }
    None
}
