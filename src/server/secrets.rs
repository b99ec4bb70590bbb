//! Secrets made from the randomness that links bring along, and digests under the folder's key.

use blake2::{Blake2s256, Digest as _};

use crate::record::Digest;
use crate::words::{Credential, Token};

/// Mixes what comes in and hands out what nobody can foresee who has not seen it all.
#[derive(Clone)]
pub(super) struct Secrets {
    pool: [u8; 32],
    drawn: u64,
    /// Of the data folder; keys the digests.
    key: [u8; 32],
}

impl core::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    pub(super) fn new(key: [u8; 32]) -> Secrets {
        Secrets { pool: key, drawn: 0, key }
    }

    pub(super) fn absorb(&mut self, nonce: &[u8; 32]) {
        self.pool = Blake2s256::new().chain_update(self.pool).chain_update(nonce).finalize().into();
    }

    /// A token that was never handed out before.
    pub(super) fn token(&mut self) -> Token {
        self.drawn += 1;
        let drawn = Blake2s256::new()
            .chain_update(b"token")
            .chain_update(self.pool)
            .chain_update(self.drawn.to_le_bytes())
            .finalize();
        Token(front(&drawn.into()))
    }

    /// The password's form is part of it: who changes a password while the server is down ends the
    /// right to resume as well.
    pub(super) fn token_digest(&self, token: &Token, credential: Option<&Credential>) -> Digest {
        let credential = credential.map_or("", Credential::reveal);
        self.digest(b"resume", &[&token.0, credential.as_bytes()])
    }

    pub(super) fn name_digest(&self, name: &str) -> Digest {
        self.digest(b"name", &[name.as_bytes()])
    }

    /// Only the last part may be of any length.
    fn digest(&self, purpose: &[u8], parts: &[&[u8]]) -> Digest {
        let mut digest = Blake2s256::new()
            .chain_update(self.key)
            .chain_update([u8::try_from(purpose.len()).unwrap_or(u8::MAX)])
            .chain_update(purpose);
        for part in parts {
            digest.update(part);
        }
        Digest(front(&digest.finalize().into()))
    }
}

fn front(bytes: &[u8; 32]) -> [u8; 16] {
    let mut front = [0; 16];
    front.copy_from_slice(&bytes[..16]);
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_depend_on_every_nonce() {
        let mut first = Secrets::new([1; 32]);
        let mut second = first.clone();
        first.absorb(&[2; 32]);
        second.absorb(&[3; 32]);
        let tokens = [first.token(), first.token(), second.token(), second.token()];
        for (at, token) in tokens.iter().enumerate() {
            assert!(tokens[at + 1..].iter().all(|other| other != token));
        }
    }

    #[test]
    fn digests_depend_on_key_and_purpose() {
        let secrets = Secrets::new([1; 32]);
        let token = Token(*b"abcdefghijklmnop");
        let of_token = secrets.token_digest(&token, None);
        assert_ne!(of_token, secrets.name_digest("abcdefghijklmnop"));
        assert_ne!(of_token, Secrets::new([2; 32]).token_digest(&token, None));
    }

    #[test]
    fn another_password_makes_another_digest_of_a_token() {
        let secrets = Secrets::new([1; 32]);
        let token = Token(*b"abcdefghijklmnop");
        let digest = |password| secrets.token_digest(&token, Some(&Credential::new(password)));
        assert_eq!(digest("falcon"), digest("falcon"));
        assert_ne!(digest("falcon"), digest("eagle"));
    }
}
