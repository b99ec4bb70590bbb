//! Tokens: a session is resumed by its own token only, and not after an end that was for good.

use alloc::collections::BTreeMap;

use super::{Check, Verdict, rule};
use crate::record::{Fact, Record, RecordNumber};
use crate::sim::model::User;
use crate::wire::Farewell;
use crate::words::{LinkId, Token};

/// The record of an end that the store refused.
const UNWRITTEN: RecordNumber = RecordNumber(u64::MAX);

/// What is known of all tokens.
#[derive(Debug, Default)]
pub(in crate::sim) struct Tokens {
    /// What each login was given.
    given: BTreeMap<(User, u64), Token>,
    /// What a link said to resume by.
    said: BTreeMap<LinkId, Token>,
    /// The record of the last end of each user's sessions.
    ends: BTreeMap<User, RecordNumber>,
    /// The last login of each user that ended for good, and the record of its end.
    over: BTreeMap<User, (u64, RecordNumber)>,
}

impl Tokens {
    pub(super) fn given(&mut self, user: User, login: u64, token: Option<Token>) {
        if let Some(token) = token {
            self.given.insert((user, login), token);
        }
    }

    pub(super) fn said(&mut self, link: LinkId, token: Token) {
        self.said.insert(link, token);
    }

    /// What a link said was not good.
    pub(super) fn refused(&mut self, link: LinkId) {
        self.said.remove(&link);
    }

    /// Whose login a link wants to go on with, if its token is one.
    pub(super) fn claims(&self, link: LinkId) -> Option<(User, u64)> {
        let said = self.said.get(&link)?;
        self.given.iter().find(|(_, token)| *token == said).map(|(login, _)| *login)
    }

    /// The links that want to go on with a login, by its token.
    pub(super) fn claimants(&self, login: (User, u64)) -> impl DoubleEndedIterator<Item = LinkId> {
        let token = self.given.get(&login);
        self.said.iter().filter(move |(_, said)| Some(*said) == token).map(|(link, _)| *link)
    }

    /// The record of an end was refused: until it is written again, a crash undoes it.
    pub(super) fn store_refused(&mut self, from: RecordNumber) {
        let records = self.over.values_mut().map(|(_, record)| record).chain(self.ends.values_mut());
        records.filter(|record| **record >= from).for_each(|record| *record = UNWRITTEN);
    }

    pub(super) fn server_gone(&mut self, survived: RecordNumber) {
        self.over.retain(|_, (_, record)| *record <= survived);
        self.over.values_mut().for_each(|(_, record)| *record = RecordNumber(0));
        self.ends.clear();
        self.said.clear();
    }
}

impl Check {
    pub(super) fn token_record(&mut self, number: RecordNumber, record: &Record) {
        if let Record::Fact(Fact::SessionEnded { user, .. }) = record {
            let user = self.model.user(user.as_str());
            self.tokens.ends.insert(user, number);
            if let Some((_, record)) =
                self.tokens.over.get_mut(&user).filter(|(_, record)| *record == UNWRITTEN)
            {
                *record = number;
            }
        }
    }

    /// A link is told why its session ends.
    pub(super) fn farewell(&mut self, link: LinkId, farewell: Farewell) {
        let for_good = match farewell {
            Farewell::Logout | Farewell::Timeout | Farewell::Replaced => true,
            Farewell::ServerShutdown | Farewell::Version => false,
        };
        let Some(seen) = self.links.seen.get_mut(&link) else { return };
        seen.farewell = Some(farewell);
        let Some(user) = seen.user.filter(|_| for_good) else { return };
        let record = self.tokens.ends.get(&user).copied().unwrap_or(RecordNumber(0));
        let over = self.tokens.over.entry(user).or_default();
        *over = (*over).max((seen.login, record));
    }

    /// A link is told that it goes on with a session.
    pub(super) fn resumed_rightly(&self, link: LinkId, user: User, login: u64) -> Verdict {
        let name = &self.model.users[user].name;
        let said = self.tokens.said.get(&link);
        let own = said.is_some() && said == self.tokens.given.get(&(user, login));
        rule!(self, own, "a session is resumed by its own token", "{name}, login {login}");
        let over = self.tokens.over.get(&user).is_some_and(|(over, _)| login == *over);
        rule!(self, !over, "what is over is not resumed", "{name}, login {login}");
        Ok(())
    }
}
