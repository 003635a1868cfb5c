//! Runs templates: statements, scopes, output.
//!
//! A [`Machine`] lives for one rendering; it owns the templates, the limits and what functions
//! need. A [`Frame`] is one execution of one template: its variables and the node being looked at,
//! which is what Go names in messages even when the mistake lies next to it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use ahash::RandomState;
use bytes::Bytes;

use crate::ast::{Branch, Command, Expr, Id, List, Node, NodeKind, Pipe, Tree, Trees};
use crate::error::Error;
use crate::format;
use crate::functions::Alphabet;
use crate::literal::quote;
use crate::output::{Buffer, NO_VALUE, Origin, Output, Read, path_of};
use crate::set::{Definition, Definitions, Set, Source};
use crate::text::Text;
use crate::value::Value;
use crate::watch::{Watch, Watched, guarded_by};

/// What templates may ask of the world, given by the caller.
pub trait Environment {
    /// The time now: seconds since 1970 and nanoseconds.
    fn now(&self) -> (i64, u32);
    /// Fills a buffer with random bytes.
    fn random(&self, buffer: &mut [u8]);
    /// The object `lookup` finds, as JSON; an empty object for nothing.
    ///
    /// # Errors
    /// A text for the template's author.
    fn lookup(&self, query: [&str; 4]) -> Result<serde_json::Value, String> {
        let _ = query;
        Ok(serde_json::json!({}))
    }
    /// Whether `required` and `fail` let rendering go on, as Helm's lint does.
    fn is_lint(&self) -> bool {
        false
    }
}

/// An environment without cluster, whose clock stands at 1970 and whose random bytes are zero.
pub struct NoEnvironment;

impl Environment for NoEnvironment {
    fn now(&self) -> (i64, u32) {
        (0, 0)
    }
    fn random(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// What one rendering may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Executions inside one another (`template`, `include`, `tpl`). The caller's stack must hold
    /// about 32 KiB for each.
    pub depth_max: u32,
    /// Statements and commands executed.
    pub steps_max: u64,
    /// Bytes of one output, and of one string a function makes.
    pub output_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 50,
            steps_max: 50_000_000,
            output_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// What linting went past that rendering would have stopped at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// `required` found nothing, or an empty text.
    Missing {
        /// Its message.
        text: String,
        /// Whether it was an empty text.
        is_text: bool,
    },
    /// `fail` was called with a message.
    Failed(String),
}

/// Times one name may be included within itself, as in Helm.
const INCLUDE_DEPTH_MAX: u32 = 1000;
/// Buffers kept to be written again, and the largest output one of them held.
const SPARE_MAX: usize = 16;
const SPARE_BYTES_MAX: usize = 1 << 20;
/// Outputs of a template from this size on keep their buffer instead of being copied out of it.
const COPIED_BYTES_MAX: usize = 64 * 1024;
/// Values remembered for one piece of output.
const READS_MAX: usize = 8;

/// One rendering: templates, limits and the state functions share.
pub struct Machine<'e> {
    pub(crate) environment: &'e dyn Environment,
    /// What may be used.
    pub limits: Limits,
    /// What linting went past.
    pub notes: Vec<Note>,
    definitions: Rc<Definitions>,
    /// Files of the set; shared with every output.
    files: Arc<[Arc<Source>]>,
    /// Texts `tpl` was given; their indexes follow those of the files.
    texts: Vec<Source>,
    absent: &'static [&'static str],
    parsed: HashMap<Arc<[u8]>, Rc<[Definition]>, RandomState>,
    included: HashMap<Arc<str>, u32, RandomState>,
    /// The name `$`.
    root: Arc<str>,
    steps: u64,
    depth: u32,
    reads: Vec<Read>,
    /// Whether origins and reads are kept.
    traced: bool,
    /// Buffers to be written again.
    spare: Vec<Buffer>,
    pub(crate) watch: Option<Box<Watch>>,
    pub(crate) patterns: HashMap<(String, Alphabet), Rc<regex::bytes::Regex>, RandomState>,
}

