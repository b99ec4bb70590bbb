//! Clients that are moved and introduced to each other: what a step of its own brings about more often than chance.

use alloc::format;

use super::client_host::SEATS_USED;
use super::network::{CLOSED, Place};
use super::relayed::is_relayed;
use super::scenario::{Kind, Step};
use super::trace::ProcessId;
use super::world::{Happening, World};
use crate::time::Time;
use crate::words::Name;

/// The setting that lets a block end the private link of the two.
const BLOCK_ENDS_PRIVATE: (u8, u16) = (14, 0);

/// So long the first dials of two are lost who get a relay first.
const LOST_MICROS: u64 = 250_000;

const SLOW_MICROS: u64 = 20_000;

/// Chooses a client that accepts requests by itself and takes the way that works.
const BOTH_WILLING: u32 = 106;

/// What happens to the next conversation that moves.
#[derive(Debug)]
pub(super) struct Meddling {
    seats: [usize; 2],
    users: [Name; 2],
    choice: u32,
}

impl World {
    /// The next client at a seat runs elsewhere.
    pub(super) fn move_seat(&mut self, step: Step) {
        let seat = usize::from(step.actor) % SEATS_USED;
        self.seats[seat].place = Place::new(seat, step.argument);
    }

    /// Two clients agree on a private link.
    pub(super) fn introduce(&mut self, step: Step) {
        if step.salt % 8 < 2 && !(step.salt / 8).is_multiple_of(3) {
            return self.talk_on_the_way(step);
        }
        let Some((seats, [one, other])) = self.start_two(step) else { return };
        self.agree(seats, [&one, &other]);
        self.talk(seats, [&other, &one]);
        match step.salt / 8 % 3 {
            0 => self.part(seats[0], &other, step),
            1 => self.lose_each_other(seats, [&other, &one], step.salt / 24),
            _ => {}
        }
    }

    /// The link of two who talk breaks. They may have lost the server too, as one whose machine changes its network, or
    /// stand still, and then talk on.
    fn lose_each_other(&mut self, seats: [usize; 2], to: [&Name; 2], choice: u32) {
        let process = self.seats[seats[0]].process.as_ref();
        let Some((link, server)) = process.and_then(|process| {
            let mut links = process.seals.keys().copied();
            Some((links.rfind(|link| !is_relayed(*link))?, process.link))
        }) else {
            return;
        };
        self.talk(seats, to);
        self.cut(link, choice.is_multiple_of(2));
        if choice % 4 == 1
            && let Some(server) = server
        {
            self.cut(server, choice.is_multiple_of(3));
        }
        self.talk(seats, to);
        self.pass_millis(if choice.is_multiple_of(5) { 16_000 } else { 3_000 });
        self.talk(seats, to);
    }

    /// Two clients start anew, each at a place of its own.
    fn start_two(&mut self, step: Step) -> Option<([usize; 2], [Name; 2])> {
        let first = usize::from(step.actor) % SEATS_USED;
        // Neighbouring seats share a home, and those six apart a user.
        let seats = [first, (first + 3) % SEATS_USED];
        let closed = step.salt % 8 > 2;
        if step.salt % 8 == 2 {
            self.let_crowds_come();
        }
        for (seat, choice) in seats.into_iter().zip([step.argument % 256, step.argument / 256]) {
            let place = if closed { CLOSED[usize::from(choice) % CLOSED.len()] } else { choice };
            self.seats[seat].place = Place::new(seat, place);
            self.type_line(seat, b"logout");
        }
        self.pass_millis(300);
        for seat in seats {
            // Whoever has not logged out stays where they are; each seat has its own user.
            self.start_at(
                seat,
                Step { kind: Kind::Start, salt: (step.salt / 5 * 5).saturating_add(1), ..step },
            );
        }
        self.pass_millis(500);
        let [one, other] = self.users_at(seats);
        Some((seats, [one?, other?]))
    }

    fn users_at(&self, seats: [usize; 2]) -> [Option<Name>; 2] {
        seats.map(|seat| self.seats[seat].process.as_ref()?.user.clone())
    }

