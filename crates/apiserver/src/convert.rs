//! Between the version an object is kept in and the version it is asked for.
//!
//! Almost always only `apiVersion` differs. Events are the exception: one set of objects under two
//! groups with renamed fields. Custom kinds have no conversion (strategy `None`), by contract.

use bytes::Bytes;
use pilotis_store::Entry;
use serde_json::{Map, Value};

use crate::crd::prune;
use crate::failure::Outcome;
use crate::kind::Kind;

/// Names in core events and in `events.k8s.io`.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// The bytes of `entry` as `kind` shows them; no copy when it is the stored version.
pub(crate) fn served_bytes(kind: &Kind, entry: &Entry) -> Bytes {
    if kind.is_shown_as_stored() {
        return entry.bytes.clone();
    }
    match served(kind, entry) {
        Ok(object) => object.to_string().into(),
        Err(_) => entry.bytes.clone(),
    }
}

/// The object of `entry` as `kind` shows it.
pub(crate) fn served(kind: &Kind, entry: &Entry) -> Outcome<Value> {
    let mut object: Value = serde_json::from_slice(&entry.bytes)?;
    to_served(kind, &mut object);
    Ok(object)
}

/// Stored form to the form of `kind`.
pub(crate) fn to_served(kind: &Kind, object: &mut Value) {
    if kind.is_converted() {
        if kind.group == "events.k8s.io" {
            rename(object, EVENT_FIELDS.iter().map(|(core, new)| (*core, *new)));
        }
        object["apiVersion"] = kind.api_version().into();
    }
    if let Some(custom) = kind.custom.as_ref().filter(|c| c.has_defaults) {
        prune::default(&custom.schema, object);
    }
}

/// The form of `kind` to the stored form.
pub(crate) fn to_stored(kind: &Kind, object: &mut Value) {
    if kind.is_converted() {
        if kind.group == "events.k8s.io" {
            rename(object, EVENT_FIELDS.iter().map(|(core, new)| (*new, *core)));
        }
        object["apiVersion"] = kind.stored_api_version.clone().into();
    }
}

fn rename<'a>(object: &mut Value, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    let mut renamed = Map::new();
    for (from, to) in pairs {
        if let Some(value) = fields.remove(from) {
            renamed.insert(to.to_owned(), value);
        }
    }
    fields.append(&mut renamed);
}