impl<'e> Machine<'e> {
    /// A machine with default [`Limits`].
    pub fn new(set: Set, environment: &'e dyn Environment) -> Self {
        Self {
            environment,
            limits: Limits::default(),
            notes: Vec::new(),
            definitions: Rc::new(set.definitions),
            files: set.sources.into(),
            texts: Vec::new(),
            absent: set.absent,
            parsed: HashMap::default(),
            included: HashMap::default(),
            root: "$".into(),
            steps: 0,
            depth: 0,
            reads: Vec::new(),
            traced: true,
            spare: Vec::new(),
            watch: None,
            patterns: HashMap::default(),
        }
    }

    /// Does not remember from now on where output comes from and which values were read for it,
    /// which only errors need: [`Output::position`] finds nothing, and errors name no values.
    pub fn forget_origins(&mut self) {
        self.traced = false;
    }

    /// Records from now on what is executed and read.
    pub fn watch(&mut self) {
        self.watch = Some(Box::new(Watch::new(&self.definitions, &self.files)));
    }

    /// What was recorded since.
    pub fn watched(&mut self) -> Option<Watched> {
        let watch = self.watch.take()?;
        let texts = self.texts.iter().cloned().map(Arc::new);
        Some(Watched {
            sources: self.files.iter().cloned().chain(texts).collect(),
            ..watch.watched
        })
    }

    /// Executes a template on a value. `<no value>` is removed from the output, as Helm does.
    ///
    /// # Errors
    /// Go's text and the place; a limit reached.
    pub fn run(&mut self, name: &str, data: &Value) -> Result<Output, Error> {
        let buffer = self.executed(name, data)?.without_no_value();
        Ok(self.output(buffer))
    }

    /// The same, with each `<no value>` as Go prints it.
    ///
    /// # Errors
    /// As [`Machine::run`].
    pub fn run_unchanged(&mut self, name: &str, data: &Value) -> Result<Output, Error> {
        let buffer = self.executed(name, data)?;
        Ok(self.output(buffer))
    }

    fn executed(&mut self, name: &str, data: &Value) -> Result<Buffer, Error> {
        let definition = self.definition(name)?;
        let out = self.spare_buffer();
        self.execute(&definition, data, out)
    }

    fn output(&mut self, mut buffer: Buffer) -> Output {
        let output = Output {
            spans: std::mem::take(&mut buffer.spans),
            bytes: buffer.take_bytes(COPIED_BYTES_MAX),
            sources: Arc::clone(&self.files),
        };
        self.keep(buffer);
        output
    }

    /// The text a tree was parsed from.
    fn source(&self, index: u32) -> &Source {
        let index = index as usize;
        match self.files.get(index) {
            Some(file) => file,
            None => &self.texts[index - self.files.len()],
        }
    }

    fn definition(&self, name: &str) -> Result<Definition, Error> {
        let found = self.definitions.get(name).cloned();
        found.ok_or_else(|| {
            let name = quote(name.as_bytes());
            Error::plain(format!(
                "template: no template {name} associated with template \"gotpl\""
            ))
        })
    }

    /// Executes into a buffer and gives it back.
    fn execute(
        &mut self,
        definition: &Definition,
        data: &Value,
        mut out: Buffer,
    ) -> Result<Buffer, Error> {
        // A nil handed over is no value at all on the other side.
        let dot = Operand::of(data.clone()).unboxed();
        self.execute_into(definition, &dot, &mut out)?;
        Ok(out)
    }

    fn execute_into(
        &mut self,
        definition: &Definition,
        dot: &Operand,
        out: &mut Buffer,
    ) -> Result<(), Error> {
        if self.depth >= self.limits.depth_max {
            let max = self.limits.depth_max;
            return Err(Error::plain(format!(
                "exceeded maximum template depth ({max})"
            )));
        }
        if let Some(watch) = &mut self.watch {
            watch.enter(definition);
        }
        self.depth += 1;
        let root = Arc::clone(&self.root);
        let mut frame = Frame {
            machine: self,
            tree: &definition.tree,
            trees: &definition.tree.trees,
            source: definition.source,
            variables: vec![(root, dot.clone())],
            at: At::Nothing,
            out,
        };
        let result = frame.walk_list(dot, definition.tree.root);
        self.depth -= 1;
        result.map(|_| ())
    }

