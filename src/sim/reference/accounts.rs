//! Accounts come and go: by registration, and as the credentials file is read again (R41).

use alloc::vec::Vec;

use super::lane::Wish;
use super::lockout::Subject;
use super::{Account, Later, Server, User};
use crate::server::Settings;
use crate::server::settings::OfflineDelivery;
use crate::words::{Credential, Name};

impl Server {
    /// A line of the credentials file: its account is there, or will be once the one before is purged (R41).
    pub(super) fn open_account(&mut self, name: &Name, credential: &Credential) {
        if let Some(returning) = self.purges.get_mut(name) {
            *returning = Some(credential.clone());
        } else if let Some(user) = self.find(name.as_str()) {
            self.password_goes(name, Some(credential));
            self.at_mut(user).credential = Some(credential.clone());
        } else {
            let mut account = Account::new(name.clone(), credential.clone());
            (account.last_message, account.login) = (self.message_floor, self.login_floor);
            let user = self.spare.pop().unwrap_or(self.users.len());
            if user == self.users.len() {
                self.users.push(None);
            }
            if let Some(place) = self.users.get_mut(user) {
                *place = Some(account);
            }
            self.names.insert(name.clone(), user);
        }
    }

    /// The operator read the files again.
    pub(super) fn file_read(&mut self, accounts: &[(Name, Credential)], settings: &Settings) {
        self.take_settings(settings);
        self.purges.values_mut().for_each(|returning| *returning = None);
        for (name, credential) in accounts {
            self.open_account(name, credential);
        }
        for user in self.everybody() {
            let name = self.name(user).clone();
            if accounts.iter().any(|(kept, _)| *kept == name) {
                continue;
            }
            self.learnt.removed.insert(name.clone());
            self.password_goes(&name, None);
            self.purges.entry(name).or_default();
            let account = self.at_mut(user);
            if account.credential.take().is_some() {
                account.guesses.begin_anew();
                account.token = None;
                account.devices.values_mut().for_each(|device| device.guesses.begin_anew());
                self.settle_place(&Subject::Account(user));
            }
        }
        self.begin_purges();
        self.do_what_is_due();
    }

    /// The settings of the operator hold from now on.
    fn take_settings(&mut self, settings: &Settings) {
        let before = core::mem::replace(&mut self.settings, settings.clone());
        let now = &self.settings;
        let auto = |settings: &Settings| settings.offline_delivery == OfflineDelivery::Auto;
        let times = |settings: &Settings| {
            (settings.timeout_secs, settings.resume_grace_secs, settings.restart_grace_secs)
        };
        let waits = times(now) != times(&before);
        let rate = (now.rate_burst, now.rate_per_s) != (before.rate_burst, before.rate_per_s);
        let disk =
            (now.unsettled_max, now.store_queue_bytes) != (before.unsettled_max, before.store_queue_bytes);
        let presence = (now.presence_burst, now.presence_settle_secs)
            != (before.presence_burst, before.presence_settle_secs);
        let relayed = now.relay_bytes_per_s != before.relay_bytes_per_s;
        let shows = auto(now) && !auto(&before);
        let days = (now.mailbox_days != before.mailbox_days, now.history_days != before.history_days);
        if waits {
            self.watch_all();
        }
        if rate {
            self.rate_changed();
        }
        if disk {
            self.unsettled_max_changed();
        }
        if presence {
            self.presence_settings_changed();
        }
        if relayed {
            self.relay_rate_changed();
        }
        if days.0 {
            self.mailbox_days_changed();
        }
        if days.1 {
            self.past_changed();
        }
        if shows {
            for user in self.roster.clone() {
                self.show_stored(user);
            }
        }
    }

    /// Purges every account that is gone and for which nothing is under way.
    pub(super) fn begin_purges(&mut self) {
        if self.stopping {
            return;
        }
        let wished = |name: &Name| {
            self.wishes.values().any(|wish| matches!(wish, Wish::Purge { name: of } if of == name))
        };
        let names: Vec<Name> = self.purges.keys().filter(|name| !wished(name)).cloned().collect();
        for name in names {
            let is_free = self.find(name.as_str()).is_none_or(|user| {
                let account = self.at(user);
                account.session.is_none()
                    && account.entering.is_none()
                    && !account.mailbox.is_expecting()
                    && !self.is_guessed_at(user)
                    && account.unanswered.1 == 0
                    && !self.has_wish(user)
            });
            if is_free {
                self.submit(Wish::Purge { name });
            }
        }
    }

    /// Everything of an account goes, but what it has sent to others.
    pub(super) fn purge(&mut self, name: &Name) {
        let Some(user) = self.find(name.as_str()) else { return };
        self.tell_of_purge(user);
        self.places.remove(&Subject::Account(user));
        self.known.forget(user);
        self.names.remove(name);
        let Some(account) = self.users.get_mut(user).and_then(Option::take) else { return };
        for other in self.users.iter_mut().flatten() {
            other.blocks.remove(&user);
        }
        for members in self.groups.values_mut() {
            members.retain(|member| *member != user);
        }
        self.groups.retain(|_, members| !members.is_empty());
        let groups = &self.groups;
        self.makers.retain(|group, (maker, _)| *maker != user && groups.contains_key(group));
        self.asked.retain(|_, ask| !matches!(ask, super::Ask::Discard { user: of, .. } if *of == user));
        self.mailbox_gone(user);
        self.past_changed();
        self.message_floor = self.message_floor.max(account.last_message);
        self.login_floor = self.login_floor.max(account.login);
        self.spare.push(user);
    }

    /// A purge is durable: the name is free, or its new account is made.
    pub(super) fn purged(&mut self, name: &Name) {
        for key in self.keys_of(name) {
            self.kept.remove(&key);
        }
        if let Some(Some(credential)) = self.purges.remove(name) {
            self.open_account(name, &credential);
        }
    }

    /// Something of an account that is gone has ended: its purge may begin.
    pub(super) fn may_purge(&mut self, user: User) {
        if self.at(user).is_gone() {
            self.later.push_back(Later::Purge);
        }
    }
}
