//! Rules about certificates of the tree: authorities may be carried, certificates of a server not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pilotis_policy::Text;
use pilotis_report::Position;

use crate::collect::{Breach, Collector};

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// The identifier of the extension that tells an authority, in DER.
const BASIC_CONSTRAINTS: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x13];
/// Most certificates of one file looked at.
const CERTIFICATES_MAX: usize = 1_000;

pub(crate) fn judge(collector: &mut Collector<'_>, path: &str, text: &str) {
    let mut rest = text;
    for _ in 0..CERTIFICATES_MAX {
        let Some((_, tail)) = rest.split_once(BEGIN) else {
            return;
        };
        let Some((body, after)) = tail.split_once(END) else {
            return;
        };
        collector.looked(["certificate-leaf"]);
        let line = text[..text.len() - tail.len()].lines().count() as u32;
        let body: String = body.split_whitespace().collect();
        if let Ok(der) = STANDARD.decode(body)
            && is_leaf(&der)
        {
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
        rest = after;
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
