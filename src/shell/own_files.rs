//! Files in the folders of the programs, which are never reached through a symbolic link: whoever could put one there
//! would choose the file that is read, locked or written.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a file that is no symbolic link.
///
/// # Errors
/// An I/O error; for a link one that says so.
pub fn open_own(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    options.custom_flags(flags).open(path).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => is_a_link(path),
        _ => error,
    })
}

/// Refuses a symbolic link, for a file that a library opens.
///
/// # Errors
/// It is one, or it cannot be looked at.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(is_a_link(path)),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_a_link(path: &Path) -> io::Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    io::Error::other(format!("{name} is a symbolic link, which is not followed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_is_refused_by_name_and_its_target_untouched() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (target, link) = (folder.path().join("target"), folder.path().join("lock"));
        fs::write(&target, "kept")?;
        symlink(&target, &link)?;
        let opened = open_own(OpenOptions::new().write(true).create(true).truncate(true), &link);
        for refused in [opened.map(drop), refuse_link(&link)] {
            let error = refused.expect_err("a link");
            assert_eq!(error.to_string(), "lock is a symbolic link, which is not followed");
        }
        assert_eq!(fs::read(&target)?, b"kept");
        assert!(open_own(OpenOptions::new().read(true), &target).is_ok() && refuse_link(&target).is_ok());
        assert!(refuse_link(&folder.path().join("missing")).is_ok());
        Ok(())
    }
}
