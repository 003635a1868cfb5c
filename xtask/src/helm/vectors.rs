//! Vectors: what the real Helm answers to lists of templates, stored and replayed.
//!
//! An input is one line of a file in `inputs/`: the body of a template, or an expression alone.
//! Inputs that render are asked in one process, each in a template of its own; one that fails is
//! asked alone. What Helm said is stored with the version that said it: the default profile's
//! answer, and what other versions answer when they differ.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::VERSIONS;
use super::program::{self, Program};
use crate::run::root;

/// Lists there are; each is a file in `inputs/` and one among the stored vectors.
const LISTS: [&str; 2] = ["functions", "language"];

/// What every input sees.
const CHART: &str = include_str!("inputs/Chart.yaml");
const VALUES: &str = include_str!("inputs/values.yaml");
const HELPERS: &str = include_str!("inputs/helpers.tpl");
const FILES: [(&str, &str); 2] = [("files/a.txt", "one\ntwo\n"), ("files/b.yaml", "b: 1\n")];

/// Renderings asked of a judge at once while sampling.
const SAMPLE: usize = 150;
/// Failing inputs asked while sampling.
const SAMPLE_FAILING: usize = 30;

/// What a program answers: the text, or the error.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Output(String),
    Error(String),
}

impl Answer {
    fn to_json(&self) -> Value {
        match self {
            Answer::Output(text) => json!({ "output": text }),
            Answer::Error(text) => json!({ "error": text }),
        }
    }
}

fn stored(list: &str) -> PathBuf {
    root().join(format!("crates/chart/tests/vectors/{list}.json"))
}

fn inputs(list: &str) -> Result<Vec<String>> {
    let path = root().join(format!("xtask/src/helm/inputs/{list}.txt"));
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let body = |line: &str| match line.contains("{{") {
        true => line.to_owned(),
        false => format!("{{{{ {line} }}}}"),
    };
    let mut all: Vec<String> = lines.flat_map(expand).map(|line| body(&line)).collect();
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|line| seen.insert(line.clone()));
    Ok(all)
}

/// A line for every choice of `⟦a¦b⟧`.
fn expand(line: &str) -> Vec<String> {
    let Some((before, rest)) = line.split_once('⟦') else {
        return vec![line.to_owned()];
    };
    let Some((choices, after)) = rest.split_once('⟧') else {
        return vec![line.to_owned()];
    };
    let ends = expand(after);
    let choices = choices.split('¦');
    let whole = choices.flat_map(|choice| {
        let ends = ends.iter();
        ends.map(move |end| format!("{before}{choice}{end}"))
    });
    whole.collect()
}

/// Failing inputs asked of the versions that are not the default one: every so many.
const FAILING_STEP: usize = 5;

/// Asks every version about what is not stored yet, and stores the answers, of one list or of all.
/// Without the stored file everything is asked.
pub fn record(only: Option<&str>) -> Result<()> {
    let wanted = |list: &&str| only.is_none_or(|only| only == *list);
    for list in LISTS.into_iter().filter(wanted) {
        let inputs = inputs(list)?;
        let mut vectors = known(list);
        let new = inputs.iter().filter(|input| !vectors.contains_key(*input));
        let new: Vec<String> = new.cloned().collect();
        println!("{list}: {} of {} inputs are new", new.len(), inputs.len());
        if !new.is_empty() {
            vectors.extend(asked_of_all(list, &new)?);
        }
        let lines = inputs.iter().filter_map(|input| vectors.get(input));
        write(list, lines.map(Value::to_string).collect())?;
    }
    Ok(())
}

/// The vectors stored for this version, by input.
fn known(list: &str) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(stored(list)).unwrap_or_default();
    let all: Value = serde_json::from_str(&text).unwrap_or_default();
    let is_of_today = all["version"] == VERSIONS[0];
    let vectors = all["vectors"].as_array().filter(|_| is_of_today);
    let pairs = vectors.into_iter().flatten().filter_map(|vector| {
        let input = vector["input"].as_str()?;
        Some((input.to_owned(), vector.clone()))
    });
    pairs.collect()
}

