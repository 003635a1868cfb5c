//! The requests.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LINK, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use pilotis_oci::{Descriptor, Digest, Hasher, Index, MANIFEST_BYTES_MAX, media};

use crate::login::{Challenge, Login, Tokens};
use crate::{Credential, Endpoint, Error, Latitude, Source};

/// Most pages of a list that are read.
const PAGES_MAX: usize = 1000;
/// Most of a refusal's text that is kept, in characters.
const MESSAGE_LENGTH_MAX: usize = 300;

/// A client of one registry. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    endpoint: Arc<Endpoint>,
    http: reqwest::Client,
    tokens: Arc<Tokens>,
    trusts_realm: bool,
}

/// A request that can be sent again with a token.
struct Ask<'a> {
    method: Method,
    path: String,
    headers: Vec<(reqwest::header::HeaderName, String)>,
    source: Option<&'a Source>,
}

impl Ask<'_> {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            source: None,
        }
    }
}

impl Client {
    /// A client of a registry. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Setup`] when the authority's certificate is unusable.
    pub fn new(endpoint: Endpoint) -> Result<Self, Error> {
        Self::with(endpoint, &Latitude::default())
    }

    /// A client that may do more. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Setup`] when a certificate or key is unusable.
    pub fn with(endpoint: Endpoint, latitude: &Latitude) -> Result<Self, Error> {
        let http = endpoint.http(latitude)?;
        Ok(Self {
            endpoint: Arc::new(endpoint),
            http,
            tokens: Arc::default(),
            trusts_realm: latitude.trusts_realm,
        })
    }

