//! Values from everywhere: files of four charts, files and words of the command line, what
//! dependencies hand up, and schemas that say no.

use super::Case;
use crate::helm::random::Random;

/// Nesting of what is made.
const DEPTH_MAX: u64 = 3;
/// The names of everything, so that things meet.
const KEYS: [&str; 15] = [
    "a", "b", "c", "sub", "leaf", "other", "global", "tags", "exports", "data", "front", "enabled",
    "x.y", "1", "\"q r\"",
];
const SCALARS: [&str; 43] = [
    "1",
    "0",
    "-1",
    "1.0",
    "1.5",
    "1e3",
    "1e21",
    "0x1F",
    "0o17",
    "017",
    "0b11",
    "1_000",
    ".5",
    "-0",
    "+1",
    "12345678901234567890",
    "9007199254740993",
    "true",
    "false",
    "yes",
    "on",
    "\"true\"",
    "null",
    "~",
    "\"\"",
    "''",
    "x",
    "a b",
    "\"1\"",
    "'1.0'",
    "2001-01-01",
    "\"2001-01-01T00:00:00Z\"",
    "!!str 1",
    "!!int \"3\"",
    "!!float 2",
    "\"a\\nb\"",
    "\"\\u00e9\"",
    "é",
    "1.",
    "a@b.example",
    "https://h.example/p?q=1",
    "\"{{ .Values.a }}\"",
    "127.0.0.1",
];
/// What is seldom in a values file.
const ODD: [&str; 12] = [
    ".inf",
    ".nan",
    "&k v",
    "*k",
    "!!int x",
    "!!binary aGk=",
    "!x 1",
    "{null: 1}",
    "{<<: {a: 1}, b: 2}",
    "{1.5: a, true: b}",
    "{[a]: b}",
    "? a",
];
/// What a dependency hands up.
const IMPORTS: [&str; 10] = [
    "[]",
    "[data]",
    "[data, a]",
    "[{child: data, parent: a}]",
    "[{child: exports.data, parent: .}]",
    "[{child: a, parent: b.c}]",
    "[{child: global, parent: global}]",
    "[1]",
    "[{child: a}]",
    "[{parent: a}]",
];
const CONDITIONS: [&str; 8] = [
    "sub.enabled",
    "a",
    "sub.enabled,other.enabled",
    "a.b",
    "\"\"",
    "global.enabled",
    "sub.enabled, a",
    "front",
];
/// Rules of a schema and what they may be given; `S` stands for another schema.
const RULES: [(&str, &[&str]); 45] = [
    (
        "type",
        &[
            "\"string\"",
            "\"integer\"",
            "\"number\"",
            "\"object\"",
            "\"array\"",
            "\"boolean\"",
            "\"null\"",
            "[\"string\",\"null\"]",
            "\"bogus\"",
            "1",
            "[]",
        ],
    ),
    (
        "enum",
        &[
            "[1,\"x\",null]",
            "[\"only\"]",
            "[[1],{}]",
            "[]",
            "[1.5,true]",
            "1",
        ],
    ),
    (
        "const",
        &["1", "\"x\"", "null", "{\"a\":1}", "[1,2]", "true"],
    ),
    ("minimum", &["2", "1.5", "-1", "\"2\""]),
    ("maximum", &["0", "1.5", "1e3"]),
    ("exclusiveMinimum", &["1", "true", "0"]),
    ("exclusiveMaximum", &["1", "true", "0"]),
    ("multipleOf", &["2", "0.1", "0", "1.5", "3"]),
    ("minLength", &["2", "0", "5", "-1", "1.0"]),
    ("maxLength", &["1", "0", "1.5"]),
    (
        "pattern",
        &["\"^a\"", "\"[0-9]+$\"", "\"(\"", "\"^$\"", "\"\\\\d\""],
    ),
    (
        "format",
        &[
            "\"email\"",
            "\"uri\"",
            "\"ipv4\"",
            "\"date\"",
            "\"date-time\"",
            "\"hostname\"",
            "\"regex\"",
            "\"uuid\"",
            "\"ipv6\"",
            "\"duration\"",
            "\"json-pointer\"",
            "\"x\"",
        ],
    ),
    ("minItems", &["1", "2"]),
    ("maxItems", &["1", "0"]),
    ("uniqueItems", &["true", "false"]),
    ("items", &["S", "[S]", "[S,S]", "true", "false"]),
    ("prefixItems", &["[S]", "[S,S]"]),
    ("additionalItems", &["false", "S"]),
    ("contains", &["S"]),
    ("minContains", &["0", "2"]),
    ("maxContains", &["1"]),
    ("minProperties", &["1", "3"]),
    ("maxProperties", &["0", "1", "2"]),
    (
        "required",
        &[
            "[\"a\"]",
            "[\"a\",\"zz\"]",
            "[]",
            "[\"b\",\"c\",\"d\"]",
            "true",
        ],
    ),
    (
        "properties",
        &[
            "{\"a\":S}",
            "{\"a\":S,\"b\":S}",
            "{\"sub\":S}",
            "{\"global\":S,\"c\":S}",
            "{\"a\":1}",
        ],
    ),
    (
        "patternProperties",
        &["{\"^a\":S}", "{\"(\":S}", "{\".\":S}"],
    ),
    ("additionalProperties", &["false", "S", "true"]),
    (
        "propertyNames",
        &["S", "{\"maxLength\":3}", "{\"pattern\":\"^[a-z]+$\"}"],
    ),
    (
        "dependentRequired",
        &["{\"a\":[\"b\"]}", "{\"a\":[\"zz\",\"b\"]}"],
    ),
    ("dependentSchemas", &["{\"a\":S}"]),
    ("dependencies", &["{\"a\":[\"zz\"]}", "{\"a\":S}"]),
    ("if", &["S"]),
    ("then", &["S"]),
    ("else", &["S"]),
    ("allOf", &["[S]", "[S,S]", "[]"]),
    ("anyOf", &["[S]", "[S,S]"]),
    ("oneOf", &["[S,S]", "[S]", "[true,true]"]),
    ("not", &["S", "{}"]),
    (
        "$ref",
        &[
            "\"#/$defs/d\"",
            "\"#/definitions/d\"",
            "\"#\"",
            "\"#/x\"",
            "\"#anchor\"",
            "\"other.json\"",
        ],
    ),
    (
        "$defs",
        &[
            "{\"d\":S}",
            "{\"d\":{\"$anchor\":\"anchor\",\"type\":\"string\"}}",
        ],
    ),
    ("definitions", &["{\"d\":S}"]),
    ("unevaluatedProperties", &["false", "S"]),
    ("unevaluatedItems", &["false"]),
    ("contentEncoding", &["\"base64\""]),
    ("default", &["1"]),
];
const DRAFTS: [&str; 8] = [
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-04/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/schema#",
    "x",
];
pub const TEMPLATE: &str = "kind: K\nmetadata: {name: {{ .Chart.Name }}}\nvalues:\n\
    {{ .Values | toYaml | indent 2 }}\njson: {{ .Values | toJson }}\n\
    go: {{ printf \"%v\" .Values | quote }}\nsubs: {{ keys .Subcharts | sortAlpha }}\n\
    kinds: {{ range $k, $v := .Values }}{{ $k }}={{ kindOf $v }},{{ end }}\n\
    wanted: {{ .Chart.Dependencies | toJson | quote }}\nat: {{ .Template | toJson | quote }}\n";
