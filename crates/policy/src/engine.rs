//! Rules compiled once, objects judged one at a time.
//!
//! Names an expression may use: `object`, `podSpec` and `podMetadata` (null when the kind has
//! none), `params`, `item` (the place looked at), `container` (the container it is in), and
//! `variables`.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Env, Program};
use serde_json::Value;

use crate::patterns;
use crate::place::{self, Path, Place, Places};
use crate::rule::{Part, Plane, Rule, Rules, Text, Validation};
use crate::subject::{Subject, pod_path};
use crate::text::Template;
use crate::value::{nodes, to_cel};
use crate::{EXPRESSION_BYTES_MAX, NODES_MAX};

/// Why rules cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two rules have one id.
    #[error("rule {0} is defined twice")]
    Duplicate(String),
    /// An expression does not parse.
    #[error("rule {rule} has an expression that does not parse: {expression}")]
    Expression {
        /// The rule.
        rule: String,
        /// The expression.
        expression: String,
        /// The parser's words.
        #[source]
        source: cel::ParseErrors,
    },
    /// An expression is too long.
    #[error("rule {0} has an expression of more than 4 KiB")]
    TooLong(String),
    /// A place is malformed.
    #[error("rule {rule} looks at a malformed place: {each}")]
    Place {
        /// The rule.
        rule: String,
        /// The place.
        each: String,
    },
    /// The expression language cannot be set up.
    #[error("cannot set up the expression language")]
    Language(#[source] cel::DeclarationError),
}

/// One breach of one rule by one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The rule's id.
    pub rule: String,
    /// The place to point at; its end may be absent from the object.
    pub path: Path,
    /// Name of the container concerned, if one is.
    pub container: Option<String>,
    /// The cause.
    pub message: Text,
    /// Which end of the text at `path` is wrong.
    pub part: Option<Part>,
    /// The value that mends it, when the one at `path` is replaced.
    pub patch: Option<Value>,
    /// Whether removing what stands at `path` mends it.
    pub remove: bool,
}

/// What the rules say of one object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Ids of the rules that looked at it.
    pub evaluated: BTreeSet<String>,
    /// Breaches, in the order of the rules, then of the places.
    pub violations: Vec<Violation>,
}

/// Compiled rules.
#[derive(Debug)]
pub struct Engine {
    env: SharedEnv,
    rules: Vec<Compiled>,
    catalogue: Vec<Rule>,
}

/// `Env` does not say what it holds; neither do we.
struct SharedEnv(Arc<Env>);

impl std::fmt::Debug for SharedEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

#[derive(Debug)]
struct Compiled {
    id: String,
    kinds: Vec<String>,
    conditions: Vec<Program>,
    each: Vec<Places>,
    variables: Vec<(String, Program)>,
    validations: Vec<Check>,
    /// Binding a value copies it, so `container` is bound only for rules whose text names it.
    reads_container: bool,
}

#[derive(Debug)]
struct Check {
    program: Program,
    message: [Template; 2],
    at: Vec<String>,
    part: Option<Part>,
    patch: Option<Value>,
    remove: bool,
}

/// What was converted of the object that is judged, by its place in memory: many rules look at the
/// same containers, and a conversion is a copy.
#[derive(Default)]
struct Seen(RefCell<HashMap<*const Value, cel::Value>>);

impl Seen {
    /// `value` is a part of the one object this was made for.
    fn convert(&self, value: &Value) -> cel::Value {
        let mut known = self.0.borrow_mut();
        known
            .entry(std::ptr::from_ref(value))
            .or_insert_with(|| to_cel(value))
            .clone()
    }
}

impl Engine {
    /// Compiles the rules about manifests; the others are kept in the catalogue only.
    ///
    /// # Errors
    /// The first rule that cannot be compiled.
    pub fn new(rules: Rules) -> Result<Self, Error> {
        let env = language()?;
        let mut compiled = Vec::new();
        let mut ids = BTreeSet::new();
        for rule in &rules.0 {
            if !ids.insert(rule.id.clone()) {
                return Err(Error::Duplicate(rule.id.clone()));
            }
            if rule.plane == Plane::Manifest {
                compiled.push(compile(&env, rule)?);
            }
        }
        Ok(Self {
            env: SharedEnv(Arc::new(env)),
            rules: compiled,
            catalogue: rules.0,
        })
    }

