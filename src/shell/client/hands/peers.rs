//! Carries out what concerns other clients.

use std::io;
use std::net::SocketAddr;

use super::Hands;
use crate::shell::client::door;
use crate::shell::client::links::{self, DEAD_LINK_SECS};
use crate::shell::client::news::News;
use crate::shell::platform::{Listener, Platform, Socket};
use crate::words::LinkId;

impl<P: Platform> Hands<P> {
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
            let news = match links::dial_peer(&platform, address).await {
                Ok(socket) => News::PeerReached { address, socket },
                Err(_) => News::PeerUnreached { address },
            };
            let _ = urgent.send(news).await;
        };
        self.executor.spawn(dialling).detach();
    }

    pub(super) fn listen(&mut self) {
        self.peers.listener = None;
        let addresses = match self.bind() {
            Ok((listener, address)) => {
                let accepting = door::accept(self.platform.clone(), listener, self.door.clone());
                self.peers.listener = Some(self.executor.spawn(accepting));
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

    /// Listens for private links; also returns the addresses to declare.
    fn bind(&self) -> io::Result<(P::Listener, SocketAddr)> {
        let not_connected = || io::Error::from(io::ErrorKind::NotConnected);
        let local = self.server.local;
        let mut address = match self.places.private_bind {
            Some(ip) => SocketAddr::new(ip, 0),
            None => local.ok_or_else(not_connected)?,
        };
        address.set_port(0);
        let listener = self.platform.listen(address, DEAD_LINK_SECS)?;
        listener.set_backlog(door::BACKLOG)?;
        let mut address = listener.local_addr()?;
        if let (true, Some(local)) = (address.ip().is_unspecified(), local) {
            address.set_ip(local.ip());
        }
        Ok((listener, address))
    }
}
