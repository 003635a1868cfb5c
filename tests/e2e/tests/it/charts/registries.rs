//! OCI registries: passwords, pushing, pulling.

use std::fs;

use anyhow::Result;
use pilotis_http::Ca;

use super::world::{Program, Registry, Twins, chart, write};

/// Packs a chart with the real Helm and gives the archive to both.
fn archive(twins: &Twins, name: &str, version: &str) -> Result<String> {
    for program in [Program::Helm, Program::Pilotis] {
        chart(&twins.home(program), name, version)?;
    }
    let output = twins.run(Program::Helm, &["package", name])?;
    assert!(output.status.success(), "{output:?}");
    let file = format!("{name}-{version}.tgz");
    twins.share(Program::Helm, &file)?;
    Ok(file)
}

#[tokio::test]
async fn charts_are_pushed_and_pulled_alike() -> Result<()> {
    let twins = Twins::new()?;
    let registry = Registry::start(twins.root.path(), "", "").await?;
    let plain = "--plain-http";
    let remote = format!("oci://{}/charts", registry.name);
    let (web, db) = (format!("{remote}/web"), format!("{remote}/db"));
    let archives = [
        archive(&twins, "web", "1.0.0")?,
        archive(&twins, "web", "1.2.0")?,
        archive(&twins, "db", "0.1.0+b1")?,
    ];
    for file in &archives {
        // The digest of the manifest is told, so it is the same.
        twins.same(&["push", file, &remote, plain])?;
    }
    for wrong in [
        vec!["web-1.0.0.tgz"],
        vec!["none.tgz", &remote],
        vec!["web", &remote],
        vec!["web-1.0.0.tgz", "ftp://x"],
        vec!["web-1.0.0.tgz", "nowhere"],
    ] {
        twins.same(&[&["push"], wrong.as_slice(), &[plain]].concat())?;
    }
    for words in [
        vec!["pull", &web],
        vec!["pull", &web, "--version", "^1.0.0"],
        vec!["pull", &web, "--version", "1.0.0"],
        vec!["pull", &db, "--version", "0.1.0+b1"],
        vec!["pull", &web, "--version", "^3"],
        vec!["pull", &web, "--version", "3.0.0"],
        vec!["pull", &db, "--untar"],
        vec!["template", "x", &web],
        vec!["show", "chart", &web, "--version", "<1.2"],
    ] {
        twins.same(&[words.as_slice(), &[plain]].concat())?;
    }
    let absent = twins.told(
        Program::Pilotis,
        &["pull", &format!("{remote}/none"), plain],
    )?;
    let expected = format!("http://{}/v2/charts/none/tags/list", registry.name);
    assert!(
        absent.contains(&expected) && absent.contains("status code 404"),
        "{absent}"
    );
    twins.same(&["pull", "oci://127.0.0.1:1/a/b", plain, "--version", "1.0.0"])?;
    twins.same_names(".")?;
    twins.same_names("cache/content")?;
    Ok(())
}

#[tokio::test]
async fn passwords_of_registries_are_kept_in_one_file() -> Result<()> {
    let twins = Twins::new()?;
    let root = twins.root.path();
    let accounts = Registry::accounts(root, "reader", "not-a-persons-password")?;
    let registry = Registry::start(root, "", &accounts).await?;
    let name = registry.name.as_str();
    let file = archive(&twins, "web", "1.0.0")?;
    let remote = format!("oci://{name}/charts");
    let web = format!("{remote}/web");
    let login = ["registry", "login", name, "--plain-http", "-u", "reader"];
    let refused = twins.run_with_input(
        Program::Pilotis,
        &[&login[..], &["--password-stdin"]].concat(),
        "wrong",
    )?;
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("status code 401") && !told.contains("wrong"),
        "{told}"
    );
    let password = "not-a-persons-password\n";
    twins.same_with_input(&[&login[..], &["--password-stdin"]].concat(), password)?;
    twins.same(&[&login[..], &["-p", password.trim()]].concat())?;
    twins.same_file("config/registry/config.json")?;
    let mode = fs::metadata(
        twins
            .home(Program::Pilotis)
            .join("config/registry/config.json"),
    )?;
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o600
    );
    twins.same(&["push", &file, &remote, "--plain-http"])?;
    twins.same(&["pull", &web, "--plain-http"])?;
    twins.same(&["registry", "logout", name])?;
    twins.same_file("config/registry/config.json")?;
    let out = twins.run(Program::Pilotis, &["pull", &web, "--plain-http"])?;
    assert!(String::from_utf8_lossy(&out.stderr).contains("status code 401"));
    // The container tools' own file is asked second.
    let auths = "{\"auths\": {\"NAME\": {\"auth\": \"cmVhZGVyOm5vdC1hLXBlcnNvbnMtcGFzc3dvcmQ=\"}}}";
    twins.write("docker/config.json", &auths.replace("NAME", name))?;
    twins.same(&["pull", &web, "--plain-http"])?;
    Ok(())
}

#[tokio::test]
async fn registries_are_trusted_by_authority_and_by_certificate() -> Result<()> {
    let twins = Twins::new()?;
    let root = twins.root.path();
    let ca = Ca::open(&root.join("ca"), "test")?;
    let server = ca.issue_server(&["127.0.0.1", "localhost"])?;
    let client = ca.issue_client("reader", "test")?;
    for (name, text) in [
        ("server.crt", &server.certificate_pem),
        ("server.key", &server.key_pem),
        ("client.crt", &client.certificate_pem),
        ("client.key", &client.key_pem),
    ] {
        write(&root.join(name), text.as_bytes())?;
    }
    write(&root.join("ca.crt"), ca.pem().as_bytes())?;
    let file = |name: &str| root.join(name).display().to_string();
    let tls = format!(
        "  tls: {{certificate: {}, key: {}, clientcas: [{}]}}\n",
        file("server.crt"),
        file("server.key"),
        file("ca.crt")
    );
    let registry = Registry::start(root, &tls, "").await?;
    let archive = archive(&twins, "web", "1.0.0")?;
    let remote = format!("oci://{}/charts", registry.name);
    let (ca, cert, key) = (file("ca.crt"), file("client.crt"), file("client.key"));
    let mine = ["--cert-file", &cert, "--key-file", &key];
    let trusted = [&["--ca-file", ca.as_str()], &mine[..]].concat();
    twins.same(&[&["push", &archive, &remote], trusted.as_slice()].concat())?;
    let web = format!("{remote}/web");
    let pull = ["pull", web.as_str()];
    twins.same(&[&pull[..], trusted.as_slice()].concat())?;
    twins.same(&[&pull[..], &mine, &["--insecure-skip-tls-verify"]].concat())?;
    twins.same(&[&pull[..], &["--ca-file", "none.crt"]].concat())?;
    let stranger = twins.run(Program::Pilotis, &pull)?;
    let told = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(
        told.contains("certificate signed by unknown authority"),
        "{told}"
    );
    let unnamed = twins.run(Program::Pilotis, &[&pull[..], &["--ca-file", &ca]].concat())?;
    assert_eq!(unnamed.status.code(), Some(1));
    Ok(())
}
