//! Randomness for the core: 32 bytes a link, fetched from the system in batches.

use std::io;

use zeroize::Zeroizing;

use crate::shell::platform::Platform;

const NONCE_BYTES: usize = 32;
const BATCH_BYTES: usize = 4096;

/// Random bytes, each used once.
pub(super) struct Nonces {
    batch: Zeroizing<Vec<u8>>,
}

impl Nonces {
    pub(super) fn new() -> Nonces {
        Nonces { batch: Zeroizing::new(Vec::new()) }
    }

    /// 32 fresh bytes.
    ///
    /// # Errors
    /// The system provides no randomness.
    pub(super) fn next(&mut self, platform: &impl Platform) -> io::Result<[u8; NONCE_BYTES]> {
        if self.batch.is_empty() {
            self.batch.resize(BATCH_BYTES, 0);
            if let Err(error) = platform.fill_random(&mut self.batch) {
                self.batch.clear();
                return Err(error);
            }
        }
        let mut nonce = [0; NONCE_BYTES];
        let rest = self.batch.len().saturating_sub(NONCE_BYTES);
        for (to, from) in nonce.iter_mut().zip(self.batch.drain(rest..)) {
            *to = from;
        }
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::platform::{System, WallClock};
    use crate::time::Time;
    use std::collections::HashSet;

    #[test]
    fn no_nonce_comes_twice() -> io::Result<()> {
        let system = System::new(WallClock::starting_after(Time::ZERO));
        let mut nonces = Nonces::new();
        let mut seen = HashSet::new();
        for _ in 0..300 {
            let nonce = nonces.next(&system)?;
            assert!(nonce.iter().any(|&byte| byte != 0));
            assert!(seen.insert(nonce));
        }
        Ok(())
    }
}
