//! Helm's own functions: other templates, YAML, JSON, TOML, and the words of failure.

use serde_json::Value as Json;

use pilotis_yaml::{Flavour, emit, emit_with};

use super::{Args, Function, Outcome, Type, fixed};
use crate::convert::{json_text, json_text_pretty, unmarked};
use crate::error::Error;
use crate::exec::{Machine, Note};
use crate::go_json;
use crate::text::Text;
use crate::value::{List, ListKind, Map, MapKind, Value};

pub(super) const TABLE: &[Function] = &[
    fixed("include", &[Type::String, Type::Any], |m, a| {
        m.include(&a.text(0), a.value(1))
    }),
    fixed("tpl", &[Type::String, Type::Any], |m, a| {
        m.tpl(&a.text(0), a.value(1))
    }),
    fixed("required", &[Type::String, Type::Any], required),
    fixed("fail", &[Type::String], |m, a| {
        if m.environment.is_lint() {
            m.notes.push(Note::Failed(a.string(0)));
            Ok(Value::text(""))
        } else {
            Err(wrapped(&a.string(0)))
        }
    }),
    fixed(
        "lookup",
        &[Type::String, Type::String, Type::String, Type::String],
        lookup,
    ),
    fixed("getHostByName", &[Type::String], |_, _| Ok(Value::text(""))),
    fixed("toYaml", &[Type::Any], |m, a| {
        let text = yaml(m, a.value(0))?.unwrap_or_default();
        Ok(Value::text(text.strip_suffix('\n').unwrap_or(&text)))
    }),
    fixed("mustToYaml", &[Type::Any], |m, a| {
        let text = yaml(m, a.value(0))?.map_err(Error::plain)?;
        Ok(Value::text(text.strip_suffix('\n').unwrap_or(&text)))
    }),
    fixed("toYamlPretty", &[Type::Any], |_, a| {
        let read = a.value(0).to_json_and_stand_ins();
        let written = |(json, stand_ins)| emit_with(&json, Flavour::GoV3, &stand_ins);
        let text = read.map(written).unwrap_or_default();
        Ok(Value::text(text.strip_suffix('\n').unwrap_or(&text)))
    }),
    fixed("fromYaml", &[Type::String], |_, a| {
        Ok(from_yaml(&a.text(0)))
    }),
    fixed("fromYamlArray", &[Type::String], |_, a| {
        Ok(from_yaml_array(&a.text(0)))
    }),
    fixed("fromToml", &[Type::String], |_, a| {
        Ok(super::toml_in::from_toml(a.text(0).bytes()))
    }),
    fixed("toJson", &[Type::Any], |_, a| {
        Ok(Value::text(json(a, true).unwrap_or_default()))
    }),
    fixed("mustToJson", &[Type::Any], |_, a| {
        Ok(Value::text(json(a, true)?))
    }),
    fixed("toRawJson", &[Type::Any], |_, a| {
        Ok(Value::text(json(a, false)?))
    }),
    fixed("mustToRawJson", &[Type::Any], |_, a| {
        Ok(Value::text(json(a, false)?))
    }),
    fixed("toPrettyJson", &[Type::Any], |_, a| {
        Ok(Value::text(pretty(a).unwrap_or_default()))
    }),
    fixed("mustToPrettyJson", &[Type::Any], |_, a| {
        Ok(Value::text(pretty(a)?))
    }),
    fixed("fromJson", &[Type::String], |_, a| {
        Ok(from_json(a.text(0).bytes()))
    }),
    fixed("mustFromJson", &[Type::String], |_, a| {
        let json = go_json::read_json(a.text(0).bytes());
        json.map(|json| Value::from_json(&json))
            .map_err(Error::plain)
    }),
    fixed("fromJsonArray", &[Type::String], |_, a| {
        Ok(from_json_array(a.text(0).bytes()))
    }),
    fixed("toToml", &[Type::Any], |_, a| match a.value(0).is_nil() {
        true => Err(toml(a).err().unwrap_or_default().into()),
        false => Ok(Value::text(toml(a).unwrap_or_else(String::into_bytes))),
    }),
    fixed("mustToToml", &[Type::Any], |_, a| Ok(Value::text(toml(a)?))),
];

fn wrapped(message: &str) -> Error {
    Error::plain(format!("HELM_ERR_START{message}HELM_ERR_END"))
}

fn required(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let value = args.value(1);
    let missing = match value {
        Value::String(text) => text.bytes().is_empty(),
        other => other.is_nil(),
    };
    match (missing, machine.environment.is_lint()) {
        (false, _) => Ok(value.clone()),
        (true, true) => {
            let text = args.string(0);
            let is_text = matches!(value, Value::String(_));
            machine.notes.push(Note::Missing { text, is_text });
            Ok(Value::text(""))
        }
        (true, false) => Err(wrapped(&args.string(0))),
    }
}

