//! Puts the client together and runs it.

use std::io::{self, IsTerminal as _, Write as _};
use std::rc::Rc;
use std::sync::mpsc;

use async_channel::{Receiver, Sender, bounded, unbounded};
use async_signal::{Signal as SystemSignal, Signals};
use futures_lite::StreamExt as _;
use smol::LocalExecutor;

use super::alarm::Alarm;
use super::device;
use super::door;
use super::hands::{Folder, Hands, Peers, Server};
use super::keyboard::Keyboard;
use super::log::Log;
use super::news::News;
use super::options::{Logs, Options, Places, Task};
use super::program::{Program, Wanted};
use super::screen::{self, Face, Screen};
use super::send;
use super::standard_output;
use super::state_loop::Client;
use super::terminal::Terminal;
use super::trusting;
use crate::client::{self, ClientState, Signal};
use crate::shell::core_dumps;
use crate::shell::heap::Heap;
use crate::shell::platform::{Platform, System, WallClock};
use crate::shell::tunnel::between_clients::Device;
use crate::shell::visible::visible;
use crate::time::Time;

/// Chunks from links that may wait; beyond that their readers wait.
const INBOX: usize = 64;

/// Runs the client to its end.
///
/// # Errors
/// The system's error if a thread, a signal handler or the terminal is not available; and if there is no
/// standard output, because mail could not be shown.
pub fn run(options: Options) -> io::Result<u8> {
    if standard_output::is_missing() {
        return Err(io::Error::other("standard output is closed"));
    }
    // Without it the client does all it is for.
    let _ = core_dumps::forbid();
    if let Some(errand) = options.errand {
        return send::run(*errand);
    }
    if options.task == Task::Watch {
        return watch(options);
    }
    if options.task == Task::Trust {
        return trusting::run(&options.places);
    }
    let executor = Rc::new(LocalExecutor::new());
    let client = assemble(options, Rc::clone(&executor))?;
    // A spawned task, because the outermost one would be woken through a pipe.
    let running = executor.spawn(client.run());
    Ok(smol::block_on(executor.run(running)))
}

/// Hands messages to a program, or prints them.
fn watch(options: Options) -> io::Result<u8> {
    let Options { settings, places, warnings, program, .. } = options;
    let program = program.unwrap_or_else(|| Program::new(Wanted::default(), None));
    for warning in warnings {
        let _ = writeln!(io::stderr(), "hobnob: warning: {}", visible(&warning));
    }
    let executor = Rc::new(LocalExecutor::new());
    let (urgent, urgent_news) = unbounded();
    let signals = signals()?;
    executor.spawn(watch_signals(signals, urgent.clone())).detach();
    let running = program.running();
    let sheets = program.spawn(urgent.clone())?;
    // Nothing is ever typed.
    let (asks, _nobody) = mpsc::channel();
    let keyboard = Keyboard::asking(asks, settings.line_bytes);
    let screen = Screen::new(Face::Json, sheets).one_by_one();
    let platform = System::new(WallClock::starting_after(Time::ZERO));
    let core = ClientState::new(settings, getrandom::u64().map_err(io::Error::other)?);
    let parts = Parts {
        platform,
        executor: Rc::clone(&executor),
        places,
        keyboard,
        screen,
        core,
        device: None,
        log: None,
    };
    let client = parts.assemble((urgent, urgent_news));
    let task = executor.spawn(client.run());
    let code = smol::block_on(executor.run(task));
    running.end();
    Ok(code)
}

fn signals() -> io::Result<Signals> {
    Signals::new([SystemSignal::Int, SystemSignal::Term, SystemSignal::Hup, SystemSignal::Xfsz])
}

