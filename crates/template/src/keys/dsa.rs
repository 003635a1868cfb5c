//! DSA keys of 2048 and 256 bits, which can be made and written but sign nothing.

use num_bigint::BigUint;

use super::der::{self, Reader};
use super::{Random, prime};

#[derive(Clone)]
pub(crate) struct DsaKey {
    p: BigUint,
    q: BigUint,
    g: BigUint,
    y: BigUint,
    x: BigUint,
}

const P_BITS: u64 = 2048;
const Q_BITS: u64 = 256;

impl DsaKey {
    pub(crate) fn generate(random: Random<'_>) -> Self {
        let q = prime::prime(Q_BITS, random, &|_| true);
        let step = &q * 2u32;
        let mut p = prime::odd(P_BITS, random);
        p = &p - (&p % &step) + 1u32;
        while p.bits() < P_BITS || !maybe_prime(&p) || !prime::is_prime(&p) {
            p += &step;
            if p.bits() > P_BITS {
                p = prime::odd(P_BITS, random);
                p = &p - (&p % &step) + 1u32;
            }
        }
        let power = (&p - 1u32) / &q;
        let mut base = BigUint::from(2u32);
        let mut g = base.modpow(&power, &p);
        while g == BigUint::from(1u32) {
            base += 1u32;
            g = base.modpow(&power, &p);
        }
        let x = prime::odd(Q_BITS, random) % (&q - 1u32) + 1u32;
        let y = g.modpow(&x, &p);
        Self { p, q, g, y, x }
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        let numbers = [&self.p, &self.q, &self.g, &self.y, &self.x];
        let numbers = numbers.map(|number| der::unsigned(&number.to_bytes_be()));
        der::sequence(&[vec![der::small(0)], numbers.to_vec()].concat())
    }

    pub(crate) fn from_der(bytes: &[u8]) -> Option<Self> {
        let mut inside = Reader::new(bytes).enter(0x30)?;
        inside.take(0x02)?;
        let mut number = || inside.take(0x02).map(BigUint::from_bytes_be);
        Some(Self {
            p: number()?,
            q: number()?,
            g: number()?,
            y: number()?,
            x: number()?,
        })
    }
}

/// Whether no tiny prime divides it.
fn maybe_prime(number: &BigUint) -> bool {
    const TINY: [u32; 14] = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47];
    TINY.iter().all(|prime| number % *prime != BigUint::ZERO)
}
