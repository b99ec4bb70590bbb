//! Hides what is typed at a terminal without a line editor, as when the output goes elsewhere.

use std::io;

use rustix::termios::{LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

/// The echo of a terminal. Dropping it leaves the terminal as it was found.
#[derive(Debug)]
pub(super) struct Echo {
    /// Its modes at the start.
    modes: Termios,
    shows: bool,
}

impl Echo {
    /// The echo of standard input; `None` if that is not a terminal.
    pub(super) fn of_input() -> Option<Echo> {
        tcgetattr(io::stdin()).ok().map(|modes| Echo { modes, shows: true })
    }

    /// Shows or hides what is typed from now on.
    pub(super) fn show(&mut self, shows: bool) {
        if self.shows == shows {
            return;
        }
        self.shows = shows;
        let mut modes = self.modes.clone();
        if !shows {
            modes.local_modes.remove(LocalModes::ECHO);
            modes.local_modes.insert(LocalModes::ECHONL);
        }
        // A terminal that is gone shows nothing either.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &modes);
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.show(true);
        // What was typed and not read must not run as a command in the user's shell.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    }
}
