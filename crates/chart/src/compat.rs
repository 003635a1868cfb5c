//! Which Helm to be: everything that differs between its versions, as data.
//!
//! Code asks this object, never a version number. A new version is a further constant.

use crate::errors::Error;
use crate::manifest::{KIND_ORDER, KIND_ORDER_3};

/// How documents of a rendered file are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// `---` after a line break, with every blank and line break around it.
    Loose,
    /// `---` at the start of a line, with the blanks after it.
    Line,
}

/// How an error inside a template is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorStyle {
    /// Go's own text.
    OneLine,
    /// One block of lines for each template on the way.
    Lines,
}

/// How warnings are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStyle {
    /// `coalesce.go:316: text`.
    Places,
    /// `level=WARN msg="text"`.
    Attributes,
}

/// When what is said of an OCI registry goes to the log and not to the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryLog {
    /// Never.
    Never,
    /// While a chart is rendered or shown.
    Rendering,
    /// Always.
    Always,
}

/// What `.Chart` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartObject {
    /// A struct: an unknown field is an error.
    Struct,
    /// A map: an unknown field is empty.
    Map,
}

/// What command lines of Helm's versions take otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Flags that are unknown, by their long names.
    pub absent: &'static [&'static str],
    /// Flags that are taken with a warning, and what it says.
    pub deprecated: &'static [(&'static str, &'static str)],
    /// Whether `--wait` and `--dry-run` take the name of a strategy, with a warning where they are
    /// given as the switches they were.
    pub names_strategies: bool,
    /// Whether a chart that lies in the working folder is taken though `--repo` names another
    /// place.
    pub prefers_local_charts: bool,
    /// Whether `repo update` fails when an index cannot be fetched, or when
    /// `--fail-on-repo-update-fail` asks for it.
    pub updates_succeed: bool,
    /// Whether `registry login` takes the host out of an address, or wants a host.
    pub logs_in_to_addresses: bool,
    /// Whether keys are looked for in `pubring.kbx` where there is no `pubring.gpg`.
    pub finds_keyboxes: bool,
    /// Whether `lint` looks at the working folder when no chart is named.
    pub lints_here: bool,
}

/// Flags of Helm 3 that Helm 4 does not know.
const FLAGS_OF_3: [&str; 3] = ["client", "fail-on-repo-update-fail", "no-update"];
/// Flags of Helm 4 that Helm 3 does not know.
const FLAGS_OF_4: [&str; 9] = [
    "color",
    "colour",
    "content-cache",
    "force-conflicts",
    "force-replace",
    "no-headers",
    "rollback-on-failure",
    "server-side",
    "type",
];
const NO_EFFECT: &str = "this flag has no effect for 'helm template' and will be removed in Helm 5";
/// Flags of `helm template` that Helm 4 still takes.
const FLAGS_DEPRECATED: [(&str, &str); 5] = [
    ("atomic", "use --rollback-on-failure instead"),
    ("force", "use --force-replace instead"),
    ("hide-notes", NO_EFFECT),
    ("render-subchart-notes", NO_EFFECT),
    ("validate", "use '--dry-run=server' instead"),
];

const COMMAND_LINE_4: CommandLine = CommandLine {
    absent: &FLAGS_OF_3,
    deprecated: &FLAGS_DEPRECATED,
    names_strategies: true,
    prefers_local_charts: false,
    updates_succeed: true,
    logs_in_to_addresses: false,
    finds_keyboxes: false,
    lints_here: false,
};

