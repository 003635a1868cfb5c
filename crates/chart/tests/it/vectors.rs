//! What the real Helm answered to thousands of templates, replayed. The answers are written by
//! `cargo xtask helm vectors`, never by hand.

use std::collections::BTreeMap;

use pilotis_chart::cli::{TemplateRequest, template};
use pilotis_chart::{Chart, Compat, File};
use pilotis_template::Environment;
use serde_json::Value;

const CHART: &str = include_str!("../../../../xtask/src/helm/inputs/Chart.yaml");
const VALUES: &str = include_str!("../../../../xtask/src/helm/inputs/values.yaml");
const HELPERS: &str = include_str!("../../../../xtask/src/helm/inputs/helpers.tpl");

/// A clock that stands and bytes that never repeat.
struct World(std::sync::atomic::AtomicU64);

impl Environment for World {
    fn now(&self) -> (i64, u32) {
        (1_700_000_000, 0)
    }

    fn random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let next = self
                .0
                .fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed);
            *byte = (next.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8;
        }
    }
}

fn base(compat: &Compat) -> (Vec<File>, TemplateRequest) {
    let files = vec![
        File::new("Chart.yaml", CHART),
        File::new("values.yaml", VALUES),
        File::new("templates/_helpers.tpl", HELPERS),
        File::new("files/a.txt", "one\ntwo\n"),
        File::new("files/b.yaml", "b: 1\n"),
    ];
    let mut request = TemplateRequest::default();
    request.release.name = "rel".to_string();
    request.options.compat = compat.clone();
    // As the command line asks; the cases of this folder ask both ways.
    request.options.text_only = true;
    (files, request)
}

/// Standard output, or standard error.
fn run(files: Vec<File>, request: &TemplateRequest) -> Result<String, String> {
    let world = World(std::sync::atomic::AtomicU64::new(1));
    let chart = Chart::load_for(files, &request.options.compat).map_err(|e| e.to_string())?;
    let printed = template(&chart, request, &world);
    let text = printed.result.map(|text| text.to_string());
    text.map_err(|error| {
        let logged: String = printed
            .warnings
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        format!("{logged}Error: {}\n", error.printed())
    })
}

fn expected<'v>(vector: &'v Value, compat: &Compat) -> &'v Value {
    match &vector["except"][compat.name] {
        Value::Null => &vector["expected"],
        other => other,
    }
}

