//! Values that were found right once and have to stay so, kept beside the suite in
//! `__snapshot__/NAME.snap`, in the format of helm-unittest.
//!
//! What is compared is the values, not their text: another way to write the same is the same.

use std::collections::BTreeMap;

use pilotis_yaml::{Flavour, emit};
use serde_json::{Map, Value as Json};

use crate::errors::Error;

/// By test, then by how many came before in it.
type Kept = BTreeMap<String, BTreeMap<u32, String>>;

/// The snapshots of one file of suites.
#[derive(Debug, Clone, Default)]
pub struct Snapshots {
    kept: Kept,
    used: Kept,
    /// Whether what differs is taken as right.
    pub updates: bool,
    test: String,
    count: u32,
    changed: bool,
}

impl Snapshots {
    /// Reads a snapshot file.
    ///
    /// # Errors
    /// A text that is no snapshot file.
    pub fn read(text: &str) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::new(format!("this is no snapshot file: {reason}"));
        let documents = pilotis_yaml::read_json(text).map_err(|error| wrong(&error.message))?;
        let mut snapshots = Self::default();
        for document in documents {
            let tests = document
                .as_object()
                .ok_or_else(|| wrong("it holds no tests"))?;
            for (test, values) in tests {
                let values = values
                    .as_object()
                    .ok_or_else(|| wrong("a test holds no values"))?;
                let own = snapshots.kept.entry(test.clone()).or_default();
                for (count, value) in values {
                    let count = count.parse().map_err(|_| wrong("a value has no number"))?;
                    own.insert(count, value.as_str().unwrap_or_default().to_string());
                }
            }
        }
        Ok(snapshots)
    }

    /// The file, when it is not what it was: values that are new, or taken as right.
    pub fn changed(&self) -> Option<String> {
        let forgotten = self.updates && self.kept != self.used;
        if !self.changed && !forgotten {
            return None;
        }
        let mut all = if self.updates {
            Kept::new()
        } else {
            self.kept.clone()
        };
        for (test, values) in &self.used {
            all.entry(test.clone()).or_default().extend(values.clone());
        }
        let tests = all.into_iter().map(|(test, values)| {
            let values = values
                .into_iter()
                .map(|(count, text)| (count.to_string(), text.into()));
            (test, Json::Object(Map::from_iter(values)))
        });
        let text = emit(&Json::Object(Map::from_iter(tests)), Flavour::GoV3);
        // Numbers are numbers there.
        let lines = text.lines().map(|line| match line.strip_prefix("  \"") {
            Some(rest) if rest.contains("\": |") => format!("  {}", rest.replacen('"', "", 1)),
            _ => line.to_string(),
        });
        Some(lines.map(|line| line + "\n").collect())
    }

    pub(super) fn begin(&mut self, test: &str) {
        self.test = test.to_string();
        self.count = 0;
    }

    /// Whether a value is the one that was kept; one that is new is kept.
    pub(super) fn compare(&mut self, value: &Json) -> Result<(), String> {
        self.count += 1;
        let text = emit(value, Flavour::GoV3);
        let kept = self
            .kept
            .get(&self.test)
            .and_then(|values| values.get(&self.count));
        let before = kept.cloned();
        let is_same = match &before {
            None => {
                self.changed = true;
                true
            }
            Some(before) => means(before).as_ref() == Some(value),
        };
        let keeps = match before {
            Some(before) if is_same || !self.updates => before,
            _ => {
                self.changed = true;
                text.clone()
            }
        };
        let used = self.used.entry(self.test.clone()).or_default();
        used.insert(self.count, keeps.clone());
        if is_same || self.updates {
            return Ok(());
        }
        let lines = similar::TextDiff::from_lines(keeps.as_str(), text.as_str());
        let diff = lines.unified_diff().context_radius(2).to_string();
        Err(format!(
            "snapshot {} is another (- kept, + found; `--update-snapshot` keeps what is found)\n{}",
            self.count,
            diff.trim_end()
        ))
    }
}

/// The value of a text that was kept.
fn means(text: &str) -> Option<Json> {
    let node = pilotis_yaml::parse_first(text).ok().flatten()?;
    pilotis_yaml::to_json(&node).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_kept_and_compared() {
        let mut first = Snapshots::default();
        first.begin("it works");
        first.compare(&json!({"a": [1, 2]})).unwrap();
        first.compare(&json!("text")).unwrap();
        let file = first.changed().unwrap();
        assert_eq!(
            file,
            "it works:\n  1: |\n    a:\n      - 1\n      - 2\n  2: |\n    text\n"
        );
        let mut second = Snapshots::read(&file).unwrap();
        second.begin("it works");
        second.compare(&json!({"a": [1, 2]})).unwrap();
        assert!(
            second
                .compare(&json!("other"))
                .unwrap_err()
                .contains("-text\n+other")
        );
        assert_eq!(second.changed(), None);
        let mut third = Snapshots::read(&file).unwrap();
        third.updates = true;
        third.begin("it works");
        third.compare(&json!({"a": [3]})).unwrap();
        let file = third.changed().unwrap();
        assert_eq!(file, "it works:\n  1: |\n    a:\n      - 3\n");
    }
}
