//! Links: bytes become lines, and lines are obeyed, at once or in their turn (R1 to R11, R23).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::reader::{Line, RelayLine, read};
use super::{Later, Server, User};
use crate::time::Time;
use crate::words::LinkId;

/// What may wait on one link (R23).
const HELD_BYTES: usize = 64 * 1024;
const ENDLESS_BYTES: usize = 64 * 1024;
/// Beyond the limit of a line, for what programs put around a text (R2).
const LINE_ROOM: usize = 512;
/// Lists that may wait on one link (R40).
pub(super) const LISTS: usize = 4;

/// Why a link obeys nothing for now.
pub(super) mod waits {
    pub(in super::super) const LOGIN: u8 = 1;
    pub(in super::super) const RATE: u8 = 2;
    pub(in super::super) const LISTS: u8 = 4;
    pub(in super::super) const CHANGE: u8 = 8;
    pub(in super::super) const DISK: u8 = 16;
    pub(in super::super) const TURN: u8 = 32;
}

/// How far a link has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Anonymous,
    /// A password is being compared or hashed; the number tells this attempt from others.
    LoggingIn(u64),
    /// A password waits for its turn.
    Queued,
    /// The password was right, and it is asked whether the session is there.
    Probing(super::probes::Entrant),
    Refused(String, bool),
    Entering(User, super::sessions::Entry),
    Member(User),
    /// It says goodbye once all that was under way has arrived; with its last answer.
    Leaving(User, Option<String>),
    /// A courier that is being let in, one that is in, and one that leaves with this answer.
    Hailing(User),
    Carrying(User),
    Departing(User, Option<String>),
    Parting(&'static str, Option<String>),
}

impl Stage {
    pub(super) const fn user(&self) -> Option<User> {
        match self {
            Stage::Member(user) | Stage::Leaving(user, _) => Some(*user),
            _ => None,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) from: SocketAddr,
    pub(super) stage: Stage,
    pub(super) acknowledges: bool,
    pub(super) resumes: bool,
    pub(super) keeps_cookie: bool,
    pub(super) says_alive: bool,
    pub(super) courier: bool,
    pub(super) reads_away: bool,
    pub(super) relays: bool,
    pub(super) reads_until: bool,
    /// The token that it is given, and how many of its messages are not answered.
    pub(super) pass: Option<crate::record::Digest>,
    pub(super) open: u32,
    /// The cookie that was shown last.
    pub(super) cookie: Option<String>,
    /// The good invite that was shown last.
    pub(super) invite: Option<String>,
    /// It has got `already_online`, and may take over.
    pub(super) denied: Option<super::probes::Denied>,
    /// When it began to log in, in an order of all.
    pub(super) began_login: Option<u64>,
    /// The beginning of a line whose end has not come, and whether it is too long already.
    pub(super) begun: Vec<u8>,
    pub(super) too_long: bool,
    /// Lines that wait, without their ends; `None`: one that is too long.
    pub(super) held: VecDeque<Option<Vec<u8>>>,
    pub(super) held_bytes: usize,
    pub(super) paused: bool,
    pub(super) waits: u8,
    pub(super) ended: bool,
    pub(super) failures: u32,
    pub(super) spoke: bool,
    pub(super) is_anonymous: bool,
    /// Its address was known when it came (R48).
    pub(super) is_known: bool,
    pub(super) due: Option<Time>,
    pub(super) moved_at: Time,
    pub(super) sent: u64,
    pub(super) flushed: u64,
    pub(super) lists: VecDeque<Vec<String>>,
    /// Notices that were dropped since the last word of that (R45).
    pub(super) missed: u32,
    /// Units of the turn that it has had (R43).
    pub(super) turn: u64,
}

fn length(held: Option<&Vec<u8>>) -> usize {
    held.map_or(1, |line| line.len() + 1)
}

impl Server {
    pub(super) fn receive(&mut self, id: LinkId, bytes: &[u8]) {
        let limit = match self.settings.line_bytes {
            0 => usize::MAX,
            bytes => bytes + LINE_ROOM,
        };
        let endless = limit.saturating_mul(2).max(ENDLESS_BYTES);
        let Some(link) = self.links.get_mut(&id).filter(|link| !link.ended) else { return };
        link.spoke = true;
        if let Some(user) = link.stage.user() {
            self.probe_answered(user);
            self.do_what_is_due();
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut all = core::mem::take(&mut link.begun);
        // What was too long when it came stays so, whatever the limit is now.
        let mut too_long = core::mem::take(&mut link.too_long);
        all.extend_from_slice(bytes);
        let mut lines = all.split(|byte| *byte == b'\n');
        let begun = lines.next_back().unwrap_or_default();
        for whole in lines {
            if whole.len() > endless {
                return self.cut_off(id);
            }
            let line = whole.strip_suffix(b"\r").unwrap_or(whole);
            let fits = !core::mem::take(&mut too_long) && line.len() <= limit;
            self.take_line(id, fits.then_some(line));
            self.do_what_is_due();
            if !self.links.contains_key(&id) {
                return;
            }
        }
        if let Some(link) = self.links.get_mut(&id) {
            link.begun = begun.to_vec();
            link.too_long = too_long || begun.strip_suffix(b"\r").unwrap_or(begun).len() > limit;
            if begun.len() > endless {
                self.cut_off(id);
            }
        }
    }

    /// Obeys a line, or lets it wait; `None`: it was too long.
    fn take_line(&mut self, id: LinkId, line: Option<&[u8]>) {
        let Some(link) = self.links.get(&id) else { return };
        let waits = link.waits != 0 || !link.held.is_empty();
        match link.stage {
            Stage::Parting(..) => return,
            // R43: what a user says who leaves waits for nothing.
            Stage::Leaving(..) => return self.obey(id, line),
            Stage::Departing(..) => return,
            _ => {}
        }
        if line.is_some_and(|line| line.iter().all(|byte| *byte == b' ')) {
            // R6: it gives nothing.
        } else if self.is_at_once(id, line) || !waits && !self.waits_for_user(id) {
            self.obey(id, line);
        } else if let Some(link) = self.links.get_mut(&id) {
            let line = line.map(<[u8]>::to_vec);
            link.held_bytes += length(line.as_ref());
            link.held.push_back(line);
            if link.held_bytes > HELD_BYTES && !core::mem::replace(&mut link.paused, true) {
                self.expected.reading(id, false);
            }
        }
    }

    fn has_relays(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.relays)
    }

