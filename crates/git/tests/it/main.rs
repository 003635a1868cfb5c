//! Repositories made, read, mirrored and served for real, with the `git` program as the client.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use pilotis_git::{
    Author, CommitError, CommitId, Credentials, Expected, Fetch, FetchError, HistoryLimits, Mode,
    NewCommit, Protocol, PushLimits, ReadError, RemotePolicy, Repository, ServeError, Service,
    TreeLimits, TrustedRemote,
};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

mod server;

/// A repository in its own directory.
struct World {
    dir: TempDir,
    repository: Repository,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(&dir.path().join("r.git")).unwrap();
        Self { dir, repository }
    }

    fn commit(&self, files: &[(&str, Option<&str>)]) -> CommitId {
        self.repository
            .commit_files(&change(Expected::Any, files))
            .unwrap()
    }
}

fn change(expected: Expected, files: &[(&str, Option<&str>)]) -> NewCommit {
    let bytes = |text: &Option<&str>| text.map(|text| text.as_bytes().to_vec());
    NewCommit {
        branch: "main".into(),
        expected,
        files: files
            .iter()
            .map(|(path, text)| ((*path).to_owned(), bytes(text)))
            .collect(),
        author: Author {
            name: "Ada".into(),
            email: "ada@example".into(),
        },
        time_seconds: 1_700_000_000,
        message: "a change\n\nwhy".into(),
    }
}

/// Runs the client program with its own empty world.
fn git(home: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap()
}

