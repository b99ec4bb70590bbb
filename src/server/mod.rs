//! The server as a state machine: events in, effects out.
//!
//! [`ServerState::handle`] is all there is. It reads no clock, draws no random number, and does no
//! input or output: time and randomness come in with events, and what must be done goes out as
//! effects. One file per concern; this one only dispatches.

mod accounts;
mod blocks;
mod broadcast;
mod commands;
pub mod credentials_file;
mod deadlines;
mod delivery;
pub mod effect;
pub mod event;
mod groups;
mod introductions;
mod journal;
mod leaving;
mod ledger;
mod links;
mod listing;
mod lockout;
mod login;
mod mailbox;
mod messages;
mod outbox;
mod presence;
mod recovery;
mod secrets;
mod session;
pub mod settings;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use self::accounts::{Accounts, UserId};
use self::deadlines::{Deadline, Deadlines};
pub use self::effect::{Effect, Report, SessionEnd};
pub use self::event::{Event, Verdict};
use self::groups::{Group, GroupMessage};
use self::introductions::PrivateRequests;
use self::journal::Journal;
use self::links::Link;
use self::lockout::Lockout;
use self::login::SlowLogin;
use self::mailbox::{Discard, Page};
pub use self::outbox::Effects;
use self::outbox::Outbox;
use self::presence::History;
use self::secrets::Secrets;
pub use self::settings::Settings;
use crate::record::Recovery;
use crate::time::Time;
use crate::words::{Credential, LinkId, Name, Ticket};

/// The server: accounts, sessions, mailboxes, blocks and groups, and what is under way.
#[derive(Clone)]
pub struct ServerState {
    settings: Settings,
    now: Time,
    boot: u32,
    phase: Phase,
    accounts: Accounts,
    groups: BTreeMap<Name, Group>,
    history: History,
    /// Users with a session, in no order that means anything, but the same in every run.
    online: Vec<UserId>,
    lockout: Lockout,
    links: HashMap<LinkId, Link, FixedState>,
    /// Links that are not logged in, the oldest first.
    anonymous: BTreeSet<LinkId>,
    /// Links whose input may go on after having waited.
    ready: Vec<LinkId>,
    /// Links for which too much is held back.
    overfull: Vec<LinkId>,
    /// Links whose logout waits for nothing any more.
    leavers: Vec<LinkId>,
    slow_logins: BTreeMap<Ticket, SlowLogin>,
    /// Names for which an account is being made.
    registering: BTreeSet<Name>,
    loads: BTreeMap<Ticket, Page>,
    /// Mail that is being looked up to be dropped.
    discards: BTreeMap<Ticket, Discard>,
    group_messages: BTreeMap<u64, GroupMessage>,
    private_requests: PrivateRequests,
    stored_bytes: u64,
    broadcasts: u64,
    last_serial: u64,
    secrets: Secrets,
    journal: Journal,
    deadlines: Deadlines,
    outbox: Outbox,
}

