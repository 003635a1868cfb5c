//! PEM as Go writes and reads it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Characters of base64 on a line.
const LINE: usize = 64;

pub(crate) fn encode(label: &str, bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(LINE) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// The label and bytes of the first block; headers are skipped.
pub(crate) fn decode(text: &str) -> Option<(String, Vec<u8>)> {
    let mut rest = text;
    loop {
        let start = match rest.strip_prefix("-----BEGIN ") {
            Some(after) => after,
            None => rest.split_once("\n-----BEGIN ")?.1,
        };
        let (label, body) = start.split_once("-----")?;
        let end = format!("-----END {label}-----");
        if let Some((body, _)) = body.split_once(end.as_str()) {
            let clean: String = body
                .lines()
                .filter(|line| !line.contains(':'))
                .flat_map(|line| line.chars().filter(|c| !c.is_whitespace()))
                .collect();
            if let Ok(bytes) = STANDARD.decode(clean) {
                return Some((label.to_string(), bytes));
            }
        }
        rest = start;
    }
}
