//! The patch that completes a pod: see `pilotis_policy::completed` for what and why.
//!
//! A pod is completed once, when it comes. Afterwards only its ephemeral containers may grow, and
//! only they are completed then: the rest of a running pod cannot be changed.

use serde_json::{Value, json};

/// The JSON patch for a pod that comes, or that ephemeral containers are added to; none when
/// nothing is missing.
pub(crate) fn patch(pod: &Value, older: &Value) -> Option<Value> {
    let spec = pod.get("spec")?;
    let completed = pilotis_policy::completed(spec);
    if older.is_null() {
        let changed = completed != *spec;
        return changed.then(|| json!([{"op": "replace", "path": "/spec", "value": completed}]));
    }
    let key = "ephemeralContainers";
    let (own, whole) = (spec.get(key)?, completed.get(key)?);
    let path = format!("/spec/{key}");
    // What ran before stays as it is.
    let before = older["spec"][key].as_array().map_or(0, Vec::len);
    let (own, whole) = (own.as_array()?, whole.as_array()?);
    let mixed: Vec<&Value> = own
        .iter()
        .take(before)
        .chain(whole.iter().skip(before))
        .collect();
    let changed = mixed.iter().zip(own).any(|(new, old)| **new != *old);
    changed.then(|| json!([{"op": "replace", "path": path, "value": mixed}]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_completed_once_and_its_new_ephemeral_containers_later() {
        let pod = json!({"spec": {"containers": [{"name": "a"}]}});
        let patch = super::patch(&pod, &Value::Null).unwrap();
        let spec = &patch[0]["value"];
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        let whole = json!({"spec": spec});
        assert_eq!(super::patch(&whole, &Value::Null), None);
        let shell = json!({"name": "shell"});
        let mut more = pod.clone();
        more["spec"]["ephemeralContainers"] = json!([shell, shell]);
        let mut older = pod.clone();
        older["spec"]["ephemeralContainers"] = json!([shell]);
        let patch = super::patch(&more, &older).unwrap();
        assert_eq!(patch[0]["path"], "/spec/ephemeralContainers");
        assert_eq!(patch[0]["value"][0], shell);
        assert_eq!(
            patch[0]["value"][1]["securityContext"]["allowPrivilegeEscalation"],
            false
        );
        assert_eq!(super::patch(&pod, &pod), None);
    }
}
