//! Says who may write to the terminal: the line editor, or the output beside it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long output waits for a line to be edited before it is written directly: what was handed to
/// the editor just before a line was finished shows when the next one begins, and goes first.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is going on at the bottom of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing.
    Idle,
    /// A line is edited.
    Editing,
    /// It is finished, but the terminal is not back as it was.
    Leaving,
    /// The program ends; the editor is to stand still before it draws again.
    Closing,
    /// The editor stands still.
    Still,
}

/// Says what is going on at the bottom of the screen, and lets nothing change meanwhile.
#[derive(Debug)]
pub(super) struct Gate {
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Gate {
    pub(super) fn new() -> Gate {
        Gate { stage: Mutex::new(Stage::Idle), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a while as long as a stage is not the right one.
    pub(super) fn wait(&self, not_yet: impl Fn(Stage) -> bool) -> MutexGuard<'_, Stage> {
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, |stage| not_yet(*stage));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The end of the program is not taken back.
    pub(super) fn set(&self, next: Stage) {
        let mut stage = self.lock();
        if next == Stage::Still || !matches!(*stage, Stage::Closing | Stage::Still) {
            *stage = next;
        }
        self.changed.notify_all();
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
