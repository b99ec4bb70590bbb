//! A disk of a few megabytes, to fill.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use crate::report;

/// A small mounted file system, unmounted when dropped.
pub(crate) struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    /// A disk of one megabyte; `None`, with a line about it, where mounting is not permitted.
    pub(crate) fn mount(needed_by: &str) -> Option<Disk> {
        Disk::of("1m", needed_by)
    }

    /// The same of this size.
    pub(crate) fn of(size: &str, needed_by: &str) -> Option<Disk> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        let options = format!("size={size},mode=700");
        mount.args(["-t", "tmpfs", "-o", &options, "hobnob-test"]).arg(folder.path());
        match mount.output() {
            Ok(output) if output.status.success() => Some(Disk { folder }),
            Ok(_) | Err(_) => {
                report(&format!("skipped: {needed_by}: a small file system cannot be mounted"));
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) {
        let mut filler =
            File::options().create(true).append(true).open(self.path().join("filler")).expect("a file");
        for size in [4096, 1] {
            while let Err(error) = keep_writing(&mut filler, size) {
                if error.kind() == ErrorKind::StorageFull {
                    break;
                }
            }
        }
    }

    /// Leaves this many bytes free, in whole pages.
    pub(crate) fn leave(&self, bytes: u64) {
        self.fill();
        let filler = File::options().write(true).open(self.path().join("filler")).expect("a file");
        let length = filler.metadata().expect("a length").len();
        filler.set_len(length.saturating_sub(bytes)).expect("cut");
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.path().join("filler")).expect("removed");
    }
}

fn keep_writing(filler: &mut File, size: usize) -> std::io::Result<()> {
    let block = vec![b'.'; size];
    loop {
        filler.write_all(&block)?;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
