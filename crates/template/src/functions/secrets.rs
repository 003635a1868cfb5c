//! Passwords, ciphers, keys and certificates.
//!
//! Their randomness is the environment's: what they make is secret only if that source is.

use std::net::IpAddr;
use std::rc::Rc;

use aes::Aes256;
use aes::Block;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Args, Function, Outcome, Type, fixed};
use crate::error::Error;
use crate::exec::Machine;
use crate::go_time::Time;
use crate::keys::{Key, Parent, Request, pem, sign};
use crate::text::Text;
use crate::value::{Object, Value};

const S: Type = Type::String;
const I: Type = Type::Int;
const L: Type = Type::List;

pub(super) const TABLE: &[Function] = &[
    fixed("bcrypt", &[S], |m, a| {
        Ok(Value::text(bcrypt_text(m, a.text(0).bytes())))
    }),
    fixed("htpasswd", &[S, S], |m, a| {
        let user = a.string(0);
        if user.contains(':') {
            return Ok(Value::text(format!("invalid username: {user}")));
        }
        let hash = bcrypt_text(m, a.text(1).bytes());
        Ok(Value::text(format!("{user}:{hash}")))
    }),
    fixed("derivePassword", &[Type::Uint32, S, S, S, S], |_, a| {
        Ok(Value::text(derive_password(a)))
    }),
    fixed("encryptAES", &[S, S], |m, a| {
        Ok(Value::text(encrypt(m, &a.text(0), &a.text(1))))
    }),
    fixed("decryptAES", &[S, S], |_, a| {
        decrypt(&a.text(0), &a.text(1)).map(Value::text)
    }),
    fixed("genPrivateKey", &[S], generate_key),
    fixed("buildCustomCert", &[S, S], |_, a| build_custom(a)),
    fixed("genCA", &[S, I], |m, a| {
        let key = rsa(m);
        issue(m, (a, true), &key, None)
    }),
    fixed("genCAWithKey", &[S, I, S], |m, a| {
        let key = given_key(&a.string(2))?;
        issue(m, (a, true), &key, None)
    }),
    fixed("genSelfSignedCert", &[S, L, L, I], |m, a| {
        let key = rsa(m);
        issue(m, (a, false), &key, None)
    }),
    fixed("genSelfSignedCertWithKey", &[S, L, L, I, S], |m, a| {
        let key = given_key(&a.string(4))?;
        issue(m, (a, false), &key, None)
    }),
    fixed("genSignedCert", &[S, L, L, I, Type::Certificate], |m, a| {
        let key = rsa(m);
        let parent = parent(a.value(4))?;
        issue(m, (a, false), &key, Some(&parent))
    }),
    fixed(
        "genSignedCertWithKey",
        &[S, L, L, I, Type::Certificate, S],
        |m, a| {
            let key = given_key(&a.string(5))?;
            let parent = parent(a.value(4))?;
            issue(m, (a, false), &key, Some(&parent))
        },
    ),
];

/// Sprig's `certificate`.
#[derive(Clone)]
pub(super) struct Certificate {
    cert: Text,
    key: Text,
}

/// How `%T` prints it.
pub(super) const CERTIFICATE: &str = "sprig.certificate";

impl Object for Certificate {
    fn type_name(&self) -> String {
        CERTIFICATE.to_string()
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Cert" => Some(Value::String(self.cert.clone())),
            "Key" => Some(Value::String(self.key.clone())),
            _ => None,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let texts = [("Cert", &self.cert), ("Key", &self.key)];
        texts
            .map(|(name, text)| (name, Value::String(text.clone())))
            .to_vec()
    }

