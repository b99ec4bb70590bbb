//! Carries out what concerns other clients.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use super::Hands;
use crate::client::Introduction;
use crate::shell::client::door;
use crate::shell::client::links::{self, DEAD_LINK_SECS, Link};
use crate::shell::client::news::News;
use crate::shell::client::peer_links::{self, Opened, Securing};
use crate::shell::client::relay::RelaySocket;
use crate::shell::platform::{Listener, LocalPort, Platform, Socket};
use crate::words::LinkId;
use crate::words::wiped::WipedBytes;

impl<P: Platform> Hands<P> {
    /// Whether a private link is open.
    pub(in super::super) fn has_peer(&self, link: LinkId) -> bool {
        self.peers.links.contains_key(&link)
    }

    /// A private link is closed.
    pub(in super::super) fn lose_peer(&mut self, link: LinkId) {
        self.peers.links.remove(&link).into_iter().for_each(|(near, _)| near.reset());
    }

    /// Somebody has come to the private port; returns the new link, which is not served yet.
    pub(in super::super) fn add_caller(&mut self, socket: P::Socket) -> LinkId {
        let link = self.next_peer();
        self.peers.caller = Some((link, socket));
        link
    }

    /// Serves the link of somebody who has come, unless the core had it reset.
    pub(in super::super) fn serve_caller(&mut self) {
        if let Some((link, socket)) = self.peers.caller.take() {
            self.serve_peer(link, socket, Opened::There);
        }
    }

    /// Another client was reached; returns the new link.
    pub(in super::super) fn add_peer(&mut self, socket: P::Socket, opened: Opened) -> LinkId {
        let link = self.next_peer();
        self.serve_peer(link, socket, opened);
        link
    }

    fn next_peer(&mut self) -> LinkId {
        self.peers.last += 1;
        LinkId(self.peers.last)
    }

    /// Serves a link through the server.
    pub(super) fn begin_relay(&mut self, link: LinkId, calls: bool) {
        let urgent = self.urgent.clone();
        // The channel holds any number.
        let tell = move |relayed| drop(urgent.try_send(News::Relay { link, relayed }));
        let (socket, feed) = RelaySocket::new(tell);
        self.peers.feeds.insert(link, feed);
        self.serve_peer(link, socket, if calls { Opened::Here } else { Opened::There });
    }

    pub(super) fn feed_relay(&self, link: LinkId, bytes: &[u8]) {
        if let Some(feed) = self.peers.feeds.get(&link) {
            feed.bring(bytes);
        }
    }

    pub(super) fn end_relay(&mut self, link: LinkId) {
        self.peers.feeds.remove(&link).into_iter().for_each(|feed| feed.end());
    }

    fn serve_peer(&mut self, link: LinkId, socket: impl Socket, opened: Opened) {
        let (near, orders) = Link::new();
        let (platform, inbox, linked) = (self.platform.clone(), self.peer_inbox.clone(), self.linked.clone());
        let serving = async move {
            peer_links::serve(platform, socket, link, opened, orders, inbox).await;
            drop(linked);
        };
        self.executor.spawn(serving).detach();
        self.peers.links.insert(link, (near, WipedBytes::new()));
    }

    /// Encrypts a link, after what was said on it.
    pub(super) fn secure_peer(&mut self, link: LinkId, dialled: bool, introduction: &Introduction) {
        let Some((near, out)) = self.peers.links.get_mut(&link) else { return };
        near.send(out);
        if let Some(device) = &self.peers.device {
            let (introduction, device) = (introduction.clone(), Rc::clone(device));
            near.secure(Securing { dialled, introduction, device });
        }
    }

    pub(super) fn reset_peer(&mut self, link: LinkId) {
        if let Some((_, socket)) = self.peers.caller.take_if(|(caller, _)| *caller == link) {
            // Where the system does not, the connection is closed.
            drop(socket.reset_when_dropped());
        } else if let Some((near, _)) = self.peers.links.remove(&link) {
            near.reset();
        }
    }

    pub(super) fn dial_peer(&self, address: SocketAddr) {
        let (platform, urgent) = (self.platform.clone(), self.urgent.clone());
        let dialling = async move {
            let news = match links::dial_peer(&platform, address, LocalPort::Any).await {
                Ok(socket) => News::PeerReached { address, socket },
                Err(_) => News::PeerUnreached { address },
            };
            let _ = urgent.send(news).await;
        };
        self.executor.spawn(dialling).detach();
    }

    /// Dials from the port where this client listens.
    pub(super) fn punch_peer(&self, address: SocketAddr) {
        let (platform, urgent, port) = (self.platform.clone(), self.urgent.clone(), self.peers.port);
        let dialling = async move {
            let reached = match port {
                Some(port) => links::dial_peer(&platform, address, LocalPort::Shared(port)).await.ok(),
                None => None,
            };
            let news = match reached {
                Some(socket) => News::PeerPunched { address, socket },
                None => News::PeerUnpunched { address },
            };
            let _ = urgent.send(news).await;
        };
        self.executor.spawn(dialling).detach();
    }

    pub(super) fn listen(&mut self) {
        self.peers.listener = None;
        self.peers.port = None;
        let addresses = match self.bind() {
            Ok((listener, address)) => {
                let accepting = door::accept(self.platform.clone(), listener, self.door.clone());
                self.peers.listener = Some(self.executor.spawn(accepting));
                self.peers.port = self.places.private_port.is_none().then_some(address.port());
                vec![address]
            }
            Err(error) => {
                self.screen.say(&format!("cannot listen for private links: {error}"));
                Vec::new()
            }
        };
        // The channel holds any number.
        let _ = self.urgent.try_send(News::Listening(addresses));
    }

    /// Listens for private links; also returns the addresses to declare. The port is that of the connection to the
    /// server, unless it cannot be had: then the address that the server sees is of no use to others.
    fn bind(&self) -> io::Result<(P::Listener, SocketAddr)> {
        let not_connected = || io::Error::from(io::ErrorKind::NotConnected);
        let local = self.server.local;
        let mut address = local.ok_or_else(not_connected)?;
        if let Some(ip) = self.places.private_bind {
            address.set_ip(ip);
        }
        let listener = match self.places.private_port {
            // Not shared: another client of this user would get a part of the connections.
            Some(port) => {
                address.set_port(port);
                self.platform.listen(address, DEAD_LINK_SECS)?
            }
            None => self.platform.listen_shared(address, DEAD_LINK_SECS).or_else(|_| {
                address.set_port(0);
                self.platform.listen_shared(address, DEAD_LINK_SECS)
            })?,
        };
        listener.set_backlog(door::BACKLOG)?;
        let mut address = listener.local_addr()?;
        if let (true, Some(local)) = (address.ip().is_unspecified(), local) {
            address.set_ip(local.ip());
        }
        Ok((listener, address))
    }
}
