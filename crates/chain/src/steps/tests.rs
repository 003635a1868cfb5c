//! The steps that judge, on a commit on disk, answers of the API written here, and a real registry.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube::client::Body;
use pilotis_check::decisions::{Decision, Derogation};
use pilotis_git::Repository as Git;
use pilotis_kinds::names::Slug;
use pilotis_kinds::pilotis::DeliveryStatus;
use pilotis_kinds::reason::Reason;
use pilotis_oci::{Descriptor, Digest, Image, Manifest, media};
use pilotis_signing::PrivateKey;
use pilotis_testkit::{eventually, free_port, judge};
use pilotis_transfer::{Credential, Endpoint, Source};
use serde_json::{Value, json};

use super::{Commit, inspect, verify};
use crate::gates::Outcome;
use crate::{Context, Settings};

/// The answers of the API, by path; nothing else is there.
type Answers = BTreeMap<&'static str, Value>;

const DEROGATIONS: &str = "/apis/pilotis.dev/v1alpha1/namespaces/project-bonjour/derogations";
const APPROVERS: &str = "/api/v1/namespaces/pilotis-system/configmaps/pilotis-approvers";
/// Two breaches in a chart that is not one: only `inspect` looks at it.
const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  type: NodePort\n";

struct World {
    context: Context,
    registry: Child,
    folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.registry.kill();
        let _ = self.registry.wait();
    }
}

async fn world(answers: Answers) -> World {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port().unwrap());
    let registry = Command::new(judge("crane"))
        .args(["registry", "serve", "--address", &address])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let endpoint = Endpoint {
        name: address,
        address: None,
        ca_pem: None,
        plain: true,
        credential: Credential::Anonymous,
    };
    let client = pilotis_transfer::Client::new(endpoint.clone()).unwrap();
    eventually("the registry answers", Duration::from_secs(20), || async {
        client.ping().await.map_err(|error| error.to_string())
    })
    .await;
    let settings = Settings {
        directory: folder.path().to_owned(),
        listeners: Vec::new(),
        tls: None,
        git_url: String::new(),
        builds: None,
        own_images: Vec::new(),
        registry: endpoint,
        ingress_port: 80,
        promotion_limit: Duration::from_secs(1),
        remotes: Default::default(),
        metrics: Default::default(),
    };
    let context = Context {
        client: kube_client(answers),
        settings,
        registry: client,
        key: key(7),
        pushes: tokio::sync::broadcast::channel(1).0,
    };
    World {
        context,
        registry,
        folder,
    }
}

fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_random(&[byte; 32].into()).unwrap()
}

fn kube_client(answers: Answers) -> kube::Client {
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let (status, body) = match answers.get(request.uri().path()) {
            Some(body) => (200, body.clone()),
            None => {
                let absent = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "message": "not found", "reason": "NotFound", "code": 404});
                (404, absent)
            }
        };
        let response = http::Response::builder()
            .status(status)
            .body(Body::from(body.to_string().into_bytes()));
        std::future::ready(response)
    });
    kube::Client::new(service, "default")
}

