//! A finding: one breach of one rule, ready for a person and for a program.
//!
//! The JSON form is a published contract (`pilotis check -o json`); add fields, never rename them.

use serde::{Deserialize, Serialize};

use crate::Position;

/// Weight of a requirement in the State's technical framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// « Primordiale »: a breach stops the delivery.
    P,
    /// « Importante »: a breach is reported.
    I,
}

/// A change that removes the finding and changes nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What to do, in a sentence.
    pub description: String,
    /// A unified diff against the source tree, when one is safe to apply.
    pub patch: Option<String>,
}

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id, such as `container-root-user`.
    pub rule: String,
    /// The requirement it serves, such as `EXI-ARCH-18`; none means advice.
    pub requirement: Option<String>,
    /// Weight of that requirement; advice is always [`Level::I`].
    pub level: Level,
    /// The cause in one line, in the reader's language.
    pub message: String,
    /// The object concerned, as `Kind/name` or `Kind/name container`.
    pub object: Option<String>,
    /// Where in the source: the template or values line, never the rendered one.
    #[serde(flatten)]
    pub position: Option<Position>,
    /// How to mend it.
    pub fix: Option<Fix>,
    /// Name of the derogation that covers it, if one does.
    pub derogation: Option<String>,
}
