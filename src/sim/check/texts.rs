//! Texts: where each comes from, whom it may reach, and that it arrives once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answers::{Expected, accepted};
use super::links::Sent;
use super::{Check, Verdict, number_of, rule};
use crate::record::{Fact, Record, RecordNumber};
use crate::server::settings::{BlockNotice, OfflineDelivery};
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::{Answer, Code, Command, Delivery, Freshness, Status};
use crate::words::{LinkId, MessageId};

/// All texts that were ever sent, by number.
#[derive(Debug, Default)]
pub(in crate::sim) struct Texts {
    pub(super) sent: BTreeMap<u32, SentText>,
    /// Those that were to be stored under records of which nothing is known yet.
    recent: Vec<(u32, RecordNumber)>,
}

/// A text and what became of it.
#[derive(Debug, Default)]
pub(in crate::sim) struct SentText {
    pub(super) whole: String,
    pub(super) kind: Kind,
    pub(super) sender: Option<User>,
    pub(super) to: Option<User>,
    /// Which program typed it, or which link it came on first.
    pub(super) typed_by: u64,
    /// Those whom it must never reach, as they had blocked the sender.
    forbidden: Vec<User>,
    /// The same, or by a block that was not durable yet.
    perhaps_forbidden: Vec<User>,
    /// Under which record it is stored for whom.
    stored: Vec<(User, RecordNumber)>,
    /// Those who got it by hand: acknowledged, or its bytes have left.
    pub(super) by_hand: Vec<User>,
    /// Those whose link was sent it.
    sent_to: Vec<User>,
    /// Those who were shown it.
    pub(super) shown_to: Vec<User>,
    /// The sender was told that it arrived.
    accepted: bool,
    /// Members whom the sender of a group message was told that it reaches.
    promised: u64,
    /// Those whom a group message reaches, as its sender was told, if he was told as well that it misses
    /// somebody.
    pub(super) told: Option<u64>,
    /// The sender was told that it did not.
    refused: bool,
    /// The server said so; whether that arrived is seen when it is said again.
    refusal_sent: bool,
    /// It was said to the server again, on another link or after a restart.
    pub(super) repeated: bool,
    /// The server had done nothing with it when it was said again: the first time it was refused.
    pub(super) late: bool,
}

/// What kind of message a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sim) enum Kind {
    #[default]
    Direct,
    Broadcast,
    Group,
    Private,
}

impl SentText {
    pub(super) const fn is_refused(&self) -> bool {
        self.refused || self.refusal_sent
    }

    /// Whether somebody has been shown it, or has got it by hand.
    pub(super) fn reached(&self, user: User) -> bool {
        self.shown_to.contains(&user) || self.by_hand.contains(&user)
    }

    /// How many it has reached.
    fn reached_by(&self) -> u64 {
        let users: BTreeSet<User> = self.shown_to.iter().chain(&self.by_hand).copied().collect();
        users.len() as u64
    }
}

impl Texts {
    /// What was to be stored under a record from this one on never was.
    pub(super) fn store_refused(&mut self, from: RecordNumber) {
        for (number, _) in self.recent.drain(..).filter(|(_, record)| *record >= from) {
            if let Some(text) = self.sent.get_mut(&number) {
                text.stored.retain(|(_, record)| *record < from);
            }
        }
    }

    pub(super) fn committed(&mut self, upto: RecordNumber) {
        self.recent.retain(|(_, record)| *record > upto);
    }

    /// What was stored under a record that survived is durable for good; the rest never was.
    pub(super) fn server_gone(&mut self, survived: RecordNumber) {
        self.recent.clear();
        for text in self.sent.values_mut() {
            text.stored.retain(|(_, record)| *record <= survived);
            text.stored.iter_mut().for_each(|(_, record)| *record = RecordNumber(0));
        }
    }
}

