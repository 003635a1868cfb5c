//! The store from outside: compare-and-swap, lists in the past, watches, restarts, crashes.

#![allow(clippy::unwrap_used, clippy::panic)] // a failed expectation is a failed test

mod crash;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use pilotis_store::{
    Change, Continue, Durability, Entry, EventKind, Expect, Header, Key, ListError, Operation,
    Options, Page, Query, Sealer, Store, WriteError,
};

pub(crate) fn open(directory: &Path) -> Store {
    Store::open(&directory.join("store.redb"), Options::default()).unwrap()
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(&Arc::from("/configmaps"), "default", name)
}

pub(crate) fn put(name: &str, expect: Expect, text: &str) -> Change {
    let text = text.to_owned();
    Change {
        key: key(name),
        expect,
        operation: Operation::Put,
        durability: Durability::Synced,
        encode: Box::new(move |rv| (Bytes::from(format!("{text}@{rv}")), Header::default())),
    }
}

fn delete(entry: &Entry) -> Change {
    let text = entry.bytes.clone();
    Change {
        key: entry.key.clone(),
        expect: Expect::Revision(entry.revision),
        operation: Operation::Delete,
        durability: Durability::Synced,
        encode: Box::new(move |_| (text, Header::default())),
    }
}

fn all() -> Query {
    Query {
        table: "/configmaps".into(),
        ..Query::default()
    }
}

fn list(store: &Store, query: &Query) -> Result<Page, ListError> {
    store.list(query, &|_| true)
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|e| e.key.name()).collect()
}

#[tokio::test]
async fn a_write_needs_the_revision_it_was_based_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let first = store.write(put("a", Expect::Absent, "one")).await.unwrap();
    assert_eq!(first.bytes, format!("one@{}", first.revision));
    let again = store.write(put("a", Expect::Absent, "two")).await;
    assert!(matches!(again, Err(WriteError::Exists)));
    let second = store
        .write(put("a", Expect::Revision(first.revision), "two"))
        .await
        .unwrap();
    assert!(second.revision > first.revision);
    let stale = store
        .write(put("a", Expect::Revision(first.revision), "three"))
        .await;
    assert!(matches!(stale, Err(WriteError::Conflict { current }) if current == second.revision));
    let missing = store.write(put("b", Expect::Revision(1), "x")).await;
    assert!(matches!(missing, Err(WriteError::Missing)));
    store.write(delete(&second)).await.unwrap();
    assert!(store.get(&key("a")).is_none());
}

#[tokio::test]
async fn pages_show_the_state_of_the_first_page() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for name in ["a", "b", "c", "d"] {
        store.write(put(name, Expect::Absent, name)).await.unwrap();
    }
    let first = list(&store, &Query { limit: 2, ..all() }).unwrap();
    assert_eq!(
        (names(&first.entries), first.remaining),
        (vec!["a", "b"], 2)
    );
    let token = Continue {
        revision: first.revision,
        after: "default/b".into(),
    };

    let c = store.get(&key("c")).unwrap();
    store.write(delete(&c)).await.unwrap();
    store.write(put("bb", Expect::Absent, "new")).await.unwrap();
    let rest = Query {
        revision: Some(token.revision),
        after: Some(token.after),
        ..all()
    };
    let second = list(&store, &rest).unwrap();
    assert_eq!(
        (names(&second.entries), second.remaining),
        (vec!["c", "d"], 0)
    );
    assert_eq!(
        names(&list(&store, &all()).unwrap().entries),
        ["a", "b", "bb", "d"]
    );
}

#[tokio::test]
async fn a_list_is_limited_to_one_namespace() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for namespace in ["a", "a-b", "b"] {
        let mut change = put("x", Expect::Absent, "");
        change.key = Key::new(&Arc::from("/configmaps"), namespace, "x");
        store.write(change).await.unwrap();
    }
    let page = list(
        &store,
        &Query {
            namespace: Some("a".into()),
            ..all()
        },
    )
    .unwrap();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].key.namespace(), "a");
}

#[tokio::test]
async fn a_watch_sees_every_change_once_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut watch = store.watch("/configmaps", store.revision()).unwrap();
    let a = store.write(put("a", Expect::Absent, "1")).await.unwrap();
    let a = store
        .write(put("a", Expect::Revision(a.revision), "2"))
        .await
        .unwrap();
    store.write(delete(&a)).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        for event in watch.next().await.unwrap() {
            seen.push((event.kind, event.previous.is_some()));
        }
    }
    let wanted = [
        (EventKind::Added, false),
        (EventKind::Modified, true),
        (EventKind::Deleted, true),
    ];
    assert_eq!(seen, wanted);
    assert_eq!(watch.position(), store.revision());
}

