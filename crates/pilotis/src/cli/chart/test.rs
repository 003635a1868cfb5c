//! `chart test`: runs the test suites of a chart, and tells what does not hold.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use pilotis_chart::testing::{Ended, Notes, Outcome as How, Snapshots, Suite, World};
use pilotis_chart::testing::{run as run_suite, takes_part};
use pilotis_chart::{Error, Options};

use super::flags::{Common, go_io};
use super::{Outcome, locate, machine, tell};

/// Which tests to run.
#[derive(Debug, Args)]
pub struct Test {
    /// Folders of charts
    #[arg(value_name = "CHART", required = true)]
    pub charts: Vec<String>,
    /// Suites to run, by their path below the chart; `*` stands for a part of a name
    #[arg(
        long = "file",
        value_name = "PATTERN",
        default_value = "tests/*_test.yaml"
    )]
    pub files: Vec<String>,
    /// Write a JUnit report here
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Keep values that differ from their snapshots as the right ones
    #[arg(short, long)]
    pub update_snapshot: bool,
    /// Tell which lines of the templates the tests make run
    #[arg(long)]
    pub coverage: bool,
    /// Write an LCOV tracefile here; of one chart
    #[arg(long, value_name = "FILE")]
    pub lcov: Option<PathBuf>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
    /// Randomness and clock.
    #[command(flatten)]
    pub machine: machine::Flags,
}

/// A suite that was run.
struct Ran {
    name: String,
    file: String,
    seconds: f64,
    tests: Vec<Ended>,
}

/// Runs `chart test`.
///
/// # Errors
/// Never today: what is wrong is an outcome.
pub fn run(arguments: &Test) -> Result<Outcome> {
    let mut all = Vec::new();
    for chart in &arguments.charts {
        match of_chart(arguments, chart) {
            Ok(ran) => all.extend(ran),
            Err(error) => return tell::outcome(Err(error), &arguments.common),
        }
    }
    tell::data(&summary(&all));
    if let Some(target) = &arguments.junit
        && let Err(error) = std::fs::write(target, junit(&all))
    {
        let text = format!("cannot write {}: {}", target.display(), go_io(&error));
        return tell::outcome(Err(Error::new(text)), &arguments.common);
    }
    Ok(match count(&all, |how| matches!(how, How::Failed(_))) {
        0 => Outcome::Done,
        _ => Outcome::Findings,
    })
}

fn of_chart(arguments: &Test, folder: &str) -> Result<Vec<Ran>, Error> {
    let compat = arguments.common.profile()?;
    let path = locate::path(folder)?;
    let chart = locate::load(locate::files(&path)?, &compat)?;
    let options = Options {
        compat,
        ..Options::default()
    };
    let machine = machine::Machine::new(&arguments.machine)?;
    let read = |suite: &str, name: &str| {
        let folder = Path::new(suite).parent().unwrap_or(Path::new(""));
        let path = folder.join(name);
        std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {}", path.display(), go_io(&error)))
    };
    let world = World {
        options: &options,
        environment: &machine,
        read: &read,
    };
    let mut notes = Notes::default();
    let mut all = Vec::new();
    for (file, route) in suites(&path, &arguments.files)? {
        if !takes_part(&chart, &route) {
            continue;
        }
        let shown = file.display().to_string();
        let text = std::fs::read_to_string(&file)
            .map_err(|error| Error::new(format!("cannot read {shown}: {}", go_io(&error))))?;
        notes.snapshots = snapshots(&file, arguments.update_snapshot)?;
        for mut suite in Suite::read(&shown, &text)? {
            suite.route.clone_from(&route);
            let begun = Instant::now();
            let tests = run_suite(&chart, &suite, world, &mut notes);
            let ran = Ran {
                name: suite.name,
                file: shown.clone(),
                seconds: begun.elapsed().as_secs_f64(),
                tests,
            };
            tell::data(&report(&ran));
            all.push(ran);
        }
        keep(&file, &notes.snapshots)?;
    }
    if arguments.coverage {
        tell::data(&notes.coverage.table());
    }
    if let Some(target) = &arguments.lcov {
        super::coverage::write_lcov(&notes.coverage, &chart, folder, target)?;
    }
    Ok(all)
}

/// Where the snapshots of a suite's file are kept.
fn snapshot_file(suite: &Path) -> PathBuf {
    let name = suite.file_name().unwrap_or_default().to_string_lossy();
    suite
        .with_file_name("__snapshot__")
        .join(format!("{name}.snap"))
}

fn snapshots(suite: &Path, updates: bool) -> Result<Snapshots, Error> {
    let path = snapshot_file(suite);
    let mut snapshots = match std::fs::read_to_string(&path) {
        Ok(text) => Snapshots::read(&text).map_err(|e| e.about(&path.display().to_string()))?,
        Err(_) => Snapshots::default(),
    };
    snapshots.updates = updates;
    Ok(snapshots)
}

