//! Passwords that wait for a hashing thread, in lanes (R49).

use alloc::collections::VecDeque;
use alloc::string::String;
use core::net::IpAddr;

use super::addresses;
use super::links::{self, Stage};
use super::login;
use super::tries::{self, Counted};
use super::waiting::{self, Waits};
use crate::planted::{self, Planted};
use crate::record::Digest;
use crate::server::accounts::UserId;
use crate::server::{Later, ServerState};
use crate::words::{LinkId, Name, Password};

/// Passwords that may wait in one lane.
const A_LANE: usize = 16;

/// The passwords that wait, and how many threads are at work.
#[derive(Clone, Default)]
pub(super) struct Hashing {
    known: Lanes,
    others: Lanes,
    waiting: usize,
    at_work: u32,
    /// Whose turn the last one was.
    last: Kind,
}

/// Lanes that take turns, the next first.
type Lanes = VecDeque<Lane>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    Known,
    #[default]
    Other,
}

/// What shares one place in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Address(IpAddr),
    Device(UserId, Digest),
}

#[derive(Clone)]
struct Lane {
    owner: Owner,
    waiting: VecDeque<Job>,
}

/// A password that waits. No `Debug`.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) link: LinkId,
    pub(super) name: String,
    pub(super) password: Password,
    pub(super) task: Task,
}

/// What is to be done with a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    Compare(Counted),
    /// Hashed for a new account.
    Register(Name),
}

impl Hashing {
    fn lanes(&self, kind: Kind) -> &Lanes {
        match kind {
            Kind::Known => &self.known,
            Kind::Other => &self.others,
        }
    }

    fn lanes_mut(&mut self, kind: Kind) -> &mut Lanes {
        match kind {
            Kind::Known => &mut self.known,
            Kind::Other => &mut self.others,
        }
    }

    fn lane(&self, owner: Owner) -> Option<&Lane> {
        self.known.iter().chain(&self.others).find(|lane| lane.owner == owner)
    }

    /// How many are being hashed, and how many wait.
    pub(super) const fn counts(&self) -> (u32, usize) {
        (self.at_work, self.waiting)
    }

    /// Nothing waits, and nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.waiting == 0 && self.at_work == 0
    }

    /// Whether a password for an account waits.
    fn waits_for(&self, user: UserId) -> bool {
        let of_user = |job: &Job| matches!(job.task, Task::Compare(counted) if counted.user() == Some(user));
        self.known.iter().chain(&self.others).any(|lane| lane.waiting.iter().any(of_user))
    }

    /// Takes the password of a link that is gone out of its lane.
    fn take(&mut self, link: LinkId) -> Option<Job> {
        for kind in [Kind::Known, Kind::Other] {
            let lanes = self.lanes_mut(kind);
            let place = |lane: &Lane| lane.waiting.iter().position(|job| job.link == link);
            let found = lanes.iter().enumerate().find_map(|(at, lane)| place(lane).map(|job| (at, job)));
            if let Some((at, job)) = found {
                return self.take_at(kind, at, job);
            }
        }
        None
    }

    fn take_at(&mut self, kind: Kind, at: usize, job: usize) -> Option<Job> {
        let lanes = self.lanes_mut(kind);
        let lane = lanes.get_mut(at)?;
        let job = lane.waiting.remove(job)?;
        if lane.waiting.is_empty() {
            lanes.remove(at);
        }
        self.waiting -= 1;
        Some(job)
    }
}

fn owner(server: &ServerState, link: LinkId, task: &Task) -> Option<Owner> {
    if let Task::Compare(Counted::Device(user, device)) = *task {
        return Some(Owner::Device(user, device));
    }
    let from = server.door.links.get(&link)?.from;
    Some(Owner::Address(addresses::host(from)))
}

/// Whether a password may wait.
pub(super) fn has_room(server: &ServerState, link: LinkId, name: &str, task: &Task) -> bool {
    let Some(lane) = owner(server, link, task).and_then(|owner| server.door.hashing.lane(owner)) else {
        return true;
    };
    let all = server.settings.hash_queue as usize;
    let is_full = all > 0 && server.door.hashing.waiting >= all;
    lane.waiting.len() < A_LANE && !is_full && lane.waiting.iter().all(|job| job.name != name)
}

