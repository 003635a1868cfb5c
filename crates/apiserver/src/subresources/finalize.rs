//! `namespaces/finalize`: the namespace controller says that a namespace is empty.

use std::sync::Arc;

use serde_json::Value;

use crate::body;
use crate::context::Context;
use crate::failure::Outcome;
use crate::kind::Kind;
use crate::meta;
use crate::read;
use crate::respond::Answer;
use crate::write::{Proposal, Writing};

/// `PUT` to `namespaces/NAME/finalize`: only `spec.finalizers` is taken.
pub(crate) async fn replace(context: &Context, kind: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let sent = body::object(context, kind, body)?;
    let writing = Writing::new(context, kind)?;
    let propose = |live: &Value| {
        let mut object = live.clone();
        meta::copy(&sent["spec"], &mut object["spec"], "finalizers");
        for field in ["uid", "resourceVersion"] {
            meta::copy(&sent["metadata"], &mut object["metadata"], field);
        }
        Ok(Proposal {
            object,
            owned: false,
        })
    };
    let changed = writing.update(&context.info.name, &propose).await?;
    read::show(context, kind, &changed.entry, 200)
}
