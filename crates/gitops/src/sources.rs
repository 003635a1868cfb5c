//! Repositories: a URL to a mirror on disk, fetched with the credentials of a Secret.
//!
//! Mirrors are disposable. A repository is fetched by one task at a time; those who want it fresh
//! wait, those who are content with what is here do not. Credentials are Secrets with upstream's
//! label, read by the watch of this namespace: `repository` for one URL, `repo-creds` for a
//! prefix; `project` limits who may use them.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pilotis_git::{
    CommitId, Credentials, Fetch, FetchError, File, ReadError, RemotePolicy, Repository, TreeLimits,
};
use pilotis_sync::object::text;
use pilotis_sync::project::repository;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::metrics::Metrics;

/// Label of Secrets that hold credentials.
pub(crate) const SECRET_LABEL: &str = "argocd.argoproj.io/secret-type";

/// Largest values file.
const TEXT_MAX: u64 = 8 << 20;

/// A source cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// The mirror cannot be brought up to date.
    #[error("cannot fetch {url}: {source}")]
    Fetch {
        url: String,
        #[source]
        source: FetchError,
    },
    /// The mirror cannot be read.
    #[error("cannot read {url}: {source}")]
    Read {
        url: String,
        #[source]
        source: ReadError,
    },
    /// The seed of generated values cannot be kept.
    #[error("cannot keep the seed of generated values: {source}")]
    Seed {
        #[source]
        source: std::io::Error,
    },
    /// A reading task was cancelled.
    #[error("reading {url} was interrupted")]
    Interrupted { url: String },
}

/// How old a mirror may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Freshness {
    /// Any age; fetched only when there is none.
    Any,
    /// Younger than this.
    Within(Duration),
}

/// The mirrors.
pub(crate) struct Sources {
    directory: PathBuf,
    policy: RemotePolicy,
    timeout: Duration,
    metrics: Metrics,
    mirrors: SyncMutex<HashMap<String, Arc<Mirror>>>,
    secrets: SyncMutex<Vec<Value>>,
}

/// One repository.
#[derive(Default)]
struct Mirror {
    /// Held while fetching, never by a reader.
    fetching: Mutex<()>,
    known: SyncMutex<Known>,
}

/// What is known of a mirror.
#[derive(Default, Clone)]
struct Known {
    repository: Option<Repository>,
    fetched: Option<Instant>,
    stale: bool,
}

/// For this long a failing fetch is passed over in silence: forges restart.
const GRACE: Duration = Duration::from_secs(180);

impl Mirror {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The repository, if it is fresh enough.
    fn fresh(&self, freshness: Freshness) -> Option<Repository> {
        let enough = match (freshness, self.fetched) {
            (Freshness::Any, _) => true,
            (Freshness::Within(age), Some(fetched)) => !self.stale && fetched.elapsed() < age,
            (Freshness::Within(_), None) => false,
        };
        self.repository.clone().filter(|_| enough)
    }

    /// The repository while a failing fetch may be passed over.
    fn in_grace(&self) -> Option<Repository> {
        let recent = self
            .fetched
            .is_some_and(|fetched| fetched.elapsed() < GRACE);
        self.repository.clone().filter(|_| recent)
    }
}

impl Sources {
    pub(crate) fn new(
        directory: PathBuf,
        policy: RemotePolicy,
        timeout: Duration,
        metrics: Metrics,
    ) -> Self {
        let (mirrors, secrets) = (SyncMutex::default(), SyncMutex::default());
        Self {
            directory,
            policy,
            timeout,
            metrics,
            mirrors,
            secrets,
        }
    }

    /// The Secrets to choose credentials from.
    pub(crate) fn set_secrets(&self, secrets: Vec<Value>) {
        *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = secrets;
    }

    /// The commit a revision of a repository stands for.
    pub(crate) async fn resolve(
        &self,
        url: &str,
        revision: &str,
        project: &str,
        freshness: Freshness,
    ) -> Result<CommitId, SourceError> {
        let mirror = self.fresh(url, project, freshness).await?;
        let revision = if revision.is_empty() {
            "HEAD"
        } else {
            revision
        };
        match mirror.resolve(revision) {
            Ok(id) => Ok(id),
            Err(_) if matches!(freshness, Freshness::Any) => {
                // A pinned commit may be newer than the mirror.
                let mirror = self
                    .fresh(url, project, Freshness::Within(Duration::ZERO))
                    .await?;
                mirror
                    .resolve(revision)
                    .map_err(|source| read_error(url, source))
            }
            Err(source) => Err(read_error(url, source)),
        }
    }

