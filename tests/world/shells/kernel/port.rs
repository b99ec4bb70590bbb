//! Listening sockets of the model system.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;

use hobnob::shell::platform::{Arrival, Listener, Socket as _};

use super::{FEW_FILES, Model, ModelSocket};

impl Arrival for ModelSocket {
    type Socket = ModelSocket;

    fn take_on(self) -> io::Result<ModelSocket> {
        Ok(self)
    }

    fn turn_away(self) {
        // Dropping it closes it in any case.
        let _ = self.reset_when_dropped();
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct ModelPort {
    pub(super) model: Model,
    pub(super) id: usize,
}

impl Listener for ModelPort {
    fn hand_on(&self) -> io::Result<i32> {
        Err(io::ErrorKind::Unsupported.into())
    }

    type Socket = ModelSocket;
    type Arrival = ModelSocket;

    async fn accept(&self) -> io::Result<(ModelSocket, SocketAddr)> {
        poll_fn(|context| {
            let mut kernel = self.model.kernel();
            let Some(id) = kernel.ports[self.id].waiting.pop_front() else {
                kernel.ports[self.id].waker = Some(context.waker().clone());
                return Poll::Pending;
            };
            let from = kernel.connections[id].ends[0].address;
            let most = kernel.files - FEW_FILES / 2;
            let accepted = &mut kernel.processes[self.model.process].accepted;
            *accepted += 1;
            if *accepted > most {
                kernel.judge.fail("connections leave files to the store", &format!("more than {most}"));
            }
            drop(kernel);
            Poll::Ready(Ok((ModelSocket { model: self.model.clone(), id, end: 1 }, from)))
        })
        .await
    }

    fn set_backlog(&self, _: i32) -> io::Result<()> {
        Ok(())
    }

    fn set_dead_link_secs(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.model.kernel().ports[self.id].address)
    }
}

impl Drop for ModelPort {
    fn drop(&mut self) {
        let mut kernel = self.model.kernel();
        kernel.ports[self.id].is_open = false;
        kernel.close_ports();
    }
}
