//! The rules of the framework at admission: what the chain would have said, said to whoever asks.
//!
//! In production a primordial breach is refused; elsewhere it is a warning with the same words.

use pilotis_admission::{Judgement, Verdict};
use pilotis_check::Options;
use pilotis_report::{Finding, Level};
use serde_json::Value;

/// The environment whose breaches are refused.
const PRODUCTION: &str = "prod";

/// The rules compiled into the program.
pub struct Framework;

impl Verdict for Framework {
    fn judge(&self, namespace: &str, object: &Value) -> Judgement {
        // `<project>-<environment>`, the environment without a hyphen.
        let environment = namespace
            .rsplit_once('-')
            .map(|(_, environment)| environment);
        let findings = pilotis_check::admission(object, environment, &Options::default());
        let findings = match findings {
            Ok(findings) => findings,
            Err(error) => {
                tracing::error!(%error, "the rules of the framework do not load");
                return Judgement::default();
            }
        };
        let primordial = findings.iter().filter(|finding| finding.level == Level::P);
        let said = primordial.map(message).collect();
        match environment {
            Some(PRODUCTION) => Judgement {
                refused: said,
                warned: Vec::new(),
            },
            _ => Judgement {
                refused: Vec::new(),
                warned: said,
            },
        }
    }
}

fn message(finding: &Finding) -> String {
    let requirement = finding.requirement.as_deref().unwrap_or_default();
    let object = finding.object.as_deref().unwrap_or_default();
    let fix = finding
        .fix
        .as_ref()
        .map_or("", |fix| fix.description.as_str());
    let (rule, message) = (&finding.rule, &finding.message);
    format!("{requirement} {object}: {message} [{rule}]. {fix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn production_refuses_in_the_words_dev_warns_with() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
            "containers": [{"name": "web", "image": "a@sha256:0", "securityContext":
                {"privileged": true, "readOnlyRootFilesystem": true},
                "livenessProbe": {"exec": {"command": ["/live"]}}}]}});
        let production = Framework.judge("bonjour-prod", &pod);
        let dev = Framework.judge("bonjour-dev", &pod);
        assert_eq!(production.refused, dev.warned);
        assert!(production.warned.is_empty() && dev.refused.is_empty());
        assert!(production.refused[0].starts_with("EXI-ARCH-18 Pod/web web: "));
        assert_eq!(production.refused.len(), 1, "{production:?}");
    }
}
