//! A row of a table made into a chart both programs render, and what comes of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use crate::helm::program::{Program, Ran};

/// Differences printed at most.
const SHOWN_MAX: usize = 100;
/// Characters of an answer that are printed.
const SHOWN_CHARS: usize = 600;

/// How often Helm is asked again to see whether it always answers so.
const REPEATS: usize = 4;

const CHART: &str = "apiVersion: v2\nname: rows\nversion: 0.1.0\n";

/// A chart and the words after `template rel .`.
#[derive(Debug, Clone)]
pub struct Question {
    /// Which table.
    pub table: &'static str,
    /// Which row.
    pub name: String,
    /// Files of the chart; `Chart.yaml` is added when it is missing.
    pub files: Vec<(String, Vec<u8>)>,
    /// More arguments.
    pub arguments: Vec<String>,
}

/// A row that has no meaning for a chart.
#[derive(Debug)]
pub struct Excluded {
    /// Which table.
    pub table: &'static str,
    /// Which row.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What became of the rows of all tables.
#[derive(Debug, Default)]
pub struct Rows {
    /// Rows both programs are asked.
    pub questions: Vec<Question>,
    /// Rows they are not.
    pub excluded: Vec<Excluded>,
}

impl Rows {
    /// Leaves a row out.
    pub fn exclude(&mut self, table: &'static str, name: &str, reason: impl Into<String>) {
        self.excluded.push(Excluded {
            table,
            name: name.to_owned(),
            reason: reason.into(),
        });
    }

    /// Asks a template: its output is base64, so that every byte counts and none is YAML.
    pub fn template(&mut self, table: &'static str, name: &str, input: &[u8], data: &str) {
        let line = format!("a: {{{{ include \"rows/templates/_row.tpl\" {data} | b64enc }}}}\n");
        self.questions.push(Question {
            table,
            name: name.to_owned(),
            files: vec![
                ("templates/_row.tpl".to_owned(), input.to_vec()),
                ("templates/a.yaml".to_owned(), line.into_bytes()),
            ],
            arguments: Vec::new(),
        });
    }
}

/// How the two answers to a row compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Equal,
    EqualError,
    Random,
    Different,
}

/// Rows of one table.
#[derive(Debug, Default)]
struct Count {
    equal: usize,
    errors: usize,
    random: usize,
    different: usize,
    excluded: usize,
}

/// Asks both programs every question, prints what differs and the numbers of each table; says how
/// many rows differ.
pub fn compare(rows: &Rows, helm: &Program, ours: &Program) -> Result<usize> {
    let verdicts = verdicts(&rows.questions, helm, ours)?;
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for (question, verdict) in rows.questions.iter().zip(verdicts) {
        let count = counts.entry(question.table).or_default();
        match verdict {
            Verdict::Equal => count.equal += 1,
            Verdict::EqualError => {
                count.equal += 1;
                count.errors += 1;
            }
            Verdict::Random => count.random += 1,
            Verdict::Different => count.different += 1,
        }
    }
    for row in &rows.excluded {
        counts.entry(row.table).or_default().excluded += 1;
    }
    for (table, count) in &counts {
        println!(
            "{table}: {} equal ({} of them errors), {} different, {} random, \
             {} excluded",
            count.equal, count.errors, count.different, count.random, count.excluded
        );
    }
    Ok(counts.values().map(|count| count.different).sum())
}

fn verdicts(questions: &[Question], helm: &Program, ours: &Program) -> Result<Vec<Verdict>> {
    let next = AtomicUsize::new(0);
    let shown = AtomicUsize::new(0);
    let verdicts = Mutex::new(vec![Verdict::Different; questions.len()]);
    let work = |name: &str| -> Result<()> {
        let folder = Folder::new(name)?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(question) = questions.get(at) else {
                return Ok(());
            };
            let (verdict, why) = folder.judge(question, helm, ours)?;
            if verdict == Verdict::Different && shown.fetch_add(1, Ordering::Relaxed) < SHOWN_MAX {
                println!("{} {}\n{why}", question.table, question.name);
            }
            if let Ok(mut verdicts) = verdicts.lock() {
                verdicts[at] = verdict;
            }
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| work("b"));
        work("a")?;
        let panicked = |_| anyhow::anyhow!("a worker panicked");
        other.join().map_err(panicked)?
    })?;
    Ok(verdicts.into_inner().unwrap_or_default())
}

/// Where one question after the other lies, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        let name = format!("pilotis-tables-{}-{name}", std::process::id());
        Ok(Self(std::env::temp_dir().join(name)))
    }

    fn judge(
        &self,
        question: &Question,
        helm: &Program,
        ours: &Program,
    ) -> Result<(Verdict, String)> {
        self.clear();
        self.write("Chart.yaml", CHART.as_bytes())?;
        for (path, bytes) in &question.files {
            self.write(path, bytes)?;
        }
        let mut arguments = vec!["template", "rel", "."];
        arguments.extend(question.arguments.iter().map(String::as_str));
        let wanted = helm.run(&self.0, &arguments)?;
        let found = ours.run(&self.0, &arguments)?;
        if wanted == found {
            let verdict = if wanted.ok() {
                Verdict::Equal
            } else {
                Verdict::EqualError
            };
            return Ok((verdict, String::new()));
        }
        if wanted.code == found.code {
            for _ in 0..REPEATS {
                if helm.run(&self.0, &arguments)? != wanted {
                    return Ok((Verdict::Random, String::new()));
                }
            }
        }
        let input = question.files.first().map_or(&[][..], |(_, bytes)| bytes);
        let why = format!(
            "  asked: {} {:?}\n  helm: {}\n  ours: {}\n",
            short(&String::from_utf8_lossy(input)),
            question.arguments,
            answer(&wanted),
            answer(&found)
        );
        Ok((Verdict::Different, why))
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(&path, bytes).with_context(|| path.display().to_string())
    }

    fn clear(&self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The exit code, what was printed with base64 decoded, and what was complained of.
fn answer(ran: &Ran) -> String {
    let stdout = String::from_utf8_lossy(&ran.stdout);
    let lines = stdout.lines().filter(|line| !line.starts_with(['-', '#']));
    let shown: Vec<String> = lines.map(decoded).collect();
    format!(
        "{} {:?} {:?}",
        ran.code,
        short(&shown.join(" | ")),
        short(&ran.stderr)
    )
}

fn decoded(line: &str) -> String {
    match line.split_once(": ") {
        Some((key, text)) if text.len().is_multiple_of(4) => {
            let bytes = crate::helm::program::base64(text);
            format!("{key}: {}", String::from_utf8_lossy(&bytes))
        }
        _ => line.to_owned(),
    }
}

fn short(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}