impl Check {
    /// The text of a command, if it sends one; it is looked at from now on.
    pub(super) fn text_requested(
        &mut self,
        link: LinkId,
        command: &Command<'_>,
        at_once: bool,
    ) -> Option<u32> {
        let (kind, to, whole) = match command {
            Command::Message { to, text } => (Kind::Direct, Some(*to), text.as_str()),
            Command::Broadcast { text } => (Kind::Broadcast, None, text.as_str()),
            Command::MessageGroup { text, .. } => (Kind::Group, None, text.as_str()),
            _ => return None,
        };
        let number = number_of(whole)?;
        let user = self.links.seen.get(&link).and_then(|seen| seen.user);
        let to = to.map(|name| self.model.user(name));
        let first = self.texts.sent.get(&number).is_none_or(|text| text.sender.is_none());
        let blockers: Vec<User> = match user {
            // What cannot wait until it is known whether a block stands does not cross it.
            Some(user) if at_once && kind == Kind::Broadcast => {
                (0..self.model.users.len()).filter(|&other| self.model.may_stand(other, user)).collect()
            }
            Some(user) if at_once => {
                (0..self.model.users.len()).filter(|&other| self.surely_blocks(other, user)).collect()
            }
            Some(_) | None => Vec::new(),
        };
        let perhaps = match user {
            Some(user) => {
                (0..self.model.users.len()).filter(|&other| self.model.is_cut_off(user, other)).collect()
            }
            None => Vec::new(),
        };
        let text = self.texts.sent.entry(number).or_default();
        text.repeated |= !first;
        text.refusal_sent = false;
        let untouched = text.stored.is_empty() && text.sent_to.is_empty();
        // Or it was given up for want of room, and the word of that was lost.
        let given_up = text.stored.is_empty() && self.refused_at > Time::ZERO;
        text.late |= !first && (untouched || given_up);
        if first {
            text.perhaps_forbidden = perhaps;
            text.kind = kind;
            text.to = to;
            if text.typed_by == 0 {
                text.typed_by = link.0 << 32;
            }
            text.sender = user;
            text.whole = whole.to_string();
        }
        // Said again, it is judged as things stand now, for those whom it was not on its way to.
        let on_its_way =
            |to: &User| text.sent_to.contains(to) || text.stored.iter().any(|(user, _)| user == to);
        text.forbidden = blockers.into_iter().filter(|to| !on_its_way(to)).collect();
        Some(number)
    }

    fn surely_blocks(&self, by: User, user: User) -> bool {
        self.model.users[by].blocks.contains(&user) && !self.model.is_pending(by, user)
    }

    /// A text goes out on a link.
    pub(super) fn text_sent(
        &mut self,
        link: LinkId,
        delivery: &Delivery<'_>,
        group: Option<&str>,
        broadcast: bool,
    ) -> Verdict {
        let from = self.model.user(delivery.from);
        let reader = self.links.seen.get(&link).and_then(|seen| seen.user);
        let Some(reader) = reader else {
            rule!(self, false, "before login nothing arrives", "{}", delivery.text.as_str());
            return Ok(());
        };
        let number = number_of(delivery.text.as_str());
        if !broadcast {
            self.remember_sent(link, delivery.id, number);
            self.held_sent(link, delivery.id);
            let waits = delivery.freshness == Freshness::Live || self.waits(reader, delivery.id);
            let name = &self.model.users[reader].name;
            rule!(self, waits, "what is gone from a mailbox is not shown", "{} to {name}", delivery.id);
        }
        let Some(number) = number else { return Ok(()) };
        self.origin_is_true(number, from, reader, delivery.text.as_str(), group.is_some(), broadcast)?;
        self.block_is_kept(number, from, reader)?;
        if let Some(text) = self.texts.sent.get_mut(&number)
            && !text.sent_to.contains(&reader)
        {
            text.sent_to.push(reader);
        }
        Ok(())
    }

    /// Whether a message is in a mailbox, as far as that can be known.
    fn waits(&self, user: User, id: MessageId) -> bool {
        let known = &self.model.users[user];
        known.odd || known.mailbox.contains_key(&id)
    }

