//! Mail: stored within the bounds of mailboxes, confirmed when it is durable, removed when acknowledged.

use alloc::vec::Vec;

use super::{Check, Verdict, number_of, rule};
use crate::record::{Fact, Record, RecordNumber};
use crate::server::settings::BlockNotice;
use crate::sim::model::User;
use crate::wire::Answer;

impl Check {
    /// Stored mail is removed on acknowledgement only.
    pub(super) fn mail_may_go(&mut self, record: &Record) -> Verdict {
        let Record::Fact(Fact::MailRemoved { user, ids }) = record else { return Ok(()) };
        let user = self.model.user(user.as_str());
        for id in ids {
            let name = &self.model.users[user].name;
            if self.model.users[user].acknowledged.contains(id) || !self.model.has_mail(user, *id) {
                continue;
            }
            let name = name.clone();
            let dropped =
                self.model.drops && self.at_some_point(|check| check.model.doomed.contains(&(user, *id)));
            rule!(self, dropped, "mail is removed on acknowledgement only", "{id} of {name}");
            if let Some(stored) = self.model.users[user].mailbox.get(id) {
                self.model.dropped.insert((user, stored.text));
            }
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
        self.text_has_its_turn(text)?;
        let forbidden = self.is_forbidden(text, to);
        let Some(sent) = self.texts.sent.get_mut(&text) else { return Ok(()) };
        sent.stored.retain(|(user, _)| *user != to);
        sent.stored.push((to, number));
        self.texts.recent.push((text, number));
        rule!(self, !forbidden, "nothing crosses a block", "t{text} is stored");
        Ok(())
    }

    fn mailbox_is_bounded(&self, to: User, from: User) -> Verdict {
        let settings = &self.model.settings;
        let sender = self.model.users[from].name.as_str();
        let (mut messages, mut bytes, mut of_one) = (0, 0, 0);
        for (from, length) in self.model.promised(to) {
            messages += 1;
            bytes += length;
            of_one += u64::from(from == sender);
        }
        let within = |limit: u64, amount: u64| limit == 0 || amount <= limit;
        // The mail of one who was removed and came again is another's.
        let own = !self.model.users[from].strange;
        let fits = within(u64::from(settings.mailbox_messages), messages)
            && (!own || within(u64::from(settings.mailbox_per_sender), of_one))
            && within(settings.mailbox_bytes, bytes);
        let name = &self.model.users[to].name;
        rule!(self, fits, "mailboxes are bounded", "{name}: {messages} messages, {bytes} bytes");
        Ok(())
    }

    pub(super) fn storing_is_true(&mut self, number: u32) -> Verdict {
        let Some(text) = self.texts.sent.get_mut(&number) else { return Ok(()) };
        let (Some(to), Some(sender)) = (text.to, text.sender) else { return Ok(()) };
        let (at, odd) = (text.at, self.model.users[to].strange);
        let quiet = self.model.settings.block_notice == BlockNotice::Silent;
        let silent = self.model.is_cut_off_since(sender, to, at) || text.perhaps_forbidden.contains(&to);
        if silent {
            text.perhaps_forbidden.push(to);
        }
        let earlier = text.stored.is_empty() && text.accepted && odd;
        // A crash may bring back what an account that went had blocked.
        let quiet = quiet && (odd || self.model.users[sender].strange);
        if silent || earlier || quiet {
            return Ok(());
        }
        let durable = self.at_some_point(|check| check.is_stored(number, to));
        rule!(self, durable, "stored means durable", "t{number}");
        Ok(())
    }

    /// Whether a text is on the disk for somebody.
    fn is_stored(&self, number: u32, to: User) -> bool {
        let text = self.texts.sent.get(&number);
        let durable = |record: RecordNumber| !self.model.is_under_way(record);
        text.is_some_and(|text| text.stored.iter().any(|(user, record)| *user == to && durable(*record)))
    }

    /// Of a group message so many were shown, and so many are on disk, as its sender is told.
    pub(super) fn group_is_true(&mut self, number: u32, answer: &Answer<'_>) -> Verdict {
        let Answer::MessageGroup { delivered, stored, .. } = *answer else { return Ok(()) };
        let Some(text) = self.texts.sent.get_mut(&number) else { return Ok(()) };
        text.promised = delivered + stored;
        let reached = text.reached_by();
        let all: Vec<User> = text.stored.iter().map(|(user, _)| *user).collect();
        let on_disk =
            |check: &Check| all.iter().filter(|user| check.is_stored(number, **user)).count() as u64;
        let durable = self.at_some_point(|check| stored <= on_disk(check));
        rule!(self, delivered <= reached, "delivered means shown", "t{number}: {delivered}, but {reached}");
        rule!(self, durable, "stored means durable", "t{number}: {stored}");
        Ok(())
    }
}