#[tokio::test]
async fn a_watch_from_before_the_log_has_expired() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        log_count_max: 2,
        ..Options::default()
    };
    let store = Store::open(&directory.path().join("s"), options).unwrap();
    let start = store.revision();
    for name in ["a", "b", "c"] {
        store.write(put(name, Expect::Absent, "")).await.unwrap();
    }
    assert!(store.watch("/configmaps", start).is_err());
    assert!(
        list(
            &store,
            &Query {
                revision: Some(start),
                ..all()
            }
        )
        .is_err()
    );
    assert!(store.watch("/configmaps", start + 1).is_ok());
}

#[tokio::test]
async fn old_events_go_except_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        log_age_max: std::time::Duration::ZERO,
        log_count_min: 2,
        ..Options::default()
    };
    let store = Store::open(&directory.path().join("s"), options).unwrap();
    let start = store.revision();
    for name in ["a", "b", "c", "d"] {
        store.write(put(name, Expect::Absent, "")).await.unwrap();
    }
    assert!(store.watch("/configmaps", start + 1).is_err());
    let mut watch = store.watch("/configmaps", start + 2).unwrap();
    assert_eq!(watch.next().await.unwrap().len(), 2);
}

#[tokio::test]
async fn objects_and_revision_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let entry = store.write(put("a", Expect::Absent, "1")).await.unwrap();
    let revision = store.revision();
    drop(store);
    let store = open(directory.path());
    let found = store.get(&key("a")).unwrap();
    assert_eq!((found.bytes, found.revision), (entry.bytes, entry.revision));
    assert_eq!(store.revision(), revision);
    assert!(store.watch("/configmaps", revision).is_ok());
}

#[tokio::test]
async fn a_state_older_than_the_limit_can_no_longer_be_listed() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        list_age_max: std::time::Duration::ZERO,
        ..Options::default()
    };
    let store = Store::open(&directory.path().join("s"), options).unwrap();
    let start = store.revision();
    store.write(put("a", Expect::Absent, "")).await.unwrap();
    assert!(
        list(
            &store,
            &Query {
                revision: Some(start),
                ..all()
            }
        )
        .is_err()
    );
    assert!(
        list(
            &store,
            &Query {
                revision: Some(start + 1),
                ..all()
            }
        )
        .is_ok()
    );
}

struct Reverse;

impl Sealer for Reverse {
    fn seal(&self, key: &Key, plain: &[u8]) -> Option<Vec<u8>> {
        (key.name() == "secret").then(|| plain.iter().rev().copied().collect())
    }
    fn unseal(&self, _: &Key, sealed: &[u8]) -> Option<Vec<u8>> {
        Some(sealed.iter().rev().copied().collect())
    }
}

#[tokio::test]
async fn sealed_objects_are_not_readable_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let options = || Options {
        sealer: Some(Arc::new(Reverse)),
        ..Options::default()
    };
    let store = Store::open(&path, options()).unwrap();
    store
        .write(put("secret", Expect::Absent, "treasure-island"))
        .await
        .unwrap();
    store
        .write(put("open", Expect::Absent, "plain-sailing"))
        .await
        .unwrap();
    drop(store);
    let file = std::fs::read(&path).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(holds("plain-sailing") && !holds("treasure-island"));
    let store = Store::open(&path, options()).unwrap();
    assert!(
        store
            .get(&key("secret"))
            .unwrap()
            .bytes
            .starts_with(b"treasure-island@")
    );
}

/// Format 1 as written down in `disk.rs`, made without the crate: every later program must open it.
#[test]
fn format_1_opens_and_a_newer_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let write = |format: u64| {
        let database = redb::Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let objects = redb::TableDefinition::<&str, &[u8]>::new("objects");
        let counters = redb::TableDefinition::<&str, u64>::new("counters");
        {
            let mut objects = transaction.open_table(objects).unwrap();
            let row: &[u8] = b"\x00\x07\0\0\0\0\0\0\0{}";
            objects.insert("/configmaps/default/old", row).unwrap();
            let mut counters = transaction.open_table(counters).unwrap();
            counters.insert("format", format).unwrap();
            counters.insert("revision", 9).unwrap();
            counters.insert("ceiling", 9).unwrap();
        }
        transaction.commit().unwrap();
    };
    write(1);
    let store = Store::open(&path, Options::default()).unwrap();
    assert_eq!(
        store.get(&key("old")).map(|e| (e.revision, e.bytes)),
        Some((7, "{}".into()))
    );
    assert_eq!(store.revision(), 9);
    drop(store);
    write(2);
    let error = Store::open(&path, Options::default())
        .err()
        .map(|e| e.to_string());
    let wanted = "object store has format 2, this program knows up to 1";
    assert_eq!(error.as_deref(), Some(wanted));
}
