//! `eviction`: deleting a pod unless a disruption budget forbids it.

use std::sync::Arc;

use pilotis_store::Query;
use serde_json::{Value, json};

use crate::body;
use crate::context::Context;
use crate::convert;
use crate::delete::{self, Options};
use crate::failure::{Failure, Outcome};
use crate::kind::Kind;
use crate::meta;
use crate::respond::{self, Answer};
use crate::selectors::Labels;
use crate::write::{Proposal, Writing};

/// `POST` to `pods/NAME/eviction`.
pub(crate) async fn create(context: &Context, pods: &Arc<Kind>, body: &[u8]) -> Outcome<Answer> {
    let eviction: Value = if context.content_type() == "application/vnd.kubernetes.protobuf" {
        pilotis_kinds::wire::decode(body, Some(("policy/v1", "Eviction")))
            .map_err(|e| Failure::bad_request(e.to_string()))?
    } else {
        body::document(context.content_type(), body)?.into()
    };
    let name = context.info.name.as_str();
    let entry = context.api.store.latest(&context.key(pods, name));
    let entry = entry.ok_or_else(|| Failure::not_found(pods, name))?;
    let pod = convert::served(pods, &entry)?;
    let mut options = Options::from_value(&eviction["deleteOptions"])?;
    options.dry_run |= context.query.dry_run()?;
    let ended = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed" | "Pending")
    );
    if !ended && !meta::is_terminating(&pod) {
        spend_budget(context, &pod, options.dry_run).await?;
    }
    delete::delete_one(context, pods, name, &options).await?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201,
    });
    Ok(respond::json(201, &status))
}

/// Takes one disruption from the pod's budget, or refuses.
async fn spend_budget(context: &Context, pod: &Value, dry_run: bool) -> Outcome<()> {
    let Some(budgets) = context
        .kinds
        .find("policy", "v1", "poddisruptionbudgets")
        .cloned()
    else {
        return Ok(());
    };
    let query = Query {
        table: budgets.table.to_string(),
        namespace: Some(context.info.namespace.clone()),
        ..Query::default()
    };
    let page = context.api.store.list(&query, &|_| true);
    let page = page.map_err(|e| Failure::internal(e.to_string()))?;
    let mut matching = Vec::new();
    for entry in &page.entries {
        let budget = convert::served(&budgets, entry)?;
        let selector = Labels::from_object(&budget["spec"]["selector"]);
        if selector.is_some_and(|s| s.matches_object(pod)) {
            matching.push(budget);
        }
    }
    match matching.as_slice() {
        [] => Ok(()),
        [budget] => take_one(context, &budgets, meta::name(budget), dry_run).await,
        _ => Err(Failure::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does \
             not support.",
        )),
    }
}

async fn take_one(
    context: &Context,
    budgets: &Arc<Kind>,
    name: &str,
    dry_run: bool,
) -> Outcome<()> {
    let mut writing = Writing::new(context, budgets)?;
    writing.subresource = "status".into();
    writing.dry_run = dry_run;
    let propose = |live: &Value| {
        let allowed = live["status"]["disruptionsAllowed"].as_i64().unwrap_or(0);
        if allowed < 1 {
            let message = "Cannot evict pod as it would violate the pod's disruption budget.";
            let cause = json!({
                "reason": "DisruptionBudget",
                "message": format!("The disruption budget {name} does not allow evicting a pod now."),
            });
            return Err(Failure::new(429, "TooManyRequests", message)
                .with_details(json!({"causes": [cause]})));
        }
        let mut object = live.clone();
        meta::set(
            &mut object,
            &["status", "disruptionsAllowed"],
            (allowed - 1).into(),
        );
        let pod = ["status", "disruptedPods", context.info.name.as_str()];
        meta::set(&mut object, &pod, meta::now().into());
        Ok(Proposal {
            object,
            owned: false,
        })
    };
    writing.update(name, &propose).await.map(drop)
}
