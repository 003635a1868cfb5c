//! X.509 certificates as Go's library makes them for Sprig.

use std::net::IpAddr;

use sha2::{Digest, Sha256};

use super::der::{self, Reader};
use super::{Key, Random, pem};
use crate::go_time::Time;

/// What a certificate says.
pub(crate) struct Request<'a> {
    pub(crate) common_name: &'a str,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) names: Vec<String>,
    pub(crate) not_before: Time,
    pub(crate) not_after: Time,
    pub(crate) is_authority: bool,
}

/// Who signs: an authority read from its certificate.
pub(crate) struct Parent {
    subject: Vec<u8>,
    key_id: Option<Vec<u8>>,
    pub(crate) key: Key,
}

impl Parent {
    /// Reads the subject and key id of a certificate.
    pub(crate) fn read(certificate: &[u8], key: Key) -> Option<Self> {
        let mut body = Reader::new(certificate).enter(0x30)?.enter(0x30)?;
        if body.peek() == Some(0xa0) {
            body.next()?;
        }
        // Serial, algorithm, issuer, validity.
        for _ in 0..4 {
            body.next()?;
        }
        let (_, subject, _) = body.next()?;
        let mut key_id = None;
        while let Some((tag, _, content)) = body.next() {
            if tag == 0xa3 {
                key_id = find_key_id(content);
            }
        }
        Some(Self {
            subject: subject.to_vec(),
            key_id,
            key,
        })
    }
}

const KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const EXTENDED_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

fn find_key_id(extensions: &[u8]) -> Option<Vec<u8>> {
    let mut list = Reader::new(extensions).enter(0x30)?;
    while let Some(mut extension) = list.enter(0x30) {
        if extension.take(0x06)? != KEY_ID {
            continue;
        }
        let content = extension.take(0x04)?;
        return Reader::new(content).take(0x04).map(<[u8]>::to_vec);
    }
    None
}

/// The certificate of a key in PEM, signed by a parent or by itself.
///
/// # Errors
/// A kind of key Go does not sign with.
pub(crate) fn sign(
    request: &Request<'_>,
    key: &Key,
    parent: Option<&Parent>,
    random: Random<'_>,
) -> Result<String, String> {
    let signer = parent.map_or(key, |parent| &parent.key);
    let algorithm = signer
        .signature_algorithm()
        .ok_or("x509: certificate private key does not implement crypto.Signer")?;
    let info = key
        .public_info()
        .ok_or("x509: unsupported public key type: *dsa.PublicKey")?;
    let subject = name(request.common_name);
    let issuer = parent.map_or_else(|| subject.clone(), |parent| parent.subject.clone());
    let mut serial = [0; 16];
    random(&mut serial);
    serial[15] |= u8::from(serial == [0; 16]);
    let body = der::sequence(&[
        der::tagged(0xa0, &der::small(2)),
        der::unsigned(&serial),
        algorithm.clone(),
        issuer.clone(),
        der::sequence(&[time(&request.not_before), time(&request.not_after)]),
        subject.clone(),
        info,
        der::tagged(0xa3, &extensions(request, key, parent, issuer != subject)),
    ]);
    let signature = signer.signature(&body).unwrap_or_default();
    let all = der::sequence(&[body, algorithm, der::bits(&signature, 0)]);
    Ok(pem::encode("CERTIFICATE", &all))
}

fn name(common_name: &str) -> Vec<u8> {
    if common_name.is_empty() {
        return der::sequence(&[]);
    }
    let printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    let tag = if common_name.chars().all(printable) {
        0x13
    } else {
        0x0c
    };
    let attribute = der::sequence(&[
        der::oid(COMMON_NAME),
        der::tagged(tag, common_name.as_bytes()),
    ]);
    der::sequence(&[der::tagged(0x31, &attribute)])
}

fn time(time: &Time) -> Vec<u8> {
    let time = time.in_zone("UTC");
    let year: i64 = time.format("2006").parse().unwrap_or(0);
    if (1950..2050).contains(&year) {
        return der::tagged(0x17, time.format("060102150405Z").as_bytes());
    }
    der::tagged(0x18, time.format("20060102150405Z").as_bytes())
}

fn extensions(request: &Request<'_>, key: &Key, parent: Option<&Parent>, foreign: bool) -> Vec<u8> {
    let one = |id: &[u8], critical: bool, content: Vec<u8>| {
        let mut parts = vec![der::oid(id)];
        if critical {
            parts.push(der::yes());
        }
        parts.push(der::octets(&content));
        der::sequence(&parts)
    };
    // Digital signature and key encipherment; an authority also signs certificates.
    let usage = if request.is_authority {
        der::bits(&[0xa4], 2)
    } else {
        der::bits(&[0xa0], 5)
    };
    let constraints = if request.is_authority {
        der::sequence(&[der::yes()])
    } else {
        der::sequence(&[])
    };
    let uses = der::sequence(&[der::oid(SERVER_AUTH), der::oid(CLIENT_AUTH)]);
    let mut all = vec![
        one(KEY_USAGE, true, usage),
        one(EXTENDED_USAGE, false, uses),
        one(CONSTRAINTS, true, constraints),
    ];
    if request.is_authority {
        let digest = Sha256::digest(key.public_bits());
        all.push(one(KEY_ID, false, der::octets(&digest[..20])));
    }
    if let Some(id) = parent
        .filter(|_| foreign)
        .and_then(|parent| parent.key_id.as_ref())
    {
        let id = der::sequence(&[der::tagged(0x80, id)]);
        all.push(one(AUTHORITY_KEY_ID, false, id));
    }
    if !request.names.is_empty() || !request.addresses.is_empty() {
        let names = request
            .names
            .iter()
            .map(|name| der::tagged(0x82, name.as_bytes()));
        let addresses = request.addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => der::tagged(0x87, &v4.octets()),
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => der::tagged(0x87, &v4.octets()),
                None => der::tagged(0x87, &v6.octets()),
            },
        });
        let all_names: Vec<Vec<u8>> = names.chain(addresses).collect();
        let critical = request.common_name.is_empty();
        all.push(one(ALTERNATIVE_NAMES, critical, der::sequence(&all_names)));
    }
    der::sequence(&all)
}
