//! The invariants, judged by the trace alone.
//!
//! Nothing here calls the code that is judged; only the wire's grammar is shared, which has its own
//! tests. [`Check::read`] is called after every step; [`Check::end`] once everything has healed.
//!
//! Every line that the server sends is to be true when it leaves. A commit makes several records durable at
//! once, and the server says one thing after the other: so what is said is judged by the state after one
//! of these records, and never by an earlier one again (see [`Check::at_some_point`]).

mod agreement;
mod allowed;
mod answers;
mod attempts;
mod beginnings;
mod changes;
mod clients;
mod facts;
mod goodbye;
mod held;
mod links;
mod locks;
mod mail;
mod notices;
mod presence;
mod purges;
mod said;
mod sessions;
mod starts;
mod texts;
mod tokens;
mod wishes;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use self::clients::Clients;
use self::facts::Facts;
use self::held::Held;
use self::links::Links;
use self::locks::Locks;
use self::notices::Notices;
use self::purges::Purges;
use self::starts::Starts;
use self::texts::Texts;
use self::tokens::Tokens;
use self::wishes::Wishes;
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
    StreamEnded(LinkId),
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
    pub(super) wishes: Wishes,
    notices: Notices,
    facts: Facts,
    purges: Purges,
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
    scheduled_in_call: u32,
    /// When the server was started, or read its settings again.
    pub(super) settled_at: Time,
    /// The store refused at this time last.
    pub(super) refused_at: Time,
    /// All faults are over.
    pub(super) healed: bool,
    /// The record up to which the store was found to hold the same.
    agreed: RecordNumber,
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
            wishes: Wishes::default(),
            notices: Notices::default(),
            facts: Facts::default(),
            purges: Purges::default(),
            held: Held::default(),
            starts: Starts::default(),
            tickets: BTreeMap::new(),
            overtaken: BTreeSet::new(),
            lost_in_call: None,
            welcomed_in_call: BTreeSet::new(),
            scheduled_in_call: 0,
            settled_at: Time::ZERO,
            refused_at: Time::ZERO,
            healed: false,
            agreed: RecordNumber(0),
        }
    }

    /// Judges what was seen since the trace was last forgotten.
    pub(crate) fn read(&mut self, trace: &Trace) -> Verdict {
        for (at, seen) in trace.entries() {
            self.now = *at;
            self.see(seen, trace)?;
        }
        self.sessions_time_out_in_time()?;
        self.logouts_are_carried_out()?;
        self.facts_are_written_again()?;
        self.purges_are_tried_again()
    }

    fn see(&mut self, seen: &Seen, trace: &Trace) -> Verdict {
        match seen {
            Seen::ServerStarted { settings, accounts, .. } => {
                self.settled_at = self.now;
                self.starts.begin(accounts);
                self.purges.file_read(&self.model, accounts);
                self.model.start(settings, accounts);
                self.odd_names_are_shaky();
                self.locks.settings_changed(settings);
            }
            Seen::FilesChanged { settings, accounts } => {
                self.settled_at = self.now;
                self.purges.file_read(&self.model, accounts);
                self.model.reload(settings, accounts);
                self.odd_names_are_shaky();
                self.locks.file_read();
                self.locks.settings_changed(settings);
            }
            Seen::ServerGone { survived, .. } => self.server_gone(*survived),
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
            Seen::Differs { what } => rule!(self, false, "the memory is what a restart would read", "{what}"),
            Seen::Returned => return self.returned(),
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
            Seen::LoadAsked { .. } => self.links.loads += 1,
            Seen::Appended | Seen::Synced { .. } | Seen::Frozen { .. } | Seen::Stranger { .. } => {}
        }
        Ok(())
    }

    fn told(&mut self, told: Told, trace: &Trace) -> Verdict {
        self.scheduled_in_call = 0;
        self.call = match told {
            Told::Received { link, .. } => Call::Received(link),
            Told::StreamEnded { link } => Call::StreamEnded(link),
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
            Told::Received { link, bytes } => return self.received(link, trace.bytes(bytes)),
            Told::StreamEnded { link } => self.stream_ended(link),
            Told::LinkClosed { link } => {
                self.wishes.link_lost(link);
                self.login_lost_link(link);
                self.links.close(link);
                self.session_link_lost(link);
            }
            Told::Verified { ticket, verdict } => return self.verified(ticket, verdict),
            Told::Committed { upto } => {
                self.model.committed(upto);
                self.texts.committed(upto);
            }
            Told::StoreRefused { from } => self.store_refused(from),
            Told::Flushed { link, upto } => self.flushed(link, upto),
            Told::LinkOpened { link, from } => self.links.comes_from(link, from),
            Told::Stop => self.wishes.stop(),
            Told::MailLoaded { .. } => self.links.loads = self.links.loads.saturating_sub(1),
            Told::Hashed { .. } | Told::Reloaded | Told::Tick => {}
        }
        Ok(())
    }

    /// Whether something holds after one of the records that are durable, and not before what was said
    /// already in this call.
    pub(super) fn at_some_point(&mut self, holds: impl Fn(&Check) -> bool) -> bool {
        loop {
            if holds(self) {
                return true;
            }
            if !self.step_on() {
                return false;
            }
        }
    }

    /// Applies the next record that is durable, if there is one.
    fn step_on(&mut self) -> bool {
        let change = self.model.next_durable().cloned();
        let members = change.as_ref().map(|record| self.members_before(record)).unwrap_or_default();
        let Some((number, record)) = self.model.advance(self.now) else { return false };
        self.held_applied(&record);
        self.blocks_lifted_for_texts(&record);
        self.purge_applied(&record);
        let by = self.wishes.applied(number);
        self.owe_notices(&record, &members, by);
        true
    }

    /// Whether the fate of a record is known: it is durable, or was refused.
    pub(super) fn is_settled(&mut self, number: RecordNumber) -> bool {
        self.at_some_point(|check| !check.model.is_under_way(number))
    }

    fn store_refused(&mut self, from: RecordNumber) {
        self.refused_at = self.now;
        let refused = self.model.refused(from);
        self.facts_refused(&refused);
        self.wishes.refused(from);
        self.locks.store_refused(from);
        self.texts.store_refused(from);
        self.tokens.store_refused(from);
    }

    /// A call of the server is over.
    fn returned(&mut self) -> Verdict {
        while self.step_on() {}
        self.sessions_are_taken_up()?;
        self.call = Call::None;
        self.starts.returned();
        self.who_was_answered_is_read()?;
        self.who_waits_to_try_will()?;
        self.who_has_read_is_read()?;
        self.nobody_has_two_links()?;
        self.lost_sessions_end()?;
        self.nothing_is_overtaken()?;
        self.logins_are_told()?;
        self.wishes_are_answered()?;
        self.wishes_wait_for_something()?;
        self.wishes.call_is_over();
        self.changes_are_told()?;
        self.whoever_waits_for_nothing_is_answered()?;
        self.presence_is_told()?;
        self.texts_are_decided()
    }

    fn server_gone(&mut self, survived: RecordNumber) {
        self.call = Call::None;
        self.links.all_gone();
        self.locks.server_gone(survived);
        self.texts.server_gone(survived);
        self.tokens.server_gone(survived);
        self.model.committed(survived);
        while self.step_on() {}
        self.wishes.server_gone();
        self.notices = Notices::default();
        self.facts = Facts::default();
        self.held = Held::default();
        self.starts.server_gone(survived);
        self.model.server_gone(survived, self.now);
        self.purges.server_gone();
        self.agrees_no_more();
        self.tickets.clear();
        self.overtaken.clear();
        self.welcomed_in_call.clear();
        self.lost_in_call = None;
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
