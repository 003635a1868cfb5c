//! Fetching from a registry: the OCI distribution protocol over HTTPS, as much as pulling needs.
//!
//! A registry is known by the *name* in image references and reached at an *address* from the
//! settings, trusting only the certificate authority given there; nothing else is ever contacted,
//! redirects included. Everything received is bounded and checked by digest.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Client, Response, StatusCode, header};
use serde::Deserialize;

use super::{Entry, ImageError, ImageName, Images, at, check, is_digest, malformed, sha256};

/// Most bytes of a manifest or configuration.
const DOCUMENT_MAX: usize = 4 << 20;

/// Most layers of an image.
const LAYERS_MAX: usize = 127;

const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// A registry the node may pull from.
#[derive(Debug, Clone)]
pub struct Registry {
    /// Name in image references, such as `registry.pilotis.internal`.
    pub host: String,
    /// Where it really listens.
    pub address: SocketAddr,
    /// Certificate authority its certificate must come from (PEM).
    pub authority_pem: String,
}

/// A user of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Registry host they are for.
    pub host: String,
    /// Name.
    pub user: String,
    /// Secret word or token.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Credentials({}@{})", self.user, self.host)
    }
}

/// Why a registry did not give an image.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The settings name no such registry.
    #[error("no registry `{0}` is configured on this node")]
    UnknownRegistry(String),
    /// The certificate authority cannot be read.
    #[error("cannot use the certificate authority of {host}")]
    Authority {
        /// Registry.
        host: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The connection failed.
    #[error("cannot reach registry {host}")]
    Connection {
        /// Registry.
        host: String,
        /// Why, without the address.
        source: reqwest::Error,
    },
    /// No such image.
    #[error("{0}: not found")]
    NotFound(String),
    /// The credentials are missing or wrong.
    #[error("{0}: not authorized to pull")]
    Unauthorized(String),
    /// The registry answered with an error.
    #[error("registry {host} answers {status}")]
    Status {
        /// Registry.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The registry sent more than is read.
    #[error("registry {0} sends too much")]
    TooLarge(String),
    /// The image is for other machines only.
    #[error("no match for platform linux/{0} in the image index")]
    Platform(String),
}

#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

impl Registry {
    /// Fetches an image into the store.
    pub(super) async fn fetch(
        &self,
        name: &ImageName,
        credentials: &[Credentials],
        store: &Images,
    ) -> Result<Entry, ImageError> {
        let mine = credentials
            .iter()
            .find(|one| one.host == self.host)
            .cloned();
        let mut session = Session::new(self, name, mine)?;
        let (mut digest, mut bytes) = session.manifest(name.selector()).await?;
        if is_index(&bytes) {
            let chosen = choose_platform(&bytes)?;
            (digest, bytes) = session.manifest(&chosen).await?;
        }
        let manifest: Manifest = serde_json::from_slice(&bytes).map_err(malformed("manifest"))?;
        if manifest.layers.len() > LAYERS_MAX {
            return Err(PullError::TooLarge(self.host.clone()).into());
        }
        let config = session
            .document(&format!("blobs/{}", manifest.config.digest))
            .await?;
        let diff_ids = store.keep_config(&manifest.config.digest, &config)?;
        if diff_ids.len() != manifest.layers.len() {
            let message = "manifest and configuration disagree on the number of layers".to_owned();
            return Err(ImageError::Malformed {
                what: "image",
                message,
            });
        }
        let mut size = 0;
        for (diff_id, layer) in diff_ids.iter().zip(&manifest.layers) {
            if !store.layer_path(diff_id).is_dir() {
                size += session.layer(diff_id, layer, store).await?;
            }
        }
        Ok(Entry {
            config: manifest.config.digest,
            manifest: Some(digest),
            size,
        })
    }
}

fn is_index(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Index>(bytes).is_ok()
}

/// The manifest for this machine in an index of platforms.
pub(super) fn choose_platform(index: &[u8]) -> Result<String, PullError> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let none = || PullError::Platform(architecture.to_owned());
    let index: Index = serde_json::from_slice(index).map_err(|_| none())?;
    let fits =
        |platform: &Platform| platform.os == "linux" && platform.architecture == architecture;
    index
        .manifests
        .iter()
        .find(|one| one.platform.as_ref().is_none_or(fits))
        .map(|one| one.digest.clone())
        .ok_or_else(none)
}

