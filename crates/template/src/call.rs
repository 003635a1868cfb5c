//! Evaluates commands: fields, variables, constants, and calls with Go's checks of every argument.

use std::sync::Arc;

use crate::ast::{Command, Constant, Expr, ExprKind, Id, Literal, Trees};
use crate::error::Error;
use crate::exec::{At, Frame, Operand};
use crate::functions::{Args, Arguments, Function, Type};
use crate::go_time::Duration;
use crate::methods::holds;
use crate::output::{Read, path_of};
use crate::text::Text;
use crate::value::{Found, Map, MapKind, Value};

type Evaluated = Result<Operand, Error>;

/// What a word is given: the dot its arguments see, the arguments, and the value piped in.
struct Given<'d, 't> {
    dot: &'d Operand,
    args: &'t [Expr],
    last: Option<Operand>,
}

impl<'d> Given<'d, '_> {
    fn nothing(dot: &'d Operand) -> Self {
        Self {
            dot,
            args: &[],
            last: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.args.is_empty() && self.last.is_none()
    }

    /// What `call` would call: as it is written, or the value that is handed on.
    fn callee(&self, trees: &Trees) -> String {
        match (self.args.first(), &self.last) {
            (Some(arg), _) => trees.shown(arg).to_string(),
            (
                None,
                Some(Operand {
                    value: Value::String(text),
                    ..
                }),
            ) => text.lossy().into_owned(),
            (None, Some(last)) => format!("<{} Value>", last.value.type_name()),
            (None, None) => String::new(),
        }
    }
}

/// Where a chain of fields begins, to say which value stopped it.
enum Start {
    Map(Map),
    Read(Option<Arc<[Read]>>),
}

impl Start {
    fn of(receiver: &Operand) -> Self {
        match &receiver.value {
            Value::Map(map) => Self::Map(map.clone()),
            _ => Self::Read(receiver.reads.clone()),
        }
    }

    /// Puts the path of the value a chain stopped at first, when it is one of the values.
    fn blame(&self, mut error: Error, names: &[Arc<str>]) -> Error {
        let found = match self {
            Self::Read(reads) => reads.as_deref().and_then(|reads| reads.first()).cloned(),
            Self::Map(map) => last_of_values(map, names),
        };
        if let Some(path) = found.as_ref().map(path_of) {
            error.reads.retain(|other| *other != path);
            error.reads.insert(0, path);
        }
        error
    }
}

/// The last value of the values that a chain steps to from a map.
fn last_of_values(map: &Map, names: &[Arc<str>]) -> Option<Read> {
    let mut map = map.clone();
    let mut last = None;
    for name in names {
        if let Some(path) = map.path() {
            last = Some((Arc::clone(path), Arc::clone(name)));
        }
        match map.get(name.as_bytes()) {
            Some(Value::Map(below)) => map = below,
            _ => break,
        }
    }
    last
}

impl<'t> Frame<'_, '_, 't> {
    pub(crate) fn eval_command(
        &mut self,
        dot: &Operand,
        command: &'t Command,
        last: Option<Operand>,
    ) -> Evaluated {
        let trees = self.trees;
        let args = trees.list(command.args);
        let (first, args) = (&args[0], &args[1..]);
        let given = Given { dot, args, last };
        match &first.kind {
            ExprKind::Field(names) => {
                self.at = At::Expr(first);
                return self.fields_of_dot(first, trees.list(*names), given);
            }
            ExprKind::Chain(inner, names) => {
                self.at = At::Expr(first);
                let receiver = self.eval_chain_receiver(dot, first, *inner)?;
                return self.field_chain(receiver, first, trees.list(*names), given);
            }
            ExprKind::Function(function) => {
                self.at = At::Expr(first);
                return self.call(function, At::Command(command), given);
            }
            ExprKind::Pipe(pipe) => {
                self.not_a_function(first, &given)?;
                return self.eval_pipeline(dot, trees.one(*pipe));
            }
            ExprKind::Variable(names) => {
                return self.eval_variable(first, trees.list(*names), given);
            }
            _ => {}
        }
        self.at = At::Expr(first);
        self.not_a_function(first, &given)?;
        match &first.kind {
            ExprKind::Bool(value) => Ok(Operand::of(Value::Bool(*value))),
            ExprKind::Dot => {
                self.machine.read_again(dot);
                Ok(dot.clone())
            }
            ExprKind::Number(number) => self.constant(*number),
            ExprKind::String(literal) => Ok(Operand::of(string(trees.one(*literal)))),
            _ => Err(self.fail("nil is not a command")),
        }
    }

