//! Takes turns at the terminal: the line editor, or output that is written directly.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long output waits for the editor before it is written directly: text that was handed to the editor just
/// before a line was finished is shown with the next prompt, and has to come first.
const PATIENCE: Duration = Duration::from_millis(250);

/// The state of the line editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing.
    Idle,
    /// A line is edited.
    Editing,
    /// The line is finished, but the terminal modes are not restored yet.
    Leaving,
    /// The program is ending; the editor has to stop before it draws again.
    Closing,
    /// The editor has stopped.
    Still,
}

/// Holds the state of the line editor, and keeps it from changing during direct output.
#[derive(Debug)]
pub(super) struct Gate {
    stage: Mutex<Stage>,
    changed: Condvar,
    /// The newest question. The editor leaves an older one.
    newest: AtomicU64,
    reading: Mutex<Reading>,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// An answer to a prompt.
    Answer,
    /// A command.
    Command,
    /// A `y` or `n`, and what was answered.
    YesOrNo(Option<bool>),
}

impl Gate {
    pub(super) fn new() -> Gate {
        Gate {
            stage: Mutex::new(Stage::Idle),
            changed: Condvar::new(),
            newest: AtomicU64::new(0),
            reading: Mutex::new(Reading::Answer),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the stage is right, for a limited time.
    pub(super) fn wait(&self, not_yet: impl Fn(Stage) -> bool) -> MutexGuard<'_, Stage> {
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, |stage| not_yet(*stage));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Changes the stage; `Closing` and `Still` are final.
    pub(super) fn set(&self, next: Stage) {
        let mut stage = self.lock();
        if next == Stage::Still || !matches!(*stage, Stage::Closing | Stage::Still) {
            *stage = next;
        }
        self.changed.notify_all();
    }

    /// A question is asked that makes all before it outdated.
    pub(super) fn ask(&self, id: u64) {
        self.newest.store(id, Ordering::SeqCst);
    }

    /// Whether there is a newer question.
    pub(super) fn is_outdated(&self, id: u64) -> bool {
        self.newest.load(Ordering::SeqCst) > id
    }

    /// Notes what is read from now on; returns what was.
    pub(super) fn read(&self, reading: Reading) -> Reading {
        let mut current = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, reading)
    }

    pub(super) fn reads_command(&self) -> bool {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) == Reading::Command
    }

    /// A key answers a question that takes `y` and `n`; false if none is open.
    pub(super) fn answer(&self, yes: bool) -> bool {
        let mut current = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = matches!(*current, Reading::YesOrNo(_));
        if asked {
            *current = Reading::YesOrNo(Some(yes));
        }
        asked
    }

    /// The editor has taken the terminal over.
    pub(super) fn begin(&self) {
        self.set(Stage::Editing);
    }

    /// The line is finished.
    pub(super) fn leave(&self) {
        self.set(Stage::Leaving);
    }

    /// The editor is about to draw. Does not return when the program ends.
    pub(super) fn draw(&self) {
        if matches!(*self.lock(), Stage::Closing | Stage::Still) {
            self.set(Stage::Still);
            loop {
                thread::park();
            }
        }
    }
}
