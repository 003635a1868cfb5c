//! `fmt`: values as text, with Go's verbs, flags and complaints.
//!
//! Depth is bounded, because a template can put a map into itself.

use crate::literal::{quote, quote_char};
use crate::text::Text;
use crate::value::{List, ListKind, Map, Object, Value};
use pilotis_yaml::number;

/// Deepest nesting printed.
const DEPTH_MAX: u32 = 100;
/// Largest width or precision an argument gives, as in Go; one in the format may have a digit more.
const WIDTH_MAX: usize = 1_000_000;
/// No `float64` has more digits: the smallest has 1,074 after the point. What a larger precision
/// asks for are zeros, and Rust's `format!` takes no precision beyond 65,535.
const DIGITS_MAX: usize = 1_100;

/// `fmt.Fprint` of one value.
pub(crate) fn print_value(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_v(&mut out, value, Flags::default(), 0);
    out
}

/// What an action prints of a value it gives: of a pointer, what is there.
pub(crate) fn print_given(value: &Value) -> Vec<u8> {
    let Value::Object(object) = value else {
        return print_value(value);
    };
    if let Some(text) = object.addressed_string() {
        return text.into_bytes();
    }
    print_element(value)
}

/// What a pointer points to, or the value.
pub(crate) fn print_element(value: &Value) -> Vec<u8> {
    let mut printed = print_value(value);
    if matches!(value, Value::Object(object) if object.kind() == "ptr")
        && printed.first() == Some(&b'&')
    {
        printed.remove(0);
    }
    printed
}

/// The text of a string, or what `fmt.Sprint` makes of anything else.
pub(crate) fn text_of(value: &Value) -> Text {
    match value {
        Value::String(text) => text.clone(),
        other => Text::new(print_value(other)),
    }
}

/// `fmt.Sprint`: spaces only between operands that are both no strings.
pub(crate) fn sprint(values: &[Value]) -> Vec<u8> {
    sprint_with(values, print_value)
}

/// The same of values an action would print.
pub(crate) fn sprint_given(values: &[Value]) -> Vec<u8> {
    sprint_with(values, print_given)
}

fn sprint_with(values: &[Value], print: fn(&Value) -> Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut previous_string = true;
    for (index, value) in values.iter().enumerate() {
        let is_string = matches!(value, Value::String(_));
        if index > 0 && !is_string && !previous_string {
            out.push(b' ');
        }
        out.extend(print(value));
        previous_string = is_string;
    }
    out
}

/// `fmt.Sprintln`.
pub(crate) fn sprintln(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        write_v(&mut out, value, Flags::default(), 0);
    }
    out.push(b'\n');
    out
}

#[derive(Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
    /// `%#v`.
    sharp_v: bool,
    /// `%+v`.
    plus_v: bool,
}

/// `fmt.Sprintf`.
pub(crate) fn sprintf(format: &[u8], values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directive = Directive {
        format,
        at: 0,
        values,
        next: 0,
        is_reordered: false,
        is_good: true,
    };
    while let Some(percent) = directive.rest().iter().position(|b| *b == b'%') {
        out.extend_from_slice(&directive.rest()[..percent]);
        directive.at += percent + 1;
        directive.is_good = true;
        let mut flags = directive.flags(&mut out);
        let Some(verb) = next_char(format, &mut directive.at) else {
            out.extend_from_slice(b"%!(NOVERB)");
            break;
        };
        let value = match (verb, directive.is_good, values.get(directive.next)) {
            ('%', ..) => {
                out.push(b'%');
                continue;
            }
            (_, true, Some(value)) => value,
            (_, is_good, _) => {
                let what = if is_good { "MISSING" } else { "BADINDEX" };
                out.extend_from_slice(format!("%!{verb}({what})").as_bytes());
                continue;
            }
        };
        directive.next += 1;
        if verb == 'v' {
            flags.sharp_v = std::mem::take(&mut flags.sharp);
            flags.plus_v = std::mem::take(&mut flags.plus);
        }
        write_verb(&mut out, value, verb, flags, 0);
    }
    out.extend_from_slice(directive.rest());
    if !directive.is_reordered && directive.next < values.len() {
        write_extra(&mut out, &values[directive.next..]);
    }
    out
}

