//! The templates that can call one another, by name.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;

use crate::ast::Tree;
use crate::error::Error;
use crate::output::Place;
use crate::parser;

/// The text of one template file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name it was added under.
    pub name: String,
    /// Its text, which may hold bytes that are no UTF-8; shared with the templates parsed from it.
    pub text: Bytes,
}

impl Source {
    /// Line and column of a byte offset.
    pub fn place(&self, offset: usize) -> Place {
        let (line, column) = self.line_and_column(offset);
        Place {
            template: self.name.clone(),
            line,
            column: column + 1,
        }
    }

    /// Line from 1 and byte column from 0, as Go's messages count.
    pub(crate) fn line_and_column(&self, offset: usize) -> (u32, u32) {
        let before = &self.text[..offset.min(self.text.len())];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let column = before.len() - start.map_or(0, |at| at + 1);
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (narrow(lines) + 1, narrow(column))
    }
}

/// One parsed file: what it defines, to be put into any number of sets. Cloning shares the trees.
#[derive(Clone)]
pub struct Parsed {
    source: Arc<Source>,
    absent: &'static [&'static str],
    trees: Vec<Arc<Tree>>,
}

impl Parsed {
    /// Parses a file that cannot name some functions.
    ///
    /// # Errors
    /// Go's text: `template: name:line: message`.
    pub fn parse(name: &str, text: Bytes, absent: &'static [&'static str]) -> Result<Self, Error> {
        let trees = parser::parse(name, &text, absent)?;
        let source = Source {
            name: name.to_string(),
            text,
        };
        Ok(Self {
            source: Arc::new(source),
            absent,
            trees: trees.into_iter().map(Arc::new).collect(),
        })
    }

    /// Whether parsing under this name, without these functions, gives the same.
    pub fn is(&self, name: &str, absent: &'static [&'static str]) -> bool {
        self.source.name == name && self.absent == absent
    }
}

impl std::fmt::Debug for Parsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Parsed").field(&self.source.name).finish()
    }
}

/// A tree and the file it stands in.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) tree: Arc<Tree>,
    pub(crate) source: u32,
}

/// Definitions by name.
pub(crate) type Definitions = HashMap<Arc<str>, Definition, RandomState>;

/// Parsed templates by name. Cloning is cheap: trees are shared.
#[derive(Clone, Default)]
pub struct Set {
    pub(crate) definitions: Definitions,
    pub(crate) sources: Vec<Arc<Source>>,
    pub(crate) absent: &'static [&'static str],
}

impl Set {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty set whose templates cannot name some functions.
    pub fn without(absent: &'static [&'static str]) -> Self {
        Self {
            absent,
            ..Self::default()
        }
    }

    /// Parses a file. Definitions replace earlier ones of the same name, except empty ones.
    ///
    /// # Errors
    /// Go's text: `template: name:line: message`.
    pub fn add(&mut self, name: &str, text: impl AsRef<[u8]>) -> Result<(), Error> {
        let text = Bytes::copy_from_slice(text.as_ref());
        self.put(&Parsed::parse(name, text, self.absent)?);
        Ok(())
    }

    /// Adds what a file defines, as [`Set::add`] does.
    pub fn put(&mut self, file: &Parsed) {
        let source = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(Arc::clone(&file.source));
        for tree in &file.trees {
            let replace = match self.definitions.get(&tree.name) {
                Some(_) => !tree.is_empty(),
                None => true,
            };
            if replace {
                let definition = Definition {
                    tree: Arc::clone(tree),
                    source,
                };
                self.definitions.insert(Arc::clone(&tree.name), definition);
            }
        }
    }

    /// Whether a template of this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.definitions.contains_key(name)
    }
}