/// Says where it stands, and nothing that was typed, sent or held: passwords, tokens and texts are
/// among that.
impl fmt::Debug for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerState")
            .field("now", &self.now)
            .field("boot", &self.boot)
            .field("phase", &self.phase)
            .field("online", &self.online.len())
            .field("links", &self.links.len())
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
            groups: BTreeMap::new(),
            history: History::default(),
            online: Vec::new(),
            lockout: Lockout::new(seed),
            links: HashMap::with_hasher(FixedState::with_seed(seed.rotate_left(32))),
            anonymous: BTreeSet::new(),
            ready: Vec::new(),
            overfull: Vec::new(),
            leavers: Vec::new(),
            slow_logins: BTreeMap::new(),
            registering: BTreeSet::new(),
            loads: BTreeMap::new(),
            discards: BTreeMap::new(),
            group_messages: BTreeMap::new(),
            private_requests: PrivateRequests::default(),
            stored_bytes: 0,
            broadcasts: 0,
            last_serial: 0,
            secrets: Secrets::new(recovery.secret),
            journal: Journal::default(),
            deadlines: Deadlines::default(),
            outbox: Outbox::default(),
        };
        server.recover(accounts, recovery);
        server
    }

    /// Takes notice of an event and says what to do about it. All effects must be taken before the
    /// next call; the borrow sees to it that they can be.
    ///
    /// # Panics
    /// If effects of the event before were left.
    pub fn handle(&mut self, event: Event<'_>, now: Time) -> Effects<'_> {
        self.outbox.begin();
        self.now = self.now.max(now);
        if let Event::LinkClosed { link } = event {
            // Before a deadline says something on it.
            self.lose_link(link);
        } else if let Event::StoreRefused { from } = event {
            // Before a deadline hands out a record that would be refused with the others.
            self.store_refused(from);
        }
        self.meet_deadlines();
        match event {
            Event::LinkOpened { link, from, nonce } => self.open_link(link, from, &nonce),
            Event::Received { link, bytes } => self.receive(link, bytes),
            Event::Flushed { link, upto } => self.flushed(link, upto),
            Event::Verified { ticket, verdict } => self.verified(ticket, verdict),
            Event::Hashed { ticket, credential } => self.hashed(ticket, credential),
            Event::Committed { upto } => self.committed(upto),
            Event::MailLoaded { ticket, mail, more } => self.mail_loaded(ticket, mail, more),
            Event::Reloaded { accounts, settings } => self.reload(accounts, *settings),
            Event::Stop => self.stop(),
            Event::StreamEnded { link } if self.links.contains_key(&link) => {
                self.lose_link(link);
                self.outbox.close(link);
            }
            Event::StreamEnded { .. } => {}
            Event::LinkClosed { .. } | Event::StoreRefused { .. } | Event::Tick => {}
        }
        // Either may be what the other has waited for.
        while !(self.leavers.is_empty() && self.ready.is_empty()) {
            self.let_leavers_go();
            self.go_on_with_ready_links();
        }
        self.cut_overfull_links();
        if let Some(at) = self.deadlines.next_timeout(self.now) {
            self.outbox.schedule_timeout(at);
        }
        self.outbox.effects()
    }

    fn meet_deadlines(&mut self) {
        while let Some(deadline) = self.deadlines.take_due(self.now) {
            match deadline {
                Deadline::Login(link) => self.login_overdue(link),
                Deadline::Idle(user, serial) => self.idle_due(user, serial),
                Deadline::Acknowledgement(user, serial) => self.acknowledgement_due(user, serial),
                Deadline::Grace(user, serial) => self.grace_due(user, serial),
                Deadline::Leaving(user, serial) => self.leaving_due(user, serial),
                Deadline::Throttle(user, serial) => self.throttle_due(user, serial),
                Deadline::PrivateRequest(from, to, serial) => self.private_request_expired(from, to, serial),
                Deadline::Rewrite => self.rewrite_unsaved(),
            }
        }
    }

    /// A number for something that must be told apart from all others of its kind.
    fn next_serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }

    /// Whether nothing is under way: no answer awaited from the store, the hashing threads or a
    /// client, nothing held, and only idle deadlines left.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.slow_logins.is_empty()
            && self.loads.is_empty()
            && self.discards.is_empty()
            && self.group_messages.is_empty()
            && self.journal.is_quiet()
            && self.deadlines.but_idle() == 0
    }

    /// Whether anybody may log in.
    #[must_use]
    pub fn has_accounts(&self) -> bool {
        self.accounts.ids().into_iter().any(|user| self.accounts[user].credential.is_some())
    }

    /// Users with a session.
    #[must_use]
    pub fn online_count(&self) -> usize {
        self.online.len()
    }

    /// Links that stand, logged in or not. A server that was told to stop is done when there are none.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.links.len()
    }
}
