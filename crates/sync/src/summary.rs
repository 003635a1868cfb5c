//! The health of a whole application, and the addresses and images people look for.

use std::collections::BTreeSet;

use pilotis_kinds::argo::{HealthCode, Summary};
use serde_json::Value;

use crate::health::Health;
use crate::object::{self, Key, text};

/// Causes named in the message.
const CAUSES_MAX: usize = 3;

/// What one declared object contributes.
#[derive(Debug, Clone)]
pub struct Part {
    /// The object.
    pub key: Key,
    /// Whether it is on the cluster.
    pub exists: bool,
    /// Its health, if its kind has one and it counts.
    pub health: Option<Health>,
}

/// The worst health of the parts, with the first causes.
///
/// One missing object does not degrade an application; no object at all is `Missing`. Child
/// applications that are missing or unknown do not count. Hooks are left out by the caller.
pub fn application_health(parts: &[Part]) -> Health {
    if !parts.is_empty() && parts.iter().all(|part| !part.exists) {
        return Health::new(HealthCode::Missing, "no declared object exists");
    }
    let counts = |part: &&Part| {
        let child = part.key.group == "argoproj.io" && part.key.kind == "Application";
        let health = part.health.as_ref();
        !(child
            && health.is_some_and(|health| {
                matches!(health.code, HealthCode::Missing | HealthCode::Unknown)
            }))
    };
    let parts: Vec<(&Key, &Health)> = parts
        .iter()
        .filter(counts)
        .filter_map(|part| Some((&part.key, part.health.as_ref()?)))
        .collect();
    let worst = parts
        .iter()
        .map(|(_, health)| health.code)
        .max()
        .unwrap_or_default();
    if worst == HealthCode::Healthy {
        return Health::new(worst, "");
    }
    let cause = |(key, health): &(&Key, &Health)| {
        if health.message.is_empty() {
            format!("{key}")
        } else {
            format!("{key}: {}", health.message)
        }
    };
    let causes: Vec<String> = parts
        .iter()
        .filter(|(_, health)| health.code == worst)
        .map(cause)
        .collect();
    let more = causes.len().saturating_sub(CAUSES_MAX);
    let mut message = causes[..causes.len().min(CAUSES_MAX)].join("; ");
    if more > 0 {
        message.push_str(&format!("; and {more} more"));
    }
    Health::new(worst, message)
}

/// Addresses and images of live objects, sorted.
pub fn summary<'a>(live: impl IntoIterator<Item = &'a Value>) -> Summary {
    let (mut urls, mut images) = (BTreeSet::new(), BTreeSet::new());
    for found in live {
        if object::kind(found) == "Ingress" {
            urls.extend(ingress_urls(found));
        }
        for pointer in [
            "/spec/template/spec",
            "/spec",
            "/spec/jobTemplate/spec/template/spec",
        ] {
            for list in ["containers", "initContainers"] {
                let containers = found.pointer(&format!("{pointer}/{list}"));
                let containers = containers.and_then(Value::as_array).into_iter().flatten();
                images.extend(containers.map(|one| text(one, "/image").to_owned()));
            }
        }
    }
    images.remove("");
    Summary {
        external_urls: urls.into_iter().collect(),
        images: images.into_iter().collect(),
    }
}

fn ingress_urls(ingress: &Value) -> Vec<String> {
    let list = |pointer| {
        let items = ingress.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten()
    };
    let secure: BTreeSet<&str> = list("/spec/tls")
        .filter_map(|tls| tls["hosts"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut urls = Vec::new();
    for rule in list("/spec/rules") {
        let host = text(rule, "/host");
        if host.is_empty() || host.contains('*') {
            continue;
        }
        let scheme = if secure.contains(host) {
            "https"
        } else {
            "http"
        };
        let path = text(rule, "/http/paths/0/path");
        urls.push(format!(
            "{scheme}://{host}{}",
            if path.is_empty() { "/" } else { path }
        ));
    }
    urls
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(kind: &str, exists: bool, code: Option<HealthCode>) -> Part {
        let key = Key {
            group: if kind == "Application" {
                "argoproj.io"
            } else {
                ""
            }
            .into(),
            kind: kind.into(),
            namespace: String::new(),
            name: "a".into(),
        };
        Part {
            key,
            exists,
            health: code.map(|code| Health::new(code, "why")),
        }
    }

    #[test]
    fn the_worst_part_decides() {
        use HealthCode::*;
        let cases = [
            ("nothing declared", vec![], Healthy),
            ("no health", vec![part("ConfigMap", true, None)], Healthy),
            (
                "nothing exists",
                vec![part("Pod", false, Some(Missing))],
                Missing,
            ),
            (
                "worst wins",
                vec![
                    part("Pod", true, Some(Progressing)),
                    part("Pod", true, Some(Degraded)),
                ],
                Degraded,
            ),
            (
                "a missing child application does not count",
                vec![
                    part("Application", false, Some(Missing)),
                    part("Pod", true, Some(Healthy)),
                ],
                Healthy,
            ),
        ];
        for (case, parts, expected) in cases {
            assert_eq!(application_health(&parts).code, expected, "{case}");
        }
    }

    #[test]
    fn the_message_names_three_causes() {
        let parts = vec![part("Pod", true, Some(HealthCode::Degraded)); 5];
        let message = application_health(&parts).message;
        assert_eq!(message, "Pod a: why; Pod a: why; Pod a: why; and 2 more");
    }

    #[test]
    fn addresses_and_images_are_found() {
        let ingress = json!({"kind": "Ingress", "spec": {
            "rules": [{"host": "a.localhost", "http": {"paths": [{"path": "/x"}]}}, {"host": "*.b"}],
        }});
        let deployment = json!({"kind": "Deployment", "spec": {"template": {"spec": {
            "containers": [{"image": "i@sha256:1"}, {}],
        }}}});
        let found = summary([&ingress, &deployment]);
        assert_eq!(found.external_urls, ["http://a.localhost/x"]);
        assert_eq!(found.images, ["i@sha256:1"]);
    }
}
