//! `top`: what a running server does, each second, through the socket in its data folder.

mod screen;
mod table;

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::time::Duration;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt as _;
use futures_lite::future::or;
use serde_json::{Value, json};

use self::screen::Screen;
use super::ctl::{CtlError, accepted, ask};
use super::setup::config::Sources;
use crate::shell::platform::{Platform as _, System, WallClock};
use crate::shell::visible::visible;
use crate::time::Time;

/// Time between two tables.
const EVERY: Duration = Duration::from_secs(1);

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Top {
    /// Once.
    pub once: bool,
    /// As an object a line.
    pub json: bool,
}

/// Shows what the server does until a key, a signal or the end of whoever reads ends it.
///
/// # Errors
/// [`CtlError`]. At a terminal one that comes later is shown, and the server is asked again.
pub fn top(sources: &Sources, how: Top) -> Result<(), CtlError> {
    let folder = sources.load()?.data;
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let live = !how.once && !how.json && !dumb && io::stdout().is_terminal();
    let first = if live { fetch_rows(&folder) } else { fetch(&folder) }?;
    let watching =
        async { if live { watch(&folder, first).await } else { print_on(&folder, first, how).await } };
    async_io::block_on(watching)
}

/// What the server says: its status, and its sessions.
fn fetch(folder: &Path) -> Result<Value, CtlError> {
    accepted(&ask(folder, "top")?.0)
}

/// The same, with as many sessions as the terminal has rows, those whose users did something last.
fn fetch_rows(folder: &Path) -> Result<Value, CtlError> {
    match accepted(&ask(folder, &format!("top {}", screen::size().rows))?.0) {
        // A server of an earlier version tells all.
        Err(CtlError::Refused(_)) => fetch(folder),
        answer => answer,
    }
}

/// One table or object after the other.
async fn print_on(folder: &Path, first: Value, how: Top) -> Result<(), CtlError> {
    let platform = System::new(WallClock::starting_after(Time::ZERO));
    let mut answer = first;
    loop {
        let text = if how.json {
            json!({ "status": answer["status"], "sessions": answer["sessions"] }).to_string() + "\n"
        } else {
            let lines = table::lines(&answer, table::UNBOUNDED);
            lines.join("\n") + if how.once { "\n" } else { "\n\n" }
        };
        let mut stdout = io::stdout().lock();
        // Nobody reads any more.
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() || how.once {
            return Ok(());
        }
        drop(stdout);
        platform.after(EVERY).await;
        answer = fetch(folder)?;
    }
}

/// What wakes the live table.
enum Wake {
    Key(u8),
    Signal(Signal),
    Due,
    Answer(Result<Value, CtlError>),
}

/// The live table, at a terminal.
async fn watch(folder: &Path, first: Value) -> Result<(), CtlError> {
    let platform = System::new(WallClock::starting_after(Time::ZERO));
    let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup, Signal::Winch]);
    let mut signals = signals.map_err(CtlError::Unreached)?;
    let mut screen = Screen::open().map_err(CtlError::Unreached)?;
    let (mut shown, mut trouble): (Value, Option<String>) = (first, None);
    // The server is asked on another thread: it may not answer, and keys count all the same.
    let (mut due, mut asked) = (platform.after(EVERY), None);
    loop {
        let lines = |size| match &trouble {
            Some(words) => vec![visible(words).to_string()],
            None => table::lines(&shown, size),
        };
        if screen.draw(lines).is_err() {
            return Ok(());
        }
        let key = async { Wake::Key(screen.key().await) };
        let signal = async {
            match signals.next().await {
                Some(Ok(signal)) => Wake::Signal(signal),
                Some(Err(_)) | None => std::future::pending().await,
            }
        };
        let next = async {
            match &mut asked {
                None => {
                    (&mut due).await;
                    Wake::Due
                }
                Some(answer) => Wake::Answer(answer.await),
            }
        };
        match or(key, or(signal, next)).await {
            Wake::Key(b'q' | b'Q' | screen::CTRL_C | screen::CTRL_D) => return Ok(()),
            Wake::Signal(Signal::Int | Signal::Term | Signal::Hup) => return Ok(()),
            // It is drawn again.
            Wake::Key(_) | Wake::Signal(_) => {}
            Wake::Due => {
                let folder = folder.to_path_buf();
                asked = Some(smol::unblock(move || fetch_rows(&folder)));
            }
            Wake::Answer(answer) => {
                (due, asked) = (platform.after(EVERY), None);
                match answer {
                    Ok(answer) => (shown, trouble) = (answer, None),
                    Err(error) => trouble = Some(error.to_string()),
                }
            }
        }
    }
}
