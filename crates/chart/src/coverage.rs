//! Which lines, branches and named templates of a chart its values files make run.
//!
//! A line counts when something on it can run: an action, or text that is copied. `if`, `with` and
//! `range` have two ways each, an `else` that was not written included. Named templates count as
//! functions. Templates that come out of values through `tpl` have no file and are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pilotis_template::{Point, PointKind, Source, Watched};

use crate::errors::Error;
use crate::load::Chart;
use crate::render::{Options, render};
use crate::{Capabilities, Release, Values};

/// What a number of renderings made run.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// By template, such as `chart/templates/service.yaml`.
    pub files: BTreeMap<String, FileCoverage>,
}

/// What of one template ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileCoverage {
    /// How often each line ran.
    pub lines: BTreeMap<u32, u64>,
    /// How often each way of a branch was taken, by line and offset.
    pub branches: BTreeMap<(u32, u32), [u64; 2]>,
    /// How often each named template ran, by line and name.
    pub templates: BTreeMap<(u32, String), u64>,
}

/// Parts that ran, of all parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that ran.
    pub hit: usize,
    /// All.
    pub found: usize,
}

impl Share {
    /// In percent, rounded down to a tenth; everything when there is nothing.
    pub fn percent(self) -> f64 {
        match self.found {
            0 => 100.0,
            found => ((self.hit * 1000) / found) as f64 / 10.0,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            hit: self.hit + other.hit,
            found: self.found + other.found,
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} % ({}/{})", self.percent(), self.hit, self.found)
    }
}

fn share<'a>(counts: impl Iterator<Item = &'a u64>) -> Share {
    counts.fold(Share::default(), |share, count| Share {
        hit: share.hit + usize::from(*count > 0),
        found: share.found + 1,
    })
}

impl FileCoverage {
    /// Lines that ran.
    pub fn line_share(&self) -> Share {
        share(self.lines.values())
    }

    /// Ways that were taken.
    pub fn branch_share(&self) -> Share {
        share(self.branches.values().flatten())
    }

    /// Named templates that ran.
    pub fn template_share(&self) -> Share {
        share(self.templates.values())
    }

    /// Lines that did not run, as ranges.
    pub fn missed(&self) -> String {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut before = None;
        for (line, count) in &self.lines {
            match (ranges.last_mut(), before) {
                (Some(last), Some(0)) if *count == 0 => last.1 = *line,
                _ if *count == 0 => ranges.push((*line, *line)),
                _ => {}
            }
            before = Some(*count);
        }
        let shown = ranges.iter().map(|(from, to)| match from == to {
            true => from.to_string(),
            false => format!("{from}-{to}"),
        });
        shown.collect::<Vec<_>>().join(" ")
    }
}

/// What is rendered with each set of values.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The chart.
    pub chart: &'a Chart,
    /// Name and namespace.
    pub release: &'a Release,
    /// What the cluster is said to be.
    pub capabilities: &'a Capabilities,
}

impl Coverage {
    /// Renders a chart once more and adds what ran.
    ///
    /// # Errors
    /// Values the chart does not render with.
    pub fn add(
        &mut self,
        subject: Subject<'_>,
        values: &Values,
        run: (&Options, &(dyn pilotis_template::Environment + Sync)),
    ) -> Result<(), Error> {
        let options = Options {
            watch: true,
            ..run.0.clone()
        };
        let Subject {
            chart,
            release,
            capabilities,
        } = subject;
        let rendered = render(chart, values, release, capabilities, (&options, run.1))?;
        if let Some(watched) = &rendered.watched {
            self.record(watched);
        }
        Ok(())
    }

    pub(crate) fn record(&mut self, watched: &Watched) {
        let lines: Vec<Lines> = watched
            .sources
            .iter()
            .map(|source| Lines::new(source))
            .collect();
        // Of several things on a line, the one that ran most often speaks for it.
        let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for point in &watched.points {
            let place = point.source as usize;
            let (Some(lines), Some(source)) = (lines.get(place), watched.sources.get(place)) else {
                continue;
            };
            let file = self.files.entry(source.name.clone()).or_default();
            match point.kind {
                PointKind::Text(_) | PointKind::Action => {
                    let ran = watched.statements.get(&(point.source, point.offset));
                    for line in lines.of(point, source) {
                        let count = counts.entry((point.source, line)).or_default();
                        *count = (*count).max(ran.copied().unwrap_or(0));
                    }
                }
                _ => file.add(point, lines, watched),
            }
        }
        for ((source, line), count) in counts {
            let name = &watched.sources[source as usize].name;
            if let Some(file) = self.files.get_mut(name) {
                *file.lines.entry(line).or_default() += count;
            }
        }
        self.files
            .retain(|_, file| !file.lines.is_empty() || !file.templates.is_empty());
    }

