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
    pub(crate) account: bool,
    /// Accounts that came or went while the server ran are judged less strictly.
    pub(crate) odd: bool,
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

/// The last login and the last end of a user.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct History {
    pub(crate) login: u64,
    pub(crate) last_login: Option<Time>,
    /// Between which times the last session ended.
    pub(crate) ended: Option<(Time, Time)>,
}

impl Known {
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
