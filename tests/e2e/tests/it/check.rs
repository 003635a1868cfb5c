//! `pilotis check` as somebody types it: history, patches, decisions, exit codes.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, bail};
use pilotis_testkit::pilotis_binary;
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
