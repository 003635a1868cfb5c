//! A test image: Debian's static busybox as a docker archive.

use std::fs::File;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Name of the image in the archive.
pub(crate) const IMAGE: &str = "registry.test/base/busybox:1";

const APPLETS: &[&str] = &[
    "sh", "cat", "echo", "sleep", "id", "touch", "ls", "httpd", "nc", "nslookup", "hostname", "dd",
    "grep", "test", "true", "false", "mkdir", "env", "readlink", "printf", "head", "rm",
];

/// Writes the archive into a directory.
pub(crate) fn archive(directory: &Path) -> PathBuf {
    let layer = layer();
    let digest: String = Sha256::digest(&layer)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": { "Env": ["PATH=/bin", "FROM_IMAGE=yes"], "Cmd": ["sleep", "3600"] },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    })
    .to_string();
    let manifest = serde_json::json!([
        { "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"] },
    ])
    .to_string();
    let path = directory.join("image.tar");
    let mut archive = tar::Builder::new(File::create(&path).unwrap());
    for (name, bytes) in [
        ("config.json", config.as_bytes()),
        ("layer.tar", layer.as_slice()),
        ("manifest.json", manifest.as_bytes()),
    ] {
        add(&mut archive, name, bytes, 0o644);
    }
    archive.finish().unwrap();
    path
}

fn layer() -> Vec<u8> {
    let busybox = std::fs::read("/usr/bin/busybox")
        .expect("busybox is needed: apt-get install busybox-static");
    let mut archive = tar::Builder::new(Vec::new());
    for (name, mode) in [
        ("bin/", 0o755),
        ("etc/", 0o755),
        ("proc/", 0o755),
        ("sys/", 0o755),
        ("dev/", 0o755),
        ("tmp/", 0o1777),
        ("www/", 0o777),
    ] {
        let mut header = header();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(mode);
        header.set_size(0);
        archive
            .append_data(&mut header, name, std::io::empty())
            .unwrap();
    }
    add(&mut archive, "bin/busybox", &busybox, 0o755);
    add(
        &mut archive,
        "etc/passwd",
        b"root:x:0:0::/:/bin/sh\napp:x:1234:1234::/:/bin/sh\n",
        0o644,
    );
    for applet in APPLETS {
        let mut header = header();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        archive
            .append_link(&mut header, format!("bin/{applet}"), "busybox")
            .unwrap();
    }
    archive.into_inner().unwrap()
}

fn add<W: std::io::Write>(archive: &mut tar::Builder<W>, name: &str, bytes: &[u8], mode: u32) {
    let mut header = header();
    header.set_mode(mode);
    header.set_size(bytes.len() as u64);
    archive.append_data(&mut header, name, bytes).unwrap();
}

/// A header with every number set: readers refuse empty fields.
fn header() -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}
