//! What a store must remember, in the plainest way: maps that records change.

use std::collections::{BTreeMap, BTreeSet};

use super::{Rig, id};
use crate::record::{
    AfterEnd, Announcement, Change, DeviceStanding, Digest, Fact, Invite, Mail, MailSummary, Maker, Outcome,
    Record, Restraint, Suspect, WordsDigest,
};
use crate::time::Time;
use crate::words::{AddressRange, LoginNumber, MessageId, Name, Origin};

/// What is remembered of a settled command.
type Settled = (Origin, Outcome, Option<WordsDigest>);

/// The state after some records.
#[derive(Debug, Default)]
pub(super) struct Model {
    failures: BTreeMap<Suspect, (u32, Option<Time>, u32)>,
    devices: BTreeMap<(Name, Digest), DeviceStanding>,
    couriers: BTreeMap<(Name, Digest), Time>,
    sends: BTreeMap<(Name, u64), (Outcome, WordsDigest, Time)>,
    sessions: BTreeMap<Name, Session>,
    settled: BTreeMap<Name, Vec<Settled>>,
    blocks: BTreeSet<(Name, Name)>,
    groups: BTreeMap<Name, (Vec<Name>, Option<Maker>)>,
    restraints: BTreeMap<(Name, Restraint), Time>,
    invites: BTreeMap<Digest, Invite>,
    ranges: BTreeMap<AddressRange, Time>,
    announcements: BTreeMap<u32, Announcement>,
    heard: BTreeMap<Name, u32>,
    mail: BTreeMap<Name, BTreeMap<MessageId, Mail>>,
    untold: BTreeMap<Name, u32>,
}

#[derive(Debug, PartialEq, Eq)]
struct Session {
    login: LoginNumber,
    token: Option<Digest>,
    /// First and last beginning of this login.
    began: (Time, Time),
    ended: Option<(AfterEnd, Time)>,
}

impl Model {
    pub(super) fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Model {
        let mut model = Model::default();
        for record in records {
            model.apply(record);
        }
        model
    }

