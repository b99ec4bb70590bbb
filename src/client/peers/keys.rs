//! The keys of other users' devices: which ones are known, and what an unknown one means.
//!
//! The server tells which key the other client will prove to have. The first key of a name is taken on trust, as a
//! server's is; another one stops the link until the person says that it is right.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use blake2::{Blake2s256, Digest as _};

use super::ClientState;
use crate::client::event::KnownKey;
use crate::client::verb::Verb;
use crate::client::view::Success;
use crate::planted::{self, Planted};
use crate::wire::Code;
use crate::words::DeviceKey;

/// Keys of one user, one a device; the oldest is forgotten for a further one.
const KEYS_A_USER: usize = 8;

/// Users whose unknown key is remembered, so that it can be trusted.
const REFUSED: usize = 64;

/// Groups of five digits in a code that two people compare: 130 bits.
const GROUPS: usize = 8;

/// What is known about the keys of others.
#[derive(Default)]
pub(super) struct Keys {
    /// Oldest first.
    known: BTreeMap<String, Vec<Known>>,
    /// The last unknown key of users who have others.
    refused: BTreeMap<String, DeviceKey>,
}

struct Known {
    key: DeviceKey,
    is_verified: bool,
}

impl Keys {
    /// Takes what the state folder remembers, in the order in which it was noted.
    pub(super) fn recall(&mut self, noted: Vec<KnownKey>) {
        self.known.clear();
        noted.into_iter().for_each(|noted| self.keep(&noted.user, noted.key, noted.is_verified));
    }

    /// Whether a link may be made with a user who has this key.
    pub(super) fn judge(&mut self, user: &str, key: Option<DeviceKey>) -> Result<DeviceKey, Code> {
        let key = key.ok_or(Code::Unreachable)?;
        let known = self.known.get(user);
        let is_new = known.is_some_and(|known| known.iter().all(|known| known.key != key));
        let was_refused = self.refused.get(user) == Some(&key) && planted::is(Planted::RefusedKeyTakenLater);
        if is_new && !was_refused && !planted::is(Planted::ClientTakesChangedKey) {
            if self.refused.len() >= REFUSED && !self.refused.contains_key(user) {
                self.refused.pop_first();
            }
            self.refused.insert(user.to_owned(), key);
            return Err(Code::KeyChanged);
        }
        self.refused.remove(user);
        Ok(key)
    }

    /// Why no link is being made with a user whom the server has introduced.
    pub(super) fn refusal(&self, user: &str) -> Code {
        if self.refused.contains_key(user) { Code::KeyChanged } else { Code::Unreachable }
    }

    fn is_known(&self, user: &str, key: DeviceKey) -> bool {
        self.known.get(user).is_some_and(|known| known.iter().any(|known| known.key == key))
    }

    fn is_verified(&self, user: &str, key: DeviceKey) -> bool {
        let known = self.known.get(user).into_iter().flatten();
        known.into_iter().any(|known| known.key == key && known.is_verified)
    }

    fn keep(&mut self, user: &str, key: DeviceKey, is_verified: bool) {
        let known = self.known.entry(user.to_owned()).or_default();
        if let Some(known) = known.iter_mut().find(|known| known.key == key) {
            known.is_verified = is_verified;
            return;
        }
        if known.len() >= KEYS_A_USER {
            known.remove(0);
        }
        known.push(Known { key, is_verified });
    }
}

impl ClientState {
    /// A link stands with a user who has proved to have this key.
    pub(super) fn remember_key(&mut self, user: &str, key: DeviceKey) {
        if !self.peers.keys.is_known(user, key) {
            self.keep_key(user, key, false);
        }
    }

    fn keep_key(&mut self, user: &str, key: DeviceKey, is_verified: bool) {
        self.peers.keys.keep(user, key, is_verified);
        self.outbox.keep_key(KnownKey { user: user.to_owned(), key, is_verified });
    }

