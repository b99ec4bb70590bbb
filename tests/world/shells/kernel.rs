//! The model system: one virtual clock, and for each process timers, sockets and what wakes its tasks.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use hobnob::shell::platform::{LocalPort, Platform, Socket};
use hobnob::shell::server::settings::Limits;
use hobnob::time::Time;
use hobnob::{client, server};

mod port;
mod timer;

use self::port::ModelPort;
use self::timer::ModelTimer;
use super::chance::Chance;
use super::connection::{Connection, Interest};
use super::judge::Judge;

/// Ports below this are chosen by those who listen.
const FIRST_FREE_PORT: u16 = 20_000;

/// Files for a server with few: half of them are left to the store.
const FEW_FILES: usize = 64;

/// What all processes share.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) now: Time,
    pub(crate) chance: Chance,
    serial: u64,
    timers: BTreeMap<(Time, u64), (usize, Waker)>,
    pub(crate) connections: Vec<Connection>,
    ports: Vec<Port>,
    processes: Vec<Process>,
    next_port: u16,
    /// That a process may have open.
    files: usize,
    pub(crate) judge: Judge,
}

#[derive(Debug, Default)]
struct Process {
    is_dead: bool,
    /// Connections that it has accepted and holds.
    accepted: usize,
    frozen_until: Time,
}

/// A listening socket.
#[derive(Debug)]
struct Port {
    process: usize,
    address: SocketAddr,
    is_open: bool,
    waiting: VecDeque<usize>,
    waker: Option<Waker>,
}

impl Kernel {
    pub(crate) fn new(seed: u64, now: Time) -> Kernel {
        let mut chance = Chance::new(seed);
        Kernel {
            now,
            files: *chance.pick(&[FEW_FILES, 1 << 20]),
            chance,
            serial: 0,
            timers: BTreeMap::new(),
            connections: Vec::new(),
            ports: Vec::new(),
            processes: Vec::new(),
            next_port: FIRST_FREE_PORT,
            judge: Judge::default(),
        }
    }

    pub(crate) fn server_starts(&mut self, limits: Limits) {
        self.judge.server_starts(limits, self.files == FEW_FILES);
    }

    /// A new process; its number.
    pub(crate) fn spawn(&mut self) -> usize {
        self.processes.push(Process::default());
        self.processes.len() - 1
    }

    /// It does nothing for a while.
    pub(crate) fn freeze(&mut self, process: usize, until: Time) {
        self.processes[process].frozen_until = until;
        for connection in &mut self.connections {
            if connection.ends.iter().any(|end| end.process == process && end.is_held) {
                connection.note_fault("a process stood still");
            }
        }
    }

    pub(crate) fn is_frozen(&self, process: usize) -> bool {
        self.processes[process].frozen_until > self.now
    }

    /// The system closes all that the process had.
    pub(crate) fn kill(&mut self, process: usize) {
        self.processes[process].is_dead = true;
        for port in self.ports.iter_mut().filter(|port| port.process == process) {
            port.is_open = false;
        }
        let Kernel { connections, chance, now, .. } = self;
        for connection in connections {
            for end in 0..2 {
                if connection.ends[end].process == process && connection.ends[end].is_held {
                    connection.note_fault("a process was killed");
                    connection.close(end, *now, chance);
                }
            }
        }
        self.close_ports();
    }

    /// Connections to closed ports that nobody has accepted are reset.
    fn close_ports(&mut self) {
        for port in self.ports.iter_mut().filter(|port| !port.is_open) {
            for id in port.waiting.drain(..) {
                self.connections[id].note_fault("nobody accepted it");
                self.connections[id].ends[1].is_held = false;
                self.connections[id].reset(1, self.now);
            }
        }
    }

