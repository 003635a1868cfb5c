//! The registry as real clients see it: skopeo, crane and cosign over TLS, accounts from objects
//! of a real API server, and a builder pod's work with nothing but a capability.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use pilotis_build::{Layout, pod};
use pilotis_http::{Ca, Tls};
use pilotis_kinds::account::{Access, Account};
use pilotis_kinds::names::{REGISTRY_NAME, Slug};
use pilotis_oci::{Descriptor, Digest, Image, Manifest, Reference, media};
use pilotis_registry::{Limits, Settings};
use pilotis_signing as signing;
use pilotis_testkit::{Cluster, cluster, eventually, judge, pilotis_binary};
use pilotis_transfer::{Client, Credential, Endpoint, Source};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "not-a-persons-password";

struct World {
    root: tempfile::TempDir,
    address: SocketAddr,
    name: String,
    ca_pem: String,
    stop: CancellationToken,
    cluster: Cluster,
}

fn account(project: Option<&str>, name: &str, access: Access) -> String {
    let account = Account {
        name: name.to_owned(),
        project: project.map(|slug| Slug::new(slug).unwrap()),
        access,
    };
    format!("{}\n---\n", account.config_map(PASSWORD))
}

async fn world() -> World {
    let cluster = cluster().await.unwrap();
    let mut yaml = String::new();
    for namespace in ["project-p", "pilotis-system"] {
        yaml += &format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n---\n");
    }
    yaml += &account(Some("p"), "chain", Access::Push);
    yaml += &account(Some("q"), "chain", Access::Push);
    yaml += &account(None, "platform", Access::Admin);
    // What a team writes in its own namespace is no account, whatever it says.
    let own = account(None, "intruder", Access::Admin);
    yaml += &own.replace("\"pilotis-system\"", "\"project-p\"");
    cluster.apply(&yaml).unwrap();
    let root = tempfile::tempdir().unwrap();
    let ca = Ca::open(&root.path().join("ca"), "test").unwrap();
    let identity = ca.issue_server(&["localhost", "127.0.0.1"]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let name = format!("localhost:{}", address.port());
    let settings = Settings {
        directory: root.path().join("registry"),
        name: name.clone(),
        listeners: vec![listener],
        tls: Some(Tls::new(&identity, None).unwrap()),
        token_key: [7; 32],
        limits: Limits::default(),
    };
    let stop = CancellationToken::new();
    let client = cluster.client().await.unwrap();
    tokio::spawn(pilotis_registry::run(client, settings, stop.clone()));
    let world = World {
        address,
        name,
        ca_pem: ca.pem().to_owned(),
        stop,
        root,
        cluster,
    };
    std::fs::create_dir(world.path("docker")).unwrap();
    let login = base64::engine::general_purpose::STANDARD.encode(format!("p+chain:{PASSWORD}"));
    let login = serde_json::json!({"auth": login});
    let config = serde_json::json!({"auths": {&world.name: login, REGISTRY_NAME: login}});
    std::fs::write(world.path("docker/config.json"), config.to_string()).unwrap();
    let probe = world.client("p+chain");
    eventually("accounts are known", Duration::from_secs(30), || async {
        probe
            .has_blob("p/none", &Digest::sha256(b""))
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    world
}

impl World {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    fn client(&self, user: &str) -> Client {
        let credential = Credential::Basic {
            user: user.to_owned(),
            password: PASSWORD.to_owned(),
        };
        self.client_with(credential)
    }

    fn client_with(&self, credential: Credential) -> Client {
        Client::new(Endpoint {
            name: self.name.clone(),
            address: Some(self.address),
            ca_pem: Some(self.ca_pem.clone()),
            plain: false,
            credential,
        })
        .unwrap()
    }

    /// Runs a client that finds our authority and account where such clients look.
    async fn run(&self, program: &Path, words: &[&str]) -> Result<String, String> {
        let mut command = tokio::process::Command::new(program);
        command
            .args(words)
            .current_dir(self.root.path())
            .env("DOCKER_CONFIG", self.path("docker"))
            .env("SSL_CERT_FILE", self.path("ca/ca.crt"))
            .env("HOME", self.root.path());
        let output = command
            .output()
            .await
            .unwrap_or_else(|e| panic!("{program:?}: {e}"));
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// An image of one layer in a layout.
fn image(layout: &Layout, content: &str) -> Descriptor {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, "file", content.as_bytes())
        .unwrap();
    let layer = tar.into_inner().unwrap();
    let mut image = Image::scratch("amd64");
    image.rootfs.diff_ids.push(Digest::sha256(&layer));
    let config = layout.put(media::CONFIG, &image.to_bytes()).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&layer).unwrap();
    let layer = layout
        .put(media::LAYER_GZIP, &gzip.finish().unwrap())
        .unwrap();
    let manifest = Manifest::image(config, vec![layer]);
    let manifest = layout.put(media::MANIFEST, &manifest.to_bytes()).unwrap();
    layout.publish(&manifest, Some("latest")).unwrap();
    manifest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_push_pull_sign_and_build() {
    let world = world().await;
    skopeo_copies_both_ways_and_respects_projects(&world).await;
    crane_reads_what_we_wrote(&world).await;
    pilotis_check_judges_what_crane_pushed(&world).await;
    cosign_accepts_our_signatures(&world).await;
    a_builder_needs_only_its_capability(&world).await;
    world.stop.cancel();
}

async fn skopeo_copies_both_ways_and_respects_projects(world: &World) {
    let layout = Layout::open(&world.path("layout")).unwrap();
    let manifest = image(&layout, "bonjour");
    let skopeo = Path::new("skopeo");
    std::fs::create_dir(world.path("certs")).unwrap();
    std::fs::copy(world.path("ca/ca.crt"), world.path("certs/ca.crt")).unwrap();
    let remote = format!("docker://{}/p/app:v1", world.name);
    let own = format!("p+chain:{PASSWORD}");
    let push = |credentials: &str| {
        let words = [
            "copy",
            "--preserve-digests",
            "--dest-cert-dir",
            "certs",
            "--dest-creds",
            credentials,
        ];
        words.map(str::to_owned).to_vec()
    };
    let mut words = push(&own);
    words.extend(["oci:layout:latest".to_owned(), remote.clone()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    world.run(skopeo, &words).await.unwrap();
    let pull = [
        "copy",
        "--preserve-digests",
        "--src-cert-dir",
        "certs",
        "--src-creds",
        &own,
        &remote,
        "oci:back:latest",
    ];
    world.run(skopeo, &pull).await.unwrap();
    let index = std::fs::read_to_string(world.path("back/index.json")).unwrap();
    assert!(index.contains(&manifest.digest.to_string()), "{index}");
    let list = ["list-tags", "--cert-dir", "certs", "--creds", &own];
    let name = format!("docker://{}/p/app", world.name);
    let tags = world
        .run(skopeo, &[&list[..], &[&name]].concat())
        .await
        .unwrap();
    assert!(tags.contains("\"v1\""), "{tags}");
    for other in ["q+chain", "intruder", "p+intruder"] {
        let other = format!("{other}:{PASSWORD}");
        let stolen = [
            "copy",
            "--preserve-digests",
            "--src-cert-dir",
            "certs",
            "--src-creds",
            &other,
            &remote,
            "oci:no:latest",
        ];
        let refused = world.run(skopeo, &stolen).await.unwrap_err();
        assert!(
            refused.contains("denied") || refused.contains("unauthorized"),
            "{other}: {refused}"
        );
    }
}

async fn crane_reads_what_we_wrote(world: &World) {
    let image = format!("{}/p/app:v1", world.name);
    let digest = world
        .run(&judge("crane"), &["digest", &image])
        .await
        .unwrap();
    let ours = world
        .client("p+chain")
        .resolve("p/app", "v1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(digest, ours.digest.to_string());
    world
        .run(&judge("crane"), &["validate", "--remote", &image])
        .await
        .unwrap();
    world
        .run(&judge("crane"), &["tag", &image, "v2"])
        .await
        .unwrap();
    assert_eq!(
        world.client("p+chain").tags("p/app").await.unwrap(),
        ["v1", "v2"]
    );
}

/// The binary's own verdict on an image that crane pushed, by its name in this registry.
async fn pilotis_check_judges_what_crane_pushed(world: &World) {
    let layout = Layout::open(&world.path("judged")).unwrap();
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n";
    image(&layout, key);
    let name = format!("{}/p/judged:v1", world.name);
    let crane = judge("crane");
    world.run(&crane, &["push", "judged", &name]).await.unwrap();
    let pilotis = pilotis_binary().unwrap();
    let check = ["check", "--fail-on", "never", "-o", "json"];
    let found = world.run(&pilotis, &[&check[..], &[&name]].concat()).await;
    let report: serde_json::Value = serde_json::from_str(&found.unwrap()).unwrap();
    let rules: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    for rule in ["image-root-user", "image-secret"] {
        assert!(rules.contains(&rule), "{rule}: {report}");
    }
    assert!(!report.to_string().contains("b3BlbnN"));
    let absent = format!("{}/p/judged:v2", world.name);
    let refused = world
        .run(&pilotis, &[&check[..], &[&absent]].concat())
        .await;
    let refused = refused.unwrap_err();
    assert!(refused.starts_with("error: cannot fetch "), "{refused}");
    let foreign = format!("{}/q/judged:v1", world.name);
    let refused = world
        .run(&pilotis, &[&check[..], &[&foreign]].concat())
        .await;
    let refused = refused.unwrap_err();
    assert!(refused.contains("hint: `docker login"), "{refused}");
    the_instance_s_own_registry_is_found_by_its_name(world, &pilotis).await;
}

/// The stable name leads to where the instance of the data directory listens.
async fn the_instance_s_own_registry_is_found_by_its_name(world: &World, pilotis: &Path) {
    let (name, stop) = (REGISTRY_NAME, CancellationToken::new());
    let ca = Ca::open(&world.path("ca"), "test").unwrap();
    let identity = ca.issue_server(&[name]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings {
        directory: world.path("own"),
        name: name.to_owned(),
        listeners: vec![listener],
        tls: Some(Tls::new(&identity, None).unwrap()),
        token_key: [8; 32],
        limits: Limits::default(),
    };
    let cluster = world.cluster.client().await.unwrap();
    tokio::spawn(pilotis_registry::run(cluster, settings, stop.clone()));
    let endpoint = Endpoint {
        name: name.to_owned(),
        address: Some(address),
        ca_pem: Some(world.ca_pem.clone()),
        plain: false,
        credential: Credential::Basic {
            user: "p+chain".to_owned(),
            password: PASSWORD.to_owned(),
        },
    };
    let client = Client::new(endpoint).unwrap();
    eventually("accounts are known", Duration::from_secs(30), || async {
        let known = client.has_blob("p/none", &Digest::sha256(b"")).await;
        known.map_err(|error| error.to_string())
    })
    .await;
    let layout = Layout::open(&world.path("judged")).unwrap();
    let manifest = image(&layout, "bonjour");
    let bytes = layout.read(&manifest).unwrap();
    let (parsed, _) = layout.image(&manifest).unwrap();
    for blob in parsed.layers.iter().chain([&parsed.config]) {
        let bytes = layout.read(blob).unwrap();
        let source = Source::Bytes(bytes.into());
        client.put_blob("p/own", &source).await.unwrap();
    }
    let put = client.put_manifest("p/own", media::MANIFEST, &bytes, &["v1"]);
    put.await.unwrap();
    let data = world.path("data");
    std::fs::create_dir(&data).unwrap();
    let endpoints = serde_json::json!({
        "api": "", "registry": format!("https://{address}"), "pid": 1, "version": "",
    });
    std::fs::write(data.join("endpoints.json"), endpoints.to_string()).unwrap();
    std::fs::write(data.join("ca.crt"), &world.ca_pem).unwrap();
    let lock = std::fs::File::create(data.join("lock")).unwrap();
    lock.try_lock().unwrap();
    let reference = format!("{name}/p/own:v1");
    let data = data.to_str().unwrap();
    let words = [
        "check",
        "--fail-on",
        "never",
        "--data-dir",
        data,
        &reference,
    ];
    let report = world.run(pilotis, &words).await.unwrap();
    assert!(report.contains("l'image tourne en root"), "{report}");
    stop.cancel();
}

async fn push(client: &Client, repository: &str, artifact: &signing::Artifact) {
    for blob in &artifact.blobs {
        client
            .put_blob(repository, &Source::Bytes(blob.clone().into()))
            .await
            .unwrap();
    }
    let tags: Vec<&str> = artifact.tag.as_deref().into_iter().collect();
    client
        .put_manifest(repository, media::MANIFEST, &artifact.manifest, &tags)
        .await
        .unwrap();
}

fn some_build() -> signing::Build {
    signing::Build {
        build_type: "https://pilotis.dev/build/dockerfile/v1".to_owned(),
        builder: "https://pilotis.dev/builder".to_owned(),
        parameters: serde_json::json!({}),
        materials: vec![],
        invocation: "1".to_owned(),
        started: "2026-01-01T00:00:00Z".to_owned(),
        finished: "2026-01-01T00:00:01Z".to_owned(),
    }
}

async fn cosign_accepts_our_signatures(world: &World) {
    let client = world.client("p+chain");
    let subject = client.resolve("p/app", "v1").await.unwrap().unwrap();
    let key = signing::PrivateKey::from_random(&zeroize::Zeroizing::new([7; 32])).unwrap();
    let other = signing::PrivateKey::from_random(&zeroize::Zeroizing::new([8; 32])).unwrap();
    std::fs::write(world.path("key.pub"), key.public().to_pem()).unwrap();
    std::fs::write(world.path("other.pub"), other.public().to_pem()).unwrap();
    let name: Reference = format!("{}/p/app", world.name).parse().unwrap();
    let pinned = name.at(subject.digest.clone()).to_string();
    let cosign = judge("cosign");
    let verify = |key: &'static str| {
        [
            "verify",
            "--key",
            key,
            "--private-infrastructure",
            pinned.as_str(),
        ]
        .map(str::to_owned)
    };
    let run = |words: [String; 5]| async move {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        world.run(&judge("cosign"), &words).await
    };
    run(verify("key.pub"))
        .await
        .expect_err("nothing is signed yet");
    push(
        &client,
        "p/app",
        &signing::simple_signature(&name, &subject.digest, &key),
    )
    .await;
    run(verify("key.pub")).await.unwrap();
    run(verify("other.pub"))
        .await
        .expect_err("another key did not sign");
    push(&client, "p/app", &signing::bundle_signature(&subject, &key)).await;
    run(verify("key.pub")).await.unwrap();
    let build = some_build();
    let statement = signing::provenance(&name.to_string(), &subject.digest, &build);
    push(
        &client,
        "p/app",
        &signing::bundle_attestation(&subject, &statement, &key),
    )
    .await;
    let attested = |key| {
        [
            "verify-attestation",
            "--key",
            key,
            "--private-infrastructure",
            "--type",
            "slsaprovenance1",
            &pinned,
        ]
    };
    world.run(&cosign, &attested("key.pub")).await.unwrap();
    world
        .run(&cosign, &attested("other.pub"))
        .await
        .expect_err("another key did not attest");
}

async fn a_builder_needs_only_its_capability(world: &World) {
    let layout = Layout::open(&world.path("base")).unwrap();
    let base = image(&layout, "base");
    let platform = world.client("platform");
    pilotis_build::registry::push(&platform, "base/small", &layout, &base, &["latest"])
        .await
        .unwrap();
    let dockerfile = format!(
        "FROM {}/base/small\nCOPY hello /hello\nUSER 65532\n",
        world.name
    );
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [("Dockerfile", dockerfile.as_str()), ("hello", "bonjour\n")] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let client = world.client("p+chain");
    let context = Source::Bytes(tar.into_inner().unwrap().into());
    let (context, size) = client.put_blob("p/built", &context).await.unwrap();
    let context = Descriptor::new(media::LAYER_TAR, context, size);
    let token = client.upload_capability("p/built", &[], 300).await.unwrap();
    let task = pod::Task {
        registry: world.name.clone(),
        address: Some(world.address),
        ca: Some(world.ca_pem.clone()),
        plain: false,
        token: token.clone(),
        repository: "p/built".to_owned(),
        context,
        dockerfile: "Dockerfile".to_owned(),
        target: None,
        arguments: Default::default(),
        epoch: 1_700_000_000,
        work: world.path("work"),
    };
    let again = task.clone();
    let built = tokio::task::spawn_blocking(move || pod::run(&task))
        .await
        .unwrap()
        .unwrap();
    let digest = built.manifest.digest.to_string();
    assert!(client.resolve("p/built", &digest).await.unwrap().is_some());
    assert_eq!(client.tags("p/built").await.unwrap(), Vec::<String>::new());
    assert_eq!(built.bases[0].manifest.digest, base.digest);
    let (_, config) = layout_of(&world.path("work/layout"), &built.manifest);
    assert_eq!(config.config.user.as_deref(), Some("65532"));
    let used_up = tokio::task::spawn_blocking(move || pod::run(&again))
        .await
        .unwrap();
    used_up.expect_err("a capability works once");
    let stolen = world.client_with(Credential::Bearer(token));
    stolen
        .manifest("p/app", "v1")
        .await
        .expect_err("it never reached other repositories");
}

fn layout_of(path: &Path, manifest: &Descriptor) -> (Manifest, Image) {
    Layout::open(path).unwrap().image(manifest).unwrap()
}
