//! The trees of a file, and how Go prints their nodes in messages.
//!
//! All nodes of a file stand in a few lists ([`Trees`]) and name one another by index: parsing
//! allocates a few times for each file instead of a few times for each node, and what is read
//! together lies together.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;

use crate::functions::Function;
use crate::literal::Number;

/// Some nodes of one kind that stand one after another in their [`Trees`].
pub(crate) struct List<T> {
    start: u32,
    length: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<T> {}

impl<T> List<T> {
    pub(crate) fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// One node of its [`Trees`].
pub(crate) struct Id<T> {
    place: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

/// Everything a file was parsed to.
#[derive(Default)]
pub(crate) struct Trees {
    text: Bytes,
    nodes: Vec<Node>,
    branches: Vec<Branch>,
    pipes: Vec<Pipe>,
    commands: Vec<Command>,
    exprs: Vec<Expr>,
    names: Vec<Arc<str>>,
    strings: Vec<Literal>,
    numbers: Vec<Constant>,
}

/// What [`Trees`] keep in a list of its own.
pub(crate) trait Held: Sized {
    fn all(trees: &Trees) -> &Vec<Self>;
    fn all_mut(trees: &mut Trees) -> &mut Vec<Self>;
}

macro_rules! held {
    ($($kind:ty => $list:ident),* $(,)?) => {$(
        impl Held for $kind {
            fn all(trees: &Trees) -> &Vec<Self> {
                &trees.$list
            }

            fn all_mut(trees: &mut Trees) -> &mut Vec<Self> {
                &mut trees.$list
            }
        }
    )*};
}

held! {
    Node => nodes,
    Branch => branches,
    Pipe => pipes,
    Command => commands,
    Expr => exprs,
    Arc<str> => names,
    Literal => strings,
    Constant => numbers,
}

impl Trees {
    /// No nodes yet, of a text that is longer than 4 GiB in no chart. Lists that were taken from
    /// keep their memory.
    pub(crate) fn of(self, text: &Bytes) -> Self {
        Self {
            text: text.clone(),
            ..self
        }
    }

    /// Everything, in lists of their final size.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            text: std::mem::take(&mut self.text),
            nodes: self.nodes.drain(..).collect(),
            branches: self.branches.drain(..).collect(),
            pipes: self.pipes.drain(..).collect(),
            commands: self.commands.drain(..).collect(),
            exprs: self.exprs.drain(..).collect(),
            names: self.names.drain(..).collect(),
            strings: self.strings.drain(..).collect(),
            numbers: self.numbers.drain(..).collect(),
        }
    }

    /// Takes the last items of a list being made over.
    pub(crate) fn put<T: Held>(&mut self, made: &mut Vec<T>, from: usize) -> List<T> {
        let all = T::all_mut(self);
        let start = narrow(all.len());
        // Most lists hold one item or none.
        match made.len() - from {
            0 => {}
            1 => all.extend(made.pop()),
            _ => all.extend(made.drain(from..)),
        }
        List {
            start,
            length: narrow(all.len()) - start,
            of: PhantomData,
        }
    }

    pub(crate) fn put_one<T: Held>(&mut self, made: T) -> Id<T> {
        let all = T::all_mut(self);
        all.push(made);
        Id {
            place: narrow(all.len() - 1),
            of: PhantomData,
        }
    }

    pub(crate) fn list<T: Held>(&self, list: List<T>) -> &[T] {
        &T::all(self)[list.start as usize..][..list.length as usize]
    }

    pub(crate) fn one<T: Held>(&self, id: Id<T>) -> &T {
        &T::all(self)[id.place as usize]
    }

    /// A part of the file's text, shared with it.
    pub(crate) fn shared(&self, part: Part) -> Bytes {
        self.text.slice(part.range())
    }

    pub(crate) fn text(&self, part: Part) -> &[u8] {
        &self.text[part.range()]
    }

    /// The same as a message shows it.
    pub(crate) fn lossy(&self, part: Part) -> Cow<'_, str> {
        String::from_utf8_lossy(self.text(part))
    }

    /// Whether a list holds nothing but white space.
    pub(crate) fn is_blank(&self, list: List<Node>) -> bool {
        self.list(list).iter().all(|node| match &node.kind {
            NodeKind::Text(part) => self.text(*part).iter().all(u8::is_ascii_whitespace),
            _ => false,
        })
    }

    /// How Go prints something of these trees.
    pub(crate) fn shown<'t, T>(&'t self, it: &'t T) -> Shown<'t, T> {
        Shown(self, it)
    }
}

/// An offset or a count in a text, none of which is longer than 4 GiB.
pub(crate) fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Where a text stands in its file.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl Part {
    fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }
}

/// One named template.
pub(crate) struct Tree {
    pub(crate) name: Arc<str>,
    pub(crate) root: List<Node>,
    pub(crate) trees: Arc<Trees>,
}

impl Tree {
    /// Whether it holds nothing but white space.
    pub(crate) fn is_empty(&self) -> bool {
        self.trees.is_blank(self.root)
    }

    /// Its statements.
    pub(crate) fn nodes(&self) -> &[Node] {
        self.trees.list(self.root)
    }
}

/// A statement.
pub(crate) struct Node {
    pub(crate) pos: u32,
    pub(crate) kind: NodeKind,
}

