//! A number that tells what was added up from something else, the same on all machines. Nobody is kept from looking for
//! two things of one number: it finds differences, and guards nothing.

/// Digits of pi.
const SEED: u64 = 0x243f_6a88_85a3_08d3;
const FIRST: u64 = 0x1319_8a2e_0370_7344;
const LAST: u64 = 0xa409_3822_299f_31d0;

/// Adds up.
pub(super) struct Sum(u64);

impl Default for Sum {
    fn default() -> Sum {
        Sum(SEED)
    }
}

impl Sum {
    pub(super) fn pair(&mut self, first: u64, second: u64) {
        // What was added before counts also where the product is 0.
        self.0 = self.0.rotate_left(23) ^ folded(first ^ FIRST, second ^ self.0);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (wholes, rest) = bytes.as_chunks::<32>();
        for whole in wholes {
            self.whole(whole);
        }
        let mut last = [0; 32];
        last[..rest.len()].copy_from_slice(rest);
        self.whole(&last);
        // Bytes and their end are told from more bytes that are 0.
        self.0 ^= bytes.len() as u64;
    }

    /// Two products, neither of which waits for the other.
    fn whole(&mut self, bytes: &[u8; 32]) {
        let (quarters, _) = bytes.as_chunks::<8>();
        if let [a, b, c, d] = quarters {
            let [a, b, c, d] = [a, b, c, d].map(|quarter| u64::from_le_bytes(*quarter));
            let front = folded(a ^ FIRST, b ^ self.0);
            let back = folded(c ^ LAST, d ^ self.0.rotate_left(32));
            self.0 = self.0.rotate_left(23) ^ front ^ back;
        }
    }

    pub(super) fn finish(&self) -> u64 {
        folded(self.0 ^ FIRST, LAST)
    }
}

fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    low(product) ^ low(product >> 64)
}

/// The lower half.
#[expect(clippy::cast_possible_truncation, reason = "that is what is asked for")]
const fn low(both: u128) -> u64 {
    both as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn of(parts: &[&[u8]]) -> u64 {
        let mut sum = Sum::default();
        parts.iter().for_each(|part| sum.bytes(part));
        sum.finish()
    }

    #[test]
    fn each_bit_each_length_and_each_border_counts() {
        let mut seen = HashSet::new();
        let mut count = 0;
        let mut note = |sum| {
            count += 1;
            seen.insert(sum);
        };
        note(of(&[]));
        for length in 0..50 {
            let mut bytes = vec![0; length];
            note(of(&[&bytes]));
            for bit in 0..8 * length {
                bytes[bit / 8] ^= 1 << (bit % 8);
                note(of(&[&bytes]));
                bytes[bit / 8] = 0;
            }
        }
        for border in 0..=9 {
            let (front, back) = b"deadbeefs".split_at(border);
            note(of(&[front, back]));
        }
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn the_sum_is_the_same_everywhere() {
        assert_eq!(of(&[b"May the Force be with you", b"", b"0123456789abcdef"]), 0xc4cd_6ab8_9b56_cd69);
    }
}
