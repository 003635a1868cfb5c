//! Runbooks: where a repository keeps one, it says whom to call.

use std::sync::LazyLock;

use regex::Regex;

use super::{Source, breach_at};
use crate::collect::Collector;
use crate::tree::name;

const RULE: &str = "runbook-without-contact";

static CONTACT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)[\w.+-]+@[\w-]+\.[\w.]+|\b(astreinte|on-call|tchap|mattermost|slack|#[a-z][\w-]{3,})\b|\b0[1-9]([ .]?\d{2}){4}\b|\+33")
        .expect("a constant, compiled by a test")
});

pub(super) fn judge(collector: &mut Collector<'_>, source: Source<'_>) {
    let name = name(source.path).to_lowercase();
    let named = ["runbook", "exploitation", "astreinte"]
        .iter()
        .any(|stem| name.starts_with(stem));
    let prose = [".md", ".adoc", ".rst", ".txt"]
        .iter()
        .any(|end| name.ends_with(end));
    if !named || !prose {
        return;
    }
    collector.looked([RULE]);
    if !CONTACT.is_match(source.text) {
        let fr = "la consigne ne dit pas qui appeler".to_owned();
        let en = "the runbook does not say whom to call".to_owned();
        breach_at(collector, source, (RULE, 0), (fr, en));
    }
}
