//! The keys that servers are known by: one file for each server, below the folder of all state folders.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::state_folder::file_name;
use crate::shell::own_files::{open_own, refuse_link};
use crate::shell::replace_file::replace_file;
use crate::words::Fingerprint;

/// The folder of the pins. No server has a folder of this name: theirs end in a port.
const PINS: &str = "pins";

/// The pins below the folder of all state folders.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pins<'a>(pub(super) &'a Path);

impl Pins<'_> {
    /// The key that a server (`HOST:PORT`) is known by, if it is known.
    ///
    /// # Errors
    /// An I/O error. A file that holds no key is one: whoever has damaged it may be the one who answers.
    pub(super) fn of(self, server: &str) -> io::Result<Option<Fingerprint>> {
        if !self.0.is_dir() {
            return Ok(None);
        }
        let folder = self.0.join(PINS);
        refuse_link(&folder).map_err(|error| about(&folder, &error))?;
        let path = self.file(server);
        let mut word = String::new();
        match open_own(OpenOptions::new().read(true), &path)
            .and_then(|mut file| file.read_to_string(&mut word))
        {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(about(&path, &error)),
            Ok(_) => word.trim_end().parse().map(Some).map_err(|error| about(&path, &error)),
        }
    }

    /// Keeps the key of a server, instead of the one before.
    ///
    /// # Errors
    /// An I/O error; the one before is still kept then.
    pub(super) fn keep(self, server: &str, key: Fingerprint) -> io::Result<()> {
        let folder = self.0.join(PINS);
        refuse_link(&folder).map_err(|error| about(&folder, &error))?;
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| about(&folder, &error))?;
        let path = self.file(server);
        refuse_link(&path).map_err(|error| about(&path, &error))?;
        replace_file(&path, format!("{key}\n").as_bytes()).map_err(|error| about(&path, &error))
    }

    fn file(self, server: &str) -> PathBuf {
        self.0.join(PINS).join(file_name(server))
    }
}

fn about(path: &Path, error: &dyn std::error::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const A: Fingerprint = Fingerprint([1; 32]);
    const B: Fingerprint = Fingerprint([2; 32]);

    #[test]
    fn a_key_is_kept_for_its_server_and_its_owner_only() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let state = root.path().join("state");
        let pins = Pins(&state);
        assert_eq!(pins.of("h:1")?, None);
        pins.keep("h:1", A)?;
        pins.keep("H:1", B)?;
        assert_eq!((pins.of("h:1")?, pins.of("H:1")?, pins.of("h:2")?), (Some(A), Some(B), None));
        pins.keep("h:1", B)?;
        assert_eq!(pins.of("h:1")?, Some(B));
        let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
        assert_eq!((mode(&state.join(PINS))?, mode(&pins.file("h:1"))?), (0o700, 0o600));
        Ok(())
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_none() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let pins = Pins(root.path());
        pins.keep("h:1", A)?;
        for damaged in ["", "SHA256:x", "\n"] {
            fs::write(pins.file("h:1"), damaged)?;
            let error = pins.of("h:1").expect_err("damaged").to_string();
            assert!(error.contains("pins/h_1"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn links_are_refused() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let (pins, target) = (Pins(root.path()), root.path().join("target"));
        pins.keep("h:1", A)?;
        fs::rename(pins.file("h:1"), &target)?;
        symlink(&target, pins.file("h:1"))?;
        assert!(pins.of("h:1").is_err() && pins.keep("h:1", B).is_err());
        assert_eq!(fs::read_to_string(&target)?, format!("{A}\n"));
        fs::rename(root.path().join(PINS), root.path().join("elsewhere"))?;
        symlink(root.path().join("elsewhere"), root.path().join(PINS))?;
        assert!(pins.of("h:2").is_err() && pins.keep("h:2", B).is_err());
        Ok(())
    }
}
