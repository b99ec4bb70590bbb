//! Private links that the server relays: no connection is theirs, so one core is compared with another.

use std::collections::BTreeMap;

use hobnob::client::{Effect, Event};
use hobnob::words::LinkId;

use super::Verdict;

/// Every relayed link of every client.
#[derive(Debug, Default)]
pub(super) struct Relays {
    /// By process and link; where in `all`.
    open: BTreeMap<(usize, LinkId), usize>,
    all: Vec<Relay>,
}

/// One end of a relayed link.
#[derive(Debug)]
struct Relay {
    process: usize,
    calls: bool,
    /// What the core has sent, what left for the server, and what the core got.
    said: Vec<u8>,
    left: Vec<u8>,
    heard: Vec<u8>,
    /// After so many bytes of the core the link is encrypted.
    clear: Option<usize>,
}

impl Relays {
    /// The process is over, and its links with it.
    pub(super) fn ends(&mut self, process: usize) {
        self.open.retain(|(of, _), _| *of != process);
    }

    fn closes(&mut self, process: usize, link: LinkId) {
        self.open.remove(&(process, link));
    }

    fn at(&mut self, process: usize, link: LinkId) -> Option<&mut Relay> {
        let index = *self.open.get(&(process, link))?;
        self.all.get_mut(index)
    }

    /// What a core wants of its relayed links.
    pub(super) fn wants(&mut self, process: usize, effect: &Effect<'_>) {
        match effect {
            Effect::BeginRelay { link, calls } => {
                self.open.insert((process, *link), self.all.len());
                let [said, left, heard] = [const { Vec::new() }; 3];
                self.all.push(Relay { process, calls: *calls, said, left, heard, clear: None });
            }
            Effect::SendPeer { link, bytes } => {
                if let Some(relay) = self.at(process, *link) {
                    relay.said.extend_from_slice(bytes);
                }
            }
            Effect::SecurePeer { link, .. } => {
                if let Some(relay) = self.at(process, *link) {
                    relay.clear = Some(relay.said.len());
                }
            }
            Effect::ClosePeer { link } | Effect::ResetPeer { link } => self.closes(process, *link),
            _ => {}
        }
    }

    /// What a core is told of them; whether it is one of them that the event is about.
    pub(super) fn are_told(&mut self, process: usize, event: &Event<'_>, verdict: &mut Verdict) -> bool {
        let (Event::PeerReceived { link, .. }
        | Event::PeerProved { link, .. }
        | Event::PeerClosed { link }
        | Event::RelayLeaving { link, .. }) = event
        else {
            return false;
        };
        let Some(&index) = self.open.get(&(process, *link)) else { return false };
        match event {
            Event::PeerReceived { bytes, .. } => {
                self.all[index].heard.extend_from_slice(bytes);
                verdict.rule(
                    self.is_heard_from_another(index),
                    "relayed bytes are those another core sent",
                    || String::from_utf8_lossy(&self.all[index].heard).into_owned(),
                );
            }
            Event::PeerProved { .. } => {
                let begun = self.all[index].clear.is_some();
                verdict.rule(begun, "a key is proved on a link that is being encrypted", String::new);
            }
            Event::RelayLeaving { bytes, .. } => self.all[index].leaves(bytes, verdict),
            _ => self.closes(process, *link),
        }
        true
    }

    fn is_heard_from_another(&self, index: usize) -> bool {
        let here = &self.all[index];
        let mut others = self.all.iter().filter(|other| other.process != here.process);
        others.any(|other| other.calls != here.calls && other.said.starts_with(&here.heard))
    }
}

impl Relay {
    /// The server is given what the core sent up to the handshake, and no line of what it sent since.
    fn leaves(&mut self, bytes: &[u8], verdict: &mut Verdict) {
        self.left.extend_from_slice(bytes);
        let clear = self.clear.unwrap_or(self.left.len()).min(self.left.len());
        let (open, sealed) = self.left.split_at(clear);
        verdict.rule(self.said.starts_with(open), "a relay is given what its core sends", || {
            format!("{} of {}", String::from_utf8_lossy(open), String::from_utf8_lossy(&self.said))
        });
        let lines = ["ready\n", "nominate\n", "opened\n", "text 1 ", "close "];
        let told = lines.iter().find(|line| sealed.windows(line.len()).any(|part| part == line.as_bytes()));
        verdict.rule(told.is_none(), "an encrypted link shows no line", || format!("relayed: {told:?}"));
    }
}
