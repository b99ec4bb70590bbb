//! Starts the server from its settings and runs it to its end.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::{or, yield_now};
use smol::LocalExecutor;
use thiserror::Error;

use super::alarm::Alarm;
use super::commands::forget::{LOOK_EVERY, forget_at_start};
use super::connections::{Accepting, Bounds, Handshakes, Links, Newcomers, Shared};
use super::control;
use super::hands::{Acts, Answers, Hands, Stopping, Successor};
use super::hashing::Pool;
use super::inbox;
use super::log::{self, Log, LogError, Sink};
use super::metrics::{self, Counts};
use super::nonces::Nonces;
use super::operator::{self, ReadAgain, RenewCertificate};
use super::rates::Rates;
use super::recording::{Recorder, RecordingError};
use super::renewals::Renewals;
use super::restart;
use super::service_manager;
use super::setup::config::Sources;
use super::setup::identity::{IdentityError, Keys};
use super::setup::reload::{Reload, ReloadError, reload};
use super::setup::settings::Settings;
use super::shortages::{self, Shortages};
use super::state_loop::{Outcome, Server};
use crate::record::Recovery;
use crate::server::ServerState;
use crate::server::operators::Census;
use crate::shell::core_dumps;
use crate::shell::credentials::append;
use crate::shell::heap::Heap;
use crate::shell::platform::{Listener, Platform, System, TcpPort, WallClock};
use crate::shell::store;
use crate::shell::tunnel::acceptor::Acceptor;
use crate::shell::visible::visible;
use crate::time::Time;
use crate::words::{Credential, Fingerprint, Name};

