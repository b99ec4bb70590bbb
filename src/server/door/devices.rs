//! Devices: clients that were in before, and have tries of their own (R51).

use alloc::vec::Vec;

use crate::planted::{self, Planted};
use crate::record::{DeviceStanding, Digest, Fact, RecordNumber};
use crate::server::ServerState;
use crate::server::accounts::UserId;
use crate::server::door::couriers;
use crate::server::door::names::Guesses;
use crate::words::{LinkId, LoginNumber, Token};

/// Devices of an account.
const DEVICES: usize = 8;

/// A client that was in before.
#[derive(Debug, Clone)]
pub(in crate::server) struct Device {
    /// Of its cookie.
    digest: Digest,
    /// The last login from it.
    login: LoginNumber,
    pub(super) guesses: Guesses,
}

/// `device COOKIE`: what a client says of itself before it logs in.
pub(super) fn shown(server: &mut ServerState, id: LinkId, cookie: Token) {
    if let Some(link) = server.door.links.get_mut(&id) {
        link.cookie = Some(cookie);
    }
}

/// The device of an account whose cookie a link has shown.
pub(super) fn of_link(server: &ServerState, id: LinkId, user: UserId) -> Option<Digest> {
    let cookie = server.door.links.get(&id)?.cookie?;
    let account = &server.accounts[user];
    let digests = server.secrets.device_digests(&cookie, account.credential.as_ref()?);
    account.devices.iter().map(|device| device.digest).find(|digest| digests.contains(digest))
}

/// Those of an account, in their order.
pub(super) fn digests(server: &ServerState, user: UserId) -> Vec<Digest> {
    let mut digests: Vec<Digest> = server.accounts[user].devices.iter().map(|device| device.digest).collect();
    digests.sort_unstable();
    digests
}

pub(super) fn find(server: &ServerState, user: UserId, device: Digest) -> Option<&Device> {
    server.accounts[user].devices.iter().find(|known| known.digest == device)
}

pub(super) fn find_mut(server: &mut ServerState, user: UserId, device: Digest) -> Option<&mut Device> {
    server.accounts[user].devices.iter_mut().find(|known| known.digest == device)
}

/// Whether the device of a login on this link is remembered.
pub(super) fn is_noted(server: &ServerState, id: LinkId) -> bool {
    server.door.links.get(&id).is_some_and(|link| link.capabilities.device)
}

/// A user logs in by password: from a device that is known, or from one that gets a cookie. `None`: it has one, or
/// keeps none.
pub(super) fn note_login(server: &mut ServerState, id: LinkId, user: UserId) -> Option<Token> {
    if !is_noted(server, id) {
        return None;
    }
    let login = server.accounts[user].login;
    if let Some(digest) = of_link(server, id, user) {
        if let Some(device) = find_mut(server, user, digest) {
            device.login = login;
        }
        persist(server, user, digest);
        return None;
    }
    let cookie = server.secrets.token();
    let [digest, _] = server.secrets.device_digests(&cookie, server.accounts[user].credential.as_ref()?);
    forget_beyond(server, user, DEVICES - 1);
    server.accounts[user].devices.push(Device { digest, login, guesses: Guesses::default() });
    persist(server, user, digest);
    Some(cookie)
}

/// Leaves an account so many devices; those that were in longest ago go.
fn forget_beyond(server: &mut ServerState, user: UserId, left: usize) {
    while server.accounts[user].devices.len() > left && !planted::is(Planted::DevicesAddUp) {
        let devices = &mut server.accounts[user].devices;
        let Some(oldest) = (0..devices.len()).min_by_key(|at| devices.get(*at).map(|device| device.login))
        else {
            return;
        };
        let device = devices.remove(oldest).digest;
        let user = server.accounts.name(user).clone();
        let ServerState { papers, out, .. } = server;
        papers.persist_fact(out, Fact::Device { user, device, standing: None });
    }
}

/// Writes what is remembered of a device, if it is not forgotten; the record.
pub(super) fn persist(server: &mut ServerState, user: UserId, device: Digest) -> RecordNumber {
    let Some(known) = find(server, user, device) else { return RecordNumber(0) };
    let Guesses { count, locked_until, record, .. } = known.guesses;
    let standing = Some(DeviceStanding { login: known.login, count, locked_until });
    if server.accounts[user].is_leaving() {
        return record;
    }
    let user = server.accounts.name(user).clone();
    let ServerState { papers, out, .. } = server;
    papers.persist_fact(out, Fact::Device { user, device, standing })
}

/// What an earlier run remembered.
pub(in crate::server) fn apply_device(
    server: &mut ServerState,
    user: UserId,
    device: Digest,
    standing: Option<DeviceStanding>,
) {
    let devices = &mut server.accounts[user].devices;
    devices.retain(|known| known.digest != device);
    if let Some(DeviceStanding { login, count, locked_until }) = standing {
        let guesses = Guesses { count, locked_until, ..Guesses::default() };
        devices.push(Device { digest: device, login, guesses });
    }
}

/// After a start: a full disk may have left more devices and tokens than an account has.
pub(in crate::server) fn forget_too_many(server: &mut ServerState) {
    for user in server.accounts.ids() {
        forget_beyond(server, user, DEVICES);
        couriers::forget_too_many(server, user);
    }
}
