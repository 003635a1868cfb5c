//! Chart archives to the index of a repository that serves them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::{Index, IndexEntry, newest_first};
use crate::errors::Error;
use crate::load::Chart;

/// How an index is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexForm {
    /// YAML.
    Yaml,
    /// JSON, which is YAML too and read faster.
    Json,
}

/// An archive of a folder that becomes a repository.
#[derive(Debug, Clone)]
pub struct Packaged {
    /// Folder below the repository's, or nothing.
    pub folder: String,
    /// Name of the file.
    pub file: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// The index of some archives served below an address; what is no chart is left out.
///
/// # Errors
/// A chart Helm would not add.
pub fn index_of(archives: &[Packaged], base: &str, now: &str) -> Result<Index, Error> {
    let mut index = Index::default();
    for archive in archives {
        let Ok(mut chart) = Chart::load_archive(&archive.bytes) else {
            continue;
        };
        let file = &archive.file;
        chart.metadata.validate().map_err(|error| {
            let reason = format!("validate failed for {file}: {}", error.message);
            Error::new(format!("failed adding to {file} to index: {reason}"))
        })?;
        let parent = join(base, &archive.folder);
        let url = match parent.is_empty() {
            true => file.clone(),
            false => join(&parent, file),
        };
        let digest = Sha256::digest(&archive.bytes);
        let entry = IndexEntry {
            urls: vec![url],
            created: now.to_owned(),
            removed: false,
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            metadata: chart.metadata,
        };
        let name = entry.metadata.name.clone();
        index.charts.entry(name).or_default().push(entry);
    }
    index.sort();
    Ok(index)
}

impl Index {
    /// Takes from another index the versions this one lacks.
    pub fn merge(&mut self, other: Self) {
        for entry in other.charts.into_values().flatten() {
            let metadata = &entry.metadata;
            if self.choose(&metadata.name, &metadata.version).is_err() {
                let name = metadata.name.clone();
                self.charts.entry(name).or_default().push(entry);
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        for versions in self.charts.values_mut() {
            versions.sort_by(newest_first);
        }
    }

    /// The text of the index, made at a time in RFC 3339.
    #[must_use]
    pub fn to_text(&self, form: IndexForm, generated: &str) -> String {
        match form {
            IndexForm::Yaml => self.to_yaml(generated),
            IndexForm::Json => indented(&self.to_go_json(generated)),
        }
    }

    fn to_yaml(&self, generated: &str) -> String {
        let versions = |all: &Vec<IndexEntry>| all.iter().map(IndexEntry::to_file).collect();
        let charts: BTreeMap<&String, Vec<Json>> = self
            .charts
            .iter()
            .map(|(name, all)| (name, versions(all)))
            .collect();
        let all = json!({"apiVersion": "v1", "generated": generated, "entries": charts});
        pilotis_yaml::emit(&all, pilotis_yaml::Flavour::GoV2)
    }

    fn to_go_json(&self, generated: &str) -> String {
        let text = |value: &str| pilotis_template::json_text(&value.into(), true);
        let charts = self.charts.iter().map(|(name, all)| {
            let all: Vec<String> = all.iter().map(IndexEntry::to_go_json).collect();
            format!("{}:[{}]", text(name), all.join(","))
        });
        let charts: Vec<String> = charts.collect();
        format!(
            "{{\"apiVersion\":\"v1\",\"generated\":{},\"entries\":{{{}}}}}",
            text(generated),
            charts.join(",")
        )
    }
}

impl IndexEntry {
    fn own(&self) -> Vec<(&'static str, Json)> {
        let mut own = vec![("urls", json!(self.urls)), ("created", json!(self.created))];
        if self.removed {
            own.push(("removed", json!(true)));
        }
        if !self.digest.is_empty() {
            own.push(("digest", json!(self.digest)));
        }
        own
    }

    fn to_file(&self) -> Json {
        let mut file = self.metadata.to_file();
        for (key, value) in self.own() {
            file[key] = value;
        }
        file
    }

    fn to_go_json(&self) -> String {
        let mut text = self.metadata.to_go_json();
        text.pop();
        for (key, value) in self.own() {
            let value = pilotis_template::json_text(&value, true);
            text.push_str(&format!(",\"{key}\":{value}"));
        }
        text.push('}');
        text
    }
}

/// A path below an address, without `.`, `..` or empty parts, as Go joins them.
fn join(base: &str, path: &str) -> String {
    let (base, query) = match base.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (base, None),
    };
    let scheme = base.find("://").map_or(0, |at| at + 3);
    let host = match scheme {
        0 => 0,
        start => base[start..].find('/').map_or(base.len(), |at| start + at),
    };
    let (origin, below) = base.split_at(host);
    let absolute = below.starts_with('/') || !origin.is_empty();
    let mut parts: Vec<&str> = Vec::new();
    for part in below.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            part => parts.push(part),
        }
    }
    let root = if absolute && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    format!("{origin}{root}{}{query}", parts.join("/"))
}

/// Compact JSON on several lines, indented by two spaces.
fn indented(compact: &str) -> String {
    let mut out = String::with_capacity(compact.len() * 2);
    let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
    let mut chars = compact.chars().peekable();
    while let Some(c) = chars.next() {
        if inside {
            inside = escaped || c != '"';
            escaped = !escaped && c == '\\';
            out.push(c);
            continue;
        }
        let closes = chars.peek().is_some_and(|next| "]}".contains(*next));
        match c {
            '[' | '{' if closes => out.push(c),
            '[' | '{' => {
                depth += 1;
                line(&mut out, c, depth);
            }
            ']' | '}' if out.ends_with(['[', '{']) => out.push(c),
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                out.push('\n');
                out.push_str(&"  ".repeat(depth));
                out.push(c);
            }
            ',' => line(&mut out, c, depth),
            ':' => out.push_str(": "),
            c => {
                inside = c == '"';
                out.push(c);
            }
        }
    }
    out
}

fn line(out: &mut String, c: char, depth: usize) {
    out.push(c);
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_joined_as_paths() {
        assert_eq!(join("", ""), "");
        assert_eq!(join("sub", "a.tgz"), "sub/a.tgz");
        assert_eq!(join("http://h", "a.tgz"), "http://h/a.tgz");
        assert_eq!(join("http://h/c/", "a.tgz"), "http://h/c/a.tgz");
        assert_eq!(join("http://h/c/../d?x=1", "a"), "http://h/d/a?x=1");
    }

    #[test]
    fn an_index_reads_as_it_was_written() {
        let files = vec![crate::File::new(
            "Chart.yaml",
            "apiVersion: v2\nname: a\nversion: 1.0.0\ndescription: 'x: \"y\" <z>'\n",
        )];
        let bytes = crate::pack(&Chart::load(files).unwrap(), 0).unwrap();
        let packaged = Packaged {
            folder: String::new(),
            file: "a-1.0.0.tgz".to_owned(),
            bytes,
        };
        let index = index_of(&[packaged], "http://h/c", "2026-11-28T00:00:00Z").unwrap();
        for form in [IndexForm::Yaml, IndexForm::Json] {
            let text = index.to_text(form, "2026-11-28T00:00:00Z");
            let again = Index::read(text.as_bytes(), "x").unwrap();
            assert_eq!(again.charts, index.charts, "{text}");
        }
    }
}
