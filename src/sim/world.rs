//! The world: one server, its clients, links and store, and the one clock they all live by.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::agenda::Agenda;
use super::client_host::Seat;
use super::draw::Draw;
use super::folders::Folders;
use super::hand::{Hand, KeptToken};
use super::hashing::ServerAnswer;
use super::introductions::Meddling;
use super::inviting::Invited;
use super::link::{Chunking, Found, Holder, Link};
use super::relayed::Evil;
use super::server_host::Host;
use super::strangers::Overheard;
use super::trace::{ProcessId, Trace};
use super::weather::Weather;
use crate::client::view::Question;
use crate::time::Time;
use crate::words::{AddressRange, LinkId, Name, Ticket, Token};

/// When simulated time begins: a day in 2024.
pub(super) const BEGINNING: Time = Time(1_717_200_000_000_000);
/// A link that is silent for so long is dead for both ends.
pub(super) const DEAD_LINK_MICROS: u64 = 15_000_000;

/// What is going to happen at some time.
#[derive(Debug)]
pub(super) enum Happening {
    /// Something may be read at an end of a link.
    Arrive { link: LinkId, end: usize },
    /// The holder of an end learns how much has left.
    Flushed { link: LinkId },
    /// The holder of an end learns that the link is gone.
    Broken { link: LinkId, end: usize },
    /// The link has been silent for too long, unless it was healed.
    Silent { link: LinkId, silence: u32 },
    /// The server looks whether a slow reader has taken anything since.
    Stalled { link: LinkId, flushed: u64 },
    /// The server's timeout.
    ServerTick { life: u32, generation: u64 },
    /// A link that waits for its turn at the server may have it.
    ServerTurn { life: u32 },
    /// The shell takes an order up, or is done with it.
    Order { life: u32, ticket: Ticket },
    /// A hash is compared or made.
    Hashing { life: u32, answer: ServerAnswer },
    /// The store takes a turn.
    StoreTurn { life: u32 },
    /// The server process starts.
    ServerUp,
    /// The server process dies.
    Crash { life: u32 },
    /// A client is told something.
    Client { process: ProcessId, news: News },
    /// A frozen client goes on.
    Thaw { seat: usize },
    /// A client is killed.
    Kill { process: ProcessId, hard: bool },
    /// A client has said that it moves a conversation.
    Moves { process: ProcessId },
    /// The disk has room again.
    Room,
}

/// What a client is going to be told, or to do.
#[derive(Debug, Clone)]
pub(super) enum News {
    Tick {
        generation: u64,
    },
    Dialled {
        dial: u32,
    },
    PeerDialled {
        address: SocketAddr,
    },
    PeerUnreached {
        address: SocketAddr,
    },
    Punch {
        address: SocketAddr,
    },
    /// It was called by whom it was calling.
    Punched {
        link: LinkId,
        address: SocketAddr,
    },
    /// The router answers.
    RouterSpeaks {
        attempt: u64,
    },
    /// Nobody has answered who was called from a listening port.
    PunchOver {
        address: SocketAddr,
    },
    PeerAccepted {
        link: LinkId,
        from: SocketAddr,
    },
    Crowd {
        left: u8,
    },
    /// It may go through what has arrived on a link that is being encrypted.
    Unseal {
        link: LinkId,
    },
    /// About a link that the server relays: for the server, from it, and that it brings no more.
    RelayLeaving {
        link: LinkId,
        bytes: Vec<u8>,
    },
    RelayCame {
        link: LinkId,
        bytes: Vec<u8>,
    },
    RelayOver {
        link: LinkId,
    },
    StateAsked {
        user: Name,
    },
    CookieSought {
        user: Name,
    },
    Listening,
    LookedUp {
        line: u64,
    },
    Display,
    Noted,
    Asked {
        ask: Question,
    },
}

/// How a world is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Keys the server's hash maps; must not change anything that is seen.
    pub hash_seed: u64,
    /// Simple stand-ins take the place of the real clients: only the server is looked at.
    pub server_only: bool,
    /// Nothing takes any time, and every step the same.
    pub calm: bool,
    /// What the server is told is recorded, to be told again in other chunks.
    pub taped: bool,
    /// The server is evil: another world, of clients alone.
    pub evil: bool,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan { hash_seed: 1, server_only: false, calm: false, taped: false, evil: false }
    }
}

