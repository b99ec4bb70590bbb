//! Rare states: what a run must have been through to be worth much. Recognised from the trace alone.

mod count;
mod prices;
mod private;
mod views;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use self::count::Coverage;
use self::prices::Limits;
use self::private::Links;
use super::trace::{Seen, SeenVerdict, Told, Trace};
use crate::record::{Change, Fact, Record, RecordNumber, Suspect};
use crate::time::Time;
use crate::wire::code::spelled;
use crate::wire::{Code, Farewell, Freshness, Refusal, ServerLine};
use crate::words::{Credential, LinkId, MessageId, Name, Ticket};

/// Messages, and bytes of their texts, that may be under way to a user.
const WINDOW_MESSAGES: usize = 2_048;
const WINDOW_BYTES: usize = 64 << 10;

spelled! {
    /// A state that only few runs come to.
    Rare {
        /// The server died with a batch written and not synced.
        CrashBeforeSync = "crash between append and sync",
        /// The server died with a batch synced and not confirmed.
        CrashBeforeConfirm = "crash between sync and confirm",
        /// The server died with a live message out and not acknowledged.
        CrashBeforeAcknowledgement = "crash between delivery and acknowledgement",
        /// The server died with stored mail out and not acknowledged.
        CrashMidDrain = "crash in the middle of stored mail",
        /// The server died in its start, or right after it, before anybody had come.
        CrashAtStart = "crash at the start, and recovered twice",
        /// Somebody came back with a token that was not, or no longer, good.
        StaleToken = "token that is not good any more",
        /// A password came at the very microsecond at which a lock ended.
        LockEndsOnAttempt = "lock ending on the tick of an attempt",
        /// A right password was being compared while the name was locked by another.
        FailureRacesSuccess = "locking failure racing a success",
        /// Three comparisons or more for one name under way, or waiting.
        ParallelGuesses = "three comparisons under way at once",
        /// A block was made while mail of the blocked waited.
        BlockBetweenAcceptAndDelivery = "block between accept and delivery",
        /// A mailbox was full.
        MailboxAtQuota = "mailbox at its quota",
        /// A client resumed while its old link still stood.
        ResumeAgainstOldLink = "resume against a half-open old session",
        /// A client resumed its session after a restart of the server.
        ResumeAfterRestart = "resume after a restart",
        /// A client resumed within the grace.
        ResumeInGrace = "resume within the grace",
        /// The store refused records.
        StoreRefused = "records refused by a full disk",
        /// A record that was refused was written later.
        WrittenLater = "refused record written later",
        /// A message was stored because nobody acknowledged it in time.
        StoredWhenOverdue = "message stored for want of an acknowledgement",
        /// A message was stored because its link was lost.
        StoredWithLink = "message stored because its link was lost",
        /// A client was killed between showing and noting.
        KilledBeforeNote = "client killed between showing and noting",
        /// A message came again and was marked so.
        ShownAgain = "message shown again, and marked",
        /// A result could not be known.
        OutcomeUnknown = "outcome unknown",
        /// A session ended by timeout.
        TimedOut = "session timed out",
        /// A session made way for a new login.
        Replaced = "session replaced by a new login",
        /// The hashing threads were too busy.
        HashingBusy = "login refused as busy",
        /// The server was stopped with sessions open.
        StoppedWithSessions = "server stopped with sessions open",
        /// An account was removed while it had a session.
        RemovedWhileOnline = "account removed while online",
        /// A private link stood.
        PrivateStood = "private link between two clients",
        /// A private link broke.
        PrivateLost = "private link lost",
        /// A stranger spoke to a private port.
        StrangerSpoke = "stranger on a private port",
        /// A line was too long.
        LineTooLong = "line longer than the limit",
        /// A chunk ended within a line.
        LineSplit = "line split over chunks",
        /// A link had to wait unread.
        LinkPaused = "link left unread for a while",
        /// A group message was withheld from a member.
        GroupWithheld = "group message withheld by a block",
        /// A command came again on a new link.
        CommandRepeated = "command repeated on a new link",
        /// A change was refused by the store.
        ChangeRefused = "change refused by a full disk",
        /// A change was decided when the fate of another was known.
        ChangeTookTurns = "change that had to wait for another",
        /// The purge of an account was refused, and tried again.
        PurgeTriedAgain = "purge tried again after a refusal",
        /// Somebody was let in although the store had refused the record of it.
        LetInUnwritten = "login told though its record was refused",
        /// Something was answered on a link whose client said no more.
        AnsweredBehindEnd = "answer behind the end of a stream",
        /// A number was used for two commands.
        NumberUsedTwice = "number used for other words",
        /// A line waited for the next turn of its connection.
        WaitedForTurn = "line that waited for its turn",
        /// A session ended in a turn that its connection had waited for.
        LeftInTurn = "logout that waited for its turn",
        /// A line waited until its user owed less.
        WaitedToPay = "line that waited to be paid for",
        /// A line waited because its user had too many records under way.
        WaitedForDisk = "line that waited for the disk",
        /// A live message waited because too much had not left.
        WaitedForOutput = "message that waited for the output of a connection",
        /// Notices were dropped, and that was told.
        NoticeMissed = "notices missed",
        /// A request for a private link was refused because there were too many.
        TooManyRequests = "request for a private link beyond the limits",
        /// A message was refused because its sender had filled their share of a mailbox.
        ShareOfMailbox = "share of a mailbox filled by one sender",
        /// A message was refused because its sender had filled their share of all mailboxes.
        ShareOfAll = "share of all mailboxes filled by one sender",
        /// As many messages were under way to a user as may be.
        WindowFull = "2,048 messages under way to one user",
        /// As many bytes of messages were under way to a user as may be.
        WindowOfBytesFull = "64 KiB of messages under way to one user",
        /// Somebody was shown three pages of stored mail in a row.
        ThreePages = "three pages of mail in a row",
        /// A login had more commands than the server remembers.
        NumbersForgotten = "more than 512 numbered commands in one login",
        /// A list was too long for a line.
        ListOfLines = "list of several lines",
        /// More made-up names were tried than are remembered.
        MadeUpForgotten = "made-up name forgotten for another",
        /// A client listened at more than one address.
        SeveralListeners = "client with several listeners",
        /// A dial met a machine where nobody listened.
        DialRefused = "dial of another client refused",
        /// A dial met nothing.
        DialUnanswered = "dial of another client unanswered",
        /// Two who agreed did not reach each other.
        Unreachable = "two who agreed, and no way between them",
        /// A client that lets nothing in reached another.
        FromFirewall = "private connection out of a firewall",
        /// A router let a connection in, because its port was mapped.
        ThroughRouter = "private connection into a router",
        /// Two clients of one router reached each other.
        BehindOneRouter = "private connection of two behind one router",
        /// A stranger called with an id that nobody has.
        CalledWithWrongId = "private call with a wrong id",
        /// A stranger called with the id of two others.
        CalledWithOthersId = "private call with the id of others",
        /// A stranger called with a right id in a wrong name, or for somebody else.
        CalledWithWrongName = "private call in a wrong name",
        /// A call came that was said before, for a link that was open by then.
        CalledAgain = "private call said again",
        /// Two connections were nominated for one introduction.
        NominatedTwice = "two nominations for one introduction",
        /// A person by hand had a private link.
        OpenedByHand = "private link with a person by hand",
    }
}

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
    /// Bytes of texts under way.
    bytes: BTreeMap<LinkId, usize>,
    /// Pages of mail in a row.
    pages: BTreeMap<Name, u32>,
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
            | Told::Turn
            | Told::Stop
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
            ServerLine::Resumed(_) => {
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
            ServerLine::Bye(Farewell::Timeout) => self.coverage.saw(Rare::TimedOut),
            ServerLine::Bye(Farewell::Replaced) => self.coverage.saw(Rare::Replaced),
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
            Record::Fact(Fact::SessionEnded { user, at, .. }) => {
                self.online.remove(user);
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
            Record::Change(change) => self.change(number, change),
            Record::Fact(Fact::Failures { suspect: Suspect::Unknown(_), count: 0, .. }) => {
                self.coverage.saw(Rare::MadeUpForgotten);
            }
            Record::Fact(Fact::Failures { .. } | Fact::Device { .. }) | Record::Settled { .. } => {}
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
            Change::AccountAdded { .. }
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
