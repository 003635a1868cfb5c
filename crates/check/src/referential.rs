//! The requirements and the rules, as data compiled into the program.

use pilotis_policy::{Engine, Rule, Rules};
use pilotis_report::Level;
use serde::Deserialize;

const REQUIREMENTS: &str = include_str!("../rules/requirements.yaml");
const MANIFESTS: &str = include_str!("../rules/manifests.yaml");
const SOURCES: &str = include_str!("../rules/sources.yaml");

/// One requirement of the CCT.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Official id, such as `EXI-ARCH-18`; duplicates of the source carry `a` or `b`.
    pub id: String,
    /// Its weight.
    pub level: Level,
    /// `automatic`, `partial` or `attestation`.
    pub check: String,
    /// What it asks, in French.
    pub fr: String,
    /// What it asks, in English.
    pub en: String,
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
}

/// The requirements and the compiled rules.
#[derive(Debug)]
pub struct Referential {
    /// The 55 requirements, in the order of the CCT.
    pub requirements: Vec<Requirement>,
    pub(crate) engine: Engine,
}

impl Referential {
    /// Loads what is compiled in.
    ///
    /// # Errors
    /// A defect of the data, which a test would have shown.
    pub fn load() -> Result<Self, Error> {
        let mut rules = Rules::read(MANIFESTS).map_err(Error::Rules)?;
        rules
            .0
            .extend(Rules::read(SOURCES).map_err(Error::Rules)?.0);
        let requirements = serde_saphyr::from_str(REQUIREMENTS);
        Ok(Self {
            requirements: requirements.map_err(|e| Error::Requirements(Box::new(e)))?,
            engine: Engine::new(rules).map_err(Error::Compile)?,
        })
    }

    /// Every rule, whatever it looks at.
    pub fn rules(&self) -> &[Rule] {
        self.engine.catalogue()
    }

    /// One rule.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules().iter().find(|rule| rule.id == id)
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
    fn there_are_55_requirements_of_which_26_weigh_p() {
        let requirements = Referential::load().unwrap().requirements;
        let p = requirements.iter().filter(|r| r.level == Level::P).count();
        assert_eq!((requirements.len(), p), (55, 26));
    }
}
