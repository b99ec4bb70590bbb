//! Rare states: what a run must have been through to be worth much. Recognised from the trace alone.

mod count;
mod couriers;
mod door;
mod prices;
mod private;
mod rare;
mod views;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use self::count::Coverage;
use self::couriers::Couriers;
use self::door::Door;
use self::prices::Limits;
use self::private::Links;
pub use self::rare::Rare;
use super::trace::{Seen, SeenVerdict, Told, Trace};
use crate::record::{AfterEnd, Change, Fact, Record, RecordNumber, Restraint, Suspect};
use crate::time::Time;
use crate::wire::{Code, Farewell, Freshness, Notice, Refusal, ServerLine};
use crate::words::{Credential, LinkId, MessageId, Name, Ticket};

/// Messages, and bytes of their texts, that may be under way to a user.
const WINDOW_MESSAGES: usize = 2_048;
const WINDOW_BYTES: usize = 64 << 10;

/// Watches a trace for rare states.
#[derive(Debug, Default)]
pub(crate) struct Watcher {
    pub(crate) coverage: Coverage,
    appended: bool,
    synced: bool,
    now: Time,
    told: Option<Told>,
    began: bool,
    closed: bool,
    locks: BTreeSet<Time>,
    /// Comparisons under way, and whether a name was locked since.
    verifying: BTreeMap<Ticket, bool>,
    live: BTreeMap<LinkId, BTreeSet<MessageId>>,
    stored: BTreeMap<LinkId, BTreeSet<MessageId>>,
    waiting: BTreeMap<(Name, MessageId), Name>,
    online: BTreeSet<Name>,
    accounts: Vec<(Name, Credential)>,
    /// Changes that are with the store.
    changes: BTreeSet<RecordNumber>,
    purged: BTreeSet<Name>,
    /// Links whose clients say no more.
    ended: BTreeSet<LinkId>,
    /// Nobody has come since the server started.
    alone: bool,
    limits: Limits,
    links: Links,
    door: Door,
    couriers: Couriers,
    /// Bytes of texts under way.
    bytes: BTreeMap<LinkId, usize>,
    /// Pages of mail in a row.
    pages: BTreeMap<Name, u32>,
    /// Whose sessions a restart has held.
    held: BTreeSet<Name>,
    /// The link of the last line, if that was of a list of users.
    list: Option<LinkId>,
}

impl Watcher {
    /// Looks at what was seen since the trace was last forgotten.
    pub(crate) fn watch(&mut self, trace: &Trace) {
        for (at, seen) in trace.entries() {
            self.now = *at;
            self.see(seen, trace);
            self.limits.see(seen, trace, &mut self.coverage);
            self.links.see(seen, trace, &mut self.coverage);
            self.door.see(*at, seen, trace, &mut self.coverage);
            self.couriers.see(seen, trace, &mut self.coverage);
        }
    }

