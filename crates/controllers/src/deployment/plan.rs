//! What to do about a Deployment now, decided from what is, without touching anything.
//!
//! One look does at most one of: scale all sets after the Deployment's size changed, grow the new
//! set, shrink the old ones. The next look sees the effect.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;

use super::numbers::{available, is_rolling, limits, new_size, size, wanted};
use super::revision::{
    self, DESIRED, MAX, annotate_current, annotate_size, annotated, has_template_of, revision_of,
};
use super::status;
use crate::owner::controller_reference;

/// What is.
pub(super) struct View<'a> {
    pub(super) deployment: &'a Deployment,
    /// Its ReplicaSets.
    pub(super) sets: &'a [ReplicaSet],
    /// Whether pods run that do not belong to the set with this unique id.
    pub(super) has_old_pods: &'a (dyn Fn(Option<&str>) -> bool + Sync),
    pub(super) now: Timestamp,
}

/// What to do.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Option<ReplicaSet>,
    pub(super) replace: Vec<ReplicaSet>,
    pub(super) delete: Vec<ReplicaSet>,
    /// The Deployment's revision, if it must change.
    pub(super) revision: Option<String>,
    pub(super) status: DeploymentStatus,
    pub(super) look_again: Option<Duration>,
}

/// Decides.
pub(super) fn make(view: &View<'_>) -> Plan {
    let mut draft = Draft::new(view);
    let spec = view.deployment.spec.as_ref();
    let is_paused = spec.and_then(|spec| spec.paused) == Some(true);
    if view.deployment.metadata.deletion_timestamp.is_none() {
        draft.note_current();
        if is_paused || draft.is_resized() {
            draft.resize();
            if is_paused {
                draft.clean_up();
            }
        } else if is_rolling(view.deployment) {
            draft.roll();
        } else {
            draft.recreate();
        }
    }
    draft.finish(is_paused)
}

/// The sets as they will be.
struct Draft<'a> {
    view: &'a View<'a>,
    /// Oldest first.
    sets: Vec<ReplicaSet>,
    /// Place of the set that has the current template.
    current: Option<usize>,
    plan: Plan,
    created: Option<String>,
}

impl<'a> Draft<'a> {
    fn new(view: &'a View<'a>) -> Self {
        let mut sets = view.sets.to_vec();
        sets.sort_by_key(|set| {
            let created = set.metadata.creation_timestamp.as_ref().map(|time| time.0);
            (created, set.name_any())
        });
        let current = sets
            .iter()
            .position(|set| has_template_of(set, view.deployment));
        Self {
            view,
            sets,
            current,
            plan: Plan::default(),
            created: None,
        }
    }

    fn newest(&self) -> Option<&ReplicaSet> {
        self.current.map(|index| &self.sets[index])
    }

    fn old(&self) -> impl Iterator<Item = usize> {
        let current = self.current;
        (0..self.sets.len()).filter(move |index| Some(*index) != current)
    }

    fn next_revision(&self) -> i64 {
        let revisions = self.old().map(|index| revision_of(&self.sets[index]));
        revisions.max().unwrap_or(0) + 1
    }

