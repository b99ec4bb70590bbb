//! The output: views are gathered into sheets, written by a thread of their own, and reported when written.
//!
//! A reader of the pipe that stops reading blocks that thread only, not signals, timers and links.

use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;

use super::completion::Roster;
use super::json;
use super::news::{News, Printed};
use super::people::{self, Look};
use super::stamps::{Stamps, Timestamps};
use crate::client::view::{Message, View};
use crate::shell::platform::Platform;
use crate::shell::visible::visible;

/// Bytes under way to the screen beyond which links and input are not read.
const CROWDED: usize = 256 * 1024;

/// Rings the bell of a terminal.
const BELL: char = '\x07';

/// The form in which views are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// JSON Lines.
    Json,
    /// Text for people on a pipe.
    Pipe,
    /// Text for people on a terminal, where lines are broken, and coloured if it is not plain.
    Terminal {
        /// No escape sequences.
        plain: bool,
        /// The times of messages.
        timestamps: Timestamps,
    },
}

/// Some output, in order.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pieces: Vec<(Stream, Vec<u8>)>,
    printed: Printed,
    /// Another question is asked after it.
    turns: bool,
    last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Output,
    Diagnostics,
}

impl Sheet {
    fn push(&mut self, stream: Stream, bytes: &[u8]) {
        self.write(stream, |piece| piece.extend_from_slice(bytes));
    }

    /// Lets something write to the end of the sheet: a long list is not copied.
    fn write(&mut self, stream: Stream, write: impl FnOnce(&mut Vec<u8>)) {
        if self.pieces.last().is_none_or(|(last, _)| *last != stream) {
            self.pieces.push((stream, Vec::new()));
        }
        if let Some((_, piece)) = self.pieces.last_mut() {
            let before = piece.len();
            write(piece);
            self.printed.bytes += piece.len() - before;
        }
    }

    /// Whether it is the last one, which the program waits for.
    pub(super) const fn is_last(&self) -> bool {
        self.last
    }

    /// Whether another question is asked after it, which makes an open one outdated.
    pub(super) const fn turns(&self) -> bool {
        self.turns
    }

    /// What is to be told when it is written.
    pub(super) const fn printed(&self) -> Printed {
        self.printed
    }

    /// The bytes for standard output.
    pub(super) fn output(&self) -> Vec<u8> {
        self.bytes_for(Stream::Output)
    }

    /// The bytes for standard error.
    pub(super) fn diagnostics(&self) -> Vec<u8> {
        self.bytes_for(Stream::Diagnostics)
    }

    fn bytes_for(&self, stream: Stream) -> Vec<u8> {
        let pieces = self.pieces.iter().filter(|(of, _)| *of == stream);
        pieces.flat_map(|(_, bytes)| bytes).copied().collect()
    }

    /// This and all that wait after it, as one.
    pub(super) fn with_those_behind(mut self, waiting: &Receiver<Sheet>) -> Sheet {
        for sheet in waiting.try_iter() {
            self.pieces.extend(sheet.pieces);
            self.printed.bytes += sheet.printed.bytes;
            self.printed.noted += sheet.printed.noted;
            self.last |= sheet.last;
            self.turns |= sheet.turns;
            self.printed.upto = sheet.printed.upto.or(self.printed.upto);
        }
        self
    }

