//! RSA: keys, PKCS#1, and signatures of SHA-256 digests.

use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use super::der::{self, Reader};
use super::{Random, prime};

const EXPONENT: u32 = 65_537;
/// `DigestInfo` of SHA-256 up to the digest.
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

#[derive(Clone)]
pub(crate) struct RsaKey {
    n: BigUint,
    e: BigUint,
    d: BigUint,
    p: BigUint,
    q: BigUint,
}

impl RsaKey {
    pub(crate) fn generate(bits: u64, random: Random<'_>) -> Self {
        let e = BigUint::from(EXPONENT);
        let coprime = |prime: &BigUint| (prime - 1u32) % EXPONENT != BigUint::ZERO;
        let p = prime::prime(bits / 2, random, &coprime);
        let q = prime::prime(bits / 2, random, &|q| coprime(q) && *q != p);
        let (p, q) = if p > q { (p, q) } else { (q, p) };
        let totient = (&p - 1u32) * (&q - 1u32);
        let d = e.modinv(&totient).unwrap_or_default();
        let n = &p * &q;
        Self { n, e, d, p, q }
    }

    pub(crate) fn public_der(&self) -> Vec<u8> {
        der::sequence(&[number(&self.n), number(&self.e)])
    }

    pub(crate) fn to_pkcs1(&self) -> Vec<u8> {
        let (p1, q1) = (&self.p - 1u32, &self.q - 1u32);
        let inverse = self.q.modinv(&self.p).unwrap_or_default();
        der::sequence(&[
            der::small(0),
            number(&self.n),
            number(&self.e),
            number(&self.d),
            number(&self.p),
            number(&self.q),
            number(&(&self.d % p1)),
            number(&(&self.d % q1)),
            number(&inverse),
        ])
    }

    pub(crate) fn from_pkcs1(bytes: &[u8]) -> Option<Self> {
        let mut inside = Reader::new(bytes).enter(0x30)?;
        inside.take(0x02)?;
        let mut number = || inside.take(0x02).map(BigUint::from_bytes_be);
        let key = Self {
            n: number()?,
            e: number()?,
            d: number()?,
            p: number()?,
            q: number()?,
        };
        (&key.p * &key.q == key.n && key.p.bits() > 1 && key.q.bits() > 1).then_some(key)
    }

    /// PKCS#1 v1.5 over the SHA-256 digest of a message.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let size = usize::try_from(self.n.bits().div_ceil(8)).unwrap_or(0);
        let mut block = vec![0xff; size];
        let tail = [&DIGEST_INFO[..], &Sha256::digest(message)].concat();
        let start = size.saturating_sub(tail.len());
        block[start..].copy_from_slice(&tail[tail.len() - (size - start)..]);
        block[0] = 0;
        block[1] = 1;
        block[start - 1] = 0;
        let signed = self.power(&BigUint::from_bytes_be(&block)).to_bytes_be();
        let mut out = vec![0; size - signed.len()];
        out.extend(signed);
        out
    }

    /// `m^d mod n` by the Chinese remainder theorem.
    fn power(&self, m: &BigUint) -> BigUint {
        let (p1, q1) = (&self.p - 1u32, &self.q - 1u32);
        let a = (m % &self.p).modpow(&(&self.d % p1), &self.p);
        let b = (m % &self.q).modpow(&(&self.d % q1), &self.q);
        let inverse = self.q.modinv(&self.p).unwrap_or_default();
        let difference = (&a + &self.p - &b % &self.p) % &self.p;
        let h = inverse * difference % &self.p;
        b + h * &self.q
    }
}

fn number(number: &BigUint) -> Vec<u8> {
    der::unsigned(&number.to_bytes_be())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_opens_with_the_public_key() {
        let mut state = 1u64;
        let mut random = |buffer: &mut [u8]| {
            for byte in buffer {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(99);
                *byte = (state >> 56) as u8;
            }
        };
        let key = RsaKey::generate(1024, &mut random);
        assert_eq!(key.n.bits(), 1024);
        let signature = BigUint::from_bytes_be(&key.sign(b"message"));
        let opened = signature.modpow(&key.e, &key.n).to_bytes_be();
        assert!(opened.ends_with(&Sha256::digest(b"message")));
    }
}
