//! Starts: recovering twice is the same as recovering once.

use alloc::vec::Vec;

use super::{Check, Verdict, rule};
use crate::record::{Record, RecordNumber};
use crate::words::Name;

/// What the lives of a server decided at their start.
#[derive(Debug, Default)]
pub(super) struct Starts {
    accounts: Vec<Name>,
    /// The server is making its first call.
    is_starting: bool,
    /// What the start decided.
    decided: Vec<RecordNumber>,
    /// Something was decided after the start.
    went_on: bool,
    /// The life before did nothing but start, and that is durable.
    is_repeated: bool,
}

impl Starts {
    pub(super) fn begin(&mut self, accounts: &[Name]) {
        self.is_repeated &= self.accounts == accounts;
        self.accounts = accounts.to_vec();
        (self.is_starting, self.went_on) = (true, false);
        self.decided.clear();
    }

    pub(super) const fn returned(&mut self) {
        self.is_starting = false;
    }

    pub(super) fn server_gone(&mut self, survived: RecordNumber) {
        self.is_repeated = !self.went_on && self.decided.iter().all(|record| *record <= survived);
    }
}

impl Check {
    /// What a start has decided, and made durable, the next one need not decide again.
    pub(super) fn starts_once(&mut self, number: RecordNumber, record: &Record) -> Verdict {
        if !self.starts.is_starting {
            self.starts.went_on = true;
            return Ok(());
        }
        rule!(self, !self.starts.is_repeated, "recovering twice equals once", "{record:?} again");
        self.starts.decided.push(number);
        Ok(())
    }
}
