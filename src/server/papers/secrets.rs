//! Secrets made from the randomness that links bring along, and digests under the folder's key.

use blake2::{Blake2s256, Digest as _};
use siphasher::sip::SipHasher24;

use crate::planted::{self, Planted};
use crate::record::{Digest, WordsDigest};
use crate::words::{Credential, Token};

/// Mixes what comes in and hands out what nobody can foresee who has not seen it all.
#[derive(Clone)]
pub(in crate::server) struct Secrets {
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
    /// The pool begins with the number of the boot, so that two boots differ even if the system repeats its
    /// random numbers.
    pub(in crate::server) fn new(key: [u8; 32], boot: u32) -> Secrets {
        let pool = Blake2s256::new()
            .chain_update(b"boot")
            .chain_update(key)
            .chain_update(boot.to_le_bytes())
            .finalize();
        Secrets { pool: pool.into(), drawn: 0, key }
    }

    pub(in crate::server) fn absorb(&mut self, nonce: &[u8; 32]) {
        self.pool = Blake2s256::new().chain_update(self.pool).chain_update(nonce).finalize().into();
    }

    /// A token that was never handed out before.
    pub(in crate::server) fn token(&mut self) -> Token {
        self.drawn += 1;
        let drawn = Blake2s256::new()
            .chain_update(b"token")
            .chain_update(self.pool)
            .chain_update(self.drawn.to_le_bytes())
            .finalize();
        Token(front(&drawn.into()))
    }

    /// The digest that is kept of a token, and the one that earlier versions kept. They hold the credential as well: a
    /// changed one ends the right to resume, also if it was changed while the server was down. Of a hash they hold
    /// what it has in common with its renewals; those of earlier versions held it whole. The hash of a plain password
    /// is another credential: what it was made of nobody can tell here.
    pub(in crate::server) fn token_digests(&self, token: &Token, credential: &Credential) -> [Digest; 2] {
        self.digests([b"resume", b"resume by key"], token, credential)
    }

    /// The same of the cookie of a device.
    pub(in crate::server) fn device_digests(&self, cookie: &Token, credential: &Credential) -> [Digest; 2] {
        self.digests([b"device", b"device by key"], cookie, credential)
    }

    /// The same of a courier's token.
    pub(in crate::server) fn courier_digests(&self, token: &Token, credential: &Credential) -> [Digest; 2] {
        self.digests([b"courier", b"courier by key"], token, credential)
    }

    fn digests(&self, [whole, by_key]: [&[u8]; 2], token: &Token, credential: &Credential) -> [Digest; 2] {
        let outlives = planted::is(Planted::TokenOutlivesPassword) && whole == b"resume";
        let line = if outlives { "" } else { credential.reveal() };
        let of_line = self.digest(whole, &token.0, line);
        match credential.key_id() {
            Some(_) if planted::is(Planted::RenewalEndsTokens) => [of_line; 2],
            Some(id) if !outlives => [self.digest(by_key, &token.0, &id), of_line],
            Some(_) | None => [of_line; 2],
        }
    }

    pub(in crate::server) fn name_digest(&self, name: &str) -> Digest {
        self.digest(b"name", &[], name)
    }

    /// The digest that is kept of an invite's code.
    pub(in crate::server) fn invite_digest(&self, code: &Token) -> Digest {
        self.digest(b"invite", &code.0, "")
    }

    /// Tells the words of a command from others; the key makes it the same after a restart.
    pub(in crate::server) fn words_digest(&self, command: &[u8]) -> WordsDigest {
        WordsDigest(SipHasher24::new_with_key(&front(&self.key)).hash(command))
    }

    /// `fixed` has one length for each purpose, so that no two inputs run together.
    fn digest(&self, purpose: &[u8], fixed: &[u8], secret: &str) -> Digest {
        let digest = Blake2s256::new()
            .chain_update(self.key)
            .chain_update([u8::try_from(purpose.len()).unwrap_or(u8::MAX)])
            .chain_update(purpose)
            .chain_update(fixed)
            .chain_update(secret)
            .finalize();
        Digest(front(&digest.into()))
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
        let mut first = Secrets::new([1; 32], 1);
        let mut second = first.clone();
        first.absorb(&[2; 32]);
        second.absorb(&[3; 32]);
        let tokens = [first.token(), first.token(), second.token(), second.token()];
        for (at, token) in tokens.iter().enumerate() {
            assert!(tokens[at + 1..].iter().all(|other| other != token));
        }
    }

    #[test]
    fn two_boots_with_equal_nonces_hand_out_different_tokens() {
        let tokens = [1, 2].map(|boot| {
            let mut secrets = Secrets::new([1; 32], boot);
            secrets.absorb(&[2; 32]);
            secrets.token()
        });
        assert_ne!(tokens[0], tokens[1]);
    }

    #[test]
    fn digests_depend_on_key_purpose_and_credential() {
        let secrets = Secrets::new([1; 32], 1);
        let token = Token(*b"abcdefghijklmnop");
        let [old, new] = ["falcon", "eagle"].map(Credential::new);
        let digest = |secrets: &Secrets, credential| secrets.token_digests(&token, credential)[0];
        assert_ne!(digest(&secrets, &old), secrets.name_digest("abcdefghijklmnopfalcon"));
        assert_ne!(digest(&secrets, &old), digest(&Secrets::new([2; 32], 1), &old));
        assert_ne!(digest(&secrets, &old), digest(&secrets, &new));
        assert_eq!(digest(&secrets, &old), digest(&secrets, &old));
        assert_ne!(digest(&secrets, &old), secrets.device_digests(&token, &old)[0]);
    }

    #[test]
    fn renewals_keep_the_digest_and_those_of_earlier_versions_hold_with_their_own_line() {
        let secrets = Secrets::new([1; 32], 1);
        let token = Token(*b"abcdefghijklmnop");
        let hash = Credential::new("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA");
        let id = hash.key_id().unwrap();
        let renewed = Credential::new(&alloc::format!("$argon2id$v=19$m=16,t=1,p=1,keyid={id}$YQ$BBBB"));
        let [kept, earlier] = secrets.token_digests(&token, &hash);
        assert_eq!(earlier, secrets.digest(b"resume", &token.0, hash.reveal()));
        assert_eq!(secrets.token_digests(&token, &renewed)[0], kept);
        assert!(!secrets.token_digests(&token, &renewed).contains(&earlier));
        let plain = Credential::new("falcon");
        assert_eq!(secrets.token_digests(&token, &plain), [secrets.digest(b"resume", &token.0, "falcon"); 2]);
    }
}
