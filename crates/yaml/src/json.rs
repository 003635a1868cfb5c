//! Tree to JSON, as sigs.k8s.io/yaml does it: typed scalars, string keys, merges followed.
//!
//! Numbers come out as JSON text would carry them: an integral float such as `1e3` is an integer.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::{Content, Error, Node, Resolved, number};

/// What a tree can become: JSON, or the form somebody else keeps values in.
pub trait Build: Sized {
    /// Pairs being collected.
    type Pairs: Default;
    /// `null`, or no value.
    fn null() -> Self;
    /// A truth.
    fn boolean(value: bool) -> Self;
    /// A whole number.
    fn integer(value: i64) -> Self;
    /// One that needs all 64 bits.
    fn unsigned(value: u64) -> Self;
    /// A finite number.
    fn float(value: f64) -> Self;
    /// A text.
    fn text(text: Cow<'_, str>) -> Self;
    /// A list.
    fn list(items: Vec<Self>) -> Self;
    /// What the pairs are together.
    fn table(pairs: Self::Pairs) -> Self;
    /// Adds a pair, over one of the same key; whether there was one.
    fn put(pairs: &mut Self::Pairs, key: &str, value: Self) -> bool;
}

impl Build for Value {
    type Pairs = Map<String, Value>;

    fn null() -> Self {
        Value::Null
    }

    fn boolean(value: bool) -> Self {
        Value::Bool(value)
    }

    fn integer(value: i64) -> Self {
        value.into()
    }

    fn unsigned(value: u64) -> Self {
        value.into()
    }

    fn float(value: f64) -> Self {
        let text = number::format_json(value);
        let whole = || text.parse::<i64>().map(Value::from);
        match text.as_str() {
            "-0" => Value::from(value),
            _ => whole()
                .or_else(|_| text.parse::<u64>().map(Value::from))
                .unwrap_or_else(|_| value.into()),
        }
    }

    fn text(text: Cow<'_, str>) -> Self {
        Value::String(text.into_owned())
    }

    fn list(items: Vec<Self>) -> Self {
        Value::Array(items)
    }

    fn table(pairs: Self::Pairs) -> Self {
        Value::Object(pairs)
    }