    /// Every rule, of every plane.
    pub fn catalogue(&self) -> &[Rule] {
        &self.catalogue
    }

    /// Judges one object. `params` is what the rules may know beside it.
    pub fn evaluate(&self, object: &Value, params: &Value) -> Verdict {
        let subject = Subject::of(object);
        let mut verdict = Verdict::default();
        let matching = |rule: &&Compiled| rule.kinds.iter().any(|kind| subject.is(kind));
        let mut rules = self.rules.iter().filter(matching).peekable();
        if rules.peek().is_none() {
            return verdict;
        }
        let oversized = nodes(object, NODES_MAX) > NODES_MAX;
        let mut context = Context::with_env(Arc::clone(&self.env.0));
        if !oversized {
            bind(&mut context, object, params, &subject);
        }
        let seen = Seen::default();
        for rule in rules {
            if oversized {
                verdict
                    .violations
                    .push(rule.fault(Path::new(), None, "object too large"));
                verdict.evaluated.insert(rule.id.clone());
            } else {
                rule.judge(object, (&context, &seen), &mut verdict);
            }
        }
        verdict
    }
}

/// The language of all expressions.
pub(crate) fn language() -> Result<Env, Error> {
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings)
        .map_err(Error::Language)?;
    env.add_extension(cel::extensions::lists)
        .map_err(Error::Language)?;
    patterns::extension(&mut env).map_err(Error::Language)?;
    Ok(env)
}

fn bind(context: &mut Context<'_, '_>, object: &Value, params: &Value, subject: &Subject<'_>) {
    let pod = pod_path(subject);
    let spec = pod
        .and_then(|path| place::get(object, path))
        .unwrap_or(&Value::Null);
    let metadata = pod.and_then(|path| {
        let mut path = path.to_vec();
        path.pop();
        path.push("metadata");
        place::get(object, &path)
    });
    let metadata = metadata.unwrap_or(&Value::Null);
    for (name, value) in [
        ("object", object),
        ("params", params),
        ("podSpec", spec),
        ("podMetadata", metadata),
    ] {
        context.add_variable_from_value(name, to_cel(value));
    }
}

fn compile(env: &Env, rule: &Rule) -> Result<Compiled, Error> {
    let program = |expression: &str| {
        if expression.len() > EXPRESSION_BYTES_MAX {
            return Err(Error::TooLong(rule.id.clone()));
        }
        let rewritten = patterns::rewritten(expression);
        env.compile(&rewritten).map_err(|source| Error::Expression {
            rule: rule.id.clone(),
            expression: expression.to_owned(),
            source,
        })
    };
    let place = |each: &String| {
        Places::parse_all(each).ok_or_else(|| Error::Place {
            rule: rule.id.clone(),
            each: each.clone(),
        })
    };
    let check = |validation: &Validation| {
        Ok(Check {
            program: program(&validation.expression)?,
            message: [
                Template::compile(&validation.message.fr, program)?,
                Template::compile(&validation.message.en, program)?,
            ],
            at: place::keys(validation.at.as_deref().unwrap_or_default()),
            part: validation.part,
            patch: validation.patch.clone(),
            remove: validation.remove,
        })
    };
    let variables = rule.variables.iter();
    let each: Vec<Vec<Places>> = rule.each.iter().map(place).collect::<Result<_, _>>()?;
    Ok(Compiled {
        id: rule.id.clone(),
        kinds: rule.kinds.clone(),
        conditions: rule
            .match_conditions
            .iter()
            .map(|c| program(c))
            .collect::<Result<_, _>>()?,
        each: each.into_iter().flatten().collect(),
        variables: variables
            .map(|v| Ok((v.name.clone(), program(&v.expression)?)))
            .collect::<Result<_, Error>>()?,
        validations: rule
            .validations
            .iter()
            .map(check)
            .collect::<Result<_, Error>>()?,
        reads_container: reads_container(rule),
    })
}

fn reads_container(rule: &Rule) -> bool {
    let validations = rule.validations.iter();
    let texts = validations.flat_map(|v| [&v.expression, &v.message.fr, &v.message.en]);
    let mut texts = texts.chain(rule.variables.iter().map(|v| &v.expression));
    texts.any(|text| text.contains("container"))
}

