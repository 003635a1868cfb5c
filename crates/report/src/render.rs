//! Diagnostics as text for a terminal, with the source line under them when it is at hand.
//!
//! The form is `error: message`, `  --> file:line:column`, an excerpt, `hint: …`; understandable
//! without colour. Excerpts are cut so that a minified line cannot flood the screen.

use std::fmt::Write;

use crate::{Diagnostic, Severity};

/// Longest excerpt shown, in characters.
const EXCERPT_CHARS_MAX: usize = 160;

/// The text of one diagnostic; `source` is the content of the file its position names.
pub fn render(diagnostic: &Diagnostic, source: Option<&str>) -> String {
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut out = format!("{word}: {}\n", diagnostic.message);
    if let Some(position) = &diagnostic.position {
        let _ = writeln!(out, "  --> {position}");
        let line = source.and_then(|text| text.lines().nth(position.line.max(1) as usize - 1));
        if let Some(line) = line {
            excerpt(&mut out, position.line, position.column, line);
        }
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = writeln!(out, "hint: {hint}");
    }
    out
}

/// The texts of several diagnostics, a blank line between them.
pub fn render_all<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> String {
    diagnostics
        .into_iter()
        .map(|d| render(d, None))
        .collect::<Vec<_>>()
        .join("\n")
}

fn excerpt(out: &mut String, number: u32, column: u32, line: &str) {
    let shown: String = line.chars().take(EXCERPT_CHARS_MAX).collect();
    let margin = number.to_string();
    let blank = " ".repeat(margin.len());
    let _ = writeln!(out, "{blank} |\n{margin} | {shown}");
    let column = column.max(1) as usize;
    if column <= EXCERPT_CHARS_MAX {
        let _ = writeln!(out, "{blank} | {}^", " ".repeat(column - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    #[test]
    fn a_diagnostic_shows_its_line_and_its_hint() {
        let position = Position {
            file: "values.yaml".into(),
            line: 2,
            column: 3,
        };
        let diagnostic = Diagnostic::error("unknown key `imge`")
            .at(position)
            .hint("did you mean `image`?");
        let text = render(&diagnostic, Some("a: 1\n  imge: x\n"));
        assert_eq!(
            text,
            "error: unknown key `imge`\n  --> values.yaml:2:3\n  |\n2 |   imge: x\n  |   ^\n\
             hint: did you mean `image`?\n"
        );
    }
}
