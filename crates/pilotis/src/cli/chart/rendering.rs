//! What commands that render a chart, and print something else than Helm does, have in common.

use clap::Args;
use pilotis_chart::coverage::Subject;
use pilotis_chart::{Capabilities, Chart, Error, Options, Release, Values};

use super::flags::{Common, ValuesFlags};
use super::pflag::Switch;
use super::{locate, machine};

/// A chart and how to render it.
#[derive(Debug, Clone, Args)]
pub struct Rendering {
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Values given.
    #[command(flatten)]
    pub values: ValuesFlags,
    /// Name of the release
    #[arg(long, value_name = "NAME", default_value = "release-name")]
    pub release: String,
    /// Kubernetes version charts are told
    #[arg(long, value_name = "VERSION")]
    pub kube_version: Option<String>,
    /// API versions charts are told, separated by commas; repeat for more
    #[arg(short, long, value_name = "VERSION")]
    pub api_versions: Vec<String>,
    /// Do not look at `values.schema.json`
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub skip_schema_validation: Switch,
    /// Randomness and clock.
    #[command(flatten)]
    pub machine: machine::Flags,
}

/// What a rendering needs beside its chart and values.
pub struct Ready {
    /// How.
    pub options: Options,
    /// As what.
    pub release: Release,
    /// For which cluster.
    pub capabilities: Capabilities,
    /// On which machine.
    pub machine: machine::Machine,
}

impl Rendering {
    /// Everything but the chart.
    ///
    /// # Errors
    /// A flag that means nothing.
    pub fn ready(&self) -> Result<Ready, Error> {
        let compat = self.common.profile()?;
        let versions = self.api_versions.iter().flat_map(|list| list.split(','));
        let versions: Vec<String> = versions.map(str::to_owned).collect();
        Ok(Ready {
            capabilities: Capabilities::new(&compat, self.kube_version.as_deref(), &versions)?,
            options: Options {
                compat,
                skip_schema: self.skip_schema_validation.0,
                ..Options::default()
            },
            release: Release {
                name: self.release.clone(),
                namespace: self.common.namespace.clone(),
                ..Release::default()
            },
            machine: machine::Machine::new(&self.machine)?,
        })
    }

    /// A chart of a folder or archive.
    ///
    /// # Errors
    /// What cannot be read or is no chart.
    pub fn chart(&self, path: &str) -> Result<Chart, Error> {
        let path = locate::path(path)?;
        locate::load(locate::files(&path)?, &self.common.profile()?)
    }

    /// The values of the flags, after those of more files.
    ///
    /// # Errors
    /// A values file that cannot be read.
    pub fn values(&self, more: &[&str]) -> Result<Values, Error> {
        let mut flags = self.values.clone();
        flags
            .files
            .extend(more.iter().map(|file| (*file).to_owned()));
        let compat = self.common.profile()?;
        Values::merge_for(&flags.inputs(&compat)?, &compat)
    }
}

impl Ready {
    /// A chart as the subject of a rendering.
    pub fn subject<'a>(&'a self, chart: &'a Chart) -> Subject<'a> {
        Subject {
            chart,
            release: &self.release,
            capabilities: &self.capabilities,
        }
    }
}
