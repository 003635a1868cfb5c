//! `helm env` and `helm plugin list`: where Helm's files are, and that there are no plug-ins.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::Error;

use super::super::deferred::Deferred;
use super::flags::Common;
use super::table::table;
use super::{Outcome, network, tell};

/// What to print.
#[derive(Debug, Args)]
pub struct Env {
    /// One variable
    #[arg(value_name = "NAME")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
}

/// Commands on plug-ins.
#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// List plug-ins; there are none
    #[command(alias = "ls")]
    List(Deferred<Plugins>),
}

/// How to list.
#[derive(Debug, Args)]
pub struct Plugins {
    /// Taken and not used, as in Helm
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Kind of plug-in
    #[arg(long = "type", value_name = "KIND")]
    pub kind: Option<String>,
}

/// Runs `chart env`.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(arguments: &Env) -> Result<Outcome> {
    tell::remote_outcome(print(arguments), &arguments.common)
}

/// Runs `chart plugin list`: nothing of a plug-in is ever run here.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn plugins(command: &Plugin) -> Result<Outcome> {
    let Plugin::List(arguments) = command;
    let columns = match arguments.common.compat.starts_with('3') {
        true => vec!["NAME", "VERSION", "DESCRIPTION"],
        false => {
            let last = ["APIVERSION", "PROVENANCE", "SOURCE"];
            [&["NAME", "VERSION", "TYPE"], last.as_slice()].concat()
        }
    };
    tell::remote_outcome(Ok(table(&[columns], 0)), &arguments.common)
}

fn print(arguments: &Env) -> Result<String, Error> {
    network::count(&arguments.words, 0..=1, "helm env [flags]")?;
    let all = variables(&arguments.common);
    Ok(match arguments.words.first() {
        Some(name) => format!("{}\n", all.get(name.as_str()).map_or("", String::as_str)),
        None => {
            let lines = all
                .iter()
                .map(|(name, value)| format!("{name}=\"{value}\"\n"));
            lines.collect()
        }
    })
}

/// Variables that are passed on as they are.
const PASSED: [&str; 7] = [
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
    "HELM_KUBEASGROUPS",
];

fn variables(common: &Common) -> BTreeMap<&'static str, String> {
    let set = |name: &str| std::env::var(name).unwrap_or_default();
    let or = |name: &str, other: &str| match set(name) {
        value if value.is_empty() => other.to_owned(),
        value => value,
    };
    let places = network::places(common);
    let shown = |path: &std::path::Path| path.display().to_string();
    let program = std::env::args().next().unwrap_or_default();
    let plugins = shown(&network::folder(&network::DATA).join("plugins"));
    let mut all = BTreeMap::from([
        ("HELM_BIN", program),
        ("HELM_BURST_LIMIT", or("HELM_BURST_LIMIT", "100")),
        ("HELM_CACHE_HOME", shown(&network::folder(&network::CACHE))),
        (
            "HELM_CONFIG_HOME",
            shown(&network::folder(&network::CONFIG)),
        ),
        ("HELM_DATA_HOME", shown(&network::folder(&network::DATA))),
        ("HELM_DEBUG", common.debug.0.to_string()),
        (
            "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
            or("HELM_KUBEINSECURE_SKIP_TLS_VERIFY", "false"),
        ),
        ("HELM_MAX_HISTORY", or("HELM_MAX_HISTORY", "10")),
        ("HELM_NAMESPACE", common.namespace.clone()),
        ("HELM_PLUGINS", or("HELM_PLUGINS", &plugins)),
        ("HELM_QPS", or("HELM_QPS", "0.00")),
        ("HELM_REGISTRY_CONFIG", shown(&places.credentials)),
        ("HELM_REPOSITORY_CACHE", shown(&places.cache)),
        ("HELM_REPOSITORY_CONFIG", shown(&places.repositories)),
    ]);
    if !common.compat.starts_with('3') {
        all.insert("HELM_CONTENT_CACHE", shown(&places.content));
    }
    for name in PASSED {
        all.insert(name, set(name));
    }
    let kubeconfig = common.cluster.kubeconfig.clone();
    let kubeconfig = kubeconfig.unwrap_or_else(|| set("KUBECONFIG"));
    if !kubeconfig.is_empty() {
        all.insert("KUBECONFIG", kubeconfig);
    }
    all
}
