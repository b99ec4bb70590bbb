//! The server as a state machine: events in, effects out.
//!
//! [`ServerState::handle`] is all there is. It reads no clock, draws no random number, and does no
//! input or output: time and randomness come in with events, and what must be done goes out as
//! effects.
//!
//! This file dispatches. The rooms are `door` (connections, logins, sessions, commands), `post` (messages and
//! mailboxes), `people` (blocks, groups, presence, introductions), `papers` (records on their way, the lane of
//! changes) and `out` (output); each shows at its door what the others may use, and each but `papers` and
//! `out` uses only those after it. Beside this file are what all of them share.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]
#![forbid(unsafe_code)]

mod accounts;
pub mod acts;
mod announcements;
mod answers;
mod apply;
pub mod credentials_file;
mod deadlines;
pub mod digests;
mod door;
#[cfg(feature = "sim")]
mod durable;
pub mod effect;
pub mod event;
pub mod operators;
mod orders;
mod out;
mod papers;
mod people;
mod post;
mod restraints;
mod session;
pub mod settings;
pub mod tally;
pub mod times;
mod wishes;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use self::accounts::{Accounts, UserId};
pub use self::acts::{Act, NotDone, Reached};
use self::announcements::Announcements;
use self::deadlines::{Deadline, Deadlines};
use self::door::Door;
pub use self::door::host;
pub use self::effect::{Effect, Report, SessionEnd};
pub use self::event::{Event, Renewal, Verdict};
use self::out::Output;
pub use self::out::{Effects, OTHERS_BYTES};
use self::papers::{Papers, Secrets, Then, UnderWay};
use self::people::{People, history, introductions, presence, relays};
use self::post::{Post, delivery, expiry, group_messages, messages, pages, storing};
pub use self::settings::Settings;
use self::tally::Tally;
use crate::planted::{self, Planted};
use crate::record::{Fact, Record, RecordNumber, Recovery};
use crate::time::Time;
use crate::words::{Credential, LinkId, Name};

/// How long to wait before what the store refused is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The server: accounts, sessions, mailboxes, blocks and groups, and what is under way.
#[derive(Clone)]
pub struct ServerState {
    settings: Settings,
    now: Time,
    boot: u32,
    phase: Phase,
    accounts: Accounts,
    door: Door,
    post: Post,
    people: People,
    announcements: Announcements,
    papers: Papers,
    out: Output,
    deadlines: Deadlines,
    secrets: Secrets,
    tally: Tally,
    last_serial: u64,
    /// What an event has made due, and is done before its effects are handed out.
    later: VecDeque<Later>,
    retry_is_set: bool,
    /// Kept for the words of a command.
    scratch: Vec<u8>,
}

/// Something that one room has made due in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Later {
    /// A link need not wait any more.
    Read(LinkId),
    /// What a logout waits for may be done.
    GoOnLeaving(UserId),
    /// The session that a login has asked about, by that number, may have ended or moved.
    Asked(UserId, u64),
    /// Nothing may be under way any more for an account that is to be purged.
    Purge,
}

/// Says where it stands, and nothing that was typed, sent or held: passwords, tokens and texts are
/// among that.
impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState")
            .field("now", &self.now)
            .field("boot", &self.boot)
            .field("phase", &self.phase)
            .field("online", &self.online_count())
            .field("links", &self.link_count())
            .finish_non_exhaustive()
    }
}

/// Whether the server still takes anything on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Stopping,
}

