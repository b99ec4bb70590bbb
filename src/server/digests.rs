//! The digests that records hold in the place of secrets, for whoever makes a recording or replays one: which secret a
//! record of an earlier start stands for, and what stands for it under another secret of the folder.

use alloc::vec::Vec;

use super::papers::Secrets;
use crate::record::{Digest, WordsDigest};
use crate::wire::Command;
use crate::words::{Credential, Token};

/// Makes them as the server of this folder does.
#[derive(Debug, Clone)]
pub struct Digests(Secrets);

impl Digests {
    /// Those of the data folder with this secret.
    #[must_use]
    pub fn of_folder(secret: [u8; 32]) -> Digests {
        Digests(Secrets::new(secret, 0))
    }

    /// Of what resumes a session: the one that is kept, and the one that earlier versions kept.
    #[must_use]
    pub fn resume(&self, token: &Token, credential: &Credential) -> [Digest; 2] {
        self.0.token_digests(token, credential)
    }

    /// The same of the cookie of a device.
    #[must_use]
    pub fn device(&self, cookie: &Token, credential: &Credential) -> [Digest; 2] {
        self.0.device_digests(cookie, credential)
    }

    /// The same of a courier's token.
    #[must_use]
    pub fn courier(&self, token: &Token, credential: &Credential) -> [Digest; 2] {
        self.0.courier_digests(token, credential)
    }

    /// Of the code of an invite.
    #[must_use]
    pub fn invite(&self, code: &Token) -> Digest {
        self.0.invite_digest(code)
    }

    /// Of a name without an account.
    #[must_use]
    pub fn name(&self, name: &str) -> Digest {
        self.0.name_digest(name)
    }

    /// Of the words of a command.
    #[must_use]
    pub fn words(&self, command: &Command<'_>) -> WordsDigest {
        let mut encoded = Vec::new();
        command.encode(&mut encoded);
        self.0.words_digest(&encoded)
    }
}
