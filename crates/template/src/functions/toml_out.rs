//! `toToml`: values to TOML, laid out as Helm lays it out.
//!
//! Of a table the plain keys come first, then those that are tables or lists of tables, each with
//! its full name and indented by its depth.

use pilotis_yaml::number;

use crate::go_time::{Duration, Time};
use crate::text::Text;
use crate::value::{List, Map, Object, Value};

/// Deepest nesting written, because a template can put a map into itself.
const DEPTH_MAX: usize = 1000;

/// The TOML of a value, or what keeps it from being TOML.
pub(super) fn to_toml(value: &Value) -> Result<Vec<u8>, String> {
    let mut writer = Writer::default();
    writer.entry(value)?;
    Ok(writer.out)
}

/// Whether a key stands before the tables of its table or among them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Nothing,
    Plain,
    Table,
    Tables,
}

fn form(value: &Value, depth: usize) -> Result<Form, String> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    Ok(match value {
        Value::Missing | Value::Nil => Form::Nothing,
        Value::Map(map) if map.is_nil() => Form::Nothing,
        Value::List(list) if list.is_nil() => Form::Nothing,
        Value::Map(_) => Form::Table,
        Value::List(list) if is_tables(list, depth)? => Form::Tables,
        Value::Object(object) if object.as_any().is::<Time>() => Form::Plain,
        Value::Object(object) if object.as_any().is::<Duration>() => Form::Plain,
        Value::Object(object) => form(&object.data(), depth + 1)?,
        _ => Form::Plain,
    })
}

/// Whether there are items and all of them are tables; nil is no item.
fn is_tables(list: &List, depth: usize) -> Result<bool, String> {
    let mut all = !list.is_empty();
    for item in list.items() {
        match form(item, depth + 1)? {
            Form::Nothing => return Err(nil_item()),
            form => all &= form == Form::Table,
        }
    }
    Ok(all)
}

fn nil_item() -> String {
    "toml: cannot encode array with nil element".to_string()
}

fn too_deep() -> String {
    format!("toml: values are nested deeper than {DEPTH_MAX} levels")
}

#[derive(Default)]
struct Writer {
    out: Vec<u8>,
    /// The key of what is written, each part as it is printed.
    path: Vec<Vec<u8>>,
    /// How many arrays and inline tables are open.
    nesting: usize,
}

impl Writer {
    /// The value of the path, on lines of its own.
    fn entry(&mut self, value: &Value) -> Result<(), String> {
        if self.path.len() > DEPTH_MAX {
            return Err(too_deep());
        }
        match (form(value, 0)?, value) {
            (Form::Nothing, Value::List(_)) if self.path.is_empty() => self.key_and_value(value),
            (Form::Nothing, _) => Ok(()),
            (Form::Plain, value) => self.key_and_value(value),
            (_, Value::Object(object)) => self.table(fields(object.as_ref())),
            (_, Value::Map(map)) => self.table(map.entries()),
            (_, Value::List(list)) => self.tables(list),
            _ => Ok(()),
        }
    }

    fn key_and_value(&mut self, value: &Value) -> Result<(), String> {
        let Some(key) = self.path.last().cloned() else {
            return self.value(value);
        };
        self.indent();
        self.out.extend(key);
        self.out.extend_from_slice(b" = ");
        self.value(value)?;
        self.new_line();
        Ok(())
    }

    fn table(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        if self.path.len() == 1 {
            self.new_line();
        }
        if !self.path.is_empty() {
            self.heading("[", "]");
        }
        self.entries(entries)
    }

    fn tables(&mut self, list: &List) -> Result<(), String> {
        if self.path.is_empty() {
            return Err("toml: top-level values must be Go maps or structs".to_string());
        }
        for item in list.items() {
            self.new_line();
            self.heading("[[", "]]");
            match item {
                Value::Object(object) => self.entries(fields(object.as_ref()))?,
                Value::Map(map) => self.entries(map.entries())?,
                _ => {}
            }
        }
        Ok(())
    }