    fn members(&self) -> Vec<(&'static str, Value)> {
        self.fields()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn certificate(cert: String, key: String) -> Value {
    Value::Object(Rc::new(Certificate {
        cert: Text::new(cert),
        key: Text::new(key),
    }))
}

/// Longest password of bcrypt, in bytes.
const BCRYPT_BYTES_MAX: usize = 72;
/// Go's default cost.
const BCRYPT_COST: u32 = 10;

fn bcrypt_text(machine: &Machine<'_>, password: &[u8]) -> String {
    const FAILED: &str = "failed to encrypt string with bcrypt";
    if password.len() > BCRYPT_BYTES_MAX {
        return format!("{FAILED}: bcrypt: password length exceeds 72 bytes");
    }
    let mut salt = [0; 16];
    machine.environment.random(&mut salt);
    match bcrypt::hash_with_salt(password, BCRYPT_COST, salt) {
        Ok(parts) => parts.format_for_version(bcrypt::Version::TwoA),
        Err(error) => format!("{FAILED}: {error}"),
    }
}

/// The shapes of derived passwords.
fn shapes(kind: &str) -> &'static [&'static str] {
    match kind {
        "maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        "long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        "medium" => &["CvcnoCvc", "CvcCvcno"],
        "short" => &["Cvcn"],
        "basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        "pin" => &["nnnn"],
        _ => &[],
    }
}

/// The characters a letter of a shape stands for.
fn alphabet(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// The Master Password algorithm.
fn derive_password(args: &Args) -> Vec<u8> {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let kind = args.string(1);
    let shapes = shapes(&kind);
    if shapes.is_empty() {
        return format!("cannot find password template {kind}").into_bytes();
    }
    let counted = |text: &Text| {
        let length = u32::try_from(text.bytes().len()).unwrap_or(u32::MAX);
        [SEED, &length.to_be_bytes(), text.bytes()].concat()
    };
    let mut key = [0; 64];
    let salt = counted(&args.text(3));
    let derived = scrypt::Params::new(15, 8, 2, 64)
        .map_err(|error| error.to_string())
        .and_then(|params| {
            scrypt::scrypt(args.text(2).bytes(), &salt, &params, &mut key)
                .map_err(|error| error.to_string())
        });
    if let Err(error) = derived {
        return format!("failed to derive password: {error}").into_bytes();
    }
    let counter = u32::try_from(args.int(0)).unwrap_or(0);
    let message = [counted(&args.text(4)), counter.to_be_bytes().to_vec()].concat();
    let seed = digest(&key, &message);
    let shape = shapes[usize::from(seed[0]) % shapes.len()];
    let letters = shape.bytes().zip(&seed[1..]);
    letters
        .map(|(letter, byte)| {
            let alphabet = alphabet(letter);
            alphabet[usize::from(*byte) % alphabet.len()]
        })
        .collect()
}

fn digest(key: &[u8], message: &[u8]) -> Vec<u8> {
    match <Hmac<Sha256> as Mac>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        }
        Err(_) => vec![0; 32],
    }
}

fn cipher(password: &Text) -> Aes256 {
    let mut key = [0; 32];
    let length = password.bytes().len().min(key.len());
    key[..length].copy_from_slice(&password.bytes()[..length]);
    Aes256::new(&key.into())
}

const BLOCK: usize = 16;

fn encrypt(machine: &Machine<'_>, password: &Text, text: &Text) -> String {
    if text.bytes().is_empty() {
        return String::new();
    }
    let cipher = cipher(password);
    let mut content = text.bytes().to_vec();
    let padding = BLOCK - content.len() % BLOCK;
    content.extend(std::iter::repeat_n(
        u8::try_from(padding).unwrap_or(0),
        padding,
    ));
    let mut out = vec![0; BLOCK];
    machine.environment.random(&mut out);
    for chunk in content.chunks(BLOCK) {
        let previous = out.len() - BLOCK;
        let mixed: [u8; BLOCK] = std::array::from_fn(|at| chunk[at] ^ out[previous + at]);
        let mut block = Block::from(mixed);
        cipher.encrypt_block(&mut block);
        out.extend_from_slice(&block);
    }
    STANDARD.encode(out)
}

fn decrypt(password: &Text, text: &Text) -> Result<Vec<u8>, Error> {
    if text.bytes().is_empty() {
        return Ok(Vec::new());
    }
    let bytes = super::encoding::decode_base64(text).map_err(Error::plain)?;
    if bytes.len() < BLOCK {
        // Go allocates what the encoded text could hold, and says so.
        let capacity = text.bytes().len() / 4 * 3;
        return Err(Error::plain(format!(
            "runtime error: slice bounds out of range [:{BLOCK}] with capacity {capacity}"
        )));
    }
    if bytes.len() % BLOCK != 0 {
        return Err(Error::plain("crypto/cipher: input not full blocks"));
    }
    let cipher = cipher(password);
    let mut out = Vec::with_capacity(bytes.len());
    for at in (BLOCK..bytes.len()).step_by(BLOCK) {
        let own: [u8; BLOCK] = std::array::from_fn(|i| bytes[at + i]);
        let mut block = Block::from(own);
        cipher.decrypt_block(&mut block);
        out.extend((0..BLOCK).map(|i| block[i] ^ bytes[at - BLOCK + i]));
    }
    let Some(padding) = out.last().map(|byte| usize::from(*byte)) else {
        return Err(Error::plain("runtime error: index out of range [-1]"));
    };
    match out.len().checked_sub(padding) {
        Some(length) => {
            out.truncate(length);
            Ok(out)
        }
        None => {
            let length = i64::try_from(out.len()).unwrap_or(0);
            let end = length - i64::try_from(padding).unwrap_or(0);
            Err(Error::plain(format!(
                "runtime error: slice bounds out of range [:{end}]"
            )))
        }
    }
}

/// Size of the keys of certificates, in bits.
const CERTIFICATE_BITS: u64 = 2048;
/// Size of RSA keys alone, in bits.
const KEY_BITS: u64 = 4096;

