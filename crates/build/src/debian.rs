//! Base images from Debian packages, through the host's own apt sources.
//!
//! apt downloads and verifies the packages as the host trusts them; we unpack them and run *no*
//! maintainer script, so the result depends on the packages alone. What the scripts would have made
//! and images need (users, `/bin/sh`, `cc`, the bundle of authorities) is made here. Each package
//! leaves its entry in `/var/lib/dpkg/status.d`, where scanners look, and its digest in a label.
//! Needs `apt-get` and `dpkg-deb`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pilotis_oci::{Algorithm, Descriptor, Digest, Hasher, Image, Manifest, media};
use pilotis_transfer::Client;

use crate::archive::{self, Rules, set_mode};
use crate::build::{architecture, date, fresh};
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::{Error, Layout, layer, registry};

/// The label that lists package, version and SHA-256 of everything in the image.
pub const PACKAGES_LABEL: &str = "dev.pilotis.debian-packages";

/// A base image we know how to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// Its repository.
    pub name: &'static str,
    packages: &'static [&'static str],
    /// Whether what the packages depend on comes too.
    with_dependencies: bool,
    /// Packages that only maintainer scripts need.
    without: &'static [&'static str],
    user: &'static str,
}

/// A C compiler, make and a shell: for build stages.
pub const BUILD_C: Recipe = Recipe {
    name: "base/build-c",
    packages: &[
        "base-files",
        "base-passwd",
        "dash",
        "coreutils",
        "sed",
        "grep",
        "findutils",
        "diffutils",
        "gcc",
        "libc6-dev",
        "make",
        "mawk",
        "tar",
        "gzip",
    ],
    with_dependencies: true,
    without: &["debconf", "perl-base", "dpkg", "debianutils"],
    user: "0",
};

/// Authorities, time zones and an unprivileged user: for static programs.
pub const STATIC: Recipe = Recipe {
    name: "base/static",
    packages: &["base-files", "netbase", "tzdata", "ca-certificates"],
    with_dependencies: false,
    without: &[],
    user: "65532:65532",
};

/// A package that was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    digest: Digest,
}

/// Makes a base image in a layout. `work` is a directory with room.
///
/// # Errors
/// [`Error::Program`] when apt cannot get the packages.
pub fn make(
    recipe: &Recipe,
    work: &Path,
    layout: &Layout,
    progress: &mut dyn FnMut(&str),
) -> Result<Descriptor, Error> {
    progress(&format!("{}: downloading packages", recipe.name));
    let archives = download(recipe, &fresh(work.join("packages"))?)?;
    let root = Root::new(&fresh(work.join("root"))?);
    let empty = Snapshot::take(&root)?;
    lay_out(&root)?;
    let mut packages = Vec::new();
    for archive in &archives {
        if let Some(package) = unpack(recipe, archive, &root)? {
            packages.push(package);
        }
    }
    packages.sort();
    progress(&format!(
        "{}: {} packages unpacked",
        recipe.name,
        packages.len()
    ));
    finish(&root)?;
    trim(&root)?;
    let changes = empty.changes(&Snapshot::take(&root)?);
    let epoch = newest(&root, &changes.written);
    let layer = layer::write(&root, &changes, epoch, layout)?;
    let mut image = Image::scratch(architecture());
    image.created = Some(date(epoch));
    image.rootfs.diff_ids.push(layer.diff_id);
    image.config.user = Some(recipe.user.to_owned());
    image.config.env.push(format!("PATH={PATH}"));
    image
        .config
        .labels
        .insert(PACKAGES_LABEL.to_owned(), listing(&packages));
    let config = layout.put(media::CONFIG, &image.to_bytes())?;
    let manifest = Manifest::image(config, vec![layer.descriptor]);
    let manifest = layout.put(media::MANIFEST, &manifest.to_bytes())?;
    layout.publish(&manifest, Some("latest"))?;
    Ok(manifest)
}

