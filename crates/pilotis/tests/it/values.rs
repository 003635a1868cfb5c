//! `chart values check` and `--lookup-from`.

use crate::World;

const FILES: &[(&str, &str)] = &[
    (
        "c/Chart.yaml",
        "apiVersion: v2\nname: c\nversion: 1.0.0\ndependencies:\n- {name: sub, version: 1.0.0, condition: sub.enabled}\n- {name: gone, version: 1.0.0, condition: gone.enabled}\n",
    ),
    (
        "c/values.yaml",
        "image:\n  tag: x\n  extra: null\nresources: {}\nsub: {enabled: true}\ngone: {enabled: false}\n",
    ),
    (
        "c/charts/sub/Chart.yaml",
        "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
    ),
    ("c/charts/sub/values.yaml", "port: 1\n"),
    (
        "c/charts/sub/templates/s.yaml",
        "port: {{ .Values.port }}\nzone: {{ .Values.global.zone }}\n",
    ),
    (
        "c/charts/gone/Chart.yaml",
        "apiVersion: v2\nname: gone\nversion: 1.0.0\n",
    ),
    ("c/charts/gone/templates/o.yaml", "o: {{ .Values.o }}\n"),
    (
        "c/templates/a.yaml",
        "tag: {{ .Values.image.tag }}\nextra: {{ .Values.image.extra }}\n{{- if .Values.resources }}\nr: {{ toYaml .Values.resources | nindent 2 }}\n{{- end }}\nd: {{ .Values.fallback | default \"x\" }}\n{{- with .Values.maybe }}\nm: {{ . }}\n{{- end }}\ni: {{ index .Values.image \"tag\" }}\nk: {{ hasKey .Values \"k\" }}\nv: {{ $v := .Values.kept }}{{ $v | default 1 }}\n{{ if ne .Values.asked nil }}x{{ end }}{{ if has (quote .Values.quoted) (list 1) }}{{ end }}{{ if eq (toString .Values.shown) \"x\" }}{{ end }}\n",
    ),
];

#[test]
fn what_is_expected_to_be_absent_is_not_told() {
    let ran =
        World::new(FILES).pilotis(&["chart", "values", "check", "c", "--set", "global.zone=a"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
}

#[test]
fn odd_values_are_told_with_their_places() {
    let world = World::new(FILES);
    world.write(
        "v.yaml",
        "image:\n  tga: y\nresources:\n  limits: {cpu: 1}\ngone:\n  o: 1\nsub:\n  prot: 2\ntag: z\n",
    );
    let ran = world.pilotis(&[
        "chart", "values", "check", "c", "-f", "v.yaml", "--set", "a=1",
    ]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.out,
        "warning: `a` is given, and the chart knows no such value\n  --> --set a=1:1:1\n\
         note: `gone.o` is not read: subchart `gone` takes no part\n  --> v.yaml:6:6\n\
         warning: `image.tga` is given, and the chart knows no such value\n  --> v.yaml:2:8\nhint: did you mean `image.tag`?\n\
         warning: `sub.prot` is given, and the chart knows no such value\n  --> v.yaml:8:9\nhint: did you mean `sub.port`?\n\
         warning: `tag` is given, and the chart knows no such value\n  --> v.yaml:9:6\nhint: did you mean `image.tag`?\n\
         warning: `sub.global.zone` is read and not set\n  --> c/charts/sub/templates/s.yaml:2:17\n"
    );
}

#[test]
fn findings_can_be_read_by_programs() {
    let words = [
        "chart", "values", "check", "c", "--set", "nope=1", "-o", "json",
    ];
    let ran = World::new(FILES).pilotis(&words);
    let found: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found[0]["kind"], "unknown");
    assert_eq!(found[0]["path"], "nope");
    assert_eq!(found[0]["position"]["file"], "--set nope=1");
}

#[test]
fn lookup_finds_the_objects_of_files() {
    let template = "{{ $s := lookup \"v1\" \"Secret\" \"ns\" \"s\" }}kept: {{ dig \"data\" \"p\" \"new\" $s }}\nports: {{ range (lookup \"v1\" \"Service\" \"\" \"\").items }}{{ .spec.port }} {{ end }}\ntype: {{ printf \"%T\" (index (lookup \"v1\" \"Service\" \"ns\" \"\").items 0).spec.port }}\nnone: {{ empty (lookup \"v1\" \"Pod\" \"ns\" \"p\") }}\n";
    let world = World::new(&[
        ("c/Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.0.0\n"),
        ("c/templates/a.yaml", template),
        (
            "objects/s.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: ns}\ndata: {p: b2xk}\n",
        ),
        (
            "objects/more/list.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"a\", \"namespace\": \"ns\"}, \"spec\": {\"port\": 1000000}}]}",
        ),
    ]);
    let ran = world.pilotis(&["chart", "template", "c", "--lookup-from", "objects"]);
    assert_eq!(
        ran.out,
        "---\n# Source: c/templates/a.yaml\nkept: b2xk\nports: 1000000 \ntype: int64\nnone: true\n",
        "{}",
        ran.err
    );
    let bad = world.pilotis(&["chart", "template", "c", "--lookup-from", "nowhere"]);
    assert_eq!(bad.code, 2);
    assert!(
        bad.err
            .starts_with("Error: cannot read objects of nowhere: "),
        "{}",
        bad.err
    );
}
