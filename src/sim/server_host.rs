//! The machine the server runs on: it carries out effects as a shell would, and dies now and then.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::cast::{ACCOUNTS, USERS, meant, password_of};
use super::draw::Draw;
use super::hashing::ServerAnswer;
use super::link::Holder;
use super::ordering::Orders;
use super::store::{LoadMail, Store};
use super::tape::Tape;
use super::trace::{Seen, Told};
use super::world::{Happening, World};
use crate::server::{Effect, Event, Renewal, ServerState, Settings, Verdict};
use crate::time::Time;
use crate::words::{Credential, LinkId, Name};

/// Bytes that may wait for a slow reader before their link is cut (`output_bytes`).
const OUTPUT_BYTES: usize = 262_144 + crate::server::OTHERS_BYTES;
/// How long they may wait without progress (`output_stall_secs`).
const OUTPUT_STALL_MICROS: u64 = 10_000_000;
/// Hashing threads of the machine, unless it is another one.
const HASHING_THREADS: u32 = 3;
/// What the model's hashes begin with.
pub(super) const HASHED: &str = "$argon2id$model$";

/// The server's process, or its absence, and its files.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) state: Option<Box<ServerState>>,
    /// Counts starts, so that what was meant for an earlier process is dropped.
    pub(super) life: u32,
    generation: u64,
    /// Links accepted in this life.
    accepted: u64,
    /// Acts of operators.
    pub(super) acts: u64,
    pub(super) orders: Orders,
    /// When the server wants to be called.
    pub(super) wakes_at: Option<Time>,
    /// By how much its wall clock is wrong, in microseconds, and its own clock since its start.
    pub(super) wall_offset: i64,
    ahead: i64,
    pub(super) settings: Settings,
    /// The credentials file.
    pub(super) accounts: Vec<(Name, String)>,
    pub(super) store: Store,
    pub(super) turn_is_due: bool,
    /// A link of the server is about to have its turn.
    gives_turn: bool,
    start_is_due: bool,
    /// It dies again soon after it has started.
    pub(super) dies_at_start: bool,
    dirty: Vec<LinkId>,
    /// What the server was told, if it is being recorded.
    pub(super) tape: Option<Tape>,
}

impl Host {
    pub(super) fn new(taped: bool) -> Host {
        let account = |name: &str| Name::new(name).ok().map(|named| (named, password_of(name, 0)));
        Host {
            state: None,
            life: 0,
            generation: 0,
            accepted: 0,
            acts: 0,
            orders: Orders::default(),
            wakes_at: None,
            wall_offset: 0,
            ahead: 0,
            settings: Settings { hashing_threads: HASHING_THREADS, ..Settings::default() },
            accounts: USERS[..ACCOUNTS].iter().filter_map(|name| account(name)).collect(),
            store: Store::new([7; 32]),
            turn_is_due: false,
            gives_turn: false,
            start_is_due: false,
            dies_at_start: false,
            dirty: Vec::new(),
            tape: taped.then(Tape::default),
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.state.is_some()
    }

    /// What the server's own clock says.
    pub(super) fn clock(&self, now: Time) -> Time {
        shifted(now, self.ahead)
    }

    fn credentials(&self) -> Vec<(Name, Credential)> {
        self.accounts.iter().map(|(name, secret)| (name.clone(), Credential::new(secret))).collect()
    }
}

impl World {
    /// The server process starts on what is durable.
    pub(super) fn start_server(&mut self) {
        self.host.start_is_due = false;
        if self.host.is_up() {
            return;
        }
        self.merge_registered_accounts();
        self.host.life += 1;
        self.host.accepted = 0;
        let wall = shifted(self.now, self.host.wall_offset);
        let recovery = self.host.store.recover(wall);
        let boot = recovery.boot;
        let settings = self.host.settings.clone();
        let accounts = self.host.credentials();
        // Its own clock never goes back, not over restarts either (ruling 7).
        let clock = wall.max(recovery.last_written);
        self.host.ahead = clock.0.cast_signed() - self.now.0.cast_signed();
        if let Some(tape) = &mut self.host.tape {
            tape.start(&settings, &accounts, &recovery, clock);
        }
        let ahead = self.host.ahead;
        let seen = Seen::ServerStarted { boot, ahead, settings: self.settings(), accounts: accounts.clone() };
        self.trace.add(self.now, seen);
        let seed = self.plan.hash_seed;
        let state = ServerState::new(settings, accounts, recovery, seed, clock);
        self.host.state = Some(Box::new(state));
        self.tell_server(Event::Tick, Told::Tick);
        if core::mem::take(&mut self.host.dies_at_start) {
            // Nobody had the time to connect.
            let micros = self.draw.below(3 * self.weather.store_micros.max(1));
            self.weather.refuse_dials_until = Time(self.now.0 + micros);
            self.after(micros, Happening::Crash { life: self.host.life });
        }
    }