    /// What of all templates ran: lines, branches, named templates.
    pub fn total(&self) -> [Share; 3] {
        let mut total = [Share::default(); 3];
        for file in self.files.values() {
            total[0] = total[0].plus(file.line_share());
            total[1] = total[1].plus(file.branch_share());
            total[2] = total[2].plus(file.template_share());
        }
        total
    }

    /// An LCOV tracefile; `path_of` says where a template lies.
    pub fn lcov(&self, path_of: &dyn Fn(&str) -> String) -> String {
        let mut out = String::new();
        for (name, file) in &self.files {
            let _ = writeln!(out, "TN:\nSF:{}", path_of(name));
            file.lcov(&mut out);
            out.push_str("end_of_record\n");
        }
        out
    }

    /// A table for a person.
    pub fn table(&self) -> String {
        let width = self.files.keys().map(String::len).max().unwrap_or(0).max(8);
        let head = ("template", "lines", "branches", "named", "lines not run");
        let mut out = format!(
            "{:width$}  {:>16}  {:>16}  {:>16}  {}\n",
            head.0, head.1, head.2, head.3, head.4
        );
        for (name, file) in &self.files {
            let shares = [
                file.line_share(),
                file.branch_share(),
                file.template_share(),
            ];
            let line = row(name, shares, width);
            let missed = file.missed();
            out.push_str(format!("{line}  {missed}").trim_end());
            out.push('\n');
        }
        out.push_str(&row("all", self.total(), width));
        out.push('\n');
        out
    }
}

fn row(name: &str, shares: [Share; 3], width: usize) -> String {
    let shown = shares.map(|share| match share.found {
        0 => "-".to_string(),
        _ => share.to_string(),
    });
    let [lines, branches, templates] = shown;
    format!("{name:width$}  {lines:>16}  {branches:>16}  {templates:>16}")
}

impl FileCoverage {
    fn add(&mut self, point: &Point, lines: &Lines, watched: &Watched) {
        let line = lines.at(point.offset);
        match &point.kind {
            PointKind::Branch => {
                let ways = self.branches.entry((line, point.offset)).or_default();
                for (way, first) in ways.iter_mut().zip([true, false]) {
                    let key = (point.source, point.offset, first);
                    *way += watched.branches.get(&key).copied().unwrap_or(0);
                }
            }
            PointKind::Template(name) if !is_file(point, watched, name) => {
                let key = (point.source, name.clone());
                let ran = watched.entered.get(&key).copied().unwrap_or(0);
                *self.templates.entry((line, name.clone())).or_default() += ran;
            }
            _ => {}
        }
    }

    fn lcov(&self, out: &mut String) {
        for (line, name) in self.templates.keys() {
            let _ = writeln!(out, "FN:{line},{name}");
        }
        for ((_, name), count) in &self.templates {
            let _ = writeln!(out, "FNDA:{count},{name}");
        }
        let templates = self.template_share();
        let _ = writeln!(out, "FNF:{}\nFNH:{}", templates.found, templates.hit);
        for (block, ((line, _), ways)) in self.branches.iter().enumerate() {
            let ran = ways.iter().any(|count| *count > 0);
            for (way, count) in ways.iter().enumerate() {
                let taken = if ran {
                    count.to_string()
                } else {
                    "-".to_string()
                };
                let _ = writeln!(out, "BRDA:{line},{block},{way},{taken}");
            }
        }
        let branches = self.branch_share();
        let _ = writeln!(out, "BRF:{}\nBRH:{}", branches.found, branches.hit);
        for (line, count) in &self.lines {
            let _ = writeln!(out, "DA:{line},{count}");
        }
        let lines = self.line_share();
        let _ = writeln!(out, "LF:{}\nLH:{}", lines.found, lines.hit);
    }
}

fn is_file(point: &Point, watched: &Watched, name: &str) -> bool {
    let source = watched.sources.get(point.source as usize);
    source.is_some_and(|source| source.name == name)
}

/// Where the lines of a template begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(source: &Source) -> Self {
        let breaks = source
            .text
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n');
        Self(
            std::iter::once(0)
                .chain(breaks.map(|(at, _)| at + 1))
                .collect(),
        )
    }

    fn at(&self, offset: u32) -> u32 {
        let line = self.0.partition_point(|start| *start <= offset as usize);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The lines something stands on; of a text, those that are not blank.
    fn of(&self, point: &Point, source: &Source) -> Vec<u32> {
        let PointKind::Text(length) = point.kind else {
            return vec![self.at(point.offset)];
        };
        let (start, end) = (
            point.offset as usize,
            point.offset as usize + length as usize,
        );
        let mut lines = Vec::new();
        for line in self.at(point.offset)..=self.at(point.offset.saturating_add(length)) {
            let from = self.0[line as usize - 1].max(start);
            let to = self.0.get(line as usize).copied().unwrap_or(end).min(end);
            let text = source.text.get(from..to).unwrap_or(&[]);
            if !text.trim_ascii().is_empty() {
                lines.push(line);
            }
        }
        lines
    }
}
