//! `index.yaml`, or the same in JSON, to its charts.

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;

use super::blocks::{Block, cut};
use super::{Index, IndexEntry};
use crate::errors::Error;
use crate::metadata::Metadata;

/// Largest index that is read, in bytes.
pub const INDEX_BYTES_MAX: usize = 64 << 20;
/// Largest index that is read when its shape does not let it be cut into charts, in bytes.
pub const IRREGULAR_INDEX_BYTES_MAX: usize = 8 << 20;

/// Fields an index may have.
const HEAD_FIELDS: [&str; 6] = [
    "serverinfo",
    "apiversion",
    "generated",
    "entries",
    "publickeys",
    "annotations",
];
/// Fields one version may have, beside those of `Chart.yaml`.
const ENTRY_FIELDS: [&str; 8] = [
    "urls",
    "created",
    "removed",
    "digest",
    "checksum",
    "engine",
    "tillerversion",
    "url",
];
/// Fields of `Chart.yaml`.
const CHART_FIELDS: [&str; 17] = [
    "name",
    "home",
    "sources",
    "version",
    "description",
    "keywords",
    "maintainers",
    "icon",
    "apiversion",
    "condition",
    "tags",
    "appversion",
    "deprecated",
    "annotations",
    "kubeversion",
    "dependencies",
    "type",
];

impl Index {
    /// Reads a whole index and keeps the names of its charts and the warnings only.
    ///
    /// # Errors
    /// As [`Index::read`].
    pub fn read_names(bytes: &[u8], source: &str) -> Result<Self, Error> {
        let what = Reading {
            source,
            only: None,
            names_only: true,
        };
        what.index(bytes)
    }

    /// Reads a whole index; `source` names it in messages.
    ///
    /// # Errors
    /// In Helm's words: an empty text, no YAML, a field that does not exist, no `apiVersion`.
    pub fn read(bytes: &[u8], source: &str) -> Result<Self, Error> {
        let what = Reading {
            source,
            only: None,
            names_only: false,
        };
        what.index(bytes)
    }

    /// Reads the versions of one chart of an index; the others are not looked into.
    ///
    /// # Errors
    /// As [`Index::read`], as far as it looks.
    pub fn read_chart(bytes: &[u8], source: &str, name: &str) -> Result<Self, Error> {
        let what = Reading {
            source,
            only: Some(name),
            names_only: false,
        };
        what.index(bytes)
    }
}

/// What is read, from where.
struct Reading<'a> {
    source: &'a str,
    only: Option<&'a str>,
    names_only: bool,
}

