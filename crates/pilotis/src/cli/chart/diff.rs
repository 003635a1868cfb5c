//! `chart diff`: what changes between two charts, two sets of values, or two commits of a chart.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use pilotis_chart::diff::{Difference, diff, fields_text, objects, unified_text};
use pilotis_chart::{Compat, Error, File, Input, Values, render};
use pilotis_chart_repository::absolute;
use pilotis_git::{CommitId, Repository, TreeLimits};

use super::flags::ValuesFlags;
use super::rendering::Rendering;
use super::{Outcome, locate, tell};

/// How differences are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Objects and the fields that differ.
    #[default]
    Fields,
    /// A unified diff of the objects.
    Unified,
    /// A JSON array.
    Json,
}

/// What to compare.
#[derive(Debug, Args)]
pub struct Diff {
    /// Folder or archive of the chart before
    #[arg(value_name = "OLD")]
    pub old: String,
    /// Folder or archive of the chart after; none means the same
    #[arg(value_name = "NEW", conflicts_with = "git_ref")]
    pub new: Option<String>,
    /// Commits to compare, as `OLD..NEW`; `OLD` alone means up to the files as they are
    #[arg(long = "ref", value_name = "OLD[..NEW]", id = "git_ref")]
    pub git_ref: Option<String>,
    /// Values file of the side before only
    #[arg(long, value_name = "FILE")]
    pub old_values: Vec<String>,
    /// Values file of the side after only
    #[arg(long, value_name = "FILE")]
    pub new_values: Vec<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// Exit with 1 when something differs
    #[arg(long)]
    pub exit_code: bool,
    /// How to render both sides. Without `--seed` or `--now`, the seed is 0.
    #[command(flatten)]
    pub rendering: Rendering,
}

/// Runs `chart diff`.
///
/// # Errors
/// Never today: what is wrong is an outcome.
pub fn run(arguments: &Diff) -> Result<Outcome> {
    let differences = match compare(arguments) {
        Ok(differences) => differences,
        Err(error) => return tell::outcome(Err(error), &arguments.rendering.common),
    };
    tell::data(&match arguments.output {
        Output::Fields => fields_text(&differences),
        Output::Unified => unified_text(&differences),
        Output::Json => {
            let text = serde_json::to_string_pretty(&differences).unwrap_or_default();
            format!("{text}\n")
        }
    });
    Ok(match arguments.exit_code && !differences.is_empty() {
        true => Outcome::Findings,
        false => Outcome::Done,
    })
}

/// Where one side comes from.
enum Side {
    Disk,
    Commit(Box<(Work, CommitId)>),
}

/// A repository and where its files lie.
struct Work {
    repository: Repository,
    root: PathBuf,
}

fn compare(arguments: &Diff) -> Result<Vec<Difference>, Error> {
    let (before, after) = match &arguments.git_ref {
        None => (Side::Disk, Side::Disk),
        Some(words) => {
            let (old, new) = words.split_once("..").unwrap_or((words, ""));
            let side = |revision: &str| Side::of(&arguments.old, revision);
            let before = if old.is_empty() { "HEAD" } else { old };
            let after = match new {
                "" => Side::Disk,
                new => side(new)?,
            };
            (side(before)?, after)
        }
    };
    let new = arguments.new.as_ref().unwrap_or(&arguments.old);
    let old = arguments.objects(&before, &arguments.old, &arguments.old_values);
    let old = old.map_err(|error| error.about("before"))?;
    let new = arguments.objects(&after, new, &arguments.new_values);
    Ok(diff(&old, &new.map_err(|error| error.about("after"))?))
}

impl Diff {
    fn objects(
        &self,
        side: &Side,
        chart: &str,
        more: &[String],
    ) -> Result<Vec<pilotis_chart::diff::Object>, Error> {
        let mut rendering = self.rendering.clone();
        let machine = &mut rendering.machine;
        if machine.seed.is_none() && machine.now.is_none() {
            machine.seed = Some(0);
        }
        let ready = rendering.ready()?;
        let compat = &ready.options.compat;
        let chart = super::locate::load(side.files(chart)?, compat)?;
        let mut flags = rendering.values.clone();
        flags.files.extend(more.iter().cloned());
        let values = Values::merge_for(&side.inputs(flags, compat)?, compat)?;
        let run = (&ready.options, &ready.machine as _);
        let rendered = render(&chart, &values, &ready.release, &ready.capabilities, run)?;
        Ok(objects(&rendered))
    }
}

