//! Server-side apply and the bookkeeping of every other write.
//!
//! Each manager owns the fields it set. Applying merges, takes away what this manager applied
//! before and no longer does (unless somebody else owns it too), and refuses to change what others
//! own unless forced. Every other write simply takes ownership of what it changed.
//!
//! Not done here: defaulting (the caller defaults the result; defaults have no owner after an
//! apply), conversion between versions (all served versions are taken to share one schema), and
//! the mapping of the scale subresource (call with the parent object).

use std::fmt;

use pilotis_kinds::schema::{ListKind, Type};
use serde_json::{Value, json};

use crate::managed::{ManagedError, ManagerId, Managers, Operation, Owned, is_reset, metadata_mut};
use crate::path::{Element, Path, same};
use crate::set::{FieldSet, type_below};
use crate::typed::{Schema, Shape};

/// The annotation of client-side apply.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager that owns what existed before the first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Who writes, in which version, through what, when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager; empty means `unknown`.
    pub manager: &'a str,
    /// The version of the request, such as `apps/v1`.
    pub api_version: &'a str,
    /// The subresource, or empty.
    pub subresource: &'a str,
    /// Now, RFC 3339 in seconds and UTC.
    pub time: &'a str,
    /// Fields this endpoint resets, which therefore nobody comes to own through it: `status` on
    /// the main resource, `spec` on the status subresource.
    pub reset: &'a FieldSet,
    /// Versions the kind is still served in; entries of other versions are forgotten. Empty means
    /// that every version is known.
    pub served: &'a [&'a str],
}

/// One field that belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The owner.
    pub owner: ManagerId,
    /// The field.
    pub path: Path,
}

impl Conflict {
    /// The words of the cause in the API's answer; its field is [`Self::path`].
    pub fn cause(&self) -> String {
        format!("conflict with {}", shown(&self.owner))
    }
}

/// Fields that belong to others, sorted by owner; shown in upstream's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(
                f,
                "Apply failed with 1 conflict: {}: {}",
                only.cause(),
                only.path
            );
        }
        write!(f, "Apply failed with {} conflicts:", self.0.len())?;
        let mut owner = None;
        for conflict in &self.0 {
            if owner != Some(&conflict.owner) {
                let separator = if owner.is_none() { " " } else { "\n" };
                write!(f, "{separator}conflicts with {}:", shown(&conflict.owner))?;
                owner = Some(&conflict.owner);
            }
            write!(f, "\n- {}", conflict.path)?;
        }
        Ok(())
    }
}

fn shown(owner: &ManagerId) -> String {
    let mut text = format!("{:?}", owner.manager);
    if !owner.subresource.is_empty() {
        text = format!("{text} with subresource {:?}", owner.subresource);
    }
    if owner.operation == Operation::Update {
        text = format!("{text} using {}", owner.api_version);
    }
    text
}

/// Why an apply was refused.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Others own what it would change (409).
    #[error("{0}")]
    Conflicts(Conflicts),
    /// The configuration names another version than the request (400).
    #[error(
        "Incorrect version specified in apply patch. Specified patch version: {given}, expected: {expected}"
    )]
    Version {
        /// What the configuration says.
        given: String,
        /// What the request says.
        expected: String,
    },
    /// The configuration carries `managedFields` (400).
    #[error("metadata.managedFields must be nil")]
    ManagedFields,
    /// The configuration does not fit the schema; the caller puts `failed to create typed patch
    /// object (<namespace>/<name>; <group version kind>): ` before it.
    #[error("{0}")]
    Misfit(String),
    /// The live object's `managedFields` cannot be read.
    #[error("failed to decode managed fields")]
    Live(#[source] ManagedError),
}

/// Applies a configuration; `live` is `None` when the object is to be created.
///
/// The result is the whole object with its new `managedFields`, not yet defaulted.
pub fn apply(
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
    schema: Schema<'_>,
) -> Result<Value, ApplyError> {
    check(applied, writer, schema)?;
    let live = live_or_new(live, applied, schema);
    let mut managers = Managers::of(&live).map_err(ApplyError::Live)?;
    if managers.is_empty() {
        let before = Writer {
            manager: BEFORE_FIRST_APPLY,
            ..*writer
        };
        let empty = new_object(&live, schema);
        managers = updated(&empty, &live, managers, &before, schema);
    }
    let attempt = Attempt {
        live: &live,
        applied,
        writer,
        schema,
    };
    let mut object = match attempt.run(managers.clone(), force) {
        Err(conflicts) if writer.manager == "kubectl" => attempt.upgrade(managers, conflicts),
        outcome => outcome,
    }
    .map_err(ApplyError::Conflicts)?;
    sync_last_applied(&mut object, applied, writer);
    Ok(object)
}

