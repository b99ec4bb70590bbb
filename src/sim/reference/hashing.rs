//! Passwords that wait to be compared or hashed: lanes, and their turns (R49).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, SocketAddr};

use super::door::{Stage, waits};
use super::links::address_of;
use super::lockout::Subject;
use super::login::AT_ONCE;
use super::told::Ask;
use super::{Server, User};
use crate::record::Digest;
use crate::sim::cast::meant;
use crate::sim::server_host::{HASHED, is_right};
use crate::words::{Credential, LinkId, Name};

/// Passwords that wait in one lane.
const IN_LANE: usize = 16;
/// Addresses that are known, in all and of those where one user was the last to come in.
const KNOWN: usize = 10_000;
const KNOWN_OF_ONE: usize = 8;

/// Whose lane.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    Address(IpAddr),
    Device(Digest),
}

/// A password that waits.
#[derive(Debug)]
struct Password {
    link: LinkId,
    name: String,
    /// Decided when it comes.
    subject: Subject,
    typed: String,
    registers: bool,
}

#[derive(Debug)]
struct Lane {
    of: Of,
    passwords: VecDeque<Password>,
}

/// The hashing threads, and who waits for them.
#[derive(Debug, Default)]
pub(super) struct Hashing {
    /// Passwords that are being compared or hashed.
    pub(super) under_way: u32,
    /// Lanes that are not known, and known ones, in the order of their turns.
    lanes: [VecDeque<Lane>; 2],
    /// Whether the last turn was a known lane's.
    known_had_turn: bool,
}

impl Hashing {
    fn all(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().flatten()
    }

    fn waiting(&self) -> usize {
        self.all().map(|lane| lane.passwords.len()).sum()
    }

    /// Whether a password for an account waits.
    fn waits_for(&self, user: User) -> bool {
        self.all().flat_map(|lane| &lane.passwords).any(|password| password.subject.user() == Some(user))
    }

    /// The connection has ended: its password waits no more.
    fn drop_password(&mut self, link: LinkId) -> Option<Password> {
        let mut dropped = None;
        for lanes in &mut self.lanes {
            for lane in lanes.iter_mut() {
                if let Some(at) = lane.passwords.iter().position(|password| password.link == link) {
                    dropped = lane.passwords.remove(at);
                }
            }
            lanes.retain(|lane| !lane.passwords.is_empty());
        }
        dropped
    }
}

/// Addresses from which somebody came in: who was the last, and in which order.
#[derive(Debug, Default)]
pub(super) struct KnownAddresses {
    last: u64,
    of: BTreeMap<IpAddr, (User, u64)>,
}

impl KnownAddresses {
    pub(super) fn came_in(&mut self, address: IpAddr, user: User) {
        self.last += 1;
        self.of.insert(address, (user, self.last));
        let of_user = |(_, (last, _)): &(&IpAddr, &(User, u64))| *last == user;
        if self.of.iter().filter(of_user).count() > KNOWN_OF_ONE {
            let oldest = self.of.iter().filter(of_user).min_by_key(|(_, (_, order))| *order);
            if let Some(address) = oldest.map(|(address, _)| *address) {
                self.of.remove(&address);
            }
        }
        if self.of.len() > KNOWN
            && let Some(oldest) = self.of.iter().min_by_key(|(_, (_, order))| *order).map(|(ip, _)| *ip)
        {
            self.of.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self, user: User) {
        self.of.retain(|_, (last, _)| *last != user);
    }
}

impl Server {
    pub(super) fn is_known(&self, from: SocketAddr) -> bool {
        self.known.of.contains_key(&address_of(from))
    }

    /// A password comes. It is refused at once, or waits for its turn, which may be now.
    pub(super) fn password_comes(&mut self, id: LinkId, name: &str, typed: String, registers: bool) {
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        let subject = self.subject_on(id, name);
        if !registers && self.is_locked_out(id, &subject) {
            return;
        }
        let of = match &subject {
            Subject::Device(_, device) => Of::Device(*device),
            Subject::Account(_) | Subject::MadeUp(_) => Of::Address(address_of(from)),
        };
        let most = self.settings.hash_queue as usize;
        let is_full = |lane: &Lane| {
            lane.passwords.iter().any(|password| password.name == name)
                || lane.passwords.len() >= IN_LANE
                || most > 0 && self.hashing.waiting() >= most
        };
        if self.hashing.all().find(|lane| lane.of == of).is_some_and(is_full) {
            return self.refuse(id, AT_ONCE, "busy");
        }
        if registers {
            if self.invite_of(id).is_none() {
                if let Some(seconds) = self.registers_too_often(from) {
                    return self.refuse_for_good(id, AT_ONCE, &format!("locked_out {seconds}"));
                }
                self.count_registration(from);
            }
            if let Ok(name) = Name::new(name) {
                self.registering.insert(name);
            }
        }
        self.wait(id, waits::LOGIN);
        self.set_stage(id, Stage::Queued);
        let known = match &of {
            Of::Address(address) => self.known.of.contains_key(address),
            Of::Device(_) => true,
        };
        let password = Password { link: id, name: String::from(name), subject, typed, registers };
        match self.hashing.lanes.iter_mut().flatten().find(|lane| lane.of == of) {
            Some(lane) => lane.passwords.push_back(password),
            None => {
                let lane = Lane { of, passwords: VecDeque::from([password]) };
                self.hashing.lanes[usize::from(known)].push_back(lane);
            }
        }
        self.give_hashing_turns();
    }

