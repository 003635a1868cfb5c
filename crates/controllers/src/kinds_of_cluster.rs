//! Which kinds the API serves now: for the controllers that work on every kind.

use kube::core::discovery::{ApiCapabilities, ApiResource, Scope};
use kube::{Client, Discovery};

/// A kind with what can be done to it.
#[derive(Debug, Clone)]
pub(crate) struct Served {
    pub(crate) resource: ApiResource,
    pub(crate) is_namespaced: bool,
    verbs: Vec<String>,
}

impl Served {
    fn new((resource, capabilities): (ApiResource, ApiCapabilities)) -> Self {
        Self {
            resource,
            is_namespaced: matches!(capabilities.scope, Scope::Namespaced),
            verbs: capabilities.operations,
        }
    }

    pub(crate) fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// Every kind in its preferred version. Events are left out of both their groups only by callers.
pub(crate) async fn served(client: &Client) -> Result<Vec<Served>, kube::Error> {
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        Err(_) => Discovery::new(client.clone()).run().await?,
    };
    let groups = discovery.groups();
    let all = groups.flat_map(kube::discovery::ApiGroup::recommended_resources);
    Ok(all.map(Served::new).collect())
}
