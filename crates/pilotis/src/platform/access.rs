//! Credentials the platform's parts need of one another, as Secrets: GitOps reads hosted Git with a
//! token of its own ServiceAccount; the platform pushes base images with an account of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use pilotis_kinds::account::{self, Access, Account};
use pilotis_kinds::names::SYSTEM_NAMESPACE;
use pilotis_transfer::Credential;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::bootstrap::apply;

/// Validity of the token GitOps reads Git with.
const TOKEN_SECONDS: i64 = 24 * 3600;
/// Time between two tokens.
const RENEW_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Secret with the registry's token key.
const TOKEN_KEY: &str = "pilotis-registry-token-key";

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
    let account = Account {
        name: "platform".to_owned(),
        project: None,
        access: Access::Admin,
    };
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let stored = api.get_opt(&account.object_name()).await?;
    let stored = stored.and_then(|secret| secret.data?.remove("password"));
    let password = match stored {
        Some(bytes) => String::from_utf8(bytes.0)?,
        None => {
            let password = account::password(rand::random());
            apply(client, &account.secret(&password)).await?;
            password
        }
    };
    apply(client, &account.config_map(&password)).await?;
    Ok(Credential::Basic {
        user: account.user(),
        password,
    })
}

/// What the registry signs its tokens with, made on first use. The registry itself has no right on
/// any Secret: it is given the key.
///
/// # Errors
/// When the API refuses.
pub async fn registry_token_key(client: &Client) -> Result<[u8; 32]> {
    let api: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let stored = api.get_opt(TOKEN_KEY).await?;
    if let Some(bytes) = stored.and_then(|secret| secret.data?.remove("key")) {
        let wrong = |_| anyhow::anyhow!("Secret {TOKEN_KEY} does not hold 32 bytes");
        return bytes.0.try_into().map_err(wrong);
    }
    let key: [u8; 32] = rand::random();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "pilotis.dev/registry-token-key",
        "metadata": {"name": TOKEN_KEY, "namespace": SYSTEM_NAMESPACE},
        "data": {"key": ByteString(key.to_vec())},
    });
    apply(client, &secret).await?;
    Ok(key)
}
