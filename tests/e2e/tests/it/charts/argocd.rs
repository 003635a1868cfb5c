//! A stock Argo CD repo-server with our program called `helm` on its path: an application from Git
//! whose chart needs one chart from an HTTP repository and one from a registry that wants a
//! password and has its own authority.
//!
//! The judge takes minutes to build, so this runs on demand only: `cargo xtask helm argocd`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pilotis_http::Ca;
use pilotis_testkit::{eventually, free_port, judge, pilotis_binary};

use super::world::{Program, Registry, Rules, Site, Twins, chart, write};

const PASSWORD: &str = "not-a-persons-password";

/// Processes that end with the test.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A protobuf message being written.
#[derive(Default, Clone)]
struct Message(BytesMut);

impl Message {
    fn text(self, field: u32, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn inner(self, field: u32, message: &Message) -> Self {
        self.bytes(field, &message.0)
    }

    fn switch(mut self, field: u32) -> Self {
        self.number(u64::from(field) << 3);
        self.number(1);
        self
    }

    fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.number(u64::from(field) << 3 | 2);
        self.number(bytes.len() as u64);
        self.0.put_slice(bytes);
        self
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.put_u8(value as u8);
    }
}

/// The texts of one field of an answer, whose other fields are texts too.
fn texts(mut bytes: &[u8], wanted: u64) -> Result<Vec<String>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = number(&mut bytes)?;
        let length = usize::try_from(number(&mut bytes)?)?;
        ensure!(key & 7 == 2 && length <= bytes.len(), "unexpected answer");
        let (text, rest) = bytes.split_at(length);
        if key >> 3 == wanted {
            found.push(String::from_utf8(text.to_vec())?);
        }
        bytes = rest;
    }
    Ok(found)
}

fn number(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().context("answer is cut")?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    bail!("number is too long")
}

/// One unary gRPC call.
async fn call(port: u16, method: &str, message: &Message) -> Result<Bytes> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(u32::try_from(message.0.len())?);
    body.put_slice(&message.0);
    let request = Request::post(format!("http://127.0.0.1:{port}/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body.freeze()))?;
    let response = sender.send_request(request).await?;
    let early = response.headers().get("grpc-message").cloned();
    let collected = response.into_body().collect().await?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let bytes = collected.to_bytes();
    let status = trailers.get("grpc-status");
    if status.is_none_or(|status| status != "0") {
        let message = early.or_else(|| trailers.get("grpc-message").cloned());
        bail!("refused: {message:?}");
    }
    Ok(bytes.slice(5..))
}

/// Starts Redis and the repo-server; returns the port of the latter.
async fn repo_server(root: &Path, path: &Path, ca: &Path) -> Result<(Running, u16)> {
    let (redis, port, metrics) = (free_port()?, free_port()?, free_port()?);
    let mut running = Running(Vec::new());
    let quiet = |command: &mut Command| -> Result<Child> {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(root.join("argocd.log"))?;
        Ok(command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?)
    };
    let words = [
        "--port",
        &redis.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
    ];
    running.0.push(quiet(
        Command::new("redis-server").args(words).current_dir(root),
    )?);
    for folder in ["ssh", "tls", "gpg", "tmp", "home"] {
        fs::create_dir_all(root.join(folder))?;
    }
    write(&root.join("ssh/ssh_known_hosts"), b"")?;
    let mut server = Command::new(judge("argocd"));
    server
        .arg("--disable-tls")
        .args(["--address", "127.0.0.1", "--metrics-address", "127.0.0.1"])
        .args([
            "--port",
            &port.to_string(),
            "--metrics-port",
            &metrics.to_string(),
        ])
        .args([
            "--redis",
            &format!("127.0.0.1:{redis}"),
            "--loglevel",
            "debug",
        ])
        .env("ARGOCD_BINARY_NAME", "argocd-repo-server")
        .env("ARGOCD_GPG_ENABLED", "false")
        .env("ARGOCD_SSH_DATA_PATH", root.join("ssh"))
        .env("ARGOCD_TLS_DATA_PATH", root.join("tls"))
        .env("ARGOCD_GPG_DATA_PATH", root.join("gpg"))
        .env("HOME", root.join("home"))
        .env("TMPDIR", root.join("tmp"))
        .env("SSL_CERT_FILE", ca)
        .env("PATH", path);
    running.0.push(quiet(&mut server)?);
    eventually(
        "the repo-server listens",
        Duration::from_secs(60),
        || async {
            std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())
        },
    )
    .await;
    Ok((running, port))
}

fn git(folder: &Path, words: &[&str]) -> Result<()> {
    let done = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(words)
        .stdout(Stdio::null())
        .status()?;
    ensure!(done.success(), "git {words:?}");
    Ok(())
}

struct Sources {
    _twins: Twins,
    site: Site,
    registry: Registry,
    ca: PathBuf,
    repository: PathBuf,
}

