//! One connection: its socket, its output buffer, and the task that reads and writes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::mem;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::or;

use super::bell::Bell;
use super::files::{Bounds, Files};
use crate::shell::platform::{Platform, Socket, System};
use crate::shell::server::inbox::{Item, Sender};
use crate::shell::server::setup::settings::Limits;
use crate::shell::tunnel::{Received, Tunnel, Written as Moved};
use crate::words::LinkId;

/// Most bytes of one read. Bounds the inbox as well, which holds a number of reads.
const READ_BYTES: usize = 16 * 1024;
/// Output buffers up to this size are kept for the next connection that writes.
const POOLED_BYTES: usize = 64 * 1024;
const POOLED_BUFFERS: usize = 64;
/// Time to write the remaining output of a connection that is being closed.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Time for the client to close its side after that. A close with unread input resets the connection, and the
/// reset can destroy output that has not arrived yet.
const HANG_UP: Duration = Duration::from_millis(300);
/// Interval of looking for a reset on a connection that is not read, or was read to its end.
const RESET_LOOK: Duration = Duration::from_secs(1);

/// What all connections share; the buffers, so that an idle one owns none.
pub(crate) struct Shared<P: Platform = System> {
    platform: P,
    pub(crate) limits: Cell<Limits>,
    pub(crate) files: Files<P>,
    read: RefCell<Box<[u8]>>,
    spare: RefCell<Vec<Vec<u8>>>,
}

impl<P: Platform> Shared<P> {
    pub(crate) fn new(platform: P, limits: Limits) -> Rc<Shared<P>> {
        Rc::new(Shared {
            files: Files::new(Bounds::of(platform.most_files())),
            platform,
            limits: Cell::new(limits),
            read: RefCell::new(vec![0; READ_BYTES].into()),
            spare: RefCell::default(),
        })
    }
}

/// A connection, shared by its own task and the state task; both run on one thread.
pub(crate) struct Connection<P: Platform = System> {
    link: LinkId,
    socket: P::Socket,
    tunnel: RefCell<Tunnel>,
    shared: Rc<Shared<P>>,
    /// Output buffer.
    waiting: RefCell<Vec<u8>>,
    /// Bytes written over the life of the link.
    written: Cell<u64>,
    phase: Cell<Phase>,
    /// Which of the connections that the core has closed this is.
    closing: Cell<Option<u64>>,
    /// A step of the handshake is done: whether it has gone well.
    stepped: Cell<Option<bool>>,
    /// The end of the stream was read.
    stream_ended: Cell<bool>,
    /// The socket is full: the connection's own task writes when it is writable again.
    stuck: Cell<bool>,
    /// Rings when there may be something to read.
    read_on: Bell,
    /// Rings when the connection's own task has to write or to close.
    write_on: Bell,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Input is read.
    Reading,
    /// Nothing is read for now.
    Paused,
    /// The output buffer is written, then the connection ends. Input is discarded.
    Closing,
    /// It was closed, and its file is needed. Nothing is written.
    Ending,
    /// The connection is broken or its client too slow. Nothing is written.
    Lost,
}

/// How the input of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// The client closed its side; it may still read.
    Ended,
    /// The connection is broken or dead, or the program ends.
    Lost,
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The output buffer is empty.
    All {
        /// Bytes over the life of the link.
        upto: u64,
    },
    /// The rest is left to the connection's own task.
    Part {
        /// Bytes over the life of the link, if this write was not left to the connection's own task as well.
        upto: Option<u64>,
    },
    /// The connection is broken.
    Broken,
}

impl<P: Platform> Connection<P> {
    pub(crate) fn new(
        link: LinkId,
        socket: P::Socket,
        tunnel: Tunnel,
        shared: Rc<Shared<P>>,
    ) -> Connection<P> {
        shared.files.opened();
        Connection {
            link,
            socket,
            tunnel: tunnel.into(),
            shared,
            waiting: RefCell::default(),
            written: Cell::new(0),
            phase: Cell::new(Phase::Reading),
            closing: Cell::new(None),
            stepped: Cell::new(None),
            stream_ended: Cell::new(false),
            stuck: Cell::new(false),
            read_on: Bell::default(),
            write_on: Bell::default(),
        }
    }