/// The behaviour of one Helm version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compat {
    /// The version, such as `4.2.4`.
    pub name: &'static str,
    /// How documents are told apart.
    pub separator: Separator,
    /// Whether blanks after a document are dropped.
    pub trims_ends: bool,
    /// Whether chart defaults that are null are dropped from the merged values.
    pub drops_null_defaults: bool,
    /// Whether each alias of a chart has what the chart declares to itself, or changes what all of
    /// them declare.
    pub copies_declarations: bool,
    /// Whether every document of a values file counts, or the first only.
    pub merges_value_documents: bool,
    /// Whether the `apiVersion` is read before the chart, and one it does not know refused.
    pub refuses_api_versions: bool,
    /// Whether `--set-json` takes an object of its own, or `key=value` only.
    pub set_json_takes_objects: bool,
    /// Whether a text of `--set` and its kin ends at an index that is not closed, or is refused.
    pub open_index_ends_set: bool,
    /// `lint` misses `templates/` and looks into `crds/`.
    pub lints_folders: bool,
    /// `lint` warns of unknown fields of `Chart.yaml` and of versions that leave parts out, and
    /// looks into manifests that end in `.yml`.
    pub lints_strictly: bool,
    /// `lint` looks into templates for what only Helm 2 had.
    pub lints_against_2: bool,
    /// Whether `show` puts a separator before every CRD, or before the first of `show all`.
    pub separates_crds: bool,
    /// Name of the type `lint` reads manifests into, as messages name it.
    pub lint_type: &'static str,
    /// Kinds in the order they are printed; others follow, by name.
    pub kind_order: &'static [&'static str],
    /// What `.Chart` is.
    pub chart_object: ChartObject,
    /// Package of the types charts are read into, as messages name it.
    pub chart_package: &'static str,
    /// Package of Helm's own types, as `%T` prints it.
    pub types: &'static str,
    /// Package of the type manifests are read into, as messages name it.
    pub release_package: &'static str,
    /// What is said before the names of dependencies that are not there.
    pub missing_dependencies: &'static str,
    /// How template errors are told.
    pub error_style: ErrorStyle,
    /// Whether a post-renderer is given the files, hooks among them, or the printed objects.
    pub post_renders_files: bool,
    /// How warnings are logged.
    pub log_style: LogStyle,
    /// When what is said of a registry is logged.
    pub registry_log: RegistryLog,
    /// How its command line is another.
    pub command_line: CommandLine,
    /// Functions this version does not have.
    pub functions_absent: &'static [&'static str],
    /// Version of Kubernetes assumed when none is given.
    pub kube_version: &'static str,
    /// Whether `.Capabilities.KubeVersion.Version` keeps what follows the numbers.
    pub keeps_kube_suffix: bool,
    /// API versions assumed to be served.
    pub api_versions: &'static [&'static str],
    /// `.Capabilities.HelmVersion.Version`.
    pub helm_version: &'static str,
    /// `.Capabilities.HelmVersion.GoVersion`.
    pub go_version: &'static str,
    /// `.Capabilities.HelmVersion.KubeClientVersion`; not a field in Helm 3.
    pub kube_client_version: Option<&'static str>,
}

/// Functions that came with Helm 4.
const SINCE_4_0: [&str; 2] = ["mustToYaml", "mustToToml"];
/// Functions that came with Helm 4.3.
const SINCE_4_3: [&str; 11] = [
    "durationDays",
    "durationHours",
    "durationMicroseconds",
    "durationMilliseconds",
    "durationMinutes",
    "durationNanoseconds",
    "durationRoundTo",
    "durationSeconds",
    "durationTruncateTo",
    "durationWeeks",
    "mustToDuration",
];
/// What 3.x lacks.
const ABSENT_3: [&str; 13] = {
    let mut all = [""; 13];
    let mut at = 0;
    while at < 11 {
        all[at] = SINCE_4_3[at];
        at += 1;
    }
    all[11] = SINCE_4_0[0];
    all[12] = SINCE_4_0[1];
    all
};

impl Compat {
    /// Helm 4.2.4, the one Argo CD ships.
    pub const HELM_4_2_4: Self = Self {
        name: "4.2.4",
        separator: Separator::Line,
        trims_ends: false,
        drops_null_defaults: true,
        copies_declarations: true,
        merges_value_documents: true,
        refuses_api_versions: true,
        set_json_takes_objects: true,
        open_index_ends_set: true,
        lints_folders: true,
        lints_strictly: true,
        lints_against_2: false,
        separates_crds: true,
        lint_type: "k8sYamlStruct",
        kind_order: &KIND_ORDER,
        chart_object: ChartObject::Map,
        chart_package: "v2",
        types: "common",
        release_package: "util",
        missing_dependencies: "an error occurred while checking for chart dependencies. You may \
                               need to run 'helm dependency build' to fetch missing dependencies",
        error_style: ErrorStyle::Lines,
        post_renders_files: true,
        log_style: LogStyle::Attributes,
        registry_log: RegistryLog::Never,
        command_line: COMMAND_LINE_4,
        functions_absent: &SINCE_4_3,
        kube_version: "v1.36.0",
        keeps_kube_suffix: true,
        api_versions: &API_VERSIONS_1_36,
        helm_version: "v4.2",
        go_version: "go1.26.8",
        kube_client_version: Some("v1.36"),
    };

