//! A recording on the disk, written by a thread of its own.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;
use zeroize::Zeroize as _;

use super::format::{End, whole_events};
use super::{Notes, Scribe};
use crate::record::Recovery;
use crate::server::{Effect, Event, Settings};
use crate::shell::own_files::open_own;
use crate::shell::visible::visible;
use crate::time::Time;
use crate::words::wiped::WipedBytes;
use crate::words::{Credential, Name};

/// How much there may be.
const BOUNDS: Bounds = Bounds { file: 1 << 30, waiting: 64 << 20 };
/// Notes that are given to the thread in the middle of a turn.
const ENOUGH: usize = 256 << 10;
/// Pieces of memory that are kept for notes, each of [`ENOUGH`] bytes or twice that.
const SPARE: usize = 16;
/// How long a server that stops waits for the thread.
const LAST_WRITE: Duration = Duration::from_secs(2);
/// How long the thread waits for more before it writes: fewer, larger writes.
const GATHER: Duration = Duration::from_millis(5);
/// What is written at once, beside what is left.
const PIECE: usize = 64 << 10;

/// A recording that cannot begin.
#[derive(Debug, Error)]
#[error("cannot record to {}: {why}", visible(&path.to_string_lossy()))]
pub struct RecordingError {
    path: PathBuf,
    why: io::Error,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// The longest recording, in bytes, but for its last item.
    file: u64,
    /// Bytes of notes that may wait for the thread. The state loop never waits.
    waiting: usize,
}

/// Takes what the state loop notes. The recording ends when it is dropped.
pub struct Recorder {
    notes: Notes,
    shared: Arc<Shared>,
    /// Most of what may wait.
    waiting: usize,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    /// In pieces, so that none becomes large: whoever adds to them never waits for much to be copied.
    noted: Vec<WipedBytes>,
    /// How many bytes they are.
    waiting: usize,
    /// Memory of pieces that were written.
    spare: Vec<WipedBytes>,
    /// Whether the thread waits for something to do.
    waits: bool,
    /// Nothing more will come, for this reason.
    over: Option<End>,
    /// The state loop has panicked: the recording ends without a last word.
    cut: bool,
    /// The thread has ended.
    done: bool,
}

impl State {
    fn add(&mut self, notes: &[u8]) {
        self.waiting += notes.len();
        match self.noted.last_mut().filter(|piece| piece.len() + notes.len() <= ENOUGH) {
            Some(piece) => piece.extend_from_slice(notes),
            None => {
                let mut piece = self.spare.pop().unwrap_or_default();
                piece.extend_from_slice(notes);
                self.noted.push(piece);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the recording, unless it has ended.
    fn end(&self, why: End) {
        self.lock().over.get_or_insert(why);
        self.more.notify_all();
    }
}

impl Recorder {
    /// Begins a recording in a new file. If the server has started again, and the file of its earlier start is there, the
    /// new one has a number behind its name.
    ///
    /// # Errors
    /// The file exists or cannot be made; the system has no randomness or no thread.
    pub fn begin(
        path: &Path,
        started_again: bool,
        settings: &Settings,
        accounts: &[(Name, Credential)],
        recovery: &Recovery,
        now: Time,
    ) -> Result<Recorder, RecordingError> {
        let fail = |why| RecordingError { path: path.to_owned(), why };
        let (file, own_path) = create(path, started_again).map_err(fail)?;
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| fail(io::Error::other(error.to_string())))?;
        let scribe = Scribe::begin(key, settings, accounts, recovery, now);
        key.zeroize();
        tracing::warn!("everything that happens is recorded in {}", visible(&own_path.to_string_lossy()));
        Recorder::write_to(file, own_path, scribe, BOUNDS).map_err(fail)
    }

    fn write_to(file: File, path: PathBuf, scribe: Scribe, bounds: Bounds) -> io::Result<Recorder> {
        let shared: Arc<Shared> = Arc::default();
        let writer =
            Writer { scribe, file, path, written: 0, longest: bounds.file, shared: Arc::clone(&shared) };
        thread::Builder::new().name("recording".to_owned()).spawn(move || writer.run())?;
        Ok(Recorder { notes: Notes::with_memory(), shared, waiting: bounds.waiting })
    }

    /// Notes an event, before the core is told of it.
    pub fn event(&mut self, event: &Event<'_>, now: Time) {
        self.notes.event(event, now);
    }

    /// Notes an effect of the event.
    pub fn effect(&mut self, effect: &Effect<'_>) {
        self.notes.effect(effect);
    }

    /// There are no more effects of the event.
    pub fn done(&mut self) {
        self.notes.done();
        if self.notes.bytes().len() > ENOUGH {
            self.hand_over();
        }
    }

    /// Gives the thread what was noted. `false`: the recording has ended.
    pub fn hand_over(&mut self) -> bool {
        let count = self.notes.bytes().len();
        let mut state = self.shared.lock();
        if state.waiting + count > self.waiting {
            state.over.get_or_insert(End::Behind);
        }
        let goes_on = state.over.is_none();
        if !goes_on || count == 0 {
            return goes_on;
        }
        state.add(self.notes.bytes());
        let waits = std::mem::take(&mut state.waits);
        drop(state);
        self.notes.clear();
        if waits {
            self.shared.more.notify_all();
        }
        goes_on
    }
}

/// Waits for the thread, which writes what was noted: also the event that the core panicked at. A recording that has
/// ended is not waited for, nor a disk that hangs.
impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.hand_over() {
            return;
        }
        self.shared.lock().cut = thread::panicking();
        self.shared.end(End::Stopped);
        let state = self.shared.lock();
        drop(self.shared.more.wait_timeout_while(state, LAST_WRITE, |state| !state.done));
    }
}

