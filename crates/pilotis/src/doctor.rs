//! `pilotis doctor`: what this machine must have. `up` and `serve` ask the same before they begin.

use std::net::TcpListener;

use anyhow::Result;

use pilotis_node::preflight;

use crate::cli::{Doctor, Outcome};
use crate::lifecycle::Lock;
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

/// Prints every check. Changes nothing.
///
/// # Errors
/// When the instance's configuration cannot be resolved.
pub fn run(arguments: &Doctor) -> Result<Outcome> {
    let config = arguments.config.as_deref();
    let settings = Settings::resolve(&arguments.data_dir, config, &Ports::default())?;
    let checks = checks(&settings, arguments.no_containers);
    print!("{}", describe(&checks));
    let failed = checks.iter().any(|check| !check.ok);
    Ok(if failed {
        Outcome::Failure
    } else {
        Outcome::Done
    })
}

/// Whether an instance may be started; what stops it is said on standard error.
pub fn permits_start(settings: &Settings, no_containers: bool) -> bool {
    // A running instance has its own ports, and says itself that it runs.
    if Lock::is_held(&settings.data_dir) {
        return true;
    }
    let mut failed = checks(settings, no_containers);
    failed.retain(|check| !check.ok);
    for check in &failed {
        eprintln!("error: {}: {}", check.name, check.detail);
        eprintln!("hint: {}", check.fix);
    }
    failed.is_empty()
}

/// Every check as a line, then what mends those that fail, then what nobody could check.
fn describe(checks: &[Check]) -> String {
    let mut out = String::new();
    let width = checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
    for check in checks {
        let state = if check.ok { "ok   " } else { "fails" };
        out.push_str(&format!(
            "{state}  {:<width$}  {}\n",
            check.name, check.detail
        ));
    }
    out.push('\n');
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    for check in &failed {
        out.push_str(&format!("error: {}: {}\n", check.name, check.detail));
        out.push_str(&format!("hint: {}\n", check.fix));
    }
    if failed.is_empty() {
        out.push_str("This machine can run the platform.\n");
    }
    out.push_str("Not tested by the authors:\n");
    for what in UNTESTED {
        out.push_str(&format!("  {what}\n"));
    }
    out
}

fn checks(settings: &Settings, no_containers: bool) -> Vec<Check> {
    let runs = Lock::is_held(&settings.data_dir);
    let mut all: Vec<Check> = LISTENERS
        .iter()
        .map(|(name, _)| port(settings, name, runs))
        .collect();
    let mut machine = preflight::basic(&settings.data_dir);
    if !no_containers {
        machine.extend(preflight::checks(&settings.data_dir));
    }
    all.extend(machine.into_iter().map(|check| Check {
        name: check.name.to_owned(),
        ok: check.ok,
        detail: check.detail,
        fix: check.fix,
    }));
    all
}

fn port(settings: &Settings, name: &str, runs: bool) -> Check {
    let address = settings.address(name);
    let bound = TcpListener::bind(address);
    Check {
        name: format!("port of {name}"),
        ok: runs || bound.is_ok(),
        detail: match &bound {
            Ok(_) => format!("{address} is free"),
            Err(_) if runs => format!("{address} is this instance's"),
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
        let mut failed = checks(&settings, true);
        failed.retain(|check| !check.ok);
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(failed[0].name, "port of api");
        assert!(failed[0].fix.contains("--api-port"), "{}", failed[0].fix);
    }

    #[test]
    fn the_output_is_a_table_then_what_to_do() {
        let check = |name: &str, ok: bool| Check {
            name: name.to_owned(),
            ok,
            detail: "seen".to_owned(),
            fix: "do this".to_owned(),
        };
        insta::assert_snapshot!(describe(&[check("root", true), check("kernel", false)]), @r"
        ok     root    seen
        fails  kernel  seen

        error: kernel: seen
        hint: do this
        Not tested by the authors:
          hosts with cgroup v2 only
          processors other than x86-64
          distributions other than Debian 12
        ");
        assert!(describe(&[check("root", true)]).contains("can run the platform"));
    }
}
