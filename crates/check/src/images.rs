//! Rules about built images: what the configuration says, and what the layers hold.
//!
//! Layers come one at a time and are read once, lowest first. What a later layer removes is not in
//! the image that runs, but a secret stays in the layer that brought it, and is told all the same.
//! The trap: a layer is hostile bytes that may unfold without end, so entries, bytes looked at and
//! bytes unfolded are bounded, and what was not read is said.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

use pilotis_oci::Image;
use pilotis_policy::Text;
use pilotis_report::Position;
use regex::Regex;

use crate::certificates::certificates;
use crate::collect::{Breach, Collector};
use crate::repository::runtimes;
use crate::secrets;

/// Most entries of all layers read.
const ENTRIES_MAX: u64 = 2_000_000;
/// Most bytes of all layers unfolded.
const UNFOLDED_BYTES_MAX: u64 = 16 << 30;
/// Largest file searched for secrets.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of all files searched for secrets.
const SEARCHED_BYTES_MAX: u64 = 512 << 20;
/// Bytes of files in an image above which it is large.
const LARGE_BYTES: u64 = 1 << 30;
/// Layers of an image above which it is slow to start.
const LAYERS_MANY: usize = 60;
/// Findings of one rule told one by one.
const TOLD_MAX: usize = 20;

/// An image to judge.
pub struct Built<'a> {
    /// How it is called in findings.
    pub name: String,
    /// Its configuration.
    pub config: Image,
    /// Its layers, lowest first.
    pub layers: &'a mut dyn Iterator<Item = Result<Layer, LayerError>>,
}

/// A layer: a tar stream, plain, gzip or zstd.
pub struct Layer {
    /// Its bytes.
    pub bytes: Box<dyn Read>,
}

/// Why a layer cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("layer cannot be read")]
pub struct LayerError(#[source] pub std::io::Error);

/// Rules that look at the configuration of every image.
const CONFIGURED: [&str; 3] = ["image-root-user", "image-port", "image-labels"];
/// Rules that look at the files of every image: they looked when every layer was read.
const LAYERED: [&str; 7] = [
    "image-setuid",
    "image-setuid-system",
    "image-ssh-server",
    "image-secret",
    "image-debug",
    "image-build-tools",
    "image-size",
];

/// Setuid and setgid programs that distributions bring.
const SYSTEM: [&str; 24] = [
    "su",
    "mount",
    "umount",
    "passwd",
    "chsh",
    "chfn",
    "gpasswd",
    "newgrp",
    "chage",
    "expiry",
    "wall",
    "write",
    "bsd-write",
    "unix_chkpwd",
    "pam_timestamp_check",
    "ssh-agent",
    "ssh-keysign",
    "dbus-daemon-launch-helper",
    "pkexec",
    "fusermount",
    "fusermount3",
    "crontab",
    "utempter",
    "ping",
];
/// Where an organisation's own authorities are put.
const ANCHORS: [&str; 3] = [
    "usr/local/share/ca-certificates/",
    "etc/pki/ca-trust/source/anchors/",
    "usr/share/pki/trust/anchors/",
];

static BUILD_TOOL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:usr/(?:local/)?|opt/[^/]+/)?(?:[^/]+/)?bin/(gcc|g\+\+|clang|javac|cargo|rustc|go|mvn|gradle|make|cmake)$")
        .expect("a constant, compiled by a test")
});
/// Folders of a distribution or a package manager: samples there are nobody's secrets.
static FOREIGN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(usr/(lib|lib64|libexec|share|include|src|local/(lib|share|include|go))|lib|lib64|var/(lib|cache)|etc/(ssl|pki|ca-certificates)|proc|sys|dev)/|(^|/)(node_modules|site-packages|dist-packages|vendor|gems)/")
        .expect("a constant, compiled by a test")
});

pub(crate) fn judge(collector: &mut Collector<'_>, built: Built<'_>) {
    collector.looked(CONFIGURED);
    let mut view = View {
        collector,
        name: built
            .name
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect(),
        kept: BTreeMap::new(),
        entries: 0,
        unfolded: 0,
        searched: 0,
        size: 0,
        system: None,
    };
    view.configuration(&built.config);
    let (mut count, mut whole) = (0, true);
    for layer in built.layers {
        count += 1;
        let read = layer
            .map_err(|LayerError(error)| error)
            .and_then(|layer| view.layer(count, layer));
        if let Err(error) = read {
            whole = false;
            let (fr, en) = (
                format!("couche {count} illisible : {error}"),
                format!("layer {count} unreadable: {error}"),
            );
            let name = view.name.clone();
            view.collector.skip(&name, &fr, &en);
        }
    }
    if whole && (count > 0 || built.config.rootfs.diff_ids.is_empty()) {
        view.collector.looked(LAYERED);
    }
    view.files(count);
}

/// What an entry of the image is worth telling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trait {
    Setuid,
    SystemSetuid,
    SshServer,
    BuildTool,
    LeafCertificate,
    DebugShell,
}