    fn not_a_function(&self, first: &Expr, given: &Given<'_, '_>) -> Result<(), Error> {
        if given.is_empty() {
            return Ok(());
        }
        let first = self.trees.shown(first);
        Err(self.fail(&format!("can't give argument to non-function {first}")))
    }

    fn constant(&self, id: Id<Constant>) -> Evaluated {
        let Constant { written, number } = self.trees.one(id);
        match (number.looks_float, number.float, number.int) {
            (true, Some(float), _) => Ok(Operand::of(Value::Float(float))),
            (_, _, Some(int)) => Ok(Operand::of(Value::Int(int))),
            _ => {
                let written = self.trees.lossy(*written);
                Err(self.fail(&format!("{written} overflows int")))
            }
        }
    }

    fn eval_chain_receiver(
        &mut self,
        dot: &Operand,
        chain: &'t Expr,
        inner: Id<Expr>,
    ) -> Evaluated {
        let inner = self.trees.one(inner);
        if matches!(inner.kind, ExprKind::Nil) {
            let chain = self.trees.shown(chain);
            let message = format!("indirection through explicit nil in {chain}");
            return Err(self.fail(&message));
        }
        self.eval_untyped(dot, inner)
    }

    fn eval_variable(
        &mut self,
        expr: &'t Expr,
        names: &'t [Arc<str>],
        given: Given<'_, 't>,
    ) -> Evaluated {
        self.at = At::Expr(expr);
        let (name, fields) = (&names[0], &names[1..]);
        let value = self.variable(name)?;
        if let Some(found) = self.find(&value.value, fields, &given) {
            return Ok(self.found(found, fields));
        }
        let value = value.clone();
        if fields.is_empty() {
            self.not_a_function(expr, &given)?;
            self.machine.read_again(&value);
            return Ok(value);
        }
        self.field_chain(value, expr, fields, given)
    }

    fn fields_of_dot(
        &mut self,
        node: &'t Expr,
        names: &'t [Arc<str>],
        given: Given<'_, 't>,
    ) -> Evaluated {
        match self.find(&given.dot.value, names, &given) {
            Some(found) => Ok(self.found(found, names)),
            None => self.field_chain(given.dot.clone(), node, names, given),
        }
    }

    /// What a chain of fields of maps leads to, without holding what is on the way; nothing where
    /// there is more to look at than maps.
    fn find(&self, value: &Value, names: &[Arc<str>], given: &Given<'_, '_>) -> Option<Found> {
        match value {
            Value::Map(map) if self.machine.watch.is_none() && given.is_empty() => map.find(names),
            _ => None,
        }
    }

    fn found(&mut self, found: Found, names: &[Arc<str>]) -> Operand {
        if let (Some(path), Some(name)) = (found.path, names.last()) {
            self.machine.read(&path, name);
        }
        Operand::boxed(found.value, found.kind.boxes())
    }

    fn field_chain(
        &mut self,
        receiver: Operand,
        node: &'t Expr,
        names: &'t [Arc<str>],
        given: Given<'_, 't>,
    ) -> Evaluated {
        let Some((name, before)) = names.split_last() else {
            return Ok(receiver);
        };
        let mut receiver = receiver;
        let start = Start::of(&receiver);
        for name in before {
            let next = self.field(receiver, name, At::Expr(node), Given::nothing(given.dot));
            receiver = next.map_err(|error| start.blame(error, names))?;
        }
        if let Value::Map(map) = &receiver.value
            && let Some(path) = map.path()
            && map.kind().method(name).is_none()
        {
            self.machine.read(path, name);
        }
        let value = self.field(receiver, name, At::Expr(node), given);
        value.map_err(|error| start.blame(error, names))
    }

