//! What operators do (R62 to R64).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::answers::Asker;
use super::door::Stage;
use super::lane::{Decision, Wish};
use super::lockout::Subject;
use super::login::AT_ONCE;
use super::papers::Then;
use super::prices::CHANGE;
use super::sessions::End;
use super::told::Ask;
use super::{Server, User};
use crate::record::{Change, Outcome, Record, Restraint};
use crate::server::Act;
use crate::time::Time;
use crate::wire::Code;
use crate::words::look_alike::are_alike;
use crate::words::{AddressRange, LinkId, Name, SharedText, Ticket};

/// Bans of addresses that are remembered.
const RANGES: usize = 1_000;

impl Server {
    pub(super) fn operate(&mut self, ticket: Ticket, act: &Act) {
        match act {
            Act::Restrain { user, how, until } => {
                self.submit(Wish::Restrain { ticket, user: user.clone(), how: *how, until: *until });
            }
            Act::Invite { code, invite } => {
                let (code, invite) = (format!("{code}"), invite.clone());
                self.submit(Wish::Invite { ticket, code, invite });
            }
            Act::BanRange { range, until } => {
                self.submit(Wish::BanRange { ticket, range: *range, until: *until });
            }
            Act::AnnounceKept(text) => self.submit(Wish::Announce { ticket, text: text.clone() }),
            Act::Withdraw(number) => self.submit(Wish::Withdraw { ticket, number: *number }),
            Act::Revoke(number) => self.submit(Wish::Revoke { ticket, number: *number }),
            act => {
                let outcome = self.act_at_once(act);
                self.expected.acted(ticket, outcome);
            }
        }
    }

