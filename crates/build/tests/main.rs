//! Builds on this machine, as root, compared with what buildah makes of the same Dockerfile.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use pilotis_build::step::Stepper;
use pilotis_build::{Bases, Built, Error, Layout, Request, build};
use pilotis_dockerfile::Dockerfile;
use pilotis_oci::{Descriptor, media};

const EPOCH: i64 = 1_700_000_000;

/// A base image with busybox and two users, as a layout-free root made once per test.
struct Busybox;

impl Bases for Busybox {
    fn fetch(
        &mut self,
        image: &str,
        layout: &Layout,
    ) -> Result<Descriptor, Box<dyn std::error::Error + Send + Sync>> {
        if image != "localhost/busybox" {
            return Err(format!("there is no {image} here").into());
        }
        let (config, manifest, layer) = busybox();
        layout.put(media::LAYER_TAR, &layer)?;
        layout.put(media::CONFIG, &config)?;
        Ok(layout.put(media::MANIFEST, &manifest)?)
    }
}

/// Configuration, manifest and layer of an image with a shell.
fn busybox() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let program = std::fs::read("/bin/busybox").expect("needs Debian's busybox-static");
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, kind, mode, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_600_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content).unwrap();
    };
    use tar::EntryType::{Directory, Regular};
    for folder in ["bin", "etc", "tmp", "proc", "dev", "sys"] {
        add(folder, Directory, 0o755, b"");
    }
    add("bin/busybox", Regular, 0o755, &program);
    add(
        "etc/passwd",
        Regular,
        0o644,
        b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/sh\n",
    );
    add("etc/group", Regular, 0o644, b"root:x:0:\nweb:x:34:\n");
    for applet in [
        "sh", "mkdir", "chmod", "ln", "rm", "id", "touch", "cat", "env", "chown",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        header.set_mtime(1_600_000_000);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox")
            .unwrap();
    }
    let layer = tar.into_inner().unwrap();
    let mut image = pilotis_oci::Image::scratch("amd64");
    image
        .rootfs
        .diff_ids
        .push(pilotis_oci::Digest::sha256(&layer));
    image.config.env.push("PATH=/bin".to_owned());
    let config = image.to_bytes();
    let manifest = pilotis_oci::Manifest::image(
        Descriptor::of(media::CONFIG, &config),
        vec![Descriptor::of(media::LAYER_TAR, &layer)],
    );
    (config, manifest.to_bytes(), layer)
}

struct World {
    root: tempfile::TempDir,
    dockerfile: Dockerfile,
}

impl World {
    fn new(dockerfile: &str, files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let context = root.path().join("context");
        std::fs::create_dir(&context).unwrap();
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        for (name, text) in files {
            let path = context.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            let old = std::fs::File::options().append(true).open(&path).unwrap();
            let time =
                std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_650_000_000);
            old.set_modified(time).unwrap();
        }
        Self {
            root,
            dockerfile: Dockerfile::parse(dockerfile).unwrap(),
        }
    }

    fn build_in(&self, name: &str) -> Result<(Built, Layout), Error> {
        let layout = Layout::open(&self.root.path().join(name)).unwrap();
        let request = Request {
            dockerfile: &self.dockerfile,
            target: None,
            arguments: &BTreeMap::from([("GREETING".to_owned(), "bonjour".to_owned())]),
            context: &self.root.path().join("context"),
            work: &self.root.path().join(format!("{name}-work")),
            epoch: EPOCH,
            stepper: Stepper {
                program: PathBuf::from(env!("CARGO_BIN_EXE_pilotis-builder")),
                arguments: Vec::new(),
            },
        };
        let built = build(&request, &mut Busybox, &layout, &mut |_| {})?;
        Ok((built, layout))
    }

    fn build(&self) -> Result<(Built, Layout), Error> {
        self.build_in("layout")
    }

    fn message(&self) -> String {
        match self.build() {
            Ok(_) => panic!("it was built"),
            Err(Error::Dockerfile(found)) => {
                let first = &found[0];
                let line = first.position.as_ref().map_or(0, |position| position.line);
                format!("{line}: {}", first.message)
            }
            Err(error) => error.to_string(),
        }
    }
}

/// Path, kind, mode, owner, size or target of everything in an image's last state.
fn tree(layout: &Layout, built: &Built) -> BTreeMap<String, String> {
    let (manifest, _) = layout.image(&built.manifest).unwrap();
    let mut tree = BTreeMap::new();
    for layer in &manifest.layers {
        let file = std::fs::File::open(layout.blob_path(&layer.digest)).unwrap();
        read_layer(&mut tree, layer, file);
    }
    tree
}