    fn field(
        &mut self,
        receiver: Operand,
        name: &str,
        node: At<'t>,
        given: Given<'_, 't>,
    ) -> Evaluated {
        let has_args = !given.is_empty();
        match &receiver.value {
            Value::Missing => return Ok(Operand::of(Value::Missing)),
            Value::Nil => {
                let message = format!("nil pointer evaluating interface {{}}.{name}");
                return Err(self.fail(&message));
            }
            Value::Map(map) => {
                if let Some(method) = map.kind().method(name) {
                    let mut values = Arguments::new();
                    self.arguments(name, (method.parameters, None), given, &mut values)?;
                    let text = values.first().map(crate::format::text_of);
                    let text = text.as_ref().map(Text::lossy).unwrap_or_default();
                    return (method.run)(self.machine, map, &text)
                        .map(|value| Operand::boxed(value, false))
                        .map_err(|error| self.call_failed(node, name, error));
                }
                if has_args {
                    return Err(self.fail(&format!("{name} is not a method but has arguments")));
                }
                let place = self.place();
                if let Some(watch) = &mut self.machine.watch {
                    watch.step(map, name, place);
                }
                return Ok(map_entry(map, name.as_bytes()));
            }
            Value::List(list) if list.kind.has(name) => {
                let mut values = Arguments::new();
                self.arguments(name, (&[Type::String], None), given, &mut values)?;
                let wanted = values.first().map(crate::format::text_of);
                let wanted = wanted.as_ref().map(Text::lossy).unwrap_or_default();
                return Ok(Operand::boxed(holds(list, &wanted), false));
            }
            Value::Object(object) => {
                if let Some(method) = object.method(name) {
                    let mut values = Arguments::new();
                    self.arguments(name, (method.parameters, None), given, &mut values)?;
                    return (method.call)(&values)
                        .map(|value| Operand::boxed(value, false))
                        .map_err(|error| self.call_failed(node, name, error));
                }
                if let Some(value) = object.field(name) {
                    if has_args {
                        let reason = "has arguments but cannot be invoked as function";
                        return Err(self.fail(&format!("{name} {reason}")));
                    }
                    return Ok(Operand::boxed(value, false));
                }
            }
            _ => {}
        }
        Err(self.no_field(&receiver, name))
    }

    fn no_field(&self, receiver: &Operand, name: &str) -> Error {
        if let Value::Object(object) = &receiver.value
            && object.fields().iter().any(|(field, _)| *field == name)
        {
            let kind = receiver.value.element_name();
            return self.fail(&format!(
                "{name} is an unexported field of struct type {kind}"
            ));
        }
        let kind = receiver.type_name();
        self.fail(&format!("can't evaluate field {name} in type {kind}"))
    }

    fn call_failed(&mut self, node: At<'t>, name: &str, error: Error) -> Error {
        self.at = node;
        let message = format!("error calling {name}: {}", error.text());
        self.fail_with(&message, Some(error))
    }

    fn call(
        &mut self,
        function: &'static Function,
        node: At<'t>,
        given: Given<'_, 't>,
    ) -> Evaluated {
        if function.name == "and" || function.name == "or" {
            return self.call_logic(function, given);
        }
        let name = function.name;
        let types = (function.parameters, function.variadic);
        let guards = match self.machine.watch {
            Some(_) => crate::watch::guards(name, given.args),
            None => None,
        };
        let callee = (name == "call").then(|| given.callee(self.trees));
        // Written where it stays: it is large for something that is moved.
        let mut args = Args::default();
        self.guarded(guards, |frame| {
            frame.arguments(name, types, given, &mut args.values)
        })?;
        if let Some(watch) = &mut self.machine.watch {
            watch.called(name, &args.values);
        }
        if let (Some(callee), Some(value)) = (callee, args.values.first()) {
            let error = crate::functions::not_callable(&callee, value);
            return Err(self.call_failed(node, name, error));
        }
        (function.run)(self.machine, &args)
            .map(|value| Operand::boxed(value, false))
            .map_err(|error| self.call_failed(node, name, error))
    }

