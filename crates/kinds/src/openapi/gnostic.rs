//! The v2 document in the protobuf form that Go clients ask for
//! (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`).
//!
//! The field numbers are those of gnostic's `openapi.v2` messages. Only what [`v2`](super::v2)
//! writes is encoded; extensions travel as JSON text, which is YAML.

use serde_json::{Map, Value};

/// Encodes a document of [`v2`](super::v2).
pub fn gnostic(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    out.message(2, |info| {
        info.text(1, &document["info"]["title"]);
        info.text(2, &document["info"]["version"]);
    });
    out.message(8, |paths| {
        named(paths, 2, &document["paths"], path_item);
    });
    out.message(9, |definitions| {
        named(definitions, 1, &document["definitions"], schema);
    });
    out.0
}

/// A message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field << 3 | 2));
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    /// Text; nothing when there is none.
    fn text(&mut self, field: u32, value: &Value) {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty()) {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u32, values: &Value) {
        for text in values
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            self.bytes(field, text.as_bytes());
        }
    }

    fn flag(&mut self, field: u32, value: &Value) {
        if value == &Value::Bool(true) {
            self.varint(u64::from(field << 3));
            self.0.push(1);
        }
    }

    /// Everything that starts with `x-`.
    fn extensions(&mut self, field: u32, fields: &Map<String, Value>) {
        for (name, value) in fields.iter().filter(|(name, _)| name.starts_with("x-")) {
            self.message(field, |entry| {
                entry.bytes(1, name.as_bytes());
                entry.message(2, |any| any.bytes(2, value.to_string().as_bytes()));
            });
        }
    }
}

/// Entries of an object as messages of name and value.
fn named(out: &mut Message, field: u32, entries: &Value, write: fn(&mut Message, &Value)) {
    for (name, value) in entries.as_object().into_iter().flatten() {
        out.message(field, |entry| {
            entry.bytes(1, name.as_bytes());
            entry.message(2, |inner| write(inner, value));
        });
    }
}

fn path_item(out: &mut Message, item: &Value) {
    for (field, method) in [
        (2, "get"),
        (3, "put"),
        (4, "post"),
        (5, "delete"),
        (8, "patch"),
    ] {
        if let Some(value) = item.get(method) {
            out.message(field, |inner| operation(inner, value));
        }
    }
    parameters(out, 9, &item["parameters"]);
}

fn operation(out: &mut Message, operation: &Value) {
    out.texts(1, &operation["tags"]);
    out.text(5, &operation["operationId"]);
    out.texts(6, &operation["produces"]);
    out.texts(7, &operation["consumes"]);
    parameters(out, 8, &operation["parameters"]);
    out.message(9, |responses| {
        named(responses, 1, &operation["responses"], response)
    });
    if let Some(fields) = operation.as_object() {
        out.extensions(13, fields);
    }
}

fn response(out: &mut Message, value: &Value) {
    out.message(1, |response| {
        response.text(1, &value["description"]);
        if let Some(told) = value.get("schema").filter(|told| told.is_object()) {
            response.message(2, |item| item.message(1, |inner| schema(inner, told)));
        }
    });
}

fn parameters(out: &mut Message, field: u32, parameters: &Value) {
    for value in parameters.as_array().into_iter().flatten() {
        out.message(field, |item| item.message(1, |one| parameter(one, value)));
    }
}

fn parameter(out: &mut Message, value: &Value) {
    match value["in"].as_str() {
        Some("body") => out.message(1, |body| {
            body.text(2, &value["name"]);
            body.text(3, &value["in"]);
            body.flag(4, &value["required"]);
            body.message(5, |inner| schema(inner, &value["schema"]));
        }),
        Some("path") => out.message(2, |other| {
            other.message(4, |path| {
                path.flag(1, &value["required"]);
                path.text(2, &value["in"]);
                path.text(4, &value["name"]);
                path.text(5, &value["type"]);
                path.flag(19, &value["uniqueItems"]);
            });
        }),
        _ => out.message(2, |other| {
            other.message(3, |query| {
                query.flag(1, &value["required"]);
                query.text(2, &value["in"]);
                query.text(4, &value["name"]);
                query.text(6, &value["type"]);
                query.flag(20, &value["uniqueItems"]);
            });
        }),
    }
}

fn schema(out: &mut Message, value: &Value) {
    let Some(fields) = value.as_object() else {
        return;
    };
    out.text(1, &value["$ref"]);
    out.text(2, &value["format"]);
    out.text(3, &value["title"]);
    out.text(4, &value["description"]);
    out.text(13, &value["pattern"]);
    out.texts(19, &value["required"]);
    for word in value["enum"].as_array().into_iter().flatten() {
        out.message(20, |any| any.bytes(2, word.to_string().as_bytes()));
    }
    match &value["additionalProperties"] {
        Value::Bool(allowed) => out.message(21, |item| {
            item.varint(2 << 3);
            item.0.push(u8::from(*allowed));
        }),
        told @ Value::Object(_) => {
            out.message(21, |item| item.message(1, |inner| schema(inner, told)));
        }
        _ => {}
    }
    if value["type"].is_string() {
        out.message(22, |item| item.text(1, &value["type"]));
    }
    if value["items"].is_object() {
        out.message(23, |item| {
            item.message(1, |inner| schema(inner, &value["items"]))
        });
    }
    if value["properties"].is_object() {
        out.message(25, |properties| {
            named(properties, 1, &value["properties"], schema)
        });
    }
    out.extensions(31, fields);
}
