//! What templates print and how they fail, as data: template, then output or message.

use pilotis_template::{Machine, NoEnvironment, Set, Tree, Value, function_names};
use serde_json::json;

fn run(text: &str) -> Result<String, String> {
    let mut set = Set::new();
    set.add("t", text).map_err(|error| error.to_string())?;
    let data = Value::from_json(&json!({
        "Values": {"n": 1_234_567, "s": "str", "l": ["a", "b"], "m": {"b": 2, "a": 1}, "t": true},
    }));
    let mut machine = Machine::new(set, &NoEnvironment);
    machine.limits.steps_max = 100_000;
    machine.limits.depth_max = 20;
    let output = machine.run("t", &data);
    output
        .map(|output| output.text().into_owned())
        .map_err(|error| error.to_string())
}

/// As Helm 4.2.4 answers.
#[test]
fn decimal_numbers_have_any_number_of_digits() {
    let cases = [
        (
            "mulf 1e300 1e-300 12345678901234567 1.1",
            "1.3580246791358024e+16",
        ),
        ("addf 1e300 -1e300 1e-300", "1e-300"),
        ("divf 1e300 3 1e-300", "+Inf"),
        ("divf 1 3e-300 7", "4.761904761904762e+298"),
        ("divf 15 -1e17", "-2e-16"),
        ("divf 1e-300 3", "0"),
        (
            "mulf 123456789012345678 123456789012345678 123456789012345678",
            "1.881676372353658e+51",
        ),
        ("mulf 5e-324 0.5", "5e-324"),
        ("round 1.5 99999999999", "NaN"),
    ];
    for (call, expected) in cases {
        let output = run(&format!("{{{{ {call} }}}}"));
        assert_eq!(output.as_deref(), Ok(expected), "{call}");
    }
    let failing = [
        ("mulf \"inf\" 2", "Cannot create a Decimal from +Inf"),
        ("divf 1 0 \"inf\"", "decimal division by 0"),
        ("subf \"nan\" 1", "Cannot create a Decimal from NaN"),
    ];
    for (call, expected) in failing {
        let error = run(&format!("{{{{ {call} }}}}")).expect_err(call);
        assert!(error.ends_with(expected), "{call}: {error}");
    }
}

#[test]
fn patterns_mean_what_they_mean_in_go() {
    let matching = [
        ("\\\\<b", "a<b"),
        ("^a{,3}$", "a{,3}"),
        ("^{a$", "{a"),
        ("^a{01}$", "a{01}"),
        ("^\\\\p{Greek}{2}$", "αβ"),
        ("^\\\\x{41}$", "A"),
        ("^a{2}$", "aa"),
    ];
    for (pattern, text) in matching {
        let output = run(&format!("{{{{ regexMatch \"{pattern}\" \"{text}\" }}}}"));
        assert_eq!(output.as_deref(), Ok("true"), "{pattern}");
    }
}

#[test]
fn underscores_stand_between_digits() {
    let cases = [("1_0.5", "10.5"), ("0x_f", "15"), ("1_000", "1000")];
    for (number, expected) in cases {
        let output = run(&format!("{{{{ {number} }}}}"));
        assert_eq!(output.as_deref(), Ok(expected), "{number}");
    }
    for number in ["21_.1", "1__0", "189_", "0x1_", "1e1_"] {
        let error = run(&format!("{{{{ {number} }}}}")).expect_err(number);
        let expected = format!("illegal number syntax: \"{number}\"");
        assert!(error.ends_with(&expected), "{number}: {error}");
    }
}

