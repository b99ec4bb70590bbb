//! Replaces a file atomically: readers see the old content or the new one, even after a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of a new file.
const NEW_FILE_MODE: u32 = 0o600;

/// Writes `content` to `path` atomically and durably. Keeps mode and owner; a new file is readable by its
/// owner only. A symbolic link is followed.
///
/// # Errors
/// An I/O error; the old file is untouched then.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(error),
    };
    let fresh = beside(&path)?;
    let replaced = write_like(&path, &fresh, content).and_then(|()| fs::rename(&fresh, &path));
    if let Err(error) = replaced {
        // A file that cannot be removed stays; the first error matters more.
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    File::open(folder_of(&path))?.sync_all()
}

/// The folder of a path.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// An unused name in the same folder.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{:016x}", getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?));
    Ok(folder_of(path).join(hidden))
}

fn write_like(old: &Path, fresh: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(NEW_FILE_MODE).open(fresh)?;
    match fs::metadata(old) {
        Ok(before) => keep_owner_and_mode(&file, &before)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.write_all(content)?;
    file.sync_all()
}

fn keep_owner_and_mode(file: &File, before: &fs::Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        let owner = rustix::fs::Uid::from_raw(before.uid());
        let group = rustix::fs::Gid::from_raw(before.gid());
        rustix::fs::fchown(file, Some(owner), Some(group))?;
    }
    file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> io::Result<u32> {
        Ok(fs::metadata(path)?.mode() & 0o7777)
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_keeps_its_mode() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("credentials.txt");
        replace_file(&path, b"one")?;
        assert_eq!((fs::read(&path)?, mode(&path)?), (b"one".to_vec(), 0o600));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640))?;
        replace_file(&path, b"two")?;
        assert_eq!((fs::read(&path)?, mode(&path)?), (b"two".to_vec(), 0o640));
        assert_eq!(fs::read_dir(folder.path())?.count(), 1, "nothing is left behind");
        Ok(())
    }

    #[test]
    fn readers_of_the_old_file_keep_it() -> io::Result<()> {
        use std::io::Read;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        fs::write(&path, b"old")?;
        let mut reader = File::open(&path)?;
        replace_file(&path, b"new")?;
        let mut seen = String::new();
        reader.read_to_string(&mut seen)?;
        assert_eq!(seen, "old");
        Ok(())
    }

    #[test]
    fn a_link_stays_a_link() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, b"old")?;
        std::os::unix::fs::symlink(&target, &link)?;
        replace_file(&link, b"new")?;
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        assert_eq!(fs::read(&target)?, b"new");
        Ok(())
    }

    #[test]
    fn a_failure_leaves_the_old_file_alone() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("sub");
        fs::create_dir(&path)?;
        assert!(replace_file(&path, b"x").is_err(), "a folder cannot be replaced");
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        assert!(replace_file(&folder.path().join("missing/file"), b"x").is_err());
        Ok(())
    }
}
