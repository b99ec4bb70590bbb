//! Starting again in the same process, with the port still open (`exec`).

use std::env;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{self, Command};

/// With these variables systemd hands sockets to a service. The last one is ours: systemd's begin at 3.
const COUNT: &str = "LISTEN_FDS";
const PROCESS: &str = "LISTEN_PID";
const FIRST: &str = "LISTEN_FDS_FIRST_FD";
/// Set where the socket that a server hands on is one of the service manager.
const MANAGED: &str = "LISTEN_FDS_MANAGED";

/// Whether the socket that this process was given, if it was, is one that the service manager has and gives again. To be
/// asked before the socket is taken.
pub(super) fn is_of_manager() -> bool {
    env::var_os(COUNT).is_some() && (env::var_os(FIRST).is_none() || env::var_os(MANAGED).is_some())
}

/// Whether a server was here before that has handed on its socket, or the service manager may have started one.
pub(super) fn is_successor() -> bool {
    env::var_os(COUNT).is_some()
}

/// Runs the installed program in the place of this one, which may be another version. Returns only if it cannot. The
/// socket may be one of the service manager.
pub(super) fn become_successor(program: io::Result<PathBuf>, socket: i32, is_managed: bool) -> io::Error {
    let program = match program {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut successor = Command::new(program);
    if is_managed {
        successor.env(MANAGED, "1");
    }
    successor
        .args(env::args_os().skip(1))
        .env(COUNT, "1")
        .env(FIRST, socket.to_string())
        .env(PROCESS, process::id().to_string())
        .exec()
}
