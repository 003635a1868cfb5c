//! The Pod Security Standards on workloads, after what the platform writes in by itself.
//!
//! EXI-ARCH-26 forbids in a manifest what profile `restricted` demands of a pod: the platform sets
//! it. So an absent field counts as the platform sets it, and only what a manifest says against it
//! is a breach. What another rule already found at a place is not found twice.

use pilotis_policy::pod_security::{Breach as Breached, Profile, judge};
use pilotis_policy::{Subject, Violation, completed, pod_path};
use serde_json::Value;

/// The minor version of Kubernetes whose standards are applied.
const MINOR: u32 = 35;
/// Rules of this module.
pub(crate) const RULES: [&str; 2] = ["pod-security-baseline", "pod-security-restricted"];

/// What the standards say of an object, as violations of the rules of this module.
pub(crate) fn violations(object: &Value, found: &[Violation]) -> Vec<Violation> {
    let Some(path) = pod_path(&Subject::of(object)) else {
        return Vec::new();
    };
    let at = |path: &[&str]| path.iter().try_fold(object, |value, step| value.get(step));
    let Some(spec) = at(path) else {
        return Vec::new();
    };
    let holder = at(&path[..path.len() - 1]).unwrap_or(&Value::Null);
    let annotations = &holder["metadata"]["annotations"];
    let completed = completed(spec);
    let of = |profile| judge((profile, MINOR), (&completed, path), annotations);
    let baseline = of(Profile::Baseline);
    let restricted = of(Profile::Restricted);
    let new = |breach: &Breached| baseline.iter().all(|known| known.control != breach.control);
    let stricter = restricted.into_iter().filter(|breach| new(breach));
    let [first, second] = RULES;
    let all = baseline.iter().cloned().map(|breach| (first, breach));
    let all = all.chain(stricter.map(|breach| (second, breach)));
    all.filter(|(_, breach)| !known(breach, found))
        .map(|(rule, breach)| violation(rule, breach))
        .collect()
}

/// Whether a rule found something at the same field, or at the list that holds it.
fn known(breach: &Breached, found: &[Violation]) -> bool {
    found.iter().any(|violation| {
        let rest = breach.path.strip_prefix(violation.path.as_slice());
        match rest {
            Some([]) => true,
            Some([index]) => index.parse::<usize>().is_ok(),
            _ => false,
        }
    })
}

fn violation(rule: &str, breach: Breached) -> Violation {
    let mut message = breach.message;
    for text in [&mut message.fr, &mut message.en] {
        text.push_str(&format!(" ({})", breach.control));
    }
    Violation {
        rule: rule.to_owned(),
        path: breach.path,
        container: breach.container,
        message,
        part: None,
        patch: None,
        remove: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(spec: Value) -> Vec<String> {
        let object = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
        let found = violations(&object, &[]);
        found
            .iter()
            .map(|v| format!("{} {}", v.rule, v.path.join(".")))
            .collect()
    }

    #[test]
    fn what_is_left_open_is_as_the_platform_sets_it() {
        let plain = json!({"containers": [{"name": "a", "securityContext": null}]});
        assert_eq!(rules(plain), [""; 0]);
    }

    #[test]
    fn what_is_said_against_it_is_a_breach() {
        let spec = json!({
            "securityContext": {"seccompProfile": {"type": "Unconfined"}},
            "volumes": [{"name": "n", "nfs": {}}],
            "containers": [{"name": "a", "securityContext": {"procMount": "Unmasked"}}],
        });
        let expected = [
            "pod-security-baseline spec.securityContext.seccompProfile.type",
            "pod-security-baseline spec.containers.0.securityContext.procMount",
            "pod-security-restricted spec.volumes.0",
        ];
        assert_eq!(rules(spec), expected);
    }
}
