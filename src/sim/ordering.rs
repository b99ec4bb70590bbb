//! Users who are operators have the server do something, and what a shell does about it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::scenario::Step;
use super::trace::{Seen, Told};
use super::world::{Happening, World};
use crate::record::Restraint;
use crate::server::{Act, Event, Reached};
use crate::time::Time;
use crate::words::{Name, Text, Ticket};

/// What users have ordered of this life of the server.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Not begun.
    waiting: BTreeMap<Ticket, String>,
    /// Acts that are under way, and the orders that they carry out.
    acts: BTreeMap<Ticket, Ticket>,
    /// Done or not, and what is said of it.
    over: BTreeMap<Ticket, (bool, Vec<Box<str>>)>,
}

impl World {
    /// Some users are operators from now on, and perhaps somebody who has no account.
    pub(super) fn name_operators(&mut self, step: Step) {
        let few = step.salt.is_multiple_of(3);
        let users = if few { 1 } else { 6 };
        let mut names: Vec<String> =
            (0..users).map(|place| self.user(u16::from(step.actor) + place).into()).collect();
        if step.salt.is_multiple_of(2) {
            names.push(format!("guest-{}", step.argument % 4));
        }
        self.host.settings.operators = names.iter().filter_map(|name| Name::new(name).ok()).collect();
        if self.host.is_up() {
            self.reload_server();
        }
    }

    /// A line with an order.
    pub(super) fn order(&mut self, step: Step) -> String {
        let user = self.user(step.argument);
        let orders = [
            format!("announce stand  by {}", step.salt % 97),
            format!("announce --keep stand by {}", step.salt % 97),
            format!("kick {user}"),
            format!("kick {user} be nice"),
            format!("unlock {user}"),
            format!("mute {user} {}", 1 + step.salt / 16 % 30),
            format!("unmute {user}"),
            format!("ban {user} {}", 1 + step.salt / 16 % 5),
            format!("sessions {}", [1, 40, 3_000, 0][usize::try_from(step.salt / 16 % 4).unwrap_or(0)]),
            String::from("status"),
            String::from("dance"),
            String::from("kick nobody-1"),
        ];
        format!("op {}", orders[usize::try_from(step.salt % 16).unwrap_or(0) % orders.len()])
    }

    /// The server hands an order out; a shell takes its time for some.
    pub(super) fn take_order(&mut self, ticket: Ticket, user: &Name, words: &str) {
        let span = self.trace.keep(words.as_bytes());
        self.trace.add(self.now, Seen::Ordered { ticket, user: user.clone(), words: span });
        let slow = words == "status" && self.draw.chance(300);
        let micros = self.draw.below(if slow { 20_000_000 } else { 2_000 });
        self.host.orders.waiting.insert(ticket, words.into());
        self.after(micros, Happening::Order { life: self.host.life, ticket });
    }

    /// The shell begins with an order, or is done with it.
    pub(super) fn obey(&mut self, life: u32, ticket: Ticket) {
        if life != self.host.life || !self.host.is_up() {
            return;
        }
        if let Some((done, lines)) = self.host.orders.over.remove(&ticket) {
            self.trace.add(self.now, Seen::OrderOver { done, lines: lines.clone() });
            return self.tell_server(Event::Obeyed { ticket, done, lines }, Told::Obeyed { ticket });
        }
        let Some(words) = self.host.orders.waiting.remove(&ticket) else { return };
        match act(&words, self.host.clock(self.now)) {
            Some(act) => {
                let under_way = Ticket(self.host.acts + 1);
                self.host.orders.acts.insert(under_way, ticket);
                self.operator_acts(act);
            }
            None => {
                let (done, lines) = answer(&words);
                self.host.orders.over.insert(ticket, (done, lines));
                self.obey(life, ticket);
            }
        }
    }

    /// An act has come to something: whoever ordered it is to hear so.
    pub(super) fn order_acted(&mut self, act: Ticket, outcome: Reached) {
        if let Some(ticket) = self.host.orders.acts.remove(&act) {
            let line = outcome.map_or_else(|why| why.as_str().into(), |reached| format!("reached {reached}"));
            self.host.orders.over.insert(ticket, (outcome.is_ok(), Vec::from([line.into()])));
            self.after(0, Happening::Order { life: self.host.life, ticket });
        }
    }
}

/// The act that an order stands for.
fn act(words: &str, now: Time) -> Option<Act> {
    let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
    let (name, more) = rest.split_once(' ').map_or((rest, None), |(name, more)| (name, Some(more)));
    if let Some(kept) = words.strip_prefix("announce --keep ") {
        return Text::new(kept).map(|kept| Act::AnnounceKept(kept.into()));
    }
    if word == "announce" {
        return Text::new(rest).map(|rest| Act::Announce(rest.into()));
    }
    let user = Name::new(name).ok()?;
    let until = more.and_then(|secs| secs.parse().ok()).map(|secs: u64| Time(now.0 + secs * 1_000_000));
    Some(match word {
        "kick" => Act::Kick { user, reason: more.and_then(Text::new).map(Into::into) },
        "unlock" => Act::Unlock(user),
        "mute" => Act::Restrain { user, how: Restraint::Muted, until },
        "unmute" => Act::Restrain { user, how: Restraint::Muted, until: None },
        "ban" => Act::Restrain { user, how: Restraint::Banned, until },
        _ => return None,
    })
}

/// What the shell says by itself.
fn answer(words: &str) -> (bool, Vec<Box<str>>) {
    let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
    match (word, rest.parse()) {
        ("sessions", Ok(count)) => {
            (true, (0..count).map(|place: u32| format!("user{place}  10.0.0.7:{place}").into()).collect())
        }
        // A line break is no text.
        ("status", _) => (true, ["sessions 7", "two\nlines", "#9 links", "#"].map(Into::into).into()),
        _ => (false, Vec::from(["the server does not know this command".into()])),
    }
}
