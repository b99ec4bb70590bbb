//! Lines at a terminal without an editor, for `TERM=dumb`, `--plain` and screen readers: no escape sequence and no
//! cursor movement, one line after another.
//!
//! What is typed is echoed here, so that output that arrives meanwhile begins on a line of its own, and what was typed
//! is shown again after it.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};
use unicode_width::UnicodeWidthChar as _;
use zeroize::Zeroizing;

use super::keys::Keys;
use super::news::News;
use super::terminal::{Ask, Kind, Question};
use crate::client::Signal;
use crate::shell::visible::visible;
use crate::words::wiped::WipedBytes;

/// Longest line that is kept; what is typed beyond it is dropped.
const LINE_BYTES: usize = 64 * 1024;

/// The row that the cursor is in, shared by the reader and the printer.
pub(super) struct Row {
    state: Mutex<State>,
    /// The newest question.
    newest: AtomicU64,
    waker: UnixStream,
    woken: UnixStream,
    /// Whether what is typed is echoed at all.
    echoes: bool,
}

#[derive(Default)]
struct State {
    prompt: String,
    /// What is shown of the line behind it.
    shown: String,
    closed: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.shown.is_empty()
    }
}

impl Row {
    pub(super) fn new(echoes: bool) -> io::Result<Row> {
        let (waker, woken) = UnixStream::pair()?;
        waker.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        Ok(Row { state: Mutex::default(), newest: AtomicU64::new(0), waker, woken, echoes })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question is asked that makes all before it outdated.
    pub(super) fn ask(&self, id: u64) {
        self.newest.store(id, Ordering::SeqCst);
        // If the reader is not fast enough, it will be woken by what was written before.
        let _ = (&self.waker).write(&[0]);
    }

    fn is_outdated(&self, id: u64) -> bool {
        self.newest.load(Ordering::SeqCst) > id
    }

    /// Shows lines.
    pub(super) fn print(&self, text: &str) -> io::Result<()> {
        let state = self.lock();
        let mut output = io::stdout().lock();
        if !state.is_empty() {
            output.write_all(b"\n")?;
        }
        output.write_all(text.as_bytes())?;
        output.write_all(state.prompt.as_bytes())?;
        output.write_all(state.shown.as_bytes())?;
        output.flush()
    }

    /// The program ends: nothing that is typed is shown any more.
    pub(super) fn close(&self) -> io::Result<()> {
        let mut state = self.lock();
        let was_empty = state.is_empty();
        *state = State { closed: true, ..State::default() };
        if was_empty { Ok(()) } else { write_out("\n") }
    }

    /// Changes what is shown of the line, by something to write.
    fn change(&self, text: &str, change: impl FnOnce(&mut State)) -> io::Result<()> {
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        change(&mut state);
        write_out(text)
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes()).and_then(|()| output.flush())
}

/// The thread that reads lines.
pub(super) struct PlainReader {
    row: Arc<Row>,
    keys: Keys,
    news: async_channel::Sender<News>,
    /// What was typed of a command.
    draft: WipedBytes,
    /// Bytes that were read and not looked at.
    ahead: WipedBytes,
}

/// What a key comes to.
enum Key {
    Enter,
    Typed,
    Interrupt,
    End,
}

/// How the reading of a line has ended.
enum Ended {
    Line,
    Outdated,
    Interrupted,
    EndOfInput,
}

impl PlainReader {
    pub(super) fn new(row: Arc<Row>, news: async_channel::Sender<News>) -> PlainReader {
        PlainReader {
            row,
            keys: Keys::new(news.clone()),
            news,
            draft: WipedBytes::new(),
            ahead: WipedBytes::new(),
        }
    }

    pub(super) fn run(mut self, asked: &Receiver<Ask>) {
        while let Ok(Ask::Line(question)) = asked.recv() {
            if self.row.is_outdated(question.id) {
                continue;
            }
            let answered = keep_ctrl_c(true).and_then(|()| self.answer(&question));
            let news = match keep_ctrl_c(false).and(answered) {
                Ok(Some(news)) => news,
                Ok(None) => continue,
                Err(_) => News::Signal(Signal::HangUp),
            };
            if self.news.send_blocking(news).is_err() {
                return;
            }
        }
    }

    fn answer(&mut self, question: &Question) -> io::Result<Option<News>> {
        let is_command = matches!(question.kind, Kind::Command { .. });
        let hidden = question.kind == Kind::Answer { hidden: true };
        let mut typed = if is_command { std::mem::take(&mut self.draft) } else { WipedBytes::new() };
        let shows = self.row.echoes && !hidden;
        // A command has no prompt: output comes line after line.
        let prompt = if is_command { "" } else { question.prompt.as_str() };
        let shown = if shows { shown(&typed) } else { String::new() };
        self.row.change(&format!("{prompt}{shown}"), |state| {
            (state.prompt, state.shown) = (prompt.to_owned(), shown.clone());
        })?;
        let ended = self.read(question.id, is_command, shows, &mut typed)?;
        let was_empty = self.row.lock().is_empty();
        let end = if was_empty && !matches!(ended, Ended::Line) { "" } else { "\n" };
        self.row.change(end, |state| *state = State { closed: state.closed, ..State::default() })?;
        Ok(match ended {
            Ended::Line => {
                let text = Zeroizing::new(String::from_utf8_lossy(&typed).into_owned());
                Some(News::Line { question: question.id, command: is_command, text })
            }
            Ended::Outdated => {
                if is_command {
                    self.draft = typed;
                }
                None
            }
            Ended::Interrupted => Some(News::Signal(Signal::Interrupt)),
            Ended::EndOfInput => Some(News::EndOfInput),
        })
    }

