//! What comes before plain bytes. The task of the connection reads and waits; the work is done by the state task, which
//! gives turns for it.

use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::or;

use super::super::handshakes::Stage;
use super::{Connection, Moved, Phase, Written};
use crate::shell::platform::Platform;
use crate::shell::server::inbox::{Item, Sender};

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);

impl<P: Platform> Connection<P> {
    /// Does the handshake, and passes on what came with its end. `false` if it has failed or taken too long, or the
    /// connection is to end.
    pub(super) async fn shake_hands(self: &Rc<Connection<P>>, inbox: &Sender<P>) -> bool {
        let late = async {
            self.shared.platform.after(HANDSHAKE).await;
            false
        };
        let unwanted = async {
            while !self.is_closing() && self.phase.get() != Phase::Lost {
                self.write_on.heard().await;
            }
            false
        };
        if !or(self.steps(inbox), or(unwanted, late)).await {
            return false;
        }
        let Ok(bytes) = self.tunnel.borrow_mut().first_bytes() else { return false };
        if !bytes.is_empty() && inbox.send(Item::Chunk { link: self.link, bytes }).await.is_err() {
            return false;
        }
        match self.write() {
            Written::All { upto } | Written::Part { upto: Some(upto) } => {
                inbox.send(Item::Flushed { link: self.link, upto }).await.is_ok()
            }
            Written::Part { upto: None } => true,
            Written::Broken => false,
        }
    }

    /// Reads what the client sends and has the work done for it until the tunnel is open; `false` if it fails.
    async fn steps(&self, inbox: &Sender<P>) -> bool {
        while !self.tunnel.borrow().is_open() {
            if or(self.readable(), self.told_to_read()).await.is_err() {
                return false;
            }
            let gathered = {
                let mut buffer = self.shared.read.borrow_mut();
                self.tunnel.borrow_mut().gather(&self.socket, &mut buffer)
            };
            match gathered {
                Ok(true) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    continue;
                }
                Ok(false) | Err(_) => return false,
            }
            if inbox.send(Item::Handshake { link: self.link }).await.is_err() || !self.step_done().await {
                return false;
            }
            while self.tunnel.borrow().pending() > 0 {
                if !self.writable().await || self.speak().is_err() {
                    return false;
                }
            }
        }
        true
    }

    /// Waits until the state task has done the work; whether it has gone well.
    async fn step_done(&self) -> bool {
        loop {
            if let Some(well) = self.stepped.take() {
                return well;
            }
            self.read_on.heard().await;
        }
    }

    /// Does the work for what was read of a handshake, and answers. Returns how far it has come; `None` if it is done or
    /// has failed.
    pub(crate) fn step(&self) -> Option<Stage> {
        let well = self.tunnel.borrow_mut().shake().is_ok();
        // An alert leaves too.
        let said = self.speak();
        let goes_on = well && said.is_ok();
        self.stepped.set(Some(goes_on));
        self.read_on.ring();
        let answered = said.is_ok_and(|said| said.moved);
        let stage = if answered { Stage::Answered } else { Stage::Half };
        (goes_on && !self.tunnel.borrow().is_open()).then_some(stage)
    }

    /// Writes what the tunnel itself has to say.
    fn speak(&self) -> io::Result<Moved> {
        self.tunnel.borrow_mut().write(&[], &self.socket)
    }

    /// Ends a handshake that others need the place of.
    pub(crate) fn break_off(&self) {
        self.phase.set(Phase::Lost);
        self.write_on.ring();
    }
}
