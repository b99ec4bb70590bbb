//! What was seen, in words.

use alloc::format;
use alloc::string::String;

use super::trace::Seen;

pub(super) fn tell(seen: &Seen) -> Option<String> {
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().replace('\n', " | ");
    Some(match seen {
        Seen::Started { process, user, path, .. } => format!("#{} of {user} starts, path {path}", process.0),
        Seen::Forgot { user } => format!("{user} has a new state folder"),
        Seen::Gone { process, exit } => format!("#{} is gone: {exit:?}", process.0),
        Seen::Typed { process, text, .. } => format!("#{} typed: {text}", process.0),
        Seen::Read { process, bytes } => format!("#{} <- {}", process.0, lines(bytes)),
        Seen::Wrote { process, bytes } => format!("#{} -> {}", process.0, lines(bytes)),
        Seen::Heard { process, link, bytes } => format!("#{} <{} {}", process.0, link.0, lines(bytes)),
        Seen::Said { process, link, bytes } => format!("#{} {}> {}", process.0, link.0, lines(bytes)),
        Seen::Showed { process, view } => format!("#{} shows {view:?}", process.0),
        Seen::Dialled { process, address, punches } => {
            format!("#{} {} {address}", process.0, if *punches { "punches" } else { "dials" })
        }
        Seen::Relayed { process } => format!("#{} takes a relay", process.0),
        Seen::Proved { process, link, key } => format!("#{} on {}: proved {key:?}", process.0, link.0),
        Seen::Left { process, link } => format!("#{} leaves {}", process.0, link.0),
        Seen::Did(rare) => format!("   evil: {rare}"),
        Seen::Healed => String::from("the server is honest"),
        Seen::Told { .. } | Seen::Keeps { .. } => return None,
    })
}
