//! The one error of this crate: Go's words, and the place for those who can show it.

/// Why a text is not the YAML (or not the JSON-like YAML) that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Complete text as go-yaml words it, such as
    /// `yaml: line 2: mapping values are not allowed in this context`. Its line number follows
    /// go-yaml's arithmetic and can differ by one from [`Error::line`].
    pub message: String,
    /// Line of the problem, from 1.
    pub line: u32,
    /// Column of the problem in characters, from 1.
    pub column: u32,
}

impl Error {
    pub(crate) fn at(mark: crate::Mark, message: impl Into<String>) -> Self {
        Self {
            message: format!("yaml: {}", message.into()),
            line: mark.line,
            column: mark.column,
        }
    }
}
