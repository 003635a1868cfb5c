//! Requests for objects of any kind, as JSON, optionally as another user.
//!
//! The kinds served are asked for once and again when one is not known. Only what the API server
//! says reaches an error; it never contains the object that was sent.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Request as HttpRequest};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, Request};
use kube::discovery::{Discovery, Scope, pinned_kind};
use kube::{Client, Resource};
use pilotis_kinds::argo::FIELD_MANAGER;
use pilotis_sync::object::{self, Key};
use serde_json::Value;
use tokio::time::Instant;

/// A request did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Problem {
    /// No such kind is served.
    #[error("the cluster serves no {kind} in {api_version}; is its definition installed?")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The API server says no.
    #[error("{message}")]
    Refused {
        /// HTTP code.
        code: u16,
        /// Its words.
        message: String,
    },
    /// The API server cannot be reached or understood; trying again may help.
    #[error("the API server did not answer: {0}")]
    Unreachable(String),
}

impl Problem {
    /// Whether asking again for the same thing gives the same answer.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::UnknownKind { .. } => true,
            Self::Refused { code, .. } => matches!(code, 400..=428),
            Self::Unreachable(_) => false,
        }
    }

    /// Whether the object, its namespace or its kind does not exist.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::UnknownKind { .. } | Self::Refused { code: 404, .. }
        )
    }
}

impl From<kube::Error> for Problem {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused {
                code: status.code,
                message: status.message.clone(),
            },
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// Where a kind is served.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
}

/// Who asks, and whether it is for real.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    /// User to impersonate.
    pub(crate) user: Option<&'a str>,
    /// Change nothing.
    pub(crate) dry_run: bool,
}

/// What a cluster serves, as charts ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Served {
    /// Such as `v1.35.4`.
    pub(crate) version: String,
    /// `group/version` and `group/version/Kind`, sorted.
    pub(crate) api_versions: Vec<String>,
}

/// How long an answer about what is served counts.
const SERVED_AGE: Duration = Duration::from_secs(300);

/// The cluster objects are applied to.
pub(crate) struct Cluster {
    client: Client,
    kinds: Mutex<HashMap<(String, String), Kind>>,
    served: tokio::sync::Mutex<Option<(Instant, Arc<Served>)>>,
}

impl Cluster {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            kinds: Mutex::default(),
            served: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where objects of this `apiVersion` and kind are served.
    pub(crate) async fn kind(&self, api_version: &str, kind: &str) -> Result<Kind, Problem> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(found) = self.lock().get(&key) {
            return Ok(found.clone());
        }
        let unknown = || Problem::UnknownKind {
            api_version: key.0.clone(),
            kind: key.1.clone(),
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let name = GroupVersionKind::gvk(group, version, kind);
        let (resource, capabilities) = match pinned_kind(&self.client, &name).await {
            Ok(found) => found,
            Err(kube::Error::Api(status)) if status.code == 404 => return Err(unknown()),
            Err(kube::Error::Discovery(_)) => return Err(unknown()),
            Err(other) => return Err(other.into()),
        };
        let found = Kind {
            resource,
            namespaced: capabilities.scope == Scope::Namespaced,
        };
        self.lock().insert(key, found.clone());
        Ok(found)
    }

    /// What is served, asked for again from time to time.
    pub(crate) async fn served(&self) -> Result<Arc<Served>, Problem> {
        let mut known = self.served.lock().await;
        if let Some((when, served)) = known.as_ref()
            && when.elapsed() < SERVED_AGE
        {
            return Ok(served.clone());
        }
        let version = self.client.apiserver_version().await?.git_version;
        let discovery = Discovery::new(self.client.clone()).run().await?;
        let mut api_versions = BTreeSet::new();
        for group in discovery.groups() {
            for version in group.versions() {
                for (resource, _) in group.versioned_resources(version) {
                    api_versions.insert(resource.api_version.clone());
                    api_versions.insert(format!("{}/{}", resource.api_version, resource.kind));
                }
            }
        }
        let api_versions = api_versions.into_iter().collect();
        let served = Arc::new(Served {
            version,
            api_versions,
        });
        *known = Some((Instant::now(), served.clone()));
        Ok(served)
    }

    /// Where the kind of an object is served.
    pub(crate) async fn kind_of(&self, object: &Value) -> Result<Kind, Problem> {
        self.kind(object::text(object, "/apiVersion"), object::kind(object))
            .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Kind>> {
        self.kinds
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// An object, if it exists.
    pub(crate) async fn get(&self, kind: &Kind, key: &Key) -> Result<Option<Value>, Problem> {
        let request = request(kind, &key.namespace).get(&key.name, &Default::default());
        match self.send(request, None).await {
            Ok(object) => Ok(Some(object)),
            Err(Problem::Refused { code: 404, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Server-side apply; returns the object as it is, or would be.
    pub(crate) async fn apply(
        &self,
        kind: &Kind,
        object: &Value,
        manner: Manner<'_>,
    ) -> Result<Value, Problem> {
        let mut parameters = PatchParams::apply(FIELD_MANAGER).force();
        parameters.dry_run = manner.dry_run;
        let request = request(kind, object::namespace(object));
        let request = request.patch(object::name(object), &parameters, &Patch::Apply(object));
        self.send(request, manner.user).await
    }

    /// Deletes an object; returns it while it is still going, nothing when it is gone.
    pub(crate) async fn delete(
        &self,
        kind: &Kind,
        live: &Value,
        propagation: &str,
        user: Option<&str>,
    ) -> Result<Option<Value>, Problem> {
        let policy = match propagation {
            "Background" => PropagationPolicy::Background,
            "Orphan" => PropagationPolicy::Orphan,
            _ => PropagationPolicy::Foreground,
        };
        let uid = Some(object::text(live, "/metadata/uid").to_owned());
        let parameters = DeleteParams {
            propagation_policy: Some(policy),
            preconditions: Some(Preconditions {
                uid,
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let request = request(kind, object::namespace(live));
        match self
            .send(request.delete(object::name(live), &parameters), user)
            .await
        {
            Ok(answer) if object::is_terminating(&answer) => Ok(Some(answer)),
            Ok(_) | Err(Problem::Refused { code: 404, .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// A merge patch as ourselves.
    pub(crate) async fn merge(
        &self,
        resource: &ApiResource,
        key: (&str, &str),
        patch: &Value,
    ) -> Result<Value, Problem> {
        let kind = Kind {
            resource: resource.clone(),
            namespaced: true,
        };
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..Default::default()
        };
        let request = request(&kind, key.0).patch(key.1, &parameters, &Patch::Merge(patch));
        self.send(request, None).await
    }

    async fn send(
        &self,
        request: Result<HttpRequest<Vec<u8>>, kube::core::request::Error>,
        user: Option<&str>,
    ) -> Result<Value, Problem> {
        let mut request = request.map_err(|error| Problem::Unreachable(error.to_string()))?;
        if let Some(user) = user {
            let value = HeaderValue::from_str(user)
                .map_err(|_| Problem::Unreachable("invalid user name".to_owned()))?;
            request.headers_mut().insert("impersonate-user", value);
        }
        Ok(self.client.request(request).await?)
    }
}

fn request(kind: &Kind, namespace: &str) -> Request {
    let namespace = (kind.namespaced && !namespace.is_empty()).then_some(namespace);
    Request::new(DynamicObject::url_path(&kind.resource, namespace))
}
