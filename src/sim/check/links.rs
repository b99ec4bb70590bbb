//! Links of the server: nothing to a closed one, whole lines only, nothing before its record.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::answers::Expected;
use super::{Check, Verdict, Violation, lines, rule, words};
use crate::record::{Record, RecordNumber};
use crate::sim::model::User;
use crate::sim::trace::ProcessId;
use crate::wire::{ClientLine, ServerLine};
use crate::words::{LinkId, MessageId};

/// The links of the life of a server.
#[derive(Debug, Default)]
pub(in crate::sim) struct Links {
    pub(super) seen: BTreeMap<LinkId, LinkSeen>,
    /// The last record handed out, and up to which all are durable or refused.
    handed_out: RecordNumber,
    settled: RecordNumber,
    /// What left for its reader in this call.
    flushed_in_call: Option<(LinkId, u64)>,
}

/// A link as seen from outside.
#[derive(Debug)]
pub(in crate::sim) struct LinkSeen {
    pub(super) process: Option<ProcessId>,
    pub(super) from: Option<SocketAddr>,
    partial: Vec<u8>,
    pub(super) paused: bool,
    /// Whose session it serves, once that is known.
    pub(super) user: Option<User>,
    /// It has been told so.
    pub(super) welcomed: bool,
    /// The number of its login.
    pub(super) login: u64,
    pub(super) acknowledges: bool,
    /// Answers to later commands wait for this record.
    pub(super) held: RecordNumber,
    /// Ids of messages sent, in order, and where their bytes end.
    pub(super) sent: VecDeque<Sent>,
    sent_bytes: u64,
    pub(super) expected: VecDeque<Expected>,
    /// Numbers of commands that came before the link was known to be let in.
    pub(super) early: BTreeSet<u64>,
    /// Names of a list whose end has not come.
    pub(super) list: Vec<User>,
    pub(super) failures: u32,
    /// They may be one more.
    pub(super) failures_blurred: bool,
    /// Something came that the server may close a link for.
    pub(super) garbage: bool,
    /// `logout` was typed ahead, before it was let in.
    pub(super) logout_ahead: bool,
    /// What a logout on it waits for.
    pub(super) leaving: Option<super::goodbye::Waiting>,
}

/// A message that went out and is not acknowledged.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Sent {
    pub(super) id: MessageId,
    pub(super) text: Option<u32>,
    end: u64,
}

impl LinkSeen {
    /// The next expected answer with a number, or the first without.
    pub(super) fn take_expected(&mut self, number: Option<u64>) -> Option<Expected> {
        let place = self.expected.iter().position(|expected| expected.number == number)?;
        self.expected.remove(place)
    }
}

impl Links {
    pub(super) fn open(&mut self, link: LinkId, process: Option<ProcessId>) {
        let seen = LinkSeen {
            process,
            from: None,
            partial: Vec::new(),
            paused: false,
            user: None,
            welcomed: false,
            login: 0,
            acknowledges: false,
            held: RecordNumber(0),
            sent: VecDeque::new(),
            sent_bytes: 0,
            expected: VecDeque::new(),
            early: BTreeSet::new(),
            list: Vec::new(),
            failures: 0,
            failures_blurred: false,
            garbage: false,
            leaving: None,
            logout_ahead: false,
        };
        self.seen.insert(link, seen);
    }

    pub(super) fn comes_from(&mut self, link: LinkId, from: SocketAddr) {
        if let Some(seen) = self.seen.get_mut(&link) {
            seen.from = Some(from);
        }
    }

    pub(super) fn close(&mut self, link: LinkId) {
        self.seen.remove(&link);
    }

    pub(super) fn all_gone(&mut self) {
        *self = Links::default();
    }

    /// All records up to this one are durable.
    pub(super) fn committed(&mut self, upto: RecordNumber) {
        self.settled = self.settled.max(upto);
    }

    /// After a refusal of the store answers may differ from what was decided before.
    pub(super) fn store_refused(&mut self, from: RecordNumber) {
        self.settled = self.handed_out;
        for seen in self.seen.values_mut() {
            seen.held = RecordNumber(0);
            seen.expected.iter_mut().for_each(|expected| expected.store_refused(from));
        }
    }
}

impl Check {
    /// Bytes have left for the reader of a link.
    pub(super) fn flushed(&mut self, link: LinkId, upto: u64) {
        self.links.flushed_in_call = Some((link, upto));
        let Some(seen) = self.links.seen.get_mut(&link).filter(|seen| !seen.acknowledges) else { return };
        let gone = seen.sent.iter().take_while(|sent| sent.end <= upto).count();
        let gone: Vec<Sent> = seen.sent.drain(..gone).collect();
        self.has_got(link, &gone);
    }

    /// A link is left unread for the lists that its reader has not taken, and no longer than that.
    pub(super) fn who_has_read_is_read(&mut self) -> Verdict {
        let Some((link, upto)) = self.links.flushed_in_call.take() else { return Ok(()) };
        let at_rest = self.is_at_rest();
        let deaf = |seen: &LinkSeen| seen.welcomed && seen.paused && seen.sent_bytes == upto;
        let deaf = at_rest && self.links.seen.get(&link).is_some_and(deaf);
        rule!(self, !deaf, "who has read everything is read", "{link:?} is left unread");
        Ok(())
    }

