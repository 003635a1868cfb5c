//! Writing the EndpointSlices of one Service by one manager: changed, added, removed, no more.

use std::sync::Arc;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};

use super::wanted::Content;
use super::{MANAGED_BY, SERVICE_NAME};
use crate::Error;
use crate::world::World;

/// Makes the slices with the Service and the manager that the labels of `metadata` name hold
/// `contents`; new ones get `metadata`.
pub(super) async fn sync(
    world: &World,
    metadata: &ObjectMeta,
    contents: Vec<Content>,
) -> Result<(), Error> {
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let api: Api<EndpointSlice> = Api::namespaced(world.client.clone(), &namespace);
    let parameters = PostParams::default();
    let wanted = |name: &str| metadata.labels.as_ref().and_then(|labels| labels.get(name));
    let ours = |slice: &&Arc<EndpointSlice>| {
        let has = |name: &str| slice.labels().get(name) == wanted(name);
        has(SERVICE_NAME) && has(MANAGED_BY) && slice.metadata.deletion_timestamp.is_none()
    };
    let known = world.slices.in_namespace(&namespace);
    let mut known: Vec<&Arc<EndpointSlice>> = known.iter().filter(ours).collect();
    for content in contents {
        let place = known
            .iter()
            .position(|slice| slice.address_type == content.address_type);
        let Some(slice) = place.map(|place| known.remove(place)) else {
            let slice = content.into_slice(metadata.clone());
            match api.create(&parameters, &slice).await.map_err(Error::from) {
                Ok(created) => world.slices.saw(created),
                Err(error) if error.is_terminating() => return Ok(()),
                Err(error) => return Err(error),
            }
            continue;
        };
        let mut next = content.into_slice(slice.metadata.clone());
        next.metadata.labels.clone_from(&metadata.labels);
        if next == **slice {
            continue;
        }
        match api.replace(&slice.name_any(), &parameters, &next).await {
            Ok(replaced) => world.slices.saw(replaced),
            Err(error) => {
                if Error::is_not_found(&error) {
                    world.slices.forget(slice);
                }
                return Err(error.into());
            }
        }
    }
    for surplus in known {
        match api
            .delete(&surplus.name_any(), &DeleteParams::default())
            .await
        {
            Err(error) if !Error::is_not_found(&error) => return Err(error.into()),
            _ => world.slices.forget(surplus),
        }
    }
    Ok(())
}
