//! `helm version`: which Helm we are being.

use anyhow::Result;
use clap::Args;
use pilotis_chart::Compat;

use super::flags::Common;
use super::pflag::Switch;
use super::{Outcome, network, tell};

/// How to print it.
#[derive(Debug, Args)]
pub struct Version {
    /// Nothing is taken.
    #[arg(hide = true)]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// The number alone
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub short: Switch,
    /// Taken and not used: there is only a client
    #[arg(short, long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false")]
    pub client: Switch,
    /// Template of the output
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<String>,
}

/// Runs `helm version`.
///
/// # Errors
/// Never today: what is wrong is an outcome.
pub fn run(arguments: &Version) -> Result<Outcome> {
    let counted = network::count(&arguments.words, 0..=0, "helm version [flags]");
    let text =
        counted
            .and_then(|()| arguments.common.profile())
            .and_then(|compat| match &arguments.template {
                Some(template) => pilotis_chart::cli::version_text(&compat, template),
                None => Ok(plain(&compat, arguments.short.0)),
            });
    tell::outcome(text, &arguments.common)
}

fn plain(compat: &Compat, short: bool) -> String {
    let version = format!("v{}", compat.name);
    if short {
        return format!("{version}\n");
    }
    let client = compat.kube_client_version.map_or(String::new(), |version| {
        format!(", KubeClientVersion:{version:?}")
    });
    format!(
        "version.BuildInfo{{Version:{version:?}, GitCommit:\"\", GitTreeState:\"\", \
         GoVersion:{:?}{client}}}\n",
        compat.go_version
    )
}
