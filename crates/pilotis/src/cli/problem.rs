//! What a person sees when a command cannot go on: one error, one hint, one exit code.
//!
//! Commands return `anyhow` errors; a [`Problem`] among their causes says what to do about it and
//! whether it is the input that is wrong. Without one, the error is a failure of ours.

use std::fmt;

use anyhow::{Error, Result};
use clap::error::ErrorKind;

use super::Outcome;

/// Why a command stops, and what to do about it.
#[derive(Debug)]
pub struct Problem {
    message: String,
    hint: String,
    outcome: Outcome,
}

impl Problem {
    /// The input cannot be used: exit code 2.
    pub fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
            outcome: Outcome::Usage,
        }
    }

    /// Something only a person can mend: exit code 3.
    pub fn failure(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Failure,
            ..Self::wrong(message, hint)
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Puts a [`Problem`] in front of a cause.
pub trait Explain<T> {
    /// Says what the failure means.
    ///
    /// # Errors
    /// The problem, with the failure as its cause.
    fn explain(self, problem: impl FnOnce() -> Problem) -> Result<T>;
}

impl<T, E: Into<Error>> Explain<T> for Result<T, E> {
    fn explain(self, problem: impl FnOnce() -> Problem) -> Result<T> {
        self.map_err(|error| error.into().context(problem()))
    }
}

/// The lines of an error, and the exit code it means.
pub fn describe(error: &Error) -> (String, Outcome) {
    let mut text = format!("error: {}\n", chain(error));
    let Some(problem) = error.downcast_ref::<Problem>() else {
        return (text, Outcome::Failure);
    };
    text.push_str(&format!("hint: {}\n", problem.hint));
    (text, problem.outcome)
}

/// The error and its causes in one line. Of a cause that draws a picture, the words; a cause that
/// only repeats the one before is left out.
fn chain(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let words = match cause.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => status.message.clone(),
            _ => cause.to_string(),
        };
        let line = words.lines().next().unwrap_or_default();
        let line = line.trim_start_matches("error: ").trim();
        let beginning: String = line.chars().take(40).collect();
        if line.is_empty() || text.contains(&beginning) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(line);
    }
    text
}

/// The lines of an error of the command line itself: clap's words under our prefixes.
pub fn of_arguments(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return error.render().to_string();
    }
    let rendered = error.render().to_string();
    let (mut words, mut hints, mut usage) = (Vec::new(), Vec::new(), None);
    for line in rendered.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if let Some(tip) = line.strip_prefix("tip: ") {
            hints.push(tip.to_owned());
        } else if let Some(text) = line.strip_prefix("Usage: ") {
            usage = Some(text.to_owned());
        } else if !line.starts_with("For more information") {
            words.push(line.trim_start_matches("error: ").to_owned());
        }
    }
    if hints.is_empty() {
        hints.extend(usage.map(|usage| format!("usage: {usage}")));
    }
    let hint = hints.first().map_or("run `pilotis --help`", String::as_str);
    format!("error: {}\nhint: {hint}\n", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_decides_the_hint_and_the_code_wherever_it_stands() {
        let cause = std::io::Error::other("line 3: bad");
        let error = Err::<(), _>(cause)
            .explain(|| Problem::wrong("cannot use c.yaml", "see the reference"))
            .unwrap_err()
            .context("cannot start");
        let (text, outcome) = describe(&error);
        assert_eq!(
            text,
            "error: cannot start: cannot use c.yaml: line 3: bad\nhint: see the reference\n"
        );
        assert_eq!(outcome, Outcome::Usage);
        let (text, outcome) = describe(&anyhow::anyhow!("broken"));
        assert_eq!(
            (text.as_str(), outcome),
            ("error: broken\n", Outcome::Failure)
        );
    }
}