    /// `include`: another template's output as a text that keeps its origins.
    pub(crate) fn include(&mut self, name: &Text, data: &Value) -> Result<Value, Error> {
        let definition = self.definition(&name.lossy())?;
        let key = &definition.tree.name;
        let count = self.included.entry(Arc::clone(key)).or_default();
        if *count > INCLUDE_DEPTH_MAX {
            let cause = Error::plain("unable to execute template");
            let text = format!(
                "rendering template has a nested reference name: {key}: unable to execute template"
            );
            return Err(cause.wrapped(text, false));
        }
        *count += 1;
        let reads = std::mem::take(&mut self.reads);
        let out = self.spare_buffer();
        let result = self.execute(&definition, data, out);
        self.reads = reads;
        if let Some(count) = self.included.get_mut(key) {
            *count -= 1;
        }
        let mut buffer = result?;
        let text = buffer.take_text();
        self.keep(buffer);
        Ok(Value::String(text))
    }

    /// A buffer for an output that is copied.
    fn spare_buffer(&mut self) -> Buffer {
        let spare = self.spare.pop();
        spare.unwrap_or_else(|| Buffer::new(self.traced))
    }

    /// Keeps a buffer for the next output that is copied.
    fn keep(&mut self, mut buffer: Buffer) {
        if self.spare.len() < SPARE_MAX && buffer.len() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// `tpl`: parses and executes a text; what it defines is seen only inside.
    pub(crate) fn tpl(&mut self, text: &Text, data: &Value) -> Result<Value, Error> {
        if crate::output::find(text.bytes(), b"{{").is_none() {
            if crate::output::find(text.bytes(), NO_VALUE).is_none() {
                return Ok(Value::String(text.clone()));
            }
            let text = Buffer::of(text).without_no_value().take_text();
            return Ok(Value::String(text));
        }
        let shown = || quote(text.bytes());
        let parsed = self.parse_tpl(text).map_err(|error| {
            let whole = format!("cannot parse template {}: {}", shown(), error.text());
            error.wrapped(whole, false)
        })?;
        let Some((main, defined)) = parsed.split_last() else {
            return Ok(Value::text(""));
        };
        let before = Rc::clone(&self.definitions);
        if !defined.is_empty() {
            let mut own = (*self.definitions).clone();
            for one in defined {
                let name = &one.tree.name;
                if !one.tree.is_empty() || !own.contains_key(name) {
                    own.insert(Arc::clone(name), one.clone());
                }
            }
            self.definitions = Rc::new(own);
        }
        let reads = std::mem::take(&mut self.reads);
        let out = self.spare_buffer();
        let result = self.execute(main, data, out);
        self.definitions = before;
        self.reads = reads;
        let buffer = result.map_err(|error| {
            let whole = format!(
                "error during tpl function execution for {}: {}",
                shown(),
                error.text()
            );
            error.wrapped(whole, false)
        })?;
        // Places inside a text that came from values mean nothing to a reader: the caller's place
        // is used for it.
        let buffer = buffer.without_no_value();
        let text = Value::text(buffer.as_slice());
        self.keep(buffer);
        Ok(text)
    }

    fn parse_tpl(&mut self, text: &Text) -> Result<Rc<[Definition]>, Error> {
        if let Some(parsed) = self.parsed.get(text.bytes()) {
            return Ok(Rc::clone(parsed));
        }
        let bytes = Bytes::copy_from_slice(text.bytes());
        let trees = crate::parser::parse("gotpl", &bytes, self.absent)?;
        let index = self.files.len() + self.texts.len();
        let source = u32::try_from(index).unwrap_or(u32::MAX);
        self.texts.push(Source {
            name: "gotpl".to_string(),
            text: bytes,
        });
        let parsed = trees.into_iter().map(|tree| Definition {
            tree: Arc::new(tree),
            source,
        });
        let parsed: Rc<[Definition]> = parsed.collect();
        self.parsed.insert(text.shared(), Rc::clone(&parsed));
        Ok(parsed)
    }

    /// Refuses a string longer than the limit before it is made.
    pub(crate) fn check_size(&self, bytes: usize) -> Result<(), Error> {
        let max = self.limits.output_bytes_max;
        if bytes > max {
            return Err(Error::plain(format!("output is larger than {max} bytes")));
        }
        Ok(())
    }

    /// Pays for work a function does in one go.
    pub(crate) fn charge(&mut self, steps: usize) -> Result<(), Error> {
        self.steps = self.steps.saturating_add(steps as u64);
        if self.steps > self.limits.steps_max {
            let max = self.limits.steps_max;
            return Err(Error::plain(format!(
                "exceeded maximum number of steps ({max})"
            )));
        }
        Ok(())
    }

    pub(crate) fn read(&mut self, path: &Arc<str>, key: &Arc<str>) {
        if self.traced && self.reads.len() < READS_MAX {
            self.reads.push((Arc::clone(path), Arc::clone(key)));
        }
    }

    /// Reads again what a variable or the dot was read from; a map of the values reads itself.
    pub(crate) fn read_again(&mut self, operand: &Operand) {
        if !self.traced {
            return;
        }
        match (&operand.reads, &operand.value) {
            (Some(reads), _) => {
                for (path, key) in reads.iter() {
                    self.read(path, key);
                }
            }
            (None, Value::Map(map)) => {
                if let Some(path) = map.path().filter(|path| !path.is_empty()) {
                    self.read(&Arc::from(""), path);
                }
            }
            _ => {}
        }
    }

    /// What was read since `from`, to be kept with a value that outlives its action.
    fn reads_since(&self, from: usize) -> Option<Arc<[Read]>> {
        let reads = self.reads.get(from..).filter(|reads| !reads.is_empty())?;
        Some(reads.iter().cloned().collect())
    }

    /// What was read since the last call.
    fn take_reads(&mut self) -> Option<Arc<[Read]>> {
        if self.reads.is_empty() {
            return None;
        }
        Some(self.reads.drain(..).collect())
    }
}

/// A value and whether Go would hold it in an interface, which shows in messages.
#[derive(Clone)]
pub(crate) struct Operand {
    pub(crate) value: Value,
    pub(crate) boxed: bool,
    /// What a variable, or the dot of a `with` or `range`, was made from.
    pub(crate) reads: Option<Arc<[Read]>>,
}

impl Operand {
    pub(crate) fn of(value: Value) -> Self {
        Self {
            value,
            boxed: false,
            reads: None,
        }
    }

