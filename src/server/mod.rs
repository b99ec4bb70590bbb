//! The server as a state machine: events in, effects out.

pub mod effect;
pub mod event;
pub mod settings;

pub use effect::{Effect, Report, SessionEnd};
pub use event::{Event, Verdict};
pub use settings::Settings;

use alloc::vec::Vec;

use crate::record::Recovery;
use crate::time::Time;
use crate::words::{Credential, Name};

/// The server: accounts, sessions, mailboxes, blocks and groups, and what is under way.
#[derive(Debug)]
pub struct ServerState {
    settings: Settings,
}

impl ServerState {
    /// A server that takes up where `recovery` left off. `seed` keys the hash maps. Call
    /// [`handle`](Self::handle) with [`Event::Tick`] once before anything else.
    #[must_use]
    pub fn new(
        settings: Settings,
        accounts: Vec<(Name, Credential)>,
        recovery: Recovery,
        seed: u64,
        now: Time,
    ) -> ServerState {
        let _ = (accounts, recovery, seed, now);
        ServerState { settings }
    }

    /// Takes notice of an event and says what to do about it. All effects must be taken before the
    /// next call; the borrow sees to it that they can be.
    pub fn handle(&mut self, event: Event<'_>, now: Time) -> Effects<'_> {
        let _ = (event, now, &self.settings);
        Effects { items: &[] }
    }
}

/// The effects of one event, in order.
#[derive(Debug)]
#[must_use = "effects that are not carried out are lost"]
pub struct Effects<'a> {
    items: &'a [()],
}

impl<'a> Iterator for Effects<'a> {
    type Item = Effect<'a>;
    fn next(&mut self) -> Option<Effect<'a>> {
        let _ = self.items;
        None
    }
}
