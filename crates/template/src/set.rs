//! The templates that can call one another, by name.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::ast::Tree;
use crate::error::Error;
use crate::output::Place;
use crate::parser;

/// The text of one template file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name it was added under.
    pub name: String,
    /// Its text.
    pub text: String,
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
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let column = before.len() - start.map_or(0, |at| at + 1);
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (narrow(lines) + 1, narrow(column))
    }
}

/// Parsed templates by name. Cloning is cheap: trees are shared.
#[derive(Clone, Default)]
pub struct Set {
    pub(crate) trees: HashMap<Rc<str>, Rc<Tree>>,
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
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let source = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        self.sources.push(Arc::new(Source {
            name: name.to_string(),
            text: text.to_string(),
        }));
        for tree in parser::parse(name, text, source, self.absent)? {
            let replace = match self.trees.get(&tree.name) {
                Some(_) => !tree.is_empty(),
                None => true,
            };
            if replace {
                self.trees.insert(Rc::clone(&tree.name), Rc::new(tree));
            }
        }
        Ok(())
    }

    /// Whether a template of this name exists.
    pub fn contains(&self, name: &str) -> bool {
        self.trees.contains_key(name)
    }
}
