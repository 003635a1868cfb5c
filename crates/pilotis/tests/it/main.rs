//! The offline commands as a user runs them, beside the real programs where there are any: every
//! profile's Helm (the default one asked, what the others said stored), helm-unittest, and the
//! readers of LCOV.

mod arguments;
mod check;
mod coverage;
mod create;
mod diff;
mod helms;
mod post_render;
mod suites;
mod values;

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command did.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder of its own, in which commands run.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let world = Self {
            folder: tempfile::tempdir().expect("a temporary directory"),
        };
        for (path, text) in files {
            world.write(path, text);
        }
        world
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("a file");
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).expect(path)
    }

    /// Runs our own program.
    pub(crate) fn pilotis(&self, words: &[&str]) -> Ran {
        self.run(Path::new(env!("CARGO_BIN_EXE_pilotis")), words)
    }

    /// Runs our own program in the place of a Helm.
    pub(crate) fn pilotis_as(&self, version: &str, words: &[&str]) -> Ran {
        let words = [&["helm"], words].concat();
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_pilotis")), &words);
        Self::ran(command.env("PILOTIS_HELM_COMPAT", version))
    }

    /// Runs a program in the folder, with nothing of this machine but where programs are.
    pub(crate) fn run(&self, program: &Path, words: &[&str]) -> Ran {
        Self::ran(&mut self.command(program, words))
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("HELM_PLUGINS", self.path("plugins"));
        command
    }

    fn ran(command: &mut Command) -> Ran {
        let output = command.output().expect("the program runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
}

/// A real program; a machine without it fails.
pub(crate) fn judge(name: &str) -> PathBuf {
    let home = std::env::var("HOME").expect("HOME is set");
    let path = Path::new(&home)
        .join(".cache/pilotis-judges/bin")
        .join(name);
    assert!(
        path.exists(),
        "the judge {} is missing: install it",
        path.display()
    );
    path
}

/// A real program that only some machines have.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(name));
    paths.find(|path| path.exists())
}