    fn entries(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        let (plain, tables) = parted(entries)?;
        for (key, value) in plain.iter().chain(&tables) {
            self.path.push(quoted_key(key.bytes()));
            self.entry(value)?;
            self.path.pop();
        }
        Ok(())
    }

    fn heading(&mut self, open: &str, close: &str) {
        self.indent();
        self.out.extend_from_slice(open.as_bytes());
        self.out.extend(self.path.join(&b'.'));
        self.out.extend_from_slice(close.as_bytes());
        self.new_line();
    }

    fn indent(&mut self) {
        let blanks = 2 * self.path.len().saturating_sub(1);
        self.out.extend(std::iter::repeat_n(b' ', blanks));
    }

    fn new_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push(b'\n');
        }
    }

    /// A value behind `=` or in an array.
    fn value(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::Missing | Value::Nil => return Err(nil_item()),
            Value::Bool(value) => self.out.extend(value.to_string().into_bytes()),
            Value::Int(n) | Value::Int64(n) => self.out.extend(n.to_string().into_bytes()),
            Value::Float(n) => self.out.extend(float(*n).into_bytes()),
            Value::String(text) => self.out.extend(quoted(text.bytes())),
            Value::List(list) => self.nested(|writer| writer.array(list))?,
            Value::Map(map) => self.nested(|writer| writer.inline_table(map))?,
            Value::Object(object) => match object.as_any().downcast_ref::<Time>() {
                Some(time) => self.out.extend(time_text(time).into_bytes()),
                None => match object.string().filter(|_| object.as_any().is::<Duration>()) {
                    Some(text) => self.out.extend(quoted(text.as_bytes())),
                    None => self.nested(|writer| writer.value(&object.data()))?,
                },
            },
        }
        Ok(())
    }

    fn nested(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.nesting == DEPTH_MAX {
            return Err(too_deep());
        }
        self.nesting += 1;
        write(self)?;
        self.nesting -= 1;
        Ok(())
    }

    fn array(&mut self, list: &List) -> Result<(), String> {
        self.out.push(b'[');
        for (index, item) in list.items().iter().enumerate() {
            if index > 0 {
                self.out.extend_from_slice(b", ");
            }
            self.value(item)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// A key without a value is left out, the comma after it is not.
    fn inline_table(&mut self, map: &Map) -> Result<(), String> {
        let (plain, tables) = parted(map.entries())?;
        let last = (plain.len() + tables.len()).saturating_sub(1);
        self.out.push(b'{');
        for (index, (key, value)) in plain.iter().chain(&tables).enumerate() {
            if form(value, 0)? == Form::Nothing {
                continue;
            }
            self.out.extend(quoted_key(key.bytes()));
            self.out.extend_from_slice(b" = ");
            self.value(value)?;
            if index < last {
                self.out.extend_from_slice(b", ");
            }
        }
        self.out.push(b'}');
        Ok(())
    }
}

/// A key and its value.
type Entry = (Text, Value);

/// The plain entries, and those that are tables, each by key.
fn parted(entries: Vec<Entry>) -> Result<(Vec<Entry>, Vec<Entry>), String> {
    let (mut plain, mut tables) = (Vec::new(), Vec::new());
    for (key, value) in entries {
        let list = match form(&value, 0)? {
            Form::Table | Form::Tables => &mut tables,
            Form::Nothing | Form::Plain => &mut plain,
        };
        list.push((key, value));
    }
    Ok((plain, tables))
}

/// The fields of a struct that are exported, by their Go names.
fn fields(object: &dyn Object) -> Vec<Entry> {
    let mut fields = object.fields();
    fields.retain(|(name, _)| name.starts_with(|first: char| first.is_ascii_uppercase()));
    let entries = fields
        .into_iter()
        .map(|(name, value)| (Text::new(name), value));
    entries.collect()
}

fn float(number: f64) -> String {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_nan() {
        return format!("{sign}nan");
    }
    if number.is_infinite() {
        return format!("{sign}inf");
    }
    let text = number::format_g(number);
    let point = if text.contains(['.', 'e']) { "" } else { ".0" };
    text + point
}

/// A time; one without a zone is written as it was read.
fn time_text(time: &Time) -> String {
    time.format(match time.format("MST").as_str() {
        "datetime-local" => "2006-01-02T15:04:05.999999999",
        "date-local" => "2006-01-02",
        "time-local" => "15:04:05.999999999",
        _ => "2006-01-02T15:04:05.999999999Z07:00",
    })
}

/// One part of a key, quoted if it must be.
pub(super) fn quoted_key(key: &[u8]) -> Vec<u8> {
    let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.iter().all(is_bare) {
        return key.to_vec();
    }
    quoted(key)
}

fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 | 0x7f => out.extend(format!("\\u{byte:04x}").into_bytes()),
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::super::toml_in::from_toml;
    use super::*;
    use crate::value::ListKind;

    fn written(value: &Value) -> String {
        let text = to_toml(value).unwrap_or_else(String::into_bytes);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The right side is what Helm 4.2.4 printed.
    #[test]
    fn tables_are_laid_out_as_helm_lays_them_out() {
        for (text, expected) in [
            (
                "a=1\n[t]\nb=2\n[[t.l]]\nc=3\n[[t.l]]\n[t.u]\n",
                "a = 1\n\n[t]\n  b = 2\n\n  [[t.l]]\n    c = 3\n\n  [[t.l]]\n  [t.u]\n",
            ),
            (
                "a=[{b=1},2]\nc=[[{d={e=1}, f=2}]]",
                "a = [{b = 1}, 2]\nc = [[{f = 2, d = {e = 1}}]]\n",
            ),
            (
                "a=inf\nb=-inf\nc=nan\nd=-nan\ne=1e6\nf=100000.0\ng=-0.0",
                "a = inf\nb = -inf\nc = nan\nd = -nan\ne = 1e+06\nf = 100000.0\ng = -0.0\n",
            ),
            (
                "a=1979-05-27T07:32:00.5Z\nb=1979-05-27T07:32:00+02:00\n\
                 c=1979-05-27T07:32:00\nd=1979-05-27\ne=07:32:00.25",
                "a = 1979-05-27T07:32:00.5Z\nb = 1979-05-27T07:32:00+02:00\n\
                 c = 1979-05-27T07:32:00\nd = 1979-05-27\ne = 07:32:00.25\n",
            ),
            (
                "\"\"=1\n\"a b\".\"c.d\"=\"\\\"\\\\\\n\\t\\u0001\\u007f\"",
                "\"\" = 1\n\n[\"a b\"]\n  \"c.d\" = \"\\\"\\\\\\n\\t\\u0001\\u007f\"\n",
            ),
            (
                "a=[]\nb={}\nc=[[],[1]]\n[[d]]\n[[d]]",
                "a = []\nc = [[], [1]]\n\n[b]\n\n[[d]]\n\n[[d]]\n",
            ),
            ("", ""),
        ] {
            assert_eq!(written(&from_toml(text.as_bytes())), expected);
        }
    }

    #[test]
    fn what_is_no_toml_is_refused() {
        let nil = Value::list(vec![Value::list(vec![Value::Nil])]);
        assert_eq!(written(&nil), nil_item());
        let tables = Value::List(List::new(ListKind::Maps, vec![Value::Map(Map::new())]));
        let expected = "toml: top-level values must be Go maps or structs";
        assert_eq!(written(&tables), expected);
    }

    #[test]
    fn depth_is_bounded() {
        let map = Map::new();
        map.insert("a", Value::Map(map.clone()));
        assert_eq!(written(&Value::Map(map.clone())), too_deep());
        let list = Value::list(vec![Value::Int(1), Value::Map(map.clone())]);
        assert_eq!(written(&list), too_deep());
        map.remove(b"a");
        let mut list = Value::list(Vec::new());
        for _ in 0..=DEPTH_MAX {
            list = Value::list(vec![list]);
        }
        assert_eq!(written(&list), too_deep());
    }
}
