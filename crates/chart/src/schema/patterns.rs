//! Patterns of a schema, which Helm reads as Go does and our validator as ECMA 262 does.
//!
//! The validator is given other ones that mean the same to it; one Go refuses becomes one it
//! refuses too. What is told of them names those that were written.

use std::collections::HashMap;

use pilotis_template::Pattern;
use serde_json::{Map, Value as Json};

use super::plain::{Shape, shape};

/// Begins what no validator takes here: it looks around.
const REFUSED: &str = "(?=";

/// Patterns as they were written, by those that stand for them.
pub(super) struct Originals(HashMap<String, String>);

impl Originals {
    /// What was written for a text of the schema.
    pub(super) fn of<'a>(&'a self, text: &'a str) -> &'a str {
        self.0.get(text).map_or(text, String::as_str)
    }
}

/// Lets the validator read the patterns of a schema as Go does.
pub(super) fn translate(schema: &mut Json) -> Originals {
    let mut originals = Originals(HashMap::new());
    originals.inner(schema);
    originals
}

impl Originals {
    fn inner(&mut self, schema: &mut Json) {
        match schema {
            Json::Object(keywords) => {
                for (keyword, value) in keywords.iter_mut() {
                    self.keyword(keyword, value);
                }
            }
            Json::Array(schemas) => schemas.iter_mut().for_each(|one| self.inner(one)),
            _ => {}
        }
    }

    fn keyword(&mut self, keyword: &str, value: &mut Json) {
        match (shape(keyword), value) {
            (Shape::Pattern, Json::String(pattern)) => *pattern = self.translated(pattern),
            (Shape::Schema | Shape::Schemas, schemas) => self.inner(schemas),
            (Shape::SchemaMap, Json::Object(entries)) => {
                entries.values_mut().for_each(|one| self.inner(one));
            }
            (Shape::PatternMap, Json::Object(entries)) => self.keys(entries),
            (Shape::Special, Json::Object(entries)) if keyword == "dependencies" => {
                entries.values_mut().for_each(|one| self.inner(one));
            }
            _ => {}
        }
    }

    /// Patterns that are keys; of two that become one, the second stays as it is.
    fn keys(&mut self, entries: &mut Map<String, Json>) {
        let mut translated = Map::new();
        for (pattern, mut schema) in std::mem::take(entries) {
            self.inner(&mut schema);
            let key = self.translated(&pattern);
            let is_known = translated.contains_key(&key);
            translated.insert(if is_known { pattern } else { key }, schema);
        }
        *entries = translated;
    }

    fn translated(&mut self, pattern: &str) -> String {
        let translated = match Pattern::translate(pattern) {
            Ok(translated) => translated,
            Err(_) => format!("{REFUSED}{pattern}"),
        };
        if translated != pattern {
            self.0.insert(translated.clone(), pattern.to_owned());
        }
        translated
    }
}