fn read_layer(tree: &mut BTreeMap<String, String>, layer: &Descriptor, file: std::fs::File) {
    let reader: Box<dyn std::io::Read> = match layer.media_type.as_str() {
        media::LAYER_TAR => Box::new(file),
        _ => Box::new(flate2::read::GzDecoder::new(file)),
    };
    for entry in tar::Archive::new(reader).entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry
            .path()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        let name = path.rsplit('/').next().unwrap();
        if let Some(gone) = name.strip_prefix(".wh.") {
            let gone = format!("{}{gone}", &path[..path.len() - name.len()]);
            tree.retain(|path, _| *path != gone && !path.starts_with(&format!("{gone}/")));
            continue;
        }
        let header = entry.header();
        let link = entry
            .link_name()
            .unwrap()
            .map(|link| link.to_string_lossy().into_owned());
        let mode = header.mode().unwrap() & 0o7777;
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        let mode = if header.entry_type().is_symlink() {
            0
        } else {
            mode
        };
        tree.insert(
            path,
            format!(
                "{:?} {mode:o} {owner:?} {} {link:?}",
                header.entry_type(),
                entry.size()
            ),
        );
    }
}

const EVERYTHING: &str = r#"
FROM localhost/busybox AS build
ARG GREETING=hello
ENV NAME=world OTHER="${GREETING} $NAME"
WORKDIR /src
COPY main.txt lib/*.txt ./
COPY --chown=web:web --chmod=640 main.txt /owned/
RUN mkdir -p /out/deep && echo "$OTHER" > /out/greeting && chmod 4755 /out/deep && rm /src/a.txt
RUN ln /out/greeting /out/hard && ln -s greeting /out/soft && chown web:web /out/soft
USER web
RUN id -u > /tmp/ignored || true
FROM scratch
COPY --from=build /out /out
COPY --from=build /owned/main.txt /copied
COPY tree /tree/
LABEL a=b
EXPOSE 8080 53/udp
USER 65532:65532
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["/out/greeting"]
CMD ["--help"]
"#;

const FILES: [(&str, &str); 7] = [
    ("main.txt", "main"),
    ("lib/a.txt", "a"),
    ("lib/b.txt", "b"),
    ("lib/c.md", "c"),
    ("tree/x/y/z.txt", "z"),
    ("tree/secret.env", "never"),
    (".dockerignore", "**/*.env\n"),
];

#[test]
fn the_same_input_gives_the_same_digest() {
    let world = World::new(EVERYTHING, &FILES);
    let (first, layout) = world.build_in("one").unwrap();
    let (second, _) = world.build_in("two").unwrap();
    assert_eq!(first.manifest.digest, second.manifest.digest);
    assert_eq!(first.bases.len(), 1);
    let tree = tree(&layout, &first);
    assert!(tree.contains_key("tree/x/y/z.txt") && !tree.contains_key("tree/secret.env"));
    assert!(
        tree["out/deep"].starts_with("Directory 4755 (0, 0)"),
        "{tree:?}"
    );
    assert!(
        tree["copied"].starts_with("Regular 640 (33, 34) 4"),
        "{tree:?}"
    );
    assert_eq!(first.image.config.cmd, Some(vec!["--help".to_owned()]));
    assert_eq!(first.image.history.len(), 11);
}

/// What buildah makes of the same Dockerfile: the tree, and the parts of the configuration that
/// both write.
#[test]
fn buildah_agrees() {
    let world = World::new(EVERYTHING, &FILES);
    let (built, layout) = world.build().unwrap();
    let theirs = buildah(&world);
    let their_index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(theirs.join("index.json")).unwrap()).unwrap();
    let manifest: Descriptor = serde_json::from_value(their_index["manifests"][0].clone()).unwrap();
    let their_layout = Layout::open(&theirs).unwrap();
    let (_, image) = their_layout.image(&manifest).unwrap();
    let their_built = Built {
        manifest,
        image,
        bases: Vec::new(),
    };
    // An overlay lists every directory on the way; parents that nothing changed are no difference.
    let (ours, theirs) = (tree(&layout, &built), tree(&their_layout, &their_built));
    assert_eq!(ours, theirs);
    let (ours, theirs) = (built.image.config, their_built.image.config);
    assert_eq!(ours.entrypoint, theirs.entrypoint);
    assert_eq!(ours.cmd, theirs.cmd);
    assert_eq!(ours.user, theirs.user);
    assert_eq!(ours.working_dir, theirs.working_dir);
    assert_eq!(ours.exposed_ports, theirs.exposed_ports);
    assert_eq!(ours.volumes, theirs.volumes);
    assert_eq!(ours.stop_signal, theirs.stop_signal);
    assert_eq!(ours.labels.get("a"), theirs.labels.get("a"));
}

