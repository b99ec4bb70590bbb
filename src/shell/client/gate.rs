//! Takes turns at the terminal: the line editor, or output that is written directly.

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
}

impl Gate {
    pub(super) fn new() -> Gate {
        Gate { stage: Mutex::new(Stage::Idle), changed: Condvar::new() }
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