impl ServerState {
    /// A server that takes up where `recovery` left off. `seed` keys the hash maps. Call
    /// [`handle`](Self::handle) with [`Event::Tick`] once before anything else: it brings what the
    /// recovery itself must write.
    #[must_use]
    pub fn new(
        settings: Settings,
        accounts: Vec<(Name, Credential)>,
        recovery: Recovery,
        seed: u64,
        now: Time,
    ) -> ServerState {
        let mut server = ServerState {
            settings,
            now: now.max(recovery.last_written),
            boot: recovery.boot,
            phase: Phase::Serving,
            accounts: Accounts::new(seed),
            door: Door::new(seed),
            post: Post::default(),
            people: People::default(),
            announcements: Announcements::default(),
            papers: Papers::default(),
            out: Output::new(seed.rotate_left(48)),
            deadlines: Deadlines::default(),
            secrets: Secrets::new(recovery.secret, recovery.boot),
            tally: Tally::default(),
            last_serial: 0,
            later: VecDeque::new(),
            retry_is_set: false,
            scratch: Vec::new(),
        };
        apply::recover(&mut server, accounts, recovery);
        server
    }

    /// Takes notice of an event and says what to do about it. All effects must be taken before the
    /// next call; the borrow sees to it that they can be.
    ///
    /// # Panics
    /// If effects of the event before were left.
    pub fn handle(&mut self, event: Event<'_>, now: Time) -> Effects<'_> {
        self.out.begin();
        self.now = self.now.max(now);
        door::end_locks(self);
        match event {
            Event::LinkOpened { link, from, nonce } => door::open_link(self, link, from, &nonce),
            Event::Received { link, bytes } => door::receive(self, link, bytes),
            Event::Flushed { link, upto } => door::flushed(self, link, upto),
            Event::StreamEnded { link } => door::stream_ended(self, link),
            Event::LinkClosed { link } => door::link_lost(self, link),
            Event::Verified { ticket, verdict } => door::verified(self, ticket, verdict),
            Event::Hashed { ticket, credential } => door::hashed(self, ticket, credential),
            Event::Committed { upto } => self.committed(upto),
            Event::StoreRefused { from } => self.store_refused(from),
            Event::MailLoaded { ticket, mail, more } => pages::loaded(self, ticket, mail, more),
            Event::Reloaded { accounts, settings } => door::file_read(self, accounts, *settings),
            Event::HashesRenewed { renewals } => door::hashes_renewed(self, renewals),
            Event::Turn => door::give_turn(self),
            Event::Stop => door::stop(self),
            Event::Restart => door::restart(self),
            Event::Operator { ticket, act } => acts::act(self, ticket, &act),
            Event::Obeyed { ticket, done, lines } => wishes::obeyed(self, ticket, done, &lines),
            Event::Tick => self.meet_deadlines(),
        }
        self.do_what_is_due();
        if let Some(at) = self.deadlines.next_timeout(self.now) {
            self.out.schedule_timeout(at);
        }
        self.out.effects()
    }

    fn do_what_is_due(&mut self) {
        while let Some(later) = self.later.pop_front() {
            match later {
                Later::Read(link) => door::go_on_reading(self, link),
                Later::GoOnLeaving(user) => door::go_on_leaving(self, user),
                Later::Asked(user, serial) => door::decide_asked(self, user, serial),
                Later::Purge => door::begin_purges(self),
            }
        }
    }

    /// Deadlines are met at ticks only: what was ready to be read by then goes before them.
    fn meet_deadlines(&mut self) {
        while let Some(deadline) = self.deadlines.take_due(self.now) {
            match deadline {
                Deadline::Login(link) => door::close_overdue(self, link),
                Deadline::Parting(link) => door::parting_due(self, link),
                Deadline::Idle(user, serial) => door::idle_due(self, user, serial),
                Deadline::Acknowledgement(user, serial) => {
                    delivery::acknowledgement_due(self, user, serial);
                }
                Deadline::Grace(user, serial) => door::grace_due(self, user, serial),
                Deadline::Leaving(user, serial) => door::leaving_due(self, user, serial),
                Deadline::Throttle(user, serial) => door::throttle_due(self, user, serial),
                Deadline::ThrottleCourier(link) => door::throttle_courier_due(self, link),
                Deadline::Probe(user, serial) => door::silent(self, user, serial),
                Deadline::PrivateRequest(from, to, serial) => introductions::expired(self, from, to, serial),
                Deadline::Relay(user) => relays::paid_off(self, user),
                Deadline::Presence(user) => presence::settled(self, user),
                Deadline::Mailbox(user) => expiry::due(self, user),
                Deadline::History => history::forget_over(self),
                Deadline::Retry => self.try_again(),
            }
        }
    }

    /// Records up to this one are durable.
    fn committed(&mut self, upto: RecordNumber) {
        while let Some(settled) = self.papers.settle_next(upto) {
            self.settle(settled, true);
        }
        if self.papers.note_written() {
            self.out.report(Report::StorageBack);
        }
    }

    /// The store gave up this record and all later ones.
    fn store_refused(&mut self, from: RecordNumber) {
        let upto = self.papers.last();
        let records = self.papers.refuse(from);
        self.out.report(Report::StorageRefused { records });
        if self.papers.keeps_facts() {
            self.try_again_later();
        }
        while let Some(settled) = self.papers.settle_next(upto) {
            self.settle(settled, false);
        }
    }

    /// A record is durable, or was refused: it is applied, or has never been, and whoever it concerns hears so.
    fn settle(&mut self, settled: UnderWay, durable: bool) {
        let UnderWay { number, record, then } = settled;
        match record {
            Record::Fact(Fact::MailRemoved { user, ids } | Fact::MailExpired { user, ids, .. })
                if durable =>
            {
                storing::removal_written(self, &user, &ids);
            }
            Record::Fact(_) => {}
            record if durable => apply::apply(self, &record),
            Record::Change(_) if planted::is(Planted::RefusedChangeApplied) => apply::apply(self, &record),
            Record::Change(_) | Record::MailStored { .. } | Record::Settled { .. } | Record::Sent { .. } => {}
        }
        match then {
            Then::Nothing => {}
            Then::Wish(id) => wishes::settled(self, id, durable),
            Then::Mail(stored) => storing::settled(self, &stored, durable),
            Then::GroupMessage { asker, group, outcome } => {
                group_messages::settled(self, &asker, &group, outcome);
            }
            Then::Sent { asker, outcome } => door::send_settled(self, &asker, outcome, durable),
            Then::Pretended { to, tell, outcome } => {
                let ending = if durable { Ok(outcome) } else { Err(crate::wire::Code::StorageUnavailable) };
                messages::pretended(self, to, &tell, ending);
            }
        }
        for link in self.papers.take_waiting(number) {
            door::word_is_due(self, link);
        }
    }

    /// Facts and purges that the store refused are tried again after a while.
    fn try_again_later(&mut self) {
        if !self.retry_is_set {
            self.retry_is_set = true;
            self.deadlines.add(self.now + RETRY_AFTER, Deadline::Retry);
        }
    }

    fn try_again(&mut self) {
        self.retry_is_set = false;
        let ServerState { papers, out, .. } = self;
        papers.write_kept_facts(out);
        if !planted::is(Planted::PurgeOnce) {
            door::begin_purges(self);
        }
    }

    /// A user who leaves has taken something of what their logout waits for.
    fn go_on_leaving(&mut self, user: UserId) {
        if self.accounts[user].session.as_ref().is_some_and(|session| session.delivery.is_leaving()) {
            door::note_progress(self, user);
            self.later.push_back(Later::GoOnLeaving(user));
        }
    }

    /// A number for something that must be told apart from all others of its kind.
    fn next_serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }

