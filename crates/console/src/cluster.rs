//! Reading as the person who looks: every request carries their name and groups.
//!
//! The console has no right to read any of this itself; what the person may not read, it cannot.
//! One exception: it may list the names of projects, because RBAC cannot give a member a list of
//! "mine". Each name is shown only if the cluster says that the person may read its deliveries
//! (`docs/decisions/0005-projects-of-a-member.md`).

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use http::{HeaderName, HeaderValue, Request, header::InvalidHeaderValue};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::client::Body;
use kube::core::{ApiResource, GroupVersionKind};
use pilotis_kinds::argo;
use pilotis_kinds::names::{GROUP, Slug, VERSION};
use pilotis_kinds::pilotis::{DELIVERY, KindName, PROJECT};

use crate::delivery::Delivery;
use crate::login::Person;
use crate::refusal::Refusal;
use crate::sessions::Session;

/// Most objects read for a list.
pub(crate) const OBJECTS_MAX: u32 = 500;
/// Most projects looked into, when applications cannot be listed at once.
const PROJECTS_MAX: usize = 50;
/// Projects looked into at once.
const PROJECTS_AT_ONCE: usize = 8;
/// How long the answer to « which projects are mine » is good for.
const PROJECTS_KEPT: Duration = Duration::from_secs(10);

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
pub(crate) async fn applications(
    own: &Client,
    session: &Session,
) -> Result<(Vec<DynamicObject>, bool), Refusal> {
    let client = &session.client;
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
    let slugs = projects(own, session).await?;
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

/// Projects the person may open, by name.
///
/// Who may list projects gets them all. For anybody else the console lists the names itself and
/// asks the cluster, as the person, which of them they may read.
pub(crate) async fn projects(own: &Client, session: &Session) -> Result<Vec<Slug>, Refusal> {
    let mut kept = session.projects.lock().await;
    if let Some((at, slugs)) = kept.as_ref()
        && at.elapsed() < PROJECTS_KEPT
    {
        return Ok(slugs.clone());
    }
    let slugs = match project_names(&session.client).await {
        Err(Refusal::Forbidden) => readable(&session.client, project_names(own).await?).await?,
        listed => listed?,
    };
    *kept = Some((Instant::now(), slugs.clone()));
    Ok(slugs)
}

/// At most 500 names of projects, as `client` may list them.
async fn project_names(client: &Client) -> Result<Vec<Slug>, Refusal> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(&PROJECT));
    let list = api
        .list_metadata(&ListParams::default().limit(OBJECTS_MAX))
        .await?;
    let name = |meta: ObjectMeta| Slug::new(&meta.name?).ok();
    let mut slugs: Vec<Slug> = list
        .items
        .into_iter()
        .filter_map(|object| name(object.metadata))
        .collect();
    slugs.sort();
    Ok(slugs)
}

/// Those whose deliveries the person may list.
async fn readable(client: &Client, slugs: Vec<Slug>) -> Result<Vec<Slug>, Refusal> {
    let answers: Vec<Option<Slug>> = futures::stream::iter(slugs)
        .map(|slug| async move { Ok::<_, Refusal>(may_read(client, &slug).await?.then_some(slug)) })
        .buffered(PROJECTS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(answers.into_iter().flatten().collect())
}

async fn may_read(client: &Client, slug: &Slug) -> Result<bool, Refusal> {
    let namespace = Some(slug.namespace());
    may(client, "list", &DELIVERY, namespace).await
}

/// Whether the person may create projects.
pub(crate) async fn may_create_projects(client: &Client) -> Result<bool, Refusal> {
    may(client, "create", &PROJECT, None).await
}

/// What the cluster answers when the person asks « may I? ».
async fn may(
    client: &Client,
    verb: &str,
    kind: &KindName,
    namespace: Option<String>,
) -> Result<bool, Refusal> {
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(GROUP.to_owned()),
                resource: Some(kind.plural.to_owned()),
                namespace,
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            non_resource_attributes: None,
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &question).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
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
