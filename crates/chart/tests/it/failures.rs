//! Charts that fail, with Helm's very words.

use crate::{Case, compare};

macro_rules! failing {
    ($($name:literal: $template:literal),* $(,)?) => {
        [$(Case { name: $name, files: &[("templates/a.yaml", $template), ("values.yaml", "s: text\nl: [1]\nm: {a: 1}\nn: 5\n"), ("templates/_h.tpl", "{{ define \"h\" }}\n{{ .Values.nope.x }}{{ end }}{{ define \"loop\" }}{{ include \"loop\" . }}{{ end }}")], args: &[] }),*]
    };
}

#[test]
fn failing_templates_say_what_helm_says() {
    compare(&failing![
        "nil pointer": "a: 1\nb: {{ .Values.nope.x }}\n",
        "field of a scalar": "a: {{ .Values.s.x.y }}\n",
        "inside a helper": "a: {{ include \"h\" . }}\n",
        "inside tpl": "a: {{ tpl \"{{ .Values.nope.x }}\" . }}\n",
        "tpl that does not parse": "a: {{ tpl \"{{ bad }}\" . }}\n",
        "required": "a: {{ required \"give s2!\" .Values.s2 }}\n",
        "fail": "a:\n  {{ fail \"no way: never\" }}\n",
        "unknown template": "a: {{ include \"nope\" . }}\n",
        "unknown template statement": "a: {{ template \"nope\" . }}\n",
        "unknown function": "a: {{ nope . }}\n",
        "wrong type": "a: {{ upper 5 }}\n",
        "nil for text": "a: {{ upper nil }}\n",
        "missing for text": "a: {{ upper .Values.nope }}\n",
        "missing piped": "a: {{ .Values.nope | upper }}\n",
        "number for text": "a: {{ .Values.n | upper }}\n",
        "too few arguments": "a: {{ substr 0 5 }}\n",
        "too many arguments": "a: {{ upper \"a\" \"b\" }}\n",
        "incompatible comparison": "a: {{ eq .Values.n 5 }}\n",
        "comparison with nil": "a: {{ lt 1 .Values.nope }}\n",
        "division by zero": "a: {{ div 1 0 }}\n",
        "range over text": "a: {{ range .Values.s }}{{ end }}\n",
        "index out of range": "a: {{ index .Values.l 5 }}\n",
        "index of nil": "a: {{ index .Values.nope \"x\" }}\n",
        "index by number": "a: {{ index .Values.m 1 }}\n",
        "dig through a scalar": "a: {{ dig \"a\" \"b\" \"c\" .Values.m }}\n",
        "first of text": "a: {{ first .Values.s }}\n",
        "bad pattern": "a: {{ regexFind \"[\" \"a\" }}\n",
        "bad constraint": "a: {{ semverCompare \"latest\" \"1.0\" }}\n",
        "bad version": "a: {{ semver \"x\" }}\n",
        "argument to a non-function": "a: {{ .Values.s 1 }}\n",
        "merge of text": "a: {{ merge (dict) \"x\" }}\n",
        "set on text": "a: {{ set .Values.s \"a\" 1 }}\n",
        "endless include": "a: {{ include \"loop\" . }}\n",
        "unclosed action": "a: 1\nb: {{ .Values.s\nc: 2\n",
        "unclosed if": "{{ if true }}\na: 1\n",
        "unexpected end": "a: 1\n{{ end }}\n",
        "unexpected else": "a: {{ else }}\n",
        "bad character": "a: {{ .Values.a-b }}\n",
        "undefined variable": "a: {{ $x }}\n",
        "unterminated string": "a: {{ \"x }}\n",
        "missing value": "a: {{ if }}{{ end }}\n",
        "comment not closed": "a: {{/* x }}\n",
        "yaml that is none": "a: b: c\n",
        "yaml with a tab": "a:\n\t- b\n",
        "yaml of a wrong shape": "kind: [a]\n",
        "yaml that is a list": "- a\n- b\n",
        "yaml that is a text": "just text\n",
        "yaml with a template left": "a: {b: {{ `{{ x }}` }}}\n",
        "yaml with unclosed brackets": "a: [1,\nb: 2\n",
        "hasKey of missing": "a: {{ hasKey .Values.nope \"a\" }}\n",
        "chain on a literal": "a: {{ (list 1).foo }}\n",
        "b64 of a number": "a: {{ b64enc 5 }}\n",
        "ternary without bool": "a: {{ ternary 1 2 \"x\" }}\n",
        "method with wrong arguments": "a: {{ .Files.Get }}\n",
        "unknown field of capabilities": "a: {{ .Capabilities.Nope }}\n",
        "fromJson mustly": "a: {{ mustFromJson \"\" }}\n",
        "nested repetition": "a: {{ regexFind \"a**\" \"a\" }}\n",
        "lists compared": "a: {{ eq (list 1) (list 1) }}\n",
        "month out of range": "a: {{ mustToDate \"2006-01-02\" \"2024-13-01\" }}\n",
        "nil copied": "a: {{ deepCopy nil }}\n",
        "text of nothing": "a: {{ len .Values.nope }}\n",
        "more than one range variable": "a: {{ range $i, $j := 5 }}{{ end }}\n",
        "nil as a command": "a: {{ nil }}\n",
        "constant in a pipeline": "a: {{ \"a\" | nil }}\n",
        "field of a string literal": "a: {{ \"a\".b }}\n",
        "until text": "a: {{ until \"x\" }}\n",
    ]);
}

