//! Charts in OCI registries, as Helm lays them out: a manifest whose configuration is the chart's
//! metadata and whose layers are the archive and, perhaps, its provenance.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pilotis_chart::{Chart, Error, Metadata, choose_tag, tags_as_versions};
use pilotis_oci::{Descriptor, Manifest, Reference, media};
use pilotis_transfer::{Client, Credential, CredentialsFile, Endpoint, Error as Transfer, Source};

use crate::access::{CHART_BYTES_MAX, reason};
use crate::{Access, Places, Reach, Talk};

/// Metadata of a chart.
const CONFIG: &str = "application/vnd.cncf.helm.config.v1+json";
/// Archive of a chart.
const CHART: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
/// The same under its old name.
const OLD_CHART: &str = "application/tar+gzip";
/// Provenance of a chart.
const PROVENANCE: &str = "application/vnd.cncf.helm.chart.provenance.v1.prov";
/// Largest provenance, in bytes.
const PROVENANCE_BYTES_MAX: u64 = 1 << 20;

const UNDERSCORE: &str = "
OCI artifact references (e.g. tags) do not support the plus sign (+). To support
storing semantic versions, Helm adopts the convention of changing plus (+) to
an underscore (_) in chart version tags when pushing to a registry and back to
a plus (+) when pulling from a registry.";

/// A part of a chart's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Chart,
    Provenance,
}

/// Where a chart is in a registry. Versions keep their `+` here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    registry: String,
    repository: String,
    /// Tag, or digest after `@`, or nothing.
    selector: Selector,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    None,
    Tag(String),
    Digest(String),
}

impl Address {
    /// Reads `oci://registry/repository[:tag][@digest]`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |what: &str| Error::new(format!("invalid reference: {what}"));
        let text = text.strip_prefix("oci://").unwrap_or(text);
        let (text, digest) = match text.rsplit_once('@') {
            Some((text, digest)) => (text, Some(digest)),
            None => (text, None),
        };
        let (registry, path) = text
            .split_once('/')
            .ok_or_else(|| invalid("missing registry or repository"))?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        Reference::new(registry, repository)
            .map_err(|_| invalid(&format!("invalid repository {repository:?}")))?;
        let selector = match (digest, tag) {
            (Some(digest), _) => Selector::Digest(digest.to_owned()),
            (None, Some(tag)) => Selector::Tag(tag.to_owned()),
            (None, None) => Selector::None,
        };
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            selector,
        })
    }

    /// What to ask a registry for.
    fn selector(&self) -> String {
        match &self.selector {
            Selector::None => "latest".to_owned(),
            Selector::Tag(tag) => tag.replace('+', "_"),
            Selector::Digest(digest) => digest.clone(),
        }
    }

    /// What people are told.
    fn shown(&self) -> String {
        let mark = match self.selector {
            Selector::Digest(_) => '@',
            _ => ':',
        };
        format!(
            "{}/{}{mark}{}",
            self.registry,
            self.repository,
            self.selector()
        )
    }

    /// Name of the file the archive is saved as.
    pub(crate) fn file_name(&self) -> String {
        let name = self.repository.rsplit('/').next().unwrap_or_default();
        match &self.selector {
            Selector::None => format!("{name}-latest.tgz"),
            Selector::Tag(tag) => format!("{name}-{tag}.tgz"),
            Selector::Digest(digest) => {
                format!("{name}@{}.tgz", digest.replace(':', "-"))
            }
        }
    }
}

/// A chart that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Where it is.
    pub reference: String,
    /// Digest of its manifest.
    pub digest: String,
}

impl Reach {
    async fn client(&self, registry: &str) -> Result<Client, Error> {
        let access = &self.access;
        let credential = match access.username.is_empty() || access.password.is_empty() {
            true => self.places.password(registry),
            false => Credential::Basic {
                user: access.username.clone(),
                password: access.password.clone(),
            },
        };
        client(registry, access, credential)
    }

