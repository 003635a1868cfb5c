//! What the compiler cannot check: the layers, the sizes, the module docs.
//!
//! The layer table is the house plan's picture; a new crate or a new edge is a line here, and so a
//! decision somebody reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::run::root;

/// Crates by layer, bottom first. A crate may depend on crates of lower layers only.
const LAYERS: [(&str, &[&str]); 6] = [
    ("L0", &["report", "oci", "kinds", "yaml"]),
    (
        "L1",
        &[
            "template",
            "policy",
            "patch",
            "dockerfile",
            "signing",
            "store",
            "blobs",
            "git",
            "sandbox",
            "http",
            "transfer",
            "provenance",
        ],
    ),
    (
        "L2",
        &["chart", "chart-repository", "check", "sync", "build"],
    ),
    (
        "L3",
        &[
            "apiserver",
            "controllers",
            "node",
            "tenancy",
            "chain",
            "gitops",
            "admission",
            "registry",
            "console",
        ],
    ),
    ("L4", &["pilotis"]),
    ("beside", &["testkit"]),
];

/// Edges inside one layer that were decided; each needs its reason.
const SAME_LAYER: [(&str, &str); 3] = [
    // A document's errors are diagnostics with positions.
    ("yaml", "report"),
    // The verdict is given on rendered charts.
    ("check", "chart"),
    // Indexes, lock files and archives are read and chosen from by the chart engine.
    ("chart-repository", "chart"),
];

/// Crates that speak to the Kubernetes API: only services, the binary and test support.
const KUBE_LAYERS: [&str; 3] = ["L3", "L4", "beside"];

/// Longest file without its tests, in lines.
const FILE_LINES_MAX: usize = 1000;
/// Longest line, in characters.
const LINE_CHARS_MAX: usize = 100;

/// Checks the repository.
///
/// # Errors
/// When anything is out of order; every complaint is printed first.
pub fn main(_: &[String]) -> Result<()> {
    let complaints = complaints(&root())?;
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} complaints", complaints.len());
    }
    Ok(())
}

fn complaints(root: &Path) -> Result<Vec<String>> {
    let mut found = layers(&root.join("crates"))?;
    for file in rust_files(root)? {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let shown = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        found.extend(
            file_complaints(&text)
                .into_iter()
                .map(|c| format!("{shown}: {c}")),
        );
    }
    Ok(found)
}

fn layers(crates: &Path) -> Result<Vec<String>> {
    let order: BTreeMap<&str, (usize, &str)> = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(level, (layer, names))| names.iter().map(move |n| (*n, (level, *layer))))
        .collect();
    let mut found = Vec::new();
    for entry in fs::read_dir(crates)? {
        let dir = entry?.path();
        let name = dir
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default()
            .to_owned();
        let Some((level, layer)) = order.get(name.as_str()) else {
            found.push(format!(
                "crates/{name}: not in the layer table of xtask/src/tidy.rs"
            ));
            continue;
        };
        let manifest = fs::read_to_string(dir.join("Cargo.toml"))?;
        for dependency in dependencies(&manifest) {
            if dependency.starts_with("kube") || dependency == "k8s-openapi" {
                if !KUBE_LAYERS.contains(layer) {
                    found.push(format!("crates/{name}: {dependency} is for services only"));
                }
                continue;
            }
            let Some(ours) = dependency.strip_prefix("pilotis-") else {
                continue;
            };
            let allowed = SAME_LAYER.contains(&(name.as_str(), ours));
            let below = order.get(ours).is_some_and(|(other, _)| other < level);
            if !below && !allowed {
                found.push(format!("crates/{name}: may not depend on {ours}"));
            }
        }
    }
    Ok(found)
}

/// Names in `[dependencies]`; development dependencies may point anywhere.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if inside && !line.starts_with('#') {
            let name: String = line
                .chars()
                .take_while(|c| c.is_alphanumeric() || "-_".contains(*c))
                .collect();
            if !name.is_empty() {
                names.push(name);
            }
        }
    }
    names
}

fn file_complaints(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push("line 1 is not a module doc".to_owned());
    }
    let code = text.split("\n#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().count();
    if lines > FILE_LINES_MAX && !text.contains("tidy: flat catalogue") {
        found.push(format!(
            "{lines} lines without tests, limit {FILE_LINES_MAX}"
        ));
    }
    for (index, line) in text.lines().enumerate() {
        let chars = line.chars().count();
        let text = line.contains('"') || line.contains("://") || line.ends_with('\\');
        if chars > LINE_CHARS_MAX && !text {
            found.push(format!("line {} has {chars} characters", index + 1));
        }
    }
    found
}

fn rust_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut pending = vec![root.join("crates"), root.join("xtask"), root.join("tests")];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default()
                .to_owned();
            if path.is_dir() && name != "target" && name != "node_modules" {
                pending.push(path);
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let found = complaints(&root()).unwrap();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn an_upward_edge_is_seen() {
        let manifest =
            "[dependencies]\npilotis-gitops.workspace = true\n[dev-dependencies]\nx = 1\n";
        assert_eq!(dependencies(manifest), ["pilotis-gitops"]);
    }

    #[test]
    fn a_file_without_module_doc_is_seen() {
        assert_eq!(
            file_complaints("fn main() {}\n"),
            ["line 1 is not a module doc"]
        );
    }
}
