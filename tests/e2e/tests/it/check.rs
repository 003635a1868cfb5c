//! `pilotis check` as somebody types it: history, patches, decisions, exit codes.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Result, bail};
use pilotis_testkit::{Cluster, cluster, eventually, judge, pilotis_binary};
use serde_json::Value;

fn check(directory: &Path, words: &[&str]) -> Result<Output> {
    let mut command = Command::new(pilotis_binary()?);
    Ok(command
        .current_dir(directory)
        .arg("check")
        .args(words)
        .output()?)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn report(output: &Output) -> Result<Value> {
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn git(directory: &Path, words: &[&str]) -> Result<()> {
    let status = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.fr"])
        .args(words)
        .status()?;
    match status.success() {
        true => Ok(()),
        false => bail!("git {words:?} failed"),
    }
}

#[test]
fn a_secret_that_was_removed_is_found_in_the_history_and_never_shown() -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = root.path();
    git(path, &["init", "--quiet"])?;
    std::fs::write(path.join(".env"), "DB_PASSWORD=vieux-secret\n")?;
    git(path, &["add", "--all"])?;
    git(path, &["commit", "--quiet", "--message", "first"])?;
    std::fs::write(path.join(".env"), "DB_PASSWORD=\n")?;
    git(path, &["commit", "--quiet", "--all", "--message", "second"])?;

    let output = check(path, &["-o", "json"])?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(!text(&output).contains("vieux-secret"));
    let finding = &report(&output)?["findings"][0];
    assert_eq!(finding["rule"], "history-secret");
    assert_eq!(
        (&finding["file"], &finding["line"]),
        (&".env".into(), &1.into())
    );
    assert_eq!(check(path, &["--no-history"])?.status.code(), Some(0));
    Ok(())
}

#[test]
fn patches_are_shown_then_applied() -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = root.path();
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  type: NodePort\n";
    std::fs::write(path.join("service.yaml"), service)?;
    // A link that loops and one that leaves the folder are left alone.
    std::os::unix::fs::symlink(".", path.join("loop"))?;
    std::os::unix::fs::symlink("/etc/passwd", path.join("out.yaml"))?;

    assert_eq!(check(path, &[])?.status.code(), Some(1));
    let shown = check(path, &["--fix", "--dry-run"])?;
    assert!(
        text(&shown).contains("+  type: ClusterIP"),
        "{}",
        text(&shown)
    );
    assert_eq!(std::fs::read_to_string(path.join("service.yaml"))?, service);
    let fixed = check(path, &["--fix"])?;
    assert_eq!(fixed.status.code(), Some(0), "{}", text(&fixed));
    let expected = service.replace("NodePort", "ClusterIP");
    assert_eq!(
        std::fs::read_to_string(path.join("service.yaml"))?,
        expected
    );
    assert_eq!(check(path, &["absent"])?.status.code(), Some(2));
    Ok(())
}

#[test]
fn the_framework_is_listed_and_explained() -> Result<()> {
    let here = Path::new(".");
    let list = text(&check(here, &["list"])?);
    assert_eq!(list.lines().count(), 55);
    assert!(list.contains("EXI-ARCH-18"));
    assert!(text(&check(here, &["show", "exi-arch-18"])?).contains("container-privileged"));
    let twice = text(&check(here, &["show", "EXI-ORG-17"])?);
    assert!(twice.contains("EXI-ORG-17a") && twice.contains("EXI-ORG-17b"));
    assert!(text(&check(here, &["show", "DL3007"])?).contains("dockerfile-base-tag"));
    assert_eq!(
        check(here, &["show", "EXI-ARCH-99"])?.status.code(),
        Some(2)
    );
    serde_json::from_str::<Value>(&text(&check(here, &["schema"])?))?;
    Ok(())
}

#[test]
fn a_signed_derogation_unblocks_and_a_key_of_the_repository_does_not() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (tree, keys) = (root.path().join("tree"), root.path().join("approvers"));
    std::fs::create_dir_all(tree.join(".pilotis/decisions"))?;
    std::fs::create_dir_all(&keys)?;
    std::fs::write(tree.join("Dockerfile"), "FROM node:22\nUSER root\n")?;
    let key = root.path().join("rssi.key");
    openssl(
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
        ],
        &key,
    )?;
    let key_text = key.to_string_lossy().into_owned();
    openssl(
        &["pkey", "-in", &key_text, "-pubout", "-out"],
        &keys.join("rssi.pem"),
    )?;
    let words = [
        "derogate",
        "d-1",
        "--project",
        "bonjour",
        "--subject",
        "dockerfile-root-user",
        "--reason",
        "migration",
        "--cost-owner",
        "direction",
        "--requester",
        "equipe",
        "--approver",
        "rssi",
        "--end",
        "2999-01-01T00:00:00Z",
        "--key",
        &key_text,
    ];
    let signed = check(&tree, &words)?;
    assert_eq!(signed.status.code(), Some(0), "{}", text(&signed));
    std::fs::write(tree.join(".pilotis/decisions/d-1.json"), &signed.stdout)?;

    let approvers = keys.to_string_lossy().into_owned();
    let with = ["--project", "bonjour", "--approvers", &approvers];
    let output = check(&tree, &with)?;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("d-1"), "{}", text(&output));
    assert_eq!(
        check(&tree, &["--project", "bonjour"])?.status.code(),
        Some(1)
    );
    let other = ["--project", "autre", "--approvers", &approvers];
    assert_eq!(check(&tree, &other)?.status.code(), Some(1));
    std::fs::create_dir(tree.join("keys"))?;
    std::fs::copy(keys.join("rssi.pem"), tree.join("keys/rssi.pem"))?;
    let inside = ["--project", "bonjour", "--approvers", "keys"];
    assert_eq!(check(&tree, &inside)?.status.code(), Some(2));
    Ok(())
}

