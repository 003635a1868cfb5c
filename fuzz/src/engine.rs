//! The chart engine as a whole: one input is a small chart, rendered in both ways and linted.

use pilotis_chart::lint::{LintRequest, lint};
use pilotis_chart::{
    Capabilities, Chart, Compat, Error, File, Input, Options, Printing, Release, Values, print,
    render,
};
use pilotis_template::{Limits, Machine, NoEnvironment, Set, Value};

/// What stands between two files of an input.
const CUT: u8 = 0xff;
/// What the user gives with `-f`.
const GIVEN: &str = "mine.yaml";
/// The files of an input, in order.
const NAMES: [&str; 7] = [
    "templates/a.yaml",
    "values.yaml",
    "Chart.yaml",
    "templates/_b.tpl",
    "values.schema.json",
    "charts/b/values.yaml",
    GIVEN,
];
/// A chart's least metadata.
pub const METADATA: &str = "apiVersion: v2\nname: a\nversion: 1.0.0\n";
const LIMITS: Limits = Limits {
    depth_max: 20,
    steps_max: 20_000,
    output_bytes_max: 1 << 20,
};

/// Charts that use what a pipeline has.
pub fn charts() -> Vec<Vec<u8>> {
    let charts: [&[&str]; 6] = [
        &[
            "apiVersion: v1\nkind: A\nmetadata: {name: {{ .Values.x.y }}}\n---\nkind: B\n",
            "x: {y: 1}\nb: {z: [1, null]}\n",
        ],
        &[
            "{{ include \"t\" . | nindent 2 }}\n{{- .Values.b | toYaml }}",
            "b: {x: 1}\n",
            "apiVersion: v2\nname: a\nversion: 1.0.0\ndependencies:\n- {name: b, version: 1.x, \
             condition: b.on, tags: [t], import-values: [data, {child: c, parent: d}]}\n",
            "{{ define \"t\" }}a: {{ .Chart.Name }}\n{{ end }}",
            "{\"properties\": {\"b\": {\"type\": \"object\", \"required\": [\"x\"]}}}",
            "exports: {data: {e: 1}}\nc: {f: 2}\n",
            "b: {on: true, x: null}\ntags: {t: false}\n",
        ],
        &[
            "kind: Job\nmetadata:\n  name: j\n  annotations:\n    helm.sh/hook: pre-install,test\n    \
             helm.sh/hook-weight: \"-5\"\n    helm.sh/hook-delete-policy: before-hook-creation\n",
        ],
        &[
            "{{ range $k, $v := .Values }}{{ tpl (toString $v) $ }}{{ end }}{{ fail .Values.c }}",
            "a: '{{ .Values.b }}'\nb: 1e3\nc: why\n",
        ],
        &[
            "{{ .Files.Get \"values.yaml\" }}{{ (.Files.Glob \"**\").AsConfig }}{{ .Capabilities.APIVersions }}\
             {{ lookup \"v1\" \"Pod\" \"\" \"\" }}",
            "",
            "apiVersion: v1\nname: a\nversion: 1.0.0\nkubeVersion: '>=1.2'\ntype: library\n",
        ],
        &[
            "a: [\n",
            "a: &x {b: 1}\nc: {<<: *x}\n",
            "",
            "",
            "{\"$ref\": \"#/x\", \"x\": {\"type\": \"string\", \"pattern\": \"^a\"}}",
        ],
    ];
    let joined = charts.map(|files| {
        let files: Vec<&[u8]> = files.iter().map(|text| text.as_bytes()).collect();
        files.join(&CUT)
    });
    joined.to_vec()
}

/// Renders the input with and without remembering where everything comes from, which must say the
/// same, and lints it.
pub fn whole(bytes: &[u8]) {
    let (given, files): (Vec<_>, Vec<_>) = files(bytes)
        .into_iter()
        .partition(|(path, _)| *path == GIVEN);
    let files: Vec<File> = files
        .into_iter()
        .map(|(path, data)| File::new(path, data))
        .collect();
    let given = given
        .into_iter()
        .map(|(path, data)| Input::File(path.into(), data.into()));
    let values = Values::merge(&given.collect::<Vec<_>>());
    let values = values.unwrap_or_default();
    if let Ok(chart) = Chart::load(files.clone()) {
        let plain = rendered(&chart, &values, false);
        let watched = rendered(&chart, &values, true);
        assert_eq!(plain, watched, "two ways to render");
    }
    let request = LintRequest {
        folders: Vec::new(),
        unreadable: None,
        files,
        path: "/a".into(),
        log: Vec::new(),
        namespace: "default".into(),
        values,
        kube_version: None,
        skip_schema: false,
        compat: Compat::default(),
    };
    let _ = lint(&request, &NoEnvironment);
}

/// The files an input stands for, by their paths; what the user gives with `-f` among them.
pub fn files(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut parts = bytes.split(|byte| *byte == CUT);
    let subchart = METADATA.replace("a\n", "b\n").into_bytes();
    let mut files = vec![("charts/b/Chart.yaml", subchart)];
    for name in NAMES {
        let text = parts.next().unwrap_or_default();
        match name {
            "Chart.yaml" if text.is_empty() => files.push((name, METADATA.into())),
            "values.schema.json" if text.is_empty() => {}
            _ => files.push((name, text.to_vec())),
        }
    }
    files
}

/// What is printed and logged, or the error.
fn rendered(chart: &Chart, values: &Values, watch: bool) -> Result<(String, Vec<String>), String> {
    let compat = Compat::default();
    let options = Options {
        compat: compat.clone(),
        watch,
        text_only: !watch,
        limits: Some(LIMITS),
        ..Options::default()
    };
    let told = |error: Error| error.to_string();
    let capabilities = Capabilities::new(&compat, None, &[]).map_err(told)?;
    let release = Release::default();
    let run = (&options, &NoEnvironment as _);
    let rendered = render(chart, values, &release, &capabilities, run).map_err(told)?;
    let printed = print(&rendered, Printing::default());
    Ok((printed.pieces().collect(), rendered.warnings))
}

/// TOML in the forms charts use, and those its reader must refuse.
pub fn tomls() -> Vec<Vec<u8>> {
    let texts = [
        "a = 1\nb = \"x\\u00e9\"\n[c.d]\ne = [1, 2.5, true]\n[[f]]\ng = {h = 'i'}\n[[f]]\n",
        "a = 2001-01-01T00:00:00Z\nb = 07:32:00.999\nc = 1_000\nd = 0x1F\ne = -inf\nf = nan\n",
        "a = \"\"\"\nx \\\n  y\"\"\"\nb = '''\nz'''\n\"c d\".e = 1 # why\n",
        "a = [\n1,\n2,\n]\na = 2\n[b]\n[b]\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Reads TOML and writes it again.
pub fn toml(bytes: &[u8]) {
    let mut set = Set::new();
    let added = set.add("t", "{{ fromToml .text | toToml }}");
    assert!(added.is_ok(), "{added:?}");
    let text = String::from_utf8_lossy(bytes);
    let data = Value::from_json(&serde_json::json!({ "text": text }));
    let mut machine = Machine::new(set, &NoEnvironment);
    machine.limits = LIMITS;
    let _ = machine.run("t", &data);
}
