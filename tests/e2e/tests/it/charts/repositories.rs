//! HTTP repositories: names, indexes, searching, fetching.

use std::fs;

use anyhow::Result;

use super::world::{Program, Rules, Site, Twins, chart, names, write};

const PASSWORD: &str = "reader:not-a-persons-password";

/// A site with three versions of one chart and one of another.
fn site(twins: &Twins, rules: Rules) -> Result<Site> {
    let folder = twins.root.path().join("site");
    fs::create_dir_all(&folder)?;
    let charts = twins.root.path().join("charts");
    for (name, version) in [
        ("web", "1.0.0"),
        ("web", "1.2.0"),
        ("web", "2.0.0-rc.1"),
        ("db", "0.1.0+b1"),
    ] {
        chart(&charts, name, version)?;
        let target = folder.display().to_string();
        let path = charts.join(name).display().to_string();
        let output = twins.run(Program::Helm, &["package", &path, "-d", &target])?;
        assert!(output.status.success());
    }
    let target = folder.display().to_string();
    let output = twins.run(Program::Helm, &["repo", "index", &target])?;
    assert!(output.status.success());
    Site::serve(folder, rules)
}

#[test]
fn repositories_are_named_listed_searched_and_forgotten_alike() -> Result<()> {
    let twins = Twins::new()?;
    let site = site(&twins, Rules::default())?;
    let url = site.address.as_str();
    twins.same(&["repo", "list"])?;
    twins.same(&["repo", "update"])?;
    twins.same(&["repo", "remove", "x"])?;
    twins.same(&["search", "repo"])?;
    twins.same(&["repo", "add", "lab"])?;
    twins.same(&["repo", "add", "lab", url])?;
    twins.same(&["repo", "add", "lab", url])?;
    twins.same(&["repo", "add", "lab", "http://127.0.0.1:1"])?;
    twins.same(&["repo", "add", "gone", "http://127.0.0.1:1"])?;
    twins.same(&["repo", "add", "none", &format!("{url}/none")])?;
    twins.same(&["repo", "add", "a/b", url])?;
    twins.same(&["repo", "add", "ftp", "ftp://127.0.0.1:1"])?;
    twins.same_file("config/repositories.yaml")?;
    twins.same_file("cache/repository/lab-index.yaml")?;
    for form in ["table", "json", "yaml"] {
        twins.same(&["repo", "list", "-o", form])?;
        twins.same(&["search", "repo", "web", "-l", "-o", form])?;
        twins.same(&["search", "repo", "nothing-of-the-kind", "-o", form])?;
    }
    twins.same(&["repo", "list", "--no-headers"])?;
    twins.same(&["search", "repo", "--devel"])?;
    twins.same(&["search", "repo", "-r", "^we", "--version", "^1.0.0"])?;
    twins.same(&["search", "repo", "-r", "["])?;
    twins.same(&["search", "repo", "k", "--max-col-width", "8"])?;
    twins.same(&["search", "repo", "zzz", "--fail-on-no-result"])?;
    twins.same(&["repo", "update"])?;
    twins.same(&["repo", "update", "lab"])?;
    twins.same(&["repo", "update", "nope"])?;
    twins.same(&["repo", "remove", "nope"])?;
    twins.same(&["repo", "remove", "lab"])?;
    twins.same_file("config/repositories.yaml")?;
    twins.same_names("cache/repository")?;
    Ok(())
}

