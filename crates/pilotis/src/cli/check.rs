//! `pilotis check`: the verdict on a source tree, offline, the same as the chain's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use pilotis_check::{FILE_BYTES_MAX, Language, Options, Tree};
use pilotis_report::Level;

use super::{Form, Outcome};

/// Most files read.
const FILES_MAX: usize = 50_000;
/// Deepest folder entered.
const DEPTH_MAX: usize = 64;

/// What to judge and how.
#[derive(Debug, Clone, Args)]
pub struct Check {
    /// Folder or file to judge
    #[arg(default_value = ".")]
    pub path: PathBuf,
    /// Judge this environment alone
    #[arg(short, long, value_name = "ENV")]
    pub environment: Option<String>,
    /// Judge as this environment would, whatever its name
    #[arg(long = "as", value_name = "ENV")]
    pub judge_as: Option<String>,
    /// Lowest level that makes the command fail
    #[arg(long, value_enum, default_value_t = FailOn::P)]
    pub fail_on: FailOn,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Human)]
    pub output: Form,
    /// Language of the findings
    #[arg(long, value_enum, default_value_t = Tongue::Fr)]
    pub lang: Tongue,
}

/// When findings make the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// A primordial requirement is breached.
    #[value(name = "P")]
    P,
    /// Any requirement is breached.
    #[value(name = "I")]
    I,
    /// Never.
    #[value(name = "never")]
    Never,
}

/// Language of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Tongue {
    /// French.
    Fr,
    /// English.
    En,
}

/// Runs the command.
///
/// # Errors
/// Only for failures of our own; unreadable input is a usage error said on standard error.
pub fn run(arguments: &Check) -> Result<Outcome> {
    let tree = match read(&arguments.path) {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("error: {error:#}");
            eprintln!("hint: pilotis check takes a folder with sources, a Dockerfile or a chart");
            return Ok(Outcome::Usage);
        }
    };
    let language = match arguments.lang {
        Tongue::Fr => Language::French,
        Tongue::En => Language::English,
    };
    let options = Options {
        environment: arguments.environment.clone(),
        judge_as: arguments.judge_as.clone(),
        language,
        ..Options::default()
    };
    let report = pilotis_check::run(&tree, &options).context("the rules cannot be loaded")?;
    match arguments.output {
        Form::Human => print!("{}", pilotis_check::human(&report, language)),
        Form::Json => {
            println!(
                "{}",
                serde_json::to_string_pretty(&pilotis_check::json(&report))?
            );
        }
    }
    let failed = match arguments.fail_on {
        FailOn::P => report.fails(Level::P),
        FailOn::I => report.fails(Level::I),
        FailOn::Never => false,
    };
    Ok(if failed {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn read(path: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let kind =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if kind.is_file() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        tree.insert(name, std::fs::read(path)?);
        return Ok(tree);
    }
    walk(path, path, 0, &mut tree)?;
    Ok(tree)
}

/// Reads regular files only: a link may leave the tree or loop, and Git keeps it as text.
fn walk(root: &Path, folder: &Path, depth: usize, tree: &mut Tree) -> Result<()> {
    if depth > DEPTH_MAX {
        return Ok(());
    }
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        let name = entry.file_name();
        if kind.is_dir() && name != ".git" && name != "target" && name != "node_modules" {
            walk(root, &path, depth + 1, tree)?;
        } else if kind.is_file() && tree.len() < FILES_MAX {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            tree.insert(relative.into_owned(), contents(&path)?);
        }
    }
    Ok(())
}

/// The file's bytes, at most one more than the engine reads, so that it sees the file is too large.
fn contents(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}
