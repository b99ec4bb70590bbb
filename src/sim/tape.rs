//! What a server was told in one life, to be told again in other chunks.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::draw::Draw;
use crate::record::{Record, Recovery};
use crate::server::{Effect, Event, ServerState, Settings};
use crate::time::Time;
use crate::words::{Credential, LinkId, Name};

/// Looks at what a server is told and wants.
pub trait Viewer {
    /// A server starts.
    fn begins(&mut self, settings: &Settings, accounts: &[(Name, Credential)], recovery: &Recovery, at: Time);
    /// It is told of an event.
    fn told(&mut self, event: &Event<'_>, now: Time);
    /// It wants this done.
    fn wants(&mut self, effect: &Effect<'_>);
    /// It wants nothing more for this event.
    fn done(&mut self);
}

/// The events of one life of a server.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    beginning: Option<Beginning>,
    events: Vec<(Time, Owned)>,
    /// Earlier lives, if they are kept.
    earlier: Option<Vec<Tape>>,
}

#[derive(Debug)]
struct Beginning {
    settings: Settings,
    accounts: Vec<(Name, Credential)>,
    recovery: Recovery,
    at: Time,
}

/// An event that owns its bytes.
#[derive(Debug)]
enum Owned {
    Bytes(LinkId, Vec<u8>),
    Other(Box<Event<'static>>),
}

/// What came out for one telling of the tape.
#[derive(Debug, PartialEq, Eq, Default)]
struct Outcome {
    lines: BTreeMap<LinkId, Vec<u8>>,
    records: Vec<Record>,
    closed: Vec<LinkId>,
}

impl Tape {
    /// One that keeps earlier lives.
    pub(super) fn of_all_lives() -> Tape {
        Tape { earlier: Some(Vec::new()), ..Tape::default() }
    }

    /// A new life begins; what was recorded of an earlier one is dropped, unless it is kept.
    pub(super) fn start(
        &mut self,
        settings: &Settings,
        accounts: &[(Name, Credential)],
        recovery: &Recovery,
        at: Time,
    ) {
        let events = core::mem::take(&mut self.events);
        if let (Some(earlier), Some(beginning)) = (&mut self.earlier, self.beginning.take()) {
            earlier.push(Tape { beginning: Some(beginning), events, earlier: None });
        }
        self.beginning = Some(Beginning {
            settings: settings.clone(),
            accounts: accounts.to_vec(),
            recovery: recovery.clone(),
            at,
        });
    }

    pub(super) fn record(&mut self, event: &Event<'_>, now: Time) {
        self.events.push((now, own(event)));
    }

    /// Plays the tape to somebody who looks at each event and its effects, from the start of the server on.
    pub(super) fn show(&self, viewer: &mut dyn Viewer) {
        self.earlier.iter().flatten().for_each(|life| life.show(viewer));
        let Some(Beginning { settings, accounts, recovery, at }) = &self.beginning else { return };
        viewer.begins(settings, accounts, recovery, *at);
        let mut server = ServerState::new(settings.clone(), accounts.clone(), recovery.clone(), 7, *at);
        for (now, event) in &self.events {
            let event = match event {
                Owned::Other(event) => (**event).clone(),
                Owned::Bytes(link, bytes) => Event::Received { link: *link, bytes },
            };
            viewer.told(&event, *now);
            for effect in server.handle(event, *now) {
                viewer.wants(&effect);
            }
            viewer.done();
        }
    }

    /// What differs if the same bytes come in smaller chunks; `None`: nothing.
    pub(crate) fn differs_in_crumbs(&self, seed: u64) -> Option<String> {
        let mut draw = Draw::new(seed);
        let whole = self.tell(|length| length);
        let crumbs =
            self.tell(|length| usize::try_from(draw.between(1, length.min(9) as u64)).unwrap_or(length));
        whole.differs_from(&crumbs)
    }

