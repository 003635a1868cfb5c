//! Tokens to trees, with text/template's messages.
//!
//! Go reports the line of the last token read, so the look-ahead buffer has the same three places.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;

use crate::ast::{
    Branch, Command, Constant, Expr, ExprKind, List, Literal, Node, NodeKind, Part, Pipe, Tree,
    Trees,
};
use crate::error::Error;
use crate::functions;
use crate::lexer::{Kind, Lexer, Token};
use crate::literal;
use crate::output::Place;
use crate::text::{Text, readable};

/// Deepest nesting of parentheses and of blocks together. Go's limit for parentheses is 10,000.
pub(crate) const NESTING_MAX: u32 = 250;

/// Parses a file: its own tree last, the templates it defines before.
///
/// `absent` names functions that do not exist here.
pub(crate) fn parse(name: &str, text: &Bytes, absent: &[&str]) -> Result<Vec<Tree>, Error> {
    let readable = readable(text);
    let spare = SPARE.take();
    let mut parser = Parser {
        absent,
        lexer: Lexer::new(&readable, text),
        name,
        tokens: Vec::new(),
        last: 0,
        variables: vec!["$".into()],
        names: spare.names,
        nodes: Vec::new(),
        commands: Vec::new(),
        args: Vec::new(),
        path: Vec::new(),
        range_depth: 0,
        nesting: 0,
        action: None,
        made: spare.lists.of(text),
        roots: Vec::new(),
    };
    let root = parser.file()?;
    parser.add(name.into(), root)?;
    let trees = Arc::new(parser.made.take());
    if text.len() <= SPARE_TEXT_MAX && parser.names.len() <= SPARE_NAMES_MAX {
        SPARE.set(Spare {
            names: parser.names,
            lists: parser.made,
        });
    }
    let tree = |(name, root)| Tree {
        name,
        root,
        trees: Arc::clone(&trees),
    };
    Ok(parser.roots.into_iter().map(tree).collect())
}

/// Memory for the next file a thread parses: its lists grow in what the last ones grew in, and are
/// then copied to their final size. Names are shared between files.
#[derive(Default)]
struct Spare {
    names: HashSet<Arc<str>, RandomState>,
    lists: Trees,
}

/// Longest text, in bytes, whose lists are used again; most names that are kept, and the longest.
const SPARE_TEXT_MAX: usize = 512 * 1024;
const SPARE_NAMES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 64;

thread_local! {
    static SPARE: Cell<Spare> = Cell::default();
}

/// Variables a pipeline declares or assigns.
#[derive(Default)]
struct Declared {
    names: Vec<Arc<str>>,
    assigns: bool,
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    name: &'a str,
    absent: &'a [&'a str],
    /// Tokens given back, the next one last.
    tokens: Vec<Token>,
    /// Where the last token the lexer gave begins.
    last: u32,
    variables: Vec<Arc<str>>,
    names: HashSet<Arc<str>, RandomState>,
    /// Statements, commands and arguments of what is being read, until their list is whole.
    nodes: Vec<Node>,
    commands: Vec<Command>,
    args: Vec<Expr>,
    path: Vec<Arc<str>>,
    range_depth: u32,
    nesting: u32,
    /// Where the action that is being read begins.
    action: Option<u32>,
    made: Trees,
    /// The templates by name, in the order they were found.
    roots: Vec<(Arc<str>, List<Node>)>,
}

enum End {
    End,
    Else,
}

enum Item {
    Node(Node),
    End(End),
}

type Parsed<T> = Result<T, Error>;

impl<'a> Parser<'a> {
    fn next(&mut self) -> Token {
        match self.tokens.pop() {
            Some(token) => token,
            None => {
                let token = self.lexer.token();
                self.last = token.pos;
                token
            }
        }
    }

    fn back(&mut self, token: Token) {
        self.tokens.push(token);
    }

    /// The next token, which stays the next one.
    fn ahead(&mut self) -> Token {
        match self.tokens.last() {
            Some(token) => *token,
            None => {
                let token = self.next();
                self.tokens.push(token);
                token
            }
        }
    }

