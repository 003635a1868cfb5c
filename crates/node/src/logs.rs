//! Reading container logs: what `kubectl logs` shows, past and future.
//!
//! The sandbox's shim writes files in the CRI format and rotates them; this module only reads. A
//! follower ends when its run of the container has ended and everything is read.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;
use pilotis_sandbox::log::rotated;
use tokio::sync::mpsc;

use crate::pods::record::Record;

/// How often a follower looks for more.
const PAUSE: Duration = Duration::from_millis(200);

/// Pieces waiting for a slow reader, at most.
const QUEUE: usize = 64;

/// Older files of one log, at most.
const ROTATED_MAX: u32 = 20;

/// Which part of a log.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Go on with what is written later.
    pub follow: bool,
    /// Only that many last lines.
    pub tail: Option<usize>,
    /// Only lines written since.
    pub since: Option<Timestamp>,
    /// Put the time before each line.
    pub timestamps: bool,
    /// The run before the current one.
    pub previous: bool,
    /// At most so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No such pod has run here.
    #[error("no logs of pod {0} on this node")]
    Pod(String),
    /// The container has not started.
    #[error("container \"{0}\" is waiting to start")]
    Waiting(String),
    /// There was no run before.
    #[error("previous terminated container \"{0}\" not found")]
    Previous(String),
}

/// Pieces of a log.
pub type Lines = std::pin::Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// Directory of a pod's logs.
pub(crate) fn directory(node: &Path, namespace: &str, name: &str, uid: &str) -> PathBuf {
    node.join("logs").join(format!("{namespace}_{name}_{uid}"))
}

/// Opens the log of a container of the latest pod of that name.
pub(crate) fn open(
    node: &Path,
    namespace: &str,
    pod: &str,
    container: &str,
    options: Options,
) -> Result<Lines, LogError> {
    let (uid, directory) =
        latest(node, namespace, pod).ok_or_else(|| LogError::Pod(pod.to_owned()))?;
    let runs = runs(&directory.join(container));
    let run = match (options.previous, &runs[..]) {
        (false, [.., last]) => *last,
        (true, [.., before, _]) => *before,
        (true, _) => return Err(LogError::Previous(container.to_owned())),
        (false, []) => return Err(LogError::Waiting(container.to_owned())),
    };
    let reader = Reader {
        path: directory.join(container).join(format!("{run}.log")),
        record: node.join("pods").join(uid).join("record.json"),
        container: container.to_owned(),
        run: format!("{container}-{run}"),
        left: options.limit_bytes.unwrap_or(u64::MAX),
        options,
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::task::spawn_blocking(move || {
        let mut reader = reader;
        // A reader that went away, or a log that was removed, ends the stream; no one is left to
        // tell.
        let _ = reader.run(&sender);
    });
    Ok(Box::pin(futures::stream::unfold(
        receiver,
        |mut receiver| async move { receiver.recv().await.map(|piece| (piece, receiver)) },
    )))
}

fn latest(node: &Path, namespace: &str, pod: &str) -> Option<(String, PathBuf)> {
    let prefix = format!("{namespace}_{pod}_");
    let entries = fs::read_dir(node.join("logs")).ok()?.flatten();
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let uid = name.strip_prefix(&prefix)?.to_owned();
        let changed = entry.metadata().ok()?.modified().ok()?;
        Some((changed, uid, entry.path()))
    });
    named
        .max_by_key(|(changed, ..)| *changed)
        .map(|(_, uid, path)| (uid, path))
}

/// Numbers of the runs that have a log, in order.
fn runs(directory: &Path) -> Vec<u32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let number = |entry: fs::DirEntry| {
        entry
            .file_name()
            .to_string_lossy()
            .strip_suffix(".log")?
            .parse::<u32>()
            .ok()
    };
    let mut all: Vec<u32> = entries.filter_map(number).collect();
    all.sort_unstable();
    all
}

struct Reader {
    path: PathBuf,
    record: PathBuf,
    container: String,
    run: String,
    left: u64,
    options: Options,
}

/// Why reading stopped early.
enum Stop {
    Limit,
    Gone,
    Io,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Stop::Io
    }
}

impl Reader {
    fn run(&mut self, out: &mpsc::Sender<Bytes>) -> Result<(), Stop> {
        let mut current = BufReader::new(File::open(&self.path)?);
        let mut last = VecDeque::new();
        for index in (1..ROTATED_MAX).rev() {
            if let Ok(file) = File::open(rotated(&self.path, index)) {
                self.copy(&mut BufReader::new(file), Some(&mut last), out)?;
            }
        }
        let mut partial = self.copy(&mut current, Some(&mut last), out)?;
        for line in last {
            self.send(line, out)?;
        }
        while self.options.follow {
            // Asked before reading: what was written before the end is read after it is known.
            let over = self.over();
            let more = self.copy_rest(&mut current, &mut partial, out)?;
            if let Some(next) = self.reopened(&current)? {
                self.copy_rest(&mut current, &mut partial, out)?;
                current = next;
                continue;
            }
            if over {
                break;
            }
            if !more {
                std::thread::sleep(PAUSE);
            }
            if out.is_closed() {
                return Err(Stop::Gone);
            }
        }
        Ok(())
    }

