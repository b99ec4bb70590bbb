//! Accepts those who come to the private port, at most some at a time: the server's bytes come first.

use std::time::Duration;

use async_channel::Sender;

use super::news::News;
use crate::shell::platform::{Arrival as _, Listener, Platform};

/// Connections that may wait to be accepted: so many that one of those who are meant comes soon.
pub(super) const BACKLOG: i32 = 64;
/// Connections accepted and not told to the core; also those told in one turn.
pub(super) const WAITING: usize = 16;
/// The pause after so many, in which other sockets are looked at.
const PAUSE: Duration = Duration::from_micros(500);
/// The pause after a connection could not be accepted.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until it is dropped.
pub(super) async fn accept<P: Platform>(platform: P, listener: P::Listener, door: Sender<News<P>>) {
    let mut accepted = 0;
    loop {
        let came = listener.accept().await;
        match came.and_then(|(arrival, from)| Ok((arrival.take_on()?, from))) {
            Ok((socket, from)) => {
                if door.send(News::PeerCame { from, socket }).await.is_err() {
                    return;
                }
                accepted += 1;
                if accepted % WAITING == 0 {
                    platform.after(PAUSE).await;
                }
            }
            Err(_) => platform.after(FAILURE_PAUSE).await,
        }
    }
}
