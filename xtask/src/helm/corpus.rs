//! The inputs the fuzzers kept, read by the real Helm and by ours.
//!
//! `cargo xtask fuzz` keeps in `target/fuzz/corpus` each input that reaches something new: texts
//! nobody would write down, a few thousand after an hour. Both programs read YAML and TOML with
//! `fromYaml` or `fromToml`, some fifty in one rendering, and write what they read as JSON; they
//! render inputs that are charts or templates, and take words for `--set`, one by one.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};

use super::VERSIONS;
use super::charts::{self, Case};
use super::program::Program;
use crate::run::{run, target_dir};

/// Inputs of one rendering.
const AT_ONCE: usize = 50;
/// Differences printed.
const SHOWN: usize = 40;
/// Characters of an answer that are printed.
const SHOWN_CHARS: usize = 300;
/// What we say of texts that nest deeper than ours may.
const TOO_DEEP: [&str; 2] = ["exceeded max depth of ", "keys have more than "];
const CHART: &str = "apiVersion: v2\nname: corpus\nversion: 1.0.0\n";

/// Compares what both programs make of a fuzzer's inputs, and prints what differs.
///
/// # Errors
/// A target nobody fuzzed, or a difference.
pub fn compare(target: &str) -> Result<()> {
    match target {
        "yaml" => read(target, &["fromYaml", "fromYamlArray"]),
        "toml" => read(target, &["fromToml"]),
        "template" | "render" => rendered(target),
        "set" => set(),
        _ => bail!("nothing compares inputs of {target}; there are: yaml toml template render set"),
    }
}

/// The inputs of a target, in the order of their names.
fn inputs(target: &str) -> Result<Vec<PathBuf>> {
    let folder = inputs_folder(target);
    let files = fs::read_dir(&folder)
        .with_context(|| format!("{}: cargo xtask fuzz 600 {target}", folder.display()))?;
    let files = files.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    Ok(files)
}

fn inputs_folder(target: &str) -> PathBuf {
    target_dir().join("fuzz/corpus").join(target)
}

/// Renders and lints each input as the chart it stands for.
fn rendered(target: &str) -> Result<()> {
    let folder = emptied("charts")?;
    let mut program = crate::fuzz::targets();
    program.args(["charts", target]);
    run(program.arg(inputs_folder(target)).arg(&folder))?;
    let cases: Vec<Case> = charts::named(&folder)?
        .into_iter()
        .map(|(name, chart)| {
            let given = chart.join("mine.yaml").exists();
            let arguments = if given { &["-f", "mine.yaml"][..] } else { &[] };
            case(name, chart, arguments)
        })
        .collect();
    let mut differing = 0;
    for verb in [&["template", "rel", "."][..], &["lint", "."]] {
        differing += charts::judge_all(verb, VERSIONS[0], &cases)?;
    }
    none(differing)
}

/// Gives each input to the flags of the `--set` family.
fn set() -> Result<()> {
    let folder = emptied("set")?;
    fs::create_dir_all(folder.join("templates"))?;
    fs::write(folder.join("Chart.yaml"), CHART)?;
    fs::write(
        folder.join("values.yaml"),
        "a: {b: [1, {c: 2}], d: null}\nb: text\n",
    )?;
    fs::write(
        folder.join("templates/all.yaml"),
        "v: {{ toJson .Values | quote }}\n",
    )?;
    let mut cases = Vec::new();
    for input in inputs("set")? {
        // Only such texts can be arguments.
        let Ok(text) = String::from_utf8(fs::read(&input)?) else {
            continue;
        };
        if text.contains('\0') {
            continue;
        }
        for flag in ["--set", "--set-string", "--set-json", "--set-literal"] {
            let name = format!("{flag} {}", input.display());
            cases.push(case(name, folder.clone(), &[flag, &text]));
        }
    }
    none(charts::judge_all(
        &["template", "rel", "."],
        VERSIONS[0],
        &cases,
    )?)
}

