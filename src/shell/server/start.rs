//! From settings to a running server, and back.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use futures_lite::FutureExt;
use smol::LocalExecutor;
use thiserror::Error;

use super::accept::Accepting;
use super::alarm::Alarm;
use super::barrier::Barrier;
use super::config::Sources;
use super::connection::Shared;
use super::hashing_threads::Pool;
use super::inbox;
use super::links::Links;
use super::nonces::Nonces;
use super::operator;
use super::reload::{ReloadError, reload};
use super::settings::Settings;
use super::state_loop::{Hands, Outcome, Server, Stopping};
use crate::record::Recovery;
use crate::server::ServerState;
use crate::shell::credentials::append;
use crate::shell::sockets;
use crate::shell::store;
use crate::shell::wall_clock::WallClock;
use crate::time::Time;
use crate::words::{Credential, Name};

/// Why the server did not start, or did not go on.
#[derive(Debug, Error)]
pub enum Failure {
    /// Settings or credentials.
    #[error(transparent)]
    Setup(#[from] ReloadError),
    /// The address.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        why: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The store, while the server ran.
    #[error("the store has failed, and nothing can be confirmed without it: {0}")]
    StoreFailed(String),
    /// The store, when the server stopped.
    #[error("{}", store::CloseError::Hangs)]
    StoreHangs,
    /// Threads, signals, randomness.
    #[error("the system refuses what a server needs: {0}")]
    System(#[from] io::Error),
}

impl Failure {
    /// The exit code of the program: 2 for settings and credentials, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Failure::Setup(_) => 2,
            Failure::Listen { .. }
            | Failure::Store(_)
            | Failure::StoreFailed(_)
            | Failure::StoreHangs
            | Failure::System(_) => 1,
        }
    }
}

/// Serves until a signal ends it.
///
/// # Errors
/// [`Failure`] says in one line what is wrong.
pub fn run(sources: Sources) -> Result<(), Failure> {
    let found = reload(&sources)?;
    for warning in &found.accounts.warnings {
        tracing::warn!("{warning}");
    }
    let signals = operator::signals()?;
    raise_file_limit();
    let address = SocketAddr::new(found.settings.bind, found.settings.port);
    let listener = sockets::listen(address, found.settings.limits.dead_link_secs)
        .map_err(|why| Failure::Listen { address, why })?;
    let (answers, answered) = async_channel::unbounded();
    let clock = WallClock::starting_after(Time::ZERO);
    let (store, recovery) = open_store(&found.settings, answers, clock.now())?;
    let clock = clock.set_after(recovery.last_written);
    let (settings, accounts) = found.accept(recovery.remembers_accounts())?;
    let (sender, inbox) = inbox::inbox();
    let executor: Rc<LocalExecutor<'static>> = Rc::default();
    let reload = operator::reloader(Rc::clone(&executor), sources, sender.clone());
    executor.spawn(operator::listen(signals, Rc::clone(&reload), sender.clone())).detach();
    executor.spawn(inbox::forward(answered, sender.clone())).detach();
    let core = new_core(&settings, accounts, recovery, clock)?;
    let hands = Hands {
        clock,
        store,
        hashing: start_hashing(sender.clone())?,
        shared: Shared::new(settings.limits),
        settings,
        accepting: None,
        reload,
        executor,
        sender,
        links: Links::default(),
        nonces: Nonces::new(),
        alarm: Alarm::new(clock),
        barrier: Barrier::new()?,
        dirty: Vec::new(),
        queued: 0,
        flushed: Vec::new(),
        follow_ups: VecDeque::new(),
        stored: false,
        stopping: Stopping::No,
    };
    serve(Server { core, hands, inbox }, listener)
}

/// Opens the port to the world and runs the tasks on this thread.
fn serve(mut server: Server, listener: TcpListener) -> Result<(), Failure> {
    let address = listener.local_addr()?;
    let executor = Rc::clone(&server.hands.executor);
    let listener = async_net::TcpListener::try_from(listener)?;
    server.hands.accepting = Some(Accepting::start(listener, &executor, server.hands.sender.clone()));
    let running = async {
        // The task of the state, and no other, ends the program when it panics: what it has said so
        // far is true, and it must say nothing more.
        AssertUnwindSafe(server.run()).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a defect in the core; the server stops at once");
            std::process::exit(1)
        })
    };
    let running = executor.spawn(running);
    announce(address);
    match async_io::block_on(executor.run(running)) {
        Outcome::Stopped => Ok(()),
        Outcome::StoreFailed(reason) => Err(Failure::StoreFailed(reason)),
        Outcome::StoreHangs => Err(Failure::StoreHangs),
    }
}

/// The one line on standard output. Whoever closed that does not want it.
fn announce(address: SocketAddr) {
    let mut stdout = io::stdout();
    let _ = writeln!(stdout, "listening on {address}").and_then(|()| stdout.flush());
}

fn open_store(
    settings: &Settings,
    answers: async_channel::Sender<store::Answer>,
    started: Time,
) -> Result<(store::Handle, Recovery), Failure> {
    let data = (!settings.ephemeral).then(|| settings.data.clone());
    let credentials = settings.credentials.clone();
    let add_account = {
        let credentials = credentials.clone();
        Box::new(move |name: &Name, credential: &Credential| append(&credentials, name, credential))
    };
    Ok(store::open(store::Options { data, credentials, answers, started, add_account })?)
}

fn new_core(
    settings: &Settings,
    accounts: Vec<(Name, Credential)>,
    recovery: Recovery,
    clock: WallClock,
) -> Result<ServerState, Failure> {
    let seed = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(ServerState::new(settings.core.clone(), accounts, recovery, seed, clock.now()))
}

fn start_hashing(inbox: inbox::Sender) -> Result<Pool, Failure> {
    Ok(Pool::start(move |answer| {
        // Without a reader of the inbox the program ends anyway.
        let _ = inbox.send_blocking(answer.into());
    })?)
}

/// Every connection is a file; the usual limit of 1,024 is for programs that use `select`.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::info!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}