    /// Connects at once, if somebody listens.
    pub(crate) fn connect(&mut self, process: usize, to: SocketAddr) -> io::Result<usize> {
        let port = self.ports.iter_mut().find(|port| port.is_open && port.address == to);
        let port = port.ok_or(ErrorKind::ConnectionRefused)?;
        self.next_port += 1;
        let from = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.next_port);
        let (dialler, dialled) = ((process, from), (port.process, to));
        self.connections.push(Connection::new(dialler, dialled, self.now, &mut self.chance));
        let id = self.connections.len() - 1;
        port.waiting.push_back(id);
        if let Some(waker) = port.waker.take() {
            waker.wake();
        }
        Ok(id)
    }

    /// Where clients listen.
    pub(crate) fn private_ports(&self) -> Vec<SocketAddr> {
        let open = self.ports.iter().filter(|port| port.is_open && port.address.port() != super::PORT);
        open.map(|port| port.address).collect()
    }

    pub(crate) fn close(&mut self, id: usize, end: usize) {
        self.connections[id].close(end, self.now, &mut self.chance);
    }

    /// When something happens next.
    pub(crate) fn next_time(&self) -> Option<Time> {
        let timers = self.timers.iter().filter(|(_, (process, _))| !self.processes[*process].is_dead);
        let timer =
            timers.map(|((at, _), (process, _))| (*at).max(self.processes[*process].frozen_until)).min();
        let arrival = self.connections.iter().filter_map(Connection::next_arrival).min();
        let frozen =
            self.processes.iter().filter(|process| !process.is_dead).map(|process| process.frozen_until);
        let thaw = frozen.filter(|until| *until > self.now).min();
        [timer, arrival, thaw].into_iter().flatten().min()
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, to: Time) {
        self.now = self.now.max(to);
        let Kernel { connections, chance, now, .. } = self;
        for connection in connections.iter_mut().filter(|connection| !connection.is_over()) {
            connection.deliver(*now, chance);
        }
    }

    /// Wakes the tasks of a process that wait for what has come. Returns whether there were any.
    pub(crate) fn react(&mut self, process: usize) -> bool {
        let mut woken = Vec::new();
        let due: Vec<(Time, u64)> = self.timers.range(..=(self.now, u64::MAX)).map(|(key, _)| *key).collect();
        for key in due {
            if self.timers.get(&key).is_some_and(|(of, _)| *of == process) {
                woken.extend(self.timers.remove(&key).map(|(_, waker)| waker));
            }
        }
        // Often a system looks at its timers before it looks at its sockets.
        let only_timers = !woken.is_empty() && self.chance.one_in(3);
        let connections = self.connections.iter_mut().filter(|_| !only_timers);
        for connection in connections {
            for end in 0..2 {
                if connection.ends[end].process != process || !connection.ends[end].is_held {
                    continue;
                }
                // Now and then for nothing, which a system may do.
                let idle = self.chance.one_in(1_000);
                let (readable, writable) = (connection.is_readable(end), connection.is_writable(end));
                let at = &mut connection.ends[end];
                woken.extend(notice(&mut at.reading, readable || idle));
                woken.extend(notice(&mut at.writing, writable || idle));
            }
        }
        let any = !woken.is_empty();
        woken.into_iter().for_each(Waker::wake);
        any
    }
}

fn notice(interest: &mut Interest, ready: bool) -> Option<Waker> {
    let waker = interest.waker.take_if(|_| ready)?;
    interest.is_ready = true;
    Some(waker)
}

/// A process's view of the system.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    kernel: Rc<RefCell<Kernel>>,
    pub(crate) process: usize,
}

impl Model {
    pub(crate) fn new(kernel: &Rc<RefCell<Kernel>>) -> Model {
        let process = kernel.borrow_mut().spawn();
        Model { kernel: Rc::clone(kernel), process }
    }

    fn kernel(&self) -> RefMut<'_, Kernel> {
        self.kernel.borrow_mut()
    }
}

impl Platform for Model {
    type Socket = ModelSocket;
    type Listener = ModelPort;
    type Timer = ModelTimer;
    type Mapping = Infallible;

    fn now(&self) -> Time {
        self.kernel().now
    }

    fn timer(&self, at: Time) -> ModelTimer {
        ModelTimer { model: self.clone(), at: Some(at), set: None }
    }

    fn after(&self, duration: Duration) -> ModelTimer {
        self.timer(self.now() + duration)
    }

    fn never(&self) -> ModelTimer {
        ModelTimer { model: self.clone(), at: None, set: None }
    }

    fn fill_random(&self, bytes: &mut [u8]) -> io::Result<()> {
        let mut kernel = self.kernel();
        bytes.iter_mut().for_each(|byte| *byte = kernel.chance.number().to_le_bytes()[0]);
        Ok(())
    }

    fn most_files(&self) -> usize {
        self.kernel().files
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let address = host.parse().map_err(|_| ErrorKind::InvalidInput)?;
        Ok(vec![SocketAddr::new(address, port)])
    }

    async fn connect(&self, to: SocketAddr, _: LocalPort, _: u64) -> io::Result<ModelSocket> {
        let latency = self.kernel().chance.micros(10, 40_000);
        self.after(latency).await;
        let id = self.kernel().connect(self.process, to)?;
        self.kernel().judge.dialled(self.process, to, id);
        Ok(ModelSocket { model: self.clone(), id, end: 0 })
    }

