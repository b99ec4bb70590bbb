//! Operators invite, and people make accounts by invites.

use alloc::format;
use alloc::string::String;

use super::cast::{ACCOUNTS, USERS};
use super::hand::Manner;
use super::scenario::Step;
use super::world::World;
use crate::record::Invite;
use crate::server::Act;
use crate::time::Time;
use crate::words::{Name, Token};

/// Whom `hand_address` puts on another machine.
const FAR: u8 = 0;

/// An invite that was asked for, as an operator passes it on.
#[derive(Debug, Clone)]
pub(super) struct Invited {
    code: Token,
    name: Option<Name>,
}

impl World {
    /// An operator invites or takes an invite back, or somebody comes with one.
    pub(super) fn invite(&mut self, step: Step) {
        match step.salt % 8 {
            0..3 => {
                self.make_invite(step);
                if !(step.salt / 8).is_multiple_of(3) {
                    self.pass_millis(u64::from(step.salt / 24 % 3) * 40);
                    self.come_invited(step, step.salt);
                }
            }
            3 => self.operator_acts(Act::Revoke(u32::from(step.argument % 12))),
            4 => {
                // Two at once, of whom the invite may be good for one.
                self.make_invite(Step { argument: 0, ..step });
                self.pass_millis(50);
                self.come_invited(step, 1);
                self.come_invited(Step { actor: step.actor.wrapping_add(1), ..step }, 1);
            }
            5 if (step.salt / 8).is_multiple_of(4) => self.guess_codes(step),
            _ => self.come_invited(step, step.salt / 8),
        }
    }

    /// Somebody guesses codes until their address is locked, or nearly, and then has a good one.
    fn guess_codes(&mut self, step: Step) {
        self.make_invite(Step { argument: 0, ..step });
        let most = self.host.settings.failures_per_address.min(12);
        for _ in 0..(most + u32::from(step.argument % 3)).saturating_sub(1) {
            let Some(hand) = self.open_hand(FAR, Manner::Plain) else { return };
            let code = self.drawn_code();
            self.hand_writes(hand, format!("invite {code}\n").as_bytes());
        }
        self.pass_millis(30);
        self.come_invited(Step { actor: FAR, ..step }, 1);
    }

    /// One that was never drawn before, also if a step comes again and draws the same.
    fn drawn_code(&mut self) -> Token {
        let mut code = [0; 16];
        code.copy_from_slice(&self.draw.bytes()[..16]);
        code[..8].copy_from_slice(&self.host.acts.to_be_bytes());
        code[8] ^= u8::try_from(self.hands.len() % 256).unwrap_or(0);
        Token(code)
    }

    fn make_invite(&mut self, step: Step) {
        let code = self.drawn_code();
        let only = (step.argument % 4 == 1).then(|| self.newcomer(step.actor));
        let name = only.and_then(|name| Name::new(&name).ok());
        let secs = [86_400, 600, 86_400, 30, 1, 0][usize::from(step.argument / 4 % 6)];
        let until = Time(self.host.clock(self.now).0 + secs * 1_000_000);
        let left = 1 + u32::from(step.argument / 24 % 3);
        self.invites.push(Invited { code, name: name.clone() });
        self.operator_acts(Act::Invite { code, invite: Invite { number: 0, name, left, until } });
    }

    /// Somebody without an account, most of the time.
    fn newcomer(&mut self, actor: u8) -> String {
        match actor % 8 {
            0 => self.user(actor.into()).into(),
            1 | 2 => format!("guest-{}", actor / 8 % 4),
            _ => USERS[ACCOUNTS + usize::from(actor / 8) % (USERS.len() - ACCOUNTS)].into(),
        }
    }

    /// Somebody shows an invite, or a code that is none, and wants an account.
    fn come_invited(&mut self, step: Step, salt: u32) {
        let known = self.invites.len();
        let recent = usize::from(step.actor / 16 % 3) + 1;
        let invited = known.checked_sub(recent.min(known)).and_then(|at| self.invites.get(at)).cloned();
        let wrong = Invited { code: self.drawn_code(), name: None };
        let Invited { code, name } = invited.filter(|_| !salt.is_multiple_of(7)).unwrap_or(wrong);
        let newcomer = self.newcomer(step.actor);
        let name = name.filter(|_| !salt.is_multiple_of(5)).map_or(newcomer, |name| name.as_str().into());
        let manner = [Manner::Plain, Manner::Keeping, Manner::Acknowledging, Manner::Courier]
            [usize::try_from(salt / 35 % 4).unwrap_or(0)];
        let Some(hand) = self.open_hand(step.actor, manner) else { return };
        let password = self.typed("of a guest");
        let lines = match salt % 6 {
            0 => format!("invite {code}\nlogin {name}\nregister {name} {password}\n"),
            1 => format!("invite {code}\nregister {name} {password}\nwhoelse\n"),
            2 => format!("invite {code}\nlogin {name} {password}\n"),
            3 => format!("login {name}\ninvite {code}\ninvite {code}\nregister {name} {password}\n"),
            _ => format!("invite {code}\nregister {name} {password}\n"),
        };
        self.hand_writes(hand, lines.as_bytes());
    }
}
