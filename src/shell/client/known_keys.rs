//! The keys of other users' devices, in the state folder: a line each, the last one of a key holds.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::client::KnownKey;
use crate::shell::own_files::{open_own, refuse_link};
use crate::shell::replace_file::replace_file;

const FILE: &str = "keys";
/// Lines are gathered when there are so many more than keys.
const EXCESS: usize = 256;

/// The file, open for further lines.
#[derive(Debug)]
pub(super) struct KnownKeys(File);

impl KnownKeys {
    /// Reads what is known, and opens the file for more.
    ///
    /// # Errors
    /// An I/O error. A line that cannot be read is one: without it another key of the same user would be taken for
    /// their first. Only one without its end is none: nobody was told that it was kept.
    pub(super) fn open(folder: &Path) -> io::Result<(KnownKeys, Vec<KnownKey>)> {
        let path = folder.join(FILE);
        let mut text = String::new();
        match open_own(OpenOptions::new().read(true), &path) {
            Ok(mut file) => drop(file.read_to_string(&mut text)?),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
        let noted: Option<Vec<KnownKey>> = whole.lines().map(read).collect();
        let noted =
            noted.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "keys: a line that is no key"))?;
        let lines = noted.len();
        let known = last_ones(noted);
        if lines > known.len() + EXCESS || text.len() > whole.len() + usize::from(lines > 0) {
            refuse_link(&path)?;
            replace_file(&path, known.iter().map(line).collect::<String>().as_bytes())?;
        }
        let file = open_own(OpenOptions::new().append(true).create(true).mode(0o600), &path)?;
        Ok((KnownKeys(file), known))
    }

    /// Adds a key, or what is known of one.
    ///
    /// # Errors
    /// An I/O error.
    pub(super) fn keep(&mut self, known: &KnownKey) -> io::Result<()> {
        self.0.write_all(line(known).as_bytes())?;
        self.0.sync_data()
    }
}

/// Of each key the last line, in the order of the first ones.
fn last_ones(noted: Vec<KnownKey>) -> Vec<KnownKey> {
    let mut known: Vec<KnownKey> = Vec::new();
    for noted in noted {
        match known.iter_mut().find(|known| known.key == noted.key && known.user == noted.user) {
            Some(known) => *known = noted,
            None => known.push(noted),
        }
    }
    known
}

fn line(known: &KnownKey) -> String {
    let KnownKey { user, key, is_verified } = known;
    format!("{user} {key} {}\n", if *is_verified { "verified" } else { "seen" })
}

fn read(line: &str) -> Option<KnownKey> {
    let mut words = line.split(' ');
    let (user, key, trust) = (words.next()?, words.next()?, words.next()?);
    let is_verified = match trust {
        "seen" => false,
        "verified" => true,
        _ => return None,
    };
    let key = key.parse().ok()?;
    words.next().is_none().then(|| KnownKey { user: user.to_owned(), key, is_verified })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::DeviceKey;
    use std::fs;

    fn known(user: &str, key: u8, is_verified: bool) -> KnownKey {
        KnownKey { user: user.into(), key: DeviceKey([key; 32]), is_verified }
    }

    #[test]
    fn what_was_kept_is_read_again_and_the_last_line_holds() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (mut keys, none) = KnownKeys::open(folder.path())?;
        assert!(none.is_empty());
        for known in [
            known("hans", 1, false),
            known("luke", 1, false),
            known("hans", 1, true),
            known("hans", 2, false),
        ] {
            keys.keep(&known)?;
        }
        let (_, read) = KnownKeys::open(folder.path())?;
        assert_eq!(read, [known("hans", 1, true), known("luke", 1, false), known("hans", 2, false)]);
        Ok(())
    }

    #[test]
    fn a_torn_last_line_goes_and_any_other_is_an_error() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(FILE);
        KnownKeys::open(folder.path())?.0.keep(&known("hans", 1, false))?;
        let whole = fs::read_to_string(&path)?;
        fs::write(&path, format!("{whole}luke ed25519:AA"))?;
        let (mut keys, read) = KnownKeys::open(folder.path())?;
        assert_eq!(read, [known("hans", 1, false)]);
        keys.keep(&known("yoda", 3, false))?;
        assert_eq!(KnownKeys::open(folder.path())?.1.len(), 2);
        fs::write(&path, format!("luke ed25519:AA seen\n{whole}"))?;
        assert!(KnownKeys::open(folder.path()).is_err());
        Ok(())
    }

    #[test]
    fn many_lines_about_few_keys_are_gathered() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let lines = line(&known("hans", 1, false)).repeat(EXCESS + 2);
        fs::write(folder.path().join(FILE), lines)?;
        drop(KnownKeys::open(folder.path())?);
        assert_eq!(fs::read_to_string(folder.path().join(FILE))?, line(&known("hans", 1, false)));
        Ok(())
    }
}
