//! How many bytes each project keeps, and whether it may keep more.
//!
//! Counted per repository (a blob in two repositories counts twice) from the blob entries, once;
//! then kept up to date in memory. Checked when an upload begins: a project can pass its limit by
//! the size of what is on its way.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::answer::{Code, Refusal};
use crate::repository::{Repository, repositories};
use crate::service::Registry;

/// Bytes by project.
#[derive(Default)]
pub(crate) struct Usage(Mutex<HashMap<String, u64>>);

fn project(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

impl Usage {
    fn known(&self, project: &str) -> Option<u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(project)
            .copied()
    }

    pub(crate) fn add(&self, repository: &str, bytes: u64) {
        let mut usage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(total) = usage.get_mut(project(repository)) {
            *total += bytes;
        }
    }

    /// Counts again at the next question.
    pub(crate) fn forget(&self, repository: &str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(project(repository));
    }
}

impl Registry {
    /// Refuses when the repository's project keeps as much as it may.
    pub(crate) async fn check_quota(&self, repository: &str) -> Result<(), Refusal> {
        let Some(bytes_max) = self.inner.limits.project_bytes_max else {
            return Ok(());
        };
        let project = project(repository);
        let used = match self.inner.usage.known(project) {
            Some(used) => used,
            None => {
                let used = self.count(project).await?;
                let mut usage = self
                    .inner
                    .usage
                    .0
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                usage.insert(project.to_owned(), used);
                used
            }
        };
        if used < bytes_max {
            return Ok(());
        }
        let text = format!("project {project} keeps {used} bytes of the {bytes_max} it may");
        Err(Refusal::new(Code::Denied, text))
    }

    async fn count(&self, project: &str) -> Result<u64, Refusal> {
        let store = &self.inner.store;
        let mut total = 0;
        for name in repositories(store, project).await? {
            let blobs = Repository { store, name: &name }.blobs().await?;
            total += blobs.iter().map(|(_, size)| size).sum::<u64>();
        }
        Ok(total)
    }
}
