//! What is durable in the model, by key, and what a start reads of it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::disk::LoadMail;
use crate::record::{
    Announcement, Change, DeviceStanding, Digest, Fact, Invite, Mail, MailSummary, Maker, Outcome, Record,
    RecordNumber, Recovery, Restraint, Suspect, WordsDigest,
};
use crate::time::Time;
use crate::words::{AddressRange, Credential, LoginNumber, MessageId, Name, Origin};

/// What is durable, by key.
#[derive(Debug, Default)]
pub(super) struct Durable {
    pub(super) boot: u32,
    secret: [u8; 32],
    last_written: Time,
    /// The last record of this life of the server.
    pub(super) last: RecordNumber,
    applied: u64,
    /// The credentials file's new lines.
    pub(super) accounts: Vec<(Name, Credential)>,
    failures: BTreeMap<Suspect, Record>,
    /// Made-up names in the order of their last records.
    made_up: Vec<Digest>,
    devices: BTreeMap<(Name, Digest), DeviceStanding>,
    couriers: BTreeMap<(Name, Digest), Time>,
    sends: BTreeMap<(Name, u64), (Outcome, WordsDigest, Time)>,
    sessions: BTreeMap<Name, Session>,
    settled: BTreeMap<(Name, Origin), (Outcome, Option<WordsDigest>)>,
    pub(super) blocks: BTreeSet<(Name, Name)>,
    pub(super) groups: BTreeMap<Name, (Vec<Name>, Option<Maker>)>,
    restraints: BTreeMap<(Name, Restraint), Time>,
    invites: BTreeMap<Digest, Invite>,
    ranges: BTreeMap<AddressRange, Time>,
    announcements: BTreeMap<u32, Announcement>,
    heard: BTreeMap<Name, u32>,
    mail: BTreeMap<Name, BTreeMap<MessageId, Mail>>,
    untold: BTreeMap<Name, u32>,
    /// How many accounts of a name are gone.
    gone: BTreeMap<Name, u32>,
}

#[derive(Debug, Default)]
struct Session {
    login: LoginNumber,
    /// With their places in the order of all records of all lives.
    began: Option<(u64, Record)>,
    ended: Option<(u64, Record)>,
}

impl Session {
    /// It is not known any more when it was.
    fn forget(&mut self) {
        if let Some((_, Record::Fact(Fact::SessionBegan { at, .. }))) = &mut self.began {
            *at = Time::MAX;
        }
        if let Some((_, Record::Fact(Fact::SessionEnded { at, .. }))) = &mut self.ended {
            *at = Time::ZERO;
        }
    }
}

impl Durable {
    pub(super) fn new(secret: [u8; 32]) -> Durable {
        Durable { secret, ..Durable::default() }
    }

    /// Names of which failures are kept.
    pub(super) fn failures(&self) -> usize {
        self.failures.len()
    }

    /// How many accounts of a name are gone.
    pub(super) fn gone(&self, name: &str) -> u32 {
        self.gone.get(name).copied().unwrap_or_default()
    }

    /// Whether stored mail waits for a user.
    pub(super) fn has_mail(&self, user: &Name) -> bool {
        self.mail.get(user).is_some_and(|mail| !mail.is_empty())
    }