    /// `ack`, `active` and `alive` after a login, and what a session says was taken of a relay.
    fn is_at_once(&self, id: LinkId, line: Option<&[u8]>) -> bool {
        let took = |line: &[u8]| matches!(read(line), Line::Relay(RelayLine::Took { .. }));
        let in_session = self.stage(id).is_some_and(|stage| stage.user().is_some());
        if in_session && self.has_relays(id) && line.is_some_and(took) {
            return true;
        }
        let is_in =
            |stage: &Stage| stage.user().is_some() || matches!(stage, Stage::Hailing(_) | Stage::Carrying(_));
        self.stage(id).is_some_and(is_in) && line.is_some_and(is_said_aside)
    }

    /// Goes on with what waits on a link, then with the end of its stream.
    pub(super) fn go_on_reading(&mut self, id: LinkId) {
        while let Some(link) = self.links.get(&id)
            && link.waits == 0
        {
            let Some(line) = link.held.front().cloned() else {
                if link.ended {
                    self.end_is_due(id);
                }
                break;
            };
            if !self.is_at_once(id, line.as_deref()) && self.waits_for_user(id) {
                break;
            }
            if let Some(link) = self.links.get_mut(&id) {
                link.held_bytes -= length(line.as_ref());
                link.held.pop_front();
            }
            self.obey(id, line.as_deref());
        }
        if let Some(link) = self.links.get_mut(&id)
            && link.paused
            && link.held_bytes <= HELD_BYTES / 2
        {
            link.paused = false;
            self.expected.reading(id, true);
        }
    }

    fn obey(&mut self, id: LinkId, line: Option<&[u8]>) {
        let too_long = Line::Misused { number: None, code: "too_long", first: String::new() };
        let line = line.map_or(too_long, read);
        let Some(stage) = self.stage(id).cloned() else { return };
        let took = self.has_relays(id) && matches!(line, Line::Relay(RelayLine::Took { .. }));
        let aside = is_aside(&line) || took && matches!(stage, Stage::Member(_));
        self.charged = stage.user().map(|user| (user, 0));
        match stage {
            Stage::Carrying(user) => {
                self.charged = Some((user, 0));
                self.obey_courier(id, user, line);
            }
            Stage::Hailing(_) | Stage::Departing(..) => {}
            Stage::Member(user) => self.obey_member(id, user, line),
            Stage::Anonymous => self.obey_stranger(id, line),
            Stage::Leaving(user, _) => {
                if let Line::Acknowledge { shown: Some(shown), .. } = line {
                    self.acknowledged(user, shown);
                }
            }
            Stage::LoggingIn(_)
            | Stage::Queued
            | Stage::Probing(_)
            | Stage::Refused(..)
            | Stage::Entering(..) => {
                if let Line::Misused { number, code, first } = line {
                    self.misused(id, number, code, &first);
                }
            }
            Stage::Parting(..) => {}
        }
        if stage == Stage::Anonymous || matches!(stage, Stage::Member(_) | Stage::Carrying(_)) && !aside {
            self.count_in_turn(id);
        }
    }

