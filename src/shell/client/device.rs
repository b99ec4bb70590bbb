//! The key of this device: a file below the folder of all state folders.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::shell::own_files::open_own;
use crate::shell::tunnel::between_clients::Device;

/// No server's folder has this name: theirs end in a port.
const FILE: &str = "device-key";
/// More than a key has.
const MOST_BYTES: u64 = 4_096;

/// Reads the key, or makes it. Of several programs that make one at the same time all get the same.
///
/// # Errors
/// An I/O error; a file that holds no key is one, for others know this device by it.
pub(super) fn device(root: &Path) -> io::Result<Device> {
    let path = root.join(FILE);
    let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        known => return known.map_err(about),
    }
    DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(about)?;
    make(root, &path).map_err(about)?;
    read(&path).map_err(about)
}

/// Whether there is a file of that name, whatever it holds.
pub(super) fn is_there(root: &Path) -> bool {
    fs::symlink_metadata(root.join(FILE)).is_ok()
}

fn read(path: &Path) -> io::Result<Device> {
    let mut pkcs8 = Vec::new();
    open_own(OpenOptions::new().read(true), path)?.take(MOST_BYTES).read_to_end(&mut pkcs8)?;
    Device::read(&pkcs8)
}

/// The file appears whole, and the first one stays.
fn make(root: &Path, path: &Path) -> io::Result<()> {
    let number = getrandom::u64().map_err(io::Error::other)?;
    let fresh = root.join(format!(".{FILE}.{number:016x}"));
    let written = (|| {
        let mut file = open_own(OpenOptions::new().write(true).create_new(true).mode(0o600), &fresh)?;
        file.write_all(&Device::generate()?)?;
        file.sync_all()?;
        match fs::hard_link(&fresh, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    })();
    // One that cannot be removed stays; the first error matters more.
    let _ = fs::remove_file(&fresh);
    written?;
    fs::File::open(root)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn it_is_made_once_for_its_owner_only() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let state = root.path().join("state");
        let first = device(&state)?.key();
        assert_eq!(device(&state)?.key(), first);
        assert_ne!(device(root.path())?.key(), first);
        let mode = |path: &Path| fs::metadata(path).map(|found| found.permissions().mode() & 0o777);
        assert_eq!((mode(&state)?, mode(&state.join(FILE))?), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state)?.count(), 1);
        Ok(())
    }

    #[test]
    fn many_who_make_it_at_once_have_the_same() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let made: Vec<_> = std::thread::scope(|scope| {
            let makers: Vec<_> =
                (0..8).map(|_| scope.spawn(|| device(root.path()).map(|device| device.key()))).collect();
            makers.into_iter().map(|maker| maker.join().expect("ends")).collect::<io::Result<_>>()
        })?;
        assert!(made.iter().all(|key| *key == made[0]), "{made:?}");
        Ok(())
    }

    #[test]
    fn what_is_no_key_and_a_link_are_refused_and_left() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::write(root.path().join(FILE), "no key")?;
        assert!(device(root.path()).expect_err("damaged").to_string().contains("device-key"));
        assert_eq!(fs::read(root.path().join(FILE))?, b"no key");
        fs::rename(root.path().join(FILE), root.path().join("target"))?;
        symlink(root.path().join("target"), root.path().join(FILE))?;
        assert!(device(root.path()).is_err());
        Ok(())
    }
}
