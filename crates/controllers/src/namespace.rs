//! Namespaces: deletes everything in a namespace that is going away, then lets it go.
//!
//! The API refuses new objects in such a namespace, so what is counted only shrinks. What stays
//! (finalizers, pods that end gracefully) is told in the namespace's conditions, in the words of
//! upstream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, DynamicObject, ListParams, PartialObjectMeta, PostParams};
use kube::{Api, ResourceExt};

use crate::Error;
use crate::cache::{Key, key_of};
use crate::kinds_of_cluster::{Served, served};
use crate::queue::{Controller, Queue};
use crate::world::{World, queue_self};

/// The finalizer this controller removes.
const FINALIZER: &str = "kubernetes";
/// Kinds emptied at the same time.
const PARALLEL: usize = 8;

pub(crate) struct Namespaces {
    world: Arc<World>,
}

impl Namespaces {
    pub(crate) fn new(world: &Arc<World>) -> (Self, Arc<Queue>) {
        let queue = Queue::new();
        queue_self(&world.namespaces, &queue);
        queue_on_removal(world, &queue);
        let world = Arc::clone(world);
        (Self { world }, queue)
    }
}

/// The last pod to end makes its namespace ready to go.
fn queue_on_removal(world: &Arc<World>, queue: &Arc<Queue>) {
    let queue = Arc::clone(queue);
    let namespaces = Arc::clone(&world.namespaces);
    world.pods.on_change(move |change| {
        if let (Some(pod), None) = (&change.old, &change.new) {
            let key = (String::new(), key_of(&**pod).0);
            if namespaces
                .get(&key)
                .is_some_and(|namespace| is_leaving(&namespace))
            {
                queue.add(key);
            }
        }
    });
}

fn is_leaving(namespace: &Namespace) -> bool {
    let finalizers = namespace
        .spec
        .as_ref()
        .and_then(|spec| spec.finalizers.as_ref());
    let is_ours = finalizers
        .into_iter()
        .flatten()
        .any(|name| name == FINALIZER);
    namespace.metadata.deletion_timestamp.is_some() && is_ours
}

/// What is left of one kind.
#[derive(Debug, Default, Clone)]
struct Left {
    resource: String,
    count: usize,
    finalizers: BTreeMap<String, usize>,
    failure: Option<String>,
}

impl Controller for Namespaces {
    const NAME: &'static str = "namespace-controller";

    async fn reconcile(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let namespace = self.world.namespaces.get(key);
        let Some(namespace) = namespace.filter(|namespace| is_leaving(namespace)) else {
            return Ok(None);
        };
        let name = namespace.name_any();
        let kinds = served(&self.world.client).await?;
        let kinds = kinds
            .into_iter()
            .filter(|kind| kind.is_namespaced && kind.can("delete") && kind.can("list"));
        let (pods, others): (Vec<Served>, Vec<Served>) = kinds.partition(is_pods);
        let mut left = self.empty_all(pods, &name).await;
        // What pods use (secrets, policies, services) stays until they have ended.
        if left
            .iter()
            .all(|left| left.count == 0 && left.failure.is_none())
        {
            left.extend(self.empty_all(others, &name).await);
        }
        self.write_conditions(&namespace, &left).await?;
        let remaining = left.iter().map(|left| left.count).sum();
        if remaining > 0 || left.iter().any(|left| left.failure.is_some()) {
            return Err(Error::Remaining(remaining));
        }
        self.finalize(&namespace).await?;
        Ok(None)
    }
}

fn is_pods(kind: &Served) -> bool {
    kind.resource.group.is_empty() && kind.resource.plural == "pods"
}

impl Namespaces {
    async fn empty_all(&self, kinds: Vec<Served>, namespace: &str) -> Vec<Left> {
        stream::iter(kinds)
            .map(|kind| self.empty(kind, namespace.to_owned()))
            .buffer_unordered(PARALLEL)
            .collect()
            .await
    }

    /// Deletes all objects of a kind and says what is left.
    async fn empty(&self, kind: Served, namespace: String) -> Left {
        let resource = format!("{}.{}", kind.resource.plural, kind.resource.group);
        match self.try_empty(&kind, &namespace).await {
            Ok(left) => Left { resource, ..left },
            // The kind went away itself, with its definition.
            Err(error) if Error::is_not_found(&error) => Left::default(),
            Err(error) => Left {
                resource,
                failure: Some(error.to_string()),
                ..Left::default()
            },
        }
    }

