//! Where rendered lines come from, and who set the values behind them.

use pilotis_chart::{Capabilities, Chart, Compat, Options, Values, render};
use pilotis_template::NoEnvironment;

use crate::Case;

const FILES: &[(&str, &str)] = &[
    (
        "templates/d.yaml",
        "kind: Deployment\nmetadata:\n  name: x\nspec:\n  {{- include \"demo.spec\" . | nindent 2 }}\n",
    ),
    (
        "templates/_h.tpl",
        "{{ define \"demo.spec\" -}}\nreplicas: {{ .Values.replicas }}\nimage: {{ .Values.image.tag }}\nzone: {{ .Values.global.zone }}\n{{- end }}\n",
    ),
    (
        "values.yaml",
        "replicas: 1\nimage:\n  tag: v1\nglobal: {zone: a}\n",
    ),
    ("input/prod.yaml", "# prod\nimage:\n  tag: v2\n"),
];

#[test]
fn every_line_names_its_template_and_its_values_file() {
    let case = Case {
        name: "origins",
        files: FILES,
        args: &["-f", "input/prod.yaml", "--set", "global.zone=b"],
    };
    let chart = Chart::load(case.chart_files()).unwrap();
    let request = case.request();
    let values = Values::merge(&request.inputs).unwrap();
    let capabilities = Capabilities::new(&Compat::default(), None, &[]).unwrap();
    let run = (&Options::default(), &NoEnvironment as _);
    let rendered = render(&chart, &values, &request.release, &capabilities, run).unwrap();
    let manifest = &rendered.manifests[0];
    assert_eq!(
        (manifest.kind.as_str(), manifest.name.as_str()),
        ("Deployment", "x")
    );
    let image = manifest
        .node
        .as_ref()
        .unwrap()
        .at(&["spec", "image"])
        .unwrap();
    let (line, column) = (image.start.line, image.start.column);
    let position = manifest.position(line, column).unwrap();
    assert_eq!(position.to_string(), "demo/templates/_h.tpl:3:11");
    assert_eq!(manifest.values(line, column), ["image.tag"]);
    let set_by = |path: &str| rendered.value_position(path).unwrap().to_string();
    assert_eq!(set_by("image.tag"), "input/prod.yaml:3:8");
    assert_eq!(set_by("replicas"), "demo/values.yaml:1:11");
    assert_eq!(set_by("global.zone"), "--set global.zone=b:1:1");
    assert_eq!(
        manifest.position(1, 1).unwrap().to_string(),
        "demo/templates/d.yaml:1:1"
    );
}

#[test]
fn a_yaml_error_points_into_the_template() {
    let case = Case {
        name: "yaml error",
        files: &[("templates/a.yaml", "a: 1\n{{ \"b: c: d\" }}\n")],
        args: &[],
    };
    let chart = Chart::load(case.chart_files()).unwrap();
    let capabilities = Capabilities::new(&Compat::default(), None, &[]).unwrap();
    let run = (&Options::default(), &NoEnvironment as _);
    let release = case.request().release;
    let error = render(&chart, &Values::default(), &release, &capabilities, run).unwrap_err();
    assert_eq!(
        error.position.unwrap().to_string(),
        "demo/templates/a.yaml:2:4"
    );
}

#[test]
fn the_same_chart_gives_the_same_bytes() {
    let case = Case {
        name: "twice",
        files: FILES,
        args: &[],
    };
    let first = case.ours().unwrap();
    assert_eq!(case.ours().unwrap(), first);
}
