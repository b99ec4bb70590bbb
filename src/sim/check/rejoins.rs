//! Conversations that have lost their link: they go on over a relay, and look for a direct link from there (R70).

use alloc::string::String;
use alloc::vec::Vec;

use super::introduced::{End, Side, Stage};
use super::moves::{Moving, Talk};
use super::private::{CALM_MICROS, Private, SHOWING_MICROS};
use super::{Check, Verdict, lines, rule};
use crate::client::Way;
use crate::client::view::PrivateEnd;
use crate::sim::relayed::is_relayed;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::words::LinkId;

/// How long a conversation may have no link.
pub(super) const LOST_MICROS: u64 = 15_000_000;

/// So many relays may end before it goes on at one.
pub(super) const VAIN_RELAYS: usize = 3;

const REJOINS: &str = "a conversation that has lost its link goes on over a relay";

/// A client's part in what is said on a link.
pub(super) struct Part {
    pub(super) is_requester: bool,
    /// The introduction that the conversation began with.
    pub(super) root: String,
    /// The link is of a later introduction.
    pub(super) continues: bool,
    pub(super) is_moved: bool,
    /// Whether it has to say that it looks for a direct link, if the conversation goes on here, and whether it may.
    pub(super) meets: bool,
    pub(super) may_meet: bool,
}

impl Moving {
    pub(super) fn is_found(&mut self, process: ProcessId, root: &str) {
        self.lost.retain(|(_, of, id)| (*of, id.as_str()) != (process, root));
    }
}

impl Private {
    pub(super) fn part(&self, process: ProcessId, link: LinkId, end: &End) -> Option<Part> {
        let side = self.introductions.get(&end.id)?.side(process)?;
        let root = side.continues.clone().unwrap_or_else(|| end.id.clone());
        let client = self.clients.get(&process);
        let may_meet = client.is_none_or(|client| client.ways(&side.user).contains(&Way::Auto));
        let meets = is_relayed(link) && side.is_requester && self.runs_by_itself(side);
        let Side { is_requester, is_moved, .. } = *side;
        Some(Part { is_requester, root, continues: side.continues.is_some(), is_moved, meets, may_meet })
    }

    /// `meet` was said or heard in the conversation that began with this introduction: the client may use this verb.
    pub(super) fn searches(&mut self, process: ProcessId, root: &str, verb: &'static str, now: Time) {
        let side = self.introductions.get(root).and_then(|both| both.side(process));
        if let (Some(side), Some(client)) = (side, self.clients.get_mut(&process)) {
            client.consent.searches(&side.user, verb, now);
        }
    }

    pub(super) fn talk_mut(&mut self, process: ProcessId, root: &str) -> Option<&mut Talk> {
        Some(&mut self.introductions.get_mut(root)?.side_mut(process)?.talk)
    }

    pub(super) fn note_moved(&mut self, process: ProcessId, id: &str) {
        if let Some(side) = self.introductions.get_mut(id).and_then(|both| both.side_mut(process)) {
            side.is_moved = true;
        }
    }

    /// The links of a client's conversation that are in one of these stages.
    fn links_of(&self, process: ProcessId, root: &str, stages: &[Stage]) -> usize {
        let is_of = |end: &End| {
            let side = self.introductions.get(&end.id).and_then(|both| both.side(process));
            let of = side.and_then(|side| side.continues.as_deref()).unwrap_or(end.id.as_str());
            of == root && stages.contains(&end.stage)
        };
        self.ends.iter().filter(|((_, of), end)| *of == process && is_of(end)).count()
    }

    /// Whether a client moves its conversation to some other link already.
    pub(super) fn moves_elsewhere(&self, process: ProcessId, root: &str) -> bool {
        self.links_of(process, root, &[Stage::Moving]) > 0
    }

    /// A relay has ended before a conversation was there.
    pub(super) fn ends_in_vain(&mut self, process: ProcessId, link: LinkId, end: &End, now: Time) {
        let is_vain = is_relayed(link) && !matches!(end.stage, Stage::Open | Stage::Moving);
        if let Some(client) = self.clients.get_mut(&process).filter(|_| is_vain) {
            if client.vain_relays.len() >= VAIN_RELAYS {
                client.vain_relays.pop_front();
            }
            client.vain_relays.push_back(now);
        }
    }

    /// A link has ended. If a conversation has no other one, it is lost until it goes on.
    pub(super) fn may_be_lost(&mut self, process: ProcessId, end: &End, closed: bool, now: Time) {
        let side = self.introductions.get(&end.id).and_then(|both| both.side(process));
        let root = side.and_then(|side| side.continues.clone()).unwrap_or_else(|| end.id.clone());
        let stands = self.links_of(process, &root, &[Stage::Open]) > 0;
        let Some(talk) = self.talk_mut(process, &root) else { return };
        if end.stage == Stage::Open && !closed && !stands && !talk.is_over {
            talk.lost_at = Some(now);
            self.moving.lost.insert((Time(now.0 + LOST_MICROS + SHOWING_MICROS), process, root));
        }
    }

