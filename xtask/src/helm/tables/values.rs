//! Rows about values: `--set` and its kin, and charts whose values meet.

use super::ask::{Question, Rows};
use super::go::{Go, Record, quoted};

const SET: &str = "strvals";
const COALESCE: &str = "coalesce";

/// Shows values with their Go types, and as YAML.
const SHOWN: &str = "a: {{ printf \"%#v\" .Values | b64enc }}\nb: {{ toYaml .Values | b64enc }}\n";

/// Levels one more than `--set` allows.
const LEVELS: usize = 32;

/// Rows of the parser of `--set`, `--set-string`, `--set-json`, `--set-literal`, `--set-file`.
pub fn set(rows: &mut Rows, records: &[Record]) {
    for record in records.iter().filter(|record| !record.is_call) {
        let flag = match (record.name.as_str(), record.function.as_str()) {
            ("testsString", _) => "--set-string",
            ("tests", "TestParseJSON") => "--set-json",
            ("cases" | "tests", function) if function.contains("Literal") => "--set-literal",
            ("tests", _) => "--set",
            _ => continue,
        };
        for (index, row) in record.value.rows().into_iter().enumerate() {
            let name = format!("{} {} {index}", record.function, record.name);
            match words(row) {
                Some(words) => ask_set(rows, &name, flag, &words, row.field("got")),
                None => set_index(rows, &name, row),
            }
        }
    }
    for record in records
        .iter()
        .filter(|record| !record.is_call && record.name == "input")
    {
        let Some(text) = record.value.text() else {
            continue;
        };
        let same = |other: &&Record| other.name == "got" && other.function == record.function;
        let got = records.iter().find(same).map(|record| &record.value);
        let flag = match record.function.as_str() {
            "TestParseFile" | "TestParseIntoFile" => "--set-file",
            _ => "--set-string",
        };
        ask_set(rows, &record.function, flag, &[text.to_owned()], got);
    }
}

/// What a row gives to the flag, once or twice.
fn words(row: &Go) -> Option<Vec<String>> {
    let first = row.field("str").or(row.field("input"))?;
    let first = match first {
        Go::Text(_) => first.text()?.to_owned(),
        // The one text that is built by a loop: a name of too many levels.
        _ => {
            let names: Vec<String> = (1..=LEVELS).map(|level| format!("name{level}")).collect();
            format!("{}=value", names.join("."))
        }
    };
    let second = row.text_of("input2").filter(|text| !text.is_empty());
    Some(
        std::iter::once(first)
            .chain(second.map(str::to_owned))
            .collect(),
    )
}

fn ask_set(rows: &mut Rows, name: &str, flag: &str, words: &[String], got: Option<&Go>) {
    let values = got
        .and_then(|got| got.json().ok())
        .filter(|got| got.is_object());
    let values = values.map_or_else(String::new, |values| values.to_string());
    let arguments = words
        .iter()
        .flat_map(|word| [flag.to_owned(), word.clone()]);
    rows.questions.push(Question {
        table: SET,
        name: name.to_owned(),
        files: vec![
            ("values.yaml".to_owned(), values.into_bytes()),
            ("templates/a.yaml".to_owned(), SHOWN.into()),
            ("path1".to_owned(), b"value1".to_vec()),
        ],
        arguments: arguments.collect(),
    });
}

/// A row that sets one element of a list.
fn set_index(rows: &mut Rows, name: &str, row: &Go) {
    let (Some(initial), Some(Go::Int(value))) = (row.field("initial"), row.field("val")) else {
        rows.exclude(SET, name, "a text worked out by Go code");
        return;
    };
    let index = match row.field("add") {
        Some(Go::Int(index)) => index.clone(),
        // One more than the largest there may be.
        _ => "65537".to_owned(),
    };
    let got = Go::Map(vec![(Go::Text(b"list".to_vec()), initial.clone())]);
    let word = format!("list[{index}]={value}");
    ask_set(rows, name, "--set", &[word], Some(&got));
}