    /// Whether nothing is under way: no answer awaited from the store, the hashing threads or a
    /// client, and only deadlines left that may be days ahead.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.door.is_quiet()
            && self.post.is_quiet()
            && self.papers.is_quiet()
            && self.deadlines.pressing() == 0
    }

    /// Whether a connection waits for its turn: [`Event::Turn`] is due once what is ready was read.
    #[must_use]
    pub fn has_turns(&self) -> bool {
        self.door.has_turns()
    }

    /// Whether somebody has logged in from an address, of late.
    #[must_use]
    pub fn knows(&self, from: core::net::SocketAddr) -> bool {
        self.door.knows(from)
    }

    /// Whether so many connections are not logged in that some are closed early (R48).
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.door.is_crowded(self.settings.unauthenticated_max)
    }

    /// Whether sessions that a restart has left wait for their clients (R58).
    #[must_use]
    pub const fn awaits_clients(&self) -> bool {
        self.door.awaits_clients()
    }

    /// Whether anybody may log in.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        self.accounts.ids().into_iter().any(|user| !self.accounts[user].is_leaving())
    }

    /// Users with a session.
    #[must_use]
    pub fn online_count(&self) -> usize {
        self.people.roster.users().len()
    }

    /// Links that stand, logged in or not. A server that was told to stop is done when there are none.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.door.link_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records that an event leads to. Passwords that are to be compared are right.
    pub(super) fn records(server: &mut ServerState, event: Event<'_>) -> Vec<Record> {
        let (mut records, mut tickets) = (Vec::new(), Vec::new());
        for effect in server.handle(event, Time::ZERO) {
            if let Effect::Persist { record, .. } = effect {
                records.push(record.clone());
            } else if let Effect::Verify { ticket, .. } = effect {
                tickets.push(ticket);
            }
        }
        for ticket in tickets {
            records.extend(self::records(server, Event::Verified { ticket, verdict: Verdict::Right }));
        }
        records
    }

    pub(super) fn say(server: &mut ServerState, link: u64, line: &str) -> Vec<Record> {
        records(server, Event::Received { link: LinkId(link), bytes: line.as_bytes() })
    }

    /// A server with these users; each gets the next link, and only the first ones are logged in.
    pub(super) fn server(users: &[&str], logged_in: usize) -> ServerState {
        let accounts = users.iter().map(|user| (Name::new(user).unwrap(), Credential::new("pw"))).collect();
        let mut server = ServerState::new(Settings::default(), accounts, Recovery::default(), 1, Time::ZERO);
        let from = "192.0.2.1:40000".parse().unwrap();
        for (link, user) in (1..).zip(users) {
            records(&mut server, Event::LinkOpened { link: LinkId(link), from, nonce: [0; 32] });
            if link <= logged_in as u64 {
                say(&mut server, link, &alloc::format!("login {user} pw\n"));
                let upto = server.papers.last();
                records(&mut server, Event::Committed { upto });
            }
        }
        server
    }

    #[test]
    fn facts_that_the_store_refused_go_before_what_the_same_refusal_lets_go() {
        let mut server = server(&["hans", "luke", "yoda"], 2);
        let from = RecordNumber(server.papers.last().0 + 1);
        assert_eq!(say(&mut server, 1, "create group crew yoda\n").len(), 1);
        assert_eq!(say(&mut server, 2, "create group crew yoda\n"), []);
        let began = say(&mut server, 3, "login yoda pw\n");
        let written = records(&mut server, Event::StoreRefused { from });
        assert_eq!(written.first(), began.first(), "yoda's login number goes before what names yoda");
        assert!(matches!(written.get(1), Some(Record::Change(_))));
        assert_eq!(written.len(), 2);
    }

    #[test]
    fn a_server_is_crowded_when_more_than_half_of_the_bound_are_not_logged_in() {
        let from = "192.0.2.1:40000".parse().unwrap();
        for (bound, crowded) in [(10, [false, true]), (0, [false, false])] {
            let settings = Settings { unauthenticated_max: bound, ..Settings::default() };
            let mut server = ServerState::new(settings, Vec::new(), Recovery::default(), 1, Time::ZERO);
            for link in 1..=5 {
                records(&mut server, Event::LinkOpened { link: LinkId(link), from, nonce: [0; 32] });
            }
            let five = server.is_crowded();
            records(&mut server, Event::LinkOpened { link: LinkId(6), from, nonce: [0; 32] });
            assert_eq!([five, server.is_crowded()], crowded, "{bound}");
        }
    }
}