    pub(super) fn crash_in_life(&mut self, life: u32) {
        if life == self.host.life {
            let back = self.draw.between(1_000, 1_000_000);
            self.crash_server(back);
        }
    }

    /// The server process dies at once.
    pub(super) fn crash_server(&mut self, back_after_micros: u64) {
        if !self.host.is_up() {
            return;
        }
        let mut draw = Draw::new(self.draw.number());
        self.host.store.crash(self.host.clock(self.now), &mut draw);
        self.server_is_gone(true, back_after_micros);
    }

    /// The server is asked to stop: it says goodbye and stores what it has.
    pub(super) fn stop_server(&mut self, back_after_micros: u64) {
        self.end_server(Event::Stop, Told::Stop, back_after_micros);
    }

    /// The server restarts: it says nothing and stores what it has.
    pub(super) fn restart_server(&mut self, back_after_micros: u64) {
        self.end_server(Event::Restart, Told::Restart, back_after_micros);
    }

    fn end_server(&mut self, event: Event<'_>, told: Told, back_after_micros: u64) {
        if !self.host.is_up() {
            return;
        }
        self.tell_server(event, told);
        self.finish_store();
        self.host.store.close(self.host.clock(self.now));
        self.server_is_gone(false, back_after_micros);
    }

    fn server_is_gone(&mut self, crashed: bool, back_after_micros: u64) {
        self.host.state = None;
        self.host.wakes_at = None;
        self.host.generation += 1;
        self.host.turn_is_due = false;
        self.host.gives_turn = false;
        self.host.orders = Orders::default();
        self.merge_registered_accounts();
        let survived = self.host.store.last_durable();
        self.trace.add(self.now, Seen::ServerGone { crashed, survived });
        let of_server = self.links.iter().filter(|(_, link)| link.is_of_server());
        let ids: Vec<LinkId> = of_server.map(|(id, _)| *id).collect();
        for id in ids {
            let hard = crashed && self.draw.chance(500);
            self.kill_end(id, 1, hard);
        }
        if !self.host.start_is_due {
            self.host.start_is_due = true;
            self.after(back_after_micros, Happening::ServerUp);
        }
    }

    /// Tells the server something and carries out what it wants.
    pub(super) fn tell_server(&mut self, event: Event<'_>, told: Told) {
        let Some(mut state) = self.host.state.take() else { return };
        let counts = match told {
            Told::Tick | Told::Flushed { .. } => false,
            Told::Received { bytes, .. } => memchr::memchr(b'\n', self.trace.bytes(bytes)).is_some(),
            Told::LinkOpened { .. }
            | Told::StreamEnded { .. }
            | Told::LinkClosed { .. }
            | Told::Verified { .. }
            | Told::Hashed { .. }
            | Told::Committed { .. }
            | Told::StoreRefused { .. }
            | Told::MailLoaded { .. }
            | Told::Reloaded
            | Told::HashesRenewed
            | Told::Operator { .. }
            | Told::Obeyed { .. }
            | Told::Turn
            | Told::Stop
            | Told::Restart => true,
        };
        let clock = self.host.clock(self.now);
        if let Some(tape) = &mut self.host.tape {
            tape.record(&event, clock);
        }
        self.trace.add(self.now, Seen::Told(told));
        let mut effects = 0;
        for effect in state.handle(event, clock) {
            effects += 1;
            self.carry_out(effect);
        }
        self.host.store.end_call();
        self.trace.add(self.now, Seen::Returned);
        self.host.state = Some(state);
        self.events += u64::from(effects > 0 || counts);
        let mut dirty = core::mem::take(&mut self.host.dirty);
        for link in dirty.drain(..) {
            self.pump(link, 1);
            self.look_at_output(link);
        }
        self.host.dirty = dirty;
        self.turn_if_due();
    }

