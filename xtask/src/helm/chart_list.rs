//! The public charts compared with: which repository, which commit, which bytes.
//!
//! `charts.lock` names them; none of their text is here. A folder with the same charts gives the
//! same comparison; a chart that has changed since, or that the list does not know, is counted
//! apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::run::root;

const LIST: &str = "xtask/src/helm/charts.lock";
/// In the folder of a repository: the commit its charts are of.
const COMMIT_FILE: &str = ".commit";

/// Digests by the path of the chart below the folder.
pub struct Locked(BTreeMap<String, String>);

impl Locked {
    /// Reads the list.
    ///
    /// # Errors
    /// When it is missing.
    pub fn read() -> Result<Self> {
        let text = fs::read_to_string(root().join(LIST)).context(LIST)?;
        let mut repository = "";
        let mut digests = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line
                .strip_prefix("  ")
                .and_then(|line| line.split_once(' '))
            {
                Some((digest, "")) => {
                    digests.insert(repository.to_owned(), digest.to_owned());
                }
                Some((digest, path)) => {
                    digests.insert(format!("{repository}/{path}"), digest.to_owned());
                }
                None => repository = line.split(' ').next().unwrap_or_default(),
            }
        }
        Ok(Self(digests))
    }

    /// Whether a chart is the one the list names.
    pub fn knows(&self, name: &str, chart: &Path) -> bool {
        let found = digest(chart).ok();
        found.is_some() && self.0.get(name) == found.as_ref()
    }

    /// Charts in the list.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Writes the list anew from the charts below a folder.
///
/// # Errors
/// A repository's folder that does not say its commit, or a file that cannot be read.
pub fn write(folder: &Path, charts: &[(String, std::path::PathBuf)]) -> Result<()> {
    let mut text = String::from(
        "# Public charts compared with: repository and commit, then digest and path of each chart.\n\
         # Written by `cargo xtask helm lock FOLDER`.\n",
    );
    let mut last = "";
    for (name, chart) in charts {
        let (repository, path) = name.split_once('/').unwrap_or((name, ""));
        if repository != last {
            let file = folder.join(repository).join(COMMIT_FILE);
            let commit = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            writeln!(text, "{repository} {}", commit.trim())?;
            last = repository;
        }
        writeln!(text, "  {} {path}", digest(chart)?)?;
    }
    fs::write(root().join(LIST), text)?;
    eprintln!("{} charts are listed in {LIST}", charts.len());
    Ok(())
}

/// Of the paths and contents of all files, in order.
fn digest(chart: &Path) -> Result<String> {
    let mut files = Vec::new();
    list(chart, &mut files)?;
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let path = file.strip_prefix(chart).unwrap_or(&file);
        let content = fs::read(&file).with_context(|| file.display().to_string())?;
        hash.update(path.display().to_string());
        hash.update([0]);
        hash.update(content.len().to_be_bytes());
        hash.update(content);
    }
    Ok(hex::encode(hash.finalize()))
}

/// Files below a folder; links are left out.
fn list(folder: &Path, out: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), out)?;
        } else if kind.is_file() {
            out.push(entry.path());
        }
    }
    Ok(())
}
