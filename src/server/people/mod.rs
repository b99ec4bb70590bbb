//! People: who has blocked whom, who is in which group, who is online and who was, who wants a private
//! link with whom, and whose links run through the server.

pub(super) mod away;
pub(super) mod blocks;
pub(super) mod groups;
pub(super) mod history;
pub(super) mod introductions;
pub(super) mod presence;
pub(super) mod relays;
pub(super) mod roster;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use self::groups::Group;
use self::history::History;
pub(super) use self::history::Past;
use self::introductions::Requests;
pub(super) use self::presence::Told;
use self::relays::Relays;
use self::roster::Roster;
use super::accounts::UserId;
use crate::words::Name;
use crate::words::look_alike::Looks;

/// What concerns more than one account.
#[derive(Debug, Clone, Default)]
pub(super) struct People {
    groups: BTreeMap<Name, Group>,
    /// How many groups have names that look so.
    group_looks: Looks,
    history: History,
    pub(super) roster: Roster,
    requests: Requests,
    relays: Relays,
}

/// One account's part in blocks and groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Ties {
    /// Whom the user has blocked, and by whom they are blocked; in order of their ids.
    blocks: Vec<UserId>,
    blocked_by: Vec<UserId>,
    /// Groups the user is a member of, sorted.
    groups: Vec<Name>,
    /// Groups the user has made, sorted.
    made: Vec<Name>,
}
