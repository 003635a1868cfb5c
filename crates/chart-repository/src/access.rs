//! Who we are at a repository, whom we trust there, and a request over HTTP.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use pilotis_chart::Error;
use pilotis_transfer::Latitude;

use crate::address::{is_same_host, shown};
use crate::files::go_io;

/// Largest chart archive or provenance file that is fetched, in bytes. Helm has no limit here, and
/// refuses charts larger than this when it unpacks them.
pub const CHART_BYTES_MAX: u64 = 100 << 20;
/// How long one file may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Certificates of both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// File of the authorities to trust, instead of the machine's.
    pub ca_file: Option<PathBuf>,
    /// File of our certificate.
    pub cert_file: Option<PathBuf>,
    /// File of its key.
    pub key_file: Option<PathBuf>,
    /// Take any certificate.
    pub insecure: bool,
}

/// Who we are and whom we trust.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// User name, or nothing.
    pub username: String,
    /// Password, or nothing.
    pub password: String,
    /// Send the password to any host the index names.
    pub pass_credentials: bool,
    /// Speak to registries without TLS.
    pub plain_http: bool,
    /// Certificates.
    pub tls: Tls,
    /// How long one file may take, when not two minutes.
    pub timeout: Option<Duration>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Access");
        shown
            .field("username", &self.username)
            .field("tls", &self.tls);
        shown.finish_non_exhaustive()
    }
}

impl Tls {
    /// What a client of HTTP needs: what it may do, and the authorities in PEM.
    pub(crate) fn read(&self) -> Result<(Latitude, Option<String>), Error> {
        let text = |path: &PathBuf, what: &str| {
            std::fs::read_to_string(path).map_err(|error| {
                let shown = path.display();
                let reason = format!("{what}: \"{shown}\": open {shown}: {}", go_io(&error));
                Error::new(format!("can't create TLS config for client: {reason}"))
            })
        };
        let identity_pem = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => Some(format!(
                "{}\n{}",
                text(cert, "unable to read cert file")?,
                text(key, "unable to read key file")?
            )),
            _ => None,
        };
        let ca = self.ca_file.as_ref();
        let ca_pem = ca
            .map(|path| text(path, "can't read CA file"))
            .transpose()?;
        let latitude = Latitude {
            follows_redirects: true,
            trusts_realm: true,
            uses_proxy: true,
            skips_verification: self.insecure,
            identity_pem,
        };
        Ok((latitude, ca_pem))
    }
}

impl Access {
    /// Refuses certificates that cannot be read or used, before anything is fetched.
    ///
    /// # Errors
    /// In Helm's words.
    pub fn check(&self) -> Result<(), Error> {
        let (latitude, ca_pem) = self.tls.read()?;
        if latitude.identity_pem.is_none() && ca_pem.is_none() {
            return Ok(());
        }
        latitude
            .http(ca_pem.as_deref())
            .map(|_| ())
            .map_err(unusable)
    }

    /// Fetches a file of a repository at `base`. The password goes along when the file is on the
    /// repository's own host, or when it may go anywhere; a redirect to another host loses it.
    pub(crate) async fn get(
        &self,
        url: &str,
        base: &str,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Error> {
        let (latitude, ca_pem) = self.tls.read()?;
        let builder = latitude.http(ca_pem.as_deref()).map_err(unusable)?;
        let client = builder.timeout(self.timeout.unwrap_or(PATIENCE)).build();
        let mut request = client.map_err(unusable)?.get(url);
        let has_password = !self.username.is_empty() && !self.password.is_empty();
        if has_password && (self.pass_credentials || is_same_host(base, url)) {
            request = request.basic_auth(&self.username, Some(&self.password));
        }
        let shown = shown(url);
        let failed =
            |error: &reqwest::Error| Error::new(format!("Get {shown:?}: {}", reason(error, url)));
        let response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        if status != reqwest::StatusCode::OK {
            let words = status.canonical_reason().unwrap_or_default();
            let text = format!("failed to fetch {shown} : {} {words}", status.as_u16());
            return Err(Error::new(text.trim_end()));
        }
        let mut bytes = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| failed(&error))?;
            if (bytes.len() + piece.len()) as u64 > bytes_max {
                return Err(Error::new(format!(
                    "{shown} is larger than {bytes_max} bytes"
                )));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

fn unusable(error: reqwest::Error) -> Error {
    let reason = root(&error);
    Error::new(format!("can't create TLS config for client: {reason}"))
}

/// Largest values file that is fetched, in bytes.
const VALUES_BYTES_MAX: u64 = 5 << 20;

/// Fetches a values file, as nobody in particular.
///
/// # Errors
/// A file that cannot be fetched.
pub async fn fetch_values(url: &str) -> Result<Vec<u8>, Error> {
    if crate::is_oci(url) {
        return Err(Error::new("values are fetched over HTTP only"));
    }
    Access::default().get(url, "", VALUES_BYTES_MAX).await
}

/// Why a request failed, in Go's words where they are known.
pub(crate) fn reason(error: &reqwest::Error, url: &str) -> String {
    let text = root(error);
    if text.contains("UnknownIssuer") {
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            .to_owned();
    }
    if text.contains("InvalidContentType") {
        return "http: server gave HTTP response to HTTPS client".to_owned();
    }
    let host = reqwest::Url::parse(url).ok().and_then(|url| {
        let host = url.host_str()?.to_owned();
        Some((host, url.port_or_known_default()?))
    });
    match host {
        Some((host, port)) if text == "connection refused" => {
            format!("dial tcp {}: connect: {text}", dialled(&host, port))
        }
        _ => text,
    }
}

/// The address behind a name, as far as it has one.
fn dialled(host: &str, port: u16) -> String {
    use std::net::ToSocketAddrs;
    let found = (host.trim_matches(['[', ']']), port).to_socket_addrs();
    let first = found.ok().and_then(|mut all| all.next());
    first.map_or_else(|| format!("{host}:{port}"), |address| address.to_string())
}

/// The innermost cause.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) => go_io(error),
        None => cause.to_string(),
    }
}
