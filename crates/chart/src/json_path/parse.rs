//! Texts of JSONPath templates, read as Kubernetes' clients read them.

/// Longest template read, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// What stands outside braces.
    Text(String),
    /// What stands between them.
    Action(Vec<Node>),
}

/// One step of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Field(String),
    Slice(Slice),
    Filter(Filter),
    Int(i64),
    Float(f64),
    Bool(bool),
    Wildcard,
    Recursive,
    Union(Vec<Vec<Node>>),
    /// `range`, `end`, or a word that means nothing.
    Word(String),
}

/// Items of a list, `[start:end:step]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slice {
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    /// Nothing but the start was written.
    pub(super) is_index: bool,
    pub(super) step: Option<i64>,
}

/// `[?(left operator right)]`; without an operator the left side has to be there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filter {
    pub(super) left: Vec<Node>,
    pub(super) test: Option<(String, Vec<Node>)>,
}

type Parsed<T> = Result<T, String>;

/// Reads a template.
pub(super) fn template(text: &str) -> Parsed<Vec<Piece>> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("longer than {TEXT_BYTES_MAX} bytes"));
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].to_owned()));
        }
        let mut parser = Parser {
            rest: &rest[at + 1..],
        };
        pieces.push(Piece::Action(parser.action()?));
        rest = parser.rest;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

/// The nodes of a text that stands in an action's place.
fn nodes(text: &str) -> Parsed<Vec<Node>> {
    let text = format!("{text}}}");
    let mut parser = Parser { rest: &text };
    let nodes = parser.action()?;
    // What a brace left over is read, though nobody asks for it.
    template(parser.rest)?;
    Ok(nodes)
}

struct Parser<'a> {
    rest: &'a str,
}

/// Whether a character ends a name.
fn ends_name(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\r' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}'
    )
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