    async fn try_empty(&self, kind: &Served, namespace: &str) -> Result<Left, kube::Error> {
        type Meta = PartialObjectMeta<DynamicObject>;
        let client = self.world.client.clone();
        let api: Api<Meta> = Api::namespaced_with(client, namespace, &kind.resource);
        let list = ListParams::default();
        let found = api.list(&list).await?.items;
        if found.is_empty() {
            return Ok(Left::default());
        }
        let delete = DeleteParams::background();
        if kind.can("deletecollection") {
            let client = self.world.client.clone();
            let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &kind.resource);
            api.delete_collection(&delete, &list).await?;
        } else {
            for object in found
                .iter()
                .filter(|o| o.metadata.deletion_timestamp.is_none())
            {
                api.delete(&object.name_any(), &delete).await?;
            }
        }
        let mut left = Left::default();
        for object in api.list(&list).await?.items {
            left.count += 1;
            for finalizer in object.finalizers() {
                *left.finalizers.entry(finalizer.clone()).or_default() += 1;
            }
        }
        Ok(left)
    }

    async fn write_conditions(&self, namespace: &Namespace, left: &[Left]) -> Result<(), Error> {
        let mut namespace = namespace.clone();
        let status = namespace.status.get_or_insert_default();
        let mut conditions = status.conditions.clone().unwrap_or_default();
        let now = Timestamp::now();
        for fact in facts(left) {
            fact.set(&mut conditions, now);
        }
        if status.conditions.as_ref() == Some(&conditions) {
            return Ok(());
        }
        status.conditions = Some(conditions);
        let api: Api<Namespace> = Api::all(self.world.client.clone());
        let name = namespace.name_any();
        match api
            .replace_status(&name, &PostParams::default(), &namespace)
            .await
        {
            Ok(written) => self.world.namespaces.saw(written),
            Err(error) if Error::is_not_found(&error) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn finalize(&self, namespace: &Namespace) -> Result<(), Error> {
        let key = key_of(namespace);
        let newest = self.world.namespaces.get(&key);
        let Some(mut namespace) = newest.map(|newest| (*newest).clone()) else {
            return Ok(());
        };
        if let Some(spec) = &mut namespace.spec
            && let Some(finalizers) = &mut spec.finalizers
        {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        let api: Api<Namespace> = Api::all(self.world.client.clone());
        let parameters = PostParams::default();
        let done = api.replace_subresource("finalize", &key.1, &parameters, &namespace);
        match done.await {
            Ok(_) => Ok(()),
            Err(error) if Error::is_not_found(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A condition before it is dated.
struct Fact {
    type_: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Fact {
    /// Replaces the condition; a fact that never was true is not told as false first.
    fn set(self, conditions: &mut Vec<NamespaceCondition>, now: Timestamp) {
        let found = conditions.iter_mut().find(|c| c.type_ == self.type_);
        let condition = NamespaceCondition {
            type_: self.type_.to_owned(),
            status: self.status.to_owned(),
            reason: Some(self.reason.to_owned()),
            message: Some(self.message),
            last_transition_time: Some(Time(now)),
        };
        match found {
            None => conditions.push(condition),
            Some(old) => {
                let last_transition_time = if old.status == condition.status {
                    old.last_transition_time.clone()
                } else {
                    condition.last_transition_time.clone()
                };
                *old = NamespaceCondition {
                    last_transition_time,
                    ..condition
                };
            }
        }
    }
}

/// The condition types this controller keeps, with what they say when all is well.
const WELL: [(&str, &str, &str); 5] = [
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    (
        "NamespaceContentRemaining",
        "ContentRemoved",
        "All content successfully removed",
    ),
    (
        "NamespaceFinalizersRemaining",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
];

fn facts(left: &[Left]) -> [Fact; 5] {
    let failed = some(
        &failures(left),
        "ContentDeletionFailed",
        "Failed to delete all resource types",
    );
    let words = "Some resources are remaining";
    let remain = some(&remaining(left), "SomeResourcesRemain", words);
    let words = "Some content in the namespace has finalizers remaining";
    let kept = some(&finalizers(left), "SomeFinalizersRemain", words);
    let mut bad = [None, None, failed, remain, kept].into_iter();
    WELL.map(|(type_, reason, message)| match bad.next().flatten() {
        Some((reason, message)) => Fact {
            type_,
            status: "True",
            reason,
            message,
        },
        None => Fact {
            type_,
            status: "False",
            reason,
            message: message.to_owned(),
        },
    })
}

fn some(list: &[String], reason: &'static str, words: &str) -> Option<(&'static str, String)> {
    (!list.is_empty()).then(|| (reason, format!("{words}: {}", list.join(", "))))
}

fn failures(left: &[Left]) -> Vec<String> {
    left.iter()
        .filter_map(|left| left.failure.clone())
        .collect()
}

fn remaining(left: &[Left]) -> Vec<String> {
    let mut remaining: Vec<String> = left
        .iter()
        .filter(|left| left.count > 0)
        .map(|left| format!("{} has {} resource instances", left.resource, left.count))
        .collect();
    remaining.sort();
    remaining
}

fn finalizers(left: &[Left]) -> Vec<String> {
    let mut finalizers: BTreeMap<&String, usize> = BTreeMap::new();
    for (name, count) in left.iter().flat_map(|left| &left.finalizers) {
        *finalizers.entry(name).or_default() += count;
    }
    let finalizers = finalizers.into_iter();
    finalizers
        .map(|(name, count)| format!("{name} in {count} resource instances"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_tell_what_remains_and_why() {
        let left = [Left {
            resource: "pods.".into(),
            count: 2,
            finalizers: BTreeMap::from([("example.com/x".to_owned(), 1)]),
            failure: None,
        }];
        let told: Vec<(&str, String)> = facts(&left)
            .into_iter()
            .map(|fact| (fact.status, fact.message))
            .collect();
        assert_eq!(told[3].0, "True");
        assert_eq!(
            told[3].1,
            "Some resources are remaining: pods. has 2 resource instances"
        );
        assert_eq!(
            told[4].1,
            "Some content in the namespace has finalizers remaining: example.com/x in 1 resource \
             instances"
        );
        assert_eq!(told[2].0, "False");
    }
}