    fn see(&mut self, seen: &Seen, trace: &Trace) {
        match seen {
            Seen::Appended => self.appended = true,
            Seen::Synced { .. } => (self.appended, self.synced) = (false, true),
            Seen::ServerGone { crashed, .. } => self.gone(*crashed),
            Seen::Told(told) => self.told(*told, trace),
            Seen::Sent { link, bytes } => {
                for line in super::check::lines(trace.bytes(*bytes)) {
                    if let Ok(line) = ServerLine::parse(line.strip_suffix(b"\r").unwrap_or(line)) {
                        self.line(*link, &line);
                    }
                }
            }
            Seen::Closed { .. } => self.closed = true,
            Seen::LoadAsked(load) => {
                let pages = self.pages.entry(load.user.clone()).or_default();
                *pages = if load.after.number == 0 { 1 } else { *pages + 1 };
                if *pages == 3 {
                    self.coverage.saw(Rare::ThreePages);
                }
            }
            Seen::Paused { .. } => self.coverage.saw(Rare::LinkPaused),
            Seen::VerifyAsked { ticket, .. } => {
                self.verifying.insert(*ticket, false);
                if self.verifying.len() >= 3 {
                    self.coverage.saw(Rare::ParallelGuesses);
                }
                if self.locks.contains(&self.now) {
                    self.coverage.saw(Rare::LockEndsOnAttempt);
                }
            }
            Seen::Persisted { number, record } => self.record(*number, record),
            Seen::Showed { view, .. } => self.view(view),
            Seen::ClientKilled { unnoted: 1.., .. } => self.coverage.saw(Rare::KilledBeforeNote),
            Seen::Stranger { .. } => self.coverage.saw(Rare::StrangerSpoke),
            Seen::ServerStarted { accounts, .. } => {
                self.alone = true;
                self.accounts.clone_from(accounts);
            }
            Seen::FilesChanged { accounts, .. } => self.file_read(accounts),
            Seen::Peer(_)
            | Seen::HashRenewed { .. }
            | Seen::Caller { .. }
            | Seen::Resumed { .. }
            | Seen::HashAsked { .. }
            | Seen::Scheduled { .. }
            | Seen::Differs { .. }
            | Seen::Returned
            | Seen::ClientStarted { .. }
            | Seen::Typed { .. }
            | Seen::Noted { .. }
            | Seen::Folder { .. }
            | Seen::ClientExited { .. }
            | Seen::ClientKilled { .. }
            | Seen::Frozen { .. }
            | Seen::OutputClosed { .. }
            | Seen::ClientScheduled { .. }
            | Seen::OperatorWants { .. }
            | Seen::Acted { .. }
            | Seen::Questioned { .. }
            | Seen::Ordered { .. }
            | Seen::OrderOver { .. }
            | Seen::Healed => {}
        }
    }

    fn gone(&mut self, crashed: bool) {
        if crashed {
            let live = self.live.values().any(|ids| !ids.is_empty());
            let stored = self.stored.values().any(|ids| !ids.is_empty());
            let states = [
                (self.appended, Rare::CrashBeforeSync),
                (self.synced, Rare::CrashBeforeConfirm),
                (live, Rare::CrashBeforeAcknowledgement),
                (stored, Rare::CrashMidDrain),
                (self.alone, Rare::CrashAtStart),
            ];
            for (is, rare) in states {
                if is {
                    self.coverage.saw(rare);
                }
            }
        }
        (self.appended, self.synced) = (false, false);
        self.verifying.clear();
        self.live.clear();
        self.stored.clear();
        self.online.clear();
        self.changes.clear();
        self.purged.clear();
        self.ended.clear();
    }

    fn file_read(&mut self, accounts: &[(Name, Credential)]) {
        let stays = |name: &Name| accounts.iter().any(|(kept, _)| kept == name);
        let gone = self.accounts.iter().map(|(name, _)| name).filter(|name| !stays(name));
        let online = gone.filter(|name| self.online.contains(*name)).count();
        if online > 0 {
            self.coverage.saw(Rare::RemovedWhileOnline);
        }
        self.accounts = accounts.to_vec();
    }

    fn told(&mut self, told: Told, trace: &Trace) {
        self.told = Some(told);
        (self.began, self.closed) = (false, false);
        match told {
            Told::Committed { upto } => {
                self.synced = false;
                self.changes.retain(|change| *change > upto);
            }
            Told::StoreRefused { .. } => {
                self.coverage.saw(Rare::StoreRefused);
                if !core::mem::take(&mut self.changes).is_empty() {
                    self.coverage.saw(Rare::ChangeRefused);
                }
            }
            Told::Verified { ticket, verdict } => {
                let locked_since = self.verifying.remove(&ticket).unwrap_or(false);
                if locked_since && verdict == SeenVerdict::Right {
                    self.coverage.saw(Rare::FailureRacesSuccess);
                }
            }
            Told::Received { link, bytes } => {
                let bytes = trace.bytes(bytes);
                if !bytes.ends_with(b"\n") {
                    self.coverage.saw(Rare::LineSplit);
                }
                if bytes.starts_with(b"ack ") {
                    self.live.remove(&link);
                    self.stored.remove(&link);
                    self.bytes.remove(&link);
                }
                let numbered: Vec<&[u8]> =
                    super::check::lines(bytes).filter(|line| line.starts_with(b"#")).collect();
                if numbered.iter().any(|line| line.starts_with(b"#513 ")) {
                    self.coverage.saw(Rare::NumbersForgotten);
                }
                let number = |line: &[u8]| line.split(|byte| *byte == b' ').next().map(<[u8]>::to_vec);
                if numbered.windows(2).any(|pair| pair[0] != pair[1] && number(pair[0]) == number(pair[1])) {
                    self.coverage.saw(Rare::NumberUsedTwice);
                }
                if bytes.windows(4).any(|part| part == b"\n#1 ") || bytes.starts_with(b"resume ") {
                    self.coverage.saw(Rare::CommandRepeated);
                }
            }
            Told::StreamEnded { link } => {
                self.ended.insert(link);
                self.live.remove(&link);
                self.stored.remove(&link);
            }
            Told::LinkClosed { link } => {
                self.live.remove(&link);
                self.stored.remove(&link);
            }
            Told::LinkOpened { .. } => self.alone = false,
            Told::Flushed { .. }
            | Told::Hashed { .. }
            | Told::MailLoaded { .. }
            | Told::Reloaded
            | Told::HashesRenewed
            | Told::Operator { .. }
            | Told::Obeyed { .. }
            | Told::Turn
            | Told::Stop
            | Told::Restart
            | Told::Tick => {}
        }
    }

