//! Calls made at random: what Helm's own engine answers, and what ours does.
//!
//! The command answers four inputs a second, the engine as a library a thousand. A Go program that
//! uses it draws functions and arguments by their types, leaves out what is other each time, and
//! writes the answers as vectors are stored; a test of crate `chart` replays them. What differs
//! and matters goes into the lists in `inputs/`, which the real command answers.

use std::fs::File;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use super::vectors::Folder;
use crate::run::{run, step, target_dir};

/// The program, by file.
const SOURCES: [(&str, &str); 2] = [
    ("main.go", include_str!("oracle/main.go")),
    ("maker.go", include_str!("oracle/maker.go")),
];

/// Asks about `count` inputs of a seed, or of the time of day.
///
/// # Errors
/// When the program cannot be built, or we answer one otherwise.
pub fn compare(seed: Option<u64>, count: u64) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = seed.unwrap_or(now);
    let oracle = step("Helm's engine", || crate::judges::helm_oracle(&SOURCES))?;
    let folder = Folder::new()?;
    let answers = target_dir().join("helm-calls.json");
    let mut command = Command::new(oracle);
    command.arg(&folder.0);
    command.args([seed.to_string(), count.to_string()]);
    command.stdout(File::create(&answers)?);
    step(&format!("{count} inputs of seed {seed}"), || {
        run(&mut command)
    })?;
    crate::test::replayed(&answers)
}