    pub(crate) fn boxed(value: Value, boxed: bool) -> Self {
        let boxed = boxed || matches!(value, Value::Nil);
        Self {
            value,
            boxed,
            reads: None,
        }
    }

    /// What the interface holds.
    pub(crate) fn unboxed(self) -> Self {
        match self.value {
            Value::Nil => Self::of(Value::Missing),
            value => Self::of(value),
        }
    }

    /// What a member of this value was read from, when this value itself was read from one place.
    fn member(&self, step: impl std::fmt::Display) -> Option<Arc<[Read]>> {
        let [(path, key)] = self.reads.as_deref()? else {
            return None;
        };
        Some(Arc::from([(
            Arc::clone(path),
            Arc::from(format!("{key}{step}")),
        )]))
    }

    pub(crate) fn type_name(&self) -> String {
        match (&self.value, self.boxed) {
            (Value::Nil, _) | (_, true) => "interface {}".to_string(),
            (value, false) => value.type_name(),
        }
    }
}

/// The node messages point at.
#[derive(Clone, Copy)]
pub(crate) enum At<'t> {
    Nothing,
    Node(&'t Node),
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
}

impl At<'_> {
    fn pos(&self) -> u32 {
        match self {
            At::Nothing => 0,
            At::Node(node) => node.pos,
            At::Pipe(pipe) => pipe.pos,
            At::Command(command) => command.pos,
            At::Expr(expr) => expr.pos,
        }
    }