fn assemble(options: Options, executor: Rc<LocalExecutor<'static>>) -> io::Result<Client> {
    let Options {
        json,
        plain,
        timestamps,
        logs,
        warnings,
        mut settings,
        places,
        task: _,
        errand: _,
        program: _,
        lines_read,
    } = options;
    for warning in warnings {
        let _ = writeln!(io::stderr(), "hobnob: warning: {}", visible(&warning));
    }
    let (urgent, urgent_news) = unbounded();
    let signals = signals()?;
    executor.spawn(watch_signals(signals, urgent.clone())).detach();
    let on_terminal = io::stdout().is_terminal();
    settings.terminal = !json && on_terminal && io::stdin().is_terminal();
    let plain = plain || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let face = match on_terminal {
        _ if json => Face::Json,
        true => Face::Terminal { plain, timestamps },
        false => Face::Pipe,
    };
    let (keyboard, screen) = if settings.terminal {
        at_terminal(face, plain, &urgent, settings.line_bytes)?
    } else {
        let sheets = screen::spawn(screen::write_to_pipes, urgent.clone())?;
        let keyboard = Keyboard::pipe(urgent.clone(), settings.line_bytes)?;
        (keyboard.after_lines(lines_read), Screen::new(face, sheets))
    };
    let platform = System::new(WallClock::starting_after(Time::ZERO));
    let seed = getrandom::u64().map_err(io::Error::other)?;
    let device = this_device(&places);
    settings.device_key = device.as_ref().map(|device| device.key());
    settings.log = match logs {
        Logs { on, .. } if !on.unwrap_or(settings.terminal) => client::Log::Off,
        Logs { private: true, .. } => client::Log::All,
        Logs { private: false, .. } => client::Log::AllButPrivate,
    };
    let log = match settings.log {
        client::Log::Off => None,
        client::Log::AllButPrivate | client::Log::All => Some(Log::spawn(logs.days, urgent.clone())?),
    };
    let core = ClientState::new(settings, seed);
    let parts = Parts { platform, executor, places, keyboard, screen, core, device, log };
    Ok(parts.assemble((urgent, urgent_news)))
}

/// The key of this device. Without it the client does all but private links.
fn this_device(places: &Places) -> Option<Rc<Device>> {
    let root = places.state.as_ref().ok()?;
    match device::device(root) {
        Ok(device) => Some(Rc::new(device)),
        // Where there can be none, the state folder is refused as well, and that says why.
        Err(_) if !device::is_there(root) => None,
        Err(error) => {
            let error = visible(&error.to_string()).to_string();
            let _ = writeln!(io::stderr(), "hobnob: warning: no private links: {error}");
            None
        }
    }
}

/// What a client is put together from.
pub(super) struct Parts<P: Platform> {
    pub(super) platform: P,
    pub(super) executor: Rc<LocalExecutor<'static>>,
    pub(super) places: Places,
    pub(super) keyboard: Keyboard,
    pub(super) screen: Screen,
    pub(super) core: ClientState,
    pub(super) device: Option<Rc<Device>>,
    pub(super) log: Option<Log>,
}

impl<P: Platform> Parts<P> {
    /// A client whose urgent news come by this channel.
    pub(super) fn assemble(self, urgent: (Sender<News<P>>, Receiver<News<P>>)) -> Client<P> {
        let Parts { platform, executor, places, keyboard, screen, core, device, log } = self;
        let (inbox, inbox_news) = bounded(INBOX);
        let (peer_inbox, peer_news) = bounded(INBOX);
        let (door, callers) = bounded(door::WAITING);
        let (linked, last_link) = bounded(1);
        let heap = Heap::keep_small(&platform, &executor);
        let hands = Hands {
            places,
            executor,
            urgent: urgent.0,
            inbox,
            peer_inbox,
            door,
            linked,
            heap,
            keyboard,
            screen,
            alarm: Alarm::new(&platform),
            platform,
            server: Server::default(),
            peers: Peers::of(device),
            router: None,
            folder: Folder::default(),
            log,
            exit: None,
            notes_failed: false,
        };
        let urgent = urgent.1;
        Client {
            core,
            hands,
            urgent,
            inbox: inbox_news,
            peer_inbox: peer_news,
            door: callers,
            linked: last_link,
        }
    }
}

fn at_terminal(
    face: Face,
    plain: bool,
    urgent: &Sender<News>,
    limit: usize,
) -> io::Result<(Keyboard, Screen)> {
    let (terminal, mut printer) = Terminal::open(plain, urgent.clone())?;
    let roster = terminal.roster();
    let sheets = screen::spawn(move |sheet| printer.write(sheet), urgent.clone())?;
    Ok((Keyboard::terminal(terminal, limit), Screen::new(face, sheets).teaching(roster)))
}

async fn watch_signals(mut signals: Signals, urgent: Sender<News>) {
    while let Some(Ok(signal)) = signals.next().await {
        let signal = if signal == SystemSignal::Xfsz {
            // A file would grow beyond the limit of the process: the write fails, as on a full disk.
            continue;
        } else if signal == SystemSignal::Term {
            Signal::Terminate
        } else if signal == SystemSignal::Hup {
            Signal::HangUp
        } else {
            Signal::Interrupt
        };
        if urgent.send(News::Signal(signal)).await.is_err() {
            return;
        }
    }
}
