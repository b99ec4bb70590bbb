//! The world: time passes, processes have their turns, and something happens to them.

use std::cell::{RefCell, RefMut};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use hobnob::client::Signal;
use hobnob::shell::server::hashing::Cost;
use hobnob::shell::server::settings::Settings;
use hobnob::time::Time;
use tempfile::TempDir;

use super::chance::Chance;
use super::judge::{Kind, Tally};
use super::kernel::{Kernel, Model};
use super::processes::{ClientProcess, Person, ServerProcess};
use super::strangers::Strangers;
use crate::sqlite::{Template, folder};

/// Those who have clients, and those who have none.
const USERS: [&str; 3] = ["hans", "luke", "yoda"];
const OTHERS: [&str; 2] = ["r2d2", "vader"];
const ACCOUNTS: [&str; 5] = ["hans", "luke", "yoda", "r2d2", "vader"];
/// When every world begins: in June 2024.
const BEGINNING: Time = Time(1_717_200_000_000_000);
/// Turns of tasks at one moment; more of them are a loop that spins.
const TURNS: usize = 100_000;
/// A peer that does not answer is dead after this (`dead_link_secs`, less the last probe).
const DEAD: Duration = Duration::from_secs(14);
/// A server that is asked to stop has stopped after this.
const STOP: Duration = Duration::from_secs(2);

/// Most strangers who come at once: as many as a server with few files has connections.
const STRANGERS: usize = 32;

pub(crate) struct World {
    kernel: Rc<RefCell<Kernel>>,
    chance: Chance,
    folder: TempDir,
    settings: Settings,
    server: Option<ServerProcess>,
    server_frozen_until: Time,
    server_starts_at: Option<Time>,
    clients: Vec<ClientProcess>,
    persons: Vec<Person>,
    /// Connections that are cut, and when their ends find out.
    cut: Vec<(Time, usize)>,
    strangers: Strangers,
    texts: u32,
}

impl World {
    pub(crate) fn new(template: &Template, seed: u64) -> World {
        let mut chance = Chance::new(seed);
        let folder = folder();
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder");
        template.copy_to(&data);
        let mut settings = Settings::default();
        settings.limits.hash_cost = Cost { kib: 8, passes: 1 };
        settings.limits.output_stall_secs = chance.between(1, 10);
        settings.limits.output_bytes = *chance.pick(&[1_000, 8_000, 262_144]);
        let kernel = Rc::new(RefCell::new(Kernel::new(chance.number(), BEGINNING)));
        let mut world = World {
            kernel,
            chance,
            folder,
            settings,
            server: None,
            server_frozen_until: BEGINNING,
            server_starts_at: None,
            clients: Vec::new(),
            persons: Vec::new(),
            cut: Vec::new(),
            strangers: Strangers::default(),
            texts: 0,
        };
        world.start_server();
        USERS.iter().for_each(|user| world.start_client(user));
        world
    }

