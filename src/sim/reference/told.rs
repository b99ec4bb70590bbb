//! What the server is told, and whether it does what is expected of it.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use core::net::SocketAddr;

use super::learning::learn;
use super::lockout::Subject;
use super::{Later, Reference, Server, Timer};
use crate::record::{Record, RecordNumber};
use crate::server::settings::OfflineDelivery;
use crate::server::{NotDone, Reached, Settings};
use crate::sim::check::{Verdict, Violation};
use crate::sim::server_host::shifted;
use crate::sim::store::LoadMail;
use crate::sim::trace::{Seen, SeenVerdict, Told, Trace};
use crate::time::Time;
use crate::words::{Credential, LinkId, MessageId, Name, Ticket};

/// Stands in an expected line for a digit of a token.
const DIGIT: u8 = 1;
/// Stands in an expected line for a token.
pub(super) const TOKEN: &str = "\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\
    \u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}";
/// Messages asked of the store at a time.
const PAGE: u32 = 48;

/// What is to come on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Out {
    Line(String),
    Close,
    Reading(bool),
}

/// Something that the server is to have done by others.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Compare {
        attempt: u64,
        link: LinkId,
        from: SocketAddr,
        subject: Subject,
        credential: Option<Credential>,
        right: bool,
    },
    Hash {
        attempt: u64,
        link: LinkId,
        name: Name,
        credential: Credential,
    },
    Page {
        user: super::User,
        of: Name,
        page: u64,
        from: Option<Name>,
        after: MessageId,
    },
    Order {
        wish: u64,
        user: Name,
        words: String,
    },
    Discard {
        user: super::User,
        of: Name,
        from: Name,
        upto: MessageId,
        after: MessageId,
    },
    /// `None`: of an account that is gone.
    Expired {
        user: Option<super::User>,
        of: Name,
        after: MessageId,
        first_left: Option<Time>,
        goes_on: bool,
    },
}

impl Ask {
    /// What the store is asked, if it is.
    fn load(&self, ticket: Ticket) -> Option<LoadMail> {
        let (user, from, after) = match self {
            Ask::Page { of, from, after, .. } => (of, from.clone(), *after),
            Ask::Discard { of, from, after, .. } => (of, Some(from.clone()), *after),
            Ask::Expired { of, after, .. } => (of, None, *after),
            Ask::Compare { .. } | Ask::Hash { .. } | Ask::Order { .. } => return None,
        };
        Some(LoadMail { ticket, user: user.clone(), from, after, limit: PAGE })
    }
}

/// What a call is to bring.
#[derive(Debug, Default)]
pub(super) struct Expected {
    links: BTreeMap<LinkId, VecDeque<Out>>,
    records: VecDeque<(RecordNumber, Record, Option<String>)>,
    asks: VecDeque<Ask>,
    acted: VecDeque<(Ticket, Result<u64, &'static str>)>,
}

impl Expected {
    pub(super) fn acted(&mut self, ticket: Ticket, outcome: Result<u64, &'static str>) {
        self.acted.push_back((ticket, outcome));
    }

    pub(super) fn line(&mut self, link: LinkId, line: String) {
        self.links.entry(link).or_default().push_back(Out::Line(line));
    }

    pub(super) fn close(&mut self, link: LinkId) {
        self.links.entry(link).or_default().push_back(Out::Close);
    }

    pub(super) fn reading(&mut self, link: LinkId, reading: bool) {
        self.links.entry(link).or_default().push_back(Out::Reading(reading));
    }

    pub(super) fn record(&mut self, number: RecordNumber, record: Record, made_up: Option<String>) {
        self.records.push_back((number, record, made_up));
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        self.asks.push_back(ask);
    }

    fn take(&mut self, link: LinkId) -> Option<Out> {
        let of_link = self.links.get_mut(&link)?;
        let next = of_link.pop_front();
        if of_link.is_empty() {
            self.links.remove(&link);
        }
        next
    }
}

/// Whether a line is the one expected, but for the digits of tokens.
fn is_as_expected(line: &[u8], expected: &[u8]) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    line.len() == expected.len()
        && line.iter().zip(expected).all(|(byte, other)| byte == other || *other == DIGIT && digit(*byte))
}

impl Reference {
    pub(super) fn broken(&self, now: Time, rule: &'static str, detail: String) -> Verdict {
        Err(Violation { rule, at: now, detail })
    }

