//! Passwords that the server has refused: noted by a salted digest, so that a script that runs again and again does not
//! lock its name.

use std::fs;
use std::io;

use blake2::{Blake2s256, Digest as _};

use super::state_folder;
use crate::shell::replace_file::replace_file;

/// Its file in the state folder.
const FILE: &str = "refused";
const SALT: usize = 16;
/// A root, a server and a user.
type Place<'a> = (&'a std::path::Path, &'a str, &'a str);

/// Whether this password was refused before.
pub(super) fn is_noted((root, server, user): Place<'_>, password: &str) -> bool {
    let Ok(noted) = fs::read(state_folder::path(root, server, user).join(FILE)) else { return false };
    noted.split_at_checked(SALT).is_some_and(|(salt, digest)| digest == digest_of(salt, password))
}

/// Notes that a password was refused.
pub(super) fn note((root, server, user): Place<'_>, password: &str) -> io::Result<()> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(|error| io::Error::other(error.to_string()))?;
    let path = state_folder::make(root, server, user)?.join(FILE);
    replace_file(&path, &[&salt[..], &digest_of(&salt, password)].concat())
}

fn digest_of(salt: &[u8], password: &str) -> [u8; 32] {
    Blake2s256::new().chain_update(salt).chain_update(password).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_again_and_no_other() {
        let root = tempfile::tempdir().expect("a folder");
        let place = (root.path(), "h:1", "hans");
        assert!(!is_noted(place, "falcon"));
        note(place, "falcon").expect("writes");
        assert!(is_noted(place, "falcon") && !is_noted(place, "eagle"));
        note(place, "eagle").expect("writes");
        assert!(is_noted(place, "eagle") && !is_noted(place, "falcon"));
        let file = fs::read(root.path().join("h_1/hans").join(FILE)).expect("is there");
        assert!(!file.windows(6).any(|window| window == b"falcon"));
    }
}
