//! What chart commands say: data on standard output, Helm's words and our explanation on standard
//! error.

use std::io::{BufWriter, Write};

use anyhow::Result;
use pilotis_chart::{Error, Printout};
use pilotis_report::render;

use super::Outcome;
use super::flags::{Common, Errors};

/// Bytes written at once.
const PRINTED_BYTES: usize = 64 * 1024;

/// Writes data; a reader that went away is no failure.
pub fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// The same of a text in pieces.
fn printout(text: &Printout) {
    let mut out = BufWriter::with_capacity(PRINTED_BYTES, std::io::stdout().lock());
    for piece in text.pieces() {
        if out.write_all(piece.as_bytes()).is_err() {
            return;
        }
    }
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
    printed(result.map(Printout::from), common)
}

/// The same of what is printed in pieces.
pub fn printed(result: std::result::Result<Printout, Error>, common: &Common) -> Result<Outcome> {
    match result {
        Ok(text) => {
            printout(&text);
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
    let _ = writeln!(std::io::stderr().lock(), "Error: {}", error.printed());
    Ok(match common.errors {
        Errors::Explained => {
            let hint = remote_hint(&error.message).unwrap_or(REMOTE_HINT);
            warnings(&[format!("hint: {hint}")]);
            Outcome::Usage
        }
        Errors::Helm => Outcome::Findings,
    })
}

/// What to do when nothing better is known about something elsewhere.
const REMOTE_HINT: &str = "`--help` shows what the command takes, `pilotis chart env` where its \
                           files are";

/// Words of errors about what is elsewhere, and what to do about them; the first that is found
/// counts.
const REMOTE_HINTS: [(&[&str], &str); 6] = [
    (
        &["repo_name/path_to_chart"],
        "name a folder with a Chart.yaml or an archive that is there, or `repository/chart` of a \
         repository that `pilotis chart repo list` shows",
    ),
    (
        &["certificate", "TLS config"],
        "`--ca-file FILE` trusts an authority, `--insecure-skip-tls-verify` any certificate",
    ),
    (
        &["status code 401", "status code 403", ": 401 ", ": 403 "],
        "`pilotis chart registry login HOST` keeps a registry's password, `repo add --username` a \
         repository's",
    ),
    (
        &["Get \"", "Head \"", "HTTP response to HTTPS client"],
        "is the address right, and does this machine reach it? `--plain-http` speaks to a registry \
         without TLS",
    ),
    (
        &["provenance", "openpgp", "keyring", "private key"],
        "a statement is beside its archive and ends in `.prov`; `--keyring FILE` names keys that \
         `gpg --export` or `gpg --export-secret-keys` wrote",
    ),
    (
        &["repo ", "repository", "repositories", "index"],
        "`pilotis chart repo add NAME URL` gives a repository a name, `pilotis chart repo update` \
         fetches its index again",
    ),
];

fn remote_hint(message: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let found = REMOTE_HINTS.iter().find(|(words, _)| says(words));
    found.map(|(_, hint)| *hint)
}

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
        let hint = remote_hint(&error.message)
            .filter(|_| !placed)
            .unwrap_or(HINT);
        return format!("{}hint: {hint}\n", place.unwrap_or_default());
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
