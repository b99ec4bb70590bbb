//! Devices that were in before: their cookies, and what is counted for them (R51).

use alloc::string::String;

use super::lockout::{Guesses, Subject};
use super::papers::DRAWN;
use super::{Server, User};
use crate::record::{DeviceStanding, Digest, Fact};
use crate::words::LinkId;

/// Devices of an account.
const DEVICES: usize = 8;

/// A device of an account.
#[derive(Debug, Clone, Default)]
pub(super) struct Device {
    /// The number of its last login.
    pub(super) login: u64,
    pub(super) guesses: Guesses,
}

impl Server {
    pub(super) fn cookie_shown(&mut self, id: LinkId, cookie: String) {
        if let Some(link) = self.links.get_mut(&id) {
            link.cookie = Some(cookie);
        }
    }

    /// Whom a password on a link is counted for.
    pub(super) fn subject_on(&self, id: LinkId, name: &str) -> Subject {
        match (self.find_open(name), self.good_device(id, name)) {
            (Some(user), Some(device)) => Subject::Device(user, device),
            _ => self.subject(name),
        }
    }

    /// The device whose cookie was shown on a link, if it is good for a name.
    fn good_device(&self, id: LinkId, name: &str) -> Option<Digest> {
        let cookie = self.links.get(&id)?.cookie.as_ref()?;
        let account = self.at(self.find_open(name)?);
        let is_good = |device: &&Digest| {
            let given = self.learnt.cookies.get(*device);
            given.is_some_and(|(known, credential)| known == cookie && account.has(credential))
        };
        account.devices.keys().find(is_good).copied()
    }

    /// Whether the device of a login is written down with it.
    pub(super) fn notes_device(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.keeps_cookie)
    }

    /// A login by password: its device is among those of the account. Whether the client is given a cookie.
    pub(super) fn note_device(&mut self, id: LinkId, user: User) -> bool {
        if !self.notes_device(id) {
            return false;
        }
        let name = self.name(user).clone();
        let login = self.at(user).login;
        if let Some(device) = self.good_device(id, name.as_str()) {
            if let Some(device) = self.at_mut(user).devices.get_mut(&device) {
                device.login = login;
            }
            let subject = Subject::Device(user, device);
            self.change_guesses(&subject, |guesses| (guesses.count, guesses.locked_until) = (0, None));
            self.persist_guesses(&subject);
            return false;
        }
        self.forget_devices(user, DEVICES - 1);
        self.at_mut(user).devices.insert(DRAWN, Device { login, guesses: Guesses::default() });
        self.persist_guesses(&Subject::Device(user, DRAWN));
        true
    }

    /// Forgets those that were in longest ago, but for so many.
    fn forget_devices(&mut self, user: User, most: usize) {
        while self.at(user).devices.len() > most {
            let devices = &self.at(user).devices;
            let Some(oldest) = devices.iter().min_by_key(|(_, device)| device.login).map(|(of, _)| *of)
            else {
                return;
            };
            self.at_mut(user).devices.remove(&oldest);
            let user = self.name(user).clone();
            self.persist_fact(Fact::Device { user, device: oldest, standing: None });
        }
    }

    /// After a restart.
    pub(super) fn device_read(&mut self, user: User, digest: Digest, standing: DeviceStanding) {
        let DeviceStanding { login, count, locked_until } = standing;
        let guesses = Guesses { count, locked_until, ..Guesses::default() };
        self.at_mut(user).devices.insert(digest, Device { login: login.0, guesses });
    }

    /// After a restart: what the disk has refused to forget is forgotten.
    pub(super) fn too_many_devices(&mut self) {
        for user in self.everybody() {
            self.forget_devices(user, DEVICES);
            self.too_many_passes(user);
        }
    }
}
