//! The client as a state machine: events in, effects out.

pub mod effect;
pub mod event;
pub mod settings;
pub mod view;

pub use effect::{Effect, Exit};
pub use event::{Event, Mark, PeerOpened, Recall, Signal};
pub use settings::{AcceptPrivate, Settings};

use crate::time::Time;

/// The client: its login, its outstanding commands, its private links.
#[derive(Debug)]
pub struct ClientState {
    settings: Settings,
}

impl ClientState {
    /// A client that has not started yet. `seed` keys hash maps and jitter.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> ClientState {
        let _ = seed;
        ClientState { settings }
    }

    /// Takes notice of an event and says what to do about it. All effects must be taken before the
    /// next call.
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
