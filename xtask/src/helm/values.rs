//! Value sets for a chart nobody wrote values for: the chart's own examples, and its switches
//! turned over.

use std::path::Path;

/// Most switches turned over in one set.
const FLIPS_MAX: usize = 24;

/// The arguments of each set: defaults first, then three more.
pub fn sets(chart: &Path) -> Vec<Vec<String>> {
    let mut sets = vec![Vec::new()];
    let mut examples = Vec::new();
    for folder in ["ci", "tests", "test-values", "."] {
        let Ok(entries) = std::fs::read_dir(chart.join(folder)) else {
            continue;
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with("values.yaml") && name != "values.yaml")
            .collect();
        names.sort();
        examples.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
    }
    for example in examples.into_iter().take(2) {
        sets.push(vec!["-f".to_owned(), example]);
    }
    let text = std::fs::read_to_string(chart.join("values.yaml")).unwrap_or_default();
    let switches = switches(&text);
    let mut part = 0;
    while sets.len() < 4 {
        sets.push(flips(&switches, part));
        part += 1;
    }
    sets
}

/// `--set` flags that turn over a third of the switches.
fn flips(switches: &[(String, bool)], part: usize) -> Vec<String> {
    let chosen = switches.iter().filter(|(path, _)| hash(path) % 3 == part);
    let flags = chosen.take(FLIPS_MAX).flat_map(|(path, value)| {
        let flag = format!("{path}={}", !value);
        ["--set".to_owned(), flag]
    });
    flags.collect()
}

fn hash(text: &str) -> usize {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    usize::try_from(hash >> 33).unwrap_or(0)
}

/// Paths of the booleans of a values file, found by indentation alone.
fn switches(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut path: Vec<(usize, Option<&str>)> = Vec::new();
    let mut block: Option<usize> = None;
    for line in text.lines() {
        let rest = line.trim_start();
        let indent = line.len() - rest.len();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        if block.is_some_and(|outer| indent > outer) {
            continue;
        }
        block = None;
        path.retain(|(outer, _)| *outer < indent);
        if rest.starts_with("- ") || rest == "-" {
            path.push((indent, None));
            continue;
        }
        let Some((key, value)) = rest.split_once(':') else {
            continue;
        };
        let simple = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        path.push((indent, key.chars().all(simple).then_some(key)));
        let value = value.split(" #").next().unwrap_or_default().trim();
        if value.starts_with('|') || value.starts_with('>') {
            block = Some(indent);
        }
        if let Ok(value) = value.parse::<bool>()
            && path.iter().all(|(_, key)| key.is_some())
        {
            let names: Vec<&str> = path.iter().filter_map(|(_, key)| *key).collect();
            found.push((names.join("."), value));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_found_by_indentation() {
        let text =
            "a: true\nb:\n  c: false # why\n  d:\n    - e: true\n  f: |\n    g: true\nh: yes\n";
        let found = switches(text);
        assert_eq!(found, [("a".to_owned(), true), ("b.c".to_owned(), false)]);
    }
}
