//! Provenance: what one program signs, the other verifies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
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

const ARCHIVE: &str = "web-1.0.0.tgz";
const STATEMENT: &str = "web-1.0.0.tgz.prov";

/// A key with a passphrase, and another one.
struct Keys {
    _own: Gnupg,
    _other: Gnupg,
    public: String,
    stranger: String,
    secret: String,
    passphrase: String,
}

impl Keys {
    fn new(root: &Path) -> Result<Self> {
        let file = |name: &str| root.join(name).display().to_string();
        let signer = "Signer <signer@example.org>";
        write(&root.join("passphrase"), b"open sesame\n")?;
        Ok(Self {
            _own: Gnupg::with_key(root.join("keys"), signer, "open sesame")?,
            _other: Gnupg::with_key(root.join("others"), "Other <other@example.org>", "x")?,
            public: file("keys/pubring.gpg"),
            stranger: file("others/pubring.gpg"),
            secret: file("keys/secring.gpg"),
            passphrase: file("passphrase"),
        })
    }

    /// Packs and signs a chart with one program and gives both the result.
    fn sign(&self, twins: &Twins, by: Program) -> Result<()> {
        chart(&twins.home(by), "web", "1.0.0")?;
        let sign = ["package", "web", "--sign", "--key", "signer@example.org"];
        let with = [
            "--keyring",
            &self.secret,
            "--passphrase-file",
            &self.passphrase,
        ];
        let signed = twins.run(by, &[&sign[..], &with].concat())?;
        ensure!(signed.status.success(), "{signed:?}");
        twins.share(by, ARCHIVE)?;
        twins.share(by, STATEMENT)
    }
}

/// Changes a file of both programs.
fn alter(twins: &Twins, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Result<()> {
    for program in [Program::Helm, Program::Pilotis] {
        let path = twins.home(program).join(name);
        fs::write(&path, change(fs::read(&path)?))?;
    }
    Ok(())
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes).replace(from, to);
    text.into_bytes()
}

#[test]
fn each_program_verifies_what_the_other_signed() -> Result<()> {
    let twins = Twins::new()?;
    let keys = Keys::new(twins.root.path())?;
    let verify = |ring: &str| twins.same(&["verify", ARCHIVE, "--keyring", ring]);
    for by in [Program::Pilotis, Program::Helm] {
        keys.sign(&twins, by)?;
        let told = verify(&keys.public)?;
        assert!(
            told.contains("Signed by: Signer <signer@example.org>"),
            "{told}"
        );
        assert!(told.starts_with("exit Some(0)"), "by {by:?}: {told}");
    }
    verify(&keys.stranger)?;
    verify("none.gpg")?;
    twins.same(&["verify", "web", "--keyring", &keys.public])?;
    twins.same(&["verify"])?;
    // Altered text, altered back, altered archive.
    alter(&twins, STATEMENT, |bytes| {
        replaced(&bytes, "name: web", "name: wed")
    })?;
    assert!(verify(&keys.public)?.contains("invalid signature"));
    alter(&twins, STATEMENT, |bytes| {
        replaced(&bytes, "name: wed", "name: web")
    })?;
    assert!(verify(&keys.public)?.starts_with("exit Some(0)"));
    alter(&twins, ARCHIVE, |bytes| [bytes, vec![0]].concat())?;
    assert!(verify(&keys.public)?.contains("sha256 sum does not match"));
    Ok(())
}

#[tokio::test]
async fn provenance_travels_through_repositories_and_registries() -> Result<()> {
    let twins = Twins::new()?;
    let root = twins.root.path();
    let keys = Keys::new(root)?;
    keys.sign(&twins, Program::Helm)?;
    let site = root.join("site");
    fs::create_dir(&site)?;
    for name in [ARCHIVE, STATEMENT] {
        fs::copy(twins.home(Program::Helm).join(name), site.join(name))?;
    }
    let folder = site.display().to_string();
    twins.run(Program::Helm, &["repo", "index", &folder])?;
    let site = Site::serve(site, Rules::default())?;
    let registry = Registry::start(root, "", "").await?;
    let remote = format!("oci://{}/charts", registry.name);
    twins.same(&["push", ARCHIVE, &remote, "--plain-http"])?;
    twins.write("fetched/here", "")?;
    let web = format!("{remote}/web");
    let fetch = ["pull", "-d", "fetched"];
    let (trusted, strange) = (
        ["--verify", "--keyring", keys.public.as_str()],
        ["--verify", "--keyring", keys.stranger.as_str()],
    );
    let from_site = ["web", "--repo", site.address.as_str()];
    let from_registry = [web.as_str(), "--plain-http"];
    for from in [&from_site[..], &from_registry] {
        twins.same(&[&fetch, from, &trusted].concat())?;
        twins.same(&[&fetch, from, &strange].concat())?;
        twins.same(&[&fetch, from, &["--prov"]].concat())?;
        twins.same(&[&["template", "x"], from, &trusted].concat())?;
    }
    twins.same(&[&["template", "x", ARCHIVE], &strange[..]].concat())?;
    twins.same_names("fetched")?;
    Ok(())
}

#[test]
fn a_key_that_cannot_sign_is_refused_alike() -> Result<()> {
    let twins = Twins::new()?;
    let keys = Keys::new(twins.root.path())?;
    for program in [Program::Helm, Program::Pilotis] {
        chart(&twins.home(program), "web", "1.0.0")?;
    }
    twins.write("wrong", "not it\n")?;
    let sign = ["package", "web", "--sign"];
    let (public, secret) = (keys.public.as_str(), keys.secret.as_str());
    for (key, ring, passphrase) in [
        ("", secret, "wrong"),
        ("none", secret, "wrong"),
        ("signer", public, "wrong"),
        ("signer", "none.gpg", "wrong"),
        ("signer", secret, "none"),
        ("signer", secret, "wrong"),
    ] {
        let with = [
            "--key",
            key,
            "--keyring",
            ring,
            "--passphrase-file",
            passphrase,
        ];
        let told = twins.same(&[&sign[..], &with].concat())?;
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
    sign_with_subkey(&twins, &sub)?;
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

/// Helm signs with primary keys only; GnuPG signs the same text with its subkey.
fn sign_with_subkey(twins: &Twins, gnupg: &Gnupg) -> Result<()> {
    let text = fs::read_to_string(twins.home(Program::Helm).join("old-web").join(STATEMENT))?;
    let (_, body) = text.split_once("\n\n").context("no text")?;
    let (body, _) = body
        .split_once("\n-----BEGIN PGP SIGNATURE")
        .context("no end")?;
    let plain = twins.root.path().join("plain");
    write(&plain, body.as_bytes())?;
    let plain = plain.display().to_string();
    let signed = gnupg.run(&["--clearsign", "-o", "-", &plain])?;
    for program in [Program::Helm, Program::Pilotis] {
        let home = twins.home(program);
        fs::create_dir(home.join("sub-web"))?;
        fs::copy(
            home.join("old-web").join(ARCHIVE),
            home.join("sub-web").join(ARCHIVE),
        )?;
        write(&home.join("sub-web").join(STATEMENT), &signed)?;
    }
    Ok(())
}

/// Puts what the real Helm signed in a folder of both.
fn share(twins: &Twins, id: &str) -> Result<()> {
    let home = twins.home(Program::Helm);
    let folder = format!("{id}-web");
    fs::create_dir(home.join(&folder))?;
    for name in [ARCHIVE, STATEMENT] {
        fs::rename(home.join(name), home.join(&folder).join(name))?;
    }
    twins.share(Program::Helm, &folder)
}
