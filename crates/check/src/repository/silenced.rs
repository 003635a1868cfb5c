//! Files that tell a vulnerability scanner what to pass over, without saying until when.

use std::sync::LazyLock;

use regex::Regex;

use super::{Source, breach_at, set_aside};
use crate::collect::Collector;
use crate::tree::name;

const RULE: &str = "vulnerability-silenced";

static ID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}|RUSTSEC-\d{4}-\d{4}|PYSEC-\d{4}-\d+|GO-\d{4}-\d+|SNYK-[A-Z0-9-]+)\b")
        .expect("a constant, compiled by a test")
});
static UNTIL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)\b(exp:\s*\d{4}-|expired_at|expires?["']?\s*[:=]|ignoreUntil|until["']?\s*[:=])"#,
    )
    .expect("a constant, compiled by a test")
});

/// How a file separates one vulnerability passed over from the next.
enum Form {
    /// One a line.
    Lines,
    /// One between two identifiers.
    Entries,
}

pub(super) fn judge(collector: &mut Collector<'_>, source: Source<'_>) {
    let form = match name(source.path) {
        ".trivyignore" | ".grypeignore" | ".nsprc" => Form::Lines,
        ".trivyignore.yaml" | ".trivyignore.yml" | ".grype.yaml" | ".grype.yml"
        | "osv-scanner.toml" | ".snyk" => Form::Entries,
        _ => return,
    };
    let lines = commentless(source.text);
    for (index, (at, line)) in lines.iter().enumerate() {
        let Some(id) = ID.find(line) else {
            continue;
        };
        let entry = match form {
            Form::Lines => &lines[index..=index],
            Form::Entries => entry(&lines[index..]),
        };
        let ends = entry.iter().any(|(_, line)| UNTIL.is_match(line));
        if ends || set_aside(source, *at, RULE) {
            continue;
        }
        let id = id.as_str();
        let fr = format!("{id} est tue sans terme");
        let en = format!("{id} is silenced without an end");
        breach_at(
            collector,
            source,
            (RULE, at + line.find(id).unwrap_or(0)),
            (fr, en),
        );
    }
}

/// Lines with the byte they begin at; a comment counts as an empty line.
fn commentless(text: &str) -> Vec<(usize, &str)> {
    let mut at = 0;
    let whole = text.split_inclusive('\n').map(|line| {
        let start = at;
        at += line.len();
        match line.trim_start().starts_with(['#', ';']) {
            true => (start, ""),
            false => (start, line),
        }
    });
    whole.collect()
}

/// The lines of one entry: up to the next identifier.
fn entry<'l, 't>(lines: &'l [(usize, &'t str)]) -> &'l [(usize, &'t str)] {
    let next = lines.iter().skip(1).position(|(_, line)| ID.is_match(line));
    &lines[..next.map_or(lines.len(), |next| next + 1)]
}