    pub(super) fn apply(&mut self, number: RecordNumber, record: Record) {
        self.last = number;
        self.applied += 1;
        let place = self.applied;
        match record {
            Record::Change(change) => self.apply_change(change),
            Record::Fact(Fact::Failures { ref suspect, .. }) => {
                if let Suspect::Unknown(digest) = suspect {
                    self.made_up.retain(|known| known != digest);
                    self.made_up.push(*digest);
                }
                self.failures.insert(suspect.clone(), record);
            }
            Record::Fact(Fact::Device { user, device, standing: Some(standing) }) => {
                self.devices.insert((user, device), standing);
            }
            Record::Fact(Fact::Device { user, device, standing: None }) => {
                self.devices.remove(&(user, device));
            }
            Record::Fact(Fact::Courier { user, token, until: Some(until) }) => {
                self.couriers.insert((user, token), until);
            }
            Record::Fact(Fact::Courier { user, token, until: None }) => {
                self.couriers.remove(&(user, token));
            }
            Record::Fact(Fact::SessionBegan { ref user, login, .. }) => {
                let session = self.sessions.entry(user.clone()).or_default();
                if session.login != login {
                    self.settled.retain(|(of, origin), _| of != user || origin.login >= login);
                }
                *session = Session { login, began: Some((place, record)), ended: session.ended.take() };
            }
            Record::Fact(Fact::SessionEnded { ref user, .. }) => {
                let user = user.clone();
                self.sessions.entry(user).or_default().ended = Some((place, record));
            }
            Record::MailStored { to, mail } => {
                self.mail.entry(to).or_default().insert(mail.id, mail);
            }
            Record::Fact(Fact::MailRemoved { user, ids }) => {
                let mailbox = self.mail.entry(user).or_default();
                mailbox.retain(|id, _| !ids.contains(id));
            }
            Record::Fact(Fact::MailExpired { user, ids, untold }) => {
                let mailbox = self.mail.entry(user.clone()).or_default();
                mailbox.retain(|id, _| !ids.contains(id));
                self.untold.remove(&user);
                self.untold.extend((untold > 0).then_some((user, untold)));
            }
            Record::Fact(Fact::SessionForgotten { user }) => {
                if let Some(session) = self.sessions.get_mut(&user) {
                    session.forget();
                }
            }
            Record::Fact(Fact::InviteUsed { code, left }) => {
                if let Some(invite) = self.invites.get_mut(&code) {
                    invite.left = left;
                }
            }
            Record::Fact(Fact::Heard { user, upto }) => {
                self.heard.insert(user, upto);
            }
            Record::Settled { user, origin, outcome, words } => {
                self.settled.insert((user, origin), (outcome, words));
            }
            Record::Sent { user, number, outcome, words, until } => {
                // Those of the user whose day is over go.
                let over = until.minus_seconds(86_400);
                self.sends.retain(|(of, _), (.., end)| *of != user || *end > over);
                self.sends.insert((user, number), (outcome, words, until));
            }
        }
    }

    fn apply_change(&mut self, change: Change) {
        match change {
            Change::AccountAdded { name, credential } => self.accounts.push((name, credential)),
            Change::AccountRemoved { name } => self.forget(&name),
            Change::Blocked { by, user } => {
                self.blocks.insert((by, user));
            }
            Change::Unblocked { by, user } => {
                self.blocks.remove(&(by, user));
            }
            Change::GroupSet { group, members, maker } => {
                self.groups.insert(group, (members, maker));
            }
            Change::GroupRemoved { group } => {
                self.groups.remove(&group);
            }
            Change::Restrained { user, how, until } => {
                self.restraints.remove(&(user.clone(), how));
                self.restraints.extend(until.map(|until| ((user, how), until)));
            }
            Change::RangeBanned { range, until } => {
                self.ranges.remove(&range);
                self.ranges.extend(until.map(|until| (range, until)));
            }
            Change::Announced { announcement } => {
                self.announcements.insert(announcement.number, announcement);
            }
            Change::AnnouncementWithdrawn { number } => {
                self.announcements.remove(&number);
            }
            Change::InviteMade { code, invite } => {
                self.invites.insert(code, invite);
            }
            Change::InviteRevoked { code } => {
                self.invites.remove(&code);
            }
        }
    }

    fn forget(&mut self, name: &Name) {
        *self.gone.entry(name.clone()).or_default() += 1;
        self.failures.remove(&Suspect::Account(name.clone()));
        self.devices.retain(|(user, _), _| user != name);
        self.couriers.retain(|(user, _), _| user != name);
        self.sends.retain(|(user, _), _| user != name);
        self.restraints.retain(|(user, _), _| user != name);
        self.sessions.remove(name);
        self.heard.remove(name);
        self.settled.retain(|(of, _), _| of != name);
        self.blocks.retain(|(by, user)| by != name && user != name);
        self.mail.remove(name);
        self.untold.remove(name);
        for (members, maker) in self.groups.values_mut() {
            members.retain(|member| member != name);
            maker.take_if(|maker| maker.name == *name);
        }
        self.groups.retain(|_, (members, _)| !members.is_empty());
    }

    pub(super) fn page(&self, load: &LoadMail) -> (Vec<Mail>, bool) {
        let Some(mailbox) = self.mail.get(&load.user) else { return (Vec::new(), false) };
        let later = (core::ops::Bound::Excluded(load.after), core::ops::Bound::Unbounded);
        let wanted = |mail: &&Mail| load.from.as_ref().is_none_or(|from| *from == mail.from);
        let mut waiting = mailbox.range(later).map(|(_, mail)| mail).filter(wanted).cloned();
        let page = waiting.by_ref().take(load.limit as usize).collect();
        (page, waiting.next().is_some())
    }

