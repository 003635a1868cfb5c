//! Reading as the person who looks: every request carries their name and groups.
//!
//! The console has no right to read any of this itself; what the person may not read, it cannot.

use futures::{StreamExt, TryStreamExt};
use http::{HeaderName, HeaderValue, Request, header::InvalidHeaderValue};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta};
use kube::client::Body;
use kube::core::{ApiResource, GroupVersionKind};
use pilotis_kinds::argo;
use pilotis_kinds::names::{GROUP, Slug, VERSION};
use pilotis_kinds::pilotis::{DELIVERY, KindName, PROJECT};

use crate::delivery::Delivery;
use crate::login::Person;
use crate::refusal::Refusal;

/// Most objects read for a list.
pub(crate) const OBJECTS_MAX: u32 = 500;
/// Most projects looked into, when applications cannot be listed at once.
const PROJECTS_MAX: usize = 50;
/// Projects looked into at once.
const PROJECTS_AT_ONCE: usize = 8;

/// A client that acts as `person`.
///
/// # Errors
/// When the name or a group cannot be a header's value.
pub(crate) fn impersonated(client: &Client, person: &Person) -> Result<Client, InvalidHeaderValue> {
    let user = HeaderValue::from_str(&person.user)?;
    let groups = person
        .groups
        .iter()
        .map(|group| HeaderValue::from_str(group));
    let groups: Vec<HeaderValue> = groups.collect::<Result<_, _>>()?;
    let own = client.clone();
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_static("impersonate-user"), user.clone());
        for group in &groups {
            headers.append(HeaderName::from_static("impersonate-group"), group.clone());
        }
        let own = own.clone();
        async move { own.send(request).await }
    });
    Ok(Client::new(service, client.default_namespace()))
}

/// Deliveries of a project.
pub(crate) fn deliveries(client: &Client, slug: &Slug) -> Api<Delivery> {
    Api::namespaced_with(client.clone(), &slug.namespace(), &resource(&DELIVERY))
}

/// At most 500 deliveries of a project.
pub(crate) async fn list_deliveries(
    client: &Client,
    slug: &Slug,
) -> Result<Vec<Delivery>, Refusal> {
    let list = deliveries(client, slug)
        .list(&ListParams::default().limit(OBJECTS_MAX))
        .await?;
    Ok(list.items)
}

/// Applications the person may read, and whether these are all.
///
/// Who may not list them over the whole cluster gets those of the projects they may open.
pub(crate) async fn applications(client: &Client) -> Result<(Vec<DynamicObject>, bool), Refusal> {
    let limit = ListParams::default().limit(OBJECTS_MAX);
    let everywhere: Api<DynamicObject> = Api::all_with(client.clone(), &application_resource());
    match everywhere.list(&limit).await.map_err(Refusal::from) {
        Ok(list) => {
            let complete = list.metadata.continue_.unwrap_or_default().is_empty();
            return Ok((list.items, complete));
        }
        Err(Refusal::Forbidden) => {}
        Err(refusal) => return Err(refusal),
    }
    let slugs = projects(client).await.map_err(|refusal| match refusal {
        Refusal::Forbidden => Refusal::Unlisted,
        other => other,
    })?;
    let complete = slugs.len() <= PROJECTS_MAX;
    let lists: Vec<Vec<DynamicObject>> =
        futures::stream::iter(slugs.into_iter().take(PROJECTS_MAX))
            .map(|slug| applications_of(client, slug))
            .buffered(PROJECTS_AT_ONCE)
            .try_collect()
            .await?;
    Ok((lists.into_iter().flatten().collect(), complete))
}

async fn applications_of(client: &Client, slug: Slug) -> Result<Vec<DynamicObject>, Refusal> {
    let resource = application_resource();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &slug.namespace(), &resource);
    let listed = api.list(&ListParams::default().limit(OBJECTS_MAX)).await;
    match listed.map_err(Refusal::from) {
        Ok(list) => Ok(list.items),
        Err(Refusal::Forbidden | Refusal::NotFound) => Ok(Vec::new()),
        Err(refusal) => Err(refusal),
    }
}

/// Projects the person may list.
pub(crate) async fn projects(client: &Client) -> Result<Vec<Slug>, Refusal> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(&PROJECT));
    let list = api
        .list_metadata(&ListParams::default().limit(OBJECTS_MAX))
        .await?;
    let name = |meta: ObjectMeta| Slug::new(&meta.name?).ok();
    Ok(list
        .items
        .into_iter()
        .filter_map(|object| name(object.metadata))
        .collect())
}

fn resource(kind: &KindName) -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk(GROUP, VERSION, kind.kind),
        kind.plural,
    )
}

fn application_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk(argo::GROUP, argo::VERSION, "Application");
    ApiResource::from_gvk_with_plural(&kind, "applications")
}