    /// A client has lost the server. One that does not come back keeps its direct links, and finds no relay any more.
    pub(super) fn loses_server(&mut self, process: ProcessId) {
        if let Some(client) = self.clients.get_mut(&process) {
            client.is_alone = !client.reconnects;
        }
    }

    /// The server says with whom there can be no relay.
    pub(super) fn are_unknown(&mut self, process: ProcessId, bytes: &[u8]) {
        let unknown = lines(bytes).filter_map(|line| line.strip_prefix(b"relay unknown "));
        let unknown: Vec<String> = unknown.map(|user| String::from_utf8_lossy(user).into_owned()).collect();
        let sides = self.introductions.values_mut().filter_map(|both| both.side_mut(process));
        for side in sides.filter(|side| unknown.contains(&side.user)) {
            side.talk.is_unknown = true;
        }
    }

    /// A client stood still: what it has lost meanwhile it learns now.
    pub(super) fn learns_of_losses(&mut self, process: ProcessId, now: Time) {
        let late = |(until, of, id): &(Time, ProcessId, String)| {
            let until = if *of == process { Time(now.0 + LOST_MICROS + SHOWING_MICROS) } else { *until };
            (until, *of, id.clone())
        };
        self.moving.lost = self.moving.lost.iter().map(late).collect();
    }

    /// The server has introduced somebody. If a client has asked for a direct link with them, it is for the conversation that
    /// they had then, and for no other: is that over, nobody is called (R70).
    pub(super) fn may_continue(&mut self, side: &mut Side) {
        let Some(process) = side.process else { return };
        for (id, both) in &mut self.introductions {
            let Some(known) = both.side_mut(process).filter(|known| known.user == side.user) else {
                continue;
            };
            if core::mem::take(&mut known.talk.searches) {
                side.continues = Some(id.clone());
            } else {
                // The other does not look for that conversation.
                known.talk.is_unknown = true;
            }
        }
    }
}

impl Check {
    /// The end of a conversation is shown. One that has lost its link is not over before it was looked for.
    pub(super) fn was_looked_for(&mut self, process: ProcessId, user: &str, reason: PrivateEnd) {
        let now = self.now;
        let private = &mut self.private;
        if reason != PrivateEnd::Lost {
            let introductions = &private.introductions;
            let is_with = |id: &String| {
                introductions
                    .get(id)
                    .and_then(|both| both.side(process))
                    .is_some_and(|side| side.user == user)
            };
            private.moving.early.retain(|(_, of, id)| *of != process || !is_with(id));
        }
        let Some(client) = self.private.clients.get(&process) else { return };
        let vain_relays = client.vain_relays.clone();
        // One who does not come back to the server that it has lost gives up at once.
        let may_give_up = client.is_cut_off
            || client.is_alone
            || !client.reconnects && client.disturbed.0 + CALM_MICROS >= now.0
            || client.logs_in_again
            || client.ways(user).contains(&Way::Direct)
            || reason != PrivateEnd::Lost;
        let sides = self.private.introductions.iter_mut();
        let sides = sides.filter_map(|(id, both)| Some((both.at, id.clone(), both.side_mut(process)?)));
        let open = sides.filter(|(_, _, side)| side.user == user && side.opened && !side.talk.is_over);
        // What a client that stood still shows may be of an earlier conversation than the one that it has by now.
        if let Some((_, id, side)) = open.min_by_key(|(at, ..)| *at) {
            let talk = &mut side.talk;
            talk.is_over = true;
            self.private.moving.is_found(process, &id);
            let is_late = talk.lost_at.is_none_or(|at| at.0 + LOST_MICROS <= now.0);
            let in_vain =
                vain_relays.iter().filter(|at| talk.lost_at.is_some_and(|lost| lost <= **at)).count();
            // The last of them is closed after the end is shown.
            let may =
                in_vain + 1 >= VAIN_RELAYS || may_give_up || is_late || talk.is_unknown || !talk.can_rejoin;
            if !may {
                self.private.moving.early.insert((now, process, id));
            }
        }
    }

    /// A conversation without a link goes on, or is over.
    pub(super) fn lost_ones_are_found(&self) -> Verdict {
        let due = self.private.moving.lost.iter().take_while(|(until, ..)| *until < self.now);
        for (_, process, id) in due {
            let client = self.private.clients.get(process);
            let stands = client.is_some_and(|client| client.frozen.is_none());
            rule!(self, !stands, REJOINS, "{process:?}: {id}");
        }
        if let Some((at, process, id)) = self.private.moving.early.first() {
            let both = self.private.introductions.get(id);
            rule!(self, *at >= self.now, REJOINS, "{process:?}: {id} {both:?}");
        }
        Ok(())
    }
}