#[test]
fn bytes_that_are_no_text_stay_as_they_are() {
    let mut set = Set::new();
    set.add(
        "t",
        b"a\xff{{ `\xfe` }}{{ \"\xfd\" }}{{ len \"\xfd\" }}\xe9",
    )
    .expect("parses");
    let mut machine = Machine::new(set, &NoEnvironment);
    let output = machine.run("t", &Value::Nil).expect("runs");
    // Go keeps the bytes of raw strings and replaces those of quoted ones.
    assert_eq!(&output.bytes[..], b"a\xff\xfe\xef\xbf\xbd3\xe9");
    let message = |text: &[u8]| Set::new().add("t", text).expect_err("fails").to_string();
    assert_eq!(
        message(b"{{ \xff }}"),
        "template: t:1: unrecognized character in action: U+FFFD '\u{fffd}'"
    );
    assert_eq!(
        message(b"{{ a\xff }}"),
        "template: t:1: bad character U+FFFD '\u{fffd}'"
    );
    assert_eq!(
        message(b"{{ \"\xff\"b }}"),
        "template: t:1: unexpected \"b\" in operand"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table of cases")]
fn templates_print_what_go_prints() {
    let cases = [
        ("a {{- 1 }} b {{ 2 -}} c", "a1 b 2c"),
        ("{{/* c */}}x{{- /* d */ -}} y", "xy"),
        (
            "{{ .Values.n }} {{ .Values.nope }}|{{ .Nope }}|",
            "1.234567e+06 ||",
        ),
        (
            "{{ range $k, $v := .Values.m }}{{ $k }}={{ $v }};{{ end }}",
            "a=1;b=2;",
        ),
        ("{{ range $i := 3 }}{{ $i }}{{ end }}", "012"),
        ("{{ range .Values.none }}x{{ else }}none{{ end }}", "none"),
        (
            "{{ range $i, $e := .Values.l }}{{ if $i }}{{ break }}{{ end }}{{ $e }}{{ end }}",
            "a",
        ),
        (
            "{{ range until 4 }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ . }}{{ end }}",
            "013",
        ),
        (
            "{{ with .Values.none }}a{{ else with .Values.s }}{{ . }}{{ else }}b{{ end }}",
            "str",
        ),
        (
            "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}",
            "2",
        ),
        (
            "{{ define \"f\" }}<{{ . }}>{{ end }}{{ template \"f\" .Values.s }}",
            "<str>",
        ),
        (
            "{{ define \"f\" }}<{{ . }}>{{ end }}{{ include \"f\" 1 | indent 2 }}",
            "  <1>",
        ),
        ("{{ block \"b\" .Values.l }}{{ len . }}{{ end }}", "2"),
        ("{{ (index .Values.l 1) }} {{ (dict \"a\" 1).a }}", "b 1"),
        (
            "{{ printf \"%s %d %v %q %5.2f|%-4s|%x\" \"a\" 5 nil \"b\" 1.0 \"c\" \"d\" }}",
            "a 5 <nil> \"b\"  1.00|c   |64",
        ),
        (
            "{{ printf \"%d\" 1.5 }} {{ printf \"%s\" 5 }}",
            "%!d(float64=1.5) %!s(int=5)",
        ),
        (
            "{{ print 1 2 \"a\" \"b\" 3 }}",
            "1 2a b3".replace("a b", "ab").leak(),
        ),
        ("{{ .Values.m }} {{ .Values.l }}", "map[a:1 b:2] [a b]"),
        ("{{ tpl \"{{ .Values.s }}!\" . }}", "str!"),
        (
            "{{ 0755 }} {{ 1_000 }} {{ 'a' }} {{ 0x1F }} {{ 1e3 }} {{ 0x1p4 | int }}",
            "493 1000 97 31 1000 16",
        ),
        (
            "{{ and 1 0 2 }} {{ or 0 \"\" \"x\" }} {{ not 1 }}",
            "0 x false",
        ),
        (
            "{{ trunc 3 \"abcdef\" }} {{ trunc -2 \"abcdef\" }} {{ substr 1 3 \"abcdef\" }}",
            "abc ef bc",
        ),
        (
            "{{ default \"d\" .Values.none }} {{ coalesce 0 \"\" \"c\" }} {{ empty list }}",
            "d c true",
        ),
        ("{{ toYaml .Values.m | nindent 2 }}", "\n  a: 1\n  b: 2"),
        (
            "{{ toJson (dict \"a\" \"<b>\") }}",
            "{\"a\":\"\\u003cb\\u003e\"}",
        ),
        (
            "{{ $d := dict \"a\" 1 }}{{ $_ := set $d \"b\" 2 }}{{ toJson $d }}",
            "{\"a\":1,\"b\":2}",
        ),
        (
            "{{ toJson (merge (dict \"a\" false) (dict \"a\" true \"b\" 1)) }}",
            "{\"a\":true,\"b\":1}",
        ),
        (
            "{{ regexReplaceAll \"a(x*)b\" \"-ab-axxb-\" \"${1}W\" }}",
            "-W-xxW-",
        ),
        (
            "{{ regexReplaceAll \"a(x*)b\" \"-ab-axxb-\" \"$1W\" }}",
            "---",
        ),
        (
            "{{ semverCompare \">=1.20-0\" \"v1.24.3-gke.100\" }}",
            "true",
        ),
        (
            "{{ (semver \"1.2.3-rc1\").Minor }} {{ semver \"v1.2\" }}",
            "2 1.2.0",
        ),
        (
            "{{ addf 0.1 0.2 }} {{ divf 1 3 }} {{ add \"3\" 4 2.9 }} {{ mod -7 3 }}",
            "0.3 0.3333333333333333 9 -1",
        ),
        (
            "{{ int \"010\" }} {{ int \"1.5\" }} {{ int \"1.0\" }} {{ round 123.555555 3 }}",
            "8 0 1 123.556",
        ),
        (
            "{{ snakecase \"FooBarHTTPServer\" }} {{ kebabcase \"FooBar\" }} {{ camelcase \"foo_bar\" }}",
            "foo_bar_http_server foo-bar FooBar",
        ),
        (
            "{{ b64enc \"héllo\" }} {{ b64dec \"aGk=\" }} {{ sha1sum \"a\" | trunc 8 }}",
            "aMOpbGxv hi 86f7e437",
        ),
        (
            "{{ dig \"a\" \"b\" \"d\" (dict \"a\" (dict \"b\" 1)) }}{{ dig \"x\" \"d\" (dict) }}",
            "1d",
        ),
        (
            "{{ splitList \",\" \"a,b\" | join \"-\" }} {{ (split \"/\" \"a/b\")._1 }}",
            "a-b b",
        ),
        (
            "{{ \"2024-02-29\" | toDate \"2006-01-02\" | date \"02/01/06\" }}",
            "29/02/24",
        ),
        ("{{ duration \"3661\" }} {{ now | unixEpoch }}", "1h1m1s 0"),
        (
            "{{ fromYaml \"a: [1, yes]\" }} {{ fromYaml \"[\" | kindOf }}",
            "map[a:[1 true]] map",
        ),
        (
            "{{ typeOf .Values }} {{ kindOf 1.5 }} {{ typeOf (list 1) }}",
            "map[string]interface {} float64 []interface {}",
        ),
        (
            "{{ quote \"a\\\"b\" nil 1 }} {{ squote \"it's\" }}",
            "\"a\\\"b\" \"1\" 'it's'",
        ),
        (
            "{{ ternary \"y\" \"n\" true }} {{ has 1 (list 1 2) }} {{ uniq (list 1 1 2) }}",
            "y true [1 2]",
        ),
        (
            "{{ seq 1 3 }} {{ untilStep 3 0 -1 }} {{ max 1 5 2 }} {{ toString 1.5 }}",
            "1 2 3 [3 2 1] 5 1.5",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(run(text), Ok(expected.to_string()), "{text}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat table of cases")]
fn failures_speak_as_go_does() {
    let at = |column: u32, node: &str, message: &str| {
        format!("template: t:1:{column}: executing \"t\" at <{node}>: {message}")
    };
    let cases = [
        (
            "{{ .Values.nope.x }}",
            at(
                10,
                ".Values.nope.x",
                "nil pointer evaluating interface {}.x",
            ),
        ),
        (
            "{{ .Values.s.x }}",
            at(
                10,
                ".Values.s.x",
                "can't evaluate field x in type interface {}",
            ),
        ),
        ("{{ upper 5 }}", at(9, "5", "expected string; found 5")),
        (
            "{{ upper nil }}",
            at(9, "nil", "cannot assign nil to string"),
        ),
        (
            "{{ upper .Values.nope }}",
            at(
                16,
                ".Values.nope",
                "wrong type for value; expected string; got interface {}",
            ),
        ),
        (
            "{{ .Values.nope | upper }}",
            at(18, "upper", "invalid value; expected string"),
        ),
        (
            "{{ substr 0 5 }}",
            at(3, "substr", "wrong number of args for substr: want 3 got 2"),
        ),
        (
            "{{ eq 1 1.0 }}",
            at(
                3,
                "eq 1 1.0",
                "error calling eq: incompatible types for comparison: int and float64",
            ),
        ),
        (
            "{{ div 1 0 }}",
            at(
                3,
                "div 1 0",
                "error calling div: runtime error: integer divide by zero",
            ),
        ),
        (
            "{{ template \"no\" }}",
            at(12, "{{template \"no\"}}", "template \"no\" not defined"),
        ),
        (
            "{{ range .Values.s }}{{ end }}",
            at(16, ".Values.s", "range can't iterate over str"),
        ),
        (
            "{{ include \"no\" . }}",
            at(
                3,
                "include \"no\" .",
                "error calling include: template: no template \"no\" associated \
             with template \"gotpl\"",
            ),
        ),
        (
            "{{ bad }}",
            "template: t:1: function \"bad\" not defined".to_string(),
        ),
        (
            "{{ if }}{{ end }}",
            "template: t:1: missing value for if".to_string(),
        ),
        ("{{ if 1 }}", "template: t:1: unexpected EOF".to_string()),
        (
            "{{ $x }}",
            "template: t:1: undefined variable \"$x\"".to_string(),
        ),
        (
            "{{ \"a",
            "template: t:1: unterminated quoted string".to_string(),
        ),
        ("{{ end }}", "template: t:1: unexpected {{end}}".to_string()),
        (
            "{{ 1 | 2 }}",
            "template: t:1: non executable command in pipeline stage 2".to_string(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(run(text), Err(expected), "{text}");
    }
}

#[test]
fn every_piece_knows_its_place_and_its_values() {
    let mut set = Set::new();
    set.add(
        "_h.tpl",
        "{{ define \"labels\" }}app: x\nname: {{ .Values.image.tag }}\n{{ end }}",
    )
    .unwrap();
    set.add("d.yaml", "kind: D\n{{ include \"labels\" . | nindent 2 }}")
        .unwrap();
    let values = Value::from_tree(&Tree::from(&json!({"image": {"tag": "v1"}})));
    let root = pilotis_template::Map::new();
    root.insert("Values", values);
    let output = Machine::new(set, &NoEnvironment)
        .run("d.yaml", &Value::Map(root))
        .unwrap();
    let text = output.text();
    assert_eq!(text, "kind: D\n\n  app: x\n  name: v1\n  ");
    let tag = text.find("v1").unwrap();
    let place = output.position(tag).unwrap();
    assert_eq!((place.template.as_str(), place.line), ("_h.tpl", 2));
    assert_eq!(output.piece(tag).unwrap().reads, ["image.tag"]);
    let name = output.position(text.find("name").unwrap()).unwrap();
    assert_eq!((name.template.as_str(), name.line), ("_h.tpl", 2));
}

#[test]
fn limits_stop_endless_templates() {
    let recursion = "{{ define \"r\" }}{{ template \"r\" . }}{{ end }}{{ template \"r\" . }}";
    assert!(
        run(recursion)
            .unwrap_err()
            .contains("exceeded maximum template depth")
    );
    assert!(
        run("{{ repeat 99999999 \"aaaa\" }}")
            .unwrap_err()
            .contains("output is larger than")
    );
    let loops = "{{ range until 1000 }}{{ range until 1000 }}{{ end }}{{ end }}";
    assert!(
        run(loops)
            .unwrap_err()
            .contains("exceeded maximum number of steps")
    );
    let itself = "{{ $d := dict }}{{ $_ := set $d \"d\" $d }}{{ toJson $d }}{{ $d }}";
    assert!(run(itself).unwrap().starts_with("map[d:"));
    let parens = format!("{{{{ {}1{} }}}}", "(".repeat(500), ")".repeat(500));
    assert!(
        run(&parens)
            .unwrap_err()
            .contains("max expression depth exceeded")
    );
}

#[test]
fn all_helm_names_are_known() {
    // 240 of Helm 4.2, 11 more since 4.3.
    assert_eq!(function_names().len(), 251);
}

mod properties {
    //! Hostile templates end in an output or an error, never in a panic.

    use super::run;
    use proptest::prelude::*;

    const WORDS: [&str; 48] = [
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "if",
        "else",
        "end",
        "range",
        "with",
        "define",
        "\"a\"",
        "template",
        "block",
        "break",
        "continue",
        ".",
        ".Values",
        ".l",
        "$",
        "$x",
        ":=",
        "=",
        "|",
        "(",
        ")",
        "nil",
        "true",
        "1",
        "-1",
        "1.5",
        "'a'",
        "`raw`",
        ",",
        "printf",
        "\"%d%s%v\"",
        "toYaml",
        "nindent",
        "index",
        "list",
        "dict",
        "set",
        "merge",
        "tpl",
        "include",
        "/*",
        "*/",
        "é",
    ];

    proptest! {
        #[test]
        fn no_sequence_of_words_panics(words in prop::collection::vec(0..WORDS.len(), 0..30)) {
            let text: Vec<&str> = words.iter().map(|at| WORDS[*at]).collect();
            let _ = run(&text.join(" "));
            let _ = run(&text.concat());
        }

        #[test]
        fn no_call_panics(name in 0..240usize, args in prop::collection::vec(0..12usize, 0..5)) {
            let values = [
                "nil", "1", "-1", "9223372036854775807", "1.5", "\"\"", "\"é%[\"", "true", ".Values",
                ".Values.l", "(dict)", "(until 3)",
            ];
            let name = pilotis_template::function_names()[name];
            let args: Vec<&str> = args.iter().map(|at| values[*at]).collect();
            let _ = run(&format!("{{{{ {name} {} }}}}", args.join(" ")));
        }
    }
}