/// A commit of these files.
fn commit(world: &World, files: &[(&str, &str)]) -> Commit {
    let work = world.folder.path().join("work");
    for (path, text) in files {
        let path = work.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-qm", "premier"]);
    let git = Git::open(&work.join(".git")).unwrap();
    let id = git.resolve("HEAD").unwrap();
    let repository = json!({
        "apiVersion": "pilotis.dev/v1alpha1", "kind": "Repository",
        "metadata": {"name": "web", "namespace": "project-bonjour"}, "spec": {"hosted": {}},
    });
    let spec = json!({
        "repository": "web", "commit": id.to_string(), "ref": "refs/heads/main",
        "title": "premier", "author": "a",
    });
    Commit {
        slug: Slug::new("bonjour").unwrap(),
        namespace: "project-bonjour".to_owned(),
        delivery: "web-0123456789ab".to_owned(),
        spec: serde_json::from_value(spec).unwrap(),
        repository: serde_json::from_value(repository).unwrap(),
        git,
        id,
    }
}

fn git(folder: &Path, words: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@exemple.fr"];
    let mut command = Command::new("git");
    command.args(identity).args(words).current_dir(folder);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert!(command.status().unwrap().success(), "{words:?}");
}

fn derogation(subject: &str, object: &str) -> Derogation {
    Derogation {
        name: "d-2026-1".into(),
        project: "bonjour".into(),
        subject: subject.into(),
        object: Some(object.into()),
        file: None,
        reason: "migration".into(),
        cost_owner: "direction".into(),
        requester: "equipe".into(),
        approver: "rssi".into(),
        start: "2020-01-01T00:00:00Z".parse().unwrap(),
        end: "2200-01-01T00:00:00Z".parse().unwrap(),
    }
}

/// The objects of a platform where this derogation stands, signed by this key.
fn decided(derogation: &Derogation, signer: &PrivateKey) -> Answers {
    let envelope = Decision::Derogation(derogation.clone())
        .seal(signer)
        .unwrap();
    let object = json!({
        "apiVersion": "pilotis.dev/v1alpha1", "kind": "Derogation",
        "metadata": {"name": derogation.name, "namespace": "project-bonjour"},
        "spec": {
            "subject": derogation.subject, "object": derogation.object,
            "reason": derogation.reason, "costOwner": derogation.cost_owner,
            "requester": derogation.requester, "approver": derogation.approver,
            "start": derogation.start, "end": derogation.end, "envelope": envelope,
        },
    });
    let list = json!({"apiVersion": "pilotis.dev/v1alpha1", "kind": "DerogationList",
        "metadata": {}, "items": [object]});
    let approvers = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "pilotis-approvers", "namespace": "pilotis-system"},
        "data": {"rssi.pem": key(1).public().to_pem()}});
    [(DEROGATIONS, list), (APPROVERS, approvers)].into()
}