    /// Every file under a directory of a commit.
    pub(crate) async fn files(
        &self,
        url: &str,
        commit: CommitId,
        directory: &str,
    ) -> Result<Vec<File>, SourceError> {
        let limits = TreeLimits {
            files_max: 5_000,
            bytes_max: 64 << 20,
            depth_max: 32,
        };
        let directory = directory.to_owned();
        self.read(url, move |repository| {
            repository.files(commit, &directory, limits)
        })
        .await
    }

    /// Equal ids mean equal content at a path, whatever the commit; `None` when nothing is there.
    pub(crate) async fn content_id(
        &self,
        url: &str,
        commit: CommitId,
        path: &str,
    ) -> Result<Option<String>, SourceError> {
        let path = path.to_owned();
        self.read(url, move |repository| repository.content_id(commit, &path))
            .await
    }

    /// One file of a commit as text; `None` when there is none.
    pub(crate) async fn text(
        &self,
        url: &str,
        commit: CommitId,
        path: &str,
    ) -> Result<Option<String>, SourceError> {
        let path = path.to_owned();
        let file = self.read(url, move |repository| {
            repository.file(commit, &path, TEXT_MAX)
        });
        Ok(file
            .await?
            .map(|file| String::from_utf8_lossy(&file.bytes).into_owned()))
    }

    /// When a commit was made.
    pub(crate) async fn time_seconds(
        &self,
        url: &str,
        commit: CommitId,
    ) -> Result<i64, SourceError> {
        Ok(self
            .read(url, move |repository| repository.commit(commit))
            .await?
            .time_seconds)
    }

    /// Secret bytes that stay the same while the mirrors stay.
    pub(crate) fn seed(&self) -> Result<Vec<u8>, SourceError> {
        let path = self.directory.join("seed");
        let failed = |source| SourceError::Seed { source };
        match std::fs::read(&path) {
            Ok(seed) if seed.len() == 32 => return Ok(seed),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let seed: [u8; 32] = rand::random();
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).map_err(failed)?;
        file.write_all(&seed).map_err(failed)?;
        Ok(seed.to_vec())
    }

