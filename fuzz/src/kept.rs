//! What earlier runs found worth keeping: the fewest inputs that reach all they reached.
//!
//! A run that begins with them goes on where those ended, on any machine. `cargo xtask fuzz keep`
//! writes them: a list of texts for each target, every byte one character of U+0000 to U+00FF.

use std::fs;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};

/// Longer inputs are not kept: what they reach, shorter ones reach too with a little luck.
const INPUT_BYTES_MAX: u64 = 2048;

fn file(target: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kept");
    folder.join(format!("{target}.json"))
}

/// The inputs kept for a target; none when none ever were.
pub fn read(target: &str) -> Result<Vec<Vec<u8>>> {
    let file = file(target);
    if !file.exists() {
        return Ok(Vec::new());
    }
    let texts: Vec<String> = serde_json::from_slice(&fs::read(file)?)?;
    let bytes = |text: &String| text.chars().map(u8::try_from).collect();
    let inputs: std::result::Result<Vec<Vec<u8>>, _> = texts.iter().map(bytes).collect();
    inputs.map_err(Error::other)
}

/// Keeps the files of a folder, and nothing else, for a target.
pub fn write(target: &str, folder: &Path) -> Result<()> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.metadata()?.len() <= INPUT_BYTES_MAX {
            let bytes = fs::read(entry.path())?;
            texts.push(bytes.into_iter().map(char::from).collect::<String>());
        }
    }
    texts.sort_unstable();
    let lines: serde_json::Result<Vec<String>> = texts.iter().map(serde_json::to_string).collect();
    let file = file(target);
    fs::create_dir_all(file.parent().unwrap_or(folder))?;
    fs::write(file, format!("[\n{}\n]\n", lines?.join(",\n")))
}
