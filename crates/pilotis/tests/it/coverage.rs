//! `chart coverage`: what runs, and tracefiles that the LCOV tools read.

use crate::{World, installed};

const FILES: &[(&str, &str)] = &[
    ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
    ("c/values.yaml", "lit: false\nitems: []\n"),
    (
        "c/templates/a.yaml",
        "kind: A\n{{- if .Values.lit }}\nlit: {{ .Values.lit }}\n{{- else }}\ndark: true\n{{- end }}\n{{- range .Values.items }}\n{{ . }}: {{ include \"c.one\" . }}\n{{- end }}\n",
    ),
    (
        "c/templates/_h.tpl",
        "{{- define \"c.one\" -}}\none\n{{- end }}\n{{- define \"c.never\" -}}\nnever\n{{- end }}\n",
    ),
    ("on.yaml", "lit: true\n"),
    ("items.yaml", "items: [x, y]\n"),
];

#[test]
fn each_case_adds_what_it_makes_run() {
    let world = World::new(FILES);
    let ran = world.pilotis(&["chart", "coverage", "c"]);
    assert_eq!(
        ran.out,
        "template                       lines          branches             named  lines not run\n\
         c/templates/_h.tpl       0.0 % (0/2)                 -       0.0 % (0/2)  2-5\n\
         c/templates/a.yaml      66.6 % (4/6)      50.0 % (2/4)                 -  3 8\n\
         all                     50.0 % (4/8)      50.0 % (2/4)       0.0 % (0/2)\n"
    );
    let both = [
        "--case",
        "on.yaml",
        "--case",
        "items.yaml",
        "--lcov",
        "c.info",
    ];
    let ran = world.pilotis(&[&["chart", "coverage", "c"], &both[..]].concat());
    assert!(
        ran.out
            .contains("all                     87.5 % (7/8)     100.0 % (4/4)      50.0 % (1/2)"),
        "{}",
        ran.out
    );
    let info = world.read("c.info");
    for line in [
        "FN:1,c.one",
        "FNDA:2,c.one",
        "FNDA:0,c.never",
        "DA:8,2",
        "DA:5,1",
        "BRDA:2,0,0,1",
    ] {
        assert!(info.lines().any(|other| other == line), "{line}\n{info}");
    }
    let source = world.path("c/templates/a.yaml");
    assert!(
        info.contains(&format!("SF:{}\n", source.display())),
        "{info}"
    );
}

#[test]
fn too_little_coverage_fails() {
    let world = World::new(FILES);
    let ran = world.pilotis(&["chart", "coverage", "c", "--lines-min", "90"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err,
        "error: 50.0 % (4/8) of the lines run, fewer than 90 %\n"
    );
}

#[test]
fn the_tools_of_lcov_read_the_tracefile() {
    let Some(lcov) = installed("lcov") else {
        // Debian's package lcov; not a judge every machine has.
        return;
    };
    let world = World::new(FILES);
    world.pilotis(&["chart", "coverage", "c", "--lcov", "c.info"]);
    let words = ["--rc", "lcov_branch_coverage=1", "--summary", "c.info"];
    let ran = world.run(&lcov, &words);
    let text = format!("{}{}", ran.out, ran.err);
    assert_eq!(ran.code, 0, "{text}");
    for part in [
        "50.0% (4 of 8 lines)",
        "0.0% (0 of 2 functions)",
        "50.0% (2 of 4 branches)",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
