//! The attacks: what each does, what is beside it, and what must hold.

mod changes;
mod evil;
mod guesses;
mod handshakes;
mod mail;
mod names;
mod presence;
mod private_port;
mod requests;
mod returns;
mod secrets;
mod strangers;

use anyhow::Result;

use super::Suite;
use super::attacker::Act;
use super::table::Outcome;

/// One attack of the suite.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What the attacker does.
    pub(crate) attack: &'static str,
    /// Whether it takes addresses that are not of the loopback.
    pub(crate) addresses: bool,
    /// Its time limit, in seconds.
    pub(crate) secs: u64,
    pub(crate) run: fn(&Suite) -> Result<Outcome>,
}

/// All attacks, in the order in which they run.
pub(crate) const ROWS: &[Row] = &[
    changes::ONE_BLOCKS,
    changes::FOUR_BLOCK,
    changes::GROUPS,
    changes::PLACES,
    presence::RESUMES,
    presence::LISTS,
    mail::TOTAL,
    mail::THREE,
    mail::BROADCASTS,
    requests::ASKS,
    requests::ASKERS,
    guesses::KNOWN_NAMES,
    guesses::MADE_UP,
    guesses::LOOPBACK,
    guesses::LOCKOUT,
    guesses::TIMING,
    guesses::NAMES_BUSY,
    guesses::NAMES_COMPARED,
    guesses::NAMES_LOCKED,
    private_port::FLOOD,
    strangers::TRICKLE,
    strangers::FLOOD,
    strangers::CLOSING,
    strangers::FEW_FILES,
    handshakes::WHOLE,
    handshakes::HALF,
    handshakes::HALF_OF_MANY,
    handshakes::PIECES,
    returns::RETURNS,
    names::REGISTRATIONS,
    names::LOOK_ALIKES,
    evil::DIALS,
    evil::LISTS,
    secrets::PASSWORD,
    secrets::CORES,
];

/// The acts of attackers, by name.
pub(crate) fn acts() -> impl Iterator<Item = (&'static str, Act)> {
    [
        changes::ACTS,
        presence::ACTS,
        mail::ACTS,
        requests::ACTS,
        private_port::ACTS,
        guesses::ACTS,
        strangers::ACTS,
        handshakes::ACTS,
        names::ACTS,
        evil::ACTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
