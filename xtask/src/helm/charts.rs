//! Public charts that lie on this machine, rendered by the real Helm and by ours.
//!
//! The folder holds one folder for each repository (`owner+name`), in any depth below it charts. A
//! chart whose dependencies are missing gets them from the other charts of the folder, in a copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};

use super::chart_list::Locked;
use super::program::{Program, Ran};
use super::{VERSIONS, values};
use crate::run::target_dir;

/// Where prepared copies of charts lie.
fn work() -> PathBuf {
    target_dir().join("helm-charts")
}

/// One chart and the words to render it with.
pub struct Case {
    /// Where it lies.
    pub chart: PathBuf,
    /// What it is called where results are printed.
    pub name: String,
    /// The number of its set of values.
    pub set: usize,
    /// What follows the command.
    pub arguments: Vec<String>,
}

/// How a rendering compares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    Equal,
    EqualError,
    Output,
    Error,
    Code,
}

struct Row {
    name: String,
    set: usize,
    verdict: Verdict,
    why: String,
}

/// Renders every chart below a folder with both programs, and prints what differs and the totals.
pub fn compare(folder: &Path, rest: &[&str]) -> Result<()> {
    compare_with(&["template", "rel", "."], folder, rest)
}

/// Lints every chart below a folder with both programs: severities, paths and texts.
pub fn lint(folder: &Path, rest: &[&str]) -> Result<()> {
    compare_with(&["lint", "."], folder, rest)
}

fn compare_with(verb: &[&str], folder: &Path, rest: &[&str]) -> Result<()> {
    let filter = rest.first().copied().unwrap_or("");
    let version = rest.get(1).copied().unwrap_or(VERSIONS[0]);
    let cases = cases(folder, filter)?;
    if cases.is_empty() {
        bail!("no chart below {} matches {filter:?}", folder.display());
    }
    judge_all(verb, version, &cases)?;
    let locked = Locked::read()?;
    let charts = named(folder)?
        .into_iter()
        .filter(|(name, _)| name.contains(filter));
    let known = charts
        .filter(|(name, chart)| locked.knows(name, chart))
        .count();
    println!(
        "charts as charts.lock names them: {known} of {}",
        locked.len()
    );
    Ok(())
}

/// Asks both programs each case, prints what differs and the totals; gives how many differ.
///
/// # Errors
/// When a program is missing.
pub fn judge_all(verb: &[&str], version: &str, cases: &[Case]) -> Result<usize> {
    let (helm, ours) = (Program::helm(version)?, Program::ours(version)?);
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    super::two_at_once(&|| {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let row = judge(verb, case, &helm, &ours);
            if row.verdict > Verdict::EqualError {
                println!("{} #{} {:?}\n{}", row.name, row.set, row.verdict, row.why);
            }
            if let Ok(mut rows) = rows.lock() {
                rows.push(row);
            }
        }
        Ok(())
    })?;
    let rows = rows.into_inner().unwrap_or_default();
    summary(verb[0], version, &rows);
    let differing = rows.iter().filter(|row| row.verdict > Verdict::EqualError);
    Ok(differing.count())
}

fn summary(verb: &str, version: &str, rows: &[Row]) {
    let mut charts: BTreeMap<&str, bool> = BTreeMap::new();
    let mut totals: BTreeMap<Verdict, usize> = BTreeMap::new();
    for row in rows {
        let equal = charts.entry(&row.name).or_insert(true);
        *equal &= row.verdict <= Verdict::EqualError;
        *totals.entry(row.verdict).or_default() += 1;
    }
    println!(
        "\nhelm {verb} of {version}: {} charts, {} runs",
        charts.len(),
        rows.len()
    );
    for (verdict, count) in &totals {
        println!("  {verdict:?}: {count}");
    }
    let different: Vec<&str> = charts.iter().filter(|c| !c.1).map(|c| *c.0).collect();
    println!(
        "charts with every run equal: {}",
        charts.len() - different.len()
    );
    for name in different {
        println!("  differs: {name}");
    }
}

