//! The command line: arguments, help, and where each command lives.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 done, 1 findings or a
//! blocked delivery, 2 wrong input, 3 our own failure or something only a person can mend.

pub mod access;
pub mod chart;
pub mod check;
mod deferred;
pub mod deliver;
pub mod problem;
pub mod project;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use deferred::Deferred;

use crate::settings::{DATA_DIR, Ports};

/// Cloud π Native in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "pilotis",
    version,
    about,
    disable_help_subcommand = true,
    args_override_self = true
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which instance a command speaks to.
#[derive(Debug, Clone, Args)]
pub struct Instance {
    /// Folder of the instance
    #[arg(long, value_name = "DIR", default_value = DATA_DIR, global = true)]
    pub data_dir: PathBuf,
    /// Speak to this cluster instead of the instance's own
    #[arg(long, value_name = "FILE", global = true)]
    pub kubeconfig: Option<PathBuf>,
}

/// How `up` starts.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// Folder of the instance
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Return once the platform is ready
    #[arg(long)]
    pub detach: bool,
    /// Simulate pods; needs no privilege
    #[arg(long)]
    pub no_containers: bool,
    /// Start the cluster without the platform on top of it
    #[arg(long)]
    pub only_cluster: bool,
    /// Listening ports.
    #[command(flatten)]
    pub ports: PortFlags,
}

/// Ports; 0 chooses a free one and keeps it.
#[derive(Debug, Clone, Args)]
pub struct PortFlags {
    /// Port of the Kubernetes API
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<u16>,
    /// Port of the console
    #[arg(long, value_name = "PORT")]
    pub console_port: Option<u16>,
    /// Port of the OCI registry
    #[arg(long, value_name = "PORT")]
    pub registry_port: Option<u16>,
    /// Port of Git over HTTP
    #[arg(long, value_name = "PORT")]
    pub git_port: Option<u16>,
    /// Port of the HTTP ingress
    #[arg(long, value_name = "PORT")]
    pub ingress_http_port: Option<u16>,
    /// Port of the metrics
    #[arg(long, value_name = "PORT")]
    pub metrics_port: Option<u16>,
    /// Port of the admission webhook
    #[arg(long, value_name = "PORT")]
    pub admission_port: Option<u16>,
}

impl From<&PortFlags> for Ports {
    fn from(flags: &PortFlags) -> Self {
        Self {
            api: flags.api_port,
            console: flags.console_port,
            registry: flags.registry_port,
            git: flags.git_port,
            ingress_http: flags.ingress_http_port,
            metrics: flags.metrics_port,
            admission: flags.admission_port,
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the platform on this machine
    Up(Deferred<Up>),
    /// Run the platform on an existing Kubernetes
    Serve(Deferred<Serve>),
    /// Stop the instance
    Down(Deferred<Down>),
    /// Tell what runs and where
    Status(Deferred<Status>),
    /// Check whether this machine can run the platform
    Doctor(Deferred<Doctor>),
    /// Judge a source tree against the State's technical framework
    Check(Deferred<check::Check>),
    /// Work with Helm charts and their repositories
    #[command(subcommand)]
    Chart(Deferred<chart::Chart>),
    /// Take a Helm command line unchanged, in Helm's place
    Helm(Deferred<chart::helm::Helm>),
    /// Work with projects
    #[command(subcommand)]
    Project(Deferred<project::Project>),
    /// Work with repositories
    #[command(subcommand)]
    Repository(Deferred<project::Repository>),
    /// Print a one-time address of the console
    Login(Deferred<access::Login>),
    /// Follow commits through the gates
    #[command(subcommand)]
    Deliver(Deferred<deliver::Deliver>),
}

/// How `serve` starts.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// The cluster to run on
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: PathBuf,
    /// Folder for blobs, Git repositories and keys
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Return once the platform is ready
    #[arg(long)]
    pub detach: bool,
    /// Listening ports.
    #[command(flatten)]
    pub ports: PortFlags,
}

/// How `down` stops.
#[derive(Debug, Clone, Args)]
pub struct Down {
    /// Folder of the instance
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// Also remove every file, mount, interface, cgroup and rule of the instance
    #[arg(long)]
    pub purge: bool,
}

/// What `status` prints.
#[derive(Debug, Clone, Args)]
pub struct Status {
    /// Folder of the instance
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
}

/// What `doctor` checks.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// Folder of the instance
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check what simulated pods need only
    #[arg(long)]
    pub no_containers: bool,
}

/// Form of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Human,
    /// For programs.
    Json,
}

/// How a command ended, beyond success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Done, and there is something to mend.
    Findings,
    /// The input cannot be used.
    Usage,
    /// Only a person can go on, or we failed.
    Failure,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Findings => 1,
            Outcome::Usage => 2,
            Outcome::Failure => 3,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    /// Flags that clash are found when a command is put together, which is when somebody calls it.
    #[test]
    fn every_command_can_be_put_together() {
        Arguments::command().debug_assert();
    }
}