    /// `trust USER`: the key that stopped the last link with them is right.
    pub(in super::super) fn trust(&mut self, line: u64, user: &str) {
        let outcome = match self.peers.keys.refused.remove(user) {
            Some(key) => {
                self.keep_key(user, key, false);
                Ok(Success::User { user: user.to_owned() })
            }
            None => Err(Code::NoRequest),
        };
        self.local_result(line, Verb::Trust, Some(user), outcome);
    }

    /// `verify USER` and `verify USER yes`: a code that is the same at the other end, unless somebody is between.
    pub(in super::super) fn verify(&mut self, line: u64, user: &str, is_right: bool) {
        let keys = self.settings.device_key.zip(self.peers.key_of(user));
        let outcome = keys.ok_or(Code::NotPrivate).map(|(own, other)| {
            if is_right && !self.peers.keys.is_verified(user, other) {
                self.keep_key(user, other, true);
            }
            let is_verified = self.peers.keys.is_verified(user, other);
            let other = if planted::is(Planted::CodeOfOwnKey) { own } else { other };
            Success::Verification { user: user.to_owned(), code: code(own, other), is_verified }
        });
        self.local_result(line, Verb::Verify, Some(user), outcome);
    }
}

/// What two people compare: a digest of both keys, the smaller one first, in groups of digits.
fn code(one: DeviceKey, other: DeviceKey) -> String {
    let in_order = planted::is(Planted::CodeInOrder);
    let (first, second) = if in_order { (one, other) } else { (one.min(other), one.max(other)) };
    let digest: [u8; 32] = Blake2s256::new()
        .chain_update("hobnob verify ")
        .chain_update(first.0)
        .chain_update(second.0)
        .finalize()
        .into();
    let groups = digest.chunks_exact(4).take(GROUPS).map(|bytes| {
        let number = bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{:05}", number % 100_000)
    });
    groups.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: DeviceKey = DeviceKey([1; 32]);
    const OTHER: DeviceKey = DeviceKey([2; 32]);

    #[test]
    fn both_read_the_same_code_and_no_one_else_does() {
        assert_eq!(code(ONE, OTHER), code(OTHER, ONE));
        assert_ne!(code(ONE, OTHER), code(ONE, DeviceKey([3; 32])));
        let digits = code(ONE, OTHER);
        assert_eq!(digits.len(), 8 * 6 - 1);
        assert!(
            digits
                .split(' ')
                .all(|group| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit()))
        );
    }

    #[test]
    fn the_first_key_is_taken_and_another_one_refused_until_it_is_kept() {
        let mut keys = Keys::default();
        assert_eq!(keys.judge("luke", None), Err(Code::Unreachable));
        assert_eq!(keys.judge("luke", Some(ONE)), Ok(ONE));
        keys.keep("luke", ONE, false);
        assert_eq!(keys.judge("luke", Some(OTHER)), Err(Code::KeyChanged));
        assert_eq!(keys.refusal("luke"), Code::KeyChanged);
        assert_eq!(keys.judge("luke", Some(ONE)), Ok(ONE));
        assert_eq!(keys.refusal("luke"), Code::Unreachable);
        assert_eq!(keys.judge("yoda", Some(OTHER)), Ok(OTHER), "another's");
        keys.keep("luke", OTHER, true);
        assert_eq!(keys.judge("luke", Some(OTHER)), Ok(OTHER));
        assert!(keys.is_verified("luke", OTHER) && !keys.is_verified("luke", ONE));
    }

    #[test]
    fn a_user_has_eight_keys_and_refused_ones_are_bounded() {
        let mut keys = Keys::default();
        for number in 0..9 {
            keys.keep("luke", DeviceKey([number; 32]), false);
        }
        assert!(!keys.is_known("luke", DeviceKey([0; 32])) && keys.is_known("luke", DeviceKey([8; 32])));
        for number in 0..=REFUSED {
            let user = format!("user{number}");
            keys.keep(&user, ONE, false);
            assert!(keys.judge(&user, Some(OTHER)).is_err());
        }
        assert_eq!(keys.refused.len(), REFUSED);
    }
}