#[test]
fn charts_are_fetched_alike() -> Result<()> {
    let twins = Twins::new()?;
    let site = site(&twins, Rules::default())?;
    let url = site.address.as_str();
    let archive = format!("{url}/web-1.0.0.tgz");
    twins.same(&["repo", "add", "lab", url])?;
    twins.write("fetched/here", "")?;
    twins.same(&["pull"])?;
    twins.same(&["pull", "lab/web"])?;
    twins.same(&["pull", "lab/web", "--version", "~1.0"])?;
    twins.same(&["pull", "lab/web", "--version", "1.0"])?;
    twins.same(&["pull", "lab/web", "--devel", "-d", "fetched"])?;
    // Helm names the file it could not make, whose name is random.
    let absent = twins.told(Program::Pilotis, &["pull", "lab/db", "-d", "none"])?;
    assert!(absent.ends_with("Error: open none: no such file or directory\n"));
    twins.same(&["pull", "lab/db", "--untar", "--untardir", "unpacked"])?;
    twins.same(&["pull", "lab/db", "--untar", "--untardir", "unpacked"])?;
    twins.same(&["pull", "db", "--repo", url])?;
    twins.same(&["pull", &archive, "-d", "fetched"])?;
    for wrong in [
        vec!["lab/none"],
        vec!["none/web"],
        vec!["web"],
        vec!["lab/web", "--version", "9.9.9"],
        vec!["lab/web", "--version", "not a version"],
        vec!["none", "--repo", url],
        vec!["web", "--repo", url, "--version", "9"],
        vec!["web", "--repo", "http://127.0.0.1:1"],
        vec!["lab/web", "--verify"],
    ] {
        twins.same(&[&["pull"], wrong.as_slice()].concat())?;
    }
    let made = twins.same_names(".")?;
    assert!(made.contains(&"db-0.1.0+b1.tgz".to_owned()), "{made:?}");
    twins.same_names("fetched")?;
    twins.same_file("unpacked/db/Chart.yaml")?;
    for words in [
        vec!["template", "x", "lab/web"],
        vec!["template", "x", "lab/web", "--version", "1.0.0"],
        vec!["template", "x", "web", "--repo", url, "--devel"],
        vec!["template", "x", "lab/web", "--version", "3"],
        vec!["template", "x", &archive, "--set", "greeting=hi"],
        vec!["show", "values", "web", "--repo", url],
        vec!["show", "chart", "lab/db"],
    ] {
        twins.same(&words)?;
    }
    twins.same_names("cache/content")?;
    Ok(())
}

#[test]
fn each_program_uses_what_the_other_left() -> Result<()> {
    let twins = Twins::new()?;
    let site = site(&twins, Rules::default())?;
    for (from, to) in [
        (Program::Pilotis, Program::Helm),
        (Program::Helm, Program::Pilotis),
    ] {
        let name = format!("by-{from:?}").to_lowercase();
        let added = twins.run(from, &["repo", "add", &name, &site.address])?;
        assert!(added.status.success());
        for path in ["config", "cache"] {
            twins.share(from, path)?;
        }
        let wanted = format!("{name}/web");
        let told = twins.told(to, &["search", "repo", &wanted])?;
        assert!(told.contains("1.2.0"), "{told}");
        let told = twins.told(to, &["show", "chart", &wanted])?;
        assert!(told.contains("name: web"), "{told}");
    }
    Ok(())
}

#[test]
fn a_folder_is_indexed_alike() -> Result<()> {
    let twins = Twins::new()?;
    let site = site(&twins, Rules::default())?;
    let folder = site.folder.display().to_string();
    let read = |form: &[&str]| -> Result<()> {
        let mut texts = Vec::new();
        for program in [Program::Helm, Program::Pilotis] {
            let words = [&["repo", "index", folder.as_str()], form].concat();
            let output = twins.run(program, &words)?;
            assert!(output.status.success(), "{output:?}");
            texts.push(timeless(&fs::read_to_string(
                site.folder.join("index.yaml"),
            )?));
        }
        assert_eq!(texts[1], texts[0]);
        Ok(())
    };
    fs::create_dir(site.folder.join("more"))?;
    let more = site.folder.join("more/web-1.0.0.tgz");
    fs::rename(site.folder.join("web-1.0.0.tgz"), more)?;
    read(&[])?;
    read(&["--url", "https://charts.example.org/x"])?;
    let old = "apiVersion: v1\nentries:\n  old:\n  - {apiVersion: v1, name: old, version: 0.1.0, \
               created: \"2020-01-01T00:00:00Z\", urls: [old.tgz], digest: ab}\n  web:\n  - \
               {apiVersion: v1, name: web, version: 1.0.0, created: \"2020-01-01T00:00:00Z\", urls: \
               [x]}\ngenerated: \"2020-01-01T00:00:00Z\"\n";
    let merged = twins.root.path().join("merged.yaml");
    write(&merged, old.as_bytes())?;
    let merged = merged.display().to_string();
    read(&["--merge", &merged])?;
    read(&["--merge", &merged, "--json"])
}

/// An index without the times it was made at.
fn timeless(text: &str) -> String {
    let has_time = |line: &&str| {
        let line = line.trim_start_matches(['"', ' ', '-']);
        !line.starts_with("created") && !line.starts_with("generated")
    };
    let kept: Vec<&str> = text.lines().filter(has_time).collect();
    kept.join("\n")
}