    /// One asks for a private link and the other accepts.
    fn agree(&mut self, seats: [usize; 2], [one, other]: [&Name; 2]) {
        self.type_line(seats[0], format!("startprivate {other}").as_bytes());
        self.pass_millis(100);
        self.type_line(seats[1], format!("accept {one}").as_bytes());
        self.pass_millis(100);
    }

    /// Two clients start anew where one reaches the other, and agree while their first dials are lost, so that their conversation begins on a relay and
    /// moves.
    fn talk_on_the_way(&mut self, step: Step) {
        let first = usize::from(step.actor) % SEATS_USED;
        let seats = [first, (first + 3) % SEATS_USED];
        for (seat, choice) in seats.into_iter().zip([step.argument % 2, step.argument / 2 % 2]) {
            self.kill_client(seat, true);
            self.seats[seat].place = Place::new(seat, choice);
            self.start_at(
                seat,
                Step { kind: Kind::Start, salt: step.salt / 1_800 * 1_800 + BOTH_WILLING, ..step },
            );
        }
        self.pass_millis(500);
        let [Some(one), Some(other)] = self.users_at(seats) else { return };
        let until = Time(self.now.0 + LOST_MICROS);
        self.weather.lose_dials_until = until.max(self.weather.lose_dials_until);
        let choice = step.salt / 48;
        self.meddling = Some(Meddling { seats, users: [one.clone(), other.clone()], choice });
        self.agree(seats, [&one, &other]);
        self.pass_millis(700);
        self.talk(seats, [&other, &one]);
        let usual = self.weather.latency_micros;
        if choice % 4 < 2 {
            // The relay may be faster than a direct way.
            self.take_latency(SLOW_MICROS.max(usual));
        }
        // The last of the three rounds of dials.
        self.pass_millis(4_000);
        self.take_latency(usual);
        self.talk(seats, [&other, &one]);
    }

    /// Two tell each other something.
    fn talk(&mut self, seats: [usize; 2], to: [&Name; 2]) {
        for (seat, to) in seats.into_iter().zip(to) {
            let line = format!("private {to} {}", self.new_text());
            self.type_line(seat, line.as_bytes());
        }
    }

    /// A client says something to another.
    pub(super) fn overhear_move(&mut self, process: ProcessId, bytes: &[u8]) {
        if self.meddling.is_some() && bytes.starts_with(b"continue ") {
            self.after(0, Happening::Moves { process });
        }
    }

    /// A conversation has begun to move: the two go on talking, and its relay may end.
    pub(super) fn meddle_with_move(&mut self, process: ProcessId) {
        let seat = self.seat_of(process);
        let Some(Meddling { seats, users: [one, other], choice }) = self.meddling.take() else { return };
        if !seat.is_some_and(|seat| seats.contains(&seat)) {
            return;
        }
        if choice % 4 != 2 {
            self.talk(seats, [&other, &one]);
        }
        let link = seat.and_then(|seat| self.seats[seat].process.as_ref()?.link);
        if choice % 4 > 1
            && let Some(link) = link
        {
            self.cut(link, choice.is_multiple_of(8));
        }
    }

    /// Somebody blocks whom they talk with, which may end their link.
    fn part(&mut self, seat: usize, other: &Name, step: Step) {
        let (actor, argument) = BLOCK_ENDS_PRIVATE;
        self.choose_setting(Step { kind: Kind::Setting, actor, argument, ..step });
        self.pass_millis(100);
        for verb in ["block", "unblock"] {
            self.type_line(seat, format!("{verb} {other}").as_bytes());
            self.pass_millis(100);
        }
    }

    /// A question to the log of a client, which may end before there is an answer.
    pub(super) fn look_up_at(&mut self, step: Step) {
        let seat = usize::from(step.actor) % SEATS_USED;
        let lines = ["history", "search may", "history group jedi 3", "search"];
        let line = lines[usize::from(step.argument) % lines.len()];
        self.type_line(seat, line.as_bytes());
        match step.salt % 8 {
            0 => self.end_input(seat),
            1 | 2 => self.interrupt(seat, step),
            _ => {}
        }
    }
}
