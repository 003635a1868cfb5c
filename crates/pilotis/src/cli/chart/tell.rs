//! What chart commands say: data on standard output, Helm's words and our explanation on standard
//! error.

use std::io::Write;

use anyhow::Result;
use pilotis_chart::Error;
use pilotis_report::render;

use super::Outcome;
use super::flags::{Common, Errors};

/// Writes data; a reader that went away is no failure.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Warnings, each as Helm logs it.
pub fn warnings(lines: &[String]) {
    let mut out = std::io::stderr().lock();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
}

/// Prints what a command made, or why it could not.
pub fn outcome(result: std::result::Result<String, Error>, common: &Common) -> Result<Outcome> {
    match result {
        Ok(text) => {
            data(&text);
            Ok(Outcome::Done)
        }
        Err(error) => {
            failure(&error, common);
            // Whoever asks for Helm's words asks for its exit code too; in ours it is wrong input.
            Ok(match common.errors {
                Errors::Explained => Outcome::Usage,
                Errors::Helm => Outcome::Findings,
            })
        }
    }
}

/// The same of commands that speak to others: the machine's state is to blame, not a chart.
pub fn remote_outcome(
    result: std::result::Result<String, Error>,
    common: &Common,
) -> Result<Outcome> {
    let Err(error) = &result else {
        return outcome(result, common);
    };
    data_error(error);
    Ok(match common.errors {
        Errors::Explained => {
            warnings(&[format!("hint: {REMOTE_HINT}")]);
            Outcome::Usage
        }
        Errors::Helm => Outcome::Findings,
    })
}

fn data_error(error: &Error) {
    let _ = writeln!(std::io::stderr().lock(), "Error: {}", error.printed());
}

/// What to do when something elsewhere is not as it should be.
const REMOTE_HINT: &str = "`pilotis chart repo list` shows the repositories that have a name, \
                           `pilotis chart env` where their files are; `--help` shows the flags \
                           for passwords and certificates";

/// An error in Helm's words, then in ours unless only Helm's are wanted.
pub fn failure(error: &Error, common: &Common) {
    let mut text = format!("Error: {}\n", error.printed());
    if common.errors == Errors::Explained {
        text.push_str(&explained(error));
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// What to do about an error that says nothing of it itself.
const HINT: &str = "name a folder with a Chart.yaml or a packaged chart, and files that are there; \
                    `pilotis chart lint` shows what is wrong in a chart";

/// Our own words about an error: where, why and what to do next.
fn explained(error: &Error) -> String {
    let Some(explanation) = &error.explanation else {
        let placed = error.position.is_some();
        let place = placed.then(|| format!("\n{}", render(&error.diagnostic(), None)));
        return format!("{}hint: {HINT}\n", place.unwrap_or_default());
    };
    let mut text = format!("\nerror: {}\n", explanation.cause);
    if let Some(position) = &error.position {
        text.push_str(&format!("  --> {position}\n"));
        if let Some(line) = &explanation.line {
            let number = position.line.to_string();
            let margin = " ".repeat(number.len());
            let before = " ".repeat(position.column.saturating_sub(1) as usize);
            let line = line.replace('\t', " ");
            text.push_str(&format!(
                "{margin} |\n{number} | {line}\n{margin} | {before}^\n"
            ));
        }
    }
    for level in &explanation.stack {
        text.push_str(&format!("  called from {level}\n"));
    }
    for (note, place) in &explanation.notes {
        match place {
            Some(place) => text.push_str(&format!("note: {note} ({place})\n")),
            None => text.push_str(&format!("note: {note}\n")),
        }
    }
    let hint = explanation.hint.as_deref().unwrap_or(HINT);
    text.push_str(&format!("hint: {hint}\n"));
    text
}
