//! Refusing what would exceed a `ResourceQuota`.
//!
//! Used amounts are counted from the objects in the store, not read from the quota's status, so
//! there is nothing to repair afterwards. Creations on their way to the store are kept aside
//! ([`Reserved`]) and count too, so two of them cannot share the last place. Status is the
//! controller's business. Changes are checked without a reservation: only services and claims can
//! come to use more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pilotis_kinds::quantity::Quantity;
use pilotis_kinds::quota::{self, Usage};
use pilotis_store::{Entry, Query, Store};
use serde_json::Value;

use crate::admission::{Operation, Request};
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;

/// Keeps count of what is being created.
#[derive(Default)]
pub(crate) struct Quotas {
    pending: Arc<Mutex<Vec<Pending>>>,
    next: AtomicU64,
}

struct Pending {
    id: u64,
    table: Arc<str>,
    namespace: String,
    object: Value,
}

/// A place taken by an object being created; given back once it is stored or refused.
pub(crate) struct Reserved {
    pending: Arc<Mutex<Vec<Pending>>>,
    id: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|p| p.id != self.id);
    }
}

impl Quotas {
    /// Refuses `object` if a quota of its namespace is used up; the answer must live until the
    /// object is stored.
    pub(crate) fn reserve(
        &self,
        request: &Request<'_>,
        object: &Value,
    ) -> Outcome<Option<Reserved>> {
        let kind = request.kind;
        if !kind.namespaced || !may_use_more(request) {
            return Ok(None);
        }
        let store = &request.context.api.store;
        let quotas = list(store, "/resourcequotas", request.namespace)?;
        if quotas.is_empty() {
            return Ok(None);
        }
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in &quotas {
            let quota: Value = serde_json::from_slice(&entry.bytes)?;
            check(request, object, &quota, &pending)?;
        }
        if request.operation != Operation::Create || request.dry_run {
            return Ok(None);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        pending.push(Pending {
            id,
            table: Arc::clone(&kind.table),
            namespace: request.namespace.to_owned(),
            object: object.clone(),
        });
        Ok(Some(Reserved {
            pending: Arc::clone(&self.pending),
            id,
        }))
    }
}

fn may_use_more(request: &Request<'_>) -> bool {
    let grows = ["/services", "/persistentvolumeclaims"].contains(&&*request.kind.table);
    match request.operation {
        Operation::Create => request.subresource.is_empty(),
        Operation::Update => request.subresource.is_empty() && grows,
        Operation::Delete => false,
    }
}

fn list(store: &Store, table: &str, namespace: &str) -> Outcome<Vec<Entry>> {
    let query = Query {
        table: table.to_owned(),
        namespace: Some(namespace.to_owned()),
        ..Query::default()
    };
    let page = store
        .list(&query, &|_| true)
        .map_err(|e| Failure::internal(e.to_string()))?;
    Ok(page.entries)
}

fn check(request: &Request<'_>, object: &Value, quota: &Value, pending: &[Pending]) -> Outcome<()> {
    let kind = request.kind;
    let limits = limits(quota);
    if !quota::concerns(quota, &kind.group, &kind.plural, object) {
        return Ok(());
    }
    if kind.is("", "pods") {
        let names: Vec<&str> = limits.keys().map(String::as_str).collect();
        refuse_unstated(request, object, quota, &names)?;
    }
    let wanted = added(kind, object, request.old);
    let wanted: Usage = wanted
        .into_iter()
        .filter(|(name, amount)| limits.contains_key(name) && *amount > Quantity::whole(0))
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let used = used(request, quota, pending)?;
    let of = |usage: &Usage, name: &str| usage.get(name).copied().unwrap_or(Quantity::whole(0));
    let exceeded: Vec<&String> = wanted
        .iter()
        .filter(|(name, amount)| of(&used, name).plus(amount) > of(&limits, name))
        .map(|(name, _)| name)
        .collect();
    if exceeded.is_empty() {
        return Ok(());
    }
    let words = |usage: &Usage| {
        let pairs = exceeded
            .iter()
            .map(|name| format!("{name}={}", of(usage, name)));
        pairs.collect::<Vec<_>>().join(",")
    };
    let why = format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        meta::name(quota),
        words(&wanted),
        words(&used),
        words(&limits)
    );
    Err(Failure::forbidden(kind, meta::name(object), &why))
}

fn limits(quota: &Value) -> Usage {
    let hard = quota["spec"]["hard"].as_object().into_iter().flatten();
    hard.filter_map(|(name, amount)| {
        let text = match amount {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((name.clone(), Quantity::parse(&text).ok()?))
    })
    .collect()
}

/// A pod must say what it asks for of everything that is limited.
fn refuse_unstated(
    request: &Request<'_>,
    pod: &Value,
    quota: &Value,
    limited: &[&str],
) -> Outcome<()> {
    let missing = quota::unstated(pod, limited);
    if missing.is_empty() {
        return Ok(());
    }
    let words: Vec<String> = missing
        .iter()
        .map(|(resource, containers)| format!("{resource} for: {}", containers.join(",")))
        .collect();
    let why = format!(
        "failed quota: {}: must specify {}",
        meta::name(quota),
        words.join("; ")
    );
    Err(Failure::forbidden(request.kind, meta::name(pod), &why))
}

/// What `object` uses beyond what it used before.
fn added(kind: &Kind, object: &Value, old: Option<&Value>) -> Usage {
    let mut usage = quota::usage(&kind.group, &kind.plural, object);
    let before = old.map(|old| quota::usage(&kind.group, &kind.plural, old));
    for (name, amount) in before.unwrap_or_default() {
        if let Some(now) = usage.get_mut(&name) {
            *now = now.minus(&amount);
        }
    }
    usage
}

/// What the objects of the kind use together, those on their way included.
fn used(request: &Request<'_>, quota: &Value, pending: &[Pending]) -> Outcome<Usage> {
    let kind = request.kind;
    let stored = list(&request.context.api.store, &kind.table, request.namespace)?;
    let is_stored = |object: &Value| {
        let name = meta::name(object);
        stored.iter().any(|entry| entry.key.name() == name)
    };
    let on_their_way = pending.iter().filter(|p| {
        p.table == kind.table && p.namespace == request.namespace && !is_stored(&p.object)
    });
    let mut total = Usage::new();
    let mut add = |object: &Value| {
        if !quota::concerns(quota, &kind.group, &kind.plural, object) {
            return;
        }
        for (name, amount) in quota::usage(&kind.group, &kind.plural, object) {
            let sum = total.entry(name).or_insert(Quantity::whole(0));
            *sum = sum.plus(&amount);
        }
    };
    on_their_way.for_each(|p| add(&p.object));
    for entry in &stored {
        add(&serde_json::from_slice(&entry.bytes)?);
    }
    Ok(total)
}