fn write_extra(out: &mut Vec<u8>, values: &[Value]) {
    out.extend_from_slice(b"%!(EXTRA ");
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        if value.is_nil() {
            out.extend_from_slice(b"<nil>");
        } else {
            out.extend_from_slice(value.type_name().as_bytes());
            out.push(b'=');
            write_v(out, value, Flags::default(), 0);
        }
    }
    out.push(b')');
}

fn next_char(format: &[u8], at: &mut usize) -> Option<char> {
    let rest = format.get(*at..)?;
    let length = rest.len().min(4);
    let c = match rest[..length].utf8_chunks().next() {
        Some(chunk) if !chunk.valid().is_empty() => chunk.valid().chars().next()?,
        Some(_) => '\u{fffd}',
        None => return None,
    };
    *at += if c == '\u{fffd}' { 1 } else { c.len_utf8() };
    Some(c)
}

/// Where `fmt` is in a format, and at which argument.
struct Directive<'a> {
    format: &'a [u8],
    at: usize,
    values: &'a [Value],
    next: usize,
    is_reordered: bool,
    /// Whether every `[3]` of this verb names an argument and stands where it may.
    is_good: bool,
}

impl Directive<'_> {
    fn rest(&self) -> &[u8] {
        self.format.get(self.at..).unwrap_or_default()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let found = self.format.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn flags(&mut self, out: &mut Vec<u8>) -> Flags {
        let mut flags = Flags::default();
        while let Some(byte) = self.format.get(self.at) {
            match byte {
                b'-' => flags.minus = true,
                b'+' => flags.plus = true,
                b'#' => flags.sharp = true,
                b' ' => flags.space = true,
                b'0' => flags.zero = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut is_after_index = self.argument_index();
        if self.takes(b'*') {
            is_after_index = false;
            match self.star() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.abs()).ok();
                }
                None => out.extend_from_slice(b"%!(BADWIDTH)"),
            }
        } else {
            flags.width = digits(self.format, &mut self.at);
            self.is_good &= !is_after_index || flags.width.is_none();
        }
        // A point that ends the format is a verb.
        if self.rest().len() > 1 && self.takes(b'.') {
            self.is_good &= !is_after_index;
            is_after_index = self.argument_index();
            if self.takes(b'*') {
                is_after_index = false;
                let given = self.star().and_then(|n| usize::try_from(n).ok());
                flags.precision = given;
                if given.is_none() {
                    out.extend_from_slice(b"%!(BADPREC)");
                }
            } else {
                flags.precision = Some(digits(self.format, &mut self.at).unwrap_or(0));
            }
        }
        if !is_after_index {
            self.argument_index();
        }
        if flags.minus {
            flags.zero = false;
        }
        flags
    }

    /// `[3]`: the next argument by number. Says whether a number was there.
    fn argument_index(&mut self) -> bool {
        if self.format.get(self.at) != Some(&b'[') {
            return false;
        }
        self.is_reordered = true;
        let end = self.rest().iter().position(|b| *b == b']');
        let Some(end) = end.filter(|_| self.rest().len() >= 3) else {
            self.is_good = false;
            self.at += 1;
            return false;
        };
        let mut begin = self.at + 1;
        let number = digits(&self.format[..self.at + end], &mut begin);
        let number = number.filter(|_| begin == self.at + end);
        self.at += end + 1;
        match number.and_then(|number| number.checked_sub(1)) {
            Some(index) if index < self.values.len() => self.next = index,
            _ => self.is_good = false,
        }
        number.is_some()
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(n) | Value::Int64(n) if n.unsigned_abs() <= WIDTH_MAX as u64 => Some(*n),
            _ => None,
        }
    }
}

/// A width or precision; of one that goes on beyond the largest, Go reads no more of the format.
fn digits(format: &[u8], at: &mut usize) -> Option<usize> {
    let mut number = None;
    while let Some(digit) = format.get(*at).filter(|byte| byte.is_ascii_digit()) {
        let before = number.unwrap_or(0);
        if before > WIDTH_MAX {
            *at = format.len();
            return None;
        }
        number = Some(before * 10 + usize::from(digit - b'0'));
        *at += 1;
    }
    number
}

/// What Go prints for a verb a value does not know; the flags still shape the value.
fn bad_verb(out: &mut Vec<u8>, value: &Value, verb: char, flags: Flags) {
    out.extend_from_slice(format!("%!{verb}(").as_bytes());
    if value.is_nil() {
        out.extend_from_slice(b"<nil>");
    } else {
        out.extend_from_slice(value.type_name().as_bytes());
        out.push(b'=');
        write_v(out, value, flags, 0);
    }
    out.push(b')');
}

