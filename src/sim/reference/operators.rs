//! What operators do (R62).

use alloc::format;
use alloc::vec::Vec;

use super::lockout::Subject;
use super::sessions::End;
use super::{Server, User};
use crate::server::Act;
use crate::words::{LinkId, Name};

impl Server {
    /// How many an act has reached, or the word of why it was not done.
    pub(super) fn operate(&mut self, act: &Act) -> Result<u64, &'static str> {
        match act {
            Act::Announce(text) => {
                let line = format!("notice operator {text}");
                let users = self.roster.clone();
                let links: Vec<LinkId> = users.into_iter().filter_map(|user| self.at(user).link()).collect();
                let read = links.into_iter().filter(|link| self.notify(*link, core::slice::from_ref(&line)));
                Ok(read.count() as u64)
            }
            Act::Kick { user, reason } => self.kick(user, reason.as_deref()),
            Act::Unlock(name) => Ok(self.unlock(name)),
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
}
