//! What clients say to each other until a private link is open (R36, R37).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::introduced::{End, Introduction, Stage};
use super::{Check, Verdict, rule};
use crate::client::Way;
use crate::sim::relayed::is_relayed;
use crate::sim::trace::ProcessId;
use crate::words::LinkId;

impl Check {
    pub(super) fn peer_hears(&mut self, link: LinkId, process: ProcessId, bytes: &[u8]) -> Verdict {
        let Some(end) = self.private.ends.get_mut(&(link, process)) else { return Ok(()) };
        end.heard.extend_from_slice(bytes);
        self.go_on(link, process)
    }

    /// Reads the lines that have come, as far as their turn has come: those after a line that the client answers
    /// wait for the answer.
    fn go_on(&mut self, link: LinkId, process: ProcessId) -> Verdict {
        let Some(end) = self.private.ends.get_mut(&(link, process)) else { return Ok(()) };
        let mut opened = None;
        while let Some(at) = memchr::memchr(b'\n', &end.heard) {
            let line = String::from_utf8_lossy(&end.heard[..at]).into_owned();
            let words: Vec<&str> = line.split(' ').collect();
            match (end.stage, words.as_slice()) {
                // Others may have to wait for the introduction.
                (Stage::New, ["hobnob-private", "2", nonce, proof]) if !end.dialled => {
                    let called = |(id, both): &(&String, &mut Introduction)| {
                        both.is_proved(id, process, false, (nonce, proof))
                    };
                    let Some((id, _)) = self.private.introductions.iter_mut().find(called) else {
                        return Ok(());
                    };
                    (end.id, end.nonce) = (id.clone(), (*nonce).to_string());
                    end.stage = Stage::Called;
                }
                (Stage::Secured, ["ready"]) if end.dialled => end.stage = Stage::Ready,
                (Stage::Ready, words) => {
                    let both = self.private.introductions.get_mut(&end.id);
                    let Some(side) = both.and_then(|both| both.side_mut(process)) else { return Ok(()) };
                    match words {
                        ["opened"] if side.nominated == Some(link) => {
                            (end.stage, side.opened) = (Stage::Open, true);
                            if let Some(client) = self.private.clients.get_mut(&process) {
                                client
                                    .opened
                                    .entry(side.user.clone())
                                    .or_default()
                                    .push_back(is_relayed(link));
                            }
                            opened = Some(end.id.clone());
                        }
                        _ if side.nominated == Some(link) => end.stage = Stage::Broken,
                        ["nominate"] if !side.is_requester => end.is_nominated = true,
                        _ => return Ok(()),
                    }
                }
                (Stage::Open, _) => {}
                (Stage::New | Stage::Called | Stage::Secured | Stage::Broken, _) => return Ok(()),
            }
            end.heard.drain(..=at);
        }
        if let Some(id) = opened {
            self.note_open(&id);
            return self.stands(process, &id);
        }
        Ok(())
    }

    /// A client begins to encrypt a connection: with the one who was introduced, who says a nonce once, and nobody else.
    pub(super) fn secures(&mut self, link: LinkId, process: ProcessId) -> Verdict {
        self.go_on(link, process)?;
        let Some(mut end) = self.private.ends.remove(&(link, process)) else { return Ok(()) };
        let called = end.stage == Stage::Called && self.introduces(process, &end);
        self.runs_as_chosen(process, link, &end.id)?;
        let both = self.private.introductions.get_mut(&end.id);
        let side = both.and_then(|both| both.side_mut(process)).filter(|_| !end.dialled);
        let fresh = side.is_none_or(|side| side.nonces.insert(end.nonce.clone()));
        let detail = format!("{process:?} on {link:?}: {end:?}");
        end.stage = Stage::Secured;
        self.private.is_let_in(process, link);
        self.private.ends.insert((link, process), end);
        rule!(self, called && fresh, "nobody but the one introduced is answered", "{detail}");
        Ok(())
    }

    /// What is relayed hides an address, and who wants direct links only has none relayed.
    fn runs_as_chosen(&self, process: ProcessId, link: LinkId, id: &str) -> Verdict {
        let side = self.private.introductions.get(id).and_then(|both| both.side(process));
        let client = self.private.clients.get(&process);
        let Some((side, client)) = side.zip(client) else { return Ok(()) };
        let refused = if is_relayed(link) { Way::Direct } else { Way::Relay };
        let ways = client.ways(&side.user);
        let may = ways.iter().any(|way| *way != refused);
        rule!(self, may, "a link runs as its user has chosen", "{process:?} on {link:?}: {ways:?}");
        Ok(())
    }