    fn origin_is_true(
        &self,
        number: u32,
        from: User,
        reader: User,
        whole: &str,
        group: bool,
        broadcast: bool,
    ) -> Verdict {
        let Some(text) = self.texts.sent.get(&number) else {
            rule!(self, false, "every text has an origin", "{whole}");
            return Ok(());
        };
        let kind = match (group, broadcast) {
            (true, _) => Kind::Group,
            (false, true) => Kind::Broadcast,
            (false, false) => Kind::Direct,
        };
        let fits = text.whole == whole
            && text.kind == kind
            && text.sender.is_none_or(|sender| sender == from)
            && text.to.is_none_or(|to| to == reader)
            && from != reader;
        let reader = &self.model.users[reader].name;
        rule!(self, fits, "every text has an origin", "{reader} gets {whole:?}; sent was {text:?}");
        Ok(())
    }

    /// Nothing crosses a block: neither what was sent while it stood nor, while it stands, what waits.
    fn block_is_kept(&self, number: u32, from: User, reader: User) -> Verdict {
        let Some(text) = self.texts.sent.get(&number) else { return Ok(()) };
        let shaky = self.model.shaky.contains_key(&(reader, from));
        let never = text.forbidden.contains(&reader) && (text.kind == Kind::Broadcast || !shaky);
        let held = !self.model.delivers
            && !self.model.users[from].odd
            && self.model.users[reader].announced.contains(&from);
        let names = (&self.model.users[reader].name, &self.model.users[from].name);
        rule!(
            self,
            !never && !held,
            "nothing crosses a block",
            "t{number} from {} reaches {}",
            names.1,
            names.0
        );
        Ok(())
    }

    /// A request for a private link goes out.
    pub(super) fn request_sent(&mut self, link: LinkId, from: &str) -> Verdict {
        let from = self.model.user(from);
        let Some(reader) = self.links.seen.get(&link).and_then(|seen| seen.user) else { return Ok(()) };
        let crosses = self.model.users[reader].announced.contains(&from);
        rule!(
            self,
            !crosses,
            "nothing crosses a block",
            "a request reaches {}",
            self.model.users[reader].name
        );
        Ok(())
    }

