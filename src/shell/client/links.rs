//! Connections to the server and to other clients: one task each, for both directions.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded, unbounded};
use futures_lite::future::{or, pending};

use super::news::News;
use super::peer_links::Securing;
use crate::shell::platform::{self, LocalPort, Platform, Socket};
use crate::shell::tunnel::{Received, Tunnel};
use crate::words::wiped::WipedBytes;

/// Seconds after which a peer that does not respond, keepalives included, counts as dead.
pub(super) const DEAD_LINK_SECS: u64 = 15;
/// How long to try one address of the server.
const DIAL: Duration = Duration::from_secs(10);
/// How long to try another client: less than two rounds of dials are apart.
const DIAL_PEER: Duration = Duration::from_secs(3);
/// How long a closed link waits for the other side to close as well, so that the last bytes are read.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes that may wait to be written: far more than all that is said before an answer is read.
const CLOGGED: usize = 8 << 20;
/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// A handle of a connection. Dropping it closes the connection once everything is sent.
#[derive(Debug)]
pub(super) struct Link {
    outgoing: Sender<WipedBytes>,
    resets: Sender<()>,
    securing: Sender<Box<Securing>>,
    /// Bytes that were not written yet.
    waiting: Rc<Cell<usize>>,
}

/// What the task of a connection is told by its [`Link`].
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) leaving: Receiver<WipedBytes>,
    pub(super) resets: Receiver<()>,
    /// Only of links with other clients.
    pub(super) securing: Receiver<Box<Securing>>,
    waiting: Rc<Cell<usize>>,
}

impl Link {
    /// A handle, and the other end for its task.
    pub(super) fn new() -> (Link, Orders) {
        let ((outgoing, leaving), (resets, reset)) = (unbounded(), bounded(1));
        let (secure, securing) = bounded(1);
        let waiting = Rc::<Cell<usize>>::default();
        let orders = Orders { leaving, resets: reset, securing, waiting: Rc::clone(&waiting) };
        (Link { outgoing, resets, securing: secure, waiting }, orders)
    }

    /// Whether the other side leaves so much unread that the connection counts as lost.
    pub(super) fn is_clogged(&self) -> bool {
        self.waiting.get() > CLOGGED
    }

    /// Encrypts the connection, once what was sent before has left.
    pub(super) fn secure(&self, securing: Securing) {
        // A link that is closed has nobody to do it.
        let _ = self.securing.try_send(Box::new(securing));
    }

    /// Resets the connection at once.
    pub(super) fn reset(self) {
        // A link that is closed already has nobody to take it.
        let _ = self.resets.try_send(());
    }

    /// Sends bytes, in order. There may be a password in them.
    pub(super) fn send(&self, bytes: &mut WipedBytes) {
        if !bytes.is_empty() {
            self.waiting.set(self.waiting.get() + bytes.len());
            // A closed link drops them; its end is reported.
            let _ = self.outgoing.try_send(std::mem::take(bytes));
        }
    }
}

impl Orders {
    /// So many bytes wait no more.
    pub(super) fn has_left(&self, count: usize) {
        self.waiting.set(self.waiting.get().saturating_sub(count));
    }
}

/// Reports of a link.
pub(super) enum LinkNews {
    /// Bytes have arrived.
    Bytes(Vec<u8>),
    /// It is closed.
    Gone,
    /// The machine has lost the address that it has on this side.
    Stranded,
}

/// A socket, and how bytes pass it.
#[derive(Debug)]
pub(super) struct Way<S> {
    pub(super) socket: S,
    /// Both directions of it have one task.
    pub(super) tunnel: RefCell<Tunnel>,
    /// What was read already.
    pub(super) first: WipedBytes,
}

/// Moves bytes both ways until the connection ends, is reset, or its handle is dropped. It ends also when the machine has
/// lost the address that it has on this side for good, long before the silence of the other would tell.
pub(super) async fn serve<P: Platform, S: Socket>(
    platform: P,
    way: Way<S>,
    orders: Orders,
    news: Sender<News<P>>,
    report: impl Fn(LinkNews) -> News<P>,
) {
    let Way { socket, tunnel, first } = way;
    // The tunnel may have to answer what is read.
    let (answers, to_answer) = bounded(1);
    let reading = async {
        if !first.is_empty() {
            let _ = news.send(report(LinkNews::Bytes(first.to_vec()))).await;
        }
        let mut chunk = vec![0; CHUNK];
        while let Some(bytes) = read(&socket, &tunnel, &mut chunk).await {
            if bytes.is_empty() {
                let _ = answers.try_send(());
            } else {
                // When the program ends nobody takes them; what is to be sent still leaves.
                let _ = news.send(report(LinkNews::Bytes(bytes.to_vec()))).await;
            }
        }
        End::Theirs
    };
    let reset = async {
        match orders.resets.recv().await {
            Ok(()) => End::Reset,
            Err(_) => pending().await,
        }
    };
    let stranded = async {
        match (socket.local_addr(), socket.peer_addr()) {
            (Ok(own), Ok(peer)) => platform.lose_address(own.ip(), peer).await,
            (Err(_), _) | (_, Err(_)) => pending().await,
        }
        End::Stranded
    };
    let ended = or(reading, write(&socket, &tunnel, &orders, &to_answer));
    match or(reset, or(stranded, ended)).await {
        End::Ours => linger(&platform, &socket, &tunnel).await,
        // Where the system does not, the connection is closed.
        End::Reset => drop(socket.reset_when_dropped()),
        End::Theirs => {
            let _ = news.send(report(LinkNews::Gone)).await;
        }
        End::Stranded => {
            let _ = news.send(report(LinkNews::Stranded)).await;
        }
    }
}

