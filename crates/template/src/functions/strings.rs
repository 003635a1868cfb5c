//! Functions on text.

use super::words;
use super::{Args, Function, Outcome, Type, cast, fixed, variadic};
use crate::error::Error;
use crate::exec::Machine;
use crate::literal::quote;
use crate::text::Text;
use crate::value::{ListKind, Map, MapKind, Value};

pub(super) const TABLE: &[Function] = &[
    fixed("hello", &[], |_, _| Ok(Value::text("Hello!"))),
    fixed("abbrev", &[Type::Int, Type::String], |_, a| {
        Ok(Value::text(abbreviate(&a.text(1), 0, a.int(0))))
    }),
    fixed(
        "abbrevboth",
        &[Type::Int, Type::Int, Type::String],
        |_, a| Ok(Value::text(abbreviate_both(a))),
    ),
    fixed("trunc", &[Type::Int, Type::String], |_, a| {
        Ok(Value::String(trunc(a)))
    }),
    fixed("trim", &[Type::String], |_, a| {
        Ok(Value::String(trim_space(&a.text(0))))
    }),
    fixed("upper", &[Type::String], |_, a| {
        Ok(Value::text(mapped(&a.string(0), words::upper)))
    }),
    fixed("lower", &[Type::String], |_, a| {
        Ok(Value::text(mapped(&a.string(0), words::lower)))
    }),
    fixed("title", &[Type::String], |_, a| {
        Ok(Value::text(title(&a.string(0))))
    }),
    fixed("untitle", &[Type::String], |_, a| {
        Ok(Value::text(untitle(&a.string(0))))
    }),
    fixed("substr", &[Type::Int, Type::Int, Type::String], |_, a| {
        substring(a)
    }),
    fixed("repeat", &[Type::Int, Type::String], repeat),
    fixed("trimall", &[Type::String, Type::String], |_, a| {
        Ok(trim_all(a))
    }),
    fixed("trimAll", &[Type::String, Type::String], |_, a| {
        Ok(trim_all(a))
    }),
    fixed("trimSuffix", &[Type::String, Type::String], |_, a| {
        Ok(trim_suffix(a))
    }),
    fixed("trimPrefix", &[Type::String, Type::String], |_, a| {
        Ok(trim_prefix(a))
    }),
    fixed("nospace", &[Type::String], |_, a| {
        let latin = latin(&a.text(0));
        // Only where a blank is deleted are bytes taken for characters.
        Ok(match latin.contains(char::is_whitespace) {
            true => Value::text(latin.replace(char::is_whitespace, "")),
            false => Value::String(a.text(0)),
        })
    }),
    fixed("initials", &[Type::String], |_, a| {
        Ok(Value::text(initials(&latin(&a.text(0)))))
    }),
    fixed("swapcase", &[Type::String], |_, a| {
        Ok(Value::text(words::swapped(&a.string(0))))
    }),
    fixed("shuffle", &[Type::String], shuffle),
    fixed("snakecase", &[Type::String], |_, a| {
        Ok(Value::text(words::joined(&a.string(0), '_')))
    }),
    fixed("kebabcase", &[Type::String], |_, a| {
        Ok(Value::text(words::joined(&a.string(0), '-')))
    }),
    fixed("camelcase", &[Type::String], |_, a| {
        Ok(Value::text(words::pascal(&a.string(0))))
    }),
    fixed("wrap", &[Type::Int, Type::String], |_, a| {
        let text = a.text(1);
        Ok(Value::text(wrap(text.bytes(), a.int(0), b"\n", false)))
    }),
    fixed(
        "wrapWith",
        &[Type::Int, Type::String, Type::String],
        |_, a| {
            let (separator, text) = (a.text(1), a.text(2));
            let separator = match separator.bytes() {
                b"" => b"\n",
                separator => separator,
            };
            Ok(Value::text(wrap(text.bytes(), a.int(0), separator, true)))
        },
    ),
    fixed("contains", &[Type::String, Type::String], |_, a| {
        let found = crate::output::find(a.text(1).bytes(), a.text(0).bytes());
        Ok(Value::Bool(found.is_some()))
    }),
    fixed("hasPrefix", &[Type::String, Type::String], |_, a| {
        Ok(Value::Bool(
            a.text(1).bytes().starts_with(a.text(0).bytes()),
        ))
    }),
    fixed("hasSuffix", &[Type::String, Type::String], |_, a| {
        Ok(Value::Bool(a.text(1).bytes().ends_with(a.text(0).bytes())))
    }),
    variadic("quote", &[], Type::Any, |_, a| {
        Ok(joined(a, |value| {
            quote(cast::text(value).bytes()).into_bytes()
        }))
    }),
    variadic("squote", &[], Type::Any, |_, a| {
        Ok(joined(a, |value| {
            [b"'", crate::format::text_of(value).bytes(), b"'"].concat()
        }))
    }),
    variadic("cat", &[], Type::Any, |_, a| {
        Ok(joined(a, crate::format::print_value))
    }),
    fixed("indent", &[Type::Int, Type::String], |m, a| {
        indent(m, a, "")
    }),
    fixed("nindent", &[Type::Int, Type::String], |m, a| {
        indent(m, a, "\n")
    }),
    fixed(
        "replace",
        &[Type::String, Type::String, Type::String],
        replace,
    ),
    fixed(
        "plural",
        &[Type::String, Type::String, Type::Int],
        |_, a| Ok(a.value(usize::from(a.int(2) != 1)).clone()),
    ),
    fixed("toString", &[Type::Any], |_, a| {
        Ok(Value::String(cast::text(a.value(0))))
    }),
    fixed("split", &[Type::String, Type::String], |_, a| {
        Ok(split_map(a, 0, 1, -1))
    }),
    fixed(
        "splitn",
        &[Type::String, Type::Int, Type::String],
        |_, a| Ok(split_map(a, 0, 2, a.int(1))),
    ),
    fixed("splitList", &[Type::String, Type::String], |_, a| {
        Ok(Value::strings(split(
            a.text(1).bytes(),
            a.text(0).bytes(),
            -1,
        )))
    }),
    fixed("toStrings", &[Type::Any], |_, a| {
        Ok(strings_of(a.value(0), &cast::texts(a.value(0))))
    }),
    fixed("join", &[Type::String, Type::Any], |_, a| {
        let texts = cast::texts(a.value(1));
        let parts: Vec<&[u8]> = texts.iter().map(Text::bytes).collect();
        Ok(Value::text(parts.join(a.text(0).bytes())))
    }),
    fixed("sortAlpha", &[Type::Any], |_, a| {
        let mut texts = cast::texts(a.value(0));
        if a.value(0).is_nil() {
            texts.push(Text::new("<nil>"));
        }
        texts.sort_by(|x, y| x.bytes().cmp(y.bytes()));
        Ok(strings_of(a.value(0), &texts))
    }),
    fixed("randAlphaNum", &[Type::Int], |m, a| {
        random(m, a, |c| c.is_ascii_alphanumeric())
    }),
    fixed("randAlpha", &[Type::Int], |m, a| {
        random(m, a, |c| c.is_ascii_alphabetic())
    }),
    fixed("randNumeric", &[Type::Int], |m, a| {
        random(m, a, |c| c.is_ascii_digit())
    }),
    fixed("randAscii", &[Type::Int], |m, a| {
        random(m, a, |c| (32..127).contains(&c))
    }),
];