    fn peek(&mut self) -> Kind {
        self.ahead().kind
    }

    fn next_non_space(&mut self) -> Token {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> (Kind, u32) {
        loop {
            let token = self.ahead();
            if token.kind != Kind::Space {
                return (token.kind, token.pos);
            }
            self.tokens.pop();
        }
    }

    fn error(&self, message: impl std::fmt::Display) -> Error {
        let line = self.lexer.line(self.last);
        let mut error = Error::plain(format!("template: {}:{line}: {message}", self.name));
        error.place = Some(Place {
            template: self.name.to_string(),
            line,
            column: 1,
        });
        error
    }

    fn unexpected(&self, token: &Token, context: &str) -> Error {
        if token.kind != Kind::Error {
            let token = self.lexer.shown(*token);
            return self.error(format!("unexpected {token} in {context}"));
        }
        let mut extra = String::new();
        let started = self.action.map(|pos| self.lexer.line(pos));
        if let Some(line) = started.filter(|line| *line != self.lexer.line(token.pos)) {
            extra = format!(" in action started at {}:{line}", self.name);
            if self.lexer.message.ends_with(" action") {
                extra = extra.split_off(" in action".len());
            }
        }
        self.error(format!("{}{extra}", self.lexer.message))
    }

    fn expect(&mut self, kinds: &[Kind], context: &str) -> Parsed<Token> {
        let token = self.next_non_space();
        if kinds.contains(&token.kind) {
            Ok(token)
        } else {
            Err(self.unexpected(&token, context))
        }
    }

    fn add(&mut self, name: Arc<str>, root: List<Node>) -> Parsed<()> {
        match self.roots.iter_mut().find(|(other, _)| *other == name) {
            None => self.roots.push((name, root)),
            Some((_, other)) if self.made.is_blank(*other) => *other = root,
            Some(_) if self.made.is_blank(root) => {}
            Some(_) => {
                let name = literal::quote(name.as_bytes());
                let message = format!("template: multiple definition of template {name}");
                return Err(self.error(message));
            }
        }
        Ok(())
    }

    fn file(&mut self) -> Parsed<List<Node>> {
        let mut root = Vec::new();
        while self.peek() != Kind::Eof {
            if self.peek() == Kind::LeftDelim {
                let delimiter = self.next();
                let word = self.next_non_space();
                if word.kind == Kind::Define {
                    self.definition()?;
                    continue;
                }
                self.back(word);
                self.back(delimiter);
            }
            match self.text_or_action()? {
                Item::Node(node) => root.push(node),
                Item::End(End::End) => return Err(self.error("unexpected {{end}}")),
                Item::End(End::Else) => return Err(self.error("unexpected {{else}}")),
            }
        }
        Ok(self.made.put(&mut root, 0))
    }

    /// `{{define "name"}} … {{end}}`; variables of the file are not visible inside.
    fn definition(&mut self) -> Parsed<()> {
        let context = "define clause";
        let token = self.expect(&[Kind::String, Kind::RawString], context)?;
        let name = self.unquote(&token)?;
        self.expect(&[Kind::RightDelim], context)?;
        let root = self.body(context)?;
        self.add(name.lossy().as_ref().into(), root)
    }

    fn body(&mut self, context: &str) -> Parsed<List<Node>> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let range_depth = std::mem::replace(&mut self.range_depth, 0);
        let (root, end) = self.item_list()?;
        if let End::Else = end {
            return Err(self.error(format!("unexpected {{{{else}}}} in {context}")));
        }
        self.variables = outer;
        self.range_depth = range_depth;
        Ok(root)
    }