    fn line(&mut self, link: LinkId, line: &ServerLine<'_>) {
        if matches!(line, ServerLine::Done { .. } | ServerLine::Failed { .. }) && self.ended.contains(&link) {
            self.coverage.saw(Rare::AnsweredBehindEnd);
        }
        let of_users = matches!(line, ServerLine::Users { .. });
        let list = core::mem::replace(&mut self.list, of_users.then_some(link));
        match line {
            ServerLine::Welcome(_) if matches!(self.told, Some(Told::StoreRefused { .. })) => {
                self.coverage.saw(Rare::LetInUnwritten);
            }
            ServerLine::Message(delivery) | ServerLine::GroupMessage { delivery, .. } => {
                let of = match delivery.freshness {
                    Freshness::Live => &mut self.live,
                    Freshness::Stored => &mut self.stored,
                };
                let ids = of.entry(link).or_default();
                let bytes = self.bytes.entry(link).or_default();
                let before = (ids.len(), *bytes);
                ids.insert(delivery.id);
                *bytes += delivery.text.as_str().len();
                if before.0 < WINDOW_MESSAGES && ids.len() == WINDOW_MESSAGES {
                    self.coverage.saw(Rare::WindowFull);
                }
                if before.1 < WINDOW_BYTES && *bytes >= WINDOW_BYTES {
                    self.coverage.saw(Rare::WindowOfBytesFull);
                }
            }
            ServerLine::Users { .. } if list == Some(link) => self.coverage.saw(Rare::ListOfLines),
            ServerLine::Resumed(admission) => {
                if Name::new(admission.user).is_ok_and(|user| self.held.remove(&user)) {
                    self.coverage.saw(Rare::HeldSession);
                }
                let rare = match (self.began, self.closed) {
                    (_, true) => Rare::ResumeAgainstOldLink,
                    (false, false) if matches!(self.told, Some(Told::Received { .. })) => Rare::ResumeInGrace,
                    (..) => Rare::ResumeAfterRestart,
                };
                self.coverage.saw(rare);
            }
            ServerLine::Failed { code: Code::MailboxFull, .. } => self.coverage.saw(Rare::MailboxAtQuota),
            ServerLine::Failed { code: Code::TooLong, .. } => self.coverage.saw(Rare::LineTooLong),
            ServerLine::Refused(Refusal::Busy) => self.coverage.saw(Rare::HashingBusy),
            ServerLine::Refused(Refusal::Stale) => self.coverage.saw(Rare::StaleToken),
            ServerLine::Refused(Refusal::InvalidInvite) => self.coverage.saw(Rare::InviteRefused),
            ServerLine::Notice(Notice::Idle { .. }) => self.coverage.saw(Rare::IdleNotice),
            ServerLine::Bye(Farewell::Timeout) => self.coverage.saw(Rare::TimedOut),
            ServerLine::Bye(Farewell::Replaced) => self.coverage.saw(Rare::Replaced),
            ServerLine::Bye(Farewell::Kicked) => self.coverage.saw(Rare::Kicked),
            ServerLine::Notice(Notice::Operator { .. }) => self.coverage.saw(Rare::OperatorHeard),
            ServerLine::Bye(Farewell::ServerShutdown) => self.coverage.saw(Rare::StoppedWithSessions),
            ServerLine::Done { answer: crate::wire::Answer::MessageGroup { withheld: true, .. }, .. } => {
                self.coverage.saw(Rare::GroupWithheld);
            }
            _ => {}
        }
    }