fn check(applied: &Value, writer: &Writer<'_>, schema: Schema<'_>) -> Result<(), ApplyError> {
    let given = applied
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if given != writer.api_version {
        return Err(ApplyError::Version {
            given: given.into(),
            expected: writer.api_version.into(),
        });
    }
    if applied
        .pointer("/metadata/managedFields")
        .is_some_and(|fields| !fields.is_null())
    {
        return Err(ApplyError::ManagedFields);
    }
    match schema.misfits(applied).as_slice() {
        [] => Ok(()),
        [only] => Err(ApplyError::Misfit(only.clone())),
        several => Err(ApplyError::Misfit(format!(
            "errors:\n  {}",
            several.join("\n  ")
        ))),
    }
}

fn live_or_new(live: Option<&Value>, applied: &Value, schema: Schema<'_>) -> Value {
    match live {
        Some(live) => schema.with_embedded(live.clone()),
        None => new_object(applied, schema),
    }
}

/// The object before anything was set in it.
fn new_object(like: &Value, schema: Schema<'_>) -> Value {
    let mut object = json!({});
    for name in ["apiVersion", "kind"] {
        if let Some(value) = like.get(name) {
            object[name] = value.clone();
        }
    }
    schema.with_embedded(object)
}

/// Records who owns what after a create, an update or a non-apply patch.
///
/// `live` is the object before the write (`None` on create), `new` the one that will be stored,
/// with the `managedFields` the client sent: clients may edit or reset them.
pub fn track(live: Option<&Value>, new: Value, writer: &Writer<'_>, schema: Schema<'_>) -> Value {
    let empty = json!({});
    let live_object = live.unwrap_or(&empty);
    let mut managers = if writer.subresource.is_empty() {
        sent_or_live(live_object, &new)
    } else {
        Managers::of(live_object).unwrap_or_default()
    };
    let mut object = new;
    if let Some(metadata) = metadata_mut(&mut object) {
        metadata.remove("managedFields");
    }
    // An object nobody manages, such as one just reset, stays so until it is applied.
    let is_untracked = live.is_some() && managers.is_empty();
    if !is_untracked {
        let old = match live {
            Some(live) => schema.with_embedded(live.clone()),
            None => new_object(&object, schema),
        };
        let new = schema.with_embedded(object.clone());
        managers = updated(&old, &new, managers, writer, schema);
    }
    managers.write_to(&mut object);
    object
}

fn sent_or_live(live: &Value, new: &Value) -> Managers {
    if is_reset(new) {
        return Managers::default();
    }
    match Managers::of(new) {
        Ok(managers) if !managers.is_empty() => managers,
        _ => Managers::of(live).unwrap_or_default(),
    }
}

/// The managers after a non-apply write.
fn updated(
    old: &Value,
    new: &Value,
    managers: Managers,
    writer: &Writer<'_>,
    schema: Schema<'_>,
) -> Managers {
    let mut managers = known(reconciled(managers, schema), writer);
    let (old, new) = (without_managed(old), without_managed(new));
    let comparison = schema.compare(&old, &new).without(writer.reset);
    let changed = comparison.changed();
    for owned in managers.0.values_mut() {
        owned.fields = owned
            .fields
            .difference(&changed)
            .difference(&comparison.removed);
    }
    managers.0.retain(|_, owned| !owned.fields.is_empty());
    let taken = changed.without(writer.reset).difference(&never_owned());
    if !taken.is_empty() {
        let owned = managers
            .0
            .entry(identity(writer, Operation::Update))
            .or_insert_with(|| Owned {
                fields: FieldSet::default(),
                api_version: writer.api_version.into(),
                time: None,
            });
        owned.fields = owned.fields.union(&taken);
        owned.time = Some(writer.time.into());
    }
    managers.cap();
    managers
}

