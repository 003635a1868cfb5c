//! The rules of the framework at admission: what the chain would have said, said to whoever asks.
//!
//! In production a primordial breach is refused; elsewhere it is a warning with the same words. A
//! breach that a derogation covers is let in, and the derogation is named.

use jiff::Timestamp;
use pilotis_admission::{Judgement, Verdict};
use pilotis_check::Options;
use pilotis_check::decisions::Decisions;
use pilotis_report::{Finding, Level};
use serde_json::Value;

use super::decisions::Decided;

/// The environment whose breaches are refused.
const PRODUCTION: &str = "prod";

/// The rules compiled into the program, and the decisions that hold now.
pub struct Framework {
    /// The derogations of every project, followed.
    pub decided: Decided,
}

impl Verdict for Framework {
    fn judge(&self, namespace: &str, object: &Value) -> Judgement {
        // `<project>-<environment>`, the environment without a hyphen.
        let (project, environment) = namespace.rsplit_once('-').unzip();
        let options = Options {
            decisions: Decisions {
                all: self.decided.of(project.unwrap_or_default()),
                now: Some(Timestamp::now()),
            },
            ..Options::default()
        };
        let findings = match pilotis_check::admission(object, environment, &options) {
            Ok(findings) => findings,
            Err(error) => {
                tracing::error!(%error, "the rules of the framework do not load");
                return Judgement::default();
            }
        };
        let primordial = findings.iter().filter(|finding| finding.level == Level::P);
        let (covered, open): (Vec<&Finding>, Vec<&Finding>) =
            primordial.partition(|finding| finding.derogation.is_some());
        let covered = covered.into_iter().map(message);
        let open = open.into_iter().map(message);
        match environment {
            Some(PRODUCTION) => Judgement {
                refused: open.collect(),
                warned: covered.collect(),
            },
            _ => Judgement {
                refused: Vec::new(),
                warned: open.chain(covered).collect(),
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
    match &finding.derogation {
        Some(name) => format!("{requirement} {object}: {message} [{rule}]. Dérogation {name}."),
        None => format!("{requirement} {object}: {message} [{rule}]. {fix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pilotis_check::decisions::{Decision, Derogation};
    use serde_json::json;

    fn framework(decided: Decided) -> Framework {
        Framework { decided }
    }

    fn privileged() -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {
            "containers": [{"name": "web", "image": "a@sha256:0", "securityContext":
                {"privileged": true, "readOnlyRootFilesystem": true},
                "livenessProbe": {"exec": {"command": ["/live"]}}}]}})
    }

    #[test]
    fn production_refuses_in_the_words_dev_warns_with() {
        let framework = framework(Decided::default());
        let production = framework.judge("bonjour-prod", &privileged());
        let dev = framework.judge("bonjour-dev", &privileged());
        assert_eq!(production.refused, dev.warned);
        assert!(production.warned.is_empty() && dev.refused.is_empty());
        assert!(production.refused[0].starts_with("EXI-ARCH-18 Pod/web web: "));
        assert_eq!(production.refused.len(), 1, "{production:?}");
    }

    #[test]
    fn a_derogation_lets_in_what_it_covers_for_its_project_until_its_end() {
        let now = Timestamp::now();
        let hour = jiff::SignedDuration::from_hours(1);
        let derogation = |start: Timestamp, end: Timestamp| {
            Decision::Derogation(Derogation {
                name: "d-1".into(),
                project: "bonjour".into(),
                subject: "container-privileged".into(),
                object: Some("Pod/web web".into()),
                file: None,
                reason: "pilote".into(),
                cost_owner: "dsi".into(),
                requester: "equipe".into(),
                approver: "rssi".into(),
                start,
                end,
            })
        };
        let current = Decided::holding("bonjour", derogation(now - hour, now + hour));
        let production = framework(current.clone()).judge("bonjour-prod", &privileged());
        assert!(production.refused.is_empty(), "{production:?}");
        assert!(production.warned[0].ends_with("Dérogation d-1."));
        let other = framework(current).judge("autre-prod", &privileged());
        assert_eq!(other.refused.len(), 1);
        let expired = Decided::holding("bonjour", derogation(now - hour * 2, now - hour));
        let production = framework(expired).judge("bonjour-prod", &privileged());
        assert_eq!((production.refused.len(), production.warned.len()), (1, 0));
    }
}