    fn put(pairs: &mut Self::Pairs, key: &str, value: Self) -> bool {
        pairs.insert(key.to_owned(), value).is_some()
    }
}

/// The JSON value of a node; of duplicate keys the last one wins.
///
/// # Errors
/// A key that JSON cannot carry, a value that is not a number, or a tag that contradicts its text.
pub fn to_json(node: &Node) -> Result<Value, Error> {
    build(node)
}

/// The same in another form.
///
/// # Errors
/// As [`to_json`].
pub fn build<T: Build>(node: &Node) -> Result<T, Error> {
    let built = Converter::default().value(node);
    built.or_else(|_| again(node, |kept| Converter::default().value(kept)))
}

/// The same, refusing duplicate keys.
///
/// # Errors
/// As [`to_json`], and the list of duplicates in go-yaml's words.
pub fn to_json_strict(node: &Node) -> Result<Value, Error> {
    let mut converter = Converter::default();
    let value = converter.value(node);
    let value = value.or_else(|error| again(node, check).and(Err(error)))?;
    match converter.duplicates.first() {
        None => Ok(value),
        Some((first, _)) => {
            let lines: Vec<&str> = converter
                .duplicates
                .iter()
                .map(|(_, t)| t.as_str())
                .collect();
            let message = format!("unmarshal errors:\n  {}", lines.join("\n  "));
            Err(Error::at(*first, message))
        }
    }
}

/// Fails where [`to_json`] fails, without making the value.
///
/// # Errors
/// As [`to_json`].
pub fn check_json(node: &Node) -> Result<(), Error> {
    check(node).or_else(|_| again(node, check))
}

/// Does again what failed, and fails as Go does: it reads everything, a map keeping the last of
/// equal keys, then asks of each key that is left whether JSON can carry it, and then of each
/// number.
fn again<R>(node: &Node, convert: impl Fn(&Node) -> Result<R, Error>) -> Result<R, Error> {
    if let Some(mistake) = first_mistake(node) {
        return Err(mistake);
    }
    let kept = kept(node);
    match first_key(&kept) {
        Some(mistake) => Err(mistake),
        None => convert(&kept),
    }
}

/// What is left of a tree whose maps keep the last of equal keys, what is merged put in its place.
fn kept(node: &Node) -> Node {
    let content = match &node.content {
        Content::Scalar(..) => node.content.clone(),
        Content::Sequence(items) => Content::Sequence(items.iter().map(kept).collect()),
        Content::Mapping(pairs) => {
            let mut left = Vec::new();
            keep(&mut left, &mut HashMap::new(), pairs);
            Content::Mapping(left)
        }
    };
    Node {
        content,
        tag: node.tag.clone(),
        ..*node
    }
}

fn keep(left: &mut Vec<(Node, Node)>, places: &mut HashMap<String, usize>, new: &[(Node, Node)]) {
    for (name, value) in new {
        if name.is_merge() {
            let sources: Vec<&Node> = value.merge_sources().collect();
            for source in sources.into_iter().rev() {
                keep(left, places, source.pairs());
            }
            continue;
        }
        let place = *places
            .entry(format!("{:?}", GoKey::of(name)))
            .or_insert(left.len());
        let pair = (name.clone(), kept(value));
        match left.get_mut(place) {
            Some(old) => *old = pair,
            None => left.push(pair),
        }
    }
}

/// The first key that JSON cannot carry.
fn first_key(node: &Node) -> Option<Error> {
    match &node.content {
        Content::Scalar(..) => None,
        Content::Sequence(items) => items.iter().find_map(first_key),
        Content::Mapping(pairs) => pairs.iter().find_map(|(name, value)| {
            let mistake = key(name, value).err();
            mistake.or_else(|| first_key(value))
        }),
    }
}

fn check(node: &Node) -> Result<(), Error> {
    match &node.content {
        Content::Scalar(text, _) => match node.resolve()? {
            Resolved::Float(value) => finite(value, node).map(|_| ()),
            _ => string(node, text).map(|_| ()),
        },
        Content::Sequence(items) => items.iter().try_for_each(check),
        Content::Mapping(pairs) => check_pairs(pairs),
    }
}

fn check_pairs(pairs: &[(Node, Node)]) -> Result<(), Error> {
    pairs.iter().try_for_each(|(name, node)| {
        if name.is_merge() {
            let sources: Vec<&Node> = node.merge_sources().collect();
            let mut sources = sources.into_iter().rev();
            return sources.try_for_each(|source| check_pairs(source.pairs()));
        }
        key(name, node)?;
        check(node)
    })
}

/// What is wrong before anything becomes JSON: go-yaml reads all values first, a key before it asks
/// whether a map can hold it.
fn first_mistake(node: &Node) -> Option<Error> {
    match &node.content {
        Content::Scalar(text, _) => match node.resolve() {
            Ok(Resolved::String) => string(node, text).err(),
            found => found.err(),
        },
        Content::Sequence(items) => items.iter().find_map(first_mistake),
        Content::Mapping(pairs) => pairs.iter().find_map(|(name, value)| {
            let in_key = || match &name.content {
                Content::Scalar(..) => None,
                _ => Some(no_key(name)),
            };
            first_mistake(name)
                .or_else(in_key)
                .or_else(|| first_mistake(value))
        }),
    }
}

fn no_key(node: &Node) -> Error {
    Error::at(node.start, format!("invalid map key: {}", go_syntax(node)))
}

#[derive(Default)]
struct Converter {
    duplicates: Vec<(crate::Mark, String)>,
}

impl Converter {
    fn value<T: Build>(&mut self, node: &Node) -> Result<T, Error> {
        match &node.content {
            Content::Scalar(text, _) => scalar(node, text),
            Content::Sequence(items) => {
                let items: Result<Vec<T>, Error> =
                    items.iter().map(|item| self.value(item)).collect();
                Ok(T::list(items?))
            }
            Content::Mapping(pairs) => {
                let mut table = T::Pairs::default();
                self.fill::<T>(&mut table, pairs)?;
                Ok(T::table(table))
            }
        }
    }

    fn fill<T: Build>(
        &mut self,
        table: &mut T::Pairs,
        pairs: &[(Node, Node)],
    ) -> Result<(), Error> {
        for (name, node) in pairs {
            if name.is_merge() {
                let sources: Vec<&Node> = node.merge_sources().collect();
                for source in sources.into_iter().rev() {
                    self.fill::<T>(table, source.pairs())?;
                }
                continue;
            }
            let name = key(name, node)?;
            let value: T = self.value(node)?;
            if T::put(table, &name, value) {
                let line = node.start.line;
                let text = format!("line {line}: key {name:?} already set in map");
                self.duplicates.push((node.start, text));
            }
        }
        Ok(())
    }
}

fn scalar<T: Build>(node: &Node, text: &str) -> Result<T, Error> {
    Ok(match node.resolve()? {
        Resolved::Null => T::null(),
        Resolved::Bool(value) => T::boolean(value),
        Resolved::Int(value) => T::integer(value),
        Resolved::Uint(value) => T::unsigned(value),
        Resolved::Float(value) => T::float(finite(value, node)?),
        Resolved::Timestamp | Resolved::String => T::text(string(node, text)?),
    })
}

/// The text of a string; one that is tagged `!!binary` is decoded.
fn string<'t>(node: &Node, text: &'t str) -> Result<Cow<'t, str>, Error> {
    if node.tag.as_deref() != Some("tag:yaml.org,2002:binary") {
        return Ok(Cow::Borrowed(text));
    }
    let decoded = crate::bytes::binary(text).map(Cow::Owned);
    let message = "!!binary value contains invalid base64 data";
    decoded.ok_or_else(|| Error::at(node.start, message))
}