    /// A server starts: its records are numbered from 1.
    pub(super) const fn begin_life(&mut self) {
        self.boot += 1;
        self.last = RecordNumber(0);
    }

    pub(super) const fn note_written(&mut self, now: Time) {
        self.last_written = now;
    }

    /// All stored mail, with its receivers.
    pub(super) fn all_mail(&self) -> impl Iterator<Item = (&Name, &Mail)> {
        self.mail.iter().flat_map(|(to, mailbox)| mailbox.values().map(move |mail| (to, mail)))
    }

    pub(super) fn recovery(&self) -> Recovery {
        let mut records = Vec::new();
        let blocked = |(by, user): &(Name, Name)| {
            Record::Change(Change::Blocked { by: by.clone(), user: user.clone() })
        };
        records.extend(self.blocks.iter().map(blocked));
        records.extend(self.groups.iter().map(|(group, (members, maker))| {
            let (group, members, maker) = (group.clone(), members.clone(), maker.clone());
            Record::Change(Change::GroupSet { group, members, maker })
        }));
        records.extend(self.restraints.iter().map(|((user, how), until)| {
            Record::Change(Change::Restrained { user: user.clone(), how: *how, until: Some(*until) })
        }));
        records.extend(self.ranges.iter().map(|(range, until)| {
            Record::Change(Change::RangeBanned { range: *range, until: Some(*until) })
        }));
        records.extend(
            self.announcements
                .values()
                .map(|announcement| Record::Change(Change::Announced { announcement: announcement.clone() })),
        );
        records.extend(
            self.heard
                .iter()
                .map(|(user, upto)| Record::Fact(Fact::Heard { user: user.clone(), upto: *upto })),
        );
        records.extend(self.invites.iter().map(|(code, invite)| {
            Record::Change(Change::InviteMade { code: *code, invite: invite.clone() })
        }));
        let of_account = |(suspect, record): (&Suspect, &Record)| {
            matches!(suspect, Suspect::Account(_)).then(|| record.clone())
        };
        records.extend(self.failures.iter().filter_map(of_account));
        let made_up = |digest: &Digest| self.failures.get(&Suspect::Unknown(*digest)).cloned();
        records.extend(self.made_up.iter().filter_map(made_up));
        records.extend(self.devices.iter().map(|((user, device), standing)| {
            let (user, device, standing) = (user.clone(), *device, Some(*standing));
            Record::Fact(Fact::Device { user, device, standing })
        }));
        records.extend(self.couriers.iter().map(|((user, token), until)| {
            let (user, token, until) = (user.clone(), *token, Some(*until));
            Record::Fact(Fact::Courier { user, token, until })
        }));
        records.extend(self.sends.iter().map(|((user, number), (outcome, words, until))| Record::Sent {
            user: user.clone(),
            number: *number,
            outcome: *outcome,
            words: *words,
            until: *until,
        }));
        records.extend(self.untold.iter().map(|(user, untold)| {
            Record::Fact(Fact::MailExpired { user: user.clone(), ids: Vec::new(), untold: *untold })
        }));
        for session in self.sessions.values() {
            let mut both = [session.began.clone(), session.ended.clone()];
            both.sort_by_key(|record| record.as_ref().map(|(place, _)| *place));
            records.extend(both.into_iter().flatten().map(|(_, record)| record));
        }
        records.extend(self.settled.iter().map(|((user, origin), (outcome, words))| Record::Settled {
            user: user.clone(),
            origin: *origin,
            outcome: *outcome,
            words: *words,
        }));
        Recovery {
            boot: self.boot,
            secret: self.secret,
            last_written: self.last_written,
            records,
            mail: self.summaries(),
        }
    }

    fn summaries(&self) -> Vec<MailSummary> {
        let mut sums: BTreeMap<(&Name, &Name), (u32, u64, Time)> = BTreeMap::new();
        for (to, mailbox) in &self.mail {
            for mail in mailbox.values() {
                let (count, bytes, oldest) = sums.entry((to, &mail.from)).or_insert((0, 0, mail.sent_at));
                *count += 1;
                *bytes += mail.text.len() as u64;
                *oldest = (*oldest).min(mail.sent_at);
            }
        }
        let summary = |((to, from), (count, bytes, oldest)): ((&Name, &Name), (u32, u64, Time))| {
            MailSummary { to: to.clone(), from: from.clone(), count, bytes, oldest }
        };
        sums.into_iter().map(summary).collect()
    }
}
