//! Admission webhooks: which of them a write concerns, what they are told, what their answer means.
//!
//! A webhook that cannot be reached or answers nonsense is a refusal (`failurePolicy: Fail`) or is
//! passed over (`Ignore`). Configurations are never sent to webhooks, or nobody could repair one.
//! So is one whose `matchConditions` cannot be evaluated.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pilotis_store::Query;
use serde_json::{Value, json};

use super::{Request, conditions, matching};
use crate::failure::{Failure, Outcome};

const GROUP: &str = "admissionregistration.k8s.io";
const TIMEOUT_SECONDS_DEFAULT: u64 = 10;
const ANSWER_SIZE_MAX: usize = 4 << 20;
const CLIENTS_COUNT_MAX: usize = 64;

/// HTTP clients by trusted certificate and pinned address, so that connections are reused.
static CLIENTS: LazyLock<Mutex<HashMap<String, reqwest::Client>>> = LazyLock::new(Mutex::default);

/// Asks mutating webhooks, one after the other, each seeing the changes of those before.
pub(super) async fn mutate(request: &Request<'_>, object: &mut Value) -> Outcome<()> {
    for (configuration, webhook) in concerned(request, "mutatingwebhookconfigurations", object) {
        let call = Call {
            request,
            configuration: &configuration,
            webhook: &webhook,
        };
        if !call.is_wanted(Some(object))? {
            continue;
        }
        let Some(answer) = call.ask(Some(object)).await? else {
            continue;
        };
        if let Some(patched) = call.patched(object, &answer)? {
            *object = patched;
        }
    }
    Ok(())
}

/// Asks validating webhooks; the first refusal is the answer.
pub(super) async fn validate(request: &Request<'_>, object: Option<&Value>) -> Outcome<()> {
    let subject = object.or(request.old).unwrap_or(&Value::Null);
    for (configuration, webhook) in concerned(request, "validatingwebhookconfigurations", subject) {
        let call = Call {
            request,
            configuration: &configuration,
            webhook: &webhook,
        };
        if call.is_wanted(object)? {
            call.ask(object).await?;
        }
    }
    Ok(())
}

/// Webhooks of every configuration whose rules and selectors match, in order of name.
fn concerned(request: &Request<'_>, plural: &str, object: &Value) -> Vec<(String, Value)> {
    let api = &request.context.api;
    if request.kind.group == GROUP {
        return Vec::new();
    }
    let query = Query {
        table: format!("{GROUP}/{plural}"),
        ..Query::default()
    };
    let Ok(page) = api.store.list(&query, &|_| true) else {
        return Vec::new();
    };
    let mut matching = Vec::new();
    for entry in &page.entries {
        let Ok(configuration) = serde_json::from_slice::<Value>(&entry.bytes) else {
            continue;
        };
        for webhook in configuration["webhooks"].as_array().into_iter().flatten() {
            if matches(request, webhook, object) {
                matching.push((entry.key.name().to_owned(), webhook.clone()));
            }
        }
    }
    matching
}

fn matches(request: &Request<'_>, webhook: &Value, object: &Value) -> bool {
    let rules = webhook["rules"].as_array().into_iter().flatten();
    rules
        .into_iter()
        .any(|rule| matching::rule_matches(request, rule))
        && matching::selectors_match(request, webhook, object)
}

/// One webhook being asked about one write.
struct Call<'a> {
    request: &'a Request<'a>,
    configuration: &'a str,
    webhook: &'a Value,
}