impl Reading<'_> {
    fn index(&self, bytes: &[u8]) -> Result<Index, Error> {
        if bytes.is_empty() {
            return Err(Error::new("empty index.yaml file"));
        }
        if bytes.len() > INDEX_BYTES_MAX {
            let message = format!("index is larger than {INDEX_BYTES_MAX} bytes");
            return Err(Error::new(message));
        }
        let utf8 =
            |_| Error::new("error converting YAML to JSON: yaml: invalid leading UTF-8 octet");
        let text = std::str::from_utf8(bytes).map_err(utf8)?;
        let mut index = Index::default();
        let version = match self.json(text, &mut index)? {
            Some(version) => version,
            None => self.yaml(text, &mut index)?,
        };
        if version.is_empty() {
            return Err(Error::new("no API version specified"));
        }
        Ok(index)
    }

    /// The index and its `apiVersion`, when the text is JSON.
    fn json(&self, text: &str, index: &mut Index) -> Result<Option<String>, Error> {
        if !text.trim_start().starts_with('{') {
            return Ok(None);
        }
        let wanted = Wanted(self.only);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let Ok(read) = wanted.read(&mut deserializer) else {
            return Ok(None);
        };
        if deserializer.end().is_err() {
            return Ok(None);
        }
        for (name, versions) in read.charts {
            self.add(index, name, versions, false)?;
        }
        Ok(Some(read.api_version))
    }

    fn yaml(&self, text: &str, index: &mut Index) -> Result<String, Error> {
        if let Some(found) = self.cut_yaml(text) {
            let (version, whole) = found?;
            *index = whole;
            return Ok(version);
        }
        if text.len() > IRREGULAR_INDEX_BYTES_MAX {
            return Err(Error::new(format!(
                "index is larger than {IRREGULAR_INDEX_BYTES_MAX} bytes and not in block style"
            )));
        }
        let mut json = object(parse(text)?)?;
        refuse_unknown(&json, &[&HEAD_FIELDS])?;
        if let Json::Object(charts) = json["entries"].take() {
            for (name, versions) in charts {
                if self.only.is_none_or(|only| only == name) {
                    self.add(index, name, list(versions)?, true)?;
                }
            }
        }
        Ok(json["apiVersion"].as_str().unwrap_or_default().to_owned())
    }

    /// The index block by block; nothing when it cannot be cut, or was cut where it may not be.
    fn cut_yaml(&self, text: &str) -> Option<Result<(String, Index), Error>> {
        let cut = cut(text)?;
        let head = parse(&cut.head).and_then(object).ok()?;
        let mut index = Index::default();
        if let Err(error) = refuse_unknown(&head, &[&HEAD_FIELDS]) {
            return Some(Err(error));
        }
        let version = head["apiVersion"].as_str().unwrap_or_default().to_owned();
        // A block without a plain key may be the chart under another spelling.
        let maybe = |block: &&Block<'_>| {
            self.only.is_none() || block.name.is_none() || block.name == self.only
        };
        for block in cut.blocks.iter().filter(maybe) {
            if let Err(error) = self.block(block, &mut index)? {
                return Some(Err(error));
            }
        }
        Some(Ok((version, index)))
    }

    /// Adds the chart of one block; nothing when the block is not one.
    fn block(&self, block: &Block<'_>, index: &mut Index) -> Option<Result<(), Error>> {
        let Json::Object(charts) = parse(block.text).ok()? else {
            return None;
        };
        for (name, versions) in charts {
            if self.only.is_some_and(|only| only != name) {
                continue;
            }
            if index.charts.contains_key(&name) {
                // The whole text has the line number of the second one.
                return None;
            }
            let added = list(versions).and_then(|versions| self.add(index, name, versions, true));
            if added.is_err() {
                return Some(added);
            }
        }
        Some(Ok(()))
    }

    fn add(
        &self,
        index: &mut Index,
        name: String,
        versions: Vec<Json>,
        strict: bool,
    ) -> Result<(), Error> {
        let mut kept = Vec::new();
        for json in versions {
            let skipping = format!("skipping loading invalid entry for chart {name:?}");
            if json.is_null() {
                let from = self.source;
                index.warn(&format!("{skipping} from {from}: empty entry"));
                continue;
            }
            if strict {
                refuse_unknown(&json, &[&ENTRY_FIELDS, &CHART_FIELDS])?;
            }
            let mut entry = entry(json)?;
            match usable(&mut entry.metadata) {
                Ok(()) => kept.push(entry),
                Err(reason) => {
                    let (version, from) = (&entry.metadata.version, self.source);
                    index.warn(&format!("{skipping} {version:?} from {from}: {reason}"));
                }
            }
        }
        if self.names_only {
            kept.clear();
        }
        index.add(name, kept);
        Ok(())
    }
}

impl Index {
    fn warn(&mut self, message: &str) {
        let quoted = pilotis_template::quote(message.as_bytes());
        self.warnings.push(format!("level=WARN msg={quoted}"));
    }
}

/// Refuses a version nobody could install; two dependencies of one name are no reason.
fn usable(metadata: &mut Metadata) -> Result<(), Error> {
    match metadata.validate() {
        Err(error)
            if error
                .message
                .contains("more than one dependency with name or alias") =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Only an object has fields to ask for.
fn object(json: Json) -> Result<Json, Error> {
    match json {
        Json::Object(_) => Ok(json),
        Json::Null => Ok(Json::Object(serde_json::Map::new())),
        _ => Err(Error::new(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal something that \
             has no fields",
        )),
    }
}

fn entry(json: Json) -> Result<IndexEntry, Error> {
    let mut json = object(json)?;
    let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
    let urls = list(json["urls"].take())?;
    let (created, digest) = (text(&json["created"]), text(&json["digest"]));
    let removed = json["removed"].as_bool().unwrap_or_default();
    let mut metadata = Metadata::from_json(json)?;
    if metadata.api_version.is_empty() {
        "v1".clone_into(&mut metadata.api_version);
    }
    Ok(IndexEntry {
        metadata,
        urls: urls.iter().map(text).collect(),
        created,
        removed,
        digest,
    })
}

fn parse(text: &str) -> Result<Json, Error> {
    let wrap = |error| Error::new(format!("error converting YAML to JSON: {error}"));
    match pilotis_yaml::parse_first(text).map_err(wrap)? {
        Some(node) => pilotis_yaml::to_json_strict(&node).map_err(wrap),
        None => Ok(Json::Null),
    }
}

fn list(json: Json) -> Result<Vec<Json>, Error> {
    match json {
        Json::Array(items) => Ok(items),
        Json::Null => Ok(Vec::new()),
        _ => Err(Error::new(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal an entry that \
             is not a list",
        )),
    }
}

fn refuse_unknown(json: &Json, known: &[&[&str]]) -> Result<(), Error> {
    let Json::Object(map) = json else {
        return Ok(());
    };
    let is_known = |key: &str| {
        let key = key.to_ascii_lowercase();
        known.iter().any(|list| list.contains(&key.as_str()))
    };
    match map.keys().find(|key| !is_known(key)) {
        Some(key) => Err(Error::new(format!(
            "error unmarshaling JSON: while decoding JSON: json: unknown field {key:?}"
        ))),
        None => Ok(()),
    }
}

/// Which charts of a JSON index are kept.
#[derive(Clone, Copy)]
struct Wanted<'a>(Option<&'a str>);

#[derive(Default)]
struct Kept {
    api_version: String,
    charts: Vec<(String, Vec<Json>)>,
}

impl<'a> Wanted<'a> {
    fn read<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Kept, D::Error> {
        deserializer.deserialize_map(Head(self))
    }
}

struct Head<'a>(Wanted<'a>);

