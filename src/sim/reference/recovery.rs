//! What a start makes of what is durable.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::lockout::{Guesses, Subject};
use super::papers::named;
use super::{Ledger, Reference, Server, User};
use crate::record::{AfterEnd, Fact, Record, Suspect};
use crate::server::Settings;
use crate::time::Time;
use crate::words::{Credential, Name};

impl Reference {
    pub(super) fn start(
        &mut self,
        now: Time,
        boot: u32,
        settings: &Settings,
        accounts: &[(Name, Credential)],
    ) {
        let recovery = self.disk.recovery();
        let learnt = core::mem::take(&mut self.learnt);
        let mut server = Server::new(now.max(recovery.last_written), boot, settings.clone(), learnt);
        for (name, credential) in accounts {
            server.open_account(name, credential);
        }
        let mut gone = BTreeSet::new();
        let mut held = Vec::new();
        for record in recovery.records {
            if !matches!(record, Record::Settled { .. }) {
                gone.extend(named(&record).into_iter().filter(|name| server.find(name.as_str()).is_none()));
            }
            // What was said of a session last holds.
            if let Record::Fact(Fact::SessionBegan { user, .. } | Fact::SessionEnded { user, .. }) = &record {
                let user = server.find(user.as_str());
                held.retain(|(held, _)| Some(*held) != user);
                if let Record::Fact(Fact::SessionEnded { after: AfterEnd::Held, at, .. }) = &record {
                    held.extend(user.map(|user| (user, *at)));
                }
            }
            match &record {
                Record::Fact(fact) => server.apply_old(fact),
                _ => server.apply(&record),
            }
        }
        for (to, mail) in self.disk.all_mail() {
            match server.find(to.as_str()) {
                Some(to) => {
                    server.at_mut(to).mailbox.book(mail);
                    server.mailbox_changed(to);
                }
                None => drop(gone.insert(to.clone())),
            }
        }
        server.end_open_sessions(recovery.last_written);
        server.take_up(held);
        server.too_many_devices();
        for name in gone {
            server.purges.entry(name).or_default();
        }
        server.begin_purges();
        self.server = Some(server);
    }
}

impl Server {
    /// A fact of an earlier run.
    fn apply_old(&mut self, fact: &Fact) {
        match fact {
            Fact::Failures { suspect, count, locked_until, since_login } => {
                let subject = match suspect {
                    Suspect::Account(name) => self.find(name.as_str()).map(Subject::Account),
                    Suspect::Unknown(digest) => {
                        self.learnt.name_of(digest).filter(|_| *count > 0).map(Subject::MadeUp)
                    }
                };
                if let Some(subject) = subject {
                    let (count, locked_until, since_login) = (*count, *locked_until, *since_login);
                    let guesses = Guesses { count, locked_until, since_login, ..Guesses::default() };
                    self.take_place_again(&subject, guesses);
                }
            }
            Fact::Device { user, device, standing } => {
                if let (Some(user), Some(standing)) = (self.find(user.as_str()), standing) {
                    self.device_read(user, *device, *standing);
                }
            }
            Fact::Courier { user, token, until } => {
                if let (Some(user), Some(until)) = (self.find(user.as_str()), until) {
                    self.at_mut(user).passes.insert(*token, *until);
                }
            }
            Fact::SessionBegan { user, login, token, at } => {
                if let Some(user) = self.find(user.as_str()) {
                    self.note_began(user, *at);
                    let account = self.at_mut(user);
                    (account.login, account.token) = (login.0, *token);
                }
            }
            Fact::SessionEnded { user, after, at } => {
                if let Some(user) = self.find(user.as_str()) {
                    // A login that was cut off before its `welcome` is no session.
                    if self.at(user).began.is_some() {
                        self.note_ended(user, *at);
                    }
                    if *after == AfterEnd::Nothing {
                        self.at_mut(user).token = None;
                        self.at_mut(user).ledger = Ledger::default();
                    }
                }
            }
            Fact::Heard { user, upto } => {
                if let Some(user) = self.find(user.as_str()) {
                    self.heard_read(user, *upto);
                }
            }
            Fact::MailExpired { user, untold, .. } => {
                if let Some(user) = self.find(user.as_str()) {
                    self.at_mut(user).untold = *untold;
                }
            }
            Fact::SessionForgotten { .. } => unreachable!("what is forgotten is not found"),
            Fact::InviteUsed { code, left } => self.set_invite_left(*code, *left),
            Fact::MailRemoved { .. } => {}
        }
    }

    /// R18: a session that was open at a crash ended at the crash.
    fn end_open_sessions(&mut self, at: Time) {
        for user in self.everybody() {
            if self.at(user).began.is_some() && !self.at(user).is_ended {
                self.note_ended(user, at);
                let user = self.name(user).clone();
                self.persist_fact(Fact::SessionEnded { user, after: AfterEnd::Resume, at });
            }
        }
    }

    pub(super) fn note_began(&mut self, user: User, at: Time) {
        let account = self.at_mut(user);
        account.began = (at != Time::MAX).then_some(at);
        account.is_ended = false;
        self.past_changed();
    }

    pub(super) fn note_ended(&mut self, user: User, at: Time) {
        let account = self.at_mut(user);
        (account.ended, account.is_ended) = (at, true);
        self.past_changed();
    }
}
