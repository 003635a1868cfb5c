//! Mirroring a remote: every branch and tag, exactly as they are there, into a bare repository.
//!
//! Forced and pruning: the mirror follows the remote even when history is rewritten. Redirects
//! are not followed, because they would leave the checked address.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::program::git;
use crate::repository::ref_updates;
use crate::{Credentials, FetchError, RefUpdate, RemotePolicy, Repository};

/// Bytes of `git`'s complaints that are kept.
const MESSAGE_MAX: u64 = 16 << 10;

/// What to fetch and how.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Remote URL, without credentials.
    pub url: String,
    /// Sent to this remote only.
    pub credentials: Option<Credentials>,
    /// Which remotes may be contacted.
    pub policy: RemotePolicy,
    /// Deadline of the whole transfer.
    pub timeout: Duration,
}

impl Repository {
    /// Makes this repository an exact mirror of the remote's branches and tags and returns what
    /// changed.
    ///
    /// # Errors
    /// [`FetchError::Refused`] before anything is contacted; the others as named.
    pub async fn fetch_mirror(&self, fetch: &Fetch) -> Result<Vec<RefUpdate>, FetchError> {
        let target = fetch.policy.target(&fetch.url)?;
        let pins = fetch.policy.pin(&target).await?;
        let before = self.refs()?;
        let mut command = git(self.directory(), &settings(fetch, pins));
        command.args([
            "fetch",
            "--quiet",
            "--prune",
            "--force",
            "--no-write-fetch-head",
        ]);
        command.args(["--no-tags", "--no-recurse-submodules", "--", &target.url]);
        command.args(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
        command.stdout(std::process::Stdio::null());
        let mut child = command.spawn().map_err(FetchError::Spawn)?;
        let stderr = child.stderr.take();
        let work = async {
            let mut message = Vec::new();
            if let Some(mut stderr) = stderr {
                let _ = (&mut stderr)
                    .take(MESSAGE_MAX)
                    .read_to_end(&mut message)
                    .await;
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
            (child.wait().await, message)
        };
        let seconds = fetch.timeout.as_secs();
        let done = tokio::time::timeout(fetch.timeout, work).await;
        let (status, message) = done.map_err(|_| FetchError::Timeout { seconds })?;
        if !status.map_err(FetchError::Spawn)?.success() {
            return Err(FetchError::Failed {
                message: last_lines(&message),
            });
        }
        Ok(ref_updates(&before, &self.refs()?))
    }
}

fn settings(fetch: &Fetch, pins: Vec<String>) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = [
        ("http.followRedirects", "false"),
        ("http.proxy", ""),
        ("http.lowSpeedLimit", "1000"),
        ("http.lowSpeedTime", "60"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .to_vec();
    settings.extend(
        pins.into_iter()
            .map(|pin| ("http.curloptResolve".to_owned(), pin)),
    );
    if let Some(credentials) = &fetch.credentials {
        settings.push(("http.extraHeader".to_owned(), credentials.header()));
    }
    if let Some(path) = &fetch.policy.certificates {
        settings.push(("http.sslCAInfo".to_owned(), path.display().to_string()));
    }
    settings
}

/// The last three lines of what `git` said, on one line.
fn last_lines(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}