    /// Keeps revision, annotations and patience of the current set in step.
    fn note_current(&mut self) {
        let revision = self.next_revision();
        let deployment = self.view.deployment;
        let Some(index) = self.current else {
            return;
        };
        let set = &mut self.sets[index];
        annotate_current(set, deployment, revision);
        let patience = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.min_ready_seconds);
        if let Some(spec) = &mut set.spec {
            spec.min_ready_seconds = patience;
        }
        self.plan.revision = Some(revision_of(set).to_string());
    }

    /// Whether the Deployment's size changed since its sets were last scaled.
    fn is_resized(&self) -> bool {
        let wanted = wanted(self.view.deployment);
        let mut active = self.sets.iter().filter(|set| size(set) > 0);
        active.any(|set| annotated(set, DESIRED).is_some_and(|desired| desired != wanted))
    }

    fn scale(&mut self, index: usize, to: i32) -> bool {
        let set = &mut self.sets[index];
        let is_change = size(set) != to;
        annotate_size(set, self.view.deployment);
        if let Some(spec) = &mut set.spec {
            spec.replicas = Some(to);
        }
        is_change
    }

    fn active(&self) -> Vec<usize> {
        let all = 0..self.sets.len();
        all.filter(|index| size(&self.sets[*index]) > 0).collect()
    }

    /// Follows a new size: one set takes it all, several share it in proportion.
    fn resize(&mut self) {
        let wanted = wanted(self.view.deployment);
        let active = self.active();
        let only = match active.as_slice() {
            [] => self.current.or_else(|| self.sets.len().checked_sub(1)),
            [only] => Some(*only),
            _ => None,
        };
        if let Some(only) = only {
            if size(&self.sets[only]) != wanted {
                self.scale(only, wanted);
            }
            return;
        }
        if self.is_saturated() {
            for index in self.old().collect::<Vec<_>>() {
                if size(&self.sets[index]) > 0 {
                    self.scale(index, 0);
                }
            }
        } else if is_rolling(self.view.deployment) {
            self.share(active);
        }
    }

    fn is_saturated(&self) -> bool {
        let wanted = wanted(self.view.deployment);
        self.newest().is_some_and(|set| {
            size(set) == wanted
                && annotated(set, DESIRED) == Some(wanted)
                && available(set) == wanted
        })
    }

    /// Shares pods to add or take among the active sets, biggest first.
    fn share(&mut self, mut active: Vec<usize>) {
        let wanted = wanted(self.view.deployment);
        let total: i32 = active.iter().map(|index| size(&self.sets[*index])).sum();
        let most = match wanted {
            0 => 0,
            wanted => wanted + limits(self.view.deployment).0,
        };
        let change = most - total;
        // Among equals, growing favours the newer set and shrinking the older one.
        active.sort_by_key(|index| {
            let age = i64::try_from(*index).unwrap_or(0);
            let age = if change > 0 { -age } else { age };
            (Reverse(size(&self.sets[*index])), age)
        });
        let mut sizes = Vec::new();
        let mut done = 0;
        for index in &active {
            let part = self.part(*index, change, done);
            sizes.push(size(&self.sets[*index]) + part);
            done += part;
        }
        if let Some(first) = sizes.first_mut() {
            *first = (*first + change - done).max(0);
        }
        for (index, to) in active.into_iter().zip(sizes) {
            self.scale(index, to);
        }
    }

    fn part(&self, index: usize, change: i32, done: i32) -> i32 {
        let (set, deployment) = (&self.sets[index], self.view.deployment);
        let current = size(set);
        let left = change - done;
        if left == 0 {
            return 0;
        }
        let wanted = wanted(deployment);
        if wanted == 0 {
            return (-current).max(left);
        }
        let most = wanted + limits(deployment).0;
        let status = deployment.status.as_ref();
        let replicas = status.and_then(|status| status.replicas).unwrap_or(0);
        let before = annotated(set, MAX)
            .filter(|max| *max != 0)
            .unwrap_or(replicas);
        if before == 0 {
            return 0;
        }
        let exact = f64::from(current) * f64::from(most) / f64::from(before);
        #[allow(clippy::cast_possible_truncation)] // sizes are far below the bounds of i32
        let share = exact.round() as i32 - current;
        if change > 0 {
            share.min(left)
        } else {
            share.max(left)
        }
    }

    /// One step of a rolling update.
    fn roll(&mut self) {
        let Some(current) = self.current else {
            self.create();
            return;
        };
        let wanted = wanted(self.view.deployment);
        let total: i32 = self.sets.iter().map(size).sum();
        let now = size(&self.sets[current]);
        let to = match now.cmp(&wanted) {
            std::cmp::Ordering::Equal => now,
            std::cmp::Ordering::Greater => wanted,
            std::cmp::Ordering::Less => new_size(self.view.deployment, total, now),
        };
        if to != now {
            self.scale(current, to);
        } else if !self.shrink_old(current) {
            self.clean_up_if_complete();
        }
    }

    /// Takes pods from the old sets as far as availability allows; true if it took any.
    fn shrink_old(&mut self, current: usize) -> bool {
        let wanted = wanted(self.view.deployment);
        let least = wanted - limits(self.view.deployment).1;
        let total: i32 = self.sets.iter().map(size).sum();
        let new = &self.sets[current];
        let new_missing = size(new) - available(new);
        let most_taken = total - least - new_missing;
        if most_taken <= 0 || total == size(new) {
            return false;
        }
        let old: Vec<usize> = self.old().collect();
        let mut taken = 0;
        for index in &old {
            let set = &self.sets[*index];
            let unhealthy = (size(set) - available(set)).min(most_taken - taken);
            if unhealthy > 0 {
                let to = size(set) - unhealthy;
                self.scale(*index, to);
                taken += unhealthy;
            }
        }
        let all_available: i32 = self.sets.iter().map(available).sum();
        let mut spare = all_available - least;
        for index in old {
            let take = size(&self.sets[index]).min(spare);
            if take > 0 {
                let to = size(&self.sets[index]) - take;
                self.scale(index, to);
                taken += take;
                spare -= take;
            }
        }
        taken > 0
    }

    /// One step of replacing all pods at once.
    fn recreate(&mut self) {
        let active_old: Vec<usize> = self.old().filter(|i| size(&self.sets[*i]) > 0).collect();
        for index in &active_old {
            self.scale(*index, 0);
        }
        let new_uid = self.newest().and_then(|set| set.metadata.uid.clone());
        let has_old_pods = (self.view.has_old_pods)(new_uid.as_deref());
        if !active_old.is_empty() || has_old_pods {
            return;
        }
        let Some(current) = self.current else {
            self.create();
            return;
        };
        let wanted = wanted(self.view.deployment);
        if size(&self.sets[current]) != wanted {
            self.scale(current, wanted);
        } else {
            self.clean_up_if_complete();
        }
    }

    fn create(&mut self) {
        let deployment = self.view.deployment;
        let Some(spec) = &deployment.spec else {
            return;
        };
        let collisions = deployment
            .status
            .as_ref()
            .and_then(|status| status.collision_count);
        let hash = revision::template_hash(&spec.template, collisions);
        let mut template = spec.template.clone();
        let meta = template.metadata.get_or_insert_default();
        let labels = revision::with_hash(meta.labels.as_ref(), &hash);
        meta.labels = Some(labels.clone());
        let mut selector = spec.selector.clone();
        selector.match_labels = Some(revision::with_hash(selector.match_labels.as_ref(), &hash));
        let total: i32 = self.sets.iter().map(size).sum();
        let name = revision::set_name(&deployment.name_any(), &hash);
        let mut set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: deployment.namespace(),
                labels: Some(labels),
                owner_references: Some(vec![controller_reference(deployment)]),
                ..ObjectMeta::default()
            },
            spec: Some(ReplicaSetSpec {
                replicas: Some(new_size(deployment, total, 0)),
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(template),
            }),
            status: None,
        };
        let revision = self.next_revision();
        annotate_current(&mut set, deployment, revision);
        annotate_size(&mut set, deployment);
        self.plan.revision = Some(revision.to_string());
        self.plan.create = Some(set);
        self.created = Some(name);
    }

    fn clean_up_if_complete(&mut self) {
        let status = self.view.deployment.status.clone().unwrap_or_default();
        if status::is_complete(self.view.deployment, &status) {
            self.clean_up();
        }
    }

    /// Deletes the oldest empty sets beyond the history limit.
    fn clean_up(&mut self) {
        let spec = self.view.deployment.spec.as_ref();
        let limit = spec
            .and_then(|spec| spec.revision_history_limit)
            .unwrap_or(10);
        let mut old: Vec<&ReplicaSet> = self
            .old()
            .map(|index| &self.sets[index])
            .filter(|set| set.metadata.deletion_timestamp.is_none())
            .collect();
        old.sort_by_key(|set| revision_of(set));
        let surplus = old
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(0));
        let is_empty = |set: &&&ReplicaSet| {
            let status = set.status.clone().unwrap_or_default();
            status.replicas == 0
                && size(set) == 0
                && status.observed_generation >= set.metadata.generation
        };
        let deleted = old.iter().take(surplus).filter(is_empty);
        self.plan.delete = deleted.map(|set| (*set).clone()).collect();
    }

    fn finish(mut self, is_paused: bool) -> Plan {
        let (view, deployment) = (self.view, self.view.deployment);
        let changed = self.sets.iter().filter(|set| {
            let before = view.sets.iter().find(|before| before.uid() == set.uid());
            before != Some(set)
        });
        self.plan.replace = changed.cloned().collect();
        let annotations = deployment.annotations();
        let is_known = annotations.get(revision::REVISION) == self.plan.revision.as_ref();
        if is_known {
            self.plan.revision = None;
        }
        let mut status = status::counted(deployment, &self.sets, self.newest(), view.now);
        if deployment.metadata.deletion_timestamp.is_none() {
            status::note_pause(&mut status, deployment, view.now);
            if status::has_deadline(deployment) {
                match (&self.created, self.newest()) {
                    (Some(name), _) => status::note_new_set(&mut status, name, true, view.now),
                    (None, Some(set)) => {
                        status::note_new_set(&mut status, &set.name_any(), false, view.now);
                    }
                    (None, None) => {}
                }
            }
            if !is_paused && self.created.is_none() {
                status::judge(&mut status, deployment, self.newest(), view.now);
            }
            status::copy_failure(&mut status, &self.sets, self.newest(), view.now);
        }
        let stuck = status::stuck_at(deployment, &status).filter(|_| !is_paused);
        self.plan.look_again = stuck.map(|at| {
            let wait = Duration::try_from(at.duration_since(view.now)).unwrap_or_default();
            wait + Duration::from_secs(1)
        });
        self.plan.status = status;
        self.plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn deployment(replicas: i32, image: &str, strategy: Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "namespace": "n", "uid": "d", "generation": 1},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": "1"}},
                "strategy": strategy, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 1,
                "template": template(image)}}))
        .unwrap()
    }

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"a": "1"}},
            "spec": {"containers": [{"name": "c", "image": image}]}})
    }

    fn rolling() -> Value {
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    }

    /// A set named after its image with this size and as many available pods.
    fn set(image: &str, revision: i32, size: i32, available: i32, desired: i32) -> ReplicaSet {
        serde_json::from_value(json!({
            "metadata": {"name": image, "uid": image, "generation": 1, "annotations": {
                REVISION: revision.to_string(), DESIRED: desired.to_string(),
                MAX: (desired + 1).to_string()},
                "creationTimestamp": format!("2026-01-01T00:00:0{revision}Z")},
            "spec": {"replicas": size, "selector": {}, "template": template(image)},
            "status": {"replicas": size, "availableReplicas": available,
                "observedGeneration": 1}}))
        .unwrap()
    }

    use super::super::revision::REVISION;

    fn plan(deployment: &Deployment, sets: &[ReplicaSet]) -> Plan {
        make(&View {
            deployment,
            sets,
            has_old_pods: &|_| false,
            now: "2026-01-01T01:00:00Z".parse().unwrap(),
        })
    }

    fn sizes(plan: &Plan) -> Vec<(String, i32)> {
        let sets = plan.replace.iter();
        sets.map(|set| (set.name_any(), size(set))).collect()
    }

    #[test]
    fn a_new_deployment_gets_a_set_of_full_size() {
        let plan = plan(&deployment(3, "v1", rolling()), &[]);
        let set = plan.create.unwrap();
        assert_eq!(size(&set), 3);
        assert_eq!(revision_of(&set), 1);
        assert_eq!(plan.revision.as_deref(), Some("1"));
        let spec = set.spec.unwrap();
        let hash = &spec.selector.match_labels.unwrap()[revision::HASH];
        assert_eq!(set.metadata.name, Some(format!("web-{hash}")));
    }

    #[test]
    fn rolling_grows_before_it_shrinks() {
        let v2 = deployment(3, "v2", rolling());
        let first = plan(&v2, &[set("v1", 1, 3, 3, 3)]);
        assert_eq!(first.create.map(|set| size(&set)), Some(1));
        let waiting = plan(&v2, &[set("v1", 1, 3, 3, 3), set("v2", 2, 1, 0, 3)]);
        assert_eq!(sizes(&waiting), []);
        let shrink = plan(&v2, &[set("v1", 1, 3, 3, 3), set("v2", 2, 1, 1, 3)]);
        assert_eq!(sizes(&shrink), [("v1".into(), 2)]);
        let grow = plan(&v2, &[set("v1", 1, 2, 2, 3), set("v2", 2, 1, 1, 3)]);
        assert_eq!(sizes(&grow), [("v2".into(), 2)]);
    }

    #[test]
    fn unhealthy_old_pods_go_first() {
        let v2 = deployment(3, "v2", rolling());
        let plan = plan(&v2, &[set("v1", 1, 3, 2, 3), set("v2", 2, 1, 1, 3)]);
        assert_eq!(sizes(&plan), [("v1".into(), 2)]);
    }

    #[test]
    fn recreate_empties_old_sets_before_it_creates() {
        let v2 = deployment(2, "v2", json!({"type": "Recreate"}));
        let first = plan(&v2, &[set("v1", 1, 2, 2, 2)]);
        assert_eq!(sizes(&first), [("v1".into(), 0)]);
        assert!(first.create.is_none());
        let second = plan(&v2, &[set("v1", 1, 0, 0, 2)]);
        assert_eq!(second.create.map(|set| size(&set)), Some(2));
    }

    #[test]
    fn a_new_size_is_shared_during_a_rollout() {
        let v2 = deployment(10, "v2", rolling());
        let plan = plan(&v2, &[set("v1", 1, 4, 4, 5), set("v2", 2, 2, 2, 5)]);
        assert_eq!(sizes(&plan), [("v1".into(), 7), ("v2".into(), 4)]);
    }

    #[test]
    fn going_back_gives_the_old_set_a_new_revision() {
        let v1 = deployment(1, "v1", rolling());
        let plan = plan(&v1, &[set("v1", 1, 0, 0, 1), set("v2", 2, 1, 1, 1)]);
        assert_eq!(plan.revision.as_deref(), Some("3"));
        let back = plan
            .replace
            .iter()
            .find(|set| set.name_any() == "v1")
            .unwrap();
        assert_eq!(revision_of(back), 3);
        let history = "deployment.kubernetes.io/revision-history";
        assert_eq!(back.annotations()[history], "1");
    }

    #[test]
    fn history_beyond_the_limit_is_deleted_when_complete() {
        let mut v3 = deployment(1, "v3", rolling());
        v3.status = Some(
            serde_json::from_value(json!({"replicas": 1, "updatedReplicas": 1,
            "availableReplicas": 1, "observedGeneration": 1}))
            .unwrap(),
        );
        let sets = [
            set("v1", 1, 0, 0, 1),
            set("v2", 2, 0, 0, 1),
            set("v3", 3, 1, 1, 1),
        ];
        let plan = plan(&v3, &sets);
        let deleted: Vec<String> = plan.delete.iter().map(ResourceExt::name_any).collect();
        assert_eq!(deleted, ["v1"]);
        let conditions = plan.status.conditions.unwrap();
        let reasons: Vec<&str> = conditions
            .iter()
            .filter_map(|c| c.reason.as_deref())
            .collect();
        assert_eq!(
            reasons,
            ["MinimumReplicasAvailable", "NewReplicaSetAvailable"]
        );
    }

    #[test]
    fn standing_still_too_long_is_a_timeout() {
        let mut v1 = deployment(1, "v1", rolling());
        v1.status = Some(
            serde_json::from_value(json!({"replicas": 1, "updatedReplicas": 1,
            "observedGeneration": 1, "conditions": [{"type": "Progressing", "status": "True",
            "reason": "ReplicaSetUpdated", "lastUpdateTime": "2026-01-01T00:00:00Z"}]}))
            .unwrap(),
        );
        let plan = plan(&v1, &[set("v1", 1, 1, 0, 1)]);
        let conditions = plan.status.conditions.unwrap();
        let reasons: Vec<&str> = conditions
            .iter()
            .filter_map(|c| c.reason.as_deref())
            .collect();
        assert_eq!(
            reasons,
            ["MinimumReplicasUnavailable", "ProgressDeadlineExceeded"]
        );
    }
}
