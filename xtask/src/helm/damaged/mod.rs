//! What nobody would write, given to both programs.
//!
//! A case is made from a seed: files, and command lines about them. Both programs run all of them,
//! each in a folder of its own; what they print, how they end and which files they leave are
//! compared, byte for byte but where Helm itself answers otherwise when it is asked again.

mod charts;
mod dependencies;
mod manifests;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

use super::VERSIONS;
use super::program::{Program, Ran};
use super::random::Random;
use super::vectors::Folder;

/// Differences printed, of those that are alike one.
const SHOWN: usize = 30;
/// Lines of an answer that are printed.
const SHOWN_LINES: usize = 3;
/// Characters of each.
const SHOWN_CHARS: usize = 700;
/// Characters by which differences are alike.
const ALIKE_CHARS: usize = 90;
/// How often Helm is asked before it counts as having one answer only.
const ASKED: usize = 6;
/// The same where ours is that answer in another order: a small map of Go's seldom changes it.
const ASKED_MAX: usize = 60;
/// Cases made where no number is given.
const COUNT: u64 = 100;
/// Cases of each kind in a sample.
const SAMPLE: u64 = 20;

/// Files and what is done with them.
pub struct Case {
    /// Texts by their paths.
    files: Vec<(String, String)>,
    /// Folders that are there though nothing is in them.
    folders: Vec<&'static str>,
    /// Command lines, run one after the other.
    commands: Vec<Vec<String>>,
}

/// Makes a case of numbers that look random.
type Maker = fn(&mut Random) -> Case;

/// What can be made, by name.
const KINDS: [(&str, Maker); 4] = [
    ("charts", charts::case),
    ("values", values::case),
    ("manifests", manifests::case),
    ("dependencies", dependencies::case),
];

/// Makes cases and compares what both programs do: `KIND [COUNT [SEED [VERSION]]]`.
///
/// # Errors
/// Words that are none, a judge that is missing, or a difference.
pub fn main(words: &[&str]) -> Result<()> {
    let names = KINDS.map(|(name, _)| name).join(" | ");
    let (kind, rest) = words.split_first().unzip();
    let maker = KINDS.iter().find(|(name, _)| Some(name) == kind);
    let (Some((_, maker)), true) = (maker, words.len() <= 4) else {
        bail!("usage: cargo xtask helm damaged {names} [COUNT [SEED [VERSION]]]");
    };
    let rest = rest.unwrap_or_default();
    let number = |at: usize, otherwise: u64| rest.get(at).map_or(Ok(otherwise), |w| w.parse());
    let version = rest.get(2).unwrap_or(&VERSIONS[0]);
    Comparison::new(version)?.run(*maker, number(0, COUNT)?, number(1, 1)?)
}

/// Kinds in a sample; of the others differences are known, and named in `docs/chart-engine.md`.
const SAMPLED: usize = 3;

/// A few cases of a kind each, the same every time.
///
/// # Errors
/// A judge that is missing, or a difference.
pub fn sample() -> Result<()> {
    let mut kinds = KINDS[..SAMPLED].iter();
    kinds.try_for_each(|(_, maker)| Comparison::new(VERSIONS[0])?.run(*maker, SAMPLE, 1))
}

/// Both programs and how they differed so far.
struct Comparison {
    programs: [Program; 2],
    kinds: BTreeMap<[String; 3], usize>,
    runs: usize,
    unsteady: usize,
}

impl Comparison {
    fn new(version: &str) -> Result<Self> {
        Ok(Self {
            programs: [Program::helm(version)?, Program::ours(version)?],
            kinds: BTreeMap::new(),
            runs: 0,
            unsteady: 0,
        })
    }

    fn run(mut self, make: Maker, count: u64, seed: u64) -> Result<()> {
        for index in 0..count {
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(index);
            self.compare(index, &make(&mut Random::new(seed)))?;
        }
        let differing: usize = self.kinds.values().sum();
        println!(
            "{} runs, {differing} differ in {} ways; to {} Helm itself has several answers",
            self.runs,
            self.kinds.len(),
            self.unsteady
        );
        match differing {
            0 => Ok(()),
            _ => bail!("{differing} answers differ"),
        }
    }

    /// Both programs do what a case says. Where they differ Helm is asked again: what it tells in
    /// any order has to be told by ours in some order.
    fn compare(&mut self, index: u64, case: &Case) -> Result<()> {
        self.runs += case.commands.len();
        let [wanted, got] = [case.run(&self.programs[0])?, case.run(&self.programs[1])?];
        let mut open: Vec<usize> = (0..wanted.len()).collect();
        open.retain(|at| wanted[*at] != got[*at]);
        let differing = open.len();
        let mut answers = vec![wanted];
        while !open.is_empty() && answers.len() < ASKED_MAX {
            let is_order = |at: &usize| answers.iter().any(|told| same(&told[*at], &got[*at]));
            if answers.len() > ASKED && !open.iter().any(is_order) {
                break;
            }
            answers.push(case.run(&self.programs[0])?);
            let is_order = |at: &usize| answers.iter().any(|told| same(&told[*at], &got[*at]));
            let is_steady = |at: &usize| answers.iter().all(|told| told[*at] == answers[0][*at]);
            open.retain(|at| is_steady(at) || !is_order(at));
        }
        self.unsteady += differing - open.len();
        for at in open {
            self.note(index, case, [&answers[0][at], &got[at]], at);
        }
        Ok(())
    }

