//! What a rendering did: which statements ran, which branches were taken, which values were read.
//!
//! Nothing is recorded unless [`crate::Machine::watch`] was called; the machine asks one `Option`
//! then. A value counts as read at its own path when a template steps to it, and with everything
//! below it when it is printed or given to a function that takes it whole (`toYaml`, say, but not
//! `default`, `include` or `hasKey`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::ast::{Branch, Command, Expr, ExprKind, List, Node, NodeKind, Pipe, Trees};
use crate::set::{Definition, Definitions, Source};
use crate::value::{ListKind, Map, Value};

/// What was recorded. Plain data.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// How often a statement at a source and offset ran.
    pub statements: HashMap<(u32, u32), u64>,
    /// How often a branch at a source and offset went its first way (`true`) or the other.
    pub branches: HashMap<(u32, u32, bool), u64>,
    /// How often a template of a source and name was entered.
    pub entered: HashMap<(u32, String), u64>,
    /// Paths of values that were read.
    pub read: BTreeSet<String>,
    /// Paths of maps that were read with everything in them.
    pub whole: BTreeSet<String>,
    /// Paths that were read, were not there, and were not guarded, by source and offset.
    pub absent: BTreeMap<(String, u32, u32), u64>,
    /// Everything that could have run. A template that another replaced cannot.
    pub points: Vec<Point>,
    /// Paths below `.Values` that templates name, with the file that names them.
    pub named: BTreeSet<(String, Vec<String>)>,
    /// The templates, those that `tpl` was given after the files.
    pub sources: Vec<Arc<Source>>,
}

/// Something that can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Index of its source, as in [`Watched`].
    pub source: u32,
    /// Offset in it.
    pub offset: u32,
    /// What it is.
    pub kind: PointKind,
}

/// What can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PointKind {
    /// Text that is copied, and how many bytes of it.
    Text(u32),
    /// An action.
    Action,
    /// `if`, `with` or `range`: two ways to go.
    Branch,
    /// A template, by name; files are templates too.
    Template(String),
}

/// Functions whose arguments may be absent.
const GUARDS: [&str; 21] = [
    "toString", "and", "or", "not", "default", "coalesce", "empty", "hasKey", "dig", "get",
    "required", "include", "tpl", "list", "dict", "ternary", "kindIs", "kindOf", "typeIs",
    "typeOf", "fail",
];
/// Functions that hand maps on, or look at one key of them.
const HANDS_ON: [&str; 26] = [
    "and", "or", "not", "default", "coalesce", "empty", "hasKey", "dig", "get", "required",
    "include", "tpl", "list", "dict", "ternary", "kindIs", "kindOf", "typeIs", "typeOf", "fail",
    "index", "pluck", "set", "len", "append", "prepend",
];
/// Functions that make a map out of others; only those that stand in the values count as read.
const COMBINES: [&str; 9] = [
    "merge",
    "mustMerge",
    "mergeOverwrite",
    "mustMergeOverwrite",
    "deepCopy",
    "mustDeepCopy",
    "omit",
    "pick",
    "unset",
];
/// Deepest nesting looked into.
const DEPTH_MAX: u32 = 16;

/// Functions that take anything: what is expected around them is expected in them.
const TAKES_ANYTHING: [&str; 3] = ["quote", "squote", "has"];

/// Whether arguments of a function may be absent; none when what surrounds it decides.
pub(crate) fn guards(function: &str, arguments: &[Expr]) -> Option<bool> {
    let asks_for_nil = arguments
        .iter()
        .any(|argument| matches!(argument.kind, ExprKind::Nil));
    if asks_for_nil || GUARDS.contains(&function) {
        return Some(true);
    }
    (!TAKES_ANYTHING.contains(&function)).then_some(false)
}

/// Whether something later in a pipeline minds an absent value.
pub(crate) fn guarded_by(trees: &Trees, later: &[Command]) -> bool {
    later
        .iter()
        .any(|command| match &trees.list(command.args)[0].kind {
            ExprKind::Function(function) => GUARDS.contains(&function.name),
            _ => false,
        })
}