/// The world.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) plan: Plan,
    pub(super) now: Time,
    agenda: Agenda<Happening>,
    pub(super) draw: Draw,
    pub(super) trace: Trace,
    pub(super) host: Host,
    pub(super) links: BTreeMap<LinkId, Link>,
    last_link: u64,
    pub(super) seats: Vec<Seat>,
    pub(super) hands: Vec<Hand>,
    pub(super) tokens: Vec<KeptToken>,
    /// Cookies that raw connections were given, the newest last.
    pub(super) cookies: Vec<(Name, Token)>,
    /// Tokens that couriers were given.
    pub(super) passes: Vec<(Name, Token)>,
    /// Addresses that operators have banned at some time.
    pub(super) banned: BTreeSet<AddressRange>,
    /// Invites that operators have asked for.
    pub(super) invites: Vec<Invited>,
    /// Messages with ids that couriers have said, with their users.
    pub(super) marked: Vec<(String, String)>,
    pub(super) overheard: Overheard,
    /// What happens to the conversation that moves next.
    pub(super) meddling: Option<Meddling>,
    pub(super) evil: Evil,
    pub(super) folders: Folders,
    pub(super) last_process: u32,
    pub(super) last_text: u32,
    /// Counts passwords that were typed.
    last_password: u32,
    pub(super) weather: Weather,
    pub(super) chunking: Chunking,
    /// Instants at which a lock may end.
    pub(super) instants: Vec<Time>,
    /// The name that somebody guessed at last.
    pub(super) guessed: &'static str,
    pub(super) events: u64,
}

impl World {
    /// A world in which nothing runs yet.
    pub(crate) fn new(plan: Plan) -> World {
        World {
            plan,
            now: BEGINNING,
            agenda: Agenda::new(),
            draw: Draw::new(0),
            trace: Trace::new(),
            host: Host::new(plan.taped),
            links: BTreeMap::new(),
            last_link: 0,
            seats: (0..super::client_host::SEATS).map(Seat::new).collect(),
            hands: Vec::new(),
            tokens: Vec::new(),
            cookies: Vec::new(),
            passes: Vec::new(),
            banned: BTreeSet::new(),
            invites: Vec::new(),
            marked: Vec::new(),
            overheard: Overheard::default(),
            meddling: None,
            evil: Evil::default(),
            folders: Folders::default(),
            last_process: 0,
            last_text: 0,
            last_password: 0,
            weather: if plan.calm { Weather::none() } else { Weather::fair() },
            chunking: if plan.calm { Chunking::Whole } else { Chunking::Sometimes },
            instants: Vec::new(),
            guessed: super::cast::USERS[0],
            events: 0,
        }
    }

    /// What was seen since [`forget`](Self::forget).
    pub(crate) const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Drops what was seen and has been looked at.
    pub(crate) fn forget(&mut self) {
        self.trace.forget();
    }

    /// Events so far that changed something or had an effect.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// The clock.
    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// Lets something happen after so many microseconds.
    pub(super) fn after(&mut self, micros: u64, what: Happening) {
        self.at(Time(self.now.0.saturating_add(micros)), what);
    }

    /// Lets something happen at a time, after all that is to happen then already.
    pub(super) fn at(&mut self, at: Time, what: Happening) {
        self.agenda.add(at, what);
    }

