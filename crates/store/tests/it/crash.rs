//! `kill -9` in the middle of concurrent writes: whatever was acknowledged is there afterwards.
//!
//! The test runs its own binary again as the victim; the victim prints a line per acknowledged
//! write, after the store has answered.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use pilotis_store::{Durability, Expect, Key};

use crate::{key, open, put};

const DIRECTORY: &str = "PILOTIS_STORE_CRASH_DIRECTORY";
const WRITERS: usize = 8;

/// Not a test of its own: the victim. Does nothing unless the other test started it.
#[test]
fn victim_of_the_crash_test() {
    let Ok(directory) = std::env::var(DIRECTORY) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let store = Arc::new(open(directory.as_ref()));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { write_for_ever(&store, writer).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn write_for_ever(store: &pilotis_store::Store, writer: usize) {
    for turn in 0.. {
        let mut beat = put(&format!("beat-{writer}"), Expect::Absent, "beat");
        beat.durability = Durability::Relaxed;
        if let Some(found) = store.latest(&beat.key) {
            beat.expect = Expect::Revision(found.revision);
        }
        store.write(beat).await.unwrap();
        let name = format!("w{writer}-{turn}");
        let entry = store.write(put(&name, Expect::Absent, "v")).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {name} {}", entry.revision).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut newest = 0;
    for round in 1..=3 {
        let acknowledged = run_and_kill(directory.path(), 200 * round);
        assert!(acknowledged.len() >= 200, "the victim wrote too little");
        let store = open(directory.path());
        for (name, revision) in &acknowledged {
            let found = store.get(&key(name));
            assert_eq!(
                found.map(|e| e.revision),
                Some(*revision),
                "{name} in round {round}"
            );
            assert!(*revision > newest, "revision went back in round {round}");
        }
        newest = acknowledged
            .iter()
            .map(|(_, revision)| *revision)
            .max()
            .unwrap_or(0);
        assert!(store.revision() >= newest);
        newest = store.revision();
        forget(store, &acknowledged);
    }
}

/// Runs the victim until it has acknowledged `count` writes, kills it, and reads what it still
/// said.
fn run_and_kill(directory: &std::path::Path, count: usize) -> Vec<(String, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::victim_of_the_crash_test", "--exact", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        let Some(rest) = line.split("ack ").nth(1) else {
            continue;
        };
        let Some((name, revision)) = rest.split_once(' ') else {
            continue;
        };
        let Ok(revision) = revision.parse() else {
            continue;
        };
        acknowledged.push((name.to_owned(), revision));
        if acknowledged.len() == count {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

/// Removes the round's objects so that the next victim can use the same names.
fn forget(store: pilotis_store::Store, acknowledged: &[(String, u64)]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let page = store
        .list(
            &pilotis_store::Query {
                table: "/configmaps".into(),
                ..Default::default()
            },
            &|_| true,
        )
        .unwrap();
    assert!(page.entries.len() >= acknowledged.len());
    runtime.block_on(async {
        for entry in page.entries {
            let mut change = put("", Expect::Revision(entry.revision), "");
            change.key = Key::new(entry.key.table(), entry.key.namespace(), entry.key.name());
            change.operation = pilotis_store::Operation::Delete;
            change.durability = Durability::Relaxed;
            store.write(change).await.unwrap();
        }
    });
}
