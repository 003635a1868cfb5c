//! `binding`: a scheduler says on which node a pod runs. Once, and never again.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::body;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::respond::{self, Answer};
use crate::write::{Proposal, Writing};

/// `POST` to `pods/NAME/binding`.
pub(crate) async fn create(context: &Context, pods: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let bindings = context
        .kinds
        .find("", "v1", "bindings")
        .ok_or_else(Failure::no_resource)?;
    let binding = body::object(context, bindings, body)?;
    let node = binding["target"]["name"].as_str().unwrap_or("").to_owned();
    if node.is_empty() {
        return Err(Failure::bad_request("target.name is required"));
    }
    let name = match context.info.name.as_str() {
        "" => meta::name(&binding).to_owned(),
        name => name.to_owned(),
    };
    let mut writing = Writing::new(context, pods)?;
    writing.subresource = "binding".into();
    let propose = |live: &Value| {
        let held = live["spec"]["nodeName"].as_str().unwrap_or("");
        if meta::is_terminating(live) {
            let why = format!("pod {name} is being deleted, cannot be assigned to a host");
            return Err(Failure::conflict(pods, &name, &why));
        }
        if !held.is_empty() {
            let why = format!("pod {name} is already assigned to node {held:?}");
            return Err(Failure::conflict(pods, &name, &why));
        }
        let mut object = live.clone();
        meta::set(&mut object, &["spec", "nodeName"], node.clone().into());
        for (key, value) in binding["metadata"]["annotations"]
            .as_object()
            .into_iter()
            .flatten()
        {
            meta::set(
                &mut object,
                &["metadata", "annotations", key],
                value.clone(),
            );
        }
        let scheduled = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null,
            "lastTransitionTime": meta::now(),
        });
        let mut conditions: Vec<Value> = live["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        conditions.retain(|c| c["type"] != "PodScheduled");
        conditions.push(scheduled);
        meta::set(&mut object, &["status", "conditions"], conditions.into());
        meta::metadata_mut(&mut object).remove("resourceVersion");
        Ok(Proposal {
            object,
            owned: false,
        })
    };
    writing.update(&name, &propose).await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(respond::json(201, &status))
}