    /// Whether a password is refused because its address, its name or its device is locked.
    fn is_locked_out(&mut self, id: LinkId, subject: &Subject) -> bool {
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return true };
        let (seconds, record) = if let Some(seconds) = self.address_locked_secs(from) {
            (seconds, AT_ONCE)
        } else if self.locked_secs(subject).is_some() {
            self.extend_lock(subject, from)
        } else {
            return false;
        };
        self.refuse_for_good(id, record, &format!("locked_out {seconds}"));
        true
    }

    /// Free threads take the passwords whose turn it is.
    pub(super) fn give_hashing_turns(&mut self) {
        while self.hashing.under_way < self.settings.hashing_threads
            && let Some(password) = self.next_password()
        {
            self.take_password(password);
        }
    }

    fn next_password(&mut self) -> Option<Password> {
        let other = !self.hashing.known_had_turn;
        [other, !other].into_iter().find_map(|known| self.next_of_kind(known))
    }

    fn next_of_kind(&mut self, known: bool) -> Option<Password> {
        let may_go = |password: &Password| password.registers || !self.tries_are_taken(&password.subject);
        let of_kind = self.hashing.lanes[usize::from(known)].iter().enumerate();
        let mut ready = of_kind.filter_map(|(at, lane)| Some((at, lane.passwords.iter().position(may_go)?)));
        let (lane, place) = ready.next()?;
        let lanes = &mut self.hashing.lanes[usize::from(known)];
        let mut lane = lanes.remove(lane)?;
        let password = lane.passwords.remove(place);
        if !lane.passwords.is_empty() {
            lanes.push_back(lane);
        }
        self.hashing.known_had_turn = known;
        password
    }

    /// The turn of a password: it is refused, or a thread takes it.
    fn take_password(&mut self, password: Password) {
        let Password { link: id, name, subject, typed, registers } = password;
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        self.set_stage(id, Stage::Anonymous);
        let attempt = self.next_serial();
        let tried = subject.user();
        if registers {
            self.take_registration(id, &name, &typed, attempt);
        } else if self.is_locked_out(id, &subject) {
            // Refused.
        } else if !matches!(subject, Subject::Device(..)) && !self.finds_place(&subject, from) {
            self.refuse(id, AT_ONCE, "busy");
        } else {
            self.change_guesses(&subject, |guesses| guesses.comparing += 1);
            let credential = subject.user().and_then(|user| self.at(user).credential.clone());
            let right = credential.as_ref().is_some_and(|credential| is_right(credential, &typed));
            self.hashing.under_way += 1;
            if let Some(user) = subject.user() {
                self.at_mut(user).comparing += 1;
            }
            self.set_stage(id, Stage::LoggingIn(attempt));
            self.expected.ask(Ask::Compare { attempt, link: id, from, subject, credential, right });
        }
        if let Some(user) = tried {
            self.may_purge(user);
        }
        self.read_on_if_refused(id);
    }

    fn take_registration(&mut self, id: LinkId, name: &str, typed: &str, attempt: u64) {
        let Ok(new) = Name::new(name) else { return };
        self.hashing.under_way += 1;
        self.set_stage(id, Stage::LoggingIn(attempt));
        let credential = Credential::new(&(String::from(HASHED) + meant(typed)));
        self.expected.ask(Ask::Hash { attempt, link: id, name: new, credential });
    }

    fn registers_no_more(&mut self, name: &str, registers: bool) {
        if let (true, Ok(name)) = (registers, Name::new(name)) {
            self.registering.remove(&name);
        }
    }

    /// The connection of a password that waits has ended.
    pub(super) fn leave_lane(&mut self, id: LinkId) {
        if let Some(password) = self.hashing.drop_password(id) {
            self.registers_no_more(&password.name, password.registers);
            if let Some(user) = password.subject.user() {
                self.may_purge(user);
            }
        }
    }

    /// Whether a password for an account, or of one of its devices, waits or is being compared.
    pub(super) fn is_guessed_at(&self, user: User) -> bool {
        self.at(user).comparing > 0 || self.hashing.waits_for(user)
    }
}
