//! The lock on a folder that one program at a time works in.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The file that is locked.
pub const LOCK: &str = "lock";

/// A folder that nobody else works in, until this is dropped or the process is gone, however it dies.
#[derive(Debug)]
pub struct FolderLock(File);

impl FolderLock {
    /// Locks a folder; `None` if another holds it. The file stays when the lock goes: removing it would let
    /// two programs lock two files of one name.
    ///
    /// # Errors
    /// What the system says of the file or of locks.
    pub fn take(folder: &Path) -> io::Result<Option<FolderLock>> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(FolderLock(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A process that is just being started has all our files, and this lock, until it becomes another
        // program: it must not keep it.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_done_leaves_no_lock_to_those_who_share_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let take = || FolderLock::take(folder.path()).expect("a lock file");
        let held = take().expect("nobody holds it");
        assert!(take().is_none());
        let shared = held.0.try_clone().expect("another handle");
        drop(held);
        assert!(take().is_some());
        drop(shared);
    }
}