    fn read(&mut self, id: u64, is_command: bool, shows: bool, typed: &mut WipedBytes) -> io::Result<Ended> {
        loop {
            if self.row.is_outdated(id) {
                return Ok(Ended::Outdated);
            }
            let Some(byte) = self.next_byte()? else { continue };
            let Some(byte) = byte else { return Ok(Ended::EndOfInput) };
            match self.press(byte, shows, typed)? {
                Key::Enter => return Ok(Ended::Line),
                Key::Typed => {}
                Key::Interrupt if is_command && !typed.is_empty() => {
                    typed.clear();
                    self.row.change("^C\n", |state| state.shown.clear())?;
                }
                Key::Interrupt => return Ok(Ended::Interrupted),
                Key::End if typed.is_empty() => return Ok(Ended::EndOfInput),
                Key::End => {}
            }
        }
    }

    fn press(&mut self, byte: u8, shows: bool, typed: &mut WipedBytes) -> io::Result<Key> {
        self.keys.press();
        match byte {
            b'\r' | b'\n' => return Ok(Key::Enter),
            3 => return Ok(Key::Interrupt),
            4 => return Ok(Key::End),
            0x08 | 0x7f => self.erase(1, shows, typed)?,
            // Ctrl-U
            0x15 => self.erase(usize::MAX, shows, typed)?,
            // Ctrl-W
            0x17 => {
                let text = String::from_utf8_lossy(typed).into_owned();
                let kept = text.trim_end().rfind(' ').map_or(0, |at| at + 1);
                self.erase(text.get(kept..).unwrap_or_default().chars().count(), shows, typed)?;
            }
            0x1b => self.skip_sequence()?,
            0..=0x1f => {}
            _ if typed.len() >= LINE_BYTES => {}
            _ => {
                typed.extend_from_slice(&[byte]);
                self.echo(shows, typed)?;
            }
        }
        Ok(Key::Typed)
    }

    /// Shows the character that is complete now.
    fn echo(&self, shows: bool, typed: &[u8]) -> io::Result<()> {
        let now = if shows { shown(typed) } else { return Ok(()) };
        let before = self.row.lock().shown.clone();
        match now.strip_prefix(before.as_str()) {
            Some(more) => self.row.change(more, |state| state.shown.clone_from(&now)),
            None => Ok(()),
        }
    }

    /// Removes the last characters as a terminal does by itself.
    fn erase(&self, count: usize, shows: bool, typed: &mut WipedBytes) -> io::Result<()> {
        let text = Zeroizing::new(String::from_utf8_lossy(typed).into_owned());
        let kept = text.char_indices().rev().take(count).last().map_or(text.len(), |(at, _)| at);
        let gone = shown(text.get(kept..).unwrap_or_default().as_bytes());
        typed.clear();
        typed.extend_from_slice(text.get(..kept).unwrap_or_default().as_bytes());
        if !shows {
            return Ok(());
        }
        let columns: usize = gone.chars().map(|c| c.width().unwrap_or(0)).sum();
        let left = shown(typed);
        self.row.change(&"\x08 \x08".repeat(columns), |state| state.shown = left)
    }

    /// Arrows and other keys that mean nothing here.
    fn skip_sequence(&mut self) -> io::Result<()> {
        let Some(Some(b'[' | b'O')) = self.next_byte()? else { return Ok(()) };
        while let Some(Some(byte)) = self.next_byte()? {
            if (0x40..=0x7e).contains(&byte) {
                break;
            }
        }
        Ok(())
    }

    /// Waits for a key or a new question. `None`: the latter; `Some(None)`: the terminal is gone.
    fn next_byte(&mut self) -> io::Result<Option<Option<u8>>> {
        if let Some(byte) = self.ahead.first().copied() {
            self.ahead.remove_front(1);
            return Ok(Some(Some(byte)));
        }
        let (input, woken) = (io::stdin(), &self.row.woken);
        let mut ready = [PollFd::new(&input, PollFlags::IN), PollFd::new(woken, PollFlags::IN)];
        match poll(&mut ready, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let [typed, question] = ready.map(|one| !one.revents().is_empty());
        if question {
            let mut woken = woken;
            let _ = woken.read(&mut [0; 64]);
            return Ok(None);
        }
        if !typed {
            return Ok(None);
        }
        let mut chunk = Zeroizing::new([0; 1_024]);
        match rustix::io::read(&input, chunk.as_mut_slice()) {
            Ok(0) => Ok(Some(None)),
            Ok(count) => {
                self.ahead.extend_from_slice(chunk.get(..count).unwrap_or_default());
                self.next_byte()
            }
            Err(rustix::io::Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Takes Ctrl-C for a key while a line is read; otherwise it ends the program.
fn keep_ctrl_c(keep: bool) -> io::Result<()> {
    const CTRL_C: u8 = 3;
    let mut modes = tcgetattr(io::stdin())?;
    modes.special_codes[SpecialCodeIndex::VINTR] = if keep { 0 } else { CTRL_C };
    Ok(tcsetattr(io::stdin(), OptionalActions::Drain, &modes)?)
}

/// What is shown of bytes: whole characters, each visible.
fn shown(typed: &[u8]) -> String {
    let whole = match str::from_utf8(typed) {
        Ok(text) => text,
        Err(error) => {
            str::from_utf8(typed.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
    };
    visible(whole).to_string()
}
