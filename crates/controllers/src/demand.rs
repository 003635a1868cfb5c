//! What a pod asks for, added up as the scheduler counts it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity::thousandths;

/// Amounts by resource, in thousandths: the greater of a pod's containers together and any init
/// container alone, sidecars and overhead included.
pub(crate) fn of(spec: &PodSpec) -> BTreeMap<&str, i128> {
    let init = spec.init_containers.as_deref().unwrap_or_default();
    let is_sidecar = |c: &&Container| c.restart_policy.as_deref() == Some("Always");
    let together = spec.containers.iter().chain(init.iter().filter(is_sidecar));
    let mut total: BTreeMap<&str, i128> = BTreeMap::new();
    for (name, amount) in together.flat_map(asked) {
        *total.entry(name).or_default() += amount;
    }
    for container in init.iter().filter(|c| !is_sidecar(c)) {
        for (name, amount) in asked(container) {
            let most = total.entry(name).or_default();
            *most = (*most).max(amount);
        }
    }
    for (name, amount) in spec.overhead.iter().flatten() {
        *total.entry(name).or_default() += thousandths(amount);
    }
    total
}

fn asked(container: &Container) -> impl Iterator<Item = (&str, i128)> {
    let resources = container.resources.as_ref();
    let amounts = resources
        .and_then(|resources| resources.requests.as_ref())
        .into_iter()
        .flatten();
    amounts.map(|(name, amount): (&String, &Quantity)| (name.as_str(), thousandths(amount)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn init_containers_count_alone_and_sidecars_together() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "a", "resources": {"requests": {"cpu": "1"}}},
                {"name": "b", "resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [
                {"name": "i", "resources": {"requests": {"cpu": "5"}}},
                {"name": "s", "restartPolicy": "Always",
                    "resources": {"requests": {"cpu": "1"}}}]}))
        .unwrap();
        assert_eq!(of(&spec)["cpu"], 5_000);
    }
}
