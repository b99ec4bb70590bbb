//! Rare states of what users cause: lines that wait for it, and what is dropped or refused.

use alloc::collections::{BTreeMap, BTreeSet};

use super::{Coverage, Rare};
use crate::record::{Fact, Record};
use crate::sim::trace::{Seen, Told, Trace};
use crate::wire::{Answer, Code, Freshness, Notice, ServerLine};
use crate::words::{LinkId, MessageId, Name};

/// A sender with so much in one mailbox has little room there (`mailbox_share`), or in all (`total_share`).
const NEAR_SHARE_BYTES: u64 = 508 * 1024;
const NEAR_TOTAL_SHARE_BYTES: u64 = 1_016 * 1024;

#[derive(Debug, Default)]
pub(super) struct Limits {
    told: Option<Told>,
    /// Links on which a login or a change has come to its end in this call: other waits end with these.
    freed: BTreeSet<LinkId>,
    acknowledging: BTreeSet<LinkId>,
    /// Stored messages: whose they are, and their bytes.
    stored: BTreeMap<(Name, MessageId), (Name, u64)>,
    /// The bytes of each sender in each mailbox.
    filled: BTreeMap<(Name, Name), u64>,
}

impl Limits {
    pub(super) fn see(&mut self, seen: &Seen, trace: &Trace, coverage: &mut Coverage) {
        match seen {
            Seen::Told(told) => {
                self.told = Some(*told);
                self.freed.clear();
                if let Told::Received { link, bytes } = told
                    && trace.bytes(*bytes).starts_with(b"hello 1 ack")
                {
                    self.acknowledging.insert(*link);
                }
            }
            Seen::Sent { link, bytes } => {
                for line in crate::sim::check::lines(trace.bytes(*bytes)) {
                    if let Ok(line) = ServerLine::parse(line.strip_suffix(b"\r").unwrap_or(line)) {
                        self.line(*link, &line, coverage);
                    }
                }
            }
            Seen::Persisted { record: Record::MailStored { to, mail }, .. } => {
                let bytes = mail.text.len() as u64;
                let before = self.stored.insert((to.clone(), mail.id), (mail.from.clone(), bytes));
                if before.is_none() {
                    *self.filled.entry((mail.from.clone(), to.clone())).or_default() += bytes;
                }
            }
            Seen::Persisted { record: Record::Fact(Fact::MailRemoved { user, ids }), .. } => {
                for id in ids {
                    if let Some((from, bytes)) = self.stored.remove(&(user.clone(), *id)) {
                        let filled = self.filled.entry((from, user.clone())).or_default();
                        *filled = filled.saturating_sub(bytes);
                    }
                }
            }
            Seen::Persisted { record: Record::Fact(Fact::SessionEnded { .. }), .. }
                if matches!(self.told, Some(Told::Turn)) =>
            {
                coverage.saw(Rare::LeftInTurn);
            }
            _ => {}
        }
    }

    fn line(&mut self, link: LinkId, line: &ServerLine<'_>, coverage: &mut Coverage) {
        match line {
            ServerLine::Welcome(_) | ServerLine::Resumed(_) => drop(self.freed.insert(link)),
            ServerLine::Done { answer, .. } if is_change(answer) => drop(self.freed.insert(link)),
            ServerLine::Failed { command, .. } if is_change_word(command) => drop(self.freed.insert(link)),
            ServerLine::Done { answer, .. } if is_said_at_once(answer) => match self.told {
                Some(Told::Turn) => coverage.saw(Rare::WaitedForTurn),
                Some(Told::Tick) => coverage.saw(Rare::WaitedToPay),
                Some(Told::Committed { .. } | Told::StoreRefused { .. }) if !self.freed.contains(&link) => {
                    coverage.saw(Rare::WaitedForDisk);
                }
                _ => {}
            },
            ServerLine::Message(delivery) if delivery.freshness == Freshness::Live => {
                let flushed = matches!(self.told, Some(Told::Flushed { link: of, .. }) if of == link);
                if flushed && self.acknowledging.contains(&link) {
                    coverage.saw(Rare::WaitedForOutput);
                }
            }
            ServerLine::Notice(Notice::Missed { .. }) => coverage.saw(Rare::NoticeMissed),
            ServerLine::Failed { code: Code::RateLimited, .. } => coverage.saw(Rare::TooManyRequests),
            ServerLine::Failed { code: Code::MailboxFull, .. } => self.full(coverage),
            _ => {}
        }
    }

    fn full(&self, coverage: &mut Coverage) {
        let mut of_sender: BTreeMap<&Name, u64> = BTreeMap::new();
        for ((from, _), bytes) in &self.filled {
            *of_sender.entry(from).or_default() += bytes;
        }
        if self.filled.values().any(|bytes| *bytes > NEAR_SHARE_BYTES) {
            coverage.saw(Rare::ShareOfMailbox);
        }
        if of_sender.values().any(|bytes| *bytes > NEAR_TOTAL_SHARE_BYTES) {
            coverage.saw(Rare::ShareOfAll);
        }
    }
}

/// Answers that nothing but a wait of their line keeps back.
const fn is_said_at_once(answer: &Answer<'_>) -> bool {
    matches!(
        answer,
        Answer::Broadcast { .. }
            | Answer::Whoelse { .. }
            | Answer::WhoelseSince { .. }
            | Answer::Wholasthr { .. }
            | Answer::Ping { .. }
            | Answer::Seen { .. }
            | Answer::GroupList { .. }
            | Answer::Help
    )
}

const fn is_change(answer: &Answer<'_>) -> bool {
    matches!(
        answer,
        Answer::Block { .. }
            | Answer::Unblock { .. }
            | Answer::CreateGroup { .. }
            | Answer::AddToGroup { .. }
            | Answer::RemoveFromGroup { .. }
            | Answer::LeaveGroup { .. }
            | Answer::DeleteGroup { .. }
    )
}

fn is_change_word(command: &str) -> bool {
    matches!(command, "block" | "unblock") || command.ends_with(" group") && command != "message group"
}