struct View<'c, 'a> {
    collector: &'c mut Collector<'a>,
    name: String,
    /// What stands in the image in the end, by path.
    kept: BTreeMap<String, Trait>,
    entries: u64,
    unfolded: u64,
    searched: u64,
    size: u64,
    /// The text of `os-release`.
    system: Option<String>,
}

impl View<'_, '_> {
    fn breach(&mut self, rule: &str, place: Option<(&str, u32)>, (fr, en): (String, String)) {
        let position = place.map(|(file, line)| Position {
            file: file.to_owned(),
            line,
            column: 1,
        });
        self.collector.breach(Breach {
            rule,
            message: Text { fr, en },
            object: Some(format!("Image {}", self.name)),
            position,
            change: None,
        });
    }

    fn configuration(&mut self, image: &Image) {
        let config = &image.config;
        let user = config.user.clone().unwrap_or_default();
        let user = user.split(':').next().unwrap_or_default();
        if user == "root" || user.is_empty() || user.parse() == Ok(0u32) {
            let texts = ("l'image tourne en root", "the image runs as root");
            self.breach("image-root-user", None, (texts.0.into(), texts.1.into()));
        }
        for port in config.exposed_ports.keys() {
            let number = port
                .split(['/', '-'])
                .next()
                .and_then(|port| port.parse::<u32>().ok());
            if let Some(number) = number.filter(|number| *number <= 1024) {
                let texts = (
                    format!("le port {number} est déclaré"),
                    format!("port {number} is declared"),
                );
                self.breach("image-port", None, texts);
            }
        }
        for pair in &config.env {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let literal = !value.is_empty() && !value.starts_with(['/', '$']);
            if literal && (secrets::is_secret_name(name) || !secrets::tokens(value).is_empty()) {
                let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
                let texts = (
                    format!("la variable {name} porte un secret en clair"),
                    format!("variable {name} holds a secret in clear"),
                );
                self.breach("image-secret", None, texts);
            }
        }
        for label in [
            "org.opencontainers.image.source",
            "org.opencontainers.image.revision",
        ] {
            if !config.labels.contains_key(label) {
                let texts = (
                    format!("l'étiquette {label} manque"),
                    format!("label {label} is missing"),
                );
                self.breach("image-labels", None, texts);
            }
        }
        self.history(image);
        let debug = self.name.split('@').next().unwrap_or_default().to_owned();
        if debug.ends_with("-debug") || debug.ends_with(":debug") || debug.contains(":debug-") {
            let texts = (
                "l'image est une variante de mise au point",
                "the image is a debug variant",
            );
            self.breach("image-debug", None, (texts.0.into(), texts.1.into()));
        }
    }

    /// Build arguments are written into the history of an image.
    fn history(&mut self, image: &Image) {
        let steps = image
            .history
            .iter()
            .filter_map(|step| step.created_by.as_deref());
        let mut names = std::collections::BTreeSet::new();
        for step in steps {
            let words = step.split(['|', ' ', '\t']);
            for (name, value) in words.filter_map(|word| word.split_once('=')) {
                let literal = !value.is_empty() && !value.starts_with(['$', '/']);
                if literal && secrets::is_secret_name(name) {
                    names.insert(
                        name.chars()
                            .filter(|c| !c.is_control())
                            .take(80)
                            .collect::<String>(),
                    );
                }
            }
        }
        for name in names {
            let fr = format!("l'historique de l'image montre la valeur de {name}");
            let en = format!("the image's history shows the value of {name}");
            self.breach("image-secret", None, (fr, en));
        }
    }

    fn layer(&mut self, number: usize, layer: Layer) -> std::io::Result<()> {
        let bytes = unfolded(layer.bytes)?.take(UNFOLDED_BYTES_MAX.saturating_sub(self.unfolded));
        let mut archive = tar::Archive::new(bytes);
        for entry in archive.entries()? {
            let mut entry = entry?;
            self.entries += 1;
            self.unfolded += entry.size();
            if self.entries > ENTRIES_MAX {
                return Err(std::io::Error::other("too many entries"));
            }
            let path = entry.path_bytes();
            let path = String::from_utf8_lossy(&path);
            let path = path
                .trim_start_matches("./")
                .trim_start_matches('/')
                .trim_end_matches('/')
                .to_owned();
            if self.whiteout(&path) {
                continue;
            }
            self.kept.remove(&path);
            let kind = entry.header().entry_type();
            let mode = entry.header().mode().unwrap_or(0);
            let link = kind.is_symlink() || kind.is_hard_link();
            if let Some(found) = interesting(&path, mode, kind.is_file() || kind.is_hard_link())
                .or_else(|| tool(&path, link || kind.is_file()))
            {
                self.kept.insert(path.clone(), found);
            }
            if !kind.is_file() {
                continue;
            }
            self.size += entry.size();
            if self.is_read(&path, entry.size()) {
                let mut bytes = Vec::new();
                entry
                    .by_ref()
                    .take(FILE_BYTES_MAX)
                    .read_to_end(&mut bytes)?;
                self.searched += bytes.len() as u64;
                self.file(number, &path, &bytes);
            }
        }
        Ok(())
    }

