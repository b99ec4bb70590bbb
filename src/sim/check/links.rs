//! Links of the server: nothing to a closed one, whole lines only.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::answers::Expected;
use super::{Check, Verdict, Violation, lines, rule, words};
use crate::record::{Record, RecordNumber};
use crate::sim::model::User;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::wire::{ClientLine, Farewell, ServerLine};
use crate::words::{LinkId, MessageId};

/// With more under way to its reader a link may have to wait.
const FLIGHT_BYTES: u64 = 16_384;

/// The links of the life of a server.
#[derive(Debug, Default)]
pub(in crate::sim) struct Links {
    pub(super) seen: BTreeMap<LinkId, LinkSeen>,
    /// Pages of mail that the store was asked for.
    pub(super) loads: u32,
    /// What left for its reader in this call.
    flushed_in_call: Option<(LinkId, u64)>,
}

/// A link as seen from outside.
#[derive(Debug, Default)]
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
    /// Its client can take the session up again.
    pub(super) resumes: bool,
    /// Its client says nothing any more.
    pub(super) stream_ended: bool,
    /// Ids of messages sent, in order, and where their bytes end.
    pub(super) sent: VecDeque<Sent>,
    sent_bytes: u64,
    flushed_bytes: u64,
    pub(super) expected: VecDeque<Expected>,
    /// Lines that came before it was let in.
    pub(super) ahead: VecDeque<Vec<u8>>,
    /// Names of a list, and members of groups, whose end has not come.
    pub(super) list: Vec<User>,
    pub(super) members: Vec<User>,
    pub(super) failures: u32,
    /// They may be one more.
    pub(super) failures_blurred: bool,
    /// Something came that the server may close a link for.
    pub(super) garbage: bool,
    /// What a logout on it waits for.
    pub(super) leaving: Option<super::goodbye::Waiting>,
    /// When its session ended, and the record of that.
    pub(super) over: Option<(Time, RecordNumber)>,
    /// It has been told why.
    pub(super) farewell: Option<Farewell>,
}

/// A message that went out and is not acknowledged.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Sent {
    pub(super) id: MessageId,
    pub(super) text: Option<u32>,
    end: u64,
}

impl Links {
    pub(super) fn open(&mut self, link: LinkId, process: Option<ProcessId>) {
        self.seen.insert(link, LinkSeen { process, ..LinkSeen::default() });
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
}

impl Check {
    /// Bytes have left for the reader of a link.
    pub(super) fn flushed(&mut self, link: LinkId, upto: u64) {
        self.links.flushed_in_call = Some((link, upto));
        let Some(seen) = self.links.seen.get_mut(&link) else { return };
        seen.flushed_bytes = upto;
        self.logout_moved(link);
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
        let mut certain = true;
        for line in lines(&whole) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            certain = self.line_received(link, line, certain)?;
        }
        Ok(())
    }

    /// The client of a link says nothing any more. If it can come back, that is the loss of the link; else it
    /// is a logout after all that it has said.
    pub(super) fn stream_ended(&mut self, link: LinkId) {
        let Some(seen) = self.links.seen.get_mut(&link) else { return };
        seen.stream_ended = true;
        if seen.resumes {
            self.wishes.link_lost(link);
            self.login_lost_link(link);
            self.session_link_lost(link);
            return;
        }
        if let Some(session) = self.model.member_on(link).and_then(|user| self.model.session_mut(user)) {
            session.logout_asked = true;
            self.logout_asked(link);
        }
    }

    /// Whether nothing waits for a record or for a rate.
    pub(super) fn is_at_rest(&self) -> bool {
        self.model.is_at_rest() && self.is_unhurried()
    }

    /// Whether no link has to wait because of its rate, or of what it did when rates were lower.
    pub(super) const fn is_unhurried(&self) -> bool {
        !self.model.hurried
    }

    /// Whether all that was sent on a link has left.
    pub(super) fn is_flushed(&self, link: LinkId) -> bool {
        self.links.seen.get(&link).is_some_and(|seen| seen.flushed_bytes >= seen.sent_bytes)
    }

    /// Whether a link is let in, and stands to hear and to be heard.
    pub(super) fn is_heard(&self, link: LinkId) -> bool {
        let Some(seen) = self.links.seen.get(&link) else { return false };
        let attentive = seen.sent_bytes - seen.flushed_bytes.min(seen.sent_bytes) < FLIGHT_BYTES;
        let stays = seen.leaving.is_none() && self.model.member_on(link) == seen.user;
        seen.welcomed && !seen.paused && stays && attentive
    }

    /// Whether a line that comes now is obeyed now: nothing of its user waits.
    pub(super) fn is_obeyed_at_once(&self, link: LinkId) -> bool {
        let Some(seen) = self.links.seen.get(&link) else { return false };
        let Some(user) = seen.user else { return false };
        self.is_heard(link) && self.is_unhurried() && !self.wishes.is_anything_open(user)
    }

    /// Looks at a line. `certain`: that it is obeyed, and now unless its user waits. Says whether the next is.
    fn line_received(&mut self, link: LinkId, line: &[u8], certain: bool) -> Result<bool, Violation> {
        let limit = self.model.settings.line_bytes;
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(false) };
        if line.len() > limit + 512 {
            seen.garbage = true;
            self.perhaps_activity(link);
            return Ok(false);
        }
        let certain = certain && line.len() <= limit;
        if line.iter().all(|byte| *byte == b' ') {
            return Ok(certain);
        }
        let Ok(line) = ClientLine::parse(line) else {
            self.activity(link, false);
            return Ok(certain);
        };
        if matches!(line, ClientLine::Login { .. } | ClientLine::Register { .. } | ClientLine::Resume { .. })
        {
            self.activity(link, false);
        }
        let Some(seen) = self.links.seen.get_mut(&link) else { return Ok(false) };
        match line {
            ClientLine::Hello { capabilities, .. } if seen.user.is_none() => {
                seen.acknowledges |= capabilities.acknowledge;
                seen.resumes |= capabilities.resume;
            }
            ClientLine::Hello { .. } => {}
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
            ClientLine::Acknowledge { shown, answered } => {
                if !seen.welcomed {
                    seen.ahead.push_back(Vec::new());
                }
                self.answers_acknowledged(link, answered);
                if let Some(shown) = shown {
                    self.acknowledged(link, shown)?;
                }
            }
            ClientLine::Active { valid } => {
                if !seen.welcomed {
                    seen.ahead.push_back(Vec::new());
                }
                self.activity(link, valid);
            }
            ClientLine::Request { number, command } => {
                self.activity(link, true);
                return Ok(self.requested(link, number, &command, certain));
            }
        }
        Ok(certain)
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
        self.end_of_stream_is_honoured(link)?;
        self.wishes.link_lost(link);
        self.login_lost_link(link);
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

    /// A record goes to the store.
    pub(super) fn persisted(&mut self, number: RecordNumber, record: &Record) -> Verdict {
        self.starts_once(number, record)?;
        self.mail_may_go(record)?;
        self.facts_come_first(record)?;
        self.change_is_legal(number, record)?;
        self.purge_decided(record)?;
        self.model.decided(number, record);
        self.held_record(record);
        self.token_record(number, record);
        self.session_record(number, record)?;
        self.lock_record(number, record);
        self.mail_record(number, record)
    }
}
