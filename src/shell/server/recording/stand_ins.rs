//! What stands for secrets in a recording: the same for the same, of the same length, made with a key that is thrown
//! away. Different passwords of a few characters may have one in common; names have not.

use std::collections::{HashMap, HashSet};

use blake2::{Blake2s256, Digest as _};

use crate::record::{Digest, WordsDigest};
use crate::words::{Credential, Name, Token, is_hash};

/// Makes them.
pub(super) struct StandIns {
    key: [u8; 32],
    /// What hashes have in common with their renewals, and what stands for it.
    key_ids: HashMap<String, String>,
    /// What stands for names, by their digests.
    names: HashMap<[u8; 16], String>,
    names_taken: HashSet<String>,
}

/// What a password begins with that may be taken for a hash.
const HASH: &str = "$argon2";

/// Stand-ins for names that are told from one another; there are more names only under attack.
const NAMES: usize = 1 << 17;
/// Tries to find one for a short name that stands for no other.
const TRIES: u64 = 64;

impl StandIns {
    pub(super) fn new(key: [u8; 32]) -> StandIns {
        StandIns { key, key_ids: HashMap::new(), names: HashMap::new(), names_taken: HashSet::new() }
    }

    fn block(&self, purpose: &[u8], secret: &[u8], number: u64) -> [u8; 32] {
        let block = Blake2s256::new()
            .chain_update(self.key)
            .chain_update(purpose)
            .chain_update(number.to_le_bytes())
            .chain_update(secret);
        block.finalize().into()
    }

    fn sixteen(&self, purpose: &[u8], secret: &[u8]) -> [u8; 16] {
        let mut front = [0; 16];
        front.copy_from_slice(&self.block(purpose, secret, 0)[..16]);
        front
    }

    pub(super) fn token(&self, token: &Token) -> Token {
        Token(self.sixteen(b"token", &token.0))
    }

    pub(super) fn digest(&self, digest: &Digest) -> Digest {
        Digest(self.sixteen(b"digest", &digest.0))
    }

    pub(super) fn words(&self, words: WordsDigest) -> WordsDigest {
        let mut front = [0; 8];
        front.copy_from_slice(&self.block(b"words", &words.0.to_le_bytes(), 0)[..8]);
        WordsDigest(u64::from_le_bytes(front))
    }

    pub(super) fn text(&self, secret: &str) -> String {
        self.letters(secret, 0)
    }

    /// Visible characters that take as many bytes each as those of the secret.
    fn letters(&self, secret: &str, attempt: u64) -> String {
        let first = attempt << 32;
        let (mut block, mut used, mut number) = (self.block(b"text", secret.as_bytes(), first), 0, first);
        let mut made = String::with_capacity(secret.len());
        for c in secret.chars() {
            // At the end of what is repeated in an answer it is doubled (R5).
            if c == '\r' {
                made.push(c);
                continue;
            }
            if used + 2 > block.len() {
                number += 1;
                (block, used) = (self.block(b"text", secret.as_bytes(), number), 0);
            }
            let drawn = u32::from(u16::from_le_bytes([block[used], block[used + 1]]));
            used += 2;
            let (first, count) = match c.len_utf8() {
                1 => (u32::from('a'), 26),
                // Letters each: Greek, Hangul, Han.
                2 => (0x3b1, 16),
                3 => (0xac00, 0x2ba3),
                _ => (0x2_0000, 0x8000),
            };
            made.push(char::from_u32(first + drawn % count).unwrap_or('x'));
        }
        made
    }

    pub(super) fn password(&self, password: &str) -> String {
        match password.strip_prefix(HASH) {
            Some(rest) => format!("{HASH}{}", self.text(rest)),
            None => self.text(password),
        }
    }

    /// A name that is as good or bad as this one, which has no account and may be a password. It is the name of no
    /// account, and stands for no other name, unless there are too many of its length.
    pub(super) fn name(&mut self, name: &str, accounts: &HashSet<String>) -> String {
        let own = self.sixteen(b"name", name.as_bytes());
        if let Some(known) = self.names.get(&own) {
            return known.clone();
        }
        let mut made = String::new();
        for attempt in 0..TRIES {
            made = self.letters(name, attempt);
            if Name::new(name).is_err() && Name::new(&made).is_ok() {
                made = spoil(&made);
            }
            if !self.names_taken.contains(&made) && !accounts.contains(&made) {
                break;
            }
        }
        if self.names.len() < NAMES && Name::new(name).is_ok() {
            self.names.insert(own, made.clone());
            self.names_taken.insert(made.clone());
        }
        made
    }

