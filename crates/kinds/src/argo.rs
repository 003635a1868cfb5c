//! `argoproj.io/v1alpha1`: `Application` and `AppProject`, with upstream's names and meaning.
//!
//! Plain data. Fields Pilotis does not act on yet (jsonnet, kustomize, plugin, hydrator) are kept
//! as JSON so that reading and writing an object loses nothing. `Application` has no status
//! subresource upstream: its status is a merge patch of the object itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// API group.
pub const GROUP: &str = "argoproj.io";
/// The only version.
pub const VERSION: &str = "v1alpha1";
/// `CustomResourceDefinition` of `Application`, YAML.
pub const APPLICATION_CRD: &str = include_str!("crds/argoproj.io_applications.yaml");
/// `CustomResourceDefinition` of `AppProject`, YAML.
pub const APP_PROJECT_CRD: &str = include_str!("crds/argoproj.io_appprojects.yaml");

/// Annotation that says which application an object belongs to.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// Annotation asking for a comparison now: `normal` or `hard`.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// Annotation that makes the controller leave an application alone.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// Annotation of comma-separated options of one object.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// Annotation of comparison options.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// Annotation holding the wave, a signed number.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Annotation naming the phases an object is a hook of.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// Annotation saying when a hook is deleted.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// Annotation that keeps an object out of the health of its application.
pub const IGNORE_HEALTHCHECK: &str = "argocd.argoproj.io/ignore-healthcheck";
/// Finalizer: delete the deployed objects before the application goes.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";
/// The same, without waiting for the objects to be gone.
pub const RESOURCES_FINALIZER_BACKGROUND: &str =
    "resources-finalizer.argocd.argoproj.io/background";
/// Field manager of everything applied.
pub const FIELD_MANAGER: &str = "argocd-controller";
/// The address that means "the cluster this controller runs on".
pub const IN_CLUSTER: &str = "https://kubernetes.default.svc";
/// The name that means the same.
pub const IN_CLUSTER_NAME: &str = "in-cluster";

/// What to deploy, from where, to where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationSpec {
    /// The one source, when `sources` is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Several sources; they win over `source`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Cluster and default namespace.
    pub destination: Destination,
    /// Name of the `AppProject` that bounds this application.
    pub project: String,
    /// When and how to apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<SyncPolicy>,
    /// Fields whose differences do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreDifferences>,
    /// Free text for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// Entries of history kept; 10 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_history_limit: Option<i64>,
    /// Kept, not acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_hydrator: Option<Value>,
}

impl ApplicationSpec {
    /// The sources in order, whichever field holds them.
    pub fn all_sources(&self) -> Vec<&Source> {
        if self.sources.is_empty() {
            self.source.iter().collect()
        } else {
            self.sources.iter().collect()
        }
    }
}

/// A location in Git, or a chart in a repository of charts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// URL of the repository.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Directory in the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Branch, tag or commit; the repository's `HEAD` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_revision: Option<String>,
    /// Name of a chart; then `repoURL` is a chart repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// Helm settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helm: Option<HelmSource>,
    /// Settings of a directory of manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectorySource>,
    /// Kept, not acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kustomize: Option<Value>,
    /// Kept, not acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<Value>,
    /// Name under which other sources use files of this one: `$<ref>/path`.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How a chart is rendered. Precedence: parameters, then `valuesObject`, `values`, `valueFiles`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmSource {
    /// Values files, relative to the chart or `$<ref>/path`; later ones win.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub value_files: Vec<String>,
    /// Single values, as `--set`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<HelmParameter>,
    /// Single values whose content is a file, as `--set-file`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub file_parameters: Vec<HelmFileParameter>,
    /// Release name; the application's name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
    /// Values as YAML text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// Values as an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values_object: Option<Value>,
    /// A missing values file is not an error.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_missing_value_files: bool,
    /// Leave the chart's `crds` folder out.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_crds: bool,
    /// Leave test hooks out.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_tests: bool,
    /// Do not check values against the chart's schema.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_schema_validation: bool,
    /// Kept, not acted on.
    #[serde(skip_serializing_if = "is_false")]
    pub pass_credentials: bool,
    /// Kept, not acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Release namespace; the destination's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Version charts are told; the cluster's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kube_version: Option<String>,
    /// API versions charts are told in addition to the cluster's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_versions: Vec<String>,
}

