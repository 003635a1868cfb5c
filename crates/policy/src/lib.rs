//! The rule engine: a rule, an object, a verdict.
//!
//! Rules are data, written as a security reviewer writes a `ValidatingAdmissionPolicy`: match
//! conditions, variables and validations in CEL. Ours adds three things: `each`, the places inside
//! the object a rule looks at, so that a violation names the exact offender; text in French and
//! English with `{expressions}` in it; and `patch`, the value that mends it. The engine knows
//! neither files nor the CCT. Pure: no clock, no I/O.
//!
//! **Invariant:** a rule that cannot be evaluated on an object counts as violated (fail closed),
//! and no message carries a value unless its text asks for it.
//!
//! The trap: `cel` has no cost budget. Objects are bounded by [`NODES_MAX`], places by
//! [`PLACES_MAX`], expressions by [`EXPRESSION_BYTES_MAX`].
//!
//! ```
//! let rules = pilotis_policy::Rules::read(
//!     "- id: replicas\n  level: P\n  title: {fr: répliques, en: replicas}\n  match: [apps/Deployment]\n  \
//!      validations:\n  - expression: object.spec.replicas > 1\n    at: spec.replicas\n    \
//!      message: {fr: 'une seule', en: 'only {string(object.spec.replicas)}'}\n",
//! )
//! .unwrap();
//! let engine = pilotis_policy::Engine::new(rules).unwrap();
//! let object = serde_json::json!({
//!     "apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1}
//! });
//! let verdict = engine.evaluate(&object, &serde_json::Value::Null);
//! assert_eq!(verdict.violations[0].message.en, "only 1");
//! assert_eq!(verdict.violations[0].path, ["spec", "replicas"]);
//! ```

mod admission_policy;
mod completion;
mod engine;
mod expression;
mod patterns;
mod place;
pub mod pod_security;
mod rule;
mod subject;
mod text;
mod value;

pub use completion::completed;
pub use engine::{Engine, Error, Verdict, Violation};
pub use expression::{Answer, Expression, Language, Scope};
pub use place::Path;
pub use rule::{Part, Plane, ReadError, Rule, Rules, Text, Validation, Variable};
pub use subject::{Subject, pod_path};

/// Most nodes (values, keys aside) of an object that is judged; a larger one is refused.
pub const NODES_MAX: usize = 100_000;
/// Most places one rule looks at in one object.
pub const PLACES_MAX: usize = 5_000;
/// Longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 4 << 10;
/// Longest message, in characters; names inside come from the object.
pub const MESSAGE_CHARS_MAX: usize = 400;
