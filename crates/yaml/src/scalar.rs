//! Which style a string is written in, decided as libyaml and go-yaml decide it together.
//!
//! The order matters: Go asks for a style from the type the text would have, then libyaml changes
//! it to one that can carry the characters.

use crate::emit::Flavour;
use crate::resolve::resolve_plain;
use crate::{Resolved, Style};

/// What libyaml learns about a text before writing it.
#[derive(Debug, Default)]
struct Analysis {
    multiline: bool,
    plain_allowed: bool,
    single_quoted_allowed: bool,
    block_allowed: bool,
}

/// The style for a string value or key.
pub(crate) fn choose(text: &str, is_key: bool, flavour: Flavour) -> Style {
    let analysis = analyse(text, flavour);
    let mut style = wanted(text, flavour);
    if is_key && analysis.multiline {
        style = Style::DoubleQuoted;
    }
    if style == Style::Plain && (!analysis.plain_allowed || (text.is_empty() && is_key)) {
        style = Style::SingleQuoted;
    }
    if style == Style::SingleQuoted && !analysis.single_quoted_allowed {
        style = Style::DoubleQuoted;
    }
    if style == Style::Literal && (!analysis.block_allowed || is_key) {
        style = Style::DoubleQuoted;
    }
    style
}

fn wanted(text: &str, flavour: Flavour) -> Style {
    if text.contains('\n') {
        return Style::Literal;
    }
    let typed = match (flavour, resolve_plain(text)) {
        (_, Resolved::String) => is_base60(text),
        // The third version no longer reads `yes` as a boolean but still quotes it.
        _ => true,
    };
    if typed {
        Style::DoubleQuoted
    } else {
        Style::Plain
    }
}

/// Whether YAML 1.1 would have read the text as a number in base 60, such as `12:30:45`.
fn is_base60(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut groups = rest.split(':');
    let first = groups.next().unwrap_or_default();
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if !first.starts_with(|c: char| c.is_ascii_digit()) || !digits(first) {
        return false;
    }
    let groups: Vec<&str> = groups.collect();
    let Some((last, middle)) = groups.split_last() else {
        return false;
    };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    middle.iter().all(|group| is_sixty(group)) && is_sixty(last) && digits(fraction)
}

fn is_sixty(group: &str) -> bool {
    match group.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [ten, digit] => (b'0'..=b'5').contains(ten) && digit.is_ascii_digit(),
        _ => false,
    }
}

pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

pub(crate) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

#[derive(Default)]
struct Seen {
    indicators: bool,
    special: bool,
    tab: bool,
    edge_space: bool,
    trailing_space: bool,
    break_space: bool,
    space_break: bool,
}

fn analyse(text: &str, flavour: Flavour) -> Analysis {
    if text.is_empty() {
        return Analysis {
            plain_allowed: true,
            single_quoted_allowed: true,
            ..Analysis::default()
        };
    }
    let mut multiline = false;
    let seen = scan(text, flavour, &mut multiline);
    let broken = seen.space_break || seen.special;
    Analysis {
        multiline,
        plain_allowed: !(seen.indicators
            || seen.edge_space
            || seen.break_space
            || broken
            || seen.tab
            || multiline),
        single_quoted_allowed: !(seen.break_space || broken || seen.tab),
        block_allowed: !(seen.trailing_space || broken),
    }
}

fn scan(text: &str, flavour: Flavour, multiline: &mut bool) -> Seen {
    let mut seen = Seen {
        indicators: text.starts_with("---") || text.starts_with("..."),
        ..Seen::default()
    };
    let mut preceded_by_blank = true;
    let mut previous_space = false;
    let mut previous_break = false;
    let mut rest = text.chars().peekable();
    let mut first = true;
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let followed_by_blank = next.is_none_or(|n| n == ' ' || n == '\t');
        seen.indicators |= is_indicator(c, first, preceded_by_blank, followed_by_blank);
        match (c, flavour) {
            ('\t', Flavour::GoV3) => seen.tab = true,
            _ => seen.special |= !is_printable(c),
        }
        let last = next.is_none();
        if c == ' ' {
            seen.edge_space |= first || last;
            seen.trailing_space |= last;
            seen.break_space |= previous_break;
        } else if is_break(c) {
            *multiline = true;
            seen.edge_space |= first || last;
            seen.space_break |= previous_space;
        }
        previous_space = c == ' ';
        previous_break = is_break(c);
        preceded_by_blank = c == ' ' || c == '\t' || c == '\0' || is_break(c);
        first = false;
    }
    seen
}

/// Whether a character would mean something else in a plain scalar in block context.
fn is_indicator(c: char, first: bool, preceded_by_blank: bool, followed_by_blank: bool) -> bool {
    match c {
        '#' => first || preceded_by_blank,
        ':' => followed_by_blank,
        '?' | '-' => first && followed_by_blank,
        ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
        | '`' => first,
        _ => false,
    }
}
