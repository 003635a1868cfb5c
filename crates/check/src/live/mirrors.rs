//! Whether what the team pushes to its own forge still comes to the platform.

use serde_json::Value;

use super::breach;
use crate::collect::Collector;

const RULE: &str = "live-mirror-failing";

pub(super) fn judge(collector: &mut Collector<'_>, objects: &[Value]) {
    let mirrors = objects
        .iter()
        .filter(|object| object["kind"] == "Repository" && object["spec"]["mirror"].is_object());
    for mirror in mirrors {
        let conditions = mirror["status"]["conditions"].as_array();
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready");
        let Some(ready) = ready else {
            continue;
        };
        collector.looked([RULE]);
        if ready["status"] == "True" {
            continue;
        }
        // The sentence may quote an address, and with it an account: the word is enough.
        let reason = ready["reason"].as_str().unwrap_or_default();
        let reason: String = reason
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(60)
            .collect();
        let fr = format!("la dernière lecture de la forge a échoué ({reason})");
        let en = format!("the last reading of the forge failed ({reason})");
        breach(collector, RULE, mirror, (fr, en));
    }
}