    fn record(&mut self, number: RecordNumber, record: &Record) {
        match record {
            Record::Fact(Fact::Failures { locked_until: Some(until), .. }) => {
                self.locks.insert(*until);
                self.verifying.values_mut().for_each(|since| *since = true);
            }
            Record::Fact(Fact::SessionBegan { user, at, .. }) => {
                self.began = true;
                self.online.insert(user.clone());
                self.written(*at);
            }
            Record::Fact(Fact::SessionEnded { user, after, at }) => {
                self.online.remove(user);
                if *after == AfterEnd::Held {
                    self.held.insert(user.clone());
                } else if self.held.remove(user) {
                    self.coverage.saw(Rare::HeldInVain);
                }
                self.written(*at);
            }
            Record::MailStored { to, mail } => {
                self.waiting.insert((to.clone(), mail.id), mail.from.clone());
                match self.told {
                    Some(Told::Tick) => self.coverage.saw(Rare::StoredWhenOverdue),
                    Some(Told::LinkClosed { .. }) => self.coverage.saw(Rare::StoredWithLink),
                    Some(_) | None => {}
                }
            }
            Record::Fact(Fact::MailRemoved { user, ids }) => {
                self.waiting.retain(|(to, id), _| to != user || !ids.contains(id));
            }
            Record::Fact(Fact::MailExpired { user, ids, .. }) => {
                let is_here = self.online.contains(user);
                let over = if is_here { Rare::MailExpiredOnline } else { Rare::MailExpired };
                self.coverage.saw(if ids.is_empty() { Rare::ExpiredTold } else { over });
                self.waiting.retain(|(to, id), _| to != user || !ids.contains(id));
            }
            Record::Fact(Fact::SessionForgotten { .. }) => self.coverage.saw(Rare::SessionForgotten),
            Record::Change(change) => self.change(number, change),
            Record::Fact(Fact::Failures { suspect: Suspect::Unknown(_), count: 0, .. }) => {
                self.coverage.saw(Rare::MadeUpForgotten);
            }
            Record::Fact(Fact::InviteUsed { .. }) => self.coverage.saw(Rare::Invited),
            Record::Fact(Fact::Heard { .. }) => self.coverage.saw(Rare::HeardNoted),
            Record::Fact(Fact::Failures { .. } | Fact::Device { .. } | Fact::Courier { .. })
            | Record::Settled { .. }
            | Record::Sent { .. } => {}
        }
    }

    fn change(&mut self, number: RecordNumber, change: &Change) {
        self.changes.insert(number);
        if matches!(self.told, Some(Told::Committed { .. } | Told::StoreRefused { .. })) {
            self.coverage.saw(Rare::ChangeTookTurns);
        }
        match change {
            Change::Blocked { by, user } => {
                if self.waiting.iter().any(|((to, _), from)| to == by && from == user) {
                    self.coverage.saw(Rare::BlockBetweenAcceptAndDelivery);
                }
            }
            Change::AccountRemoved { name } => {
                if !self.purged.insert(name.clone()) {
                    self.coverage.saw(Rare::PurgeTriedAgain);
                }
            }
            Change::Restrained { how: Restraint::Muted, .. } => self.coverage.saw(Rare::Muted),
            Change::Restrained { .. } => self.coverage.saw(Rare::Banned),
            Change::RangeBanned { .. } => self.coverage.saw(Rare::RangeBanned),
            Change::AnnouncementWithdrawn { .. } => self.coverage.saw(Rare::Withdrawn),
            Change::AccountAdded { .. }
            | Change::Announced { .. }
            | Change::InviteMade { .. }
            | Change::InviteRevoked { .. }
            | Change::Unblocked { .. }
            | Change::GroupSet { .. }
            | Change::GroupRemoved { .. } => {}
        }
    }

    fn written(&mut self, at: Time) {
        if at < self.now && matches!(self.told, Some(Told::Tick)) {
            self.coverage.saw(Rare::WrittenLater);
        }
    }
}