    fn tell(&self, mut part: impl FnMut(usize) -> usize) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(beginning) = &self.beginning else { return outcome };
        let accounts = beginning.accounts.clone();
        let recovery = beginning.recovery.clone();
        let mut server = ServerState::new(beginning.settings.clone(), accounts, recovery, 1, beginning.at);
        for (now, event) in &self.events {
            match event {
                Owned::Other(event) => outcome.add(server.handle((**event).clone(), *now)),
                Owned::Bytes(link, bytes) => {
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let (bytes, later) = rest.split_at(part(rest.len()));
                        outcome.add(server.handle(Event::Received { link: *link, bytes }, *now));
                        rest = later;
                    }
                }
            }
        }
        outcome
    }
}

impl Outcome {
    fn differs_from(&self, other: &Outcome) -> Option<String> {
        let lines = |outcome: &Outcome, link: &LinkId| {
            let bytes = outcome.lines.get(link).map(Vec::as_slice).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        let link = self.lines.keys().find(|link| self.lines.get(*link) != other.lines.get(*link));
        if let Some(link) = link {
            return Some(format!("to {link:?} {:?}, else {:?}", lines(self, link), lines(other, link)));
        }
        let record = self.records.iter().zip(&other.records).find(|(one, other)| one != other);
        if let Some(record) = record {
            return Some(format!("{record:?}"));
        }
        (self != other).then(|| format!("closed {:?}, else {:?}", self.closed, other.closed))
    }

    fn add<'a>(&mut self, effects: impl Iterator<Item = Effect<'a>>) {
        for effect in effects {
            match effect {
                Effect::Send { link, bytes } => {
                    self.lines.entry(link).or_default().extend_from_slice(bytes);
                }
                Effect::Close { link } => self.closed.push(link),
                Effect::Persist { record, .. } => self.records.push(record.clone()),
                Effect::Pause { .. }
                | Effect::Resume { .. }
                | Effect::Verify { .. }
                | Effect::Hash { .. }
                | Effect::LoadMail { .. }
                | Effect::ScheduleTimeout { .. }
                | Effect::Acted { .. }
                | Effect::Order { .. }
                | Effect::Report(_) => {}
            }
        }
    }
}

fn own(event: &Event<'_>) -> Owned {
    let event = match event {
        Event::Received { link, bytes } => return Owned::Bytes(*link, bytes.to_vec()),
        Event::LinkOpened { link, from, nonce } => {
            Event::LinkOpened { link: *link, from: *from, nonce: *nonce }
        }
        Event::Flushed { link, upto } => Event::Flushed { link: *link, upto: *upto },
        Event::LinkClosed { link } => Event::LinkClosed { link: *link },
        Event::StreamEnded { link } => Event::StreamEnded { link: *link },
        Event::Verified { ticket, verdict } => Event::Verified { ticket: *ticket, verdict: *verdict },
        Event::Hashed { ticket, credential } => {
            Event::Hashed { ticket: *ticket, credential: credential.clone() }
        }
        Event::Committed { upto } => Event::Committed { upto: *upto },
        Event::StoreRefused { from } => Event::StoreRefused { from: *from },
        Event::MailLoaded { ticket, mail, more } => {
            Event::MailLoaded { ticket: *ticket, mail: mail.clone(), more: *more }
        }
        Event::Reloaded { accounts, settings } => {
            Event::Reloaded { accounts: accounts.clone(), settings: settings.clone() }
        }
        Event::HashesRenewed { renewals } => Event::HashesRenewed { renewals: renewals.clone() },
        Event::Operator { ticket, act } => Event::Operator { ticket: *ticket, act: act.clone() },
        Event::Obeyed { ticket, done, lines } => {
            Event::Obeyed { ticket: *ticket, done: *done, lines: lines.clone() }
        }
        Event::Stop => Event::Stop,
        Event::Restart => Event::Restart,
        Event::Turn => Event::Turn,
        Event::Tick => Event::Tick,
    };
    Owned::Other(Box::new(event))
}