fn write_verb(out: &mut Vec<u8>, value: &Value, verb: char, flags: Flags, depth: u32) {
    if depth > DEPTH_MAX {
        out.extend_from_slice(b"...");
        return;
    }
    match (verb, value) {
        ('T', value) => {
            let name = value.type_name();
            let length = flags.precision.unwrap_or(usize::MAX).min(name.len());
            pad(out, &name.as_bytes()[..length], flags);
        }
        ('v', value) => write_v(out, value, flags, depth),
        ('p', value) => bad_verb(out, value, verb, flags),
        (_, Value::Missing | Value::Nil) => {
            if depth == 0 {
                bad_verb(out, value, verb, flags);
            } else {
                out.extend_from_slice(b"<nil>");
            }
        }
        ('t', Value::Bool(value)) => pad(out, value.to_string().as_bytes(), flags),
        (_, Value::Int(n) | Value::Int64(n)) => write_int(out, value, *n, verb, flags),
        (_, Value::Float(n)) => write_float_verb(out, value, *n, verb, flags),
        (_, Value::String(text)) => write_text(out, value, text.bytes(), verb, flags),
        (_, Value::List(list)) => write_list(out, list, verb, flags, depth),
        (_, Value::Map(map)) => write_map(out, map, verb, flags, depth),
        (_, Value::Object(object)) => write_object(out, object.as_ref(), verb, flags, depth),
        _ => bad_verb(out, value, verb, flags),
    }
}

fn write_v(out: &mut Vec<u8>, value: &Value, flags: Flags, depth: u32) {
    if depth > DEPTH_MAX {
        out.extend_from_slice(b"...");
        return;
    }
    match value {
        Value::Missing | Value::Nil if flags.sharp_v && depth > 0 => {
            out.extend_from_slice(b"interface {}(nil)");
        }
        Value::Missing | Value::Nil => pad(out, b"<nil>", flags),
        Value::Bool(value) => pad(out, value.to_string().as_bytes(), flags),
        Value::Int(n) | Value::Int64(n) => write_int(out, value, *n, 'd', flags),
        Value::Float(n) => write_float(out, *n, 'g', flags),
        Value::String(text) if flags.sharp_v => write_text(out, value, text.bytes(), 'q', flags),
        Value::String(text) => write_text(out, value, text.bytes(), 's', flags),
        Value::List(list) => write_list(out, list, 'v', flags, depth),
        Value::Map(map) => write_map(out, map, 'v', flags, depth),
        Value::Object(object) => write_object(out, object.as_ref(), 'v', flags, depth),
    }
}

/// What a Stringer says, or the fields. Where one points to another, Go prints an address and we
/// what is there.
fn write_object(out: &mut Vec<u8>, object: &dyn Object, verb: char, mut flags: Flags, depth: u32) {
    let said = match (verb, flags.sharp_v) {
        ('v', true) => object.go_string(),
        ('v' | 's' | 'x' | 'X' | 'q', _) => object.string(),
        _ => None,
    };
    if let Some(text) = said {
        let verb = if verb == 'v' { 's' } else { verb };
        return write_text(out, &Value::Nil, text.as_bytes(), verb, flags);
    }
    if object.is_number() {
        if verb == 'v' && flags.sharp_v && object.kind() == "uint8" {
            flags.sharp = true;
            return write_verb(out, &object.data(), 'x', flags, depth);
        }
        if "vdbcoOxXqU".contains(verb) {
            return write_verb(out, &object.data(), verb, flags, depth);
        }
        out.extend_from_slice(format!("%!{verb}({}=", object.type_name()).as_bytes());
        write_v(out, &object.data(), flags, depth);
        return out.push(b')');
    }
    if object.kind() == "ptr" {
        out.push(b'&');
    }
    if flags.sharp_v {
        out.extend_from_slice(object.type_name().trim_start_matches('*').as_bytes());
    }
    out.push(b'{');
    let separator: &[u8] = if flags.sharp_v { b", " } else { b" " };
    for (index, (name, value)) in object.fields().iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator);
        }
        if flags.sharp_v || flags.plus_v {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
        }
        write_item(out, value, verb, flags, depth);
    }
    out.push(b'}');
}