/// What a value on the command line is.
const WORDS: [&str; 32] = [
    "1",
    "0",
    "-1",
    "1.0",
    "01",
    "1e3",
    "0x1F",
    "true",
    "false",
    "True",
    "null",
    "",
    "x",
    "a b",
    "é",
    "{a,b}",
    "{}",
    "{1,null,true}",
    "{a",
    "a}",
    "x\\,y",
    "x\\=y",
    "{x\\,y,z}",
    "a=b",
    "9223372036854775808",
    "{{a}}",
    "[1]",
    "\"q\"",
    "~",
    "{a, b}",
    "1,",
    "x\\",
];
const JSONS: [&str; 14] = [
    "1",
    "1.0",
    "1e3",
    "\"x\"",
    "null",
    "true",
    "[1,null,{\"a\":2}]",
    "{\"a\":{\"b\":1}}",
    "{}",
    "[",
    "x",
    "{\"a\":1}x",
    "12345678901234567890",
    " 1 ",
];
const STEPS: [&str; 20] = [
    "a", "b", "c", "sub", "leaf", "other", "global", "tags", "exports", "data", "enabled", "a[0]",
    "a[1]", "b[2]", "x\\.y", "a[-1]", "a[x]", "a[0][1]", "a[", "",
];

/// Where the charts are, each in the one before.
const CHARTS: [(&str, &str); 4] = [
    ("web", "web"),
    ("sub", "web/charts/sub"),
    ("leaf", "web/charts/sub/charts/leaf"),
    ("tip", "web/charts/sub/charts/leaf/charts/tip"),
];

/// Four charts, one in the other, with values for all of them.
pub fn case(random: &mut Random) -> Case {
    let mut files = vec![
        ("one.yaml".to_owned(), mapping(random)),
        ("two.yaml".to_owned(), mapping(random)),
        ("text".to_owned(), "line 1\nline, 2=x\n".to_owned()),
    ];
    let inner = CHARTS[1..].iter().map(|(name, _)| *name).chain([""]);
    for ((name, folder), inner) in CHARTS.iter().zip(inner) {
        files.push((format!("{folder}/Chart.yaml"), about(random, name, inner)));
        files.push((format!("{folder}/templates/k.yaml"), TEMPLATE.to_owned()));
        if random.below(4) > 0 {
            files.push((format!("{folder}/values.yaml"), mapping(random)));
        }
        if random.below(6) == 0 {
            files.push((format!("{folder}/values.schema.json"), schema_file(random)));
        }
    }
    let flags = flags(random);
    let with = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(flags.iter().cloned()).collect()
    };
    Case {
        files,
        folders: Vec::new(),
        commands: vec![
            with(&["template", "r", "web"]),
            with(&["lint", "web", "--with-subcharts"]),
        ],
    }
}