    /// Takes notice of what was seen, and judges it.
    pub(in crate::sim) fn see(&mut self, now: Time, seen: &Seen, trace: &Trace) -> Verdict {
        let now = shifted(now, self.ahead);
        match seen {
            Seen::ServerStarted { boot, ahead, settings, accounts } => {
                let now = shifted(now, *ahead - core::mem::replace(&mut self.ahead, *ahead));
                self.note_settings(settings);
                self.scheduled = None;
                self.start(now, *boot, settings, accounts);
            }
            Seen::HashRenewed { name, credential } => {
                if let Some(server) = &mut self.server {
                    server.hash_renewed(name, credential);
                }
            }
            Seen::FilesChanged { settings, accounts } => {
                self.note_settings(settings);
                if let Some(server) = &mut self.server {
                    server.now = server.now.max(now);
                    server.file_read(accounts, settings);
                }
            }
            Seen::ServerGone { survived, .. } => self.gone(now, *survived),
            Seen::Synced { upto } => {
                if self.is_written(*upto) {
                    self.disk.note_written(now);
                }
                self.synced = *upto;
            }
            Seen::Told(told) => return self.tell(now, *told, trace),
            Seen::Sent { link, bytes } => return self.sent(now, *link, trace.bytes(*bytes)),
            Seen::Closed { link } => return self.came(now, *link, &Out::Close),
            Seen::Paused { link } => return self.came(now, *link, &Out::Reading(false)),
            Seen::Resumed { link } => return self.came(now, *link, &Out::Reading(true)),
            Seen::Persisted { number, record } => return self.persisted(now, *number, record),
            Seen::VerifyAsked { ticket, .. } => {
                return self.asked(now, *ticket, "Verify", |ask| matches!(ask, Ask::Compare { .. }));
            }
            Seen::HashAsked { ticket } => {
                return self.asked(now, *ticket, "Hash", |ask| matches!(ask, Ask::Hash { .. }));
            }
            Seen::LoadAsked(load) => return self.load_asked(now, load),
            Seen::Scheduled { at } => {
                let late = *at <= now;
                self.scheduled = Some(*at);
                if late {
                    return self.broken(now, "a timeout is later than now", format!("{}", at.0));
                }
            }
            Seen::OperatorWants { act, .. } => self.wanted = Some(act.clone()),
            Seen::OrderOver { done, lines } => self.order_over = Some((*done, lines.clone())),
            Seen::Ordered { ticket, user, words } => {
                let words = core::str::from_utf8(trace.bytes(*words)).unwrap_or_default();
                let is_it = |ask: &Ask| matches!(ask, Ask::Order { user: by, words: said, .. } if by == user && said == words);
                return self.asked(now, *ticket, "Order", is_it);
            }
            Seen::Acted { ticket, outcome } => return self.acted(now, *ticket, *outcome),
            Seen::Questioned { answers } => return self.questioned(now, answers),
            Seen::Returned => return self.returned(now),
            _ => {}
        }
        Ok(())
    }

    fn note_settings(&mut self, settings: &Settings) {
        self.shows_late |= settings.offline_delivery != OfflineDelivery::Auto;
    }

    fn tell(&mut self, now: Time, told: Told, trace: &Trace) -> Verdict {
        if self.scheduled.is_some_and(|at| at <= now) {
            self.scheduled = None;
        }
        let Some(server) = &mut self.server else { return Ok(()) };
        server.now = server.now.max(now);
        match told {
            Told::LinkOpened { link, from } => server.open_link(link, from),
            Told::Received { link, bytes } => server.receive(link, trace.bytes(bytes)),
            Told::Flushed { link, upto } => server.flushed(link, upto),
            Told::StreamEnded { link } => server.stream_ended(link),
            Told::LinkClosed { link } => server.link_lost(link),
            Told::Verified { ticket, verdict } => return self.verified(now, ticket, verdict),
            Told::Hashed { ticket, done } => {
                if let Some(Ask::Hash { attempt, link, name, credential }) = server.asked.remove(&ticket) {
                    server.hashed(attempt, link, &name, done.then_some(credential));
                }
            }
            Told::Committed { upto } => self.committed(upto),
            Told::StoreRefused { from } => server.store_refused(from),
            Told::MailLoaded { ticket, count } => return self.mail_loaded(now, ticket, count),
            Told::Reloaded | Told::HashesRenewed => {}
            Told::Operator { ticket } => {
                if let Some(act) = self.wanted.take() {
                    server.operate(ticket, &act);
                }
            }
            Told::Obeyed { ticket } => {
                if let (Some(Ask::Order { wish, .. }), Some((done, lines))) =
                    (server.asked.remove(&ticket), self.order_over.take())
                {
                    server.order_is_over(wish, done, &lines);
                }
            }
            Told::Turn => server.give_turn(),
            Told::Stop => server.stop(),
            Told::Restart => server.restart(),
            Told::Tick => server.meet_deadlines(),
        }
        if let Some(server) = &mut self.server {
            server.do_what_is_due();
        }
        Ok(())
    }