fn joined(args: &Args, show: impl Fn(&Value) -> Vec<u8>) -> Value {
    let parts: Vec<Vec<u8>> = args
        .rest(0)
        .iter()
        .filter(|value| !value.is_nil())
        .map(show)
        .collect();
    Value::text(parts.join(&b' '))
}

fn indent(machine: &mut Machine<'_>, args: &Args, prefix: &str) -> Outcome {
    let text = args.text(1);
    let pad = usize::try_from(args.int(0)).map_err(|_| "strings: negative Repeat count")?;
    let lines = text.bytes().iter().filter(|byte| **byte == b'\n').count() + 1;
    machine.check_size(text.bytes().len().saturating_add(pad.saturating_mul(lines)))?;
    Ok(Value::String(text.indented(prefix, pad)))
}

fn repeat(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let count = usize::try_from(args.int(0)).map_err(|_| "strings: negative Repeat count")?;
    let text = args.text(1);
    machine.check_size(text.bytes().len().saturating_mul(count))?;
    Ok(Value::text(text.bytes().repeat(count)))
}

fn replace(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let (old, new, source) = (args.text(0), args.text(1), args.text(2));
    if old.bytes().is_empty() {
        let text = args.string(2).replace("", &args.string(1));
        machine.check_size(text.len())?;
        return Ok(Value::text(text));
    }
    let parts = split(source.bytes(), old.bytes(), -1);
    let growth = parts.len().saturating_mul(new.bytes().len());
    machine.check_size(source.bytes().len().saturating_add(growth))?;
    Ok(Value::text(parts.join(new.bytes())))
}

