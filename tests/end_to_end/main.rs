//! The two real programs, checked from outside: what is typed, what is shown, how they end.
//!
//! One file a topic of the contract. Everything a client shows in JSON is held against the
//! contract's table of fields as it comes, and every log is searched for passwords and texts.

mod about_people;
mod accounts;
mod blocking;
mod broadcasts;
mod couriers;
mod crowds;
mod ctl;
mod doors;
mod encryption;
mod floods;
mod frozen;
mod groups;
mod invites;
mod kept_for_days;
mod known_bugs;
mod leaving;
mod limits;
mod lists;
mod lockout;
mod log;
mod logins;
mod mailbox;
mod memory;
mod messages;
mod metrics;
mod moving_links;
mod nc;
mod plain_mode;
mod private_door;
mod private_ends;
mod private_links;
mod recording;
mod relayed_links;
mod reload;
mod restarts;
mod resume;
mod secrets;
mod send;
mod server_options;
mod service_manager;
mod sessions;
mod shortages;
mod stopping;
mod subcommands;
mod terminal_mode;
mod timeouts;
mod tls_door;
mod top;
mod watch;
