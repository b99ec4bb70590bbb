//! Recordings: every event that the core was given, from the start of the server, so that the same core can be led to
//! the same effects again.
//!
//! # The format
//!
//! A file begins with `hobnob recording 1` and a line feed; the number is the version of the format. Items follow, each
//! with its length before it; what a kill has left of the last one is not read. Numbers are LEB128. The first item holds
//! the program's version and what the core was started from: settings, accounts, and what the store remembered. Then
//! come events, each with its time and followed by the number and a digest of the effects that it had (`effects`). An
//! event without effects is one that the server did not survive. The last item says why the recording ends.
//!
//! # Secrets
//!
//! No secret is written, but something that stands for it: the same for the same, of the same length, so that lines end
//! where they did. That is so for passwords, hashes, tokens, cookies and codes, for names in a `login` that have no account,
//! which may be passwords in the wrong place, and for all but the name of the command in lines that do not parse
//! (`lines`). The key that they are made with is thrown away. Texts of messages, names and addresses are in the
//! recording.
//!
//! The bytes of a line are written with the event that ends the line, while each event says how many bytes came: only of
//! a whole line can be told what is secret in it. A replay reads ahead.
//!
//! A replay has other randomness and another secret of the data folder, and so its core draws other tokens. What stands
//! for a token in the recording is replaced by the token that the replayed core has drawn in its place. Tokens from
//! before the start are known by their digests only: when one is shown, the recording says whose digest it has
//! (`recovered`), and a replay makes that digest anew before it begins.

mod coded;
mod effects;
mod file;
mod format;
mod kinds;
mod lines;
mod recovered;
mod replay;
mod scribe;
mod stand_ins;
mod sum;

pub use self::file::{Recorder, RecordingError};
pub use self::replay::{Difference, Ended, ReplayError, Replayed, Step, replay};
pub use self::scribe::Scribe;

use self::coded::{Coded as _, Encoder};
use self::effects::{Effects, Summary};
use self::kinds::put_event;
use self::scribe::{EFFECTS, EVENT, NO_EFFECTS};
use crate::server::{Effect, Event};
use crate::time::Time;
use crate::words::wiped::wipe;

/// Memory that is kept for notes.
const KEPT: usize = 512 << 10;

/// What a state loop notes, with its secrets.
#[derive(Default)]
pub struct Notes {
    encoder: Encoder,
    effects: Effects,
}

impl Drop for Notes {
    fn drop(&mut self) {
        wipe(&mut self.encoder.bytes);
    }
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notes({} bytes)", self.encoder.bytes.len())
    }
}

impl Notes {
    /// With memory for all but the largest events: what grows leaves copies.
    fn with_memory() -> Notes {
        let mut notes = Notes::default();
        notes.encoder.bytes.reserve(KEPT);
        notes
    }

    /// Notes an event, before the core is told of it.
    pub fn event(&mut self, event: &Event<'_>, now: Time) {
        self.encoder.bytes.push(EVENT);
        self.encoder.bytes.extend_from_slice(&now.0.to_le_bytes());
        put_event(event, &mut self.encoder);
        self.effects.begin();
    }

    /// Notes an effect of the event.
    pub fn effect(&mut self, effect: &Effect<'_>) {
        self.effects.add(effect);
    }

    /// There are no more effects of the event.
    pub fn done(&mut self) {
        let summary = self.effects.sum();
        if summary == Summary::NOTHING {
            return self.encoder.bytes.push(NO_EFFECTS);
        }
        self.encoder.bytes.push(EFFECTS);
        summary.put(&mut self.encoder);
        self.effects.new.tokens.put(&mut self.encoder);
        self.effects.new.closed.put(&mut self.encoder);
    }

    /// What was noted was taken. Much memory is given back.
    pub fn clear(&mut self) {
        wipe(&mut self.encoder.bytes);
        self.encoder.bytes.clear();
        self.encoder.bytes.shrink_to(KEPT);
    }

    /// What was noted.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.encoder.bytes
    }
}
