//! `hobnob trust`: accepts the key that a server has now.

use std::io::{self, Write as _};

use super::options::Places;
use super::pins::Pins;
use super::reach::{Reached, Unreached, reach};
use super::server_address::ServerAddress;
use crate::client::Exit;
use crate::client::trust::Distrust;
use crate::shell::platform::{System, WallClock};
use crate::time::Time;

/// Asks the server for its key, pins it and prints it; returns the exit code.
///
/// # Errors
/// Nothing can be printed.
pub(super) fn run(places: &Places) -> io::Result<u8> {
    let (server, platform) = (&places.server, System::new(WallClock::starting_after(Time::ZERO)));
    let before =
        places.state.as_ref().ok().and_then(|root| Pins(root).of(&server.to_string()).ok().flatten());
    match smol::block_on(reach(&platform, places)) {
        Ok(Reached { key: Some(key), .. }) => {
            let mut out = io::stdout();
            writeln!(out, "{server} {}", key.fingerprint).and_then(|()| out.flush())?;
            if let Some(before) = before.filter(|before| *before != key.fingerprint) {
                complain(&format!("{server}: {before} is trusted no more"));
            }
            Ok(Exit::Done.code())
        }
        Ok(Reached { key: None, .. }) => Ok(Exit::Stranger.code()),
        Err(unreached) => {
            let exit = exit(&unreached);
            complain(&explain(server, &unreached));
            Ok(exit.code())
        }
    }
}

/// What follows from an attempt.
pub(super) const fn exit(unreached: &Unreached) -> Exit {
    match unreached {
        Unreached::Distrusted(_) => Exit::Distrusted,
        Unreached::Io(_) | Unreached::NoTls => Exit::ServerLost,
        Unreached::Unknown(_) | Unreached::Unkept(_) => Exit::Failed,
    }
}

/// One line about it, and what can be done.
pub(super) fn explain(server: &ServerAddress, unreached: &Unreached) -> String {
    match unreached {
        Unreached::Io(_) | Unreached::NoTls => format!("cannot reach {server}: {unreached}"),
        Unreached::Distrusted(Distrust::Changed { .. }) => {
            format!("{server}: {unreached}. If its operator says so, accept it: hobnob trust {server}")
        }
        Unreached::Distrusted(_) | Unreached::Unknown(_) | Unreached::Unkept(_) => {
            format!("{server}: {unreached}")
        }
    }
}

fn complain(words: &str) {
    // `eprintln!` would panic if standard error is closed.
    let _ = writeln!(io::stderr(), "hobnob: {words}");
}
