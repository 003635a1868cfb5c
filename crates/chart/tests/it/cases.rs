//! Charts that render.

use crate::{Case, compare};

const CONFIG: &str = r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "demo.fullname" . }}
  labels: {{- include "demo.labels" . | nindent 4 }}
data:
  image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
  {{- range $key, $value := .Values.env }}
  {{ $key | upper }}: {{ tpl (toString $value) $ | quote }}
  {{- end }}
  {{- with .Values.resources }}
  resources: |
    {{- toYaml . | nindent 4 }}
  {{- end }}
  pretty: |
    {{- toYamlPretty .Values.env | nindent 4 }}
  json: {{ toJson .Values.env | quote }}
  number: {{ .Values.number }} {{ int .Values.number }} {{ .Values.float }}
"#;

const HELPERS: &str = r#"{{/* names */}}
{{- define "demo.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}
{{ define "demo.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}
"#;

const VALUES: &str = r#"image: {repository: registry/app, tag: ""}
env: {b: "2", a: "{{ .Release.Name }}", n: null, z10: yes, z9: 1e3}
resources:
  limits: {cpu: 100m, memory: 128Mi}
number: 1234567
float: 0.00001
list: [a, {b: c}, [1, 2]]
gone: {x: 1, y: 2}
"#;

const RENDERED: &[Case] = &[
    Case {
        name: "defaults",
        files: &[
            ("templates/config.yaml", CONFIG),
            ("templates/_helpers.tpl", HELPERS),
            ("values.yaml", VALUES),
        ],
        args: &[],
    },
    Case {
        name: "values files and every kind of flag",
        files: &[
            ("templates/config.yaml", CONFIG),
            ("templates/_helpers.tpl", HELPERS),
            (
                "templates/all.yaml",
                "all:\n{{ toYaml .Values | indent 2 }}\n",
            ),
            ("values.yaml", VALUES),
            (
                "input/a.yaml",
                "env: {c: 3}\ngone: null\nlist: [z]\n---\nimage: {tag: v2}\n",
            ),
            ("input/b.txt", "line 1\nline 2\n"),
        ],
        args: &[
            "-f",
            "input/a.yaml",
            "--set",
            "image.tag=v3,resources=null,new.list[1].x={1,two},env.d=007",
            "--set-string",
            "str=1",
            "--set-json",
            "js={\"a\":[1,2.5,null]},k=1",
            "--set-file",
            "file=input/b.txt",
            "--set-literal",
            "lit=a,b={c}",
            "--namespace",
            "prod",
        ],
    },
    Case {
        name: "scopes, shared maps and order of templates",
        files: &[
            (
                "templates/a.yaml",
                "a: {{ .Values.counter | default \"none\" }}\n",
            ),
            (
                "templates/b.yaml",
                "b: {{ set .Values \"counter\" \"set in b\" | len }}\n",
            ),
            (
                "templates/sub/c.yaml",
                "c: {{ .Values.counter | default \"none\" }}\n---\nd: 1\n\n---\n# only a comment\n",
            ),
            (
                "templates/empty.yaml",
                "{{- if false }}\nx: 1\n{{- end }}\n",
            ),
            ("templates/NOTES.txt", "thanks {{ .Release.Name }}\n"),
        ],
        args: &[],
    },
    Case {
        name: "files, capabilities and the chart itself",
        files: &[
            (
                "templates/a.yaml",
                r#"data:
  {{- (.Files.Glob "conf/**.txt").AsConfig | nindent 2 }}
secret: {{ (.Files.Glob "conf/*").AsSecrets | toJson }}
text: {{ .Files.Get "conf/a.txt" | quote }} {{ .Files.Get "nope" | quote }}
lines: {{ .Files.Lines "conf/a.txt" | toJson }}
{{- range $path, $_ := .Files.Glob "conf/*" }}
{{ base $path }}: {{ $.Files.Get $path | b64enc }}
{{- end }}
has: {{ .Capabilities.APIVersions.Has "apps/v1" }} {{ .Capabilities.APIVersions.Has "x/v1" }} {{ .Capabilities.APIVersions.Has "y/v1" }}
kube: {{ .Capabilities.KubeVersion }} {{ .Capabilities.KubeVersion.Minor }}
git: {{ .Capabilities.KubeVersion.GitVersion }}
semver: {{ semverCompare ">=1.20-0" .Capabilities.KubeVersion.Version }}
chart: {{ .Chart | toJson }}
template: {{ .Template | toJson }} {{ .Release | toJson }}
lookup: {{ lookup "v1" "Secret" "a" "b" | toJson }}
types: {{ typeOf .Values }} {{ typeOf . }} {{ typeOf .Files }} {{ kindOf .Capabilities }}
"#,
            ),
            ("conf/a.txt", "one\ntwo\n"),
            ("conf/b.txt", "é"),
        ],
        args: &[
            "--kube-version",
            "1.29",
            "--api-versions",
            "y/v1",
            "--is-upgrade",
        ],
    },
];

#[test]
fn helpers_values_and_tpl_render_as_helm_renders() {
    compare(RENDERED);
}

#[test]
fn hooks_kinds_and_crds_are_ordered_as_helm_orders_them() {
    const OBJECTS: &str = "kind: Deployment\nmetadata: {name: d}\n---\nkind: Service\nmetadata: {name: s}\n---\n\
        kind: Zebra\nmetadata: {name: z}\n---\nkind: Apple\nmetadata: {name: a}\n\n\n---\n\
        kind: Namespace\nmetadata: {name: n}\n---\n\
        kind: Job\nmetadata:\n  name: h\n  annotations: {\"helm.sh/hook\": \"pre-install, post-upgrade\", \"helm.sh/hook-weight\": \"5\"}\n---\n\
        kind: Pod\nmetadata:\n  name: t\n  annotations: {\"helm.sh/hook\": test}\n---\n\
        kind: Pod\nmetadata:\n  name: u\n  annotations: {\"helm.sh/hook\": unknown}\n---   \nkind: ConfigMap\nmetadata: {name: c}\n";
    const FILES: &[(&str, &str)] = &[
        ("templates/all.yaml", OBJECTS),
        (
            "templates/role.yaml",
            "kind: Role\nmetadata:\n  name: r\n  annotations:\n    a: 1\n",
        ),
        (
            "crds/crd.yaml",
            "kind: CustomResourceDefinition\nmetadata: {name: {{ not a template }}}\n",
        ),
        ("crds/readme.md", "no"),
        (".helmignore", "*.bak\nignored/\n"),
        ("templates/x.bak", "broken: ["),
        ("templates/ignored/y.yaml", "broken: ["),
    ];
    let case = |name, args| Case {
        name,
        files: FILES,
        args,
    };
    compare(&[
        case("plain", &[]),
        case("with crds", &["--include-crds"]),
        case("without tests", &["--skip-tests"]),
        case("without hooks", &["--no-hooks"]),
        case("one template", &["--show-only", "templates/role.yaml"]),
        case(
            "templates by pattern",
            &["--show-only", "templates/*.yaml", "--include-crds"],
        ),
    ]);
}

const PARENT: &str = "apiVersion: v2\nname: demo\nversion: 1.0.0\ndependencies:\n\
    - {name: child, version: 1.x.x, alias: first, condition: first.enabled}\n\
    - {name: child, version: \">=0\", alias: second, condition: second.enabled, import-values: [data, {child: more, parent: imported}]}\n\
    - {name: tagged, version: \"*\", tags: [front, back]}\n\
    - {name: lib, version: \"*\"}\n";
const CHILD: &str = "who: {{ .Chart.Name }} {{ .Template.Name }} {{ .Template.BasePath }}\nvalues:\n{{ toYaml .Values | indent 2 }}\nlib: {{ include \"lib.name\" . }}\n";

#[test]
fn subcharts_take_values_globals_aliases_and_conditions() {
    const FILES: &[(&str, &str)] = &[
        ("Chart.yaml", PARENT),
        (
            "values.yaml",
            "global: {zone: north, deep: {a: 1, n: null}}\nfirst: {color: red, nested: {keep: 1, drop: null}}\ntags: {front: false}\nown: 1\nimported: {z: parent}\n",
        ),
        (
            "templates/a.yaml",
            "{{ toYaml .Values }}\nsub: {{ keys .Subcharts | sortAlpha | join \",\" }}\nlib: {{ include \"lib.name\" . }}\n",
        ),
        (
            "charts/child/Chart.yaml",
            "apiVersion: v2\nname: child\nversion: 1.2.3\n",
        ),
        (
            "charts/child/values.yaml",
            "color: blue\nsize: 2\nnested: {keep: 0, drop: x, extra: true}\nglobal: {zone: south, own: 1, deep: {b: 2}}\nexports: {data: {exported: yes}}\nmore: {x: 1, z: child}\n",
        ),
        ("charts/child/templates/c.yaml", CHILD),
        (
            "charts/tagged/Chart.yaml",
            "apiVersion: v2\nname: tagged\nversion: 0.1.0\n",
        ),
        ("charts/tagged/templates/t.yaml", "tagged: true\n"),
        (
            "charts/lib/Chart.yaml",
            "apiVersion: v2\nname: lib\nversion: 0.1.0\ntype: library\n",
        ),
        (
            "charts/lib/templates/_n.tpl",
            "{{ define \"lib.name\" }}{{ .Release.Name }}/{{ .Chart.Name }}{{ end }}",
        ),
        ("charts/lib/templates/never.yaml", "never: true\n"),
        (
            "charts/undeclared/Chart.yaml",
            "apiVersion: v2\nname: undeclared\nversion: 0.1.0\n",
        ),
        (
            "charts/undeclared/templates/u.yaml",
            "undeclared: {{ .Values.global | toJson }}\n",
        ),
    ];
    let case = |name, args| Case {
        name,
        files: FILES,
        args,
    };
    compare(&[
        case("defaults", &[]),
        case(
            "one disabled, one tagged",
            &["--set", "second.enabled=false,tags.back=true"],
        ),
        case(
            "overridden",
            &[
                "--set",
                "first.color=null,first.nested.extra=null,global.zone=west,second.more.x=9,imported=null",
            ],
        ),
    ]);
}

#[test]
fn values_of_a_subchart_or_globals_may_be_no_table() {
    const SUB: &str = "apiVersion: v2\nname: sub\nversion: 1.0.0\n";
    const ALL: &str = "all:\n{{ toYaml .Values | indent 2 }}\n";
    compare(&[
        Case {
            name: "globals that are a list",
            files: &[
                ("values.yaml", "global: [1]\nsub: {x: 1}\n"),
                ("templates/a.yaml", ALL),
                ("charts/sub/Chart.yaml", SUB),
                ("charts/sub/templates/a.yaml", ALL),
            ],
            args: &[],
        },
        Case {
            name: "a subchart whose values are a list",
            files: &[
                (
                    "values.yaml",
                    "sub: [1, null, {b: [x, true], a: {c: 1.5, d: null}}]\n",
                ),
                ("charts/sub/Chart.yaml", SUB),
            ],
            args: &[],
        },
        Case {
            name: "a list in a flag where there is a table",
            files: &[],
            args: &["--set", "a.b=1", "--set", "a[-1].c=2"],
        },
    ]);
}

#[test]
fn what_aliases_share_is_shared_as_in_helm() {
    const ABOUT: &str = "at: {{ .Template | toJson }}\nwanted: {{ .Chart.Dependencies | toJson | quote }}\n\
        all:\n{{ toYaml .Values | indent 2 }}\n";
    compare(&[Case {
        name: "a chart under two names, with charts in it that are declared or not",
        files: &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: demo\nversion: 1.0.0\ndependencies:\n\
                 - {name: mid, version: 1.x}\n\
                 - {name: mid, version: 1.x, alias: other, import-values: [data, 1, {child: a, parent: b}]}\n",
            ),
            ("templates/a.yaml", ABOUT),
            (
                "charts/mid/Chart.yaml",
                "apiVersion: v2\nname: mid\nversion: 1.0.0\ndependencies:\n\
                 - {name: leaf, version: 1.x, alias: named, import-values: [data]}\n",
            ),
            ("charts/mid/values.yaml", "exports: {data: {x: 1}}\n"),
            ("charts/mid/templates/a.yaml", ABOUT),
            (
                "charts/mid/charts/leaf/Chart.yaml",
                "apiVersion: v2\nname: leaf\nversion: 1.0.0\n",
            ),
            (
                "charts/mid/charts/leaf/values.yaml",
                "exports: {data: {y: 2}}\n",
            ),
            ("charts/mid/charts/leaf/templates/a.yaml", ABOUT),
            (
                "charts/mid/charts/plain/Chart.yaml",
                "apiVersion: v2\nname: plain\nversion: 1.0.0\n",
            ),
            ("charts/mid/charts/plain/templates/a.yaml", ABOUT),
            (
                "charts/mid/charts/plain/charts/tip/Chart.yaml",
                "apiVersion: v2\nname: tip\nversion: 1.0.0\n",
            ),
            ("charts/mid/charts/plain/charts/tip/templates/a.yaml", ABOUT),
        ],
        args: &["--set", "mid.plain.tip.own=1"],
    }]);
}

#[test]
fn texts_are_cut_where_helm_cuts_them() {
    compare(&[
        Case {
            name: "a separator behind blanks at the beginning",
            files: &[("templates/a.yaml", " ---\nkind: A\n ---\n---\nkind: B\n")],
            args: &[],
        },
        Case {
            name: "a mistake behind a hook that is none",
            files: &[(
                "templates/a.yaml",
                "metadata: {annotations: {helm.sh/hook: x}}\n---\na: b: c\n",
            )],
            args: &[],
        },
    ]);
}

#[test]
fn functions_give_what_helm_gives() {
    compare(&[
        Case {
            name: "strings and numbers",
            files: &[("templates/a.yaml", include_str!("functions.txt"))],
            args: &[],
        },
        Case {
            name: "the emitters",
            files: &[
                (
                    "templates/a.yaml",
                    "v2:\n{{ toYaml .Values | indent 2 }}\nv3:\n{{ toYamlPretty .Values | indent 2 }}\njson: {{ toJson .Values }}\nraw: {{ toRawJson .Values }}\nprint: {{ .Values | quote }}\n",
                ),
                ("values.yaml", include_str!("emitted.yaml")),
            ],
            args: &["--set", "whole=5,zero=0,text=05"],
        },
        Case {
            name: "what JSON has no form for",
            files: &[(
                "templates/a.yaml",
                r#"{{- $day := toDate "2006-01-02" "2020-05-06" }}
day: {{ toYamlPretty $day }}
within:
{{ toYamlPretty (dict "t" $day "l" (list $day (list $day) "2020-05-06T00:00:00Z")) | indent 2 }}
numbers:
{{ toYamlPretty (list (float64 "inf") (float64 "-inf") (float64 "nan") ".inf" 1.5) | indent 2 }}
alone: {{ toYamlPretty (float64 "inf") }}
empty: {{ toYamlPretty (toDate "2006-01-02" "x") }}
last: {{ toJson (list "\U0010ffff" "x\U0010ffffb" "\xff\U0010ffff\xfe") | squote }}
pretty: {{ toPrettyJson (dict "\U0010ffff" "\xff") | squote }}
"#,
            )],
            args: &[],
        },
    ]);
}