    fn listen(&self, on: SocketAddr, _: u64) -> io::Result<ModelPort> {
        let mut kernel = self.kernel();
        let mut address = on;
        if on.port() == 0 {
            kernel.next_port += 1;
            address.set_port(kernel.next_port);
        }
        if kernel.ports.iter().any(|port| port.is_open && port.address == address) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let process = self.process;
        kernel.ports.push(Port { process, address, is_open: true, waiting: VecDeque::new(), waker: None });
        let id = kernel.ports.len() - 1;
        drop(kernel);
        Ok(ModelPort { model: self.clone(), id })
    }

    fn listen_shared(&self, on: SocketAddr, dead_link_secs: u64) -> io::Result<ModelPort> {
        self.listen(on, dead_link_secs)
    }

    /// All are on one machine.
    async fn map_port(&self, _: SocketAddr, _: Option<Infallible>) -> Option<(client::Mapped, Infallible)> {
        None
    }

    async fn unmap_port(&self, mapping: Infallible) {
        match mapping {}
    }

    fn unread(&self, sockets: &[&ModelSocket]) -> io::Result<Vec<bool>> {
        let kernel = self.kernel();
        Ok(sockets.iter().map(|socket| kernel.connections[socket.id].is_readable(socket.end)).collect())
    }

    fn server_is_told(&self, event: &server::Event<'_>) {
        let mut kernel = self.kernel();
        let Kernel { judge, connections, now, .. } = &mut *kernel;
        judge.server_is_told(event, connections, *now);
    }

    fn server_wants(&self, effect: &server::Effect<'_>) {
        let mut kernel = self.kernel();
        let now = kernel.now;
        kernel.judge.server_wants(effect, now);
    }

    fn server_has_done(&self) {
        self.kernel().judge.server_has_done();
    }

    fn client_is_told(&self, event: &client::Event<'_>) {
        let mut kernel = self.kernel();
        let Kernel { judge, connections, now, .. } = &mut *kernel;
        judge.client_is_told(self.process, event, connections, *now);
    }

    fn client_wants(&self, effect: &client::Effect<'_>) {
        let mut kernel = self.kernel();
        let now = kernel.now;
        kernel.judge.client_wants(self.process, effect, now);
    }
}

/// An end of a connection.
#[derive(Debug)]
pub(crate) struct ModelSocket {
    model: Model,
    pub(crate) id: usize,
    pub(crate) end: usize,
}

impl ModelSocket {
    fn on<T>(
        &self,
        act: impl FnOnce(&mut Connection, usize, Time, &mut Chance) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut kernel = self.model.kernel();
        let Kernel { connections, now, chance, processes, .. } = &mut *kernel;
        if processes[self.model.process].is_dead {
            return Err(ErrorKind::NotConnected.into());
        }
        act(&mut connections[self.id], self.end, *now, chance)
    }

    fn poll(
        &self,
        context: &Context<'_>,
        interest: impl FnOnce(&mut Connection, usize) -> &mut Interest,
    ) -> Poll<io::Result<()>> {
        let mut kernel = self.model.kernel();
        let interest = interest(&mut kernel.connections[self.id], self.end);
        if std::mem::take(&mut interest.is_ready) {
            return Poll::Ready(Ok(()));
        }
        let before = interest.waker.replace(context.waker().clone());
        drop(kernel);
        drop(before);
        Poll::Pending
    }
}

impl Socket for ModelSocket {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |connection, end| &mut connection.ends[end].reading)
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(context, |connection, end| &mut connection.ends[end].writing)
    }

    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        self.on(|connection, end, now, chance| connection.read(end, bytes, now, chance))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.model.kernel().judge.writes(self.model.process);
        self.on(|connection, end, now, chance| {
            if chance.one_in(500) {
                return Err(ErrorKind::Interrupted.into());
            }
            connection.write(end, bytes, now, chance)
        })
    }

    fn peek(&self) -> io::Result<bool> {
        self.on(|connection, end, _, _| connection.peek(end))
    }

    fn reset_when_dropped(&self) -> io::Result<()> {
        self.model.kernel().connections[self.id].ends[self.end].resets = true;
        Ok(())
    }

    fn shut_down_write(&self) -> io::Result<()> {
        let mut kernel = self.model.kernel();
        let Kernel { connections, now, chance, .. } = &mut *kernel;
        connections[self.id].shut_down(self.end, *now, chance)
    }

    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(self.model.kernel().connections[self.id].take_error(self.end))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.model.kernel().connections[self.id].ends[self.end].address)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.model.kernel().connections[self.id].ends[1 - self.end].address)
    }
}

impl Drop for ModelSocket {
    fn drop(&mut self) {
        let mut kernel = self.model.kernel();
        if self.end == 1 {
            kernel.processes[self.model.process].accepted -= 1;
        }
        if kernel.connections[self.id].ends[self.end].is_held {
            kernel.close(self.id, self.end);
        }
    }
}
