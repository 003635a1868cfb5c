//! How `helm template` would install if it did: what Helm refuses of these flags, and warns about.

use pilotis_chart::{Compat, Error};

use super::pflag::{Switch, refused};
use super::template::Install;

/// What a flag has where nothing follows it.
const BARE: &str = "unset";
const SERVER: &str = "server";

/// Refuses what Helm refuses, and whatever needs a cluster.
///
/// # Errors
/// In Helm's words, where they are about the flags themselves.
pub fn check(install: &Install, compat: &Compat) -> Result<(), Error> {
    let names_strategies = compat.command_line.names_strategies;
    if let Some(wait) = &install.wait {
        match names_strategies {
            true => wait_strategy(wait)?,
            false => switch(wait, "--wait")?,
        }
    }
    let validates = install.validate.is_some_and(|switch| switch.0);
    if let Some(dry_run) = &install.dry_run {
        if names_strategies && install.validate.is_some() {
            return Err(Error::new(
                "if any flags in the group [validate dry-run] are set none of the others can be; \
                 [dry-run validate] were all set",
            ));
        }
        match names_strategies {
            true => dry_run_strategy(dry_run)?,
            false => dry_run_3(dry_run)?,
        }
    }
    if install.force_conflicts.is_some() {
        let exclusive = |flag: &str, both: &str| {
            Err(Error::new(format!(
                "if any flags in the group [{flag} force-conflicts] are set none of the others \
                 can be; [{both}] were all set"
            )))
        };
        if install.force_replace.is_some() {
            return exclusive("force-replace", "force-conflicts force-replace");
        }
        if install.force.is_some() {
            return exclusive("force", "force force-conflicts");
        }
    }
    if validates || install.dry_run.as_deref() == Some(SERVER) {
        return Err(Error::new(
            "`--dry-run=server` asks a cluster, and rendering asks none",
        ));
    }
    Ok(())
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