/// Writes snapshots that are new or were taken as right.
fn keep(suite: &Path, snapshots: &Snapshots) -> Result<(), Error> {
    let Some(text) = snapshots.changed() else {
        return Ok(());
    };
    let path = snapshot_file(suite);
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
    written.map_err(|error| {
        Error::new(format!(
            "cannot write {}: {}",
            path.display(),
            go_io(&error)
        ))
    })
}

/// Deepest nesting of subcharts whose tests are run.
const DEPTH_MAX: usize = 8;

/// Files of suites by path, each with the subcharts that lead to it.
fn suites(chart: &Path, patterns: &[String]) -> Result<Vec<(PathBuf, Vec<String>)>, Error> {
    let mut found = Vec::new();
    collect((chart, &[]), patterns, &mut found);
    match found.is_empty() {
        true => Err(Error::new(format!(
            "no test suite is there: nothing in {} fits {}",
            chart.display(),
            patterns.join(", ")
        ))),
        false => Ok(found),
    }
}

fn collect(
    (chart, route): (&Path, &[String]),
    patterns: &[String],
    out: &mut Vec<(PathBuf, Vec<String>)>,
) {
    let mut own = Vec::new();
    for pattern in patterns {
        let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        let files = entries(&chart.join(folder)).into_iter();
        own.extend(files.filter(|path| path.is_file() && fits(name, &name_of(path))));
    }
    own.sort();
    own.dedup();
    out.extend(own.into_iter().map(|path| (path, route.to_vec())));
    for child in entries(&chart.join("charts")) {
        if route.len() < DEPTH_MAX && child.join("Chart.yaml").is_file() {
            let below = [route, &[name_of(&child)]].concat();
            collect((&child, &below), patterns, out);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether a name fits a pattern with at most one `*`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

fn report(ran: &Ran) -> String {
    let failed = ran
        .tests
        .iter()
        .any(|test| matches!(test.outcome, How::Failed(_)));
    let word = if failed { "FAIL" } else { "PASS" };
    let mut out = format!("{word}  {}  ({})\n", ran.name, ran.file);
    for test in &ran.tests {
        match &test.outcome {
            How::Passed => {}
            How::Skipped(reason) => out.push_str(&format!("  skipped: {}: {reason}\n", test.name)),
            How::Failed(failures) => {
                out.push_str(&format!("  failed: {}\n", test.name));
                for failure in failures {
                    let text = failure.message.replace('\n', "\n      ");
                    out.push_str(&format!("    --> {}\n      {text}\n", failure.position));
                }
            }
        }
    }
    out
}

fn count(all: &[Ran], fits: impl Fn(&How) -> bool) -> usize {
    let tests = all.iter().flat_map(|ran| &ran.tests);
    tests.filter(|test| fits(&test.outcome)).count()
}

fn summary(all: &[Ran]) -> String {
    format!(
        "{} suite(s), {} passed, {} failed, {} skipped\n",
        all.len(),
        count(all, |how| *how == How::Passed),
        count(all, |how| matches!(how, How::Failed(_))),
        count(all, |how| matches!(how, How::Skipped(_)))
    )
}

/// A report in the XML that continuous integration reads.
fn junit(all: &[Ran]) -> String {
    let failed = |test: &&Ended| matches!(test.outcome, How::Failed(_));
    let skipped = |test: &&Ended| matches!(test.outcome, How::Skipped(_));
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for ran in all {
        out.push_str(&format!(
            "  <testsuite name=\"{}\" file=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" \
             time=\"{:.3}\">\n",
            escaped(&ran.name),
            escaped(&ran.file),
            ran.tests.len(),
            ran.tests.iter().filter(failed).count(),
            ran.tests.iter().filter(skipped).count(),
            ran.seconds
        ));
        for test in &ran.tests {
            let (name, class) = (escaped(&test.name), escaped(&ran.name));
            let line = test.position.line;
            out.push_str(&format!(
                "    <testcase name=\"{name}\" classname=\"{class}\" line=\"{line}\">\n"
            ));
            match &test.outcome {
                How::Passed => {}
                How::Skipped(reason) => {
                    out.push_str(&format!(
                        "      <skipped message=\"{}\"/>\n",
                        escaped(reason)
                    ));
                }
                How::Failed(failures) => {
                    for failure in failures {
                        let (place, text) = (&failure.position, escaped(&failure.message));
                        let place = escaped(&place.to_string());
                        out.push_str(&format!(
                            "      <failure message=\"{place}\">{text}</failure>\n"
                        ));
                    }
                }
            }
            out.push_str("    </testcase>\n");
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            // XML has no way to write these.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