fn asked_of_all(list: &str, inputs: &[String]) -> Result<BTreeMap<String, Value>> {
    let failing = guess(inputs)?;
    let helm = Program::helm(VERSIONS[0])?;
    let default = ask(&helm, inputs, &failing)?;
    let is_error = |answer: &Answer| matches!(answer, Answer::Error(_));
    let failing: Vec<bool> = default.iter().map(is_error).collect();
    let kept = repeatable(&helm, inputs, &default)?;
    let count = failing.iter().filter(|failing| **failing).count();
    let version = VERSIONS[0];
    println!(
        "{list}: helm {version}: {} vectors, {count} failing",
        inputs.len()
    );
    let mut others = Vec::new();
    for version in &VERSIONS[1..] {
        let Ok(helm) = Program::helm(version) else {
            eprintln!("{list}: helm {version} is not installed, its answers are left out");
            continue;
        };
        let which = (0..inputs.len()).filter(|index| asked(*index, &default[*index]));
        let which: Vec<usize> = which.collect();
        let some: Vec<String> = which.iter().map(|index| inputs[*index].clone()).collect();
        let hints: Vec<bool> = which.iter().map(|index| failing[*index]).collect();
        let mut all = default.clone();
        for (index, answer) in which.iter().zip(ask(&helm, &some, &hints)?) {
            all[*index] = answer;
        }
        println!("{list}: helm {version}: {} vectors", some.len());
        others.push((*version, all));
    }
    let indices = (0..inputs.len()).filter(|index| kept[*index]);
    let vectors = indices.map(|index| {
        let input = inputs[index].clone();
        let vector = vector(index, &input, &default[index], &others);
        (input, vector)
    });
    Ok(vectors.collect())
}

/// Whether every version is asked, the default one having answered.
fn asked(index: usize, answer: &Answer) -> bool {
    match answer {
        Answer::Output(_) => true,
        // A function one version lacks may be another's.
        Answer::Error(text) => index.is_multiple_of(FAILING_STEP) || text.contains("not defined"),
    }
}

/// Which inputs fail in our program: a guess that saves asking the judge twice.
fn guess(inputs: &[String]) -> Result<Vec<bool>> {
    let Ok(ours) = Program::ours(VERSIONS[0]) else {
        return Ok(vec![false; inputs.len()]);
    };
    let all: Vec<usize> = (0..inputs.len()).collect();
    let answers = each(&ours, inputs, &all)?;
    // Alone, an output may also fail as YAML; only template errors count.
    let fails = |answer: &Answer| match answer {
        Answer::Output(_) => false,
        Answer::Error(text) => !text.contains("YAML parse error"),
    };
    Ok(answers.iter().map(fails).collect())
}

/// Says which outputs are others when asked again, and leaves them out.
fn repeatable(helm: &Program, inputs: &[String], answers: &[Answer]) -> Result<Vec<bool>> {
    let outputs = |index: &usize| matches!(answers[*index], Answer::Output(_));
    let which: Vec<usize> = (0..inputs.len()).filter(outputs).collect();
    let some: Vec<String> = which.iter().map(|index| inputs[*index].clone()).collect();
    let again = ask(helm, &some, &vec![false; some.len()])?;
    let mut kept = vec![true; inputs.len()];
    for (index, answer) in which.iter().zip(again) {
        if answers[*index] != answer {
            let first = &answers[*index];
            eprintln!(
                "left out, other each time: {}\n  {first:?}\n  {answer:?}",
                inputs[*index]
            );
            kept[*index] = false;
        }
    }
    Ok(kept)
}