/// Makes a base image and pushes it under its name and the tag `latest`.
///
/// # Errors
/// As [`make`], or when the registry refuses.
pub async fn make_and_push(
    recipe: Recipe,
    work: PathBuf,
    client: &Client,
    progress: impl FnMut(&str) + Send + 'static,
) -> Result<Descriptor, Error> {
    let folder = work.join("layout");
    let made = tokio::task::spawn_blocking(move || {
        let mut progress = progress;
        let layout = Layout::open(&fresh(folder)?)?;
        make(&recipe, &work, &layout, &mut progress).map(|manifest| (layout, manifest))
    });
    let stopped = |_| Error::Program {
        program: "builder",
        message: "it was stopped".to_owned(),
    };
    let (layout, manifest) = made.await.map_err(stopped)??;
    registry::push(client, recipe.name, &layout, &manifest, &["latest"]).await?;
    Ok(manifest)
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Downloads packages (and what they depend on) into a directory; returns the files, sorted.
fn download(recipe: &Recipe, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let status = folder.join("status");
    fs::write(&status, "").map_err(Error::file("write", &status))?;
    let partial = folder.join("partial");
    fs::create_dir_all(&partial).map_err(Error::file("create", &partial))?;
    let option = |name: &str, value: &Path| format!("{name}={}", value.display());
    let mut apt = Command::new("apt-get");
    apt.env("LC_ALL", "C")
        .current_dir(folder)
        .stdin(Stdio::null());
    apt.args([
        "-q",
        "-y",
        "-o",
        "APT::Sandbox::User=root",
        "-o",
        "Debug::NoLocking=1",
    ]);
    if recipe.with_dependencies {
        // An empty status file makes apt resolve everything, as if nothing were installed.
        apt.args(["-o", &option("Dir::State::status", &status)]);
        apt.args(["-o", &option("Dir::Cache::archives", folder)]);
        apt.args(["--no-install-recommends", "--download-only", "install"]);
    } else {
        apt.arg("download");
    }
    output(apt.args(recipe.packages), "apt-get")?;
    let entries = fs::read_dir(folder).map_err(Error::file("list", folder))?;
    let mut archives: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    archives.retain(|path| path.extension().is_some_and(|end| end == "deb"));
    archives.sort();
    if archives.is_empty() {
        let message = "no package was downloaded; run `apt-get update`".to_owned();
        return Err(Error::Program {
            program: "apt-get",
            message,
        });
    }
    Ok(archives)
}

/// Most of a failed program's text that is kept, in characters.
const MESSAGE_LENGTH_MAX: usize = 500;

fn output(command: &mut Command, program: &'static str) -> Result<Vec<u8>, Error> {
    let failed = |message: String| Error::Program { program, message };
    let done = command
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let text = String::from_utf8_lossy(&done.stderr);
    let message = text
        .trim()
        .chars()
        .rev()
        .take(MESSAGE_LENGTH_MAX)
        .collect::<Vec<_>>();
    Err(failed(message.into_iter().rev().collect()))
}

/// Directories that packages expect, `/usr` merged as Debian 12 has it.
fn lay_out(root: &Root) -> Result<(), Error> {
    for folder in [
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/lib64",
        "etc",
        "tmp",
        "root",
        "home",
    ] {
        let path = root.path().join(folder);
        fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
    }
    set_mode(&root.path().join("tmp"), 0o1777)?;
    set_mode(&root.path().join("root"), 0o700)?;
    for name in ["bin", "sbin", "lib", "lib64"] {
        let path = root.path().join(name);
        symlink(format!("usr/{name}"), &path).map_err(Error::file("link", &path))?;
    }
    Ok(())
}

/// Unpacks a package; `None` when the recipe leaves it out.
fn unpack(recipe: &Recipe, archive: &Path, root: &Root) -> Result<Option<Package>, Error> {
    let control = output(Command::new("dpkg-deb").arg("-f").arg(archive), "dpkg-deb")?;
    let control = String::from_utf8_lossy(&control).into_owned();
    let field = |name: &str| {
        let prefix = format!("{name}: ");
        control
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap_or_default()
            .to_owned()
    };
    let name = field("Package");
    if recipe.without.contains(&name.as_str()) {
        return Ok(None);
    }
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::file("start", Path::new("dpkg-deb")))?;
    if let Some(tar) = child.stdout.take() {
        archive::unpack(root, tar, Rules::Overlay)?;
    }
    let status = child
        .wait()
        .map_err(Error::file("wait for", Path::new("dpkg-deb")))?;
    if !status.success() {
        let message = format!("{} is damaged", archive.display());
        return Err(Error::Program {
            program: "dpkg-deb",
            message,
        });
    }
    let folder = root.path().join("var/lib/dpkg/status.d");
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let entry = folder.join(&name);
    fs::write(&entry, control.as_bytes()).map_err(Error::file("write", &entry))?;
    Ok(Some(Package {
        name,
        version: field("Version"),
        digest: digest(archive)?,
    }))
}

