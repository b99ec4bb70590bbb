//! Conversations: what is said in one, and how it moves from a relay to a direct link (R37, R69).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use core::mem;
use core::net::SocketAddr;

use super::door::may_be_dialled;
use super::introduced::{End, Introduction, Stage};
use super::openings::OPENS;
use super::private::{DIALS, PATIENCE_MICROS, Private, Side};
use super::rejoins::Part;
use super::{Check, Verdict, rule};
use crate::client::Way;
use crate::client::view::PrivateEnd;
use crate::sim::network::Answer;
use crate::sim::relayed::is_relayed;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::words::LinkId;

/// The rule for what is said where it has no place.
const STRANGERS: &str = "nobody but the one introduced is answered";
const MOVES: &str = "a conversation moves to a direct link, or to a relay if it has lost one";
const NUMBERS: &str = "texts on a link are numbered without a gap";
const MEETS: &str = "two who have lost a link look for a direct one";
const LEAVES: &str = "a conversation leaves its relay if it can";

/// Lines that a direct link takes, from the dial to `continue`.
const MOVING_LINES: u64 = 12;

/// The other side has so long to go on where a client has moved the conversation.
const ANSWER_MICROS: u64 = 5_000_000;

/// An introduction that ends so soon may be over for its client.
const OVER_MICROS: u64 = 1_000_000;

/// What one side has said and heard in its conversation, over all its links.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// It began on a relay, and both sides can move it.
    pub(super) can_move: bool,
    /// Both sides can go on over a relay if they lose its link.
    pub(super) can_rejoin: bool,
    /// Its client has shown that it is over.
    pub(super) is_over: bool,
    /// When its link ended, if there is no other.
    pub(super) lost_at: Option<Time>,
    /// The server has said that it did not introduce the two.
    pub(super) is_unknown: bool,
    /// Its client has asked for a direct link for it, or agreed to one, and was not introduced since.
    pub(super) searches: bool,
    /// The accepter has closed the link to which the requester has moved it.
    is_refused: bool,
    /// Highest numbers of texts said, heard and acknowledged.
    said: u64,
    heard: u64,
    acknowledged: u64,
    /// The other side has acknowledged the texts up to this one.
    confirmed: u64,
}

/// What an end has to say at once.
#[derive(Debug, Default)]
pub(super) struct Debt {
    /// That the conversation moves to it.
    pub(super) moves: bool,
    /// That it opens a conversation again.
    pub(super) opens: bool,
    /// Texts up to this number again.
    texts: u64,
    /// That it has these texts.
    acknowledges: u64,
    /// That it looks for a direct link.
    pub(super) meets: bool,
}

/// Conversations that move, or have to.
#[derive(Debug, Default)]
pub(super) struct Moving {
    /// Ends that have to say something at once, and since when.
    pub(super) owing: BTreeSet<(Time, ProcessId, LinkId)>,
    /// By when conversations must have left their relays, by the ids of their introductions.
    due: BTreeSet<(Time, String)>,
    /// Clients that have closed the link to which they moved the conversation with a user.
    gave_up: BTreeMap<(ProcessId, String), String>,
    /// Clients whose conversations have lost their link, and by when these go on or are over.
    pub(super) lost: BTreeSet<(Time, ProcessId, String)>,
    /// Clients that have shown the end of a conversation too early, unless their session ends as well.
    pub(super) early: BTreeSet<(Time, ProcessId, String)>,
}

impl Talk {
    /// The other side has neither said nor acknowledged anything.
    pub(super) const fn is_silent(&self) -> bool {
        self.heard == 0 && self.confirmed == 0
    }
}

impl Moving {
    pub(super) fn is_excused(&mut self, is_concerned: impl Fn(&String) -> bool) {
        self.due.retain(|(_, id)| !is_concerned(id));
    }

    pub(super) fn are_all_excused(&mut self) {
        self.due.clear();
    }

