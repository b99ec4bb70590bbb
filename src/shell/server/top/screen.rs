//! A terminal that is drawn whole, and left as it was found.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::thread;

use async_channel::Receiver;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use rustix::termios::{tcgetattr, tcgetwinsize, tcsetattr};

/// Ctrl-C and Ctrl-D, as keys.
pub(super) const CTRL_C: u8 = 3;
pub(super) const CTRL_D: u8 = 4;

/// Go to the other screen and hide the cursor; show it and come back.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?25h\x1b[?1049l";

/// A terminal in use. Dropping it leaves it as it was found.
pub(super) struct Screen {
    keys: Receiver<u8>,
    /// How input was, if it comes from a terminal.
    modes: Option<Termios>,
}

/// Rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// The size of the terminal now.
pub(super) fn size() -> Size {
    let found = tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    let [rows, columns] = found.map_or([24, 80], |size| [size.ws_row.into(), size.ws_col.into()]);
    Size { rows, columns }
}

impl Screen {
    /// Takes over the terminal: keys are read one by one, and not shown.
    pub(super) fn open() -> io::Result<Screen> {
        let modes = io::stdin().is_terminal().then(|| tcgetattr(io::stdin())).transpose()?;
        if let Some(modes) = &modes {
            let mut raw = modes.clone();
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            raw.special_codes[SpecialCodeIndex::VMIN] = 1;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        }
        let (sender, keys) = async_channel::bounded(16);
        let screen = Screen { keys, modes };
        if screen.modes.is_some() {
            // Ends with the program: a read cannot be called off.
            let read = move || {
                let mut key = [0];
                while io::stdin().read_exact(&mut key).is_ok() && sender.send_blocking(key[0]).is_ok() {}
            };
            thread::Builder::new().name("keys".into()).spawn(read)?;
        }
        write(ENTER)?;
        Ok(screen)
    }

    /// The next key; waits for ever if there is no keyboard.
    pub(super) async fn key(&self) -> u8 {
        match self.keys.recv().await {
            Ok(key) => key,
            Err(_) if self.modes.is_some() => CTRL_D,
            Err(_) => std::future::pending().await,
        }
    }

    /// Draws lines that fit into a size.
    pub(super) fn draw(&mut self, lines: impl FnOnce(Size) -> Vec<String>) -> io::Result<()> {
        let size = size();
        let mut drawn = String::from("\x1b[H");
        for (row, line) in lines(size).iter().take(size.rows).enumerate() {
            if row > 0 {
                drawn.push_str("\r\n");
            }
            drawn.push_str(line);
            drawn.push_str("\x1b[K");
        }
        drawn.push_str("\x1b[J");
        write(drawn.as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal may be gone.
        let _ = write(LEAVE);
        if let Some(modes) = &self.modes {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
        }
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