    pub(crate) fn kernel(&self) -> RefMut<'_, Kernel> {
        self.kernel.borrow_mut()
    }

    fn now(&self) -> Time {
        self.kernel().now
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.kernel().judge.broken().map(str::to_owned)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.kernel().judge.tally
    }

    fn start_server(&mut self) {
        self.server_starts_at = None;
        let model = Model::new(&self.kernel);
        self.kernel().server_starts(self.settings.limits);
        let chance = Chance::new(self.chance.number());
        let data = self.folder.path().join("data");
        self.server = Some(ServerProcess::start(model, &data, self.settings.clone(), &ACCOUNTS, chance));
    }

    fn start_client(&mut self, user: &str) {
        if self.clients.iter().any(|client| client.user == user) {
            return;
        }
        let model = Model::new(&self.kernel);
        let journal = self.state().join(format!("{}_{}/{user}/journal", super::HOST, super::PORT));
        self.kernel().judge.client_starts(model.process, user, journal);
        let seed = self.chance.number();
        self.clients.push(ClientProcess::start(model, user, &self.state(), seed));
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Lets time pass, until then or to the first broken rule.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let until = self.now() + duration;
        loop {
            self.settle();
            if self.broken().is_some() {
                return;
            }
            let next = self.next_time().max(self.now() + Duration::from_micros(1));
            self.kernel().advance(next.min(until));
            if next >= until {
                return;
            }
            self.do_what_is_due();
        }
    }

    fn next_time(&self) -> Time {
        let now = self.now();
        let server = self.server.iter().filter_map(|server| server.writes_at);
        let runs = |client: &&ClientProcess| !self.kernel().is_frozen(client.model.process);
        let screens = self.clients.iter().filter(runs).filter_map(|client| client.prints_until);
        let persons = self.persons.iter().filter_map(|person| person.next_time(now));
        let cut = self.cut.iter().map(|(at, _)| *at);
        let start = self.server_starts_at.filter(|_| self.server.is_none());
        let others = server.chain(screens).chain(persons).chain(cut).chain(start);
        let system = self.kernel().next_time();
        others.chain(system).min().unwrap_or(Time::MAX)
    }

    fn do_what_is_due(&mut self) {
        let now = self.now();
        let mut kernel = self.kernel.borrow_mut();
        self.cut.retain(|(at, connection)| {
            if *at <= now {
                kernel.connections[*connection].die(ErrorKind::TimedOut);
            }
            *at > now
        });
        drop(kernel);
        if self.server_starts_at.is_some_and(|at| at <= now) && self.server.is_none() {
            self.start_server();
        }
    }

    /// All tasks have their turns until none has anything to do.
    fn settle(&mut self) {
        let mut turns = 0;
        loop {
            let ticked = self.tick_all();
            turns += ticked;
            let tended = self.tend_all();
            if (ticked == 0 && !tended) || self.broken().is_some() {
                break;
            }
            if turns > TURNS {
                self.kernel().judge.fail("nothing spins", "");
                break;
            }
        }
        self.judge_rest();
    }

    fn tick_all(&mut self) -> usize {
        let mut turns = 0;
        let many = self.chance.size(1, 40);
        if let Some(server) = &self.server {
            turns += tick(&self.kernel, server.model.process, many, || server.shell.tick());
        }
        for client in &self.clients {
            turns += tick(&self.kernel, client.model.process, many, || client.shell.tick());
        }
        turns
    }

    fn tend_all(&mut self) -> bool {
        let mut kernel = self.kernel.borrow_mut();
        let mut busy = false;
        for client in &mut self.clients {
            if !kernel.is_frozen(client.model.process) {
                busy |= client.tend(&mut kernel);
            }
        }
        for person in &mut self.persons {
            busy |= person.tend(&mut kernel);
        }
        drop(kernel);
        self.bury_clients();
        busy | self.tend_server()
    }

    /// Takes away clients that have ended.
    fn bury_clients(&mut self) {
        let mut at = 0;
        while let Some(client) = self.clients.get_mut(at) {
            match client.shell.ended() {
                None => at += 1,
                Some(code) => {
                    let client = self.clients.remove(at);
                    let (process, failed) = (client.model.process, client.output_failed);
                    self.kernel().judge.client_ended(process, Some(code), failed);
                }
            }
        }
    }

    fn tend_server(&mut self) -> bool {
        let now = self.now();
        let Some(server) = &mut self.server else { return false };
        if let Some(ended) = server.shell.ended() {
            let asked =
                server.stopping.map_or(Duration::MAX, |asked| now.since(asked.max(self.server_frozen_until)));
            self.server = None;
            if asked > STOP || ended.is_err() {
                self.kernel()
                    .judge
                    .fail("a server stops when it is asked to", &format!("{ended:?} {asked:?}"));
            }
            return true;
        }
        if server.store.has_waiting() && server.writes_at.is_none() {
            server.writes_at = Some(now + self.chance.micros(0, 20_000));
        }
        if server.writes_at.take_if(|at| *at <= now).is_none() {
            return false;
        }
        if let Err(reason) = server.store.write() {
            self.kernel().judge.fail("the store writes", &reason);
        }
        true
    }

    fn judge_rest(&mut self) {
        let mut kernel = self.kernel.borrow_mut();
        let Kernel { judge, connections, now, .. } = &mut *kernel;
        let now = *now;
        if self.server.as_ref().is_some_and(|server| server.stopping.is_none())
            && self.server_frozen_until <= now
        {
            judge.server_rests(connections, now, self.server_frozen_until);
        }
        drop(kernel);
        for client in &self.clients {
            let process = client.model.process;
            let mut kernel = self.kernel.borrow_mut();
            if !kernel.is_frozen(process) {
                let Kernel { judge, connections, now, .. } = &mut *kernel;
                judge.client_rests(process, connections, *now);
            }
        }
    }

    fn kill_server(&mut self) {
        let Some(server) = self.server.take() else { return };
        server.store.kill();
        self.kernel().kill(server.model.process);
        drop(server);
        self.server_starts_at = Some(self.now() + self.chance.micros(1_000, 5_000_000));
    }

    fn stop_server(&mut self) {
        let now = self.now();
        let Some(server) = self.server.as_mut().filter(|server| server.stopping.is_none()) else { return };
        server.stopping = Some(now);
        server.shell.stop();
        self.server_starts_at = Some(now + STOP + self.chance.micros(1_000, 5_000_000));
    }

    fn kill_client(&mut self, at: usize) {
        let client = self.clients.remove(at);
        self.kernel().kill(client.model.process);
        self.kernel().judge.client_ended(client.model.process, None, client.output_failed);
    }

    fn freeze(&mut self, process: usize) {
        let until = self.now() + self.chance.micros(1_000, 8_000_000);
        self.kernel().freeze(process, until);
        if self.server.as_ref().is_some_and(|server| server.model.process == process) {
            self.server_frozen_until = until;
        }
    }

    /// A command with a text of its own.
    fn text(&mut self, from: &str, numbered: bool) -> String {
        self.texts += 1;
        let number = self.texts;
        let to = *self.chance.pick(&USERS.map(|user| if user == from { OTHERS[0] } else { user }));
        let kind = *self.chance.pick(&[Kind::Direct, Kind::Direct, Kind::Private, Kind::Broadcast]);
        let kind = if numbered { Kind::Direct } else { kind };
        let to = if kind == Kind::Broadcast { "" } else { to };
        self.kernel().judge.typed(number, numbered, from, to, kind);
        let prefix = if numbered { format!("#{number} ") } else { String::new() };
        let filler = "x".repeat(if self.chance.one_in(6) { self.chance.size(100, 3_000) } else { 0 });
        match kind {
            Kind::Direct => format!("{prefix}message {to} t{number} {filler}"),
            Kind::Private => format!("private {to} t{number} {filler}"),
            Kind::Broadcast => format!("broadcast t{number} {filler}"),
        }
    }

    fn line(&mut self, user: &str) -> String {
        let plain = ["whoelse", "whoelsesince 100", "ping luke", "help", "nonsense", "offline", "grouplist"];
        match self.chance.between(0, 9) {
            0..=5 => self.text(user, false),
            6 | 7 => format!("startprivate {}", self.chance.pick(&USERS)),
            _ => (*self.chance.pick(&plain)).to_owned(),
        }
    }

    fn person(&mut self) {
        let user = *self.chance.pick(&OTHERS);
        let mut lines = vec![format!("login {user} {}", super::PASSWORD)];
        for _ in 0..self.chance.size(0, 12) {
            let plain = ["whoelse", "help", "ping hans", "nonsense", "offline", "whoelsesince 50"];
            let text = self.chance.one_in(3);
            lines.push(if text { self.text(user, true) } else { (*self.chance.pick(&plain)).to_owned() });
        }
        let model = Model::new(&self.kernel);
        let ends = !self.chance.one_in(4);
        let now = self.now();
        let mut kernel = self.kernel.borrow_mut();
        let Some(mut person) = Person::connect(&model, &mut kernel, &lines, ends) else { return };
        match self.chance.between(0, 5) {
            0 => person.leaves_at = Some(now + self.chance.micros(0, 2_000_000)),
            1 => {
                person.note_fault(&mut kernel, "somebody reads late");
                person.deaf_until = now + self.chance.micros(100_000, 20_000_000);
            }
            _ if !ends => person.leaves_at = Some(now + self.chance.micros(0, 5_000_000)),
            _ => {}
        }
        drop(kernel);
        self.persons.push(person);
    }

    /// Strangers who say nothing and stay for a while.
    fn flood(&mut self) {
        let model = Model::new(&self.kernel);
        let now = self.now();
        for _ in 0..self.chance.size(1, STRANGERS) {
            let mut kernel = self.kernel.borrow_mut();
            let Some(mut stranger) = Person::connect(&model, &mut kernel, &[String::new()], false) else {
                return;
            };
            stranger.note_fault(&mut kernel, "nobody knows them");
            stranger.deaf_until = now + self.chance.micros(0, 3_000_000);
            stranger.leaves_at = Some(now + self.chance.micros(0, 5_000_000));
            self.persons.push(stranger);
        }
    }

    /// Something is done to a connection.
    fn disturb(&mut self) {
        let now = self.now();
        let mut kernel = self.kernel.borrow_mut();
        if kernel.connections.is_empty() {
            return;
        }
        let last = kernel.connections.len() - 1;
        let id = self.chance.size(last.saturating_sub(6), last);
        let Kernel { connections, .. } = &mut *kernel;
        match self.chance.between(0, 2) {
            0 => {
                connections[id].note_fault("it was reset");
                connections[id].die(ErrorKind::ConnectionReset);
            }
            1 => {
                connections[id].note_fault("it was silent");
                connections[id].silence(now + self.chance.micros(1_000, 12_000_000));
            }
            _ => {
                connections[id].note_fault("it was cut");
                connections[id].silence(now + 2 * DEAD);
                self.cut.push((now + DEAD, id));
            }
        }
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) {
        let at =
            if self.clients.is_empty() { None } else { Some(self.chance.size(0, self.clients.len() - 1)) };
        let now = self.now();
        match (self.chance.between(0, 39), at) {
            (0..=15, Some(at)) => {
                let user = self.clients[at].user.clone();
                for _ in 0..self.chance.size(1, 4) {
                    let line = self.line(&user);
                    self.clients[at].type_line(&line);
                }
            }
            (16..=22, _) => self.person(),
            (23..=25, _) => self.disturb(),
            (26, Some(at)) => self.clients[at].input_ended = true,
            (27, Some(at)) => {
                self.kernel().judge.client_signalled(self.clients[at].model.process);
                self.clients[at].shell.signal(Signal::Terminate);
            }
            (28, Some(at)) => self.kill_client(at),
            (29, Some(at)) => self.freeze(self.clients[at].model.process),
            (30, Some(at)) => self.clients[at].output_takes = self.chance.micros(0, 300_000),
            (31, Some(at)) => self.clients[at].output_blocked = now + self.chance.micros(0, 20_000_000),
            (32, Some(at)) if self.chance.one_in(3) => self.clients[at].output_closed = true,
            (33, _) if self.chance.one_in(2) => self.kill_server(),
            (34, _) if self.chance.one_in(2) => self.stop_server(),
            (36, Some(at)) => {
                let line = format!("startprivate {}", self.chance.pick(&USERS));
                self.clients[at].type_line(&line);
                let pause = self.chance.micros(0, 60_000);
                self.pass(pause);
                self.strangers.come(&self.kernel, &mut self.chance);
            }
            (35, _) => {
                if let Some(process) = self.server.as_ref().map(|server| server.model.process) {
                    self.freeze(process);
                }
            }
            (36, _) => self.flood(),
            _ => {
                let user = *self.chance.pick(&USERS);
                self.start_client(user);
            }
        }
        let pause = *self.chance.pick(&[1_000, 100_000, 3_000_000]);
        let pause = self.chance.micros(0, pause);
        self.pass(pause);
    }

    /// All faults stop, everybody leaves and comes back once more to read.
    pub(crate) fn heal(&mut self) {
        let now = self.now();
        self.strangers.go(&mut self.kernel.borrow_mut());
        for client in &mut self.clients {
            client.output_blocked = now;
            client.output_takes = Duration::ZERO;
        }
        self.pass(Duration::from_secs(70));
        for round in 0..3 {
            for client in &mut self.clients {
                client.input_ended = true;
            }
            self.pass(Duration::from_secs(100));
            let left: Vec<&str> = self.clients.iter().map(|client| client.user.as_str()).collect();
            if !left.is_empty() {
                let left = left.join(" ");
                self.kernel().judge.fail("everybody leaves at the end of input", &left);
            }
            if round < 2 {
                USERS.iter().for_each(|user| self.start_client(user));
                self.pass(Duration::from_secs(20));
            }
        }
        self.stop_server();
        self.server_starts_at = None;
        self.pass(Duration::from_secs(3));
        let now = self.now();
        let mut kernel = self.kernel();
        let left: Vec<&Person> = self.persons.iter().filter(|person| !person.is_gone).collect();
        if self.server.is_some() || !left.is_empty() {
            kernel.judge.fail("everything ends", &format!("{} {left:?}", self.server.is_some()));
        }
        kernel.judge.end(now, &USERS);
    }
}

/// Gives the tasks of a process some turns, and wakes those for which something has come; how many turns.
fn tick(kernel: &RefCell<Kernel>, process: usize, many: usize, turn: impl Fn() -> bool) -> usize {
    if kernel.borrow().is_frozen(process) {
        return 0;
    }
    let turns = (0..many).take_while(|_| turn()).count();
    let woken = kernel.borrow_mut().react(process);
    turns + usize::from(woken)
}