const SOURCES: [(&str, &str); 2] = [
    ("Dockerfile", "FROM scratch\nUSER 65532\n"),
    ("service.yaml", SERVICE),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_derogation_object_signed_by_an_approver_lets_a_commit_through_and_is_named() {
    let asked = derogation("EXI-ARCH-10", "Service/web");
    let world = world(decided(&asked, &key(1))).await;
    let commit = commit(&world, &SOURCES);
    let outcome = inspect::run(&commit, &world.context).await.unwrap();
    let Outcome::Passed { evidence, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let summary = &evidence[0].summary;
    assert!(summary.ends_with("covered by d-2026-1"), "{summary}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_other_derogation_object_lets_a_commit_through() {
    let asked = derogation("EXI-ARCH-10", "Service/web");
    let elsewhere = derogation("EXI-ARCH-10", "Service/autre");
    let over = Derogation {
        end: "2020-02-01T00:00:00Z".parse().unwrap(),
        ..asked.clone()
    };
    let unsigned = {
        let mut answers = decided(&asked, &key(1));
        let spec = &mut answers.get_mut(DEROGATIONS).unwrap()["items"][0]["spec"];
        spec.as_object_mut().unwrap().remove("envelope");
        answers
    };
    let cases = [
        ("nobody decided", Answers::new()),
        ("signed by somebody else", decided(&asked, &key(9))),
        ("about another object", decided(&elsewhere, &key(1))),
        ("over", decided(&over, &key(1))),
        ("a request", unsigned),
    ];
    for (why, answers) in cases {
        let world = world(answers).await;
        let commit = commit(&world, &SOURCES);
        let outcome = inspect::run(&commit, &world.context).await.unwrap();
        let Outcome::Failed { blocked, .. } = outcome else {
            panic!("{why}: {outcome:?}")
        };
        assert_eq!(blocked.rule.as_deref(), Some("service-node-port"), "{why}");
        assert_eq!(blocked.line, Some(6), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_commits_are_judged_with_the_sources() {
    let world = world(Answers::new()).await;
    let mut commit = commit(&world, &[SOURCES[0], ("src/app.py", "a = 1\n")]);
    let work = world.folder.path().join("work");
    std::fs::write(work.join("src/app.py"), "a = 2\n").unwrap();
    git(&work, &["commit", "-qam", "fix: le total"]);
    commit.id = commit.git.resolve("HEAD").unwrap();
    let outcome = inspect::run(&commit, &world.context).await.unwrap();
    let Outcome::Passed { reason, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let Reason::Judged { remarks, .. } = reason else {
        panic!("{reason:?}")
    };
    assert_eq!(remarks, 1, "a fix without its test");
}

/// Pushes an image of one layer and tells a delivery's status that names it.
async fn built(world: &World, image: Image, file: (&str, u32)) -> DeliveryStatus {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(file.1);
    header.set_size(2);
    tar.append_data(&mut header, file.0, &b"hi"[..]).unwrap();
    let layer = tar.into_inner().unwrap();
    let mut image = image;
    image.rootfs.diff_ids.push(Digest::sha256(&layer));
    let config = image.to_bytes();
    let described = Descriptor::of(media::LAYER_TAR, &layer);
    let manifest = Manifest::image(Descriptor::of(media::CONFIG, &config), vec![described]);
    let (registry, path) = (&world.context.registry, "bonjour/web");
    for bytes in [layer, config] {
        let source = Source::Bytes(bytes.into());
        registry.put_blob(path, &source).await.unwrap();
    }
    let bytes = manifest.to_bytes();
    let put = registry.put_manifest(path, media::MANIFEST, &bytes, &["1"]);
    put.await.unwrap();
    let digest = Digest::sha256(&bytes);
    DeliveryStatus {
        image: Some(format!("registry.pilotis.internal/{path}@{digest}")),
        ..DeliveryStatus::default()
    }
}

fn image(user: &str) -> Image {
    let mut image = Image::scratch("amd64");
    image.config.user = Some(user.to_owned());
    image
}

const CHARTED: [(&str, &str); 3] = [
    ("Dockerfile", "FROM scratch\nUSER 65532\n"),
    (
        "chart/Chart.yaml",
        "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    ),
    ("chart/values.yaml", "a: 1\n"),
];

async fn verified(answers: Answers, image: Image, file: (&str, u32)) -> Outcome {
    let world = world(answers).await;
    let commit = commit(&world, &CHARTED);
    let status = built(&world, image, file).await;
    verify::run(&commit, &status, &world.context).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_runs_as_root_stops_unless_a_derogation_covers_it() {
    let outcome = verified(Answers::new(), image("root"), ("etc/x", 0o644)).await;
    let Outcome::Failed { blocked, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(blocked.rule.as_deref(), Some("image-root-user"));
    assert_eq!(blocked.file.as_deref(), Some("Dockerfile"));
    let asked = derogation("image-root-user", "Image bonjour/web");
    let answers = decided(&asked, &key(1));
    let outcome = verified(answers, image("root"), ("etc/x", 0o644)).await;
    let Outcome::Passed { evidence, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let summaries: Vec<&str> = evidence.iter().map(|one| one.summary.as_str()).collect();
    assert!(
        summaries
            .iter()
            .any(|one| one.ends_with("covered by d-2026-1")),
        "{summaries:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_and_the_files_of_an_image_are_judged() {
    let good = verified(Answers::new(), image("65532"), ("etc/x", 0o644)).await;
    assert!(matches!(good, Outcome::Passed { .. }), "{good:?}");
    let mut secret = image("65532");
    secret.config.env = vec!["DB_PASSWORD=motdepasse-9".to_owned()];
    let cases = [
        (secret, ("etc/x", 0o644), "image-secret"),
        (image("65532"), ("opt/outil", 0o4755), "image-setuid"),
        (image("65532"), ("usr/sbin/sshd", 0o755), "image-ssh-server"),
    ];
    for (image, file, rule) in cases {
        let outcome = verified(Answers::new(), image, file).await;
        let Outcome::Failed {
            blocked, evidence, ..
        } = outcome
        else {
            panic!("{rule}: {outcome:?}")
        };
        assert_eq!(blocked.rule.as_deref(), Some(rule));
        assert_eq!(evidence.len(), 1);
        assert!(!format!("{blocked:?}").contains("motdepasse"));
    }
}
