//! What records do to the state, at start and while serving, and reading the accounts again.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::ServerState;
use super::accounts::UserId;
use super::effect::Report;
use super::settings::{OfflineDelivery, Settings};
use crate::planted::{self, Planted};
use crate::record::{Change, Fact, Record, Recovery, Suspect};
use crate::words::{Credential, Name};

impl ServerState {
    /// Takes up where an earlier run left off.
    pub(super) fn recover(&mut self, accounts: Vec<(Name, Credential)>, recovery: Recovery) {
        for (name, credential) in accounts {
            self.accounts.insert(&name, Some(credential));
        }
        let mut gone: BTreeSet<Name> = BTreeSet::new();
        for record in &recovery.records {
            self.note_unknown_names(record, &mut gone);
            self.apply(record);
        }
        for summary in &recovery.mail {
            match (self.accounts.find(summary.to.as_str()), self.accounts.find(summary.from.as_str())) {
                (Some(to), Some(from)) => self.count_mail(to, from, summary.count, summary.bytes),
                (Some(to), None) => {
                    let from = self.accounts.departed(&summary.from);
                    self.count_mail(to, from, summary.count, summary.bytes);
                }
                (None, _) => {
                    gone.insert(summary.to.clone());
                }
            }
        }
        self.end_sessions_of_the_crash(recovery.last_written);
        for name in gone {
            self.remove_account(&name);
        }
    }

    /// Names that the store remembers and the credentials file does not.
    fn note_unknown_names(&self, record: &Record, gone: &mut BTreeSet<Name>) {
        let mut note = |name: &Name| {
            if self.accounts.find_open(name.as_str()).is_none() {
                gone.insert(name.clone());
            }
        };
        match record {
            Record::Fact(Fact::Failures { suspect: Suspect::Account(name), .. })
            | Record::Fact(Fact::SessionBegan { user: name, .. })
            | Record::Fact(Fact::SessionEnded { user: name, .. }) => note(name),
            Record::Change(Change::Blocked { by, user }) | Record::Change(Change::Unblocked { by, user }) => {
                note(by);
                note(user);
            }
            Record::Change(Change::GroupSet { members, .. }) => members.iter().for_each(note),
            Record::Change(Change::AccountAdded { .. })
            | Record::Change(Change::AccountRemoved { .. })
            | Record::Fact(Fact::Failures { suspect: Suspect::Unknown(_), .. })
            | Record::MailStored { .. }
            | Record::Fact(Fact::MailRemoved { .. })
            | Record::Change(Change::GroupRemoved { .. })
            | Record::Settled { .. } => {}
        }
    }

    /// A session open at a crash ended at the crash.
    fn end_sessions_of_the_crash(&mut self, at: crate::time::Time) {
        for user in self.accounts.ids() {
            let account = &self.accounts[user];
            if self.history.is_open(user) {
                let record =
                    Record::Fact(Fact::SessionEnded { user: account.name.clone(), resumable: true, at });
                if planted::is(Planted::CrashEndNotWritten) {
                    self.apply(&record);
                } else {
                    self.persist_soft(record);
                }
            }
        }
    }

