//! Texts: where each comes from, whom it may reach, and that it arrives once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::answers::{Expected, accepted};
use super::links::Sent;
use super::wishes::Line;
use super::{Check, Verdict, number_of, rule};
use crate::record::{Change, Record, RecordNumber};
use crate::server::settings::OfflineDelivery;
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::{Answer, Code, Command, Delivery, Freshness, Status};
use crate::words::{LinkId, MessageId};

/// All texts that were ever sent, by number.
#[derive(Debug, Default)]
pub(in crate::sim) struct Texts {
    pub(super) sent: BTreeMap<u32, SentText>,
    /// Messages of this call that wait for nothing: they are decided in it.
    due: Vec<u32>,
    /// Those that were to be stored under records of which nothing is known yet.
    pub(super) recent: Vec<(u32, RecordNumber)>,
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
    /// Those who had perhaps, when it was obeyed.
    pub(super) perhaps_forbidden: Vec<User>,
    /// When it came first, and its place then among the lines of all users.
    pub(super) at: Time,
    order: u64,
    /// It came after something that it had to wait for.
    waits: bool,
    /// Under which record it is stored for whom.
    pub(super) stored: Vec<(User, RecordNumber)>,
    /// Those who got it by hand: acknowledged, or its bytes have left.
    pub(super) by_hand: Vec<User>,
    /// Those whose link was sent it.
    sent_to: Vec<User>,
    /// Those who were shown it.
    pub(super) shown_to: Vec<User>,
    /// The sender was told that it arrived.
    pub(super) accepted: bool,
    /// Members whom the sender of a group message was told that it reaches.
    pub(super) promised: u64,
    /// Those whom a group message reaches, as its sender was told, if they were told as well that it misses
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
    pub(super) fn reached_by(&self) -> u64 {
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
        self.due.clear();
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
        told: bool,
        order: u64,
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
        let users = 0..self.model.users.len();
        let blocks = |by: User| user.is_some_and(|user| self.model.users[by].blocks.contains(&user));
        let blockers: Vec<User> = users.clone().filter(|other| blocks(*other)).collect();
        let cut_off = |to: User| user.is_some_and(|user| self.model.is_cut_off(user, to));
        let perhaps: Vec<User> = users.filter(|other| cut_off(*other)).collect();
        let waits_for_nothing =
            at_once && told && first && kind == Kind::Direct && self.is_decided_at_once(user, to);
        self.texts.due.extend(waits_for_nothing.then_some(number));
        let text = self.texts.sent.entry(number).or_default();
        text.repeated |= !first;
        text.refusal_sent = false;
        let untouched = text.stored.is_empty() && text.sent_to.is_empty();
        // Or it was given up for want of room, and the word of that was lost.
        let given_up = text.stored.is_empty() && self.refused_at > Time::ZERO;
        text.late |= !first && (untouched || given_up);
        if first {
            (text.at, text.order) = (self.now, order);
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
        text.waits = !at_once;
        Some(number)
    }

    /// Whether a message waits for stored ones of its sender that are under way to the same receiver, or may.
    pub(super) fn waits_for_mail(&self, user: User, command: &Command<'_>) -> bool {
        let own = &self.model.users[user].name;
        let mut of_user = self.model.mail_under_way().filter(|(_, mail)| mail.from.as_str() == own);
        match command {
            Command::Message { to, .. } => of_user.any(|(name, _)| name.as_str() == *to),
            Command::MessageGroup { .. } => of_user.next().is_some(),
            _ => false,
        }
    }

    /// Whether a message to somebody waits neither for mail nor for a reader.
    fn is_decided_at_once(&self, from: Option<User>, to: Option<User>) -> bool {
        let Some((from, to)) = from.zip(to) else { return false };
        let known = &self.model.users[to];
        let alone = !self.model.mail_under_way().any(|(name, _)| name.as_str() == known.name);
        let reads =
            |link: LinkId| self.is_heard(link) && known.mailbox.is_empty() && alone && self.links.loads == 0;
        let decided = match &known.session {
            Some(session) => session.link.is_none_or(reads),
            None => known.coming.is_none(),
        };
        // Who is blocked and not told so hears `stored` as late as it would be.
        decided && !self.model.is_cut_off(from, to) && !known.is_odd() && !self.model.users[from].is_odd()
    }

    /// A block is lifted, or gone with an account: what waits for its turn may be obeyed now, and reach.
    pub(super) fn blocks_lifted_for_texts(&mut self, record: &Record) {
        let (by, user) = match record {
            Record::Change(Change::Unblocked { by, user }) => (by, Some(user)),
            Record::Change(Change::AccountRemoved { name }) => (name, None),
            _ => return,
        };
        let (by, user) = (self.model.user(by.as_str()), user.map(|user| self.model.user(user.as_str())));
        for text in self.texts.sent.values_mut().filter(|text| text.waits) {
            let of_user = user.is_none_or(|user| text.sender == Some(user));
            text.forbidden.retain(|to| !(of_user && *to == by));
        }
    }

    /// A message that waits for nothing was sent on, stored or refused in the very call.
    pub(super) fn texts_are_decided(&mut self) -> Verdict {
        for number in core::mem::take(&mut self.texts.due) {
            let Some(text) = self.texts.sent.get(&number) else { continue };
            let decided =
                text.refusal_sent || text.accepted || !text.sent_to.is_empty() || !text.stored.is_empty();
            rule!(self, decided, "what waits for nothing is done at once", "t{number}");
        }
        Ok(())
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
            let live = delivery.freshness == Freshness::Live;
            let waits = live || self.at_some_point(|check| check.waits(reader, delivery.id));
            let name = &self.model.users[reader].name;
            rule!(self, waits, "what is gone from a mailbox is not shown", "{} to {name}", delivery.id);
        }
        let Some(number) = number else { return Ok(()) };
        self.origin_is_true(number, from, reader, delivery.text.as_str(), group.is_some(), broadcast)?;
        self.block_is_kept(number, from, reader)?;
        if delivery.freshness == Freshness::Live {
            self.text_has_its_turn(number)?;
        }
        if let Some(text) = self.texts.sent.get_mut(&number)
            && !text.sent_to.contains(&reader)
        {
            text.sent_to.push(reader);
        }
        Ok(())
    }

