//! The status of an application, and the smallest merge patch that brings it about.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilotis_kinds::argo::{
    ApplicationSpec, ApplicationStatus, ComparedTo, Condition, HealthCode, HealthStatus,
    ResourceStatus, SyncCode, SyncStatus,
};
use pilotis_sync::health::{Health, health, is_left_out};
use pilotis_sync::object::{self, Key};
use pilotis_sync::options::ignores_extraneous;
use pilotis_sync::order;
use pilotis_sync::plan::Pair;
use pilotis_sync::summary::{Part, application_health, summary};
use serde_json::{Map, Value};

use crate::comparison::Verdict;
use crate::render::Rendered;

/// The time as upstream writes it.
pub(crate) fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A status without a comparison: nothing is known, and why.
pub(crate) fn unknown(status: &mut ApplicationStatus, spec: &ApplicationSpec) {
    status.sync.status = SyncCode::Unknown;
    status.sync.compared_to = compared_to(spec);
    if status.health.status != HealthCode::Healthy || status.reconciled_at.is_none() {
        status.health.status = HealthCode::Unknown;
    }
}

/// What a comparison says about resources, sync and health.
pub(crate) fn compared(
    status: &mut ApplicationStatus,
    spec: &ApplicationSpec,
    rendered: &Rendered,
    (pairs, verdicts): (&[Pair], &BTreeMap<Key, Verdict>),
) {
    let mut resources = Vec::new();
    let mut code = SyncCode::Synced;
    let mut parts = Vec::new();
    for pair in pairs {
        if pair.target.is_none() && !pair.is_prunable() {
            continue;
        }
        let one = resource(pair, verdicts.get(&pair.key));
        let left = pair.live.as_ref().filter(|_| pair.target.is_none());
        if one.status == Some(SyncCode::OutOfSync) && !left.is_some_and(ignores_extraneous) {
            code = SyncCode::OutOfSync;
        }
        parts.push(part(pair));
        resources.push(one);
    }
    resources.sort_by(|one, other| {
        let key = |one: &ResourceStatus| {
            (
                one.group.clone(),
                one.kind.clone(),
                one.namespace.clone(),
                one.name.clone(),
            )
        };
        key(one).cmp(&key(other))
    });
    status.resources = resources;
    let several = !spec.sources.is_empty();
    let first = |list: &[String]| list.first().cloned().unwrap_or_default();
    status.sync = SyncStatus {
        status: code,
        compared_to: compared_to(spec),
        revision: if several {
            String::new()
        } else {
            first(&rendered.revisions)
        },
        revisions: if several {
            rendered.revisions.clone()
        } else {
            Vec::new()
        },
    };
    status.source_type = if several {
        String::new()
    } else {
        first(&rendered.types)
    };
    status.source_types = if several {
        rendered.types.clone()
    } else {
        Vec::new()
    };
    let found = application_health(&parts);
    status.health = transition(&status.health, found);
    status.summary = summary(pairs.iter().filter_map(|pair| pair.live.as_ref()));
}

/// Keeps the time of the last change of verdict; `stamp` fills it in.
fn transition(before: &HealthStatus, found: Health) -> HealthStatus {
    let same = before.status == found.code;
    HealthStatus {
        status: found.code,
        message: found.message,
        last_transition_time: before.last_transition_time.clone().filter(|_| same),
    }
}

fn compared_to(spec: &ApplicationSpec) -> ComparedTo {
    ComparedTo {
        source: spec.source.clone().filter(|_| spec.sources.is_empty()),
        sources: spec.sources.clone(),
        destination: spec.destination.clone(),
        ignore_differences: spec.ignore_differences.clone(),
    }
}

fn part(pair: &Pair) -> Part {
    let counted = pair.live.as_ref().filter(|live| !is_left_out(live));
    Part {
        key: pair.key.clone(),
        exists: pair.live.is_some(),
        health: counted.and_then(health),
    }
}

fn resource(pair: &Pair, verdict: Option<&Verdict>) -> ResourceStatus {
    let object = pair.target.as_ref().or(pair.live.as_ref());
    let differs = verdict.is_none_or(|verdict| !verdict.differences.is_empty());
    let health = match &pair.live {
        Some(live) => health(live),
        None => Some(Health::new(HealthCode::Missing, "")),
    };
    ResourceStatus {
        group: pair.key.group.clone(),
        version: object.map(object::version).unwrap_or_default().to_owned(),
        kind: pair.key.kind.clone(),
        namespace: pair.key.namespace.clone(),
        name: pair.key.name.clone(),
        status: Some(if pair.target.is_none() || pair.live.is_none() || differs {
            SyncCode::OutOfSync
        } else {
            SyncCode::Synced
        }),
        health: health.map(|health| HealthStatus {
            status: health.code,
            message: health.message,
            last_transition_time: None,
        }),
        hook: false,
        requires_pruning: pair.target.is_none(),
        sync_wave: object.map(order::wave).unwrap_or_default(),
    }
}

/// Fills in the times of what changed, and keeps the times of what did not.
pub(crate) fn stamp(status: &mut ApplicationStatus, before: &ApplicationStatus, now: &str) {
    for condition in &mut status.conditions {
        let same =
            |one: &&Condition| one.kind == condition.kind && one.message == condition.message;
        let known = before.conditions.iter().find(same);
        let since = known.and_then(|one| one.last_transition_time.clone());
        condition.last_transition_time = Some(since.unwrap_or_else(|| now.to_owned()));
    }
    if status.health.last_transition_time.is_none() {
        status.health.last_transition_time = Some(now.to_owned());
    }
}

/// The JSON merge patch that turns `before` into `after`; nothing when they are equal.
pub(crate) fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    if before == after {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return Some(after.clone());
    };
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        let change = match old.get(name) {
            Some(known) => merge_patch(known, value),
            None => Some(value.clone()),
        };
        patch.extend(change.map(|change| (name.clone(), change)));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_patch_holds_only_what_changes() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "gone": [1], "same": {"x": []}});
        let after = json!({"a": 2, "b": {"c": 1, "d": 3}, "new": [2], "same": {"x": []}});
        let expected = json!({"a": 2, "b": {"d": 3}, "gone": null, "new": [2]});
        assert_eq!(merge_patch(&before, &after), Some(expected));
        assert_eq!(merge_patch(&before, &before), None);
    }
}
