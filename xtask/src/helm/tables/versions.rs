//! Rows of the semantic version library: versions, constraints, and pairs of both.

use super::ask::Rows;
use super::go::{Go, Record, quoted};

const SEMVER: &str = "semver";

/// A version a constraint that stands alone is tried with.
const TRIED: [&str; 2] = ["\"1.2.3\"", "\"2.0.0-beta.1\""];

/// Everything a template can ask of a version.
const PARTS: [&str; 10] = [
    "Major",
    "Minor",
    "Patch",
    "Prerelease",
    "Metadata",
    "Original",
    "String",
    "IncPatch",
    "IncMinor",
    "IncMajor",
];

/// What a template can ask of two.
const COMPARISONS: [&str; 6] = [
    "Compare",
    "LessThan",
    "LessThanEqual",
    "GreaterThan",
    "GreaterThanEqual",
    "Equal",
];

/// Rows of every table, then what tests parse without one.
pub fn rows(rows: &mut Rows, records: &[Record]) {
    for record in records.iter().filter(|record| !record.is_call) {
        for (index, row) in record.value.rows().into_iter().enumerate() {
            let name = format!("{} {} {index}", record.function, record.name);
            match template(record, row) {
                Some(text) => rows.template(SEMVER, &name, text.as_bytes(), "nil"),
                None => rows.exclude(SEMVER, &name, "no version and no constraint"),
            }
        }
    }
    for record in records.iter().filter(|record| record.is_call) {
        let Some(text) = record.value.rows().first().and_then(|first| first.bytes()) else {
            continue;
        };
        let text = match record.name.as_str() {
            "NewVersion" | "StrictNewVersion" | "benchNewVersion" => version(text),
            "NewConstraint" | "benchNewConstraint" => constraint(text),
            _ => continue,
        };
        let known = |question: &super::ask::Question| question.files[0].1 == text.as_bytes();
        if !rows.questions.iter().any(known) {
            let name = format!("{} {}", record.function, record.name);
            rows.template(SEMVER, &name, text.as_bytes(), "nil");
        }
    }
}

fn template(record: &Record, row: &Go) -> Option<String> {
    let is_constraint = ["Constraint", "RewriteRange", "IsX"];
    let is_constraint = is_constraint
        .iter()
        .any(|part| record.function.contains(part));
    if let Some(text) = row.bytes() {
        return Some(if is_constraint {
            constraint(text)
        } else {
            version(text)
        });
    }
    let field = |name: &str| row.field(name).and_then(Go::bytes);
    if let (Some(first), Some(second)) = (field("v1"), field("v2")) {
        return Some(pair(first, second));
    }
    let wanted = field("constraint")
        .or(field("in"))
        .filter(|_| is_constraint);
    if let (Some(wanted), Some(found)) = (wanted, field("version").or(field("v"))) {
        let (wanted, found) = (quoted(wanted), quoted(found));
        return Some(format!("{{{{ semverCompare {wanted} {found} }}}}"));
    }
    if is_constraint {
        let text = wanted.or(field("input")).or(field("c")).or(field("t"))?;
        return Some(constraint(text));
    }
    let with = |mark: &str, text: &[u8]| version(&[b"1.2.3", mark.as_bytes(), text].concat());
    let changed = |method: &str, text: &[u8]| {
        let of = quoted(field("version").or(field("start")).unwrap_or(b"1.2.3"));
        let text = quoted(text);
        format!("{{{{ $v := semver {of} }}}}{{{{ $w := $v.{method} {text} }}}}{{{{ $w }}}}")
    };
    match (
        field("pre"),
        field("meta"),
        field("prerelease"),
        field("metadata"),
    ) {
        (Some(text), ..) => Some(with("-", text)),
        (_, Some(text), ..) => Some(with("+", text)),
        (_, _, Some(text), _) => Some(changed("SetPrerelease", text)),
        (.., Some(text)) => Some(changed("SetMetadata", text)),
        _ => Some(version(field("version").or(field("v1")).or(field("v"))?)),
    }
}

fn version(text: &[u8]) -> String {
    let parts = PARTS.map(|part| format!("{part}={{{{ $v.{part} }}}} "));
    format!("{{{{ $v := semver {} }}}}{}", quoted(text), parts.concat())
}

fn pair(first: &[u8], second: &[u8]) -> String {
    let asked = COMPARISONS.map(|name| format!("{name}={{{{ $a.{name} $b }}}} "));
    let (first, second) = (quoted(first), quoted(second));
    format!(
        "{{{{ $a := semver {first} }}}}{{{{ $b := semver {second} }}}}{}",
        asked.concat()
    )
}

fn constraint(text: &[u8]) -> String {
    let text = quoted(text);
    let tried = TRIED.map(|version| format!("{{{{ semverCompare {text} {version} }}}} "));
    tried.concat()
}
