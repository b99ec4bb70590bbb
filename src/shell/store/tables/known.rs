//! What the store knows of its tables without reading them.

use super::commands::Commands;
use super::index::Index;
use super::names::Names;

/// Read at start, and kept up by every transaction.
#[derive(Debug)]
pub(crate) struct Known {
    pub(super) names: Names,
    pub(super) commands: Commands,
    pub(super) index: Index,
}

impl Known {
    /// The transaction stands.
    pub(super) fn committed(&mut self) {
        self.names.committed();
        self.commands.committed();
        self.index.committed();
    }

    /// The transaction is undone; so is what was remembered of it.
    pub(super) fn rolled_back(&mut self) {
        self.names.rolled_back();
        self.commands.rolled_back();
        self.index.rolled_back();
    }
}
