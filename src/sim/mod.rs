//! The world of simulated clients, server, store, links and clock.
//!
//! A [`scenario`] is a slice of steps. The world takes them with one real server core, real client
//! cores, model links, a model store and one virtual clock; everything that crosses a boundary goes
//! into a trace, and the trace alone is judged: by invariants and by a small reference model. A real store
//! may take the model's place: see [`disk`].

// The checks recognise a few shapes among many; a new shape is none of theirs.
#![allow(clippy::wildcard_enum_match_arm)]

mod agenda;
mod agreement;
mod by_hand;
mod calls;
mod cast;
mod check;
mod client_host;
mod couriers;
pub mod coverage;
pub mod disk;
mod display;
mod doors;
mod draw;
mod durable;
mod evil;
pub mod exam;
mod faults;
mod folders;
mod hand;
mod hashing;
mod introductions;
mod inviting;
mod keeping;
mod keyboards;
mod link;
pub mod minimise;
mod network;
mod operating;
mod ordering;
mod pressing;
mod private_links;
mod reading;
mod real;
mod reference;
mod relayed;
mod relays_by_hand;
pub mod run;
pub mod scenario;
mod seals;
mod server_host;
mod steps;
mod store;
mod store_host;
mod story;
mod strangers;
mod tape;
pub mod targets;
mod trace;
pub mod twin;
mod weather;
mod world;
