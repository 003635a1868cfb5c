//! When a definition is deleted, its objects go first; then its finalizer, then itself.

use std::sync::Arc;
use std::time::Duration;

use pilotis_store::{Entry, Query};
use serde_json::{Value, json};

use super::definition::FINALIZER;
use crate::api::Api;
use crate::authn::User;
use crate::catalogue::DEFINITIONS;
use crate::context::Context;
use crate::delete::{self, Options};
use crate::meta;
use crate::request::{Info, Query as RequestQuery};
use crate::write::{Proposal, Writing};

/// How soon objects held by finalizers of their own are looked at again.
const RETRY: Duration = Duration::from_secs(1);

/// Follows definitions until the server stops.
pub(crate) async fn run(api: Arc<Api>) {
    while !api.stop.is_cancelled() {
        let before = api.store.changed(DEFINITIONS);
        let waiting = sweep(&api).await;
        let Ok(mut watch) = api.store.watch(DEFINITIONS, before) else {
            continue;
        };
        let again = async {
            match waiting {
                true => tokio::time::sleep(RETRY).await,
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = watch.next() => {}
            () = again => {}
            () = api.stop.cancelled() => return,
        }
    }
}

/// One look at all definitions; answers whether some still wait for their objects.
async fn sweep(api: &Arc<Api>) -> bool {
    let query = Query {
        table: DEFINITIONS.into(),
        ..Query::default()
    };
    let Ok(page) = api.store.list(&query, &|_| true) else {
        return true;
    };
    let mut waiting = false;
    for entry in &page.entries {
        let Ok(definition) = serde_json::from_slice::<Value>(&entry.bytes) else {
            continue;
        };
        let held = meta::finalizers(&definition).contains(&FINALIZER);
        if meta::is_terminating(&definition) && held {
            waiting |= !finish(api, &definition).await;
        }
    }
    waiting
}

/// Deletes the objects of a definition and releases it; false when some remain.
async fn finish(api: &Arc<Api>, definition: &Value) -> bool {
    let group = definition["spec"]["group"].as_str().unwrap_or("");
    let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or("");
    let query = Query {
        table: format!("{group}/{plural}"),
        ..Query::default()
    };
    let Ok(page) = api.store.list(&query, &|_| true) else {
        return false;
    };
    for entry in &page.entries {
        delete_object(api, &query.table, entry).await;
    }
    let left = api
        .store
        .list(&query, &|_| true)
        .map_or(1, |page| page.entries.len());
    left == 0 && release(api, meta::name(definition)).await
}

async fn delete_object(api: &Arc<Api>, table: &str, entry: &Entry) {
    let snapshot = api.catalogue.snapshot();
    let Some(kind) = snapshot.by_table(table) else {
        return;
    };
    let info = Info {
        namespace: entry.key.namespace().into(),
        ..Info::default()
    };
    let context = Context::new(
        Arc::clone(api),
        info,
        RequestQuery::default(),
        User::server(),
    );
    let name = entry.key.name();
    if let Err(failure) = delete::delete_one(&context, kind, name, &Options::default()).await {
        tracing::warn!(
            message = failure.message,
            "cannot delete an object of a deleted definition"
        );
    }
}

async fn release(api: &Arc<Api>, name: &str) -> bool {
    let info = Info {
        name: name.into(),
        ..Info::default()
    };
    let context = Context::new(
        Arc::clone(api),
        info,
        RequestQuery::default(),
        User::server(),
    );
    let group = "apiextensions.k8s.io";
    let Some(kind) = context
        .kinds
        .find(group, "v1", "customresourcedefinitions")
        .cloned()
    else {
        return false;
    };
    let Ok(mut writing) = Writing::new(&context, &kind) else {
        return false;
    };
    writing.manager = "pilotis".into();
    let propose = |live: &Value| {
        let mut object = live.clone();
        let kept = meta::finalizers(live)
            .into_iter()
            .filter(|f| *f != FINALIZER);
        let kept: Vec<String> = kept.map(str::to_owned).collect();
        meta::set(&mut object, &["metadata", "finalizers"], json!(kept));
        Ok(Proposal {
            object,
            owned: false,
        })
    };
    writing.update(name, &propose).await.is_ok()
}
