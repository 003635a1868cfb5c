//! The requirements and the rules, as data compiled into the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use pilotis_policy::{Engine, Plane, Rule, Rules, Text};
use pilotis_report::Level;
use serde::{Deserialize, Serialize};

const REQUIREMENTS: &str = include_str!("../rules/requirements.yaml");
const MANIFESTS: &str = include_str!("../rules/manifests.yaml");
const PLATFORM: &str = include_str!("../rules/platform.yaml");
const FLOWS: &str = include_str!("../rules/flows.yaml");
const RESILIENCE: &str = include_str!("../rules/resilience.yaml");
const SOURCES: &str = include_str!("../rules/sources.yaml");
const REPOSITORY: &str = include_str!("../rules/repository.yaml");
const BUILT: &str = include_str!("../rules/images.yaml");
const LIVE: &str = include_str!("../rules/live.yaml");

/// The edition of the CCT that the requirements were read from.
pub const EDITION: &str = "2024-05-27";

/// One requirement of the CCT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its id, such as `EXI-ARCH-18`; duplicates of the source carry `a` or `b`.
    pub id: String,
    /// The id in the source, when it is not this one.
    #[serde(default)]
    pub official: Option<String>,
    /// Its weight.
    pub level: Level,
    /// `automatic`, `partial` or `attestation`.
    pub check: String,
    /// Where it could be looked at: `a` sources, `b` image, `c` manifests, `d` running, `e` a
    /// person.
    pub planes: Vec<char>,
    /// Its name in a few words, in French.
    pub fr: String,
    /// Its name in a few words, in English.
    pub en: String,
    /// What it asks, in a sentence of ours.
    pub asks: Text,
    /// Why a plane where it could be looked at is not: none when every plane has a rule.
    #[serde(default)]
    pub unread: Option<Text>,
}

impl Requirement {
    /// The planes where no rule of ours looks, whether a machine could or only a person can.
    pub fn unread_planes<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> Vec<char> {
        let looked: Vec<char> = rules.map(|rule| plane_letter(rule.plane)).collect();
        let planes = self.planes.iter().copied();
        planes.filter(|plane| !looked.contains(plane)).collect()
    }
}

/// The plane, by its letter, that a rule looks at.
pub fn plane_letter(plane: Plane) -> char {
    match plane {
        Plane::Source | Plane::History => 'a',
        Plane::Dockerfile | Plane::Image => 'b',
        Plane::Manifest | Plane::Chart => 'c',
        Plane::Live => 'd',
    }
}

impl Requirement {
    /// `G`, `ORG`, `ARCH` or `DATA`.
    pub fn family(&self) -> &str {
        self.id.split('-').nth(1).unwrap_or_default()
    }
}

/// Why the rules compiled into the program do not load: a defect of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The requirements are not what they should be.
    #[error("cannot read the requirements")]
    Requirements(#[source] Box<serde_saphyr::Error>),
    /// A rule file is not what it should be.
    #[error("cannot read the rules")]
    Rules(#[source] pilotis_policy::ReadError),
    /// A rule does not compile.
    #[error("cannot compile the rules")]
    Compile(#[source] pilotis_policy::Error),
    /// The rules compiled into the program did not load the first time.
    #[error("cannot load the rules")]
    Shared(#[source] &'static Error),
}

/// The requirements and the compiled rules.
#[derive(Debug)]
pub struct Referential {
    /// The 55 requirements, in the order of the CCT.
    pub requirements: Vec<Requirement>,
    pub(crate) engine: Engine,
    /// Places of the rules in the catalogue, by id.
    places: HashMap<String, usize>,
}

impl Referential {
    /// What is compiled in, loaded once.
    ///
    /// # Errors
    /// A defect of the data, which a test would have shown.
    pub fn shared() -> Result<&'static Self, &'static Error> {
        static SHARED: LazyLock<Result<Referential, Error>> = LazyLock::new(Referential::load);
        SHARED.as_ref()
    }

    /// Loads what is compiled in.
    ///
    /// # Errors
    /// A defect of the data, which a test would have shown.
    pub fn load() -> Result<Self, Error> {
        Self::with(&[])
    }

    /// Loads what is compiled in, and rules of the platform's own.
    ///
    /// # Errors
    /// A rule that does not compile, or has the id of another.
    pub fn with(more: &[Rule]) -> Result<Self, Error> {
        let mut rules = Rules::default();
        let objects = [MANIFESTS, PLATFORM, FLOWS, RESILIENCE];
        for text in objects
            .into_iter()
            .chain([SOURCES, REPOSITORY, BUILT, LIVE])
        {
            rules.0.extend(Rules::read(text).map_err(Error::Rules)?.0);
        }
        rules.0.extend(more.iter().cloned());
        let requirements = serde_saphyr::from_str(REQUIREMENTS);
        let engine = Engine::new(rules).map_err(Error::Compile)?;
        let ids = engine.catalogue().iter().map(|rule| rule.id.clone());
        Ok(Self {
            requirements: requirements.map_err(|e| Error::Requirements(Box::new(e)))?,
            places: ids.zip(0..).collect(),
            engine,
        })
    }

    /// Every rule, whatever it looks at.
    pub fn rules(&self) -> &[Rule] {
        self.engine.catalogue()
    }

    /// One rule.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules().get(*self.places.get(id)?)
    }

    /// The rules that serve a requirement.
    pub fn rules_of(&self, requirement: &str) -> impl Iterator<Item = &Rule> {
        let wanted = requirement.to_owned();
        let serves = move |rule: &&Rule| rule.requirement.as_deref() == Some(&*wanted);
        self.rules().iter().filter(serves)
    }

    /// One requirement.
    pub fn requirement(&self, id: &str) -> Option<&Requirement> {
        self.requirements
            .iter()
            .find(|requirement| requirement.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_serves_one_requirement_at_its_level_or_is_advice() {
        let referential = Referential::load().unwrap();
        for rule in referential.rules() {
            let level = match &rule.requirement {
                Some(id) => {
                    referential
                        .requirement(id)
                        .unwrap_or_else(|| panic!("{id}"))
                        .level
                }
                None => Level::I,
            };
            assert_eq!(rule.level, level, "{}", rule.id);
            for text in [&rule.title, &rule.rationale, &rule.fix] {
                assert!(!text.fr.is_empty() && !text.en.is_empty(), "{}", rule.id);
            }
        }
    }

    #[test]
    fn every_plane_without_a_rule_has_a_reason() {
        let referential = Referential::load().unwrap();
        for requirement in &referential.requirements {
            let rules = referential.rules_of(&requirement.id);
            let open = requirement.unread_planes(rules);
            let machine = open.iter().any(|plane| *plane != 'e');
            let nobody = requirement.planes == ['e'];
            let composed = requirement.id == crate::report::COMPOSITE;
            if (machine || nobody) && !composed {
                assert!(requirement.unread.is_some(), "{}: {open:?}", requirement.id);
            }
            if open.is_empty() {
                assert_eq!(requirement.unread, None, "{}", requirement.id);
            }
        }
    }

    #[test]
    fn there_are_55_requirements_of_which_26_weigh_p() {
        let requirements = Referential::load().unwrap().requirements;
        let p = requirements.iter().filter(|r| r.level == Level::P).count();
        assert_eq!((requirements.len(), p), (55, 26));
    }
}
