//! Wishes: changes that users asked for and that are not answered. A user has one under way at a time, and
//! their next line waits for it.

use alloc::vec::Vec;

use super::{Check, Verdict, rule, words};
use crate::record::RecordNumber;
use crate::sim::model::User;
use crate::wire::{ClientLine, Command};
use crate::words::LinkId;

/// All wishes that are not answered.
#[derive(Debug, Default)]
pub(in crate::sim) struct Wishes {
    open: Vec<Wish>,
    /// Counts the lines of all users, and the calls of the server.
    lines: u64,
    calls: u64,
}

/// A change that somebody asked for.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) user: User,
    /// Where it is answered; `None` if that link is lost.
    link: Option<LinkId>,
    login: u64,
    number: Option<u64>,
    /// Its command, encoded.
    pub(super) line: Vec<u8>,
    /// Its place among the lines of all users.
    order: u64,
    /// Its change, once that is with the store.
    record: Option<RecordNumber>,
    /// What became of that is known.
    is_settled: bool,
    /// The call of the server in which its turn among the lines of its user came.
    first_since: Option<u64>,
}

/// A line that something is said or done for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) user: User,
    /// Its command, encoded.
    pub(super) words: &'a [u8],
    pub(super) login: u64,
    pub(super) link: LinkId,
    pub(super) number: Option<u64>,
    /// Its place among the lines of all users.
    pub(super) order: u64,
}

impl Wishes {
    /// The place of the next line among those of all users.
    pub(super) const fn next_line(&mut self) -> u64 {
        self.lines += 1;
        self.lines
    }

    /// A change is asked for: for the first time, or again.
    pub(super) fn ask(&mut self, line: &Line<'_>) {
        let Line { user, words, login, link, number, order } = *line;
        let wish = self.open.iter_mut().find(|wish| number.is_some() && line.is_of(wish));
        if let Some(wish) = wish {
            wish.link = Some(link);
            // It may have been dropped before, and then comes behind what was said again before it.
            if wish.record.is_none() {
                (wish.order, wish.first_since) = (order, None);
            }
            return;
        }
        let (link, line) = (Some(link), words.to_vec());
        self.open.push(Wish {
            user,
            link,
            login,
            number,
            line,
            order,
            record: None,
            is_settled: false,
            first_since: None,
        });
    }

    /// A link is gone. Of what was asked for on it only the first may have begun: it goes on if it has a
    /// number, or is with the store.
    pub(super) fn link_lost(&mut self, link: LinkId) {
        let first = self.open.iter().find(|wish| wish.link == Some(link)).map(|wish| wish.order);
        self.open.retain_mut(|wish| {
            if wish.link != Some(link) {
                return true;
            }
            wish.link = None;
            Some(wish.order) == first && (wish.number.is_some() || wish.record.is_some())
        });
    }

    /// The server stops: what is not with the store is dropped.
    pub(super) fn stop(&mut self) {
        self.open.retain(|wish| wish.record.is_some());
    }

    /// What was not answered has come to an end.
    pub(super) fn server_gone(&mut self) {
        self.open.clear();
    }

    /// Whether a user waits for a change, or may.
    pub(super) fn is_anything_open(&self, user: User) -> bool {
        self.open.iter().any(|wish| wish.user == user)
    }

    /// A record is durable. Says who asked for it, by which line.
    pub(super) fn applied(&mut self, number: RecordNumber) -> Option<(User, u64)> {
        let wish = self.open.iter_mut().find(|wish| wish.record == Some(number))?;
        wish.is_settled = true;
        Some((wish.user, wish.order))
    }

    pub(super) fn refused(&mut self, from: RecordNumber) {
        for wish in self.open.iter_mut().filter(|wish| wish.record.is_some_and(|record| record >= from)) {
            wish.is_settled = true;
        }
    }

    /// A line is answered.
    pub(super) fn answered(&mut self, line: &Line<'_>) {
        self.open.retain(|wish| {
            // What was asked for before on a lost link, and is not with the store, has come to an end unheard.
            let before = wish.user == line.user && wish.order < line.order;
            let unheard = before && wish.link.is_none() && wish.record.is_none();
            !line.is_of(wish) && !unheard
        });
    }

    /// Whether a line asks for a change that is not answered.
    pub(super) fn is_for(&self, line: &Line<'_>) -> bool {
        self.open.iter().any(|wish| line.is_of(wish))
    }

    /// The change that a line asks for, if it is or was with the store.
    pub(super) fn record_of(&self, line: &Line<'_>) -> Option<RecordNumber> {
        self.open.iter().find(|wish| line.is_of(wish))?.record
    }

    /// The wishes of each user whose turn it is: nothing of the same user comes before.
    pub(super) fn first(&self) -> impl Iterator<Item = &Wish> {
        let is_first = |wish: &&Wish| {
            let before = |other: &Wish| {
                other.user == wish.user
                    && other.order < wish.order
                    && (other.link.is_some() || (other.record.is_some() && !other.is_settled))
            };
            !self.open.iter().any(before)
        };
        self.open.iter().filter(is_first)
    }

    /// A call of the server is over.
    pub(super) fn call_is_over(&mut self) {
        let first: Vec<u64> = self.first().map(Wish::order).collect();
        let calls = self.calls;
        self.calls += 1;
        for wish in self.open.iter_mut().filter(|wish| first.contains(&wish.order)) {
            wish.first_since.get_or_insert(calls);
        }
    }