impl<'de> Visitor<'de> for Head<'_> {
    type Value = Kept;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kept, A::Error> {
        let mut kept = Kept::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "apiVersion" => kept.api_version = map.next_value()?,
                "entries" => kept.charts = map.next_value_seed(Entries(self.0))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(kept)
    }
}

struct Entries<'a>(Wanted<'a>);

impl<'de> serde::de::DeserializeSeed<'de> for Entries<'_> {
    type Value = Vec<(String, Vec<Json>)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Vec<(String, Vec<Json>)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("charts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut charts = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if self.0.0.is_none_or(|only| only == name) {
                let versions = map.next_value::<Option<Vec<Json>>>()?;
                charts.push((name, versions.unwrap_or_default()));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(charts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "apiVersion: v1\nentries:\n  a:\n  - {name: a, version: 1.0.0, urls: [a-1.tgz]}\n  - {name: a, version: 1.1.0, urls: [a-2.tgz]}\n  b:\n  - {name: b, version: 1.0.0}\n";

    fn names(index: &Index) -> Vec<&str> {
        index.charts().map(|(name, _)| name).collect()
    }

    #[test]
    fn an_index_is_read_whole_or_in_part() {
        let all = Index::read(INDEX.as_bytes(), "x").unwrap();
        assert_eq!(names(&all), ["a", "b"]);
        assert_eq!(all.versions("a").unwrap()[0].urls, ["a-2.tgz"]);
        let one = Index::read_chart(INDEX.as_bytes(), "x", "b").unwrap();
        assert_eq!(names(&one), ["b"]);
    }

    #[test]
    fn json_flow_style_and_anchors_read_the_same() {
        let json = r#"{"apiVersion": "v1", "more": 1, "entries": {"a": [{"name": "a", "version": "1.0.0"}]}}"#;
        let flow = "{apiVersion: v1, entries: {a: [{name: a, version: 1.0.0}]}}";
        let anchor = "apiVersion: v1\nentries:\n  b: &x\n  - {name: a, version: 1.0.0}\n  a: *x\n";
        for text in [json, flow, anchor] {
            let index = Index::read_chart(text.as_bytes(), "x", "a").unwrap();
            assert_eq!(index.versions("a").unwrap().len(), 1, "{text}");
        }
    }

    #[test]
    fn a_key_that_is_no_text_is_the_text_it_becomes() {
        for (key, name) in [
            ("y", "true"),
            ("0x10", "16"),
            ("'y'", "y"),
            ("\"0x10\"", "0x10"),
        ] {
            let text =
                format!("apiVersion: v1\nentries:\n  {key}:\n  - {{name: a, version: 1.0.0}}\n");
            let one = Index::read_chart(text.as_bytes(), "x", name).unwrap();
            assert_eq!(one.versions(name).unwrap().len(), 1, "{key}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let error = |text: &str| Index::read(text.as_bytes(), "x").unwrap_err().message;
        assert_eq!(error(""), "empty index.yaml file");
        assert_eq!(error("entries: {}\n"), "no API version specified");
        let unknown =
            "apiVersion: v1\nentries:\n  a:\n  - {name: a, version: 1.0.0, colour: red}\n";
        assert!(error(unknown).ends_with("unknown field \"colour\""));
        for odd in ["[]\n", "x\n", "apiVersion: v1\nentries:\n  a:\n  - - b\n"] {
            assert!(error(odd).contains("no fields"), "{odd}: {}", error(odd));
        }
        let twice = "apiVersion: v1\nentries:\n  a: []\n  a: []\n";
        assert!(
            error(twice).contains("already set in map"),
            "{}",
            error(twice)
        );
    }

    #[test]
    fn an_invalid_version_is_skipped_with_a_warning() {
        let text = "apiVersion: v1\nentries:\n  a:\n  - {name: a, version: 1.x.y}\n  - null\n";
        let index = Index::read(text.as_bytes(), "there").unwrap();
        assert!(index.versions("a").unwrap().is_empty());
        assert_eq!(index.warnings.len(), 2);
        assert!(index.warnings[0].contains("from there: validation: chart.metadata.version"));
    }
}
