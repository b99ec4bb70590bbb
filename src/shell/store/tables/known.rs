//! What is kept in memory of the tables.

use super::commands::Commands;
use super::index::Index;
use super::names::Names;

/// Read at start and updated by every transaction.
#[derive(Debug)]
pub(crate) struct Known {
    pub(super) names: Names,
    pub(super) commands: Commands,
    pub(super) index: Index,
}

impl Known {
    /// Keeps the changes of the transaction: it was committed.
    pub(super) fn committed(&mut self) {
        self.names.committed();
        self.commands.committed();
        self.index.committed();
    }

    /// Drops the changes of the transaction: it was rolled back.
    pub(super) fn rolled_back(&mut self) {
        self.names.rolled_back();
        self.commands.rolled_back();
        self.index.rolled_back();
    }
}