    /// `and` and `or` stop at the first argument that decides.
    fn call_logic(&mut self, function: &'static Function, given: Given<'_, 't>) -> Evaluated {
        let name = function.name;
        if given.is_empty() {
            let message = format!("wrong number of args for {name}: want at least 1 got 0");
            return Err(self.fail(&message));
        }
        let mut value = Operand::of(Value::Missing);
        for arg in given.args {
            let evaluate = |frame: &mut Self| frame.eval_arg(given.dot, Type::Reflect, arg);
            value = Operand::of(self.guarded(Some(true), evaluate)?);
            if value.value.truth() == (name == "or") {
                return Ok(value);
            }
        }
        Ok(given.last.unwrap_or(value))
    }

    fn arguments(
        &mut self,
        name: &str,
        (parameters, variadic): (&[Type], Option<Type>),
        given: Given<'_, 't>,
        values: &mut Arguments,
    ) -> Result<(), Error> {
        let Given { dot, args, last } = given;
        let count = args.len() + usize::from(last.is_some());
        if variadic.is_some() {
            if count < parameters.len() {
                let (want, got) = (parameters.len(), args.len());
                let message =
                    format!("wrong number of args for {name}: want at least {want} got {got}");
                return Err(self.fail(&message));
            }
        } else if count != parameters.len() {
            let want = parameters.len();
            let message = format!("wrong number of args for {name}: want {want} got {count}");
            return Err(self.fail(&message));
        }
        let type_at = |index: usize| {
            let fixed = parameters.get(index).copied();
            fixed.or(variadic).unwrap_or(Type::Any)
        };
        values.reserve(count);
        for (index, arg) in args.iter().enumerate() {
            values.push(self.eval_arg(dot, type_at(index), arg)?);
        }
        if let Some(last) = last {
            values.push(self.validate(last, type_at(args.len()))?);
        }
        Ok(())
    }

    /// An argument whose type does not matter.
    fn eval_untyped(&mut self, dot: &Operand, expr: &'t Expr) -> Evaluated {
        self.at = At::Expr(expr);
        let trees = self.trees;
        let nothing = Given::nothing(dot);
        match &expr.kind {
            ExprKind::Dot => {
                self.machine.read_again(dot);
                Ok(dot.clone())
            }
            ExprKind::Field(names) => self.fields_of_dot(expr, trees.list(*names), nothing),
            ExprKind::Variable(names) => self.eval_variable(expr, trees.list(*names), nothing),
            ExprKind::Pipe(pipe) => self.eval_pipeline(dot, trees.one(*pipe)),
            ExprKind::Function(function) => {
                self.call(function, At::Expr(expr), Given::nothing(dot))
            }
            ExprKind::Chain(inner, names) => {
                let receiver = self.eval_chain_receiver(dot, expr, *inner)?;
                self.field_chain(receiver, expr, trees.list(*names), nothing)
            }
            ExprKind::Bool(value) => Ok(Operand::of(Value::Bool(*value))),
            ExprKind::Number(number) => self.constant(*number),
            ExprKind::String(literal) => Ok(Operand::of(string(trees.one(*literal)))),
            ExprKind::Nil => Ok(Operand::boxed(Value::Nil, true)),
        }
    }

