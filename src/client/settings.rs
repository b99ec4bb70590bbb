//! The options that the core decides by.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::wire::code::spelled;
use crate::words::{DeviceKey, Password, Token};

/// Settings of the client's core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Answers the first username prompt (`--user`).
    pub user: Option<String>,
    /// Answers the first password prompt (`--password-file`). Without a terminal, a refused login then ends
    /// the program.
    pub password: Option<Password>,
    /// `hobnob join`: the code of an invite, by which an account is made.
    pub invite: Option<Token>,
    /// `--accept-private`
    pub accept_private: AcceptPrivate,
    /// `--reconnect`: seconds to try after a lost connection; 0: not at all. `None`: for ever at a terminal, 60
    /// elsewhere.
    pub reconnect_secs: Option<u64>,
    /// `--retry-login`: back to the prompt after a lockout, logout or timeout.
    pub retry_login: bool,
    /// `--takeover`: ends a session of the user that stands in the way, without asking.
    pub takeover: bool,
    /// Whether the messages go to a script, as they are shown: `hobnob watch`, which has a password.
    pub watch: Watch,
    /// `--strict`: where no person types, a command that fails shows in the exit code.
    pub strict: bool,
    /// Whether input and output are a terminal: a new password is asked for twice, an empty line asks again,
    /// `y` and `n` answer requests.
    pub terminal: bool,
    /// `--private-advertise`: an address to declare beside the one listened on.
    pub private_advertise: Option<SocketAddr>,
    /// `--map-port`: whether the router is asked to let others in.
    pub map_port: MapPort,
    /// `--path`: how private links run, where nothing else was said of a user.
    pub path: Way,
    /// The key of this device, by which others know it on private links; without one there are none.
    pub device_key: Option<DeviceKey>,
    /// At a terminal: words to mark in texts, beside the user's own name; `*` at an end stands for the rest of a word.
    pub highlight: Vec<String>,
    /// At a terminal: what rings.
    pub bell: Bell,
    /// At a terminal: seconds without a key after which what comes is marked as new; 0: never.
    pub new_after_secs: u64,
    /// What is kept of what was said.
    pub log: Log,
    /// Longest line typed, in bytes, its end not counted.
    pub line_bytes: usize,
}

spelled! {
    /// `--path`, and the command `path`: how private links are to run.
    Way {
        /// From client to client, and nothing is relayed.
        Direct = "direct",
        /// Whichever works.
        Auto = "auto",
        /// Through the server, and nobody learns an address.
        Relay = "relay",
    }
}

/// `--map-port`: whether the router is asked to pass a port on to this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapPort {
    /// No.
    Off,
    /// If there is one, and private links can come that way.
    Auto,
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

/// Which messages ring at a terminal. Several at once ring once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bell {
    /// None.
    Never,
    /// Direct and private ones, and those that hold the user's name or a chosen word.
    Mention,
    /// All.
    Message,
}

/// Whether messages go to a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Watch {
    /// There is a person, or a script that types.
    #[default]
    Off,
    /// They are printed.
    Prints,
    /// Each is handed to a program. One that has ended well is activity of its user.
    Runs,
}

/// What is kept on the client's own disk of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Nothing.
    Off,
    /// All but what was said on private links.
    AllButPrivate,
    /// All.
    All,
}

/// How long to try after a lost connection where nobody watches.
const PATIENCE_SECS: u64 = 60;

impl Settings {
    /// Whether the client goes on without its server and logs in again: whoever sits at a terminal decides when
    /// it ends, and a script watches until it is told to end.
    pub(super) fn outlasts_server(&self) -> bool {
        (self.terminal || self.comes_back()) && self.reconnect_secs != Some(0)
    }

    /// Whether the client logs in again by itself when its user was idle for too long.
    pub(super) fn comes_back(&self) -> bool {
        self.watch != Watch::Off
    }

    /// How long to try after a lost connection; `None`: for ever.
    pub(super) fn patience_secs(&self) -> Option<u64> {
        self.reconnect_secs.or((!self.terminal && !self.comes_back()).then_some(PATIENCE_SECS))
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            user: None,
            password: None,
            invite: None,
            accept_private: AcceptPrivate::Ask,
            reconnect_secs: None,
            retry_login: false,
            takeover: false,
            watch: Watch::Off,
            strict: false,
            terminal: false,
            private_advertise: None,
            map_port: MapPort::Off,
            path: Way::Auto,
            device_key: None,
            highlight: Vec::new(),
            bell: Bell::Never,
            new_after_secs: 0,
            log: Log::Off,
            line_bytes: 4_096,
        }
    }
}