/// One pull: a client and the token it was given.
struct Session<'a> {
    registry: &'a Registry,
    name: &'a ImageName,
    client: Client,
    credentials: Option<Credentials>,
    token: Option<String>,
}

impl<'a> Session<'a> {
    fn new(
        registry: &'a Registry,
        name: &'a ImageName,
        credentials: Option<Credentials>,
    ) -> Result<Self, PullError> {
        let authority = |source| PullError::Authority {
            host: registry.host.clone(),
            source,
        };
        let certificates = reqwest::Certificate::from_pem_bundle(registry.authority_pem.as_bytes())
            .map_err(authority)?;
        let bare = registry.host.split(':').next().unwrap_or(&registry.host);
        let client = Client::builder()
            .no_proxy()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only(certificates)
            .resolve(bare, registry.address)
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .build()
            .map_err(authority)?;
        Ok(Session {
            registry,
            name,
            client,
            credentials,
            token: None,
        })
    }

    /// A manifest by tag or digest, and its digest.
    async fn manifest(&mut self, selector: &str) -> Result<(String, Vec<u8>), ImageError> {
        let bytes = self.document(&format!("manifests/{selector}")).await?;
        let digest = sha256(&bytes);
        if is_digest(selector) {
            check("manifest", selector, &digest)?;
        }
        Ok((digest, bytes))
    }

