//! Values that are given and not read, and values that are read and not there.
//!
//! Both come from a rendering that was watched: a value counts as read when a template steps to it,
//! or takes a map that holds it as a whole. A value that is read and absent counts unless it stands
//! where absence is expected: in `if`, `with` and `range`, before or in `default`, `and`, `or`,
//! `coalesce`, `hasKey`, `dig`, `required` and their like, or kept in a variable.

use std::collections::BTreeSet;

use pilotis_report::Position;
use pilotis_template::{Environment, Watched};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::coverage::Subject;
use crate::errors::Error;
use crate::explain::nearest;
use crate::load::Chart;
use crate::origins::Origins;
use crate::render::{Options, merged_values, render};
use crate::{Values, dependencies};

type Table = Map<String, Json>;

/// What is odd about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is given, and neither the chart's defaults nor its templates know it.
    Unknown,
    /// It is given and known, and nothing read it this time.
    Unread,
    /// A template reads it without a guard, and it is not there.
    Undefined,
}

/// One odd value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValueFinding {
    /// What is odd.
    pub kind: Kind,
    /// The value, such as `image.tag`.
    pub path: String,
    /// The values file or flag that gives it, or the template that reads it.
    pub position: Option<Position>,
    /// What to say about it.
    pub message: String,
    /// The value that was probably meant.
    pub meant: Option<String>,
}

/// Renders a chart and tells what is odd about the values given to it, in order of the values, then
/// of the templates.
///
/// # Errors
/// Values the chart does not render with.
pub fn odd_values(
    subject: Subject<'_>,
    values: &Values,
    run: (&Options, &(dyn Environment + Sync)),
) -> Result<Vec<ValueFinding>, Error> {
    let options = Options {
        watch: true,
        ..run.0.clone()
    };
    let (chart, release) = (subject.chart, subject.release);
    let rendered = render(
        chart,
        values,
        release,
        subject.capabilities,
        (&options, run.1),
    )?;
    let watched = rendered.watched.unwrap_or_default();
    let (merged, origins) = merged_values(chart, values, &options.compat)?;
    let (defaults, _) = merged_values(chart, &Values::default(), &options.compat)?;
    let mut active = chart.clone();
    let given = (&values.merged).into();
    dependencies::process(&mut active, &given, &options.compat, &mut Vec::new())?;
    let scopes = scopes(&active);
    let look = Look {
        chart,
        reads: Reads::new(&watched, &scopes, chart),
        known: Known::new(chart, &defaults, &watched),
        scopes,
        merged,
        origins,
    };
    let mut findings = look.given(values);
    findings.extend(look.undefined(&watched));
    Ok(findings)
}

struct Look<'a> {
    chart: &'a Chart,
    reads: Reads,
    known: Known,
    /// Where the values of each chart that takes part stand.
    scopes: Vec<Vec<String>>,
    merged: Table,
    origins: Origins,
}

