//! `--post-renderer`: a program for Helm 3, a plugin for Helm 4, and what goes wrong with them.

use std::os::unix::fs::PermissionsExt;

use crate::helms::Helm;
use crate::{Ran, World};

const TEMPLATE: &str = r##"# licence header
# second line

apiVersion: v1
kind: ConfigMap   # behind a line
metadata:
    name: "quoted"
    labels: {a: b, "c": 'd'}   # a flow
    # before annotations
    annotations:
      x/y: 'single'
data:
  lit: |
    # no comment
    a
      b
  keep: |+
    z

  fold: >-
    folded text
    over lines

    and more
  plain: a long plain text that goes on and on and on and on and on and on and on and on and on
  empty:
  nul: null
  num: 0123
  multi: a b
    c d
  dq: "line\nbreak é \U0001F600"
  list:
    - a   # first

    # before b
    - b: 1
      c: 2
    -   - x
        - y
  seq2:
  - p
  - q
  json: [1, 2,
    3]
  emptyl: []
  emptym: {}
# last
---
kind: Deployment
apiVersion: apps/v1
metadata: {name: flow}
---
# only a comment
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Secret
  metadata:
    name: s
"##;

const HOOK: &str = "\
apiVersion: batch/v1
kind: Job
metadata:
  name: h
  annotations:
    \"helm.sh/hook\": pre-install
";

fn world() -> World {
    let world = World::new(&[
        (
            "chart/Chart.yaml",
            "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
        ),
        ("chart/templates/a.yaml", TEMPLATE),
        ("chart/templates/hook.yaml", HOOK),
        ("chart/templates/NOTES.txt", "notes\n"),
        ("chart/templates/empty.yaml", "{{ if false }}x{{ end }}\n"),
        (
            "chart/crds/c.yaml",
            "apiVersion: x/v1\nkind: CustomResourceDefinition\n",
        ),
    ]);
    let programs = [
        ("echo", "cat"),
        ("upper", "sed s/quoted/QUOTED/"),
        (
            "more",
            "cat; printf -- '---\\nkind: More\\nmetadata: {name: m}\\n'",
        ),
        (
            "arguments",
            "cat; printf -- '---\\nkind: Arguments\\nmetadata: {name: \"%s\"}\\n' \"$*\"",
        ),
        ("bad", "echo oops >&2; exit 7"),
        ("nothing", "cat >/dev/null"),
        ("junk", "cat >/dev/null; echo 'a: b: c'"),
        ("deaf", "exec 0<&-; echo 'kind: Deaf'"),
    ];
    for (name, script) in programs {
        let about = format!(
            "apiVersion: v1\nname: {name}\nversion: 0.1.0\ntype: postrenderer/v1\nruntime: \
             subprocess\nconfig: {{}}\nruntimeConfig:\n  platformCommand:\n    - command: \
             \"${{HELM_PLUGIN_DIR}}/run.sh\"\n      args: [\"$HELM_PLUGIN_NAME\"]\n"
        );
        world.write(&format!("plugins/{name}/plugin.yaml"), &about);
        world.write(
            &format!("plugins/{name}/run.sh"),
            &format!("#!/bin/sh\n{script}\n"),
        );
        world.write(&format!("bin/{name}"), &format!("#!/bin/sh\n{script}\n"));
        for path in [format!("plugins/{name}/run.sh"), format!("bin/{name}")] {
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(world.path(&path), mode).expect("a mode");
        }
    }
    world
}

/// Both programs on one command line; the Helm of a version is the measure.
fn compare(world: &World, helm: &mut Helm, words: &[&str]) -> Ran {
    let line = [&["template", "rel", "chart"], words].concat();
    let theirs = helm.run(world, &line);
    let version = helm.version;
    let own = ["chart"].iter().chain(&line).copied();
    let own: Vec<&str> = own.chain(["--errors=helm", "--compat", version]).collect();
    let ours = world.pilotis(&own);
    assert_eq!(ours, theirs, "Helm {version}, {words:?}");
    ours
}

#[test]
fn a_plugin_of_helm_4_changes_files_and_hooks() {
    let world = world();
    for version in ["4.2.4", "4.3.1"] {
        let helm = &mut Helm::new(version, "post_render");
        for name in [
            "echo", "upper", "more", "bad", "nothing", "junk", "absent", "",
        ] {
            compare(&world, helm, &["--post-renderer", name]);
        }
        let words = ["--post-renderer-args", "-x", "--post-renderer", "arguments"];
        let ran = compare(
            &world,
            helm,
            &[&words[..], &["--post-renderer-args=y z"]].concat(),
        );
        assert!(
            ran.out.contains("name: \"arguments -x y z\""),
            "{}",
            ran.out
        );
        compare(
            &world,
            helm,
            &["--post-renderer", "echo", "--post-renderer", "echo"],
        );
        compare(
            &world,
            helm,
            &["--post-renderer", "echo", "--include-crds", "--no-hooks"],
        );
        compare(
            &world,
            helm,
            &["--post-renderer", "echo", "-s", "templates/a.yaml"],
        );
    }
}

#[test]
fn a_program_of_helm_3_changes_what_is_printed() {
    let world = world();
    // Helm 3 warns about plugins it does not know.
    std::fs::remove_dir_all(world.path("plugins")).unwrap();
    let helm = &mut Helm::new("3.21.4", "post_render");
    let names = [
        "bin/echo",
        "./bin/upper",
        "bin/bad",
        "bin/nothing",
        "bin/junk",
        "absent",
    ];
    let more = ["./absent", "chart/Chart.yaml", "./bin", "bin/more"];
    for name in names.iter().chain(&more) {
        compare(&world, helm, &["--post-renderer", name]);
    }
    compare(
        &world,
        helm,
        &[
            "--post-renderer",
            "bin/arguments",
            "--post-renderer-args",
            "a",
        ],
    );
    compare(
        &world,
        helm,
        &["--post-renderer", "bin/echo", "--include-crds"],
    );
    compare(
        &world,
        helm,
        &["--post-renderer", "bin/echo", "--output-dir", "out"],
    );
}

#[test]
fn a_program_that_reads_nothing_does_not_hang() {
    let world = world();
    let big = format!("a: {}\n", "x".repeat(200_000));
    world.write("chart/templates/big.yaml", &big);
    let ran = world.pilotis(&["chart", "template", "chart", "--post-renderer", "deaf"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("kind: Deaf"));
}
