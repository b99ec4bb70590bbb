//! What the reference knows of one name.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use super::model::{Ending, User};
use crate::record::RecordNumber;
use crate::time::Time;
use crate::words::{LinkId, MessageId};

/// What is known of one name.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) account: Account,
    /// The account came or went since the world began: what was counted for the name, or sent to it, may have
    /// been for another.
    pub(crate) strange: bool,
    /// A login was decided and came to nothing: whether its history has it is not judged.
    pub(crate) blurred: bool,
    pub(crate) session: Option<SessionSeen>,
    /// A login that waits for its record.
    pub(crate) coming: Option<Coming>,
    /// The number of the last login decided, and of the last that somebody was told.
    pub(crate) login: u64,
    pub(crate) told_login: u64,
    /// Commands that came, by login and number.
    pub(crate) numbers: BTreeMap<(u64, u64), Asked>,
    /// What those that changed something came to.
    pub(crate) answers: BTreeMap<(u64, u64), Ending>,
    /// The same, as far as it is on the disk.
    pub(crate) settled: BTreeMap<(u64, u64), Ending>,
    /// The last number up to which its client has said that it has all answers, with its login.
    pub(crate) answered: (u64, u64),
    /// The history, and that part of it which is on the disk.
    pub(crate) history: History,
    pub(crate) written: History,
    pub(crate) blocks: BTreeSet<User>,
    pub(crate) mailbox: BTreeMap<MessageId, Stored>,
    /// Ids that its clients have acknowledged.
    pub(crate) acknowledged: BTreeSet<MessageId>,
}

/// Whether there is an account of a name.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Account {
    #[default]
    Absent,
    Here,
    /// It is gone from the credentials file, and not purged.
    Leaving,
    /// So it is, and is in the file again.
    Returning,
}

/// The last login and the last end of a user.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct History {
    pub(crate) login: u64,
    pub(crate) last_login: Option<Time>,
    /// Between which times the last session ended.
    pub(crate) ended: Option<(Time, Time)>,
}

impl Known {
    /// Whether anybody may name it, or log in.
    pub(crate) fn is_account(&self) -> bool {
        self.account == Account::Here
    }

    /// Whether it is to be purged: until then it is judged less strictly.
    pub(crate) fn is_odd(&self) -> bool {
        matches!(self.account, Account::Leaving | Account::Returning)
    }

    fn set_account(&mut self, account: Account) {
        self.strange |= account != self.account;
        self.account = account;
    }

    /// The credentials file is read again.
    pub(crate) fn file_read(&mut self, is_in: bool) {
        self.set_account(match (self.account, is_in) {
            (Account::Absent | Account::Here, true) => Account::Here,
            (Account::Leaving | Account::Returning, true) => Account::Returning,
            (Account::Absent, false) => Account::Absent,
            (Account::Here | Account::Leaving | Account::Returning, false) => Account::Leaving,
        });
    }

    /// The world begins.
    pub(crate) fn begins(&mut self, is_in: bool) {
        self.account = if is_in { Account::Here } else { Account::Absent };
    }

    /// A server starts: who is in the file has an account, and who is remembered and not in it is purged.
    pub(crate) fn started(&mut self, is_in: bool, is_remembered: bool) {
        self.set_account(match (is_in, is_remembered) {
            (true, _) => Account::Here,
            (false, true) => Account::Leaving,
            (false, false) => Account::Absent,
        });
    }

    /// An account was registered, and is in the file again if it had gone.
    pub(crate) fn registered(&mut self) {
        self.file_read(true);
    }

    /// What there was of the account is purged.
    pub(crate) fn purged(&mut self) {
        self.set_account(match self.account {
            Account::Here | Account::Returning => Account::Here,
            Account::Absent | Account::Leaving => Account::Absent,
        });
    }

    /// The process is gone: what is not on the disk never was, and what is open on it ended by now.
    pub(super) fn server_gone(&mut self, now: Time) {
        self.session = None;
        self.coming = None;
        for asked in self.numbers.values_mut() {
            *asked = Asked { words: core::mem::take(&mut asked.words), ..Asked::default() };
        }
        self.answers = self.settled.clone();
        let open_since = self
            .written
            .last_login
            .filter(|login| self.written.ended.is_none_or(|(ended, _)| ended < *login));
        if let Some(login) = open_since {
            self.written.ended = Some((login, now));
        }
        self.history = self.written;
        self.login = self.written.login;
    }
}

/// A session as seen from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionSeen {
    pub(crate) link: Option<LinkId>,
    /// When its link was lost.
    pub(crate) lost_at: Option<Time>,
    /// The server closed its link and went on with it: it moves to another.
    pub(crate) moving: bool,
    /// The last sign of activity, at least and at most.
    pub(crate) active: (Time, Time),
    /// What its link must be told of others, in order; `true`: may be left out.
    pub(crate) presence: VecDeque<(User, bool, bool)>,
    pub(crate) logout_asked: bool,
}

/// A login that was decided, and shows nowhere until its link is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coming {
    pub(crate) link: LinkId,
    pub(crate) record: RecordNumber,
    pub(crate) at: Time,
}

/// A stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) from: User,
    pub(crate) bytes: u64,
    pub(crate) text: u32,
}

/// A command that came with a number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// How often it has come and was not answered.
    pub(crate) waits: u32,
    /// Its words, encoded.
    pub(crate) words: Vec<u8>,
    /// On which link it came first, and its place then among the lines of all users.
    pub(crate) link: Option<LinkId>,
    pub(crate) order: u64,
    /// An answer to it has left: its number is used for certain.
    pub(crate) answered: bool,
}
