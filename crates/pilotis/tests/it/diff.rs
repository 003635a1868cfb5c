//! `chart diff`: charts, values, archives and commits.

use crate::{World, installed};

const FILES: &[(&str, &str)] = &[
    ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
    ("c/values.yaml", "port: 80\npassword: first-secret\n"),
    ("c/values-prod.yaml", "port: 81\n"),
    (
        "c/templates/s.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  ports:\n  - {name: http, port: {{ .Values.port }}}\n",
    ),
    (
        "c/templates/p.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: p}\nstringData:\n  password: {{ .Values.password }}\n  random: {{ randAlphaNum 8 }}\n",
    ),
];

const PORT: &str = "~ v1 Service s  (c/templates/s.yaml)\n    spec.ports[http].port: 80 -> 81\n1 changed, 0 added, 0 removed\n";

#[test]
fn two_sets_of_values_differ_in_fields() {
    let world = World::new(FILES);
    let ran = world.pilotis(&["chart", "diff", "c", "--new-values", "c/values-prod.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, PORT), "{}", ran.err);
    let ran = world.pilotis(&["chart", "diff", "c", "c", "--exit-code"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "no difference\n"),
        "{}",
        ran.err
    );
}

#[test]
fn secrets_are_masked_in_every_output() {
    let world = World::new(FILES);
    for output in ["fields", "unified", "json"] {
        let words = ["chart", "diff", "c", "-o", output, "--exit-code"];
        world.write("new.yaml", "password: second-secret\n");
        let ran = world.pilotis(&[&words[..], &["--new-values", "new.yaml"]].concat());
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.out.contains("(hidden, changed)"), "{}", ran.out);
        let all = format!("{}{}", ran.out, ran.err);
        assert!(!all.contains("-secret"), "{all}");
    }
}

#[test]
fn an_archive_is_compared_with_a_folder() {
    let world = World::new(FILES);
    world.pilotis(&["chart", "package", "c"]);
    world.write("c/values.yaml", "port: 81\npassword: first-secret\n");
    let ran = world.pilotis(&["chart", "diff", "c-1.0.0.tgz", "c"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, PORT), "{}", ran.err);
}

#[test]
fn commits_are_compared_with_their_own_values_files() {
    let git = installed("git").expect("git is needed");
    let world = World::new(FILES);
    let run = |words: &[&str]| {
        let who = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        let ran = world.run(&git, &[&who[..], words].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
    };
    run(&["init", "-q", "-b", "main"]);
    run(&["add", "."]);
    run(&["commit", "-qm", "one"]);
    run(&["tag", "v1"]);
    world.write("c/values-prod.yaml", "port: 82\n");
    world.write(
        "c/templates/n.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: new}\n",
    );
    run(&["add", "."]);
    run(&["commit", "-qm", "two"]);
    let words = ["chart", "diff", "c", "-f", "c/values-prod.yaml", "--ref"];
    let expected = "+ v1 Namespace new  (c/templates/n.yaml)\n~ v1 Service s  (c/templates/s.yaml)\n    spec.ports[http].port: 81 -> 82\n1 changed, 1 added, 0 removed\n";
    for range in ["v1..main", "v1..HEAD", "v1"] {
        let ran = world.pilotis(&[&words[..], &[range]].concat());
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (0, expected),
            "{range}: {}",
            ran.err
        );
    }
    world.write("c/values-prod.yaml", "port: 83\n");
    let ran = world.pilotis(&[&words[..], &["HEAD"]].concat());
    assert!(ran.out.contains("82 -> 83"), "{}{}", ran.out, ran.err);
    let ran = world.pilotis(&[&words[..], &["v9"]].concat());
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("v9"), "{}", ran.err);
}
