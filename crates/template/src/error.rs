//! Errors with Go's texts, and the chain of causes that Helm formats.

use std::ops::{Deref, DerefMut};

use crate::output::Place;

/// One error of the chain, outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The complete text at this level, causes included.
    pub text: String,
    /// Whether text/template itself made this level while executing.
    pub is_exec: bool,
}

/// Why a template cannot be parsed or executed: a [`Failure`], held by a pointer because every
/// result of parsing and executing has room for one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct Error(Box<Failure>);

/// What is known of an [`Error`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The chain, outermost first; never empty.
    pub chain: Vec<Trace>,
    /// Where the innermost problem is.
    pub place: Option<Place>,
    /// Paths of the values that were read on the way to the innermost problem, such as `image.tag`;
    /// the one it is about comes first when that is known.
    pub reads: Vec<String>,
}

impl Error {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self(Box::new(Failure {
            chain: vec![Trace {
                text: text.into(),
                is_exec: false,
            }],
            place: None,
            reads: Vec::new(),
        }))
    }

    /// The complete text.
    pub fn text(&self) -> &str {
        self.chain.first().map_or("", |trace| trace.text.as_str())
    }

    /// A level around this error; `text` already ends with this error's text.
    pub(crate) fn wrapped(mut self, text: String, is_exec: bool) -> Self {
        self.chain.insert(0, Trace { text, is_exec });
        self
    }
}

impl Deref for Error {
    type Target = Failure;

    fn deref(&self) -> &Failure {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Failure {
        &mut self.0
    }
}

/// What Go says where a program follows a pointer to nothing.
pub(crate) const NIL_POINTER: &str =
    "runtime error: invalid memory address or nil pointer dereference";

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}