fn judge(verb: &[&str], case: &Case, helm: &Program, ours: &Program) -> Row {
    let mut arguments = verb.to_vec();
    arguments.extend(case.arguments.iter().map(String::as_str));
    let mut row = Row {
        name: case.name.clone(),
        set: case.set,
        verdict: Verdict::Code,
        why: String::new(),
    };
    let runs = helm
        .run(&case.chart, &arguments)
        .and_then(|wanted| Ok((wanted, ours.run(&case.chart, &arguments)?)));
    match runs {
        Err(error) => row.why = format!("{error:#}"),
        Ok((wanted, found)) => {
            (row.verdict, row.why) = verdict(&wanted, &found);
            if row.verdict == Verdict::Output || row.verdict == Verdict::Error {
                // Only lines on which two runs of the real program differ are forgiven.
                if let Ok(again) = helm.run(&case.chart, &arguments) {
                    (row.verdict, row.why) = masked(&wanted, &again, &found);
                }
            }
        }
    }
    row
}

fn verdict(wanted: &Ran, found: &Ran) -> (Verdict, String) {
    if wanted.code != found.code {
        let why = format!(
            "  exit {} instead of {}\n  helm: {}\n  ours: {}",
            found.code,
            wanted.code,
            last_line(&wanted.stderr),
            last_line(&found.stderr)
        );
        return (Verdict::Code, why);
    }
    if wanted.stdout != found.stdout {
        let (wanted, found) = (lossy(&wanted.stdout), lossy(&found.stdout));
        return (Verdict::Output, difference(&wanted, &found));
    }
    if wanted.stderr != found.stderr {
        return (Verdict::Error, difference(&wanted.stderr, &found.stderr));
    }
    let verdict = if wanted.ok() {
        Verdict::Equal
    } else {
        Verdict::EqualError
    };
    (verdict, String::new())
}

