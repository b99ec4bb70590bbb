//! Numbers drawn from a seed: the only chance the simulated world knows.

/// A stream of numbers (splitmix64). Equal seeds give equal streams.
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The stream of a seed.
    pub(crate) const fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// The next number.
    pub(crate) const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `bound`; 0 if `bound` is 0.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.number() % bound }
    }

    /// True so many times in a thousand.
    pub(crate) const fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// 32 bytes for a nonce.
    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.number().to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_draw_equal_numbers_within_bounds() {
        let (mut one, mut other) = (Draw::new(7), Draw::new(7));
        for _ in 0..1_000 {
            let drawn = one.between(3, 9);
            assert_eq!(drawn, other.between(3, 9));
            assert!((3..=9).contains(&drawn));
        }
        assert_ne!(Draw::new(1).number(), Draw::new(2).number());
    }
}