    /// Links that wait for their turn have it one after the other, after what is ready to be read by then.
    fn turn_if_due(&mut self) {
        if !self.host.gives_turn && self.host.state.as_ref().is_some_and(|state| state.has_turns()) {
            self.host.gives_turn = true;
            let micros = 50 * (self.now.0 % 3);
            self.after(micros, Happening::ServerTurn { life: self.host.life });
        }
    }

    pub(super) fn give_turn(&mut self, life: u32) {
        if life == self.host.life && self.host.is_up() {
            self.host.gives_turn = false;
            self.tell_server(Event::Turn, Told::Turn);
        }
    }

    fn carry_out(&mut self, effect: Effect<'_>) {
        match effect {
            Effect::Send { link, bytes } => {
                let span = self.trace.keep(bytes);
                self.trace.add(self.now, Seen::Sent { link, bytes: span });
                self.overhear(link, bytes);
                self.write(link, 1, bytes);
                if self.host.dirty.last() != Some(&link) {
                    self.host.dirty.push(link);
                }
            }
            Effect::Close { link } => {
                self.trace.add(self.now, Seen::Closed { link });
                self.close_end(link, 1);
            }
            Effect::Pause { link } => self.let_read(link, false),
            Effect::Resume { link } => self.let_read(link, true),
            Effect::Verify { ticket, credential, password } => {
                let right = credential.is_some_and(|credential| is_right(credential, password.reveal()));
                let guess = self.trace.keep(password.reveal().as_bytes());
                let seen = Seen::VerifyAsked { ticket, password: guess };
                self.trace.add(self.now, seen);
                let verdict = if right { Verdict::Right } else { Verdict::Wrong };
                self.hash(ServerAnswer::Verified(ticket, verdict));
            }
            Effect::Hash { ticket, password } => {
                self.trace.add(self.now, Seen::HashAsked { ticket });
                let hash = Credential::new(&(String::from(HASHED) + meant(password.reveal())));
                self.hash(ServerAnswer::Hashed(ticket, Some(hash)));
            }
            Effect::Persist { number, epoch, record } => {
                self.trace.add(self.now, Seen::Persisted { number, record: record.clone() });
                self.host.store.persist(number, epoch, record);
                self.wake_store();
            }
            Effect::LoadMail { ticket, user, from, after, limit } => {
                let load = LoadMail { ticket, user: user.clone(), from: from.cloned(), after, limit };
                self.trace.add(self.now, Seen::LoadAsked(load.clone()));
                self.host.store.load(load);
                self.wake_store();
            }
            Effect::ScheduleTimeout { at } => self.schedule_server(at),
            Effect::Acted { ticket, outcome } => {
                self.trace.add(self.now, Seen::Acted { ticket, outcome });
                self.order_acted(ticket, outcome);
            }
            Effect::Order { ticket, user, words } => self.take_order(ticket, user, words),
            Effect::Report(_) => {}
        }
    }

    fn let_read(&mut self, id: LinkId, reading: bool) {
        let seen = if reading { Seen::Resumed { link: id } } else { Seen::Paused { link: id } };
        self.trace.add(self.now, seen);
        if let Some(link) = self.links.get_mut(&id) {
            link.ends[1].reading = reading;
        }
        if reading {
            self.after(0, Happening::Arrive { link: id, end: 1 });
        }
    }

    fn schedule_server(&mut self, at: Time) {
        self.trace.add(self.now, Seen::Scheduled { at });
        self.host.generation += 1;
        let at = shifted(at, -self.host.ahead);
        self.host.wakes_at = Some(at);
        let (life, generation) = (self.host.life, self.host.generation);
        let late = if self.draw.chance(20) { self.draw.below(2_000) } else { 0 };
        self.at(Time(at.0.saturating_add(late)), Happening::ServerTick { life, generation });
    }

