//! What an operator may see.

use super::ServerState;
use super::door;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::words::Name;
use core::net::SocketAddr;

/// How a server stands, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Users with a session.
    pub sessions: usize,
    /// Connections, logged in or not.
    pub links: usize,
    /// Accounts that may log in.
    pub accounts: usize,
    /// Names that are locked, those without an account too.
    pub locked: usize,
    /// Records on their way to the disk.
    pub store_queue: usize,
    /// Bytes of text in all mailboxes, and on their way into them.
    pub mailbox_bytes: u64,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Whose.
    pub user: Name,
    /// Where its last link came from.
    pub from: SocketAddr,
    /// When it began.
    pub since: Option<Time>,
    /// How long its user has done nothing, in whole seconds.
    pub idle_secs: u64,
}

impl ServerState {
    /// How the server stands at this time.
    #[must_use]
    pub fn census(&self, now: Time) -> Census {
        let accounts = self.accounts.ids();
        Census {
            sessions: self.online_count(),
            links: self.link_count(),
            accounts: accounts.into_iter().filter(|user| !self.accounts[*user].is_leaving()).count(),
            locked: door::locked_names(self, now),
            store_queue: self.papers.records_under_way(),
            mailbox_bytes: self.post.stored_bytes(),
        }
    }

    /// All sessions at this time, by the names of their users.
    pub fn seats(&self, now: Time) -> impl Iterator<Item = Seat> {
        let mut users = self.people.roster.users().to_vec();
        users.sort_unstable_by(|one, other| self.accounts.name(*one).cmp(self.accounts.name(*other)));
        users.into_iter().filter_map(move |user| {
            let account = &self.accounts[user];
            let session = account.session.as_ref()?;
            if session.link.is_none() && planted::is(Planted::LostSessionUnlisted) {
                return None;
            }
            Some(Seat {
                user: account.name.clone(),
                from: session.from,
                since: account.past.began(),
                idle_secs: now.since(session.last_active).as_secs(),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{records, say, server};
    use super::*;
    use crate::record::RecordNumber;
    use crate::server::Event;
    use alloc::vec::Vec;
    use core::time::Duration;

    #[test]
    fn the_census_counts_what_there_is() {
        let mut server = server(&["hans", "luke", "yoda"], 2);
        let upto = RecordNumber(u64::MAX);
        let before = server.census(Time::ZERO);
        let nobody =
            Census { sessions: 2, links: 3, accounts: 3, locked: 0, store_queue: 0, mailbox_bytes: 0 };
        assert_eq!(before, nobody);
        assert_eq!(say(&mut server, 1, "message yoda hello\n").len(), 1);
        let stored = Census { store_queue: 1, mailbox_bytes: 5, ..nobody };
        assert_eq!(server.census(Time::ZERO), stored, "its room is promised");
        records(&mut server, Event::Committed { upto });
        assert_eq!(server.census(Time::ZERO), Census { store_queue: 0, ..stored });
    }

    #[test]
    fn sessions_are_listed_by_name_with_their_idle_time() {
        let server = server(&["yoda", "hans"], 2);
        let seats: Vec<Seat> = server.seats(Time::ZERO + Duration::from_secs(7)).collect();
        let listed: Vec<_> = seats.iter().map(|seat| (seat.user.as_str(), seat.idle_secs)).collect();
        assert_eq!(listed, [("hans", 7), ("yoda", 7)]);
        assert!(seats.iter().all(|seat| seat.since == Some(Time::ZERO)));
    }
}