/// Lets a password wait, and gives it its turn at once if a thread is free.
pub(super) fn submit(server: &mut ServerState, job: Job) {
    let link = job.link;
    let Some(owner) = owner(server, link, &job.task) else { return };
    waiting::wait(server, link, Waits::LOGIN);
    links::set_stage(server, link, Stage::Queued);
    let known = match owner {
        Owner::Device(..) => true,
        Owner::Address(_) => {
            server.door.links.get(&link).is_some_and(|link| addresses::is_known(server, link.from))
        }
    };
    let kind = if known && !planted::is(Planted::KnownWaitsLikeOthers) { Kind::Known } else { Kind::Other };
    let hashing = &mut server.door.hashing;
    hashing.waiting += 1;
    let lane = hashing.known.iter_mut().chain(&mut hashing.others).find(|lane| lane.owner == owner);
    match lane {
        Some(lane) => lane.waiting.push_back(job),
        None => hashing.lanes_mut(kind).push_back(Lane { owner, waiting: VecDeque::from([job]) }),
    }
    give_turns(server);
}

/// A thread has done its work.
pub(super) fn thread_is_free(server: &mut ServerState) {
    assert!(server.door.hashing.at_work > 0, "an answer has its question");
    server.door.hashing.at_work -= 1;
}

/// A thread is given work.
pub(super) fn thread_is_taken(server: &mut ServerState) {
    server.door.hashing.at_work += 1;
}

/// Gives turns while a thread is free.
pub(super) fn give_turns(server: &mut ServerState) {
    let threads = server.settings.hashing_threads.max(1);
    let no_bound = planted::is(Planted::HashingUnbounded);
    while (server.door.hashing.at_work < threads || no_bound)
        && let Some(job) = next(server)
    {
        let link = job.link;
        assert!(links::stage(server, link) == Some(Stage::Queued), "whoever waits is there");
        links::set_stage(server, link, Stage::Anonymous);
        let task = job.task.clone();
        login::turn_has_come(server, job);
        waits_no_more(server, &task);
        login::read_on_if_refused(server, link);
    }
}

/// Takes the password whose turn it is.
fn next(server: &mut ServerState) -> Option<Job> {
    let turns = match server.door.hashing.last {
        Kind::Known => [Kind::Other, Kind::Known],
        Kind::Other => [Kind::Known, Kind::Other],
    };
    let (kind, at, job) = turns.into_iter().find_map(|kind| {
        let (at, job) = ready(server, server.door.hashing.lanes(kind))?;
        Some((kind, at, job))
    })?;
    let hashing = &mut server.door.hashing;
    hashing.last = kind;
    let lanes = hashing.lanes_mut(kind);
    let had_turn = lanes.get(at).map(|lane| lane.owner);
    let job = hashing.take_at(kind, at, job);
    let lanes = hashing.lanes_mut(kind);
    if lanes.get(at).map(|lane| lane.owner) == had_turn
        && let Some(lane) = lanes.remove(at)
    {
        if planted::is(Planted::LanesKeepTheirPlace) {
            lanes.push_front(lane);
        } else {
            lanes.push_back(lane);
        }
    }
    job
}

/// The first lane that can have its turn, and which of its passwords: one that would only wait for others of its
/// name is passed over.
fn ready(server: &ServerState, lanes: &Lanes) -> Option<(usize, usize)> {
    let ready = |job: &Job| match job.task {
        Task::Compare(counted) => {
            tries::locked_secs(server, counted).is_some() || !tries::are_taken(server, counted)
        }
        Task::Register(_) => true,
    };
    lanes.iter().enumerate().find_map(|(at, lane)| {
        let job = lane.waiting.iter().position(ready)?;
        Some((at, job))
    })
}

/// The link of a password that waits is gone.
pub(super) fn leave(server: &mut ServerState, link: LinkId) {
    let Some(Job { task, .. }) = server.door.hashing.take(link) else { return };
    if let Task::Register(name) = &task {
        server.door.registering.remove(name);
    }
    waits_no_more(server, &task);
}

/// An account that was gone may be purged once no password for it waits.
fn waits_no_more(server: &mut ServerState, task: &Task) {
    if let Task::Compare(counted) = task
        && let Some(user) = counted.user()
        && server.accounts[user].is_leaving()
    {
        server.later.push_back(Later::Purge);
    }
}

/// Whether a password for the account waits, or is being compared.
pub(in crate::server) fn has_passwords_of(server: &ServerState, user: UserId) -> bool {
    server.door.hashing.waits_for(user) || tries::is_tried(server, user)
}