    pub(super) fn tick_server(&mut self, life: u32, generation: u64) {
        if life == self.host.life && generation == self.host.generation {
            self.host.wakes_at = None;
            self.tell_server(Event::Tick, Told::Tick);
        }
    }

    /// The operator asks to read the files again.
    pub(super) fn reload_server(&mut self) {
        if self.host.is_up() {
            self.merge_registered_accounts();
            let (accounts, settings) = (self.host.credentials(), self.settings());
            let seen = Seen::FilesChanged { settings: settings.clone(), accounts: accounts.clone() };
            self.trace.add(self.now, seen);
            self.tell_server(Event::Reloaded { accounts, settings }, Told::Reloaded);
        }
    }

    /// The server has renewed a hash in the credentials file.
    pub(super) fn renew_hash(&mut self, renewal: Renewal) {
        if self.host.is_up() {
            self.merge_registered_accounts();
            let (name, credential) = (renewal.name.clone(), renewal.after.clone());
            self.trace.add(self.now, Seen::HashRenewed { name, credential });
            let renewals = alloc::vec![renewal];
            self.tell_server(Event::HashesRenewed { renewals }, Told::HashesRenewed);
        }
    }

    /// A client reaches the server. No two links of one life bring the same nonce, but each life brings those of
    /// the one before again, like a system that repeats its random numbers.
    pub(super) fn accept(&mut self, dialler: Holder, from: SocketAddr) -> LinkId {
        let link = self.new_link(dialler, Holder::Server);
        let process = match dialler {
            Holder::Process(process) => Some(process),
            Holder::Server | Holder::Hand(_) => None,
        };
        self.trace.add(self.now, Seen::Caller { link, process });
        // Kept scenarios count on these draws.
        let _ = self.draw.bytes();
        self.host.accepted += 1;
        let nonce = Draw::new(self.host.accepted).bytes();
        self.tell_server(Event::LinkOpened { link, from, nonce }, Told::LinkOpened { link, from });
        link
    }

    pub(super) fn server_receives(&mut self, link: LinkId, bytes: &[u8]) {
        let span = self.trace.keep(bytes);
        self.tell_server(Event::Received { link, bytes }, Told::Received { link, bytes: span });
    }

    pub(super) fn server_hears_the_end(&mut self, link: LinkId) {
        self.tell_server(Event::StreamEnded { link }, Told::StreamEnded { link });
    }

    pub(super) fn server_loses(&mut self, link: LinkId) {
        self.tell_server(Event::LinkClosed { link }, Told::LinkClosed { link });
    }

    pub(super) fn flushed(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        if link.ends[1].open {
            let upto = link.ends[1].flushed;
            self.tell_server(Event::Flushed { link: id, upto }, Told::Flushed { link: id, upto });
        }
    }

    fn look_at_output(&mut self, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let waiting = link.ends[1].waiting.len();
        let flushed = link.ends[1].flushed;
        if waiting > OUTPUT_BYTES {
            self.cut(id, false);
        } else if waiting > 0 {
            self.after(OUTPUT_STALL_MICROS, Happening::Stalled { link: id, flushed });
        }
    }

    pub(super) fn look_at_stalled(&mut self, id: LinkId, flushed: u64) {
        let Some(link) = self.links.get(&id) else { return };
        if !link.ends[1].waiting.is_empty() && link.ends[1].flushed == flushed {
            self.cut(id, false);
        }
    }
}

/// A time so many microseconds later, or earlier.
pub(super) const fn shifted(time: Time, micros: i64) -> Time {
    Time(time.0.saturating_add_signed(micros))
}

/// The password in a line of the credentials file: a hash of the model ends with it.
pub(super) fn password_in(line: &str) -> &str {
    if line.starts_with("$argon2") { line.splitn(4, '$').last().unwrap_or(line) } else { line }
}

/// Whether a password is the one of a line of the credentials file.
pub(super) fn is_right(credential: &Credential, password: &str) -> bool {
    password_in(credential.reveal()) == meant(password)
}