    /// Removes what a whiteout hides; true when the entry is one.
    fn whiteout(&mut self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(hidden) = name.strip_prefix(".wh.") else {
            return false;
        };
        let inside = |folder: &str| match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let gone = match hidden {
            ".wh..opq" => inside(folder),
            name => format!("{}{name}", inside(folder)),
        };
        self.kept.retain(|kept, _| {
            *kept != gone && !kept.starts_with(&format!("{}/", gone.trim_end_matches('/')))
        });
        true
    }

    fn is_read(&self, path: &str, size: u64) -> bool {
        let anchored = ANCHORS.iter().any(|folder| path.starts_with(folder));
        let release = matches!(path, "etc/os-release" | "usr/lib/os-release");
        let searched = !FOREIGN.is_match(path) && self.searched < SEARCHED_BYTES_MAX;
        size <= FILE_BYTES_MAX && (anchored || release || searched)
    }

    fn file(&mut self, number: usize, path: &str, bytes: &[u8]) {
        if bytes.iter().take(8192).any(|byte| *byte == 0) {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        if matches!(path, "etc/os-release" | "usr/lib/os-release") {
            self.system = Some(text.into_owned());
            return;
        }
        if ANCHORS.iter().any(|folder| path.starts_with(folder)) {
            if certificates(&text).iter().any(|(_, leaf)| *leaf) {
                self.kept.insert(path.to_owned(), Trait::LeafCertificate);
            }
            return;
        }
        for hit in secrets::scan(path, &text).into_iter().take(TOLD_MAX) {
            let fr = format!("{} dans la couche {number}", hit.fr);
            let en = format!("{} in layer {number}", hit.en);
            self.breach("image-secret", Some((path, hit.line)), (fr, en));
        }
    }

    /// What stands in the image in the end.
    fn files(&mut self, layers: usize) {
        let kept = std::mem::take(&mut self.kept);
        let mut told: BTreeMap<Trait, usize> = BTreeMap::new();
        for (path, found) in kept {
            let count = told.entry(found).or_default();
            *count += 1;
            if *count > TOLD_MAX {
                continue;
            }
            let path: String = path.chars().filter(|c| !c.is_control()).take(200).collect();
            let (rule, fr, en) = match found {
                Trait::Setuid => (
                    "image-setuid",
                    "programme setuid ou setgid",
                    "setuid or setgid program",
                ),
                Trait::SystemSetuid => (
                    "image-setuid-system",
                    "programme setuid ou setgid de la distribution",
                    "setuid or setgid program of the distribution",
                ),
                Trait::SshServer => ("image-ssh-server", "serveur SSH", "SSH server"),
                Trait::BuildTool => ("image-build-tools", "outil de construction", "build tool"),
                Trait::LeafCertificate => (
                    "image-certificate-leaf",
                    "certificat d'un serveur parmi les autorités",
                    "certificate of a server among the authorities",
                ),
                Trait::DebugShell => (
                    "image-debug",
                    "interpréteur de mise au point",
                    "debug shell",
                ),
            };
            self.breach(
                rule,
                Some((&path, 1)),
                (format!("{fr} : {path}"), format!("{en}: {path}")),
            );
        }
        if self.size > LARGE_BYTES || layers > LAYERS_MANY {
            let mebibytes = self.size >> 20;
            let fr = format!("l'image pèse {mebibytes} Mio en {layers} couches");
            let en = format!("the image weighs {mebibytes} MiB in {layers} layers");
            self.breach("image-size", None, (fr, en));
        }
        if let Some(system) = self.system.take() {
            self.collector.looked(["image-end-of-life"]);
            if let Some(release) = runtimes::ended_system(&system) {
                let as_of = runtimes::AS_OF;
                let fr = format!("{release} n'est plus maintenu au {as_of}");
                let en = format!("{release} was no longer maintained on {as_of}");
                self.breach("image-end-of-life", Some(("etc/os-release", 1)), (fr, en));
            }
        }
    }
}

/// The layer as a plain tar stream, by its first bytes.
fn unfolded(mut bytes: Box<dyn Read>) -> std::io::Result<Box<dyn Read>> {
    let mut head = [0; 4];
    let mut filled = 0;
    while filled < head.len() {
        match bytes.read(&mut head[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    let whole = std::io::Cursor::new(head[..filled].to_vec()).chain(bytes);
    Ok(match head {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

/// A program by its mode and its name.
fn interesting(path: &str, mode: u32, file: bool) -> Option<Trait> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if file && mode & 0o6000 != 0 && mode & 0o111 != 0 {
        let known = SYSTEM.contains(&name);
        return Some(if known {
            Trait::SystemSetuid
        } else {
            Trait::Setuid
        });
    }
    None
}

fn tool(path: &str, present: bool) -> Option<Trait> {
    let program = path.contains("bin/");
    let name = path.rsplit('/').next().unwrap_or_default();
    match name {
        "sshd" | "dropbear" if program && present => Some(Trait::SshServer),
        "sh" if path == "busybox/sh" => Some(Trait::DebugShell),
        _ if present && BUILD_TOOL.is_match(path) => Some(Trait::BuildTool),
        _ => None,
    }
}