fn write_list(out: &mut Vec<u8>, list: &List, verb: char, flags: Flags, depth: u32) {
    if list.kind == ListKind::Bytes && "sqxX".contains(verb) {
        let bytes = list.bytes();
        return write_text(out, &Value::Nil, &bytes, verb, flags);
    }
    let name = match (list.kind, depth) {
        // Alone it is told apart by its Go type, inside of others it is a slice like any other.
        (ListKind::Bytes, 0) => "[]byte".to_owned(),
        _ => Value::List(list.clone()).type_name(),
    };
    if flags.sharp_v && list.is_nil() {
        out.extend_from_slice(name.as_bytes());
        return out.extend_from_slice(b"(nil)");
    }
    let (open, separator, close) = match flags.sharp_v {
        true => (format!("{name}{{"), ", ", "}"),
        false => ("[".to_string(), " ", "]"),
    };
    out.extend_from_slice(open.as_bytes());
    let (verb, flags) = match (list.kind, verb, flags.sharp_v) {
        (ListKind::Bytes, 'v', true) => (
            'x',
            Flags {
                sharp: true,
                sharp_v: false,
                ..flags
            },
        ),
        _ => (verb, flags),
    };
    for (index, item) in list.items().iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator.as_bytes());
        }
        write_item(out, item, verb, flags, depth);
    }
    out.extend_from_slice(close.as_bytes());
}

fn write_map(out: &mut Vec<u8>, map: &Map, verb: char, flags: Flags, depth: u32) {
    let name = Value::Map(map.clone()).type_name();
    if flags.sharp_v && map.is_nil() {
        out.extend_from_slice(name.as_bytes());
        return out.extend_from_slice(b"(nil)");
    }
    let (open, separator, close) = match flags.sharp_v {
        true => (format!("{name}{{"), ", ", "}"),
        false => ("map[".to_string(), " ", "]"),
    };
    out.extend_from_slice(open.as_bytes());
    for (index, (key, item)) in map.entries().into_iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(separator.as_bytes());
        }
        write_item(out, &Value::String(key), verb, flags, depth);
        out.push(b':');
        write_item(out, &item, verb, flags, depth);
    }
    out.extend_from_slice(close.as_bytes());
}

fn write_item(out: &mut Vec<u8>, item: &Value, verb: char, flags: Flags, depth: u32) {
    if verb == 'v' {
        // A nil inside a collection is printed without padding.
        let flags = if item.is_nil() {
            Flags {
                width: None,
                ..flags
            }
        } else {
            flags
        };
        write_v(out, item, flags, depth + 1);
    } else {
        write_verb(out, item, verb, flags, depth + 1);
    }
}

fn write_text(out: &mut Vec<u8>, value: &Value, bytes: &[u8], verb: char, flags: Flags) {
    let cut = match flags.precision {
        Some(precision) => cut_chars(bytes, precision),
        None => bytes,
    };
    match verb {
        's' | 'v' => pad(out, cut, flags),
        'q' => {
            let text = if flags.sharp && !cut.contains(&b'`') {
                format!("`{}`", String::from_utf8_lossy(cut))
            } else {
                quote(cut)
            };
            pad(out, text.as_bytes(), flags);
        }
        'x' | 'X' => {
            let space = if flags.space { " " } else { "" };
            let prefix = if flags.sharp { "0x" } else { "" };
            let bytes = cut.iter().enumerate().map(|(index, byte)| match index {
                0 => format!("{prefix}{byte:02x}"),
                _ if flags.space => format!("{space}{prefix}{byte:02x}"),
                _ => format!("{byte:02x}"),
            });
            let hex: String = bytes.collect();
            let hex = if verb == 'X' { hex.to_uppercase() } else { hex };
            pad(out, hex.as_bytes(), flags);
        }
        _ => bad_verb(out, value, verb, flags),
    }
}

fn cut_chars(bytes: &[u8], count: usize) -> &[u8] {
    let mut seen = 0;
    let mut end = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if byte & 0xc0 != 0x80 {
            if seen == count {
                return &bytes[..index];
            }
            seen += 1;
        }
        end = index + 1;
    }
    &bytes[..end]
}

