//! Objects as rows of a `Table`, the form `kubectl get` prints.

use jiff::Timestamp;
use pilotis_kinds::columns::{self, Column};
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::read::metadata_only;

/// What comes along with each row.
enum Include {
    Nothing,
    Metadata,
    Object,
}

/// A table being filled.
pub(crate) struct Rows<'a> {
    kind: &'a Kind,
    version: &'a str,
    include: Include,
    now: Timestamp,
    rows: Vec<Value>,
}

impl<'a> Rows<'a> {
    /// A table of `kind` in the `meta.k8s.io` version asked for.
    pub(crate) fn new(kind: &'a Kind, version: &'a str, include: Option<&str>) -> Self {
        let include = match include {
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            _ => Include::Metadata,
        };
        Self {
            kind,
            version,
            include,
            now: Timestamp::now(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, object: &Value) {
        let mut row = json!({"cells": self.cells(object)});
        let conditions = self
            .kind
            .resource
            .map(|r| columns::row_conditions(r, object))
            .unwrap_or_default();
        if !conditions.is_empty() {
            row["conditions"] = conditions.into();
        }
        match self.include {
            Include::Nothing => {}
            Include::Metadata => row["object"] = metadata_only(object, self.version),
            Include::Object => row["object"] = object.clone(),
        }
        self.rows.push(row);
    }

    fn cells(&self, object: &Value) -> Vec<Value> {
        match (&self.kind.custom, self.kind.resource) {
            (Some(custom), _) => custom.columns.cells(object, self.now),
            (None, Some(resource)) => columns::cells(resource, object, self.now),
            (None, None) => Vec::new(),
        }
    }

    /// The `Table` with list metadata.
    pub(crate) fn finish(self, metadata: Value) -> Value {
        let columns: Vec<Value> = match (&self.kind.custom, self.kind.resource) {
            (Some(custom), _) => custom
                .columns
                .columns()
                .iter()
                .map(Column::to_json)
                .collect(),
            (None, Some(resource)) => columns::columns(resource)
                .iter()
                .map(Column::to_json)
                .collect(),
            (None, None) => Vec::new(),
        };
        json!({
            "kind": "Table", "apiVersion": self.version, "metadata": metadata,
            "columnDefinitions": columns, "rows": self.rows,
        })
    }
}
