//! Who belongs to whom: controller references, selectors, and claiming of orphans.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use crate::Error;
use crate::world::World;

/// The reference that makes `owner` the controller of what carries it.
pub(crate) fn controller_reference<K: Resource<DynamicType = ()>>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: owner.meta().name.clone().unwrap_or_default(),
        uid: owner.meta().uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The controller of an object.
pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// Whether `owner` is the controller of the object with this metadata.
pub(crate) fn is_controlled_by<K: Resource>(meta: &ObjectMeta, owner: &K) -> bool {
    let uid = owner.meta().uid.as_deref().unwrap_or_default();
    controller_of(meta).is_some_and(|controller| controller.uid == uid)
}

/// Whether a selector chooses an object with these labels; an empty selector chooses everything.
pub(crate) fn selects(selector: &LabelSelector, labels: Option<&BTreeMap<String, String>>) -> bool {
    let empty = BTreeMap::new();
    let labels = labels.unwrap_or(&empty);
    let wanted = selector.match_labels.iter().flatten();
    let rules = selector.match_expressions.iter().flatten();
    let mut wanted = wanted.map(|(key, value)| labels.get(key) == Some(value));
    let mut rules = rules.map(|rule| {
        let value = labels.get(&rule.key);
        let values = rule.values.as_deref().unwrap_or_default();
        match rule.operator.as_str() {
            "In" => value.is_some_and(|value| values.contains(value)),
            "NotIn" => value.is_none_or(|value| !values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    });
    wanted.all(|fits| fits) && rules.all(|fits| fits)
}

/// What to do with a pod of the namespace.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    Keep,
    Adopt,
    Release,
    Ignore,
}

fn claim<K: Resource>(owner: &K, selector: &LabelSelector, pod: &Pod) -> Claim {
    let fits = selects(selector, pod.metadata.labels.as_ref());
    let is_leaving = pod.metadata.deletion_timestamp.is_some();
    let owner_leaves = owner.meta().deletion_timestamp.is_some();
    match controller_of(&pod.metadata) {
        Some(_) if is_controlled_by(&pod.metadata, owner) => match fits {
            true => Claim::Keep,
            false if owner_leaves => Claim::Ignore,
            false => Claim::Release,
        },
        None if fits && !is_leaving && !owner_leaves => Claim::Adopt,
        _ => Claim::Ignore,
    }
}

/// The pods of the owner's namespace that are its own, after adopting matching orphans and
/// releasing pods that no longer match.
pub(crate) async fn claim_pods<K: Resource<DynamicType = ()>>(
    world: &World,
    owner: &K,
    selector: &LabelSelector,
) -> Result<Vec<Arc<Pod>>, Error> {
    let namespace = owner.meta().namespace.clone().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(world.client.clone(), &namespace);
    let mut claimed = Vec::new();
    for pod in world.pods.in_namespace(&namespace) {
        let reference = match claim(owner, selector, &pod) {
            Claim::Ignore => continue,
            Claim::Keep => {
                claimed.push(pod);
                continue;
            }
            Claim::Adopt if is_finished(&pod) => continue,
            Claim::Adopt => json!(controller_reference(owner)),
            Claim::Release => json!({"$patch": "delete", "uid": owner.meta().uid}),
        };
        let patch = json!({"metadata": {"uid": pod.uid(), "ownerReferences": [reference]}});
        let patched = api
            .patch(
                &pod.name_any(),
                &PatchParams::default(),
                &Patch::Strategic(patch),
            )
            .await?;
        world.pods.saw(patched.clone());
        if is_controlled_by(&patched.metadata, owner) {
            claimed.push(Arc::new(patched));
        }
    }
    Ok(claimed)
}

fn is_finished(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::ReplicaSet;

    fn object<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn pods_are_claimed_by_selector_and_owner() {
        let set: ReplicaSet = object(json!({"metadata": {"name": "s", "uid": "1"}}));
        let selector: LabelSelector = object(json!({"matchLabels": {"a": "1"}}));
        let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "s", "uid": "1",
            "controller": true}]);
        let other = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "o", "uid": "2",
            "controller": true}]);
        for (labels, owners, expected) in [
            (json!({"a": "1"}), json!([]), Claim::Adopt),
            (json!({"a": "1"}), owner.clone(), Claim::Keep),
            (json!({"a": "2"}), owner, Claim::Release),
            (json!({"a": "1"}), other, Claim::Ignore),
            (json!({"a": "2"}), json!([]), Claim::Ignore),
        ] {
            let pod = object(json!({"metadata": {"labels": labels, "ownerReferences": owners}}));
            assert_eq!(claim(&set, &selector, &pod), expected, "{labels}");
        }
    }

    #[test]
    fn expressions_select() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned())]);
        for (rule, expected) in [
            (
                json!({"key": "a", "operator": "In", "values": ["1", "2"]}),
                true,
            ),
            (
                json!({"key": "a", "operator": "NotIn", "values": ["1"]}),
                false,
            ),
            (
                json!({"key": "b", "operator": "NotIn", "values": ["1"]}),
                true,
            ),
            (json!({"key": "b", "operator": "Exists"}), false),
            (json!({"key": "b", "operator": "DoesNotExist"}), true),
        ] {
            let selector = object(json!({"matchExpressions": [rule]}));
            assert_eq!(selects(&selector, Some(&labels)), expected, "{rule}");
        }
    }
}
