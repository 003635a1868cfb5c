//! Derogations and attestations: what a person decided, signed, for a while.
//!
//! A decision is an in-toto statement in a DSSE envelope about one project. It is honoured only
//! when a key of the platform's own list signed it, under the name that key is known by, and never
//! when the person who asked is the person who decided. Where the list comes from is the caller's
//! business; it must not be the repository that is judged.

use jiff::Timestamp;
use pilotis_oci::Digest;
use pilotis_policy::Text;
use pilotis_report::Finding;
use pilotis_signing::{Envelope, PrivateKey, PublicKey, Statement, Subject};
use serde::{Deserialize, Serialize};

/// Predicate type of a derogation.
pub const DEROGATION: &str = "https://pilotis.dev/derogation/v1alpha1";
/// Predicate type of an attestation.
pub const ATTESTATION: &str = "https://pilotis.dev/attestation/v1alpha1";
/// Largest decision read, in bytes.
pub const DECISION_BYTES_MAX: usize = 64 << 10;

/// Somebody whose decisions the platform honours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// The name their decisions must carry.
    pub name: String,
    /// Their key.
    pub key: PublicKey,
}

/// A requirement or rule set aside for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Derogation {
    /// Its name, shown in every verdict it changes.
    pub name: String,
    /// The project it holds for.
    pub project: String,
    /// Requirement id, or rule id.
    pub subject: String,
    /// The object it is limited to, such as `Deployment/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The file it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Why.
    pub reason: String,
    /// Who bears the cost of the exception.
    pub cost_owner: String,
    /// Who asked.
    pub requester: String,
    /// Who decided.
    pub approver: String,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends; afterwards the rule blocks again.
    pub end: Timestamp,
}

/// What a person vouches for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attestation {
    /// The requirement.
    pub requirement: String,
    /// The project it is said of.
    pub project: String,
    /// Who says it.
    pub author: String,
    /// Address or digest of what proves it.
    pub evidence: String,
    /// When it was said.
    pub start: Timestamp,
    /// When it must be said again.
    pub end: Timestamp,
}

/// A decision of either sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A derogation.
    Derogation(Derogation),
    /// An attestation.
    Attestation(Attestation),
}

/// Why a decision is not honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a signed decision.
    #[error("is not a signed decision")]
    Malformed,
    /// Signed by nobody the platform knows.
    #[error("is not signed by an approver of the platform")]
    Untrusted,
    /// The key that signed belongs to somebody else than the person named.
    #[error("is signed in the name of somebody else")]
    OtherName,
    /// Asked and decided by one person.
    #[error("was decided by the person who asked for it")]
    OwnRequest,
    /// About another project.
    #[error("is about another project")]
    OtherProject,
    /// It ends before it begins.
    #[error("ends before it begins")]
    Dates,
    /// An object that nobody signed yet: a request.
    #[error("is not signed yet")]
    Unsigned,
    /// An object whose text is not the one that was signed.
    #[error("says something else than what was signed")]
    OtherText,
}

impl Refused {
    /// The cause in both languages.
    pub fn text(self) -> Text {
        let fr = match self {
            Self::Malformed => "n'est pas une décision signée",
            Self::Untrusted => "n'est pas signée par un approbateur de la plateforme",
            Self::OtherName => "est signée au nom de quelqu'un d'autre",
            Self::OwnRequest => "a été décidée par qui l'a demandée",
            Self::OtherProject => "concerne un autre projet",
            Self::Dates => "finit avant de commencer",
            Self::Unsigned => "n'est pas encore signée",
            Self::OtherText => "dit autre chose que ce qui a été signé",
        };
        Text {
            fr: fr.to_owned(),
            en: self.to_string(),
        }
    }
}

impl Decision {
    /// Signs a decision.
    ///
    /// # Errors
    /// A decision that nobody would honour.
    pub fn seal(&self, key: &PrivateKey) -> Result<String, Refused> {
        self.check()?;
        let (kind, predicate) = match self {
            Self::Derogation(one) => (DEROGATION, serde_json::to_value(one)),
            Self::Attestation(one) => (ATTESTATION, serde_json::to_value(one)),
        };
        let predicate = predicate.map_err(|_| Refused::Malformed)?;
        let subject = Subject::new(self.project(), &about(self.project()));
        let envelope = Envelope::seal(&Statement::new(subject, kind, predicate), key);
        serde_json::to_string(&envelope).map_err(|_| Refused::Malformed)
    }

