//! `pilotis login`: a one-time address of the console.
//!
//! Made like any other object: a Secret the console reads once and deletes. Whoever may create
//! Secrets in `pilotis-login` may sign somebody in.

use anyhow::Result;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use rand::Rng;

use super::problem::Problem;
use super::{Instance, Outcome};
use crate::platform::bootstrap::apply;
use crate::{client, lifecycle};

/// Characters of a token: 40 of 62 is more than 230 bits.
const TOKEN_CHARS: usize = 40;

/// Whom to sign in.
#[derive(Debug, Args)]
pub struct Login {
    /// User to sign in as
    #[arg(long, default_value = "pilotis-admin")]
    pub user: String,
    /// Group of that user; repeat for more
    #[arg(long = "group", value_name = "GROUP", default_value = "system:masters")]
    pub groups: Vec<String>,
    /// Minutes until the address is worthless
    #[arg(long, default_value_t = 60)]
    pub minutes: u32,
    /// Instance.
    #[command(flatten)]
    pub instance: Instance,
}

/// Runs the command.
///
/// # Errors
/// When no console runs or the API refuses.
pub async fn login(arguments: Login) -> Result<Outcome> {
    let endpoints = lifecycle::endpoints(&arguments.instance.data_dir);
    let console = endpoints.and_then(|e| e.console).ok_or_else(|| {
        let place = arguments.instance.data_dir.display();
        Problem::failure(
            format!("no console runs in {place}"),
            format!("start one with `pilotis up --data-dir {place}`"),
        )
    })?;
    let token: String = rand::rng()
        .sample_iter(&rand::distr::Alphanumeric)
        .take(TOKEN_CHARS)
        .map(char::from)
        .collect();
    let groups: Vec<&str> = arguments.groups.iter().map(String::as_str).collect();
    let expires = Timestamp::now() + SignedDuration::from_mins(i64::from(arguments.minutes));
    let secret = pilotis_console::login_secret(&token, &arguments.user, &groups, expires);
    let client = client::connect(&arguments.instance).await?;
    apply(&client, &secret).await?;
    println!("{console}/connexion?jeton={token}");
    Ok(Outcome::Done)
}
