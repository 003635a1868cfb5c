//! Provenance: what one program signs, the other verifies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::world::{Program, Registry, Rules, Site, Twins, chart, write};

/// GnuPG with a home of its own, whose keys are exported as the files older programs read.
struct Gnupg {
    folder: PathBuf,
    passphrase: &'static str,
}

impl Gnupg {
    fn new(folder: PathBuf, passphrase: &'static str) -> Result<Self> {
        let home = folder.join("gnupg");
        fs::create_dir_all(&home)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
        Ok(Self { folder, passphrase })
    }

    /// One that has one key, exported.
    fn with_key(folder: PathBuf, name: &str, passphrase: &'static str) -> Result<Self> {
        let gnupg = Self::new(folder, passphrase)?;
        gnupg.run(&["--quick-gen-key", name, "rsa2048", "sign", "never"])?;
        gnupg.export()?;
        Ok(gnupg)
    }

    fn run(&self, words: &[&str]) -> Result<Vec<u8>> {
        let output = Command::new("gpg")
            .arg("--homedir")
            .arg(self.folder.join("gnupg"))
            .args(["--batch", "--yes", "--pinentry-mode", "loopback"])
            .args(["--passphrase", self.passphrase])
            .args(words)
            .output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{told}");
        Ok(output.stdout)
    }

    fn export(&self) -> Result<()> {
        let public = self.run(&["--export"])?;
        write(&self.folder.join("pubring.gpg"), &public)?;
        let secret = self.run(&["--export-secret-keys"])?;
        write(&self.folder.join("secring.gpg"), &secret)
    }

    fn fingerprint(&self) -> Result<String> {
        let listed = String::from_utf8(self.run(&["--list-keys", "--with-colons"])?)?;
        let line = listed.lines().find(|line| line.starts_with("fpr:"));
        let line = line.context("no key")?;
        Ok(line.split(':').nth(9).unwrap_or_default().to_owned())
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.folder.join("gnupg"))
            .args(["--kill", "all"])
            .status();
    }
}

#[tokio::test]
async fn each_program_verifies_what_the_other_signed() -> Result<()> {
    let twins = Twins::new()?;
    let root = twins.root.path();
    let _keys = Gnupg::with_key(
        root.join("keys"),
        "Signer <signer@example.org>",
        "open sesame",
    )?;
    let _others = Gnupg::with_key(root.join("others"), "Other <other@example.org>", "x")?;
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
    let _keys = Gnupg::with_key(
        root.join("keys"),
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

#[test]
fn keys_are_believed_and_not_believed_alike() -> Result<()> {
    let twins = Twins::new()?;
    let root = twins.root.path();
    // A key of 2020 that was good for a day, one that signs with a subkey, one to be revoked.
    let old = Gnupg::new(root.join("old"), "")?;
    let then = ["--faked-system-time", "20200101T000000!"];
    let make = [
        "--quick-gen-key",
        "Old <old@example.org>",
        "rsa2048",
        "sign",
        "1d",
    ];
    old.run(&[&then[..], &make].concat())?;
    old.export()?;
    let sub = Gnupg::new(root.join("sub"), "")?;
    let make = [
        "--quick-gen-key",
        "Sub <sub@example.org>",
        "ed25519",
        "cert",
        "never",
    ];
    sub.run(&make)?;
    sub.run(&[
        "--quick-add-key",
        &sub.fingerprint()?,
        "rsa2048",
        "sign",
        "never",
    ])?;
    sub.export()?;
    let name = "Gone <gone@example.org>";
    let gone = Gnupg::with_key(root.join("gone"), name, "")?;
    chart(&twins.home(Program::Helm), "web", "1.0.0")?;
    for (gnupg, id) in [(&old, "old"), (&gone, "gone")] {
        let ring = gnupg.folder.join("secring.gpg").display().to_string();
        let sign = ["package", "web", "--sign", "--key", id, "--keyring", &ring];
        let signed = twins.run(Program::Helm, &sign)?;
        ensure!(signed.status.success(), "{signed:?}");
        share(&twins, id)?;
    }
    // Helm signs with primary keys only; GnuPG signs the same text with the subkey.
    let text = twins.home(Program::Helm).join("old-web/web-1.0.0.tgz.prov");
    let text = fs::read_to_string(text)?;
    let (_, body) = text.split_once("\n\n").context("no text")?;
    let (body, _) = body
        .split_once("\n-----BEGIN PGP SIGNATURE")
        .context("no end")?;
    let plain = root.join("plain");
    write(&plain, body.as_bytes())?;
    let signed = sub.run(&["--clearsign", "-o", "-", &plain.display().to_string()])?;
    for program in [Program::Helm, Program::Pilotis] {
        let home = twins.home(program);
        fs::create_dir(home.join("sub-web"))?;
        fs::copy(
            home.join("old-web/web-1.0.0.tgz"),
            home.join("sub-web/web-1.0.0.tgz"),
        )?;
        write(&home.join("sub-web/web-1.0.0.tgz.prov"), &signed)?;
    }
    let certificate = format!("gnupg/openpgp-revocs.d/{}.rev", gone.fingerprint()?);
    let certificate = fs::read_to_string(gone.folder.join(certificate))?;
    write(
        &root.join("revocation"),
        certificate.replace(":-----", "-----").as_bytes(),
    )?;
    let told = |gnupg: &Gnupg, id: &str| {
        let ring = gnupg.folder.join("pubring.gpg").display().to_string();
        twins.same(&[
            "verify",
            &format!("{id}-web/web-1.0.0.tgz"),
            "--keyring",
            &ring,
        ])
    };
    assert!(told(&old, "old")?.contains("expired"));
    assert!(told(&sub, "sub")?.contains("Signed by: Sub <sub@example.org>"));
    assert!(told(&gone, "gone")?.contains("Signed by: Gone"));
    gone.run(&["--import", &root.join("revocation").display().to_string()])?;
    gone.export()?;
    assert!(told(&gone, "gone")?.starts_with("exit Some(1)"));
    Ok(())
}

/// Puts what the real Helm signed in a folder of both.
fn share(twins: &Twins, id: &str) -> Result<()> {
    let home = twins.home(Program::Helm);
    let folder = format!("{id}-web");
    fs::create_dir(home.join(&folder))?;
    for name in ["web-1.0.0.tgz", "web-1.0.0.tgz.prov"] {
        fs::rename(home.join(name), home.join(&folder).join(name))?;
    }
    twins.share(Program::Helm, &folder)
}
