//! Applications that no master application brings: each would be created by hand.

use pilotis_policy::Text;
use serde_json::Value;

use crate::collect::{Breach, Collector};
use crate::manifests::Located;
use crate::tree::is_inside;

const RULE: &str = "application-without-master";

/// Judges the Argo CD applications written as plain manifests, with the file each stands in.
pub(crate) fn judge(collector: &mut Collector<'_>, set: &[(&str, &Located<'_>)]) {
    let kind = |object: &Value, kind: &str| {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        object["kind"] == kind && version.starts_with("argoproj.io/")
    };
    let applications: Vec<&(&str, &Located<'_>)> = set
        .iter()
        .filter(|(_, one)| kind(&one.object, "Application"))
        .collect();
    if applications.len() < 2 {
        return;
    }
    collector.looked([RULE]);
    if set
        .iter()
        .any(|(_, one)| kind(&one.object, "ApplicationSet"))
    {
        return;
    }
    let folders: Vec<Vec<String>> = applications
        .iter()
        .map(|(_, one)| folders(&one.object))
        .collect();
    // A master is the one application that stands outside its own folder, or brings itself.
    let brought = |index: usize| {
        let file = applications[index].0;
        let mut others = folders.iter().enumerate();
        others
            .any(|(other, paths)| other != index && paths.iter().any(|path| is_inside(file, path)))
    };
    let orphans: Vec<usize> = (0..applications.len())
        .filter(|index| !brought(*index))
        .collect();
    // One has to be created by hand: the master itself.
    if orphans.len() < 2 {
        return;
    }
    for index in orphans {
        let located = applications[index].1;
        let name = located.object["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        collector.breach(Breach {
            rule: RULE,
            message: Text {
                fr: format!("aucune application maîtresse ne déploie {name}"),
                en: format!("no master application deploys {name}"),
            },
            object: Some(format!("Application/{name}")),
            position: located
                .source
                .locate(&["metadata".into(), "name".into()], None),
            change: None,
        });
    }
}

/// The folders of its repository an application deploys from; the root counts for nothing, since
/// everything is inside it.
fn folders(application: &Value) -> Vec<String> {
    let spec = &application["spec"];
    let several = spec["sources"].as_array().into_iter().flatten();
    let paths = several.chain(std::iter::once(&spec["source"]));
    let paths = paths.filter_map(|source| source["path"].as_str());
    let clean = |path: &str| path.trim_start_matches("./").trim_matches('/').to_owned();
    paths
        .map(clean)
        .filter(|path| !path.is_empty() && path != ".")
        .collect()
}