    /// Two have a new introduction: the conversation of an earlier one ends when its link is open.
    pub(super) fn are_introduced_anew(&mut self, process: ProcessId, user: &str) {
        self.gave_up.remove(&(process, user.to_string()));
    }
}

impl End {
    fn owes(&self) -> bool {
        match self.stage {
            Stage::Ready => self.debt.moves || self.debt.opens,
            Stage::Open => self.next_text <= self.debt.texts || self.debt.acknowledges > 0 || self.debt.meets,
            Stage::New | Stage::Called | Stage::Secured | Stage::Moving | Stage::Broken => false,
        }
    }

    /// The conversation goes on here: the other side has the texts up to `has`.
    pub(super) fn go_on(&mut self, talk: &mut Talk, has: u64, meets: bool) {
        self.stage = Stage::Open;
        (talk.lost_at, talk.is_unknown) = (None, false);
        self.next_text = has.max(talk.confirmed) + 1;
        self.debt =
            Debt { moves: false, opens: false, texts: talk.said, acknowledges: talk.acknowledged, meets };
    }
}

impl Private {
    /// Whether a user has never wanted this client's links with another to run otherwise than by chance.
    pub(super) fn runs_by_itself(&self, side: &Side) -> bool {
        let client = side.process.and_then(|process| self.clients.get(&process));
        client.is_some_and(|client| client.ways(&side.user).iter().all(|way| *way == Way::Auto))
    }

    /// Whether one of two clients has begun to dial an address at which it reaches the other.
    fn can_reach(&self, both: &Introduction) -> bool {
        let reaches = |here: &Side, there: &Side| {
            let client = |side: &Side| side.process.and_then(|process| self.clients.get(&process));
            let (Some(from), Some(to)) = (client(here), client(there)) else { return false };
            let told = here.addresses.iter().filter(|address| may_be_dialled(address)).take(DIALS);
            let reached =
                |told: &SocketAddr| from.place.dials(*told, &to.place, &to.listening) == Answer::Connected;
            told.filter(|told| here.dialled.contains_key(told)).any(reached)
        };
        let [one, other] = both.sides.as_slice() else { return false };
        reaches(one, other) || reaches(other, one)
    }

    /// A conversation has begun on both sides. If it is relayed and could be direct, it has to move before its
    /// introduction is over.
    pub(super) fn may_have_to_move(&mut self, id: &str) {
        let Some(both) = self.introductions.get(id) else { return };
        let stands = |side: &Side| {
            let client = side.process.and_then(|process| self.clients.get(&process));
            client.is_some_and(|client| client.frozen.is_none())
        };
        // The rounds of dials may be over when it begins on a second relay.
        let is_first = |side: &Side| side.lost_choice.is_none();
        let moves =
            |side: &Side| side.talk.can_move && is_first(side) && self.runs_by_itself(side) && stands(side);
        // A third round of dials is the last: what it says must come in time.
        let comes_in_time = MOVING_LINES * self.latency_micros <= PATIENCE_MICROS / 2;
        if comes_in_time && both.sides.len() == 2 && both.sides.iter().all(moves) && self.can_reach(both) {
            self.moving.due.insert((Time(both.at.0 + PATIENCE_MICROS), id.to_string()));
        }
    }

    /// A link is gone. `closed`: by the client itself.
    pub(super) fn is_left(&mut self, process: ProcessId, link: LinkId, closed: bool, now: Time) {
        let Some(end) = self.ends.remove(&(link, process)) else { return };
        self.may_be_lost(process, &end, closed, now);
        self.ends_in_vain(process, link, &end, now);
        self.choice_is_left(process, link, &end, closed, now);
        let both = self.introductions.get_mut(&end.id);
        if let (Some(has), Stage::Ready, true, false) = (end.moved_with, end.stage, closed, is_relayed(link))
            && let Some(side) = both.and_then(|both| both.side_mut(process))
        {
            let is_over = side.good_until.0 < now.0 + OVER_MICROS;
            side.talk.is_refused |= has <= side.talk.said && !is_over;
        }
        if is_relayed(link) && end.stage == Stage::Open {
            self.moving.due.retain(|(_, id)| *id != end.id);
        }
        if end.stage == Stage::Moving
            && closed
            && now.0 < end.moved_at.0 + ANSWER_MICROS
            && let Some(side) = self.introductions.get(&end.id).and_then(|both| both.side(process))
        {
            self.moving.gave_up.insert((process, side.user.clone()), end.id);
        }
    }
}