const A: (&str, &str) = ("templates/a.yaml", "a: {{ .Values.a }}\n");

const UNUSABLE: &[Case] = &[
    Case {
        name: "values that are no map",
        files: &[A, ("values.yaml", "- a\n")],
        args: &[],
    },
    Case {
        name: "values that do not parse",
        files: &[A, ("values.yaml", "a: 1\n b: 2\n")],
        args: &[],
    },
    Case {
        name: "values file that does not parse",
        files: &[A, ("input/v.yaml", "a: [\n")],
        args: &["-f", "input/v.yaml"],
    },
    Case {
        name: "set without value",
        files: &[A],
        args: &["--set", "a"],
    },
    Case {
        name: "set with an open list",
        files: &[A],
        args: &["--set", "a={1,2"],
    },
    Case {
        name: "set-json that is none",
        files: &[A],
        args: &["--set-json", "a={"],
    },
    Case {
        name: "no version",
        files: &[A, ("Chart.yaml", "apiVersion: v2\nname: demo\n")],
        args: &[],
    },
    Case {
        name: "wrong type",
        files: &[
            A,
            (
                "Chart.yaml",
                "apiVersion: v2\nname: demo\nversion: 1.0.0\ntype: other\n",
            ),
        ],
        args: &[],
    },
    Case {
        name: "kube version too low",
        files: &[
            A,
            (
                "Chart.yaml",
                "apiVersion: v2\nname: demo\nversion: 1.0.0\nkubeVersion: \">=1.99\"\n",
            ),
        ],
        args: &[],
    },
    Case {
        name: "missing dependency",
        files: &[
            A,
            (
                "Chart.yaml",
                "apiVersion: v2\nname: demo\nversion: 1.0.0\ndependencies: [{name: x, version: 1.0.0}]\n",
            ),
        ],
        args: &[],
    },
    Case {
        name: "show-only that matches nothing",
        files: &[A],
        args: &["--show-only", "templates/nope.yaml"],
    },
    Case {
        name: "schema",
        files: &[
            A,
            ("values.yaml", "a: text\n"),
            (
                "values.schema.json",
                "{\"$schema\": \"http://json-schema.org/draft-07/schema#\", \"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}",
            ),
        ],
        args: &[],
    },
    Case {
        name: "schema with a missing property",
        files: &[
            A,
            (
                "values.schema.json",
                "{\"type\": \"object\", \"required\": [\"a\"]}",
            ),
        ],
        args: &[],
    },
];

#[test]
fn charts_that_cannot_be_used_say_what_helm_says() {
    compare(UNUSABLE);
}
