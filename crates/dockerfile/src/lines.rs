//! Physical lines to logical lines: directives, comments, continuations, heredoc bodies.
//!
//! Comments and blank lines inside a continued instruction are dropped, as the reference parser
//! does. Nothing here knows what an instruction means, save which keywords may carry heredocs.

use crate::instruction::{Heredoc, Span};
use crate::words;

/// A logical line.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) span: Span,
    /// Keyword and arguments, continuations joined.
    pub(crate) text: String,
    pub(crate) heredocs: Vec<Heredoc>,
    /// A heredoc whose terminator never came.
    pub(crate) unterminated: Option<String>,
}

/// Directives at the top of the file.
#[derive(Debug, Default)]
pub(crate) struct Directives {
    pub(crate) escape: Option<String>,
    pub(crate) syntax: Option<String>,
    pub(crate) check: Option<String>,
}

/// Reads `# key=value` lines until the first line that is not one.
pub(crate) fn directives(text: &str) -> Directives {
    let mut found = Directives::default();
    for line in text.lines() {
        let Some((key, value)) = directive(line) else {
            break;
        };
        let slot = match key.as_str() {
            "escape" => &mut found.escape,
            "syntax" => &mut found.syntax,
            "check" => &mut found.check,
            _ => break,
        };
        if slot.is_some() {
            break;
        }
        *slot = Some(value);
    }
    found
}

fn directive(line: &str) -> Option<(String, String)> {
    let (key, value) = line.trim().strip_prefix('#')?.split_once('=')?;
    let key = key.trim().to_ascii_lowercase();
    let named = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric());
    named.then(|| (key, value.trim().to_owned()))
}

/// Comments with their line number.
pub(crate) type Comments = Vec<(u32, String)>;

/// Splits a file in logical lines.
pub(crate) fn split(text: &str, escape: char) -> (Vec<Line>, Comments) {
    let mut reader = Reader {
        lines: text.lines().collect(),
        next: 0,
        escape,
        comments: Vec::new(),
    };
    let mut out = Vec::new();
    while let Some(line) = reader.logical() {
        out.push(line);
    }
    (out, reader.comments)
}

struct Reader<'a> {
    lines: Vec<&'a str>,
    next: usize,
    escape: char,
    comments: Comments,
}

impl Reader<'_> {
    fn logical(&mut self) -> Option<Line> {
        let first = loop {
            let line = *self.lines.get(self.next)?;
            self.next += 1;
            if !self.skipped(line) {
                break line;
            }
        };
        let start = self.next as u32;
        let column = first.chars().take_while(|c| c.is_whitespace()).count() as u32 + 1;
        let text = self.joined(first.trim_start());
        let (heredocs, unterminated) = self.heredocs(&text);
        let span = Span {
            line: start,
            column,
            line_end: self.next as u32,
        };
        Some(Line {
            span,
            text,
            heredocs,
            unterminated,
        })
    }

    fn skipped(&mut self, line: &str) -> bool {
        let trimmed = line.trim();
        if let Some(comment) = trimmed.strip_prefix('#') {
            self.comments
                .push((self.next as u32, comment.trim().to_owned()));
        }
        trimmed.is_empty() || trimmed.starts_with('#')
    }

    fn joined(&mut self, first: &str) -> String {
        let Some(head) = self.continued(first) else {
            return first.trim_end().to_owned();
        };
        let mut text = head.to_owned();
        while let Some(line) = self.lines.get(self.next).copied() {
            self.next += 1;
            if self.skipped(line) {
                continue;
            }
            match self.continued(line) {
                Some(head) => text.push_str(head),
                None => {
                    text.push_str(line);
                    break;
                }
            }
        }
        text.trim_end().to_owned()
    }

    /// The line without its continuation character, if it has one that is not itself escaped.
    fn continued<'b>(&self, line: &'b str) -> Option<&'b str> {
        let head = line
            .trim_end_matches([' ', '\t'])
            .strip_suffix(self.escape)?;
        (!head.ends_with(self.escape)).then_some(head)
    }

    fn heredocs(&mut self, text: &str) -> (Vec<Heredoc>, Option<String>) {
        let mut found = Vec::new();
        if !carries_heredocs(text) {
            return (found, None);
        }
        for word in words::split(text, self.escape) {
            let Some((name, expand, chomp)) = words::heredoc(&word) else {
                continue;
            };
            match self.body(&name, chomp) {
                Some(content) => found.push(Heredoc {
                    word,
                    name,
                    content,
                    expand,
                }),
                None => return (found, Some(name)),
            }
        }
        (found, None)
    }

    fn body(&mut self, name: &str, chomp: bool) -> Option<String> {
        let mut content = String::new();
        while let Some(line) = self.lines.get(self.next).copied() {
            self.next += 1;
            let line = if chomp {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if line == name {
                return Some(content);
            }
            content.push_str(line);
            content.push('\n');
        }
        None
    }
}

fn carries_heredocs(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace().map(str::to_ascii_uppercase);
    let first = words.next().unwrap_or_default();
    let keyword = match first.as_str() {
        "ONBUILD" => words.next().unwrap_or_default(),
        _ => first,
    };
    text.contains("<<") && matches!(keyword.as_str(), "RUN" | "COPY" | "ADD")
}