    fn verified(&mut self, now: Time, ticket: Ticket, verdict: SeenVerdict) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        let Some(Ask::Compare { attempt, link, from, subject, credential, right }) =
            server.asked.remove(&ticket)
        else {
            return Ok(());
        };
        if verdict != SeenVerdict::Overloaded && right != (verdict == SeenVerdict::Right) {
            return self.broken(
                now,
                "a password is compared with that of its account",
                format!("{subject:?}"),
            );
        }
        server.verified(attempt, link, from, &subject, credential, verdict);
        server.do_what_is_due();
        Ok(())
    }

    fn mail_loaded(&mut self, now: Time, ticket: Ticket, count: u32) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        let Some(ask) = server.asked.remove(&ticket) else { return Ok(()) };
        let Some(load) = ask.load(ticket) else { return Ok(()) };
        let (mail, more) = self.disk.page(&load);
        if mail.len() != count as usize {
            return self.broken(
                now,
                "the store gives the mail that is durable",
                format!("{count} of {}", mail.len()),
            );
        }
        match ask {
            Ask::Page { user, page, .. } => server.page_loaded(user, page, mail, more),
            Ask::Discard { user, of, from, upto, .. } => {
                server.discard_loaded(user, of, from, upto, &mail, more)
            }
            Ask::Expired { user, first_left, goes_on, .. } => {
                server.expired_loaded(user, first_left, goes_on, (&mail, more))
            }
            Ask::Compare { .. } | Ask::Hash { .. } | Ask::Order { .. } => {}
        }
        server.do_what_is_due();
        Ok(())
    }

    fn sent(&mut self, now: Time, link: LinkId, bytes: &[u8]) -> Verdict {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(server) = &mut self.server else { return Ok(()) };
            let words = crate::sim::check::words(line);
            match server.expected.take(link) {
                Some(Out::Line(expected)) if is_as_expected(line, expected.as_bytes()) => {
                    self.tally.line(&expected);
                    if let (Some(at), Ok(line)) = (expected.find(TOKEN), core::str::from_utf8(line)) {
                        let said = line.get(at..at + TOKEN.len()).unwrap_or_default().into();
                        if server.learnt.passes_told.contains_key(&link) {
                            self.pass_said(link, said);
                        } else if expected.starts_with("device ") {
                            self.cookie_said(link, said);
                        } else if let Some(admitted) = expected.strip_prefix("welcome ") {
                            let user = admitted.split(' ').next().unwrap_or_default();
                            self.token_said(user, said);
                        }
                    }
                }
                expected => {
                    let detail = format!("{link:?}: {words}; expected {}", shown(expected));
                    return self.broken(now, "what is said is what the texts say", detail);
                }
            }
        }
        Ok(())
    }

    fn came(&mut self, now: Time, link: LinkId, out: &Out) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        let expected = server.expected.take(link);
        if expected.as_ref() == Some(out) {
            return Ok(());
        }
        let detail = format!("{link:?}: {}; expected {}", shown(Some(out.clone())), shown(expected));
        self.broken(now, "what is said is what the texts say", detail)
    }

    /// An operator hears what has become of an act.
    fn acted(&mut self, now: Time, ticket: Ticket, outcome: Reached) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        let expected = server.expected.acted.pop_front();
        let outcome = outcome.map_err(NotDone::as_str);
        if expected == Some((ticket, outcome)) {
            return Ok(());
        }
        let detail = format!("{ticket:?} {outcome:?}; expected {expected:?}");
        self.broken(now, "operators do what the texts say", detail)
    }

    fn persisted(&mut self, now: Time, number: RecordNumber, record: &Record) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        self.tally.record();
        let expected = server.expected.records.pop_front();
        let fits = expected.as_ref().is_some_and(|(own, expected, made_up)| {
            *own == number && learn(server, expected, made_up.as_deref(), record)
        });
        if fits {
            server.note_actual(number, record);
            return Ok(());
        }
        let expected = expected.map(|(number, record, _)| (number, record));
        self.broken(
            now,
            "what is recorded is what the texts say",
            format!("{number:?} {record:?}; expected {expected:?}"),
        )
    }

    fn asked(&mut self, now: Time, ticket: Ticket, what: &str, fits: impl Fn(&Ask) -> bool) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        match server.expected.asks.pop_front() {
            Some(ask) if fits(&ask) => {
                self.tally.ask();
                server.asked.insert(ticket, ask);
                Ok(())
            }
            expected => self.broken(
                now,
                "what is asked is what the texts say",
                format!("{what}; expected {expected:?}"),
            ),
        }
    }

    fn load_asked(&mut self, now: Time, load: &LoadMail) -> Verdict {
        self.asked(now, load.ticket, "mail", |ask| ask.load(load.ticket).as_ref() == Some(load))
    }

    /// A call is over: nothing that it was to bring is missing, and the next deadline is asked for.
    fn returned(&mut self, now: Time) -> Verdict {
        let Some(server) = &mut self.server else { return Ok(()) };
        let expected = core::mem::take(&mut server.expected);
        let due = server.timers.first().map(|(at, _)| (*at).max(Time(now.0.saturating_add(1))));
        let missing = if let Some((link, outs)) = expected.links.into_iter().next() {
            Some(format!("{link:?}: {}", shown(outs.into_iter().next())))
        } else if let Some((number, record, _)) = expected.records.front() {
            Some(format!("{number:?} {record:?}"))
        } else if let Some(acted) = expected.acted.front() {
            Some(format!("{acted:?}"))
        } else {
            expected.asks.front().map(|ask| format!("{ask:?}"))
        };
        if let Some(missing) = missing {
            return self.broken(now, "what the texts say is done", missing);
        }
        if due.is_some_and(|due| self.scheduled.is_none_or(|at| at > due)) {
            let detail = format!(
                "{:?}, asked for {:?}",
                self.server.as_ref().and_then(|server| server.timers.first()),
                self.scheduled
            );
            return self.broken(now, "a deadline is met in time", detail);
        }
        Ok(())
    }
}

