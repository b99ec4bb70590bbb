//! The client's shell on any platform, on a pipe and without threads. The simulated world plays it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::mpsc;

use async_channel::{Sender, unbounded};
use smol::{LocalExecutor, Task};

use super::device;
use super::keyboard::Keyboard;
use super::news::{News, Printed};
use super::options::Places;
use super::reach::Security;
use super::screen::{Face, Screen, Sheet, report};
use super::server_address::ServerAddress;
use super::start::Parts;
use crate::client::{ClientState, Settings, Signal};
use crate::shell::platform::Platform;

/// What a client is started with.
#[derive(Debug)]
pub struct Start<P: Platform> {
    /// Clock, timers, sockets.
    pub platform: P,
    /// The host and the port of the server.
    pub server: (String, u16),
    /// The folder of all state folders.
    pub state: PathBuf,
    /// The options.
    pub settings: Settings,
    /// For the core.
    pub seed: u64,
}

/// A client in JSON mode that runs when it is ticked.
pub struct Played<P: Platform> {
    executor: Rc<LocalExecutor<'static>>,
    /// `None` after it has ended.
    running: Option<Task<u8>>,
    news: Sender<News<P>>,
    asked: mpsc::Receiver<()>,
    sheets: mpsc::Receiver<Sheet>,
    /// The sheet that is being written.
    printing: Option<Printed>,
}

/// Tasks have the executor, and it has them: they end here.
impl<P: Platform> Drop for Played<P> {
    fn drop(&mut self) {
        self.running = None;
        while self.executor.try_tick() {}
    }
}

impl<P: Platform> fmt::Debug for Played<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Played").field("running", &self.running.is_some()).finish_non_exhaustive()
    }
}

impl<P: Platform> Played<P> {
    /// Puts a client together.
    #[must_use]
    pub fn start(start: Start<P>) -> Played<P> {
        let Start { platform, server: (host, port), state, mut settings, seed } = start;
        let device = device::device(&state).ok().map(Rc::new);
        settings.device_key = device.as_ref().map(|device| device.key());
        let executor: Rc<LocalExecutor<'static>> = Rc::default();
        let (asks, asked) = mpsc::channel();
        let (waiting, sheets) = mpsc::channel();
        let (news, urgent) = unbounded();
        let server = ServerAddress { host, port };
        let parts = Parts {
            platform,
            executor: Rc::clone(&executor),
            places: Places {
                server,
                state: Ok(state),
                private_bind: None,
                private_port: None,
                security: Security::PLAINTEXT,
            },
            keyboard: Keyboard::asking(asks, settings.line_bytes),
            screen: Screen::new(Face::Json, waiting),
            core: ClientState::new(settings, seed),
            device,
            log: None,
        };
        let client = parts.assemble((news.clone(), urgent));
        let running = Some(executor.spawn(client.run()));
        Played { executor, running, news, asked, sheets, printing: None }
    }

    /// Gives one task its turn; `false` if none has anything to do.
    #[must_use]
    pub fn tick(&self) -> bool {
        self.executor.try_tick()
    }

    /// Its exit code, once; `None` while it runs.
    pub fn ended(&mut self) -> Option<u8> {
        let running = self.running.take_if(|running| running.is_finished())?;
        Some(futures_lite::future::block_on(running))
    }

    /// Whether it has asked for input since this was called last.
    #[must_use]
    pub fn asks_for_input(&self) -> bool {
        self.asked.try_recv().is_ok()
    }

    /// Gives it bytes of its input, at least one; to be called once for each time it asks.
    pub fn read(&self, bytes: Vec<u8>) {
        self.tell(News::Read(bytes.into()));
    }

    /// Tells it that its input is at its end, instead of [`read`](Self::read).
    pub fn end_input(&self) {
        self.tell(News::EndOfInput);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.tell(News::Signal(signal));
    }

    /// The bytes that it writes to standard output next; `None` if there are none, or the last ones are still being
    /// written.
    pub fn next_output(&mut self) -> Option<Vec<u8>> {
        if self.printing.is_some() {
            return None;
        }
        let sheet = self.sheets.try_recv().ok()?.with_those_behind(&self.sheets);
        self.printing = Some(sheet.printed());
        Some(sheet.output())
    }

    /// They are written, or will never be.
    pub fn printed(&mut self, written: &io::Result<()>) {
        if let Some(printed) = self.printing.take() {
            self.tell(report(printed, written));
        }
    }

    fn tell(&self, news: News<P>) {
        // Fails only when it has ended.
        let _ = self.news.try_send(news);
    }
}