    /// Bytes reach the server: its lines are looked at one by one.
    pub(super) fn received(&mut self, link: LinkId, bytes: &[u8]) -> Verdict {
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(()) };
        if memchr::memchr(b'\n', bytes).is_none() {
            seen.partial.extend_from_slice(bytes);
            seen.garbage |= seen.partial.len() > self.model.settings.line_bytes;
            return Ok(());
        }
        let mut whole = core::mem::take(&mut seen.partial);
        whole.extend_from_slice(bytes);
        let end = memchr::memrchr(b'\n', &whole).map_or(0, |at| at + 1);
        seen.partial = whole.split_off(end);
        // Lines behind one that makes the link wait are obeyed at a time that is not seen.
        let mut at_once = seen.welcomed && !seen.paused && self.is_unhurried();
        for line in lines(&whole) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            at_once = self.line_received(link, line, at_once)?;
        }
        Ok(())
    }

    /// Whether nothing waits for a record or for a rate.
    pub(super) fn is_at_rest(&self) -> bool {
        self.links.settled >= self.links.handed_out && self.is_unhurried()
    }

    /// Whether no link has to wait because of its rate, or of what it did when rates were lower.
    pub(super) const fn is_unhurried(&self) -> bool {
        !self.model.hurried
    }

    fn line_received(&mut self, link: LinkId, line: &[u8], at_once: bool) -> Result<bool, Violation> {
        let limit = self.model.settings.line_bytes;
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(false) };
        if line.len() > limit + 512 {
            seen.garbage = true;
            self.perhaps_activity(link);
            return Ok(false);
        }
        let at_once = at_once && line.len() <= limit;
        if line.iter().all(|byte| *byte == b' ') {
            return Ok(at_once);
        }
        let Ok(line) = ClientLine::parse(line) else {
            self.activity(link, false);
            return Ok(at_once);
        };
        if matches!(line, ClientLine::Login { .. } | ClientLine::Register { .. } | ClientLine::Resume { .. })
        {
            self.activity(link, false);
        }
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(false) };
        match line {
            ClientLine::Hello { capabilities, .. } => seen.acknowledges |= capabilities.acknowledge,
            ClientLine::Login { name, password } => {
                self.attempt(link, name, password.map(|password| password.0), false);
                return Ok(false);
            }
            ClientLine::Register { name, password } => {
                self.attempt(link, name, Some(password.0), true);
                return Ok(false);
            }
            ClientLine::Resume { token, .. } => {
                self.tokens.said(link, token);
                return Ok(false);
            }
            ClientLine::Acknowledge { shown, .. } => {
                if let Some(shown) = shown {
                    self.acknowledged(link, shown)?;
                }
            }
            ClientLine::Active { valid } => self.activity(link, valid),
            ClientLine::Request { number, command } => {
                self.activity(link, true);
                let changes = self.requested(link, number, &command, at_once);
                return Ok(at_once && !changes);
            }
        }
        Ok(at_once)
    }

    /// The server queued bytes on a link.
    pub(super) fn sent(&mut self, link: LinkId, bytes: &[u8]) -> Verdict {
        let open = self.links.seen.contains_key(&link);
        rule!(self, open, "no effect to a closed link", "{link:?}: {}", words(bytes));
        rule!(self, bytes.ends_with(b"\n"), "whole lines", "{}", words(bytes));
        for line in lines(bytes) {
            let bare = line.strip_suffix(b"\r").unwrap_or(line);
            let Ok(parsed) = ServerLine::parse(bare) else {
                rule!(self, false, "lines that a client can read", "{}", words(line));
                return Ok(());
            };
            let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(()) };
            seen.sent_bytes += line.len() as u64 + 1;
            self.line_sent(link, &parsed)?;
        }
        Ok(())
    }

    /// Remembers a message that went out on a link.
    pub(super) fn remember_sent(&mut self, link: LinkId, id: MessageId, text: Option<u32>) {
        if let Some(seen) = self.links.seen.get_mut(&link) {
            let end = seen.sent_bytes;
            seen.sent.push_back(Sent { id, text, end });
        }
    }

    pub(super) fn closed(&mut self, link: LinkId) -> Verdict {
        let open = self.links.seen.contains_key(&link);
        rule!(self, open, "no effect to a closed link", "close of {link:?}");
        self.links.close(link);
        if let Some(user) = self.model.member_on(link)
            && let Some(session) = self.model.session_mut(user)
        {
            session.link = None;
            session.lost_at = Some(self.now);
            session.moving = true;
            session.presence.clear();
        }
        Ok(())
    }

    pub(super) fn paused(&mut self, link: LinkId, paused: bool) -> Verdict {
        let Some(seen) = self.links.seen.get_mut(&link) else {
            rule!(self, false, "no effect to a closed link", "pause or resume of {link:?}");
            return Ok(());
        };
        seen.paused = paused;
        if !paused {
            // What had come before is obeyed now.
            self.perhaps_activity(link);
        }
        Ok(())
    }

    /// A record was handed out: what its cause is told waits for it.
    pub(super) fn persisted(&mut self, number: RecordNumber, record: &Record) -> Verdict {
        self.links.handed_out = self.links.handed_out.max(number);
        self.starts_once(number, record)?;
        self.mail_may_go(record)?;
        self.model.decided(number, record, self.now);
        self.held_record(record);
        self.token_record(number, record);
        self.command_record(number, record);
        self.session_record(record)?;
        self.lock_record(number, record);
        self.mail_record(number, record)
    }
}