/// One chart in an HTTP repository, one in a registry, one in Git that needs both.
async fn sources(root: &Path) -> Result<Sources> {
    let twins = Twins::new()?;
    let ca_folder = root.join("ca");
    let ca = Ca::open(&ca_folder, "test")?;
    let server = ca.issue_server(&["127.0.0.1"])?;
    let file = |name: &str| root.join(name).display().to_string();
    write(&root.join("server.crt"), server.certificate_pem.as_bytes())?;
    write(&root.join("server.key"), server.key_pem.as_bytes())?;
    write(&root.join("ca.crt"), ca.pem().as_bytes())?;
    let tls = format!(
        "  tls: {{certificate: {}, key: {}}}\n",
        file("server.crt"),
        file("server.key")
    );
    let accounts = Registry::accounts(root, "reader", PASSWORD)?;
    let registry = Registry::start(root, &tls, &accounts).await?;
    let (charts, site) = (root.join("charts"), root.join("site"));
    fs::create_dir(&site)?;
    for (name, version) in [("web", "1.2.0"), ("db", "0.4.0")] {
        chart(&charts, name, version)?;
        let path = charts.join(name).display().to_string();
        let target = if name == "web" {
            site.clone()
        } else {
            root.to_owned()
        };
        let target = target.display().to_string();
        twins.run(Program::Helm, &["package", &path, "-d", &target])?;
    }
    twins.run(
        Program::Helm,
        &["repo", "index", &site.display().to_string()],
    )?;
    let remote = format!("oci://{}", registry.name);
    let (archive, ca) = (file("db-0.4.0.tgz"), file("ca.crt"));
    let who = [
        "--username",
        "reader",
        "--password",
        PASSWORD,
        "--ca-file",
        &ca,
    ];
    let pushed = twins.run(
        Program::Helm,
        &[&["push", &archive, &remote], &who[..]].concat(),
    )?;
    ensure!(pushed.status.success(), "{pushed:?}");
    let repository = root.join("git");
    let about = format!(
        "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- name: web\n  version: ^1.0.0\n  \
         repository: \"@lab\"\n- name: db\n  version: ~0.4\n  repository: {remote}\n"
    );
    chart(&repository, "app", "1.0.0")?;
    write(&repository.join("app/Chart.yaml"), about.as_bytes())?;
    git(&repository, &["init", "-q", "-b", "main"])?;
    git(&repository, &["add", "."])?;
    git(&repository, &["commit", "-q", "-m", "app"])?;
    Ok(Sources {
        _twins: twins,
        site: Site::serve(site, Rules::default())?,
        registry,
        ca: root.join("ca.crt"),
        repository,
    })
}

#[tokio::test]
#[ignore = "needs the judge argocd, which takes minutes to build: cargo xtask helm argocd"]
async fn a_stock_repo_server_renders_with_our_helm() -> Result<()> {
    let root = tempfile::tempdir()?;
    let root = root.path();
    let sources = sources(root).await?;
    let bin = root.join("bin");
    fs::create_dir(&bin)?;
    // The real program, to see that the judge is asked rightly, then ours: a link is enough.
    let mut answers = Vec::new();
    for (turn, helm) in [judge("helm"), pilotis_binary()?].into_iter().enumerate() {
        let link = bin.join("helm");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(helm, &link)?;
        let path = format!("{}:{}", bin.display(), std::env::var("PATH")?);
        let world = root.join(format!("argocd-{turn}"));
        fs::create_dir(&world)?;
        let (_running, port) = repo_server(&world, Path::new(&path), &sources.ca).await?;
        let answer = call(
            port,
            "repository.RepoServerService/GenerateManifest",
            &request(&sources),
        )
        .await;
        let log = || fs::read_to_string(world.join("argocd.log")).unwrap_or_default();
        let answer = answer.with_context(log)?;
        let mut manifests = texts(&answer, 1)?;
        manifests.sort();
        let commands = texts(&answer, 8)?;
        assert!(
            commands
                .iter()
                .any(|command| command.starts_with("helm template"))
        );
        answers.push(manifests);
    }
    assert_eq!(answers[1], answers[0]);
    assert_eq!(answers[1].len(), 3, "{:?}", answers[1]);
    for name in ["shop-app", "shop-web", "shop-db"] {
        assert!(answers[1].iter().any(|one| one.contains(name)), "{name}");
    }
    Ok(())
}

/// A `ManifestRequest`: the application's Git repository, and the repositories it may use.
fn request(sources: &Sources) -> Message {
    let url = format!("file://{}", sources.repository.display());
    let git = Message::default().text(1, &url).text(11, "git");
    let source = Message::default()
        .text(1, &url)
        .text(2, "app")
        .text(4, "main");
    let lab = Message::default()
        .text(1, &sources.site.address)
        .text(11, "helm")
        .text(12, "lab");
    let registry = Message::default()
        .text(1, &sources.registry.name)
        .text(2, "reader")
        .text(3, PASSWORD)
        .text(11, "helm")
        .text(12, "registry")
        .switch(7)
        .switch(14);
    Message::default()
        .inner(1, &git)
        .text(2, "main")
        .switch(3)
        .text(5, "shop")
        .text(8, "default")
        .inner(10, &source)
        .inner(11, &lab)
        .inner(11, &registry)
        .text(14, "1.35.0")
        .text(15, "v1")
        .text(15, "apps/v1")
        .switch(18)
}