/// One value, as `--set name=value`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmParameter {
    /// Path of the value.
    pub name: String,
    /// Its text.
    pub value: String,
    /// As `--set-string`: the text stays text.
    #[serde(skip_serializing_if = "is_false")]
    pub force_string: bool,
}

/// One value read from a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HelmFileParameter {
    /// Path of the value.
    pub name: String,
    /// File in the repository.
    pub path: String,
}

/// A directory of manifests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectorySource {
    /// Read directories inside too.
    #[serde(skip_serializing_if = "is_false")]
    pub recurse: bool,
    /// Glob of files to take, `{a,b}` for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<String>,
    /// Glob of files to leave out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
    /// Kept, not acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonnet: Option<Value>,
}

/// Where objects go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Destination {
    /// Address of the cluster's API; exclusive with `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Namespace of objects that name none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the cluster; exclusive with `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// When and how to apply.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy {
    /// Apply without being asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automated: Option<Automated>,
    /// `Name=value` options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// Retries of a failed operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Labels and annotations of a namespace made by `CreateNamespace=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// Automatic synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Automated {
    /// Delete what is no longer declared.
    #[serde(skip_serializing_if = "is_false")]
    pub prune: bool,
    /// Undo changes made on the cluster.
    #[serde(skip_serializing_if = "is_false")]
    pub self_heal: bool,
    /// Accept a source that declares nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_empty: bool,
    /// `false` switches it off; on when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Retries of a failed operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// How many; −1 is without end.
    #[serde(skip_serializing_if = "is_zero")]
    pub limit: i64,
    /// Pauses between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// Take the newest revision at each retry.
    #[serde(skip_serializing_if = "is_false")]
    pub refresh: bool,
}

/// Pauses between retries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Backoff {
    /// First pause: seconds, or Go duration text; 5 s when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Growth per retry; 2 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<i64>,
    /// Longest pause; 3 min when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<String>,
}

/// Labels and annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManagedNamespaceMetadata {
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Differences that do not count, for the objects this selects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IgnoreDifferences {
    /// Group glob; `""` or absent is the core group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind glob.
    pub kind: String,
    /// Name; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// RFC 6901 pointers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json_pointers: Vec<String>,
    /// jq paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jq_path_expressions: Vec<String>,
    /// Field managers whose fields are left alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed_fields_managers: Vec<String>,
}

/// A name and a value for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// What somebody asks the controller to do now; top-level field `operation`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Operation {
    /// A synchronisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncOperation>,
    /// Who asks.
    #[serde(skip_serializing_if = "InitiatedBy::is_empty")]
    pub initiated_by: InitiatedBy,
    /// Free text for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub info: Vec<Info>,
    /// Retries.
    #[serde(skip_serializing_if = "Retry::is_none")]
    pub retry: Retry,
}

/// Who asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InitiatedBy {
    /// A person or account.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The controller itself.
    #[serde(skip_serializing_if = "is_false")]
    pub automated: bool,
}