impl Call<'_> {
    fn name(&self) -> &str {
        self.webhook["name"].as_str().unwrap_or("")
    }

    /// Whether the webhook's conditions hold; when they cannot be evaluated, its failure policy
    /// decides.
    fn is_wanted(&self, object: Option<&Value>) -> Outcome<bool> {
        let wanted = &self.webhook["matchConditions"];
        if wanted.as_array().is_none_or(Vec::is_empty) {
            return Ok(true);
        }
        let why = match conditions::scope(self.request, object, &Value::Null) {
            None => "object too large".to_owned(),
            Some(scope) => match conditions::all_hold(&scope, wanted) {
                Ok(hold) => return Ok(hold),
                Err(why) => why,
            },
        };
        if self.webhook["failurePolicy"] == "Ignore" {
            return Ok(false);
        }
        let message = format!(
            "admission webhook \"{}\" cannot be matched: {why}",
            self.name()
        );
        Err(Failure::forbidden(
            self.request.kind,
            self.request.name,
            &message,
        ))
    }

    /// The `response` of an allowance; a refusal is a failure; `None` when the webhook is passed
    /// over.
    async fn ask(&self, object: Option<&Value>) -> Outcome<Option<Value>> {
        if self.request.dry_run
            && !matches!(
                self.webhook["sideEffects"].as_str(),
                Some("None" | "NoneOnDryRun")
            )
        {
            let message = format!(
                "admission webhook \"{}\" does not support dry run",
                self.name()
            );
            return Err(Failure::bad_request(message));
        }
        let uid = uuid::Uuid::new_v4().to_string();
        let review = self.review(&uid, object);
        match self.send(&review).await {
            Ok(answer) if answer["response"]["uid"] == uid => self.judge(&answer["response"]),
            Ok(_) => self.unanswered("expected response.uid to be the uid of the request"),
            Err(text) => self.unanswered(&text),
        }
    }

    fn unanswered(&self, text: &str) -> Outcome<Option<Value>> {
        let name = self.name();
        if self.webhook["failurePolicy"] == "Ignore" {
            tracing::warn!(webhook = name, text, "failing open: webhook did not answer");
            return Ok(None);
        }
        let message = format!("failed calling webhook \"{name}\": failed to call webhook: {text}");
        Err(Failure::internal(message))
    }

    fn judge(&self, response: &Value) -> Outcome<Option<Value>> {
        for warning in response["warnings"].as_array().into_iter().flatten() {
            self.request.context.warn(warning.as_str().unwrap_or(""));
        }
        if response["allowed"] == true {
            return Ok(Some(response.clone()));
        }
        let status = &response["status"];
        let said = status["message"].as_str().filter(|m| !m.is_empty());
        let reason = status["reason"].as_str().filter(|r| !r.is_empty());
        let why = match (said, reason) {
            (Some(text), _) | (None, Some(text)) => format!("denied the request: {text}"),
            (None, None) => "denied the request without explanation".into(),
        };
        let message = format!("admission webhook \"{}\" {why}", self.name());
        let code = status["code"]
            .as_u64()
            .filter(|c| (400..600).contains(c))
            .unwrap_or(400);
        let reason = match code {
            403 => "Forbidden",
            409 => "Conflict",
            422 => "Invalid",
            500 => "InternalError",
            _ => "BadRequest",
        };
        let mut failure = Failure::new(u16::try_from(code).unwrap_or(400), reason, message);
        if status["details"].is_object() {
            failure = failure.with_details(status["details"].clone());
        }
        Err(failure)
    }

    fn review(&self, uid: &str, object: Option<&Value>) -> Value {
        let mut asked = self.request.describe(object);
        asked["uid"] = uid.into();
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": asked})
    }

    async fn send(&self, review: &Value) -> Result<Value, String> {
        let (url, client) = self.target().await?;
        let seconds = self.webhook["timeoutSeconds"]
            .as_u64()
            .unwrap_or(TIMEOUT_SECONDS_DEFAULT);
        let timeout = Duration::from_secs(seconds.clamp(1, 30));
        let mut answer = client
            .post(&url)
            .timeout(timeout)
            .header("Content-Type", "application/json")
            .body(review.to_string())
            .send()
            .await
            .map_err(|e| self.worded(&url, &e))?;
        if !answer.status().is_success() {
            return Err(format!("the server answered {}", answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| self.worded(&url, &e))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_SIZE_MAX {
                return Err("the answer is too large".into());
            }
        }
        serde_json::from_slice(&body).map_err(|e| format!("the answer cannot be read: {e}"))
    }

    fn worded(&self, url: &str, error: &reqwest::Error) -> String {
        tracing::warn!(webhook = self.name(), configuration = self.configuration, %error, "webhook failed");
        if error.is_timeout() {
            return format!("Post \"{url}\": context deadline exceeded");
        }
        format!("Post \"{url}\": the connection failed")
    }

    /// Where to send, and a client that trusts the webhook's certificate.
    async fn target(&self) -> Result<(String, reqwest::Client), String> {
        let config = &self.webhook["clientConfig"];
        let bundle = config["caBundle"].as_str().unwrap_or("");
        if let Some(url) = config["url"].as_str() {
            return Ok((url.to_owned(), client(bundle, None)?));
        }
        let service = &config["service"];
        let text = |field: &str| service[field].as_str().unwrap_or("");
        let (namespace, name) = (text("namespace"), text("name"));
        let port = service["port"]
            .as_u64()
            .and_then(|p| u16::try_from(p).ok())
            .unwrap_or(443);
        let resolver = self.request.context.api.hooks.services.as_ref();
        let resolver = resolver.ok_or("no way to reach Services from this server")?;
        let address = resolver.resolve(namespace, name, port).await;
        let address =
            address.ok_or_else(|| format!("no endpoints available for service \"{name}\""))?;
        let host = format!("{name}.{namespace}.svc");
        let path = text("path");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url = format!("https://{host}:{}{slash}{path}", address.port());
        Ok((url, client(bundle, Some((&host, address)))?))
    }

    /// The object with the webhook's JSON patch on it.
    fn patched(&self, object: &Value, response: &Value) -> Outcome<Option<Value>> {
        let Some(encoded) = response["patch"].as_str() else {
            return Ok(None);
        };
        let fail = |text: &str| {
            let message = format!(
                "admission webhook \"{}\" answered an unusable patch: {text}",
                self.name()
            );
            Failure::internal(message)
        };
        if response["patchType"] != "JSONPatch" {
            return Err(fail("patchType must be JSONPatch"));
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| fail("not base64"))?;
        let patch: Value = serde_json::from_slice(&bytes).map_err(|_| fail("not JSON"))?;
        let patched =
            pilotis_patch::json_patch(object, &patch).map_err(|e| fail(&e.to_string()))?;
        Ok(Some(patched))
    }
}

fn client(
    bundle: &str,
    pinned: Option<(&str, std::net::SocketAddr)>,
) -> Result<reqwest::Client, String> {
    let name = format!("{bundle} {pinned:?}");
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = clients.get(&name) {
        return Ok(client.clone());
    }
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .https_only(true);
    if !bundle.is_empty() {
        let pem = STANDARD
            .decode(bundle)
            .map_err(|_| "caBundle is not base64")?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|_| "caBundle holds no certificate")?;
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((host, address)) = pinned {
        builder = builder.resolve(host, address);
    }
    let client = builder.build().map_err(|_| "cannot make a client")?;
    if clients.len() >= CLIENTS_COUNT_MAX {
        clients.clear();
    }
    clients.insert(name, client.clone());
    Ok(client)
}
