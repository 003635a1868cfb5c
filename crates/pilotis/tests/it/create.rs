//! `chart create`: a chart that is right from the start.

use crate::helms::Helm;
use crate::{Ran, World, judge};

#[test]
fn a_new_chart_passes_every_check_and_every_lint() {
    let world = World::new(&[]);
    let made = world.pilotis(&["chart", "create", "shop"]);
    assert_eq!(
        (made.code, made.out.as_str()),
        (0, "Creating shop\n"),
        "{}",
        made.err
    );
    for more in [&[][..], &["--as", "prod"], &["-e", "prod"], &["-e", "dev"]] {
        let words = [&["check", "shop"], more].concat();
        let ran = world.pilotis(&words);
        assert_eq!(ran.code, 0, "{words:?}\n{}{}", ran.out, ran.err);
        assert!(
            ran.out.starts_with("0 bloquant(s) P, 0 à améliorer I\n"),
            "{words:?}\n{}",
            ran.out
        );
    }
    let lint = world.pilotis(&["chart", "lint", "--strict", "shop"]);
    assert_eq!(lint.code, 0, "{}{}", lint.out, lint.err);
    let values = world.pilotis(&[
        "chart",
        "values",
        "check",
        "shop",
        "-f",
        "shop/values-prod.yaml",
    ]);
    assert_eq!(
        (values.code, values.out.as_str()),
        (0, ""),
        "{}",
        values.err
    );
    let tests = world.pilotis(&["chart", "test", "shop"]);
    assert_eq!(tests.code, 0, "{}{}", tests.out, tests.err);
}

#[test]
fn the_real_programs_take_a_new_chart_as_it_is() {
    let world = World::new(&[]);
    world.pilotis(&["chart", "create", "shop"]);
    for version in ["4.2.4", "4.3.1", "3.21.4"] {
        let mut helm = Helm::new(version, "create");
        let lint = helm.run(&world, &["lint", "--strict", "shop"]);
        assert_eq!(lint.code, 0, "Helm {version}: {}{}", lint.out, lint.err);
        for more in [
            "autoscaling.enabled=true",
            "ingress.enabled=false",
            "settings.A=b",
        ] {
            let line = [
                "template",
                "rel",
                "shop",
                "-f",
                "shop/values-prod.yaml",
                "--set",
                more,
            ];
            let theirs = helm.run(&world, &line);
            let own: Vec<&str> = ["chart"].into_iter().chain(line).collect();
            let ours = world.pilotis(&[&own[..], &["--compat", version]].concat());
            assert_eq!(ours, theirs, "Helm {version}");
        }
    }
    let suites = world.run(&judge("helm-unittest"), &["shop"]);
    assert_eq!(suites.code, 0, "{}{}", suites.out, suites.err);
}

fn refused(words: &[&str]) -> Ran {
    let world = World::new(&[("file", ""), ("sub/x", "")]);
    let theirs = world.run(&judge("helm-v4.2.4"), words);
    let own: Vec<&str> = ["chart"]
        .iter()
        .chain(words)
        .copied()
        .chain(["--errors=helm"])
        .collect();
    let ours = world.pilotis(&own);
    assert_eq!(ours, theirs, "{words:?}");
    ours
}

#[test]
fn what_cannot_be_made_is_told_in_helms_words() {
    for name in ["a b", "file", "none/x", "file/x"] {
        assert_eq!(refused(&["create", name]).code, 1);
    }
    assert_eq!(refused(&["create", "x", "-p", "/none"]).code, 1);
}

#[test]
fn a_file_that_is_there_is_overwritten_with_a_warning() {
    let world = World::new(&[("shop/values.yaml", "old: true\n")]);
    let ran = world.pilotis(&["chart", "create", "shop"]);
    assert!(
        ran.out
            .contains("values.yaml\" already exists. Overwriting.\n"),
        "{}",
        ran.out
    );
    assert!(!world.read("shop/values.yaml").contains("old"));
}

#[test]
fn a_starter_gives_the_files_helm_would_write() {
    let starter: &[(&str, &str)] = &[
        (
            "starter/Chart.yaml",
            "apiVersion: v2\nname: starter\nversion: 9.9.9\n",
        ),
        (
            "starter/values.yaml",
            "# of <CHARTNAME>\nname: <CHARTNAME>\n",
        ),
        (
            "starter/templates/a.yaml",
            "a: {{ .Values.name }} # <CHARTNAME>\n",
        ),
        ("starter/README.md", "about <CHARTNAME>\n"),
        ("starter/values.schema.json", "{}\n"),
    ];
    let world = World::new(starter);
    let path = world.path("starter").display().to_string();
    let helm = judge("helm-v4.2.4");
    std::fs::create_dir_all(world.path("theirs")).unwrap();
    std::fs::create_dir_all(world.path("ours")).unwrap();
    let theirs = world.run(&helm, &["create", "theirs/shop", "-p", &path]);
    let ours = world.pilotis(&["chart", "create", "ours/shop", "-p", &path]);
    assert_eq!(
        (theirs.code, ours.code),
        (0, 0),
        "{}{}",
        theirs.err,
        ours.err
    );
    for (file, _) in starter {
        let below = file.strip_prefix("starter/").unwrap();
        let both = [format!("ours/shop/{below}"), format!("theirs/shop/{below}")];
        assert_eq!(world.read(&both[0]), world.read(&both[1]), "{below}");
    }
}
