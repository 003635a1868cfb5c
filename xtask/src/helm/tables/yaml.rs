//! Rows about YAML: texts to read, values to write.

use std::collections::BTreeSet;

use super::ask::{Question, Rows};
use super::go::{Go, Record};

const READ: &str = "go-yaml, fromYaml";
const FILE: &str = "go-yaml, -f";
const WRITE: &str = "go-yaml, toYaml";

/// Reads the text both as a map and as a list, and writes it again in every way there is.
const READING: &str = "{{ $text := .Files.Get \"input\" }}{{ $map := fromYaml $text }}\
     a: {{ list $map (fromYamlArray $text) | toJson | b64enc }}\n\
     b: {{ toYaml $map | b64enc }}\n\
     c: {{ toYamlPretty $map | b64enc }}\n\
     d: {{ toString $map | b64enc }}\n";

/// Writes what the values file holds.
const VALUES: &str = "a: {{ toYaml .Values | b64enc }}\nb: {{ printf \"%#v\" .Values | b64enc }}\n";

/// Fields that hold a text to read.
const TEXTS: [&str; 6] = ["data", "Data", "yaml", "encoded", "input", "text"];

/// Tables that hold texts to read, without a field's name.
const LISTS: [&str; 2] = ["TestFuzzCrashers", "FuzzUnmarshal"];

/// Shorter texts are nested less deep.
const DEEP_BYTES: usize = 100_000;

/// Starts of texts nested deeper than we read, which is less deep than go-yaml on purpose.
const TOO_DEEP: [&str; 4] = [
    "[[[[[[[[",
    "{{{{{{{{",
    "- - - - - - - - ",
    "{a,b: {a,b: {a,b: ",
];

/// Rows of every table of a package; a text that another package asked is not asked again.
pub fn rows(rows: &mut Rows, records: &[Record], seen: &mut BTreeSet<Vec<u8>>) {
    for record in records.iter().filter(|record| !record.is_call) {
        let name = format!("{} {}", record.function, record.name);
        if let (Go::Text(text), "mergeTests" | "mergeTestsNested") =
            (&record.value, record.name.as_str())
        {
            read(rows, &name, text, seen);
        }
        if record.function == "TestSortedOutput" && record.name == "order" {
            sorted(rows, &name, &record.value);
        }
        for (index, row) in values(&record.value).into_iter().enumerate() {
            let name = format!("{} {} {index}", record.function, record.name);
            let name = name.trim();
            let in_list = LISTS.contains(&record.function.as_str());
            let text = TEXTS.iter().find_map(|field| row.field(field));
            if let Some(text) = text.or(in_list.then_some(row)) {
                match text.bytes() {
                    Some(text) => read(rows, name, text, seen),
                    None => rows.exclude(READ, name, "a text worked out by Go code"),
                }
            }
            if record.name.starts_with("marshal")
                && !record.name.contains("Error")
                && let Some(value) = row.field("value")
            {
                write(rows, name, value);
            }
        }
    }
}

/// Rows that are the values of a map where its keys are only their names.
fn values(table: &Go) -> Vec<&Go> {
    match table {
        Go::Map(pairs) => pairs.iter().map(|(_, value)| value).collect(),
        other => other.rows(),
    }
}

fn read(rows: &mut Rows, name: &str, text: &[u8], seen: &mut BTreeSet<Vec<u8>>) {
    if !seen.insert(text.to_vec()) {
        return;
    }
    let start = String::from_utf8_lossy(&text[..text.len().min(64)]);
    if text.len() > DEEP_BYTES && TOO_DEEP.iter().any(|part| start.contains(part)) {
        return rows.exclude(READ, name, "nested deeper than we read, on purpose");
    }
    let question = |table, template: &str, arguments: &[&str]| Question {
        table,
        name: name.to_owned(),
        files: vec![
            ("input".to_owned(), text.to_vec()),
            ("templates/a.yaml".to_owned(), template.into()),
        ],
        arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
    };
    rows.questions.push(question(READ, READING, &[]));
    rows.questions
        .push(question(FILE, VALUES, &["-f", "input"]));
}

fn write(rows: &mut Rows, name: &str, value: &Go) {
    match value.expression() {
        Ok(value) => {
            let all = "{{ range list (toYaml .) (toYamlPretty .) (toJson .) }}[{{ . }}]{{ end }}";
            rows.template(WRITE, name, all.as_bytes(), &value);
        }
        Err(reason) => rows.exclude(WRITE, name, reason),
    }
}

/// A map with every text of a list as a key.
fn sorted(rows: &mut Rows, name: &str, keys: &Go) {
    let keys = keys.rows().into_iter().filter(|key| key.bytes().is_some());
    let pairs = keys.map(|key| (key.clone(), Go::Int("0".to_owned())));
    write(rows, name, &Go::Map(pairs.collect()));
}
