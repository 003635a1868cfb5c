//! An `AdmissionReview` in, an answer out.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::images::new_images;
use crate::policy;
use crate::signatures::Signatures;
use crate::watched::{Projects, Watched};
use crate::{Judgement, Verdict};

/// Largest review read; API servers send objects of at most 3 MiB, twice.
const REVIEW_BYTES_MAX: usize = 8 << 20;
/// Most problems named in one answer.
const PROBLEMS_MAX: usize = 10;

/// Gives the verdicts.
pub(crate) struct Reviewer {
    pub(crate) registry: String,
    pub(crate) signatures: Signatures,
    pub(crate) projects: Watched<Projects>,
    pub(crate) verdict: Option<Arc<dyn Verdict>>,
}

#[derive(Deserialize)]
struct Review {
    #[serde(rename = "apiVersion")]
    api_version: String,
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    kind: Kind,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

pub(crate) fn router(reviewer: Arc<Reviewer>) -> Router {
    Router::new()
        .route("/validate", post(validate))
        .route("/complete", post(complete))
        .route("/healthz", get(|| async { "ok" }))
        .layer(DefaultBodyLimit::max(REVIEW_BYTES_MAX))
        .with_state(reviewer)
}

async fn validate(
    State(reviewer): State<Arc<Reviewer>>,
    Json(review): Json<Review>,
) -> Result<Json<Value>, StatusCode> {
    if review.api_version != "admission.k8s.io/v1" {
        return Err(StatusCode::BAD_REQUEST);
    }
    let request = review.request;
    let judgement = reviewer.judgement(&request);
    let mut problems = reviewer.problems(&request).await;
    problems.extend(judgement.refused);
    problems.truncate(PROBLEMS_MAX);
    let mut response = json!({"uid": request.uid, "allowed": problems.is_empty()});
    if !judgement.warned.is_empty() {
        let warned: Vec<&String> = judgement.warned.iter().take(PROBLEMS_MAX).collect();
        response["warnings"] = json!(warned);
    }
    if !problems.is_empty() {
        tracing::info!(
            namespace = request.namespace,
            kind = request.kind.kind,
            problems = problems.len(),
            "object was refused"
        );
        response["status"] =
            json!({"code": 403, "reason": "Forbidden", "message": problems.join("; ")});
    }
    Ok(Json(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response,
    })))
}

/// What an object asks for: everything but what is said about it and what became of it.
fn wanted(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        for field in ["metadata", "status"] {
            fields.remove(field);
        }
    }
    object
}

/// Writes into a pod what the platform sets by itself. It refuses nothing: that is the work of the
/// other webhook, which sees the pod as it then is.
async fn complete(Json(review): Json<Review>) -> Result<Json<Value>, StatusCode> {
    if review.api_version != "admission.k8s.io/v1" {
        return Err(StatusCode::BAD_REQUEST);
    }
    let request = review.request;
    let mut response = json!({"uid": request.uid, "allowed": true});
    let patch = crate::completion::patch(&request.object, &request.old_object);
    if let Some(patch) = patch {
        let encoded = base64::engine::general_purpose::STANDARD.encode(patch.to_string());
        response["patchType"] = "JSONPatch".into();
        response["patch"] = encoded.into();
    }
    Ok(Json(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response,
    })))
}

impl Reviewer {
    /// Everything that is wrong, each as one sentence for the team.
    async fn problems(&self, request: &Request) -> Vec<String> {
        let mut problems = Vec::new();
        let project = self.projects.borrow().get(&request.namespace).cloned();
        for image in new_images(&request.kind.kind, &request.object, &request.old_object) {
            let verdict = match &project {
                Some(project) => self.judge(&image.image, project).await,
                None => Err("cannot run here: the namespace belongs to no project".to_owned()),
            };
            if let Err(cause) = verdict {
                let (container, image) = (&image.container, &image.image);
                problems.push(format!("container {container}: image {image} {cause}"));
            }
            if problems.len() >= PROBLEMS_MAX {
                return problems;
            }
        }
        problems
    }

    /// What further rules say. What did not change was judged when it came: an object that no
    /// longer fits can still be labelled, and lose its finalizers.
    fn judgement(&self, request: &Request) -> Judgement {
        let same = wanted(&request.object) == wanted(&request.old_object);
        match &self.verdict {
            Some(verdict) if !same => verdict.judge(&request.namespace, &request.object),
            _ => Judgement::default(),
        }
    }

    async fn judge(&self, image: &str, project: &str) -> Result<(), String> {
        let pinned = policy::check(image, &self.registry, project);
        let pinned = pinned.map_err(|refused| refused.to_string())?;
        self.signatures
            .require(&pinned)
            .await
            .map_err(|refused| refused.to_string())
    }
}
