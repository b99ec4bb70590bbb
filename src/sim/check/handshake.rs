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
        let Some(mut end) = self.private.ends.remove(&(link, process)) else { return Ok(()) };
        let before = (end.stage, end.id.clone());
        while let Some(at) = memchr::memchr(b'\n', &end.heard) {
            let line = String::from_utf8_lossy(&end.heard[..at]).into_owned();
            let words: Vec<&str> = line.split(' ').collect();
            if !self.hears(link, process, &mut end, &words) {
                break;
            }
            end.heard.drain(..=at);
        }
        let (stage, id) = (end.stage, end.id.clone());
        self.private.ends.insert((link, process), end);
        if stage != before.0 {
            self.has_to_move(process, &id);
        }
        if stage == Stage::Open && before.0 == Stage::Ready {
            self.note_open(&id);
            return self.stands(process, &id);
        }
        Ok(())
    }

    /// What a client makes of a line; returns whether the line's turn has come.
    fn hears(&mut self, link: LinkId, process: ProcessId, end: &mut End, words: &[&str]) -> bool {
        match (end.stage, words) {
            // Others may have to wait for the introduction.
            (Stage::New, ["hobnob-private", "2", nonce, proof]) if !end.dialled => {
                let called = |(id, both): &(&String, &mut Introduction)| {
                    both.is_proved(id, process, false, (nonce, proof))
                };
                let Some((id, _)) = self.private.introductions.iter_mut().find(called) else {
                    return false;
                };
                (end.id, end.nonce) = (id.clone(), (*nonce).to_string());
                end.stage = Stage::Called;
            }
            (Stage::Secured, ["ready"]) if end.dialled => end.stage = Stage::Ready,
            (Stage::Ready, words) => {
                let nominated = self.nominated(process, &end.id) == Some(link);
                match words {
                    ["opened"] if nominated => self.begins(process, link, end),
                    _ if nominated => end.stage = Stage::Broken,
                    ["nominate"] if !self.is_requester(process, &end.id) => {
                        self.private.is_chosen(process, link, end, self.now);
                    }
                    words => return self.hears_talk((process, link), end, words),
                }
            }
            (Stage::Open | Stage::Moving, words) => return self.hears_talk((process, link), end, words),
            (Stage::New | Stage::Called | Stage::Secured | Stage::Broken, _) => return false,
        }
        true
    }

    fn is_requester(&self, process: ProcessId, id: &str) -> bool {
        let side = self.private.introductions.get(id).and_then(|both| both.side(process));
        side.is_none_or(|side| side.is_requester)
    }

    /// A client begins to encrypt a connection: with the one who was introduced, who says a nonce once, and nobody else.
    pub(super) fn secures(&mut self, link: LinkId, process: ProcessId) -> Verdict {
        self.go_on(link, process)?;
        let Some(mut end) = self.private.ends.remove(&(link, process)) else { return Ok(()) };
        let called = end.stage == Stage::Called && self.introduces(process, link, &end);
        self.runs_as_chosen(process, link, &end.id)?;
        let both = self.private.introductions.get_mut(&end.id);
        let side = both.and_then(|both| both.side_mut(process)).filter(|_| !end.dialled);
        let fresh = side.is_none_or(|side| {
            let is_late = is_relayed(link) && side.opened;
            let is_later = side.nonces.last().is_none_or(|last| *last < end.nonce);
            side.nonces.insert(end.nonce.clone()) && (is_later || !is_late)
        });
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
        let opens = words.as_slice() == ["opened"] && end.stage == Stage::Ready;
        let becomes_ready = words.as_slice() == ["ready"];
        let role = self.plays_its_part(link, process, &end, &words);
        let (allowed, what) = self.may_say(link, process, &mut end, &words);
        let detail = format!("{process:?} on {link:?}: {line}; {end:?}");
        let id = end.id.clone();
        self.private.ends.insert((link, process), end);
        role?;
        rule!(self, allowed, what, "{detail}");
        if opens {
            self.note_open(&id);
            self.stands(process, &id)?;
        }
        if becomes_ready {
            self.has_to_move(process, &id);
        }
        self.go_on(link, process)
    }

    /// Whether a client may say a line, and by which rule.
    fn may_say(
        &mut self,
        link: LinkId,
        process: ProcessId,
        end: &mut End,
        words: &[&str],
    ) -> (bool, &'static str) {
        let known = self.introduces(process, link, end);
        let has_key = self.proves_key(process, end);
        match (words, end.stage) {
            (["hobnob-private", ..], Stage::New) => {
                end.stage = Stage::Called;
                (end.dialled && known, "nobody but the one introduced is answered")
            }
            (["ready"], Stage::Secured) => {
                end.stage = Stage::Ready;
                (!end.dialled && known && has_key, "nobody but the one introduced is answered")
            }
            (["nominate"], Stage::Ready) => {
                let is_free = self.is_free(link, process, end);
                (known && has_key && is_free, "an introduction opens one link")
            }
            (["opened"], Stage::Ready) if self.private.has_opened_in_vain(process, &end.id) => {
                self.opens_again(process, link, end);
                (known && end.is_nominated, "an introduction opens one link")
            }
            (["opened"], Stage::Ready) => {
                let is_first = !self.has_a_link(process, &end.id);
                self.begins(process, link, end);
                (known && is_first && end.is_nominated, "an introduction opens one link")
            }
            (words, _) => self.talks((process, link), end, words),
        }
    }

    /// Whether a client has no link yet and may choose one. It closes a link whose other side breaks the rules, and may
    /// nominate another before.
    fn is_free(&mut self, link: LinkId, process: ProcessId, end: &End) -> bool {
        let nominated = self.nominated(process, &end.id);
        if let Some(side) =
            self.private.introductions.get_mut(&end.id).and_then(|both| both.side_mut(process))
        {
            side.nominated = Some(link);
        }
        let ends = &self.private.ends;
        let broken = |other| ends.get(&(other, process)).is_none_or(|end| end.stage == Stage::Broken);
        !self.has_a_link(process, &end.id) && nominated.is_none_or(broken)
    }

    fn has_a_link(&self, process: ProcessId, id: &str) -> bool {
        let side = self.private.introductions.get(id).and_then(|both| both.side(process));
        side.is_some_and(|side| side.opened || side.continues.is_some())
    }

    fn plays_its_part(&self, link: LinkId, process: ProcessId, end: &End, words: &[&str]) -> Verdict {
        let requester = match words {
            ["nominate"] => true,
            ["opened"] => false,
            _ => return Ok(()),
        };
        let side = self.private.introductions.get(&end.id).and_then(|both| both.side(process));
        rule!(
            self,
            side.is_none_or(|side| side.is_requester == requester),
            "the requester nominates and the accepter opens",
            "{process:?} on {link:?}: {words:?}, {side:?}"
        );
        Ok(())
    }

    fn nominated(&self, process: ProcessId, id: &str) -> Option<LinkId> {
        self.private.introductions.get(id)?.side(process)?.nominated
    }

    /// Whether an introduction that is still good says that these two are to speak, or one that has led to a
    /// conversation without a link.
    fn introduces(&self, process: ProcessId, link: LinkId, end: &End) -> bool {
        let Some(both) = self.private.introductions.get(&end.id) else { return false };
        let Some(side) = both.side(process) else { return false };
        side.may_call_on(link, self.now)
    }

    /// Whether the other side has proved the key that its introduction names.
    fn proves_key(&self, process: ProcessId, end: &End) -> bool {
        let side = self.private.introductions.get(&end.id).and_then(|both| both.side(process));
        side.is_some_and(|side| side.key.is_some() && side.key == end.proved)
    }
}
