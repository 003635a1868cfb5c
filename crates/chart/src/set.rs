//! The `--set` grammars: `a.b=c,d[0].e={x,y}` into values.

use std::num::{IntErrorKind, ParseIntError};

use pilotis_template::quote;
use serde_json::{Map, Value as Json};

/// How the right-hand side is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// `--set`: typed.
    Typed,
    /// `--set-string` and `--set-file`: always text.
    Text,
    /// `--set-json`.
    Json,
    /// `--set-literal`: everything after `=` as it is.
    Literal,
}

/// Gives the content of a file by its path.
pub(crate) type Contents<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Largest list index.
const INDEX_MAX: usize = 65_536;
/// Deepest dotted name.
const DEPTH_MAX: u32 = 30;

/// How one flag is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) grammar: Grammar,
    /// Gives the content behind a path, for `--set-file`.
    pub(crate) file: Option<Contents<'a>>,
    /// Whether an index that is not closed ends the text; otherwise it is an error.
    pub(crate) open_index_ends: bool,
}

/// Reads one flag's value into `values`.
pub(crate) fn parse_into(
    text: &str,
    reading: Reading<'_>,
    values: &mut Map<String, Json>,
) -> Result<(), String> {
    let chars: Vec<char> = text.chars().collect();
    let mut parser = Parser {
        chars,
        at: 0,
        grammar: reading.grammar,
        reading,
    };
    while parser.key(values, 0)? {}
    Ok(())
}

struct Parser<'a> {
    chars: Vec<char>,
    at: usize,
    grammar: Grammar,
    reading: Reading<'a>,
}

