//! The instance's own certificate authority: kept in two files, signs servers and clients.
//!
//! It never revokes: client certificates are for the machine's own administrator, everyone else
//! uses tokens. The trap: the key file is the instance; whoever reads it is `system:masters`.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::files::write_private;

const DAY: Duration = Duration::from_secs(24 * 3600);
const CA_AGE_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const LEAF_AGE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// Its files cannot be read or written.
    #[error("cannot use certificate file {path}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The files do not hold a certificate and its key, or a name is not allowed in one.
    #[error("cannot make or read a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, followed by the authority's.
    pub certificate_pem: String,
    /// The private key, PKCS#8.
    pub key_pem: String,
}

/// A certificate authority. Cheap to keep, slow to make.
pub struct Ca {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// Reads `ca.crt` and `ca.key` in `directory`, or creates both for `common_name`.
    pub fn open(directory: &Path, common_name: &str) -> Result<Self, CaError> {
        let (certificate, key) = (directory.join("ca.crt"), directory.join("ca.key"));
        let file = |path: &Path, source| CaError::File {
            path: path.display().to_string(),
            source,
        };
        if !key.exists() {
            std::fs::create_dir_all(directory).map_err(|e| file(directory, e))?;
            let (certificate_pem, key_pem) = generate(common_name)?;
            write_private(&certificate, certificate_pem.as_bytes())
                .map_err(|e| file(&certificate, e))?;
            write_private(&key, key_pem.as_bytes()).map_err(|e| file(&key, e))?;
        }
        let certificate_pem =
            std::fs::read_to_string(&certificate).map_err(|e| file(&certificate, e))?;
        let key_pem = std::fs::read_to_string(&key).map_err(|e| file(&key, e))?;
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, KeyPair::from_pem(&key_pem)?)?;
        Ok(Self {
            certificate_pem,
            issuer,
        })
    }

    /// The authority's certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A certificate for a server reachable under `names`, DNS names or IP addresses.
    pub fn issue_server(&self, names: &[&str]) -> Result<Identity, CaError> {
        let mut params = leaf(names.first().copied().unwrap_or("localhost"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into()?),
            });
        }
        self.sign(&params)
    }

    /// A certificate for the user `common_name` in the group `organization`.
    ///
    /// One group only: `rcgen` writes each kind of name once.
    pub fn issue_client(&self, common_name: &str, organization: &str) -> Result<Identity, CaError> {
        let mut params = leaf(common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Identity, CaError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate_pem: format!("{}{}", certificate.pem(), self.certificate_pem),
            key_pem: key.serialize_pem(),
        })
    }
}

fn generate(common_name: &str) -> Result<(String, String), CaError> {
    let key = KeyPair::generate()?;
    let mut params = valid_for(CA_AGE_MAX);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn leaf(common_name: &str) -> CertificateParams {
    let mut params = valid_for(LEAF_AGE_MAX);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

fn valid_for(age_max: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + age_max).into();
    params
}

/// An ECDSA P-256 key pair kept in a file, for signing things other than certificates.
pub struct SigningKey {
    key: KeyPair,
}

impl SigningKey {
    /// Reads the key in `path` (PKCS#8 PEM), or makes one there, readable by its owner only.
    pub fn open(path: &Path) -> Result<Self, CaError> {
        let file = |source| CaError::File {
            path: path.display().to_string(),
            source,
        };
        if !path.exists() {
            let key = KeyPair::generate()?;
            write_private(path, key.serialize_pem().as_bytes()).map_err(file)?;
        }
        let text = std::fs::read_to_string(path).map_err(file)?;
        Ok(Self {
            key: KeyPair::from_pem(&text)?,
        })
    }

    /// The private key, PKCS#8 PEM.
    pub fn pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The public point's coordinates, 32 bytes each.
    pub fn point(&self) -> (&[u8], &[u8]) {
        let raw = self.key.public_key_raw();
        raw.get(1..)
            .unwrap_or_default()
            .split_at(raw.len().saturating_sub(1) / 2)
    }
}
