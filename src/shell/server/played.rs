//! The server's shell on any platform, without threads. The simulated world plays it.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use async_channel::Receiver;
use smol::{LocalExecutor, Task};

use super::connections::Bounds;
use super::hands::Successor;
use super::hashing::{Hasher, Job, Pool};
use super::inbox::{self, Item};
use super::log::Log;
use super::settings::Settings;
use super::start::{Parts, lower_to_files};
use super::state_loop::Outcome;
use crate::record::Recovery;
use crate::server::ServerState;
use crate::shell::platform::Platform;
use crate::shell::store;
use crate::shell::tunnel::acceptor::Acceptor;
use crate::words::{Credential, Name};

/// What a server is started with.
pub struct Start<P: Platform> {
    /// Clock, timers, sockets.
    pub platform: P,
    /// Where connections come from.
    pub listener: P::Listener,
    /// The settings.
    pub settings: Settings,
    /// The accounts.
    pub accounts: Vec<(Name, Credential)>,
    /// The open store, and what it remembers.
    pub store: (store::Handle, Recovery),
    /// Its answers.
    pub answered: Receiver<store::Answer>,
    /// How long each hash takes.
    pub hash_takes: Box<dyn FnMut() -> Duration>,
    /// For the maps of the core.
    pub seed: u64,
}

impl<P: Platform> fmt::Debug for Start<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A server that runs when it is ticked.
pub struct Played<P: Platform> {
    executor: Rc<LocalExecutor<'static>>,
    /// `None` after it has ended.
    running: Option<Task<Outcome>>,
    inbox: inbox::Sender<P>,
}

/// Tasks have the executor, and it has them: they end here.
impl<P: Platform> Drop for Played<P> {
    fn drop(&mut self) {
        self.running = None;
        while self.executor.try_tick() {}
    }
}

impl<P: Platform> fmt::Debug for Played<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Played").field("running", &self.running.is_some()).finish_non_exhaustive()
    }
}

impl<P: Platform> Played<P> {
    /// Puts a server together.
    #[must_use]
    pub fn start(start: Start<P>) -> Played<P> {
        let Start { platform, listener, mut settings, accounts, store, answered, hash_takes, seed } = start;
        let (store, recovery) = store;
        lower_to_files(Bounds::of(platform.most_files()), &mut settings);
        let core = ServerState::new(settings.core.clone(), accounts, recovery, seed, platform.now());
        let executor: Rc<LocalExecutor<'static>> = Rc::default();
        let channel = inbox::inbox();
        let inbox = channel.0.clone();
        let (hashing, jobs) = Pool::unthreaded();
        executor.spawn(hash(platform.clone(), jobs, inbox.clone(), hash_takes)).detach();
        let parts = Parts {
            platform,
            executor: Rc::clone(&executor),
            channel,
            answered,
            store,
            hashing,
            settings,
            acceptor: Acceptor::Plain,
            reload: Rc::new(|_| ()),
            renew_certificate: Rc::new(|_| ()),
            core,
            recorder: None,
            address: SocketAddr::from(([127, 0, 0, 1], 4_000)),
            successor: Successor::Manager,
            log: Log::default(),
        };
        let running = Some(executor.spawn(parts.assemble(listener).run()));
        Played { executor, running, inbox }
    }

    /// Gives one task its turn; `false` if none has anything to do.
    #[must_use]
    pub fn tick(&self) -> bool {
        self.executor.try_tick()
    }

    /// Asks it to stop, as a signal does.
    pub fn stop(&self) {
        let inbox = self.inbox.clone();
        self.executor.spawn(async move { drop(inbox.send(Item::Stop).await) }).detach();
    }

    /// How it ended, once; `None` while it runs.
    pub fn ended(&mut self) -> Option<Result<(), String>> {
        let running = self.running.take_if(|running| running.is_finished())?;
        Some(match futures_lite::future::block_on(running) {
            Outcome::Stopped | Outcome::Restarts { .. } => Ok(()),
            Outcome::StoreFailed(reason) => Err(reason),
            Outcome::StoreHangs => Err("the store hangs".to_owned()),
        })
    }
}

/// Does the work of the hashing threads, one password after the other.
async fn hash<P: Platform>(
    platform: P,
    jobs: Receiver<Job>,
    inbox: inbox::Sender<P>,
    mut takes: Box<dyn FnMut() -> Duration>,
) {
    let mut hasher = Hasher::default();
    while let Ok(job) = jobs.recv().await {
        platform.after(takes()).await;
        if inbox.send(job.run(&mut hasher).into()).await.is_err() {
            return;
        }
    }
}