fn shown(out: Option<Out>) -> String {
    match out {
        None => "nothing".into(),
        Some(Out::Close) => "its end".into(),
        Some(Out::Reading(true)) => "to read it again".into(),
        Some(Out::Reading(false)) => "to read it no more".into(),
        Some(Out::Line(line)) => line.replace('\u{1}', "?").chars().take(200).collect(),
    }
}

impl Server {
    pub(super) fn do_what_is_due(&mut self) {
        while let Some(later) = self.later.pop_front() {
            match later {
                Later::Read(link) => self.go_on_reading(link),
                Later::GoOnLeaving(user) => self.go_on_leaving(user),
                Later::Decide(link) => self.decide_again(link),
                Later::Purge => self.begin_purges(),
            }
        }
    }

    fn meet_deadlines(&mut self) {
        while let Some((at, timer)) = self.timers.first().copied()
            && at <= self.now
        {
            self.timers.pop_first();
            match timer {
                Timer::Login(link) => self.login_overdue(link),
                Timer::Parting(link) => self.part(link),
                Timer::Idle(user, serial) => self.idle_due(user, serial),
                Timer::Acknowledgement(user, serial) => self.acknowledgement_due(user, serial),
                Timer::Grace(user, serial) => self.grace_due(user, serial),
                Timer::Leaving(user, serial) => self.leaving_due(user, serial),
                Timer::Throttle(user, serial) => self.throttle_due(user, serial),
                Timer::ThrottleCourier(link) => self.throttle_courier_due(link),
                Timer::Probe(user) => self.probe_due(user),
                Timer::Request(from, to, serial) => self.request_expired(from, to, serial),
                Timer::Relay(user) => self.relay_due(user),
                Timer::Settle(user) => self.settled(user),
                Timer::Mailbox(user) => self.mailbox_due(user),
                Timer::History => self.forget_past(),
                Timer::Retry => self.try_again(),
            }
        }
    }
}