fn vector(index: usize, input: &str, default: &Answer, others: &[(&str, Vec<Answer>)]) -> Value {
    let mut vector = Map::new();
    vector.insert("input".into(), json!(input));
    vector.insert("expected".into(), default.to_json());
    if asked(index, default) {
        vector.insert("every_version".into(), json!(true));
    }
    let differing: BTreeMap<&str, Value> = others
        .iter()
        .filter(|(_, answers)| answers[index] != *default)
        .map(|(version, answers)| (*version, answers[index].to_json()))
        .collect();
    if !differing.is_empty() {
        vector.insert("except".into(), json!(differing));
    }
    Value::Object(vector)
}

fn write(list: &str, lines: Vec<String>) -> Result<()> {
    let version = VERSIONS[0];
    let lines = lines.join(",\n");
    let text = format!("{{\"version\": \"{version}\", \"vectors\": [\n{lines}\n]}}\n");
    let path = stored(list);
    fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// Asks the default judge a random part again; the stored answers must be the same.
pub fn sample(seed: Option<u64>) -> Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let mut state = seed.unwrap_or(now.as_secs());
    println!("seed {state}");
    let helm = Program::helm(VERSIONS[0])?;
    for list in LISTS {
        let text = fs::read_to_string(stored(list))?;
        let all: Value = serde_json::from_str(&text)?;
        let vectors = all["vectors"].as_array().context("no vectors")?;
        let mut chosen: Vec<&Value> = Vec::new();
        let mut left = (SAMPLE, SAMPLE_FAILING);
        for _ in 0..vectors.len() {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let vector = &vectors[usize::try_from(state >> 33)? % vectors.len()];
            let count = match vector["expected"]["error"].is_string() {
                true => &mut left.1,
                false => &mut left.0,
            };
            if *count > 0 {
                *count -= 1;
                chosen.push(vector);
            }
        }
        let inputs: Vec<String> = chosen
            .iter()
            .map(|vector| vector["input"].as_str().unwrap_or_default().to_owned())
            .collect();
        let failing: Vec<bool> = chosen
            .iter()
            .map(|vector| vector["expected"]["error"].is_string())
            .collect();
        let answers = ask(&helm, &inputs, &failing)?;
        for (vector, answer) in chosen.iter().zip(&answers) {
            if vector["expected"] != answer.to_json() {
                bail!(
                    "the judge says otherwise than stored: {vector}\n{:?}",
                    answer
                );
            }
        }
        println!("{list}: {} of {} asked again", inputs.len(), vectors.len());
    }
    Ok(())
}

/// The answers of a program, in the order of the inputs; `failing` are asked alone at once.
fn ask(program: &Program, inputs: &[String], failing: &[bool]) -> Result<Vec<Answer>> {
    let folder = Folder::new()?;
    let mut answers: Vec<Option<Answer>> = vec![None; inputs.len()];
    let (mut alone, mut together): (Vec<usize>, Vec<usize>) =
        (0..inputs.len()).partition(|index| failing[*index]);
    for index in &together {
        let path = format!("templates/v/_{index}.tpl");
        folder.write(&path, &inputs[*index])?;
    }
    loop {
        match folder.together(program, inputs, &together)? {
            Ok(texts) => {
                for (index, text) in together.iter().zip(texts) {
                    answers[*index] = Some(Answer::Output(text));
                }
                break;
            }
            Err(index) => {
                together.retain(|other| *other != index);
                fs::remove_file(folder.0.join(format!("templates/v/_{index}.tpl")))?;
                alone.push(index);
            }
        }
    }
    let found = each(program, inputs, &alone)?;
    let mut rest = Vec::new();
    for (index, answer) in alone.iter().zip(found) {
        match answer {
            Answer::Output(_) => rest.push(*index),
            error => answers[*index] = Some(error),
        }
    }
    // A guess was wrong: these do not fail.
    for index in &rest {
        let path = format!("templates/v/_{index}.tpl");
        folder.write(&path, &inputs[*index])?;
    }
    let texts = folder.together(program, inputs, &rest)?;
    let texts = texts.map_err(|index| anyhow::anyhow!("{} fails in company", inputs[index]))?;
    for (index, text) in rest.iter().zip(texts) {
        answers[*index] = Some(Answer::Output(text));
    }
    answers
        .into_iter()
        .map(|answer| answer.context("an input has no answer"))
        .collect()
}

