//! The one `OpenAPI` v2 document, made from the v3 documents.
//!
//! Old clients (`kubectl` up to 1.27) and tools that read the whole API at once want it. Version 2
//! knows no `oneOf`: quantities become text, and what a custom schema says with it is left out.

use serde_json::{Map, Value, json};

/// Words of version 3 that version 2 has no place for.
const LEFT_OUT: &[&str] = &["oneOf", "anyOf", "allOf", "not", "nullable", "default"];

/// One document of all `documents` of [`v3`](super::v3).
pub fn v2<'a>(documents: impl IntoIterator<Item = &'a Value>) -> Value {
    let (mut definitions, mut paths) = (Map::new(), Map::new());
    for document in documents {
        let schemas = document["components"]["schemas"].as_object();
        for (name, schema) in schemas.into_iter().flatten() {
            let known = definitions
                .entry(name.clone())
                .or_insert_with(|| definition(schema));
            merge_kinds(known, schema);
        }
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            paths.insert(path.clone(), path_item(item));
        }
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths,
        "definitions": definitions,
    })
}

/// A shared type such as `DeleteOptions` stands for a kind in every group.
fn merge_kinds(known: &mut Value, schema: &Value) {
    let key = "x-kubernetes-group-version-kind";
    for kind in schema[key].as_array().into_iter().flatten() {
        match known[key].as_array_mut() {
            Some(kinds) if !kinds.contains(kind) => kinds.push(kind.clone()),
            Some(_) => {}
            None => known[key] = json!([kind]),
        }
    }
}

fn definition(schema: &Value) -> Value {
    let key = "x-kubernetes-group-version-kind";
    if let Some(kinds) = schema.get(key).filter(|_| is_open(schema)) {
        return json!({"type": "object", key: kinds});
    }
    match schema.get("oneOf") {
        Some(_) if schema["format"] == "int-or-string" => {
            json!({"type": "string", "format": "int-or-string"})
        }
        Some(_) if schema.get("properties").is_none() => json!({"type": "string"}),
        _ => convert(schema),
    }
}

/// A custom kind that keeps every field: version 2 cannot say more of it than that it is an object.
fn is_open(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

fn convert(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else {
        return schema.clone();
    };
    let mut out = Map::new();
    let reference = schema["allOf"][0]["$ref"]
        .as_str()
        .or_else(|| schema["$ref"].as_str());
    if let Some(target) = reference.and_then(|r| r.strip_prefix("#/components/schemas/")) {
        out.insert("$ref".to_owned(), format!("#/definitions/{target}").into());
    }
    for (key, value) in fields
        .iter()
        .filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()))
    {
        let value = match (key.as_str(), value) {
            ("$ref", _) => continue,
            ("properties", Value::Object(fields)) => fields
                .iter()
                .map(|(name, field)| (name.clone(), convert(field)))
                .collect(),
            ("items" | "additionalProperties", Value::Object(_)) => convert(value),
            _ => value.clone(),
        };
        out.insert(key.clone(), value);
    }
    out.into()
}

fn path_item(item: &Value) -> Value {
    let entries = item.as_object().into_iter().flatten().map(|(key, value)| {
        let value = match key.as_str() {
            "parameters" => value
                .as_array()
                .into_iter()
                .flatten()
                .map(parameter)
                .collect(),
            _ => operation(value),
        };
        (key.clone(), value)
    });
    entries.collect::<Map<_, _>>().into()
}

fn parameter(parameter: &Value) -> Value {
    let mut out = parameter.clone();
    if let Some(fields) = out.as_object_mut()
        && let Some(Value::Object(schema)) = fields.remove("schema")
    {
        fields.extend(schema);
    }
    out
}

fn media(content: &Value) -> (Vec<&String>, Value) {
    let fields = content.as_object();
    let first = fields.and_then(|fields| fields.values().next());
    let schema = first.map_or(Value::Null, |media| convert(&media["schema"]));
    (
        fields.into_iter().flatten().map(|(name, _)| name).collect(),
        schema,
    )
}

fn operation(operation: &Value) -> Value {
    let mut out = operation.clone();
    let Some(fields) = out.as_object_mut() else {
        return out;
    };
    fields.remove("requestBody");
    let mut parameters: Vec<Value> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .map(parameter)
        .collect();
    if let Some(body) = operation.get("requestBody") {
        let (consumes, schema) = media(&body["content"]);
        let required = body["required"] == true;
        parameters
            .push(json!({"name": "body", "in": "body", "required": required, "schema": schema}));
        fields.insert("consumes".to_owned(), json!(consumes));
    }
    fields.insert("parameters".to_owned(), parameters.into());
    let (produces, schema) = media(&operation["responses"]["200"]["content"]);
    fields.insert("produces".to_owned(), json!(produces));
    fields.insert(
        "responses".to_owned(),
        json!({
            "200": {"description": "OK", "schema": schema},
            "401": {"description": "Unauthorized"},
        }),
    );
    out
}