fn without_managed(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = metadata_mut(&mut object) {
        metadata.remove("managedFields");
    }
    object
}

fn identity(writer: &Writer<'_>, operation: Operation) -> ManagerId {
    let manager = match writer.manager {
        "" => "unknown",
        manager => manager,
    };
    ManagerId {
        manager: manager.into(),
        operation,
        api_version: match operation {
            Operation::Apply => String::new(),
            Operation::Update => writer.api_version.into(),
        },
        subresource: writer.subresource.into(),
    }
}

/// Fields that say what an object is; the server sets them and nobody owns them.
fn never_owned() -> FieldSet {
    FieldSet::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
}

fn known(mut managers: Managers, writer: &Writer<'_>) -> Managers {
    let is_served = |version: &str| {
        writer.served.is_empty()
            || version == writer.api_version
            || writer.served.contains(&version)
    };
    managers.0.retain(|_, owned| is_served(&owned.api_version));
    managers
}

/// One try at applying.
struct Attempt<'a> {
    live: &'a Value,
    applied: &'a Value,
    writer: &'a Writer<'a>,
    schema: Schema<'a>,
}

impl Attempt<'_> {
    fn run(&self, managers: Managers, force: bool) -> Result<Value, Conflicts> {
        let mut managers = reconciled(managers, self.schema);
        let me = identity(self.writer, Operation::Apply);
        let last = managers.0.get(&me).cloned();
        let fields = self
            .schema
            .field_set(self.applied)
            .without(self.writer.reset);
        managers.0.insert(
            me.clone(),
            Owned {
                fields: fields.clone(),
                api_version: self.writer.api_version.into(),
                time: last.as_ref().and_then(|last| last.time.clone()),
            },
        );
        let merged = self.schema.overlay(self.live, self.applied);
        let object = match &last {
            Some(last) if !last.fields.is_empty() => self.prune(&merged, &managers, &last.fields),
            _ => merged,
        };
        let mut managers = self.take(&object, known(managers, self.writer), &me, force)?;
        self.settle(&object, &mut managers, &me);
        let mut object = self.schema.without_null_fields(object);
        managers.write_to(&mut object);
        Ok(object)
    }

    /// Takes what the apply changes away from its owners, or says who they are.
    fn take(
        &self,
        object: &Value,
        mut managers: Managers,
        me: &ManagerId,
        force: bool,
    ) -> Result<Managers, Conflicts> {
        let comparison = self
            .schema
            .compare(self.live, object)
            .without(self.writer.reset);
        let changed = comparison.changed();
        let mut conflicts = Vec::new();
        for (id, owned) in managers.0.iter_mut().filter(|(id, _)| *id != me) {
            let lost = owned.fields.intersection(&changed);
            conflicts.extend(lost.paths().into_iter().map(|path| Conflict {
                owner: id.clone(),
                path,
            }));
            owned.fields = owned
                .fields
                .difference(&lost)
                .difference(&comparison.removed);
        }
        if !force && !conflicts.is_empty() {
            return Err(Conflicts(conflicts));
        }
        managers.0.retain(|_, owned| !owned.fields.is_empty());
        Ok(managers)
    }

    /// Leaves identity out of this manager's fields, and dates the entry if the object changed.
    fn settle(&self, object: &Value, managers: &mut Managers, me: &ManagerId) {
        let Some(owned) = managers.0.get_mut(me) else {
            return;
        };
        owned.fields = owned.fields.difference(&never_owned());
        if !same(self.live, object) {
            owned.time = Some(self.writer.time.into());
        }
        if owned.fields.is_empty() {
            managers.0.remove(me);
        }
    }

    /// Takes away what was applied last time, and puts back what others own or what was not
    /// owned by this manager alone.
    fn prune(&self, merged: &Value, managers: &Managers, last: &FieldSet) -> Value {
        let named = |set: &FieldSet| set.with_named_fields(Some(self.schema.ty), self.schema.types);
        let set_of = |value: &Value| named(&self.schema.field_set(value));
        let everything = set_of(merged);
        let pruned = self.schema.remove(merged, &named(last));
        let owned = managers
            .0
            .values()
            .fold(FieldSet::default(), |all, owned| all.union(&owned.fields));
        let keep = set_of(&pruned).union(&named(&owned));
        let pruned = self.schema.remove(merged, &everything.difference(&keep));
        let dangling = everything.difference(&set_of(&pruned));
        self.schema
            .remove(merged, &dangling.intersection(&named(last)))
    }

    /// Moves an object from client-side to server-side apply: conflicts over fields that
    /// `kubectl apply` recorded in its annotation are this user's own.
    fn upgrade(&self, managers: Managers, conflicts: Conflicts) -> Result<Value, Conflicts> {
        let Some(mine) = self.last_applied_fields() else {
            return Err(conflicts);
        };
        let others: Vec<Conflict> = conflicts
            .0
            .into_iter()
            .filter(|conflict| !mine.has(&conflict.path.0))
            .collect();
        if others.is_empty() {
            self.run(managers, true)
        } else {
            Err(Conflicts(others))
        }
    }

    fn last_applied_fields(&self) -> Option<FieldSet> {
        let annotations = self.live.pointer("/metadata/annotations")?;
        let text = annotations.get(LAST_APPLIED)?.as_str()?;
        let last: Value = serde_json::from_str(text).ok()?;
        if last.get("apiVersion")?.as_str()? != self.writer.api_version {
            return None;
        }
        let comparison = self.schema.compare(&last, self.live);
        let fields = self.schema.field_set(&last);
        Some(
            fields
                .difference(&comparison.changed())
                .difference(&comparison.removed),
        )
    }
}

