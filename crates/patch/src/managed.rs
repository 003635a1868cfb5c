//! `metadata.managedFields`: who owns which fields, read and written as upstream does.
//!
//! An `Update` entry is told apart by manager, version and subresource; an `Apply` entry by manager
//! and subresource only, so that an applier keeps one entry across versions. That asymmetry is the
//! reason for [`ManagerId`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::set::FieldSet;

/// Update entries beyond this many are merged, oldest first.
const UPDATE_MANAGERS_MAX: usize = 10;
/// The manager that stands for merged entries.
const ANCIENT: &str = "ancient-changes";

/// Whether a manager applied its fields or wrote them in another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Create, update, or any other patch.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManagerId {
    /// The field manager's name.
    pub manager: String,
    /// How it wrote.
    pub operation: Operation,
    /// The version it wrote in; empty for [`Operation::Apply`].
    pub api_version: String,
    /// The subresource it wrote through, or empty.
    pub subresource: String,
}

/// What one manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The fields.
    pub fields: FieldSet,
    /// The version the fields are named in.
    pub api_version: String,
    /// When it last changed something, RFC 3339 in seconds.
    pub time: Option<String>,
}

/// Every manager of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Managers(pub BTreeMap<ManagerId, Owned>);

/// Why `managedFields` could not be read, in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManagedError {
    /// Neither `Apply` nor `Update`.
    #[error("operation must be `Apply` or `Update`")]
    Operation,
    /// No version.
    #[error("apiVersion must not be empty")]
    ApiVersion,
    /// No type of fields.
    #[error("missing fieldsType in managed fields entry {0}")]
    MissingType(usize),
    /// Not `FieldsV1`.
    #[error("invalid fieldsType {1:?} in managed fields entry {0}")]
    InvalidType(usize, String),
    /// The fields cannot be read.
    #[error("error decoding set")]
    Fields(#[source] crate::path::ElementError),
}

impl Managers {
    /// Reads `metadata.managedFields` of an object; none when the object has none.
    pub fn of(object: &Value) -> Result<Self, ManagedError> {
        let entries = object
            .pointer("/metadata/managedFields")
            .and_then(Value::as_array);
        let mut managers = BTreeMap::new();
        for (index, entry) in entries.into_iter().flatten().enumerate() {
            let (id, owned) = decode_entry(index, entry)?;
            managers.insert(id, owned);
        }
        Ok(Self(managers))
    }

    /// Writes `metadata.managedFields`, replacing what is there; no managers, no field.
    pub fn write_to(&self, object: &mut Value) {
        let Some(metadata) = metadata_mut(object) else {
            return;
        };
        if self.0.is_empty() {
            metadata.remove("managedFields");
            return;
        }
        let mut entries: Vec<(&ManagerId, &Owned)> = self.0.iter().collect();
        entries.sort_by(|(a, owned_a), (b, owned_b)| {
            a.operation
                .cmp(&b.operation)
                .then_with(|| owned_a.time.cmp(&owned_b.time))
                .then_with(|| a.manager.cmp(&b.manager))
                .then_with(|| owned_a.api_version.cmp(&owned_b.api_version))
                .then_with(|| a.subresource.cmp(&b.subresource))
        });
        let entries = entries.into_iter().map(encode_entry).collect();
        metadata.insert("managedFields".into(), Value::Array(entries));
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Merges the oldest update entries until few enough remain.
    pub(crate) fn cap(&mut self) {
        let mut updaters: Vec<ManagerId> = self
            .0
            .keys()
            .filter(|id| id.operation == Operation::Update)
            .cloned()
            .collect();
        let mut excess = updaters.len().saturating_sub(UPDATE_MANAGERS_MAX);
        updaters.sort_by(|a, b| (&self.0[a].time, a).cmp(&(&self.0[b].time, b)));
        let mut first_of_version: BTreeMap<String, ManagerId> = BTreeMap::new();
        for id in updaters {
            if excess == 0 {
                break;
            }
            let version = self.0[&id].api_version.clone();
            match first_of_version.get(&version) {
                Some(first) => {
                    self.merge_ancient(first.clone(), &id);
                    excess -= 1;
                }
                None => {
                    first_of_version.insert(version, id);
                }
            }
        }
    }

    fn merge_ancient(&mut self, first: ManagerId, id: &ManagerId) {
        let Some(merged) = self.0.remove(id) else {
            return;
        };
        let bucket = ManagerId {
            manager: ANCIENT.into(),
            operation: Operation::Update,
            api_version: merged.api_version.clone(),
            subresource: String::new(),
        };
        if !self.0.contains_key(&bucket)
            && let Some(owned) = self.0.remove(&first)
        {
            self.0.insert(bucket.clone(), owned);
        }
        let owned = self.0.entry(bucket).or_insert_with(|| Owned {
            fields: FieldSet::default(),
            ..merged.clone()
        });
        owned.fields = owned.fields.union(&merged.fields);
        owned.time = merged.time;
    }
}

/// Whether the object asks to forget all ownership: an empty list, or one empty entry.
pub(crate) fn is_reset(object: &Value) -> bool {
    match object.pointer("/metadata/managedFields") {
        Some(Value::Array(entries)) => match entries.as_slice() {
            [] => true,
            [entry] => entry.as_object().is_some_and(Map::is_empty),
            _ => false,
        },
        _ => false,
    }
}

pub(crate) fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata")?.as_object_mut()
}