fn case(name: String, chart: PathBuf, arguments: &[&str]) -> Case {
    Case {
        chart,
        name,
        set: 0,
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
    }
}

fn none(differing: usize) -> Result<()> {
    match differing {
        0 => Ok(()),
        _ => bail!("{differing} answers differ"),
    }
}

/// A folder below the fuzzer's with nothing in it.
fn emptied(name: &str) -> Result<PathBuf> {
    let folder = target_dir().join("fuzz").join(format!("judged-{name}"));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Reads each input with some functions.
fn read(target: &str, readers: &[&str]) -> Result<()> {
    let files = inputs(target)?;
    let programs = [Program::helm(VERSIONS[0])?, Program::ours(VERSIONS[0])?];
    let batches: Vec<&[PathBuf]> = files.chunks(AT_ONCE).collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            let different = judge(batch, readers, &programs)?;
            if let Ok(mut found) = found.lock() {
                found.extend(different);
            }
        }
        Ok(())
    };
    super::two_at_once(&work)?;
    let found = found.into_inner().unwrap_or_default();
    for difference in found.iter().take(SHOWN) {
        println!("{difference}");
    }
    println!(
        "{target}: {} inputs, {} differences",
        files.len(),
        found.len()
    );
    none(found.len())
}

/// What differs among some inputs.
fn judge(batch: &[PathBuf], readers: &[&str], programs: &[Program; 2]) -> Result<Vec<String>> {
    let folder = own_folder(batch)?;
    let mut template = String::new();
    for index in 0..batch.len() {
        for reader in readers {
            template.push_str(&format!(
                "{reader}{index}: {{{{ .Files.Get \"{index}.txt\" | {reader} | toJson }}}}\n"
            ));
        }
    }
    fs::create_dir_all(folder.join("templates"))?;
    fs::write(folder.join("Chart.yaml"), CHART)?;
    fs::write(folder.join("templates/all.yaml"), template)?;
    for (index, file) in batch.iter().enumerate() {
        fs::copy(file, folder.join(format!("{index}.txt")))?;
    }
    let [helm, ours] = programs;
    let arguments = ["template", "rel", "."];
    let (wanted, got) = (
        helm.run(&folder, &arguments)?,
        ours.run(&folder, &arguments)?,
    );
    fs::remove_dir_all(&folder)?;
    if !wanted.ok() {
        bail!("the judge cannot render: {}", wanted.stderr);
    }
    let (wanted, got) = (lines(&wanted.stdout), lines(&got.stdout));
    if wanted.len() != got.len() {
        return Ok(vec![format!(
            "{}: another number of lines",
            batch[0].display()
        )]);
    }
    // Deeper texts are refused on purpose.
    let pairs = wanted
        .iter()
        .zip(&got)
        .filter(|(wanted, got)| wanted != got && !is_too_deep(got));
    Ok(pairs
        .map(|(wanted, got)| {
            let shown = number(wanted).and_then(|number| batch.get(number));
            let shown = shown.map_or_else(String::new, |file| file.display().to_string());
            format!("{shown}\n  helm: {}\n  ours: {}", cut(wanted), cut(got))
        })
        .collect())
}

fn lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    text.lines().map(str::to_owned).collect()
}

fn is_too_deep(answer: &str) -> bool {
    TOO_DEEP.iter().any(|words| answer.contains(words))
}

fn cut(line: &str) -> String {
    line.chars().take(SHOWN_CHARS).collect()
}

/// The number of the input a line answers.
fn number(line: &str) -> Option<usize> {
    let (key, _) = line.split_once(':')?;
    let digits = key.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().ok()
}

/// A folder of its own for some inputs.
fn own_folder(batch: &[PathBuf]) -> Result<PathBuf> {
    let name = batch[0].file_name().and_then(|name| name.to_str());
    let name = name.context("an input without a name")?;
    let folder = std::env::temp_dir().join(format!("pilotis-corpus-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}
