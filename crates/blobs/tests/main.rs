//! The store on a real disk: uploads, ranges, sweeps, and a process killed at any instant.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream;
use tokio::io::AsyncReadExt;

use pilotis_blobs::{Store, UploadError};
use pilotis_oci::{Algorithm, Digest};

type Piece = Result<Bytes, std::io::Error>;

fn pieces(pieces: &[&[u8]]) -> impl futures::Stream<Item = Piece> + Unpin {
    let owned: Vec<Piece> = pieces
        .iter()
        .map(|p| Ok(Bytes::copy_from_slice(p)))
        .collect();
    stream::iter(owned)
}

async fn put(store: &Store, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    let upload = store.begin_upload().await.unwrap();
    upload
        .append(Some(0), pieces(&[bytes]), 1 << 20)
        .await
        .unwrap();
    upload.finish(&digest).await.unwrap();
    digest
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    let upload = store.begin_upload().await.unwrap();
    upload
        .append(Some(0), pieces(&[b"hello, "]), 100)
        .await
        .unwrap();
    let again = Store::open(root.path()).await.unwrap();
    let upload = again.resume_upload(upload.id()).await.unwrap();
    assert_eq!(upload.offset().await.unwrap(), 7);
    upload
        .append(Some(7), pieces(&[b"wor", b"ld"]), 100)
        .await
        .unwrap();
    let digest = Digest::sha256(b"hello, world");
    assert_eq!(upload.finish(&digest).await.unwrap(), 12);
    assert_eq!(
        again.read(&digest, 100).await.unwrap().unwrap(),
        b"hello, world"
    );
}

#[tokio::test]
async fn bytes_that_are_not_the_digest_are_never_published() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let wanted = Digest::of(algorithm, b"good");
        let upload = store.begin_upload().await.unwrap();
        upload.append(None, pieces(&[b"evil"]), 100).await.unwrap();
        let id = upload.id().to_owned();
        assert!(matches!(
            upload.finish(&wanted).await,
            Err(UploadError::Digest { .. })
        ));
        assert_eq!(store.size(&wanted).await.unwrap(), None);
        assert!(matches!(
            store.resume_upload(&id).await,
            Err(UploadError::Unknown)
        ));
    }
}

#[tokio::test]
async fn pieces_must_follow_one_another_and_fit() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    let upload = store.begin_upload().await.unwrap();
    upload.append(Some(0), pieces(&[b"abc"]), 5).await.unwrap();
    let gap = upload.append(Some(4), pieces(&[b"x"]), 5).await;
    assert!(matches!(gap, Err(UploadError::Offset { at: 3 })));
    let large = upload.append(Some(3), pieces(&[b"def"]), 5).await;
    assert!(matches!(large, Err(UploadError::TooLarge { bytes_max: 5 })));
    for name in ["../../etc/passwd", "", "zz"] {
        assert!(matches!(
            store.resume_upload(name).await,
            Err(UploadError::Unknown)
        ));
    }
}

#[tokio::test]
async fn what_arrived_before_an_interruption_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    let upload = store.begin_upload().await.unwrap();
    let cut: Vec<Piece> = vec![Ok(Bytes::from("abc")), Err(std::io::Error::other("gone"))];
    let stopped = upload.append(Some(0), stream::iter(cut), 100).await;
    assert!(matches!(stopped, Err(UploadError::Interrupted)));
    assert_eq!(
        upload
            .append(Some(3), pieces(&[b"def"]), 100)
            .await
            .unwrap(),
        6
    );
    upload.finish(&Digest::sha256(b"abcdef")).await.unwrap();
}

#[tokio::test]
async fn ranges_are_read_exactly() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    let digest = put(&store, b"0123456789").await;
    let mut reader = store.open_blob(&digest, Some(3..6)).await.unwrap().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).await.unwrap();
    assert_eq!((reader.size(), text.as_str()), (10, "345"));
}

#[tokio::test]
async fn a_sweep_spares_the_linked_and_the_young() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    let (live, dead) = (put(&store, b"live").await, put(&store, b"dead").await);
    let young = store
        .sweep(
            &HashSet::new(),
            SystemTime::now(),
            Duration::from_secs(3600),
        )
        .await
        .unwrap();
    assert_eq!((young.blobs, young.kept), (0, 2));
    let seen = HashSet::from([live.clone()]);
    let swept = store
        .sweep(&seen, SystemTime::now(), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((swept.blobs, swept.bytes, swept.kept), (1, 4, 1));
    assert!(!store.link(&dead, "r/app/dead", vec![]).await.unwrap());
    assert!(
        store
            .link(&live, "r/app/live", b"4".to_vec())
            .await
            .unwrap()
    );
    assert_eq!(store.object("r/app/live").await.unwrap().unwrap(), b"4");
}

