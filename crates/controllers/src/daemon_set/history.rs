//! Templates a DaemonSet has had, as ControllerRevisions, in the form `kubectl rollout` reads.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::deployment::template_hash;
use crate::owner::controller_reference;

/// Label that tells templates apart, on revisions and pods.
pub(super) const HASH: &str = "controller-revision-hash";
const KEPT: i32 = 10;

/// The revisions of one set, oldest first.
pub(super) struct History {
    revisions: Vec<Arc<ControllerRevision>>,
    data: Value,
}

impl History {
    pub(super) fn of(set: &DaemonSet, mut revisions: Vec<Arc<ControllerRevision>>) -> Self {
        revisions.sort_by_key(|revision| revision.revision);
        let template = set.spec.as_ref().map(|spec| json!(spec.template));
        let mut template = template.unwrap_or_default();
        template["$patch"] = "replace".into();
        Self {
            revisions,
            data: json!({"spec": {"template": template}}),
        }
    }

    /// The newest revision that has the set's template.
    pub(super) fn current(&self) -> Option<Arc<ControllerRevision>> {
        let mut newest = self.revisions.iter().rev();
        let is_current = |revision: &&Arc<ControllerRevision>| {
            let data = revision.data.as_ref();
            data.is_some_and(|RawExtension(data)| *data == self.data)
        };
        newest.find(is_current).cloned()
    }

    /// The number after the highest.
    pub(super) fn next(&self) -> i64 {
        self.revisions.last().map_or(0, |last| last.revision) + 1
    }

    /// A revision for the set's template; its name is free.
    pub(super) fn new_revision(&self, set: &DaemonSet) -> ControllerRevision {
        let template = set.spec.as_ref().map(|spec| spec.template.clone());
        let template = template.unwrap_or_default();
        let is_taken = |hash: &String| {
            let mut known = self.revisions.iter();
            known.any(|revision| revision.labels().get(HASH) == Some(hash))
        };
        let names = std::iter::once(None).chain((1..).map(Some));
        let mut hashes = names.map(|collisions| template_hash(&template, collisions));
        let hash = hashes.find(|hash| !is_taken(hash)).unwrap_or_default();
        let labels = template.metadata.and_then(|meta| meta.labels);
        let mut labels = labels.unwrap_or_default();
        labels.insert(HASH.into(), hash.clone());
        ControllerRevision {
            metadata: ObjectMeta {
                name: Some(format!("{}-{hash}", set.name_any())),
                namespace: set.namespace(),
                labels: Some(labels),
                annotations: set.metadata.annotations.clone(),
                owner_references: Some(vec![controller_reference(set)]),
                ..ObjectMeta::default()
            },
            data: Some(RawExtension(self.data.clone())),
            revision: self.next(),
        }
    }

    /// The oldest revisions beyond the limit that no pod has.
    pub(super) fn surplus(
        &self,
        set: &DaemonSet,
        current: &ControllerRevision,
        pods: &[Arc<Pod>],
    ) -> Vec<Arc<ControllerRevision>> {
        let limit = set.spec.as_ref().and_then(|s| s.revision_history_limit);
        let kept = usize::try_from(limit.unwrap_or(KEPT)).unwrap_or(0);
        let is_live = |revision: &ControllerRevision| {
            let hash = revision.labels().get(HASH);
            pods.iter().any(|pod| pod.labels().get(HASH) == hash)
        };
        let old: Vec<&Arc<ControllerRevision>> = self
            .revisions
            .iter()
            .filter(|revision| revision.name_any() != current.name_any() && !is_live(revision))
            .collect();
        let count = old.len().saturating_sub(kept);
        old.into_iter().take(count).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(image: &str) -> DaemonSet {
        let template = json!({"metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "c", "image": image}]}});
        let set = json!({"metadata": {"name": "d", "namespace": "n", "uid": "u"},
            "spec": {"selector": {}, "template": template, "revisionHistoryLimit": 1}});
        serde_json::from_value(set).unwrap()
    }

    #[test]
    fn a_template_that_comes_back_is_known_by_its_content() {
        let first = Arc::new(History::of(&set("a"), vec![]).new_revision(&set("a")));
        let after = History::of(&set("b"), vec![Arc::clone(&first)]);
        assert!(after.current().is_none());
        let second = Arc::new(after.new_revision(&set("b")));
        assert_eq!((first.revision, second.revision), (1, 2));
        assert_ne!(first.name_any(), second.name_any());
        let back = History::of(&set("a"), vec![Arc::clone(&first), second]);
        assert_eq!(back.current(), Some(first));
        assert_eq!(back.next(), 3);
    }

    #[test]
    fn only_old_revisions_without_pods_are_surplus() {
        let mut known: Vec<Arc<ControllerRevision>> = Vec::new();
        for image in ["a", "b", "c", "d"] {
            let history = History::of(&set(image), known.clone());
            known.push(Arc::new(history.new_revision(&set(image))));
        }
        let pod = json!({"metadata": {"labels": {HASH: known[0].labels()[HASH]}}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let history = History::of(&set("d"), known.clone());
        let surplus = history.surplus(&set("d"), &known[3], &[Arc::new(pod)]);
        assert_eq!(surplus, [Arc::clone(&known[1])]);
    }
}