#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) watched: Watched,
    /// Whether an absent value is expected here, innermost last.
    guards: Vec<bool>,
}

impl Watch {
    pub(crate) fn new(definitions: &Definitions, sources: &[Arc<Source>]) -> Self {
        let mut watch = Self::default();
        watch.watched.points = points(definitions, sources);
        watch.watched.named = named(definitions, sources);
        watch
    }

    /// Expects absent values from now on, or does not, or goes on as before.
    pub(crate) fn guard(&mut self, guard: Option<bool>) {
        let before = self.guards.last().copied().unwrap_or(false);
        self.guards.push(guard.unwrap_or(before));
    }

    pub(crate) fn unguard(&mut self) {
        self.guards.pop();
    }

    pub(crate) fn statement(&mut self, source: u32, node: &Node) {
        let key = (source, node.pos);
        *self.watched.statements.entry(key).or_default() += 1;
    }

    pub(crate) fn branch(&mut self, source: u32, branch: &Branch, first: bool) {
        let key = (source, branch.pipe.pos, first);
        *self.watched.branches.entry(key).or_default() += 1;
    }

    pub(crate) fn enter(&mut self, definition: &Definition) {
        let key = (definition.source, definition.tree.name.to_string());
        *self.watched.entered.entry(key).or_default() += 1;
    }

    /// A template stepped from a map to one of its keys, at an offset of a source.
    pub(crate) fn step(&mut self, map: &Map, key: &str, place: (u32, u32)) {
        let Some(path) = map.path() else {
            return;
        };
        let path = below(path, key);
        let guarded = self.guards.last().copied().unwrap_or(false);
        if !guarded && !map.contains(key.as_bytes()) {
            let absent = (path.clone(), place.0, place.1);
            *self.watched.absent.entry(absent).or_default() += 1;
        }
        self.watched.read.insert(path);
    }

    /// A value was printed.
    pub(crate) fn printed(&mut self, value: &Value) {
        self.take(value, DEPTH_MAX);
    }

    /// A map was iterated over.
    pub(crate) fn ranged(&mut self, value: &Value) {
        if let Value::Map(map) = value
            && let Some(path) = map.path()
        {
            for (key, _) in map.entries() {
                self.watched.read.insert(below(path, &key.lossy()));
            }
        }
    }

    /// A function was called.
    pub(crate) fn called(&mut self, function: &str, arguments: &[Value]) {
        if HANDS_ON.contains(&function) {
            return self.keys(arguments);
        }
        let depth = if COMBINES.contains(&function) {
            1
        } else {
            DEPTH_MAX
        };
        for argument in arguments {
            self.take(argument, depth);
        }
    }

    /// Keys named beside a map: `index .Values.a "b" "c"`, `dig "b" "c" nil .Values.a`.
    fn keys(&mut self, arguments: &[Value]) {
        let texts = arguments.iter().filter_map(|argument| match argument {
            Value::String(text) => Some(text.lossy().into_owned()),
            _ => None,
        });
        let texts: Vec<String> = texts.collect();
        for argument in arguments {
            let Value::Map(map) = argument else { continue };
            let Some(path) = map.path() else { continue };
            let mut path = path.to_string();
            for text in &texts {
                path = below(&path, text);
                self.watched.read.insert(path.clone());
            }
        }
    }

    /// Everything in a value was read.
    fn take(&mut self, value: &Value, depth: u32) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        match value {
            Value::Map(map) => match map.path() {
                Some(path) => {
                    self.watched.whole.insert(path.to_string());
                }
                None => {
                    for (_, item) in map.entries() {
                        self.take(&item, depth);
                    }
                }
            },
            Value::List(list) if list.kind != ListKind::Bytes => {
                list.items().iter().for_each(|item| self.take(item, depth))
            }
            _ => {}
        }
    }
}

fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_string(),
        path => format!("{path}.{key}"),
    }
}