    /// Appends to the output buffer; returns its length.
    pub(crate) fn queue(&self, bytes: &[u8]) -> usize {
        if matches!(self.phase.get(), Phase::Lost | Phase::Ending) {
            return 0;
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.capacity() == 0 {
            *waiting = self.shared.spare.borrow_mut().pop().unwrap_or_default();
        }
        waiting.extend_from_slice(bytes);
        waiting.len()
    }

    /// Writes the output buffer without blocking, unless the connection's own task is writing it, or will after the
    /// handshake.
    pub(crate) fn write(&self) -> Written {
        if self.stuck.get() || !self.tunnel.borrow().is_open() {
            return Written::Part { upto: None };
        }
        match self.write_some() {
            Ok(Moved { all: true, .. }) => Written::All { upto: self.written.get() },
            Ok(Moved { all: false, .. }) => {
                self.stuck.set(true);
                self.write_on.ring();
                Written::Part { upto: Some(self.written.get()) }
            }
            Err(_) => Written::Broken,
        }
    }

    /// Bytes that wait to be written.
    pub(crate) fn backlog(&self) -> usize {
        self.waiting.borrow().len() + self.tunnel.borrow().pending()
    }

    pub(crate) fn pause(&self) {
        if self.phase.get() == Phase::Reading {
            self.phase.set(Phase::Paused);
        }
    }

    pub(crate) fn resume(&self) {
        if self.phase.get() == Phase::Paused {
            self.phase.set(Phase::Reading);
            self.read_on.ring();
        }
    }

    /// Ends the connection after its output was written, or after a while, or when its file is needed.
    pub(crate) fn close(self: &Rc<Connection<P>>) {
        if self.closing.get().is_none() {
            self.closing.set(Some(self.shared.files.closing(self)));
            self.phase.set(Phase::Closing);
            self.read_on.ring();
            self.write_on.ring();
        }
    }

    /// Ends a connection that was closed, at once.
    pub(super) fn end_now(&self) {
        self.phase.set(Phase::Ending);
        self.write_on.ring();
    }

    /// Which of the connections that the core has closed this is; 0: it has not.
    pub(super) fn closing_number(&self) -> u64 {
        self.closing.get().unwrap_or_default()
    }

    /// Drops the output buffer and takes no more output.
    pub(crate) fn abandon(&self) {
        *self.waiting.borrow_mut() = Vec::new();
        if !self.is_closing() {
            self.phase.set(Phase::Lost);
        }
    }

    /// Makes the connection's own task try to read.
    pub(crate) fn look(&self) {
        self.read_on.ring();
    }

    #[cfg(test)]
    pub(crate) fn has_unread(&self) -> bool {
        self.socket.peek().unwrap_or_default()
    }

    pub(crate) const fn socket(&self) -> &P::Socket {
        &self.socket
    }

    /// Whether the core has closed it.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.phase.get(), Phase::Closing | Phase::Ending)
    }

    /// Writes what the socket takes.
    fn write_some(&self) -> io::Result<Moved> {
        let mut waiting = self.waiting.borrow_mut();
        let moved = self.tunnel.borrow_mut().write(&waiting, &self.socket)?;
        self.written.set(self.written.get() + moved.left as u64);
        if moved.taken < waiting.len() {
            waiting.drain(..moved.taken);
        } else {
            waiting.clear();
            let buffer = mem::take(&mut *waiting);
            let mut spare = self.shared.spare.borrow_mut();
            if (1..=POOLED_BYTES).contains(&buffer.capacity()) && spare.len() < POOLED_BUFFERS {
                spare.push(buffer);
            }
        }
        Ok(moved)
    }

    /// The task of the connection: reads and writes until it ends, then reports that. A panic ends only this
    /// connection.
    pub(crate) async fn serve(self: Rc<Connection<P>>, inbox: Sender<P>) {
        let all = async {
            // Boxed, because a connection has it for a moment only.
            if self.tunnel.borrow().is_open() || Box::pin(self.shake_hands(&inbox)).await {
                or(self.read_all(&inbox), self.write_rest(&inbox)).await;
            }
        };
        if AssertUnwindSafe(all).catch_unwind().await.is_err() {
            tracing::error!("a connection ended by a defect in its task");
        }
        // Fails only when the program ends.
        let _ = inbox.send(Item::Ended { link: self.link }).await;
    }

    /// Passes on input and reports the end of the stream. Returns when the connection is lost, or closed by
    /// both sides.
    async fn read_all(&self, inbox: &Sender<P>) {
        if self.read_to_end(inbox).await == Input::Lost {
            return;
        }
        self.stream_ended.set(true);
        if !self.is_closing() {
            if Box::pin(inbox.send(Item::StreamEnded { link: self.link })).await.is_err() {
                return;
            }
        } else if self.backlog() == 0 {
            return;
        }
        // The client may still read. Its socket stays readable from now on, so waiting for that would spin.
        // Boxed, because the task of every connection would have room for it.
        Box::pin(self.reset()).await;
    }

    /// Passes on input up to the end of the stream.
    async fn read_to_end(&self, inbox: &Sender<P>) -> Input {
        loop {
            if self.phase.get() == Phase::Paused {
                let resumed = async {
                    self.read_on.heard().await;
                    None
                };
                let over = async { Some(self.over_while_paused().await) };
                match or(resumed, Box::pin(over)).await {
                    None => continue,
                    Some(input) => return input,
                }
            }
            if or(self.readable(), self.told_to_read()).await.is_err() {
                return Input::Lost;
            }
            if self.phase.get() == Phase::Paused {
                continue;
            }
            match self.read_some() {
                Ok(None) => {}
                Ok(Some(Received::Bytes(bytes))) if bytes.is_empty() => self.answer(),
                Ok(Some(Received::Bytes(_))) if self.is_closing() => {}
                Ok(Some(Received::Bytes(bytes))) => {
                    if inbox.send(Item::Chunk { link: self.link, bytes }).await.is_err() {
                        return Input::Lost;
                    }
                }
                Ok(Some(Received::End)) => return Input::Ended,
                Ok(Some(Received::Cut)) | Err(_) => return Input::Lost,
            }
        }
    }

