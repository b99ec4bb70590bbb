//! A restart: sessions that can be taken up again are held, and go on at the next start (R58).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

use super::ending::{self, end_for_restart};
use super::links::{self, Stage};
use crate::planted::{self, Planted};
use crate::record::{AfterEnd, Fact};
use crate::server::accounts::UserId;
use crate::server::deadlines::Deadline;
use crate::server::people::{history, presence};
use crate::server::post::{Delivery, storing};
use crate::server::restraints;
use crate::server::session::Session;
use crate::server::{Phase, ServerState, announcements, wishes};
use crate::time::Time;
use crate::wire::Capabilities;
use crate::words::{LinkId, Name};

/// Where a session without a link is: a link brings its own address.
const NOWHERE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Stores what is under way, and closes every link without a word. Wishes that were not handed out are dropped.
pub(in crate::server) fn restart(server: &mut ServerState) {
    server.phase = Phase::Stopping;
    wishes::drop_waiting(server);
    let users = server.people.roster.users().to_vec();
    for &user in &users {
        storing::store_all_under_way(server, user);
    }
    // Those who wait for an answer of somebody who cannot come back get it.
    let (held, over): (Vec<UserId>, Vec<UserId>) =
        users.into_iter().partition(|&user| server.accounts[user].can_be_held());
    over.into_iter().for_each(|user| end_for_restart(server, user));
    held.into_iter().for_each(|user| hold(server, user));
    let mut rest: Vec<LinkId> = server.door.links.keys().copied().collect();
    rest.sort_unstable();
    for link in rest {
        match links::stage(server, link) {
            Some(Stage::Parting(..)) => links::part(server, link),
            Some(Stage::Entering(user, entry)) => {
                ending::never_entered(server, user, entry);
                links::detach(server, link);
            }
            _ => links::detach(server, link),
        }
    }
    let ServerState { papers, out, .. } = server;
    papers.write_kept_facts(out);
}

/// The session ends as far as this process goes, and goes on at the next start.
fn hold(server: &mut ServerState, user: UserId) {
    let Some(link) = server.accounts[user].session.as_mut().map(|session| session.link.take()) else {
        return;
    };
    announcements::note_heard(server, user);
    let after = if planted::is(Planted::RestartForgets) { AfterEnd::Resume } else { AfterEnd::Held };
    let held = Fact::SessionEnded { user: server.accounts.name(user).clone(), after, at: server.now };
    let ServerState { papers, out, .. } = server;
    papers.persist_fact(out, held);
    if let Some(link) = link {
        links::detach(server, link);
    }
}

/// Takes up the sessions that a restart has held, unless it was too long ago. They are without a link, and nobody is
/// told of them.
pub(in crate::server) fn take_up_held(server: &mut ServerState, held: BTreeMap<Name, Time>) {
    let grace = Duration::from_secs(server.settings.restart_grace_secs);
    let is_over = |since: Time, now: Time| since + grace <= now && !planted::is(Planted::HeldTooLong);
    for (name, since) in held {
        if is_over(since, server.now) {
            continue;
        }
        // An operator may have banned them in the last moment before the restart.
        let is_let_in = |server: &ServerState, user| {
            restraints::barred_secs(server, user).is_none() || planted::is(Planted::BannedTakenUp)
        };
        if let Some(user) = server.accounts.find_open(name.as_str())
            && is_let_in(server, user)
            && server.accounts[user].token.is_some()
            && let (Some(began), _) = history::last_session(server, user)
        {
            take_up(server, user, began, grace);
        }
    }
}

