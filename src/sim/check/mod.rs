//! The invariants, judged by the trace alone.
//!
//! Nothing here calls the code that is judged; only the wire's grammar is shared, which has its own
//! tests. [`Check::read`] is called after every step; [`Check::end`] once everything has healed.

mod allowed;
mod answers;
mod clients;
mod goodbye;
mod held;
mod links;
mod locks;
mod sessions;
mod starts;
mod texts;
mod tokens;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use self::clients::Clients;
use self::held::Held;
use self::links::Links;
use self::locks::Locks;
use self::sessions::Owed;
use self::starts::Starts;
use self::texts::Texts;
use self::tokens::Tokens;
use super::model::{Model, User};
use super::trace::{Seen, Told, Trace};
use crate::record::RecordNumber;
use crate::time::Time;
use crate::words::{LinkId, Ticket};

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// When.
    pub at: Time,
    /// What was seen.
    pub detail: String,
}

/// What a check comes to.
pub(super) type Verdict = Result<(), Violation>;

/// Fails with a rule unless a condition holds.
macro_rules! rule {
    ($check:expr, $holds:expr, $rule:expr, $($detail:tt)*) => {
        if !$holds {
            return Err($crate::sim::check::Violation { rule: $rule, at: $check.now, detail: alloc::format!($($detail)*) });
        }
    };
}
pub(super) use rule;

/// The call of the server whose effects are being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    None,
    Received(LinkId),
    LinkClosed(LinkId),
    Verified(Ticket),
    Committed,
    Refused,
    Stop,
    Tick,
    Other,
}

/// The checker.
#[derive(Debug)]
pub(crate) struct Check {
    pub(super) now: Time,
    pub(super) call: Call,
    pub(super) model: Model,
    pub(super) links: Links,
    pub(super) locks: Locks,
    pub(super) texts: Texts,
    pub(super) clients: Clients,
    pub(super) tokens: Tokens,
    held: Held,
    starts: Starts,
    /// Links and their last answered tickets of this call.
    pub(super) tickets: BTreeMap<Ticket, LinkId>,
    /// Users of whose sessions an old end was written and the newer beginning not yet, in this call.
    overtaken: BTreeSet<User>,
    /// Whose link was lost in this call.
    lost_in_call: Option<User>,
    /// Users who were let in in this call.
    welcomed_in_call: BTreeSet<User>,
    /// Who came or went while the block between them was on its way to the disk: the record of its last
    /// change, and whether that lifted it.
    open_presence: Vec<(RecordNumber, bool, Owed)>,
    scheduled_in_call: u32,
    /// When the server was started, or read its settings again.
    pub(super) settled_at: Time,
    /// The store refused at this time last.
    pub(super) refused_at: Time,
    /// All faults are over.
    pub(super) healed: bool,
}

impl Check {
    pub(crate) fn new() -> Check {
        Check {
            now: Time::ZERO,
            call: Call::None,
            model: Model::default(),
            links: Links::default(),
            locks: Locks::default(),
            texts: Texts::default(),
            clients: Clients::default(),
            tokens: Tokens::default(),
            held: Held::default(),
            starts: Starts::default(),
            tickets: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            lost_in_call: None,
            welcomed_in_call: BTreeSet::new(),
            open_presence: Vec::new(),
            scheduled_in_call: 0,
            settled_at: Time::ZERO,
            refused_at: Time::ZERO,
            healed: false,
        }
    }

    /// Judges what was seen since the trace was last forgotten.
    pub(crate) fn read(&mut self, trace: &Trace) -> Verdict {
        for (at, seen) in trace.entries() {
            self.now = *at;
            self.see(seen, trace)?;
        }
        self.sessions_time_out_in_time()
    }