fn write_int(out: &mut Vec<u8>, value: &Value, n: i64, verb: char, flags: Flags) {
    let magnitude = n.unsigned_abs();
    let digits = match verb {
        'd' | 'v' => magnitude.to_string(),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        'c' | 'q' | 'U' => return write_rune(out, value, n, verb, flags),
        _ => return bad_verb(out, value, verb, flags),
    };
    let prefix = match verb {
        'O' => "0o",
        'b' if flags.sharp => "0b",
        'o' if flags.sharp => "0",
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        _ => "",
    };
    let sign = sign(n < 0, flags);
    let mut width = flags.precision.unwrap_or(0);
    if flags.zero && flags.precision.is_none() {
        width = flags.width.unwrap_or(0).saturating_sub(sign.len());
    }
    let zeros = "0".repeat(width.saturating_sub(digits.len()));
    let flags = Flags {
        zero: false,
        ..flags
    };
    pad(
        out,
        format!("{sign}{prefix}{zeros}{digits}").as_bytes(),
        flags,
    );
}

fn sign(negative: bool, flags: Flags) -> &'static str {
    match (negative, flags.plus, flags.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn write_rune(out: &mut Vec<u8>, value: &Value, n: i64, verb: char, flags: Flags) {
    let c = u32::try_from(n)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or('\u{fffd}');
    let text = match verb {
        'c' => c.to_string(),
        'U' => format!("U+{n:04X}"),
        'q' => {
            let mut text = String::from("'");
            match flags.plus && !c.is_ascii() {
                true if u32::from(c) < 0x1_0000 => text += &format!("\\u{:04x}", u32::from(c)),
                true => text += &format!("\\U{:08x}", u32::from(c)),
                false => quote_char(c, '\'', &mut text),
            }
            text + "'"
        }
        _ => return bad_verb(out, value, verb, flags),
    };
    pad(out, text.as_bytes(), flags);
}

fn write_float_verb(out: &mut Vec<u8>, value: &Value, n: f64, verb: char, flags: Flags) {
    match verb {
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'x' | 'X' | 'b' => write_float(out, n, verb, flags),
        _ => bad_verb(out, value, verb, flags),
    }
}

fn write_float(out: &mut Vec<u8>, n: f64, verb: char, flags: Flags) {
    let text = float_text(n.abs(), verb, flags);
    let text = match flags.sharp && n.is_finite() && verb != 'b' {
        true => with_point(&text, verb, flags),
        false => text,
    };
    let sign = sign(n.is_sign_negative() && !n.is_nan(), flags);
    let finite = n.is_finite();
    let mut text = text;
    if flags.zero && finite {
        let width = flags.width.unwrap_or(0).saturating_sub(sign.len());
        text = format!("{}{text}", "0".repeat(width.saturating_sub(text.len())));
    }
    let sign = if n == f64::INFINITY { "+" } else { sign };
    let flags = Flags {
        zero: false,
        ..flags
    };
    pad(out, format!("{sign}{text}").as_bytes(), flags);
}

fn float_text(n: f64, verb: char, flags: Flags) -> String {
    if n.is_nan() {
        return "NaN".to_string();
    }
    if n.is_infinite() {
        return "Inf".to_string();
    }
    let text = match (verb.to_ascii_lowercase(), flags.precision) {
        ('x', precision) => hexadecimal(n, precision),
        ('b', _) => binary_exponent(n),
        ('f', precision) => {
            let precision = precision.unwrap_or(6);
            format!("{}{}", decimals(n, precision), zeros_beyond(precision))
        }
        ('e', precision) => scientific(n, precision.unwrap_or(6)),
        (_, None) => number::format_g(n),
        (_, Some(precision)) => general(n, precision.max(1)),
    };
    if verb.is_ascii_uppercase() && verb != 'F' {
        text.to_uppercase()
    } else {
        text
    }
}

/// `%#g` and its kin: always a point, and as many digits as the precision says.
fn with_point(text: &str, verb: char, flags: Flags) -> String {
    let mut digits = match verb {
        'g' | 'G' | 'x' => flags.precision.unwrap_or(6),
        _ => 0,
    };
    let exponents: &[char] = match verb {
        'x' | 'X' => &['p', 'P'],
        _ => &['e', 'E', 'p', 'P'],
    };
    let (number, tail) = text.split_at(text.find(exponents).unwrap_or(text.len()));
    let significant = number.trim_start_matches(['0', '.']);
    let count = significant.chars().filter(|c| *c != '.').count();
    digits = digits.saturating_sub(count + usize::from(number == "0"));
    let point = if number.contains('.') { "" } else { "." };
    format!("{number}{point}{}{tail}", "0".repeat(digits))
}

/// `%.*f`, without the zeros that follow the last digit a number can have.
fn decimals(n: f64, precision: usize) -> String {
    let precision = precision.min(DIGITS_MAX);
    format!("{n:.precision$}")
}

fn zeros_beyond(precision: usize) -> String {
    "0".repeat(precision.saturating_sub(DIGITS_MAX))
}

/// `%.*e`.
fn scientific(n: f64, precision: usize) -> String {
    let text = format!("{n:.*e}", precision.min(DIGITS_MAX));
    let (mantissa, rest) = text.split_once('e').unwrap_or((&text, "0"));
    exponent(&format!("{mantissa}{}e{rest}", zeros_beyond(precision)))
}

/// `%x`: hexadecimal mantissa and binary exponent; a precision rounds half to even.
fn hexadecimal(n: f64, precision: Option<usize>) -> String {
    const POINT: u32 = 60;
    let bits = n.to_bits();
    let mut mantissa = (bits & ((1 << 52) - 1)) << (POINT - 52);
    let mut exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0) - 1023;
    match (mantissa, exponent) {
        (0, -1023) => exponent = 0,
        (_, -1023) => {
            // Subnormal numbers are written as normal ones.
            let shift = mantissa.leading_zeros() - (63 - POINT);
            exponent = -1022 - i32::try_from(shift).unwrap_or(0);
            mantissa <<= shift;
        }
        _ => mantissa |= 1 << POINT,
    }
    if let Some(digits @ 0..=14) = precision {
        let shift = POINT - 4 * u32::try_from(digits).unwrap_or(0);
        let (kept, rest) = (mantissa >> shift, mantissa & ((1 << shift) - 1));
        let half = 1 << (shift - 1);
        let is_up = rest > half || (rest == half && kept & 1 == 1);
        mantissa = (kept + u64::from(is_up)) << shift;
        if mantissa >> (POINT + 1) == 1 {
            (mantissa, exponent) = (mantissa >> 1, exponent + 1);
        }
    }
    let (whole, fraction) = (mantissa >> POINT, mantissa & ((1 << POINT) - 1));
    let digits = format!("{fraction:015x}");
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(precision) if precision <= digits.len() => digits[..precision].to_owned(),
        Some(precision) => digits.clone() + &"0".repeat(precision - digits.len()),
    };
    let point = if digits.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{whole}{point}{digits}p{sign}{:02}", exponent.abs())
}

