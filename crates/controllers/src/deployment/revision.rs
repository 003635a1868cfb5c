//! Revisions: which ReplicaSet has the current template, which came before, and what they are
//! called.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;

use super::numbers::{limits, wanted};

pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
pub(super) const HASH: &str = "pod-template-hash";
/// Annotations of the Deployment that its sets do not get.
const OWN: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
/// Longest revision history, in characters.
const HISTORY_MAX: usize = 2_000;
/// Longest name of an object.
const NAME_MAX: usize = 253;

/// Whether a set has the Deployment's template.
pub(super) fn has_template_of(set: &ReplicaSet, deployment: &Deployment) -> bool {
    let of_set = set.spec.as_ref().and_then(|spec| spec.template.clone());
    let wanted = deployment.spec.as_ref().map(|spec| spec.template.clone());
    without_hash(of_set.unwrap_or_default()) == without_hash(wanted.unwrap_or_default())
}

fn without_hash(mut template: PodTemplateSpec) -> PodTemplateSpec {
    let meta = template.metadata.get_or_insert_default();
    if let Some(labels) = &mut meta.labels {
        labels.remove(HASH);
        if labels.is_empty() {
            meta.labels = None;
        }
    }
    template
}

/// The number of a set's revision; 0 if it has none.
pub(super) fn revision_of(set: &ReplicaSet) -> i64 {
    let annotations = set.metadata.annotations.as_ref();
    let revision = annotations.and_then(|annotations| annotations.get(REVISION));
    revision
        .and_then(|revision| revision.parse().ok())
        .unwrap_or(0)
}

/// A number from a set's annotation.
pub(super) fn annotated(set: &ReplicaSet, name: &str) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get(name)?.parse().ok()
}

/// Gives the set of the current template its revision and the Deployment's annotations.
pub(super) fn annotate_current(set: &mut ReplicaSet, deployment: &Deployment, revision: i64) {
    let old = set
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(REVISION))
        .cloned();
    let annotations = set.metadata.annotations.get_or_insert_default();
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !OWN.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    let old_number = old
        .as_deref()
        .and_then(|old| old.parse::<i64>().ok())
        .unwrap_or(0);
    if old_number >= revision {
        return;
    }
    annotations.insert(REVISION.into(), revision.to_string());
    if let Some(old) = old {
        let history = annotations.get(HISTORY).cloned().unwrap_or_default();
        annotations.insert(HISTORY.into(), longer(&history, &old));
    }
}

fn longer(history: &str, old: &str) -> String {
    let mut revisions: Vec<&str> = history.split(',').filter(|r| !r.is_empty()).collect();
    revisions.push(old);
    while revisions.join(",").len() > HISTORY_MAX && revisions.len() > 1 {
        revisions.remove(0);
    }
    revisions.join(",")
}

/// Records the size the Deployment had when the set was last scaled.
pub(super) fn annotate_size(set: &mut ReplicaSet, deployment: &Deployment) {
    let wanted = wanted(deployment);
    let most = wanted + limits(deployment).0;
    let annotations = set.metadata.annotations.get_or_insert_default();
    annotations.insert(DESIRED.into(), wanted.to_string());
    annotations.insert(MAX.into(), most.to_string());
}

/// The name part that tells templates apart: FNV-1 of the template in letters that spell nothing.
pub(crate) fn template_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut bytes = serde_json::to_vec(template).unwrap_or_default();
    if let Some(collisions) = collisions {
        bytes.extend(collisions.to_le_bytes());
    }
    let mut hash: u32 = 0x811c_9dc5;
    for byte in bytes {
        hash ^= u32::from(byte);
        hash = hash.wrapping_mul(0x0100_0193);
    }
    let digits = hash.to_string();
    let letter = |digit: u8| char::from(LETTERS[usize::from(digit) % LETTERS.len()]);
    digits.bytes().map(letter).collect()
}

/// The name of the set for a template.
pub(super) fn set_name(deployment: &str, hash: &str) -> String {
    let room = NAME_MAX.saturating_sub(hash.len() + 1);
    let kept: String = deployment.chars().take(room).collect();
    format!("{kept}-{hash}")
}

/// Labels with the template's hash added.
pub(super) fn with_hash(
    labels: Option<&BTreeMap<String, String>>,
    hash: &str,
) -> BTreeMap<String, String> {
    let mut labels = labels.cloned().unwrap_or_default();
    labels.insert(HASH.into(), hash.to_owned());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_uses_letters_that_spell_nothing_and_depends_on_collisions() {
        let template = PodTemplateSpec::default();
        let hash = template_hash(&template, None);
        assert!(
            hash.bytes()
                .all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b)),
            "{hash}"
        );
        assert_ne!(hash, template_hash(&template, Some(1)));
        assert_eq!(set_name(&"n".repeat(300), "abc").len(), NAME_MAX);
    }

    #[test]
    fn history_forgets_its_oldest_revisions() {
        assert_eq!(longer("", "1"), "1");
        assert_eq!(longer("1,2", "3"), "1,2,3");
        assert!(longer(&"123456789,".repeat(250), "3").len() <= HISTORY_MAX);
    }
}