    /// The address with the newest tag that fits, told apart as Helm does.
    pub(crate) async fn tagged(&self, address: &Address, wanted: &str) -> Result<Address, Error> {
        let wanted = match (&address.selector, wanted) {
            (Selector::Digest(_), _) => return Ok(address.clone()),
            (Selector::Tag(tag), "") => tag.clone(),
            (Selector::Tag(tag), wanted) if tag != wanted => {
                let message =
                    format!("chart reference and version mismatch: {wanted} is not {tag}");
                return Err(Error::new(message));
            }
            (_, wanted) => wanted.to_owned(),
        };
        let tag = match pilotis_template::is_version(&wanted) {
            true => wanted,
            false => {
                let tags = self.tags(address).await?;
                if tags.is_empty() {
                    let (registry, repository) = (&address.registry, &address.repository);
                    return Err(Error::new(format!(
                        "unable to locate any tags in provided repository: \
                         oci://{registry}/{repository}"
                    )));
                }
                choose_tag(&tags, &wanted).map_err(Error::new)?.to_owned()
            }
        };
        Ok(Address {
            selector: Selector::Tag(tag),
            ..address.clone()
        })
    }

    /// The versions a registry has of a chart, newest first.
    pub(crate) async fn tags(&self, address: &Address) -> Result<Vec<String>, Error> {
        let client = self.client(&address.registry).await?;
        let url = self.url(address, "tags/list");
        let tags = client.tags(&address.repository).await;
        Ok(tags_as_versions(&tags.map_err(|error| told(&error, &url))?))
    }

    fn url(&self, address: &Address, rest: &str) -> String {
        let scheme = if self.access.plain_http {
            "http"
        } else {
            "https"
        };
        let (registry, repository) = (&address.registry, &address.repository);
        format!("{scheme}://{registry}/v2/{repository}/{rest}")
    }

    /// Fetches one part of a chart.
    pub(crate) async fn pull(
        &self,
        address: &Address,
        part: Part,
        talk: &mut dyn Talk,
    ) -> Result<Vec<u8>, Error> {
        let client = self.client(&address.registry).await?;
        let (repository, selector) = (&address.repository, address.selector());
        let url = self.url(address, &format!("manifests/{selector}"));
        let found = client.manifest(repository, &selector).await;
        let (descriptor, bytes) = found.map_err(|error| {
            let reason = match &error {
                Transfer::NotFound { .. } => format!("{}: not found", address.shown()),
                _ => told(&error, &url).message,
            };
            let doing = "failed to perform \"FetchReference\" on source";
            Error::new(format!("{doing}: {reason}"))
        })?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|_| Error::new(format!("{} is no chart", address.shown())))?;
        let layer = layer(&manifest, part, talk)?;
        let url = self.url(address, &format!("blobs/{}", layer.digest));
        let bytes_max = match part {
            Part::Chart => CHART_BYTES_MAX,
            Part::Provenance => PROVENANCE_BYTES_MAX,
        };
        let blob = client.blob(repository, &layer.digest, bytes_max).await;
        let blob = blob.map_err(|error| told(&error, &url))?;
        talk.report(&format!("Pulled: {}", address.shown()));
        talk.report(&format!("Digest: {}", descriptor.digest));
        tell_underscore(&address.shown(), &address.shown(), talk);
        Ok(blob.to_vec())
    }
}

fn tell_underscore(tagged: &str, shown: &str, talk: &mut dyn Talk) {
    if tagged.contains('_') {
        talk.report(&format!("{shown} contains an underscore."));
        talk.report(UNDERSCORE);
    }
}

/// The layer a part is in.
fn layer<'a>(
    manifest: &'a Manifest,
    part: Part,
    talk: &mut dyn Talk,
) -> Result<&'a Descriptor, Error> {
    let types: &[&str] = match part {
        Part::Chart => &[CHART, OLD_CHART],
        Part::Provenance => &[PROVENANCE],
    };
    let has_config = manifest.config.media_type == CONFIG;
    let fits = |layer: &&Descriptor| types.contains(&layer.media_type.as_str());
    let found = 1 + usize::from(has_config) + manifest.layers.iter().filter(fits).count();
    if found < 2 {
        return Err(Error::new(format!(
            "manifest does not contain minimum number of descriptors (2), descriptors found: {found}"
        )));
    }
    if !has_config {
        let message = format!("could not load config with mediatype {CONFIG}");
        return Err(Error::new(message));
    }
    let Some(layer) = manifest.layers.iter().find(fits) else {
        let message = format!(
            "manifest does not contain a layer with mediatype {}",
            types[0]
        );
        return Err(Error::new(message));
    };
    if layer.media_type == OLD_CHART {
        talk.report(&format!(
            "Warning: chart media type {OLD_CHART} is deprecated"
        ));
    }
    Ok(layer)
}

