//! `fromToml`: TOML to values. TODO(correctness): Go's texts for what is no TOML.

use std::rc::Rc;

use toml_edit::{DocumentMut, Item, Value as Toml};

use crate::go_time::Time;
use crate::value::{Map, Value};

/// The table a text holds; under `Error` what is wrong with it.
pub(super) fn from_toml(text: &str) -> Value {
    match text.parse::<DocumentMut>() {
        Ok(document) => {
            let map = Map::new();
            for (key, item) in document.as_table() {
                map.insert(key, of_item(item));
            }
            Value::Map(map)
        }
        Err(error) => {
            let map = Map::new();
            let first = error.message().lines().next().unwrap_or_default();
            map.insert("Error", Value::text(format!("toml: {first}")));
            Value::Map(map)
        }
    }
}

fn of_item(item: &Item) -> Value {
    match item {
        Item::None => Value::Nil,
        Item::Value(value) => of_value(value),
        Item::Table(table) => {
            let map = Map::new();
            for (key, item) in table {
                map.insert(key, of_item(item));
            }
            Value::Map(map)
        }
        Item::ArrayOfTables(tables) => {
            let tables = tables
                .iter()
                .map(|table| of_item(&Item::Table(table.clone())));
            Value::list(tables.collect())
        }
    }
}

fn of_value(value: &Toml) -> Value {
    match value {
        Toml::String(text) => Value::text(text.value()),
        Toml::Integer(number) => Value::Int64(*number.value()),
        Toml::Float(number) => Value::Float(*number.value()),
        Toml::Boolean(value) => Value::Bool(*value.value()),
        Toml::Datetime(time) => {
            let text = time.value().to_string();
            let parsed = Time::parse("2006-01-02T15:04:05Z07:00", &text);
            parsed.map_or_else(|_| Value::text(text), |time| Value::Object(Rc::new(time)))
        }
        Toml::Array(items) => Value::list(items.iter().map(of_value).collect()),
        Toml::InlineTable(table) => {
            let map = Map::new();
            for (key, value) in table {
                map.insert(key, of_value(value));
            }
            Value::Map(map)
        }
    }
}