/// Asks inputs one by one, two at a time.
fn each(program: &Program, inputs: &[String], which: &[usize]) -> Result<Vec<Answer>> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<Option<Answer>>> = Mutex::new(vec![None; which.len()]);
    let work = || -> Result<()> {
        let folder = Folder::new()?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(index) = which.get(at) else {
                return Ok(());
            };
            let answer = folder.alone(program, &inputs[*index])?;
            if let Ok(mut answers) = answers.lock() {
                answers[at] = Some(answer);
            }
        }
    };
    super::two_at_once(&work)?;
    let answers = answers.into_inner().unwrap_or_default();
    answers
        .into_iter()
        .map(|answer| answer.context("an input has no answer"))
        .collect()
}

/// A chart on disk, removed when dropped.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self> {
        let folder = Self::empty()?;
        folder.write("Chart.yaml", CHART)?;
        folder.write("values.yaml", VALUES)?;
        folder.write("templates/_helpers.tpl", HELPERS)?;
        for (path, text) in FILES {
            folder.write(path, text)?;
        }
        Ok(folder)
    }

    /// One with nothing in it.
    pub(super) fn empty() -> Result<Self> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pilotis-vectors-{}-{count}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0)?;
        Ok(folder)
    }

    pub(super) fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    /// The outputs of several inputs, or the one that failed.
    fn together(
        &self,
        program: &Program,
        inputs: &[String],
        which: &[usize],
    ) -> Result<Result<Vec<String>, usize>> {
        let mut lines = String::new();
        for index in which {
            let name = format!("vectors/templates/v/_{index}.tpl");
            lines.push_str(&format!(
                "v{index}: {{{{ include \"{name}\" . | b64enc }}}}\n"
            ));
        }
        self.write("templates/all.yaml", &lines)?;
        let ran = program.run(&self.0, &["template", "rel", "."])?;
        if !ran.ok() {
            return Ok(Err(culprit(&ran.stderr, which).with_context(|| {
                format!("no input is named in: {}", ran.stderr)
            })?));
        }
        let mut texts = BTreeMap::new();
        for line in String::from_utf8_lossy(&ran.stdout).lines() {
            if let Some((key, text)) = line.split_once(':')
                && let Some(Ok(index)) = key.strip_prefix('v').map(str::parse::<usize>)
            {
                let bytes = program::base64(text);
                texts.insert(index, escaped(&bytes));
            }
        }
        let taken = which.iter().map(|index| {
            texts
                .remove(index)
                .with_context(|| format!("no output for {}", inputs[*index]))
        });
        taken.collect::<Result<Vec<String>>>().map(Ok)
    }

    fn alone(&self, program: &Program, input: &str) -> Result<Answer> {
        self.write("templates/a.yaml", &format!("a: {input}\n"))?;
        let ran = program.run(&self.0, &["template", "rel", "."])?;
        if ran.ok() {
            let text = String::from_utf8_lossy(&ran.stdout).into_owned();
            return Ok(Answer::Output(text));
        }
        Ok(Answer::Error(ran.stderr))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A text; bytes that are no UTF-8 are written `\xNN`, and a backslash before them doubled.
fn escaped(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// The number of the input an error names: its own file, or its line of `all.yaml`.
fn culprit(stderr: &str, which: &[usize]) -> Option<usize> {
    if let Some((_, rest)) = stderr.split_once("templates/v/_") {
        return rest.split('.').next()?.parse().ok();
    }
    let (_, rest) = stderr.split_once("templates/all.yaml:")?;
    let line: usize = rest.split(':').next()?.parse().ok()?;
    which.get(line.checked_sub(1)?).copied()
}
