//! Private links that run through the server: what a shell does for them, and what an evil server does to them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::client_host::Process;
use super::seals::Seal;
use super::trace::{PeerSeen, ProcessId};
use super::world::{Happening, News, World};
use crate::client::Event;
use crate::words::LinkId;

/// Clients number links that are relayed from here.
const FIRST_LINK: u64 = 1 << 62;

/// What an evil server does to what it relays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tampering {
    /// One bit is another.
    Changes,
    /// It comes twice.
    Repeats,
    /// It lacks its end.
    Truncates,
    /// It does not come.
    Drops,
    /// Something comes before it that came earlier on another link, or in the other direction.
    Injects,
    /// It does not come, and the next call to the same client is replaced by an earlier one.
    Replays,
}

const TAMPERINGS: [Tampering; 5] =
    [Tampering::Changes, Tampering::Repeats, Tampering::Truncates, Tampering::Drops, Tampering::Injects];

/// What an evil server relays otherwise than it came, and what is lost.
#[derive(Debug, Default)]
pub(super) struct Evil {
    /// What it does with the next bytes, and how many it leaves as they are before.
    next: Option<(u32, Tampering)>,
    /// The last bytes that it has relayed.
    seen: Vec<Vec<u8>>,
    /// The last call to each client, and the client to which it is said once more.
    calls: BTreeMap<ProcessId, Vec<u8>>,
    replays: Option<ProcessId>,
    /// The connection that is cut when an accepter next says on a relay that a conversation is open.
    cut: Option<LinkId>,
}

/// An evil server keeps a link from going on for so long.
const EVIL_MICROS: u64 = 5_000_000;

/// Frames that an evil server remembers.
const SEEN: usize = 16;

pub(super) const fn is_relayed(link: LinkId) -> bool {
    link.0 >= FIRST_LINK
}

impl World {
    pub(super) fn begin_relay(&mut self, process: &mut Process, link: LinkId, calls: bool) {
        process.seals.insert(link, Seal::new(calls));
        self.see_peer(PeerSeen::Relayed { link, process: process.id, calls });
    }

    /// The core has something for a link.
    pub(super) fn relay_brings(&mut self, id: ProcessId, link: LinkId, bytes: &[u8]) {
        let news = News::RelayCame { link, bytes: bytes.to_vec() };
        self.after(0, Happening::Client { process: id, news });
    }

    pub(super) fn relay_ends(&mut self, id: ProcessId, link: LinkId) {
        self.after(0, Happening::Client { process: id, news: News::RelayOver { link } });
    }

    /// A client writes on a link with another.
    pub(super) fn peer_writes(&mut self, process: &mut Process, link: LinkId, bytes: &[u8]) {
        let sealed = process.seals.get_mut(&link).filter(|_| is_relayed(link)).map(|seal| seal.wrap(bytes));
        match sealed {
            Some(sealed) => self.relay_leaves(process.id, link, sealed),
            None => return self.pass_to_end(process.id, link, bytes),
        }
        if bytes.starts_with(b"opened\n")
            && let Some(cut) = self.evil.cut.take()
        {
            self.cut(cut, true);
        }
    }

    /// What sets up the encryption of a link is written as it is.
    pub(super) fn seal_writes(&mut self, id: ProcessId, link: LinkId, bytes: &[u8]) {
        if is_relayed(link) {
            self.relay_leaves(id, link, bytes.to_vec());
        } else {
            self.pass_to_end(id, link, bytes);
        }
    }

    fn pass_to_end(&mut self, id: ProcessId, link: LinkId, bytes: &[u8]) {
        if let Some(end) = self.own_end(link, id) {
            self.write(link, end, bytes);
        }
    }

    /// Something is handed to the core, which sends it to the server.
    pub(super) fn relay_leaves(&mut self, id: ProcessId, link: LinkId, bytes: Vec<u8>) {
        let news = News::RelayLeaving { link, bytes };
        self.after(0, Happening::Client { process: id, news });
    }

    /// The server has brought something.
    pub(super) fn relay_came(&mut self, id: ProcessId, link: LinkId, bytes: Vec<u8>) {
        self.tell_client(id, Event::RelayTaken { link, count: bytes.len() });
        let brought = self.tampered(id, bytes.clone());
        if brought.concat() != bytes {
            // A record may never be whole, and what never comes is missed by nobody: the link ends with the server.
            let over = News::RelayOver { link };
            self.after(EVIL_MICROS, Happening::Client { process: id, news: over });
        }
        for bytes in brought {
            if self.process(id).is_some_and(|process| process.seals.contains_key(&link)) {
                self.peer_receives(id, link, &bytes);
            }
        }
    }

    /// What comes of bytes that an evil server relays.
    fn tampered(&mut self, id: ProcessId, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let evil = &mut self.evil;
        let earlier = evil.seen.first().cloned().unwrap_or_default();
        if evil.seen.len() >= SEEN {
            evil.seen.remove(0);
        }
        evil.seen.push(bytes.clone());
        if bytes.starts_with(b"hobnob-private ") {
            let earlier = evil.calls.insert(id, bytes.clone()).filter(|_| evil.replays == Some(id));
            if let Some(earlier) = earlier {
                evil.replays = None;
                self.see_peer(PeerSeen::Tampered { process: id });
                return Vec::from([earlier]);
            }
        }
        let tampering = match &mut evil.next {
            Some((0, tampering)) => *tampering,
            Some((left, _)) => {
                *left -= 1;
                return Vec::from([bytes]);
            }
            None => return Vec::from([bytes]),
        };
        evil.next = None;
        self.see_peer(PeerSeen::Tampered { process: id });
        let cut = bytes.len() / 2;
        match tampering {
            Tampering::Changes => {
                let mut bytes = bytes;
                let at = usize::try_from(self.draw.below(bytes.len().max(1) as u64)).unwrap_or(0);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
                Vec::from([bytes])
            }
            Tampering::Repeats => Vec::from([bytes.clone(), bytes]),
            Tampering::Truncates => Vec::from([bytes.into_iter().take(cut).collect()]),
            Tampering::Drops => Vec::new(),
            Tampering::Injects => Vec::from([earlier, bytes]),
            Tampering::Replays => {
                self.evil.replays = Some(id);
                Vec::new()
            }
        }
    }

    /// The server relays falsely, soon.
    pub(super) fn turn_evil(&mut self, choice: u32) {
        let place = usize::try_from(choice % 5).unwrap_or(0);
        let replays = choice / 60 % 4 == 3;
        let tampering = if replays { Tampering::Replays } else { TAMPERINGS[place] };
        self.evil.next = Some((choice / 5 % 12, tampering));
    }

    /// A connection to the server ends when a conversation has just begun.
    pub(super) fn cut_when_opened(&mut self, link: Option<LinkId>) {
        self.evil.cut = link;
    }

    /// The server brings no more.
    pub(super) fn relay_over(&mut self, id: ProcessId, link: LinkId) {
        let Some(process) = self.process(id) else { return };
        if process.seals.remove(&link).is_some() {
            self.see_peer(PeerSeen::Left { link, process: id, closed: false });
            self.relay_leaves(id, link, Vec::new());
            self.tell_client(id, Event::PeerClosed { link });
        }
    }
}
