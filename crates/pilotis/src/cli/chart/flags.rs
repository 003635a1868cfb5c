//! Flags that several chart commands share, with Helm's names.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{ArgAction, Args, ValueEnum};
use pilotis_chart::{Compat, Error, Input, Values};
pub use pilotis_chart_repository::go_io;

use super::pflag::{Real, Switch, Whole};

/// Which words errors are told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Errors {
    /// Helm's words, then an explanation.
    Explained,
    /// Helm's words alone.
    Helm,
}

/// Set once, by `pilotis helm`. A static, since clap puts flags together in a plain function.
static HELMS_WORDS: AtomicBool = AtomicBool::new(false);

impl Errors {
    /// From here on errors are in Helm's words alone, where neither flag nor environment says.
    pub fn are_helms_unless_told() {
        HELMS_WORDS.store(true, Ordering::Relaxed);
    }

    fn usual() -> Self {
        match HELMS_WORDS.load(Ordering::Relaxed) {
            true => Self::Helm,
            false => Self::Explained,
        }
    }
}

/// Flags every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Namespace of the release
    #[arg(
        short,
        long,
        value_name = "NAME",
        env = "HELM_NAMESPACE",
        default_value = "default"
    )]
    pub namespace: String,
    /// Helm version to be like: 3.21.4, 4.2.2, 4.2.4 or 4.3.1
    #[arg(
        long,
        value_name = "VERSION",
        env = "PILOTIS_HELM_COMPAT",
        default_value = "4.2.4"
    )]
    pub compat: String,
    /// How errors are told
    #[arg(long, value_enum, env = "PILOTIS_HELM_ERRORS", default_value_t = Errors::usual())]
    pub errors: Errors,
    /// Tell more
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false")]
    pub debug: Switch,
    /// Flags about clusters, which offline commands take and do not need.
    #[command(flatten)]
    pub cluster: Cluster,
}

impl Common {
    /// The profile named by `--compat`.
    ///
    /// # Errors
    /// When no profile has that name.
    pub fn profile(&self) -> Result<Compat, Error> {
        Compat::named(&self.compat)
    }
}

/// Taken so that a Helm command line can be given unchanged; rendering talks to no cluster.
#[derive(Debug, Clone, Args)]
#[allow(missing_docs, reason = "each is ignored")]
pub struct Cluster {
    #[arg(long, hide = true)]
    pub kubeconfig: Option<String>,
    #[arg(long, hide = true)]
    pub kube_context: Option<String>,
    #[arg(long, hide = true)]
    pub kube_token: Option<String>,
    #[arg(long, hide = true)]
    pub kube_as_user: Option<String>,
    #[arg(long, hide = true)]
    pub kube_as_group: Vec<String>,
    #[arg(long, hide = true)]
    pub kube_apiserver: Option<String>,
    #[arg(long, hide = true)]
    pub kube_ca_file: Option<String>,
    #[arg(long, hide = true)]
    pub kube_tls_server_name: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", default_value = "false")]
    pub kube_insecure_skip_tls_verify: Switch,
    #[arg(long, hide = true)]
    pub burst_limit: Option<Whole>,
    #[arg(long, hide = true)]
    pub qps: Option<Real>,
    #[arg(long, hide = true)]
    pub color: Option<String>,
    #[arg(long, hide = true)]
    pub colour: Option<String>,
    #[arg(long, hide = true, env = "HELM_REGISTRY_CONFIG")]
    pub registry_config: Option<PathBuf>,
    #[arg(long, hide = true, env = "HELM_REPOSITORY_CONFIG")]
    pub repository_config: Option<PathBuf>,
    #[arg(long, hide = true, env = "HELM_REPOSITORY_CACHE")]
    pub repository_cache: Option<PathBuf>,
    #[arg(long, hide = true, env = "HELM_CONTENT_CACHE")]
    pub content_cache: Option<PathBuf>,
}

/// Values, as Helm's flags give them.
#[derive(Debug, Clone, Default, Args)]
pub struct ValuesFlags {
    /// Values file, or `-`; later ones win
    #[arg(short = 'f', long = "values", value_name = "FILE", action = ArgAction::Append)]
    pub files: Vec<String>,
    /// Set a value
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Set a value that stays text
    #[arg(long, value_name = "KEY=VALUE")]
    pub set_string: Vec<String>,
    /// Set a value from JSON
    #[arg(long, value_name = "KEY=JSON")]
    pub set_json: Vec<String>,
    /// Set a value from a file's content
    #[arg(long, value_name = "KEY=FILE")]
    pub set_file: Vec<String>,
    /// Set a value taken as it is
    #[arg(long, value_name = "KEY=VALUE")]
    pub set_literal: Vec<String>,
}

impl ValuesFlags {
    /// Reads the files named; what cannot be read is told in Helm's words, in its order.
    ///
    /// # Errors
    /// A values file that cannot be read, or one before it that Helm refuses.
    pub fn inputs(&self, compat: &Compat) -> Result<Vec<Input>, Error> {
        let mut all = Vec::new();
        for name in self.files.iter().flat_map(|list| list.split(',')) {
            match read_values(name) {
                Ok(data) => all.push(Input::File(name.to_owned(), data.into())),
                Err(error) => return Values::merge_for(&all, compat).and(Err(error)),
            }
        }
        all.extend(self.set_json.iter().cloned().map(Input::SetJson));
        all.extend(self.set.iter().cloned().map(Input::Set));
        all.extend(self.set_string.iter().cloned().map(Input::SetString));
        for flag in &self.set_file {
            all.push(Input::SetFile(flag.clone(), files_of(flag)));
        }
        all.extend(self.set_literal.iter().cloned().map(Input::SetLiteral));
        Ok(all)
    }
}

/// The content behind each path a `--set-file` may name; missing ones are left out.
fn files_of(flag: &str) -> Vec<(String, String)> {
    let paths = flag.split(',').filter_map(|pair| pair.split_once('='));
    let contents = paths.filter_map(|(_, path)| {
        let bytes = std::fs::read(path).ok()?;
        Some((
            path.to_owned(),
            String::from_utf8_lossy(&bytes).into_owned(),
        ))
    });
    contents.collect()
}

fn read_values(name: &str) -> Result<Vec<u8>, Error> {
    let bytes = if name.trim() == "-" {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)
            .map(|_| text)
            .map_err(|error| Error::new(go_io(&error)))?
    } else if pilotis_chart_repository::is_remote(name) {
        super::network::wait(pilotis_chart_repository::fetch_values(name))?
    } else {
        pilotis_chart_repository::read(Path::new(name))?
    };
    Ok(bytes)
}