    /// Reads once: `None` if there is nothing to read.
    fn read_some(&self) -> io::Result<Option<Received>> {
        let mut buffer = self.shared.read.borrow_mut();
        match self.tunnel.borrow_mut().read(&self.socket, &mut buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Writes what the tunnel itself may have to say.
    fn answer(&self) {
        // Whether the connection is broken shows at the next read.
        let _ = self.write();
    }

    /// Waits for the end of the input without reading. If there is unread input, only a reset can be seen;
    /// the end of the stream comes after that input.
    async fn over_while_paused(&self) -> Input {
        loop {
            if self.readable().await.is_err() {
                return Input::Lost;
            }
            match self.socket.peek() {
                Ok(false) => return self.at_end(),
                Ok(true) => break,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return Input::Lost,
            }
        }
        self.reset().await;
        Input::Lost
    }

    /// What it means that the stream of the socket is at its end.
    fn at_end(&self) -> Input {
        match self.tunnel.borrow().at_end() {
            Received::End => Input::Ended,
            Received::Cut | Received::Bytes(_) => Input::Lost,
        }
    }

    /// Waits until the connection is reset or found dead.
    async fn reset(&self) {
        while matches!(self.socket.take_error(), Ok(None)) {
            self.shared.platform.after(RESET_LOOK).await;
        }
    }

    /// Writes what the state task could not, and the remaining output of a connection that is being closed.
    async fn write_rest(&self, inbox: &Sender<P>) {
        loop {
            self.write_on.heard().await;
            if self.is_closing() {
                return Box::pin(self.say_goodbye()).await;
            }
            if !Box::pin(self.drain(inbox)).await {
                return;
            }
        }
    }

    /// Writes until the output buffer is empty; `false` if the connection is broken or stalled for too long.
    async fn drain(&self, inbox: &Sender<P>) -> bool {
        let mut patience = self.patience();
        while self.stuck.get() && !self.is_closing() {
            let stalled = async {
                (&mut patience).await;
                false
            };
            let closing = async {
                self.write_on.heard().await;
                true
            };
            if !or(self.writable(), or(closing, stalled)).await {
                return false;
            }
            let Ok(Moved { left, moved, all, taken: _ }) = self.write_some() else { return false };
            self.stuck.set(!all);
            if moved {
                patience = self.patience();
            }
            let upto = self.written.get();
            if left > 0 && inbox.send(Item::Flushed { link: self.link, upto }).await.is_err() {
                return false;
            }
        }
        if self.is_closing() {
            self.write_on.ring();
        }
        true
    }

    /// How long a write may make no progress from now on.
    fn patience(&self) -> P::Timer {
        match self.shared.limits.get().output_stall_secs {
            0 => self.shared.platform.never(),
            secs => self.shared.platform.after(Duration::from_secs(secs)),
        }
    }

    /// Writes the remaining output, shuts down the sending side, and waits a little for the client to close; all that
    /// until the file is needed.
    async fn say_goodbye(&self) {
        let needed = async {
            while self.phase.get() != Phase::Ending {
                self.write_on.heard().await;
            }
        };
        or(needed, self.part()).await;
    }

    async fn part(&self) {
        let last_words = async {
            self.write_to_end().await;
            self.tunnel.borrow_mut().end();
            self.write_to_end().await;
        };
        or(last_words, self.shared.platform.after(LAST_WORDS)).await;
        if self.socket.shut_down_write().is_ok() && !self.stream_ended.get() {
            self.shared.platform.after(HANG_UP).await;
        }
    }

    async fn write_to_end(&self) {
        while matches!(self.write_some(), Ok(Moved { all: false, .. })) && self.writable().await {}
    }

    /// Waits until the socket is readable.
    async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| self.socket.poll_readable(context)).await
    }

    /// Waits until reading is worth an attempt, whether or not the reactor has noticed.
    async fn told_to_read(&self) -> io::Result<()> {
        self.read_on.heard().await;
        Ok(())
    }

    /// Waits until the socket is writable; `false` if it is broken.
    async fn writable(&self) -> bool {
        poll_fn(|context| self.socket.poll_writable(context)).await.is_ok()
    }
}

impl<P: Platform> Drop for Connection<P> {
    fn drop(&mut self) {
        self.shared.files.gone(self.closing.get());
    }
}

mod handshake;
#[cfg(test)]
mod tests;
