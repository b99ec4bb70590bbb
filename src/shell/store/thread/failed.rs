//! The failure of the store.

use std::path::Path;

use crate::shell::store::disk::Trouble;

/// A failure that ends the store, as a line for the operator.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

impl Failed {
    pub(crate) fn by_panic() -> Failed {
        Failed("the store's thread panicked".to_owned())
    }

    pub(super) fn new(file: &Path, trouble: &Trouble) -> Failed {
        Failed(format!("the store {} failed and has stopped: {trouble}", file.display()))
    }
}
