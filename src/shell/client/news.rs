//! Reports of threads and tasks to the task that owns the state.

use std::io;
use std::net::SocketAddr;

use zeroize::Zeroizing;

use super::keys::Pressed;
use super::reach::{Reached, Unreached};
use super::relay::Relayed;
use super::state_folder::{Refusal, StateFolder};
use crate::client::{Logged, Mapped, Recall, Signal};
use crate::shell::platform::{Platform, System};
use crate::words::wiped::WipedBytes;
use crate::words::{DeviceKey, LinkId, Token};

/// Something that has happened outside. No `Debug`: a line may be a password.
pub(super) enum News<P: Platform = System> {
    /// A dial of the server has ended. Dials are numbered.
    Dialled {
        /// Its number.
        dial: u64,
        /// The connection.
        reached: Result<Box<Reached<P::Socket>>, Unreached>,
    },
    /// Bytes from the server.
    FromServer {
        /// The dial that made the connection.
        dial: u64,
        /// At least one.
        bytes: Vec<u8>,
    },
    /// The connection to the server is closed.
    ServerGone {
        /// The dial that made the connection.
        dial: u64,
    },
    /// The machine has lost the address that the connection to the server had.
    ServerStranded {
        /// The dial that made the connection.
        dial: u64,
    },
    /// A dial of another client has succeeded.
    PeerReached {
        /// There.
        address: SocketAddr,
        /// The connection.
        socket: P::Socket,
    },
    /// A dial of another client from the listening port has succeeded.
    PeerPunched {
        /// There.
        address: SocketAddr,
        /// The connection.
        socket: P::Socket,
    },
    /// It has failed.
    PeerUnpunched {
        /// There.
        address: SocketAddr,
    },
    /// Somebody has connected to the private port.
    PeerCame {
        /// From there.
        from: SocketAddr,
        /// The connection.
        socket: P::Socket,
    },
    /// Another client could not be reached.
    PeerUnreached {
        /// There.
        address: SocketAddr,
    },
    /// A link is encrypted, and the other client has proved a key.
    PeerProved {
        /// Which link.
        link: LinkId,
        /// Of its device.
        key: DeviceKey,
        /// Whether the other client can move a conversation to another link.
        can_move: bool,
    },
    /// Bytes from another client.
    FromPeer {
        /// On which link.
        link: LinkId,
        /// At least one.
        bytes: Vec<u8>,
    },
    /// A private link is closed.
    PeerGone {
        /// Which.
        link: LinkId,
    },
    /// Something about a link that the server relays.
    Relay {
        /// Which.
        link: LinkId,
        /// What.
        relayed: Relayed,
    },
    /// The private port is open, or not.
    Listening(Vec<SocketAddr>),
    /// The router was asked for a mapping, and gives one or not.
    PortMapped {
        /// The attempt.
        attempt: u64,
        /// What it passes on.
        mapped: Option<Mapped>,
    },
    /// A state folder was opened, or not.
    StateFolder(Result<Box<(StateFolder, Recall)>, Refusal>),
    /// The cookie of a device was looked for.
    Cookie(Option<Token>),
    /// The log was asked, by this line.
    LookedUp {
        /// The line.
        line: u64,
        /// What was found; `None` if the log cannot be read.
        found: Option<Vec<Logged>>,
    },
    /// The log cannot be written.
    LogFailed(io::Error),
    /// Bytes from a pipe.
    Read(WipedBytes),
    /// A line typed at a terminal, or several that were pasted.
    Line {
        /// What it answers.
        question: u64,
        /// Whether that was a command.
        command: bool,
        /// Without its end.
        text: Zeroizing<String>,
    },
    /// Keys were pressed at a terminal.
    Keys(Pressed),
    /// The input is at its end.
    EndOfInput,
    /// A signal, or Ctrl-C at a terminal.
    Signal(Signal),
    /// A sheet is printed.
    Printed(Printed),
    /// Nothing can be printed any more.
    PrintFailed,
    /// The program that a message was handed to has failed.
    ProgramFailed,
}

/// A printed sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Printed {
    /// How large it was.
    pub(super) bytes: usize,
    /// How many of its deliveries are noted in the state folder.
    pub(super) noted: usize,
    /// The last one.
    pub(super) upto: Option<u64>,
}