    fn obey_member(&mut self, id: LinkId, user: User, line: Line) {
        let took = self.has_relays(id) && matches!(line, Line::Relay(RelayLine::Took { .. }));
        if !is_aside(&line) && !took {
            self.charge(user, 1);
        }
        match line {
            Line::Request { number, command } => {
                self.obey_command(id, user, number, &command);
                self.look(id, user);
            }
            Line::Marked { number, word, .. } => {
                self.note_activity(user, false);
                self.misused(id, Some(number), "unknown_command", word);
            }
            Line::Acknowledge { shown, answered } => {
                if let Some(answered) = answered {
                    self.at_mut(user).ledger.answered(answered);
                }
                if let Some(shown) = shown {
                    self.acknowledged(user, shown);
                }
            }
            Line::Active { valid } => self.note_activity(user, valid),
            Line::Hello { .. } => self.not_now(id, user, "hello"),
            Line::Login { .. } => self.not_now(id, user, "login"),
            Line::Register { .. } => self.not_now(id, user, "register"),
            Line::Resume { .. } => self.not_now(id, user, "resume"),
            Line::Device { .. } => self.not_now(id, user, "device"),
            Line::Takeover => self.not_now(id, user, "takeover"),
            Line::Invite { .. } => self.not_now(id, user, "invite"),
            Line::Alive => {}
            Line::Relay(line) if self.has_relays(id) => self.obey_relay(id, user, line),
            Line::Relay(_) => self.not_now(id, user, "relay"),
            Line::Misused { number, code, first } => {
                self.note_activity(user, false);
                let over = ["hello", "device", "login", "register", "resume", "takeover"]
                    .contains(&first.as_str())
                    || first == "relay" && !self.has_relays(id);
                self.misused(id, number, if over { "unknown_command" } else { code }, &first);
            }
        }
    }

    /// R11: after login those six are unknown.
    fn not_now(&mut self, id: LinkId, user: User, first: &str) {
        self.note_activity(user, false);
        self.misused(id, None, "unknown_command", first);
    }

    pub(super) fn misused(&mut self, id: LinkId, number: Option<u64>, code: &str, first: &str) {
        let mut line = String::from("error ");
        if let Some(number) = number {
            line += &format!("#{number} ");
        }
        line += code;
        if !first.is_empty() {
            line += " ";
            line += first;
        }
        self.send(id, &line);
    }

    pub(super) fn ask(&mut self, id: LinkId, what: &str) {
        self.send(id, &format!("ask {what}"));
    }

    fn obey_stranger(&mut self, id: LinkId, line: Line) {
        match line {
            Line::Hello {
                version: 1,
                acknowledges,
                resumes,
                keeps_cookie,
                says_alive,
                courier,
                reads_away,
                relays,
                reads_until,
            } => {
                if let Some(link) = self.links.get_mut(&id) {
                    (link.courier, link.reads_away) = (courier, reads_away);
                    (link.relays, link.reads_until) = (relays, reads_until);
                    (link.acknowledges, link.resumes) = (acknowledges, resumes);
                    (link.keeps_cookie, link.says_alive) = (keeps_cookie, says_alive);
                }
            }
            Line::Hello { .. } => {
                self.send(id, "bye version");
                self.close(id);
            }
            Line::Login { name, password } => {
                if !self.begin_login(id) {
                    return;
                }
                self.login(id, &name, password);
            }
            Line::Register { name, password } => {
                if !self.begin_login(id) {
                    return;
                }
                self.register(id, &name, password);
            }
            Line::Resume { name, token } => {
                if !self.begin_login(id) {
                    return;
                }
                self.resume(id, &name, &token);
            }
            Line::Device { cookie } => self.cookie_shown(id, cookie),
            Line::Takeover => self.take_over(id),
            Line::Invite { code } => {
                if !self.begin_login(id) {
                    return;
                }
                self.invite_shown(id, &code);
            }
            Line::Request { .. }
            | Line::Marked { .. }
            | Line::Acknowledge { .. }
            | Line::Active { .. }
            | Line::Relay(_)
            | Line::Alive => {
                self.ask(id, "username");
            }
            Line::Misused { number, code, first } => self.misused(id, number, code, &first),
        }
    }

    /// R48: from now on the connection may be safe. R52: it may take over no more. R63: it may be refused.
    fn begin_login(&mut self, id: LinkId) -> bool {
        let order = self.next_serial();
        if let Some(link) = self.links.get_mut(&id) {
            link.began_login.get_or_insert(order);
            link.denied = None;
        }
        !self.is_from_banned(id)
    }

    pub(super) fn wait(&mut self, id: LinkId, why: u8) {
        if let Some(link) = self.links.get_mut(&id) {
            link.waits |= why;
        }
    }

    /// Ends a reason to wait. Its user was not idle until now; but that a turn has come is no activity (R43).
    pub(super) fn wait_no_more(&mut self, id: LinkId, why: u8) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.waits & why != 0) else { return };
        link.waits &= !why;
        if link.waits == 0 {
            let user = link.stage.user().filter(|_| why != waits::TURN);
            self.later.push_back(Later::Read(id));
            if let Some(user) = user {
                self.note_activity(user, true);
            }
        }
    }

    /// After a command: whether the next line has to wait for what it has begun (R23).
    pub(super) fn look(&mut self, id: LinkId, user: User) {
        if self.has_wish(user) {
            self.wait(id, waits::CHANGE);
        }
        if self.lists_waiting(id) > LISTS {
            self.wait(id, waits::LISTS);
        }
    }
}

/// Whether a line is one that waits for nothing after a login.
fn is_said_aside(line: &[u8]) -> bool {
    is_aside(&read(line))
}

const fn is_aside(line: &Line) -> bool {
    matches!(line, Line::Acknowledge { .. } | Line::Active { .. } | Line::Alive)
}
