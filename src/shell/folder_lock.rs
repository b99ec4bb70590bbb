//! A lock on a folder that one program at a time may use.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::own_files::open_own;

/// The file that is locked.
pub const LOCK: &str = "lock";

/// An exclusive lock on a folder. Released when this is dropped or the process ends in any way.
#[derive(Debug)]
pub struct FolderLock(File);

impl FolderLock {
    /// Locks a folder; `None` if another program holds the lock. The file is never removed: otherwise two
    /// programs could lock two files of the same name.
    ///
    /// # Errors
    /// An I/O error of the file or the lock.
    pub fn take(folder: &Path) -> io::Result<Option<FolderLock>> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = open_own(options, &folder.join(LOCK))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(FolderLock(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // A child process holds copies of all our files, and so the lock, until it executes its program.
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