fn trunc(args: &Args) -> Text {
    let (count, text) = (args.int(0), args.text(1));
    let length = text.bytes().len();
    match usize::try_from(count.unsigned_abs()) {
        Ok(count_abs) if count < 0 && count_abs < length => text.slice(length - count_abs, length),
        Ok(count_abs) if count >= 0 && count_abs < length => text.slice(0, count_abs),
        _ => text,
    }
}

fn substring(args: &Args) -> Outcome {
    let (start, end, text) = (args.int(0), args.int(1), args.text(2));
    let bytes = text.bytes();
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let (from, to) = match (start, end) {
        (start, end) if start < 0 => (0, end),
        (start, end) if end < 0 || end > length => (start, length),
        pair => pair,
    };
    if to < 0 || to > length {
        let what = if to < 0 {
            format!("[:{to}]")
        } else {
            format!("[:{to}] with length {length}")
        };
        return Err(format!("runtime error: slice bounds out of range {what}").into());
    }
    if from > to {
        return Err(format!("runtime error: slice bounds out of range [{from}:{to}]").into());
    }
    let at = |n: i64| usize::try_from(n).unwrap_or(0);
    Ok(Value::String(text.slice(at(from), at(to))))
}

fn trim_space(text: &Text) -> Text {
    let lossy = text.lossy();
    if lossy.len() != text.bytes().len() {
        return Text::new(text.bytes().trim_ascii());
    }
    let start = lossy.len() - lossy.trim_start().len();
    let end = lossy.trim_end().len().max(start);
    text.slice(start, end)
}

fn trim_all(args: &Args) -> Value {
    let (set, text) = (args.string(0), args.text(1));
    let lossy = text.lossy();
    let keep = |c: char| set.contains(c);
    let start = lossy.len() - lossy.trim_start_matches(keep).len();
    let end = lossy.trim_end_matches(keep).len().max(start);
    if lossy.len() != text.bytes().len() {
        return Value::text(&lossy[start..end]);
    }
    Value::String(text.slice(start, end))
}

fn trim_suffix(args: &Args) -> Value {
    let (suffix, text) = (args.text(0), args.text(1));
    match text.bytes().strip_suffix(suffix.bytes()) {
        Some(rest) => Value::String(text.slice(0, rest.len())),
        None => Value::String(text),
    }
}

fn trim_prefix(args: &Args) -> Value {
    let (prefix, text) = (args.text(0), args.text(1));
    match text.bytes().strip_prefix(prefix.bytes()) {
        Some(_) => Value::String(text.slice(prefix.bytes().len(), text.bytes().len())),
        None => Value::String(text),
    }
}

