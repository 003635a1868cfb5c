//! How `helm template` would install if it did: what Helm refuses of these flags, and warns about.

use pilotis_chart::{Compat, Error};

use super::pflag::{Switch, refused};
use super::template::Install;

/// What a flag has where nothing follows it.
const BARE: &str = "unset";
const SERVER: &str = "server";

/// Refuses what Helm refuses before it looks at anything else.
///
/// # Errors
/// In Helm's words.
pub fn check(install: &Install, compat: &Compat) -> Result<(), Error> {
    let names_strategies = compat.command_line.names_strategies;
    if let Some(wait) = &install.wait {
        match names_strategies {
            true => wait_strategy(wait)?,
            false => switch(wait, "--wait")?,
        }
    }
    if names_strategies && install.dry_run.is_some() && install.validate.is_some() {
        return Err(exclusive("validate dry-run", "dry-run validate"));
    }
    match (
        install.force_conflicts,
        install.force_replace,
        install.force,
    ) {
        (Some(_), Some(_), _) => Err(exclusive(
            "force-replace force-conflicts",
            "force-conflicts force-replace",
        )),
        (Some(_), None, Some(_)) => {
            Err(exclusive("force force-conflicts", "force force-conflicts"))
        }
        _ => Ok(()),
    }
}

/// Refuses a dry run Helm does not know, and one that needs a cluster.
///
/// # Errors
/// In Helm's words, where they are about the flag itself.
pub fn check_dry_run(install: &Install, compat: &Compat) -> Result<(), Error> {
    if let Some(dry_run) = &install.dry_run {
        match compat.command_line.names_strategies {
            true => dry_run_strategy(dry_run)?,
            false => dry_run_3(dry_run)?,
        }
    }
    let validates = install.validate.is_some_and(|switch| switch.0);
    if validates || install.dry_run.as_deref() == Some(SERVER) {
        return Err(Error::new(
            "`--dry-run=server` asks a cluster, and rendering asks none",
        ));
    }
    Ok(())
}

fn exclusive(group: &str, set: &str) -> Error {
    Error::new(format!(
        "if any flags in the group [{group}] are set none of the others can be; [{set}] were all set"
    ))
}

fn warn(text: &str) {
    super::tell::warnings(&[format!("level=WARN msg=\"{text}\"")]);
}

fn wait_strategy(value: &str) -> Result<(), Error> {
    match value {
        BARE | "watcher" | "legacy" | "hookOnly" => {}
        "true" => warn(
            "--wait=true is deprecated (boolean value) and can be replaced with --wait=watcher",
        ),
        "false" => warn(
            "--wait=false is deprecated (boolean value) and can be replaced with --wait=hookOnly",
        ),
        other => {
            let reason = format!(
                "invalid wait input {other:?}. Valid inputs are watcher, hookOnly, and legacy"
            );
            return Err(refused(other, "--wait", &reason));
        }
    }
    Ok(())
}

fn switch(value: &str, flag: &str) -> Result<(), Error> {
    let value = if value == BARE { "true" } else { value };
    let read = value.parse::<Switch>();
    read.map(drop)
        .map_err(|reason| refused(value, flag, &reason))
}

fn dry_run_strategy(value: &str) -> Result<(), Error> {
    let wrong = |allowed: &str| {
        let text = format!("invalid dry-run value ({value:?}). Must be {allowed}");
        Err(Error::new(text))
    };
    match value {
        "client" | SERVER => Ok(()),
        BARE => {
            warn("--dry-run is deprecated and should be replaced with '--dry-run=client'");
            Ok(())
        }
        "none" => wrong("\"server\" or \"client\""),
        other => match other.parse() {
            Err(_) => wrong("\"none\", \"server\", or \"client\""),
            Ok(Switch(false)) => wrong("\"server\" or \"client\""),
            Ok(Switch(true)) => {
                warn(&format!(
                    "boolean '--dry-run={value}' flag is deprecated and must be replaced with \
                     '--dry-run=client'"
                ));
                Ok(())
            }
        },
    }
}

fn dry_run_3(value: &str) -> Result<(), Error> {
    match value {
        "" | BARE | "false" | "true" | "none" | "client" | SERVER => Ok(()),
        _ => Err(Error::new(
            "Invalid dry-run flag. Flag must one of the following: false, true, none, client, \
             server",
        )),
    }
}
