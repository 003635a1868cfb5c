//! `chart push`: an archive to an OCI registry.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use pilotis_chart::Error;
use pilotis_chart_repository::{Verify, is_oci, push};

use super::flags::Common;
use super::network::Aloud;
use super::{Outcome, network, tell};

/// What to send, and where.
#[derive(Debug, Args)]
pub struct Push {
    /// Archive, then `oci://registry/folder`
    #[arg(value_name = "ARCHIVE REMOTE")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Who we are there.
    #[command(flatten)]
    pub remote: network::Remote,
}

/// Runs `chart push`.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(arguments: &Push) -> Result<Outcome> {
    let result = send(arguments).map(|()| String::new());
    tell::remote_outcome(result, &arguments.common)
}

fn send(arguments: &Push) -> Result<(), Error> {
    let usage = "helm push [chart] [remote] [flags]";
    network::count(&arguments.words, 2..=usize::MAX, usage)?;
    let (archive, remote) = (&arguments.words[0], &arguments.words[1]);
    if !is_oci(remote) {
        return Err(Error::new(match remote.split_once("://") {
            Some((scheme, _)) => format!("scheme {scheme:?} not supported"),
            None => "scheme prefix missing from remote (e.g. \"oci://\")".to_owned(),
        }));
    }
    let access = arguments.remote.access();
    let reach = network::reach(&arguments.common, access, Verify::Never)?;
    network::wait(push(
        &reach,
        Path::new(archive),
        remote,
        &mut Aloud::of(&arguments.common),
    ))
    .map(|_| ())
}
