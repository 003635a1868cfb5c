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

/// The operator of the instance, whom `login` signs in unless told otherwise.
const ADMIN: &str = "pilotis-admin";
/// The operator's group.
const ADMIN_GROUP: &str = "system:masters";

/// Whom to sign in.
#[derive(Debug, Args)]
pub struct Login {
    /// User to sign in as
    #[arg(long, default_value = ADMIN)]
    pub user: String,
    /// Group of that user; repeat for more. Only `pilotis-admin` has one of its own
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Minutes until the address is worthless
    #[arg(long, default_value_t = 15)]
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
    let groups = groups(&arguments);
    let expires = Timestamp::now() + SignedDuration::from_mins(i64::from(arguments.minutes));
    let secret = pilotis_console::login_secret(&token, &arguments.user, &groups, expires);
    let client = client::connect(&arguments.instance).await?;
    apply(&client, &secret).await?;
    println!("{console}/connexion?jeton={token}");
    Ok(Outcome::Done)
}

/// Groups to sign in with: nobody but the operator is an administrator by default.
fn groups(arguments: &Login) -> Vec<&str> {
    if arguments.groups.is_empty() && arguments.user == ADMIN {
        return vec![ADMIN_GROUP];
    }
    arguments.groups.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_operator_is_an_administrator_by_default() {
        let login = |user: &str, groups: &[&str]| Login {
            user: user.to_owned(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            minutes: 15,
            instance: Instance {
                data_dir: "x".into(),
                kubeconfig: None,
            },
        };
        assert_eq!(groups(&login(ADMIN, &[])), [ADMIN_GROUP]);
        assert!(groups(&login("ana", &[])).is_empty());
        assert_eq!(groups(&login(ADMIN, &["a", "b"])), ["a", "b"]);
    }
}
