//! The `metrics` listener: what the process and its parts count, as Prometheus reads it.
//!
//! Numbers of the process are read from `/proc` at each scrape, under the names every Prometheus
//! client uses. Nothing here needs a credential, so nothing here may name a tenant's object.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::settings::Settings;

/// What the text encoder writes.
const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Clock ticks a second in `/proc`, a constant of the kernel's interface.
const TICKS: f64 = 100.0;

/// Everything that is counted, before it is served.
#[derive(Default)]
pub struct Metrics {
    /// Where parts add what they count.
    pub registry: Registry,
    /// What GitOps counts.
    pub gitops: pilotis_gitops::Metrics,
    /// What the chain counts.
    pub chain: pilotis_chain::Metrics,
}

impl Metrics {
    /// The process's own numbers and the services'.
    pub fn new() -> Self {
        let mut metrics = Self::default();
        metrics.registry.register_collector(Box::new(Process));
        metrics.gitops.register(&mut metrics.registry);
        metrics.chain.register(&mut metrics.registry);
        metrics
    }

    /// Serves `/metrics` as a part; answers the address.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn serve(
        self,
        parts: &mut Parts,
        settings: &Settings,
        stop: CancellationToken,
    ) -> Result<String> {
        let address = settings.address("metrics");
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let router = router(self.registry);
        parts.start("metrics", async move {
            pilotis_http::serve(listener, None, router, stop).await;
            Ok::<_, anyhow::Error>(())
        });
        Ok(format!("http://{address}/metrics"))
    }
}

fn router(registry: Registry) -> Router {
    let registry = Arc::new(registry);
    let scrape = move || {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        async move { ([(CONTENT_TYPE, CONTENT)], text) }
    };
    Router::new().route("/metrics", get(scrape))
}

/// Reads `/proc/self` when asked.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(numbers) = Numbers::read() else {
            return Ok(());
        };
        let seconds = Some(&Unit::Seconds);
        let bytes = Some(&Unit::Bytes);
        let counter = ConstCounter::new(numbers.cpu_seconds);
        let help = "User and system time of the process";
        let kind = counter.metric_type();
        counter.encode(encoder.encode_descriptor("process_cpu", help, seconds, kind)?)?;
        for (name, help, unit, value) in [
            (
                "process_resident_memory",
                "Resident memory of the process",
                bytes,
                numbers.resident_bytes,
            ),
            (
                "process_start_time",
                "Start of the process, since the epoch",
                seconds,
                numbers.start_seconds,
            ),
            (
                "process_open_fds",
                "Open file descriptors",
                None,
                numbers.open_files,
            ),
            ("process_threads", "Threads", None, numbers.threads),
        ] {
            let gauge = ConstGauge::new(value);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, unit, kind)?)?;
        }
        Ok(())
    }
}

/// What `/proc/self` says.
#[derive(Debug)]
struct Numbers {
    cpu_seconds: f64,
    resident_bytes: f64,
    start_seconds: f64,
    open_files: f64,
    threads: f64,
}

impl Numbers {
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count();
        // One of them is the folder that is being read.
        let open_files = u32::try_from(open_files).ok()?.saturating_sub(1);
        Self::parse(&stat, &status, &boot, f64::from(open_files))
    }

    fn parse(stat: &str, status: &str, boot: &str, open_files: f64) -> Option<Self> {
        // The name of the program may contain anything; the fields begin after its parenthesis.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let after = |text: &str, word: &str| -> Option<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(word))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS,
            resident_bytes: after(status, "VmRSS:")? * 1024.0,
            start_seconds: after(boot, "btime ")? + field(22)? / TICKS,
            open_files,
            threads: field(20)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_past_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 0 10 0 0 0 150 50 0 0 20 0 9 0 1000 5 6";
        let status = "Name:\ta\nVmRSS:\t    2048 kB\n";
        let numbers = Numbers::parse(stat, status, "cpu 1\nbtime 1700000000\n", 4.0).unwrap();
        assert_eq!(numbers.cpu_seconds, 2.0);
        assert_eq!(numbers.resident_bytes, 2_097_152.0);
        assert_eq!(numbers.start_seconds, 1_700_000_010.0);
        assert_eq!(numbers.threads, 9.0);
    }

    #[test]
    fn the_process_is_scraped_under_the_usual_names() {
        let mut text = String::new();
        encode(&mut text, &Metrics::new().registry).unwrap();
        for name in [
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_start_time_seconds ",
            "process_open_fds ",
        ] {
            assert!(
                text.contains(&format!("\n{name}")),
                "{name} is not in\n{text}"
            );
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
