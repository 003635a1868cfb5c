//! Instructions that only change the image's configuration.

use std::collections::BTreeMap;

use pilotis_dockerfile::{Command, Healthcheck, Kind};
use pilotis_oci::{Config, Health};

/// The shell of the shell form when nothing says otherwise.
pub(crate) fn default_shell() -> Vec<String> {
    vec!["/bin/sh".to_owned(), "-c".to_owned()]
}

/// The argument vector of a command.
pub(crate) fn words(config: &Config, command: &Command) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(line) => {
            let mut words = config.shell.clone().unwrap_or_else(default_shell);
            words.push(line.clone());
            words
        }
    }
}

/// Whether this stage said `CMD` itself: `ENTRYPOINT` forgets an inherited one.
#[derive(Debug, Default)]
pub(crate) struct Said {
    cmd: bool,
}

/// Applies an instruction; `false` when it is not one of configuration alone.
pub(crate) fn apply(config: &mut Config, said: &mut Said, kind: &Kind) -> Result<bool, String> {
    match kind {
        Kind::Env(pairs) => {
            for (name, value) in pairs {
                set_env(&mut config.env, name, value);
            }
        }
        Kind::Arg(_) => {}
        Kind::Label(pairs) => config.labels.extend(pairs.iter().cloned()),
        Kind::User(user) => config.user = Some(user.clone()),
        Kind::StopSignal(signal) => config.stop_signal = Some(signal.clone()),
        Kind::Shell(words) => config.shell = Some(words.clone()),
        Kind::Cmd(command) => {
            config.cmd = Some(words(config, command));
            said.cmd = true;
        }
        Kind::Entrypoint(command) => {
            config.entrypoint = Some(words(config, command));
            if !said.cmd {
                config.cmd = None;
            }
        }
        Kind::Expose(ports) => {
            for port in ports {
                expose(&mut config.exposed_ports, port)?;
            }
        }
        Kind::Volume(paths) => {
            config.volumes.extend(
                paths
                    .iter()
                    .map(|path| (path.clone(), serde_json::Map::new())),
            );
        }
        Kind::Healthcheck(check) => config.healthcheck = Some(health(check)?),
        Kind::Onbuild(_) => return Err("ONBUILD is not supported".to_owned()),
        Kind::Maintainer(name) => {
            config.labels.insert("maintainer".to_owned(), name.clone());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

pub(crate) fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    let prefix = format!("{name}=");
    match env.iter_mut().find(|entry| entry.starts_with(&prefix)) {
        Some(found) => *found = entry,
        None => env.push(entry),
    }
}

type Ports = BTreeMap<String, serde_json::Map<String, serde_json::Value>>;

fn expose(ports: &mut Ports, text: &str) -> Result<(), String> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last),
        _ => return Err(format!("`{text}` is not a port or a range of ports")),
    };
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!("`{text}` has an unknown protocol"));
    }
    ports.extend((first..=last).map(|port| (format!("{port}/{protocol}"), serde_json::Map::new())));
    Ok(())
}

fn health(check: &Healthcheck) -> Result<Health, String> {
    let Healthcheck::Cmd { command, .. } = check else {
        return Ok(Health {
            test: vec!["NONE".to_owned()],
            ..Health::default()
        });
    };
    let test = match command {
        Command::Exec(words) => std::iter::once("CMD".to_owned())
            .chain(words.iter().cloned())
            .collect(),
        Command::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
    };
    let duration = |name: &str| check.option(name).map(nanoseconds).transpose();
    let retries = check.option("retries").map(|text| {
        text.parse()
            .map_err(|_| format!("`{text}` is not a number of retries"))
    });
    Ok(Health {
        test,
        interval: duration("interval")?,
        timeout: duration("timeout")?,
        start_period: duration("start-period")?,
        start_interval: duration("start-interval")?,
        retries: retries.transpose()?,
    })
}

/// Reads Go's durations: `1m30s`, `500ms`.
fn nanoseconds(text: &str) -> Result<i64, String> {
    let malformed = || format!("`{text}` is not a duration such as `30s`");
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(malformed)?;
        let number: f64 = rest[..digits].parse().map_err(|_| malformed())?;
        rest = &rest[digits..];
        let units = [
            ("ms", 1e6),
            ("us", 1e3),
            ("ns", 1.0),
            ("h", 3.6e12),
            ("m", 6e10),
            ("s", 1e9),
        ];
        let (unit, scale) = units
            .iter()
            .find(|(unit, _)| rest.starts_with(unit))
            .ok_or_else(malformed)?;
        total += number * scale;
        rest = &rest[unit.len()..];
    }
    if text.is_empty() || total > 9e18 {
        return Err(malformed());
    }
    Ok(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(nanoseconds("1m30s"), Ok(90_000_000_000));
        assert_eq!(nanoseconds("1.5s"), Ok(1_500_000_000));
        assert_eq!(nanoseconds("500ms"), Ok(500_000_000));
        for text in ["", "5", "s", "5x"] {
            assert!(nanoseconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_point_forgets_the_inherited_command_only() {
        let exec = |word: &str| Command::Exec(vec![word.to_owned()]);
        let mut config = Config {
            cmd: Some(vec!["base".to_owned()]),
            ..Config::default()
        };
        let mut said = Said::default();
        apply(&mut config, &mut said, &Kind::Entrypoint(exec("run"))).unwrap();
        assert_eq!(config.cmd, None);
        apply(
            &mut config,
            &mut said,
            &Kind::Cmd(Command::Shell("a b".to_owned())),
        )
        .unwrap();
        apply(&mut config, &mut said, &Kind::Entrypoint(exec("other"))).unwrap();
        let expected = ["/bin/sh", "-c", "a b"].map(str::to_owned).to_vec();
        assert_eq!(config.cmd, Some(expected));
    }

    #[test]
    fn ports_may_be_ranges() {
        let mut ports = Ports::new();
        expose(&mut ports, "8080").unwrap();
        expose(&mut ports, "53-54/UDP").unwrap();
        assert_eq!(
            ports.keys().collect::<Vec<_>>(),
            ["53/udp", "54/udp", "8080/tcp"]
        );
        assert!(expose(&mut ports, "x").is_err() && expose(&mut ports, "80/ip").is_err());
    }
}
