//! The invariants, judged by the trace alone.
//!
//! Nothing here calls the code that is judged. What the server says and records is what the reference model
//! decides; what people are shown is what others have typed, once and in order. [`Check::read`] is called after
//! every step, [`Check::end`] once everything has healed.

mod clients;
mod consent;
mod declared;
mod door;
mod exits;
mod handshake;
mod introduced;
mod keys;
mod moves;
mod openings;
mod private;
mod rejoins;
mod texts;

use alloc::string::String;
use alloc::vec::Vec;

use self::clients::Clients;
use self::private::Private;
use self::texts::Texts;
use super::reference::Reference;
use super::reference::tally::Tally;
use super::trace::{Seen, Trace};
use crate::time::Time;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: &'static str,
    /// When.
    pub at: Time,
    /// What was seen.
    pub detail: String,
}

/// What a check comes to.
pub(super) type Verdict = Result<(), Violation>;

/// Fails with a rule unless a condition holds.
macro_rules! rule {
    ($check:expr, $holds:expr, $rule:expr, $($detail:tt)*) => {
        if !$holds {
            return Err($crate::sim::check::Violation { rule: $rule, at: $check.now, detail: alloc::format!($($detail)*) });
        }
    };
}
pub(super) use rule;

/// The checker.
#[derive(Debug, Default)]
pub(crate) struct Check {
    now: Time,
    reference: Reference,
    texts: Texts,
    clients: Clients,
    private: Private,
}

impl Check {
    /// Judges what was seen since the trace was last forgotten.
    pub(crate) fn read(&mut self, trace: &Trace) -> Verdict {
        for (at, seen) in trace.entries() {
            self.now = *at;
            self.reference.see(*at, seen, trace)?;
            self.private_links_are_open()?;
            self.moves_are_made()?;
            self.see_private(seen, trace)?;
            self.see(seen, trace)?;
        }
        Ok(())
    }

    fn see(&mut self, seen: &Seen, trace: &Trace) -> Verdict {
        match seen {
            Seen::Returned => return self.news(),
            Seen::Differs { what } => rule!(self, false, "the memory is what a restart would read", "{what}"),
            Seen::Caller { link, process: Some(process) } => {
                self.clients.called(*link, *process);
                self.private.finds_server(*process);
            }
            Seen::ClientStarted { process, home, outlasts_server, strict, .. } => {
                self.clients.started(*process, *home, (*outlasts_server, *strict));
            }
            Seen::Typed { process, line, text } => self.typed(*process, *line, trace.bytes(*text)),
            Seen::Showed { process, view, delivered } => return self.showed(*process, view, *delivered),
            Seen::Noted { process } => self.clients.noted(*process),
            Seen::Folder { process, open } => self.clients.folder(*process, *open),
            Seen::ClientExited { process, exit } => return self.client_exited(*process, *exit),
            Seen::ClientKilled { process, unnoted } => self.clients.killed(*process, *unnoted),
            Seen::OutputClosed { process } => self.clients.output_closed(*process),
            Seen::ClientScheduled { process, at } => {
                rule!(self, *at > self.now, "a timeout is later than now", "{process:?}: {}", at.0);
            }
            _ => {}
        }
        Ok(())
    }

    /// How much was judged.
    pub(crate) fn tally(&mut self) -> Tally {
        core::mem::take(&mut self.reference.tally)
    }

    /// Judges the end, when everything has healed and nothing is under way any more.
    pub(crate) fn end(&mut self, now: Time) -> Verdict {
        self.now = now;
        let open = self.reference.open();
        rule!(self, open.is_none(), "everything is answered", "{open:?}");
        if self.clients.is_anybody_here() {
            let left = self.reference.left_in_mailboxes();
            rule!(self, left.is_none(), "everything accepted arrives", "{left:?}");
        }
        self.clients_have_results()
    }
}

/// The number of the text of a step, if it is one.
pub(crate) fn number_of(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(' ').strip_prefix('t')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    digits[..length].parse().ok()
}

/// Lines of bytes that are whole lines.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    body.split(|byte| *byte == b'\n')
}

/// A line as a message for people.
pub(super) fn words(line: &[u8]) -> String {
    let shown: Vec<u8> = line.iter().copied().take(200).collect();
    String::from_utf8_lossy(&shown).into_owned()
}