    /// Asks whether this is a registry that lets us in.
    ///
    /// # Errors
    /// [`Error::Refused`] when it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        let ask = Ask::new(Method::GET, "/v2/".to_owned());
        expect(self.send("", &ask).await?, "/v2/").await.map(|_| ())
    }

    /// The registry's name in image references.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.endpoint.name
    }

    async fn send(&self, repository: &str, ask: &Ask<'_>) -> Result<Response, Error> {
        let response = self.send_once(repository, ask).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let headers = response.headers().get_all(WWW_AUTHENTICATE);
        let mut challenges = headers.iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = challenges.find_map(Challenge::parse) else {
            return Ok(response);
        };
        let login = Login {
            http: &self.http,
            endpoint: &self.endpoint,
            repository,
            trusts_realm: self.trusts_realm,
        };
        let logged_in = self.tokens.log_in(&login, &challenge).await?;
        if logged_in {
            self.send_once(repository, ask).await
        } else {
            Ok(response)
        }
    }

    async fn send_once(&self, repository: &str, ask: &Ask<'_>) -> Result<Response, Error> {
        let url = format!(
            "{}://{}{}",
            self.endpoint.scheme(),
            self.endpoint.host(),
            ask.path
        );
        let mut request = self.http.request(ask.method.clone(), url);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(source) = ask.source {
            request = request.body(source.body().await?);
        }
        let request = self.tokens.sign(&self.endpoint, repository, request);
        request.send().await.map_err(|source| self.network(source))
    }

    fn network(&self, source: reqwest::Error) -> Error {
        Error::Network {
            registry: self.endpoint.name.clone(),
            source: source.without_url(),
        }
    }

    /// A manifest, by tag or digest.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not there.
    pub async fn manifest(
        &self,
        repository: &str,
        selector: &str,
    ) -> Result<(Descriptor, Bytes), Error> {
        let what = format!("manifest {repository}:{selector}");
        let path = format!("/v2/{repository}/manifests/{selector}");
        let mut ask = Ask::new(Method::GET, path);
        ask.headers
            .push((ACCEPT, media::ACCEPT_MANIFESTS.to_owned()));
        let response = expect(self.send(repository, &ask).await?, &what).await?;
        let media_type = text_header(&response, CONTENT_TYPE).unwrap_or_default();
        let bytes = self
            .read(response, &what, MANIFEST_BYTES_MAX as u64)
            .await?;
        let digest = match selector.parse::<Digest>() {
            Ok(digest) if !digest.matches(&bytes) => return Err(Error::Digest { what }),
            Ok(digest) => digest,
            Err(_) => Digest::sha256(&bytes),
        };
        Ok((
            Descriptor::new(&media_type, digest, bytes.len() as u64),
            bytes,
        ))
    }

    /// What a tag or digest resolves to; `None` when it is not there.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn resolve(
        &self,
        repository: &str,
        selector: &str,
    ) -> Result<Option<Descriptor>, Error> {
        let what = format!("manifest {repository}:{selector}");
        let path = format!("/v2/{repository}/manifests/{selector}");
        let mut ask = Ask::new(Method::HEAD, path);
        ask.headers
            .push((ACCEPT, media::ACCEPT_MANIFESTS.to_owned()));
        let response = match expect(self.send(repository, &ask).await?, &what).await {
            Err(Error::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        let malformed = || Error::Malformed { what: what.clone() };
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let digest = header("docker-content-digest").and_then(|text| text.parse().ok());
        let size = header("content-length").and_then(|text| text.parse().ok());
        let media_type = header("content-type").unwrap_or_default();
        let digest = digest.ok_or_else(malformed)?;
        Ok(Some(Descriptor::new(
            media_type,
            digest,
            size.ok_or_else(malformed)?,
        )))
    }

    /// Stores a manifest under its own digest, and under tags. Returns the digest.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub async fn put_manifest(
        &self,
        repository: &str,
        media_type: &str,
        bytes: &[u8],
        tags: &[&str],
    ) -> Result<Digest, Error> {
        let digest = Digest::sha256(bytes);
        let source = Source::Bytes(Bytes::copy_from_slice(bytes));
        let own = digest.to_string();
        for selector in std::iter::once(own.as_str()).chain(tags.iter().copied()) {
            let what = format!("manifest {repository}:{selector}");
            let path = format!("/v2/{repository}/manifests/{selector}");
            let mut ask = Ask::new(Method::PUT, path);
            ask.headers.push((CONTENT_TYPE, media_type.to_owned()));
            ask.source = Some(&source);
            expect(self.send(repository, &ask).await?, &what).await?;
        }
        Ok(digest)
    }

    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn has_blob(&self, repository: &str, digest: &Digest) -> Result<bool, Error> {
        let what = format!("blob {digest}");
        let ask = Ask::new(Method::HEAD, format!("/v2/{repository}/blobs/{digest}"));
        match expect(self.send(repository, &ask).await?, &what).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Stores a blob, unless it is there already. Returns its digest and size.
    ///
    /// # Errors
    /// When the registry refuses it or the file cannot be read.
    pub async fn put_blob(
        &self,
        repository: &str,
        source: &Source,
    ) -> Result<(Digest, u64), Error> {
        let (digest, size) = source.measure().await?;
        if self.has_blob(repository, &digest).await? {
            return Ok((digest, size));
        }
        let what = format!("blob {digest}");
        let begin = Ask::new(Method::POST, format!("/v2/{repository}/blobs/uploads/"));
        let response = expect(self.send(repository, &begin).await?, &what).await?;
        let malformed = || Error::Malformed { what: what.clone() };
        let location = text_header(&response, LOCATION).ok_or_else(malformed)?;
        let path = self.own_path(&location).ok_or_else(malformed)?;
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut ask = Ask::new(Method::PUT, format!("{path}{joint}digest={digest}"));
        ask.headers.push((CONTENT_LENGTH, size.to_string()));
        ask.headers
            .push((CONTENT_TYPE, "application/octet-stream".to_owned()));
        ask.source = Some(source);
        expect(self.send(repository, &ask).await?, &what).await?;
        Ok((digest, size))
    }

    /// The path of a location, when it stays on this registry.
    fn own_path(&self, location: &str) -> Option<String> {
        let origin = format!("{}://{}", self.endpoint.scheme(), self.endpoint.host());
        let path = location.strip_prefix(&origin).unwrap_or(location);
        path.starts_with('/').then(|| path.to_owned())
    }

    /// Makes a blob of another repository of this registry appear in this one; `false` when the
    /// registry would rather have it sent.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn mount(
        &self,
        repository: &str,
        digest: &Digest,
        from: &str,
    ) -> Result<bool, Error> {
        let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={from}");
        let ask = Ask::new(Method::POST, path);
        let response = self.send(repository, &ask).await?;
        let response = expect(response, &format!("mount of {digest}")).await?;
        Ok(response.status() == StatusCode::CREATED)
    }

    /// A small blob in memory, verified.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Digest`], or [`Error::TooLarge`] past the limit.
    pub async fn blob(
        &self,
        repository: &str,
        digest: &Digest,
        bytes_max: u64,
    ) -> Result<Bytes, Error> {
        let what = format!("blob {digest}");
        let ask = Ask::new(Method::GET, format!("/v2/{repository}/blobs/{digest}"));
        let response = expect(self.send(repository, &ask).await?, &what).await?;
        let bytes = self.read(response, &what, bytes_max).await?;
        if digest.matches(&bytes) {
            Ok(bytes)
        } else {
            Err(Error::Digest { what })
        }
    }

    /// Writes a blob somewhere, verifying it on the way. On an error what was written is not to
    /// be used.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Digest`] when size or digest differ from the descriptor's.
    pub async fn copy_blob(
        &self,
        repository: &str,
        blob: &Descriptor,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Error> {
        let what = format!("blob {}", blob.digest);
        let ask = Ask::new(
            Method::GET,
            format!("/v2/{repository}/blobs/{}", blob.digest),
        );
        let response = expect(self.send(repository, &ask).await?, &what).await?;
        let local = |source| Error::Local {
            what: what.clone(),
            source,
        };
        let mut hasher = Hasher::new(blob.digest.algorithm());
        let mut left = blob.size;
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| self.network(source))?;
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| Error::Digest { what: what.clone() })?;
            hasher.update(&piece);
            sink.write_all(&piece).await.map_err(local)?;
        }
        sink.flush().await.map_err(local)?;
        let is_whole = left == 0 && hasher.finish() == blob.digest;
        if is_whole {
            Ok(())
        } else {
            Err(Error::Digest { what: what.clone() })
        }
    }

    /// All tags of a repository.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such repository.
    pub async fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let what = format!("tags of {repository}");
        let mut path = format!("/v2/{repository}/tags/list");
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let ask = Ask::new(Method::GET, path);
            let response = expect(self.send(repository, &ask).await?, &what).await?;
            let next = text_header(&response, LINK).and_then(|link| next_page(&link));
            let bytes = self
                .read(response, &what, MANIFEST_BYTES_MAX as u64)
                .await?;
            let malformed = |_| Error::Malformed { what: what.clone() };
            let page: Page = serde_json::from_slice(&bytes).map_err(malformed)?;
            all.extend(page.tags.unwrap_or_default());
            match next.and_then(|next| self.own_path(&next)) {
                Some(next) => path = next,
                None => break,
            }
        }
        Ok(all)
    }

    /// What is about a manifest. The entries are the registry's word: read the manifests.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn referrers(
        &self,
        repository: &str,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, Error> {
        let what = format!("referrers of {subject}");
        let ask = Ask::new(Method::GET, format!("/v2/{repository}/referrers/{subject}"));
        let response = match expect(self.send(repository, &ask).await?, &what).await {
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            other => other?,
        };
        let bytes = self
            .read(response, &what, MANIFEST_BYTES_MAX as u64)
            .await?;
        let malformed = |_| Error::Malformed { what: what.clone() };
        let index: Index = serde_json::from_slice(&bytes).map_err(malformed)?;
        Ok(index.manifests)
    }

    /// Asks a Pilotis registry for a capability: a token to upload one untagged manifest.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn upload_capability(
        &self,
        repository: &str,
        pull: &[&str],
        seconds: u64,
    ) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Capability {
            token: String,
        }
        let what = format!("an upload capability for {repository}");
        let Credential::Basic { user, password } = &self.endpoint.credential else {
            return Err(Error::Malformed { what });
        };
        let url = format!(
            "{}://{}/capability",
            self.endpoint.scheme(),
            self.endpoint.name
        );
        let body = serde_json::json!({"repository": repository, "pull": pull, "seconds": seconds});
        let request = self
            .http
            .post(url)
            .basic_auth(user, Some(password))
            .json(&body);
        let response = request
            .send()
            .await
            .map_err(|source| self.network(source))?;
        let response = expect(response, &what).await?;
        let bytes = self.read(response, &what, 64 << 10).await?;
        let capability: Capability =
            serde_json::from_slice(&bytes).map_err(|_| Error::Malformed { what })?;
        Ok(capability.token)
    }

    async fn read(&self, response: Response, what: &str, bytes_max: u64) -> Result<Bytes, Error> {
        let mut bytes = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| self.network(source))?;
            if (bytes.len() + piece.len()) as u64 > bytes_max {
                return Err(Error::TooLarge {
                    what: what.to_owned(),
                    bytes_max,
                });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.into())
    }
}

fn text_header(response: &Response, name: reqwest::header::HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// The target of a `Link: <…>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    let (target, rest) = link.strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| target.to_owned())
}

/// A successful answer, or why not.
async fn expect(response: Response, what: &str) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let what = what.to_owned();
    if status == StatusCode::NOT_FOUND {
        return Err(Error::NotFound { what });
    }
    let text = response.text().await.unwrap_or_default();
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let message = parsed
        .pointer("/errors/0/message")
        .and_then(|message| message.as_str());
    let message = message
        .unwrap_or("no reason given")
        .chars()
        .take(MESSAGE_LENGTH_MAX)
        .collect();
    Err(Error::Refused {
        what,
        status: status.as_u16(),
        message,
    })
}
