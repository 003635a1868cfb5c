//! The team's own pipeline, when the repository also holds the platform's: does one call the other?
//!
//! A repository without the platform's pipeline file is not mirrored that way, and one without a
//! pipeline of its own has nothing to call from: neither is judged. A forge that calls by webhook
//! does not say so in the tree; a comment sets the rule aside.

use std::sync::LazyLock;

use regex::Regex;

use super::pipelines::is_pipeline;
use super::{Source, breach_at, set_aside};
use crate::collect::Collector;
use crate::tree::name;

const RULE: &str = "primary-chain-untied";
/// The file of the platform's pipeline.
const SECONDARY: &str = ".gitlab-ci-dso.yml";

/// How a pipeline calls the platform.
static CALL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)GIT_MIRROR_|/trigger/pipeline|\bmirror\.sh\b|pilotis|cloud-?pi|mirror[-_]?sync|sync[-_]?mirror|dso[-_](sync|mirror|trigger)")
        .expect("a constant, compiled by a test")
});
/// The call itself, in a shell.
static REQUEST: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\bcurl\s").expect("a constant, compiled by a test"));
/// A curl that fails when the platform refuses.
static FAILS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\s(--fail(-with-body)?|-[a-zA-Z]*f[a-zA-Z]*)\b").expect("a constant")
});

pub(super) fn judge(collector: &mut Collector<'_>, sources: &[Source<'_>]) {
    if !sources.iter().any(|source| source.path == SECONDARY) {
        return;
    }
    let own = |source: &&Source<'_>| is_pipeline(source.path) && name(source.path) != SECONDARY;
    let primary: Vec<&Source<'_>> = sources.iter().filter(own).collect();
    let Some(first) = primary.first() else {
        return;
    };
    collector.looked([RULE]);
    let calling: Vec<&&Source<'_>> = primary.iter().filter(|s| CALL.is_match(s.text)).collect();
    let aside = primary.iter().any(|source| {
        source
            .text
            .match_indices("pilotis ignore=")
            .any(|(at, _)| set_aside(**source, at, RULE))
    });
    if calling.is_empty() && !aside {
        let fr = "rien dans la chaîne primaire ne déclenche celle de la plateforme".to_owned();
        let en = "nothing in the primary pipeline triggers the platform's".to_owned();
        breach_at(collector, **first, (RULE, 0), (fr, en));
    }
    for source in calling {
        unheard(collector, **source);
    }
}

/// Calls whose failure nobody sees.
fn unheard(collector: &mut Collector<'_>, source: Source<'_>) {
    for request in REQUEST.find_iter(source.text) {
        let command = command(&source.text[request.start()..]);
        if !command.contains("/trigger/pipeline") || set_aside(source, request.start(), RULE) {
            continue;
        }
        if FAILS.is_match(command) && !command.contains("|| true") {
            continue;
        }
        let fr = "l'échec de l'appel à la plateforme passe inaperçu".to_owned();
        let en = "a failure of the call to the platform goes unseen".to_owned();
        breach_at(collector, source, (RULE, request.start()), (fr, en));
    }
}

/// A command to the end of its last continued line; one folded by YAML is told by its indentation.
fn command(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        end += line.len();
        let continued = line.trim_end().ends_with('\\');
        let next = text[end..].lines().next().unwrap_or_default();
        let option = next.trim_start().starts_with("--") || next.trim_start().starts_with("-F");
        if !continued && !option {
            break;
        }
    }
    &text[..end]
}