    pub(crate) fn eval_arg(
        &mut self,
        dot: &Operand,
        wanted: Type,
        expr: &'t Expr,
    ) -> Result<Value, Error> {
        self.at = At::Expr(expr);
        match &expr.kind {
            ExprKind::Nil => match wanted {
                Type::Any | Type::Writer => Ok(Value::Nil),
                Type::Reflect => Ok(Value::Missing),
                Type::Map => Ok(Value::Map(Map::of_kind(MapKind::NilAny))),
                Type::List => Ok(Value::list(Vec::new())),
                other => Err(self.fail(&format!("cannot assign nil to {}", other.go_name()))),
            },
            ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) => {
                self.literal(wanted, expr)
            }
            _ => {
                let value = self.eval_untyped(dot, expr)?;
                self.validate(value, wanted)
            }
        }
    }

    fn literal(&mut self, wanted: Type, expr: &'t Expr) -> Result<Value, Error> {
        let trees = self.trees;
        let shown = trees.shown(expr);
        let expected = |word: &str| format!("expected {word}; found {shown}");
        let (int, float) = match &expr.kind {
            ExprKind::Number(id) => {
                let number = &trees.one(*id).number;
                (number.int, number.float)
            }
            _ => (None, None),
        };
        let number = match (wanted, int, float) {
            (Type::Int, Some(int), _) => Some(Value::Int(int)),
            (Type::Duration, Some(int), _) => Some(Duration(int).into_value()),
            (Type::Uint32, Some(int), _) if int >= 0 => Some(Value::Int(int)),
            (Type::Float, _, Some(float)) => Some(Value::Float(float)),
            _ => None,
        };
        if let Some(number) = number {
            return Ok(number);
        }
        let found = match (wanted, &expr.kind) {
            (Type::Any | Type::Reflect, ExprKind::Number(number)) => {
                return Ok(self.constant(*number)?.value);
            }
            (Type::Any | Type::Reflect | Type::Bool, ExprKind::Bool(value)) => {
                Ok(Value::Bool(*value))
            }
            (Type::Any | Type::Reflect | Type::String, ExprKind::String(literal)) => {
                Ok(string(trees.one(*literal)))
            }
            (Type::Uint32, _) => Err(expected("unsigned integer")),
            (Type::Bool, _) => Err(expected("bool")),
            (Type::String, _) => Err(expected("string")),
            (Type::Int | Type::Duration, _) => Err(expected("integer")),
            (Type::Float, _) => Err(expected("float")),
            (other, _) => Err(format!(
                "can't handle {shown} for arg of type {}",
                other.go_name()
            )),
        };
        found.map_err(|message| self.fail(&message))
    }

    fn validate(&mut self, operand: Operand, wanted: Type) -> Result<Value, Error> {
        match (&operand.value, wanted) {
            (_, Type::Reflect) => Ok(operand.value),
            (Value::Missing | Value::Nil, Type::Any) => Ok(Value::Nil),
            (Value::Missing, Type::Map) => Ok(Value::Map(Map::of_kind(MapKind::NilAny))),
            (Value::Missing, Type::List) => Ok(Value::list(Vec::new())),
            (Value::Missing, Type::Writer) => Ok(Value::Nil),
            (Value::Missing, _) => {
                let name = wanted.go_name();
                Err(self.fail(&format!("invalid value; expected {name}")))
            }
            (Value::Map(map), Type::Map) if map.kind().is_values() => {
                Ok(Value::Map(map.clone().of_type(MapKind::Any)))
            }
            (Value::Object(object), Type::Any) => {
                let copied = object.copied().map(Value::Object);
                Ok(copied.unwrap_or(operand.value))
            }
            (value, _) if wanted.accepts(value) => Ok(operand.value),
            (value, _) => {
                let got = match value {
                    Value::Nil => "interface {}".to_string(),
                    value => value.type_name(),
                };
                let name = wanted.go_name();
                let message = format!("wrong type for value; expected {name}; got {got}");
                Err(self.fail(&message))
            }
        }
    }
}

/// A text that a template holds.
fn string(literal: &Literal) -> Value {
    Value::String(Text::shared_from(&literal.text))
}

pub(crate) fn map_entry(map: &Map, key: &[u8]) -> Operand {
    let boxed = map.kind().boxes();
    let value = map.get(key).unwrap_or_else(|| map.kind().absent());
    Operand::boxed(value, boxed)
}