    /// Reads a decision about `project`, if one of the approvers signed it in their own name.
    ///
    /// # Errors
    /// Why it is not honoured.
    pub fn open(text: &str, project: &str, approvers: &[Approver]) -> Result<Self, Refused> {
        if text.len() > DECISION_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let envelope: Envelope = serde_json::from_str(text).map_err(|_| Refused::Malformed)?;
        let keys: Vec<PublicKey> = approvers.iter().map(|a| a.key.clone()).collect();
        let opened = envelope.open(&keys).map_err(|error| match error {
            pilotis_signing::EnvelopeError::Untrusted => Refused::Untrusted,
            pilotis_signing::EnvelopeError::Malformed => Refused::Malformed,
        });
        let (statement, key) = opened?;
        if !statement.is_about(&about(project)) {
            return Err(Refused::OtherProject);
        }
        let malformed = |_| Refused::Malformed;
        let predicate = statement.predicate;
        let decision = match statement.predicate_type.as_str() {
            DEROGATION => Self::Derogation(serde_json::from_value(predicate).map_err(malformed)?),
            ATTESTATION => Self::Attestation(serde_json::from_value(predicate).map_err(malformed)?),
            _ => return Err(Refused::Malformed),
        };
        decision.check()?;
        if decision.project() != project {
            return Err(Refused::OtherProject);
        }
        let signed = approvers.iter().filter(|a| a.key == *key);
        let named = signed
            .map(|a| &a.name)
            .any(|name| name == decision.person());
        named.then_some(decision).ok_or(Refused::OtherName)
    }

    /// Reads a `Derogation` object: its `spec.envelope` is the signed decision, and every other
    /// field repeats it for those who read objects.
    ///
    /// # Errors
    /// Why it is not honoured.
    pub fn open_object(
        (name, spec): (&str, &serde_json::Value),
        project: &str,
        approvers: &[Approver],
    ) -> Result<Self, Refused> {
        let envelope = spec["envelope"].as_str().unwrap_or_default();
        if envelope.is_empty() {
            return Err(Refused::Unsigned);
        }
        let decision = Self::open(envelope, project, approvers)?;
        let Self::Derogation(derogation) = &decision else {
            return Err(Refused::Malformed);
        };
        let same = derogation.name == name && derogation.says(spec);
        same.then_some(decision).ok_or(Refused::OtherText)
    }

    fn check(&self) -> Result<(), Refused> {
        let (start, end) = match self {
            Self::Derogation(one) => (one.start, one.end),
            Self::Attestation(one) => (one.start, one.end),
        };
        if end <= start {
            return Err(Refused::Dates);
        }
        let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
        match self {
            Self::Derogation(one) if same(&one.requester, &one.approver) => {
                Err(Refused::OwnRequest)
            }
            _ => Ok(()),
        }
    }

    fn project(&self) -> &str {
        match self {
            Self::Derogation(one) => &one.project,
            Self::Attestation(one) => &one.project,
        }
    }

    /// Who must have signed.
    fn person(&self) -> &str {
        match self {
            Self::Derogation(one) => &one.approver,
            Self::Attestation(one) => &one.author,
        }
    }
}

/// A project as the subject of a statement.
fn about(project: &str) -> Digest {
    Digest::sha256(format!("pilotis.dev/project/{project}").as_bytes())
}

impl Derogation {
    /// Whether the readable fields of an object say what this derogation says.
    fn says(&self, spec: &serde_json::Value) -> bool {
        let text = |key: &str| spec[key].as_str();
        let time = |key: &str| text(key).and_then(|text| text.parse::<Timestamp>().ok());
        // An API keeps whole seconds of a time.
        let second = |time: Timestamp| Some(time.as_second());
        text("subject") == Some(&*self.subject)
            && text("reason") == Some(&*self.reason)
            && text("costOwner") == Some(&*self.cost_owner)
            && text("approver") == Some(&*self.approver)
            && text("requester").is_none_or(|requester| requester == self.requester)
            && text("object") == self.object.as_deref()
            && text("file") == self.file.as_deref()
            && time("start").map(Timestamp::as_second) == second(self.start)
            && time("end").map(Timestamp::as_second) == second(self.end)
    }

    /// Whether it is about a finding.
    pub fn covers(&self, finding: &Finding) -> bool {
        let subject =
            self.subject == finding.rule || finding.requirement.as_deref() == Some(&*self.subject);
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        let file = finding.position.as_ref().map(|at| at.file.as_str());
        subject && same(&self.object, finding.object.as_deref()) && same(&self.file, file)
    }
}

/// Verified decisions, and the time they are read at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decisions {
    /// The decisions.
    pub all: Vec<Decision>,
    /// The time; without it no decision holds.
    pub now: Option<Timestamp>,
}

/// Where a decision stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    Early,
    Current,
    Expired,
}

impl Decisions {
    fn age(&self, start: Timestamp, end: Timestamp) -> Age {
        match self.now {
            Some(now) if now >= end => Age::Expired,
            Some(now) if now >= start => Age::Current,
            _ => Age::Early,
        }
    }

    /// Every derogation with its age.
    pub(crate) fn derogations(&self) -> impl Iterator<Item = (&Derogation, Age)> {
        self.all.iter().filter_map(|decision| match decision {
            Decision::Derogation(one) => Some((one, self.age(one.start, one.end))),
            Decision::Attestation(_) => None,
        })
    }

    /// Every attestation with its age.
    pub(crate) fn attestations(&self) -> impl Iterator<Item = (&Attestation, Age)> {
        self.all.iter().filter_map(|decision| match decision {
            Decision::Attestation(one) => Some((one, self.age(one.start, one.end))),
            Decision::Derogation(_) => None,
        })
    }
}
