//! The password of an account as the credentials file has it.

use alloc::borrow::Cow;
use alloc::borrow::ToOwned;
use alloc::sync::Arc;
use core::fmt;

use base64ct::{Base64Unpadded, Encoding};
use blake2::{Blake2s256, Digest as _};

use super::Password;

/// Bytes of a `keyid`: as many as argon2 allows.
const KEY_ID_BYTES: usize = 8;
/// Their length in base64, without padding.
const KEY_ID_CHARS: usize = 11;

/// The password of an account, plain or as an argon2id PHC string. It is overwritten when its last copy is dropped.
/// `Debug` never prints it. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Arc<Password>);

impl Credential {
    /// Takes the part of a credentials line after the name.
    #[must_use]
    pub fn new(credential: &str) -> Credential {
        Credential(Arc::new(Password::new(credential)))
    }

    /// The credential, for whatever compares or writes it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// Whether it is a hash, and not a plain password.
    #[must_use]
    pub fn is_hash(&self) -> bool {
        is_hash(self.reveal())
    }

    /// What a hash has in common with its renewals, in base64: its `keyid`, or a digest of it if it has none (R55 of
    /// PROTOCOL.md). `None` for a plain password.
    #[must_use]
    pub fn key_id(&self) -> Option<Cow<'_, str>> {
        if !self.is_hash() {
            return None;
        }
        let line = self.reveal();
        // After the algorithm comes the version, which may be missing, and then the parameters.
        let parameters = line.splitn(5, '$').skip(2).take(2).flat_map(|part| part.split(','));
        let named = parameters.filter_map(|parameter| parameter.strip_prefix("keyid=")).next();
        if let Some(named) = named {
            return Some(Cow::Borrowed(named));
        }
        let digest = Blake2s256::digest(line);
        let mut encoded = [0; KEY_ID_CHARS];
        let front = digest.get(..KEY_ID_BYTES)?;
        Base64Unpadded::encode(front, &mut encoded).ok().map(|id| Cow::Owned(id.to_owned()))
    }

    /// Whether one is the other, or renews its hash: a password that is right for one is right for both.
    #[must_use]
    pub fn renews(&self, other: &Credential) -> bool {
        self == other || self.key_id().is_some_and(|id| other.key_id() == Some(id))
    }
}

/// Whether the part of a credentials line after the name is to be read as a hash.
#[must_use]
pub fn is_hash(credential: &str) -> bool {
    credential.starts_with("$argon2")
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn hashes_that_renew_one_another_have_one_key_id() {
        let first = Credential::new("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA");
        let id = first.key_id().expect("the key id of a hash");
        assert_eq!(id.len(), KEY_ID_CHARS);
        let renewed = Credential::new(&format!("$argon2id$v=19$m=16,t=2,p=1,keyid={id}$b3RoZXI$BBBB"));
        let again = Credential::new(&format!("$argon2id$m=32,t=2,p=1,keyid={id}$dGhpcmQ$CCCC"));
        let elsewhere = Credential::new("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAB");
        for renewal in [&first, &renewed, &again] {
            assert_eq!(renewal.key_id().as_deref(), Some(&*id));
            assert!(renewal.renews(&first) && first.renews(renewal) && renewal.renews(&again));
            assert!(!renewal.renews(&elsewhere) && !elsewhere.renews(renewal));
        }
    }

    #[test]
    fn a_plain_password_renews_itself_alone() {
        let [plain, other, sly] = ["falcon", "eagle", "$m=8,keyid=AAAA$"].map(Credential::new);
        assert!(plain.key_id().is_none() && sly.key_id().is_none());
        assert!(plain.renews(&plain) && !plain.renews(&other) && !other.renews(&plain));
        // Salt and hash are no parameters.
        let salted = Credential::new("$argon2id$v=19$m=8$keyid=AAAA$BBBB");
        assert_ne!(salted.key_id().as_deref(), Some("AAAA"));
    }
}
