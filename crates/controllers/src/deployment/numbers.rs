//! The arithmetic of a rollout: how many pods may be missing, how many may be too many.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Replicas asked for.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    let spec = deployment.spec.as_ref();
    spec.and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Replicas a set asks for.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec
        .as_ref()
        .and_then(|spec| spec.replicas)
        .unwrap_or(1)
}

pub(super) fn available(set: &ReplicaSet) -> i32 {
    let status = set.status.as_ref();
    status
        .and_then(|status| status.available_replicas)
        .unwrap_or(0)
}

pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.strategy.as_ref());
    let kind = strategy.and_then(|strategy| strategy.type_.as_deref());
    kind.is_none_or(|kind| kind == "RollingUpdate")
}

/// Pods above the wanted number, and pods below it, that a rollout may cause.
pub(super) fn limits(deployment: &Deployment) -> (i32, i32) {
    if !is_rolling(deployment) {
        return (0, 0);
    }
    let wanted = wanted(deployment);
    let strategy = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.strategy.as_ref());
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let surge = scaled(surge, wanted, Round::Up);
    let unavailable = match scaled(unavailable, wanted, Round::Down) {
        0 if surge == 0 => 1,
        unavailable => unavailable,
    };
    (
        surge,
        if wanted == 0 {
            0
        } else {
            unavailable.min(wanted)
        },
    )
}

#[derive(Clone, Copy)]
enum Round {
    Up,
    Down,
}

fn scaled(value: Option<&IntOrString>, of: i32, round: Round) -> i32 {
    let share = match value {
        None => return 0,
        Some(IntOrString::Int(number)) => return *number,
        Some(IntOrString::String(text)) => text.trim_end_matches('%').parse::<i64>(),
    };
    let exact = share.unwrap_or(0).saturating_mul(i64::from(of));
    let rounded = match round {
        Round::Up => exact.saturating_add(99) / 100,
        Round::Down => exact / 100,
    };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// The size the new set may grow to now.
pub(super) fn new_size(deployment: &Deployment, all_sizes: i32, current: i32) -> i32 {
    let wanted = wanted(deployment);
    if !is_rolling(deployment) {
        return wanted;
    }
    let most = wanted + limits(deployment).0;
    if all_sizes >= most {
        return current;
    }
    current + (most - all_sizes).min(wanted - current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_round_surge_up_and_unavailable_down() {
        for (replicas, surge, unavailable, expected) in [
            (10, json!("25%"), json!("25%"), (3, 2)),
            (1, json!("25%"), json!("25%"), (1, 0)),
            (3, json!(0), json!(0), (0, 1)),
            (2, json!(0), json!("100%"), (0, 2)),
            (0, json!("25%"), json!("25%"), (0, 0)),
        ] {
            let deployment = serde_json::from_value(json!({"spec": {"replicas": replicas,
                "selector": {}, "template": {}, "strategy": {"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}}}))
            .unwrap();
            assert_eq!(limits(&deployment), expected, "{replicas}");
        }
    }
}
