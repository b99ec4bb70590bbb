//! Accepts connections.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::or;
use smol::{LocalExecutor, Task};

use super::connection::Shared;
use crate::shell::platform::{Listener, Platform, System};
use crate::shell::server::inbox::{Item, Sender};

/// How long to wait when the system is out of files or memory and none of this process becomes free. Connections wait
/// in the backlog meanwhile.
const SHORT_OF_FILES: Duration = Duration::from_secs(1);

/// The listening socket and its task; dropping it closes the port.
pub(crate) struct Accepting<P: Platform = System> {
    listener: Rc<P::Listener>,
    _task: Task<()>,
}

impl<P: Platform> Accepting<P> {
    /// Starts accepting.
    pub(crate) fn start(
        platform: P,
        listener: P::Listener,
        executor: &LocalExecutor<'static>,
        shared: Rc<Shared<P>>,
        inbox: Sender<P>,
    ) -> Accepting<P> {
        let listener = Rc::new(listener);
        let task = executor.spawn(accept(platform, Rc::clone(&listener), shared, inbox));
        Accepting { listener, _task: task }
    }

    /// Changes `dead_link_secs` for connections accepted from now on.
    pub(crate) fn set_dead_link_secs(&self, secs: u64) -> io::Result<()> {
        self.listener.set_dead_link_secs(secs)
    }
}

/// Passes every new connection to the inbox, while there are files for it.
async fn accept<P: Platform>(
    platform: P,
    listener: Rc<P::Listener>,
    shared: Rc<Shared<P>>,
    inbox: Sender<P>,
) {
    let files = &shared.files;
    let mut short = false;
    loop {
        files.room(&platform).await;
        match listener.accept().await {
            Ok((socket, from)) => {
                short = false;
                files.accepted();
                if inbox.send(Item::Opened { socket, from }).await.is_err() {
                    return;
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !std::mem::replace(&mut short, true) {
                    tracing::error!("no connection can be taken for now: {error}");
                }
                or(files.one_freed(&platform), platform.after(SHORT_OF_FILES)).await;
            }
        }
    }
}

/// Whether the error concerns one connection, which ended before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}
