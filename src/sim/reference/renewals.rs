//! Which lines of the credentials file hold one password (R55).

use alloc::format;
use alloc::string::{String, ToString};

use base64ct::{Base64Unpadded, Encoding};
use blake2::{Blake2s256, Digest as _};

use super::{Account, Server};
use crate::words::{Credential, Name};

impl Server {
    /// A line was replaced by one that renews it.
    pub(super) fn hash_renewed(&mut self, name: &Name, credential: &Credential) {
        if let Some(returning) = self.purges.get_mut(name) {
            if let Some(line) = returning {
                *line = credential.clone();
            }
        } else if let Some(user) = self.find(name.as_str()) {
            self.at_mut(user).credential = Some(credential.clone());
        }
    }
}

impl Account {
    /// Whether its line is this one, or one renews the other.
    pub(super) fn has(&self, line: &Credential) -> bool {
        self.credential.as_ref().is_some_and(|own| {
            let (own, line) = (own.reveal(), line.reveal());
            own == line || is_hash(own) && is_hash(line) && key_id(own) == key_id(line)
        })
    }
}

fn is_hash(line: &str) -> bool {
    line.starts_with("$argon2")
}

/// `keyid` among the parameters, or what a renewal would have: `$argon2id[$v=VERSION]$PARAMETERS$SALT$HASH`.
fn key_id(line: &str) -> String {
    let parts = line.split('$').skip(2);
    let parameters = parts.skip_while(|part| part.starts_with("v=")).map(|part| format!(",{part}")).next();
    let named = parameters.as_deref().and_then(|parameters| {
        let (_, rest) = parameters.split_once(",keyid=")?;
        rest.split(',').next().map(ToString::to_string)
    });
    let digest = || -> [u8; 32] { Blake2s256::new().chain_update(line).finalize().into() };
    named.unwrap_or_else(|| {
        let mut text = [0; 16];
        Base64Unpadded::encode(&digest()[..8], &mut text).unwrap_or_default().to_string()
    })
}
