//! Rules about a pipeline of the secondary chain: gates it ignores, moving tags it publishes.

use pilotis_policy::Text;
use pilotis_yaml::{Mark, Node};

use crate::collect::{Breach, Collector};
use crate::locate;
use crate::patch::Change;

pub(crate) fn judge(collector: &mut Collector<'_>, path: &str, text: &str) {
    collector.looked(["pipeline-gate-ignored", "pipeline-latest-tag"]);
    let root = match pilotis_yaml::parse_first(text) {
        Ok(Some(root)) => root,
        Ok(None) => return,
        Err(error) => return collector.unreadable(path, locate::diagnostic(path, &error)),
    };
    for (name, body) in root.pairs() {
        let name: String = name.text().unwrap_or_default().chars().take(80).collect();
        ignored(collector, path, &name, body);
        publishes_latest(collector, path, &name, body);
    }
}

fn ignored(collector: &mut Collector<'_>, path: &str, job: &str, body: &Node) {
    let Some(allowed) = body.get("allow_failure") else {
        return;
    };
    if allowed.as_bool() != Some(true) {
        return;
    }
    collector.breach(Breach {
        rule: "pipeline-gate-ignored",
        message: Text {
            fr: format!("le contrôle {job} peut échouer sans rien arrêter"),
            en: format!("gate {job} may fail without stopping anything"),
        },
        object: Some(format!("job {job}")),
        position: Some(locate::position(path, allowed.start)),
        change: allowed.text().map(|old| Change::replace(old, "false")),
    });
}

/// A tag that says latest, or the platform's job that adds it when no names are given.
fn publishes_latest(collector: &mut Collector<'_>, path: &str, job: &str, body: &Node) {
    let variables = body.get("variables");
    let value = |name: &str| variables.and_then(|variables| variables.get(name));
    let latest = |node: &&Node| {
        let text = node.text().unwrap_or_default();
        text.split_whitespace()
            .any(|name| name == "latest" || name.ends_with(":latest"))
    };
    let names = ["TAG", "IMAGE_NAMES", "OUTPUT_IMAGES"];
    let said = names.iter().filter_map(|name| value(name)).find(latest);
    let extends = body.get("extends");
    let listed = extends.is_some_and(|node| {
        let one = node.text() == Some(".kaniko:build-push");
        one || node
            .items()
            .iter()
            .any(|item| item.text() == Some(".kaniko:build-push"))
    });
    let by_default = extends.filter(|_| listed && value("IMAGE_NAMES").is_none());
    let Some(mark): Option<Mark> = said.or(by_default).map(|node| node.start) else {
        return;
    };
    collector.breach(Breach {
        rule: "pipeline-latest-tag",
        message: Text {
            fr: format!("la tâche {job} publie l'étiquette latest"),
            en: format!("job {job} publishes the tag latest"),
        },
        object: Some(format!("job {job}")),
        position: Some(locate::position(path, mark)),
        change: None,
    });
}