fn lookup(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let words: Vec<String> = (0..4).map(|index| args.string(index)).collect();
    let query = [&*words[0], &*words[1], &*words[2], &*words[3]];
    let found = machine.environment.lookup(query)?;
    Ok(Value::from_object(&found))
}

/// A value as YAML with its last line end, or why there is none.
pub(crate) fn yaml(
    machine: &mut Machine<'_>,
    value: &Value,
) -> Result<Result<String, String>, Error> {
    let json = match value.to_json() {
        Ok(json) => json,
        Err(error) => return Ok(Err(format!("error marshaling into JSON: {error}"))),
    };
    if holds_controls(&json) {
        return Ok(Err("yaml: control characters are not allowed".to_owned()));
    }
    if breaks_keys(&json) {
        return Ok(Err("yaml: did not find expected ',' or '}'".to_owned()));
    }
    let text = emit(&json, Flavour::GoV2);
    machine.check_size(text.len())?;
    Ok(Ok(text))
}

/// Whether a text holds a character that JSON writes as it is and the YAML reader refuses.
fn holds_controls(json: &Json) -> bool {
    let refused =
        |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    let bad = |text: &str| text.chars().any(refused);
    match json {
        Json::String(text) => bad(text),
        Json::Array(items) => items.iter().any(holds_controls),
        Json::Object(map) => map
            .iter()
            .any(|(key, value)| bad(key) || holds_controls(value)),
        _ => false,
    }
}

/// Longest key the YAML reader takes, quotes included.
const KEY_CHARS_MAX: usize = 1024;

/// Whether a key holds a line break of YAML that JSON writes as it is, or is too long.
fn breaks_keys(json: &Json) -> bool {
    let bad = |key: &str| {
        key.contains('\u{85}') || (key.len() > 100 && key.chars().count() + 2 > KEY_CHARS_MAX)
    };
    match json {
        Json::Array(items) => items.iter().any(breaks_keys),
        Json::Object(map) => map
            .iter()
            .any(|(key, value)| bad(key) || breaks_keys(value)),
        _ => false,
    }
}

fn json(args: &Args, escape_html: bool) -> Result<String, String> {
    let text = json_text(&args.value(0).to_json_marked()?, escape_html);
    Ok(unmarked(text))
}

fn pretty(args: &Args) -> Result<String, String> {
    let text = json_text_pretty(&args.value(0).to_json_marked()?);
    Ok(unmarked(text))
}

/// What Go calls a JSON value it cannot decode into the wanted type.
pub(crate) fn json_kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "bool",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn parse_yaml(text: &Text) -> Result<Json, String> {
    let converted = match pilotis_yaml::parse_first_bytes(text.bytes()) {
        Ok(None) => return Ok(Json::Null),
        Ok(Some(node)) => pilotis_yaml::to_json(&node),
        Err(error) => Err(error),
    };
    converted.map_err(|error| format!("error converting YAML to JSON: {error}"))
}

fn from_yaml(text: &Text) -> Value {
    let failed = |message: String| error_map(&message);
    match parse_yaml(text) {
        Ok(Json::Object(map)) => Value::from_json(&Json::Object(map)),
        Ok(Json::Null) => Value::Map(Map::new()),
        Ok(other) => failed(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value \
             of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(error) => failed(error),
    }
}

fn error_map(message: &str) -> Value {
    let map = Map::new();
    map.insert("Error", Value::text(message));
    Value::Map(map)
}

fn from_yaml_array(text: &Text) -> Value {
    match parse_yaml(text) {
        Ok(Json::Array(items)) => Value::from_json(&Json::Array(items)),
        Ok(Json::Null) => Value::list(Vec::new()),
        Ok(other) => Value::list(vec![Value::text(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value \
             of type []interface {{}}",
            json_kind(&other)
        ))]),
        Err(error) => Value::list(vec![Value::text(error)]),
    }
}

fn from_json(text: &[u8]) -> Value {
    match go_json::read_json(text) {
        Ok(json @ Json::Object(_)) => Value::from_json(&json),
        Ok(Json::Null) => Value::Map(Map::of_kind(MapKind::NilAny)),
        Ok(other) => error_map(&format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            json_kind(&other)
        )),
        Err(mistake) => error_map(&mistake),
    }
}

fn from_json_array(text: &[u8]) -> Value {
    match go_json::read_json(text) {
        Ok(json @ Json::Array(_)) => Value::from_json(&json),
        Ok(Json::Null) => Value::List(List::nil(ListKind::Any)),
        Ok(other) => Value::list(vec![Value::text(format!(
            "json: cannot unmarshal {} into Go value of type []interface {{}}",
            json_kind(&other)
        ))]),
        Err(mistake) => Value::list(vec![Value::text(mistake)]),
    }
}

fn toml(args: &Args) -> Result<Vec<u8>, String> {
    if args.value(0).is_nil() {
        return Err("reflect: call of reflect.Value.Type on zero Value".to_string());
    }
    super::toml_out::to_toml(args.value(0))
}