fn masked(wanted: &Ran, again: &Ran, found: &Ran) -> (Verdict, String) {
    let mask = |first: &str, second: &str, text: &str| -> String {
        let (first, second): (Vec<&str>, Vec<&str>) =
            (first.split('\n').collect(), second.split('\n').collect());
        let lines: Vec<&str> = text.split('\n').collect();
        if first.len() != second.len() || first.len() != lines.len() {
            // Lines in another order each time, such as log lines: compare them sorted.
            let mut sorted = lines;
            sorted.sort_unstable();
            return sorted.join("\n");
        }
        let masked = lines.iter().enumerate().map(|(at, line)| {
            if first[at] == second[at] {
                line
            } else {
                "<random>"
            }
        });
        masked.collect::<Vec<_>>().join("\n")
    };
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    let all = |ran: &Ran| Ran {
        code: ran.code,
        stdout: mask(
            &lossy(&wanted.stdout),
            &lossy(&again.stdout),
            &lossy(&ran.stdout),
        )
        .into(),
        // The order of log lines is random in Helm: maps are walked.
        stderr: sorted(&ran.stderr),
    };
    verdict(&all(wanted), &all(found))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The line that says what is wrong.
fn last_line(text: &str) -> &str {
    let error = text.lines().find(|line| line.starts_with("Error:"));
    error.or_else(|| text.lines().last()).unwrap_or_default()
}

/// The first lines that differ.
fn difference(wanted: &str, found: &str) -> String {
    let (wanted, found): (Vec<&str>, Vec<&str>) =
        (wanted.split('\n').collect(), found.split('\n').collect());
    let at = wanted
        .iter()
        .zip(&found)
        .take_while(|(a, b)| a == b)
        .count();
    let source = wanted[..at]
        .iter()
        .rev()
        .find(|line| line.starts_with("# Source"));
    let show = |lines: &[&str]| {
        let lines = lines.iter().skip(at.saturating_sub(1)).take(4);
        let lines = lines.map(|line| {
            let cut: String = line.chars().take(160).collect();
            format!("    {cut}\n")
        });
        lines.collect::<String>()
    };
    format!(
        "  line {} {}\n  helm:\n{}  ours:\n{}",
        at + 1,
        source.unwrap_or(&""),
        show(&wanted),
        show(&found)
    )
}

fn cases(folder: &Path, filter: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (name, chart) in prepared(folder)? {
        if !name.contains(filter) {
            continue;
        }
        for (set, arguments) in values::sets(&chart).into_iter().enumerate() {
            cases.push(Case {
                chart: chart.clone(),
                name: name.clone(),
                set,
                arguments,
            });
        }
    }
    Ok(cases)
}

/// Names and places of every chart below a folder, with what can be had of their dependencies.
pub fn prepared(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let charts = named(folder)?;
    let pool = pool(charts.iter().map(|(_, chart)| chart));
    charts
        .iter()
        .map(|(name, chart)| Ok((name.clone(), prepare(chart, name, &pool)?)))
        .collect()
}

/// Names and places of every chart below a folder, as they lie there.
pub fn named(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut charts = Vec::new();
    find(folder, &mut charts)?;
    charts.sort();
    let named = charts.into_iter().map(|chart| {
        let name = chart.strip_prefix(folder).unwrap_or(&chart);
        (name.display().to_string(), chart)
    });
    Ok(named.collect())
}

/// Folders with a `Chart.yaml` that lie in no other.
fn find(folder: &Path, out: &mut Vec<PathBuf>) -> Result<()> {
    if folder.join("Chart.yaml").is_file() {
        out.push(folder.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name() != ".git" {
            find(&entry.path(), out)?;
        }
    }
    Ok(())
}

fn pool<'a>(charts: impl Iterator<Item = &'a PathBuf>) -> BTreeMap<String, PathBuf> {
    let mut pool = BTreeMap::new();
    for chart in charts {
        let text = fs::read_to_string(chart.join("Chart.yaml")).unwrap_or_default();
        let name = text.lines().find_map(|line| line.strip_prefix("name:"));
        if let Some(name) = name {
            let name = name.trim().trim_matches(['"', '\'']).to_owned();
            pool.entry(name).or_insert_with(|| chart.clone());
        }
    }
    pool
}

/// Names under `dependencies:` of a chart.
fn dependencies(chart: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for file in ["Chart.yaml", "requirements.yaml"] {
        let text = fs::read_to_string(chart.join(file)).unwrap_or_default();
        let mut inside = false;
        for line in text.lines() {
            if !line.starts_with([' ', '-', '#']) && !line.is_empty() {
                inside = line.starts_with("dependencies:");
                continue;
            }
            let field = line.trim_start().trim_start_matches("- ").trim_start();
            if let Some(name) = field.strip_prefix("name:")
                && inside
            {
                names.push(name.trim().trim_matches(['"', '\'']).to_owned());
            }
        }
    }
    names
}

/// The chart itself, or a copy with the dependencies that were missing.
fn prepare(chart: &Path, name: &str, pool: &BTreeMap<String, PathBuf>) -> Result<PathBuf> {
    let missing = |chart: &Path| -> Vec<String> {
        let present: Vec<String> = fs::read_dir(chart.join("charts"))
            .map(|entries| {
                let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
                names.collect()
            })
            .unwrap_or_default();
        let absent = |name: &String| {
            !present
                .iter()
                .any(|have| have == name || have.starts_with(&format!("{name}-")))
        };
        dependencies(chart).into_iter().filter(absent).collect()
    };
    if missing(chart).is_empty() {
        return Ok(chart.to_owned());
    }
    let copy = work().join(name.replace('/', "__"));
    if !copy.exists() {
        copy_tree(chart, &copy)?;
        add_missing(&copy, pool, &missing, 0)?;
    }
    Ok(copy)
}

fn add_missing(
    chart: &Path,
    pool: &BTreeMap<String, PathBuf>,
    missing: &dyn Fn(&Path) -> Vec<String>,
    depth: u32,
) -> Result<()> {
    for name in missing(chart) {
        if let Some(found) = pool.get(&name)
            && depth < 4
        {
            let target = chart.join("charts").join(&name);
            copy_tree(found, &target)?;
            add_missing(&target, pool, missing, depth + 1)?;
        }
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    crate::run::run(Command::new("cp").arg("-r").arg(from).arg(to))
}