/// Keeps the annotation of client-side apply in step, so that going back to it works.
fn sync_last_applied(object: &mut Value, applied: &Value, writer: &Writer<'_>) {
    let has_annotation = |object: &Value| {
        let annotations = object.pointer("/metadata/annotations");
        let text = annotations.and_then(|annotations| annotations.get(LAST_APPLIED));
        text.and_then(Value::as_str)
            .is_some_and(|text| !text.is_empty())
    };
    if writer.manager != "kubectl" || !has_annotation(object) {
        return;
    }
    let mut configuration = applied.clone();
    if let Some(annotations) = metadata_mut(&mut configuration)
        .and_then(|metadata| metadata.get_mut("annotations"))
        .and_then(Value::as_object_mut)
    {
        annotations.remove(LAST_APPLIED);
    }
    object["metadata"]["annotations"][LAST_APPLIED] = json!(format!("{configuration}\n"));
}

/// Adapts ownership to a schema that has become coarser: who owned parts of what is now atomic
/// owns the whole.
fn reconciled(mut managers: Managers, schema: Schema<'_>) -> Managers {
    for owned in managers.0.values_mut() {
        let mut walk = Coarsen {
            schema,
            path: Path::default(),
            whole: FieldSet::default(),
        };
        walk.visit(schema.ty, Some(&owned.fields), false);
        if !walk.whole.is_empty() {
            owned.fields = owned.fields.without(&walk.whole).union(&walk.whole);
        }
    }
    managers
}

struct Coarsen<'a> {
    schema: Schema<'a>,
    path: Path,
    whole: FieldSet,
}

impl<'a> Coarsen<'a> {
    fn visit(&mut self, ty: &'a Type, fields: Option<&FieldSet>, is_whole: bool) {
        if matches!(ty, Type::Any) {
            return;
        }
        let is_atomic = match self.schema.shape(ty, None) {
            Shape::Leaf(_) => return,
            Shape::List(list) => *list.kind == ListKind::Atomic,
            Shape::Map(map) => map.atomic && fields.is_some(),
        };
        if is_atomic {
            if !is_whole {
                self.whole.insert(&self.path.0);
            }
            return;
        }
        for element in fields.into_iter().flat_map(FieldSet::elements) {
            self.below(ty, fields, element);
        }
    }

    fn below(&mut self, ty: &'a Type, fields: Option<&FieldSet>, element: &Element) {
        let Some(below_type) = type_below(ty, self.schema.types, element) else {
            return;
        };
        let below = fields.and_then(|fields| fields.below(element));
        let is_member = fields.is_some_and(|fields| fields.has_member(element));
        self.path.0.push(element.clone());
        self.visit(below_type, below, is_member && below.is_none());
        self.path.0.pop();
    }
}
