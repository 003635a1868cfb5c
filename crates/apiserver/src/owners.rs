//! Who owns which field after a write: the bridge to the patch engine's bookkeeping.

use std::sync::LazyLock;

use pilotis_kinds::schema::Type;
use pilotis_patch::{FieldSet, Schema, Writer};
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::meta;

/// Whole fields a path resets, as the patch engine wants to know them.
struct Resets {
    nothing: FieldSet,
    status: FieldSet,
    spec: FieldSet,
}

static RESETS: LazyLock<Resets> = LazyLock::new(|| Resets {
    nothing: FieldSet::default(),
    status: whole(&json!({"status": 0})),
    spec: whole(&json!({"spec": 0})),
});

/// The set that holds the top-level fields of `like` as a whole.
fn whole(like: &Value) -> FieldSet {
    let types = pilotis_kinds::schema::Types::default();
    Schema {
        ty: &Type::Any,
        types: &types,
    }
    .field_set(like)
}

/// Fields nobody comes to own through this path.
pub(crate) fn reset(kind: &Kind, subresource: &str) -> &'static FieldSet {
    match subresource {
        "" if kind.has_status() => &RESETS.status,
        "status" => &RESETS.spec,
        _ => &RESETS.nothing,
    }
}

/// How the patch engine sees objects of a kind.
pub(crate) fn schema(kind: &Kind) -> Schema<'_> {
    Schema {
        ty: &kind.ty,
        types: &kind.types,
    }
}

/// Records the owners after any write that is not an apply.
pub(crate) fn track(
    kind: &Kind,
    old: Option<&Value>,
    new: Value,
    manager: &str,
    subresource: &str,
) -> Value {
    let (api_version, time) = (kind.api_version(), meta::now());
    let writer = Writer {
        manager,
        api_version: &api_version,
        subresource,
        time: &time,
        reset: reset(kind, subresource),
        served: &[],
    };
    pilotis_patch::track(old, new, &writer, schema(kind))
}

/// Leaves the times of unchanged ownership alone, so that a write of nothing is nothing.
pub(crate) fn keep_times(old: &Value, new: &mut Value) {
    pilotis_patch::keep_times(old, new);
}