/// `Chart.yaml` of a chart that has another in it, if one is named.
fn about(random: &mut Random, name: &str, inner: &str) -> String {
    let mut text = format!("apiVersion: v2\nname: {name}\nversion: 1.0.0\n");
    if inner.is_empty() || random.below(5) == 0 {
        return text;
    }
    text.push_str(&format!("dependencies:\n- name: {inner}\n  version: 1.x\n"));
    for (field, given) in [
        ("condition", &CONDITIONS[..]),
        ("import-values", &IMPORTS),
        ("alias", &["other", "a"]),
        ("tags", &["[front]", "[front, a]", "[]"]),
    ] {
        if random.below(3) == 0 {
            text.push_str(&format!("  {field}: {}\n", random.of(given)));
        }
    }
    if random.below(4) == 0 {
        text.push_str(&format!(
            "- name: {inner}\n  version: \">0\"\n  alias: other\n"
        ));
    }
    text
}

/// A values file: now and then none.
fn mapping(random: &mut Random) -> String {
    if random.below(25) == 0 {
        return (*random.of(&[
            "",
            "- a\n",
            "x\n",
            "a: b: c\n",
            "a: 1\n---\nb: 2\n",
            "# none\n",
            "{a: 1}\n",
            "a: [1\n",
            "null\n",
            "\ta: 1\n",
        ]))
        .to_owned();
    }
    let mut text = String::new();
    let mut met = Vec::new();
    for _ in 0..random.below(6) {
        let key = *random.of(&KEYS);
        if met.contains(&key) && random.below(20) > 0 {
            continue;
        }
        met.push(key);
        text.push_str(&format!("{key}: {}\n", value(random, 0)));
    }
    text
}

/// A value in flow style.
fn value(random: &mut Random, depth: u64) -> String {
    let inner = |random: &mut Random| value(random, depth + 1);
    match random.below(6 + depth) {
        0..=2 if depth < DEPTH_MAX => {
            let count = random.below(4);
            let pairs: Vec<String> = (0..count)
                .map(|_| format!("{}: {}", random.of(&KEYS), inner(random)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        3 if depth < DEPTH_MAX => {
            let count = random.below(4);
            let items: Vec<String> = (0..count).map(|_| inner(random)).collect();
            format!("[{}]", items.join(", "))
        }
        _ if random.below(60) == 0 => (*random.of(&ODD)).to_owned(),
        _ => (*random.of(&SCALARS)).to_owned(),
    }
}

fn schema_file(random: &mut Random) -> String {
    let mut text = schema(random, 0);
    if random.below(3) == 0 && text.starts_with('{') && text.len() > 2 {
        text.insert_str(1, &format!("\"$schema\":\"{}\",", random.of(&DRAFTS)));
    }
    text
}

/// A schema with rules of any kind.
fn schema(random: &mut Random, depth: u64) -> String {
    let count = 1 + random.below(3);
    let mut met = Vec::new();
    for _ in 0..count {
        let (name, given) = *random.of(&RULES);
        if met.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let form = *random.of(given);
        let mut text = String::new();
        for part in form.split_inclusive('S') {
            match part.strip_suffix('S') {
                Some(before) if depth < DEPTH_MAX => {
                    text.push_str(before);
                    text.push_str(&schema(random, depth + 1));
                }
                Some(before) => text.push_str(&format!("{before}true")),
                None => text.push_str(part),
            }
        }
        met.push((name, text));
    }
    let rules: Vec<String> = met
        .iter()
        .map(|(name, text)| format!("\"{name}\":{text}"))
        .collect();
    format!("{{{}}}", rules.join(","))
}

/// Values by flags.
fn flags(random: &mut Random) -> Vec<String> {
    let mut flags = Vec::new();
    for _ in 0..random.below(4) {
        let path = path(random);
        let (flag, word) = match random.below(9) {
            0..=2 => ("--set", set(random, &path)),
            3 => ("--set-string", set(random, &path)),
            4 => ("--set-json", format!("{path}={}", random.of(&JSONS))),
            5 => ("--set-json", (*random.of(&JSONS)).to_owned()),
            6 => (
                "--set-file",
                format!(
                    "{path}={}",
                    random.of(&["text", "none", "", "web/Chart.yaml", "text,b=text"])
                ),
            ),
            7 => ("--set-literal", format!("{path}={}", random.of(&WORDS))),
            _ => (
                "-f",
                (*random.of(&[
                    "one.yaml",
                    "two.yaml",
                    "none.yaml",
                    "one.yaml,two.yaml",
                    "text",
                ]))
                .to_owned(),
            ),
        };
        flags.extend([flag.to_owned(), word]);
    }
    flags
}

/// One or two assignments.
fn set(random: &mut Random, first: &str) -> String {
    let mut text = format!("{first}={}", random.of(&WORDS));
    if random.below(3) == 0 {
        text.push_str(&format!(",{}={}", path(random), random.of(&WORDS)));
    }
    text
}

fn path(random: &mut Random) -> String {
    let count = 1 + random.below(3);
    let steps: Vec<&str> = (0..count).map(|_| *random.of(&STEPS)).collect();
    steps.join(".")
}