    async fn document(&mut self, path: &str) -> Result<Vec<u8>, ImageError> {
        let response = self.get(path).await?;
        let mut body = response.bytes_stream();
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.map_err(|source| self.lost(source))?);
            if bytes.len() > DOCUMENT_MAX {
                return Err(PullError::TooLarge(self.registry.host.clone()).into());
            }
        }
        Ok(bytes)
    }

    /// Fetches a layer to a file and unpacks it.
    async fn layer(
        &mut self,
        diff_id: &str,
        layer: &Descriptor,
        store: &Images,
    ) -> Result<u64, ImageError> {
        if !is_digest(&layer.digest) {
            let message = format!("`{}` is not a sha256 digest", layer.digest);
            return Err(ImageError::Malformed {
                what: "manifest",
                message,
            });
        }
        let path = store.incoming(&format!("{}.blob", super::hex(&layer.digest)));
        let response = self.get(&format!("blobs/{}", layer.digest)).await?;
        let mut body = response.bytes_stream();
        let mut file = std::fs::File::create(&path).map_err(at(&path))?;
        let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
        let mut size = 0_u64;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|source| self.lost(source))?;
            size += piece.len() as u64;
            if size > layer.size {
                return Err(PullError::TooLarge(self.registry.host.clone()).into());
            }
            sha2::Digest::update(&mut hasher, &piece);
            file.write_all(&piece).map_err(at(&path))?;
        }
        check(
            "layer",
            &layer.digest,
            &super::digest_text(sha2::Digest::finalize(hasher)),
        )?;
        drop(file);
        let kept = tokio::task::block_in_place(|| store.keep_layer(diff_id, &path));
        std::fs::remove_file(&path).map_err(at(&path))?;
        kept
    }

    async fn get(&mut self, path: &str) -> Result<Response, PullError> {
        let response = self.send(path).await?;
        if response.status() != StatusCode::UNAUTHORIZED || self.token.is_some() {
            return self.accept(response);
        }
        self.token = Some(self.log_in(&response).await?);
        let response = self.send(path).await?;
        self.accept(response)
    }

    async fn send(&self, path: &str) -> Result<Response, PullError> {
        let url = format!(
            "https://{}:{}/v2/{}/{path}",
            self.registry.host.split(':').next().unwrap_or_default(),
            self.registry.address.port(),
            self.name.repository
        );
        let mut request = self.client.get(url).header(header::ACCEPT, MANIFEST_TYPES);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.as_str());
        }
        request.send().await.map_err(|source| self.lost(source))
    }

    fn accept(&self, response: Response) -> Result<Response, PullError> {
        match response.status() {
            StatusCode::OK => Ok(response),
            StatusCode::NOT_FOUND => Err(PullError::NotFound(self.name.to_string())),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(PullError::Unauthorized(self.name.to_string()))
            }
            status => {
                let host = self.registry.host.clone();
                Err(PullError::Status {
                    host,
                    status: status.as_u16(),
                })
            }
        }
    }

    /// Answers the registry's challenge; returns the value of the `Authorization` header.
    async fn log_in(&self, refused: &Response) -> Result<String, PullError> {
        let unauthorized = || PullError::Unauthorized(self.name.to_string());
        let challenge = refused
            .headers()
            .get(header::WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(unauthorized)?;
        let (scheme, parameters) = challenge.split_once(' ').ok_or_else(unauthorized)?;
        if scheme.eq_ignore_ascii_case("basic") {
            return self.basic().ok_or_else(unauthorized);
        }
        let parameter = |name: &str| challenge_parameter(parameters, name);
        let realm = parameter("realm").ok_or_else(unauthorized)?;
        let path = self.own_path(&realm).ok_or_else(unauthorized)?;
        let mut url: reqwest::Url = path.parse().map_err(|_| unauthorized())?;
        let scope = parameter("scope")
            .unwrap_or_else(|| format!("repository:{}:pull", self.name.repository));
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = parameter("service") {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.client.get(url);
        if let Some(basic) = self.basic() {
            request = request.header(header::AUTHORIZATION, basic);
        }
        let response = request.send().await.map_err(|source| self.lost(source))?;
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let token: Token = self
            .accept(response)?
            .json()
            .await
            .map_err(|source| self.lost(source))?;
        let token = token
            .token
            .or(token.access_token)
            .ok_or_else(unauthorized)?;
        Ok(format!("Bearer {token}"))
    }

    /// The realm, if it is on the registry itself: credentials go nowhere else.
    fn own_path(&self, realm: &str) -> Option<String> {
        let rest = realm.strip_prefix("https://")?;
        let (authority, path) = rest.split_once('/')?;
        let host = authority.split(':').next()?;
        let own = self.registry.host.split(':').next()?;
        (host == own).then(|| format!("https://{own}:{}/{path}", self.registry.address.port()))
    }

    fn basic(&self) -> Option<String> {
        use base64::Engine;
        let credentials = self.credentials.as_ref()?;
        let text = format!("{}:{}", credentials.user, credentials.password);
        Some(format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(text)
        ))
    }

    fn lost(&self, source: reqwest::Error) -> PullError {
        PullError::Connection {
            host: self.registry.host.clone(),
            source: source.without_url(),
        }
    }
}

/// The value of `name="…"` in a challenge.
fn challenge_parameter(parameters: &str, name: &str) -> Option<String> {
    let start = parameters.find(&format!("{name}=\""))? + name.len() + 2;
    let rest = &parameters[start..];
    Some(rest[..rest.find('"')?].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"realm="https://r/token",service="r",scope="repository:a:pull""#;
        assert_eq!(challenge_parameter(text, "service").as_deref(), Some("r"));
        assert_eq!(
            challenge_parameter(text, "scope").as_deref(),
            Some("repository:a:pull")
        );
        assert_eq!(challenge_parameter(text, "none"), None);
    }

    #[test]
    fn secrets_are_not_shown() {
        let one = Credentials {
            host: "r".into(),
            user: "u".into(),
            password: "hush".into(),
        };
        assert!(!format!("{one:?}").contains("hush"));
    }
}
