//! The Pod Security Standards against the fixtures of Kubernetes' own admission, all of them.
//!
//! They come with a Go module that `cargo xtask judges` downloads, and are never committed.

use std::path::PathBuf;
use std::process::Command;

use pilotis_policy::pod_security::{Profile, judge};

/// The module and version whose fixtures are read; `xtask/src/judges.rs` downloads it.
const MODULE: &str = "k8s.io/pod-security-admission@v0.37.2";
const FIXTURES: usize = 4537;

fn fixtures() -> PathBuf {
    let output = Command::new("go")
        .args(["env", "GOMODCACHE"])
        .output()
        .expect("go is installed");
    let cache = String::from_utf8(output.stdout).unwrap();
    let path = PathBuf::from(cache.trim())
        .join(MODULE)
        .join("test/testdata");
    assert!(
        path.is_dir(),
        "{} is missing: cargo xtask judges",
        path.display()
    );
    path
}

#[test]
fn every_fixture_of_kubernetes_is_judged_as_kubernetes_does() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (profile, name) in [
        (Profile::Baseline, "baseline"),
        (Profile::Restricted, "restricted"),
    ] {
        for version in std::fs::read_dir(fixtures().join(name)).unwrap() {
            let version = version.unwrap().path();
            let minor = version.file_name().unwrap().to_str().unwrap();
            let minor: u32 = minor.trim_start_matches("v1.").parse().unwrap();
            for (side, allowed) in [("pass", true), ("fail", false)] {
                for file in std::fs::read_dir(version.join(side)).unwrap() {
                    let path = file.unwrap().path();
                    let text = std::fs::read_to_string(&path).unwrap();
                    let pod = pilotis_yaml::read_json(&text).unwrap().remove(0);
                    let annotations = &pod["metadata"]["annotations"];
                    let found = judge((profile, minor), (&pod["spec"], &["spec"]), annotations);
                    count += 1;
                    if found.is_empty() != allowed {
                        wrong.push(format!("{}: {found:?}", path.display()));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
    assert_eq!(count, FIXTURES);
}
