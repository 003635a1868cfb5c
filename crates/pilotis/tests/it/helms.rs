//! What the Helm of each profile says of a command line.
//!
//! The default one is asked every time. Each of the others takes minutes to build, so what they
//! said is stored below `answers`; `cargo xtask helm vectors` asks them again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Ran, World, judge};

/// The default profile.
const ASKED: &str = "4.2.4";
/// Set where every Helm is asked and what it says is stored.
const RECORDS: &str = "PILOTIS_RECORDS_HELM";
/// Stands for the folder a command ran in.
const FOLDER: &str = "$FOLDER";

/// One Helm, for one test.
pub(crate) struct Helm {
    pub(crate) version: &'static str,
    answers: Answers,
}

enum Answers {
    Asked,
    Stored(BTreeMap<String, Ran>),
    Recorded(PathBuf, BTreeMap<String, Ran>),
}

impl Helm {
    /// The Helm of a version; the test names where its answers are stored.
    pub(crate) fn new(version: &'static str, test: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/answers");
        let path = folder.join(format!("{test}-{version}.json"));
        let answers = if version == ASKED {
            Answers::Asked
        } else if std::env::var_os(RECORDS).is_some() {
            Answers::Recorded(path, BTreeMap::new())
        } else {
            let text = std::fs::read(&path).expect("answers are stored");
            Answers::Stored(serde_json::from_slice(&text).expect("answers"))
        };
        Self { version, answers }
    }

    /// What it does with a command line in a folder.
    pub(crate) fn run(&mut self, world: &World, words: &[&str]) -> Ran {
        let program = format!("helm-v{}", self.version);
        let folder = world.path("").display().to_string();
        let folder = folder.trim_end_matches('/');
        match &mut self.answers {
            Answers::Asked => world.run(&judge(&program), words),
            Answers::Stored(answers) => {
                let words = words.join(" ");
                let answer = answers.get(&words).map(|ran| ran.replaced(FOLDER, folder));
                answer.expect(&words)
            }
            Answers::Recorded(_, answers) => {
                let ran = world.run(&judge(&program), words);
                answers.insert(words.join(" "), ran.replaced(folder, FOLDER));
                ran
            }
        }
    }
}

impl Ran {
    fn replaced(&self, from: &str, to: &str) -> Self {
        Self {
            code: self.code,
            out: self.out.replace(from, to),
            err: self.err.replace(from, to),
        }
    }
}

impl Drop for Helm {
    fn drop(&mut self) {
        if let Answers::Recorded(path, answers) = &self.answers {
            let text = serde_json::to_string_pretty(answers).expect("JSON") + "\n";
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("answers are stored");
        }
    }
}
