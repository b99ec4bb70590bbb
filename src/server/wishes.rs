//! Turns of the lane: each wish is decided, handed to the store, and comes true or is refused.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::accounts::UserId;
use super::acts::NotDone;
use super::answers::{self, Asker};
use super::door;
use super::papers::Then;
use super::papers::lane::{Round, Subjects, Wish, WishId};
use super::people::{blocks, groups};
use super::post;
use super::{ServerState, announcements, orders, restraints, session};
use crate::planted::{self, Planted};
use crate::record::{Change, Outcome, Record};
use crate::wire::Code;
use crate::words::{LinkId, Ticket};

/// What a change costs, and each member that it adds to a group.
pub(super) const CHANGE_UNITS: u64 = 20;

/// What a wish comes to at its turn.
pub(super) enum Decision {
    /// It is to be made durable; these users hear of it then, beside the one who asked.
    Change { change: Change, concerned: Vec<UserId> },
    /// It was answered: it cannot be, or is so already.
    Answered,
    /// It was handed to the shell, which says when it is done.
    Ordered,
}

/// Takes up a wish: its turn comes at once if nothing conflicts with it.
pub(super) fn submit(server: &mut ServerState, wish: Wish) {
    server.papers.lane.add(wish);
    take_turns(server);
}

/// Lets every wish that waits have its turn, if nothing stands in its way.
pub(super) fn take_turns(server: &mut ServerState) {
    let mut round = Round::default();
    while let Some((id, wish)) = server.papers.lane.next(&mut round) {
        let subjects = subjects_of(server, &wish);
        if planted::is(Planted::WishesOvertake) || server.papers.lane.may_go(&mut round, &subjects) {
            take_turn(server, id, &wish, subjects);
        }
    }
}

fn take_turn(server: &mut ServerState, id: WishId, wish: &Wish, subjects: Subjects) {
    let decision = match wish {
        Wish::Block { asker, user } => blocks::decide(server, asker, user),
        Wish::Group { asker, change, group } => groups::decide(server, asker, change, group),
        Wish::Register(registration) => door::decide_account(server, registration),
        Wish::Purge { name } => {
            let user = server.accounts.find(name.as_str());
            let concerned = user.map_or_else(Vec::new, |user| blocks::blockers_of(server, user).to_vec());
            Decision::Change { change: Change::AccountRemoved { name: name.clone() }, concerned }
        }
        Wish::Restrain { ticket, user, how, until } => {
            restraints::decide(server, *ticket, user, *how, *until)
        }
        Wish::BanRange { ticket, range, until } => door::decide_range(server, *ticket, *range, *until),
        Wish::Announce { text, .. } => announcements::decide(server, text),
        Wish::Withdraw { ticket, number } => announcements::decide_withdrawal(server, *ticket, *number),
        Wish::Invite { ticket, code, invite } => door::decide_invite(server, *ticket, *code, invite),
        Wish::Revoke { ticket, number } => door::decide_revocation(server, *ticket, *number),
        Wish::Order { asker, ticket, words } => orders::decide(server, asker, *ticket, words),
    };
    match decision {
        Decision::Answered => {
            server.papers.lane.end(id);
            if let Some(asker) = wish.asker() {
                door::read_on(server, asker.user);
            }
        }
        Decision::Ordered => server.papers.lane.begin(id, subjects, Vec::new()),
        Decision::Change { change, concerned } => {
            if let Some(asker) = wish.asker().filter(|_| !planted::is(Planted::ChangeIsFree)) {
                session::charge(server, asker.user, CHANGE_UNITS * (1 + wish.members_added(&change)));
            }
            if planted::is(Planted::ChangeHoldsEarly) {
                super::apply::apply(server, &Record::Change(change.clone()));
            }
            if planted::is(Planted::AnswerBeforeCommit) && wish.asker().is_some() {
                tell(server, wish, &concerned, Ok(()));
            }
            server.papers.lane.begin(id, subjects, concerned);
            hand_out(server, id, wish.asker(), change);
        }
    }
}

/// Hands a change to the store and, in the same batch, what its command comes to.
fn hand_out(server: &mut ServerState, id: WishId, asker: Option<Asker>, change: Change) {
    let settled = asker.and_then(|asker| answers::settled_record(server, &asker, Outcome::Done));
    let ServerState { papers, out, .. } = server;
    match settled {
        None => papers.persist(out, Record::Change(change), Then::Wish(id)),
        Some(settled) => {
            papers.persist(out, Record::Change(change), Then::Nothing);
            papers.persist(out, settled, Then::Wish(id))
        }
    };
}