    /// How many an act has reached, or the word of why it was not done.
    fn act_at_once(&mut self, act: &Act) -> Result<u64, &'static str> {
        match act {
            Act::Restrain { .. }
            | Act::BanRange { .. }
            | Act::Invite { .. }
            | Act::Revoke(_)
            | Act::AnnounceKept(_)
            | Act::Withdraw(_) => Ok(0),
            Act::Announce(text) => Ok(self.say_to_all(text.as_str())),
            Act::Kick { user, reason } => self.kick(user, reason.as_ref().map(SharedText::as_str)),
            Act::Unlock(name) => Ok(self.unlock(name)),
        }
    }

    /// R66: what an operator among the users wants done is handed to the shell.
    pub(super) fn decide_order(&mut self, wish: u64, asker: &Asker, words: &str) -> Decision {
        let user = self.name(asker.user).clone();
        if !self.settings.operators.contains(&user) {
            self.fail(asker, Code::NotOperator);
            return Decision::Answered;
        }
        self.charge(asker.user, CHANGE);
        self.expected.ask(Ask::Order { wish, user, words: words.into() });
        Decision::Ordered
    }

    pub(super) fn answer_order(&mut self, asker: &Asker, done: bool, lines: &[Box<str>]) {
        let texts = lines.iter().filter(|line| !line.is_empty() && !line.contains('\n'));
        let apart = |text: &str| if text.starts_with('#') { " " } else { "" };
        let mut lines: Vec<String> =
            texts.map(|text| format!("order {}{}{text}", asker.tag(), apart(text))).collect();
        let (last, outcome) =
            if done { ("ok", Outcome::Done) } else { ("error", Outcome::Failed(Code::NotDone)) };
        let why = if done { "" } else { "not_done " };
        lines.push(format!("{last} {}{why}op", asker.tag()));
        self.note_outcome(asker, outcome);
        if let Some(link) = self.asker_link(asker) {
            self.send_list(link, lines);
        }
    }

    /// Whether this is the name of an operator, or looks like one: nobody registers it.
    pub(super) fn is_like_operator(&self, name: &Name) -> bool {
        self.settings.operators.iter().any(|operator| are_alike(operator.as_str(), name.as_str()))
    }

    /// R64: the message of the day, to whoever has logged in.
    pub(super) fn say_motd(&mut self, id: LinkId, by_password: bool) {
        if let (Some(text), true) = (self.settings.motd.clone(), by_password) {
            self.send(id, &format!("notice operator {text}"));
        }
    }

    fn kick(&mut self, name: &Name, reason: Option<&str>) -> Result<u64, &'static str> {
        let user = self.find(name.as_str()).ok_or("unknown_user")?;
        if self.session(user).is_none() {
            return Err(if self.at(user).is_gone() { "unknown_user" } else { "offline" });
        }
        if let (Some(link), Some(reason)) = (self.at(user).link(), reason) {
            self.send(link, &format!("notice operator {reason}"));
        }
        self.end_session(user, End::Farewell("kicked", None));
        Ok(1)
    }

    fn unlock(&mut self, name: &Name) -> u64 {
        let of_name = self.subject(name.as_str());
        let mut subjects = Vec::from([of_name.clone()]);
        if let Subject::Account(user) = of_name {
            subjects.extend(self.devices_of(user));
        }
        subjects.retain(|subject| self.guesses(subject).count > 0);
        for subject in &subjects {
            self.change_guesses(subject, |guesses| (guesses.count, guesses.locked_until) = (0, None));
            self.persist_guesses(subject);
            self.settle_place(subject);
        }
        self.give_hashing_turns();
        subjects.len() as u64
    }

    fn devices_of(&self, user: User) -> Vec<Subject> {
        self.at(user).devices.keys().map(|device| Subject::Device(user, *device)).collect()
    }

    pub(super) fn decide_restraint(
        &mut self,
        ticket: Ticket,
        name: &Name,
        how: Restraint,
        until: Option<Time>,
    ) -> Decision {
        let nothing = match self.find_open(name.as_str()).map(|user| &self.at(user).restraints) {
            None => Err("unknown_user"),
            Some(restraints) if until.is_none() && !restraints.contains_key(&how) => Ok(0),
            Some(_) => {
                return Decision::Change(Change::Restrained { user: name.clone(), how, until }, [].into());
            }
        };
        self.expected.acted(ticket, nothing);
        Decision::Answered
    }

    /// A restraint is durable, or was refused.
    pub(super) fn restrained(&mut self, ticket: Ticket, name: &Name, durable: bool) {
        let user = self.find(name.as_str()).filter(|user| durable && self.barred(*user).is_some());
        if let Some(user) = user {
            self.end_session(user, End::Farewell("kicked", None));
            if let Some(link) = self.at(user).entering
                && let Some(Stage::Entering(_, entry)) = self.stage(link).cloned()
            {
                self.never_entered(user, &entry);
                self.send(link, "bye kicked");
                self.set_stage(link, Stage::Anonymous);
                self.close(link);
            }
            for courier in self.at(user).couriers.clone() {
                self.send(courier, "bye kicked");
                self.close(courier);
            }
        }
        self.expected.acted(ticket, if durable { Ok(1) } else { Err("storage_unavailable") });
    }

    pub(super) fn decide_range(
        &mut self,
        ticket: Ticket,
        range: AddressRange,
        until: Option<Time>,
    ) -> Decision {
        if until.is_none() && !self.ranges.contains_key(&range) {
            self.expected.acted(ticket, Ok(0));
            return Decision::Answered;
        }
        if self.ranges.len() >= RANGES && !self.ranges.contains_key(&range) {
            let ended = self.ranges.iter().filter(|(_, until)| **until <= self.now);
            let Some(first) = ended.min_by_key(|(_, until)| **until).map(|(range, _)| *range) else {
                self.expected.acted(ticket, Err("limit"));
                return Decision::Answered;
            };
            let gone = Change::RangeBanned { range: first, until: None };
            self.persist(Record::Change(gone), Then::Nothing);
        }
        Decision::Change(Change::RangeBanned { range, until }, [].into())
    }

    /// A ban of addresses is durable, or was refused: whoever is on a connection from there goes.
    pub(super) fn range_settled(&mut self, ticket: Ticket, range: AddressRange, durable: bool) {
        let holds = self.ranges.get(&range).is_some_and(|until| *until > self.now);
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for id in links.into_iter().filter(|_| durable && holds) {
            let Some(link) = self.links.get(&id).filter(|link| range.contains(link.from.ip())) else {
                continue;
            };
            match link.stage.clone() {
                Stage::Parting(..) => {}
                Stage::Member(user) | Stage::Leaving(user, _) => {
                    self.end_session(user, End::Farewell("kicked", None));
                }
                stage => {
                    if let Stage::Entering(user, entry) = stage {
                        self.never_entered(user, &entry);
                        self.set_stage(id, Stage::Anonymous);
                    }
                    self.send(id, "bye kicked");
                    self.close(id);
                }
            }
        }
        self.expected.acted(ticket, if durable { Ok(1) } else { Err("storage_unavailable") });
    }

    /// Whether nobody is let in from the address of a connection.
    pub(super) fn is_from_banned(&mut self, id: LinkId) -> bool {
        let Some(ip) = self.links.get(&id).map(|link| link.from.ip()) else { return false };
        let bans = self.ranges.iter().filter(|(range, until)| range.contains(ip) && **until > self.now);
        let Some(until) = bans.map(|(_, until)| *until).max() else { return false };
        let seconds = self.told_of(until);
        self.refuse_for_good(id, AT_ONCE, &format!("locked_out {seconds}"));
        true
    }

    /// What is said of something that lasts so long.
    fn told_of(&self, until: Time) -> u64 {
        match until {
            Time::MAX if self.settings.block_duration_secs == 0 => 60,
            Time::MAX => self.settings.block_duration_secs,
            end => self.now.seconds_until(end),
        }
    }

    /// Until when something is kept from a user, if it is now.
    fn kept_from(&self, user: User, how: Restraint) -> Option<Time> {
        self.at(user).restraints.get(&how).copied().filter(|until| *until > self.now)
    }

    /// The seconds that a user who is not let in is told.
    pub(super) fn barred(&self, user: User) -> Option<u64> {
        let ends = [self.kept_from(user, Restraint::Banned), self.kept_from(user, Restraint::Disabled)];
        Some(self.told_of(ends.into_iter().flatten().max()?))
    }

    /// Whether a login is refused because an operator wants it so.
    pub(super) fn is_kept_away(&mut self, id: LinkId, user: Option<User>) -> bool {
        let Some(seconds) = user.and_then(|user| self.barred(user)) else { return false };
        self.refuse_for_good(id, AT_ONCE, &format!("locked_out {seconds}"));
        true
    }

    pub(super) fn may_not_say(&self, user: User, command: &str) -> bool {
        ["message", "message group", "broadcast", "startprivate"].contains(&command)
            && self.kept_from(user, Restraint::Muted).is_some()
    }
}
