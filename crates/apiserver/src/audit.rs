//! The audit file: one JSON line per mutation, who did what to which object and how it ended.
//!
//! Append-only, mode 0600, never a request or response body. Lines are handed to a writer thread
//! and synced to disk at most once a second and at stop: an acknowledged change is always in the
//! store, its line may be lost when the machine (not the process) dies within that second. When the
//! queue is full the request waits rather than going unrecorded.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::authn::User;
use crate::request::Info;

const QUEUE_COUNT_MAX: usize = 8192;
const SYNC_PERIOD: Duration = Duration::from_secs(1);

/// The open audit file.
pub(crate) struct Audit {
    lines: Option<SyncSender<String>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub(crate) dry_run: bool,
    pub(crate) code: u16,
}

impl Audit {
    /// Opens the file for appending.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let (lines, receiver) = sync_channel(QUEUE_COUNT_MAX);
        let thread = std::thread::Builder::new()
            .name("audit-writer".into())
            .spawn(move || run(file, &receiver))?;
        Ok(Self {
            lines: Some(lines),
            thread: Some(thread),
        })
    }

    /// Records a finished request on a resource, if it was a mutation or tried to be one. `name` is
    /// the object's, also when the path has none.
    pub(crate) fn record(&self, user: &User, info: &Info, name: &str, end: Ending) {
        if !matches!(
            info.verb,
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ) {
            return;
        }
        let line = json!({
            "time": Timestamp::now().to_string(),
            "user": user.name, "groups": user.groups, "impersonatedBy": user.impersonated_by,
            "verb": info.verb, "group": info.group, "version": info.version,
            "resource": info.full_resource(), "namespace": info.namespace, "name": name,
            "dryRun": end.dry_run, "code": end.code,
        });
        if let Some(lines) = &self.lines {
            let _ = lines.send(format!("{line}\n"));
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        drop(self.lines.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(file: File, lines: &Receiver<String>) {
    let mut out = BufWriter::new(file);
    let mut dirty = false;
    loop {
        let received = if dirty {
            lines.recv_timeout(SYNC_PERIOD)
        } else {
            lines.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        let result = match received {
            Ok(line) => {
                dirty = true;
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            }
            Err(RecvTimeoutError::Timeout) => {
                dirty = false;
                out.get_ref().sync_data()
            }
            Err(RecvTimeoutError::Disconnected) => {
                let _ = out.get_ref().sync_data();
                return;
            }
        };
        if let Err(error) = result {
            tracing::error!(%error, "cannot write the audit file");
        }
    }
}