fn rsa(machine: &Machine<'_>) -> Key {
    Key::rsa(CERTIFICATE_BITS, &mut |buffer| {
        machine.environment.random(buffer);
    })
}

fn generate_key(machine: &mut Machine<'_>, args: &Args) -> Outcome {
    let environment = machine.environment;
    let random = &mut |buffer: &mut [u8]| environment.random(buffer);
    let kind = args.string(0);
    let key = match kind.as_str() {
        "" | "rsa" => Key::rsa(KEY_BITS, random),
        "dsa" => Key::dsa(random),
        "ecdsa" => Key::ecdsa(random)?,
        "ed25519" => Key::ed25519(random),
        other => return Ok(Value::text(format!("Unknown type {other}"))),
    };
    Ok(Value::text(key.to_pem()))
}

fn given_key(text: &str) -> Result<Key, Error> {
    Key::from_pem(text).map_err(|error| Error::plain(format!("parsing private key: {error}")))
}

fn build_custom(args: &Args) -> Outcome {
    let decode = |index: usize, what: &str| {
        super::encoding::decode_base64(&args.text(index))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|_| Error::plain(format!("unable to decode base64 {what}")))
    };
    let cert = decode(0, "certificate")?;
    let key = decode(1, "private key")?;
    let (_, der) =
        pem::decode(&cert).ok_or_else(|| Error::plain("unable to decode certificate"))?;
    let parsed = Key::from_pem(&key);
    let dummy = || Key::ed25519(&mut |buffer| buffer.fill(1));
    if Parent::read(&der, dummy()).is_none() {
        return Err(
            "error parsing certificate: decodedCert.Bytes: x509: malformed certificate".into(),
        );
    }
    parsed.map_err(|error| Error::plain(format!("error parsing private key: {error}")))?;
    Ok(certificate(cert, key))
}

fn parent(value: &Value) -> Result<Parent, Error> {
    let found = match value {
        Value::Object(object) => object.as_any().downcast_ref::<Certificate>().cloned(),
        _ => None,
    };
    let authority = found.ok_or_else(|| Error::plain("unable to decode certificate"))?;
    let (_, der) = pem::decode(&authority.cert.lossy())
        .ok_or_else(|| Error::plain("unable to decode certificate"))?;
    let key = Key::from_pem(&authority.key.lossy());
    let malformed =
        "error parsing certificate: decodedSignerCert.Bytes: x509: malformed certificate";
    let key = key.map_err(|error| Error::plain(format!("error parsing private key: {error}")))?;
    Parent::read(&der, key).ok_or_else(|| Error::plain(malformed))
}

/// Nanoseconds of a day.
const DAY: i64 = 86_400 * 1_000_000_000;

/// Makes a certificate from a call's arguments; `call` also says whether it is an authority.
fn issue(
    machine: &Machine<'_>,
    call: (&Args, bool),
    key: &Key,
    parent: Option<&Parent>,
) -> Outcome {
    let (args, is_authority) = call;
    let common_name = args.string(0);
    let (addresses, names, days) = if is_authority {
        (Vec::new(), Vec::new(), args.int(1))
    } else {
        (
            addresses(args.value(1))?,
            names(args.value(2))?,
            args.int(3),
        )
    };
    let (seconds, nanos) = machine.environment.now();
    let range = || Error::plain("time out of range");
    let not_before = Time::from_unix(seconds, nanos).ok_or_else(range)?;
    let not_after = not_before.add(days.wrapping_mul(DAY)).ok_or_else(range)?;
    let request = Request {
        common_name: &common_name,
        addresses,
        names,
        not_before,
        not_after,
        is_authority,
    };
    let random = &mut |buffer: &mut [u8]| machine.environment.random(buffer);
    let cert = sign(&request, key, parent, random)
        .map_err(|error| Error::plain(format!("error creating certificate: {error}")))?;
    Ok(certificate(cert, key.to_pem()))
}

fn addresses(value: &Value) -> Result<Vec<IpAddr>, Error> {
    let parse = |item: &Value| {
        let Value::String(text) = item else {
            let shown = crate::go_text(item);
            return Err(format!("error parsing ip: {shown} is not a string").into());
        };
        let text = text.lossy();
        text.parse()
            .map_err(|_| Error::plain(format!("error parsing ip: {text}")))
    };
    items(value).iter().map(parse).collect()
}

fn names(value: &Value) -> Result<Vec<String>, Error> {
    let take = |item: &Value| match item {
        Value::String(text) => Ok(text.lossy().into_owned()),
        other => {
            let shown = crate::go_text(other);
            let text = format!("error processing alternate dns name: {shown} is not a string");
            Err(Error::plain(text))
        }
    };
    items(value).iter().map(take).collect()
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(list) => list.items(),
        _ => &[],
    }
}