impl Check {
    /// A conversation has begun at a client.
    pub(super) fn begins(&mut self, process: ProcessId, link: LinkId, end: &mut End) {
        (end.stage, end.next_text) = (Stage::Open, 1);
        let both = self.private.introductions.get_mut(&end.id);
        let Some(side) = both.and_then(|both| both.side_mut(process)) else { return };
        side.opened = true;
        side.talk.can_move = is_relayed(link) && end.can_move;
        side.talk.can_rejoin = end.can_move;
        if let Some(client) = self.private.clients.get_mut(&process) {
            client.opened.entry(side.user.clone()).or_default().push_back(is_relayed(link));
        }
        self.private.moving.gave_up.remove(&(process, side.user.clone()));
    }

    /// A requester moves its conversation to the first direct link that is ready.
    pub(super) fn has_to_move(&mut self, process: ProcessId, id: &str) {
        let Some(side) = self.private.introductions.get(id).and_then(|both| both.side(process)) else {
            return;
        };
        let can_move = side.talk.can_move || side.continues.is_some();
        if !side.is_requester || !can_move || side.is_moved || !self.private.runs_by_itself(side) {
            return;
        }
        let ready = self.private.ends.iter_mut().find(|((link, of), end)| {
            *of == process && end.id == id && end.stage == Stage::Ready && end.can_move && !is_relayed(*link)
        });
        if let Some(((link, _), end)) = ready {
            end.debt.moves = true;
            self.private.moving.owing.insert((self.now, process, *link));
        }
    }

    /// What a client says in a conversation, or to move it. Says whether it may, and by which rule.
    pub(super) fn talks(
        &mut self,
        (process, link): (ProcessId, LinkId),
        end: &mut End,
        words: &[&str],
    ) -> (bool, &'static str) {
        let Some(Part { is_requester, root, continues, is_moved, meets, may_meet }) =
            self.private.part(process, link, end)
        else {
            return (end.stage == Stage::Open, STRANGERS);
        };
        let moves_already = self.private.moves_elsewhere(process, &root);
        let Some(talk) = self.private.talk_mut(process, &root) else { return (false, STRANGERS) };
        match (words, end.stage) {
            (["continue", id, arrived], Stage::Ready) => {
                let may = if is_relayed(link) {
                    talk.can_rejoin && !continues
                } else {
                    (talk.can_move || continues) && !is_moved
                };
                let asks = may && end.can_move && is_requester && !moves_already;
                let good = asks && *id == root && is_number(arrived, talk.heard);
                (end.stage, end.moved_at) = (Stage::Moving, self.now);
                self.private.note_moved(process, &end.id);
                (good, MOVES)
            }
            (["continued", arrived], Stage::Ready) => {
                let has = end.moved_with.take();
                let good = has.is_some() && !is_requester && is_number(arrived, talk.heard);
                end.go_on(talk, has.unwrap_or_default(), meets);
                self.private.moving.owing.insert((self.now, process, link));
                self.private.moving.is_found(process, &root);
                (good, MOVES)
            }
            (["meet"], Stage::Open) => {
                self.private.searches(process, &root, "accept", self.now);
                (mem::take(&mut end.debt.meets) || may_meet && is_relayed(link) && is_requester, MEETS)
            }
            (["text", number, ..], Stage::Open) => {
                if is_relayed(link) && talk.is_refused {
                    return (false, LEAVES);
                }
                let good = is_number(number, end.next_text);
                talk.said = talk.said.max(end.next_text);
                end.next_text += 1;
                (good, NUMBERS)
            }
            (["ack", number], Stage::Open) => {
                let number = number.parse().unwrap_or(u64::MAX);
                let good = (talk.acknowledged..=talk.heard).contains(&number);
                talk.acknowledged = number;
                if number >= end.debt.acknowledges {
                    end.debt.acknowledges = 0;
                }
                (good, NUMBERS)
            }
            (["close", ..], Stage::Open | Stage::Moving) => (true, ""),
            (..) => (false, STRANGERS),
        }
    }

