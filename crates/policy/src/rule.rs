//! A rule as it is written: plain data, every key known.

use pilotis_report::Level;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The same text in the two languages of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// French.
    pub fr: String,
    /// English.
    pub en: String,
}

/// What a rule looks at.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// Kubernetes objects, in CEL.
    #[default]
    Manifest,
    /// A chart as its team wrote it, in Rust.
    Chart,
    /// A Dockerfile, in Rust on the builder's syntax tree.
    Dockerfile,
    /// A built image: its configuration and its files, in Rust.
    Image,
    /// Files of a repository, in Rust.
    Source,
    /// Files and commits that a repository's history keeps, in Rust.
    History,
    /// What runs in a namespace, in Rust on objects and their status.
    Live,
}

/// The end of a text that a breach is about, when its ends come from two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Its beginning, such as the registry of an image.
    Start,
    /// Its end, such as the tag of an image.
    End,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Stable id in kebab case.
    pub id: String,
    /// The requirement it serves; none makes it advice.
    #[serde(default)]
    pub requirement: Option<String>,
    /// Weight of that requirement.
    pub level: Level,
    /// Name of the platform's own admission rule it equals, if one does.
    #[serde(default)]
    pub platform: Option<String>,
    /// Ids of the same rule in public tools, such as `DL3007`; an inline ignore may name them.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it looks at.
    #[serde(default)]
    pub plane: Plane,
    /// Whether it looks at objects beside the one judged, and so says nothing of one alone.
    #[serde(default)]
    pub set: bool,
    /// Whether it can only reveal a breach: that it found none proves nothing of the requirement.
    #[serde(default)]
    pub reveals: bool,
    /// Name of the rule in a few words.
    pub title: Text,
    /// Why it exists.
    #[serde(default)]
    pub rationale: Text,
    /// How to mend a breach.
    #[serde(default)]
    pub fix: Text,
    /// Kinds as `group/Kind` (`core/Pod`), or `workload` for all that carry a pod template.
    #[serde(default, rename = "match")]
    pub kinds: Vec<String>,
    /// CEL conditions on `object`, `podSpec` and `params`; all must hold for the rule to apply.
    #[serde(default)]
    pub match_conditions: Vec<String>,
    /// Places looked at, such as `podSpec.containers[]`, `data{}`; none means the object.
    /// `podSpec.allContainers[]` stands for containers, init and ephemeral ones.
    #[serde(default)]
    pub each: Vec<String>,
    /// Named expressions, evaluated in order, then read as `variables.name`.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// What must hold at each place.
    #[serde(default)]
    pub validations: Vec<Validation>,
}

/// A named expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The CEL expression.
    pub expression: String,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validation {
    /// CEL; anything but `true` is a violation.
    pub expression: String,
    /// The cause; `{…}` holds a CEL expression that gives a string.
    pub message: Text,
    /// Where to point, relative to the place: keys separated by dots, `[…]` around one with dots.
    #[serde(default)]
    pub at: Option<String>,
    /// Which end of the text pointed at is wrong.
    #[serde(default)]
    pub part: Option<Part>,
    /// The value that mends it when the one pointed at is replaced.
    #[serde(default)]
    pub patch: Option<Value>,
    /// Removing what is pointed at mends it.
    #[serde(default)]
    pub remove: bool,
}

/// Why rules cannot be read: not YAML, or a key is missing, unknown or of the wrong type.
#[derive(Debug, thiserror::Error)]
#[error("cannot read rules")]
pub struct ReadError(#[source] Box<serde_saphyr::Error>);

impl ReadError {
    pub(crate) fn of(error: serde_saphyr::Error) -> Self {
        Self(Box::new(error))
    }
}

/// A set of rules, ids unique once compiled.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// Reads a YAML list of rules.
    ///
    /// # Errors
    /// YAML that is not, an unknown or missing key.
    pub fn read(text: &str) -> Result<Self, ReadError> {
        let rules = serde_saphyr::from_str(text);
        rules.map(Self).map_err(ReadError::of)
    }
}
