//! The kinds of the platform itself, group `pilotis.dev/v1alpha1`, as plain Rust.
//!
//! What is wanted and where it stands; bytes live in the registry, sources in Git. One service
//! writes each status: tenancy Project and Environment, chain Repository and Delivery.
//! Every field name here is public API and appears in the schemas under `crds/`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::reason::Reason;

/// A kind's place in the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindName {
    /// `kind`.
    pub kind: &'static str,
    /// Plural, as in the path.
    pub plural: &'static str,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

/// `Project`.
pub const PROJECT: KindName = KindName {
    kind: "Project",
    plural: "projects",
    namespaced: false,
};
/// `Environment`.
pub const ENVIRONMENT: KindName = KindName {
    kind: "Environment",
    plural: "environments",
    namespaced: true,
};
/// `Repository`.
pub const REPOSITORY: KindName = KindName {
    kind: "Repository",
    plural: "repositories",
    namespaced: true,
};
/// `Delivery`.
pub const DELIVERY: KindName = KindName {
    kind: "Delivery",
    plural: "deliveries",
    namespaced: true,
};
/// `Zone`.
pub const ZONE: KindName = KindName {
    kind: "Zone",
    plural: "zones",
    namespaced: false,
};
/// `Cluster`.
pub const CLUSTER: KindName = KindName {
    kind: "Cluster",
    plural: "clusters",
    namespaced: false,
};
/// `Derogation`.
pub const DEROGATION: KindName = KindName {
    kind: "Derogation",
    plural: "derogations",
    namespaced: true,
};
/// `Catalogue`.
pub const CATALOGUE: KindName = KindName {
    kind: "Catalogue",
    plural: "catalogues",
    namespaced: false,
};

/// One step of an object's life, as everywhere in Kubernetes (`metav1.Condition`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is told, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word for programs.
    pub reason: String,
    /// One sentence for people.
    #[serde(default)]
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
}

impl Condition {
    /// The `Ready` condition; its time moves only when its status does, so that a look that finds
    /// everything as it was writes nothing. `failure` is a word for programs and a sentence.
    pub fn ready(failure: Option<(&str, String)>, before: &[Self], now: Timestamp) -> Self {
        let (status, reason, message) = match failure {
            None => ("True", "Ready", String::new()),
            Some((reason, message)) => ("False", reason, message),
        };
        let kept = before
            .iter()
            .find(|c| c.kind == "Ready" && c.status == status);
        Self {
            kind: "Ready".to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            last_transition_time: kept.map_or(now, |c| c.last_transition_time),
        }
    }
}

/// Wanted: a team's space, named by its slug. Cluster-scoped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectSpec {
    /// A sentence for people, at most 280 characters.
    #[serde(default)]
    pub description: String,
    /// Who may do what.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// A person in a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// User name as the API authenticates it.
    pub user: String,
    /// What they may do.
    pub role: Role,
}

/// The system roles of a project; each becomes RoleBindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in the project.
    Admin,
    /// Environments and repositories.
    Devops,
    /// Repositories and deliveries.
    Developer,
    /// Reads everything, requests nothing.
    Security,
    /// Reads.
    Reader,
}

/// Where a Project stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStatus {
    /// Namespace of its objects, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `Ready` and why not.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Wanted: a place to run, in the project's namespace, named `dev`, `prod`, ….
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvironmentSpec {
    /// Whether this is production: stricter policy, last to be promoted.
    #[serde(default)]
    pub production: bool,
    /// Name of the Cluster it runs on.
    #[serde(default = "default_cluster")]
    pub cluster: String,
    /// Sum of the limits of its pods; none means unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

fn default_cluster() -> String {
    "local".to_owned()
}

/// Upper bound of an environment's pods together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// CPU quantity such as `2`.
    pub cpu: String,
    /// Memory quantity such as `4Gi`.
    pub memory: String,
}

/// Where an Environment stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvironmentStatus {
    /// Namespace of its workloads, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `Ready` and why not.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Wanted: a Git repository of a team, in the project's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositorySpec {
    /// Pilotis serves it and the team pushes to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosted: Option<Hosted>,
    /// It is fetched from another forge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
    /// The branch whose commits are delivered.
    #[serde(default = "default_branch")]
    pub branch: String,
    /// Path of the Dockerfile.
    #[serde(default = "default_dockerfile")]
    pub dockerfile: String,
    /// Path of the chart's folder.
    #[serde(default = "default_chart")]
    pub chart: String,
}

fn default_branch() -> String {
    "main".to_owned()
}

fn default_dockerfile() -> String {
    "Dockerfile".to_owned()
}

fn default_chart() -> String {
    "chart".to_owned()
}

/// A repository Pilotis serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosted {}

/// A repository of another forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mirror {
    /// `https` address.
    pub url: String,
    /// Secret of the project's namespace with `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<String>,
}

/// Where a Repository stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryStatus {
    /// Address to clone and push, with its logical name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Last commit seen on the followed branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// When it was last fetched or pushed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// `Ready` and why not.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// Wanted: one commit taken through every gate. Immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliverySpec {
    /// Name of the Repository.
    pub repository: String,
    /// Full commit id.
    pub commit: String,
    /// The ref that brought it, such as `refs/heads/main`.
    #[serde(rename = "ref")]
    pub reference: String,
    /// First line of the commit message, at most 120 characters.
    #[serde(default)]
    pub title: String,
    /// Author's name.
    #[serde(default)]
    pub author: String,
}