fn digest(path: &Path) -> Result<Digest, Error> {
    use std::io::Read;
    let mut file = fs::File::open(path).map_err(Error::file("open", path))?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).map_err(Error::file("read", path))? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// What maintainer scripts would have made.
fn finish(root: &Root) -> Result<(), Error> {
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::write(&path, text).map_err(Error::file("write", &path))
    };
    let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n\
                 nonroot:x:65532:65532:nonroot:/home/nonroot:/bin/sh\n";
    write("etc/passwd", users)?;
    write(
        "etc/group",
        "root:x:0:\nnogroup:x:65534:\nnonroot:x:65532:\n",
    )?;
    write(
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\n",
    )?;
    let home = root.path().join("home/nonroot");
    fs::create_dir_all(&home).map_err(Error::file("create", &home))?;
    archive::own(&home, 65532, 65532)?;
    let links = [
        ("bin/sh", "dash"),
        ("bin/cc", "gcc"),
        ("bin/c99", "gcc"),
        ("bin/awk", "mawk"),
    ];
    for (link, target) in links {
        let path = root.path().join("usr").join(link);
        let target_path = path.with_file_name(target);
        if target_path.exists() && fs::symlink_metadata(&path).is_err() {
            symlink(target, &path).map_err(Error::file("link", &path))?;
        }
    }
    authorities(root)
}

/// The bundle of authorities, from the package's single certificates.
fn authorities(root: &Root) -> Result<(), Error> {
    let folder = root.path().join("usr/share/ca-certificates/mozilla");
    let Ok(entries) = fs::read_dir(&folder) else {
        return Ok(());
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut bundle = Vec::new();
    for path in paths {
        bundle.extend(fs::read(&path).map_err(Error::file("read", &path))?);
    }
    let path = root.path().join("etc/ssl/certs/ca-certificates.crt");
    fs::create_dir_all(root.path().join("etc/ssl/certs")).map_err(Error::file("create", &path))?;
    fs::write(&path, bundle).map_err(Error::file("write", &path))
}

/// Removes what no image needs: manuals, translations, documentation but licences.
fn trim(root: &Root) -> Result<(), Error> {
    for folder in ["man", "info", "locale", "lintian", "bug", "doc-base"] {
        archive::remove(&root.path().join("usr/share").join(folder))?;
    }
    let documents = root.path().join("usr/share/doc");
    let Ok(packages) = fs::read_dir(&documents) else {
        return Ok(());
    };
    for package in packages.flatten().filter(|entry| entry.path().is_dir()) {
        let Ok(files) = fs::read_dir(package.path()) else {
            continue;
        };
        for file in files
            .flatten()
            .filter(|file| file.file_name() != "copyright")
        {
            archive::remove(&file.path())?;
        }
    }
    Ok(())
}

/// The newest time among the packages' licence files, which are never written here: the image's
/// time, the same for the same packages.
fn newest(root: &Root, written: &[PathBuf]) -> i64 {
    use std::os::unix::fs::MetadataExt;
    let is_from_package = |path: &&PathBuf| path.starts_with("usr/share/doc");
    let time = |path: &PathBuf| {
        let metadata = fs::symlink_metadata(root.path().join(path)).ok()?;
        metadata.is_file().then(|| metadata.mtime())
    };
    written
        .iter()
        .filter(is_from_package)
        .filter_map(time)
        .max()
        .unwrap_or(0)
}

fn listing(packages: &[Package]) -> String {
    let line =
        |package: &Package| format!("{} {} {}", package.name, package.version, package.digest);
    packages.iter().map(line).collect::<Vec<_>>().join("\n")
}