fn git_ok(home: &Path, arguments: &[&str]) -> String {
    let output = git(home, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn paths(repository: &Repository, id: CommitId) -> Vec<String> {
    let files = repository.files(id, "", TreeLimits::default()).unwrap();
    files.into_iter().map(|file| file.path).collect()
}

#[test]
fn commits_made_without_a_work_tree_are_read_back() {
    let world = World::new();
    let repository = &world.repository;
    let first = world.commit(&[("a/b.yaml", Some("one")), ("c", Some("two"))]);
    let second = world.commit(&[
        ("a/b.yaml", None),
        ("a.txt", Some("3")),
        ("d/e/f", Some("4")),
    ]);
    assert_eq!(paths(repository, first), ["a/b.yaml", "c"]);
    assert_eq!(paths(repository, second), ["a.txt", "c", "d/e/f"]);
    let commit = repository.commit(second).unwrap();
    assert_eq!(commit.parents, [first]);
    assert_eq!(commit.summary(), "a change");
    assert_eq!(
        (commit.author_name.as_str(), commit.time_seconds),
        ("Ada", 1_700_000_000)
    );
    let file = repository.file(second, "d/e/f", 10).unwrap().unwrap();
    assert_eq!(
        (file.mode, file.bytes.as_slice()),
        (Mode::File, b"4".as_slice())
    );
    assert_eq!(repository.file(second, "a/b.yaml", 10).unwrap(), None);
    let changed = repository.changed_paths(Some(first), second, 10).unwrap();
    assert_eq!(changed, ["a.txt", "a/b.yaml", "d/e/f"]);
    let log: Vec<CommitId> = repository
        .log(second, 5)
        .unwrap()
        .into_iter()
        .map(|commit| commit.id)
        .collect();
    assert!(log.contains(&first) && log.contains(&second), "{log:?}");
    assert!(repository.is_ancestor(first, second).unwrap());
    assert!(!repository.is_ancestor(second, first).unwrap());
    git_ok(repository.directory(), &["fsck", "--strict"]);
}

#[test]
fn a_commit_that_changes_nothing_writes_nothing() {
    let world = World::new();
    let first = world.commit(&[("a", Some("1"))]);
    assert_eq!(world.commit(&[("a", Some("1")), ("gone", None)]), first);
}

#[test]
fn a_branch_that_moved_is_not_overwritten() {
    let world = World::new();
    let first = world.commit(&[("a", Some("1"))]);
    let second = world.commit(&[("a", Some("2"))]);
    for expected in [Expected::Absent, Expected::At(first)] {
        let result = world
            .repository
            .commit_files(&change(expected, &[("a", Some("3"))]));
        assert!(
            matches!(result, Err(CommitError::Moved { .. })),
            "{expected:?}: {result:?}"
        );
    }
    assert_eq!(world.repository.resolve("main").unwrap(), second);
}

#[test]
fn paths_that_leave_the_tree_are_refused() {
    let world = World::new();
    for path in [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        ".git/config",
        "a/.GIT/x",
    ] {
        let result = world
            .repository
            .commit_files(&change(Expected::Any, &[(path, Some("x"))]));
        assert!(
            matches!(result, Err(CommitError::InvalidPath(_))),
            "{path:?}: {result:?}"
        );
    }
}

#[test]
fn revisions_are_names_or_full_ids_and_nothing_else() {
    let world = World::new();
    let first = world.commit(&[("a", Some("1"))]);
    git_ok(world.repository.directory(), &["tag", "v1", "main"]);
    for revision in ["main", "v1", "HEAD", "refs/heads/main", &first.to_string()] {
        assert_eq!(
            world.repository.resolve(revision).unwrap(),
            first,
            "{revision}"
        );
    }
    for revision in [
        "main~1",
        "--upload-pack=x",
        "a..b",
        "@{u}",
        "",
        "main^{tree}",
    ] {
        let result = world.repository.resolve(revision);
        assert!(
            matches!(result, Err(ReadError::InvalidRevision(_))),
            "{revision:?}: {result:?}"
        );
    }
    let absent = "0123456789abcdef0123456789abcdef01234567";
    for revision in ["other", absent] {
        let result = world.repository.resolve(revision);
        assert!(
            matches!(result, Err(ReadError::UnknownRevision(_))),
            "{revision}: {result:?}"
        );
    }
}

#[test]
fn walks_and_reads_stop_at_their_limits() {
    let world = World::new();
    let id = world.commit(&[("a/b/c/d", Some("12345")), ("e", Some("67890"))]);
    let limits = |files_max, bytes_max, depth_max| TreeLimits {
        files_max,
        bytes_max,
        depth_max,
    };
    for limits in [limits(1, 100, 9), limits(9, 9, 9), limits(9, 100, 2)] {
        let result = world.repository.files(id, "", limits);
        assert!(
            matches!(result, Err(ReadError::TooLarge { .. })),
            "{limits:?}: {result:?}"
        );
    }
    assert_eq!(
        world
            .repository
            .files(id, "", limits(2, 10, 3))
            .unwrap()
            .len(),
        2
    );
    let result = world.repository.file(id, "e", 4);
    assert!(
        matches!(result, Err(ReadError::TooLarge { .. })),
        "{result:?}"
    );
}

#[test]
fn history_gives_every_version_once_with_the_commit_that_brought_it() {
    let world = World::new();
    let first = world.commit(&[("a", Some("one")), ("b/c", Some("same"))]);
    let second = world.commit(&[("a", Some("two")), ("b/d", Some("same"))]);
    let last = world.commit(&[("a", None)]);
    let versions = world.repository.versions(&[last], HistoryLimits::default());
    let found: Vec<(CommitId, String, Vec<u8>)> = versions
        .unwrap()
        .map(|version| (version.commit, version.path, version.bytes))
        .collect();
    let expected = [
        (first, "a".to_owned(), b"one".to_vec()),
        (first, "b/c".to_owned(), b"same".to_vec()),
        (second, "a".to_owned(), b"two".to_vec()),
    ];
    assert_eq!(found, expected);
    let limits = HistoryLimits {
        commits_max: 1,
        ..HistoryLimits::default()
    };
    let mut versions = world.repository.versions(&[last], limits).unwrap();
    assert!(versions.is_cut());
    assert_eq!(versions.by_ref().count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_clones_and_pushes_over_http() {
    let world = World::new();
    let first = world.commit(&[("a", Some("1"))]);
    let server = server::Server::start(world.repository.clone(), PushLimits::default()).await;
    let home = world.dir.path().to_owned();
    let url = server.url();
    let pushed = tokio::task::spawn_blocking(move || {
        git_ok(&home, &["clone", "--quiet", &url, "work"]);
        let work = home.join("work");
        assert_eq!(std::fs::read_to_string(work.join("a")).unwrap(), "1");
        std::fs::write(work.join("b"), "x".repeat(200_000)).unwrap();
        git_ok(&work, &["add", "b"]);
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example"];
        git_ok(
            &work,
            &[&who[..], &["commit", "--quiet", "-m", "second"]].concat(),
        );
        git_ok(
            &work,
            &[
                "push",
                "--quiet",
                "origin",
                "HEAD:main",
                "HEAD:refs/tags/v2",
            ],
        );
        git_ok(&work, &["rev-parse", "HEAD"])
            .parse::<CommitId>()
            .unwrap()
    })
    .await
    .unwrap();
    assert_eq!(world.repository.resolve("main").unwrap(), pushed);
    let reports = server.reports();
    let names: Vec<_> = reports
        .iter()
        .map(|u| (u.name.as_str(), u.old, u.new))
        .collect();
    let expected = [
        ("refs/heads/main", Some(first), Some(pushed)),
        ("refs/tags/v2", None, Some(pushed)),
    ];
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_above_the_limit_moves_nothing() {
    let world = World::new();
    let first = world.commit(&[("a", Some("1"))]);
    let limits = PushLimits {
        bytes_max: 4096,
        ..PushLimits::default()
    };
    let server = server::Server::start(world.repository.clone(), limits).await;
    let home = world.dir.path().to_owned();
    let url = server.url();
    tokio::task::spawn_blocking(move || {
        git_ok(&home, &["clone", "--quiet", &url, "work"]);
        let work = home.join("work");
        let mut state = 1u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            // A xorshift generator: nothing in a pack compresses it.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .take(60_000)
        .collect();
        std::fs::write(work.join("b"), noise).unwrap();
        git_ok(&work, &["add", "b"]);
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example"];
        git_ok(
            &work,
            &[&who[..], &["commit", "--quiet", "-m", "second"]].concat(),
        );
        assert!(
            !git(&work, &["push", "--quiet", "origin", "HEAD:main"])
                .status
                .success()
        );
    })
    .await
    .unwrap();
    assert_eq!(world.repository.resolve("main").unwrap(), first);
    assert!(server.reports().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_follows_its_remote_with_a_token() {
    let world = World::new();
    let first = world.commit(&[("a", Some("1"))]);
    let server = server::Server::start(world.repository.clone(), PushLimits::default()).await;
    let mirror = Repository::init_bare(&world.dir.path().join("mirror.git")).unwrap();
    let trusted = TrustedRemote {
        prefix: "http://git.pilotis.internal/".into(),
        actual: server.url(),
    };
    let fetch = Fetch {
        url: "http://git.pilotis.internal/".into(),
        credentials: Some(Credentials::new("reader", "s3cret")),
        policy: RemotePolicy {
            trusted: vec![trusted],
            ..RemotePolicy::default()
        },
        timeout: Duration::from_secs(60),
    };
    let updates = mirror.fetch_mirror(&fetch).await.unwrap();
    assert_eq!(updates.len(), 1);
    assert_eq!(mirror.resolve("main").unwrap(), first);
    assert_eq!(
        server.last_authorization().unwrap(),
        "Basic cmVhZGVyOnMzY3JldA=="
    );
    let second = world.commit(&[("a", Some("2"))]);
    mirror.fetch_mirror(&fetch).await.unwrap();
    assert_eq!(mirror.resolve("main").unwrap(), second);
    git_ok(
        world.repository.directory(),
        &["update-ref", "-d", "refs/heads/main"],
    );
    mirror.fetch_mirror(&fetch).await.unwrap();
    assert_eq!(mirror.refs().unwrap(), BTreeMap::new());
}

#[tokio::test]
async fn an_untrusted_address_is_refused_before_it_is_contacted() {
    let world = World::new();
    let fetch = Fetch {
        url: "https://127.0.0.1:1/x.git".into(),
        credentials: None,
        policy: RemotePolicy::default(),
        timeout: Duration::from_secs(5),
    };
    let result = world.repository.fetch_mirror(&fetch).await;
    assert!(matches!(result, Err(FetchError::Refused(_))), "{result:?}");
}

#[tokio::test]
async fn malformed_requests_are_errors_not_hangs() {
    let world = World::new();
    world.commit(&[("a", Some("1"))]);
    let plain = Protocol::default();
    let gzip = Protocol {
        gzip: true,
        ..Protocol::default()
    };
    let limits = PushLimits::default();
    for (protocol, body) in [(&plain, &b"zzzz"[..]), (&gzip, b"not gzip"), (&plain, b"")] {
        let result = world.repository.receive_pack(protocol, limits, body).await;
        let moved = result
            .as_ref()
            .map(|report| report.updates.len())
            .unwrap_or_default();
        assert_eq!(moved, 0, "{result:?}");
    }
    let result = world
        .repository
        .receive_pack(&plain, limits, &b"zzzz"[..])
        .await;
    assert!(
        matches!(result, Err(ServeError::Malformed(_))),
        "{result:?}"
    );
    let mut answer = world.repository.upload_pack(&plain, &b"zzzz"[..]).unwrap();
    let mut bytes = Vec::new();
    answer.read_to_end(&mut bytes).await.unwrap();
    assert!(Service::parse("git-shell").is_none());
}
