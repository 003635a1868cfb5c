//! `chart create`: a new chart in a new folder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use pilotis_chart::{Chart, Error, File, from_starter, pack, scaffold};
use pilotis_chart_repository::absolute;

use super::flags::{Common, go_io};
use super::{Outcome, locate, network, tell};

/// What to make.
#[derive(Debug, Args)]
pub struct Create {
    /// Folder to make; its last part is the chart's name
    #[arg(value_name = "NAME")]
    pub words: Vec<String>,
    /// Chart to start from: an absolute path, or a folder of Helm's starters
    #[arg(short = 'p', long, value_name = "CHART")]
    pub starter: Option<PathBuf>,
    /// Flags of every command.
    #[command(flatten)]
    pub common: Common,
}

/// Runs `chart create`.
///
/// # Errors
/// Never today: what is wrong is an outcome.
pub fn run(arguments: &Create) -> Result<Outcome> {
    let counted = network::count(&arguments.words, 1..=1, "helm create NAME [flags]");
    let made = counted.and_then(|()| {
        let name = &arguments.words[0];
        tell::data(&format!("Creating {name}\n"));
        make(arguments, Path::new(name))
    });
    tell::outcome(made.map(|()| String::new()), &arguments.common)
}

fn make(arguments: &Create, path: &Path) -> Result<(), Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match &arguments.starter {
        None => {
            let files = scaffold(&name)?;
            let parent = existing(parent)?;
            write_all(&parent.join(&*name), &files, true)
        }
        Some(starter) => {
            let starter = starters().join(starter);
            let about =
                |error: Error| Error::new(format!("could not load {}: {error}", starter.display()));
            let read = match starter.metadata() {
                Ok(_) => locate::files(&starter),
                Err(error) => {
                    let shown = starter.display();
                    Err(Error::new(format!("stat {shown}: {}", go_io(&error))))
                }
            };
            let chart = read
                .and_then(|files| Chart::load_for(files, &arguments.common.profile()?))
                .map_err(about)?;
            let mut files = from_starter(&name, &chart)?;
            for child in &chart.dependencies {
                let about = &child.metadata;
                let path = format!("charts/{}-{}.tgz", about.name, about.version);
                files.push(File::new(path, pack(child, 0)?));
            }
            write_all(&parent.join(&*name), &files, false)
        }
    }
}

/// The folder a chart is made in, which has to be there.
fn existing(parent: &Path) -> Result<PathBuf, Error> {
    let absolute = absolute(parent);
    let shown = absolute.display();
    match absolute.metadata() {
        Err(error) => Err(Error::new(format!("stat {shown}: {}", go_io(&error)))),
        Ok(about) if about.is_dir() => Ok(absolute),
        Ok(_) => Err(Error::new(format!("no such directory {shown}"))),
    }
}

fn write_all(folder: &Path, files: &[File], warns: bool) -> Result<(), Error> {
    let shown = folder.display();
    if folder.exists() && !folder.is_dir() {
        let text = format!("file {shown} already exists and is not a directory");
        return Err(Error::new(text));
    }
    for file in files {
        let target = folder.join(&file.path);
        let failed = |error: std::io::Error| {
            Error::new(format!("open {}: {}", target.display(), go_io(&error)))
        };
        if warns && target.exists() {
            let text = format!("WARNING: File {target:?} already exists. Overwriting.\n");
            tell::data(&text);
        }
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        std::fs::write(&target, file.data()).map_err(failed)?;
    }
    if warns {
        let charts = folder.join("charts");
        std::fs::create_dir_all(&charts).map_err(|error| Error::new(go_io(&error)))?;
    }
    Ok(())
}

/// Where Helm keeps starters.
fn starters() -> PathBuf {
    super::post_render::data_folder().join("starters")
}