fn points(definitions: &Definitions, sources: &[Arc<Source>]) -> Vec<Point> {
    let mut points = Vec::new();
    for definition in definitions.values() {
        let (tree, index) = (&definition.tree, definition.source);
        points.push(Point {
            source: index,
            offset: begin(definition, sources),
            kind: PointKind::Template(tree.name.to_string()),
        });
        list_points((&tree.trees, index), tree.root, &mut points);
    }
    points
}

/// Where `{{ define` of a template stands; the start of the source for a file.
fn begin(definition: &Definition, sources: &[Arc<Source>]) -> u32 {
    let (tree, index) = (&definition.tree, definition.source);
    let Some(source) = sources.get(index as usize) else {
        return 0;
    };
    let is_file = source.name == *tree.name;
    let first = tree.nodes().first().filter(|_| !is_file);
    let before = first.and_then(|node| source.text.get(..node.pos as usize));
    let at = before.and_then(|before| {
        let last = |text: &[u8], word: &str| memchr::memmem::rfind(text, word.as_bytes());
        let word = last(before, "define").max(last(before, "block"))?;
        last(&before[..word], "{{")
    });
    u32::try_from(at.unwrap_or(0)).unwrap_or(0)
}

fn named(definitions: &Definitions, sources: &[Arc<Source>]) -> BTreeSet<(String, Vec<String>)> {
    let mut paths = BTreeSet::new();
    for definition in definitions.values() {
        let (tree, index) = (&definition.tree, definition.source);
        let Some(source) = sources.get(index as usize) else {
            continue;
        };
        let mut add = |names: &[Arc<str>]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            if let Some(("Values", path)) = names.split_first().map(|(a, b)| (a.as_str(), b)) {
                paths.insert((source.name.clone(), path.to_vec()));
            }
        };
        list_names(&tree.trees, tree.root, &mut add);
    }
    paths
}

fn list_points((trees, source): (&Trees, u32), list: List<Node>, out: &mut Vec<Point>) {
    for node in trees.list(list) {
        let kind = match &node.kind {
            NodeKind::Text(part) => PointKind::Text(part.length),
            _ => PointKind::Action,
        };
        let offset = node.pos;
        out.push(Point {
            source,
            offset,
            kind,
        });
        if let NodeKind::If(branch) | NodeKind::With(branch) | NodeKind::Range(branch) = &node.kind
        {
            let branch = trees.one(*branch);
            out.push(Point {
                source,
                offset: branch.pipe.pos,
                kind: PointKind::Branch,
            });
            list_points((trees, source), branch.list, out);
            if let Some(otherwise) = branch.otherwise {
                list_points((trees, source), otherwise, out);
            }
        }
    }
}

fn list_names(trees: &Trees, list: List<Node>, add: &mut dyn FnMut(&[Arc<str>])) {
    for node in trees.list(list) {
        match &node.kind {
            NodeKind::Action(pipe) => pipe_names(trees, pipe, add),
            NodeKind::Template(_, Some(pipe)) => pipe_names(trees, trees.one(*pipe), add),
            NodeKind::If(branch) | NodeKind::With(branch) | NodeKind::Range(branch) => {
                let branch = trees.one(*branch);
                pipe_names(trees, &branch.pipe, add);
                list_names(trees, branch.list, add);
                if let Some(otherwise) = branch.otherwise {
                    list_names(trees, otherwise, add);
                }
            }
            _ => {}
        }
    }
}

fn pipe_names(trees: &Trees, pipe: &Pipe, add: &mut dyn FnMut(&[Arc<str>])) {
    for command in trees.list(pipe.commands) {
        let words = trees.list(command.args);
        words.iter().for_each(|word| expr_names(trees, word, add));
    }
}

fn expr_names(trees: &Trees, expr: &Expr, add: &mut dyn FnMut(&[Arc<str>])) {
    match &expr.kind {
        ExprKind::Field(names) => add(trees.list(*names)),
        ExprKind::Variable(names) => add(&trees.list(*names)[1..]),
        ExprKind::Chain(inner, _) => expr_names(trees, trees.one(*inner), add),
        ExprKind::Pipe(pipe) => pipe_names(trees, trees.one(*pipe), add),
        _ => {}
    }
}