/// How a connection has ended: by this side, by the other, reset by this one, or without its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Ours,
    Theirs,
    Reset,
    Stranded,
}

/// The next bytes, none if they were about the tunnel; `None` at the end of the connection, in whatever way it ends.
async fn read(socket: &impl Socket, tunnel: &RefCell<Tunnel>, chunk: &mut [u8]) -> Option<WipedBytes> {
    loop {
        let received = tunnel.borrow_mut().read(socket, chunk);
        match received {
            Ok(Received::Bytes(bytes)) => return Some(bytes),
            Ok(Received::End | Received::Cut) => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| socket.poll_readable(context)).await.ok()?;
            }
            Err(_) => return None,
        }
    }
}

async fn write(
    socket: &impl Socket,
    tunnel: &RefCell<Tunnel>,
    orders: &Orders,
    to_answer: &Receiver<()>,
) -> End {
    let Orders { leaving, .. } = orders;
    loop {
        let answer = async { to_answer.recv().await.map(|()| WipedBytes::new()) };
        let Ok(mut bytes) = or(leaving.recv(), answer).await else { return End::Ours };
        while let Ok(more) = leaving.try_recv() {
            bytes.extend_from_slice(&more);
        }
        if say(socket, tunnel, &bytes).await.is_err() {
            // Bytes that arrived before are still read, and may say why. The end of these ends the link.
            while leaving.recv().await.is_ok() {}
        }
        orders.has_left(bytes.len());
    }
}

/// Writes bytes, and what the tunnel has to say, waiting until they are taken.
pub(super) async fn say(socket: &impl Socket, tunnel: &RefCell<Tunnel>, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let written = tunnel.borrow_mut().write(bytes, socket)?;
        if written.all {
            return Ok(());
        }
        bytes = bytes.get(written.taken..).unwrap_or_default();
        poll_fn(|context| socket.poll_writable(context)).await?;
    }
}

/// Closing a connection with unread bytes would reset it, and the other side might lose bytes that it has not
/// read yet. So the rest is read first.
async fn linger<P: Platform, S: Socket>(platform: &P, socket: &S, tunnel: &RefCell<Tunnel>) {
    let ending = async {
        tunnel.borrow_mut().end();
        if say(socket, tunnel, &[]).await.is_ok() && socket.shut_down_write().is_ok() {
            let mut chunk = vec![0; CHUNK];
            while platform::read(socket, &mut chunk).await.is_ok_and(|count| count > 0) {}
        }
    };
    or(ending, platform.after(LINGER)).await;
}

