//! `chart registry`: passwords of OCI registries, kept where Helm keeps them.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use pilotis_chart::Error;
use pilotis_chart_repository::{Access, Tls, Verify, login, logout};

use super::super::deferred::Deferred;
use super::flags::Common;
use super::network::Aloud;
use super::pflag::Switch;
use super::{Outcome, network, tell, terminal};

/// Commands on registries.
#[derive(Debug, Subcommand)]
pub enum Registry {
    /// Check a password and keep it
    Login(Deferred<Login>),
    /// Forget a password
    Logout(Deferred<Logout>),
}

/// Where to log in, and as whom.
#[derive(Args)]
pub struct Login {
    /// Name of the registry, with its port
    #[arg(value_name = "HOST")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// User name
    #[arg(
        short,
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub username: String,
    /// Password or token
    #[arg(
        short,
        long,
        value_name = "PASSWORD",
        default_value = "",
        hide_default_value = true
    )]
    pub password: String,
    /// Read the password from standard input
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub password_stdin: Switch,
    /// Take any certificate
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub insecure: Switch,
    /// Our certificate
    #[arg(long, value_name = "FILE")]
    pub cert_file: Option<PathBuf>,
    /// Key of our certificate
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Trust the authorities in this file only
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Speak to the registry without TLS
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", hide_default_value = true)]
    pub plain_http: Switch,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// What to forget.
#[derive(Debug, Args)]
pub struct Logout {
    /// Name of the registry, with its port
    #[arg(value_name = "HOST")]
    pub words: Vec<String>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
}

/// Runs a `chart registry` command.
///
/// # Errors
/// Never today: what goes wrong is an outcome.
pub fn run(command: &Registry) -> Result<Outcome> {
    let (result, common) = match command {
        Registry::Login(arguments) => (log_in(arguments), &arguments.common),
        Registry::Logout(arguments) => (log_out(arguments), &arguments.common),
    };
    tell::remote_outcome(result.map(|()| String::new()), common)
}

fn log_in(arguments: &Login) -> Result<(), Error> {
    let usage = "helm registry login [host] [flags]";
    network::count(&arguments.words, 1..=usize::MAX, usage)?;
    let (username, password) = who(arguments)?;
    let access = Access {
        username,
        password,
        plain_http: arguments.plain_http.0,
        tls: Tls {
            ca_file: arguments.ca_file.clone(),
            cert_file: arguments.cert_file.clone(),
            key_file: arguments.key_file.clone(),
            insecure: arguments.insecure.0,
        },
        ..Access::default()
    };
    let reach = network::reach(&arguments.common, access, Verify::Never)?;
    network::wait(login(
        &reach,
        &arguments.words[0],
        &mut Aloud::of(&arguments.common),
    ))
}

/// Name and password, asked for where they are not given.
fn who(arguments: &Login) -> Result<(String, String), Error> {
    let mut username = arguments.username.clone();
    if arguments.password_stdin.0 {
        return Ok((username, terminal::piped()?));
    }
    if !arguments.password.is_empty() {
        let line = match arguments.common.compat.starts_with('3') {
            true => "WARNING: Using --password via the CLI is insecure. Use --password-stdin.",
            false => {
                "level=WARN msg=\"using --password via the CLI is insecure. Use --password-stdin\""
            }
        };
        tell::warnings(&[line.to_owned()]);
        return Ok((username, arguments.password.clone()));
    }
    if username.is_empty() {
        terminal::line("Username: ")?
            .trim()
            .clone_into(&mut username);
    }
    let (prompt, missing) = match username.is_empty() {
        true => ("Token: ", "token required"),
        false => ("Password: ", "password required"),
    };
    match terminal::secret(prompt)? {
        secret if secret.is_empty() => Err(Error::new(missing)),
        secret => Ok((username, secret)),
    }
}

fn log_out(arguments: &Logout) -> Result<(), Error> {
    let usage = "helm registry logout [host] [flags]";
    network::count(&arguments.words, 1..=usize::MAX, usage)?;
    let places = network::places(&arguments.common);
    logout(
        &places,
        &arguments.words[0],
        &mut Aloud::of(&arguments.common),
    )
}