pub(crate) enum NodeKind {
    Text(Part),
    Action(Pipe),
    If(Id<Branch>),
    With(Id<Branch>),
    Range(Id<Branch>),
    Template(Id<Arc<str>>, Option<Id<Pipe>>),
    Break,
    Continue,
}

pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) list: List<Node>,
    pub(crate) otherwise: Option<List<Node>>,
}

/// `$a, $b := command | command`.
pub(crate) struct Pipe {
    pub(crate) pos: u32,
    pub(crate) assigns: bool,
    pub(crate) declares: List<Arc<str>>,
    pub(crate) commands: List<Command>,
}

/// A word and its arguments.
pub(crate) struct Command {
    pub(crate) pos: u32,
    pub(crate) args: List<Expr>,
}

pub(crate) struct Expr {
    pub(crate) pos: u32,
    pub(crate) kind: ExprKind,
}

pub(crate) enum ExprKind {
    Bool(bool),
    Dot,
    Nil,
    Number(Id<Constant>),
    String(Id<Literal>),
    Field(List<Arc<str>>),
    /// `$name` first, then fields.
    Variable(List<Arc<str>>),
    Function(&'static Function),
    Chain(Id<Expr>, List<Arc<str>>),
    Pipe(Id<Pipe>),
}

/// A number: how it is written, and what it may be.
pub(crate) struct Constant {
    pub(crate) written: Part,
    pub(crate) number: Number,
}

/// A string, and how it is written.
pub(crate) struct Literal {
    pub(crate) text: Arc<[u8]>,
    pub(crate) written: Part,
}

/// Something of some trees, as Go prints it.
pub(crate) struct Shown<'t, T>(&'t Trees, &'t T);

impl fmt::Display for Shown<'_, Expr> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(trees, expr) = self;
        match &expr.kind {
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Dot => f.write_str("."),
            ExprKind::Nil => f.write_str("nil"),
            ExprKind::Number(id) => f.write_str(&trees.lossy(trees.one(*id).written)),
            ExprKind::String(id) => f.write_str(&trees.lossy(trees.one(*id).written)),
            ExprKind::Field(names) => write_fields(f, trees.list(*names)),
            ExprKind::Variable(names) => {
                let names = trees.list(*names);
                f.write_str(&names[0])?;
                write_fields(f, &names[1..])
            }
            ExprKind::Function(function) => f.write_str(function.name),
            ExprKind::Chain(inner, names) => {
                let inner = trees.one(*inner);
                match &inner.kind {
                    ExprKind::Pipe(pipe) => write!(f, "({})", trees.shown(trees.one(*pipe)))?,
                    _ => write!(f, "{}", trees.shown(inner))?,
                }
                write_fields(f, trees.list(*names))
            }
            ExprKind::Pipe(pipe) => write!(f, "{}", trees.shown(trees.one(*pipe))),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, names: &[Arc<str>]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

impl fmt::Display for Shown<'_, Pipe> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(trees, pipe) = self;
        if !pipe.declares.is_empty() {
            f.write_str(&trees.list(pipe.declares).join(", "))?;
            f.write_str(if pipe.assigns { " = " } else { " := " })?;
        }
        for (index, command) in trees.list(pipe.commands).iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{}", trees.shown(command))?;
        }
        Ok(())
    }
}

impl fmt::Display for Shown<'_, Command> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(trees, command) = self;
        for (index, arg) in trees.list(command.args).iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            match &arg.kind {
                ExprKind::Pipe(pipe) => write!(f, "({})", trees.shown(trees.one(*pipe)))?,
                _ => write!(f, "{}", trees.shown(arg))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Shown<'_, Node> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(trees, node) = self;
        match &node.kind {
            NodeKind::Text(part) => f.write_str(&trees.lossy(*part)),
            NodeKind::Action(pipe) => write!(f, "{{{{{}}}}}", trees.shown(pipe)),
            NodeKind::If(branch) => write_branch(f, "if", (trees, *branch)),
            NodeKind::With(branch) => write_branch(f, "with", (trees, *branch)),
            NodeKind::Range(branch) => write_branch(f, "range", (trees, *branch)),
            NodeKind::Template(name, pipe) => {
                let name = crate::literal::quote(trees.one(*name).as_bytes());
                write!(f, "{{{{template {name}")?;
                if let Some(pipe) = pipe {
                    write!(f, " {}", trees.shown(trees.one(*pipe)))?;
                }
                f.write_str("}}")
            }
            NodeKind::Break => f.write_str("{{break}}"),
            NodeKind::Continue => f.write_str("{{continue}}"),
        }
    }
}

fn write_branch(
    f: &mut fmt::Formatter<'_>,
    word: &str,
    (trees, branch): (&Trees, Id<Branch>),
) -> fmt::Result {
    let branch = trees.one(branch);
    let write_all = |f: &mut fmt::Formatter<'_>, list: List<Node>| {
        let mut nodes = trees.list(list).iter();
        nodes.try_for_each(|node| write!(f, "{}", trees.shown(node)))
    };
    write!(f, "{{{{{word} {}}}}}", trees.shown(&branch.pipe))?;
    write_all(f, branch.list)?;
    if let Some(list) = branch.otherwise {
        f.write_str("{{else}}")?;
        write_all(f, list)?;
    }
    f.write_str("{{end}}")
}
