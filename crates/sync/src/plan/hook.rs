//! Hooks: objects created at a phase instead of being kept in sync.
//!
//! Both notations are read: `argocd.argoproj.io/hook` and Helm's `helm.sh/hook`, whose phases map
//! to ours. A hook whose type is not understood is ignored, never applied as an ordinary object.

use pilotis_kinds::argo::{HOOK, HOOK_DELETE_POLICY, SyncPhase};
use serde_json::Value;

use crate::object::{self, annotation};

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookType {
    /// In a phase of a synchronisation.
    Phase(SyncPhase),
    /// Before the application's objects are deleted.
    PreDelete,
    /// After the application's objects are deleted.
    PostDelete,
    /// Never.
    Skip,
}

/// When a hook's object goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletePolicy {
    /// Just before it is created again; the default.
    BeforeHookCreation,
    /// When the synchronisation ends and the hook succeeded.
    HookSucceeded,
    /// When the synchronisation ends and the hook failed.
    HookFailed,
}

/// What is special about a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When its object goes.
    pub delete: Vec<DeletePolicy>,
}

impl Hook {
    /// Reads the delete policies of a hook.
    pub fn of(object: &Value) -> Self {
        let ours = annotation(object, HOOK_DELETE_POLICY).unwrap_or_default();
        let helm = annotation(object, "helm.sh/hook-delete-policy").unwrap_or_default();
        let mut delete: Vec<DeletePolicy> = ours
            .split(',')
            .chain(helm.split(','))
            .filter_map(delete_policy)
            .collect();
        if delete.is_empty() {
            delete.push(DeletePolicy::BeforeHookCreation);
        }
        Self { delete }
    }
}

fn delete_policy(text: &str) -> Option<DeletePolicy> {
    match text.trim() {
        "BeforeHookCreation" | "before-hook-creation" => Some(DeletePolicy::BeforeHookCreation),
        "HookSucceeded" | "hook-succeeded" => Some(DeletePolicy::HookSucceeded),
        "HookFailed" | "hook-failed" => Some(DeletePolicy::HookFailed),
        _ => None,
    }
}

/// Whether an object is a hook, of whatever type. Helm's `crd-install` marks an ordinary object.
pub fn is_hook(object: &Value) -> bool {
    let helm = annotation(object, "helm.sh/hook");
    annotation(object, HOOK).is_some() || helm.is_some_and(|types| types != "crd-install")
}

/// When a hook runs; ours win over Helm's. Empty when no type is understood.
pub fn hook_types(object: &Value) -> Vec<HookType> {
    let (texts, read): (&str, fn(&str) -> Option<HookType>) = match annotation(object, HOOK) {
        Some(texts) => (texts, own_type),
        None => (
            annotation(object, "helm.sh/hook").unwrap_or_default(),
            helm_type,
        ),
    };
    let mut types: Vec<HookType> = Vec::new();
    for found in texts.split(',').filter_map(|text| read(text.trim())) {
        if !types.contains(&found) {
            types.push(found);
        }
    }
    types
}

fn own_type(text: &str) -> Option<HookType> {
    match text {
        "PreSync" => Some(HookType::Phase(SyncPhase::PreSync)),
        "Sync" => Some(HookType::Phase(SyncPhase::Sync)),
        "PostSync" => Some(HookType::Phase(SyncPhase::PostSync)),
        "SyncFail" => Some(HookType::Phase(SyncPhase::SyncFail)),
        "PreDelete" => Some(HookType::PreDelete),
        "PostDelete" => Some(HookType::PostDelete),
        "Skip" => Some(HookType::Skip),
        _ => None,
    }
}

fn helm_type(text: &str) -> Option<HookType> {
    match text {
        "pre-install" | "pre-upgrade" => Some(HookType::Phase(SyncPhase::PreSync)),
        "post-install" | "post-upgrade" => Some(HookType::Phase(SyncPhase::PostSync)),
        "pre-delete" => Some(HookType::PreDelete),
        "post-delete" => Some(HookType::PostDelete),
        _ => None,
    }
}

/// The hooks of a synchronisation, one per phase, each with a name.
///
/// A hook with `generateName` gets the name upstream would give: revision, phase and start.
pub fn expand_hooks(
    objects: &[Value],
    revision: &str,
    started_seconds: i64,
) -> Vec<(SyncPhase, Value)> {
    let mut hooks = Vec::new();
    for object in objects.iter().filter(|object| is_hook(object)) {
        for found in hook_types(object) {
            let HookType::Phase(phase) = found else {
                continue;
            };
            let mut hook = object.clone();
            let prefix = object::text(object, "/metadata/generateName");
            if object::name(object).is_empty() && !prefix.is_empty() {
                let short: String = revision.chars().take(7).collect();
                let phase = format!("{phase:?}").to_lowercase();
                let name = format!("{prefix}{short}-{phase}-{started_seconds}");
                object::set_metadata(&mut hook, "name", &name);
            }
            hooks.push((phase, hook));
        }
    }
    hooks
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_notations_are_read() {
        use HookType::*;
        let (pre, post) = (Phase(SyncPhase::PreSync), Phase(SyncPhase::PostSync));
        let cases = [
            (json!({}), false, vec![]),
            (json!({HOOK: "PreSync, PostSync"}), true, vec![pre, post]),
            (json!({HOOK: "Nonsense"}), true, vec![]),
            (json!({HOOK: "Skip"}), true, vec![Skip]),
            (
                json!({"helm.sh/hook": "pre-install,pre-upgrade"}),
                true,
                vec![pre],
            ),
            (
                json!({"helm.sh/hook": "post-install", HOOK: "PreSync"}),
                true,
                vec![pre],
            ),
            (json!({"helm.sh/hook": "test"}), true, vec![]),
            (json!({"helm.sh/hook": "crd-install"}), false, vec![]),
            (json!({"helm.sh/hook": "pre-delete"}), true, vec![PreDelete]),
        ];
        for (annotations, hook, types) in cases {
            let object = json!({"metadata": {"annotations": annotations}});
            assert_eq!(
                (is_hook(&object), hook_types(&object)),
                (hook, types),
                "{object}"
            );
        }
    }

    #[test]
    fn delete_policies_have_a_default() {
        let of = |annotations: Value| Hook::of(&json!({"metadata": {"annotations": annotations}}));
        assert_eq!(of(json!({})).delete, [DeletePolicy::BeforeHookCreation]);
        let both = of(json!({HOOK_DELETE_POLICY: "HookSucceeded,HookFailed"}));
        assert_eq!(
            both.delete,
            [DeletePolicy::HookSucceeded, DeletePolicy::HookFailed]
        );
    }

    #[test]
    fn generated_names_tell_revision_phase_and_start() {
        let hook = json!({"metadata": {"generateName": "migrate-",
            "annotations": {HOOK: "PreSync"}}});
        let hooks = expand_hooks(&[hook], "0123456789", 42);
        assert_eq!(object::name(&hooks[0].1), "migrate-0123456-presync-42");
    }
}
