//! Accepts connections.

use std::io;
use std::rc::Rc;

use futures_lite::future::yield_now;
use smol::{LocalExecutor, Task};

use super::connection::Shared;
use crate::shell::platform::{Listener, Platform, System};
use crate::shell::server::inbox::{Item, Sender};

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

    /// Keeps the port open for the program that follows this one; returns the number of its file.
    pub(crate) fn hand_on(&self) -> io::Result<i32> {
        self.listener.hand_on()
    }

    /// Changes `dead_link_secs` for connections accepted from now on.
    pub(crate) fn set_dead_link_secs(&self, secs: u64) -> io::Result<()> {
        self.listener.set_dead_link_secs(secs)
    }
}

/// Passes every new connection to the inbox, while there are files for it. All other tasks have their turn after each:
/// whoever opens connections without pause delays nobody by more than one.
async fn accept<P: Platform>(
    platform: P,
    listener: Rc<P::Listener>,
    shared: Rc<Shared<P>>,
    inbox: Sender<P>,
) {
    let files = &shared.files;
    loop {
        files.room(&platform).await;
        match listener.accept().await {
            Ok((arrival, from)) => {
                files.accepted();
                if inbox.send(Item::Opened { arrival, from }).await.is_err() {
                    return;
                }
                yield_now().await;
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => files.ran_short(&error),
        }
    }
}

/// Whether the error concerns one connection, which ended before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::net::{Ipv4Addr, TcpStream};

    use crate::shell::platform::WallClock;
    use crate::shell::server::inbox::inbox;
    use crate::shell::server::setup::settings::Settings;
    use crate::time::Time;

    #[test]
    fn other_tasks_have_a_turn_after_each_connection() -> io::Result<()> {
        const CONNECTIONS: usize = 20;
        let system = System::new(WallClock::starting_after(Time::ZERO));
        let listener = system.listen((Ipv4Addr::LOCALHOST, 0).into(), 15)?;
        let to = listener.local_addr()?;
        let _clients: Vec<TcpStream> =
            (0..CONNECTIONS).map(|_| TcpStream::connect(to)).collect::<io::Result<_>>()?;
        let executor = LocalExecutor::new();
        let (sender, inbox) = inbox();
        let shared = Shared::new(system, Settings::default().limits);
        let _accepting = Accepting::start(system, listener, &executor, shared, sender);
        let most = Rc::new(Cell::new(0));
        let (seen, waiting) = (Rc::clone(&most), inbox.clone());
        let _other = executor.spawn(async move {
            loop {
                seen.set(seen.get().max(waiting.len()));
                while waiting.try_recv().is_ok() {}
                yield_now().await;
            }
        });
        let mut taken = 0;
        async_io::block_on(executor.run(async {
            while most.get() == 0 || taken < 10 * CONNECTIONS {
                taken += 1;
                yield_now().await;
            }
        }));
        assert_eq!(most.get(), 1, "connections that wait for the other tasks");
        Ok(())
    }
}
