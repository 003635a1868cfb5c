//! Columns that a `CustomResourceDefinition` declares, by JSONPath.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Column, JsonPath, PathError};
use crate::time;

/// The columns of one version of a custom kind.
#[derive(Debug, Clone)]
pub struct CustomColumns {
    columns: Vec<Column>,
    paths: Vec<JsonPath>,
}

impl CustomColumns {
    /// From `additionalPrinterColumns`; without any, upstream shows the age.
    ///
    /// # Errors
    /// The first path that cannot be read.
    pub fn new(declared: &[Value]) -> Result<Self, PathError> {
        let age =
            [json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})];
        let declared = if declared.is_empty() { &age } else { declared };
        let mut columns = vec![super::column("Name*")];
        let mut paths = Vec::with_capacity(declared.len());
        for column in declared {
            let text = |key: &str| column[key].as_str().unwrap_or_default().to_owned();
            let path = text("jsonPath");
            paths.push(JsonPath::parse(&path)?);
            let told = text("description");
            let description = match told.is_empty() {
                true => format!("Custom resource definition column (in JSONPath format): {path}"),
                false => told,
            };
            columns.push(Column {
                name: text("name"),
                ty: text("type"),
                format: text("format"),
                description,
                priority: column["priority"].as_i64().unwrap_or_default(),
            });
        }
        Ok(Self { columns, paths })
    }

    /// The columns, the name first.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The cells of an object; `null` where a path leads nowhere.
    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let name = object
            .pointer("/metadata/name")
            .cloned()
            .unwrap_or_else(|| "".into());
        let rest = self.columns[1..]
            .iter()
            .zip(&self.paths)
            .map(|(column, path)| {
                let found = path.find(object);
                found
                    .first()
                    .map_or(Value::Null, |value| cell(&column.ty, value, now))
            });
        std::iter::once(name).chain(rest).collect()
    }
}

fn cell(ty: &str, value: &Value, now: Timestamp) -> Value {
    match (ty, value) {
        (_, Value::Null) if ty != "string" => Value::Null,
        ("string", Value::String(text)) => text.clone().into(),
        ("string", Value::Null) => "<nil>".into(),
        ("string", other) => other.to_string().into(),
        #[allow(clippy::cast_possible_truncation)]
        ("integer", Value::Number(number)) => {
            number.as_i64().or(number.as_f64().map(|n| n as i64)).into()
        }
        ("number", Value::Number(number)) => number.as_f64().into(),
        ("boolean", Value::Bool(flag)) => (*flag).into(),
        ("date", Value::String(text)) if text.is_empty() => "<unknown>".into(),
        ("date", Value::String(text)) => match time::parse(text) {
            Some(_) => time::age(Some(text), now).into(),
            None => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_columns_are_typed() {
        let declared = [
            json!({"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"}),
            json!({"name": "Phase", "type": "string", "jsonPath": ".status.phase"}),
            json!({"name": "Tags", "type": "string", "jsonPath": ".spec.tags"}),
            json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}),
        ];
        let columns = CustomColumns::new(&declared).unwrap();
        let object = json!({"metadata": {"name": "x", "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"replicas": 3, "tags": ["a"]}});
        let now = "2024-01-01T00:10:00Z".parse().unwrap();
        assert_eq!(
            columns.cells(&object, now),
            [
                json!("x"),
                json!(3),
                Value::Null,
                json!("[\"a\"]"),
                json!("10m")
            ]
        );
    }
}