    /// Helm 4.2.2, which still told documents apart as Helm 3 does.
    pub const HELM_4_2_2: Self = Self {
        name: "4.2.2",
        separator: Separator::Loose,
        ..Self::HELM_4_2_4
    };

    /// Helm 4.3.1, the latest.
    pub const HELM_4_3_1: Self = Self {
        name: "4.3.1",
        registry_log: RegistryLog::Rendering,
        command_line: CommandLine {
            finds_keyboxes: true,
            ..COMMAND_LINE_4
        },
        functions_absent: &[],
        kube_version: "v1.37.0",
        api_versions: &API_VERSIONS_1_37,
        helm_version: "v4.3",
        kube_client_version: Some("v1.37"),
        ..Self::HELM_4_2_4
    };

    /// Helm 3.21.4, the last of the old major many still run.
    pub const HELM_3_21_4: Self = Self {
        name: "3.21.4",
        separator: Separator::Loose,
        trims_ends: true,
        drops_null_defaults: false,
        copies_declarations: false,
        merges_value_documents: false,
        refuses_api_versions: false,
        set_json_takes_objects: false,
        open_index_ends_set: false,
        lints_folders: false,
        lints_strictly: false,
        lints_against_2: true,
        separates_crds: false,
        lint_type: "K8sYamlStruct",
        kind_order: &KIND_ORDER_3,
        chart_object: ChartObject::Struct,
        chart_package: "chart",
        types: "chartutil",
        release_package: "releaseutil",
        missing_dependencies: "An error occurred while checking for chart dependencies. You may \
                               need to run `helm dependency build` to fetch missing dependencies",
        error_style: ErrorStyle::OneLine,
        post_renders_files: false,
        log_style: LogStyle::Places,
        registry_log: RegistryLog::Always,
        command_line: CommandLine {
            absent: &FLAGS_OF_4,
            deprecated: &[],
            names_strategies: false,
            prefers_local_charts: true,
            updates_succeed: false,
            logs_in_to_addresses: true,
            finds_keyboxes: false,
            lints_here: true,
        },
        functions_absent: &ABSENT_3,
        kube_version: "v1.36.0",
        keeps_kube_suffix: false,
        helm_version: "v3.21",
        kube_client_version: None,
        ..Self::HELM_4_2_4
    };

    /// Every profile, the default first.
    pub const ALL: [Self; 4] = [
        Self::HELM_4_2_4,
        Self::HELM_4_3_1,
        Self::HELM_4_2_2,
        Self::HELM_3_21_4,
    ];

    /// The same error, with types of charts in the package this version has them in.
    pub(crate) fn typed(&self, mut error: Error) -> Error {
        let (before, after) = match error.message.rfind(" of type ") {
            Some(at) => error.message.split_at(at),
            None => return error,
        };
        error.message = format!(
            "{before}{}",
            after.replace("v2.", &format!("{}.", self.chart_package))
        );
        error
    }

    /// The profile of a version, such as `4.2.4` or `v4.2.4`.
    ///
    /// # Errors
    /// When there is none; the message names those there are.
    pub fn named(version: &str) -> Result<Self, Error> {
        let wanted = version.trim_start_matches('v');
        let found = Self::ALL.into_iter().find(|compat| compat.name == wanted);
        found.ok_or_else(|| {
            let names = Self::ALL.map(|compat| compat.name).join(", ");
            Error::new(format!(
                "no profile for Helm {version:?}; there are {names}"
            ))
        })
    }
}

impl Default for Compat {
    fn default() -> Self {
        Self::HELM_4_2_4
    }
}

const API_VERSIONS_1_36: [&str; 55] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha2",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

const API_VERSIONS_1_37: [&str; 57] = [
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];