#[test]
fn a_password_stays_where_it_was_given() -> Result<()> {
    let twins = Twins::new()?;
    let rules = Rules {
        password: Some(PASSWORD),
        ..Rules::default()
    };
    let inner = site(&twins, rules.clone())?;
    let outer = twins.root.path().join("outer");
    fs::create_dir(&outer)?;
    fs::copy(
        inner.folder.join("web-1.0.0.tgz"),
        outer.join("web-1.0.0.tgz"),
    )?;
    let outer = Site::serve(outer, Rules::default())?;
    // The index of the inner site sends for one chart to the outer one.
    let index = fs::read_to_string(inner.folder.join("index.yaml"))?;
    let away = format!("- {}/web-1.0.0.tgz", outer.address);
    fs::write(
        inner.folder.join("index.yaml"),
        index.replace("- web-1.0.0.tgz", &away),
    )?;
    let url = inner.address.as_str();
    // Helm tells an address with its password; ours does not.
    let secret = ["repo", "add", "secret", "http://u:hidden@127.0.0.1:1"];
    let told = twins.told(Program::Pilotis, &secret)?;
    assert!(
        told.contains("u:***@127.0.0.1:1") && !told.contains("hidden"),
        "{told}"
    );
    let (user, password) = PASSWORD.split_once(':').unwrap();
    let words = ["repo", "add", "lab", url, "--username", user];
    let anonymous = twins.same(&["repo", "add", "lab", url])?;
    assert!(anonymous.contains("401"), "{anonymous}");
    twins.same_with_input(&[&words[..], &["--password-stdin"]].concat(), password)?;
    twins.same_file("config/repositories.yaml")?;
    twins.same(&["pull", "lab/web"])?;
    assert!(outer.seen().is_empty());
    twins.same(&["pull", "lab/web", "--version", "1.0.0"])?;
    let askers: Vec<_> = outer.seen().into_iter().map(|(_, asker)| asker).collect();
    assert_eq!(askers, [None, None], "the password went to another host");
    let passed = [
        &words[..],
        &["--password-stdin", "--pass-credentials", "--force-update"],
    ];
    twins.same_with_input(&passed.concat(), password)?;
    twins.same(&["pull", "lab/web", "--version", "1.0.0"])?;
    let askers: Vec<_> = outer.seen().into_iter().map(|(_, asker)| asker).collect();
    assert_eq!(
        askers,
        [Some(PASSWORD.to_owned()), Some(PASSWORD.to_owned())]
    );
    Ok(())
}

#[test]
fn a_redirect_to_another_host_loses_the_password() -> Result<()> {
    let twins = Twins::new()?;
    let elsewhere = site(&twins, Rules::default())?;
    let folder = twins.root.path().join("front");
    fs::create_dir(&folder)?;
    fs::copy(
        elsewhere.folder.join("index.yaml"),
        folder.join("index.yaml"),
    )?;
    let target = format!("{}/web-1.2.0.tgz", elsewhere.address);
    let rules = Rules {
        password: Some(PASSWORD),
        redirects: [("/web-1.2.0.tgz".to_owned(), target)].into(),
    };
    let front = Site::serve(folder, rules)?;
    let (user, password) = PASSWORD.split_once(':').unwrap();
    let who = ["--username", user, "--password", password];
    let pull = ["pull", "web", "--repo", front.address.as_str()];
    let output = twins.run(Program::Pilotis, &[&pull[..], &who].concat())?;
    assert!(output.status.success(), "{output:?}");
    let asked = front.seen();
    assert!(
        asked
            .iter()
            .all(|(_, asker)| asker.as_deref() == Some(PASSWORD))
    );
    let asked = elsewhere.seen();
    assert_eq!(asked, [("/web-1.2.0.tgz".to_owned(), None)]);
    Ok(())
}

#[test]
fn an_archive_does_not_leave_its_folder() -> Result<()> {
    let twins = Twins::new()?;
    let site = site(&twins, Rules::default())?;
    let home = twins.home(Program::Pilotis);
    let outside = twins.root.path().join("outside");
    fs::create_dir_all(home.join("here/db"))?;
    fs::create_dir(&outside)?;
    std::os::unix::fs::symlink(&outside, home.join("here/db/templates"))?;
    let archive = format!("{}/db-0.1.0%2Bb1.tgz", site.address);
    let words = ["pull", archive.as_str(), "--untar", "--untardir", "here"];
    let output = twins.run(Program::Pilotis, &words)?;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is a symbolic link"));
    assert!(names(&outside)?.is_empty());
    Ok(())
}
