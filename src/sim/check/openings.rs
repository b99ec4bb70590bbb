//! Conversations whose `opened` was lost with its link: both clients have one in the end, or neither (R37).

use alloc::string::{String, ToString};

use super::introduced::{End, Side, Stage};
use super::private::{CALM_MICROS, Private, SHOWING_MICROS};
use super::rejoins::{LOST_MICROS, VAIN_RELAYS};
use super::{Check, Verdict, rule};
use crate::client::Way;
use crate::sim::relayed::is_relayed;
use crate::sim::trace::ProcessId;
use crate::time::Time;
use crate::words::LinkId;

pub(super) const OPENS: &str = "two who have chosen a link find each other when it is lost";

impl Side {
    /// Whether an accepter has opened a conversation in which the other has neither said nor acknowledged anything.
    pub(super) fn has_opened_in_vain(&self) -> bool {
        let Side { is_requester, opened, continues, talk, .. } = self;
        !is_requester && *opened && continues.is_none() && !talk.is_over && talk.is_silent()
    }

    /// Whether a requester looks on relays for a conversation that the other side may have.
    pub(super) fn is_in_doubt(&self, now: Time) -> bool {
        !self.opened && self.lost_choice.is_some_and(|at| now.0 <= at.0 + LOST_MICROS)
    }
}

impl Private {
    pub(super) fn has_opened_in_vain(&self, process: ProcessId, id: &str) -> bool {
        let side = self.introductions.get(id).and_then(|both| both.side(process));
        side.is_some_and(Side::has_opened_in_vain)
    }

    /// An accepter reads `nominate`: if it has opened a conversation in vain, it has to open it again at once.
    pub(super) fn is_chosen(&mut self, process: ProcessId, link: LinkId, end: &mut End, now: Time) {
        end.is_nominated = true;
        if self.has_opened_in_vain(process, &end.id) {
            end.debt.opens = true;
            self.moving.owing.insert((now, process, link));
        }
    }

    /// A link has ended that the requester had chosen, or on which the accepter was to open a conversation again.
    pub(super) fn choice_is_left(
        &mut self,
        process: ProcessId,
        link: LinkId,
        end: &End,
        closed: bool,
        now: Time,
    ) {
        let both = self.introductions.get_mut(&end.id);
        let Some(side) = both.and_then(|both| both.side_mut(process)).filter(|_| end.stage == Stage::Ready)
        else {
            return;
        };
        if side.is_requester && side.nominated == Some(link) && !side.opened && end.can_move && !closed {
            side.lost_choice.get_or_insert(now);
            let until = Time(now.0 + LOST_MICROS + SHOWING_MICROS);
            let owes = |(at, of, user): &(Time, ProcessId, String)| {
                let is_concerned = *of == process && *user == side.user;
                (if is_concerned { until.max(*at) } else { *at }, *of, user.clone())
            };
            self.owed = self.owed.iter().map(owes).collect();
        }
        let chooses = self.clients.get(&process).is_some_and(|client| {
            let ways = client.ways(&side.user);
            ways.contains(&Way::Direct) || ways.iter().any(|way| *way != ways[0])
        });
        let is_late = side.talk.lost_at.is_some_and(|at| at.0 + LOST_MICROS <= now.0)
            || !is_relayed(link) && side.good_until <= now;
        if closed && end.debt.opens && side.has_opened_in_vain() && !chooses && !is_late {
            self.moving.early.insert((now, process, end.id.clone()));
        }
    }

    /// A later introduction of the two: nobody looks for what began with the earlier one.
    pub(super) fn choices_are_over(&mut self, process: ProcessId, user: &str) {
        let sides = self.introductions.values_mut().filter_map(|both| both.side_mut(process));
        sides.filter(|side| side.user == user).for_each(|side| side.lost_choice = None);
    }
}

impl Check {
    /// An accepter opens its conversation again: it says all texts again.
    pub(super) fn opens_again(&mut self, process: ProcessId, link: LinkId, end: &mut End) {
        if let Some(talk) = self.private.talk_mut(process, &end.id) {
            end.go_on(talk, 0, false);
            talk.can_move = is_relayed(link) && end.can_move;
        }
        self.private.moving.owing.insert((self.now, process, link));
        self.private.moving.is_found(process, &end.id);
    }

    /// `unreachable` is shown: one who has chosen a link and lost it has looked for the other on relays.
    pub(super) fn gives_up(&mut self, process: ProcessId, user: &str) -> Verdict {
        let now = self.now;
        let Some(client) = self.private.clients.get(&process) else { return Ok(()) };
        let may_give_up = !self.private.is_calm(process, now)
            || client.is_cut_off
            || client.is_alone
            || !client.reconnects && client.disturbed.0 + CALM_MICROS >= now.0
            || client.logs_in_again
            || client.ways(user).contains(&Way::Direct);
        let vain_relays = client.vain_relays.clone();
        let sides = self.private.introductions.values_mut().filter_map(|both| both.side_mut(process));
        for side in sides.filter(|side| side.user == *user && !side.opened) {
            let Some(lost) = side.lost_choice.take() else { continue };
            let in_vain = vain_relays.iter().filter(|at| **at > lost).count();
            let is_late = lost.0 + LOST_MICROS <= now.0;
            // The last relay is closed after the end is shown.
            let may = may_give_up || is_late || side.talk.is_unknown || in_vain + 1 >= VAIN_RELAYS;
            let detail = || user.to_string();
            rule!(self, may, OPENS, "{process:?} and {}: {lost:?} {in_vain}", detail());
        }
        Ok(())
    }
}
