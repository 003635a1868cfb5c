//! From a word that a variable made wrong to the `ARG` or `ENV` that gave it.

use std::sync::LazyLock;

use pilotis_dockerfile::{Dockerfile, Instruction, Kind, Span};
use pilotis_report::Position;
use regex::Regex;

/// Longest chain of variables followed.
const CHAIN_MAX: usize = 8;

static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)").expect("a constant, compiled by a test")
});

/// A word and the instruction it stands in.
#[derive(Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) stage: usize,
    pub(super) span: Span,
    pub(super) text: &'a str,
}

/// The instruction as written.
pub(super) fn written(file: &Dockerfile, span: Span) -> Option<&Instruction> {
    file.instructions().find(|i| i.span == span)
}

/// Where the default that is `wrong` was given; none when the word itself says it.
pub(super) fn blamed(
    file: &Dockerfile,
    word: Word<'_>,
    wrong: &dyn Fn(&str) -> bool,
) -> Option<Position> {
    follow(file, word, wrong, 0)
}

fn follow(
    file: &Dockerfile,
    word: Word<'_>,
    wrong: &dyn Fn(&str) -> bool,
    depth: usize,
) -> Option<Position> {
    if depth > CHAIN_MAX {
        return None;
    }
    let names: Vec<&str> = VARIABLE
        .captures_iter(word.text)
        .filter_map(|found| Some(found.get(1)?.as_str()))
        .collect();
    names.into_iter().rev().find_map(|name| {
        let (span, text) = definition(file, word, name)?;
        let inner = Word { span, text, ..word };
        let deeper = follow(file, inner, wrong, depth + 1);
        let bare = text.trim_matches(['"', '\'']);
        deeper.or_else(|| wrong(bare).then(|| file.position(span)))
    })
}

/// The nearest default of a variable before a word: of its stage, then of the whole file.
fn definition<'f>(file: &'f Dockerfile, word: Word<'_>, name: &str) -> Option<(Span, &'f str)> {
    let stage = file.stages.get(word.stage)?;
    let before =
        |i: &&Instruction| (i.span.line, i.span.column) < (word.span.line, word.span.column);
    let inside = stage.iter().skip(1).filter(before).rev();
    let global = file.globals.iter().filter(before).rev();
    inside.chain(global).find_map(|instruction| {
        let default = match &instruction.kind {
            Kind::Arg(pairs) => pairs.iter().rev().find(|(n, _)| n == name)?.1.as_deref(),
            Kind::Env(pairs) => Some(pairs.iter().rev().find(|(n, _)| n == name)?.1.as_str()),
            _ => None,
        };
        default.map(|default| (instruction.span, default))
    })
}