impl InitiatedBy {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Retry {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncOperation {
    /// Revision of the one source.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Revisions of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// Delete what is no longer declared.
    #[serde(skip_serializing_if = "is_false")]
    pub prune: bool,
    /// Change nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Kept, not acted on: everything is a server-side apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_strategy: Option<Value>,
    /// Only these objects; no hooks, no history.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<SyncResource>,
    /// Another source than the specification's (rollback).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Other sources than the specification's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Options of this synchronisation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sync_options: Vec<String>,
    /// How many times in a row the controller repaired the same fight.
    #[serde(skip_serializing_if = "is_zero")]
    pub auto_heal_attempts_count: i64,
}

/// One object of a selective synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncResource {
    /// Group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Where an application stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApplicationStatus {
    /// The objects, declared or left over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceStatus>,
    /// Whether the cluster is as declared.
    pub sync: SyncStatus,
    /// Whether what runs is well.
    pub health: HealthStatus,
    /// What was deployed, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RevisionHistory>,
    /// Problems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// When it was last compared with the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciled_at: Option<String>,
    /// The running or last operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_state: Option<OperationState>,
    /// `Helm`, `Directory`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_type: String,
    /// The same for several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_types: Vec<String>,
    /// For people.
    pub summary: Summary,
    /// Namespace of the controller.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub controller_namespace: String,
}

/// One object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceStatus {
    /// Group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Whether it is as declared; absent for hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SyncCode>,
    /// How it is; absent for kinds without a notion of health.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthStatus>,
    /// It is a hook.
    #[serde(skip_serializing_if = "is_false")]
    pub hook: bool,
    /// It is not declared any more.
    #[serde(skip_serializing_if = "is_false")]
    pub requires_pruning: bool,
    /// Its wave, if not 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub sync_wave: i64,
}

/// Whether declared and live agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncCode {
    /// It cannot be known; nothing is ever applied automatically from here.
    #[default]
    Unknown,
    /// They agree.
    Synced,
    /// They differ, or one is missing.
    OutOfSync,
}

/// Verdict of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStatus {
    /// Verdict.
    pub status: SyncCode,
    /// What was compared.
    pub compared_to: ComparedTo,
    /// Revision of the one source.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Revisions of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
}

/// The specification a verdict is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComparedTo {
    /// The one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Destination.
    pub destination: Destination,
    /// Differences that did not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore_differences: Vec<IgnoreDifferences>,
}

/// Health, in the order of upstream from best to worst.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum HealthCode {
    /// It does what it should.
    #[default]
    Healthy,
    /// It waits on purpose.
    Suspended,
    /// It is on its way.
    Progressing,
    /// It is not there.
    Missing,
    /// It failed.
    Degraded,
    /// Nobody can say.
    Unknown,
}

/// Health of an object or of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthStatus {
    /// Verdict.
    pub status: HealthCode,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// One past deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RevisionHistory {
    /// Grows by one.
    pub id: i64,
    /// Revision of the one source.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Revisions of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// When it ended.
    pub deployed_at: String,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deploy_started_at: Option<String>,
    /// The one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Who asked.
    #[serde(skip_serializing_if = "InitiatedBy::is_empty")]
    pub initiated_by: InitiatedBy,
}

/// A problem of an application. Types ending in `Error` stop automatic synchronisation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Such as `ComparisonError`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Why.
    pub message: String,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
}

/// The running or last operation, and the memory of its steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationState {
    /// What was asked.
    pub operation: Operation,
    /// How far it is.
    pub phase: OperationPhase,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What happened to each object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_result: Option<SyncResult>,
    /// When it began.
    pub started_at: String,
    /// When it ended, or when the last attempt ended while a retry is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Retries so far.
    #[serde(skip_serializing_if = "is_zero")]
    pub retry_count: i64,
}

/// How far an operation, or a hook, is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationPhase {
    /// Not ended.
    #[default]
    Running,
    /// Being stopped on request.
    Terminating,
    /// Ended badly: what was asked cannot be done as it is.
    Failed,
    /// Ended badly: something around failed.
    Error,
    /// Ended well.
    Succeeded,
}

impl OperationPhase {
    /// Whether nothing more will happen.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Failed | Self::Error | Self::Succeeded)
    }
}

/// What a synchronisation did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncResult {
    /// Object by object.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<ResourceResult>,
    /// Revision of the one source.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// Revisions of several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<String>,
    /// The one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Several sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
}