    fn note(&mut self, index: u64, case: &Case, [wanted, got]: [&Ran; 2], at: usize) {
        let words = case
            .commands
            .get(at)
            .map_or("files".to_owned(), |w| w.join(" "));
        let [theirs, own] = [only([wanted, got]), only([got, wanted])];
        let word = words.split(' ').next().unwrap_or_default().to_owned();
        let met = self
            .kinds
            .entry([word, beginning(&theirs), beginning(&own)])
            .or_default();
        *met += 1;
        if *met == 1 && self.kinds.len() <= SHOWN {
            println!("== {index} {words}");
            let told = case
                .files
                .iter()
                .filter(|(_, text)| *text != values::TEMPLATE);
            for (path, text) in told {
                println!("  {path}: {text:?}");
            }
            println!("Helm {theirs:#?}\nours {own:#?}");
        }
    }
}

impl Case {
    /// What a program answers to each command line, and last the files it leaves.
    fn run(&self, program: &Program) -> Result<Vec<Ran>> {
        let folder = Folder::empty()?;
        for (path, text) in &self.files {
            folder.write(path, text)?;
        }
        for path in &self.folders {
            fs::create_dir_all(folder.0.join(path))?;
        }
        let here = folder.0.display().to_string();
        let mut answers = Vec::new();
        for words in &self.commands {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut ran = program.run(&folder.0, &words)?;
            ran.stderr = ran.stderr.replace(&here, "HERE");
            let out = String::from_utf8_lossy(&ran.stdout).replace(&here, "HERE");
            ran.stdout = out.into_bytes();
            answers.push(ran);
        }
        let mut left = String::new();
        list(&folder.0, "", &mut left)?;
        answers.push(Ran {
            code: 0,
            stdout: left.into_bytes(),
            stderr: String::new(),
        });
        Ok(answers)
    }
}

/// Every file below a folder with its text, but the bytes of archives and the hour in a lock.
fn list(folder: &Path, below: &str, into: &mut String) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = format!("{below}/{}", entry.file_name().display());
        if entry.file_type()?.is_dir() {
            into.push_str(&format!("{path}/\n"));
            list(&entry.path(), &path, into)?;
        } else if path.ends_with(".tgz") {
            into.push_str(&format!("{path}\n"));
        } else {
            let text = String::from_utf8_lossy(&fs::read(entry.path())?).into_owned();
            let lines = text.lines().filter(|line| !line.starts_with("generated: "));
            let lines: Vec<&str> = lines.collect();
            into.push_str(&format!("{path} {lines:?}\n"));
        }
    }
    Ok(())
}

/// Whether both did the same in any order, of names in a line as of lines.
fn same(wanted: &Ran, got: &Ran) -> bool {
    let sorted = |ran: &Ran| {
        let mut bytes = lines(ran).concat().into_bytes();
        bytes.sort_unstable();
        bytes
    };
    wanted.code == got.code && sorted(wanted) == sorted(got)
}

/// What a program said, line by line.
fn lines(ran: &Ran) -> Vec<String> {
    let out = String::from_utf8_lossy(&ran.stdout);
    let out = out.lines().map(|line| format!("out {line}"));
    let told = ran.stderr.lines().map(|line| format!("err {line}"));
    out.chain(told).collect()
}

/// The first lines only one of two said, or all where both said the same in another order; and how
/// it ended.
fn only([ran, other]: [&Ran; 2]) -> Vec<String> {
    let (all, mut others) = (lines(ran), lines(other));
    let mut only = all.clone();
    only.retain(|line| match others.iter().position(|other| other == line) {
        Some(at) => {
            others.remove(at);
            false
        }
        None => true,
    });
    match only.is_empty() && others.is_empty() {
        true => only = all,
        false => only.truncate(SHOWN_LINES),
    }
    let cut = |line: &String| line.chars().take(SHOWN_CHARS).collect();
    let mut only: Vec<String> = only.iter().map(cut).collect();
    only.push(format!("exit code {}", ran.code));
    only
}

/// The beginning of a line, without numbers.
fn beginning(lines: &[String]) -> String {
    let line = lines.first().map(String::as_str).unwrap_or_default();
    let plain = line.chars().filter(|c| !c.is_ascii_digit());
    plain.take(ALIKE_CHARS).collect()
}