    /// Copies all whole lines; what is left of an unfinished one is returned.
    fn copy(
        &mut self,
        from: &mut BufReader<File>,
        mut last: Option<&mut VecDeque<Vec<u8>>>,
        out: &mpsc::Sender<Bytes>,
    ) -> Result<Vec<u8>, Stop> {
        loop {
            let mut line = Vec::new();
            if from.read_until(b'\n', &mut line)? == 0 {
                return Ok(Vec::new());
            }
            if line.last() != Some(&b'\n') {
                return Ok(line);
            }
            let Some(text) = self.show(&line) else {
                continue;
            };
            match (self.options.tail, &mut last) {
                (Some(count), Some(last)) => {
                    last.push_back(text);
                    if last.len() > count {
                        last.pop_front();
                    }
                }
                _ => self.send(text, out)?,
            }
        }
    }

    fn copy_rest(
        &mut self,
        from: &mut BufReader<File>,
        partial: &mut Vec<u8>,
        out: &mpsc::Sender<Bytes>,
    ) -> Result<bool, Stop> {
        let mut any = false;
        loop {
            if from.read_until(b'\n', partial)? == 0 || partial.last() != Some(&b'\n') {
                return Ok(any);
            }
            let line = std::mem::take(partial);
            any = true;
            if let Some(text) = self.show(&line) {
                self.send(text, out)?;
            }
        }
    }

    /// What a reader sees of an entry: `<time> <stream> <tag> <text>`.
    fn show(&self, entry: &[u8]) -> Option<Vec<u8>> {
        let mut parts = entry.splitn(4, |byte| *byte == b' ');
        let time = parts.next()?;
        let tag = parts.nth(1)?;
        let text = parts.next()?;
        if let Some(since) = self.options.since {
            let written: Timestamp = std::str::from_utf8(time).ok()?.parse().ok()?;
            if written < since {
                return None;
            }
        }
        let mut shown = Vec::with_capacity(entry.len());
        if self.options.timestamps {
            shown.extend_from_slice(time);
            shown.push(b' ');
        }
        // A piece of a long line is put together with the next by leaving out its end.
        let end = if tag == b"P" {
            text.len().saturating_sub(1)
        } else {
            text.len()
        };
        shown.extend_from_slice(&text[..end]);
        Some(shown)
    }

    fn send(&mut self, mut text: Vec<u8>, out: &mpsc::Sender<Bytes>) -> Result<(), Stop> {
        let length = text.len() as u64;
        if length > self.left {
            text.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        }
        self.left -= text.len() as u64;
        out.blocking_send(Bytes::from(text))
            .map_err(|_| Stop::Gone)?;
        if length > self.left && self.left == 0 {
            Err(Stop::Limit)
        } else {
            Ok(())
        }
    }

    /// The file now at the path, when the one being read was put aside.
    fn reopened(&self, current: &BufReader<File>) -> io::Result<Option<BufReader<File>>> {
        let Ok(now) = fs::metadata(&self.path) else {
            return Ok(None);
        };
        if now.ino() == current.get_ref().metadata()?.ino() {
            return Ok(None);
        }
        Ok(Some(BufReader::new(File::open(&self.path)?)))
    }

    fn over(&self) -> bool {
        let record = fs::read(&self.record).ok();
        let record = record.and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        let known = record.and_then(|mut record| record.containers.remove(&self.container));
        known.is_none_or(|known| known.running() != Some(self.run.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    async fn read(options: Options) -> String {
        let dir = tempfile::tempdir().unwrap();
        let log = directory(dir.path(), "n", "p", "u").join("c");
        fs::create_dir_all(&log).unwrap();
        fs::write(
            log.join("0.log"),
            "2026-01-01T00:00:00.000000001Z stdout F old\n",
        )
        .unwrap();
        fs::write(
            log.join("1.log"),
            "2026-01-01T00:00:01.000000001Z stdout F one\n\
             2026-01-01T00:00:02.000000001Z stdout P tw\n\
             2026-01-01T00:00:02.000000001Z stderr F o\n\
             2026-01-01T00:00:03.000000001Z stdout F three\n",
        )
        .unwrap();
        let lines = open(dir.path(), "n", "p", "c", options).unwrap();
        let bytes: Vec<Bytes> = lines.collect().await;
        String::from_utf8(bytes.concat()).unwrap()
    }

    #[tokio::test]
    async fn options_choose_what_is_shown() {
        let default = Options::default();
        let cases = [
            (default.clone(), "one\ntwo\nthree\n"),
            (
                Options {
                    tail: Some(1),
                    ..default.clone()
                },
                "three\n",
            ),
            (
                Options {
                    tail: Some(0),
                    ..default.clone()
                },
                "",
            ),
            (
                Options {
                    previous: true,
                    ..default.clone()
                },
                "old\n",
            ),
            (
                Options {
                    follow: true,
                    ..default.clone()
                },
                "one\ntwo\nthree\n",
            ),
            (
                Options {
                    limit_bytes: Some(5),
                    ..default.clone()
                },
                "one\nt",
            ),
            (
                Options {
                    since: "2026-01-01T00:00:02.5Z".parse().ok(),
                    ..default.clone()
                },
                "three\n",
            ),
            (
                Options {
                    tail: Some(1),
                    timestamps: true,
                    ..default
                },
                "2026-01-01T00:00:03.000000001Z three\n",
            ),
        ];
        for (options, expected) in cases {
            let name = format!("{options:?}");
            assert_eq!(read(options).await, expected, "{name}");
        }
    }
}