/// Sends a chart archive, and its provenance, to a registry.
///
/// # Errors
/// An archive that is none, a registry that refuses it.
pub async fn push(
    reach: &Reach,
    path: &Path,
    remote: &str,
    talk: &mut dyn Talk,
) -> Result<Pushed, Error> {
    let about = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::new(format!("{}: no such file", path.display())));
        }
        Err(error) => return Err(crate::files::failed("stat", path, &error)),
        Ok(about) if about.is_dir() => {
            let message = "cannot push directory, must provide chart archive (.tgz)";
            return Err(Error::new(message));
        }
        Ok(about) => about,
    };
    let archive = crate::read(path)?;
    crate::ensure_archive(path, &archive)?;
    let metadata = Chart::load_archive(&archive)?.metadata;
    let mut provenance = path.as_os_str().to_owned();
    provenance.push(".prov");
    let provenance = std::fs::read(&provenance).ok();
    let parent = remote.trim_start_matches("oci://").trim_end_matches('/');
    let address = Address::parse(&format!("{parent}/{}:{}", metadata.name, metadata.version))?;
    let made = about.modified().ok().and_then(|time| {
        let zoned = jiff::Timestamp::try_from(time)
            .ok()?
            .to_zoned(jiff::tz::TimeZone::system());
        let text = zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        Some(text.replace("+00:00", "Z"))
    });
    let content = Content {
        archive,
        provenance,
        config: metadata.to_go_json().into_bytes(),
        annotations: annotations(&metadata, made.as_deref().unwrap_or_default()),
    };
    let pushed = reach.send(&address, &content).await?;
    talk.report(&format!("Pushed: {}", pushed.reference));
    talk.report(&format!("Digest: {}", pushed.digest));
    tell_underscore(&address.selector(), &pushed.reference, talk);
    Ok(pushed)
}

/// What is pushed of a chart.
struct Content {
    archive: Vec<u8>,
    provenance: Option<Vec<u8>>,
    config: Vec<u8>,
    annotations: BTreeMap<String, String>,
}

impl Content {
    fn layers(&self) -> impl Iterator<Item = (&'static str, &Vec<u8>)> {
        let provenance = self.provenance.as_ref().map(|bytes| (PROVENANCE, bytes));
        std::iter::once((CHART, &self.archive)).chain(provenance)
    }

    /// The manifest and its digest.
    fn manifest(&self) -> (Vec<u8>, String) {
        let mut layers: Vec<Descriptor> = self
            .layers()
            .map(|(kind, bytes)| Descriptor::of(kind, bytes))
            .collect();
        layers.sort_by_key(|layer| layer.digest.to_string());
        let manifest = Manifest {
            media_type: None,
            annotations: self.annotations.clone(),
            ..Manifest::image(Descriptor::of(CONFIG, &self.config), layers)
        };
        let bytes = as_go_escapes(&manifest.to_bytes());
        let digest = pilotis_oci::Digest::sha256(&bytes).to_string();
        (bytes, digest)
    }
}

impl Reach {
    async fn send(&self, address: &Address, content: &Content) -> Result<Pushed, Error> {
        let client = self.client(&address.registry).await?;
        let repository = &address.repository;
        let (manifest, digest) = content.manifest();
        let url = self.url(address, &format!("manifests/{digest}"));
        let known = client.resolve(repository, &digest).await.map_err(|error| {
            let reason = told(&error, &url).message.replacen("Get ", "Head ", 1);
            let doing = "failed to perform \"Exists\" on destination";
            Error::new(format!("{doing}: {reason}"))
        })?;
        if known.is_none() {
            let url = self.url(address, "blobs/uploads/");
            for (_, bytes) in content.layers().chain([(CONFIG, &content.config)]) {
                self.send_blob(&client, address, bytes, &url).await?;
            }
        }
        let selector = address.selector();
        let url = self.url(address, &format!("manifests/{selector}"));
        let digest = client
            .put_manifest(repository, media::MANIFEST, &manifest, &[&selector])
            .await
            .map_err(|error| told(&error, &url))?;
        Ok(Pushed {
            reference: address.shown(),
            digest: digest.to_string(),
        })
    }

