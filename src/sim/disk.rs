//! A real store in the world: what it is asked, what it answers, and how it is made to fail.
//!
//! `tests/world` plays with the tables of SQLite. The model goes along with it, and each answer, page and
//! recovery must be the model's.

use alloc::string::String;
use alloc::vec::Vec;

use crate::client::{Mark, Recall};
use crate::record::{Mail, Record, RecordNumber, Recovery};
use crate::time::Time;
use crate::words::{Credential, MessageId, Name, Ticket};

/// Something a store is asked, in order.
#[derive(Debug, Clone)]
pub enum Task {
    /// To make a record durable.
    Persist {
        /// Its number.
        number: RecordNumber,
        /// Goes up with each refusal that the server has heard of.
        epoch: u64,
        /// What it says.
        record: Record,
    },
    /// To read a page of mail.
    Load(LoadMail),
}

/// A request for stored mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadMail {
    /// Of the answer.
    pub ticket: Ticket,
    /// Whose mailbox.
    pub user: Name,
    /// Only mail of this sender, if given.
    pub from: Option<Name>,
    /// Only mail with a later id.
    pub after: MessageId,
    /// At most so many messages.
    pub limit: u32,
}

/// What a store answers, in order.
#[derive(Debug)]
pub enum Told {
    /// Records up to this one are durable.
    Committed(RecordNumber),
    /// This record and the later ones of its epoch are not stored.
    Refused(RecordNumber),
    /// A page of mail.
    Loaded {
        /// Of the request.
        ticket: Ticket,
        /// In order of ids.
        mail: Vec<Mail>,
        /// Whether there is more.
        more: bool,
    },
}

/// A note of a client in its state folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note<'a> {
    /// A message is about to be shown.
    Showing(&'a Mark),
    /// So many of those about to be shown, the oldest, were shown.
    Shown(usize),
    /// A command has no result yet.
    Open(u64),
    /// The result of a command is known.
    Settled(u64),
    /// The session has ended in good order.
    Closed,
}

/// The real journals of state folders, by the home of a client and its user.
pub trait Notes: core::fmt::Debug {
    /// A client opens its folder.
    ///
    /// # Errors
    /// Why it cannot.
    fn open(&mut self, key: &(u8, Name)) -> Result<Recall, String>;

    /// A client notes something in the folder that it has open.
    ///
    /// # Errors
    /// Why it cannot.
    fn note(&mut self, key: &(u8, Name), notes: &[Note<'_>]) -> Result<(), String>;

    /// A client closes its folder, or is killed.
    fn close(&mut self, key: &(u8, Name), killed: bool);
}

/// How a batch is made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The work is interrupted after so many steps.
    Interrupt(u32),
    /// The commit fails.
    Commit,
}

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Written {
    /// What the store answered before it failed, if it did.
    pub answers: Vec<Told>,
    /// Why the store has failed; then it is only to be killed.
    pub failed: Option<String>,
    /// It failed at a commit that is durable all the same.
    pub is_kept: bool,
}

/// A store that can be started, used, killed and started again. Nothing happens beside its calls.
pub trait Disk: core::fmt::Debug {
    /// Opens the store, as a start of the server does, and recovers its content. No batch of it is open.
    ///
    /// # Errors
    /// What was wrong, in words.
    fn open(&mut self, now: Time) -> Result<Recovery, String>;

    /// What a start would read now.
    ///
    /// # Errors
    /// What was wrong, in words.
    fn recovery(&mut self) -> Result<Recovery, String>;

    /// Does all tasks, on a disk that is `full` or not.
    fn write(&mut self, tasks: &[Task], now: Time, full: bool, fault: Option<Fault>) -> Written;

    /// The process is gone: what was begun is not finished.
    fn kill(&mut self);

    /// Closes the store in good order.
    ///
    /// # Errors
    /// What was wrong, in words.
    fn close(&mut self) -> Result<(), String>;

    /// The accounts that were added since the last call.
    fn take_accounts(&mut self) -> Vec<(Name, Credential)>;
}
