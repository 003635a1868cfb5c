//! `pilotis-load`: the load generator of `cargo xtask bench`. Never shipped.
//!
//! It measures and prints one JSON object; starting what is measured, and showing the numbers, is
//! the caller's work. It lives here and not in `xtask` because it needs an HTTP client, TLS and a
//! Kubernetes client, which test support already has; developer commands stay quick to build.

mod api;
mod applications;
mod connection;
mod peer;
mod pods;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

const USAGE: &str = "usage: pilotis-load peer
       pilotis-load api --kubeconfig FILE --connections N --seconds N
       pilotis-load pods --kubeconfig FILE --namespace NAME --deployment NAME --count N
       pilotis-load applications --kubeconfig FILE --file FILE";

fn main() -> ExitCode {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().context(USAGE)?;
    let flags = Flags::read(words)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if command == "peer" {
        return runtime.block_on(peer::run());
    }
    let answer = runtime.block_on(async {
        match command.as_str() {
            "api" => api::run(&flags).await,
            "pods" => pods::run(&flags).await,
            "applications" => applications::run(&flags).await,
            other => bail!("no command `{other}`\n{USAGE}"),
        }
    })?;
    println!("{answer}");
    Ok(())
}

/// `--name value` pairs.
struct Flags(BTreeMap<String, String>);

impl Flags {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut flags = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").context(USAGE)?.to_owned();
            flags.insert(name, words.next().context(USAGE)?);
        }
        Ok(Self(flags))
    }

    fn text(&self, name: &str) -> Result<&str> {
        let found = self.0.get(name).map(String::as_str);
        found.with_context(|| format!("--{name} is missing\n{USAGE}"))
    }

    fn number(&self, name: &str) -> Result<usize> {
        let text = self.text(name)?;
        text.parse()
            .with_context(|| format!("--{name} is not a number: {text}"))
    }

    /// How to reach the cluster of `--kubeconfig`.
    async fn cluster(&self) -> Result<Config> {
        let file = Kubeconfig::read_from(self.text("kubeconfig")?)?;
        Ok(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
    }

    async fn client(&self) -> Result<Client> {
        Ok(Client::try_from(self.cluster().await?)?)
    }
}