    fn see(&mut self, seen: &Seen, trace: &Trace) -> Verdict {
        match seen {
            Seen::ServerStarted { settings, accounts, .. } => {
                self.settled_at = self.now;
                self.starts.begin(accounts);
                self.model.start(settings, accounts, self.now);
                self.odd_names_are_shaky();
                self.locks.settings_changed(settings);
            }
            Seen::FilesChanged { settings, accounts } => {
                self.settled_at = self.now;
                self.model.reload(settings, accounts);
                self.odd_names_are_shaky();
                self.locks.settings_changed(settings);
            }
            Seen::ServerGone { crashed, survived } => self.server_gone(*crashed, *survived),
            Seen::Caller { link, process } => self.links.open(*link, *process),
            Seen::Told(told) => return self.told(*told, trace),
            Seen::Sent { link, bytes } => return self.sent(*link, trace.bytes(*bytes)),
            Seen::Closed { link } => return self.closed(*link),
            Seen::Paused { link } => return self.paused(*link, true),
            Seen::Resumed { link } => return self.paused(*link, false),
            Seen::VerifyAsked { ticket, password, .. } => {
                return self.verify_asked(*ticket, trace.bytes(*password));
            }
            Seen::Persisted { number, record } => return self.persisted(*number, record),
            Seen::Scheduled { at } => return self.scheduled(*at),
            Seen::Returned => {
                self.call = Call::None;
                self.starts.returned();
                self.who_was_answered_is_read()?;
                self.who_waits_to_try_will()?;
                self.who_has_read_is_read()?;
                self.nobody_has_two_links()?;
                self.lost_sessions_end()?;
                return self.nothing_is_overtaken();
            }
            Seen::ClientStarted { process, home, .. } => self.clients.started(*process, *home),
            Seen::Typed { process, line, text } => {
                return self.typed(*process, *line, trace.bytes(*text));
            }
            Seen::Showed { process, view, delivered } => {
                return self.showed(*process, view, *delivered);
            }
            Seen::Noted { process } => self.clients.noted(*process),
            Seen::ClientExited { process, exit } => return self.client_exited(*process, *exit),
            Seen::ClientKilled { process, unnoted } => self.clients.killed(*process, *unnoted),
            Seen::OutputClosed { process } => self.clients.output_closed(*process),
            Seen::Healed => self.healed = true,
            Seen::HashAsked { .. } => self.hash_asked(),
            Seen::LoadAsked { .. }
            | Seen::Appended
            | Seen::Synced { .. }
            | Seen::Frozen { .. }
            | Seen::Stranger { .. } => {}
        }
        Ok(())
    }

    fn told(&mut self, told: Told, trace: &Trace) -> Verdict {
        self.scheduled_in_call = 0;
        self.call = match told {
            Told::Received { link, .. } => Call::Received(link),
            Told::LinkClosed { link } => Call::LinkClosed(link),
            Told::Verified { ticket, .. } => Call::Verified(ticket),
            Told::Committed { .. } => Call::Committed,
            Told::StoreRefused { .. } => Call::Refused,
            Told::Stop => Call::Stop,
            Told::Tick => Call::Tick,
            Told::LinkOpened { .. }
            | Told::Flushed { .. }
            | Told::Hashed { .. }
            | Told::MailLoaded { .. }
            | Told::Reloaded => Call::Other,
        };
        match told {
            Told::Received { link, bytes } => self.received(link, trace.bytes(bytes)),
            Told::LinkClosed { link } => {
                self.links.close(link);
                self.session_link_lost(link);
                Ok(())
            }
            Told::Verified { ticket, verdict } => self.verified(ticket, verdict),
            Told::Committed { upto } => {
                self.model.committed(upto);
                self.links.committed(upto);
                self.presence_committed(upto);
                self.texts.committed(upto);
                Ok(())
            }
            Told::StoreRefused { from } => {
                self.refused_at = self.now;
                self.model.refused(from);
                self.presence_refused(from);
                self.locks.store_refused();
                self.texts.store_refused(from);
                self.tokens.store_refused(self.model.committed);
                self.held.store_refused();
                self.links.store_refused(from);
                Ok(())
            }
            Told::Flushed { link, upto } => {
                self.flushed(link, upto);
                Ok(())
            }
            Told::LinkOpened { link, from } => {
                self.links.comes_from(link, from);
                Ok(())
            }
            Told::Hashed { .. } | Told::MailLoaded { .. } | Told::Reloaded | Told::Stop | Told::Tick => {
                Ok(())
            }
        }
    }

    fn server_gone(&mut self, _crashed: bool, survived: RecordNumber) {
        self.call = Call::None;
        self.links.all_gone();
        self.locks.server_gone(survived);
        self.texts.server_gone(survived);
        self.tokens.server_gone(survived);
        self.held.server_gone();
        self.starts.server_gone(survived);
        self.model.server_gone(survived, self.now);
        self.tickets.clear();
        self.overtaken.clear();
        self.welcomed_in_call.clear();
        self.lost_in_call = None;
        self.open_presence.clear();
    }

    fn scheduled(&mut self, at: Time) -> Verdict {
        self.scheduled_in_call += 1;
        rule!(self, at > self.now, "a timeout is later than now", "{} at {}", at.0, self.now.0);
        rule!(self, self.scheduled_in_call <= 1, "one timeout a batch", "{}", self.scheduled_in_call);
        Ok(())
    }

    /// Judges the end, when everything has healed and nothing is under way any more.
    pub(crate) fn end(&mut self, now: Time) -> Verdict {
        self.now = now;
        self.everything_is_answered()?;
        self.presence_is_told()?;
        self.nothing_is_held_back(now)?;
        self.clients_have_results()?;
        self.accepted_has_arrived()
    }
}

/// The number of the text of a step, if it is one.
pub(crate) fn number_of(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(' ').strip_prefix('t')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    digits[..length].parse().ok()
}

/// Lines of bytes that are whole lines.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    body.split(|byte| *byte == b'\n')
}

/// A line as a message for people.
pub(super) fn words(line: &[u8]) -> String {
    let shown: Vec<u8> = line.iter().copied().take(200).collect();
    String::from_utf8_lossy(&shown).into_owned()
}
