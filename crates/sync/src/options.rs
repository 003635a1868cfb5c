//! Synchronisation options: `Name=value` texts on the application, the operation or one object.
//!
//! An object's own annotation beats the application's list; a later entry beats an earlier one.

use pilotis_kinds::argo::{COMPARE_OPTIONS, SYNC_OPTIONS};
use serde_json::Value;

use crate::object;

/// Options in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// From a list of `Name=value` texts; anything else is ignored, as upstream does.
    pub fn new<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let pair = |text: T| {
            let (name, value) = text.as_ref().trim().split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        Self(texts.into_iter().filter_map(pair).collect())
    }

    /// The options of one object: the application's, then the object's annotation.
    pub fn of_object(&self, object: &Value) -> Self {
        let own = object::annotation(object, SYNC_OPTIONS).unwrap_or_default();
        let mut all = self.clone();
        all.0.extend(Self::new(own.split(',')).0);
        all
    }

    /// The value of an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether an option is `true`.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// Whether an option is explicitly `false`.
    pub fn is_off(&self, name: &str) -> bool {
        self.get(name) == Some("false")
    }

    /// How objects depending on a deleted one go: `Foreground` unless told otherwise.
    pub fn propagation(&self) -> &'static str {
        match self.get("PrunePropagationPolicy") {
            Some("background") => "Background",
            Some("orphan") => "Orphan",
            _ => "Foreground",
        }
    }
}

/// Whether an undeclared object may stay without making its application `OutOfSync`.
pub fn ignores_extraneous(object: &Value) -> bool {
    let options = object::annotation(object, COMPARE_OPTIONS).unwrap_or_default();
    options
        .split(',')
        .any(|option| option.trim() == "IgnoreExtraneous")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_objects_annotation_beats_the_application() {
        let application = Options::new(["Prune=true", "Replace=true", "nonsense"]);
        let object =
            json!({"metadata": {"annotations": {SYNC_OPTIONS: "Prune=false, Force=true"}}});
        let options = application.of_object(&object);
        assert!(options.is_off("Prune"));
        assert!(options.is_on("Replace") && options.is_on("Force"));
        assert_eq!(options.get("nonsense"), None);
        assert_eq!(options.propagation(), "Foreground");
    }
}