    fn has_opened(&mut self, process: ProcessId, id: &str, link: LinkId) {
        let user = self.private.introductions.get(id).and_then(|both| both.side(process));
        if let (Some(side), Some(client)) = (user, self.private.clients.get_mut(&process)) {
            client.opened.entry(side.user.clone()).or_default().push_back(is_relayed(link));
        }
    }

    /// A client says on a private link what its introduction allows, and to strangers nothing (R36, R37).
    pub(super) fn peer_says(&mut self, link: LinkId, process: ProcessId, line: &str) -> Verdict {
        let Some(mut end) = self.private.ends.remove(&(link, process)) else { return Ok(()) };
        let words: Vec<&str> = line.split(' ').collect();
        if let (["hobnob-private", "2", nonce, proof], Stage::New) = (words.as_slice(), end.stage) {
            let called = |(id, both): &(&String, &Introduction)| {
                both.is_proved(id, process, end.dialled, (nonce, proof))
            };
            end.id =
                self.private.introductions.iter().find(called).map_or_else(String::new, |(id, _)| id.clone());
        }
        let nominated = self.nominated(process, &end.id);
        // A client closes a link whose other side breaks the rules, and may nominate another before.
        let ends = &self.private.ends;
        let is_free = nominated
            .is_none_or(|other| ends.get(&(other, process)).is_none_or(|end| end.stage == Stage::Broken));
        let known = self.introduces(process, &end);
        let has_key = self.proves_key(process, &end);
        let mut opens = false;
        let (allowed, what) = match (words.as_slice(), end.stage) {
            (["hobnob-private", ..], Stage::New) => {
                end.stage = Stage::Called;
                (end.dialled && known, "nobody but the one introduced is answered")
            }
            (["ready"], Stage::Secured) => {
                end.stage = Stage::Ready;
                (!end.dialled && known && has_key, "nobody but the one introduced is answered")
            }
            (["nominate"], Stage::Ready) => (known && has_key && is_free, "an introduction opens one link"),
            (["opened"], Stage::Ready) => {
                (opens, end.stage) = (true, Stage::Open);
                (known && end.is_nominated, "an introduction opens one link")
            }
            (["text" | "ack" | "close", ..], Stage::Open) => (true, ""),
            (..) => (false, "nobody but the one introduced is answered"),
        };
        let both = self.private.introductions.get_mut(&end.id);
        if let Some(side) = both.and_then(|both| both.side_mut(process)) {
            let requester = match words.as_slice() {
                ["nominate"] => Some(true),
                ["opened"] => Some(false),
                _ => None,
            };
            let role = requester.is_none_or(|requester| requester == side.is_requester);
            rule!(
                self,
                role,
                "the requester nominates and the accepter opens",
                "{process:?}: {line}, {side:?}"
            );
            if words.as_slice() == ["nominate"] {
                side.nominated = Some(link);
            }
            side.opened |= opens;
        }
        if opens {
            self.has_opened(process, &end.id, link);
            self.note_open(&end.id);
        }
        let detail = format!("{process:?} on {link:?}: {line}; {end:?}");
        let id = end.id.clone();
        self.private.ends.insert((link, process), end);
        rule!(self, allowed, what, "{detail}");
        if opens {
            self.stands(process, &id)?;
        }
        self.go_on(link, process)
    }

    fn nominated(&self, process: ProcessId, id: &str) -> Option<LinkId> {
        self.private.introductions.get(id)?.side(process)?.nominated
    }

    /// Whether an introduction that is still good says that these two are to speak.
    fn introduces(&self, process: ProcessId, end: &End) -> bool {
        let Some(both) = self.private.introductions.get(&end.id) else { return false };
        let Some(side) = both.side(process) else { return false };
        !side.opened && side.good_until >= self.now
    }

    /// Whether the other side has proved the key that its introduction names.
    fn proves_key(&self, process: ProcessId, end: &End) -> bool {
        let side = self.private.introductions.get(&end.id).and_then(|both| both.side(process));
        side.is_some_and(|side| side.key.is_some() && side.key == end.proved)
    }
}