impl Look<'_> {
    /// What was given and not read.
    fn given(&self, values: &Values) -> Vec<ValueFinding> {
        let mut leaves = Vec::new();
        leaves_of(&values.merged, &mut Vec::new(), &mut leaves);
        let unread = leaves.iter().filter(|path| !self.reads.has(path));
        unread.map(|path| self.unread(path, values)).collect()
    }

    fn unread(&self, path: &[String], values: &Values) -> ValueFinding {
        let shown = path.join(".");
        let finding = |kind, message: String, meant| ValueFinding {
            kind,
            path: shown.clone(),
            position: values.position(path),
            message,
            meant,
        };
        if let Some(name) = self.left_out(path) {
            let text = format!("`{shown}` is not read: subchart `{name}` takes no part");
            return finding(Kind::Unread, text, None);
        }
        if self.known.has(path, &self.reads) {
            let text = format!("`{shown}` is given, and nothing reads it with these values");
            return finding(Kind::Unread, text, None);
        }
        let text = format!("`{shown}` is given, and the chart knows no such value");
        finding(Kind::Unknown, text, self.known.meant(path))
    }

    /// The subchart a value is for, when it is there and switched off.
    fn left_out<'p>(&self, path: &'p [String]) -> Option<&'p str> {
        let first = path.first()?;
        let declared = self.chart.metadata.dependencies.iter();
        let is_declared = declared.into_iter().any(|wanted| wanted.key() == first);
        let active = self.scopes.iter().any(|scope| scope.first() == Some(first));
        (is_declared && !active).then_some(first)
    }

    /// What was read and is not there.
    fn undefined(&self, watched: &Watched) -> Vec<ValueFinding> {
        let mut findings: Vec<ValueFinding> = Vec::new();
        for (path, source, offset) in watched.absent.keys() {
            let steps = crate::values::steps(path);
            if self.known.is_null(&steps) {
                continue;
            }
            let place = watched.sources.get(*source as usize);
            let place = place.map(|source| source.place(*offset as usize));
            let position = place.map(|place| Position {
                file: place.template,
                line: place.line,
                column: place.column,
            });
            let meant = self.sibling(&steps);
            let found = meant.as_ref().and_then(|meant| {
                let place = self.origins.position(&crate::values::steps(meant))?;
                Some(format!("; `{meant}` is, at {place}"))
            });
            let message = format!("`{path}` is read and not set{}", found.unwrap_or_default());
            findings.push(ValueFinding {
                kind: Kind::Undefined,
                path: path.clone(),
                position,
                message,
                meant,
            });
        }
        findings.sort_by(|a, b| a.position.cmp(&b.position).then(a.path.cmp(&b.path)));
        findings
    }

    /// A value beside an absent one whose name is close to it.
    fn sibling(&self, path: &[String]) -> Option<String> {
        let (last, above) = path.split_last()?;
        let table = table_at(&self.merged, above)?;
        let meant = nearest(last, table.keys())?;
        Some([above, &[meant]].concat().join("."))
    }
}

fn table_at<'a>(table: &'a Table, path: &[String]) -> Option<&'a Table> {
    path.iter()
        .try_fold(table, |table, step| table.get(step)?.as_object())
}

/// Where the values of a chart and its subcharts stand, the root first.
fn scopes(chart: &Chart) -> Vec<Vec<String>> {
    fn collect(chart: &Chart, scope: &[String], out: &mut Vec<Vec<String>>) {
        out.push(scope.to_vec());
        for child in &chart.dependencies {
            collect(child, &[scope, &[child.name().to_string()]].concat(), out);
        }
    }
    let mut all = Vec::new();
    collect(chart, &[], &mut all);
    all
}

/// Paths of values that hold no others; lists count as one, nulls only take away.
fn leaves_of(table: &Table, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    for (key, value) in table {
        path.push(key.clone());
        match value {
            Json::Object(below) if !below.is_empty() => leaves_of(below, path, out),
            Json::Null => {}
            _ => out.push(path.clone()),
        }
        path.pop();
    }
}

/// What templates, and conditions of subcharts, read.
struct Reads {
    read: BTreeSet<String>,
    whole: BTreeSet<String>,
}

impl Reads {
    fn new(watched: &Watched, scopes: &[Vec<String>], chart: &Chart) -> Self {
        let mut reads = Self {
            read: globals(&watched.read, scopes),
            whole: globals(&watched.whole, scopes),
        };
        reads.conditions(chart, "");
        reads
    }

    fn conditions(&mut self, chart: &Chart, prefix: &str) {
        for wanted in &chart.metadata.dependencies {
            for condition in wanted.condition.split(',') {
                self.read.insert(format!("{prefix}{}", condition.trim()));
            }
            for tag in &wanted.tags {
                self.read.insert(format!("tags.{tag}"));
            }
        }
        for child in &chart.dependencies {
            self.conditions(child, &format!("{prefix}{}.", child.name()));
        }
    }

    fn has(&self, path: &[String]) -> bool {
        self.read.contains(&path.join("."))
            || (0..=path.len()).any(|length| self.whole.contains(&path[..length].join(".")))
    }
}

