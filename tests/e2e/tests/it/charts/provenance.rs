//! Provenance: what one program signs, the other verifies.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::world::{Program, Registry, Rules, Site, Twins, chart, write};

/// Makes a key with GnuPG and exports it as the files older programs read.
fn key(folder: &Path, name: &str, passphrase: &str) -> Result<()> {
    let home = folder.join("gnupg");
    fs::create_dir_all(&home)?;
    std::os::unix::fs::PermissionsExt::set_mode(&mut fs::metadata(&home)?.permissions(), 0o700);
    let gpg = |words: &[&str]| -> Result<Vec<u8>> {
        let output = Command::new("gpg")
            .arg("--homedir")
            .arg(&home)
            .args([
                "--batch",
                "--pinentry-mode",
                "loopback",
                "--passphrase",
                passphrase,
            ])
            .args(words)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    };
    gpg(&["--quick-gen-key", name, "rsa2048", "sign", "never"])?;
    write(&folder.join("pubring.gpg"), &gpg(&["--export"])?)?;
    write(
        &folder.join("secring.gpg"),
        &gpg(&["--export-secret-keys"])?,
    )?;
    let _ = Command::new("gpgconf")
        .arg("--homedir")
        .arg(&home)
        .args(["--kill", "all"])
        .status();
    Ok(())
}

#[tokio::test]
async fn each_program_verifies_what_the_other_signed() -> Result<()> {
    let twins = Twins::new()?;
    let root = twins.root.path();
    key(
        &root.join("keys"),
        "Signer <signer@example.org>",
        "open sesame",
    )?;
    key(&root.join("others"), "Other <other@example.org>", "x")?;
    let file = |name: &str| root.join(name).display().to_string();
    write(&root.join("passphrase"), b"open sesame\n")?;
    let (public, secret) = (file("keys/pubring.gpg"), file("keys/secring.gpg"));
    let (passphrase, stranger) = (file("passphrase"), file("others/pubring.gpg"));
    let sign = [
        "package",
        "web",
        "--sign",
        "--key",
        "signer@example.org",
        "--keyring",
        &secret,
        "--passphrase-file",
        &passphrase,
    ];
    for (from, to) in [
        (Program::Pilotis, Program::Helm),
        (Program::Helm, Program::Pilotis),
    ] {
        chart(&twins.home(from), "web", "1.0.0")?;
        let signed = twins.run(from, &sign)?;
        assert!(signed.status.success(), "{signed:?}");
        for name in ["web-1.0.0.tgz", "web-1.0.0.tgz.prov"] {
            twins.share(from, name)?;
        }
        let told = twins.same(&["verify", "web-1.0.0.tgz", "--keyring", &public])?;
        assert!(
            told.contains("Signed by: Signer <signer@example.org>"),
            "{told}"
        );
        assert!(told.starts_with("exit Some(0)"), "{to:?}: {told}");
    }
    let verify = ["verify", "web-1.0.0.tgz", "--keyring"];
    twins.same(&[&verify[..], &[&stranger]].concat())?;
    twins.same(&[&verify[..], &["none.gpg"]].concat())?;
    twins.same(&["verify", "web", "--keyring", &public])?;
    twins.same(&["verify"])?;
    twins.same(&[&verify[..], &[&public]].concat())?;
    // Through a repository and a registry.
    let site = root.join("site");
    fs::create_dir(&site)?;
    for name in ["web-1.0.0.tgz", "web-1.0.0.tgz.prov"] {
        fs::copy(twins.home(Program::Helm).join(name), site.join(name))?;
    }
    twins.run(
        Program::Helm,
        &["repo", "index", &site.display().to_string()],
    )?;
    let site = Site::serve(site, Rules::default())?;
    let registry = Registry::start(root, "", "").await?;
    let remote = format!("oci://{}/charts", registry.name);
    twins.same(&["push", "web-1.0.0.tgz", &remote, "--plain-http"])?;
    let web = format!("{remote}/web");
    let with_key = ["--verify", "--keyring", public.as_str()];
    let from_site = ["web", "--repo", site.address.as_str()];
    twins.same(&[&["pull"], &from_site[..], &with_key, &["-d", "web"]].concat())?;
    twins.same(&[&["pull"], &from_site[..], &["--prov", "-d", "web"]].concat())?;
    twins.same(&[&["pull", &web, "--plain-http", "-d", "web"], &with_key[..]].concat())?;
    twins.same(&[&["template", "x"], &from_site[..], &with_key].concat())?;
    twins.same(&[
        "template",
        "x",
        "web-1.0.0.tgz",
        "--verify",
        "--keyring",
        &stranger,
    ])?;
    twins.same_names("web")?;
    // Altered text, altered archive.
    for (name, from, to) in [
        ("web-1.0.0.tgz.prov", "name: web", "name: wed"),
        ("web-1.0.0.tgz.prov", "name: wed", "name: web"),
    ] {
        for program in [Program::Helm, Program::Pilotis] {
            let path = twins.home(program).join(name);
            let text = fs::read_to_string(&path)?.replace(from, to);
            fs::write(&path, text)?;
        }
        twins.same(&[&verify[..], &[&public]].concat())?;
    }
    for program in [Program::Helm, Program::Pilotis] {
        let path = twins.home(program).join("web-1.0.0.tgz");
        let mut bytes = fs::read(&path)?;
        bytes.push(0);
        fs::write(&path, bytes)?;
    }
    let told = twins.same(&[&verify[..], &[&public]].concat())?;
    assert!(told.contains("sha256 sum does not match"), "{told}");
    Ok(())
}

#[test]
fn a_key_that_cannot_sign_is_refused_alike() -> Result<()> {
    let twins = Twins::new()?;
    let root = twins.root.path();
    key(
        &root.join("keys"),
        "Signer <signer@example.org>",
        "open sesame",
    )?;
    let file = |name: &str| root.join(name).display().to_string();
    let (public, secret) = (file("keys/pubring.gpg"), file("keys/secring.gpg"));
    for program in [Program::Helm, Program::Pilotis] {
        chart(&twins.home(program), "web", "1.0.0")?;
        write(&twins.home(program).join("wrong"), b"not it\n")?;
    }
    let sign = ["package", "web", "--sign"];
    for rest in [
        vec![],
        vec!["--key", "none", "--keyring", &secret],
        vec!["--key", "signer", "--keyring", &public],
        vec!["--key", "signer", "--keyring", "none.gpg"],
        vec![
            "--key",
            "signer",
            "--keyring",
            &secret,
            "--passphrase-file",
            "none",
        ],
        vec![
            "--key",
            "signer",
            "--keyring",
            &secret,
            "--passphrase-file",
            "wrong",
        ],
    ] {
        let told = twins.same(&[&sign[..], rest.as_slice()].concat())?;
        assert!(told.starts_with("exit Some(1)"), "{told}");
    }
    Ok(())
}
