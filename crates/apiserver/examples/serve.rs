//! A bare API server over a data directory, for trying it and for tests of others.
//!
//! `cargo run -p pilotis-apiserver --example serve -- DIRECTORY` prints the kubeconfig's path
//! when it is ready and runs until it is interrupted.

use pilotis_apiserver::{ApiServer, Hooks, Settings};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: serve DIRECTORY")?;
    let stop = CancellationToken::new();
    let server = ApiServer::start(Settings::new(directory), Hooks::default(), stop.clone()).await?;
    println!("{}", server.kubeconfig_path().display());
    tokio::signal::ctrl_c().await?;
    stop.cancel();
    server.stopped().await;
    Ok(())
}
