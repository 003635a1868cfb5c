//! Keyboxes, `pubring.kbx`: how GnuPG has kept public keys since 2.1.
//!
//! A row of blobs, each beginning with its length, type and version; those of type 2 say where the
//! key is in them. Source: `kbx/keybox-blob.c` of GnuPG.

/// What the first blob, of type 1, has at its eighth byte.
const MAGIC: &[u8] = b"KBXf";
/// A blob of an OpenPGP key.
const OPENPGP: u8 = 2;
/// A key that is in the box for a moment only, which GnuPG does not read either.
const EPHEMERAL: u16 = 0x0002;

/// Whether bytes are a keybox.
pub(crate) fn is_keybox(bytes: &[u8]) -> bool {
    bytes.get(4) == Some(&1) && bytes.get(8..12) == Some(MAGIC)
}

/// The keys of a keybox one after another, as `gpg --export` gives them.
///
/// # Errors
/// A length that does not fit, or no key.
pub(crate) fn keys(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = number(rest, 0).ok_or(format!("truncated blob header at offset {at}"))?;
        let blob = rest.get(..length).filter(|blob| blob.len() > 4);
        let blob = blob.ok_or(format!("invalid blob length {length} at offset {at}"))?;
        if blob[4] == OPENPGP {
            out.extend_from_slice(key(blob).ok_or(format!(
                "OpenPGP blob at offset {at} has an out-of-range keyblock"
            ))?);
        }
        at += length;
    }
    match out.is_empty() {
        true => Err("keybox contains no OpenPGP keys".to_owned()),
        false => Ok(out),
    }
}

/// The key of a blob; empty when it is in the box for a moment only.
fn key(blob: &[u8]) -> Option<&[u8]> {
    let (start, length) = (number(blob, 8)?, number(blob, 12)?);
    let key = blob.get(start..start.checked_add(length)?)?;
    let flags = u16::from_be_bytes([*blob.get(6)?, *blob.get(7)?]);
    Some(if flags & EPHEMERAL == 0 { key } else { &[] })
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(four)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(kind: u8, flags: u16, content: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
        let mut out = length(16 + content.len()).to_vec();
        out.extend([kind, 1]);
        out.extend(flags.to_be_bytes());
        out.extend(length(16));
        out.extend(length(content.len()));
        out.extend(content);
        out
    }

    #[test]
    fn keys_that_stay_are_found() {
        let boxed = [
            blob(2, 0, b"one"),
            blob(3, 0, b"x"),
            blob(2, 2, b"y"),
            blob(2, 0, b"two"),
        ];
        assert_eq!(keys(&boxed.concat()), Ok(b"onetwo".to_vec()));
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        let whole = blob(2, 0, b"one");
        for length in 1..whole.len() {
            assert!(keys(&whole[..length]).is_err(), "{length}");
        }
        for at in 0..16 {
            let mut broken = whole.clone();
            broken[at] = 0xff;
            let _ = keys(&broken);
        }
        assert!(keys(&[0, 0, 0, 0, 2]).is_err());
        assert!(keys(b"").is_err());
    }
}