    /// A text goes on its way: what its sender asked for before is done, and told.
    pub(super) fn text_has_its_turn(&mut self, number: u32) -> Verdict {
        let text = self.texts.sent.get(&number);
        let Some((user, order)) = text.and_then(|text| Some((text.sender?, text.order))) else {
            return Ok(());
        };
        // Whichever line it came on last: its first place is what counts.
        let line = Line { user, words: &[], login: 0, link: LinkId(0), number: None, order };
        self.line_has_its_turn(&line)?;
        self.notices_come_first(user, order)
    }

    /// Whether a message is in a mailbox, as far as that can be known.
    fn waits(&self, user: User, id: MessageId) -> bool {
        let known = &self.model.users[user];
        known.is_odd() || known.mailbox.contains_key(&id)
    }

    pub(super) fn origin_is_true(
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

    /// Whether a text must not reach somebody: not even if the block is lifted by a record that is durable.
    pub(super) fn is_forbidden(&mut self, number: u32, to: User) -> bool {
        let may_reach =
            |check: &Check| check.texts.sent.get(&number).is_none_or(|text| !text.forbidden.contains(&to));
        !self.at_some_point(may_reach)
    }

    /// Nothing crosses a block: neither what was sent while it stood nor, while it stands, what waits.
    fn block_is_kept(&mut self, number: u32, from: User, reader: User) -> Verdict {
        let never = self.is_forbidden(number, reader);
        let Some(text) = self.texts.sent.get(&number) else { return Ok(()) };
        let lets_through =
            text.kind != Kind::Broadcast && (self.model.delivers || self.model.users[from].is_odd());
        let held =
            !lets_through && !self.at_some_point(|check| !check.model.users[reader].blocks.contains(&from));
        let (to, from) = (&self.model.users[reader].name, &self.model.users[from].name);
        rule!(self, !never && !held, "nothing crosses a block", "t{number} from {from} reaches {to}");
        Ok(())
    }

    /// A request for a private link goes out.
    pub(super) fn request_sent(&mut self, link: LinkId, from: &str) -> Verdict {
        let from = self.model.user(from);
        let Some(reader) = self.links.seen.get(&link).and_then(|seen| seen.user) else { return Ok(()) };
        let crosses = !self.at_some_point(|check| !check.model.users[reader].blocks.contains(&from));
        let name = &self.model.users[reader].name;
        rule!(self, !crosses, "nothing crosses a block", "a request reaches {name}");
        Ok(())
    }

    /// A link is told where to find another user.
    pub(super) fn introduced(&mut self, link: LinkId, to: &str) -> Verdict {
        let to = self.model.user(to);
        let Some(reader) = self.links.seen.get(&link).and_then(|seen| seen.user) else { return Ok(()) };
        let name = self.model.users[to].name.clone();
        // Whoever blocks somebody may still ask them.
        let crosses = !self.at_some_point(|check| {
            !(check.model.users[reader].blocks.contains(&to)
                && check.model.users[to].blocks.contains(&reader))
        });
        rule!(self, !crosses, "nothing crosses a block", "{name} is introduced");
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
            self.mail_taken(link);
        }
        self.model.users[user].acknowledged.extend(sent.iter().map(|sent| sent.id));
        for number in sent.iter().filter_map(|sent| sent.text).filter(|_| by_hand) {
            if let Some(text) = self.texts.sent.get_mut(&number) {
                text.by_hand.push(user);
            }
        }
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
        self.texts.due.retain(|due| *due != number);
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

    /// At the end everything that was accepted was shown.
    pub(super) fn accepted_has_arrived(&self) -> Verdict {
        if self.model.settings.offline_delivery == OfflineDelivery::Off || !self.clients.is_anybody_here() {
            return Ok(());
        }
        for (number, text) in &self.texts.sent {
            let Some(sender) = text.sender.filter(|_| text.accepted) else { continue };
            let excused = |to: User| {
                self.model.users[to].strange
                    || self.model.users[sender].strange
                    || text.perhaps_forbidden.contains(&to)
                    || self.model.is_cut_off(sender, to)
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
