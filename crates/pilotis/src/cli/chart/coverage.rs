//! `chart coverage`: which lines and branches of a chart's templates its values make run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use pilotis_chart::coverage::Coverage as Covered;
use pilotis_chart::{Chart, Error};

use super::flags::go_io;
use super::rendering::Rendering;
use super::{Outcome, tell};

/// What to render, and how to tell what ran.
#[derive(Debug, Args)]
pub struct Coverage {
    /// Folder or archive of the chart
    pub chart: String,
    /// Values files of one rendering, separated by commas; repeat for more renderings
    #[arg(long = "case", value_name = "FILES")]
    pub cases: Vec<String>,
    /// Write an LCOV tracefile here
    #[arg(long, value_name = "FILE")]
    pub lcov: Option<PathBuf>,
    /// Fail when fewer lines run than this, in percent
    #[arg(long, value_name = "PERCENT")]
    pub lines_min: Option<f64>,
    /// How to render. Values flags hold for every case.
    #[command(flatten)]
    pub rendering: Rendering,
}

/// Runs `chart coverage`.
///
/// # Errors
/// Never today: what is wrong is an outcome.
pub fn run(arguments: &Coverage) -> Result<Outcome> {
    let common = &arguments.rendering.common;
    let covered = match cover(arguments) {
        Ok(covered) => covered,
        Err(error) => return tell::outcome(Err(error), common),
    };
    tell::data(&covered.table());
    let [lines, ..] = covered.total();
    match arguments.lines_min {
        Some(least) if lines.percent() < least => {
            tell::warnings(&[format!(
                "error: {lines} of the lines run, fewer than {least} %"
            )]);
            Ok(Outcome::Findings)
        }
        _ => Ok(Outcome::Done),
    }
}

fn cover(arguments: &Coverage) -> Result<Covered, Error> {
    let rendering = &arguments.rendering;
    let chart = rendering.chart(&arguments.chart)?;
    let ready = rendering.ready()?;
    let mut covered = Covered::default();
    let none = [String::new()];
    let cases = match arguments.cases.is_empty() {
        true => &none[..],
        false => &arguments.cases[..],
    };
    for case in cases {
        let files: Vec<&str> = case.split(',').filter(|file| !file.is_empty()).collect();
        let values = rendering.values(&files)?;
        let run = (&ready.options, &ready.machine as _);
        let added = covered.add(ready.subject(&chart), &values, run);
        added.map_err(|error| match case.is_empty() {
            true => error,
            false => error.about(&format!("with {case}")),
        })?;
    }
    if let Some(target) = &arguments.lcov {
        write_lcov(&covered, &chart, &arguments.chart, target)?;
    }
    Ok(covered)
}

/// Writes a tracefile whose paths lead to the templates of the folder that was read.
pub fn write_lcov(
    covered: &Covered,
    chart: &Chart,
    folder: &str,
    target: &Path,
) -> Result<(), Error> {
    let root = std::path::absolute(folder).unwrap_or_else(|_| folder.into());
    let prefix = format!("{}/", chart.name());
    let path_of = |name: &str| {
        let inside = name.strip_prefix(&prefix).unwrap_or(name);
        root.join(inside).display().to_string()
    };
    std::fs::write(target, covered.lcov(&path_of)).map_err(|error| {
        Error::new(format!(
            "cannot write {}: {}",
            target.display(),
            go_io(&error)
        ))
    })
}
