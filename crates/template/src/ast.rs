//! The tree of a template, and how Go prints its nodes in messages.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::functions::Function;
use crate::literal::Number;

/// One named template.
pub(crate) struct Tree {
    pub(crate) name: Arc<str>,
    pub(crate) root: Box<[Node]>,
}

impl Tree {
    /// Whether it holds nothing but white space.
    pub(crate) fn is_empty(&self) -> bool {
        self.root.iter().all(|node| match &node.kind {
            NodeKind::Text(text) => text.iter().all(u8::is_ascii_whitespace),
            _ => false,
        })
    }
}

/// A statement.
pub(crate) struct Node {
    pub(crate) pos: u32,
    pub(crate) kind: NodeKind,
}

pub(crate) enum NodeKind {
    /// A part of the file, shared with it.
    Text(Bytes),
    Action(Pipe),
    If(Box<Branch>),
    With(Box<Branch>),
    Range(Box<Branch>),
    Template(Arc<str>, Option<Box<Pipe>>),
    Break,
    Continue,
}

pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) list: Box<[Node]>,
    pub(crate) otherwise: Option<Box<[Node]>>,
}

/// `$a, $b := command | command`.
pub(crate) struct Pipe {
    pub(crate) pos: u32,
    pub(crate) assigns: bool,
    pub(crate) declares: Box<[Arc<str>]>,
    pub(crate) commands: Commands,
}

/// What stands between the `|` of a pipeline; nearly always one command.
pub(crate) enum Commands {
    One(Command),
    Several(Box<[Command]>),
}

impl std::ops::Deref for Commands {
    type Target = [Command];

    fn deref(&self) -> &[Command] {
        match self {
            Self::One(command) => std::slice::from_ref(command),
            Self::Several(commands) => commands,
        }
    }
}

/// A word and its arguments.
pub(crate) struct Command {
    pub(crate) pos: u32,
    pub(crate) args: Box<[Expr]>,
}

pub(crate) struct Expr {
    pub(crate) pos: u32,
    pub(crate) kind: ExprKind,
}

pub(crate) enum ExprKind {
    Bool(bool),
    Dot,
    Nil,
    /// As it was written, and what it may be.
    Number(Box<(Box<str>, Number)>),
    String(Arc<[u8]>),
    /// A string that was not written as Go would quote it, and how it was.
    Written(Box<(Arc<[u8]>, Box<str>)>),
    Field(Box<[Arc<str>]>),
    /// `$name` first, then fields.
    Variable(Box<[Arc<str>]>),
    Function(&'static Function),
    Chain(Box<Expr>, Box<[Arc<str>]>),
    Pipe(Box<Pipe>),
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Number(number) => f.write_str(&number.0),
            ExprKind::String(text) => f.write_str(&crate::literal::quote(text)),
            ExprKind::Written(written) => f.write_str(&written.1),
            ExprKind::Field(names) => write_fields(f, names),
            ExprKind::Variable(names) => {
                f.write_str(&names[0])?;
                write_fields(f, &names[1..])
            }
            ExprKind::Function(function) => f.write_str(function.name),
            ExprKind::Chain(inner, names) => {
                match &inner.kind {
                    ExprKind::Pipe(pipe) => write!(f, "({pipe})")?,
                    _ => write!(f, "{inner}")?,
                }
                write_fields(f, names)
            }
            ExprKind::Pipe(pipe) => write!(f, "{pipe}"),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, names: &[Arc<str>]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.declares.is_empty() {
            f.write_str(&self.declares.join(", "))?;
            f.write_str(if self.assigns { " = " } else { " := " })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{command}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            match &arg.kind {
                ExprKind::Pipe(pipe) => write!(f, "({pipe})")?,
                _ => write!(f, "{arg}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            NodeKind::Action(pipe) => write!(f, "{{{{{pipe}}}}}"),
            NodeKind::If(branch) => write_branch(f, "if", branch),
            NodeKind::With(branch) => write_branch(f, "with", branch),
            NodeKind::Range(branch) => write_branch(f, "range", branch),
            NodeKind::Template(name, pipe) => {
                write!(f, "{{{{template {}", crate::literal::quote(name.as_bytes()))?;
                if let Some(pipe) = pipe {
                    write!(f, " {pipe}")?;
                }
                f.write_str("}}")
            }
            NodeKind::Break => f.write_str("{{break}}"),
            NodeKind::Continue => f.write_str("{{continue}}"),
        }
    }
}

fn write_branch(f: &mut fmt::Formatter<'_>, word: &str, branch: &Branch) -> fmt::Result {
    write!(f, "{{{{{word} {}}}}}", branch.pipe)?;
    branch
        .list
        .iter()
        .try_for_each(|node| write!(f, "{node}"))?;
    if let Some(list) = &branch.otherwise {
        f.write_str("{{else}}")?;
        list.iter().try_for_each(|node| write!(f, "{node}"))?;
    }
    f.write_str("{{end}}")
}
