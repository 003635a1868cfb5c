//! `check`: which sources an environment stands for, and what is said when there are none.

use crate::World;

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  type: {{ .Values.type }}\n";

/// A chart that only production gets wrong.
fn shop() -> World {
    World::new(&[
        ("chart/Chart.yaml", CHART),
        ("chart/values.yaml", "type: ClusterIP\n"),
        ("chart/values-dev.yaml", "{}\n"),
        ("chart/values-prod.yaml", "# production\ntype: NodePort\n"),
        ("chart/templates/service.yaml", SERVICE),
    ])
}

#[test]
fn an_environment_without_a_path_is_that_of_the_repository_here() {
    let world = shop();
    let prod = world.pilotis(&["check", "-e", "prod"]);
    assert_eq!((prod.code, prod.err.as_str()), (1, ""));
    assert!(
        prod.out.contains("chart/values-prod.yaml:2:"),
        "{}",
        prod.out
    );
    let dev = world.pilotis(&["check", "-e", "dev"]);
    assert_eq!((dev.code, dev.err.as_str()), (0, ""), "{}", dev.out);
}

#[test]
fn an_environment_that_has_no_values_is_named() {
    let ran = shop().pilotis(&["check", "-e", "prd"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            0,
            "warning: no chart has values for prd, its own are judged; there are some for dev, prod\n"
        )
    );
}

#[test]
fn an_environment_of_nothing_is_a_wrong_use() {
    let world = World::new(&[("README.md", "bonjour\n")]);
    let ran = world.pilotis(&["check", "-e", "prod"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    insta::assert_snapshot!(ran.err, @r"
    error: there is no chart, Dockerfile or manifest here to judge for prod
    hint: name a folder, or give --project to judge what runs in prod
    ");
}

#[test]
fn links_are_named_and_not_followed() {
    let world = World::new(&[("a/README.md", "bonjour\n")]);
    for (target, link) in [("..", "a/loop"), ("self", "self"), ("/etc", "etc")] {
        std::os::unix::fs::symlink(target, world.path(link)).expect("a link");
    }
    let ran = world.pilotis(&["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for link in ["a/loop", "self", "etc"] {
        let line = format!("warning: {link}: lien, non suivi\n");
        assert!(ran.out.contains(&line), "{}", ran.out);
    }
}

#[test]
fn a_history_that_is_not_all_there_is_said_to_be_so() {
    let world = World::new(&[("README.md", "bonjour\n"), (".git", "gitdir: ../x\n")]);
    let ran = world.pilotis(&["check"]);
    assert!(ran.err.contains("the history is not judged"), "{}", ran.err);
    let world = World::new(&[("a/README.md", "bonjour\n")]);
    let git = |folder: &str, words: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@exemple.fr"];
        let words = [&["-C", folder][..], &identity, words].concat();
        let ran = world.run(std::path::Path::new("git"), &words);
        assert_eq!(ran.code, 0, "{words:?} {}", ran.err);
    };
    git("a", &["init", "-q"]);
    git("a", &["add", "-A"]);
    git("a", &["commit", "-qm", "un"]);
    git("a", &["commit", "-q", "--allow-empty", "-m", "deux"]);
    let from = format!("file://{}", world.path("a").display());
    git(".", &["clone", "-q", "--depth", "1", &from, "b"]);
    let whole = world.pilotis(&["check", "a"]);
    assert_eq!((whole.code, whole.err.as_str()), (0, ""));
    let part = world.pilotis(&["check", "b"]);
    assert!(part.err.contains("the clone is shallow"), "{}", part.err);
}
