//! Rows that are templates: the tests of text/template, and those of Sprig.

use super::ask::Rows;
use super::go::{Go, Record};

const GO: &str = "text/template";
const SPRIG: &str = "sprig";

/// Functions the tests define for themselves.
const TEST_FUNCTIONS: [&str; 12] = [
    "count",
    "dddArg",
    "doPanic",
    "echo",
    "mapOfThree",
    "oneArg",
    "returnInt",
    "stringer",
    "twoArgs",
    "valueString",
    "vfunc",
    "zeroArgs",
];

/// Methods of the types the tests define.
const TEST_METHODS: [&str; 11] = [
    "Copy",
    "Error",
    "GetU",
    "MAdd",
    "Method0",
    "Method1",
    "Method2",
    "Method3",
    "MyError",
    "String",
    "TrueFalse",
];

/// Tables that say nothing a chart could ask, and why.
const WITHOUT_MEANING: [(&str, &str, &str); 6] = [
    ("lexDelimTests", "", "other delimiters than Helm's"),
    ("delimPairs", "", "other delimiters than Helm's"),
    ("names", "TestGoodFuncNames", "names of Go functions"),
    ("names", "TestBadFuncNames", "names of Go functions"),
    ("texts", "TestAddrOfIndex", "a Go type with methods"),
    (
        "cases",
        "TestEmptyTemplate",
        "several texts parsed under one name",
    ),
];

/// Sprig's Go functions that tests call as such, and what a template calls them.
const SPRIG_CALLS: [(&str, &str); 3] = [
    ("toFloat64", "float64"),
    ("toInt64", "int64"),
    ("toInt", "int"),
];
const SPRIG_SAME: [&str; 17] = [
    "ceil",
    "floor",
    "mustRegexFind",
    "mustRegexFindAll",
    "mustRegexMatch",
    "mustRegexReplaceAll",
    "mustRegexReplaceAllLiteral",
    "mustRegexSplit",
    "regexFind",
    "regexFindAll",
    "regexMatch",
    "regexQuoteMeta",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "regexSplit",
    "round",
    "toDecimal",
];
const SPRIG_URLS: [&str; 2] = ["urlJoin", "urlParse"];

/// Rows of text/template and of its parser.
pub fn go(rows: &mut Rows, records: &[Record]) {
    let compared = table(records, "cmpStruct", "TestComparison");
    let interface = records.iter().find(|record| {
        record.is_call && record.name == "tmpl.Execute" && record.function == "TestInterfaceValues"
    });
    let interface = match interface.map(|record| &record.value) {
        Some(Go::List(arguments)) => arguments.last().cloned(),
        _ => None,
    };
    let more: String = ["multiText1", "multiText2"]
        .iter()
        .filter_map(|name| Some(table(records, name, "")?.text()?.to_owned()))
        .collect();
    for record in records.iter().filter(|record| !record.is_call) {
        if let Some(reason) = without_meaning(record) {
            for (index, _) in record.value.rows().iter().enumerate() {
                rows.exclude(GO, &format!("{} {index}", record.name), reason);
            }
            continue;
        }
        for (index, row) in record.value.rows().into_iter().enumerate() {
            let label = row.text_of("name").unwrap_or_default();
            let name = format!("{} {} {index} {label}", record.name, record.function);
            match input(record, row, compared, interface.as_ref()) {
                Some((text, data)) => {
                    ask(rows, name.trim(), &text, data);
                    if record.name == "multiExecTests"
                        && let Some(last) = rows.questions.last_mut()
                        && last.name == name.trim()
                    {
                        let path = "templates/_more.tpl".to_owned();
                        last.files.push((path, more.clone().into_bytes()));
                    }
                }
                None => continue,
            }
        }
    }
    for record in records.iter().filter(|record| record.is_call) {
        parse_call(rows, record);
    }
}

fn without_meaning(record: &Record) -> Option<&'static str> {
    let same = |(name, function, _): &&(&str, &str, &str)| {
        *name == record.name && (function.is_empty() || *function == record.function)
    };
    let found = WITHOUT_MEANING.iter().find(same);
    found.map(|(_, _, reason)| *reason)
}

fn table<'r>(records: &'r [Record], name: &str, function: &str) -> Option<&'r Go> {
    let same =
        |record: &&Record| !record.is_call && record.name == name && record.function == function;
    records.iter().find(same).map(|record| &record.value)
}

/// The template of a row, and what it is given.
fn input<'r>(
    record: &Record,
    row: &'r Go,
    compared: Option<&'r Go>,
    interface: Option<&'r Go>,
) -> Option<(String, &'r Go)> {
    let text = |name: &str| row.text_of(name).map(str::to_owned);
    let condition = |text: &str| format!("{{{{if {text}}}}}true{{{{else}}}}false{{{{end}}}}");
    let function = record.function.as_str();
    Some(match (record.name.as_str(), function) {
        ("execTests" | "multiExecTests", _)
        | (_, "TestExecutePanicDuringCall" | "TestFunctionCheckDuringCall") => {
            (text("input")?, row.field("data")?)
        }
        ("cmpTests", _) => (condition(&text("expr")?), compared?),
        ("numberTests", _) => {
            let number = text("text")?;
            (
                format!("{{{{printf \"%T %v\" {number} {number}}}}}"),
                &Go::Nil,
            )
        }
        (_, "TestJSEscaping") => ("{{js .}}".to_owned(), row.field("in")?),
        (_, "TestIsTrue") => (condition("."), row.field("v")?),
        (_, "TestEvalFieldErrors") => (text("src")?, row.field("value")?),
        (_, "TestInterfaceValues") => (text("text")?, interface?),
        _ => (text("input")?, &Go::Nil),
    })
}