fn create(path: &Path, started_again: bool) -> io::Result<(File, PathBuf)> {
    let mut number = 1;
    loop {
        let own = if number == 1 { path.to_owned() } else { numbered(path, number) };
        match open_own(OpenOptions::new().write(true).create_new(true).mode(0o600), &own) {
            Err(error) if started_again && error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(io::Error::other("it exists already; take another name, or move it away"));
            }
            opened => return Ok((opened?, own)),
        }
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

/// The thread.
struct Writer {
    scribe: Scribe,
    file: File,
    path: PathBuf,
    written: u64,
    longest: u64,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self) {
        let end = loop {
            let (noted, over) = self.wait();
            if let Err(end) = self.write(noted) {
                break end;
            }
            if let Some(over) = over {
                break Ok(over);
            }
        };
        let path = visible(&self.path.to_string_lossy()).to_string();
        match end {
            Ok(End::Stopped) if self.shared.lock().cut => {
                tracing::error!("the recording {path} ends with what the server has panicked at");
            }
            Ok(end) => {
                self.scribe.end(end);
                let written = self.file.write_all(self.scribe.bytes());
                match (end, written) {
                    (_, Err(error)) => tracing::error!("the recording {path} has no end: {error}"),
                    (End::Stopped, Ok(())) => tracing::info!("the recording {path} is complete"),
                    (End::Full | End::Behind, Ok(())) => {
                        tracing::error!("the recording {path} ends here: {}", end.words());
                    }
                }
            }
            Err(error) => tracing::error!("the recording {path} ends here: {error}"),
        }
        self.shared.lock().done = true;
        self.shared.more.notify_all();
    }

    /// Waits until something was noted, or nothing more will be; for a while, so that more comes with it.
    fn wait(&self) -> (Vec<WipedBytes>, Option<End>) {
        let mut state = self.shared.lock();
        while state.noted.is_empty() && state.over.is_none() {
            state.waits = true;
            state = self.shared.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.over.is_none() {
            drop(state);
            thread::sleep(GATHER);
            state = self.shared.lock();
        }
        state.waiting = 0;
        (std::mem::take(&mut state.noted), state.over)
    }

    /// Writes what was noted, and wipes it. `Err(Ok(…))`: the recording is full.
    fn write(&mut self, mut noted: Vec<WipedBytes>) -> Result<(), Result<End, io::Error>> {
        let taken = noted.iter().try_for_each(|notes| self.take_down(notes));
        noted.iter_mut().for_each(WipedBytes::clear);
        let outcome = taken.and_then(|()| self.flush());
        let mut state = self.shared.lock();
        if let Err(end) = &outcome {
            state.over.get_or_insert(*end.as_ref().unwrap_or(&End::Behind));
        }
        let room = SPARE.saturating_sub(state.spare.len());
        state.spare.extend(noted.into_iter().filter(|notes| notes.capacity() <= 2 * ENOUGH).take(room));
        outcome
    }

    fn take_down(&mut self, noted: &[u8]) -> Result<(), Result<End, io::Error>> {
        let mut rest = noted;
        while !rest.is_empty() {
            let Some(left) = self.scribe.take_down(rest, PIECE) else {
                return Err(Err(io::Error::other("what was noted cannot be read")));
            };
            rest = left;
            if self.scribe.bytes().len() >= PIECE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Result<End, io::Error>> {
        let made = self.scribe.bytes();
        let room = usize::try_from(self.longest - self.written).unwrap_or(usize::MAX);
        let count = if made.len() <= room { made.len() } else { whole_events(made, room) };
        self.file.write_all(&made[..count]).map_err(Err)?;
        self.written += count as u64;
        let is_full = count < made.len();
        self.scribe.clear();
        if is_full { Err(Ok(End::Full)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
