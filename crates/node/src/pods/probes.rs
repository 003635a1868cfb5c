//! Probes of a running container, and the calls hooks share with them.
//!
//! One task per probe and run of a container; it counts thresholds itself and reports only changes.
//! Not here yet: gRPC probes and `scheme: HTTPS`; both report failure with these words.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, ExecAction, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pilotis_sandbox::client::{ExecLimits, Shim};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::worker::Event;
use crate::network::Network;

/// Bytes of output or body a probe reads and quotes.
const OUTPUT_MAX: usize = 10 * 1024;

/// Which probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Startup,
    Liveness,
    Readiness,
}

impl Kind {
    /// As events write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
        }
    }

    /// The probe of this kind a container has.
    pub(crate) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Kind::Startup => container.startup_probe.as_ref(),
            Kind::Liveness => container.liveness_probe.as_ref(),
            Kind::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// What a probe or hook is aimed at.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) shim: Shim,
    pub(crate) run_id: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) network: Arc<Network>,
    pub(crate) container: Arc<Container>,
}

/// One report of a probe.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) run_id: String,
    pub(crate) kind: Kind,
    /// `Some` when the threshold was reached, `None` for a failure on the way there.
    pub(crate) verdict: Option<bool>,
    pub(crate) message: String,
}

/// Probes until the task is dropped or the startup probe has its verdict.
pub(crate) async fn watch(kind: Kind, probe: Probe, target: Target, report: mpsc::Sender<Event>) {
    let seconds = |value: Option<i32>, default: u64| {
        Duration::from_secs(value.and_then(|v| u64::try_from(v).ok()).unwrap_or(default))
    };
    let count = |value: Option<i32>, default: u32| {
        value
            .and_then(|v| u32::try_from(v).ok())
            .filter(|v| *v > 0)
            .unwrap_or(default)
    };
    let patience = seconds(probe.timeout_seconds.filter(|v| *v > 0), 1);
    let period = seconds(probe.period_seconds.filter(|v| *v > 0), 10);
    let (rises, falls) = (
        count(probe.success_threshold, 1),
        count(probe.failure_threshold, 3),
    );
    sleep(seconds(probe.initial_delay_seconds, 0)).await;
    let (mut good, mut bad, mut told) = (0_u32, 0_u32, None);
    loop {
        let result = once(&probe, &target, patience).await;
        let (healthy, message) = match result {
            Ok(()) => (true, String::new()),
            Err(message) => (false, message),
        };
        (good, bad) = if healthy { (good + 1, 0) } else { (0, bad + 1) };
        let verdict = match healthy {
            true if good >= rises => Some(true),
            false if bad >= falls => Some(false),
            _ => None,
        };
        let news = verdict.is_some() && verdict != told;
        if news || !healthy {
            told = verdict.or(told);
            let run_id = target.run_id.clone();
            let one = Report {
                run_id,
                kind,
                verdict: verdict.filter(|_| news),
                message,
            };
            if report.send(Event::Probe(one)).await.is_err() {
                return;
            }
        }
        if kind == Kind::Startup && verdict.is_some() {
            return;
        }
        sleep(period).await;
    }
}

async fn once(probe: &Probe, target: &Target, patience: Duration) -> Result<(), String> {
    if let Some(exec) = &probe.exec {
        return run(target, exec, patience).await;
    }
    let call = async {
        if let Some(get) = &probe.http_get {
            http_get(target, get).await
        } else if let Some(socket) = &probe.tcp_socket {
            tcp(target, socket).await
        } else {
            Err("this kind of probe is not available on this node".to_owned())
        }
    };
    timeout(patience, call)
        .await
        .unwrap_or_else(|_| Err("context deadline exceeded".to_owned()))
}

/// Runs a program inside the container; an error tells its output.
pub(crate) async fn run(
    target: &Target,
    action: &ExecAction,
    patience: Duration,
) -> Result<(), String> {
    let limits = ExecLimits {
        timeout: patience,
        output_max: OUTPUT_MAX,
    };
    let command = action.command.clone().unwrap_or_default();
    match target.shim.exec(&target.run_id, &command, limits).await {
        Ok(done) if done.timed_out => {
            Err(format!("command timed out after {}s", patience.as_secs()))
        }
        Ok(done) if done.code == 0 => Ok(()),
        Ok(done) => Err(done.output),
        Err(error) => Err(error.to_string()),
    }
}

/// Asks a container over HTTP; any answer from 200 to 399 is good.
pub(crate) async fn http_get(target: &Target, action: &HTTPGetAction) -> Result<(), String> {
    if action.scheme.as_deref() == Some("HTTPS") {
        return Err("HTTPS probes are not available on this node".to_owned());
    }
    let to = address(target, action.host.as_deref(), &action.port)?;
    let stream = target.network.connect(to).await.map_err(|error| {
        format!(
            "Get \"http://{to}{}\": {error}",
            action.path.as_deref().unwrap_or("/")
        )
    })?;
    let failed = |error: hyper::Error| format!("Get \"http://{to}\": {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let driver = tokio::spawn(connection);
    let mut request = hyper::Request::get(action.path.as_deref().unwrap_or("/"))
        .header("user-agent", "kube-probe/1.35")
        .header("accept", "*/*")
        .header("connection", "close");
    let headers = action.http_headers.iter().flatten();
    let mut host = to.to_string();
    for header in headers {
        if header.name.eq_ignore_ascii_case("host") {
            host.clone_from(&header.value);
        } else {
            request = request.header(&header.name, &header.value);
        }
    }
    let request = request
        .header("host", host)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status().as_u16();
    // The body is read so that the program can finish writing it; what it says does not matter.
    let _ = Limited::new(response.into_body(), OUTPUT_MAX)
        .collect()
        .await;
    driver.abort();
    if (200..400).contains(&status) {
        return Ok(());
    }
    Err(format!("HTTP probe failed with statuscode: {status}"))
}

async fn tcp(target: &Target, action: &TCPSocketAction) -> Result<(), String> {
    let to = address(target, action.host.as_deref(), &action.port)?;
    match target.network.connect(to).await {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("dial tcp {to}: {error}")),
    }
}

fn address(
    target: &Target,
    host: Option<&str>,
    port: &IntOrString,
) -> Result<SocketAddrV4, String> {
    let number = match port {
        IntOrString::Int(number) => u16::try_from(*number).ok(),
        IntOrString::String(name) => target
            .container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_ref() == Some(name))
            .and_then(|port| u16::try_from(port.container_port).ok())
            .or_else(|| name.parse().ok()),
    };
    let number = number.ok_or_else(|| "the probe's port is not one of the container".to_owned())?;
    let address = match host.filter(|host| !host.is_empty()) {
        None => target.address,
        Some(host) => host
            .parse()
            .map_err(|_| format!("`{host}` is not an IPv4 address"))?,
    };
    Ok(SocketAddrV4::new(address, number))
}
