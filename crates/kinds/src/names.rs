//! Names Pilotis gives to things, in one place, so that every service derives the same ones.
//!
//! Sources: the plan's *Objects* (namespaces, reserved slugs) and Kubernetes' DNS label rules.
//! A name is checked once, when the object is admitted or read, and trusted afterwards.

use std::fmt;

use serde::{Deserialize, Serialize};

/// API group of our own kinds.
pub const GROUP: &str = "pilotis.dev";
/// Version of our own kinds.
pub const VERSION: &str = "v1alpha1";
/// Namespace of the platform's own objects.
pub const SYSTEM_NAMESPACE: &str = "pilotis-system";
/// Namespace of the console's login links. Whoever may create Secrets here may sign anybody in.
pub const LOGIN_NAMESPACE: &str = "pilotis-login";
/// Label that says which project a namespace or object belongs to; never editable by tenants.
pub const LABEL_PROJECT: &str = "pilotis.dev/project";
/// Label that says which environment a namespace belongs to.
pub const LABEL_ENVIRONMENT: &str = "pilotis.dev/environment";
/// Label of an Application that says which Delivery it carries.
pub const LABEL_DELIVERY: &str = "pilotis.dev/delivery";
/// Label of namespaces whose pods must run verified images: value `enforce`.
pub const LABEL_POLICY: &str = "pilotis.dev/policy";
/// Name under which images are known on every cluster, whatever address serves them.
pub const REGISTRY_NAME: &str = "registry.pilotis.internal";
/// Name under which hosted Git repositories are known.
pub const GIT_NAME: &str = "git.pilotis.internal";
/// ServiceAccount that GitOps impersonates in an environment.
pub const DEPLOYER: &str = "deployer";
/// Value of `app.kubernetes.io/name` on build pods.
pub const BUILD: &str = "pilotis-build";
/// Secret of type `kubernetes.io/dockerconfigjson` that pods of an environment pull with.
pub const PULL_SECRET: &str = "registry-pull";

/// Longest project slug; with an environment name it still fits a DNS label.
pub const SLUG_CHARS_MAX: usize = 20;
/// Longest environment name.
pub const ENVIRONMENT_CHARS_MAX: usize = 11;
/// Longest repository name.
pub const REPOSITORY_CHARS_MAX: usize = 20;
/// Slugs that would shadow namespaces of Kubernetes, or names of the platform in Git and registry.
pub const RESERVED_SLUGS: [&str; 6] = ["kube", "project", "pilotis", "default", "base", "zones"];

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// Nothing was given.
    Empty,
    /// Longer than the limit.
    TooLong {
        /// The limit, in characters.
        limit: usize,
    },
    /// A character outside the allowed set.
    Character(char),
    /// Starts or ends with a hyphen, or starts with a digit.
    Edge,
    /// Kept for the platform.
    Reserved(String),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "name is empty"),
            Self::TooLong { limit } => write!(f, "name is longer than {limit} characters"),
            Self::Character(c) => write!(f, "name contains {c:?}"),
            Self::Edge => write!(f, "name must start with a letter and not end with a hyphen"),
            Self::Reserved(name) => write!(f, "name {name} is reserved"),
        }
    }
}

impl std::error::Error for NameError {}

/// A project's identifier in every tool: lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

impl Slug {
    /// Checks a slug.
    ///
    /// # Errors
    /// When it is empty, too long, has another character, or is reserved.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name, SLUG_CHARS_MAX, true)?;
        if RESERVED_SLUGS.contains(&name) || name.starts_with("kube-") {
            return Err(NameError::Reserved(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Namespace of the project's own objects.
    pub fn namespace(&self) -> String {
        format!("project-{}", self.0)
    }

    /// The slug behind such a namespace.
    pub fn of_namespace(namespace: &str) -> Option<Self> {
        Self::new(namespace.strip_prefix("project-")?).ok()
    }

    /// Namespace of the workloads of one environment.
    pub fn environment_namespace(&self, environment: &str) -> String {
        format!("{}-{environment}", self.0)
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Slug {
    type Error = NameError;
    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(&name)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

/// Checks an environment name; without hyphens, so `<slug>-<environment>` splits in one way only.
///
/// # Errors
/// When it is empty, too long or has another character than lower-case letters and digits.
pub fn check_environment(name: &str) -> Result<(), NameError> {
    check(name, ENVIRONMENT_CHARS_MAX, false)
}

/// Checks a repository name.
///
/// # Errors
/// When it is empty, too long or not made of lower-case letters, digits and hyphens.
pub fn check_repository(name: &str) -> Result<(), NameError> {
    check(name, REPOSITORY_CHARS_MAX, true)
}

/// Name of the Delivery of a commit: one per repository and commit.
pub fn delivery(repository: &str, commit: &str) -> String {
    format!("{repository}-{}", commit.get(..12).unwrap_or(commit))
}

fn check(name: &str, limit: usize, hyphens: bool) -> Result<(), NameError> {
    let Some(first) = name.chars().next() else {
        return Err(NameError::Empty);
    };
    if name.chars().count() > limit {
        return Err(NameError::TooLong { limit });
    }
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || (hyphens && *c == '-');
    if let Some(other) = name.chars().find(|c| !allowed(c)) {
        return Err(NameError::Character(other));
    }
    if !first.is_ascii_lowercase() || name.ends_with('-') {
        return Err(NameError::Edge);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_plan() {
        let slug = Slug::new("bonjour").unwrap();
        assert_eq!(slug.namespace(), "project-bonjour");
        assert_eq!(slug.environment_namespace("prod"), "bonjour-prod");
        assert_eq!(Slug::of_namespace("project-bonjour"), Some(slug));
        assert_eq!(delivery("app", "0123456789abcdef"), "app-0123456789ab");
    }

    #[test]
    fn names_that_could_collide_are_refused() {
        for name in RESERVED_SLUGS {
            assert_eq!(Slug::new(name), Err(NameError::Reserved(name.into())));
        }
        assert_eq!(Slug::new("a_b"), Err(NameError::Character('_')));
        assert_eq!(Slug::new("-a"), Err(NameError::Edge));
        assert_eq!(Slug::new(""), Err(NameError::Empty));
        assert_eq!(
            check_environment("pre-prod"),
            Err(NameError::Character('-'))
        );
        assert_eq!(
            check_environment("abcdefghijkl"),
            Err(NameError::TooLong { limit: 11 })
        );
    }
}
