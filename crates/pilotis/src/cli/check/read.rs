//! What `pilotis check` reads: a tree within limits, its history, further rules.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pilotis_check::{Base, CHANGES_MAX, Change, FILE_BYTES_MAX, Options, Past, Tree};
use pilotis_git::{HistoryLimits, Repository, TreeLimits};
use pilotis_policy::{Rule, Rules};

use super::{Judge, Versions};

/// Most files read.
const FILES_MAX: usize = 50_000;
/// Deepest folder entered.
const DEPTH_MAX: usize = 64;
/// Bytes of all files together.
const TREE_BYTES_MAX: usize = 1 << 30;
/// Most links named.
const LINKS_TOLD_MAX: usize = 20;
/// Most paths of one commit listed.
const PATHS_MAX: usize = 5_000;
/// Largest file of rules.
const RULES_BYTES_MAX: u64 = 4 << 20;

/// What was read of a folder.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) tree: Tree,
    /// Links that were not followed, the first of them.
    pub(super) links: Vec<String>,
    /// Bytes of all files within the limit.
    bytes: usize,
}

/// The files of a folder, one file, or the files of a chart archive.
pub(super) fn tree(path: &Path) -> Result<Reading> {
    let mut reading = Reading::default();
    let kind =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if kind.is_dir() {
        reading.walk((path, path), 0)?;
        return Ok(reading);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".tgz") || name.ends_with(".tar.gz") {
        let packed = std::fs::read(path)?;
        let files = pilotis_chart::unpack(&packed)
            .map_err(|error| anyhow::anyhow!("{}", error.diagnostic().message))
            .with_context(|| format!("cannot unpack {}", path.display()))?;
        let files = files
            .into_iter()
            .map(|file| (file.path.clone(), file.data().to_vec()));
        reading.tree = files.collect();
        return Ok(reading);
    }
    reading.tree.insert(name.into_owned(), contents(path)?);
    Ok(reading)
}

impl Reading {
    /// Reads regular files only: a link may leave the tree or loop, and Git keeps it as text.
    fn walk(&mut self, (root, folder): (&Path, &Path), depth: usize) -> Result<()> {
        if depth > DEPTH_MAX {
            return Ok(());
        }
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            let name = entry.file_name();
            let relative = || path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            if kind.is_dir() && name != ".git" && name != "target" && name != "node_modules" {
                self.walk((root, &path), depth + 1)?;
            } else if kind.is_file() {
                let read = contents(&path)?;
                if read.len() <= FILE_BYTES_MAX {
                    self.bytes += read.len();
                }
                if self.tree.len() >= FILES_MAX || self.bytes > TREE_BYTES_MAX {
                    bail!("more than {FILES_MAX} files or 1 GiB in {}", root.display());
                }
                self.tree.insert(relative().into_owned(), read);
            } else if kind.is_symlink() && self.links.len() < LINKS_TOLD_MAX {
                self.links.push(relative().into_owned());
            }
        }
        Ok(())
    }
}