    fn text(&self, trees: &Trees) -> String {
        match self {
            At::Nothing => String::new(),
            At::Node(node) => trees.shown(*node).to_string(),
            At::Pipe(pipe) => trees.shown(*pipe).to_string(),
            At::Command(command) => trees.shown(*command).to_string(),
            At::Expr(expr) => trees.shown(*expr).to_string(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// One execution of one template.
pub(crate) struct Frame<'m, 'e, 't> {
    pub(crate) machine: &'m mut Machine<'e>,
    tree: &'t Tree,
    pub(crate) trees: &'t Trees,
    source: u32,
    variables: Vec<(Arc<str>, Operand)>,
    pub(crate) at: At<'t>,
    out: &'m mut Buffer,
}

impl<'t> Frame<'_, '_, 't> {
    /// An error at the node being looked at.
    pub(crate) fn fail(&self, message: &str) -> Error {
        self.fail_with(message, None)
    }

    /// The same, caused by another error whose text ends `message`.
    pub(crate) fn fail_with(&self, message: &str, cause: Option<Error>) -> Error {
        let source = self.machine.source(self.source);
        let offset = self.at.pos() as usize;
        let (line, column) = source.line_and_column(offset);
        let name = quote(self.tree.name.as_bytes());
        let text = format!(
            "template: {}:{line}:{column}: executing {name} at <{}>: {message}",
            source.name,
            self.at.text(self.trees)
        );
        let mut error = match cause {
            Some(cause) => cause.wrapped(text, true),
            None => {
                let mut error = Error::plain(text);
                error.chain[0].is_exec = true;
                error
            }
        };
        if error.place.is_none() {
            error.place = Some(source.place(offset));
        }
        if error.reads.is_empty() {
            error.reads = self.machine.reads.iter().map(path_of).collect();
        }
        error
    }

    fn step(&mut self) -> Result<(), Error> {
        self.machine.steps += 1;
        if self.machine.steps > self.machine.limits.steps_max {
            let max = self.machine.limits.steps_max;
            return Err(self.fail(&format!("exceeded maximum number of steps ({max})")));
        }
        if self.out.len() > self.machine.limits.output_bytes_max {
            let max = self.machine.limits.output_bytes_max;
            return Err(self.fail(&format!("output is larger than {max} bytes")));
        }
        Ok(())
    }

    /// Evaluates something in which absent values are expected, or are not.
    pub(crate) fn guarded<T>(
        &mut self,
        guard: Option<bool>,
        evaluate: impl FnOnce(&mut Self) -> T,
    ) -> T {
        if self.machine.watch.is_none() {
            return evaluate(self);
        }
        if let Some(watch) = &mut self.machine.watch {
            watch.guard(guard);
        }
        let result = evaluate(self);
        if let Some(watch) = &mut self.machine.watch {
            watch.unguard();
        }
        result
    }

    fn branched(&mut self, branch: &Branch, first: bool) {
        if let Some(watch) = &mut self.machine.watch {
            watch.branch(self.source, branch, first);
        }
    }

    /// Source and offset of the node being looked at.
    pub(crate) fn place(&self) -> (u32, u32) {
        (self.source, self.at.pos())
    }

    fn walk_list(&mut self, dot: &Operand, list: List<Node>) -> Result<Flow, Error> {
        for node in self.trees.list(list) {
            let flow = self.walk(dot, node)?;
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn walk(&mut self, dot: &Operand, node: &'t Node) -> Result<Flow, Error> {
        self.at = At::Node(node);
        self.step()?;
        if let Some(watch) = &mut self.machine.watch {
            watch.statement(self.source, node);
        }
        match &node.kind {
            NodeKind::Text(text) => {
                let mut origin = self.origin(node.pos, None);
                origin.literal = true;
                if self.out.shares(text.length) {
                    self.out.share(self.trees.shared(*text), origin);
                } else {
                    self.out.write(self.trees.text(*text), origin);
                }
            }
            NodeKind::Action(pipe) => {
                self.machine.reads.clear();
                let value = self.eval_pipeline(dot, pipe)?;
                if pipe.declares.is_empty() {
                    self.print(node, &value.value);
                }
            }
            NodeKind::If(branch) => return self.walk_if(dot, self.trees.one(*branch), false),
            NodeKind::With(branch) => return self.walk_if(dot, self.trees.one(*branch), true),
            NodeKind::Range(branch) => {
                return self.walk_range(dot, node, self.trees.one(*branch));
            }
            NodeKind::Template(name, pipe) => self.walk_template(dot, *name, *pipe)?,
            NodeKind::Break => return Ok(Flow::Break),
            NodeKind::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn origin(&self, offset: u32, reads: Option<Arc<[Read]>>) -> Origin {
        Origin {
            source: self.source,
            offset,
            literal: false,
            reads,
        }
    }

    fn print(&mut self, node: &Node, value: &Value) {
        if let Some(watch) = &mut self.machine.watch {
            watch.printed(value);
        }
        let reads = self.machine.take_reads();
        let origin = self.origin(node.pos, reads);
        match value {
            Value::Missing | Value::Nil => self.out.write(NO_VALUE, origin),
            Value::String(text) => self.out.write_text(text, origin),
            other => self.out.write(&format::print_given(other), origin),
        }
    }

    fn walk_if(&mut self, dot: &Operand, branch: &'t Branch, with: bool) -> Result<Flow, Error> {
        let mark = self.variables.len();
        self.machine.reads.clear();
        let mut value = self.guarded(Some(true), |frame| frame.eval_pipeline(dot, &branch.pipe))?;
        self.branched(branch, value.value.truth());
        if with {
            value.reads = self.machine.reads_since(0);
        }
        let flow = if value.value.truth() {
            let inner = if with { &value } else { dot };
            self.walk_list(inner, branch.list)
        } else if let Some(list) = branch.otherwise {
            self.walk_list(dot, list)
        } else {
            Ok(Flow::Next)
        };
        self.variables.truncate(mark);
        flow
    }

    fn walk_range(
        &mut self,
        dot: &Operand,
        node: &'t Node,
        branch: &'t Branch,
    ) -> Result<Flow, Error> {
        self.at = At::Node(node);
        let mark = self.variables.len();
        self.machine.reads.clear();
        let mut value = self.guarded(Some(true), |frame| frame.eval_pipeline(dot, &branch.pipe))?;
        if let Some(watch) = &mut self.machine.watch {
            watch.ranged(&value.value);
        }
        value.reads = self.machine.reads_since(0);
        let inner = self.variables.len();
        let flow = self.range_over(branch, &value, inner);
        if let Ok(any) = &flow {
            self.branched(branch, *any);
        }
        self.variables.truncate(mark);
        match flow? {
            true => Ok(Flow::Next),
            // A break in the else list belongs to the loop around.
            false => match branch.otherwise {
                Some(list) => {
                    let flow = self.walk_list(dot, list);
                    self.variables.truncate(mark);
                    flow
                }
                None => Ok(Flow::Next),
            },
        }
    }

    /// Whether there was anything to iterate over.
    fn range_over(
        &mut self,
        branch: &'t Branch,
        over: &Operand,
        inner: usize,
    ) -> Result<bool, Error> {
        let value = &over.value;
        match value {
            Value::Missing | Value::Nil => Ok(false),
            Value::Int(count) | Value::Int64(count) => {
                if self.trees.list(branch.pipe.declares).len() > 1 {
                    let message =
                        format!("can't use {count} to iterate over more than one variable");
                    return Err(self.fail(&message));
                }
                for index in 0..*count {
                    let item = match value {
                        Value::Int(_) => Value::Int(index),
                        _ => Value::Int64(index),
                    };
                    let key = Operand::of(Value::Missing);
                    if self.iterate(branch, key, Operand::of(item), inner)? == Flow::Break {
                        break;
                    }
                }
                Ok(*count > 0)
            }
            Value::List(list) => {
                for (index, item) in list.items().iter().enumerate() {
                    let index = i64::try_from(index).unwrap_or(i64::MAX);
                    let mut item = Operand::boxed(item.clone(), list.kind.boxes());
                    item.reads = over.member(format_args!("[{index}]"));
                    let key = Operand::of(Value::Int(index));
                    if self.iterate(branch, key, item, inner)? == Flow::Break {
                        break;
                    }
                }
                Ok(!list.is_empty())
            }
            Value::Map(map) => {
                let boxed = map.kind().boxes();
                let entries = map.entries();
                let any = !entries.is_empty();
                for (key, item) in entries {
                    let mut item = Operand::boxed(item, boxed);
                    item.reads = over.member(format_args!(".{}", key.lossy()));
                    let key = Operand::of(Value::String(key));
                    if self.iterate(branch, key, item, inner)? == Flow::Break {
                        break;
                    }
                }
                Ok(any)
            }
            other => {
                let shown = format::print_element(other);
                let shown = String::from_utf8_lossy(&shown);
                Err(self.fail(&format!("range can't iterate over {shown}")))
            }
        }
    }

    fn iterate(
        &mut self,
        branch: &'t Branch,
        key: Operand,
        item: Operand,
        inner: usize,
    ) -> Result<Flow, Error> {
        self.step()?;
        let declares = self.trees.list(branch.pipe.declares);
        if branch.pipe.assigns {
            match declares {
                [one] => self.set_variable(one, item.clone())?,
                [first, second, ..] => {
                    self.set_variable(first, key)?;
                    self.set_variable(second, item.clone())?;
                }
                [] => {}
            }
        } else if !declares.is_empty() {
            self.variables[inner - 1].1 = item.clone();
            if declares.len() > 1 {
                self.variables[inner - 2].1 = key;
            }
        }
        let flow = self.walk_list(&item, branch.list);
        self.variables.truncate(inner);
        flow
    }

    fn walk_template(
        &mut self,
        dot: &Operand,
        name: Id<Arc<str>>,
        pipe: Option<Id<Pipe>>,
    ) -> Result<(), Error> {
        let name = self.trees.one(name);
        let Some(definition) = self.machine.definitions.get(name).cloned() else {
            let name = quote(name.as_bytes());
            return Err(self.fail(&format!("template {name} not defined")));
        };
        if self.machine.depth >= self.machine.limits.depth_max {
            let max = self.machine.limits.depth_max;
            return Err(self.fail(&format!("exceeded maximum template depth ({max})")));
        }
        let dot = match pipe {
            Some(pipe) => {
                let pipe = self.trees.one(pipe);
                self.guarded(Some(true), |frame| frame.eval_pipeline(dot, pipe))?
            }
            None => Operand::of(Value::Missing),
        };
        self.machine.execute_into(&definition, &dot, self.out)
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: Operand) -> Result<(), Error> {
        let found = self.variables.iter_mut().rev();
        match found.into_iter().find(|(other, _)| **other == *name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.fail(&format!("undefined variable: {name}"))),
        }
    }

    pub(crate) fn variable(&self, name: &str) -> Result<&Operand, Error> {
        let mut found = self.variables.iter().rev();
        match found.find(|(other, _)| **other == *name) {
            Some((_, value)) => Ok(value),
            None => Err(self.fail(&format!("undefined variable: {name}"))),
        }
    }

    pub(crate) fn eval_pipeline(
        &mut self,
        dot: &Operand,
        pipe: &'t Pipe,
    ) -> Result<Operand, Error> {
        self.at = At::Pipe(pipe);
        let from = self.machine.reads.len();
        let mut value: Option<Operand> = None;
        let kept = !pipe.declares.is_empty();
        let commands = self.trees.list(pipe.commands);
        for (index, command) in commands.iter().enumerate() {
            self.step()?;
            let evaluated = match self.machine.watch {
                Some(_) if kept || guarded_by(self.trees, &commands[index + 1..]) => {
                    self.guarded(Some(true), |frame| frame.eval_command(dot, command, value))
                }
                _ => self.eval_command(dot, command, value),
            };
            value = Some(evaluated?.unboxed());
        }
        let mut value = value.unwrap_or_else(|| Operand::of(Value::Missing));
        if !pipe.declares.is_empty() {
            value.reads = self.machine.reads_since(from);
        }
        for name in self.trees.list(pipe.declares) {
            if pipe.assigns {
                self.set_variable(name, value.clone())?;
            } else {
                self.variables.push((Arc::clone(name), value.clone()));
            }
        }
        Ok(value)
    }
}
