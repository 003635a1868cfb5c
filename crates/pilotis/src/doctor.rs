//! `pilotis doctor`: what this machine must have, checked before anything starts.

use std::net::TcpListener;

use anyhow::Result;

use crate::cli::{Doctor, Outcome};
use crate::settings::{LISTENERS, Ports, Settings};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
    /// The command or change that mends it.
    pub fix: String,
}

/// What could not be tested on the machines this was built on.
const UNTESTED: [&str; 3] = [
    "hosts with cgroup v2 only",
    "processors other than x86-64",
    "distributions other than Debian 12",
];

/// Prints every check.
///
/// # Errors
/// When the instance's configuration cannot be resolved.
pub fn run(arguments: &Doctor) -> Result<Outcome> {
    let settings = Settings::resolve(&arguments.data_dir, None, &Ports::default())?;
    let checks = checks(&settings, arguments.no_containers);
    print!("{}", describe(&checks));
    println!("\nnot tested: {}", UNTESTED.join(", "));
    let failed = checks.iter().any(|check| !check.ok);
    Ok(if failed {
        Outcome::Failure
    } else {
        Outcome::Done
    })
}

/// The checks that stop a start.
pub fn before_start(settings: &Settings, no_containers: bool) -> Vec<Check> {
    let mut failed = checks(settings, no_containers);
    failed.retain(|check| !check.ok);
    failed
}

/// Checks as lines: the state, what was seen, and what mends it.
pub fn describe(checks: &[Check]) -> String {
    let mut out = String::new();
    for check in checks {
        let state = if check.ok { "ok" } else { "error" };
        out.push_str(&format!("{state:<6} {:<22} {}\n", check.name, check.detail));
        if !check.ok {
            out.push_str(&format!("hint: {}\n", check.fix));
        }
    }
    out
}

fn checks(settings: &Settings, no_containers: bool) -> Vec<Check> {
    let mut all: Vec<Check> = LISTENERS
        .iter()
        .map(|(name, _)| port(settings, name))
        .collect();
    if !no_containers {
        let node = pilotis_node::preflight::checks(&settings.data_dir, &[]);
        all.extend(node.into_iter().map(|check| Check {
            name: check.name.to_owned(),
            ok: check.ok,
            detail: check.detail,
            fix: check.fix,
        }));
    }
    all
}

fn port(settings: &Settings, name: &str) -> Check {
    let address = settings.address(name);
    let bound = TcpListener::bind(address);
    Check {
        name: format!("port of {name}"),
        ok: bound.is_ok(),
        detail: match &bound {
            Ok(_) => format!("{address} is free"),
            Err(error) => format!("{address}: {error}"),
        },
        fix: format!(
            "stop what listens there (`ss -ltnp sport = :{}`), or choose another with --{}-port",
            address.port(),
            name.replace('_', "-")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let busy = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = busy.local_addr().unwrap().port();
        let flags = Ports {
            api: Some(port),
            ..Ports::default()
        };
        let settings = Settings::resolve(dir.path(), None, &flags).unwrap();
        let failed = before_start(&settings, true);
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].name, "port of api");
        assert!(failed[0].fix.contains("--api-port"), "{}", failed[0].fix);
    }
}
