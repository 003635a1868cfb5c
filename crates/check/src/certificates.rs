//! Rules about certificates: authorities may be carried, certificates of a server not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pilotis_policy::{Text, Violation};
use pilotis_report::Position;
use serde_json::Value;

use crate::collect::{Breach, Collector};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// The identifier of the extension that tells an authority, in DER.
const BASIC_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
/// Most certificates of one file looked at.
const CERTIFICATES_MAX: usize = 1_000;

/// The rule about certificates that a ConfigMap carries.
pub(crate) const MOUNTED: &str = "config-map-certificate-leaf";

/// A certificate of a text: the line it begins at, and whether it is a server's.
pub(crate) fn certificates(text: &str) -> Vec<(u32, bool)> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (text, 1u32);
    for _ in 0..CERTIFICATES_MAX {
        let Some((before, tail)) = rest.split_once(BEGIN) else {
            break;
        };
        let Some((body, after)) = tail.split_once(END) else {
            break;
        };
        let newlines = |text: &str| text.bytes().filter(|byte| *byte == b'\n').count() as u32;
        line += newlines(before);
        let packed: String = body.split_whitespace().collect();
        if let Ok(der) = STANDARD.decode(packed) {
            found.push((line, is_leaf(&der)));
        }
        line += newlines(body);
        rest = after;
    }
    found
}

/// Certificates of servers among what a ConfigMap holds.
pub(crate) fn violations(object: &Value) -> Vec<Violation> {
    let data = object["data"].as_object().into_iter().flatten();
    let leaf = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        certificates(text).iter().any(|(_, leaf)| *leaf)
    };
    let found = data.filter(|(_, value)| leaf(value));
    found
        .map(|(key, _)| Violation {
            rule: MOUNTED.to_owned(),
            path: vec!["data".to_owned(), key.clone()],
            container: None,
            message: Text {
                fr: "certificat d'un serveur, et non d'une autorité".into(),
                en: "certificate of a server, not of an authority".into(),
            },
            part: None,
            patch: None,
            remove: false,
        })
        .collect()
}

pub(crate) fn judge(collector: &mut Collector<'_>, path: &str, text: &str) {
    for (line, leaf) in certificates(text) {
        collector.looked(["certificate-leaf"]);
        if leaf {
            collector.breach(Breach {
                rule: "certificate-leaf",
                message: Text {
                    fr: "certificat d'un serveur, et non d'une autorité".into(),
                    en: "certificate of a server, not of an authority".into(),
                },
                object: None,
                position: Some(Position {
                    file: path.to_owned(),
                    line,
                    column: 1,
                }),
                change: None,
            });
        }
    }
}

/// Whether the certificate says it is not an authority, or says nothing as version 3.
fn is_leaf(der: &[u8]) -> bool {
    let Some(at) = der
        .windows(5)
        .position(|window| window == BASIC_CONSTRAINTS)
    else {
        // Extensions exist in version 3 only: `[0] { INTEGER 2 }`.
        return der
            .windows(5)
            .any(|window| window == [0xa0, 0x03, 0x02, 0x01, 0x02]);
    };
    let rest = &der[at + 5..];
    let rest = rest.strip_prefix(&[0x01, 0x01, 0xff]).unwrap_or(rest);
    // OCTET STRING, SEQUENCE, then BOOLEAN TRUE when it is one.
    let body = rest.get(2..).unwrap_or_default();
    body.get(2..5) != Some(&[0x01, 0x01, 0xff])
}
