//! What operators say to all, and what is kept of it (R67).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::lane::Decision;
use super::papers::Then;
use super::{Server, User, later};
use crate::record::{Announcement, Change, Fact, Record};
use crate::words::{LinkId, SharedText, Ticket};

/// Announcements that are kept.
const KEPT: usize = 16;
/// Thirty days.
const KEPT_SECS: u64 = 2_592_000;

impl Server {
    fn connected(&self) -> Vec<(User, LinkId)> {
        self.roster.iter().filter_map(|user| Some((*user, self.at(*user).link()?))).collect()
    }

    pub(super) fn say_to_all(&mut self, text: &str) -> u64 {
        let line = [format!("notice operator {text}")];
        let links = self.connected().into_iter();
        let links: Vec<LinkId> = links.map(|(_, link)| link).collect();
        links.into_iter().filter(|link| self.notify(*link, &line)).count() as u64
    }

    pub(super) fn decide_announcement(&mut self, text: &SharedText) -> Decision {
        if self.announcements.len() >= KEPT
            && let Some(number) = self.announcements.keys().next().copied()
        {
            self.persist(Record::Change(Change::AnnouncementWithdrawn { number }), Then::Nothing);
        }
        self.last_announcement += 1;
        let (number, at) = (self.last_announcement, self.now);
        self.say_to_all(text.as_str());
        let there: Vec<User> = self.connected().into_iter().map(|(user, _)| user).collect();
        for user in &there {
            self.at_mut(*user).heard = number;
        }
        let announcement = Announcement { number, at, text: text.clone() };
        Decision::Change(Change::Announced { announcement }, there.into_iter().collect())
    }

    pub(super) fn decide_withdrawal(&mut self, ticket: Ticket, number: u32) -> Decision {
        if self.announcements.contains_key(&number) {
            return Decision::Change(Change::AnnouncementWithdrawn { number }, [].into());
        }
        self.expected.acted(ticket, Err("unknown_announcement"));
        Decision::Answered
    }

    /// It is kept now, or is not: whoever has come since hears it.
    pub(super) fn announced(&mut self, ticket: Ticket, heard: usize, durable: bool) {
        if !durable {
            return self.expected.acted(ticket, Err("storage_unavailable"));
        }
        let late = self.connected().into_iter().filter(|(user, link)| self.catch_up(*user, *link)).count();
        self.expected.acted(ticket, Ok((heard + late) as u64));
    }

    /// Whether there was anything that a user had not heard.
    pub(super) fn catch_up(&mut self, user: User, link: LinkId) -> bool {
        let heard = self.at(user).heard;
        let news = self.announcements.values().filter(|said| said.number > heard);
        let news: Vec<String> = news
            .filter(|said| later(said.at, KEPT_SECS) > self.now)
            .map(|said| format!("notice operator {}", said.text))
            .collect();
        self.send_all(link, &news);
        let newest = self.announcements.keys().next_back().copied().unwrap_or_default();
        self.at_mut(user).heard = heard.max(newest);
        !news.is_empty()
    }

    /// A session ends here: what its user has heard is written if it was not.
    pub(super) fn write_heard(&mut self, user: User) {
        let account = self.at_mut(user);
        if account.heard > account.heard_written {
            account.heard_written = account.heard;
            let heard = Fact::Heard { user: account.name.clone(), upto: account.heard };
            self.persist_fact(heard);
        }
    }

    /// What is durable of it.
    pub(super) fn heard_read(&mut self, user: User, upto: u32) {
        let account = self.at_mut(user);
        (account.heard, account.heard_written) = (upto, upto);
        self.last_announcement = self.last_announcement.max(upto);
    }

    pub(super) fn announcement_read(&mut self, announcement: &Announcement) {
        self.last_announcement = self.last_announcement.max(announcement.number);
        self.announcements.insert(announcement.number, announcement.clone());
    }
}
