//! What Helm logs about a chart that renders all the same, told as each of its versions does.

use pilotis_template::{Tree, Value, go_text, quote};

use crate::compat::{Compat, LogStyle};

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    level: &'static str,
    message: String,
    attributes: Vec<(&'static str, String)>,
    /// Source line and text of Helm 3.
    older: (&'static str, String),
}

impl Warning {
    /// A line both majors log with the same words.
    pub(crate) fn plain(place: &'static str, message: String) -> Self {
        Self {
            level: "INFO",
            older: (place, message.clone()),
            message,
            attributes: Vec::new(),
        }
    }

    /// A line with attributes in Helm 4, and its own words in Helm 3.
    pub(crate) fn new(
        message: &str,
        attributes: Vec<(&'static str, String)>,
        older: (&'static str, String),
    ) -> Self {
        Self {
            level: "WARN",
            message: message.to_string(),
            attributes,
            older,
        }
    }

    /// The line that goes with an error, in Helm 4.
    pub(crate) fn error(message: &str, error: String) -> Self {
        Self {
            level: "ERROR",
            message: message.to_string(),
            attributes: vec![("error", error)],
            older: ("", String::new()),
        }
    }

    /// The same at a lower level.
    pub(crate) fn info(mut self) -> Self {
        self.level = "INFO";
        self
    }

    pub(crate) fn text(&self, compat: &Compat) -> String {
        match compat.log_style {
            LogStyle::Places => format!("{}: {}", self.older.0, self.older.1),
            LogStyle::Attributes => {
                let mut text = format!("level={} msg={}", self.level, value(&self.message));
                for (key, attribute) in &self.attributes {
                    text.push_str(&format!(" {key}={}", value(attribute)));
                }
                text
            }
        }
    }
}

/// A value as Go's structured text log writes it: quoted when it needs to be.
fn value(text: &str) -> String {
    let plain = |c: char| c > ' ' && c != '"' && c != '=' && c != '\u{7f}';
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_string();
    }
    quote(text.as_bytes())
}

/// A value as Go's `%v` prints it.
pub(crate) fn shown(value: &Tree) -> String {
    go_text(&Value::from_tree(value))
}
