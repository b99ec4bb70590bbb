//! Takes new connections.

use std::time::Duration;

use async_io::Timer;
use async_net::TcpListener;

use super::inbox::{Item, Sender};

/// How long to wait when the system is out of files or memory: connections wait in the backlog.
const SHORT_OF_FILES: Duration = Duration::from_millis(100);

/// Hands on every connection that comes, for ever.
pub(super) async fn accept(listener: TcpListener, inbox: Sender) {
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

/// Whether the error concerns a connection that ended before it was taken.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}