impl Parser<'_> {
    /// Characters until one of `stops`, escapes removed; none as the stop at the end.
    fn until(&mut self, stops: &str) -> (String, Option<char>) {
        let mut out = String::new();
        while let Some(c) = self.chars.get(self.at).copied() {
            self.at += 1;
            match c {
                c if stops.contains(c) => return (out, Some(c)),
                '\\' if self.grammar != Grammar::Literal => match self.chars.get(self.at) {
                    Some(next) => {
                        out.push(*next);
                        self.at += 1;
                    }
                    None => return (out, None),
                },
                c => out.push(c),
            }
        }
        (out, None)
    }

    /// One `name=value`; false at the end of the text.
    fn key(&mut self, values: &mut Map<String, Json>, depth: u32) -> Result<bool, String> {
        let stops = if self.grammar == Grammar::Literal {
            "=[."
        } else {
            "=[,."
        };
        let (name, stop) = self.until(stops);
        match stop {
            None if name.is_empty() => Ok(false),
            None => Err(format!("key {} has no value", quote(name.as_bytes()))),
            Some('[') => {
                let Some(index) = self.index()? else {
                    return Ok(false);
                };
                let mut list = match values.get(&name) {
                    Some(Json::Array(items)) => items.clone(),
                    None => Vec::new(),
                    Some(found) => return Err(unexpected(found, "[]interface {}")),
                };
                let more = self.item(&mut list, index, depth);
                put(values, name, Json::Array(list));
                more
            }
            Some('=') => {
                let (value, more) = self.value()?;
                put(values, name, value);
                Ok(more)
            }
            Some(',') => {
                let name_shown = quote(name.as_bytes());
                let message = format!("key {name_shown} has no value (cannot end with ,)");
                put(values, name, Json::String(String::new()));
                Err(message)
            }
            Some(_) => self.nested(values, name, depth),
        }
    }

    fn nested(
        &mut self,
        values: &mut Map<String, Json>,
        name: String,
        depth: u32,
    ) -> Result<bool, String> {
        if depth + 1 > DEPTH_MAX {
            return Err(format!(
                "value name nested level is greater than maximum supported nested level of {DEPTH_MAX}"
            ));
        }
        let mut inner = match values.get(&name) {
            Some(Json::Object(map)) => map.clone(),
            None => Map::new(),
            Some(found) => return Err(unexpected(found, "map[string]interface {}")),
        };
        let more = self.key(&mut inner, depth + 1);
        if matches!(more, Ok(true)) && inner.is_empty() {
            return Err(format!("key map {} has no value", quote(name.as_bytes())));
        }
        if !inner.is_empty() {
            put(values, name, Json::Object(inner));
        }
        more
    }

    /// The number between brackets; none when the text ends within them.
    fn index(&mut self) -> Result<Option<i64>, String> {
        let (text, stop) = self.until("]");
        if stop.is_none() {
            return match self.reading.open_index_ends {
                true => Ok(None),
                false => Err("error parsing index: EOF".to_string()),
            };
        }
        let number = text.parse().map_err(|error: ParseIntError| {
            let why = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            let shown = quote(text.as_bytes());
            format!("error parsing index: strconv.Atoi: parsing {shown}: {why}")
        })?;
        Ok(Some(number))
    }

    fn item(&mut self, list: &mut Vec<Json>, index: i64, depth: u32) -> Result<bool, String> {
        let index =
            usize::try_from(index).map_err(|_| format!("negative {index} index not allowed"))?;
        let (extra, stop) = self.until("[.=");
        if !extra.is_empty() {
            let chars: Vec<String> = extra.chars().map(quoted_char).collect();
            let chars = chars.join(" ");
            return Err(format!("unexpected data at end of array index: [{chars}]"));
        }
        let existing = list.get(index).cloned();
        let (value, more) = match stop {
            None => return Ok(false),
            Some('=') => (self.value()?.0, true),
            Some('[') => {
                let Some(inner_index) = self.index()? else {
                    return Ok(false);
                };
                let mut inner = match existing {
                    Some(Json::Array(items)) => items,
                    Some(Json::Null) | None => Vec::new(),
                    Some(found) => return Err(unexpected(&found, "[]interface {}")),
                };
                if depth + 1 > DEPTH_MAX {
                    return Err("lists are nested too deeply".to_string());
                }
                if !self.item(&mut inner, inner_index, depth + 1)? {
                    return Ok(false);
                }
                (Json::Array(inner), true)
            }
            Some(_) => {
                let mut inner = match existing {
                    Some(Json::Object(map)) => map,
                    _ => Map::new(),
                };
                if depth + 1 > DEPTH_MAX {
                    return Err("maps are nested too deeply".to_string());
                }
                let more = self.key(&mut inner, depth + 1)?;
                // A text that ends here adds to what there is and makes nothing new.
                if !more && index >= list.len() {
                    return Ok(false);
                }
                (Json::Object(inner), more)
            }
        };
        if index > INDEX_MAX {
            return Err(format!(
                "index of {index} is greater than maximum supported index of {INDEX_MAX}"
            ));
        }
        while list.len() <= index {
            list.push(Json::Null);
        }
        list[index] = value;
        Ok(more)
    }

    /// What follows `=`, and whether something follows it.
    fn value(&mut self) -> Result<(Json, bool), String> {
        match self.grammar {
            Grammar::Json => return self.json(),
            Grammar::Literal => {
                let text: String = self.chars[self.at..].iter().collect();
                self.at = self.chars.len();
                return Ok((Json::String(text), true));
            }
            Grammar::Typed | Grammar::Text => {}
        }
        match self.chars.get(self.at) {
            None => Ok((Json::String(String::new()), false)),
            Some('{') => {
                self.at += 1;
                self.list().map(|list| (list, true))
            }
            Some(_) => {
                let (text, _) = self.until(",");
                // At the end, too: the next name is then empty, which ends it.
                Ok((self.typed(text)?, true))
            }
        }
    }

    fn list(&mut self) -> Result<Json, String> {
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(",}");
            match stop {
                None => return Err("list must terminate with '}'".to_string()),
                Some('}') => {
                    items.push(self.typed(text)?);
                    if self.chars.get(self.at) == Some(&',') {
                        self.at += 1;
                    }
                    return Ok(Json::Array(items));
                }
                Some(_) => items.push(self.typed(text)?),
            }
        }
    }

    fn typed(&self, text: String) -> Result<Json, String> {
        if let Some(file) = self.reading.file {
            return file(&text).map(Json::String);
        }
        if self.grammar == Grammar::Text {
            return Ok(Json::String(text));
        }
        let word = text.to_ascii_lowercase();
        Ok(match word.as_str() {
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            "null" => Json::Null,
            "0" => Json::from(0),
            _ if word.starts_with('0') => Json::String(text),
            _ => match text.parse::<i64>() {
                Ok(number) => Json::from(number),
                Err(_) => Json::String(text),
            },
        })
    }

    fn json(&mut self) -> Result<(Json, bool), String> {
        if self.skip_blanks() {
            return Ok((Json::Null, true));
        }
        let rest: String = self.chars[self.at..].iter().collect();
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Json>();
        let value = match stream.next() {
            Some(Ok(value)) => super::values::floats(value),
            Some(Err(error)) => return Err(error.to_string()),
            None => Json::Null,
        };
        let read = rest[..stream.byte_offset()].chars().count();
        self.at += read;
        self.skip_blanks();
        Ok((value, true))
    }

    /// Skips blanks and one comma; true when that was all up to a comma or the end.
    fn skip_blanks(&mut self) -> bool {
        while let Some(c) = self.chars.get(self.at) {
            if *c == ',' {
                self.at += 1;
                return true;
            }
            if !c.is_whitespace() {
                return false;
            }
            self.at += 1;
        }
        true
    }
}

