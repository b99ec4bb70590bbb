//! Private files and durable names.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Creates an empty file that only its owner can read. Fails if it exists.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The umask may have removed bits that the owner needs.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Syncs a folder, which makes the names in it durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