/// The promise of the sweep: a link that was granted leads to a blob, whatever ran beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn links_and_sweeps_side_by_side_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    let sweeper = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut removed = 0;
            // On a busy machine the first sweeps find nothing to remove yet.
            for round in 0..10_000 {
                if round >= 40 && removed > 0 {
                    break;
                }
                let looked = SystemTime::now();
                let names = store.list("r").await.unwrap();
                let live = names
                    .iter()
                    .map(|hex| format!("sha256:{hex}").parse().unwrap());
                removed += store
                    .sweep(&live.collect(), looked, Duration::ZERO)
                    .await
                    .unwrap()
                    .blobs;
            }
            removed
        })
    };
    let mut linked = Vec::new();
    for number in 0.. {
        let digest = put(&store, format!("blob {}", number % 50).as_bytes()).await;
        let name = format!("r/{}", digest.hex());
        if number % 3 == 0 && store.link(&digest, &name, vec![]).await.unwrap() {
            linked.push(digest);
        }
        if sweeper.is_finished() {
            break;
        }
    }
    assert!(
        sweeper.await.unwrap() > 0,
        "the sweeps had something to remove"
    );
    for digest in linked {
        assert!(
            store.size(&digest).await.unwrap().is_some(),
            "{digest} was lost"
        );
    }
}

#[tokio::test]
async fn object_names_cannot_leave_the_store() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).await.unwrap();
    for name in ["..", "a/../../b", "/etc/passwd", "a//b", "", "a\0b"] {
        assert!(store.put_object(name, vec![]).await.is_err(), "{name:?}");
        assert!(store.object(name).await.is_err(), "{name:?}");
    }
}

const CRASH_FOLDER: &str = "PILOTIS_BLOBS_CRASH_FOLDER";

/// Uploads blobs one after the other and says each one that was acknowledged. Alone it makes
/// three; started by the crash test it goes on until it is killed.
#[tokio::test]
async fn acknowledged_blobs_are_there() {
    let own = tempfile::tempdir().unwrap();
    let folder = std::env::var(CRASH_FOLDER).ok();
    let count = if folder.is_some() { u32::MAX } else { 3 };
    let root = folder.map_or(own.path().to_owned(), Into::into);
    let store = Store::open(&root).await.unwrap();
    for number in 0..count {
        let bytes = number.to_string().repeat(10_000);
        let digest = put(&store, bytes.as_bytes()).await;
        assert!(
            store
                .link(&digest, &format!("r/{number}"), vec![])
                .await
                .unwrap()
        );
        println!("kept {digest}");
        assert_eq!(
            store.read(&digest, 1 << 20).await.unwrap().unwrap(),
            bytes.as_bytes()
        );
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_acknowledged_and_serves_nothing_broken() {
    let root = tempfile::tempdir().unwrap();
    let mut kept = HashSet::new();
    for round in 0..5 {
        kept.extend(run_and_kill(root.path(), 3 + round * 4).await);
    }
    let store = Store::open(root.path()).await.unwrap();
    for digest in &kept {
        let bytes = store
            .read(digest, 1 << 20)
            .await
            .unwrap()
            .expect("acknowledged blob");
        assert!(digest.matches(&bytes), "{digest}");
    }
    let everything = store
        .sweep(&kept, SystemTime::now(), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(everything.kept, kept.len());
    assert!(
        !root
            .path()
            .join("temporary")
            .read_dir()
            .unwrap()
            .any(|_| true)
    );
}

/// Starts the writer, waits for some acknowledgements, kills it with SIGKILL.
async fn run_and_kill(root: &Path, acknowledgements: usize) -> Vec<Digest> {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "acknowledged_blobs_are_there", "--nocapture"])
        .env(CRASH_FOLDER, root)
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kept = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, digest)) = line.split_once("kept ") {
            kept.push(digest.parse().unwrap());
        }
        if kept.len() == acknowledgements {
            break;
        }
    }
    child.kill().await.unwrap();
    kept
}