/// Rows of what becomes of values when charts and values files meet.
pub fn coalesce(rows: &mut Rows, records: &[Record]) {
    let mut functions: Vec<&str> = records
        .iter()
        .map(|record| record.function.as_str())
        .collect();
    functions.dedup();
    for function in functions {
        let of = |name: &str| {
            let same = |record: &&Record| record.function == function && record.name == name;
            records.iter().find(same).map(|record| &record.value)
        };
        let chart = of("parent").or(of("c")).or(of("chrt"));
        let files = match (chart, of("src"), of("dst")) {
            (Some(chart), ..) => chart_files(chart, of("vals").or(of("overrideValues"))),
            (None, Some(source), Some(target)) => table_files(source, target),
            _ => continue,
        };
        let Some(mut files) = files else {
            rows.exclude(
                COALESCE,
                function,
                "a chart read from a folder of the tests",
            );
            continue;
        };
        files.push(("templates/a.yaml".to_owned(), SHOWN.into()));
        ask_chart(rows, function, files.clone());
        let tests = of("tests").map(Go::rows).unwrap_or_default();
        for (index, row) in tests.into_iter().enumerate() {
            let Some(text) = row.text_of("tpl") else {
                continue;
            };
            let mut files = files.clone();
            files.push(("templates/_row.tpl".to_owned(), text.into()));
            let name = files_name(&files);
            let line =
                format!("a: {{{{ include \"{name}/templates/_row.tpl\" .Values | b64enc }}}}\n");
            files.push(("templates/b.yaml".to_owned(), line.into_bytes()));
            ask_chart(rows, &format!("{function} {index}"), files);
        }
    }
}

fn ask_chart(rows: &mut Rows, name: &str, files: Vec<(String, Vec<u8>)>) {
    let has_values = files.iter().any(|(path, _)| path == "given.yaml");
    let arguments = ["-f", "given.yaml"].map(str::to_owned);
    rows.questions.push(Question {
        table: COALESCE,
        name: name.to_owned(),
        files,
        arguments: if has_values {
            arguments.to_vec()
        } else {
            Vec::new()
        },
    });
}

/// The name in the `Chart.yaml` of the outermost chart.
fn files_name(files: &[(String, Vec<u8>)]) -> String {
    let chart = files.iter().find(|(path, _)| path == "Chart.yaml");
    let text = chart.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    let text = text.unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("name: "));
    name.unwrap_or("rows").trim_matches('"').to_owned()
}

/// One table as the values of a chart, the other as the values given.
fn table_files(source: &Go, target: &Go) -> Option<Vec<(String, Vec<u8>)>> {
    let text = |go: &Go| go.json().ok().map(|json| json.to_string().into_bytes());
    Some(vec![
        ("values.yaml".to_owned(), text(source)?),
        ("given.yaml".to_owned(), text(target)?),
    ])
}

fn chart_files(chart: &Go, values: Option<&Go>) -> Option<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    add_chart(chart, "", &mut files)?;
    let given = match values {
        Some(Go::Call(_, arguments)) => arguments.first()?.bytes()?.to_vec(),
        Some(values) => values.json().ok()?.to_string().into_bytes(),
        None => return Some(files),
    };
    files.push(("given.yaml".to_owned(), given));
    Some(files)
}

/// A chart, or a call that gives its first argument the others as dependencies.
fn add_chart(chart: &Go, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> Option<String> {
    if let Go::Call(_, arguments) = chart {
        let (first, others) = arguments.split_first()?;
        let name = add_chart(first, prefix, files)?;
        for other in others {
            let inner = chart_name(other)?;
            add_chart(other, &format!("{prefix}charts/{inner}/"), files)?;
        }
        return Some(name);
    }
    let name = chart_name(chart)?;
    let text = format!(
        "apiVersion: v2\nname: {}\nversion: 0.1.0\n",
        quoted(name.as_bytes())
    );
    files.push((format!("{prefix}Chart.yaml"), text.into_bytes()));
    if let Some(values) = chart.field("Values") {
        let text = values.json().ok()?.to_string();
        files.push((format!("{prefix}values.yaml"), text.into_bytes()));
    }
    if let Some(schema) = chart.field("Schema").and_then(Go::bytes) {
        files.push((format!("{prefix}values.schema.json"), schema.to_vec()));
    }
    Some(name)
}

fn chart_name(chart: &Go) -> Option<String> {
    match chart {
        Go::Call(_, arguments) => chart_name(arguments.first()?),
        _ => Some(chart.field("Metadata")?.text_of("Name")?.to_owned()),
    }
}