    /// What a client hears in a conversation, or to move it; returns whether it has to do with that.
    pub(super) fn hears_talk(
        &mut self,
        (process, link): (ProcessId, LinkId),
        end: &mut End,
        words: &[&str],
    ) -> bool {
        let Some(Part { is_requester, root, continues, meets, may_meet, .. }) =
            self.private.part(process, link, end)
        else {
            return end.stage == Stage::Open;
        };
        let Some(talk) = self.private.talk_mut(process, &root) else { return end.stage == Stage::Open };
        match (words, end.stage) {
            (["text", number, ..], Stage::Open) => {
                talk.heard = talk.heard.max(number.parse().unwrap_or(0));
            }
            (["ack", number], Stage::Open) => {
                talk.confirmed = talk.confirmed.max(number.parse().unwrap_or(0));
            }
            (["meet"], Stage::Open) if may_meet => {
                self.private.searches(process, &root, "startprivate", self.now);
            }
            (["continue", _, has], Stage::Ready)
                if !is_requester && (talk.can_move || talk.can_rejoin || continues) =>
            {
                end.moved_with = has.parse().ok();
            }
            (["continued", has], Stage::Moving) => {
                end.go_on(talk, has.parse().unwrap_or(0), meets);
                self.private.moving.owing.insert((self.now, process, link));
                self.private.moving.due.retain(|(_, id)| *id != end.id);
                self.private.moving.is_found(process, &root);
            }
            (_, stage) => return stage == Stage::Open,
        }
        true
    }

    /// What has to be said at once was said; who can leave a relay has left it.
    pub(super) fn moves_are_made(&mut self) -> Verdict {
        while let Some((at, process, link)) = self.private.moving.owing.first().copied() {
            if at >= self.now {
                break;
            }
            self.private.moving.owing.pop_first();
            let end = self.private.ends.get(&(link, process));
            let owes = end.is_some_and(End::owes);
            let rule = if end.is_some_and(|end| end.debt.opens) {
                OPENS
            } else if end.is_some_and(|end| end.stage == Stage::Ready) {
                LEAVES
            } else {
                "a conversation that moves loses nothing"
            };
            rule!(self, !owes, rule, "{process:?} on {link:?}: {end:?}");
        }
        if let Some((until, id)) = self.private.moving.due.first() {
            let both = self.private.introductions.get(id);
            rule!(self, *until >= self.now, LEAVES, "{id}: {both:?}");
        }
        self.lost_ones_are_found()
    }

    /// The end of a conversation is shown: it was not lost because its old link ended while it moved.
    pub(super) fn is_over(&mut self, process: ProcessId, user: &str, reason: PrivateEnd) -> Verdict {
        let gave_up = self.private.moving.gave_up.remove(&(process, user.to_string()));
        let outlives = reason != PrivateEnd::Lost || gave_up.is_none();
        let rule = "a conversation that moves outlives its link";
        rule!(self, outlives, rule, "{process:?} and {user}: {gave_up:?}");
        self.was_looked_for(process, user, reason);
        Ok(())
    }
}

fn is_number(word: &str, number: u64) -> bool {
    word == format!("{number}")
}
