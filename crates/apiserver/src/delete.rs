//! Deleting: at once, or marked and finished later by finalizers, a grace period or the node.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pilotis_kinds::wire;
use pilotis_store::{Entry, Expect, Query as ListQuery, WriteError};
use serde_json::{Value, json};

use crate::admission::{self, Operation};
use crate::body;
use crate::commit;
use crate::context::Context;
use crate::convert;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::read::{self, Selection};
use crate::request;
use crate::respond::{self, Answer};
use crate::write;

const ATTEMPTS_MAX: u32 = 16;
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// Kinds whose deletion answers the object instead of a `Status`.
const ANSWERS_OBJECT: &[&str] = &[
    "/persistentvolumeclaims",
    "/persistentvolumes",
    "/pods",
    "/podtemplates",
    "/resourcequotas",
    "/serviceaccounts",
    "/services",
    "storage.k8s.io/csidrivers",
    "storage.k8s.io/csinodes",
    "storage.k8s.io/storageclasses",
    "storage.k8s.io/volumeattachments",
];

/// `DeleteOptions`, from the body or the query.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    grace: Option<i64>,
    propagation: Option<String>,
    uid: Option<String>,
    revision: Option<String>,
    pub(crate) dry_run: bool,
}

impl Options {
    pub(crate) fn read(context: &Context, body: &[u8]) -> Outcome<Self> {
        let sent = if body.is_empty() {
            Value::Null
        } else if context.content_type() == "application/vnd.kubernetes.protobuf" {
            wire::decode(body, Some(("v1", "DeleteOptions")))
                .map_err(|e| Failure::bad_request(e.to_string()))?
        } else {
            body::document(context.content_type(), body)?.into()
        };
        let mut options = Self::from_value(&sent)?;
        if let Some(grace) = context.query.number("gracePeriodSeconds")? {
            options.grace = Some(grace);
        }
        if let Some(policy) = context.query.get("propagationPolicy") {
            options.propagation = Some(policy.to_owned());
        }
        if context.query.get("orphanDependents") == Some("true") {
            options.propagation = Some("Orphan".into());
        }
        options.dry_run |= context.query.dry_run()?;
        options.check()?;
        Ok(options)
    }

    pub(crate) fn from_value(sent: &Value) -> Outcome<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let orphan = sent["orphanDependents"].as_bool() == Some(true);
        let dry = sent["dryRun"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        Ok(Self {
            grace: sent["gracePeriodSeconds"].as_i64(),
            propagation: text(&sent["propagationPolicy"])
                .or_else(|| orphan.then(|| "Orphan".to_owned())),
            uid: text(&sent["preconditions"]["uid"]),
            revision: text(&sent["preconditions"]["resourceVersion"]),
            dry_run: request::dry_run(dry)?,
        })
    }

    fn check(&self) -> Outcome<()> {
        match self.propagation.as_deref() {
            None | Some("Orphan" | "Background" | "Foreground") => Ok(()),
            Some(other) => Err(Failure::new(
                422,
                "Invalid",
                format!(
                    "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \
                     \"{other}\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
                ),
            )),
        }
    }

    fn check_preconditions(&self, kind: &Kind, name: &str, live: &Value) -> Outcome<()> {
        let pairs = [
            ("UID", &self.uid, meta::text(live, "uid")),
            (
                "ResourceVersion",
                &self.revision,
                meta::text(live, "resourceVersion"),
            ),
        ];
        for (what, wanted, found) in pairs {
            if let Some(wanted) = wanted.as_deref().filter(|w| *w != found) {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                );
                return Err(Failure::conflict(kind, name, &why));
            }
        }
        Ok(())
    }
}

/// What a deletion left.
pub(crate) struct Deleted {
    pub(crate) entry: Entry,
    /// It is still there, marked.
    pub(crate) pending: bool,
}

/// `DELETE` of one object.
pub(crate) async fn delete(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let options = Options::read(context, body)?;
    let deleted = delete_one(context, kind, &context.info.name, &options).await?;
    if deleted.pending || ANSWERS_OBJECT.contains(&&*kind.table) {
        return read::show(context, kind, &deleted.entry, 200);
    }
    let object = convert::served(kind, &deleted.entry)?;
    let status = write::success(kind, meta::name(&object), meta::text(&object, "uid"));
    Ok(respond::json(200, &status))
}