    fn item_list(&mut self) -> Parsed<(List<Node>, End)> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(self.error("max expression depth exceeded"));
        }
        let first = self.nodes.len();
        while self.peek_non_space().0 != Kind::Eof {
            match self.text_or_action()? {
                Item::Node(node) => self.nodes.push(node),
                Item::End(end) => {
                    self.nesting -= 1;
                    return Ok((self.made.put(&mut self.nodes, first), end));
                }
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn text_or_action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => Ok(Item::Node(Node {
                pos: token.pos,
                kind: NodeKind::Text(Part {
                    start: token.pos,
                    length: token.length,
                }),
            })),
            Kind::LeftDelim => {
                self.action = Some(token.pos);
                let item = self.action();
                self.action = None;
                item
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Item> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break | Kind::Continue => self.jump(&token)?,
            Kind::Else => return self.otherwise().map(|()| Item::End(End::Else)),
            Kind::End => {
                self.expect(&[Kind::RightDelim], "end")?;
                return Ok(Item::End(End::End));
            }
            Kind::If => self.control("if")?,
            Kind::Range => self.control("range")?,
            Kind::With => self.control("with")?,
            Kind::Template => self.template()?,
            _ => {
                self.back(token);
                let pos = self.peek_position();
                let pipe = self.pipeline("command", Kind::RightDelim)?;
                Node {
                    pos,
                    kind: NodeKind::Action(pipe),
                }
            }
        };
        Ok(Item::Node(node))
    }

    fn peek_position(&mut self) -> u32 {
        self.ahead().pos
    }

    fn jump(&mut self, word: &Token) -> Parsed<Node> {
        let shown = format!("{{{{{}}}}}", self.lexer.text_of(*word));
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return Err(self.unexpected(&token, &shown));
        }
        if self.range_depth == 0 {
            return Err(self.error(format!("{shown} outside {{{{range}}}}")));
        }
        let kind = match word.kind {
            Kind::Break => NodeKind::Break,
            _ => NodeKind::Continue,
        };
        Ok(Node {
            pos: word.pos,
            kind,
        })
    }

    fn otherwise(&mut self) -> Parsed<()> {
        let token = self.next_non_space();
        if matches!(token.kind, Kind::If | Kind::With) {
            self.back(token);
            return Ok(());
        }
        self.back(token);
        self.expect(&[Kind::RightDelim], "else").map(|_| ())
    }

    fn control(&mut self, word: &'static str) -> Parsed<Node> {
        let outer = self.variables.len();
        let pipe = self.pipeline(word, Kind::RightDelim)?;
        let pos = pipe.pos;
        self.range_depth += u32::from(word == "range");
        let (list, end) = self.item_list()?;
        self.range_depth -= u32::from(word == "range");
        let otherwise = match end {
            End::End => None,
            End::Else => Some(self.else_list(word)?),
        };
        self.variables.truncate(outer);
        let branch = self.made.put_one(Branch {
            pipe,
            list,
            otherwise,
        });
        let kind = match word {
            "if" => NodeKind::If(branch),
            "with" => NodeKind::With(branch),
            _ => NodeKind::Range(branch),
        };
        Ok(Node { pos, kind })
    }

    /// What follows `else`; `else if` and `else with` stand for a nested block with a shared end.
    fn else_list(&mut self, word: &'static str) -> Parsed<List<Node>> {
        let next = self.peek();
        let chained = matches!((word, next), ("if", Kind::If) | ("with", Kind::With));
        if chained {
            self.next();
            self.nesting += 1;
            let node = self.control(word)?;
            self.nesting -= 1;
            return Ok(self.made.put(&mut vec![node], 0));
        }
        let (list, end) = self.item_list()?;
        match end {
            End::End => Ok(list),
            End::Else => Err(self.error("expected end; found {{else}}")),
        }
    }

    fn block(&mut self) -> Parsed<Node> {
        let context = "block clause";
        let (pos, name) = self.template_name(context)?;
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        let root = self.body(context)?;
        self.add(Arc::clone(&name), root)?;
        let (name, pipe) = (self.made.put_one(name), self.made.put_one(pipe));
        Ok(Node {
            pos,
            kind: NodeKind::Template(name, Some(pipe)),
        })
    }

    fn template(&mut self) -> Parsed<Node> {
        let context = "template clause";
        let (pos, name) = self.template_name(context)?;
        let token = self.next_non_space();
        let mut pipe = None;
        if token.kind != Kind::RightDelim {
            self.back(token);
            let own = self.pipeline(context, Kind::RightDelim)?;
            pipe = Some(self.made.put_one(own));
        }
        let name = self.made.put_one(name);
        Ok(Node {
            pos,
            kind: NodeKind::Template(name, pipe),
        })
    }

    fn template_name(&mut self, context: &str) -> Parsed<(u32, Arc<str>)> {
        let token = self.expect(&[Kind::String, Kind::RawString], context)?;
        let name = self.unquote(&token)?;
        Ok((token.pos, name.lossy().as_ref().into()))
    }

    fn unquote(&self, token: &Token) -> Parsed<Text> {
        literal::unquote(self.lexer.bytes_of(*token)).ok_or_else(|| self.error("invalid syntax"))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let (_, pos) = self.peek_non_space();
        let mut declared = Declared::default();
        while self.declaration(&mut declared, context)? {}
        let first = self.commands.len();
        loop {
            match self.peek_non_space().0 {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::String
                | Kind::Variable
                | Kind::LeftParen => {
                    let command = self.command()?;
                    self.commands.push(command);
                }
                _ => {
                    let token = self.next();
                    return Err(self.unexpected(&token, context));
                }
            }
        }
        self.next();
        self.check(&self.commands[first..], context)?;
        Ok(Pipe {
            pos,
            assigns: declared.assigns,
            declares: self.made.put(&mut declared.names, 0),
            commands: self.made.put(&mut self.commands, first),
        })
    }

    /// Reads one variable being declared or assigned; true when a second one must follow.
    fn declaration(&mut self, declared: &mut Declared, context: &str) -> Parsed<bool> {
        if self.peek_non_space().0 != Kind::Variable {
            return Ok(false);
        }
        let variable = self.next();
        let after = self.next();
        let next = if after.kind == Kind::Space {
            self.next_non_space()
        } else {
            after
        };
        match next.kind {
            Kind::Assign | Kind::Declare => {
                declared.assigns = next.kind == Kind::Assign;
                self.declare(&variable, declared);
                Ok(false)
            }
            Kind::Char if self.lexer.text_of(next) == "," => {
                self.declare(&variable, declared);
                if context == "range" && declared.names.len() < 2 {
                    return match self.peek_non_space().0 {
                        Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                        _ => Err(self.error("range can only initialize variables")),
                    };
                }
                Err(self.error(format!("too many declarations in {context}")))
            }
            _ => {
                let spaced = after.kind == Kind::Space;
                self.back(next);
                if spaced {
                    self.back(after);
                }
                self.back(variable);
                Ok(false)
            }
        }
    }

    fn declare(&mut self, variable: &Token, declared: &mut Declared) {
        let name = self.name_of(self.lexer.text_of(*variable));
        declared.names.push(Arc::clone(&name));
        self.variables.push(name);
    }

    /// One shared copy of a name, unless it is longer than names are.
    fn name_of(&mut self, text: &str) -> Arc<str> {
        if text.len() > NAME_BYTES_MAX {
            return text.into();
        }
        if let Some(known) = self.names.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    fn check(&self, commands: &[Command], context: &str) -> Parsed<()> {
        if commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            let constant = matches!(
                self.made.list(command.args)[0].kind,
                ExprKind::Bool(_)
                    | ExprKind::Dot
                    | ExprKind::Nil
                    | ExprKind::Number(_)
                    | ExprKind::String(_)
            );
            if constant {
                let stage = index + 1;
                let message = format!("non executable command in pipeline stage {stage}");
                return Err(self.error(message));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let (_, pos) = self.peek_non_space();
        let first = self.args.len();
        loop {
            if let Some(operand) = self.operand()? {
                self.args.push(operand);
            }
            match self.peek() {
                Kind::Space => {
                    self.tokens.pop();
                }
                Kind::RightDelim | Kind::RightParen => break,
                Kind::Pipe => {
                    self.tokens.pop();
                    break;
                }
                _ => {
                    let token = self.next();
                    return Err(self.unexpected(&token, "operand"));
                }
            }
        }
        if self.args.len() == first {
            return Err(self.error("empty command"));
        }
        Ok(Command {
            pos,
            args: self.made.put(&mut self.args, first),
        })
    }

    fn operand(&mut self) -> Parsed<Option<Expr>> {
        self.peek_non_space();
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        if self.peek() != Kind::Field {
            return Ok(Some(term));
        }
        let pos = self.peek_position();
        let kind = match term.kind {
            ExprKind::Bool(_)
            | ExprKind::String(_)
            | ExprKind::Number(_)
            | ExprKind::Nil
            | ExprKind::Dot => {
                let _ = self.fields();
                let shown = self.made.shown(&term).to_string();
                let shown = literal::quote(shown.as_bytes());
                return Err(self.error(format!("unexpected . after term {shown}")));
            }
            _ => ExprKind::Chain(self.made.put_one(term), self.fields()),
        };
        Ok(Some(Expr { pos, kind }))
    }

    /// The fields that follow.
    fn fields(&mut self) -> List<Arc<str>> {
        while self.peek() == Kind::Field {
            let token = self.next();
            let name = self.name_of(&self.lexer.text_of(token)[1..]);
            self.path.push(name);
        }
        self.made.put(&mut self.path, 0)
    }

    /// A field or variable and the fields that follow it, and where the last of several begins.
    fn path(&mut self, first: &Token) -> (u32, List<Arc<str>>) {
        let text = self.lexer.text_of(*first);
        let name = self.name_of(text.strip_prefix('.').unwrap_or(text));
        self.path.push(name);
        let pos = match self.peek() {
            Kind::Field => self.peek_position(),
            _ => first.pos,
        };
        (pos, self.fields())
    }

    fn term(&mut self) -> Parsed<Option<Expr>> {
        let token = self.next_non_space();
        let text = self.lexer.text_of(token);
        let written = Part {
            start: token.pos,
            length: token.length,
        };
        let kind = match token.kind {
            Kind::Identifier => match functions::find(text) {
                Some(function) if !self.absent.contains(&function.name) => {
                    ExprKind::Function(function)
                }
                _ => {
                    let name = literal::quote(text.as_bytes());
                    return Err(self.error(format!("function {name} not defined")));
                }
            },
            Kind::Dot => ExprKind::Dot,
            Kind::Nil => ExprKind::Nil,
            Kind::Variable => {
                if !self.variables.iter().any(|name| **name == *text) {
                    let name = literal::quote(text.as_bytes());
                    return Err(self.error(format!("undefined variable {name}")));
                }
                let (pos, names) = self.path(&token);
                let kind = ExprKind::Variable(names);
                return Ok(Some(Expr { pos, kind }));
            }
            Kind::Field => {
                let (pos, names) = self.path(&token);
                let kind = ExprKind::Field(names);
                return Ok(Some(Expr { pos, kind }));
            }
            Kind::Bool => ExprKind::Bool(text == "true"),
            Kind::CharConstant | Kind::Complex | Kind::Number => {
                let number = literal::number(text).map_err(|e| self.error(e))?;
                ExprKind::Number(self.made.put_one(Constant { written, number }))
            }
            Kind::LeftParen => {
                self.nesting += 1;
                if self.nesting > NESTING_MAX {
                    return Err(self.error("max expression depth exceeded"));
                }
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.nesting -= 1;
                return Ok(Some(Expr {
                    pos: pipe.pos,
                    kind: ExprKind::Pipe(self.made.put_one(pipe)),
                }));
            }
            Kind::String | Kind::RawString => {
                let text = self.unquote(&token)?.shared();
                ExprKind::String(self.made.put_one(Literal { text, written }))
            }
            _ => {
                self.back(token);
                return Ok(None);
            }
        };
        Ok(Some(Expr {
            pos: token.pos,
            kind,
        }))
    }
}
