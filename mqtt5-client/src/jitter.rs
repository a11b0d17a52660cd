//! A little randomness, for back-off alone.

use std::hash::{BuildHasher, RandomState};

/// Xorshift (64 bits, Marsaglia's 13-7-17). Good enough to keep clients apart, and nothing else.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    /// The same seed gives the same numbers.
    pub(crate) const fn seeded(seed: u64) -> Self {
        // The state 0 would stay 0.
        Self(if seed == 0 {
            0x9E37_79B9_7F4A_7C15
        } else {
            seed
        })
    }

    /// Seeded from the keys of the standard library's hash maps.
    pub(crate) fn random() -> Self {
        Self::seeded(RandomState::new().hash_one(0u8))
    }

    /// A number from 0 to below 1.
    pub(crate) fn next_unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let high = u32::try_from(self.0 >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_and_below_one() {
        let mut jitter = Jitter::seeded(7);
        let numbers: Vec<f64> = (0..1000).map(|_| jitter.next_unit()).collect();
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        let mean = numbers.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn a_seed_repeats_and_zero_is_no_trap() {
        let (mut a, mut b) = (Jitter::seeded(0), Jitter::seeded(0));
        assert_eq!(a.next_unit(), b.next_unit());
        assert_ne!(a.next_unit(), a.next_unit());
    }
}