/// `DELETE` of a collection: every object that matches, one after the other.
pub(crate) async fn delete_all(
    context: &Context,
    kind: &Arc<Kind>,
    body: &[u8],
) -> Outcome<Answer> {
    let options = Options::read(context, body)?;
    let selection = Selection::of(context, kind)?;
    let query = ListQuery {
        table: kind.table.to_string(),
        namespace: Some(context.info.namespace.clone())
            .filter(|n| kind.namespaced && !n.is_empty()),
        ..ListQuery::default()
    };
    let page = context
        .api
        .store
        .list(&query, &|entry| selection.matches(entry))
        .map_err(|e| Failure::internal(e.to_string()))?;
    let mut items = Vec::new();
    for entry in &page.entries {
        match delete_one(context, kind, entry.key.name(), &options).await {
            Ok(deleted) => items.push(convert::served(kind, &deleted.entry)?),
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    let list = json!({
        "kind": kind.list_kind, "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": context.api.store.revision().to_string()},
        "items": items,
    });
    Ok(respond::json(200, &list))
}

/// Deletes one object of the request's namespace.
pub(crate) async fn delete_one(
    context: &Context,
    kind: &Arc<Kind>,
    name: &str,
    options: &Options,
) -> Outcome<Deleted> {
    let key = context.key(kind, name);
    for _ in 0..ATTEMPTS_MAX {
        let Some(current) = context.api.store.latest(&key) else {
            return Err(Failure::not_found(kind, name));
        };
        let live = convert::served(kind, &current)?;
        options.check_preconditions(kind, name, &live)?;
        let request = admission::Request {
            context,
            kind,
            operation: Operation::Delete,
            namespace: &context.info.namespace,
            name,
            subresource: "",
            old: Some(&live),
            dry_run: options.dry_run,
        };
        admission::delete(&request).await?;
        match attempt(context, kind, &current, live, options).await {
            Err(WriteError::Conflict { .. }) if options.revision.is_none() => {}
            Err(error) => return Err(commit::failure(&error, kind, name)),
            Ok(deleted) => return Ok(deleted),
        }
    }
    Err(Failure::modified(kind, name))
}

async fn attempt(
    context: &Context,
    kind: &Kind,
    current: &Entry,
    live: Value,
    options: &Options,
) -> Result<Deleted, WriteError> {
    let marked = mark(kind, &live, options);
    let (store, key) = (&context.api.store, current.key.clone());
    let finished = is_finished(kind, &marked);
    if options.dry_run {
        let entry = commit::pretend(kind, key, current.revision, live);
        return Ok(Deleted {
            entry,
            pending: !finished,
        });
    }
    if finished {
        let entry = commit::remove(store, kind, key, current.revision, marked).await?;
        return Ok(Deleted {
            entry,
            pending: false,
        });
    }
    if marked == live {
        return Ok(Deleted {
            entry: current.clone(),
            pending: true,
        });
    }
    let expect = Expect::Revision(current.revision);
    let entry = commit::put(store, kind, key, expect, marked).await?;
    Ok(Deleted {
        entry,
        pending: true,
    })
}

/// The object as it looks once its deletion has been asked for.
fn mark(kind: &Kind, live: &Value, options: &Options) -> Value {
    let mut object = live.clone();
    let grace = grace(kind, live, options);
    let already = live["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let shorter = already.is_none_or(|already| grace < already);
    if !meta::is_terminating(live) || shorter {
        let due = Timestamp::now() + SignedDuration::from_secs(grace);
        let metadata = meta::metadata_mut(&mut object);
        metadata.insert("deletionTimestamp".into(), meta::time(due).into());
        metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
        if let Some(generation) = live["metadata"]["generation"].as_i64()
            && !meta::is_terminating(live)
        {
            metadata.insert("generation".into(), (generation + 1).into());
        }
        if &*kind.table == "/namespaces" {
            meta::set(&mut object, &["status", "phase"], "Terminating".into());
        }
    }
    set_propagation(&mut object, options);
    object
}

/// Seconds the object is given to end by itself.
fn grace(kind: &Kind, live: &Value, options: &Options) -> i64 {
    if &*kind.table != "/pods" {
        return 0;
    }
    let scheduled = live["spec"]["nodeName"]
        .as_str()
        .is_some_and(|n| !n.is_empty());
    let ended = matches!(
        live["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if !scheduled || ended {
        return 0;
    }
    let wanted = options
        .grace
        .or_else(|| live["spec"]["terminationGracePeriodSeconds"].as_i64());
    wanted.unwrap_or(30).max(0)
}

fn set_propagation(object: &mut Value, options: &Options) {
    let mut kept: Vec<String> = meta::finalizers(object)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let before = kept.clone();
    match options.propagation.as_deref() {
        None => return,
        Some(policy) => {
            kept.retain(|f| f != ORPHAN && f != FOREGROUND);
            match policy {
                "Orphan" => kept.push(ORPHAN.into()),
                "Foreground" => kept.push(FOREGROUND.into()),
                _ => {}
            }
        }
    }
    if kept == before {
        return;
    }
    let metadata = meta::metadata_mut(object);
    if kept.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".into(), json!(kept));
    }
}

/// A marked object that nothing holds any more.
pub(crate) fn is_finished(kind: &Kind, object: &Value) -> bool {
    let namespace_kept = &*kind.table == "/namespaces"
        && object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|f| !f.is_empty());
    meta::is_terminating(object)
        && meta::finalizers(object).is_empty()
        && object["metadata"]["deletionGracePeriodSeconds"]
            .as_i64()
            .unwrap_or(0)
            == 0
        && !namespace_kept
}
