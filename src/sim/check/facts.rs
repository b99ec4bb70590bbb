//! Facts that the store refused: they stay true, and are written again as soon as there is room.

use alloc::vec::Vec;

use super::{Check, Verdict, rule};
use crate::record::{Change, Fact, Record, RecordNumber, Suspect};
use crate::time::Time;
use crate::words::Name;

/// A refused fact is tried again every second.
const WITHIN_MICROS: u64 = 2_500_000;

/// Facts that are true and neither durable nor with the store.
#[derive(Debug, Default)]
pub(super) struct Facts {
    unwritten: Vec<(Fact, Time)>,
    /// The last fact that went to the store was one of them.
    is_again: bool,
}

impl Facts {
    /// A fact goes to the store, and with it those that it replaces.
    fn written(&mut self, fact: &Fact) {
        self.unwritten.retain_mut(|(before, _)| !replaces(fact, before));
    }

    /// Whether the last fact that went to the store had been refused before.
    pub(super) const fn is_again(&self) -> bool {
        self.is_again
    }

    fn of<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Fact> {
        let of_name = move |fact: &&Fact| subject(fact) == Some(name);
        self.unwritten.iter().map(|(fact, _)| fact).filter(of_name)
    }
}

impl Check {
    pub(super) fn facts_refused(&mut self, refused: &[(RecordNumber, Record)]) {
        for (_, record) in refused {
            let Record::Fact(fact) = record else { continue };
            self.facts.written(fact);
            if !self.is_moot(fact) {
                self.facts.unwritten.push((fact.clone(), self.now));
            }
        }
    }

    /// Whether nothing is lost if it is never written: mail whose storing was refused as well, and the end of a
    /// lock of a name that nobody has.
    fn is_moot(&self, fact: &Fact) -> bool {
        if let Fact::Failures { suspect: Suspect::Unknown(_), count: 0, .. } = fact {
            return true;
        }
        let Fact::MailRemoved { user, ids } = fact else { return false };
        self.model
            .find(user.as_str())
            .is_none_or(|user| !ids.iter().any(|id| self.model.is_to_be_removed(user, *id)))
    }

    /// Before a change or mail the facts are written of every account that it names.
    pub(super) fn facts_come_first(&mut self, record: &Record) -> Verdict {
        let names: Vec<&Name> = match record {
            Record::Fact(fact) => {
                self.facts.is_again = self.facts.unwritten.iter().any(|(before, _)| before == fact);
                self.facts.written(fact);
                return Ok(());
            }
            Record::Settled { .. } => return Ok(()),
            Record::MailStored { to, mail } => Vec::from([to, &mail.from]),
            Record::Change(Change::AccountRemoved { name }) => {
                self.facts.unwritten.retain(|(fact, _)| subject(fact) != Some(name));
                return Ok(());
            }
            Record::Change(Change::AccountAdded { name, .. }) => Vec::from([name]),
            Record::Change(Change::Blocked { by, user } | Change::Unblocked { by, user }) => {
                Vec::from([by, user])
            }
            Record::Change(Change::GroupSet { members, .. }) => members.iter().collect(),
            Record::Change(Change::GroupRemoved { .. }) => Vec::new(),
        };
        let waiting = names.into_iter().find_map(|name| self.facts.of(name).next());
        rule!(self, waiting.is_none(), "facts are written before what names their account", "{waiting:?}");
        Ok(())
    }

    /// No refused fact is forgotten.
    pub(super) fn facts_are_written_again(&self) -> Verdict {
        let late =
            self.facts.unwritten.iter().find(|(_, refused_at)| self.now.0 > refused_at.0 + WITHIN_MICROS);
        rule!(self, late.is_none(), "a refused fact is written again", "{late:?}");
        Ok(())
    }
}

/// Whether a fact says all that an older one says.
fn replaces(fact: &Fact, before: &mut Fact) -> bool {
    match (fact, before) {
        (Fact::Failures { suspect, .. }, Fact::Failures { suspect: before, .. }) => suspect == before,
        (Fact::SessionBegan { user, login, .. }, Fact::SessionBegan { user: of, login: before, .. }) => {
            user == of && login >= before
        }
        (Fact::SessionEnded { user, at, .. }, Fact::SessionEnded { user: of, at: before, .. }) => {
            user == of && at >= before
        }
        (Fact::MailRemoved { user, ids }, Fact::MailRemoved { user: of, ids: before }) if user == of => {
            before.retain(|id| !ids.contains(id));
            before.is_empty()
        }
        (
            Fact::Failures { .. }
            | Fact::SessionBegan { .. }
            | Fact::SessionEnded { .. }
            | Fact::MailRemoved { .. },
            _,
        ) => false,
    }
}

/// The account that a fact is about, if it is about one.
const fn subject(fact: &Fact) -> Option<&Name> {
    match fact {
        Fact::Failures { suspect: Suspect::Account(name), .. } => Some(name),
        Fact::Failures { suspect: Suspect::Unknown(_), .. } => None,
        Fact::SessionBegan { user, .. }
        | Fact::SessionEnded { user, .. }
        | Fact::MailRemoved { user, .. } => Some(user),
    }
}
