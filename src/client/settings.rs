//! The options that the core decides by.

use alloc::string::String;
use core::net::SocketAddr;

use crate::words::Password;

/// Settings of the client's core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Answers the first username prompt (`--user`).
    pub user: Option<String>,
    /// Answers the first password prompt (`--password-file`). Without a terminal, a refused login then ends
    /// the program.
    pub password: Option<Password>,
    /// `--accept-private`
    pub accept_private: AcceptPrivate,
    /// `--reconnect`: seconds to try after a lost connection; 0: not at all.
    pub reconnect_secs: u64,
    /// `--retry-login`: back to the prompt after a lockout, logout or timeout.
    pub retry_login: bool,
    /// `--takeover`: ends a session of the user that stands in the way, without asking.
    pub takeover: bool,
    /// Whether input and output are a terminal: a new password is asked for twice, an empty line asks again,
    /// `y` and `n` answer requests.
    pub terminal: bool,
    /// `--private-advertise`: an address to declare beside the one listened on.
    pub private_advertise: Option<SocketAddr>,
    /// Longest line typed, in bytes, its end not counted.
    pub line_bytes: usize,
}

/// `--accept-private`: what to answer to others' `startprivate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptPrivate {
    /// Ask the person.
    Ask,
    /// Always yes.
    Auto,
    /// Always no.
    Never,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            user: None,
            password: None,
            accept_private: AcceptPrivate::Ask,
            reconnect_secs: 60,
            retry_login: false,
            takeover: false,
            terminal: false,
            private_advertise: None,
            line_bytes: 4_096,
        }
    }
}
