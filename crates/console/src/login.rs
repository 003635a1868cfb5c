//! Login links: written by the command line, honoured once by the console.
//!
//! The Secret holds the hash of the token, never the token. Deleting it with its uid as a
//! precondition is what makes a link single-use, even when two requests race.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, DeleteParams, Preconditions};
use pilotis_kinds::names::LOGIN_NAMESPACE;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Type of the Secret, and its label.
const LOGIN: &str = "pilotis.dev/console-login";
/// Shortest and longest token that is looked up at all.
const TOKEN_CHARS: std::ops::RangeInclusive<usize> = 16..=128;
/// Most groups a login carries.
const GROUPS_MAX: usize = 64;

/// Who a login link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    /// User name as the API knows it.
    pub(crate) user: String,
    /// Groups, besides those the API adds.
    pub(crate) groups: Vec<String>,
}

/// Why a link is not honoured. The page says the same for all of them but the last.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No such link, or it was used.
    #[error("login link is unknown or was used")]
    Unknown,
    /// Its time has passed.
    #[error("login link has expired")]
    Expired,
    /// The Secret is not one of ours.
    #[error("login link is malformed")]
    Malformed,
    /// The API refused or could not be reached.
    #[error("cannot read the login link")]
    Api(#[source] Box<kube::Error>),
}

/// The Secret behind `/connexion?jeton=TOKEN`, ready to be created in `pilotis-login`.
///
/// The token must have 16 to 128 letters, digits, `-` or `_`, at random; the link lets anybody who
/// holds it in as `user`, once, until `expires`.
pub fn login_secret(token: &str, user: &str, groups: &[&str], expires: Timestamp) -> Value {
    let data = |text: &str| STANDARD.encode(text);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name(token),
            "namespace": LOGIN_NAMESPACE,
            "labels": {LOGIN: "true"},
        },
        "type": LOGIN,
        "immutable": true,
        "data": {
            "user": data(user),
            "groups": data(&groups.join(",")),
            "expires": data(&expires.to_string()),
            "tokenHash": data(&format!("sha256:{}", hash(token))),
        },
    })
}

/// Uses the link up and says who it is for.
pub(crate) async fn redeem(client: &Client, token: &str, now: Timestamp) -> Result<Person, Error> {
    if !is_token(token) {
        return Err(Error::Unknown);
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), LOGIN_NAMESPACE);
    let found = secrets.get_opt(&name(token)).await.map_err(api)?;
    let secret = found.ok_or(Error::Unknown)?;
    let verdict = read(&secret, token, now);
    if matches!(verdict, Err(Error::Unknown | Error::Malformed)) {
        return verdict;
    }
    let only_this = Preconditions {
        uid: secret.metadata.uid.clone(),
        resource_version: None,
    };
    let parameters = DeleteParams::default().preconditions(only_this);
    match secrets.delete(&name(token), &parameters).await {
        Ok(_) => verdict,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Err(Error::Unknown),
        Err(error) => Err(api(error)),
    }
}

/// What the Secret says, if it is a login link for this token and still good.
fn read(secret: &Secret, token: &str, now: Timestamp) -> Result<Person, Error> {
    let ours = secret.type_.as_deref() == Some(LOGIN)
        && secret
            .metadata
            .labels
            .as_ref()
            .is_some_and(|l| l.contains_key(LOGIN));
    if !ours {
        return Err(Error::Malformed);
    }
    let data = secret.data.as_ref().ok_or(Error::Malformed)?;
    let text = |key: &str| -> Result<String, Error> {
        let bytes = data.get(key).ok_or(Error::Malformed)?;
        String::from_utf8(bytes.0.clone()).map_err(|_| Error::Malformed)
    };
    if text("tokenHash")? != format!("sha256:{}", hash(token)) {
        return Err(Error::Unknown);
    }
    let expires: Timestamp = text("expires")?.parse().map_err(|_| Error::Malformed)?;
    if expires <= now {
        return Err(Error::Expired);
    }
    let user = text("user")?;
    let groups = text("groups")?;
    let groups = groups.split(',').map(str::trim).filter(|g| !g.is_empty());
    let groups: Vec<String> = groups.map(str::to_owned).collect();
    if user.is_empty() || groups.len() > GROUPS_MAX {
        return Err(Error::Malformed);
    }
    Ok(Person { user, groups })
}

fn is_token(token: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    TOKEN_CHARS.contains(&token.len()) && token.bytes().all(allowed)
}

fn name(token: &str) -> String {
    let hash = hash(token);
    format!("login-{}", hash.get(..16).unwrap_or(&hash))
}

fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

fn api(error: kube::Error) -> Error {
    Error::Api(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef-_XY";

    fn secret(change: impl FnOnce(&mut Value)) -> Secret {
        let mut value = login_secret(
            TOKEN,
            "ana",
            &["equipe", "audit"],
            at("2026-11-19T15:00:00Z"),
        );
        change(&mut value);
        serde_json::from_value(value).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_the_command_line_writes_is_what_the_console_reads() {
        let person = read(&secret(|_| ()), TOKEN, at("2026-11-19T14:59:59Z")).unwrap();
        assert_eq!(person.user, "ana");
        assert_eq!(person.groups, ["equipe", "audit"]);
        let nobody = login_secret(TOKEN, "ana", &[], at("2026-11-19T15:00:00Z"));
        let nobody: Secret = serde_json::from_value(nobody).unwrap();
        let person = read(&nobody, TOKEN, at("2026-11-19T14:00:00Z")).unwrap();
        assert!(person.groups.is_empty());
    }

    #[test]
    fn the_secret_never_holds_the_token() {
        let text = secret(|_| ());
        assert!(!serde_json::to_string(&text).unwrap().contains(TOKEN));
    }

    #[test]
    fn a_link_is_refused_when_late_for_another_token_or_of_another_type() {
        let now = at("2026-11-19T14:00:00Z");
        let late = read(&secret(|_| ()), TOKEN, at("2026-11-19T15:00:00Z"));
        assert!(matches!(late, Err(Error::Expired)));
        let other = read(&secret(|_| ()), "another-token-0000", now);
        assert!(matches!(other, Err(Error::Unknown)));
        let opaque = secret(|s| s["type"] = json!("Opaque"));
        assert!(matches!(read(&opaque, TOKEN, now), Err(Error::Malformed)));
        let unlabelled = secret(|s| s["metadata"]["labels"] = json!({}));
        assert!(matches!(
            read(&unlabelled, TOKEN, now),
            Err(Error::Malformed)
        ));
    }

    #[test]
    fn only_tokens_are_looked_up() {
        assert!(is_token(TOKEN));
        for bad in ["", "court", "0123456789abcdef/../x", "é123456789abcdefgh"] {
            assert!(!is_token(bad), "{bad}");
        }
        assert!(!is_token(&"a".repeat(129)));
    }
}