/// An error that keeps the server from starting or ends it.
#[derive(Debug, Error)]
pub enum Failure {
    /// Settings or credentials.
    #[error(transparent)]
    Setup(#[from] ReloadError),
    /// The key in the data folder.
    #[error(transparent)]
    Key(#[from] IdentityError),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file of the recording.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// The address.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// The I/O error.
        why: io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The store failed while the server ran.
    #[error("the store has failed, and nothing can be confirmed without it: {0}")]
    StoreFailed(String),
    /// The store did not finish when the server stopped.
    #[error("{}", store::CloseError::Hangs)]
    StoreHangs,
    /// The server has stopped to start again, and its program cannot be started.
    #[error("the server has stopped and cannot start again: {0}")]
    Restart(io::Error),
    /// Threads, signals, randomness.
    #[error("the system refuses what a server needs: {0}")]
    System(#[from] io::Error),
}

impl Failure {
    /// The exit code of the program: 2 for settings and credentials, else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Failure::Key(error) if error.is_of_settings() => 2,
            Failure::Setup(_) | Failure::Log(_) | Failure::Recording(_) => 2,
            Failure::Key(_)
            | Failure::Listen { .. }
            | Failure::Store(_)
            | Failure::StoreFailed(_)
            | Failure::StoreHangs
            | Failure::Restart(_)
            | Failure::System(_) => 1,
        }
    }
}

/// Serves until a signal ends it. Records all that happens in a file, if one is given.
///
/// # Errors
/// [`Failure`] says in one line what is wrong; the log file has the line too.
pub fn run(sources: Sources, log: &Log, record: Option<&Path>) -> Result<(), Failure> {
    let program = std::env::current_exe();
    let is_managed = restart::is_of_manager();
    let ended = match serve_to_end(sources, log, record) {
        Ok(None) => Ok(()),
        Ok(Some(socket)) => Err(Failure::Restart(restart::become_successor(program, socket, is_managed))),
        Err(failure) => Err(failure),
    };
    if let Err(failure) = &ended
        && log.is_file()
    {
        tracing::error!("{failure}");
    }
    ended
}

/// The number of the socket with which the server is to start again, if it is.
fn serve_to_end(sources: Sources, log: &Log, record: Option<&Path>) -> Result<Option<i32>, Failure> {
    let found = reload(&sources)?;
    let signals = operator::signals()?;
    raise_file_limit();
    let address = SocketAddr::new(found.settings.bind, found.settings.port);
    let clock = WallClock::starting_after(Time::ZERO);
    let started_again = restart::is_successor();
    let (listener, successor) = listener(System::new(clock), address, &found.settings)?;
    let metrics = metrics_port(&found.settings, System::new(clock))?;
    let (answers, answered) = async_channel::unbounded();
    let (store, recovery) = open_store(&found, answers, clock.now())?;
    // The file may be in the data folder, which is there now.
    log.take_up(Sink::open(&found.settings.log)?);
    warn(&found);
    let platform = System::new(clock.set_after(recovery.last_written));
    let (mut settings, accounts) = found.accept(recovery.remembers_accounts())?;
    lower_to_files(Bounds::of(platform.most_files()), &mut settings);
    let channel = inbox::inbox();
    let sender = channel.0.clone();
    let executor: Rc<LocalExecutor<'static>> = Rc::default();
    let keys = Arc::new(Keys::default());
    let acceptor = keys.acceptor(&settings, platform.now())?;
    let renew_certificate =
        operator::renewer(Rc::clone(&executor), Arc::clone(&keys), platform, sender.clone());
    executor.spawn(operator::watch_certificate(platform, sender.clone())).detach();
    let reload = operator::reloader(Rc::clone(&executor), sources, keys, platform, sender.clone());
    executor.spawn(service_manager::watch(platform, sender.clone())).detach();
    executor.spawn(operator::listen(signals, Rc::clone(&reload), sender.clone())).detach();
    let data = (!settings.ephemeral).then(|| settings.data.clone());
    if let Some(data) = &data {
        control::listen(data, platform, &executor, sender.clone());
    }
    executor.spawn(shortages::watch(data.clone(), platform, sender.clone())).detach();
    if let Some(port) = metrics {
        metrics::serve(port, data, platform, &executor, sender.clone());
    }
    let hashing = start_hashing(sender)?;
    hashing.learn_costs(&accounts);
    let now = platform.now();
    let begin = |path| Recorder::begin(path, started_again, &settings.core, &accounts, &recovery, now);
    let recorder = record.map(begin).transpose()?;
    let core = new_core(&settings, accounts, recovery, now)?;
    let address = listener.local_addr()?;
    let parts = Parts {
        platform,
        executor,
        channel,
        answered,
        store,
        hashing,
        settings,
        acceptor,
        reload,
        renew_certificate,
        core,
        recorder,
        address,
        successor,
        log: log.clone(),
    };
    serve(parts.assemble(listener), address)
}

/// Tells what is not as it should be and keeps nobody from starting.
fn warn(found: &Reload) {
    for warning in &found.accounts.warnings {
        tracing::warn!("{warning}");
    }
    if !found.settings.core_dumps
        && let Err(error) = core_dumps::forbid()
    {
        tracing::warn!("core files may hold passwords: {error}");
    }
}

/// The socket that the service manager has opened, or the server before a restart; or else one on the address of the
/// settings. And who starts the server again.
fn listener(
    system: System,
    address: SocketAddr,
    settings: &Settings,
) -> Result<(TcpPort, Successor), Failure> {
    let dead_link_secs = settings.limits.dead_link_secs;
    let by_manager = restart::is_of_manager();
    let Some(given) = TcpPort::given(dead_link_secs)? else {
        let listener = system.listen(address, dead_link_secs);
        return Ok((listener.map_err(|why| Failure::Listen { address, why })?, Successor::Itself));
    };
    settings.guard_plaintext(given.local_addr()?.ip())?;
    Ok((given, if by_manager { Successor::Manager } else { Successor::Itself }))
}

/// The port where metrics are served, if they are.
fn metrics_port(settings: &Settings, system: System) -> Result<Option<TcpPort>, Failure> {
    let bind = |address| metrics::bind(address, system).map_err(|why| Failure::Listen { address, why });
    settings.metrics.map(bind).transpose()
}

/// How long tasks may run before sockets are looked at again. While connections were opened as fast as one core can,
/// messages took 0.23 ms in the median and 1.1 to 1.4 ms at p99; with 200 µs 0.40 ms and 1.5 to 2.1 ms, with 50 µs 0.15 ms
/// and 1.0 to 1.6 ms.
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// What a server is put together from.
pub(super) struct Parts<P: Platform> {
    pub(super) platform: P,
    pub(super) executor: Rc<LocalExecutor<'static>>,
    pub(super) channel: (inbox::Sender<P>, inbox::Receiver<P>),
    /// The answers of the store.
    pub(super) answered: async_channel::Receiver<store::Answer>,
    pub(super) store: store::Handle,
    pub(super) hashing: Pool,
    pub(super) settings: Settings,
    pub(super) acceptor: Acceptor,
    pub(super) reload: ReadAgain,
    pub(super) renew_certificate: RenewCertificate,
    pub(super) core: ServerState,
    pub(super) recorder: Option<Recorder>,
    /// Where it listens.
    pub(super) address: SocketAddr,
    pub(super) successor: Successor,
    pub(super) log: Log,
}

impl<P: Platform> Parts<P> {
    /// A server that takes connections from `listener` when its executor runs.
    pub(super) fn assemble(self, listener: P::Listener) -> Server<P> {
        let Parts {
            platform,
            executor,
            channel,
            answered,
            store,
            hashing,
            settings,
            acceptor,
            reload,
            renew_certificate,
            core,
            recorder,
            address,
            successor,
            log,
        } = self;
        let (sender, inbox) = channel;
        executor.spawn(inbox::forward(answered, sender.clone())).detach();
        let heap = Heap::keep_small(&platform, &executor);
        let shared = Shared::new(platform.clone(), settings.limits);
        let accepting =
            Accepting::start(platform.clone(), listener, &executor, Rc::clone(&shared), sender.clone());
        let hands = Hands {
            store,
            hashing,
            heap,
            shared,
            settings,
            accepting: Some(accepting),
            reload,
            renew_certificate,
            executor,
            sender,
            links: Links::default(),
            acceptor,
            handshakes: Handshakes::default(),
            newcomers: Newcomers::default(),
            nonces: Nonces::new(),
            renewals: Renewals::default(),
            started: platform.now(),
            counts: Counts::default(),
            rates: Rates::default(),
            shortages: Shortages::default(),
            recorder,
            alarm: Alarm::new(platform.clone()),
            platform,
            dirty: Vec::new(),
            queued: 0,
            flushed: Vec::new(),
            follow_ups: VecDeque::new(),
            address,
            acts: Acts::default(),
            answers: Answers::default(),
            stored: false,
            log,
            stopping: Stopping::No,
            successor,
        };
        Server { core, hands, inbox, written: (Time::ZERO, Duration::ZERO) }
    }
}

/// Runs all tasks on this thread. The number of the socket with which the server is to start again, if it is.
fn serve(server: Server, address: SocketAddr) -> Result<Option<i32>, Failure> {
    let executor = Rc::clone(&server.hands.executor);
    let platform = server.hands.platform;
    let began = server.hands.started;
    note_start(&server, address);
    let fingerprint = server.hands.acceptor.fingerprint();
    let running = async {
        // A panic in the core ends the program at once: what it has sent so far is true, and nothing more
        // may be sent.
        AssertUnwindSafe(server.run()).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a defect in the core; the server stops at once");
            std::process::exit(1)
        })
    };
    let running = executor.spawn(running);
    announce(address, fingerprint);
    service_manager::ready();
    let outcome = async_io::block_on(or(running, drive(&executor, &platform)));
    let uptime_secs = platform.now().since(began).as_secs();
    tracing::info!(target: log::ALWAYS, event = "stop", uptime_secs, "stopped after {uptime_secs} s");
    match outcome {
        Outcome::Stopped => Ok(None),
        Outcome::Restarts { socket } => Ok(Some(socket)),
        Outcome::StoreFailed(reason) => Err(Failure::StoreFailed(reason)),
        Outcome::StoreHangs => Err(Failure::StoreHangs),
    }
}

