//! Tables, keys and values, in the order of the text.
//!
//! The place in the document is not put back when something is wrong: it tells which key came
//! last.

use std::rc::Rc;

use super::DEPTH_MAX;
use super::document::{Document, Form, Name, Node, Refused};
use super::numbers::scalar;
use super::scanner::{Found, Mistake, Scanner, quoted};
use super::strings;
use crate::literal::quote;
use crate::value::{Map, Value};

const END_OF_NAME: &str = "unexpected end of table name (table names cannot be empty)";
const NAME_SEPARATOR: &str = "unexpected table separator (table names cannot be empty)";

/// What reads one text.
pub(super) struct Reader<'t> {
    scanner: Scanner<'t>,
    document: Document,
    /// Where the last key began; what is wrong with a key is told of its line.
    key_at: usize,
    /// How many arrays and inline tables are open.
    nesting: usize,
}

/// The parts of a key and its value.
type Pair = (Vec<Name>, Node);

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            scanner: Scanner::new(text),
            document: Document::new(),
            key_at: 0,
            nesting: 0,
        }
    }

    /// The table of the whole text, or what is wrong.
    pub(super) fn read(mut self) -> Result<Map, String> {
        let Err(Mistake { line, message }) = self.text() else {
            return Ok(self.document.into_map());
        };
        Err(match self.document.last_key() {
            key if key.is_empty() => format!("toml: line {line}: {message}"),
            key => {
                let key = quote(key.as_bytes());
                format!("toml: line {line} (last key {key}): {message}")
            }
        })
    }

    /// A mistake told of the line of the last key.
    fn accepted<T>(&self, result: Refused<T>) -> Found<T> {
        result.map_err(|message| self.scanner.wrong_at(self.key_at, message))
    }

    fn text(&mut self) -> Found<()> {
        loop {
            match self.scanner.peek()? {
                None => return Ok(()),
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.scanner.advance()?;
                }
                Some('#') => self.comment()?,
                Some('[') => {
                    self.header()?;
                    self.end_of_line()?;
                }
                Some(_) => {
                    let outer = self.document.context;
                    self.pair()?;
                    self.document.context = outer;
                    self.document.key = Rc::from("");
                    self.end_of_line()?;
                }
            }
        }
    }

    fn comment(&mut self) -> Found<()> {
        self.scanner.skip(|c| c != '\n' && c != '\r')
    }

    fn end_of_line(&mut self) -> Found<()> {
        self.scanner.skip_blanks()?;
        if self.scanner.peek()? == Some('#') {
            return self.comment();
        }
        match self.scanner.advance()? {
            None | Some('\n' | '\r') => Ok(()),
            other => Err(self.scanner.wrong(format!(
                "expected a top-level item to end with a newline, comment, or EOF, but got {} \
                 instead",
                quoted(other)
            ))),
        }
    }

    /// `[a.b]` or `[[a.b]]`.
    fn header(&mut self) -> Found<()> {
        self.scanner.advance()?;
        let form = match self.scanner.take('[')? {
            true => Form::OneOfMany,
            false => Form::One,
        };
        let names = self.header_names()?;
        if form == Form::OneOfMany {
            let end = self.scanner.advance()?;
            if end != Some(']') {
                let message = format!(
                    "expected end of table array name delimiter ']', but got {} instead",
                    quoted(end)
                );
                return Err(self.scanner.wrong_after(end, message));
            }
        }
        let opened = self.document.open(&names, form);
        self.accepted(opened)
    }

    fn header_names(&mut self) -> Found<Vec<Name>> {
        let mut names = Vec::new();
        loop {
            self.scanner.skip_blanks()?;
            match self.scanner.peek()? {
                Some(']') | None => return Err(self.scanner.wrong(END_OF_NAME)),
                Some('.') => return Err(self.scanner.wrong(NAME_SEPARATOR)),
                Some(_) => self.name(&mut names)?,
            }
            self.scanner.skip_blanks()?;
            match self.scanner.advance()? {
                Some('.') => {}
                Some(']') => return Ok(names),
                other => {
                    let message = format!(
                        "expected '.' or ']' to end table name, but got {} instead",
                        quoted(other)
                    );
                    return Err(self.scanner.wrong_after(other, message));
                }
            }
        }
    }

    /// One part of a key. One without quotes may turn out empty; what follows it is then wrong.
    fn name(&mut self, names: &mut Vec<Name>) -> Found<()> {
        let start = self.scanner.at();
        let name: Name = if self.scanner.take('"')? {
            Rc::from(strings::basic(&mut self.scanner)?)
        } else if self.scanner.take('\'')? {
            Rc::from(strings::literal(&mut self.scanner)?)
        } else {
            let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            self.scanner.skip(bare)?;
            Rc::from(self.scanner.since(start))
        };
        if names.is_empty() {
            self.key_at = start;
        }
        names.push(name);
        Ok(())
    }

    /// `a.b =`.
    fn key(&mut self) -> Found<Vec<Name>> {
        let mut names = Vec::new();
        loop {
            self.scanner.skip_blanks()?;
            let problem = match (self.scanner.peek()?, names.is_empty()) {
                (Some('=') | None, true) => Some("unexpected '=': key name appears blank"),
                (Some('.'), true) => Some("unexpected '.': keys cannot start with a '.'"),
                (Some('=') | None, false) => Some("unexpected '='"),
                (Some('.'), false) => Some("unexpected '.'"),
                (Some(_), _) => None,
            };
            if let Some(problem) = problem {
                return Err(self.scanner.wrong(problem));
            }
            self.name(&mut names)?;
            self.scanner.skip_blanks()?;
            match self.scanner.advance()? {
                Some('.') => {}
                Some('=') => return Ok(names),
                other => return Err(self.no_key(other)),
            }
        }
    }

    /// What is wrong where `.` or `=` must follow.
    fn no_key(&self, found: Option<char>) -> Mistake {
        let message = format!("expected '.' or '=', but got {} instead", quoted(found));
        match found {
            None => {
                let message = "unexpected EOF; expected key separator '='";
                self.scanner.wrong_after(None, message)
            }
            Some('\n') => self.scanner.wrong_above(message),
            Some(_) => self.scanner.wrong(message),
        }
    }

    /// `a.b = 1`, said in the context.
    fn pair(&mut self) -> Found<Pair> {
        let names = self.key()?;
        let Some((last, parents)) = names.split_last() else {
            return Ok((names, Node::Scalar(Value::Nil)));
        };
        self.document.key = Rc::clone(last);
        for name in parents {
            let entered = self.document.enter_implicit(name);
            self.accepted(entered)?;
        }
        let node = self.value(Form::One)?;
        let is_array = matches!(node, Node::Array(_));
        let set = self.document.set(last, node.clone());
        self.accepted(set)?;
        let marked = self.document.mark_array(last, is_array);
        self.accepted(marked)?;
        Ok((names, node))
    }

    /// A value; the form is that of a table, if it is one.
    fn value(&mut self, form: Form) -> Found<Node> {
        self.scanner.skip_blanks()?;
        let first = self.scanner.advance()?;
        match first {
            Some('[' | '{') if self.nesting == DEPTH_MAX => {
                let message = format!("values are nested deeper than {DEPTH_MAX} levels");
                Err(self.scanner.wrong(message))
            }
            Some('[') => self.nested(Self::array),
            Some('{') => self.nested(|reader| reader.inline_table(form)),
            Some(mark @ ('"' | '\'')) => self.string(mark),
            first => scalar(&mut self.scanner, first).map(Node::Scalar),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Found<Node>) -> Found<Node> {
        self.nesting += 1;
        let node = read(self)?;
        self.nesting -= 1;
        Ok(node)
    }

    fn string(&mut self, mark: char) -> Found<Node> {
        let scanner = &mut self.scanner;
        let after_first = scanner.at();
        let is_long = scanner.take(mark)? && scanner.take(mark)?;
        if !is_long {
            scanner.back_to(after_first);
        }
        let text = match (mark, is_long) {
            ('"', false) => strings::basic(scanner)?,
            ('"', true) => strings::basic_lines(scanner)?,
            (_, false) => strings::literal(scanner)?,
            (_, true) => strings::literal_lines(scanner)?,
        };
        Ok(Node::Scalar(Value::text(text.as_bytes())))
    }

    /// Passes blanks, newlines and comments between items; gives the character after them.
    fn between_items(&mut self) -> Found<Option<char>> {
        loop {
            match self.scanner.peek()? {
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.scanner.advance()?;
                }
                Some('#') => self.comment()?,
                other => return Ok(other),
            }
        }
    }

    /// What follows after its `[`.
    fn array(&mut self) -> Found<Node> {
        let key = Rc::clone(&self.document.key);
        let marked = self.document.mark_array(&key, true);
        self.accepted(marked)?;
        let mut items = Vec::new();
        while self.another_item(']')? {
            items.push(self.value(Form::OneOfMany)?);
            let next = self.between_items()?;
            if next == Some(']') {
                continue;
            }
            self.scanner.advance()?;
            if next != Some(',') {
                let shown = or_end(next);
                let message =
                    format!("expected a comma (',') or array terminator (']'), but got {shown}");
                return Err(self.scanner.wrong_after(next, message));
            }
        }
        Ok(Node::Array(Rc::new(items)))
    }

    /// What follows after its `{`. Its keys are said in the document too, which is how one said
    /// twice is found.
    fn inline_table(&mut self, form: Form) -> Found<Node> {
        let (outer, key) = (self.document.context, Rc::clone(&self.document.key));
        let entered = self.document.enter_inline(form);
        self.accepted(entered)?;
        let inside = self.document.context;
        let table = self.document.new_table();
        while self.another_item('}')? {
            let (names, node) = self.pair()?;
            let put = self.document.put(table, &names, node);
            self.accepted(put)?;
            self.document.context = inside;
            let next = self.between_items()?;
            if next == Some('}') {
                continue;
            }
            self.scanner.advance()?;
            if next != Some(',') {
                let message = format!(
                    "expected a comma or an inline table terminator '}}', but got {} instead",
                    or_end(next)
                );
                return Err(self.scanner.wrong_after(next, message));
            }
        }
        self.document.context = outer;
        self.document.key = key;
        Ok(Node::Table(table))
    }

    /// Whether an item follows; otherwise passes what ends them.
    fn another_item(&mut self, end: char) -> Found<bool> {
        match self.between_items()? {
            Some(',') => Err(self.scanner.wrong("unexpected comma")),
            Some(c) if c == end => self.scanner.advance().map(|_| false),
            _ => Ok(true),
        }
    }
}

/// A character between quotes, or words for the end.
fn or_end(c: Option<char>) -> String {
    c.map_or_else(|| "end of file".to_string(), |c| format!("'{c}'"))
}