/// Paths, and for globals read in a subchart the path they were given at.
fn globals(paths: &BTreeSet<String>, scopes: &[Vec<String>]) -> BTreeSet<String> {
    let mut all = paths.clone();
    for scope in scopes.iter().filter(|scope| !scope.is_empty()) {
        let prefix = format!("{}.", scope.join("."));
        let inner = paths.iter().filter_map(|path| path.strip_prefix(&prefix));
        let inner = inner.filter(|path| *path == "global" || path.starts_with("global."));
        all.extend(inner.map(str::to_string));
    }
    all
}

/// What a chart knows of: its defaults, and what its templates name.
struct Known {
    defaults: Table,
    /// Defaults as they were written, nulls included, by chart.
    written: Vec<(Vec<String>, Table)>,
    named: BTreeSet<Vec<String>>,
}

impl Known {
    fn new(chart: &Chart, defaults: &Table, watched: &Watched) -> Self {
        let mut written = Vec::new();
        fn collect(chart: &Chart, scope: &[String], out: &mut Vec<(Vec<String>, Table)>) {
            out.push((scope.to_vec(), chart.values.to_json()));
            for child in &chart.dependencies {
                collect(child, &[scope, &[child.name().to_string()]].concat(), out);
            }
        }
        collect(chart, &[], &mut written);
        let named = watched.named.iter().map(|(file, path)| {
            let scope = crate::explain::scope(file);
            let is_global = path.first().is_some_and(|step| step == "global");
            let scope = if is_global { Vec::new() } else { scope };
            [scope, path.clone()].concat()
        });
        Self {
            defaults: defaults.clone(),
            written,
            named: named.collect(),
        }
    }

    /// A map that templates name may hold anything, unless it was looked into and not for this.
    fn has(&self, path: &[String], reads: &Reads) -> bool {
        self.in_defaults(path)
            || self.is_null(path)
            || self.named.iter().any(|named| {
                let shorter = named.len().min(path.len());
                let fits = !named.is_empty() && named[..shorter] == path[..shorter];
                fits && (named.len() >= path.len() || !reads.read.contains(&named.join(".")))
            })
    }

    /// Whether the defaults have a value there, or anything may stand below what they have.
    fn in_defaults(&self, path: &[String]) -> bool {
        let mut table = &self.defaults;
        for (index, step) in path.iter().enumerate() {
            match table.get(step) {
                None => return index > 0 && table.is_empty(),
                Some(Json::Object(below)) => table = below,
                Some(_) => return index + 1 == path.len(),
            }
        }
        true
    }

    /// Whether a chart's own file names it without giving it a value.
    fn is_null(&self, path: &[String]) -> bool {
        self.written.iter().any(|(scope, table)| {
            let inner = path.strip_prefix(scope.as_slice());
            let Some((last, above)) = inner.and_then(|inner| inner.split_last()) else {
                return false;
            };
            let table = table_at(table, above);
            table.is_some_and(|table| table.get(last) == Some(&Json::Null))
        })
    }

    /// The known value that an unknown one was probably meant to be.
    fn meant(&self, path: &[String]) -> Option<String> {
        for length in 0..path.len() {
            let (above, word) = (&path[..length], &path[length]);
            let mut words: BTreeSet<String> = BTreeSet::new();
            if let Some(table) = table_at(&self.defaults, above) {
                words.extend(table.keys().cloned());
            }
            let named = self.named.iter().filter(|named| named.starts_with(above));
            words.extend(named.filter_map(|named| named.get(length).cloned()));
            if words.contains(word) {
                continue;
            }
            return match nearest(word, words.iter()) {
                Some(meant) => Some([above, &[meant], &path[length + 1..]].concat().join(".")),
                None => self.elsewhere(path),
            };
        }
        self.elsewhere(path)
    }

    /// A known value of the same name that stands elsewhere: an indent was lost or added.
    fn elsewhere(&self, path: &[String]) -> Option<String> {
        let last = path.last()?;
        let mut leaves = Vec::new();
        leaves_of(&self.defaults, &mut Vec::new(), &mut leaves);
        leaves.extend(self.named.iter().cloned());
        let same = leaves.iter().filter(|leaf| leaf.last() == Some(last));
        let all: BTreeSet<String> = same.map(|leaf| leaf.join(".")).collect();
        (all.len() == 1).then(|| all.into_iter().next()).flatten()
    }
}