    async fn send_blob(
        &self,
        client: &Client,
        address: &Address,
        bytes: &[u8],
        url: &str,
    ) -> Result<(), Error> {
        let source = Source::Bytes(bytes.to_vec().into());
        let sent = client.put_blob(&address.repository, &source).await;
        sent.map(|_| ()).map_err(|error| told(&error, url))
    }
}

/// JSON with what Go escapes for pages of HTML; these characters stand in strings only.
fn as_go_escapes(json: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(json);
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
    let text = text.replace('&', "\\u0026");
    text.replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
        .into_bytes()
}

fn annotations(metadata: &Metadata, created: &str) -> BTreeMap<String, String> {
    let people = metadata.maintainers.iter().map(|maintainer| {
        let email = match maintainer.email.as_str() {
            "" => String::new(),
            email => format!(" ({email})"),
        };
        format!("{}{email}", maintainer.name)
    });
    let authors = people.collect::<Vec<_>>().join(", ");
    let source = metadata.sources.first().map_or("", String::as_str);
    let own = [
        ("description", metadata.description.as_str()),
        ("title", &metadata.name),
        ("version", &metadata.version),
        ("url", &metadata.home),
        ("created", created),
        ("source", source),
        ("authors", &authors),
    ];
    let own = own.iter().filter(|(_, value)| !value.trim().is_empty());
    let name = |key: &str| format!("org.opencontainers.image.{key}");
    let mut all: BTreeMap<String, String> = own
        .map(|(key, value)| (name(key), (*value).to_owned()))
        .collect();
    let fixed = [name("version"), name("title")];
    for (key, value) in &metadata.annotations {
        if !fixed.contains(key) {
            all.insert(key.clone(), value.clone());
        }
    }
    all
}

/// The host in an address, with its port.
fn host_of(address: &str) -> &str {
    let schemes = ["oci://", "http://", "https://"];
    let plain = schemes
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    let plain = plain.unwrap_or(address);
    plain.split('/').next().unwrap_or(plain)
}

/// Lets a registry confirm a password and keeps it.
///
/// # Errors
/// A registry that does not let us in, a file that cannot be written.
pub async fn login(reach: &Reach, registry: &str, talk: &mut dyn Talk) -> Result<(), Error> {
    let registry = match reach.compat.command_line.logs_in_to_addresses {
        true => host_of(registry),
        false => registry,
    };
    if let Some((host, _)) = registry.split_once('/') {
        talk.warn(&format!(
            "level=WARN msg=\"registry login currently only supports registry hostname, not a \
             repository path\" host={registry} suggested={host}"
        ));
    }
    Reference::new(registry, "a")
        .map_err(|_| Error::new(format!("invalid reference: invalid registry {registry:?}")))?;
    let access = &reach.access;
    let (user, password) = (access.username.clone(), access.password.clone());
    let credential = Credential::Basic {
        user: user.clone(),
        password: password.clone(),
    };
    let client = client(registry, access, credential)?;
    let scheme = if access.plain_http { "http" } else { "https" };
    let url = format!("{scheme}://{registry}/v2/");
    client.ping().await.map_err(|error| {
        let reason = told(&error, &url).message;
        Error::new(format!("authenticating to {registry:?}: {reason}"))
    })?;
    let mut file = opened(&reach.places.credentials)?;
    if let Some(helper) = file.helper(registry).map(str::to_owned) {
        let secret = serde_json::json!({
            "ServerURL": registry, "Username": user, "Secret": password,
        });
        ask_helper(&helper, "store", &secret.to_string())
            .ok_or_else(|| Error::new(format!("docker-credential-{helper} cannot keep it")))?;
    } else {
        let kept = file.put(registry, &user, &password);
        kept.map_err(|error| Error::new(chain(&error)))?;
    }
    talk.report("Login Succeeded");
    Ok(())
}

/// Forgets the password of a registry.
///
/// # Errors
/// A file that cannot be written.
pub fn logout(places: &Places, registry: &str, talk: &mut dyn Talk) -> Result<(), Error> {
    let mut file = opened(&places.credentials)?;
    if let Some(helper) = file.helper(registry).map(str::to_owned) {
        let _ = ask_helper(&helper, "erase", registry);
    }
    file.remove(registry)
        .map_err(|error| Error::new(chain(&error)))?;
    talk.report(&format!("Removing login credentials for {registry}"));
    Ok(())
}