fn decode_entry(index: usize, entry: &Value) -> Result<(ManagerId, Owned), ManagedError> {
    let text = |name: &str| {
        let value = entry.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err(ManagedError::Operation),
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() {
        return Err(ManagedError::ApiVersion);
    }
    match text("fieldsType").as_str() {
        "FieldsV1" => {}
        "" => return Err(ManagedError::MissingType(index)),
        other => return Err(ManagedError::InvalidType(index, other.into())),
    }
    let fields = entry.get("fieldsV1").unwrap_or(&Value::Null);
    let id = ManagerId {
        manager: text("manager"),
        operation,
        api_version: match operation {
            Operation::Apply => String::new(),
            Operation::Update => api_version.clone(),
        },
        subresource: text("subresource"),
    };
    let owned = Owned {
        fields: FieldSet::decode(fields).map_err(ManagedError::Fields)?,
        api_version,
        time: entry.get("time").and_then(Value::as_str).map(str::to_owned),
    };
    Ok((id, owned))
}

fn encode_entry((id, owned): (&ManagerId, &Owned)) -> Value {
    let mut entry = Map::new();
    if !id.manager.is_empty() {
        entry.insert("manager".into(), json!(id.manager));
    }
    entry.insert("operation".into(), json!(id.operation.as_str()));
    entry.insert("apiVersion".into(), json!(owned.api_version));
    if let Some(time) = &owned.time {
        entry.insert("time".into(), json!(time));
    }
    entry.insert("fieldsType".into(), json!("FieldsV1"));
    entry.insert("fieldsV1".into(), owned.fields.encode());
    if !id.subresource.is_empty() {
        entry.insert("subresource".into(), json!(id.subresource));
    }
    Value::Object(entry)
}

/// Puts the old times back when nothing but times of `managedFields` changed.
///
/// Call it last, after admission and defaulting, so that a write that changes nothing stays
/// without effect instead of bumping the resource version.
pub fn keep_times(old: &Value, new: &mut Value) {
    let (Ok(old_managers), Ok(mut managers)) = (Managers::of(old), Managers::of(new)) else {
        return;
    };
    if old_managers.0.len() != managers.0.len() {
        return;
    }
    for (id, owned) in &mut managers.0 {
        match old_managers.0.get(id) {
            Some(old) if old.fields == owned.fields && old.api_version == owned.api_version => {
                owned.time.clone_from(&old.time);
            }
            _ => return,
        }
    }
    let mut settled = new.clone();
    managers.write_to(&mut settled);
    if crate::path::same(old, &settled) {
        *new = settled;
    }
}