/// Builds with buildah; returns its layout.
fn buildah(world: &World) -> PathBuf {
    let root = world.root.path();
    let base = root.join("base");
    let layout = Layout::open(&base).unwrap();
    let manifest = Busybox.fetch("localhost/busybox", &layout).unwrap();
    layout.publish(&manifest, Some("latest")).unwrap();
    let storage = [
        "--root".to_owned(),
        at(root, "storage"),
        "--runroot".into(),
        at(root, "run"),
    ];
    let run = |words: &[&str]| {
        let output = Command::new("buildah")
            .args(&storage)
            .args(["--storage-driver", "vfs"])
            .args(words)
            .env("TMPDIR", root)
            .current_dir(root)
            .output()
            .expect("needs Debian's buildah");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "buildah {words:?}: {text}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let id = run(&["pull", "oci:base:latest"]);
    run(&["tag", id.lines().last().unwrap(), "localhost/busybox"]);
    let time = EPOCH.to_string();
    run(&[
        "bud",
        "--isolation",
        "chroot",
        "--format",
        "oci",
        "--layers=false",
        "--timestamp",
        &time,
        "--build-arg",
        "GREETING=bonjour",
        "--pull-never",
        "-t",
        "localhost/result",
        &at(root, "context"),
    ]);
    let result = root.join("theirs");
    run(&["push", "localhost/result", "oci:theirs:latest"]);
    result
}

fn at(root: &Path, name: &str) -> String {
    root.join(name).display().to_string()
}

#[test]
fn the_authors_mistakes_have_a_line() {
    let cases = [
        (
            "FROM scratch\nCOPY none /\n",
            "2: `none` is not in the context",
        ),
        (
            "FROM scratch\nADD https://e.org/x /\n",
            "2: `https://e.org/x` is remote",
        ),
        (
            "FROM scratch\n\nCOPY --chown=web main.txt /\n",
            "3: `web` is not in the image",
        ),
        (
            "FROM localhost/busybox\nRUN exit 3\n",
            "\"RUN exit 3\" ended with exit status: 3",
        ),
        ("FROM debian:12\n", "cannot get base image debian:12"),
        (
            "FROM localhost/busybox\nRUN --mount=type=ssh true\n",
            "2: RUN --mount=type=ssh is not",
        ),
    ];
    for (text, expected) in cases {
        let world = World::new(text, &FILES);
        let message = world.message();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn a_context_cannot_reach_outside() {
    let text = "FROM scratch\nCOPY link /copied\n";
    let world = World::new(text, &FILES);
    let link = world.root.path().join("context/link");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    let error = world.build().unwrap_err();
    assert!(error.to_string().contains("cannot"), "{error}");
}

#[test]
fn heredocs_and_replaced_files_are_layers_too() {
    let text = "FROM localhost/busybox\n\
                COPY <<EOF /etc/motd\nhello ${PATH}\nEOF\n\
                RUN <<EOF\ncat /etc/motd > /copy\nrm /etc/motd\nEOF\n\
                RUN echo lost > /dev/null && touch /kept\n";
    let world = World::new(text, &[]);
    let (built, layout) = world.build().unwrap();
    let tree = tree(&layout, &built);
    assert!(
        tree["copy"].starts_with("Regular 644 (0, 0) 11"),
        "{tree:?}"
    );
    assert!(tree.contains_key("kept") && !tree.contains_key("etc/motd"));
    assert!(!tree.keys().any(|path| path.starts_with("dev/")));
}

#[test]
fn a_stage_goes_on_in_the_tree_of_another_only_when_nobody_else_needs_it() {
    let text = "FROM localhost/busybox AS one\nRUN echo 1 > /a\n\
                FROM one AS two\nRUN rm /a && echo 2 > /b\n\
                FROM one AS three\nCOPY --from=two /b /b\nRUN cat /a > /c\n\
                FROM three\nRUN cat /b > /d\n";
    let world = World::new(text, &[]);
    let (built, layout) = world.build().unwrap();
    let tree = tree(&layout, &built);
    for name in ["a", "b", "c", "d"] {
        assert!(tree.contains_key(name), "{name} is not in {tree:?}");
    }
    let own = |stage: &str| {
        world
            .root
            .path()
            .join("layout-work")
            .join(stage)
            .join("root/bin")
    };
    let own = ["stage-0", "stage-1", "stage-2", "stage-3"].map(|stage| own(stage).exists());
    assert_eq!(own, [true, true, false, false]);
}

#[test]
fn the_builders_image_holds_all_that_the_program_loads() {
    let root = tempfile::tempdir().unwrap();
    let layout = Layout::open(&root.path().join("layout")).unwrap();
    let made =
        pilotis_build::program::make(&["--list"], &root.path().join("work"), &layout).unwrap();
    let (manifest, image) = layout.image(&made).unwrap();
    let identity = pilotis_build::program::identity().unwrap().to_string();
    assert_eq!(
        manifest.annotations[pilotis_build::program::IDENTITY_ANNOTATION],
        identity
    );
    let inside = root.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let file = std::fs::File::open(layout.blob_path(&manifest.layers[0].digest)).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    archive.unpack(&inside).unwrap();
    let words = image.config.entrypoint.unwrap();
    let output = Command::new("chroot")
        .arg(&inside)
        .args(&words)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("the_builders_image_holds_all"), "{output:?}");
}