    pub(super) fn apply(&mut self, record: &Record) {
        match record.clone() {
            Record::Change(change) => self.change(change),
            Record::Fact(Fact::Failures { suspect, count, locked_until, since_login }) => {
                self.failures.insert(suspect.clone(), (count, locked_until, since_login));
                if (count, locked_until, since_login) == (0, None, 0) {
                    self.failures.remove(&suspect);
                }
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
            Record::Fact(Fact::SessionBegan { user, login, token, at }) => self.begin(user, login, token, at),
            Record::Fact(Fact::SessionEnded { user, after, at }) => {
                if let Some(session) = self.sessions.get_mut(&user) {
                    session.ended = Some((after, at));
                }
            }
            Record::MailStored { to, mail } => {
                assert!(self.mail.entry(to).or_default().insert(mail.id, mail).is_none(), "an id twice");
            }
            Record::Fact(Fact::MailRemoved { user, ids }) => self.remove_mail(&user, &ids),
            Record::Fact(Fact::MailExpired { user, ids, untold }) => {
                self.remove_mail(&user, &ids);
                self.untold.insert(user, untold);
                self.untold.retain(|_, untold| *untold > 0);
            }
            Record::Fact(Fact::SessionForgotten { user }) => {
                if let Some(session) = self.sessions.get_mut(&user)
                    && let Some((after, _)) = session.ended
                {
                    session.began = (Time::MAX, Time::MAX);
                    session.ended = Some((after, Time::ZERO));
                }
            }
            Record::Fact(Fact::Heard { user, upto }) => {
                self.heard.insert(user, upto);
            }
            Record::Fact(Fact::InviteUsed { code, left }) => {
                if let Some(invite) = self.invites.get_mut(&code) {
                    invite.left = left;
                }
            }
            Record::Settled { user, origin, outcome, words } => self.settle(&user, (origin, outcome, words)),
            Record::Sent { user, number, outcome, words, until } => {
                let over = |of: &Name, end: Time| *of == user && end <= until.minus_seconds(86_400);
                self.sends.retain(|(of, _), (.., end)| !over(of, *end));
                self.sends.insert((user, number), (outcome, words, until));
            }
        }
    }

    fn remove_mail(&mut self, user: &Name, ids: &[MessageId]) {
        let mailbox = self.mail.entry(user.clone()).or_default();
        mailbox.retain(|id, _| !ids.contains(id));
        if mailbox.is_empty() {
            self.mail.remove(user);
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::AccountAdded { .. } => {}
            Change::AccountRemoved { name } => self.remove(&name),
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
            Change::Restrained { user, how, until: Some(until) } => {
                self.restraints.insert((user, how), until);
            }
            Change::Restrained { user, how, until: None } => {
                self.restraints.remove(&(user, how));
            }
            Change::Announced { announcement } => {
                self.announcements.insert(announcement.number, announcement);
            }
            Change::AnnouncementWithdrawn { number } => {
                self.announcements.remove(&number);
            }
            Change::RangeBanned { range, until: Some(until) } => {
                self.ranges.insert(range, until);
            }
            Change::RangeBanned { range, until: None } => {
                self.ranges.remove(&range);
            }
            Change::InviteMade { code, invite } => {
                self.invites.insert(code, invite);
            }
            Change::InviteRevoked { code } => {
                self.invites.remove(&code);
            }
        }
    }

    fn begin(&mut self, user: Name, login: LoginNumber, token: Option<Digest>, at: Time) {
        self.settled.entry(user.clone()).or_default().retain(|(origin, ..)| origin.login == login);
        self.begin_session(user, login, token, at);
    }

    fn begin_session(&mut self, user: Name, login: LoginNumber, token: Option<Digest>, at: Time) {
        match self.sessions.get_mut(&user) {
            Some(session) if session.login == login => {
                session.token = token;
                session.began.1 = at;
                session.ended = None;
            }
            _ => {
                let session = Session { login, token, began: (at, at), ended: None };
                self.sessions.insert(user, session);
            }
        }
    }

    fn settle(&mut self, user: &Name, command: Settled) {
        let settled = self.settled.entry(user.clone()).or_default();
        settled.push(command);
        let excess = settled.len().saturating_sub(512);
        settled.drain(..excess);
    }

    /// What of the settled commands a start needs: those of each user's last login.
    fn needed(&self) -> BTreeMap<&Name, Vec<Settled>> {
        let of_login = |(user, settled): (_, &Vec<Settled>)| {
            let login = self.sessions.get(user)?.login;
            let needed: Vec<_> =
                settled.iter().filter(|(origin, ..)| origin.login == login).copied().collect();
            (!needed.is_empty()).then_some((user, needed))
        };
        self.settled.iter().filter_map(of_login).collect()
    }

    fn remove(&mut self, name: &Name) {
        self.failures.remove(&Suspect::Account(name.clone()));
        self.devices.retain(|(user, _), _| user != name);
        self.couriers.retain(|(user, _), _| user != name);
        self.sends.retain(|(user, _), _| user != name);
        self.restraints.retain(|(user, _), _| user != name);
        self.sessions.remove(name);
        self.heard.remove(name);
        self.settled.remove(name);
        self.mail.remove(name);
        self.untold.remove(name);
        self.blocks.retain(|(by, user)| by != name && user != name);
        for (members, maker) in self.groups.values_mut() {
            members.retain(|member| member != name);
            maker.take_if(|maker| maker.name == *name);
        }
        self.groups.retain(|_, (members, _)| !members.is_empty());
    }

    /// How much waits, sorted.
    fn summaries(&self) -> Vec<MailSummary> {
        let mut counted: BTreeMap<(&Name, &Name), (u32, u64, Time)> = BTreeMap::new();
        for (to, mailbox) in &self.mail {
            for mail in mailbox.values() {
                let entry = counted.entry((to, &mail.from)).or_insert((0, 0, Time::MAX));
                entry.0 += 1;
                entry.1 += mail.text.len() as u64;
                entry.2 = entry.2.min(mail.sent_at);
            }
        }
        counted
            .into_iter()
            .map(|((to, from), (count, bytes, oldest))| MailSummary {
                to: to.clone(),
                from: from.clone(),
                count,
                bytes,
                oldest,
            })
            .collect()
    }

    /// Holds a freshly opened store against the model: its records, its summaries, every mailbox.
    pub(super) fn expect(&self, rig: &mut Rig) {
        let recovered = Model::of(&rig.recovery.records);
        let mut summaries = rig.recovery.mail.clone();
        summaries.sort_by(|a, b| (&a.to, &a.from).cmp(&(&b.to, &b.from)));
        assert_eq!(summaries, self.summaries());
        self.expect_mail(rig);
        assert_eq!(recovered.needed(), self.needed());
        assert_eq!(recovered.failures, self.failures);
        assert_eq!(recovered.devices, self.devices);
        assert_eq!(recovered.couriers, self.couriers);
        assert_eq!(recovered.sends, self.sends);
        assert_eq!(recovered.sessions, self.sessions);
        assert_eq!(recovered.untold, self.untold);
        assert_eq!(recovered.blocks, self.blocks);
        assert_eq!(recovered.groups, self.groups);
        assert_eq!(recovered.restraints, self.restraints);
        assert_eq!(recovered.invites, self.invites);
        assert_eq!(recovered.ranges, self.ranges);
        assert_eq!(recovered.announcements, self.announcements);
        assert_eq!(recovered.heard, self.heard);
    }

    /// Holds every mailbox of an open store against the model, page by page.
    pub(super) fn expect_mail(&self, rig: &mut Rig) {
        for (user, mailbox) in &self.mail {
            let mut found = Vec::new();
            loop {
                let after = found.last().map_or(id(0, 0), |mail: &Mail| mail.id);
                let (page, more) = rig.page(user.as_str(), None, after, 3);
                assert!(page.len() == 3 || !more);
                found.extend(page);
                if !more {
                    break;
                }
            }
            assert!(found.iter().eq(mailbox.values()), "{user}: {found:?}, not {mailbox:?}");
        }
    }
}
