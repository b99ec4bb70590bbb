//! A trace in words, for a person who looks for the reason of a failure.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::trace::{PeerSeen, Seen, Told, Trace};
use crate::record::Record;

/// Longest line shown.
const SHOWN_BYTES: usize = 160;

/// One entry of a trace in words; `None` if it says nothing by itself.
pub(crate) fn tell(seen: &Seen, trace: &Trace) -> Option<String> {
    let shown = |span| {
        let bytes: Vec<u8> = trace.bytes(span).iter().copied().take(SHOWN_BYTES).collect();
        format!("{:?}", String::from_utf8_lossy(&bytes))
    };
    let words = match seen {
        Seen::Returned | Seen::Told(Told::Flushed { .. } | Told::Turn | Told::Tick) | Seen::Appended => {
            return None;
        }
        Seen::Differs { what } => format!("  the memory differs from the store: {what}"),
        Seen::Told(Told::Received { link, bytes }) => format!("  > link {} says {}", link.0, shown(*bytes)),
        Seen::Told(told) => format!("  > {told:?}"),
        Seen::Sent { link, bytes } => format!("    < to link {} {}", link.0, shown(*bytes)),
        Seen::VerifyAsked { ticket, password, .. } => format!("    < verify {ticket:?} {}", shown(*password)),
        Seen::Persisted { number, record: Record::MailStored { to, mail } } => {
            format!("    < record {} mail {} for {to}: {:?}", number.0, mail.id, mail.text)
        }
        Seen::Persisted { number, record } => format!("    < record {} {record:?}", number.0),
        Seen::Typed { process, line, text } => format!("client {} line {line}: {}", process.0, shown(*text)),
        Seen::Showed { process, view, .. } => format!("client {} shows {view:?}", process.0),
        Seen::Peer(PeerSeen::Said { link, process, bytes }) => {
            format!("client {} says on private link {}: {}", process.0, link.0, shown(*bytes))
        }
        Seen::Peer(PeerSeen::Heard { link, process, bytes }) => {
            format!("client {} hears on private link {}: {}", process.0, link.0, shown(*bytes))
        }
        Seen::Peer(PeerSeen::Asked { process, bytes }) => {
            format!("client {} writes {}", process.0, shown(*bytes))
        }
        Seen::Peer(peer) => format!("{peer:?}"),
        Seen::ClientScheduled { process, at } => {
            format!("    client {} wants to be woken at {}", process.0, at.0)
        }
        Seen::Closed { .. }
        | Seen::Paused { .. }
        | Seen::Resumed { .. }
        | Seen::HashAsked { .. }
        | Seen::LoadAsked { .. }
        | Seen::Scheduled { .. } => format!("    < {seen:?}"),
        Seen::OperatorWants { ticket, act } => format!("an operator wants {act:?} ({ticket:?})"),
        Seen::Acted { .. } => format!("    < {seen:?}"),
        Seen::Questioned { answers } => format!("an operator reads {}", answers.join("; ")),
        Seen::Ordered { ticket, user, words } => {
            format!("    < order of {user} ({ticket:?}): {}", shown(*words))
        }
        Seen::OrderOver { done, lines } => format!("an order comes to {done}, {} lines", lines.len()),
        Seen::ServerStarted { boot, .. } => format!("the server starts, boot {boot}"),
        Seen::HashRenewed { name, .. } => format!("the hash of {name} is renewed"),
        Seen::FilesChanged { accounts, .. } => format!("settings or accounts change: {accounts:?}"),
        Seen::ServerGone { .. }
        | Seen::Caller { .. }
        | Seen::Synced { .. }
        | Seen::ClientStarted { .. }
        | Seen::Noted { .. }
        | Seen::Folder { .. }
        | Seen::ClientExited { .. }
        | Seen::ClientKilled { .. }
        | Seen::Frozen { .. }
        | Seen::OutputClosed { .. }
        | Seen::Stranger { .. }
        | Seen::Healed => format!("{seen:?}"),
    };
    Some(words)
}
