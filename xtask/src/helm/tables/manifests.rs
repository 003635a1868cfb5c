//! Rows about files and what was rendered: which files a chart has, how a text falls into
//! documents, in which order they are printed.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::ask::{Question, Rows};
use super::go::{Go, Record};

const KINDS: &str = "kind sort";
const SPLIT: &str = "split";
const SORT: &str = "manifest sort";
const IGNORE: &str = "ignore";

/// Rows of the sorter of kinds: every list, starting at each of its rows in turn.
pub fn kinds(rows: &mut Rows, records: &[Record]) {
    for record in records.iter().filter(|record| !record.is_call) {
        let is_hooks = record.name == "hooks";
        let name = format!("{} {}", record.function, record.name);
        if record.name.is_empty() && record.function.starts_with("TestKindSorter") {
            for row in record.value.rows() {
                if row.text_of("description") == Some("uninstall") {
                    rows.exclude(
                        KINDS,
                        &format!("{name}uninstall"),
                        "deleting is in no output",
                    );
                }
            }
        }
        let wanted = record.function.starts_with("TestKindSorter");
        if !(wanted && (record.name == "manifests" || is_hooks)) {
            continue;
        }
        let list = record.value.rows();
        for start in 0..list.len() {
            let turned = list[start..].iter().chain(&list[..start]);
            let documents = turned.enumerate();
            let documents = documents.filter_map(|(at, row)| document(at, row, is_hooks));
            let text: String = documents.collect();
            ask(
                rows,
                KINDS,
                format!("{name} from {start}"),
                vec![file("a.yaml", &text)],
            );
        }
    }
}

fn document(at: usize, row: &Go, is_hook: bool) -> Option<String> {
    let kind = row.text_of("Kind").or(row.field("Head")?.text_of("Kind"))?;
    let hook = match is_hook {
        true => "\n  annotations: {helm.sh/hook: pre-install}",
        false => "",
    };
    Some(format!(
        "---\napiVersion: v1\nkind: {kind}\nmetadata:\n  name: n{at}{hook}\n"
    ))
}

fn file(name: &str, text: &str) -> (String, Vec<u8>) {
    (format!("templates/{name}"), text.into())
}

fn ask(rows: &mut Rows, table: &'static str, name: String, files: Vec<(String, Vec<u8>)>) {
    rows.questions.push(Question {
        table,
        name,
        files,
        arguments: Vec::new(),
    });
}

/// Rows of the splitter of documents and of what sorts them and their hooks.
pub fn split(rows: &mut Rows, records: &[Record]) {
    for record in records.iter().filter(|record| !record.is_call) {
        for (index, row) in record.value.rows().into_iter().enumerate() {
            match record.function.as_str() {
                "TestSplitManifests" => {
                    let Some(text) = row.field("input").and_then(Go::bytes) else {
                        continue;
                    };
                    let files = vec![
                        ("input".to_owned(), text.to_vec()),
                        file("a.yaml", "{{ .Files.Get \"input\" }}"),
                    ];
                    ask(rows, SPLIT, format!("{} {index}", record.name), files);
                }
                "TestSortManifests" => {
                    let (Some(path), Some(text)) = (row.text_of("path"), row.text_of("manifest"))
                    else {
                        continue;
                    };
                    let files = vec![file(&format!("{path}.yaml"), text)];
                    ask(rows, SORT, format!("{} {index}", record.name), files);
                }
                _ => {}
            }
        }
    }
}

/// Rows of `.helmignore`: the files of the tests' folder under each row's rules.
///
/// # Errors
/// When that folder cannot be read.
pub fn ignore(rows: &mut Rows, records: &[Record], folder: &Path) -> Result<()> {
    let mut fixture = Vec::new();
    walk(&folder.join("testdata"), "", &mut fixture)?;
    let listing = "a: {{ range $path, $_ := .Files.Glob \"**\" }}{{ $path }},{{ end }}\n";
    let mut asked = |name: String, rules: &[u8]| {
        let mut files = fixture.clone();
        files.retain(|(path, _)| path != ".helmignore");
        files.insert(0, (".helmignore".to_owned(), rules.to_vec()));
        files.push(file("list.yaml", listing));
        ask(rows, IGNORE, name, files);
    };
    for record in records.iter().filter(|record| !record.is_call) {
        let name = format!("{} {}", record.function, record.name);
        match (record.name.as_str(), &record.value) {
            ("rules", Go::Text(rules)) => asked(name, rules),
            ("tests" | "shouldFail", table) => {
                for (index, row) in table.rows().into_iter().enumerate() {
                    let rules = row.field("pattern").unwrap_or(row).bytes();
                    asked(format!("{name} {index}"), rules.unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every file below a folder in the order of their names, with its path.
///
/// # Errors
/// When one cannot be read.
pub fn walk(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push((name, fs::read(entry.path())?));
        }
    }
    Ok(())
}
