//! Files of keys, as `gpg --export` and `gpg --export-secret-keys` write them.

use std::time::{Duration, SystemTime};

use pgp::composed::{PublicOrSecret, SignedPublicKey, SignedSecretKey};
use pgp::packet::Signature;
use pgp::types::{KeyDetails, Password, Tag, Timestamp};
use zeroize::Zeroizing;

use crate::{Error, keybox};

/// Most keys of a ring that are read.
const KEYS_MAX: usize = 10_000;

/// Public and secret keys.
#[derive(Default)]
pub struct Keyring {
    pub(crate) public: Vec<SignedPublicKey>,
    secret: Vec<SignedSecretKey>,
}

/// What opens a secret key. Wiped when dropped.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Some bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

/// A secret key that was chosen.
pub struct Signer<'a> {
    pub(crate) key: &'a SignedSecretKey,
    pub(crate) password: Password,
}

impl std::fmt::Debug for Signer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer")
    }
}

impl Keyring {
    /// Reads the keys of a file: armoured or not, or a keybox. Keys of kinds we do not know are
    /// left out.
    ///
    /// # Errors
    /// [`Error::Keyring`] when there is none.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |error: pgp::errors::Error| Error::Keyring(error.to_string());
        let mut ring = Self::default();
        let boxed = match keybox::is_keybox(bytes) {
            true => Some(keybox::keys(bytes).map_err(Error::Keyring)?),
            false => None,
        };
        let bytes = boxed.as_deref().unwrap_or(bytes);
        let (keys, _) = PublicOrSecret::from_reader_many(bytes).map_err(broken)?;
        for key in keys.take(KEYS_MAX) {
            match key {
                Ok(PublicOrSecret::Public(key)) => ring.public.push(key),
                Ok(PublicOrSecret::Secret(key)) => {
                    ring.public.push(key.to_public_key());
                    ring.secret.push(key);
                }
                Err(error) if ring.public.is_empty() => return Err(broken(error)),
                Err(_) => {}
            }
        }
        Ok(ring)
    }

    /// The secret key a name stands for: an identity, or the one identity that contains it.
    ///
    /// # Errors
    /// [`Error::Key`] when there is none, or more than one.
    fn secret(&self, name: &str) -> Result<&SignedSecretKey, Error> {
        let named = |key: &&SignedPublicKey, whole: bool| {
            identities(key).iter().any(|identity| {
                if whole {
                    identity == name
                } else {
                    identity.contains(name)
                }
            })
        };
        let public = match self.public.iter().find(|key| named(key, true)) {
            Some(key) => key,
            None => {
                let mut all = self.public.iter().filter(|key| named(key, false));
                let first = all.next();
                if all.next().is_some() {
                    let message = format!("more than one key contain the id {name:?}");
                    return Err(Error::Key(message));
                }
                first.ok_or_else(|| Error::Key("private key not found".to_owned()))?
            }
        };
        let fingerprint = public.fingerprint();
        let secret = self
            .secret
            .iter()
            .find(|key| key.fingerprint() == fingerprint);
        secret.ok_or_else(|| {
            Error::Key(
                "provided key is not a private key. Try providing a keyring with secret keys"
                    .to_owned(),
            )
        })
    }

    /// The secret key of a name, opened; `ask` gives its passphrase when it has one.
    ///
    /// # Errors
    /// No such key, or another passphrase.
    pub fn signer<E: From<Error>>(
        &self,
        name: &str,
        ask: impl FnOnce(&str) -> Result<Passphrase, E>,
    ) -> Result<Signer<'_>, E> {
        let key = self.secret(name)?;
        let secret = &key.primary_key;
        if !secret.secret_params().is_encrypted() {
            let password = Password::empty();
            return Ok(Signer { key, password });
        }
        let identities = identities(&key.to_public_key());
        let passphrase = ask(identities.first().map_or("Unknown", String::as_str))?;
        let password = Password::from(passphrase.0.as_slice());
        match secret.unlock(&password, |_, _| Ok(())) {
            Ok(Ok(())) => Ok(Signer { key, password }),
            _ => Err(Error::Passphrase.into()),
        }
    }
}

/// Names a key has, as they stand in it.
pub(crate) fn identities(key: &SignedPublicKey) -> Vec<String> {
    let users = key.details.users.iter();
    users
        .map(|user| String::from_utf8_lossy(user.id.id()).into_owned())
        .collect()
}

/// Whether a key may be believed at a time.
///
/// # Errors
/// [`Error::Revoked`], [`Error::Expired`], or [`Error::UnknownSigner`] when no name of it is
/// confirmed by itself.
pub(crate) fn check(key: &SignedPublicKey, now: SystemTime) -> Result<(), Error> {
    let primary = &key.primary_key;
    let revoked = key.details.revocation_signatures.iter();
    if revoked
        .into_iter()
        .any(|sig| sig.verify_key(primary).is_ok())
    {
        return Err(Error::Revoked);
    }
    let confirmations = key.details.users.iter().flat_map(|user| {
        let own = user.signatures.iter().filter(|sig| {
            sig.is_certification()
                && sig
                    .verify_certification(primary, Tag::UserId, &user.id)
                    .is_ok()
        });
        own.collect::<Vec<&Signature>>()
    });
    let newest = confirmations.max_by_key(|sig| sig.created());
    let newest = newest.ok_or(Error::UnknownSigner)?;
    if has_passed(primary.created_at(), newest.key_expiration_time(), now) {
        return Err(Error::Expired);
    }
    Ok(())
}

/// Whether a time after another one has passed; none and zero never do.
pub(crate) fn has_passed(
    start: Timestamp,
    lasting: Option<pgp::types::Duration>,
    now: SystemTime,
) -> bool {
    let seconds = lasting.map_or(0, |lasting| u64::from(lasting.as_secs()));
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(start.as_secs()));
    seconds != 0 && start + Duration::from_secs(seconds) < now
}
