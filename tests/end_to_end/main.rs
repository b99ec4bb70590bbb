//! The two real programs, checked from outside: what is typed, what is shown, how they end.
//!
//! One file a topic of the contract. Everything a client shows in JSON is held against the
//! contract's table of fields as it comes, and every log is searched for passwords and texts.

mod harness;

mod blocking;
mod broadcasts;
mod groups;
mod lists;
mod lockout;
mod logins;
mod mailbox;
mod messages;
