//! What inputs are made from.

use pilotis_chart::{Chart, File, pack};

/// Pieces that matter to the grammars.
pub const WORDS: [&str; 56] = [
    "{{",
    "}}",
    "{{-",
    "-}}",
    "{{/*",
    "*/}}",
    "if ",
    "else",
    "end",
    "range ",
    "with ",
    "define ",
    "template ",
    "block ",
    "break",
    "continue",
    "$x",
    ":=",
    "=",
    "|",
    "(",
    ")",
    ".Values",
    ".a",
    "\"",
    "`",
    "'",
    "nil",
    "include ",
    "tpl ",
    "printf ",
    "toYaml ",
    "fromYaml ",
    "dict ",
    "list ",
    "index ",
    "regexMatch ",
    "semverCompare ",
    "- ",
    ": ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "<<: ",
    "|-\n",
    ">\n",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\\",
    "---\n",
    "null",
    "!!binary ",
];

/// Functions that make RSA keys, seconds each: a fuzzer that has them does nothing else.
const SLOW: [&str; 4] = [
    "genCA",
    "genSignedCert",
    "genSelfSignedCert",
    "genPrivateKey",
];

/// Templates: one for each line the judges are asked.
pub fn templates() -> Vec<Vec<u8>> {
    let lists = [
        include_str!("../../xtask/src/helm/inputs/functions.txt"),
        include_str!("../../xtask/src/helm/inputs/language.txt"),
    ];
    let lines = lists.iter().flat_map(|list| list.lines());
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines = lines.filter(|line| !SLOW.iter().any(|name| line.contains(name)));
    let body = |line: &str| match line.contains("{{") {
        true => line.to_owned(),
        false => format!("{{{{ {line} }}}}"),
    };
    lines
        .map(|line| {
            body(line)
                .replace(['⟦', '⟧'], " ")
                .replace('¦', " ")
                .into_bytes()
        })
        .collect()
}

/// YAML texts.
pub fn yaml() -> Vec<Vec<u8>> {
    let texts = [
        include_str!("../../xtask/src/helm/inputs/values.yaml"),
        "a: &x {b: [1, 2.5, yes], c: \"é\\n\"}\nd: *x\ne:\n  <<: *x\n",
        "- |\n  text\n  more\n- >-\n  folded\n  text\n- 'it''s'\n- !!str 5\n",
        "? complex\n: value\n? [a, b]\n: {c: d}\n...\n---\nsecond: 0x1F\n",
        "%YAML 1.1\n---\na: 017\nb: 1_000\nc: .inf\nd: 2001-01-01\n",
        "",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Words of `--set` and its kin.
pub fn words() -> Vec<Vec<u8>> {
    let texts = [
        "a=1,b=x",
        "a.b.c=true,a.d=null",
        "a={x,1},b[2].c=d",
        "a[0][1]=2,a\\.b=c\\,d",
        "a={\"x\":[1]},b=null",
        "{\"a\": {\"b\": [1, 2.5]}}",
        "a=",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Archives of a small chart.
pub fn archives() -> Vec<Vec<u8>> {
    let files = vec![
        File::new("Chart.yaml", "apiVersion: v2\nname: a\nversion: 1.0.0\n"),
        File::new("values.yaml", "x: 1\n"),
        File::new("templates/a.yaml", "a: {{ .Values.x }}\n"),
        File::new(
            "charts/b/Chart.yaml",
            "apiVersion: v2\nname: b\nversion: 2.0.0\n",
        ),
    ];
    let packed = Chart::load(files).and_then(|chart| pack(&chart, 0));
    vec![packed.unwrap_or_default(), vec![0x1f, 0x8b, 8, 0]]
}

/// Indexes in every shape they come in.
pub fn indexes() -> Vec<Vec<u8>> {
    let texts = [
        "apiVersion: v1\nentries:\n  a:\n  - name: a\n    version: 1.0.0\n    urls:\n    - a.tgz\n  b:\n    - \
         {name: b, version: 2.0.0, description: 'x\n\n    y: z'}\ngenerated: \"x\"\n",
        "apiVersion: v1\nentries:\n  a: &x\n  - {name: a, version: 1.0.0}\n  b: *x\n",
        "apiVersion: v1\nentries:\n  \"a\":\n  - name: a\n    version: 1.0.0\n    description: |\n      b:\n\n     \
          - c\n  # why\n  'b': []\n",
        "{\"apiVersion\": \"v1\", \"entries\": {\"a\": [{\"name\": \"a\", \"version\": \"1.0.0\"}]}}",
        "dependencies:\n- name: a\n  repository: https://h\n  version: 1.0.0\ndigest: sha256:00\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Signed statements and keys, whose signatures hold for nothing.
pub fn statements() -> Vec<Vec<u8>> {
    let texts = [
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nname: a\n\n...\nfiles:\n  a-1.0.0.tgz: \
         sha256:00\n-----BEGIN PGP SIGNATURE-----\n\nwnUEARYKAB0WIQTrhbtfozp14V6UTmPyMVUMT0fjjgUCZ\n=aaaa\n-----END \
         PGP SIGNATURE-----\n",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEXEcE6RYJKwYBBAHaRw8BAQdArjWwk3FAqyiFbFBKT4TzXcVBqPTB3gmzlC/U\n\
         b7O1u10=\n=aaaa\n-----END PGP PUBLIC KEY BLOCK-----\n",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push(vec![0x99, 0, 13, 4, 0, 0, 0, 1, 1, 0, 1, 3, 0, 2, 3]);
    all
}