/// Parts of a text; `limit` as in Go's `SplitN`.
pub(super) fn split<'a>(text: &'a [u8], separator: &[u8], limit: i64) -> Vec<&'a [u8]> {
    if limit == 0 {
        return Vec::new();
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = text;
    if separator.is_empty() {
        while !rest.is_empty() && parts.len() + 1 < limit {
            let chunk = rest.utf8_chunks().next();
            let first = chunk.and_then(|chunk| chunk.valid().chars().next());
            let (first, tail) = rest.split_at(first.map_or(1, char::len_utf8));
            parts.push(first);
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        return parts;
    }
    while parts.len() + 1 < limit {
        let Some(at) = crate::output::find(rest, separator) else {
            break;
        };
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    parts
}

/// The texts of a value as a `[]string`, which stays nil if it is one already.
fn strings_of(value: &Value, texts: &[Text]) -> Value {
    match value {
        Value::List(list) if list.kind == ListKind::Strings && list.is_nil() => value.clone(),
        _ => Value::strings(texts.iter().map(Text::bytes)),
    }
}

fn split_map(args: &Args, separator: usize, text: usize, limit: i64) -> Value {
    let map = Map::of_kind(MapKind::Strings);
    let (separator, text) = (args.text(separator), args.text(text));
    let parts = split(text.bytes(), separator.bytes(), limit);
    for (index, part) in parts.into_iter().enumerate() {
        map.insert(format!("_{index}"), Value::text(part));
    }
    Value::Map(map)
}

/// Go's deprecated `strings.Title`: a letter after anything that is no letter, digit or underscore.
fn title(text: &str) -> String {
    let mut previous = ' ';
    let mut out = String::new();
    for c in text.chars() {
        let inside = previous == '_'
            || previous.is_alphanumeric()
            || (!previous.is_ascii() && !previous.is_whitespace());
        let separator = if previous.is_ascii() {
            !inside
        } else {
            previous.is_whitespace()
        };
        out.push(if separator { words::title(c) } else { c });
        previous = c;
    }
    out
}

fn untitle(text: &str) -> String {
    let mut begins = true;
    let first_small = |c: char| {
        let changed = if begins { words::lower(c) } else { c };
        begins = c.is_whitespace();
        changed
    };
    text.chars().map(first_small).collect()
}

fn mapped(text: &str, change: fn(char) -> char) -> String {
    text.chars().map(change).collect()
}

/// Each byte as a character, which the library takes it for.
fn latin(text: &Text) -> String {
    text.bytes().iter().map(|byte| char::from(*byte)).collect()
}

fn initials(text: &str) -> String {
    text.split_whitespace()
        .filter_map(|word| word.chars().next())
        .collect()
}

fn abbreviate(text: &Text, offset: i64, width: i64) -> Vec<u8> {
    let bytes = text.bytes();
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    if width < 4 || length <= width {
        return bytes.to_vec();
    }
    let offset = offset.min(length).min(length - (width - 3)).max(0);
    let cut = |from: i64, to: i64| {
        let at = |n: i64| usize::try_from(n.clamp(0, length)).unwrap_or(0);
        &bytes[at(from)..at(to).max(at(from))]
    };
    if offset <= 4 {
        return [cut(0, width - 3), b"..."].concat();
    }
    if offset + width - 3 < length {
        let rest = Text::new(cut(offset, length));
        return [b"...".to_vec(), abbreviate(&rest, 0, width - 3)].concat();
    }
    [b"...", cut(length - (width - 3), length)].concat()
}

fn abbreviate_both(args: &Args) -> Vec<u8> {
    let (left, right, text) = (args.int(0), args.int(1), args.text(2));
    if right < 4 || (left > 0 && right < 7) {
        return text.bytes().to_vec();
    }
    abbreviate(&text, left, right)
}

/// Lines of so many bytes at most, as the library counts.
fn wrap(text: &[u8], width: i64, separator: &[u8], cut_long: bool) -> Vec<u8> {
    let width = usize::try_from(width.max(1)).unwrap_or(1);
    let mut out = Vec::new();
    let mut rest = text;
    while rest.len() > width {
        if let [b' ', after @ ..] = rest {
            rest = after;
            continue;
        }
        let space = rest[..=width].iter().rposition(|byte| *byte == b' ');
        let next = || rest[width..].iter().position(|byte| *byte == b' ');
        let (line, after) = match space {
            Some(space) => (&rest[..space], &rest[space + 1..]),
            None if cut_long => rest.split_at(width),
            None => match next() {
                Some(more) => (&rest[..width + more], &rest[width + more + 1..]),
                None => break,
            },
        };
        out.extend_from_slice(line);
        out.extend_from_slice(separator);
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

fn shuffle(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let mut chars: Vec<char> = args.string(0).chars().collect();
    for at in (1..chars.len()).rev() {
        let mut bytes = [0; 8];
        machine.environment.random(&mut bytes);
        let other = u64::from_le_bytes(bytes) % (at as u64 + 1);
        chars.swap(at, usize::try_from(other).unwrap_or(0));
    }
    Ok(Value::text(chars.into_iter().collect::<String>()))
}

fn random(machine: &mut Machine<'_>, args: &Args, wanted: fn(u8) -> bool) -> Outcome {
    let count = usize::try_from(args.int(0)).unwrap_or(0);
    machine.check_size(count)?;
    let alphabet: Vec<u8> = (0..128u8).filter(|c| wanted_char(*c, wanted)).collect();
    let limit = 256 - 256 % alphabet.len().max(1);
    let mut out = Vec::with_capacity(count);
    let mut zeros = 0;
    while out.len() < count {
        let mut byte = [0; 1];
        machine.environment.random(&mut byte);
        // Bytes past the last whole alphabet would favour its first letters.
        if usize::from(byte[0]) < limit {
            out.push(alphabet[usize::from(byte[0]) % alphabet.len()]);
        } else {
            zeros += 1;
        }
        if zeros > 1_000_000 {
            return Err(Error::plain("the random source repeats itself"));
        }
    }
    Ok(Value::text(out))
}

fn wanted_char(c: u8, wanted: fn(u8) -> bool) -> bool {
    wanted(c)
}