fn finite(value: f64, node: &Node) -> Result<f64, Error> {
    match value.is_finite() {
        true => Ok(value),
        false => {
            let message = format!("json: unsupported value: {}", number::format_g(value));
            Err(Error {
                message,
                line: node.start.line,
                column: node.start.column,
            })
        }
    }
}

/// The key of a pair of a mapping.
fn key<'n>(node: &'n Node, value: &Node) -> Result<Cow<'n, str>, Error> {
    let Content::Scalar(text, _) = &node.content else {
        return Err(no_key(node));
    };
    Ok(match node.resolve()? {
        Resolved::Bool(value) => value.to_string().into(),
        Resolved::Int(value) => value.to_string().into(),
        Resolved::Float(value) => match number::format_g32(value).as_str() {
            "+Inf" => ".inf".into(),
            "-Inf" => "-.inf".into(),
            "NaN" => ".nan".into(),
            other => other.to_string().into(),
        },
        Resolved::Timestamp | Resolved::String => string(node, text)?,
        Resolved::Null => {
            let value = go_argument(value);
            let message =
                format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {value}");
            return Err(Error {
                message,
                line: node.start.line,
                column: node.start.column,
            });
        }
        Resolved::Uint(number) => {
            let value = go_argument(value);
            let message =
                format!("unsupported map key of type: uint64, key: {number:#x}, value: {value}");
            return Err(Error {
                message,
                line: node.start.line,
                column: node.start.column,
            });
        }
    })
}

/// `%#v` of a value on its own, where nothing is shown otherwise than inside another.
fn go_argument(node: &Node) -> String {
    match (&node.content, node.resolve()) {
        (Content::Scalar(..), Ok(Resolved::Null)) => "<nil>".to_owned(),
        _ => go_syntax(node),
    }
}