impl Side {
    fn of(chart: &str, revision: &str) -> Result<Self, Error> {
        let work = Work::around(Path::new(chart))?;
        let commit = work.repository.resolve(revision).map_err(|error| {
            let text = format!("cannot read {revision} of {}: {error}", work.root.display());
            Error::new(text)
        })?;
        Ok(Self::Commit(Box::new((work, commit))))
    }

    fn files(&self, chart: &str) -> Result<Vec<File>, Error> {
        let Self::Commit(commit) = self else {
            return locate::files(&locate::path(chart)?);
        };
        let (work, id) = &**commit;
        let inside = work.inside(Path::new(chart))?;
        let read = work.repository.files(*id, &inside, TreeLimits::default());
        let read = read.map_err(|error| Error::new(format!("cannot read {chart}: {error}")))?;
        let prefix = format!("{inside}/");
        let below = |path: String| match inside.is_empty() {
            true => path,
            false => path
                .strip_prefix(&prefix)
                .map(str::to_owned)
                .unwrap_or(path),
        };
        let files = read
            .into_iter()
            .map(|file| File::new(below(file.path), file.bytes));
        Ok(files.collect())
    }

    /// The values of the flags; files of the repository are those of the commit.
    fn inputs(&self, mut flags: ValuesFlags, compat: &Compat) -> Result<Vec<Input>, Error> {
        let Self::Commit(commit) = self else {
            return flags.inputs(compat);
        };
        let (work, id) = &**commit;
        let names = std::mem::take(&mut flags.files);
        let mut inputs = Vec::new();
        for name in names.iter().flat_map(|list| list.split(',')) {
            let Ok(inside) = work.inside(Path::new(name)) else {
                flags.files.push(name.to_owned());
                continue;
            };
            let limit = pilotis_chart::FILE_BYTES_MAX as u64;
            let read = work.repository.file(*id, &inside, limit);
            let bytes = read
                .map_err(|error| Error::new(format!("cannot read {name}: {error}")))?
                .ok_or_else(|| Error::new(format!("{} has no file {inside}", id.short())))?;
            inputs.push(Input::File(name.to_owned(), bytes.bytes.into()));
        }
        inputs.extend(flags.inputs(compat)?);
        Ok(inputs)
    }
}

impl Work {
    /// The repository a path lies in.
    fn around(path: &Path) -> Result<Self, Error> {
        let absolute = normal(path);
        let mut folders = absolute.ancestors();
        let root = folders.find(|folder| folder.join(".git").exists());
        let Some(root) = root else {
            let text = format!("{} lies in no Git repository", path.display());
            return Err(Error::new(text));
        };
        let repository = Repository::open(&git_folder(root)).map_err(|error| {
            Error::new(format!(
                "cannot open the repository {}: {error}",
                root.display()
            ))
        })?;
        Ok(Self {
            repository,
            root: root.to_owned(),
        })
    }

    /// A path as the repository knows it.
    fn inside(&self, path: &Path) -> Result<String, Error> {
        let absolute = normal(path);
        let inside = absolute.strip_prefix(&self.root).map_err(|_| {
            let text = format!("{} lies outside of {}", path.display(), self.root.display());
            Error::new(text)
        })?;
        Ok(inside.to_string_lossy().into_owned())
    }
}

/// An absolute path; links are followed where it exists, since a commit may hold what no longer is.
fn normal(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| absolute(path))
}

/// The folder Git keeps its data in: another one for a further work tree.
fn git_folder(root: &Path) -> PathBuf {
    let own = root.join(".git");
    let text = std::fs::read_to_string(&own).unwrap_or_default();
    let Some(named) = text.trim().strip_prefix("gitdir: ") else {
        return own;
    };
    let folder = root.join(named);
    // Branches of a further work tree are those of the first.
    let common = std::fs::read_to_string(folder.join("commondir"));
    common.map_or(folder.clone(), |common| folder.join(common.trim()))
}
