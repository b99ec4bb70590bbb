//! Whom an operator does not want goes (R62, R63).

use super::ending::{End, end_session, never_entered};
use super::links::{self, LastAnswer, Stage};
use crate::planted::{self, Planted};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::effect::SessionEnd;
use crate::wire::Farewell;
use crate::words::LinkId;

/// An operator ends a session, and its token with it.
pub(in crate::server) fn kick(server: &mut ServerState, user: UserId) {
    let end = End::Farewell(SessionEnd::Kicked, Farewell::Kicked, LastAnswer::None);
    end_session(server, user, if planted::is(Planted::KickKeepsToken) { End::LinkLost } else { end });
}

/// Whoever is in as this user, or about to be, goes: an operator does not let them in any more.
pub(in crate::server) fn turn_out(server: &mut ServerState, user: UserId) {
    kick(server, user);
    if let Some(link) = server.accounts[user].entering
        && let Some(Stage::Entering(user, entry)) = links::stage(server, link)
    {
        never_entered(server, user, entry);
        links::say_farewell(server, link, Farewell::Kicked);
    }
    for link in server.accounts[user].couriers.links() {
        links::say_farewell(server, link, Farewell::Kicked);
    }
}

/// Whoever is on a link goes: an operator lets nobody in from its address any more.
pub(super) fn turn_out_link(server: &mut ServerState, id: LinkId) {
    match links::stage(server, id) {
        Some(Stage::Member(user) | Stage::Leaving(user, _)) => kick(server, user),
        Some(Stage::Entering(user, entry)) => {
            never_entered(server, user, entry);
            links::say_farewell(server, id, Farewell::Kicked);
        }
        Some(Stage::Parting(..)) | None => {}
        Some(
            Stage::Anonymous
            | Stage::LoggingIn(_)
            | Stage::Queued
            | Stage::Asking(_)
            | Stage::Refused(..)
            | Stage::Hailing(..)
            | Stage::Carrying(_)
            | Stage::Departing(..),
        ) => links::say_farewell(server, id, Farewell::Kicked),
    }
}
