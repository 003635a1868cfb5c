//! Why a chart cannot be loaded or rendered, in Helm's words, with our places beside them.

use pilotis_report::{Diagnostic, Position};

use crate::compat::ErrorStyle;
use crate::explain::Explanation;

/// Why a chart cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What `helm` prints after `Error: `.
    pub message: String,
    /// Where in the sources the problem is, when it has one place.
    pub position: Option<Position>,
    /// Whether a release was made and only its text is wrong, which Helm gives advice about.
    pub(crate) after_values: bool,
    /// What Helm logged before it failed, one line each.
    pub warnings: Vec<String>,
    /// What is said after Helm's words.
    pub explanation: Option<Box<Explanation>>,
    /// Values whose text stands near the problem, and where templates write them.
    pub(crate) written: Vec<(String, Position)>,
}

/// What Helm says after an error of a chart whose values were fine.
const ADVICE: &str = "\n\nUse --debug flag to render out invalid YAML";

impl Error {
    /// An error without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            position: None,
            after_values: false,
            warnings: Vec::new(),
            explanation: None,
            written: Vec::new(),
        }
    }

    pub(crate) fn at(message: impl Into<String>, position: Option<Position>) -> Self {
        Self {
            message: message.into(),
            position,
            after_values: false,
            warnings: Vec::new(),
            explanation: None,
            written: Vec::new(),
        }
    }

    /// The same error, said of something.
    pub fn about(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What `helm template` prints after `Error: `, advice included.
    pub fn printed(&self) -> String {
        let advice = if self.after_values { ADVICE } else { "" };
        format!("{}{advice}", self.message)
    }

    /// Whether Helm advises `--debug` after it.
    pub fn is_advised(&self) -> bool {
        self.after_values
    }

    /// The same error of somebody who has followed the advice.
    pub fn advice_followed(mut self) -> Self {
        self.after_values = false;
        self
    }

    /// The same error of a chart whose values were fine.
    pub(crate) fn after_values(mut self) -> Self {
        self.after_values = true;
        self
    }

    /// The same for a reader: one message, one place.
    pub fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::error(self.message.clone());
        match &self.position {
            Some(position) => diagnostic.at(position.clone()),
            None => diagnostic,
        }
    }

    /// A template that does not parse.
    pub(crate) fn parse(file: &str, error: &pilotis_template::Error) -> Self {
        let text = error.text();
        let tokens: Vec<&str> = text.split(": ").collect();
        let message = match tokens.as_slice() {
            [_, location, .., last] => format!("parse error at ({location}): {last}"),
            _ => format!("parse error in ({file}): {text}"),
        };
        Self::at(message, place(error))
    }

    /// A template that fails while it runs.
    pub(crate) fn execution(
        file: &str,
        error: &pilotis_template::Error,
        style: ErrorStyle,
    ) -> Self {
        Self::at(execution_text(file, error, style), place(error))
    }
}

fn place(error: &pilotis_template::Error) -> Option<Position> {
    error.place.as_ref().map(|place| Position {
        file: place.template.clone(),
        line: place.line,
        column: place.column,
    })
}

/// The text between the marks `required` and `fail` put around theirs.
fn wrapped(text: &str) -> Option<&str> {
    let start = text.find("HELM_ERR_START")? + "HELM_ERR_START".len();
    let end = text.rfind("HELM_ERR_END")?;
    text.get(start..end)
}

fn execution_text(file: &str, error: &pilotis_template::Error, style: ErrorStyle) -> String {
    let whole = error.text();
    if !error.chain.first().is_some_and(|trace| trace.is_exec) {
        return whole.to_string();
    }
    let mut tokens = whole.splitn(3, ": ");
    let (Some(_), Some(location), Some(rest)) = (tokens.next(), tokens.next(), tokens.next())
    else {
        return format!("execution error in ({file}): {whole}");
    };
    if let Some(message) = wrapped(rest) {
        return format!("execution error at ({location}): {message}");
    }
    if style == ErrorStyle::OneLine {
        return whole.to_string();
    }
    let mut traces: Vec<Trace> = Vec::new();
    for trace in &error.chain {
        match Trace::read(&trace.text) {
            None => return whole.to_string(),
            Some(trace) if traces.last() == Some(&trace) => {}
            Some(trace) => traces.push(trace),
        }
    }
    let text: String = traces.iter().map(Trace::text).collect();
    text.trim().to_string()
}

/// One level of an execution error, taken apart again from its text as Helm does.
#[derive(PartialEq, Eq)]
struct Trace<'a> {
    location: &'a str,
    message: &'a str,
    executed: String,
}

impl<'a> Trace<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some(Self {
                location: "",
                message: text,
                executed: String::new(),
            });
        }
        if let Some(trace) = Self::read_executing(rest) {
            return Some(trace);
        }
        let (location, message) = rest.rsplit_once(": ")?;
        Some(Self {
            location,
            message: cut(message),
            executed: String::new(),
        })
    }

    fn read_executing(rest: &'a str) -> Option<Self> {
        let (location, after) = rest.split_once(": executing ")?;
        let (name, after) = after.strip_prefix('"')?.split_once('"')?;
        let (node, message) = after.strip_prefix(" at <")?.split_once(">: ")?;
        Some(Self {
            location,
            message: cut(message),
            executed: format!("executing \"{name}\" at <{node}>:"),
        })
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if !self.location.is_empty() {
            out.push_str(&format!("{}\n  ", self.location));
        }
        if !self.executed.is_empty() {
            out.push_str(&format!("{}\n    ", self.executed));
        }
        if !self.message.is_empty() {
            out.push_str(&format!("{}\n", self.message));
        }
        out
    }
}

/// The message without the text of its cause.
fn cut(message: &str) -> &str {
    message
        .find(" template:")
        .map_or(message, |at| &message[..at])
}