fn escaped(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// Renders all inputs that give output in one chart.
fn outputs(vectors: &[&Value], compat: &Compat) -> Result<BTreeMap<usize, String>, String> {
    use base64::Engine as _;
    let (mut files, request) = base(compat);
    let mut lines = String::new();
    for (index, vector) in vectors.iter().enumerate() {
        let input = vector["input"].as_str().unwrap_or_default();
        files.push(File::new(format!("templates/v/_{index}.tpl"), input));
        let name = format!("vectors/templates/v/_{index}.tpl");
        lines.push_str(&format!(
            "v{index}: {{{{ include \"{name}\" . | b64enc }}}}\n"
        ));
    }
    files.push(File::new("templates/all.yaml", lines));
    let text = run(files, &request)?;
    let engine = base64::engine::general_purpose::STANDARD;
    let pairs = text.lines().filter_map(|line| {
        let (key, text) = line.split_once(':')?;
        let index = key.strip_prefix('v')?.parse().ok()?;
        Some((index, escaped(&engine.decode(text.trim()).ok()?)))
    });
    Ok(pairs.collect())
}

/// The same one by one, to know which input fails; a failure stands in for its output.
fn each(vectors: &[&Value], compat: &Compat) -> BTreeMap<usize, String> {
    let one = |(index, vector): (usize, &&Value)| {
        let found = outputs(&[vector], compat).map(|mut found| found.remove(&0));
        (
            index,
            found.map_or_else(|error| error, Option::unwrap_or_default),
        )
    };
    vectors.iter().enumerate().map(one).collect()
}

fn difference(vector: &Value, wanted: &str, ours: &dyn std::fmt::Debug) -> (String, String) {
    let input = vector["input"].as_str().unwrap_or_default().to_string();
    let shown = format!("{input}\n  helm: {wanted:?}\n  ours: {ours:?}");
    (input, shown)
}

fn replay(list: &str, compat: &Compat) {
    replay_with(list, compat, |vectors| {
        outputs(vectors, compat).unwrap_or_else(|_| each(vectors, compat))
    });
}

/// `render` gives the outputs of those that have one.
fn replay_with(list: &str, compat: &Compat, render: impl Fn(&[&Value]) -> BTreeMap<usize, String>) {
    let all: Value = serde_json::from_str(list).expect("stored vectors are JSON");
    let all = all["vectors"].as_array().expect("a list of vectors");
    let mut different = Vec::new();
    // Of inputs that fail, the other versions were asked some only.
    let asked = |vector: &&Value| compat.name == "4.2.4" || vector["every_version"] == true;
    let (failing, working): (Vec<&Value>, Vec<&Value>) = all
        .iter()
        .filter(asked)
        .partition(|vector| expected(vector, compat)["error"].is_string());
    let known: Vec<&str> = KNOWN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let is_known = |vector: &&&Value| known.contains(&vector["input"].as_str().unwrap_or_default());
    let (strange, usual): (Vec<&Value>, Vec<&Value>) = working.iter().partition(is_known);
    let mut outputs = render(&usual);
    let strange_outputs = each(&strange, compat);
    outputs.extend(
        strange_outputs
            .into_iter()
            .map(|(index, text)| (usual.len() + index, text)),
    );
    let working: Vec<&Value> = usual.into_iter().chain(strange).collect();
    for (index, vector) in working.iter().enumerate() {
        let wanted = expected(vector, compat)["output"]
            .as_str()
            .unwrap_or_default();
        if outputs.get(&index).map(String::as_str) != Some(wanted) {
            let ours = outputs.get(&index);
            different.push(difference(vector, wanted, &ours));
        }
    }
    for vector in failing {
        let (mut files, request) = base(compat);
        let input = vector["input"].as_str().unwrap_or_default();
        files.push(File::new("templates/a.yaml", format!("a: {input}\n")));
        let wanted = expected(vector, compat)["error"]
            .as_str()
            .unwrap_or_default();
        let ours = run(files, &request);
        if ours.as_ref().err().map(String::as_str) != Some(wanted) {
            different.push(difference(vector, wanted, &ours));
        }
    }
    let known: Vec<&str> = KNOWN
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let new = different
        .iter()
        .filter(|(input, _)| !known.contains(&input.as_str()));
    let new: Vec<&str> = new.map(|(_, shown)| shown.as_str()).collect();
    assert!(
        new.is_empty(),
        "{}\n{} of {} differ",
        new.join("\n"),
        new.len(),
        all.len()
    );
    if compat.name == "4.2.4" {
        let inputs = all.iter().filter_map(|vector| vector["input"].as_str());
        let mended: Vec<&str> = inputs
            .filter(|input| known.contains(input))
            .filter(|input| !different.iter().any(|(other, _)| other == input))
            .collect();
        assert!(
            mended.is_empty(),
            "no longer differ, take them off the list: {mended:#?}"
        );
    }
}

/// Inputs we still answer otherwise, one a line; the tests fail when the list is too long as when
/// it is too short.
const KNOWN: &str = include_str!("../vectors/known-differences.txt");
const FUNCTIONS: &str = include_str!("../vectors/functions.json");
const LANGUAGE: &str = include_str!("../vectors/language.json");

#[test]
fn functions_answer_as_helm_answers() {
    replay(FUNCTIONS, &Compat::HELM_4_2_4);
}

#[test]
fn the_language_reads_as_helm_reads_it() {
    replay(LANGUAGE, &Compat::HELM_4_2_4);
}

#[test]
fn other_versions_answer_as_they_did() {
    for compat in [Compat::HELM_4_3_1, Compat::HELM_3_21_4] {
        replay(LANGUAGE, &compat);
        replay(FUNCTIONS, &compat);
    }
}

#[test]
#[ignore = "replays what `cargo xtask helm calls` has asked"]
fn others_answer_as_helm_answered() {
    let path = std::env::var("PILOTIS_VECTORS").expect("PILOTIS_VECTORS names stored vectors");
    let text = std::fs::read_to_string(path).expect("vectors can be read");
    // They change what others see, and define templates others define.
    let compat = Compat::HELM_4_2_4;
    replay_with(&text, &compat, |vectors| each(vectors, &compat));
}