/// Notes what the server starts with.
fn note_start(server: &Server, address: SocketAddr) {
    let Hands { settings, platform, .. } = &server.hands;
    let Census { accounts, mailbox_bytes, .. } = server.core.census(platform.now());
    let (version, process) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let folder = settings.data.to_string_lossy();
    let data = if settings.ephemeral { "nowhere".into() } else { visible(&folder).to_string() };
    let tls = if settings.plaintext { "without TLS" } else { "with TLS" };
    let metrics = settings.metrics.map_or_else(String::new, |at| format!(", metrics on {at}"));
    tracing::info!(
        target: log::ALWAYS,
        event = "start",
        version,
        process,
        %address,
        data,
        accounts,
        mailbox_bytes,
        "hobnob-server {version} starts (process {process}): {address} {tls}{metrics}, data in {data}, \
         {accounts} accounts, {mailbox_bytes} bytes of stored mail"
    );
}

/// Runs all tasks, and lets sockets be looked at while they keep this thread busy: `LocalExecutor::run` does so after
/// 200 tasks, which is several milliseconds when connections are opened and closed without pause.
async fn drive<T>(executor: &LocalExecutor<'static>, platform: &System) -> T {
    loop {
        executor.tick().await;
        let began = platform.now();
        while platform.now().since(began) < LOOK_AGAIN && executor.try_tick() {}
        yield_now().await;
    }
}

