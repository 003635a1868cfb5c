//! What the platform writes into a pod, so that profile `restricted` holds without the manifest
//! saying so.
//!
//! EXI-ARCH-26 forbids in a manifest what `restricted` demands. Admission writes it into pods as
//! they come; the verdict on a manifest judges it as it will then be. Both call this. What a
//! manifest says is never changed, only what it leaves open.

use serde_json::{Map, Value, json};

/// The pod as the platform runs it: what a manifest leaves open is set as `restricted` asks.
pub fn completed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    let windows = spec["os"]["name"] == "windows";
    if windows || !spec.is_object() {
        return spec;
    }
    let pod = context(&mut spec);
    if let Some(pod) = pod {
        set(pod, "runAsNonRoot", json!(true));
        set(pod, "seccompProfile", json!({"type": "RuntimeDefault"}));
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let Some(own) = context(container) else {
                continue;
            };
            let privileged = own.get("privileged") == Some(&Value::Bool(true));
            set(own, "allowPrivilegeEscalation", json!(privileged));
            set(own, "capabilities", json!({}));
            if let Some(Value::Object(capabilities)) = own.get_mut("capabilities") {
                set(capabilities, "drop", json!(["ALL"]));
            }
        }
    }
    spec
}

fn context(holder: &mut Value) -> Option<&mut Map<String, Value>> {
    let holder = holder.as_object_mut()?;
    let context = holder.entry("securityContext").or_insert_with(|| json!({}));
    if context.is_null() {
        *context = json!({});
    }
    context.as_object_mut()
}

/// Sets what is absent.
fn set(map: &mut Map<String, Value>, key: &str, value: Value) {
    let slot = map.entry(key).or_insert(Value::Null);
    if slot.is_null() {
        *slot = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod_security::{LATEST, Profile, judge};

    #[test]
    fn a_pod_that_says_nothing_is_restricted_once_completed() {
        let spec = json!({
            "containers": [{"name": "a", "securityContext": null}],
            "initContainers": [{"name": "b", "securityContext": {"capabilities": {}}}],
        });
        let completed = completed(&spec);
        let breaches = judge(
            (Profile::Restricted, LATEST),
            (&completed, &["spec"]),
            &Value::Null,
        );
        assert_eq!(breaches, []);
        assert_eq!(
            super::completed(&completed),
            completed,
            "completing twice changes nothing"
        );
    }

    #[test]
    fn what_a_manifest_says_stays() {
        let spec = json!({
            "securityContext": {"runAsNonRoot": false},
            "containers": [{"name": "a", "securityContext": {
                "privileged": true, "capabilities": {"add": ["NET_ADMIN"], "drop": ["CHOWN"]},
            }}],
        });
        let completed = completed(&spec);
        assert_eq!(completed["securityContext"]["runAsNonRoot"], false);
        let own = &completed["containers"][0]["securityContext"];
        assert_eq!(own["capabilities"]["drop"], json!(["CHOWN"]));
        assert_eq!(own["allowPrivilegeEscalation"], true);
    }
}