impl<'a> Parser<'a> {
    /// Everything up to the closing brace, which is taken too.
    fn action(&mut self) -> Parsed<Vec<Node>> {
        let mut out = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                return Ok(out);
            }
            if let Some(rest) = self.rest.strip_prefix("[?(") {
                self.rest = rest;
                out.push(Node::Filter(self.filter()?));
                continue;
            }
            if let Some(rest) = self.rest.strip_prefix("..") {
                if out.last() == Some(&Node::Recursive) {
                    return Err("invalid multiple recursive descent".to_owned());
                }
                self.rest = rest;
                out.push(Node::Recursive);
                if rest.starts_with(is_word) {
                    out.push(self.field());
                }
                continue;
            }
            self.step(&mut out)?;
        }
    }

    fn step(&mut self, out: &mut Vec<Node>) -> Parsed<()> {
        let first = self
            .rest
            .chars()
            .next()
            .filter(|c| !matches!(c, '\r' | '\n'));
        let first = first.ok_or("unclosed action")?;
        let after = &self.rest[first.len_utf8()..];
        match first {
            ' ' | '@' | '$' => self.rest = after,
            '[' => return self.array(out),
            '"' | '\'' => out.push(self.quoted(first)?),
            '.' => {
                self.rest = after;
                out.push(self.field());
            }
            '+' | '-' => out.push(self.number()?),
            c if c.is_numeric() => out.push(self.number()?),
            c if is_word(c) => {
                let (word, rest) = self.split(self.rest.find(ends_name));
                self.rest = rest;
                out.push(match word {
                    "true" => Node::Bool(true),
                    "false" => Node::Bool(false),
                    word => Node::Word(word.to_owned()),
                });
            }
            other => {
                let code = u32::from(other);
                return Err(format!(
                    "unrecognized character in action: U+{code:04X} '{other}'"
                ));
            }
        }
        Ok(())
    }

    /// The rest before and from a place on.
    fn split(&self, at: Option<usize>) -> (&'a str, &'a str) {
        self.rest.split_at(at.unwrap_or(self.rest.len()))
    }

    /// A name; a backslash takes the next character as it is.
    fn field(&mut self) -> Node {
        let mut chars = self.rest.char_indices();
        let mut end = None;
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if ends_name(c) {
                end = Some(at);
                break;
            }
        }
        let (name, rest) = self.split(end);
        self.rest = rest;
        match name {
            "*" => Node::Wildcard,
            name => Node::Field(name.replace('\\', "")),
        }
    }

    fn number(&mut self) -> Parsed<Node> {
        let signs = usize::from(self.rest.starts_with(['+', '-']));
        let end = self.rest[signs..].find(|c: char| c != '.' && !c.is_numeric());
        let (text, rest) = self.split(end.map(|end| end + signs));
        self.rest = rest;
        if let Ok(whole) = text.parse() {
            return Ok(Node::Int(whole));
        }
        let number = text.parse().map(Node::Float);
        number.map_err(|_| format!("cannot parse number {text}"))
    }

    fn array(&mut self, out: &mut Vec<Node>) -> Parsed<()> {
        let end = self.rest.find([']', '\n']);
        let end = end.filter(|end| self.rest.as_bytes()[*end] == b']');
        let end = end.ok_or("unterminated array")?;
        let text = &self.rest[1..end];
        self.rest = &self.rest[end + 1..];
        if text.contains(',') {
            let each = text.split(',');
            let each = each.map(|one| nodes(&format!("[{}]", one.trim_matches(' '))));
            out.push(Node::Union(each.collect::<Parsed<_>>()?));
            return Ok(());
        }
        let quoted = text
            .strip_prefix('\'')
            .and_then(|text| text.strip_suffix('\''));
        if let Some(name) = quoted.filter(|name| !name.contains('\'')) {
            out.extend(nodes(&format!(".{name}"))?);
            return Ok(());
        }
        let text = if text == "*" { ":" } else { text };
        out.push(Node::Slice(slice(text)?));
        Ok(())
    }

    /// What follows `[?(`, with its end.
    fn filter(&mut self) -> Parsed<Filter> {
        let end = self.filter_end()?;
        let text = &self.rest[..end];
        self.rest = &self.rest[end + ")]".len()..];
        let is_operator = |c: char| matches!(c, '!' | '<' | '>' | '=');
        let operator = text.find(is_operator).filter(|at| *at > 0);
        let test = operator.and_then(|at| {
            let (left, rest) = text.split_at(at);
            let end = rest.find(|c| !is_operator(c));
            // At least one character has to be left for the right side.
            let end = end.unwrap_or(rest.len() - 1);
            let (operator, right) = rest.split_at(end);
            (!operator.is_empty()).then_some((left, operator, right))
        });
        match test {
            None => Ok(Filter {
                left: nodes(text)?,
                test: None,
            }),
            Some((left, operator, right)) => Ok(Filter {
                left: nodes(left)?,
                test: Some((operator.to_owned(), nodes(right)?)),
            }),
        }
    }

    /// Where the `)]` of a filter is, past one quoted text.
    fn filter_end(&self) -> Parsed<usize> {
        let (mut pair, mut closed) = (None, false);
        let mut before = ' ';
        for (at, c) in self.rest.char_indices() {
            match c {
                '\n' => break,
                '"' | '\'' if pair.is_none() => pair = Some(c),
                '"' | '\'' if pair == Some(c) && before != '\\' => closed = true,
                ')' if pair.is_some() == closed => {
                    return match self.rest[at..].starts_with(")]") {
                        true => Ok(at),
                        false => Err("unclosed array expect ]".to_owned()),
                    };
                }
                _ => {}
            }
            before = c;
        }
        Err("unterminated filter".to_owned())
    }

    fn quoted(&mut self, quote: char) -> Parsed<Node> {
        let unterminated = || "unterminated quoted string".to_owned();
        let mut before = ' ';
        let mut end = None;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' => return Err(unterminated()),
                c if c == quote && before != '\\' => {
                    end = Some(at + 1);
                    break;
                }
                _ => {}
            }
            before = c;
        }
        let (text, rest) = self.split(Some(end.ok_or_else(unterminated)?));
        self.rest = rest;
        let read = pilotis_template::unquote(text.as_bytes());
        let read = read.ok_or_else(|| format!("unquote string {text} error invalid syntax"))?;
        Ok(Node::Text(read.lossy().into_owned()))
    }
}

/// `start`, `start:end` or `start:end:step`, each of which may be left out.
fn slice(text: &str) -> Parsed<Slice> {
    let wrong = || format!("invalid array index {text}");
    let parts: Vec<&str> = text.split(':').collect();
    let digits = |part: &str| {
        let part = part.strip_prefix('-').unwrap_or(part);
        part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.len() > 3 || !parts.iter().all(|part| digits(part)) {
        return Err(wrong());
    }
    let number = |at: usize| match parts.get(at) {
        None | Some(&"") => Ok(None),
        Some(part) => match part.parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("array index {part} is not a number")),
        },
    };
    let start = number(0)?;
    let is_index = parts.len() == 1;
    Ok(Slice {
        start,
        end: match is_index {
            true => Some(start.unwrap_or(0).saturating_add(1)),
            false => number(1)?,
        },
        is_index,
        step: number(2)?,
    })
}