/// `%#v` of what go-yaml decodes a node to, as its messages show keys.
fn go_syntax(node: &Node) -> String {
    match &node.content {
        Content::Scalar(text, _) => match node.resolve() {
            Ok(Resolved::Null) => "interface {}(nil)".to_string(),
            Ok(Resolved::Bool(value)) => value.to_string(),
            Ok(Resolved::Int(value)) => value.to_string(),
            Ok(Resolved::Uint(value)) => format!("{value:#x}"),
            Ok(Resolved::Float(value)) => number::format_g(value),
            _ => go_quoted(text),
        },
        Content::Sequence(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Content::Mapping(pairs) => {
            let mut pairs: Vec<&(Node, Node)> = pairs.iter().collect();
            pairs.sort_by(|(one, _), (other, _)| {
                let [one, other] = [GoKey::of(one), GoKey::of(other)];
                one.partial_cmp(&other).unwrap_or(Ordering::Equal)
            });
            let pairs = pairs.iter();
            let pairs =
                pairs.map(|(key, value)| format!("{}:{}", go_syntax(key), go_syntax(value)));
            let pairs = pairs.collect::<Vec<String>>().join(", ");
            format!("map[interface {{}}]interface {{}}{{{pairs}}}")
        }
    }
}

/// A key of a Go map, in the order in which Go prints them.
#[derive(Debug, PartialEq, PartialOrd)]
enum GoKey {
    Nil,
    Text(String),
    Uint(u64),
    Int(i64),
    NotANumber,
    Float(f64),
    Bool(bool),
    Compound(String),
}

impl GoKey {
    fn of(node: &Node) -> Self {
        let Content::Scalar(text, _) = &node.content else {
            return Self::Compound(go_syntax(node));
        };
        match node.resolve() {
            Ok(Resolved::Null) => Self::Nil,
            Ok(Resolved::Bool(value)) => Self::Bool(value),
            Ok(Resolved::Int(value)) => Self::Int(value),
            Ok(Resolved::Uint(value)) => Self::Uint(value),
            Ok(Resolved::Float(value)) if value.is_nan() => Self::NotANumber,
            Ok(Resolved::Float(value)) => Self::Float(value),
            _ => Self::Text(string(node, text).map_or_else(|_| text.to_string(), Cow::into_owned)),
        }
    }
}

/// A text as Go's `%#v` shows it.
fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        let code = u32::from(c);
        let is_hidden = c != '\'' && c.escape_debug().count() > 1;
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            _ if !is_hidden => out.push(c),
            _ if code < 0x80 => out.push_str(&format!("\\x{code:02x}")),
            _ if code < 0x1_0000 => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        let node = crate::parse_first(text).expect(text).expect(text);
        to_json(&node).expect(text)
    }

    #[test]
    fn scalars_have_the_types_go_gives_them() {
        let cases = [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!(true)),
            ("'yes'", json!("yes")),
            ("~", Value::Null),
            ("NULL", Value::Null),
            ("017", json!(15)),
            ("0o17", json!(15)),
            ("0x1f", json!(31)),
            ("1_000", json!(1000)),
            ("1e3", json!(1000)),
            ("1.50", json!(1.5)),
            ("08", json!(8)),
            ("12:30:45", json!("12:30:45")),
            ("2001-01-01", json!("2001-01-01")),
            ("!!str 5", json!("5")),
            ("12345678901234567890", json!(12345678901234567890u64)),
            (".5", json!(0.5)),
            ("1.2.3", json!("1.2.3")),
            ("0x", json!("0x")),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_become_strings_and_the_last_duplicate_wins() {
        assert_eq!(
            read("n: 1\n2: b\n1.5: c"),
            json!({"false": 1, "2": "b", "1.5": "c"})
        );
        assert_eq!(read("a: 1\na: 2"), json!({"a": 2}));
        let node = crate::parse_first("a: 1\na: 2").unwrap().unwrap();
        let error = to_json_strict(&node).unwrap_err();
        let expected = "yaml: unmarshal errors:\n  line 2: key \"a\" already set in map";
        assert_eq!(error.message, expected);
    }

    #[test]
    fn mistakes_are_met_in_the_order_of_go() {
        let cases = [
            (
                "? \n: a\nb: {[c]: d}",
                "yaml: invalid map key: []interface {}{\"c\"}",
            ),
            (
                "? {[a]: b}\n: c",
                "yaml: invalid map key: []interface {}{\"a\"}",
            ),
            (
                "?\n: a\n?\n: b",
                "unsupported map key of type: %!s(<nil>), key: <nil>, value: \"b\"",
            ),
            (
                "?",
                "unsupported map key of type: %!s(<nil>), key: <nil>, value: <nil>",
            ),
            (
                "a: {b: .nan, ? : {c: 1, c: 2, 10: x, 9: z, ? : none, true: t, -1.5: f}}",
                "unsupported map key of type: %!s(<nil>), key: <nil>, value: \
                 map[interface {}]interface {}{interface {}(nil):\"none\", \"c\":2, 9:\"z\", 10:\"x\", \
                 -1.5:\"f\", true:\"t\"}",
            ),
            (
                "a: .nan\nb: {c: .inf}\na: 1",
                "json: unsupported value: +Inf",
            ),
            (
                "a: !!timestamp x",
                "yaml: cannot decode !!str `x` as a !!timestamp",
            ),
        ];
        for (text, expected) in cases {
            let node = crate::parse_first(text).unwrap().unwrap();
            assert_eq!(to_json(&node).unwrap_err().message, expected, "{text}");
            assert_eq!(check_json(&node).unwrap_err().message, expected, "{text}");
        }
    }

    #[test]
    fn what_a_later_key_replaces_is_not_looked_at() {
        let node = crate::parse_first("a: {? : 1}\nb: .nan\na: 1\nb: 2")
            .unwrap()
            .unwrap();
        assert_eq!(to_json(&node), Ok(json!({"a": 1, "b": 2})));
        assert_eq!(check_json(&node), Ok(()));
        assert!(to_json_strict(&node).is_err());
    }

    #[test]
    fn merge_keys_fill_in() {
        let text = "base: &b {x: 1, z: 2}\nover:\n  <<: *b\n  z: 3\n";
        assert_eq!(read(text)["over"], json!({"x": 1, "z": 3}));
        let node = crate::parse_first(text).unwrap().unwrap();
        assert_eq!(node.at(&["over", "x"]).and_then(Node::as_i64), Some(1));
        assert_eq!(node.at(&["over", "z"]).and_then(Node::as_i64), Some(3));
    }

    #[test]
    fn binary_is_decoded_and_a_negative_zero_kept() {
        assert_eq!(read("a: !!binary aGk="), json!({"a": "hi"}));
        assert_eq!(read("-0.0").as_f64().map(f64::is_sign_negative), Some(true));
        let node = crate::parse_first("a: !!binary ==").unwrap().unwrap();
        let expected = "yaml: !!binary value contains invalid base64 data";
        assert_eq!(to_json(&node).unwrap_err().message, expected);
        assert_eq!(check_json(&node).unwrap_err().message, expected);
    }

    #[test]
    fn a_template_left_in_place_is_named() {
        let node = crate::parse_first("a: {{ b }}").unwrap().unwrap();
        let expected = "yaml: invalid map key: map[interface {}]interface {}\
                        {\"b\":interface {}(nil)}";
        assert_eq!(to_json(&node).unwrap_err().message, expected);
    }
}