/// Asks a row, or leaves it out.
fn ask(rows: &mut Rows, name: &str, text: &str, data: &Go) {
    let text = text
        .replace("(makemap ", "(dict ")
        .replace("(die)", "(fail \"die\")");
    if let Some(reason) = reason(&text, data) {
        rows.exclude(GO, name, reason);
        return;
    }
    match data.expression() {
        Ok(data) => rows.template(GO, name, text.as_bytes(), &data),
        Err(reason) => rows.exclude(GO, name, reason),
    }
}

fn reason(text: &str, data: &Go) -> Option<String> {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    if let Some(name) = TEST_FUNCTIONS.iter().find(|name| words.contains(name)) {
        return Some(format!("a function of the test: {name}"));
    }
    if is_complex(text) {
        return Some("a complex number".to_owned());
    }
    let fields = field_names(text);
    if matches!(data, Go::Struct(..))
        && let Some(name) = TEST_METHODS.iter().find(|name| fields.contains(*name))
    {
        return Some(format!("a method of a Go type: {name}"));
    }
    let left_out = data.left_out();
    let strange = left_out.iter().find(|name| fields.contains(&name.as_str()));
    strange.map(|name| format!("a field only Go can hold: {name}"))
}

/// Names that follow a point.
fn field_names(text: &str) -> Vec<&str> {
    let parts = text.split('.').skip(1);
    parts
        .filter_map(|part| {
            part.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
        })
        .collect()
}

/// Whether a number of a text is imaginary.
fn is_complex(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(2).enumerate().any(|(at, pair)| {
        let after = bytes.get(at + 2).copied().unwrap_or(b' ');
        pair[0].is_ascii_digit() && pair[1] == b'i' && !after.is_ascii_alphanumeric()
    })
}

/// Texts a test parses by itself, without a table.
fn parse_call(rows: &mut Rows, record: &Record) {
    let Go::List(arguments) = &record.value else {
        return;
    };
    let is_parse = record.name.ends_with(".Parse") || record.name.ends_with("Must(New");
    let text = arguments.first().and_then(Go::text);
    if let (true, Some(text)) = (is_parse, text) {
        let known = rows
            .questions
            .iter()
            .any(|question| question.table == GO && question.files[0].1 == text.as_bytes());
        if !known && !record.name.contains("Delims") {
            ask(
                rows,
                &format!("Parse in {}", record.function),
                text,
                &Go::Nil,
            );
        }
    }
}

/// Rows of Sprig: what its tests render, and what they call in Go.
pub fn sprig(rows: &mut Rows, records: &[Record]) {
    for record in records.iter().filter(|record| record.is_call) {
        let Go::List(arguments) = &record.value else {
            continue;
        };
        let name = format!("{} {}", record.function, record.name);
        match record.name.as_str() {
            "runt" | "runtv" | "runRaw" if record.function.starts_with("run") => {}
            "runt" => rendered(rows, &name, arguments.first(), &Go::Map(Vec::new())),
            "runtv" => rendered(
                rows,
                &name,
                arguments.first(),
                arguments.last().unwrap_or(&Go::Nil),
            ),
            "runRaw" => {
                let data = arguments.last().unwrap_or(&Go::Nil);
                rendered(rows, &name, arguments.first(), data);
            }
            other => called(rows, &name, other, arguments),
        }
    }
}

fn rendered(rows: &mut Rows, name: &str, text: Option<&Go>, data: &Go) {
    let Some(bytes) = text.and_then(Go::bytes) else {
        rows.exclude(SPRIG, name, "a text worked out by Go code");
        return;
    };
    match data.expression() {
        Ok(expression) if data.left_out().is_empty() => {
            rows.template(SPRIG, name, bytes, &expression);
        }
        Ok(_) => rows.exclude(SPRIG, name, "a field only Go can hold"),
        Err(reason) => rows.exclude(SPRIG, name, reason),
    }
}

fn called(rows: &mut Rows, name: &str, function: &str, arguments: &[Go]) {
    let renamed = SPRIG_CALLS.iter().find(|(go, _)| *go == function);
    let same = SPRIG_SAME.contains(&function) || SPRIG_URLS.contains(&function);
    let function = match renamed {
        Some((_, name)) => name,
        None if same => function,
        None => return,
    };
    let words: Result<Vec<String>, String> = arguments.iter().map(Go::expression).collect();
    match words {
        Ok(words) => {
            let text = format!("{{{{ {function} {} }}}}", words.join(" "));
            rows.template(SPRIG, name, text.as_bytes(), "nil");
        }
        Err(reason) => rows.exclude(SPRIG, name, reason),
    }
}