    /// A client acknowledges everything up to a message.
    pub(super) fn acknowledged(&mut self, link: LinkId, shown: MessageId) -> Verdict {
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(()) };
        let Some(place) = seen.sent.iter().position(|sent| sent.id == shown) else { return Ok(()) };
        let sent: Vec<Sent> = seen.sent.drain(..=place).collect();
        self.has_got(link, &sent);
        Ok(())
    }

    /// Messages have been acknowledged, or have left for one who does not acknowledge.
    pub(super) fn has_got(&mut self, link: LinkId, sent: &[Sent]) {
        let Some(seen) = self.links.seen.get(&link) else { return };
        let Some(user) = seen.user else { return };
        let by_hand = seen.process.is_none();
        if !sent.is_empty() {
            self.logout_moved(link);
        }
        self.model.users[user].acknowledged.extend(sent.iter().map(|sent| sent.id));
        for number in sent.iter().filter_map(|sent| sent.text).filter(|_| by_hand) {
            if let Some(text) = self.texts.sent.get_mut(&number) {
                text.by_hand.push(user);
            }
        }
    }

    /// Stored mail is removed on acknowledgement only.
    pub(super) fn mail_may_go(&mut self, record: &Record) -> Verdict {
        let Record::Fact(Fact::MailRemoved { user, ids }) = record else { return Ok(()) };
        let user = self.model.user(user.as_str());
        let known = &self.model.users[user];
        for id in ids {
            let Some(stored) = known.mailbox.get(id).filter(|_| !known.acknowledged.contains(id)) else {
                continue;
            };
            let dropped = self.model.drops && self.model.doomed.contains(&(user, *id));
            rule!(self, dropped, "mail is removed on acknowledgement only", "{id} of {}", known.name);
            self.model.dropped.insert((user, stored.text));
        }
        Ok(())
    }

    /// A message is stored: it must be one that was sent, and there must be room for it.
    pub(super) fn mail_record(&mut self, number: RecordNumber, record: &Record) -> Verdict {
        let Record::MailStored { to, mail } = record else { return Ok(()) };
        let (to, from) = (self.model.user(to.as_str()), self.model.user(mail.from.as_str()));
        self.mailbox_is_bounded(to, from)?;
        let Some(text) = number_of(&mail.text) else { return Ok(()) };
        self.origin_is_true(text, from, to, &mail.text, mail.group.is_some(), false)?;
        let shaky = self.model.shaky.contains_key(&(to, from));
        let Some(sent) = self.texts.sent.get_mut(&text) else { return Ok(()) };
        let forbidden = sent.forbidden.contains(&to) && !shaky;
        sent.stored.retain(|(user, _)| *user != to);
        sent.stored.push((to, number));
        self.texts.recent.push((text, number));
        rule!(self, !forbidden, "nothing crosses a block", "t{text} is stored");
        Ok(())
    }

    fn mailbox_is_bounded(&self, to: User, from: User) -> Verdict {
        let settings = &self.model.settings;
        let mailbox = &self.model.users[to].mailbox;
        let of_one = mailbox.values().filter(|stored| stored.from == from).count() as u64;
        let bytes: u64 = mailbox.values().map(|stored| stored.bytes).sum();
        let within = |limit: u64, amount: u64| limit == 0 || amount <= limit;
        // The mail of one who was removed and came again is another's.
        let own = !self.model.users[from].odd;
        let fits = within(u64::from(settings.mailbox_messages), mailbox.len() as u64)
            && (!own || within(u64::from(settings.mailbox_per_sender), of_one))
            && within(settings.mailbox_bytes, bytes);
        let name = &self.model.users[to].name;
        rule!(self, fits, "mailboxes are bounded", "{name}: {} messages, {bytes} bytes", mailbox.len());
        Ok(())
    }

    /// The sender of a text is told what became of it.
    pub(super) fn text_answered(
        &mut self,
        expected: &Expected,
        answer: Result<&Answer<'_>, Code>,
    ) -> Verdict {
        if expected.number.is_none() {
            // Answers without a number cannot be told apart.
            return Ok(());
        }
        let Some(number) = expected.text else { return Ok(()) };
        match answer {
            Err(Code::OutcomeUnknown) => Ok(()),
            // A server that has restarted cannot know of the first saying; the client must not believe it.
            Err(_) if self.texts.sent.get(&number).is_some_and(|text| text.repeated) => Ok(()),
            Err(_) => {
                if let Some(text) = self.texts.sent.get_mut(&number) {
                    text.refusal_sent = true;
                }
                self.never_shown(number)
            }
            Ok(answer) => {
                if let Some(text) = self.texts.sent.get_mut(&number) {
                    text.accepted = true;
                }
                match accepted(answer) {
                    Some(Status::Delivered) => self.delivery_is_true(number),
                    Some(Status::Stored) => self.storing_is_true(number),
                    None => self.group_is_true(number, answer),
                }
            }
        }
    }

    /// The sender knows that a text was refused.
    pub(super) fn text_refused(&mut self, number: u32) -> Verdict {
        if let Some(text) = self.texts.sent.get_mut(&number) {
            text.refused = true;
        }
        self.never_shown(number)
    }

    /// The sender knows that a group message misses somebody, and how many it reaches.
    pub(super) fn group_refused(&mut self, number: u32, reached: u64) -> Verdict {
        if let Some(text) = self.texts.sent.get_mut(&number) {
            text.told = Some(reached);
        }
        self.not_more_than_told(number)
    }

    /// Whom a group message missed, as its sender was told, is never shown it.
    pub(super) fn not_more_than_told(&self, number: u32) -> Verdict {
        let Some(text) = self.texts.sent.get(&number) else { return Ok(()) };
        let Some(told) = text.told else { return Ok(()) };
        let reached = text.reached_by();
        rule!(
            self,
            reached <= told,
            "what was refused never appears",
            "t{number} to {told} of a group, but {reached}"
        );
        Ok(())
    }

    /// What was refused never appears.
    fn never_shown(&self, number: u32) -> Verdict {
        let Some(text) = self.texts.sent.get(&number) else { return Ok(()) };
        let shown = text.shown_to.len();
        rule!(self, shown == 0, "what was refused never appears", "t{number} was shown");
        Ok(())
    }

    fn delivery_is_true(&self, number: u32) -> Verdict {
        let Some(text) = self.texts.sent.get(&number) else { return Ok(()) };
        let Some(to) = text.to else { return Ok(()) };
        let honest = text.shown_to.contains(&to) || text.by_hand.contains(&to);
        rule!(self, honest, "delivered means shown", "t{number} to {}", self.model.users[to].name);
        Ok(())
    }

    fn storing_is_true(&mut self, number: u32) -> Verdict {
        let Some(text) = self.texts.sent.get_mut(&number) else { return Ok(()) };
        let (Some(to), Some(sender)) = (text.to, text.sender) else { return Ok(()) };
        let silent = self.model.is_cut_off(sender, to) || text.perhaps_forbidden.contains(&to);
        if silent {
            text.perhaps_forbidden.push(to);
        }
        let shaky = self.model.shaky.contains_key(&(to, sender));
        let durable = text.stored.iter().any(|(user, record)| *user == to && *record <= self.model.committed);
        let earlier = text.stored.is_empty() && text.accepted && self.model.users[to].odd;
        // A crash may bring back what an account that went had blocked.
        let odd = self.model.users[to].odd || self.model.users[sender].odd;
        let quiet = odd && self.model.settings.block_notice == BlockNotice::Silent;
        rule!(self, durable || silent || shaky || earlier || quiet, "stored means durable", "t{number}");
        Ok(())
    }

    /// Of a group message so many were shown, and so many are on disk, as its sender is told.
    fn group_is_true(&mut self, number: u32, answer: &Answer<'_>) -> Verdict {
        let Answer::MessageGroup { delivered, stored, .. } = *answer else { return Ok(()) };
        let Some(text) = self.texts.sent.get_mut(&number) else { return Ok(()) };
        text.promised = delivered + stored;
        let reached = text.reached_by();
        let durable = text.stored.iter().filter(|(_, record)| *record <= self.model.committed).count() as u64;
        rule!(self, delivered <= reached, "delivered means shown", "t{number}: {delivered}, but {reached}");
        rule!(self, stored <= durable, "stored means durable", "t{number}: {stored}, but {durable}");
        Ok(())
    }

    /// At the end everything that was accepted was shown.
    pub(super) fn accepted_has_arrived(&self) -> Verdict {
        if self.model.settings.offline_delivery == OfflineDelivery::Off || !self.clients.is_anybody_here() {
            return Ok(());
        }
        for (number, text) in &self.texts.sent {
            let Some(sender) = text.sender.filter(|_| text.accepted) else { continue };
            let excused = |to: User| {
                self.model.users[to].odd
                    || self.model.users[sender].odd
                    || text.perhaps_forbidden.contains(&to)
                    || self.model.is_cut_off(sender, to)
                    || self.model.shaky.contains_key(&(to, sender))
                    || self.model.dropped.contains(&(to, *number))
            };
            if let Some(to) = text.to {
                let fine = text.reached(to) || excused(to);
                let name = &self.model.users[to].name;
                rule!(self, fine, "everything accepted arrives", "t{number} to {name}");
            }
            let users = 0..self.model.users.len();
            let perhaps = users.filter(|to| !text.reached(*to) && excused(*to)).count() as u64;
            let reached = text.reached_by();
            rule!(
                self,
                reached + perhaps >= text.promised,
                "everything accepted arrives",
                "t{number} to {} of a group, but {reached}",
                text.promised
            );
        }
        Ok(())
    }
}
