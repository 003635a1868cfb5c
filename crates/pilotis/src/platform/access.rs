//! Credentials the platform's parts need of one another, as Secrets: GitOps reads hosted Git with a
//! token of its own ServiceAccount; the platform pushes base images with an account of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use pilotis_oci::Digest;
use pilotis_transfer::Credential;
use rand::Rng;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::bootstrap::apply;

/// Validity of the token GitOps reads Git with.
const TOKEN_SECONDS: i64 = 24 * 3600;
/// Time between two tokens.
const RENEW_EVERY: Duration = Duration::from_secs(6 * 3600);
/// Secret of the platform's registry account.
const ACCOUNT: &str = "registry-account-platform";
/// Characters of a password.
const PASSWORD_CHARS: usize = 40;

/// Writes the Secret GitOps reads hosted repositories with.
///
/// # Errors
/// When the API refuses.
pub async fn grant_git(client: &Client, git_url: &str) -> Result<()> {
    let api: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Vec::new(),
            expiration_seconds: Some(TOKEN_SECONDS),
            bound_object_ref: None,
        },
        ..TokenRequest::default()
    };
    let answer = api
        .create_token_request("gitops", &PostParams::default(), &request)
        .await
        .context("cannot make a token for GitOps")?;
    let token = answer.status.map(|s| s.token).unwrap_or_default();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "git-hosted", "namespace": SYSTEM_NAMESPACE,
            "labels": {"argocd.argoproj.io/secret-type": "repo-creds"}},
        "stringData": {"url": format!("{git_url}/"), "username": "gitops", "password": token},
    });
    apply(client, &secret).await.map(|_| ())
}

/// Renews the Secret of [`grant_git`] until `stop`.
pub async fn renew_git(client: Client, git_url: String, stop: CancellationToken) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(RENEW_EVERY) => {}
        }
        if let Err(error) = grant_git(&client, &git_url).await {
            tracing::warn!(error = %format!("{error:#}"), "token for GitOps not renewed");
        }
    }
}

/// The platform's own account at the registry, made on first use.
///
/// # Errors
/// When the API refuses.
pub async fn registry_account(client: &Client) -> Result<Credential> {
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let user = "platform".to_owned();
    if let Some(found) = api.get_opt(ACCOUNT).await? {
        let data = found.data.unwrap_or_default();
        let password = data
            .get("password")
            .map(|b| b.0.clone())
            .unwrap_or_default();
        return Ok(Credential::Basic {
            user,
            password: String::from_utf8(password)?,
        });
    }
    let password: String = rand::rng()
        .sample_iter(&rand::distr::Alphanumeric)
        .take(PASSWORD_CHARS)
        .map(char::from)
        .collect();
    let hash = Digest::sha256(password.as_bytes()).to_string();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "pilotis.dev/registry-account",
        "metadata": {"name": ACCOUNT, "namespace": SYSTEM_NAMESPACE,
            "labels": {"pilotis.dev/registry-account": user}},
        "data": {
            "name": STANDARD.encode(&user),
            "access": STANDARD.encode("admin"),
            "password": STANDARD.encode(&password),
            "passwordHash": STANDARD.encode(hash),
        },
    });
    apply(client, &secret).await?;
    Ok(Credential::Basic { user, password })
}
