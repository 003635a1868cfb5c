//! Base64, base32 and checksums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256, Sha512};

use super::{Function, Outcome, Type, fixed};
use crate::text::Text;
use crate::value::Value;

pub(super) const TABLE: &[Function] = &[
    fixed("b64enc", &[Type::String], |_, a| {
        Ok(Value::text(STANDARD.encode(a.text(0).bytes())))
    }),
    fixed("b64dec", &[Type::String], |_, a| {
        Ok(Value::text(base64_decode(&a.text(0))))
    }),
    fixed("b32enc", &[Type::String], |_, a| {
        Ok(Value::text(base32_encode(a.text(0).bytes())))
    }),
    fixed("b32dec", &[Type::String], |_, a| {
        Ok(Value::text(base32_decode(&a.text(0))))
    }),
    fixed("sha1sum", &[Type::String], |_, a| {
        Ok(Value::text(sha1(a.text(0).bytes())))
    }),
    fixed("sha256sum", &[Type::String], |_, a| {
        Ok(Value::text(hex::encode(Sha256::digest(a.text(0).bytes()))))
    }),
    fixed("sha512sum", &[Type::String], |_, a| {
        Ok(Value::text(hex::encode(Sha512::digest(a.text(0).bytes()))))
    }),
    fixed("adler32sum", &[Type::String], |_, a| {
        Ok(Value::text(adler32(a.text(0).bytes()).to_string()))
    }),
    fixed("randBytes", &[Type::Int], |m, a| -> Outcome {
        let count = usize::try_from(a.int(0)).map_err(|_| "makeslice: len out of range")?;
        m.check_size(count)?;
        let mut bytes = vec![0; count];
        m.environment.random(&mut bytes);
        Ok(Value::text(STANDARD.encode(bytes)))
    }),
    fixed("uuidv4", &[], |m, _| {
        let mut bytes = [0; 16];
        m.environment.random(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = hex::encode(bytes);
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        Ok(Value::text(parts.join("-")))
    }),
];

/// The decoded bytes, or Go's complaint as the text itself.
fn base64_decode(text: &Text) -> Vec<u8> {
    decode_base64(text).unwrap_or_else(String::into_bytes)
}

/// The decoded bytes, or Go's complaint.
pub(super) fn decode_base64(text: &Text) -> Result<Vec<u8>, String> {
    // Go skips line breaks anywhere.
    let clean: Vec<u8> = text
        .bytes()
        .iter()
        .copied()
        .filter(|b| *b != b'\n' && *b != b'\r')
        .collect();
    match STANDARD.decode(&clean) {
        Ok(bytes) => Ok(bytes),
        Err(base64::DecodeError::InvalidLastSymbol(..)) => {
            let lenient = base64::engine::GeneralPurpose::new(
                &base64::alphabet::STANDARD,
                base64::engine::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
            );
            Ok(lenient.decode(&clean).unwrap_or_default())
        }
        Err(_) => {
            let at = corrupt_at(text.bytes());
            Err(format!("illegal base64 data at input byte {at}"))
        }
    }
}

/// Where Go's decoder gives up.
fn corrupt_at(bytes: &[u8]) -> usize {
    let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let mut in_group = 0;
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' | b'\r' => {}
            byte if is_letter(*byte) => in_group = (in_group + 1) % 4,
            b'=' if in_group >= 2 => {
                let visible = |from: usize| {
                    let is_visible = |at: &usize| !matches!(bytes[*at], b'\n' | b'\r');
                    (from..bytes.len()).find(is_visible)
                };
                let next = visible(index + 1);
                return match (in_group, next) {
                    (2, Some(at)) if bytes[at] != b'=' => at - 1,
                    (2, Some(at)) => visible(at + 1).unwrap_or(bytes.len()),
                    (_, next) => next.unwrap_or(bytes.len()),
                };
            }
            _ => return index,
        }
    }
    bytes.len() - in_group
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32_encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut group = [0u8; 5];
        group[..chunk.len()].copy_from_slice(chunk);
        let number = group.iter().fold(0u64, |n, b| (n << 8) | u64::from(*b));
        let letters = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            if index < letters {
                let at = (number >> (35 - 5 * index)) & 31;
                out.push(BASE32[usize::try_from(at).unwrap_or(0)] as char);
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// `base32.StdEncoding`: groups of eight, the last filled up; what it says of others is the answer.
fn base32_decode(text: &Text) -> Vec<u8> {
    let bytes = text.bytes().iter().copied();
    let bytes: Vec<u8> = bytes.filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    let mut out = Vec::new();
    for (index, group) in bytes.chunks(8).enumerate() {
        let rest = &bytes[index * 8..];
        let letters = match base32_letters(group, rest) {
            Ok(letters) => letters,
            Err(at) => {
                let at = index * 8 + at;
                return format!("illegal base32 data at input byte {at}").into_bytes();
            }
        };
        let number = letters
            .iter()
            .fold(0u64, |n, letter| (n << 5) | u64::from(*letter));
        let number = number << (5 * (8 - letters.len()));
        out.extend_from_slice(&number.to_be_bytes()[3..3 + letters.len() * 5 / 8]);
        if letters.len() < 8 {
            break;
        }
    }
    out
}

/// The numbers of a group's letters, or where the mistake is; `rest` begins with the group.
fn base32_letters(group: &[u8], rest: &[u8]) -> Result<Vec<u8>, usize> {
    let mut letters = Vec::with_capacity(8);
    for (at, byte) in group.iter().enumerate() {
        let after = rest.len() - at - 1;
        if *byte == b'=' && at >= 2 && after < 8 {
            if after + at < 7 {
                return Err(rest.len());
            }
            if let Some(other) = (0..7 - at).find(|k| rest.get(at + 1 + k) != Some(&b'=')) {
                return Err(at + other);
            }
            return match at {
                3 | 6 => Err(at),
                _ => Ok(letters),
            };
        }
        let letter = BASE32.iter().position(|letter| letter == byte);
        letters.push(
            letter
                .and_then(|letter| u8::try_from(letter).ok())
                .ok_or(at)?,
        );
    }
    match letters.len() {
        8 => Ok(letters),
        _ => Err(0),
    }
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    (b << 16) | a
}

/// SHA-1, kept here because charts use it for names only and no other crate of ours needs it.
fn sha1(bytes: &[u8]) -> String {
    let mut state = [
        0x6745_2301u32,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(bytes.len() as u64 * 8).to_be_bytes());
    for block in message.chunks(64) {
        sha1_block(&mut state, block);
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}

fn sha1_block(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks(4)) {
        *word = bytes.iter().fold(0, |n, b| (n << 8) | u32::from(*b));
    }
    for at in 16..80 {
        let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
        words[at] = mixed.rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (round, word) in words.iter().enumerate() {
        let (mix, constant) = match round {
            0..=19 => ((b & c) | (!b & d), 0x5a82_7999),
            20..=39 => (b ^ c ^ d, 0x6ed9_eba1),
            40..=59 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6u32),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(mix)
            .wrapping_add(e)
            .wrapping_add(constant)
            .wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (slot, value) in state.iter_mut().zip([a, b, c, d, e]) {
        *slot = slot.wrapping_add(value);
    }
}

#[cfg(test)]
mod tests {
    use super::corrupt_at;

    #[test]
    fn broken_base64_is_met_where_go_meets_it() {
        let cases = [
            ("aGk=a", 4),
            ("aGV=sbG8=", 4),
            ("aG=", 3),
            ("aG=a", 2),
            ("a===", 1),
            ("aGk==", 4),
            ("aG=\na", 3),
            ("aG==\nb", 5),
        ];
        for (text, expected) in cases {
            assert_eq!(corrupt_at(text.as_bytes()), expected, "{text:?}");
        }
    }
}