/// Where a Delivery stands: its gates, in order; everything a person sees is computed from them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryStatus {
    /// All gates, always, in [`GateName::ALL`]'s order.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// The image that was built, `name/project/repository@sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What each environment has received.
    #[serde(default)]
    pub promotions: Vec<Promotion>,
}

/// The gates a commit goes through, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateName {
    /// The commit is in the platform's own copy.
    Mirror,
    /// Source rules, secrets, SBOM, vulnerabilities, reports.
    Inspect,
    /// The image is rebuilt in a pod.
    Build,
    /// The image's test stage runs in a pod.
    Test,
    /// Image rules; the chart rendered and judged for every environment.
    Verify,
    /// Signature and attestations.
    Sign,
    /// Tags in the registry.
    Publish,
    /// A commit to the zone repository, environment after environment.
    Promote,
}

impl GateName {
    /// Every gate, in order.
    pub const ALL: [Self; 8] = [
        Self::Mirror,
        Self::Inspect,
        Self::Build,
        Self::Test,
        Self::Verify,
        Self::Sign,
        Self::Publish,
        Self::Promote,
    ];

    /// The gate's name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mirror => "mirror",
            Self::Inspect => "inspect",
            Self::Build => "build",
            Self::Test => "test",
            Self::Verify => "verify",
            Self::Sign => "sign",
            Self::Publish => "publish",
            Self::Promote => "promote",
        }
    }
}

/// One gate of a Delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// Which.
    pub name: GateName,
    /// Where it stands.
    pub state: GateState,
    /// One sentence: the cause of a failure, the reason of a skip, or what is under way.
    #[serde(default)]
    pub message: String,
    /// Code of the [`Reason`] behind the sentence, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the reason speaks of.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// When work on it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What proves the outcome, by digest in the registry.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// Why it failed, for the person who must act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Blocked>,
}

impl Gate {
    /// A gate to come.
    pub fn pending(name: GateName) -> Self {
        Self {
            name,
            state: GateState::Pending,
            message: String::new(),
            reason: None,
            parameters: Map::new(),
            started_at: None,
            finished_at: None,
            evidence: Vec::new(),
            blocked: None,
        }
    }

    /// Why it stands there, if this version knows the code.
    pub fn reason(&self) -> Option<Reason> {
        Reason::read(self.reason.as_deref()?, &self.parameters)
    }

    /// Writes a reason and its sentence.
    pub fn say(&mut self, reason: &Reason) {
        self.message = reason.to_string();
        self.reason = Some(reason.code());
        self.parameters = reason.parameters();
    }
}

/// Where a gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GateState {
    /// To come.
    Pending,
    /// Under way.
    Running,
    /// Passed.
    Passed,
    /// Failed: the progression stops here.
    Failed,
    /// Not applicable, with a reason.
    Skipped,
}

/// A document that proves a gate's outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// What it is, such as `compliance-report`, `sbom`, `junit`, `log`.
    pub kind: String,
    /// Digest of the blob in the project's registry space.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// One line with the figures it holds.
    #[serde(default)]
    pub summary: String,
    /// The same figures by name, for other languages: `tests`, `failed`, `findings`, `lines`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, u64>,
}

/// The one cause of a failed gate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Requirement breached, such as `EXI-ARCH-26`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement: Option<String>,
    /// What the requirement asks, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The rule, such as `no-host-path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The object concerned, such as `Deployment/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The cause, one sentence.
    pub cause: String,
    /// Which role acts: `team` or `operator`.
    pub owner: String,
    /// Source file, relative to the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What to do.
    #[serde(default)]
    pub fix: String,
    /// Unified diff that does it, when one is safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// Findings beyond this one.
    #[serde(default)]
    pub others: u32,
}

/// What an environment has received from a Delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// Environment name.
    pub environment: String,
    /// `Waiting`, `Promoted` (committed to the zone repository), `Healthy` or `Degraded`.
    pub state: String,
    /// Commit in the zone repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Address of the application there, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was promoted; once `Healthy`, when it became so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Wanted: a network zone with its own zone repository. Cluster-scoped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneSpec {
    /// A sentence for people.
    #[serde(default)]
    pub description: String,
}

/// Wanted: a Kubernetes cluster of a zone. Cluster-scoped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// Name of the Zone.
    pub zone: String,
    /// A sentence for people.
    #[serde(default)]
    pub description: String,
}

/// Wanted: a requirement set aside for a while, in the project's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DerogationSpec {
    /// Requirement id, or a rule id.
    pub subject: String,
    /// Why, for the record.
    pub reason: String,
    /// Who bears the cost of the exception.
    pub cost_owner: String,
    /// Who decided.
    pub approver: String,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    /// The object it is limited to, such as `Deployment/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The file it is limited to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The decision as the approver signed it; without it the object is a request and sets nothing
    /// aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<String>,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends; afterwards the rule blocks again.
    pub end: Timestamp,
}

/// Wanted: a source of charts offered to teams. Cluster-scoped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CatalogueSpec {
    /// HTTP index or `oci://` address.
    pub url: String,
    /// A sentence for people.
    #[serde(default)]
    pub description: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_refused() {
        let spec = serde_json::json!({"hosted": {}, "brnch": "main"});
        let error = serde_json::from_value::<RepositorySpec>(spec)
            .unwrap_err()
            .to_string();
        assert!(error.contains("brnch"), "{error}");
    }

    #[test]
    fn a_repository_takes_its_defaults() {
        let spec: RepositorySpec =
            serde_json::from_value(serde_json::json!({"hosted": {}})).unwrap();
        assert_eq!(
            (spec.branch.as_str(), spec.chart.as_str()),
            ("main", "chart")
        );
    }
}
