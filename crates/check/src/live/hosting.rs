//! Whether what is sensitive runs on machines made for it.
//!
//! The operator marks: the namespace with the sensitivity of its data, machines with the zone they
//! belong to. A namespace without the mark is not judged; a team cannot change either.

use pilotis_policy::Subject;
use serde_json::Value;

use super::breach;
use crate::collect::Collector;

const RULE: &str = "live-sensitivity";
/// Label of a namespace, and of a machine: `usuelle` or `restreinte`.
const NAMESPACE: &str = "pilotis.dev/sensitivity";
const MACHINE: &str = "pilotis.dev/zone";

pub(super) fn judge(collector: &mut Collector<'_>, objects: &[Value]) {
    let of = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let sensitivity = of("Namespace").find_map(|one| one["metadata"]["labels"][NAMESPACE].as_str());
    let Some(sensitivity) = sensitivity else {
        return;
    };
    // What anyone may see can run anywhere.
    if sensitivity == "usuelle" || of("Node").next().is_none() {
        return collector.looked([RULE]);
    }
    collector.looked([RULE]);
    let fits = |name: &str| {
        let mut machines = of("Node").filter(|node| Subject::of(node).name == name);
        machines.any(|node| node["metadata"]["labels"][MACHINE] == sensitivity)
    };
    for pod in of("Pod") {
        let Some(machine) = pod["spec"]["nodeName"].as_str() else {
            continue;
        };
        if !fits(machine) {
            let shown: String = machine
                .chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect();
            let fr = format!("la machine {shown} n'est pas de la zone que ces données demandent");
            let en = format!("machine {shown} is not of the zone that this data asks for");
            breach(collector, RULE, pod, (fr, en));
        }
    }
}