    /// Both streams as one text, for a terminal.
    pub(super) fn into_text(self) -> String {
        let bytes: Vec<u8> = self.pieces.into_iter().flat_map(|(_, bytes)| bytes).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A handle of the printing thread.
#[derive(Debug)]
pub(super) struct Screen {
    face: Face,
    look: Look,
    sheet: Sheet,
    /// Sheets that end with a message, where each message has its own.
    finished: Vec<Sheet>,
    one_by_one: bool,
    sheets: Sender<Sheet>,
    /// Bytes handed to the thread and not reported as printed.
    waiting: usize,
    /// Nothing can be printed any more.
    failed: bool,
    /// Learns the names shown.
    roster: Option<Roster>,
}

impl Screen {
    /// A screen whose sheets go to `sheets`.
    pub(super) fn new(face: Face, sheets: Sender<Sheet>) -> Screen {
        let unwanted = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let look = match face {
            Face::Json | Face::Pipe => Look::default(),
            Face::Terminal { plain, timestamps } => Look {
                breaks_texts: true,
                columns: None,
                colour: !plain && !unwanted("NO_COLOR"),
                mark: if plain { "(for you) " } else { "* " },
                stamps: Some(Stamps::new(timestamps, TimeZone::system(), plain)),
            },
        };
        Screen {
            face,
            look,
            sheet: Sheet::default(),
            finished: Vec::new(),
            one_by_one: false,
            sheets,
            waiting: 0,
            failed: false,
            roster: None,
        }
    }

    /// The same, with a sheet of its own for each message.
    pub(super) fn one_by_one(self) -> Screen {
        Screen { one_by_one: true, ..self }
    }

    /// The same, with names learnt for completion.
    pub(super) fn teaching(mut self, roster: Roster) -> Screen {
        self.roster = Some(roster);
        self
    }

    /// Adds a view to the sheet.
    pub(super) fn show(&mut self, view: &View) {
        if let Some(roster) = &self.roster {
            roster.learn(view);
        }
        match self.face {
            Face::Json => self.sheet.write(Stream::Output, |piece| json::write(piece, view)),
            Face::Pipe | Face::Terminal { .. } => {
                self.look.columns = if self.face == Face::Pipe { None } else { columns() };
                let mut text = String::new();
                write_for_people(&mut text, view, &mut self.look);
                let about = people::is_diagnostic(view);
                self.sheet.push(if about { Stream::Diagnostics } else { Stream::Output }, text.as_bytes());
            }
        }
    }

    /// Adds a message that must be reported as shown.
    pub(super) fn deliver(&mut self, sequence: u64, noted: bool, view: &View) {
        self.show(view);
        self.sheet.printed.noted += usize::from(noted);
        self.sheet.printed.upto = Some(sequence);
        if self.one_by_one {
            self.finished.push(mem::take(&mut self.sheet));
        }
    }

    /// Adds a line about the program itself.
    pub(super) fn say(&mut self, text: &str) {
        self.sheet.push(Stream::Diagnostics, format!("hobnob: {}\n", visible(text)).as_bytes());
    }

    /// Another question is asked after what was added so far.
    pub(super) fn turn(&mut self) {
        self.sheet.turns = true;
        self.sheet.printed.bytes += 1;
        self.sheet.pieces.push((Stream::Output, Vec::new()));
        self.print();
    }

    /// Hands the sheet to the printing thread.
    pub(super) fn print(&mut self) {
        let last = mem::take(&mut self.sheet);
        for sheet in self.finished.drain(..).chain([last]) {
            if !sheet.pieces.is_empty() && !self.failed {
                self.waiting += sheet.printed.bytes;
                // The thread has ended only after it reported a failure.
                let _ = self.sheets.send(sheet);
            }
        }
    }

    /// Hands the last sheet to the printing thread.
    pub(super) fn print_last(&mut self) {
        self.sheet.last = true;
        // An empty one is handed over as well: the program waits for it.
        self.sheet.printed.bytes += 1;
        self.sheet.pieces.push((Stream::Output, Vec::new()));
        self.print();
    }

    /// Drops what was gathered.
    pub(super) fn forget(&mut self) {
        self.sheet = Sheet::default();
        self.finished.clear();
    }

    /// A sheet is printed.
    pub(super) fn printed(&mut self, printed: Printed) {
        self.waiting -= printed.bytes.min(self.waiting);
    }

    /// Notes that nothing can be printed any more; nothing is waited for.
    pub(super) fn fail(&mut self) {
        self.failed = true;
        self.waiting = 0;
    }

    /// Whether too much is under way to take more.
    pub(super) const fn is_crowded(&self) -> bool {
        self.waiting > CROWDED
    }

    /// Whether everything is printed.
    pub(super) const fn is_clear(&self) -> bool {
        self.waiting == 0
    }
}

/// Appends what people see of a view, and hear.
pub(super) fn write_for_people(out: &mut String, view: &View, look: &mut Look) {
    if rings(view) {
        out.push(BELL);
    }
    people::write(out, view, look);
}

/// Only for people at a terminal does the core say so.
const fn rings(view: &View) -> bool {
    matches!(view, View::Message(Message { rings: true, .. }))
}

fn columns() -> Option<usize> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

/// Starts the thread that writes sheets: waiting ones together, and reports each.
pub(super) fn spawn(
    mut write: impl FnMut(Sheet) -> io::Result<()> + Send + 'static,
    news: async_channel::Sender<News>,
) -> io::Result<Sender<Sheet>> {
    let (sheets, waiting) = mpsc::channel();
    thread::Builder::new().name("screen".into()).spawn(move || {
        while let Some(sheet) = gather(&waiting) {
            let printed = sheet.printed();
            let written = write(sheet);
            let is_over = written.is_err();
            if news.send_blocking(report(printed, &written)).is_err() || is_over {
                return;
            }
        }
    })?;
    Ok(sheets)
}

/// What is told of a sheet that was written, or was not.
pub(super) fn report<P: Platform>(printed: Printed, written: &io::Result<()>) -> News<P> {
    match written {
        Ok(()) => News::Printed(printed),
        Err(_) => News::PrintFailed,
    }
}

/// The next sheet and all that wait after it, as one.
fn gather(waiting: &Receiver<Sheet>) -> Option<Sheet> {
    let first = waiting.recv().ok()?;
    Some(first.with_those_behind(waiting))
}

/// Writes a sheet to standard output and standard error. Only the first has to work; if it does not, the second
/// says so.
pub(super) fn write_to_pipes(sheet: Sheet) -> io::Result<()> {
    let written = write_pieces(sheet);
    if let Err(error) = &written {
        let _ = writeln!(io::stderr(), "hobnob: cannot write to standard output: {error}");
    }
    written
}

fn write_pieces(sheet: Sheet) -> io::Result<()> {
    let mut output = io::stdout().lock();
    for (stream, bytes) in sheet.pieces {
        match stream {
            Stream::Output => output.write_all(&bytes).and_then(|()| output.flush())?,
            Stream::Diagnostics => drop(io::stderr().write_all(&bytes)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::client::view::{Connection, Contact, MessageKind};
    use async_channel::unbounded;

    fn message(text: &str) -> View {
        View::Message(samples::message(MessageKind::Direct, "hans", text))
    }

    #[test]
    fn sheets_that_wait_together_are_reported_as_one_with_the_last_delivery() {
        let (sheets, waiting) = mpsc::channel();
        let mut screen = Screen::new(Face::Pipe, sheets);
        screen.deliver(1, true, &message("one"));
        screen.deliver(2, false, &message("two"));
        screen.print();
        screen.show(&View::Presence { user: "luke".into(), online: true });
        screen.print();
        screen.print();
        assert!(!screen.is_clear());
        let all = gather(&waiting).expect("sheets wait");
        assert_eq!((all.printed.noted, all.printed.upto), (1, Some(2)));
        screen.printed(all.printed);
        assert!(screen.is_clear());
        assert_eq!(all.into_text(), "hans: one\nhans: two\nluke logged in\n");
    }

    #[test]
    fn diagnostics_keep_their_place_and_their_stream() {
        let (sheets, waiting) = mpsc::channel();
        let mut screen = Screen::new(Face::Pipe, sheets);
        screen.show(&message("one"));
        screen.show(&View::Connection(Contact { state: Connection::Reconnecting, key: None }));
        screen.say("evil \x1b[2J");
        screen.print();
        let sheet = gather(&waiting).expect("a sheet waits");
        let streams: Vec<Stream> = sheet.pieces.iter().map(|(stream, _)| *stream).collect();
        assert_eq!(streams, [Stream::Output, Stream::Diagnostics]);
        assert!(sheet.into_text().ends_with("hobnob: evil ^[[2J\n"));
    }

    #[test]
    fn the_last_sheet_is_waited_for_even_if_it_is_empty() {
        let (sheets, waiting) = mpsc::channel();
        let mut screen = Screen::new(Face::Json, sheets);
        screen.print_last();
        assert!(!screen.is_clear());
        let sheet = gather(&waiting).expect("a sheet waits");
        assert!(sheet.is_last());
        screen.printed(sheet.printed);
        assert!(screen.is_clear());
        assert_eq!(sheet.into_text(), "");
    }

    #[test]
    fn a_failure_to_write_is_reported_and_ends_the_thread() {
        let (news, reported) = unbounded();
        let sheets = spawn(|_| Err(io::ErrorKind::BrokenPipe.into()), news).expect("a thread");
        let mut screen = Screen::new(Face::Json, sheets);
        screen.show(&message("one"));
        screen.print();
        assert!(matches!(reported.recv_blocking(), Ok(News::PrintFailed)));
        assert!(reported.recv_blocking().is_err());
    }
}