/// The file's bytes, at most one more than the engine reads, so that it sees the file is too large.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = file.metadata().map_or(0, |kind| kind.len());
    if size > FILE_BYTES_MAX as u64 {
        // Not read at all, and zeros cost no memory until somebody looks: nobody does.
        return Ok(vec![0; FILE_BYTES_MAX + 1]);
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The history of the repository whose root is judged; nothing when there is none.
pub(super) fn history(arguments: &Judge) -> Versions {
    let nothing: Versions = Box::new(std::iter::empty());
    let directory = arguments.path().join(".git");
    if arguments.no_history {
        return nothing;
    }
    if directory.is_file() {
        // It names a folder elsewhere, which a judged tree has no say in.
        eprintln!("warning: the history is not judged: .git is a file, of a worktree or submodule");
    }
    if !directory.is_dir() {
        return nothing;
    }
    if directory.join("shallow").is_file() {
        eprintln!("warning: the history is judged in part: the clone is shallow");
    }
    let versions = || {
        let repository = Repository::open(&directory)?;
        let mut tips: Vec<_> = repository.refs()?.into_values().collect();
        tips.extend(repository.resolve("HEAD").ok());
        repository.versions(&tips, HistoryLimits::default())
    };
    match versions() {
        Ok(versions) => Box::new(versions.map(|version| Past {
            commit: version.commit.to_string(),
            path: version.path,
            bytes: version.bytes,
        })),
        Err(error) => {
            eprintln!(
                "warning: the history is not judged: {:#}",
                anyhow::Error::from(error)
            );
            nothing
        }
    }
}

/// The last commits of the repository whose root is judged.
pub(super) fn changes(arguments: &Judge) -> Vec<Change> {
    let directory = arguments.path().join(".git");
    if arguments.no_history || !directory.is_dir() {
        return Vec::new();
    }
    let recent = || {
        let repository = Repository::open(&directory)?;
        let commits = repository.log(repository.resolve("HEAD")?, CHANGES_MAX)?;
        let change = |commit: &pilotis_git::Commit| {
            let parent = commit.parents.first().copied();
            Ok::<Change, pilotis_git::ReadError>(Change {
                commit: commit.id.to_string(),
                summary: commit.summary().to_owned(),
                parents: commit.parents.len(),
                paths: repository.changed_paths(parent, commit.id, PATHS_MAX)?,
            })
        };
        // A commit of too many files ends the list: what lies behind it is older still.
        Ok(commits
            .iter()
            .map_while(|commit| change(commit).ok())
            .collect())
    };
    recent().unwrap_or_else(|_: pilotis_git::ReadError| Vec::new())
}

/// The verdict on the revision asked for, to compare with.
pub(super) fn base(arguments: &Judge, options: &Options) -> Result<Option<Base>> {
    let Some(revision) = &arguments.base else {
        return Ok(None);
    };
    let directory = arguments.path().join(".git");
    let repository = Repository::open(&directory)
        .with_context(|| format!("{} is no Git repository", arguments.path().display()))?;
    let id = repository
        .resolve(revision)
        .with_context(|| format!("there is no revision {revision}"))?;
    let files = repository.files(id, "", TreeLimits::default());
    let files = files.with_context(|| format!("cannot read the files of {revision}"))?;
    let plain = files
        .into_iter()
        .filter(|file| file.mode != pilotis_git::Mode::Link);
    let tree: Tree = plain.map(|file| (file.path, file.bytes)).collect();
    let report = pilotis_check::run(&tree, options)?;
    let name = revision.clone();
    Ok(Some(Base { name, report }))
}

/// Whether a folder holds anything an environment gets.
pub(super) fn has_sources(tree: &Tree) -> bool {
    let named = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name == "Chart.yaml" || name.contains("Dockerfile") || name == "Containerfile"
    };
    let object = |(path, bytes): (&String, &Vec<u8>)| {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let has = |key: &str| text.lines().any(|line| line.starts_with(key));
        let yaml = path.ends_with(".yaml") || path.ends_with(".yml");
        yaml && has("apiVersion:") && has("kind:")
    };
    tree.keys().any(named) || tree.iter().any(object)
}

/// Says when charts have values for environments and none for the one asked for: its name may be
/// mistyped, or it gets the chart's own values.
pub(super) fn warn_of_unknown(environment: &str, tree: &Tree) {
    let charts = tree.keys().filter_map(|path| {
        let folder = path.strip_suffix("Chart.yaml")?;
        Some(folder.trim_end_matches('/'))
    });
    let known: BTreeSet<String> = charts
        .flat_map(|chart| pilotis_check::environments(tree, chart))
        .collect();
    if !known.is_empty() && !known.contains(environment) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        eprintln!(
            "warning: no chart has values for {environment}, its own are judged; there are some for {}",
            known.join(", ")
        );
    }
}

/// Rules of files: lists of ours, or ValidatingAdmissionPolicy objects.
pub(super) fn rules(files: &[PathBuf]) -> Result<Vec<Rule>> {
    let mut all = Vec::new();
    for path in files {
        let name = path.display();
        let mut text = String::new();
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
        file.take(RULES_BYTES_MAX)
            .read_to_string(&mut text)
            .with_context(|| format!("cannot read {name}"))?;
        let read = match text.contains("ValidatingAdmissionPolicy") {
            true => Rules::read_admission_policies(&text),
            false => Rules::read(&text),
        };
        all.extend(read.with_context(|| format!("cannot use {name}"))?.0);
    }
    Ok(all)
}

/// Writes a mended file in place: its folder is not a link out of the tree, since none was read.
pub(super) fn write(root: &Path, path: &str, text: &str) -> Result<()> {
    let target = match root.is_dir() {
        true => root.join(path),
        false => root.to_path_buf(),
    };
    std::fs::write(&target, text).with_context(|| format!("cannot write {}", target.display()))
}