/// `%b`: an integer mantissa and a binary exponent.
fn binary_exponent(n: f64) -> String {
    let bits = n.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    let (mantissa, exponent) = match exponent {
        0 => (fraction, -1074),
        exponent => (fraction | (1 << 52), exponent - 1075),
    };
    format!("{mantissa}p{exponent:+}")
}

/// Rust's `1.5e6` as Go's `1.5e+06`.
fn exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let value: i32 = exponent.parse().unwrap_or(0);
    let sign = if value < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", value.abs())
}

/// `%.*g`: at most `precision` digits, trailing zeros dropped.
fn general(n: f64, precision: usize) -> String {
    let text = format!("{n:.*e}", (precision - 1).min(DIGITS_MAX));
    let value: i32 = text
        .split_once('e')
        .and_then(|(_, e)| e.parse().ok())
        .unwrap_or(0);
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if value < -4 || value >= limit {
        let (mantissa, rest) = text.split_once('e').unwrap_or((&text, "0"));
        return exponent(&format!("{}e{rest}", trim_fraction(mantissa)));
    }
    let count = usize::try_from(limit - 1 - value).unwrap_or(0);
    trim_fraction(&decimals(n, count)).to_string()
}

fn trim_fraction(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

fn pad(out: &mut Vec<u8>, text: &[u8], flags: Flags) {
    let length = text.iter().filter(|b| **b & 0xc0 != 0x80).count();
    let missing = flags.width.unwrap_or(0).saturating_sub(length);
    if flags.minus {
        out.extend_from_slice(text);
        out.extend(std::iter::repeat_n(b' ', missing));
    } else {
        let filler = if flags.zero { b'0' } else { b' ' };
        out.extend(std::iter::repeat_n(filler, missing));
        out.extend_from_slice(text);
    }
}
