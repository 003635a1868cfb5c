//! The last step of every write: the object gets its revision and goes to the store.

use bytes::Bytes;
use pilotis_store::{Change, Durability, Entry, Expect, Key, Operation, Store, WriteError};
use serde_json::Value;

use crate::convert;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::selectors;

/// Objects larger than this are refused; the limit of a request body.
const OBJECT_SIZE_MAX: usize = 3 << 20;

/// Writes `object` (in the form of `kind`) under `key`.
pub(crate) async fn put(
    store: &Store,
    kind: &Kind,
    key: Key,
    expect: Expect,
    object: Value,
) -> Result<Entry, WriteError> {
    let change = change(kind, key, expect, Operation::Put, object);
    store.write(change).await
}

/// Removes what is under `key`; `object` is its last state.
pub(crate) async fn remove(
    store: &Store,
    kind: &Kind,
    key: Key,
    revision: u64,
    object: Value,
) -> Result<Entry, WriteError> {
    let change = change(
        kind,
        key,
        Expect::Revision(revision),
        Operation::Delete,
        object,
    );
    store.write(change).await
}

fn change(
    kind: &Kind,
    key: Key,
    expect: Expect,
    operation: Operation,
    mut object: Value,
) -> Change {
    convert::to_stored(kind, &mut object);
    let table = key.table().clone();
    let durability = match &*kind.table {
        "coordination.k8s.io/leases" => Durability::Relaxed,
        _ => Durability::Synced,
    };
    let encode = Box::new(move |revision: u64| {
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        (
            Bytes::from(object.to_string()),
            selectors::header(&table, &object),
        )
    });
    Change {
        key,
        expect,
        operation,
        durability,
        encode,
    }
}

/// An entry that looks written but is not, for a dry run.
pub(crate) fn pretend(kind: &Kind, key: Key, revision: u64, mut object: Value) -> Entry {
    convert::to_stored(kind, &mut object);
    let header = selectors::header(key.table(), &object).into();
    Entry {
        key,
        revision,
        bytes: object.to_string().into(),
        header,
    }
}

/// Refuses objects nobody could read back within limits.
pub(crate) fn check_size(object: &Value) -> Result<(), Failure> {
    if object.to_string().len() > OBJECT_SIZE_MAX {
        return Err(Failure::too_large());
    }
    Ok(())
}

/// What a refused write means for a request that did not ask for a revision.
pub(crate) fn failure(error: &WriteError, kind: &Kind, name: &str) -> Failure {
    match error {
        WriteError::Exists => Failure::already_exists(kind, name),
        WriteError::Missing => Failure::not_found(kind, name),
        WriteError::Conflict { .. } => Failure::modified(kind, name),
        WriteError::Busy => Failure::busy(),
        WriteError::Closed => Failure::internal("the object store does not accept writes"),
    }
}
