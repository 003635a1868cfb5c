//! `cargo xtask helm tables`: the tables of upstream's own tests, asked of Helm and of ours.
//!
//! The tests of text/template, Sprig, the semantic version library, go-yaml and Helm itself hold
//! thousands of rows. They are read where Go keeps them when the command runs, by `rows.go`; each
//! row becomes a chart that both programs render. What upstream expects is not looked at: Helm
//! answers. Nothing of the tables is kept here. Rows that a chart cannot ask are counted and named
//! with the reason.

mod ask;
mod go;
mod manifests;
mod templates;
mod values;
mod versions;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::VERSIONS;
use super::program::Program;
use crate::run::{output, target_dir};
use ask::Rows;

pub use go::read;
pub use manifests::walk;

/// Modules that hold tables, at the versions the judge is built with.
const MODULES: [&str; 5] = [
    "github.com/Masterminds/sprig/v3",
    "github.com/Masterminds/semver/v3",
    "sigs.k8s.io/yaml",
    "go.yaml.in/yaml/v2",
    "go.yaml.in/yaml/v3",
];

/// Asks both programs every row; with a word, only the tables whose name contains it.
///
/// # Errors
/// When Go or a judge is missing, or a row is answered otherwise.
pub fn main(only: &str) -> Result<()> {
    let (helm, ours) = (Program::helm(VERSIONS[0])?, Program::ours(VERSIONS[0])?);
    let mut rows = all()?;
    rows.questions.retain(|row| row.table.contains(only));
    rows.excluded.retain(|row| row.table.contains(only));
    let different = ask::compare(&rows, &helm, &ours)?;
    let path = write_excluded(&rows)?;
    println!("excluded rows by name: {}", path.display());
    if different > 0 {
        bail!(
            "{different} rows are answered otherwise than Helm {}",
            VERSIONS[0]
        );
    }
    Ok(())
}

fn all() -> Result<Rows> {
    let helm = helm_source()?;
    let versions = required(&fs::read_to_string(helm.join("go.mod"))?);
    let place = |name: &str| -> Result<PathBuf> {
        let version = versions
            .get(name)
            .with_context(|| format!("Helm needs no {name}"))?;
        module(&format!("{name}@{version}"))
    };
    let go_root = output(Command::new("go").args(["env", "GOROOT"]))?;
    let template = Path::new(go_root.trim()).join("src/text/template");
    let mut rows = Rows::default();
    templates::go(&mut rows, &go::read(&template)?);
    templates::go(&mut rows, &go::read(&template.join("parse"))?);
    templates::sprig(&mut rows, &go::read(&place(MODULES[0])?)?);
    versions::rows(&mut rows, &go::read(&place(MODULES[1])?)?);
    values::set(&mut rows, &go::read(&helm.join("pkg/strvals"))?);
    values::coalesce(&mut rows, &go::read(&helm.join("pkg/chart/common/util"))?);
    let release = go::read(&helm.join("pkg/release/v1/util"))?;
    manifests::kinds(&mut rows, &release);
    manifests::split(&mut rows, &release);
    let ignore = helm.join("pkg/ignore");
    manifests::ignore(&mut rows, &go::read(&ignore)?, &ignore)?;
    let mut seen = BTreeSet::new();
    for name in &MODULES[2..] {
        yaml::rows(&mut rows, &go::read(&place(name)?)?, &mut seen);
    }
    Ok(rows)
}

/// The source of the judge.
///
/// # Errors
/// When Go is missing or cannot fetch it.
pub fn helm_source() -> Result<PathBuf> {
    module(&format!("helm.sh/helm/v4@v{}", VERSIONS[0]))
}

/// The folder of a module, fetched when it is not there.
fn module(name: &str) -> Result<PathBuf> {
    let mut command = Command::new("go");
    command.args(["mod", "download", "-json", name]);
    let text = output(command.current_dir(std::env::temp_dir()))?;
    let value: Value = serde_json::from_str(&text)?;
    let folder = value["Dir"]
        .as_str()
        .with_context(|| format!("no folder of {name}"))?;
    Ok(PathBuf::from(folder))
}

/// Versions a `go.mod` names.
fn required(text: &str) -> BTreeMap<String, String> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_start_matches("require "));
    let pairs = lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    });
    pairs.collect()
}

/// Writes the rows left out by name, and prints how many there are for each reason.
fn write_excluded(rows: &Rows) -> Result<PathBuf> {
    let mut text = String::new();
    let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for row in &rows.excluded {
        writeln!(text, "{}: {}: {}", row.table, row.name, row.reason)?;
        let kind = row.reason.split(':').next().unwrap_or_default();
        *reasons.entry((row.table, kind)).or_default() += 1;
    }
    for ((table, reason), count) in reasons {
        println!("  {table}: {count} excluded: {reason}");
    }
    let path = target_dir().join("helm-tables-excluded.txt");
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_a_module_file() {
        let text = "module x\n\nrequire one v1.2.3\n\nrequire (\n\ttwo v0.1.0 // indirect\n)\n";
        let found = required(text);
        assert_eq!(found["one"], "v1.2.3");
        assert_eq!(found["two"], "v0.1.0");
    }
}
