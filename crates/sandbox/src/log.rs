//! Container output in the CRI log format, with rotation.
//!
//! A line of the format is `<RFC 3339 nanoseconds> <stdout|stderr> <F|P> <text>`; `P` marks a piece
//! of a line longer than [`LINE_MAX`]. Reading and following logs belongs to the node.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::LogConfig;

/// Longest piece of a line written as one entry, in bytes.
pub const LINE_MAX: usize = 16 * 1024;

/// Which output of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Writer of one container's log.
#[derive(Debug)]
pub struct LogWriter {
    config: LogConfig,
    file: File,
    size: u64,
    pending: [Vec<u8>; 2],
}

impl LogWriter {
    /// Opens the current file for appending.
    ///
    /// # Errors
    /// When the file or its directory cannot be created.
    pub fn open(config: LogConfig) -> io::Result<Self> {
        if let Some(parent) = config.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = append(&config.path)?;
        let size = file.metadata()?.len();
        Ok(LogWriter {
            config,
            file,
            size,
            pending: [Vec::new(), Vec::new()],
        })
    }

    /// Takes bytes a container wrote; whole lines go to the file at once.
    ///
    /// # Errors
    /// When the file cannot be written; the bytes are lost.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], now: Timestamp) -> io::Result<()> {
        let mut entries = Vec::with_capacity(bytes.len() + 64);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let pending = &mut self.pending[stream as usize];
            let (text, ended) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            pending.extend_from_slice(text);
            while pending.len() > LINE_MAX {
                let rest = pending.split_off(LINE_MAX);
                entry(&mut entries, now, stream, 'P', pending);
                *pending = rest;
            }
            if ended {
                entry(&mut entries, now, stream, 'F', pending);
                pending.clear();
            }
        }
        self.append(&entries)
    }

    /// Writes what a container left without a line end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&mut self, now: Timestamp) -> io::Result<()> {
        let mut entries = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let pending = std::mem::take(&mut self.pending[stream as usize]);
            if !pending.is_empty() {
                entry(&mut entries, now, stream, 'F', &pending);
            }
        }
        self.append(&entries)
    }

    fn append(&mut self, entries: &[u8]) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        if self.size > 0 && self.size + entries.len() as u64 > self.config.size_max {
            self.rotate()?;
        }
        self.file.write_all(entries)?;
        self.size += entries.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let oldest = self.config.files_max.saturating_sub(1);
        for index in (1..oldest).rev() {
            let from = rotated(&self.config.path, index);
            if from.exists() {
                fs::rename(from, rotated(&self.config.path, index + 1))?;
            }
        }
        if oldest > 0 {
            fs::rename(&self.config.path, rotated(&self.config.path, 1))?;
        } else {
            fs::remove_file(&self.config.path)?;
        }
        self.file = append(&self.config.path)?;
        self.size = 0;
        Ok(())
    }
}

/// Name of the `index`-th older file of a log (1 is the most recent).
pub fn rotated(path: &std::path::Path, index: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{index}"));
    PathBuf::from(name)
}

fn append(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn entry(out: &mut Vec<u8>, now: Timestamp, stream: Stream, tag: char, text: &[u8]) {
    out.extend_from_slice(format!("{now:.9} {} {tag} ", stream.name()).as_bytes());
    out.extend_from_slice(text);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(size_max: u64, files_max: u32) -> (tempfile::TempDir, LogWriter) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        (
            dir,
            LogWriter::open(LogConfig {
                path,
                size_max,
                files_max,
            })
            .unwrap(),
        )
    }

    #[test]
    fn lines_keep_their_stream_and_wait_for_their_end() {
        let (dir, mut log) = writer(1 << 20, 3);
        let now: Timestamp = "2026-01-02T03:04:05.000000006Z".parse().unwrap();
        log.write(Stream::Stdout, b"one\ntw", now).unwrap();
        log.write(Stream::Stderr, b"err\n", now).unwrap();
        log.write(Stream::Stdout, b"o", now).unwrap();
        log.finish(now).unwrap();
        let text = fs::read_to_string(dir.path().join("0.log")).unwrap();
        assert_eq!(
            text,
            "2026-01-02T03:04:05.000000006Z stdout F one\n\
             2026-01-02T03:04:05.000000006Z stderr F err\n\
             2026-01-02T03:04:05.000000006Z stdout F two\n"
        );
    }

    #[test]
    fn long_lines_are_cut_in_marked_pieces() {
        let (dir, mut log) = writer(1 << 20, 3);
        let mut bytes = vec![b'x'; LINE_MAX + 1];
        bytes.push(b'\n');
        log.write(Stream::Stdout, &bytes, Timestamp::UNIX_EPOCH)
            .unwrap();
        let text = fs::read_to_string(dir.path().join("0.log")).unwrap();
        let tags: Vec<_> = text
            .lines()
            .map(|line| line.split(' ').nth(2).unwrap())
            .collect();
        assert_eq!(tags, ["P", "F"]);
    }

    #[test]
    fn rotation_keeps_a_bounded_number_of_files() {
        let (dir, mut log) = writer(100, 3);
        for index in 0..20 {
            let line = format!("line number {index} with some length\n");
            log.write(Stream::Stdout, line.as_bytes(), Timestamp::UNIX_EPOCH)
                .unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["0.log", "0.log.1", "0.log.2"]);
    }
}