    async fn read<T: Send + 'static>(
        &self,
        url: &str,
        work: impl FnOnce(&Repository) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let interrupted = || SourceError::Interrupted {
            url: url.to_owned(),
        };
        let repository = self
            .mirror(url)
            .known()
            .repository
            .clone()
            .ok_or_else(interrupted)?;
        let reading = tokio::task::spawn_blocking(move || work(&repository));
        let found = reading.await.map_err(|_| interrupted())?;
        found.map_err(|source| read_error(url, source))
    }

    /// Makes the next look at a repository a fetch.
    pub(crate) fn mark_stale(&self, url: &str) {
        self.mirror(url).known().stale = true;
    }

    fn mirror(&self, url: &str) -> Arc<Mirror> {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        mirrors.entry(repository(url)).or_default().clone()
    }

    async fn fresh(
        &self,
        url: &str,
        project: &str,
        freshness: Freshness,
    ) -> Result<Repository, SourceError> {
        let mirror = self.mirror(url);
        let name = hex(&Sha256::digest(repository(url).as_bytes())[..12]);
        let directory = self.directory.join(format!("{name}.git"));
        if mirror.known().repository.is_none() && directory.join("HEAD").exists() {
            // Left by an earlier process: good enough for what need not be fresh.
            let full = |one: &Repository| one.refs().is_ok_and(|refs| !refs.is_empty());
            mirror.known().repository = Repository::open(&directory).ok().filter(full);
        }
        if let Some(repository) = mirror.known().fresh(freshness) {
            return Ok(repository);
        }
        let _fetching = mirror.fetching.lock().await;
        // Somebody may have fetched while we waited.
        if let Some(repository) = mirror.known().fresh(freshness) {
            return Ok(repository);
        }
        // A push that arrives during the fetch makes the mirror old again.
        mirror.known().stale = false;
        let start = Instant::now();
        let result = self.fetch(url, project, &directory).await;
        self.metrics.fetched(result.is_ok(), start.elapsed());
        match result {
            Ok(fetched) => {
                let mut known = mirror.known();
                known.repository = Some(fetched.clone());
                known.fetched = Some(Instant::now());
                Ok(fetched)
            }
            Err(error) => {
                let mut known = mirror.known();
                known.stale = true;
                let repository = known.in_grace().ok_or(error)?;
                tracing::info!(url, "repository cannot be fetched, the last state is used");
                Ok(repository)
            }
        }
    }

    async fn fetch(
        &self,
        url: &str,
        project: &str,
        directory: &Path,
    ) -> Result<Repository, SourceError> {
        let opened = Repository::init_bare(directory).map_err(|source| read_error(url, source))?;
        let fetch = Fetch {
            url: url.to_owned(),
            credentials: self.credentials(url, project),
            policy: self.policy.clone(),
            timeout: self.timeout,
        };
        let updates = opened
            .fetch_mirror(&fetch)
            .await
            .map_err(|source| SourceError::Fetch {
                url: url.to_owned(),
                source,
            })?;
        tracing::debug!(url, updates = updates.len(), "repository fetched");
        Ok(opened)
    }

    /// The longest matching URL wins; a Secret of another project does not match.
    fn credentials(&self, url: &str, project: &str) -> Option<Credentials> {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let matching = secrets.iter().filter_map(|secret| {
            let prefix = repository(&data(secret, "url")?);
            let kind = secret
                .pointer("/metadata/labels")?
                .get(SECRET_LABEL)?
                .as_str()?;
            let matches = match kind {
                "repository" => prefix == repository(url),
                "repo-creds" => repository(url).starts_with(&prefix),
                _ => false,
            };
            let theirs = data(secret, "project").unwrap_or_default();
            (matches && (theirs.is_empty() || theirs == project)).then_some((prefix.len(), secret))
        });
        let (_, secret) = matching.max_by_key(|(length, _)| *length)?;
        let user = data(secret, "username").unwrap_or_else(|| "git".to_owned());
        Some(Credentials::new(user, data(secret, "password")?))
    }
}

fn data(secret: &Value, name: &str) -> Option<String> {
    let bytes = STANDARD
        .decode(text(secret, &format!("/data/{name}")))
        .ok()?;
    let value = String::from_utf8(bytes).ok()?;
    (!value.is_empty()).then_some(value)
}

fn read_error(url: &str, source: ReadError) -> SourceError {
    SourceError::Read {
        url: url.to_owned(),
        source,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_those_who_want_it_fresh_wait_for_git() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Some(Repository::init_bare(&dir.path().join("r.git")).unwrap());
        let now = Some(Instant::now());
        let minute = Freshness::Within(Duration::from_secs(60));
        let at_once = Freshness::Within(Duration::ZERO);
        let known = |repository: &Option<Repository>, fetched, stale| Known {
            repository: repository.clone(),
            fetched,
            stale,
        };
        let cases = [
            (
                "nothing here",
                known(&None, None, false),
                Freshness::Any,
                false,
            ),
            (
                "left by an earlier process",
                known(&repository, None, false),
                Freshness::Any,
                true,
            ),
            (
                "left, but wanted fresh",
                known(&repository, None, false),
                minute,
                false,
            ),
            ("just fetched", known(&repository, now, false), minute, true),
            ("a push came", known(&repository, now, true), minute, false),
            (
                "a push came, an event asks",
                known(&repository, now, true),
                Freshness::Any,
                true,
            ),
            (
                "wanted at once",
                known(&repository, now, false),
                at_once,
                false,
            ),
        ];
        for (case, known, freshness, expected) in cases {
            assert_eq!(known.fresh(freshness).is_some(), expected, "{case}");
        }
        assert!(known(&repository, now, true).in_grace().is_some());
        assert!(known(&repository, None, true).in_grace().is_none());
    }
}