    /// What a record does to the state. Total: names nobody has are skipped.
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Change(Change::AccountAdded { name, credential }) => {
                self.accounts.insert(name, Some(credential.clone()));
            }
            Record::Change(Change::AccountRemoved { name }) => self.apply_removal(name),
            Record::Fact(Fact::Failures { suspect, count, locked_until, since_login }) => {
                self.apply_failures(suspect, *count, *locked_until, *since_login);
            }
            Record::Fact(Fact::SessionBegan { user, login, token, at }) => {
                self.with_user(user, |server, user| server.apply_session_began(user, *login, *token, *at));
            }
            Record::Fact(Fact::SessionEnded { user, resumable, at }) => {
                self.with_user(user, |server, user| server.apply_session_ended(user, *resumable, *at));
            }
            Record::MailStored { to, mail } => {
                let bytes = mail.text.len() as u64;
                self.with_user(to, |server, to| {
                    let known = server.sender_of(to, &mail.from);
                    let from = known.unwrap_or_else(|| server.accounts.departed(&mail.from));
                    server.count_mail(to, from, 1, bytes);
                });
            }
            // Which sender's they are is known where they are acknowledged; the store counts for itself.
            Record::Fact(Fact::MailRemoved { .. }) => {}
            Record::Change(Change::Blocked { by, user }) => self.apply_block(by, user, true),
            Record::Change(Change::Unblocked { by, user }) => self.apply_block(by, user, false),
            Record::Change(Change::GroupSet { group, members }) => {
                let members = members.iter().filter_map(|name| self.accounts.find(name.as_str())).collect();
                self.set_group(group, Some(members));
            }
            Record::Change(Change::GroupRemoved { group }) => self.set_group(group, None),
            Record::Settled { user, origin, outcome, words: _ } => self.with_user(user, |server, user| {
                if server.accounts[user].login == origin.login {
                    server.accounts[user].ledger.settle(origin.number, *outcome);
                }
            }),
        }
    }

    fn with_user(&mut self, name: &Name, change: impl FnOnce(&mut ServerState, UserId)) {
        if let Some(user) = self.accounts.find(name.as_str()) {
            change(self, user);
        }
    }

    fn apply_block(&mut self, by: &Name, user: &Name, blocked: bool) {
        if let (Some(by), Some(user)) = (self.accounts.find(by.as_str()), self.accounts.find(user.as_str())) {
            self.set_block(by, user, blocked);
        }
    }

    /// The operator read accounts and settings again. Sessions go on; a changed password ends the
    /// right to resume; an account that is gone cannot be logged in to.
    pub(super) fn reload(&mut self, accounts: Vec<(Name, Credential)>, settings: Settings) {
        let waits = |settings: &Settings| (settings.timeout_secs, settings.resume_grace_secs);
        let waits_changed = waits(&settings) != waits(&self.settings);
        let rate = |settings: &Settings| (settings.rate_burst, settings.rate_per_s);
        let rate_changed = rate(&settings) != rate(&self.settings);
        let shows_by_itself = |settings: &Settings| settings.offline_delivery == OfflineDelivery::Auto;
        let shows_now = shows_by_itself(&settings) && !shows_by_itself(&self.settings);
        self.settings = settings;
        if waits_changed {
            self.watch_all();
        }
        if rate_changed {
            self.rate_changed();
        }
        if shows_now {
            self.show_stored_to_all();
        }
        let kept: BTreeSet<Name> = accounts.iter().map(|(name, _)| name.clone()).collect();
        for (name, credential) in accounts {
            self.accounts.insert(&name, Some(credential));
        }
        for user in self.accounts.ids() {
            let account = &self.accounts[user];
            // One that is just being made may have been read too early.
            let being_made = self.registering.contains(&account.name);
            if account.credential.is_some() && !kept.contains(&account.name) && !being_made {
                let name = account.name.clone();
                self.remove_account(&name);
            }
        }
    }

    /// An account is gone from the credentials file: so are its mail, blocks and memberships.
    pub(super) fn remove_account(&mut self, name: &Name) {
        let removed = self.accounts.find(name.as_str());
        let parted = removed.map_or_else(Vec::new, |user| self.parted_from(user));
        if let Some(user) = removed {
            self.leave_all_groups(user);
        }
        self.persist_soft(Record::Change(Change::AccountRemoved { name: name.clone() }));
        if let Some(user) = self.accounts.find(name.as_str()) {
            self.mailbox_emptied(user);
        }
        if let Some(user) = removed {
            // What the blocks have held back is in its turn, before what he may send while his session stands.
            for other in parted {
                self.show_held_back(other, user);
            }
        }
        self.outbox.report(Report::AccountRemoved { name: name.clone() });
    }

    /// Those with a block between them and a user, whoever of the two made it.
    fn parted_from(&self, user: UserId) -> Vec<UserId> {
        let parted = |&other: &UserId| {
            self.accounts[other].has_blocked(user) || self.accounts[user].has_blocked(other)
        };
        self.accounts.ids().into_iter().filter(parted).collect()
    }

    fn apply_removal(&mut self, name: &Name) {
        let Some(user) = self.accounts.find(name.as_str()) else { return };
        self.empty_mailbox(user);
        self.history.forget(user, &self.accounts[user]);
        for other in self.accounts.ids() {
            self.set_block(other, user, false);
        }
        let account = &mut self.accounts[user];
        account.credential = None;
        account.guesses.begin_anew();
        account.blocks = Vec::new();
        account.token = None;
        account.last_login = None;
        if account.session.is_none() {
            self.accounts.forget(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Mail, MailSummary};
    use crate::time::Time;
    use crate::words::{MessageId, Name};

    fn name(name: &str) -> Name {
        Name::new(name).expect("a name")
    }

    fn accounts(names: &[&str]) -> Vec<(Name, Credential)> {
        names.iter().map(|of| (name(of), Credential::new("pw"))).collect()
    }

    /// A server that finds two messages for each of these, from a bot that has no account.
    fn with_mail_of_a_bot(names: &[&str]) -> ServerState {
        let summary = |to: &&str| MailSummary { to: name(to), from: name("bot"), count: 2, bytes: 10 };
        let recovery = Recovery { boot: 2, mail: names.iter().map(summary).collect(), ..Recovery::default() };
        ServerState::new(Settings::default(), accounts(names), recovery, 1, Time::ZERO)
    }

    fn user(server: &ServerState, of: &str) -> UserId {
        server.accounts.find(of).expect("an account")
    }

    /// Stores a message of the bot, as a command of his would.
    fn store(server: &mut ServerState, to: &str) {
        let mail = Mail {
            id: MessageId { boot: 2, number: 1 },
            from: name("bot"),
            group: None,
            origin: None,
            sent_at: Time::ZERO,
            text: "hello".into(),
        };
        server.apply(&Record::MailStored { to: name(to), mail });
    }

    #[test]
    fn one_who_is_gone_has_one_place_whoever_has_mail_of_his() {
        let server = with_mail_of_a_bot(&["hans", "luke", "yoda"]);
        let places = ["hans", "luke", "yoda"].map(|to| server.sender_of(user(&server, to), &name("bot")));
        assert!(places[0].is_some());
        assert_eq!(places, [places[0]; 3]);
    }

    #[test]
    fn mail_of_one_who_is_gone_and_of_a_new_one_of_his_name_are_counted_apart() {
        let mut server = with_mail_of_a_bot(&["hans", "luke"]);
        let (hans, luke) = (user(&server, "hans"), user(&server, "luke"));
        let gone = server.sender_of(hans, &name("bot")).expect("he has mail there");
        server.reload(accounts(&["hans", "luke", "bot"]), Settings::default());
        let bot = user(&server, "bot");
        assert_ne!(bot, gone);
        assert_eq!(server.sender_of(hans, &name("bot")), Some(bot), "who has the name stands for both");
        store(&mut server, "hans");
        assert_eq!((server.unread(hans), server.unread(luke)), (3, 2));
        // His own goes first, then what was there before him, and nothing of another mailbox.
        for left in [2, 1] {
            server.uncount_mail(hans, bot, 1, 5);
            assert_eq!(server.unread(hans), left);
        }
        server.uncount_mail(hans, bot, 1, 5);
        assert!(server.accounts[hans].mailbox.is_none());
        // What was asked for before he had the name may be counted off later.
        server.uncount_mail(luke, gone, 2, 10);
        store(&mut server, "luke");
        server.uncount_mail(luke, gone, 1, 5);
        assert!(server.accounts[luke].mailbox.is_none());
    }

    #[test]
    fn mail_is_counted_under_its_senders_place_after_his_account_went_twice() {
        let mut server = with_mail_of_a_bot(&["hans", "luke"]);
        let hans = user(&server, "hans");
        let first = server.sender_of(hans, &name("bot"));
        for _ in 0..2 {
            server.reload(accounts(&["hans", "luke", "bot"]), Settings::default());
            server.reload(accounts(&["hans", "luke"]), Settings::default());
        }
        assert_eq!(server.accounts.find("bot"), None);
        assert_eq!(server.sender_of(hans, &name("bot")), first);
        server.uncount_mail(hans, first.expect("counted"), 2, 10);
        assert_eq!(server.sender_of(hans, &name("bot")), None);
        assert!(server.accounts[hans].mailbox.is_none());
    }
}
