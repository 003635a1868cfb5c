//! The console: pages that answer before they list, complete without script.
//!
//! **Noun:** the page. **Invariant:** everything a page shows was read from the API as the person
//! who looks at it, by impersonation; the console keeps sessions in memory and nothing else.
//! What a page says is computed by pure functions ([`delivery`], [`lists`]) from objects and a
//! time; handlers only read and render. It changes nothing in the cluster, except that a login
//! link it has honoured is deleted.

mod cluster;
mod delivery;
mod diff;
mod doors;
#[cfg(test)]
mod fixtures;
mod french;
mod guard;
mod lists;
mod live;
mod login;
mod page;
#[cfg(test)]
mod page_tests;
mod refusal;
mod routes;
mod sessions;
mod words;

use std::sync::Arc;

use pilotis_http::Tls;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use login::login_secret;

/// What this service acts under: a ClusterRole to impersonate, a Role for login links.
pub const ROLE: &str = include_str!("role.yaml");

/// Where the console listens and under which name.
pub struct Settings {
    /// Bound listeners, all serving the same pages.
    pub listeners: Vec<TcpListener>,
    /// Its own host name, such as `console.localhost`.
    pub host: String,
    /// The port people type.
    pub port: u16,
    /// TLS of the listeners; none means plain HTTP, for this machine only.
    pub tls: Option<Tls>,
}

/// Why the console cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No listener was given.
    #[error("the console has no listener")]
    NoListener,
    /// A listener's loop ended abnormally.
    #[error("a listener of the console failed")]
    Listener(#[from] tokio::task::JoinError),
}

/// Serves the pages until `stop`; answers that have begun may end.
///
/// # Errors
/// When there is nothing to listen on, or a listener's loop panicked.
pub async fn run(
    client: kube::Client,
    settings: Settings,
    stop: CancellationToken,
) -> Result<(), Error> {
    if settings.listeners.is_empty() {
        return Err(Error::NoListener);
    }
    let guard = guard::Guard::new(&settings.host, settings.port, settings.tls.is_some());
    let console = Arc::new(routes::Console::new(client, guard, stop.clone()));
    let router = routes::router(console);
    let mut loops = JoinSet::new();
    for listener in settings.listeners {
        let serve =
            pilotis_http::serve(listener, settings.tls.clone(), router.clone(), stop.clone());
        loops.spawn(serve);
    }
    while let Some(ended) = loops.join_next().await {
        ended?;
    }
    Ok(())
}
