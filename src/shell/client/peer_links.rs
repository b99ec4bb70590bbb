//! Connections with other clients: clear until a caller has proved that it knows the introduction, encrypted from then on.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use async_channel::Sender;
use futures_lite::future::{or, pending};

use super::links::{self, LinkNews, Orders, Way};
use super::news::News;
use crate::client::Introduction;
use crate::shell::platform::{self, Platform, Socket};
use crate::shell::tunnel::between_clients::{Device, PROOF_BYTES, Side};
use crate::shell::tunnel::{Received, Tunnel};
use crate::wire::CALL_BYTES;
use crate::words::wiped::WipedBytes;
use crate::words::{DeviceKey, LinkId};

/// Bytes of a handshake that are read at once.
const CHUNK: usize = 4 * 1024;

/// Which side has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    Here,
    There,
    /// Perhaps both at the same time: the core knows which side is to call.
    Both,
}

/// How a link is to be encrypted.
#[derive(Debug)]
pub(super) struct Securing {
    pub(super) dialled: bool,
    pub(super) introduction: Introduction,
    pub(super) device: Rc<Device>,
}

/// What the first, clear part of a connection has come to.
enum Clear {
    Secure(Box<Securing>),
    /// This side closes it, or resets it.
    Left,
    Lost,
}

/// Serves a connection until it ends.
pub(super) async fn serve<P: Platform, S: Socket>(
    platform: P,
    socket: S,
    link: LinkId,
    opened: Opened,
    orders: Orders,
    news: Sender<News<P>>,
) {
    let report = move |news| match news {
        LinkNews::Bytes(bytes) => News::FromPeer { link, bytes },
        LinkNews::Gone | LinkNews::Stranded => News::PeerGone { link },
    };
    let gone = async || drop(news.send(report(LinkNews::Gone)).await);
    let clear = RefCell::new(Tunnel::plain());
    let speaking = speak(&socket, &clear, &orders);
    match or(reset(&orders), or(speaking, listen::<P, S>(&socket, opened, &news, report))).await {
        Clear::Lost => gone().await,
        Clear::Left => drop(socket.reset_when_dropped()),
        Clear::Secure(securing) => {
            let secured = async { secure(&socket, &securing).await.ok() };
            // It is closed without a word: there is none that the other side could read.
            let left = async {
                while orders.leaving.recv().await.is_ok() {}
                None
            };
            let Some((key, tunnel, first)) = or(left, secured).await else {
                drop(socket.reset_when_dropped());
                return gone().await;
            };
            let can_move = tunnel.can_move();
            if news.send(News::PeerProved { link, key, can_move }).await.is_err() {
                return;
            }
            let way = Way { socket, tunnel: RefCell::new(tunnel), first };
            links::serve(platform, way, orders, news, report).await;
        }
    }
}

async fn reset(orders: &Orders) -> Clear {
    match orders.resets.recv().await {
        Ok(()) => Clear::Left,
        Err(_) => pending().await,
    }
}

/// Says in the clear what is to be said before the connection is encrypted.
async fn speak(socket: &impl Socket, clear: &RefCell<Tunnel>, orders: &Orders) -> Clear {
    loop {
        let bytes = async { orders.leaving.recv().await.map(|bytes| (Some(bytes), None)) };
        let securing = async { orders.securing.recv().await.map(|securing| (None, Some(securing))) };
        // What was to be said comes first.
        match or(bytes, securing).await {
            Ok((Some(bytes), _)) if links::say(socket, clear, &bytes).await.is_ok() => {
                orders.has_left(bytes.len());
            }
            Ok((None, Some(securing))) => return Clear::Secure(securing),
            Ok(_) => return Clear::Lost,
            Err(_) => return Clear::Left,
        }
    }
}

/// Reads a caller's first line, and nothing beyond it; of one who was called nothing: they say nothing before the
/// connection is being encrypted.
async fn listen<P: Platform, S: Socket>(
    socket: &S,
    opened: Opened,
    news: &Sender<News<P>>,
    report: impl Fn(LinkNews) -> News<P>,
) -> Clear {
    let mut call = [0; CALL_BYTES];
    let mut room = match opened {
        Opened::Here => 0,
        Opened::There | Opened::Both => call.len(),
    };
    while room > 0 {
        let part = call.get_mut(..room).unwrap_or_default();
        match platform::read(socket, part).await {
            Ok(count) if count > 0 => {
                let bytes = part.get(..count).unwrap_or_default().to_vec();
                room -= count;
                let _ = news.send(report(LinkNews::Bytes(bytes))).await;
            }
            Ok(_) | Err(_) => return Clear::Lost,
        }
    }
    pending().await
}

/// Does the handshake, and proves and checks keys; also returns what the other side has said after its proof. The called
/// side proves first: the caller has proved that it knows the introduction, and tells its own key to nobody who does not.
async fn secure(socket: &impl Socket, securing: &Securing) -> io::Result<(DeviceKey, Tunnel, WipedBytes)> {
    let Securing { dialled, introduction, device } = securing;
    let (side, tunnel) = Side::begin(*dialled, introduction.clone())?;
    let tunnel = RefCell::new(tunnel);
    let mut chunk = vec![0; CHUNK];
    let mut heard = WipedBytes::new();
    loop {
        links::say(socket, &tunnel, &[]).await?;
        if tunnel.borrow().is_open() {
            break;
        }
        heard.extend_from_slice(&read(socket, &tunnel, &mut chunk).await?);
    }
    let own = side.prove(&tunnel.borrow(), device)?;
    if !dialled {
        links::say(socket, &tunnel, &own).await?;
    }
    while heard.len() < PROOF_BYTES {
        heard.extend_from_slice(&read(socket, &tunnel, &mut chunk).await?);
    }
    let (proof, rest) = heard.split_at_checked(PROOF_BYTES).ok_or(ErrorKind::UnexpectedEof)?;
    let key = side.proved(&tunnel.borrow(), proof.try_into().map_err(io::Error::other)?)?;
    if *dialled {
        links::say(socket, &tunnel, &own).await?;
    }
    Ok((key, tunnel.into_inner(), rest.into()))
}

async fn read(socket: &impl Socket, tunnel: &RefCell<Tunnel>, chunk: &mut [u8]) -> io::Result<WipedBytes> {
    loop {
        let received = tunnel.borrow_mut().read(socket, chunk);
        match received {
            Ok(Received::Bytes(bytes)) => return Ok(bytes),
            Ok(Received::End | Received::Cut) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll_fn(|context| socket.poll_readable(context)).await?;
            }
            Err(error) => return Err(error),
        }
    }
}