/// What a name finds in the place of the list or map it goes on in, in Go's words.
fn unexpected(found: &Json, wanted: &str) -> String {
    let kind = match found {
        Json::Null => "nil",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    };
    format!("unable to parse key: interface conversion: interface {{}} is {kind}, not {wanted}")
}

/// A character as Go's `%q` shows it.
fn quoted_char(c: char) -> String {
    let text = quote(c.encode_utf8(&mut [0; 4]).as_bytes());
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        _ => format!("'{}'", &text[1..text.len() - 1]),
    }
}

fn put(values: &mut Map<String, Json>, name: String, value: Json) {
    if !name.is_empty() {
        values.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(text: &str, grammar: Grammar) -> Result<Json, String> {
        let mut values = Map::new();
        let reading = Reading {
            grammar,
            file: None,
            open_index_ends: true,
        };
        parse_into(text, reading, &mut values)?;
        Ok(Json::Object(values))
    }

    #[test]
    fn set_reads_names_types_and_lists() {
        let cases = [
            ("a=1,b=x", json!({"a": 1, "b": "x"})),
            (
                "a.b.c=true,a.d=null",
                json!({"a": {"b": {"c": true}, "d": null}}),
            ),
            ("a={x,1}", json!({"a": ["x", 1]})),
            ("a[1].b=c", json!({"a": [null, {"b": "c"}]})),
            ("a[0][1]=2", json!({"a": [[null, 2]]})),
            ("a[1][0]", json!({"a": []})),
            ("a[1].", json!({"a": []})),
            ("a=1,b[", json!({"a": 1})),
            ("a[-0]=1", json!({"a": [1]})),
            ("a=1.5,b=0123,c=0", json!({"a": "1.5", "b": "0123", "c": 0})),
            ("a\\.b=c\\,d", json!({"a.b": "c,d"})),
            ("a=", json!({"a": ""})),
            ("a=,b=1", json!({"a": "", "b": 1})),
            ("", json!({})),
        ];
        for (text, expected) in cases {
            assert_eq!(set(text, Grammar::Typed), Ok(expected), "{text}");
        }
        assert_eq!(set("a=1", Grammar::Text), Ok(json!({"a": "1"})));
        assert_eq!(
            set("a.b={x},y", Grammar::Literal),
            Ok(json!({"a": {"b": "{x},y"}}))
        );
        let json = set("a={\"x\":[1]},b=null,c=\"s\"", Grammar::Json);
        assert_eq!(json, Ok(json!({"a": {"x": [1.0]}, "b": null, "c": "s"})));
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("a", "key \"a\" has no value"),
            ("a,b=1", "key \"a\" has no value (cannot end with ,)"),
            ("a={x", "list must terminate with '}'"),
            ("a[-1]=x", "negative -1 index not allowed"),
            ("a[0][-1]=x", "negative -1 index not allowed"),
            (
                "a.b=1,a[-1]=x",
                "unable to parse key: interface conversion: interface {} is map[string]interface {}, not []interface {}",
            ),
            ("\u{b}", "key \"\\v\" has no value"),
            (
                "a[0]'\r=x",
                "unexpected data at end of array index: ['\\'' '\\r']",
            ),
            (
                "a[99999999999999999999]=x",
                "error parsing index: strconv.Atoi: parsing \"99999999999999999999\": value out of range",
            ),
            (
                "a[99999]=x",
                "index of 99999 is greater than maximum supported index of 65536",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                set(text, Grammar::Typed),
                Err(expected.to_string()),
                "{text}"
            );
        }
    }
}