/// What a synchronisation did to one object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceResult {
    /// Group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What was done; absent for a hook that is only watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ResultCode>,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Phase the object is a hook of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_type: Option<SyncPhase>,
    /// How far the hook, or the object being waited for, is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_phase: Option<OperationPhase>,
    /// Phase of the synchronisation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_phase: Option<SyncPhase>,
}

/// What was done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResultCode {
    /// Applied.
    Synced,
    /// Refused by the cluster.
    SyncFailed,
    /// Deleted.
    Pruned,
    /// Left, because pruning is off for it.
    PruneSkipped,
}

/// A phase of a synchronisation, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SyncPhase {
    /// Before anything is applied.
    PreSync,
    /// Ordinary objects.
    Sync,
    /// After everything is applied and healthy.
    PostSync,
    /// After a failure.
    SyncFail,
}

/// For people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Addresses of the application.
    #[serde(rename = "externalURLs", skip_serializing_if = "Vec::is_empty")]
    pub external_urls: Vec<String>,
    /// Images in use, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// What the applications of a project may do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AppProjectSpec {
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Repository URL globs; `!` in front forbids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_repos: Vec<String>,
    /// Namespaces applications may live in, besides the controller's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_namespaces: Vec<String>,
    /// Clusters and namespaces, globs; `!` in front forbids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
    /// Accounts used to apply, first match wins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub destination_service_accounts: Vec<DestinationServiceAccount>,
    /// Cluster-wide kinds allowed; none when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_whitelist: Vec<GroupKind>,
    /// Cluster-wide kinds forbidden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cluster_resource_blacklist: Vec<GroupKind>,
    /// Namespaced kinds allowed; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_resource_whitelist: Option<Vec<GroupKind>>,
    /// Namespaced kinds forbidden.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespace_resource_blacklist: Vec<GroupKind>,
    /// Everything else upstream defines, kept.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Which account applies to which destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DestinationServiceAccount {
    /// Cluster glob.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Namespace glob.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// `name` in the destination namespace, or `namespace:name`.
    pub default_service_account: String,
}

/// A kind of object, as globs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupKind {
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name glob; all when absent. Cluster-wide kinds only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &i64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_application_specification_survives_reading_and_writing() {
        let spec = json!({
            "project": "demo",
            "destination": {"server": IN_CLUSTER, "namespace": "demo-dev"},
            "sources": [
                {"repoURL": "https://forge.example/infra.git", "ref": "values"},
                {
                    "repoURL": "https://forge.example/app.git",
                    "path": "chart",
                    "targetRevision": "main",
                    "helm": {
                        "valueFiles": ["$values/dev.yaml"],
                        "parameters": [{"name": "a.b", "value": "1", "forceString": true}],
                        "valuesObject": {"replicas": 2},
                    },
                },
            ],
            "syncPolicy": {
                "automated": {"prune": true, "selfHeal": true},
                "syncOptions": ["CreateNamespace=true"],
                "retry": {"limit": 5, "backoff": {"duration": "5s", "factor": 2}},
            },
            "ignoreDifferences": [{"kind": "Deployment", "jsonPointers": ["/spec/replicas"]}],
        });
        let read: ApplicationSpec = serde_json::from_value(spec.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), spec);
        assert_eq!(read.all_sources().len(), 2);
    }

    #[test]
    fn an_empty_whitelist_is_not_an_absent_one() {
        let project = |spec| serde_json::from_value::<AppProjectSpec>(spec).unwrap();
        assert_eq!(project(json!({})).namespace_resource_whitelist, None);
        let empty = project(json!({"namespaceResourceWhitelist": [], "roles": []}));
        assert_eq!(empty.namespace_resource_whitelist, Some(vec![]));
        assert!(empty.other.contains_key("roles"));
    }

    #[test]
    fn health_orders_from_best_to_worst() {
        use HealthCode::*;
        let mut codes = [Unknown, Degraded, Healthy, Missing, Suspended, Progressing];
        codes.sort();
        assert_eq!(
            codes,
            [Healthy, Suspended, Progressing, Missing, Degraded, Unknown]
        );
    }
}
