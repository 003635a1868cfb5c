//! Prime numbers.

use num_bigint::BigUint;

use super::Random;

/// Small primes tried by division before the costly test.
const SMALL_MAX: u32 = 20_000;
/// Rounds of Miller and Rabin's test; for random candidates of these sizes far more than needed.
const ROUNDS: usize = 8;

fn small_primes() -> Vec<u32> {
    let mut composite = vec![false; SMALL_MAX as usize];
    let mut primes = Vec::new();
    for number in 2..SMALL_MAX {
        if !composite[number as usize] {
            primes.push(number);
            for multiple in (number * number.min(SMALL_MAX)..SMALL_MAX).step_by(number as usize) {
                composite[multiple as usize] = true;
            }
        }
    }
    primes.remove(0);
    primes
}

/// Random bits with the two highest and the lowest set.
pub(crate) fn odd(bits: u64, random: Random<'_>) -> BigUint {
    let mut bytes = vec![0; usize::try_from(bits.div_ceil(8)).unwrap_or(0)];
    random(&mut bytes);
    let mut number = BigUint::from_bytes_be(&bytes);
    for bit in bits..bits.div_ceil(8) * 8 {
        number.set_bit(bit, false);
    }
    number.set_bit(bits - 1, true);
    number.set_bit(bits - 2, true);
    number.set_bit(0, true);
    number
}

/// A prime of this many bits whose highest two are set, and for which `fits` holds.
pub(crate) fn prime(bits: u64, random: Random<'_>, fits: &dyn Fn(&BigUint) -> bool) -> BigUint {
    let small = small_primes();
    loop {
        let start = odd(bits, random);
        let residues: Vec<u32> = small
            .iter()
            .map(|prime| {
                let rest = &start % *prime;
                rest.iter_u32_digits().next().unwrap_or(0)
            })
            .collect();
        // Up to the next random start, so that a source without entropy still ends.
        for step in (0..1u32 << 20).step_by(2) {
            let divided = small
                .iter()
                .zip(&residues)
                .any(|(prime, rest)| (rest + step % prime) % prime == 0);
            if divided {
                continue;
            }
            let candidate = &start + step;
            if candidate.bits() == bits && is_prime(&candidate) && fits(&candidate) {
                return candidate;
            }
        }
    }
}

/// Miller and Rabin's test with the first primes as bases.
pub(crate) fn is_prime(number: &BigUint) -> bool {
    const BASES: [u32; ROUNDS] = [2, 3, 5, 7, 11, 13, 17, 19];
    let one = BigUint::from(1u32);
    let last = number - 1u32;
    let twos = last.trailing_zeros().unwrap_or(0);
    let odd = &last >> twos;
    'bases: for base in BASES {
        let mut power = BigUint::from(base).modpow(&odd, number);
        if power == one || power == last {
            continue;
        }
        for _ in 1..twos {
            power = &power * &power % number;
            if power == last {
                continue 'bases;
            }
        }
        return false;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_from_composites() {
        let prime = |n: u64| is_prime(&BigUint::from(n));
        assert!(prime(1_000_003) && prime(2_147_483_647) && prime(18_446_744_073_709_551_557));
        assert!(!prime(1_000_001) && !prime(3_215_031_751) && !prime(18_446_744_073_709_551_555));
    }
}
