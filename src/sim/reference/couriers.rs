//! Couriers: clients that carry messages and hold no session (R57).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::answers::Asker;
use super::door::{Stage, waits};
use super::links::address_of;
use super::login::AT_ONCE;
use super::papers::DRAWN;
use super::reader::{Command, Line};
use super::told::TOKEN;
use super::{Server, Timer, User, later};
use crate::record::{Digest, Fact};
use crate::time::Time;
use crate::words::{Credential, LinkId, Name};

const TOKENS: usize = 8;
const GOOD_SECS: u64 = 86_400;
const IDLE_SECS: u64 = 10;
const TOKEN_UNITS: u64 = 20;

impl Server {
    pub(super) fn is_courier(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.courier)
    }

    fn has_couriers_enough(&self, user: User) -> bool {
        let most = self.settings.courier_max as usize;
        let account = self.at(user);
        most > 0 && account.couriers.len() >= most || self.is_behind_with(&account.name)
    }

    /// A password was right.
    pub(super) fn courier_comes(&mut self, id: LinkId, user: User) {
        if self.has_couriers_enough(user) {
            return self.refuse(id, AT_ONCE, "busy");
        }
        self.hail(id, user);
    }

    /// It is let in once its token is durable.
    pub(super) fn hail(&mut self, id: LinkId, user: User) {
        self.forget_passes(user, TOKENS - 1);
        let until = later(self.now, GOOD_SECS);
        let account = self.at_mut(user);
        account.passes.insert(DRAWN, until);
        account.couriers.push(id);
        let name = account.name.clone();
        self.set_stage(id, Stage::Hailing(user));
        self.wait(id, waits::LOGIN);
        self.courier_due(id, None);
        if let Some(link) = self.links.get_mut(&id) {
            link.pass = Some(DRAWN);
        }
        let number = self.persist_fact(Fact::Courier { user: name, token: DRAWN, until: Some(until) });
        self.word_waits(number, id);
    }

    /// Tokens that are over go, and those given longest ago beyond so many.
    fn forget_passes(&mut self, user: User, most: usize) {
        let now = self.now;
        let account = self.at(user);
        let mut passes: Vec<(Time, Digest)> =
            account.passes.iter().map(|(of, until)| (*until, *of)).collect();
        passes.sort_unstable();
        let name = account.name.clone();
        let mut left = passes.len();
        for (until, token) in passes {
            if until > now && left <= most {
                break;
            }
            left -= 1;
            self.at_mut(user).passes.remove(&token);
            self.persist_fact(Fact::Courier { user: name.clone(), token, until: None });
        }
    }

    /// After a restart.
    pub(super) fn too_many_passes(&mut self, user: User) {
        if self.at(user).passes.len() > TOKENS {
            self.forget_passes(user, TOKENS);
        }
    }

    pub(super) fn courier_resumes(&mut self, id: LinkId, name: &str, token: &str) {
        let is_good = |user: &User| {
            let account = self.at(*user);
            account.passes.iter().any(|(digest, until)| {
                let known = self.learnt.passes.get(digest);
                *until > self.now && known.is_some_and(|(known, line)| known == token && account.has(line))
            })
        };
        let user = self.find(name).filter(is_good);
        if self.is_kept_away(id, user) {
            return;
        }
        match user {
            None => self.refuse(id, AT_ONCE, "stale"),
            Some(user) if self.has_couriers_enough(user) => self.refuse(id, AT_ONCE, "busy"),
            Some(user) => {
                self.charge(user, TOKEN_UNITS);
                self.at_mut(user).couriers.push(id);
                self.courier_is_in(id, user, false);
            }
        }
    }

    pub(super) fn courier_is_in(&mut self, id: LinkId, user: User, gets_token: bool) {
        self.set_stage(id, Stage::Carrying(user));
        let (word, token) = if gets_token {
            ("welcome", String::from(" token ") + TOKEN)
        } else {
            ("resumed", String::new())
        };
        self.send(id, &format!("{word} {} unread 0 login 0{token}", self.name(user).clone()));
        if let Some(link) = self.links.get(&id) {
            let (from, pass) = (link.from, link.pass);
            self.known.came_in(address_of(from), user);
            self.learnt.passes_told.extend(pass.filter(|_| gets_token).map(|pass| (id, pass)));
        }
        self.wait_no_more(id, waits::LOGIN);
        self.look_at_courier(id);
    }

    pub(super) fn obey_courier(&mut self, id: LinkId, user: User, line: Line) {
        match line {
            Line::Acknowledge { .. } | Line::Active { .. } | Line::Alive => return,
            _ => self.charge(user, 1),
        }
        let unknown = match line {
            Line::Marked { number, word, id: of, command } => {
                return self.carry_marked(id, user, number, (word, &of), &command);
            }
            Line::Request { number, command } => match command.name {
                "logout" => {
                    let tag = number.map_or_else(String::new, |number| format!("#{number} "));
                    return self.courier_leaves(id, user, Some(format!("ok {tag}logout")));
                }
                "message" | "message group" | "broadcast" | "ping" => {
                    return self.carry(id, user, number, &command);
                }
                name => (number, "unknown_command", String::from(name)),
            },
            Line::Misused { number, code, first } => {
                let over = ["hello", "device", "login", "register", "resume", "takeover", "relay"]
                    .contains(&first.as_str());
                (number, if over { "unknown_command" } else { code }, first)
            }
            Line::Hello { .. } => (None, "unknown_command", "hello".into()),
            Line::Login { .. } => (None, "unknown_command", "login".into()),
            Line::Register { .. } => (None, "unknown_command", "register".into()),
            Line::Resume { .. } => (None, "unknown_command", "resume".into()),
            Line::Device { .. } => (None, "unknown_command", "device".into()),
            Line::Takeover => (None, "unknown_command", "takeover".into()),
            Line::Invite { .. } => (None, "unknown_command", "invite".into()),
            Line::Relay(_) => (None, "unknown_command", "relay".into()),
            Line::Acknowledge { .. } | Line::Active { .. } | Line::Alive => return,
        };
        let (number, code, first) = unknown;
        self.misused(id, number, code, &first);
        self.look_at_courier(id);
    }

    fn carry(&mut self, link: LinkId, user: User, number: Option<u64>, command: &Command) {
        let asker = Asker {
            user,
            login: 0,
            link,
            number,
            name: command.name,
            words: None,
            send: None,
            send_origin: None,
        };
        self.note_heard(&asker, command);
        self.carry_out(&asker, command);
        self.look_at_courier(link);
    }

    /// After an answer: for how long another line is waited for, or the end.
    pub(super) fn look_at_courier(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        match (&link.stage, link.open) {
            (Stage::Departing(_, last), 0) => {
                if let Some(last) = last.clone() {
                    self.send(id, &last);
                }
                self.send(id, "bye logout");
                self.close(id);
            }
            (Stage::Carrying(_), 0) => self.courier_due(id, Some(later(self.now, IDLE_SECS))),
            (Stage::Carrying(_), _) => self.courier_due(id, None),
            _ => {}
        }
    }

    fn courier_due(&mut self, id: LinkId, due: Option<Time>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Some(before) = core::mem::replace(&mut link.due, due) {
            self.timers.remove(&(before, Timer::Login(id)));
        }
        if let Some(due) = due {
            self.set(due, Timer::Login(id));
        }
    }

    /// Whether a courier is not closed because lines of it wait; if so it is looked at again.
    pub(super) fn courier_waits(&mut self, id: LinkId) -> bool {
        let waits = self.links.get(&id).is_some_and(|link| {
            matches!(link.stage, Stage::Carrying(_))
                && (link.waits & !waits::TURN != 0 || !link.held.is_empty())
        });
        if waits {
            self.courier_due(id, Some(later(self.now, 1)));
        }
        waits
    }

    /// Something is to be answered.
    pub(super) fn courier_asks(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.open += 1;
        }
    }

    pub(super) fn courier_answered(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(&id) {
            link.open -= 1;
            self.look_at_courier(id);
        }
    }

    /// `logout`, or the end of its stream.
    pub(super) fn courier_leaves(&mut self, id: LinkId, user: User, last: Option<String>) {
        self.set_stage(id, Stage::Departing(user, last));
        self.courier_due(id, None);
        self.look_at_courier(id);
    }

    /// The password of an account is to be another one, or the account goes: its couriers end.
    pub(super) fn password_goes(&mut self, name: &Name, line: Option<&Credential>) {
        let Some(user) = self.find(name.as_str()) else { return };
        if line.is_some_and(|line| self.at(user).has(line)) {
            return;
        }
        for id in self.at(user).couriers.clone() {
            self.send(id, "bye replaced");
            self.close(id);
        }
    }
}
