//! Metrics over HTTP (setting `metrics`), for a program that asks every few seconds.
//!
//! Whoever can reach the address may ask, so what they can cause is bounded: connections, the bytes and the time of
//! each, and how often the state task is asked. Those who ask at the same time share an answer.

mod counts;
mod figures;
mod http;
mod page;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::or;
use smol::lock::Mutex;
use smol::{LocalExecutor, Task};

pub(super) use self::counts::Counts;
pub(super) use self::figures::Figures;
use self::figures::Surroundings;
use self::http::{HEAD_BYTES, Verdict};
use self::page::Form;
use super::inbox::{Item, Sender};
use crate::shell::platform::{
    self, Arrival as _, Listener, Platform, Socket, System, TcpConnection, TcpPort,
};
use crate::time::Time;

/// Connections at a time; with another one the oldest ends.
const CONNECTIONS: usize = 16;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;
/// Between two connections that are accepted: even while they come without pause one has 80 ms.
const ACCEPT_EVERY: Duration = Duration::from_millis(5);
/// After an error of the system, for so long no connection is accepted.
const REST: Duration = Duration::from_secs(1);
/// Between two questions to the state task.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// Time for a connection, from its first byte to its last.
const WITHIN: Duration = Duration::from_secs(10);
/// Time for the end of a connection after its answer, and what is read of it until then. Without that the answer could
/// be lost with a connection that is reset.
const END_WITHIN: Duration = Duration::from_secs(1);
const END_BYTES: usize = 1 << 20;

/// Takes the address where metrics are to be served.
///
/// # Errors
/// The I/O error, usually that the port is taken.
pub(super) fn bind(address: SocketAddr, platform: System) -> io::Result<TcpPort> {
    let port = platform.listen(address, WITHIN.as_secs())?;
    port.set_backlog(BACKLOG)?;
    tracing::info!("metrics are served on {}", port.local_addr()?);
    Ok(port)
}

/// Serves metrics. `data`: the folder of the store, if it has one.
pub(super) fn serve(
    port: TcpPort,
    data: Option<PathBuf>,
    platform: System,
    executor: &Rc<LocalExecutor<'static>>,
    inbox: Sender<System>,
) {
    let latest = Mutex::new(Latest { may_ask: Time::ZERO, asked: Time::ZERO, snapshot: None });
    let desk = Rc::new(Desk { platform, inbox, data, latest });
    executor.spawn(accept(port, desk, Rc::clone(executor))).detach();
}

async fn accept(port: TcpPort, desk: Rc<Desk>, executor: Rc<LocalExecutor<'static>>) {
    // A connection ends with its task.
    let mut serving: VecDeque<Task<()>> = VecDeque::new();
    loop {
        let came = port.accept().await;
        let pause = match came.and_then(|(arrival, _)| arrival.take_on()) {
            Ok(socket) => {
                serving.retain(|task| !task.is_finished());
                if serving.len() >= CONNECTIONS {
                    serving.pop_front();
                }
                serving.push_back(executor.spawn(Rc::clone(&desk).serve(socket)));
                ACCEPT_EVERY
            }
            Err(error) => {
                tracing::warn!("a request for metrics is not heard: {error}");
                REST
            }
        };
        desk.platform.after(pause).await;
    }
}

/// Answers requests.
struct Desk {
    platform: System,
    inbox: Sender<System>,
    data: Option<PathBuf>,
    latest: Mutex<Latest>,
}

/// What was known when the state task was asked last.
struct Latest {
    /// When the state task may be asked again.
    may_ask: Time,
    /// When it was asked for what is here.
    asked: Time,
    snapshot: Option<Rc<Snapshot>>,
}

struct Snapshot {
    figures: Box<Figures>,
    surroundings: Surroundings,
}

impl Desk {
    /// Reads a request and answers it. Who takes longer is left.
    async fn serve(self: Rc<Self>, socket: TcpConnection) {
        let served = async {
            // A connection that breaks has had its answer, or wants none.
            let _ = self.converse(&socket).await;
        };
        or(served, self.platform.after(WITHIN)).await;
    }

    async fn converse(&self, socket: &TcpConnection) -> io::Result<()> {
        let Some(verdict) = read_request(socket).await? else { return Ok(()) };
        let answer = match verdict {
            Verdict::Page(form) => self.answer_with(http::answer, form).await,
            Verdict::Head(form) => self.answer_with(http::head, form).await,
            Verdict::NotFound => http::refusal("404 Not Found"),
            Verdict::NotAllowed => http::refusal("405 Method Not Allowed"),
            Verdict::TooLong => http::refusal("431 Request Header Fields Too Large"),
            Verdict::Bad => http::refusal("400 Bad Request"),
        };
        platform::write_all(socket, answer.as_bytes()).await?;
        socket.shut_down_write()?;
        let late = async {
            self.platform.after(END_WITHIN).await;
            Ok(())
        };
        or(read_to_end(socket), late).await
    }

    async fn answer_with(&self, written: fn(&str, &str, &str) -> String, form: Form) -> String {
        let Some(snapshot) = self.snapshot().await else { return http::refusal("503 Service Unavailable") };
        let page = figures::page(&snapshot.figures, &snapshot.surroundings, form);
        written("200 OK", form.content_type(), &page)
    }

    /// How things stand now, or stood since this was called; `None` if the server stops.
    async fn snapshot(&self) -> Option<Rc<Snapshot>> {
        let called = self.platform.now();
        let mut latest = self.latest.lock().await;
        // Otherwise somebody else has asked meanwhile.
        if latest.asked < called {
            self.platform.timer(latest.may_ask).await;
            let asked = self.platform.now();
            latest.may_ask = asked + ASK_EVERY;
            latest.snapshot = Some(Rc::new(self.measure().await?));
            latest.asked = asked;
        }
        latest.snapshot.clone()
    }

    async fn measure(&self) -> Option<Snapshot> {
        let (answer, answered) = async_channel::bounded(1);
        self.inbox.send(Item::Measure(answer)).await.ok()?;
        let figures = answered.recv().await.ok()?;
        let (data, most_files) = (self.data.clone(), self.platform.most_files());
        // Files may be slow.
        let surroundings = smol::unblock(move || Surroundings::look(data.as_deref(), most_files)).await;
        Some(Snapshot { figures, surroundings })
    }
}

/// Reads until it is known what becomes of a request; `None` if it ends before.
async fn read_request(socket: &impl Socket) -> io::Result<Option<Verdict>> {
    let mut request = [0; HEAD_BYTES];
    let mut length = 0;
    loop {
        let Some(room) = request.get_mut(length..) else { return Ok(None) };
        let count = platform::read(socket, room).await?;
        if count == 0 {
            return Ok(None);
        }
        length += count;
        let verdict = request.get(..length).and_then(http::judge);
        if verdict.is_some() {
            return Ok(verdict);
        }
    }
}

async fn read_to_end(socket: &impl Socket) -> io::Result<()> {
    let (mut bytes, mut left) = ([0; 4_096], END_BYTES);
    loop {
        match platform::read(socket, &mut bytes).await? {
            0 => return Ok(()),
            count => match left.checked_sub(count) {
                Some(rest) => left = rest,
                None => return Ok(()),
            },
        }
    }
}
