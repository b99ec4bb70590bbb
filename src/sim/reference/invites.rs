//! Invites (R65).

use alloc::format;
use alloc::string::{String, ToString};

use super::Server;
use super::door::Stage;
use super::lane::{Decision, Wish};
use super::login::AT_ONCE;
use super::papers::{DRAWN, Then};
use crate::record::{Change, Digest, Fact, Invite, Record};
use crate::words::{LinkId, Ticket};

/// Invites that are remembered.
const INVITES: usize = 1_000;

impl Server {
    fn good(&self, code: &str) -> Option<&Invite> {
        self.invites.get(code).filter(|invite| invite.left > 0 && invite.until > self.now)
    }

    fn digest_of(&self, code: &str) -> Digest {
        let all = self.learnt.invites.iter();
        all.filter(|(_, known)| *known == code).map(|(digest, _)| *digest).next().unwrap_or(DRAWN)
    }

    pub(super) fn decide_invite(&mut self, ticket: Ticket, invite: &Invite) -> Decision {
        let why = invite.name.as_ref().and_then(|name| self.why_not_new(name));
        if let Some(why) = why.filter(|why| *why != "busy") {
            self.expected.acted(ticket, Err(why));
            return Decision::Answered;
        }
        if self.invites.len() >= INVITES {
            let over = self.invites.iter().filter(|(code, _)| self.good(code).is_none());
            let Some(code) = over.min_by_key(|(_, invite)| invite.number).map(|(code, _)| code.clone())
            else {
                self.expected.acted(ticket, Err("limit"));
                return Decision::Answered;
            };
            let code = self.digest_of(&code);
            self.persist(Record::Change(Change::InviteRevoked { code }), Then::Nothing);
        }
        let invite = Invite { number: self.last_invite + 1, ..invite.clone() };
        Decision::Change(Change::InviteMade { code: DRAWN, invite }, [].into())
    }

    pub(super) fn decide_revocation(&mut self, ticket: Ticket, number: u32) -> Decision {
        let found = self.invites.iter().find(|(_, invite)| invite.number == number);
        let Some(code) = found.map(|(code, _)| self.digest_of(code)) else {
            self.expected.acted(ticket, Err("unknown_invite"));
            return Decision::Answered;
        };
        Decision::Change(Change::InviteRevoked { code }, [].into())
    }

    pub(super) fn invite_settled(&mut self, ticket: Ticket, code: &str, durable: bool) {
        let number = self.invites.get(code).filter(|_| durable).map(|invite| u64::from(invite.number));
        self.expected.acted(ticket, number.ok_or("storage_unavailable"));
    }

    /// The code of the invite that is being made, whose digest is seen.
    pub(super) fn invite_drawn(&mut self, digest: Digest) -> bool {
        let begun = |(id, wish): (&u64, &Wish)| match wish {
            Wish::Invite { code, .. } if self.begun.contains_key(id) => Some(code.clone()),
            _ => None,
        };
        // One at a time; the next is seen before it counts as begun.
        let code = self.wishes.iter().find_map(begun).or_else(|| {
            self.wishes.values().find_map(|wish| match wish {
                Wish::Invite { code, .. } => Some(code.clone()),
                _ => None,
            })
        });
        code.is_some_and(|code| self.learnt.invites.insert(digest, code).is_none())
    }

    pub(super) fn set_invite(&mut self, digest: Digest, invite: Option<&Invite>) {
        let Some(code) = self.learnt.invites.get(&digest).cloned() else { return };
        match invite {
            Some(invite) => {
                self.last_invite = self.last_invite.max(invite.number);
                self.invites.insert(code, invite.clone());
            }
            None => drop(self.invites.remove(&code)),
        }
    }

    pub(super) fn set_invite_left(&mut self, digest: Digest, left: u32) {
        let code = self.learnt.invites.get(&digest).cloned().unwrap_or_default();
        if let Some(invite) = self.invites.get_mut(&code) {
            invite.left = left;
        }
    }

    /// `invite CODE` from a stranger.
    pub(super) fn invite_shown(&mut self, id: LinkId, code: &str) {
        let Some(from) = self.links.get(&id).map(|link| link.from) else { return };
        if let Some(seconds) = self.address_locked_secs(from) {
            return self.refuse_for_good(id, AT_ONCE, &format!("locked_out {seconds}"));
        }
        let Some(invite) = self.good(code) else {
            self.count_address_failure(from);
            return self.refuse_for_good(id, AT_ONCE, "invalid_invite");
        };
        let name = invite.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        self.send(id, &format!("invited{name}"));
        if let Some(link) = self.links.get_mut(&id) {
            link.invite = Some(code.to_string());
        }
    }

    pub(super) fn invite_of(&self, id: LinkId) -> Option<String> {
        self.links.get(&id)?.invite.clone()
    }

    /// Whether nobody can use this invite any more.
    pub(super) fn is_no_invite(&self, code: &str) -> bool {
        self.good(code).is_none()
    }

    /// Whether this invite is for somebody of this name.
    pub(super) fn is_invited(&self, code: &str, name: &str) -> bool {
        self.good(code).is_some_and(|invite| invite.name.as_ref().is_none_or(|only| only.as_str() == name))
    }

    /// One account more is, or is not, made by an invite.
    pub(super) fn use_invite(&mut self, code: &str, made: bool) {
        let Some(invite) = self.invites.get_mut(code) else { return };
        if made {
            invite.left -= 1;
        } else {
            invite.left += 1;
        }
        let left = invite.left;
        let code = self.digest_of(code);
        self.persist_fact(Fact::InviteUsed { code, left });
    }

    pub(super) fn refuse_invite(&mut self, id: LinkId) {
        self.set_stage(id, Stage::Anonymous);
        self.refuse_for_good(id, AT_ONCE, "invalid_invite");
    }
}