/// Connects to a server by name or address, from a port that private links can have as well.
pub(super) async fn dial<P: Platform>(platform: &P, host: &str, port: u16) -> io::Result<P::Socket> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in platform.resolve(host, port).await? {
        match connect(platform, address, LocalPort::Fresh, DIAL).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Connects to another client.
pub(super) async fn dial_peer<P: Platform>(
    platform: &P,
    address: SocketAddr,
    from: LocalPort,
) -> io::Result<P::Socket> {
    connect(platform, address, from, DIAL_PEER).await
}

async fn connect<P: Platform>(
    platform: &P,
    address: SocketAddr,
    from: LocalPort,
    patience: Duration,
) -> io::Result<P::Socket> {
    let late = async {
        platform.after(patience).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
    };
    or(platform.connect(address, from, DEAD_LINK_SECS), late).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::platform::{System, WallClock};
    use crate::time::Time;
    use smol::LocalExecutor;
    use smol::future::{block_on, yield_now};
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Bytes as they are, on a socket.
    fn plain<S>(socket: S) -> Way<S> {
        Way { socket, tunnel: RefCell::new(Tunnel::plain()), first: WipedBytes::new() }
    }

    fn system() -> System {
        System::new(WallClock::starting_after(Time::ZERO))
    }

    fn report(news: LinkNews) -> News {
        match news {
            LinkNews::Bytes(bytes) => News::FromServer { dial: 1, bytes },
            LinkNews::Gone | LinkNews::Stranded => News::ServerGone { dial: 1 },
        }
    }

    #[test]
    fn the_last_bytes_sent_arrive_although_others_are_unread() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let executor = LocalExecutor::new();
        let (news, _unread) = bounded(1);
        let far = block_on(executor.run(async {
            let stream = dial(&system(), "127.0.0.1", port).await?;
            let (mut far, _) = listener.accept()?;
            far.write_all(&[b'x'; 300_000])?;
            let (link, orders) = Link::new();
            let task = executor.spawn(serve(system(), plain(stream), orders, news, report));
            link.send(&mut b"first\n"[..].into());
            link.send(&mut b"last\n"[..].into());
            drop(link);
            let mut received = String::new();
            let far = std::thread::spawn(move || far.read_to_string(&mut received).map(|_| received));
            task.await;
            Ok::<_, io::Error>(far.join())
        }))?;
        assert_eq!(far.expect("the thread lives")?, "first\nlast\n");
        Ok(())
    }

    #[test]
    fn the_last_bytes_sent_arrive_although_nobody_takes_news_any_more() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let executor = LocalExecutor::new();
        let (news, reported) = bounded(1);
        reported.close();
        let far = block_on(executor.run(async {
            let stream = dial(&system(), "127.0.0.1", port).await?;
            let (mut far, _) = listener.accept()?;
            far.write_all(b"online luke\n")?;
            while !stream.peek().unwrap_or_default() {
                yield_now().await;
            }
            let (link, orders) = Link::new();
            link.send(&mut b"logout\n"[..].into());
            drop(link);
            let mut received = String::new();
            let far = std::thread::spawn(move || far.read_to_string(&mut received).map(|_| received));
            serve(system(), plain(stream), orders, news, report).await;
            Ok::<_, io::Error>(far.join())
        }))?;
        assert_eq!(far.expect("the thread lives")?, "logout\n");
        Ok(())
    }

    #[test]
    fn the_end_of_a_connection_is_reported_after_its_bytes() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let executor = LocalExecutor::new();
        let (news, reported) = bounded(8);
        block_on(executor.run(async {
            let stream = dial(&system(), "127.0.0.1", port).await?;
            let (mut far, _) = listener.accept()?;
            far.write_all(b"bye logout\n")?;
            drop(far);
            let (_link, orders) = Link::new();
            executor.spawn(serve(system(), plain(stream), orders, news, report)).await;
            Ok::<_, io::Error>(())
        }))?;
        let reported: Vec<News> = std::iter::from_fn(|| reported.try_recv().ok()).collect();
        assert!(
            matches!(&reported[..], [News::FromServer { bytes, .. }, News::ServerGone { dial: 1 }] if bytes == b"bye logout\n")
        );
        Ok(())
    }

    #[test]
    fn bytes_read_before_a_failed_write_are_reported() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let executor = LocalExecutor::new();
        let (news, reported) = bounded(1);
        let heard = block_on(executor.run(async {
            let stream = dial(&system(), "127.0.0.1", port).await?;
            let (mut far, _) = listener.accept()?;
            let (link, orders) = Link::new();
            let task = executor.spawn(serve(system(), plain(stream), orders, news, report));
            link.send(&mut b"unread\n"[..].into());
            far.write_all(b"online luke\n")?;
            while reported.is_empty() {
                yield_now().await;
            }
            // The next news are not taken yet.
            far.write_all(b"bye replaced\n")?;
            far.set_nonblocking(true)?;
            while far.peek(&mut [0]).is_err() {
                yield_now().await;
            }
            // Closed with unread bytes: writes fail now.
            drop(far);
            link.send(&mut b"late\n"[..].into());
            while !link.outgoing.is_empty() {
                yield_now().await;
            }
            let mut heard = Vec::new();
            while let Ok(news) = reported.recv().await {
                if let News::FromServer { bytes, .. } = news {
                    heard.extend(bytes);
                } else {
                    heard.extend(b"gone");
                }
            }
            task.await;
            Ok::<_, io::Error>(heard)
        }))?;
        assert_eq!(String::from_utf8_lossy(&heard), "online luke\nbye replaced\ngone");
        Ok(())
    }

    #[test]
    fn a_side_that_reads_nothing_clogs_the_link_and_is_reset() -> io::Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let executor = LocalExecutor::new();
        let (news, _unread) = bounded(1);
        let mut far = block_on(executor.run(async {
            let stream = dial(&system(), "127.0.0.1", port).await?;
            let (far, _) = listener.accept()?;
            let (link, orders) = Link::new();
            let task = executor.spawn(serve(system(), plain(stream), orders, news, report));
            link.send(&mut vec![b'x'; CLOGGED][..].into());
            assert!(!link.is_clogged());
            // The system takes some of it, and the rest waits.
            while !link.outgoing.is_empty() {
                yield_now().await;
            }
            link.send(&mut vec![b'x'; CLOGGED][..].into());
            assert!(link.is_clogged());
            link.reset();
            task.await;
            Ok::<_, io::Error>(far)
        }))?;
        let end = far.read_to_end(&mut Vec::new()).map_err(|error| error.kind());
        assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
        Ok(())
    }

    #[test]
    fn a_port_where_nobody_listens_is_refused() -> io::Result<()> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let refused = block_on(dial(&system(), "127.0.0.1", port)).map(drop);
        assert_eq!(refused.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionRefused));
        Ok(())
    }
}