    /// Lets time pass: at most so many microseconds, and at most so many happenings at a go. Says
    /// whether the time is over.
    pub(crate) fn pass(&mut self, until: Time, most: u32) -> bool {
        for _ in 0..most {
            let Some((at, what)) = self.agenda.take(until) else { break };
            self.now = self.now.max(at);
            self.happen(what);
        }
        let is_over = !self.agenda.is_due(until);
        if is_over {
            self.now = self.now.max(until);
        }
        is_over
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrive { link, end } => self.arrive(link, end),
            Happening::Flushed { link } => self.flushed(link),
            Happening::Broken { link, end } => self.broken(link, end),
            Happening::Silent { link, silence } => self.silent_for_too_long(link, silence),
            Happening::Stalled { link, flushed } => self.look_at_stalled(link, flushed),
            Happening::ServerTick { life, generation } => self.tick_server(life, generation),
            Happening::ServerTurn { life } => self.give_turn(life),
            Happening::Order { life, ticket } => self.obey(life, ticket),
            Happening::Hashing { life, answer } => self.answer_hashing(life, answer),
            Happening::StoreTurn { life } => self.turn_store(life),
            Happening::ServerUp => self.start_server(),
            Happening::Crash { life } => self.crash_in_life(life),
            Happening::Client { process, news } => self.bring(process, news),
            Happening::Thaw { seat } => self.thaw(seat),
            Happening::Kill { process, hard } => {
                if let Some(seat) = self.seat_of(process) {
                    self.kill_client(seat, hard);
                }
            }
            Happening::Moves { process } => self.meddle_with_move(process),
            Happening::Room => {
                self.host.store.full = false;
                self.wake_store();
            }
        }
    }

    /// A new link; its number is never used again.
    pub(super) fn new_link(&mut self, dialler: Holder, dialled: Holder) -> LinkId {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let near = matches!(dialler, Holder::Hand(_)) && self.draw.chance(400);
        let latency = if near { 0 } else { self.draw.below(self.weather.latency_micros + 1) };
        self.links.insert(link, Link::new(dialler, dialled, latency));
        link
    }

    /// Queues bytes at an end.
    pub(super) fn write(&mut self, link: LinkId, end: usize, bytes: &[u8]) {
        if let Some(link) = self.links.get_mut(&link) {
            link.write(end, bytes);
        }
    }

    /// Moves what waits at an end into the network.
    pub(super) fn pump(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let before = link.ends[end].flushed;
        let arrival = link.pump(end, self.now);
        let flushed = link.ends[end].flushed;
        let tells = link.ends[end].holder == Holder::Server && link.ends[end].open;
        if let Some(at) = arrival {
            self.at(at, Happening::Arrive { link: id, end: 1 - end });
        }
        if flushed > before && tells {
            self.after(0, Happening::Flushed { link: id });
        }
    }

    /// An end is closed by its holder, once all that waits has left.
    pub(super) fn close_end(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.close(end);
        self.pump(id, end);
        self.drop_if_over(id);
    }

    /// The process that holds an end has died.
    pub(super) fn kill_end(&mut self, id: LinkId, end: usize, hard: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.ends[end].die(hard);
        self.close_end(id, end);
    }

    /// The link breaks: both ends learn it after a while.
    pub(super) fn cut(&mut self, id: LinkId, hard: bool) {
        self.disturb_ends(id);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.cut(hard);
        for end in 0..2 {
            let delay = self.draw.below(5_000);
            self.after(delay, Happening::Broken { link: id, end });
        }
    }

    fn arrive(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let found = link.read(end, self.now, self.chunking, &mut self.draw);
        let holder = link.ends[end].holder;
        let open = link.ends[end].open;
        match found {
            Found::Nothing => {}
            Found::TheEnd if open && holder == Holder::Server => self.server_hears_the_end(id),
            Found::TheEnd | Found::Reset => self.broken(id, end),
            Found::Bytes(bytes) => {
                if link.has_more(end, self.now) {
                    self.after(0, Happening::Arrive { link: id, end });
                }
                self.pump(id, 1 - end);
                match holder {
                    _ if !open => self.reset_server(id, 1 - end),
                    Holder::Server => self.server_receives(id, &bytes),
                    Holder::Process(process) => self.client_receives(process, id, &bytes),
                    Holder::Hand(hand) => self.hand_receives(hand, &bytes),
                }
            }
        }
    }

    /// The server has written to an end that nobody holds any more.
    fn reset_server(&mut self, id: LinkId, end: usize) {
        let link = self.links.get(&id);
        if link.is_some_and(|link| link.ends[end].open && link.ends[end].holder == Holder::Server) {
            self.after(0, Happening::Broken { link: id, end });
        }
    }

    /// An end says no more, and goes on listening.
    pub(super) fn end_stream(&mut self, id: LinkId, end: usize) {
        if let Some(link) = self.links.get_mut(&id) {
            link.ends[end].closing = true;
            self.pump(id, end);
        }
    }

    /// The holder of an end learns that the link is gone.
    pub(super) fn broken(&mut self, id: LinkId, end: usize) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(holder) = link.lose(end) else { return };
        match holder {
            Holder::Server => self.server_loses(id),
            Holder::Process(process) => self.client_loses(process, id),
            Holder::Hand(hand) => self.hand_loses(hand),
        }
        self.pump(id, end);
        self.drop_if_over(id);
    }

    fn drop_if_over(&mut self, id: LinkId) {
        if self.links.get(&id).is_some_and(Link::is_over) {
            self.links.remove(&id);
        }
    }

    fn silent_for_too_long(&mut self, id: LinkId, silence: u32) {
        if self.links.get(&id).is_some_and(|link| link.has_been_silent_since(silence)) {
            for end in [0, 1] {
                self.broken(id, end);
            }
            self.links.remove(&id);
        }
    }

    /// A password as it is typed now.
    pub(super) fn typed(&mut self, password: &str) -> alloc::string::String {
        self.last_password += 1;
        super::cast::typed(password, self.last_password)
    }

    /// The settings of the server.
    pub(super) fn settings(&self) -> Box<crate::server::Settings> {
        Box::new(self.host.settings.clone())
    }
}