fn openssl(words: &[&str], last: &Path) -> Result<()> {
    let output = Command::new("openssl").args(words).arg(last).output()?;
    match output.status.success() {
        true => Ok(()),
        false => bail!("openssl: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn run(program: &str, directory: &Path, words: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .current_dir(directory)
        .args(words)
        .output()?;
    match output.status.success() {
        true => Ok(()),
        false => bail!("{program} {words:?} failed: {}", text(&output)),
    }
}

/// A key pair of openssl: PKCS#8 and SPKI, PEM.
fn keys(directory: &Path) -> Result<()> {
    let make = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        "rssi.key",
    ];
    run("openssl", directory, &make)?;
    run(
        "openssl",
        directory,
        &["pkey", "-in", "rssi.key", "-pubout", "-out", "rssi.pem"],
    )
}

#[test]
fn an_archive_of_docker_save_is_judged_and_a_broken_one_is_refused() -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = root.path();
    let layer = path.join("layer/usr/bin");
    std::fs::create_dir_all(&layer)?;
    std::fs::write(layer.join("sudo"), "x")?;
    run("chmod", path, &["4755", "layer/usr/bin/sudo"])?;
    std::fs::create_dir(path.join("image"))?;
    run("tar", path, &["-cf", "image/layer.tar", "-C", "layer", "."])?;
    std::fs::write(
        path.join("image/config.json"),
        r#"{"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
            "config": {"User": "1000", "Env": ["API_TOKEN=vieux-secret"], "ExposedPorts": {"22/tcp": {}}}}"#,
    )?;
    let manifest = r#"[{"Config": "config.json", "RepoTags": ["web:1"], "Layers": ["layer.tar"]}]"#;
    std::fs::write(path.join("image/manifest.json"), manifest)?;
    run("tar", path, &["-cf", "web.tar", "-C", "image", "."])?;
    let output = check(path, &["web.tar", "-o", "json"])?;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(!text(&output).contains("vieux-secret"));
    let report = report(&output)?;
    let rules: Vec<&str> = report["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|f| f["rule"].as_str())
        .collect();
    for rule in ["image-port", "image-secret", "image-setuid"] {
        assert!(rules.contains(&rule), "{rule}: {rules:?}");
    }
    assert!(!rules.contains(&"image-root-user"), "{rules:?}");
    std::fs::write(path.join("image/config.json"), "{")?;
    run("tar", path, &["-cf", "broken.tar", "-C", "image", "."])?;
    let broken = check(path, &["broken.tar"])?;
    assert_eq!(broken.status.code(), Some(2), "{}", text(&broken));
    assert!(
        text(&broken).contains("its configuration is malformed"),
        "{}",
        text(&broken)
    );
    Ok(())
}

#[test]
fn a_report_is_signed_as_cosign_verifies_and_a_changed_one_is_refused() -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = root.path();
    std::fs::create_dir(path.join("app"))?;
    std::fs::write(path.join("app/Dockerfile"), "FROM scratch\nUSER 1\n")?;
    keys(path)?;
    let output = check(path, &["app", "--report", "annexe", "--key", "rssi.key"])?;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let verify = || check(path, &["verify", "annexe", "--key", "rssi.pem"]);
    assert_eq!(verify()?.status.code(), Some(0), "{}", text(&verify()?));
    for name in ["report.json", "report.html", "statement.json"] {
        let (signature, file) = (format!("annexe/{name}.sig"), format!("annexe/{name}"));
        let words = [
            "verify-blob",
            "--insecure-ignore-tlog",
            "--key",
            "rssi.pem",
            "--signature",
            &signature,
            &file,
        ];
        run(&judge("cosign").display().to_string(), path, &words)?;
    }
    let page = path.join("annexe/report.html");
    let text_of = std::fs::read_to_string(&page)?;
    assert!(text_of.contains("<html lang=\"fr\">") && !text_of.contains("<script"));
    std::fs::write(&page, text_of + " ")?;
    assert_eq!(verify()?.status.code(), Some(1));
    // A file and its signature taken from another report are signed, and not what was stated.
    check(
        path,
        &[
            "app", "--report", "autre", "--key", "rssi.key", "--lang", "en",
        ],
    )?;
    for name in ["report.html", "report.html.sig"] {
        std::fs::copy(
            path.join("autre").join(name),
            path.join("annexe").join(name),
        )?;
    }
    let mixed = verify()?;
    assert!(
        text(&mixed).contains("about other files"),
        "{}",
        text(&mixed)
    );
    Ok(())
}