fn take_up(server: &mut ServerState, user: UserId, began: Time, grace: Duration) {
    let place = server.people.roster.enter(user);
    server.door.awaited += 1;
    let serial = server.next_serial();
    let session = Session {
        serial,
        link: None,
        held: true,
        from: NOWHERE,
        lost_at: server.now,
        capabilities: Capabilities::default(),
        place,
        away: None,
        last_active: server.now,
        told_idle_since: None,
        looked_at: None,
        delivery: Delivery::default(),
        relays: 0,
        relay_served: 0,
    };
    server.accounts[user].session = Some(Box::new(session));
    history::session_began(server, user, began);
    if !planted::is(Planted::HeldToldAgain) {
        presence::was_told(server, user);
    }
    let (name, login, token) =
        (server.accounts.name(user).clone(), server.accounts[user].login, server.accounts[user].token);
    let ServerState { papers, out, .. } = server;
    if !planted::is(Planted::HeldNotWritten) {
        papers.persist_fact(out, Fact::SessionBegan { user: name, login, token, at: began });
    }
    ending::idle_due(server, user, serial);
    if !planted::is(Planted::HeldForEver) {
        server.deadlines.add(server.now + grace, Deadline::Grace(user, serial));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    use crate::record::{Record, RecordNumber, Recovery};
    use crate::server::{Effect, Event, Settings, Verdict};
    use crate::words::Credential;

    /// What an event leads to: lines and records. Passwords are right, records are durable at once.
    fn tell(server: &mut ServerState, event: Event<'_>, now: Time) -> (String, Vec<Record>) {
        let (mut said, mut records, mut tickets) = (Vec::new(), Vec::new(), Vec::new());
        let durable = Event::Committed { upto: RecordNumber(u64::MAX) };
        for event in [event, durable] {
            for effect in server.handle(event, now) {
                if let Effect::Send { bytes, .. } = effect {
                    said.extend_from_slice(bytes);
                } else if let Effect::Persist { record, .. } = effect {
                    records.push(record.clone());
                } else if let Effect::Verify { ticket, .. } = effect {
                    tickets.push(ticket);
                }
            }
        }
        let mut said = String::from_utf8(said).unwrap();
        for ticket in tickets {
            let more = tell(server, Event::Verified { ticket, verdict: Verdict::Right }, now);
            said += &more.0;
            records.extend(more.1);
        }
        (said, records)
    }

    fn address(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], 40_000))
    }

    fn come(server: &mut ServerState, host: u8, lines: &str, now: Time) -> (String, Vec<Record>) {
        let link = LinkId(host.into());
        tell(server, Event::LinkOpened { link, from: address(host), nonce: [host; 32] }, now);
        tell(server, Event::Received { link, bytes: lines.as_bytes() }, now)
    }

    fn start(records: Vec<Record>) -> ServerState {
        let accounts = ["hans", "yoda"].map(|name| (Name::new(name).unwrap(), Credential::new("pw")));
        let recovery = Recovery { records, ..Recovery::default() };
        ServerState::new(Settings::default(), accounts.to_vec(), recovery, 1, Time::ZERO)
    }

    #[test]
    fn clients_are_awaited_until_they_are_back_or_have_gone() {
        let mut server = start(Vec::new());
        let mut records = Vec::new();
        let mut token = String::new();
        for (host, user) in [(1, "yoda"), (2, "hans")] {
            let (said, written) =
                come(&mut server, host, &format!("hello 1 resume\nlogin {user} pw\n"), Time::ZERO);
            token = said.split_whitespace().skip_while(|word| *word != "token").nth(1).unwrap().into();
            records.extend(written);
            assert!(server.knows(address(host)) && !server.knows(address(host + 2)));
        }
        assert!(!server.awaits_clients());
        records.extend(tell(&mut server, Event::Restart, Time::ZERO).1);

        let mut server = start(records);
        assert_eq!((server.online_count(), server.awaits_clients()), (2, true));
        let (said, _) = come(&mut server, 3, &format!("hello 1 resume\nresume hans {token}\n"), Time::ZERO);
        assert!(said.contains("resumed hans"), "{said}");
        assert_eq!((server.online_count(), server.awaits_clients()), (2, true), "yoda has not come");
        let grace = Duration::from_secs(server.settings.restart_grace_secs);
        tell(&mut server, Event::Tick, Time::ZERO + grace);
        assert_eq!((server.online_count(), server.awaits_clients()), (1, false));
    }
}
