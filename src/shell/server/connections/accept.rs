//! Accepts connections.

use std::io;
use std::time::Duration;

use async_io::Timer;
use async_net::TcpListener;
use smol::{LocalExecutor, Task};
use socket2::SockRef;

use crate::shell::server::inbox::{Item, Sender};
use crate::shell::sockets;

/// Pause when the system is out of files or memory. Connections wait in the backlog meanwhile.
const SHORT_OF_FILES: Duration = Duration::from_millis(100);

/// The listening socket and its task; dropping it closes the port.
pub(crate) struct Accepting {
    listener: TcpListener,
    _task: Task<()>,
}

impl Accepting {
    /// Starts accepting.
    pub(crate) fn start(
        listener: TcpListener,
        executor: &LocalExecutor<'static>,
        inbox: Sender,
    ) -> Accepting {
        let task = executor.spawn(accept(listener.clone(), inbox));
        Accepting { listener, _task: task }
    }

    /// Changes `dead_link_secs` for connections accepted from now on.
    pub(crate) fn set_dead_link_secs(&self, secs: u64) -> io::Result<()> {
        sockets::tune(SockRef::from(&self.listener), secs)
    }
}

/// Passes every new connection to the inbox.
async fn accept(listener: TcpListener, inbox: Sender) {
    let mut short = false;
    loop {
        match listener.accept().await {
            Ok((socket, from)) => {
                short = false;
                if inbox.send(Item::Opened { socket, from }).await.is_err() {
                    return;
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut short, true) {
                    tracing::error!("no connection can be taken for now: {error}");
                }
                Timer::after(SHORT_OF_FILES).await;
            }
        }
    }
}

/// Whether the error concerns one connection, which ended before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}