impl Compiled {
    fn judge(
        &self,
        object: &Value,
        (root, seen): (&Context<'_, '_>, &Seen),
        verdict: &mut Verdict,
    ) {
        for condition in &self.conditions {
            match condition.execute(root) {
                Ok(cel::Value::Bool(true)) => {}
                Ok(_) => return,
                Err(error) => {
                    verdict
                        .violations
                        .push(self.fault(Path::new(), None, cause(&error)));
                    return;
                }
            }
        }
        verdict.evaluated.insert(self.id.clone());
        let places = match self.each.as_slice() {
            [] => vec![Place {
                path: Path::new(),
                value: std::borrow::Cow::Borrowed(object),
                container: None,
            }],
            each => each.iter().flat_map(|places| places.of(object)).collect(),
        };
        for place in &places {
            self.judge_place(place, (root, seen), verdict);
        }
    }

    fn judge_place(
        &self,
        place: &Place<'_>,
        (root, seen): (&Context<'_, '_>, &Seen),
        verdict: &mut Verdict,
    ) {
        let mut context = root.new_inner_scope();
        let item = match &place.value {
            std::borrow::Cow::Borrowed(value) => seen.convert(value),
            std::borrow::Cow::Owned(value) => to_cel(value),
        };
        context.add_variable_from_value("item", item);
        if self.reads_container {
            let container = place
                .container
                .map_or(cel::Value::Null, |c| seen.convert(c));
            context.add_variable_from_value("container", container);
        }
        let mut variables = HashMap::new();
        for (name, program) in &self.variables {
            match program.execute(&context) {
                Ok(value) => {
                    variables.insert(Key::String(Arc::new(name.clone())), value);
                }
                Err(error) => {
                    let fault = self.fault(place.path.clone(), place.container, cause(&error));
                    verdict.violations.push(fault);
                    return;
                }
            }
            let map = Arc::new(variables.clone());
            context.add_variable_from_value("variables", cel::Value::Map(Map { map }));
        }
        for check in &self.validations {
            let mut path = place.path.clone();
            path.extend(check.at.iter().cloned());
            match check.program.execute(&context) {
                Ok(cel::Value::Bool(true)) => {}
                Ok(cel::Value::Bool(false)) => verdict.violations.push(Violation {
                    rule: self.id.clone(),
                    path,
                    container: name(place.container),
                    message: Text {
                        fr: check.message[0].fill(&context),
                        en: check.message[1].fill(&context),
                    },
                    part: check.part,
                    patch: check.patch.clone(),
                    remove: check.remove,
                }),
                Ok(_) => {
                    let fault = self.fault(path, place.container, "expression gives no boolean");
                    verdict.violations.push(fault);
                }
                Err(error) => {
                    let fault = self.fault(path, place.container, cause(&error));
                    verdict.violations.push(fault);
                }
            }
        }
    }

    /// A violation because the rule could not be evaluated.
    fn fault(&self, path: Path, container: Option<&Value>, cause: &str) -> Violation {
        Violation {
            rule: self.id.clone(),
            path,
            container: name(container),
            message: Text {
                fr: format!("valeur inattendue, la règle ne peut pas juger ({cause})"),
                en: format!("unexpected value, the rule cannot judge ({cause})"),
            },
            part: None,
            patch: None,
            remove: false,
        }
    }
}

/// The kind of an evaluation error. Its own words quote values of the object, hence secrets.
pub(crate) fn cause(error: &cel::ExecutionError) -> &'static str {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(_) => "missing key",
        E::UndeclaredReference(_) => "undeclared reference",
        E::InvalidArgumentCount { .. } | E::FunctionError { .. } => "function error",
        E::IndexOutOfBounds(_) => "index out of bounds",
        E::NoSuchOverload(_)
        | E::UnexpectedType { .. }
        | E::UnsupportedTargetType { .. }
        | E::UnsupportedBinaryOperator(..) => "wrong type",
        _ => "evaluation error",
    }
}

fn name(container: Option<&Value>) -> Option<String> {
    let name = container?.get("name")?.as_str()?;
    Some(name.chars().filter(|c| !c.is_control()).take(63).collect())
}
