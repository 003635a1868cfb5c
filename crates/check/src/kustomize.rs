//! Kustomizations: which files are patches, and what the file itself decides.
//!
//! Nothing is built here: bases are judged as they are written, patches by what they say. A patch
//! is no object of its own, so what it leaves out is no breach.

use std::collections::BTreeSet;

use pilotis_yaml::Node;

use crate::collect::{Breach, Collector};
use crate::locate;
use crate::secrets;
use crate::tree::{directory, is_foreign, name};

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Judges every kustomization; returns the files that are patches.
pub(crate) fn judge(collector: &mut Collector<'_>) -> BTreeSet<String> {
    let files = collector.files;
    let paths = files
        .keys()
        .filter(|path| NAMES.contains(&name(path)) && !is_foreign(path));
    let mut patches = BTreeSet::new();
    for path in paths {
        let text = collector.text(path).unwrap_or_default();
        // One that cannot be read is told as any manifest is, when it says it is one.
        let Ok(Some(root)) = pilotis_yaml::parse_first(text) else {
            continue;
        };
        let listed = patched(&root);
        patches.extend(listed.filter_map(|file| resolved(directory(path), file)));
        tags(collector, path, &root);
        literals(collector, path, &root);
    }
    patches
}

/// The files that a kustomization lays over its objects.
fn patched(root: &Node) -> impl Iterator<Item = &str> {
    let items = |key: &str| root.get(key).map(Node::items).unwrap_or_default();
    let plain = items("patchesStrategicMerge").iter().filter_map(Node::text);
    let named = ["patches", "patchesJson6902"].map(items);
    let named = named.into_iter().flatten();
    plain.chain(named.filter_map(|patch| patch.get("path")?.text()))
}

/// A path written in a folder, from the root of the tree.
fn resolved(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Tags given to images.
fn tags(collector: &mut Collector<'_>, path: &str, root: &Node) {
    let images = root.get("images").map(Node::items).unwrap_or_default();
    for tag in images.iter().filter_map(|image| image.get("newTag")) {
        if tag.text() == Some("latest") {
            let texts = (
                "une image reçoit l'étiquette latest",
                "an image is given the tag latest",
            );
            let place = locate::position(path, tag.start);
            collector.breach(Breach::of_file("container-image-tag", place, texts));
        }
    }
}

/// Secrets given as literals to what makes Secrets and ConfigMaps.
fn literals(collector: &mut Collector<'_>, path: &str, root: &Node) {
    let made = [
        ("secretGenerator", "secret-in-clear"),
        ("configMapGenerator", "config-map-secret"),
    ];
    for (key, rule) in made {
        let makers = root.get(key).map(Node::items).unwrap_or_default();
        let lists = makers.iter().filter_map(|maker| maker.get("literals"));
        for literal in lists.flat_map(Node::items) {
            let text = literal.text().unwrap_or_default();
            let (name, value) = text.split_once('=').unwrap_or_default();
            let secret = rule == "secret-in-clear" || secrets::is_secret_name(name);
            if !secret || value.is_empty() || value.starts_with('$') {
                continue;
            }
            let texts = (
                "un littéral porte un secret en clair",
                "a literal holds a secret in clear",
            );
            let place = locate::position(path, literal.start);
            collector.breach(Breach::of_file(rule, place, texts));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_followed_inside_the_tree_and_not_out_of_it() {
        assert_eq!(
            resolved("k8s/prod", "./a.yaml").as_deref(),
            Some("k8s/prod/a.yaml")
        );
        assert_eq!(
            resolved("k8s/prod", "../base/a.yaml").as_deref(),
            Some("k8s/base/a.yaml")
        );
        assert_eq!(resolved("k8s", "../../a.yaml"), None);
    }
}
