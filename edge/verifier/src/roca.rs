//! RSA keys of a broken generator (ROCA, CVE-2017-15361), recognised by their public half.
//!
//! The chips concerned make primes of the form `k·M + (65537^a mod M)`, where `M` is the product of the first primes. So is
//! the modulus then, and its remainder by each of those primes is a power of 65537. Of moduli made otherwise, about one in
//! 2^27 is so by chance. The private key follows from the public one within days of computing.

/// The odd primes that divide `M` for the shortest keys concerned, and so for all of them.
const PRIMES: [u8; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// The generator of the group that the remainders lie in.
const GENERATOR: u32 = 65_537;

/// Returns whether an RSA modulus, big-endian, was made by the generator of CVE-2017-15361.
pub fn has_roca_pattern(modulus: &[u8]) -> bool {
    PRIMES.into_iter().map(u32::from).all(|prime| is_power_of_generator(remainder(modulus, prime), prime))
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number.iter().fold(0, |rest, &byte| (rest * 256 + u32::from(byte)) % prime)
}

/// The powers of a number repeat after `prime - 1` of them at most.
fn is_power_of_generator(rest: u32, prime: u32) -> bool {
    let powers = core::iter::successors(Some(1), |power| Some(power * (GENERATOR % prime) % prime));
    powers.take(prime as usize).any(|power| power == rest)
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// A power of the generator that has at least these bytes: every remainder of it is in the group.
    pub(crate) fn patterned(bytes: usize) -> Vec<u8> {
        let mut little_endian = vec![1_u8];
        while little_endian.len() < bytes {
            let mut carry = 0;
            for digit in &mut little_endian {
                carry += u32::from(*digit) * GENERATOR;
                *digit = u8::try_from(carry % 256).unwrap();
                carry /= 256;
            }
            little_endian.extend(carry.to_le_bytes());
            while little_endian.last() == Some(&0) {
                little_endian.pop();
            }
        }
        little_endian.into_iter().rev().collect()
    }

    #[test]
    fn a_modulus_of_the_broken_generator_is_recognised_and_its_neighbours_are_not() {
        for bytes in [64, 256, 512, 1024] {
            let mut modulus = patterned(bytes);
            assert!(has_roca_pattern(&modulus), "{bytes} bytes");
            *modulus.last_mut().unwrap() ^= 2;
            assert!(!has_roca_pattern(&modulus), "{bytes} bytes");
        }
        assert!(!has_roca_pattern(&[]) && !has_roca_pattern(&[0; 256]));
    }

    #[test]
    fn remainders_are_those_of_long_division() {
        let number = u64::MAX - 58;
        for prime in PRIMES.map(u32::from) {
            assert_eq!(u64::from(remainder(&number.to_be_bytes(), prime)), number % u64::from(prime));
        }
        assert_eq!(remainder(&vec![255; 1_000_000], 3), 0);
    }
}