    /// A change is with the store.
    pub(super) fn handed_over(&mut self, order: u64, number: RecordNumber) {
        if let Some(wish) = self.open.iter_mut().find(|wish| wish.order == order) {
            wish.record = Some(number);
        }
    }

    /// What a line must wait for: a change that was asked for before it, on the same link, or is with the store.
    fn hold_up(&self, line: &Line<'_>) -> Option<&Wish> {
        self.open.iter().find(|wish| {
            let with_store = wish.record.is_some() && !wish.is_settled;
            let before = wish.user == line.user && wish.order < line.order && !line.is_of(wish);
            before && (with_store || wish.link == Some(line.link))
        })
    }
}

impl Line<'_> {
    /// Whether it is the line, or a repeat of it, that asks for a change.
    fn is_of(&self, wish: &Wish) -> bool {
        wish.user == self.user
            && match self.number {
                Some(_) => (wish.login, wish.number) == (self.login, self.number) && wish.line == self.words,
                None => (wish.link, wish.order) == (Some(self.link), self.order),
            }
    }
}

impl Wish {
    pub(super) const fn order(&self) -> u64 {
        self.order
    }

    /// Whether it has not been handed to the store.
    pub(super) const fn waits(&self) -> bool {
        self.record.is_none()
    }

    /// Whether the link still stands on which it is answered.
    pub(super) const fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    /// Its place among wishes that conflict, the smaller the earlier: one about the blocks of its user goes
    /// before those that only name them, then the oldest. `None`: its turn came in this call.
    fn turn(&self) -> Option<(bool, u64)> {
        let shared = !matches!(self.command(), Some(Command::Block { .. } | Command::Unblock { .. }));
        Some((shared, self.first_since?))
    }

    /// Whether it has waited longer than another, or may go before it.
    pub(super) fn goes_before(&self, other: &Wish) -> bool {
        let shared = !matches!(other.command(), Some(Command::Block { .. } | Command::Unblock { .. }));
        self.turn().is_some_and(|turn| turn < other.turn().unwrap_or((shared, u64::MAX)))
    }

    /// The link on which it is answered, if that stands.
    pub(super) const fn link(&self) -> Option<LinkId> {
        self.link
    }

    /// What was asked for.
    pub(super) fn command(&self) -> Option<Command<'_>> {
        command_of(&self.line)
    }
}

/// The command in a line that was kept.
pub(super) fn command_of(line: &[u8]) -> Option<Command<'_>> {
    match ClientLine::parse(line) {
        Ok(ClientLine::Request { command, .. }) => Some(command),
        Ok(_) | Err(_) => None,
    }
}

/// Whether a command asks for a change.
pub(super) const fn is_change(command: &Command<'_>) -> bool {
    matches!(
        command,
        Command::Block { .. }
            | Command::Unblock { .. }
            | Command::CreateGroup { .. }
            | Command::AddToGroup { .. }
            | Command::RemoveFromGroup { .. }
            | Command::LeaveGroup { .. }
            | Command::DeleteGroup { .. }
    )
}

impl Check {
    /// Something is said, or done, for a line: nothing that its user asked for before may be open.
    pub(super) fn line_has_its_turn(&mut self, line: &Line<'_>) -> Verdict {
        let free = self.at_some_point(|check| check.wishes.hold_up(line).is_none());
        let before = self.wishes.hold_up(line).map(|wish| words(&wish.line));
        let name = &self.model.users[line.user].name;
        rule!(self, free, "the next line waits for a change", "of {name}, behind {before:?}");
        Ok(())
    }

    /// What became of a change is said in the call in which it is known.
    pub(super) fn wishes_are_answered(&mut self) -> Verdict {
        let heard =
            |wish: &&Wish| wish.link.is_some_and(|link| self.model.member_on(link) == Some(wish.user));
        let silent = self.wishes.open.iter().filter(|wish| wish.is_settled).find(heard);
        let silent = silent.map(|wish| (self.model.users[wish.user].name.as_str(), words(&wish.line)));
        rule!(self, silent.is_none(), "a change is answered when its fate is known", "{silent:?}");
        self.drop_wishes(|wish| wish.is_settled);
        Ok(())
    }

    /// Wishes have come to an end: until now their users were not idle.
    fn drop_wishes(&mut self, ended: impl Fn(&Wish) -> bool) {
        let now = self.now;
        for wish in self.wishes.open.extract_if(.., |wish| ended(wish)) {
            if let Some(session) = &mut self.model.users[wish.user].session {
                session.active.1 = session.active.1.max(now);
            }
        }
    }

    /// With nothing under way no change waits for its turn, on a lost link neither.
    pub(super) fn wishes_wait_for_something(&mut self) -> Verdict {
        if self.wishes.open.is_empty() || !self.is_at_rest() {
            return Ok(());
        }
        let waits = |wish: &&Wish| wish.waits() && wish.link.is_some_and(|link| self.is_heard(link));
        let waiting = self.wishes.first().find(waits);
        let waiting = waiting.map(|wish| (self.model.users[wish.user].name.as_str(), words(&wish.line)));
        rule!(self, waiting.is_none(), "a change waits only for what conflicts", "{waiting:?}");
        self.drop_wishes(|wish| wish.link.is_none());
        Ok(())
    }
}
