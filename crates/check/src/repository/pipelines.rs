//! Pipelines that put objects into a cluster by themselves, beside GitOps.

use std::sync::LazyLock;

use regex::Regex;

use super::{Source, breach_at, set_aside};
use crate::collect::Collector;
use crate::tree::{is_yaml, name};

const RULE: &str = "pipeline-deploys";

static DEPLOYS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?m)(?:^|[\s;&|"'`(])((?:kubectl|oc)\s+(?:-\S+\s+(?:[^-\s]\S*\s+)?)*(?:apply|create|replace|patch|set|scale|rollout\s+restart)\b|helm3?\s+(?:-\S+\s+(?:[^-\s]\S*\s+)?)*(?:upgrade|install)\b|azure/k8s-deploy@)"#,
    )
    .expect("a constant, compiled by a test")
});
/// Signs of a cluster made for a test, and thrown away with it.
static THROWN_AWAY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(kind create|kind-action|k3d|minikube|k3s|microk8s|ct install|chart-testing|envtest|vcluster)\b")
        .expect("a constant, compiled by a test")
});

/// Whether a path names the pipeline of a forge or of a build server.
pub(crate) fn is_pipeline(path: &str) -> bool {
    let name = name(path);
    let gitlab = name.starts_with(".gitlab-ci") && is_yaml(name);
    let github = path.contains(".github/workflows/") && is_yaml(name);
    let other = matches!(
        name,
        "Jenkinsfile" | "azure-pipelines.yml" | "bitbucket-pipelines.yml"
    ) || path.ends_with(".circleci/config.yml");
    gitlab || github || other
}

pub(super) fn judge(collector: &mut Collector<'_>, source: Source<'_>) {
    if !is_pipeline(source.path) || THROWN_AWAY.is_match(source.text) {
        return;
    }
    for found in DEPLOYS.captures_iter(source.text) {
        let Some(command) = found.get(1) else {
            continue;
        };
        let start = source.text[..command.start()]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let line = source.text[start..].lines().next().unwrap_or_default();
        let comment = line.trim_start().starts_with(['#', '/']);
        if comment || line.contains("--dry-run") || set_aside(source, command.start(), RULE) {
            continue;
        }
        let fr = "la chaîne déploie elle-même, à côté de GitOps".to_owned();
        let en = "the pipeline deploys by itself, beside GitOps".to_owned();
        breach_at(collector, source, (RULE, command.start()), (fr, en));
    }
}