fn opened(path: &Path) -> Result<CredentialsFile, Error> {
    CredentialsFile::open(path).map_err(|error| Error::new(chain(&error)))
}

impl Places {
    /// What is known of a registry; Helm's file first, then the container tools'.
    fn password(&self, registry: &str) -> Credential {
        let files = std::iter::once(&self.credentials).chain(&self.docker);
        stored(files, registry)
    }
}

/// What files in Docker's form know of a registry, themselves or by the program they name; the
/// first that knows.
pub fn stored<'f>(files: impl IntoIterator<Item = &'f PathBuf>, registry: &str) -> Credential {
    for path in files {
        let Ok(file) = CredentialsFile::open(path) else {
            continue;
        };
        let from_helper = file
            .helper(registry)
            .and_then(|helper| from_helper(helper, registry));
        if let Some(credential) = from_helper.or_else(|| file.get(registry)) {
            return credential;
        }
    }
    Credential::Anonymous
}

fn from_helper(helper: &str, registry: &str) -> Option<Credential> {
    let answer = ask_helper(helper, "get", registry)?;
    let json: serde_json::Value = serde_json::from_str(&answer).ok()?;
    let user = json["Username"].as_str()?.to_owned();
    let password = json["Secret"].as_str()?.to_owned();
    Some(match user.as_str() {
        "<token>" => Credential::Identity(password),
        _ => Credential::Basic { user, password },
    })
}

/// Runs a program that keeps passwords, as container tools do: the question on its input.
fn ask_helper(helper: &str, verb: &str, question: &str) -> Option<String> {
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(question.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

fn client(registry: &str, access: &Access, credential: Credential) -> Result<Client, Error> {
    let (latitude, ca_pem) = access.tls.read()?;
    let endpoint = Endpoint {
        name: registry.to_owned(),
        address: None,
        ca_pem,
        plain: access.plain_http,
        credential,
    };
    Client::with(endpoint, &latitude).map_err(|error| Error::new(chain(&error)))
}

/// A failed request in Helm's words.
fn told(error: &Transfer, url: &str) -> Error {
    Error::new(match error {
        Transfer::Network { source, .. } => format!("Get {url:?}: {}", reason(source, url)),
        Transfer::Refused {
            status, message, ..
        } => format!("GET {url:?}: response status code {status}: {message}"),
        Transfer::NotFound { .. } => {
            format!("GET {url:?}: response status code 404: not found")
        }
        other => chain(other),
    })
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let shown = |text: &str| Address::parse(text).map(|address| address.shown());
        let of = |text: &str| shown(text).map_err(|error| error.message);
        assert_eq!(
            of("oci://h:5000/a/b:1.0.0+c"),
            Ok("h:5000/a/b:1.0.0_c".to_owned())
        );
        assert_eq!(of("oci://h/a@sha256:0"), Ok("h/a@sha256:0".to_owned()));
        let missing = "invalid reference: missing registry or repository".to_owned();
        assert_eq!(of("oci://h"), Err(missing));
        assert!(of("oci://h/A").is_err());
        let file = |text: &str| Address::parse(text).unwrap().file_name();
        assert_eq!(file("oci://h/a/b:1.0.0+c"), "b-1.0.0+c.tgz");
        assert_eq!(file("oci://h/a@sha256:0"), "a@sha256-0.tgz");
    }

    #[test]
    fn annotations_say_who_made_what() {
        let mut metadata = Metadata {
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            ..Metadata::default()
        };
        metadata
            .annotations
            .insert("org.opencontainers.image.title".to_owned(), "x".to_owned());
        metadata.annotations.insert("k".to_owned(), "v".to_owned());
        metadata.maintainers = vec![pilotis_chart::Maintainer {
            name: "n".to_owned(),
            email: "e".to_owned(),
            url: String::new(),
        }];
        let all = annotations(&metadata, "now");
        assert_eq!(all["org.opencontainers.image.title"], "a");
        assert_eq!(all["org.opencontainers.image.authors"], "n (e)");
        assert_eq!(all["k"], "v");
    }
}