#[test]
fn what_is_new_since_a_base_is_told() -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = root.path();
    git(path, &["init", "--quiet", "--initial-branch", "main"])?;
    std::fs::write(path.join("Dockerfile"), "FROM scratch\nEXPOSE 80\nUSER 1\n")?;
    git(path, &["add", "--all"])?;
    git(path, &["commit", "--quiet", "--message", "first"])?;
    let same = check(path, &["--base", "main", "-o", "json"])?;
    assert_eq!(
        report(&same)?["findings"][0]["new"],
        false,
        "{}",
        text(&same)
    );
    std::fs::write(
        path.join("Dockerfile"),
        "FROM scratch\nEXPOSE 80 81\nUSER 1\n",
    )?;
    let more = check(path, &["--base", "main"])?;
    let shown = text(&more);
    assert!(
        shown.contains("nouveau depuis main")
            && shown.contains("plus de constats que main : P 1 → 2"),
        "{shown}"
    );
    let unknown = check(path, &["--base", "none"])?;
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
    Ok(())
}

#[test]
fn a_huge_file_is_named_and_not_read() -> Result<()> {
    let root = tempfile::tempdir()?;
    let path = root.path();
    std::fs::File::create(path.join("huge.yaml"))?.set_len(200 << 20)?;
    std::fs::write(path.join("Dockerfile"), "FROM scratch\nUSER 1\n")?;
    let output = check(path, &[])?;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(
        text(&output).contains("huge.yaml: plus de 4 Mio"),
        "{}",
        text(&output)
    );
    Ok(())
}

/// What a team has put there by hand: a Service that only marks say GitOps brought.
const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: p-prod}\n---\napiVersion: v1\nkind: Namespace\n\
         metadata: {name: project-p}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: pilotis-system}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: p-prod\n  annotations: \
         {argocd.argoproj.io/tracking-id: 'p:/Service:p-prod/web'}\nspec:\n  type: NodePort\n  ports: [{port: 80}]\n";

/// A derogation of the project, signed, as an object.
fn derogation(path: &Path) -> Result<Output> {
    let words = [
        "derogate",
        "d-1",
        "--project",
        "p",
        "--subject",
        "EXI-ARCH-10",
        "--reason",
        "pilote",
        "--cost-owner",
        "dsi",
        "--requester",
        "equipe",
        "--approver",
        "rssi",
        "--end",
        "2099-01-01T00:00:00Z",
        "--key",
        "rssi.key",
        "--as-object",
    ];
    check(path, &words)
}

/// A namespace of a real API server, judged through a kubeconfig, with a derogation as an object.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_namespace_is_judged_and_a_signed_object_sets_a_rule_aside() -> Result<()> {
    let cluster: Cluster = cluster().await?;
    let root = tempfile::tempdir()?;
    let path = root.path();
    keys(path)?;
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let judge_it = || {
        check(
            path,
            &[
                "--live",
                "-e",
                "prod",
                "--project",
                "p",
                "--kubeconfig",
                &kubeconfig,
                "-o",
                "json",
            ],
        )
    };
    let absent = judge_it()?;
    assert_eq!(absent.status.code(), Some(2), "{}", text(&absent));
    cluster.apply(NAMESPACE)?;
    cluster.apply(pilotis_kinds::PILOTIS_CRDS)?;
    let found = judge_it()?;
    assert_eq!(found.status.code(), Some(1), "{}", text(&found));
    let value = report(&found)?;
    let finding = &value["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["object"]),
        (&"service-node-port".into(), &"Service/web".into()),
        "{value}"
    );
    let pem = std::fs::read_to_string(path.join("rssi.pem"))?.replace('\n', "\n    ");
    cluster.apply(&format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: pilotis-approvers, namespace: pilotis-system}}\ndata:\n  rssi.pem: |\n    {pem}\n"
    ))?;
    let object = derogation(path)?;
    let object_text = String::from_utf8_lossy(&object.stdout).into_owned();
    // A kind is served a moment after it was defined.
    eventually("the kind is served", Duration::from_secs(30), || {
        let applied = cluster
            .apply(&object_text)
            .map_err(|error| format!("{error:#}"));
        async move { applied }
    })
    .await;
    let covered = judge_it()?;
    assert_eq!(covered.status.code(), Some(0), "{}", text(&covered));
    assert_eq!(report(&covered)?["findings"][0]["derogation"], "d-1");
    // Whoever may write objects may not write what was not signed.
    let changed = object_text.replace("2099-01-01", "2199-01-01");
    cluster.apply(&changed)?;
    assert_eq!(judge_it()?.status.code(), Some(1));
    Ok(())
}
