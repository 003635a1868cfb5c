//! The program in a root directory that holds nothing else (docs/decisions/0008).

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::world::{Rules, Site, chart, write};
use pilotis_testkit::pilotis_binary;

/// A root directory with the program, a chart, and a `charts.test` that only its files know.
fn root() -> Result<tempfile::TempDir> {
    let binary = pilotis_binary()?;
    let beside = binary.parent().unwrap_or(&binary);
    let root = tempfile::tempdir_in(beside)?;
    fs::hard_link(&binary, root.path().join("pilotis"))?;
    write(&root.path().join("etc/hosts"), b"127.0.0.1 charts.test\n")?;
    // A service of the machine's own C library, which must not be looked for.
    write(
        &root.path().join("etc/nsswitch.conf"),
        b"hosts: elsewhere\n",
    )?;
    // What every container has; without a loader the C library is not asked for random bytes.
    fs::create_dir(root.path().join("dev"))?;
    for (name, minor) in [("random", "8"), ("urandom", "9")] {
        let node = root.path().join("dev").join(name);
        let made = Command::new("mknod")
            .arg(node)
            .args(["c", "1", minor])
            .status()?;
        assert!(made.success());
    }
    chart(root.path(), "web", "1.0.0")?;
    Ok(root)
}

#[test]
fn it_needs_no_library_and_no_name_service_of_the_machine() -> Result<()> {
    let root = root()?;
    let run = |words: &[&str]| -> Result<String> {
        let mut command = Command::new("chroot");
        command.arg(root.path()).arg("/pilotis").args(words);
        let output = command.env("HOME", "/").output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {told}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let rendered = run(&["chart", "template", "one", "/web"])?;
    assert!(rendered.contains("name: one-web"), "{rendered}");

    run(&["chart", "package", "/web", "-d", "/site"])?;
    let site = Site::serve(root.path().join("site"), Rules::default())?;
    let (_, port) = site.address.rsplit_once(':').unwrap_or_default();
    let url = format!("http://charts.test:{port}/web-1.0.0.tgz");
    // No certificate authority is here either.
    let pull = ["chart", "pull", &url, "-d", "/"];
    run(&[&pull[..], &["--insecure-skip-tls-verify"]].concat())?;
    assert!(root.path().join("web-1.0.0.tgz").exists());
    Ok(())
}