/// Prints where the server listens, and what it is known by, on standard output; it may be closed.
fn announce(address: SocketAddr, fingerprint: Option<Fingerprint>) {
    let mut lines = format!("listening on {address}\n");
    if let Some(fingerprint) = fingerprint {
        lines += &format!("fingerprint {fingerprint}\n");
    }
    let mut stdout = io::stdout();
    let _ = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush());
}

/// Forgets whoever is to be forgotten, and opens the store.
fn open_store(
    found: &Reload,
    answers: async_channel::Sender<store::Answer>,
    started: Time,
) -> Result<(store::Handle, Recovery), Failure> {
    let data = (!found.settings.ephemeral).then(|| found.settings.data.clone());
    let accounts = found.accounts.file.clone().into_accounts();
    let has_account = |user: &Name| accounts.iter().any(|(name, _)| name == user);
    let mut looks = data.as_ref().map_or(0, |data| forget_at_start(data, has_account));
    loop {
        let credentials = found.settings.credentials.clone();
        let add_account = {
            let credentials = credentials.clone();
            Box::new(move |name: &Name, credential: &Credential| append(&credentials, name, credential))
        };
        let (data, answers) = (data.clone(), answers.clone());
        match store::open(store::Options { data, credentials, answers, started, add_account }) {
            Err(store::OpenError::InUse(_)) if looks > 0 => {
                looks -= 1;
                std::thread::sleep(LOOK_EVERY);
            }
            opened => return Ok(opened?),
        }
    }
}

fn new_core(
    settings: &Settings,
    accounts: Vec<(Name, Credential)>,
    recovery: Recovery,
    now: Time,
) -> Result<ServerState, Failure> {
    let seed = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
    Ok(ServerState::new(settings.core.clone(), accounts, recovery, seed, now))
}

fn start_hashing(inbox: inbox::Sender) -> Result<Pool, Failure> {
    Ok(Pool::start(move |answer| {
        // Fails only when the program ends.
        let _ = inbox.send_blocking(answer.into());
    })?)
}

/// Lowers settings to the connections that there are files for.
pub(super) fn lower_to_files(bounds: Bounds, settings: &mut Settings) {
    if bounds.lower(settings) {
        let (all, strangers) = (bounds.open(), settings.core.unauthenticated_max);
        tracing::warn!(
            "few files may be open: at most {all} connections, {strangers} of them not logged in (`ulimit -n`)"
        );
    }
}

/// Raises the limit of open files to its maximum: every connection is one, and the usual 1,024 is a limit for
/// programs that use `select`.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::info!("the limit of open files stays at {:?}: {error}", limit.current);
    }
}