    /// What stands for a name, if anything does.
    pub(super) fn stand_in_of(&self, name: &str) -> Option<String> {
        self.names.get(&self.sixteen(b"name", name.as_bytes())).cloned()
    }

    /// What stands for a renewal of a hash renews what stands for the hash.
    pub(super) fn credential(&mut self, credential: &Credential) -> Credential {
        let line = credential.reveal();
        if !is_hash(line) {
            return Credential::new(&self.text(line));
        }
        let mut parts: Vec<String> = line.split('$').map(str::to_owned).collect();
        let count = parts.len();
        for (at, part) in parts.iter_mut().enumerate() {
            if at >= 4 || at >= 2 && at + 2 >= count && !part.contains('=') {
                *part = self.text(part);
            } else if let Some((before, after)) = part.split_once("keyid=") {
                let (id, rest) = after.split_at(after.find(',').unwrap_or(after.len()));
                let known = self.key_ids.get(id).cloned();
                let stand_in = known.unwrap_or_else(|| self.text(id));
                *part = format!("{before}keyid={stand_in}{rest}");
            }
        }
        let made = Credential::new(&parts.join("$"));
        if let (Some(id), Some(stand_in)) = (credential.key_id(), made.key_id()) {
            self.key_ids.entry(id.into_owned()).or_insert_with(|| stand_in.into_owned());
        }
        made
    }
}

/// The same of so many bytes, which is no name.
fn spoil(name: &str) -> String {
    let Some(first) = name.chars().next() else { return String::new() };
    let bad = ['#', '\u{ad}', '\u{200b}', '\u{e0001}'];
    format!("{}{}", bad[first.len_utf8() - 1], &name[first.len_utf8()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_are_as_long_and_as_good_and_hold_nothing_of_the_secret() {
        let mut made = StandIns::new([7; 32]);
        for secret in ["falcon", "a b c d", "pässwörd", "短い合言葉", "🦀🦀🦀🦀", "$argon2 or so"]
        {
            let stand_in = made.password(secret);
            assert_eq!(stand_in.len(), secret.len());
            assert_eq!(stand_in.chars().count(), secret.chars().count());
            assert!(stand_in != secret && is_hash(&stand_in) == is_hash(secret), "{stand_in}");
            assert_eq!(stand_in, made.password(secret));
        }
        for name in ["hans", "#hans", "group", "h\u{ad}", "\u{200b}", &"n".repeat(33)] {
            let stand_in = made.name(name, &HashSet::new());
            assert_eq!(Name::new(&stand_in).is_ok(), Name::new(name).is_ok(), "{name:?} {stand_in:?}");
            assert_eq!(stand_in.len(), name.len());
        }
        let accounts: HashSet<String> = ('a'..='m').map(String::from).collect();
        let made_up: HashSet<String> =
            ('n'..='v').map(|name| made.name(&name.to_string(), &accounts)).collect();
        assert_eq!(made_up.len(), 9, "one each: {made_up:?}");
        assert!(made_up.is_disjoint(&accounts));
        let first = Credential::new("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAABBBB");
        let id = first.key_id().unwrap_or_default().into_owned();
        let renewed = Credential::new(&format!("$argon2id$v=19$m=16,t=2,p=1,keyid={id}$b3RoZXI$CCCCDDDD"));
        let again = Credential::new(&format!("$argon2id$m=32,t=2,p=1,keyid={id}$dGhpcmQ$EEEEFFFF"));
        let stand_ins = [&first, &renewed, &again].map(|credential| made.credential(credential));
        for (stand_in, credential) in stand_ins.iter().zip([&first, &renewed, &again]) {
            assert!(stand_in.renews(&stand_ins[0]) && stand_in != credential);
            assert_eq!(stand_in.reveal().len(), credential.reveal().len());
            for part in credential.reveal().split('$').rev().take(2).chain([id.as_str()]) {
                assert!(!stand_in.reveal().contains(part), "{part}");
            }
        }
        assert_eq!(made.credential(&Credential::new("falcon")).reveal(), made.password("falcon"));
    }
}