/// A wish is durable and applied, or the store refused it: whoever it concerns hears so, and the next one
/// may go.
pub(super) fn settled(server: &mut ServerState, id: WishId, durable: bool) {
    let (wish, concerned) = server.papers.lane.end(id);
    let asker = wish.asker();
    if let Some(asker) = asker.filter(|_| planted::is(Planted::NoticeLate)) {
        door::read_on(server, asker.user);
        server.do_what_is_due();
    }
    let settlement = match durable || planted::is(Planted::ConfirmRefused) {
        true => Ok(()),
        false => Err(Code::StorageUnavailable),
    };
    if !(planted::is(Planted::AnswerBeforeCommit) && asker.is_some()) {
        tell(server, &wish, &concerned, settlement);
    }
    if let Some(asker) = asker {
        door::read_on(server, asker.user);
    }
    take_turns(server);
}

fn tell(server: &mut ServerState, wish: &Wish, concerned: &[UserId], settlement: Result<(), Code>) {
    match (wish, settlement) {
        (Wish::Block { asker, .. } | Wish::Group { asker, .. }, Err(code)) => {
            answers::fail(server, asker, code);
        }
        (Wish::Block { asker, user }, Ok(())) => {
            if let Some(user) = blocks::has_changed(server, asker, user) {
                post::block_changed(server, asker, user);
            }
        }
        (Wish::Group { asker, change, group }, Ok(())) => {
            groups::has_changed(server, asker, change, group, concerned);
        }
        (Wish::Register(registration), settlement) => {
            door::account_decided(server, registration, settlement);
        }
        (Wish::Purge { name }, Ok(())) => {
            door::purged(server, name);
            // What blocks of the account have held back is free.
            for &user in concerned {
                post::pages::show_held(server, user, name);
            }
        }
        (Wish::Purge { .. }, Err(_)) => server.try_again_later(),
        (Wish::Restrain { ticket, user, .. }, settlement) => {
            restraints::has_changed(server, *ticket, user, settlement.is_ok());
        }
        (Wish::BanRange { ticket, range, .. }, settlement) => {
            door::range_decided(server, *ticket, *range, settlement.is_ok());
        }
        (Wish::Invite { ticket, code, .. }, settlement) => {
            door::invite_decided(server, *ticket, *code, settlement.is_ok());
        }
        (Wish::Announce { ticket, .. }, settlement) => {
            announcements::decided(server, *ticket, concerned.len(), settlement.is_ok());
        }
        (Wish::Order { .. }, _) => unreachable!("no record belongs to an order"),
        (Wish::Revoke { ticket, .. } | Wish::Withdraw { ticket, .. }, settlement) => {
            server.out.acted(*ticket, settlement.map(|()| 1).map_err(|_| NotDone::StorageUnavailable));
        }
    }
}

fn subjects_of(server: &ServerState, wish: &Wish) -> Subjects {
    match wish {
        Wish::Block { asker, user } => blocks::subjects(server, asker, user),
        Wish::Group { asker, change, group } => groups::subjects(server, asker, change, group),
        Wish::Register(registration) => door::account_subjects(&registration.name),
        Wish::Purge { name } => door::account_subjects(name),
        Wish::Restrain { user, .. } => restraints::subjects(user),
        Wish::BanRange { .. } => door::range_subjects(),
        Wish::Announce { .. } | Wish::Withdraw { .. } => announcements::subjects(),
        Wish::Invite { .. } | Wish::Revoke { .. } => door::invite_subjects(),
        // What the shell has done for it has wishes of its own.
        Wish::Order { .. } => Subjects::default(),
    }
}

/// The shell has obeyed an order, or has not.
pub(super) fn obeyed(server: &mut ServerState, ticket: Ticket, done: bool, lines: &[Box<str>]) {
    let Some(id) = server.papers.lane.ordered(ticket) else { return };
    let Some(asker) = server.papers.lane.end(id).0.asker() else { unreachable!("a user gives an order") };
    orders::answer(server, &asker, done, lines);
    door::read_on(server, asker.user);
    take_turns(server);
}

/// Wishes without a number whose link is lost before their turn are dropped.
pub(super) fn drop_unnumbered(server: &mut ServerState, link: LinkId) {
    if !planted::is(Planted::UnnumberedOutlivesLink) {
        drop_all(server, &server.papers.lane.unnumbered_of(link));
    }
}

/// Wishes that were not handed to the store are dropped: the server stops.
pub(super) fn drop_waiting(server: &mut ServerState) {
    drop_all(server, &server.papers.lane.all_waiting());
}

fn drop_all(server: &mut ServerState, wishes: &[WishId]) {
    let dropped: Vec<Wish> = wishes.iter().map(|id| server.papers.lane.end(*id).0).collect();
    for asker in dropped.iter().filter_map(Wish::asker) {
        door::read_on(server, asker.user);
    }
    take_turns(server);
}
