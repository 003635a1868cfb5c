//! Diagnostics and findings: what is wrong, where in the source, and what to do next.
//!
//! Engines return these beside whatever they understood; the edge prints them. This crate knows
//! neither the rules nor the files. **Invariant:** text here never carries a secret; whoever makes
//! a finding about one names its place, not its value.

mod finding;
mod render;

pub use finding::{Finding, Fix, Level};
pub use render::{render, render_all};

use serde::{Deserialize, Serialize};

/// A place in a source file. Lines and columns start at 1 and count characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Path relative to the root that was read, with `/`.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The input cannot be used.
    Error,
    /// The input can be used; somebody should look.
    Warning,
}

/// One problem with an input: one cause, where it is, what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The cause, lower case, without a final period.
    pub message: String,
    /// Where, if the input has places.
    pub position: Option<Position>,
    /// What to do next, never glued to the message.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error with a message alone.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            position: None,
            hint: None,
        }
    }

    /// A warning with a message alone.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// The same, at a place.
    #[must_use]
    pub fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }

    /// The same, with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
