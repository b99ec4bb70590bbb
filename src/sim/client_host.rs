//! The machines the clients run on: they carry out effects as a shell would, and keep state folders.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::disk::Note;
use super::display::Item;
use super::link::Holder;
use super::network::Place;
use super::seals::Seal;
use super::strangers::Ambush;
use super::trace::{PeerSeen, ProcessId, Seen};
use super::world::{Happening, News, World};
use crate::client::{ClientState, Effect, Event, Exit, MapPort, Settings};
use crate::words::{DeviceKey, LinkId, Name};

/// Places at which a client may run.
pub(super) const SEATS: usize = 14;
/// Those of them that steps use; the others are for those who come back at the end.
pub(super) const SEATS_USED: usize = 8;
/// A place at which a client may run.
#[derive(Debug)]
pub(super) struct Seat {
    /// Whose state folders it uses: two seats share a home.
    pub(super) home: u8,
    pub(super) process: Option<Process>,
    /// The stand-in that speaks for a client where only the server is looked at.
    pub(super) hand: Option<usize>,
    /// Where the next client runs.
    pub(super) place: Place,
}

impl Seat {
    pub(super) fn new(number: usize) -> Seat {
        let home = u8::try_from(number / 2).unwrap_or(0);
        let place = Place::new(number, u16::from(!number.is_multiple_of(2)));
        Seat { home, process: None, hand: None, place }
    }
}

/// A running client.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: ProcessId,
    state: Option<Box<ClientState>>,
    generation: u64,
    dial: u32,
    pub(super) link: Option<LinkId>,
    pub(super) peers: Vec<LinkId>,
    /// What encrypts them.
    pub(super) seals: BTreeMap<LinkId, Seal>,
    pub(super) device_key: DeviceKey,
    pub(super) place: Place,
    pub(super) listening: Vec<SocketAddr>,
    /// What it has asked its router for last, and needs still.
    pub(super) asked_router: Option<u64>,
    /// Addresses that it is dialling from its listening port.
    pub(super) punching: Vec<SocketAddr>,
    /// Who has asked it for a private link.
    pub(super) asked_by: Vec<String>,
    /// Who connects when it is introduced to somebody.
    pub(super) ambush: Option<Ambush>,
    lines: u64,
    pub(super) display: VecDeque<Item>,
    pub(super) display_is_due: bool,
    /// How long the display takes for what it has got.
    pub(super) display_micros: u64,
    pub(super) unnoted: u32,
    pub(super) noting_is_due: bool,
    /// It is killed when it shows the next message.
    pub(super) doomed: bool,
    pub(super) last_sequence: u64,
    pub(super) folder: Option<(u8, Name)>,
    pub(super) frozen: bool,
    pub(super) held: Vec<News>,
    /// Nothing more can be typed.
    pub(super) input_ended: bool,
    exited: bool,
    /// Shows a prompt, has a session, or neither, as far as its views tell.
    pub(super) user: Option<Name>,
    /// Whose session waits for the next login.
    pub(super) returning: Option<Name>,
    pub(super) output_closed: bool,
}

impl Process {
    /// Whether it can move a conversation to another link. One in eight is of an earlier version.
    pub(super) fn can_move(&self) -> bool {
        !self.id.0.is_multiple_of(8)
    }
}

impl World {
    /// A client program starts at a seat that has none.
    pub(super) fn start_client(&mut self, seat: usize, mut settings: Settings) {
        if self.seats[seat].process.is_some() {
            return;
        }
        self.last_process += 1;
        let id = ProcessId(self.last_process);
        let home = self.seats[seat].home;
        let place = self.seats[seat].place;
        settings.private_advertise = place.advertised(id.0);
        settings.map_port = MapPort::Auto;
        // One of a version before there were keys has none.
        let device_key = device_of(home);
        settings.device_key = (!self.draw.chance(20)).then_some(device_key);
        let outlasts_server = settings.terminal && settings.reconnect_secs.is_none();
        let reconnects = settings.reconnect_secs != Some(0);
        let strict = settings.strict && !settings.terminal;
        let (path, accepts) = (settings.path, settings.accept_private);
        let process = id;
        self.trace.add(
            self.now,
            Seen::ClientStarted { process, home, place, outlasts_server, reconnects, strict, path, accepts },
        );
        let seed = self.draw.number();
        self.seats[seat].process = Some(Process {
            id,
            state: Some(Box::new(ClientState::new(settings, seed))),
            generation: 0,
            dial: 0,
            link: None,
            peers: Vec::new(),
            seals: BTreeMap::new(),
            device_key,
            place,
            listening: Vec::new(),
            asked_router: None,
            punching: Vec::new(),
            asked_by: Vec::new(),
            ambush: None,
            lines: 0,
            display: VecDeque::new(),
            display_is_due: false,
            display_micros: 0,
            unnoted: 0,
            noting_is_due: false,
            doomed: false,
            last_sequence: 0,
            folder: None,
            frozen: false,
            held: Vec::new(),
            input_ended: false,
            exited: false,
            user: None,
            returning: None,
            output_closed: false,
        });
        self.tell_client(id, Event::Started);
    }

    /// Nothing more can be typed at a seat.
    pub(super) fn end_input(&mut self, seat: usize) {
        let Some(process) = self.seats[seat].process.as_mut().filter(|process| !process.frozen) else {
            return;
        };
        if !core::mem::replace(&mut process.input_ended, true) {
            let id = process.id;
            self.disturb(id);
            self.tell_client(id, Event::EndOfInput);
        }
    }

    /// The seat at which a process runs.
    pub(super) fn seat_of(&self, process: ProcessId) -> Option<usize> {
        let runs = |seat: &Seat| seat.process.as_ref().is_some_and(|running| running.id == process);
        self.seats.iter().position(runs)
    }

    pub(super) fn process(&mut self, id: ProcessId) -> Option<&mut Process> {
        self.seats.iter_mut().filter_map(|seat| seat.process.as_mut()).find(|process| process.id == id)
    }

    /// A line is typed at a seat.
    pub(super) fn type_line(&mut self, seat: usize, text: &[u8]) {
        let running =
            self.seats[seat].process.as_mut().filter(|process| !process.frozen && !process.input_ended);
        let Some(process) = running else { return };
        process.lines += 1;
        let (id, line) = (process.id, process.lines);
        let span = self.trace.keep(text);
        self.trace.add(self.now, Seen::Typed { process: id, line, text: span });
        self.tell_client(id, Event::Typed { line, text });
    }

    /// Tells a client something and carries out what it wants.
    pub(super) fn tell_client(&mut self, id: ProcessId, event: Event<'_>) {
        let Some(seat) = self.seat_of(id) else { return };
        let Some(mut process) = self.seats[seat].process.take() else { return };
        let mut effects = 0;
        let now = self.now;
        if let Some(mut state) = process.state.take() {
            for effect in state.handle(event, now) {
                effects += 1;
                self.carry_out_for(&mut process, effect);
            }
            process.state = Some(state);
        }
        self.events += u64::from(effects > 0);
        let (link, peers) = (process.link, process.peers.clone());
        if process.exited {
            self.bury(process);
        } else {
            self.seats[seat].process = Some(process);
        }
        link.into_iter().for_each(|link| self.pump(link, 0));
        for link in peers {
            self.pump_own_end(link, id);
        }
    }

    fn carry_out_for(&mut self, process: &mut Process, effect: Effect<'_>) {
        let id = process.id;
        match effect {
            Effect::Dial => {
                process.dial += 1;
                let dial = process.dial;
                let micros = self.draw.below(self.weather.latency_micros * 2 + 1);
                self.after(micros, Happening::Client { process: id, news: News::Dialled { dial } });
            }
            Effect::Send { bytes } => {
                self.see_asked(id, bytes);
                if let Some(link) = process.link {
                    self.write(link, 0, bytes);
                }
            }
            Effect::HangUp => {
                process.dial += 1;
                if let Some(link) = process.link.take() {
                    self.close_end(link, 0);
                }
            }
            Effect::Show(view) => self.display(process, Item::Show(Box::new(view.clone()))),
            Effect::Deliver { sequence, mark, view } => {
                if let Some(mark) = mark {
                    self.note_in_folder(process, Note::Showing(mark));
                }
                let (noted, view) = (mark.is_some(), Box::new(view.clone()));
                self.display(process, Item::Deliver { sequence, noted, view });
            }
            Effect::NoteOpen { number } => self.note_in_folder(process, Note::Open(number)),
            Effect::NoteSettled { number } => self.note_in_folder(process, Note::Settled(number)),
            Effect::OpenState { user } => self.about_user(id, user, |user| News::StateAsked { user }),
            Effect::FindCookie { user } => self.about_user(id, user, |user| News::CookieSought { user }),
            Effect::KeepCookie { cookie } => self.keep_cookie(process, cookie),
            Effect::CloseState => self.close_state(process),
            Effect::Log(_) => {}
            Effect::LookUp { line, query: _ } => self.look_up(id, line),
            Effect::Listen => self.soon(id, News::Listening),
            Effect::StopListening => self.stop_listening(process),
            Effect::MapPort { attempt } => self.ask_router(process, attempt),
            Effect::UnmapPort => self.release_port(process),
            Effect::DialPeer { address } => {
                self.see_peer(PeerSeen::Dialled { process: id, address });
                self.dials_peer(id, News::PeerDialled { address });
            }
            Effect::PunchPeer { address } => self.begins_punch(id, address),
            Effect::SendPeer { link, bytes } => {
                let said = self.trace.keep(bytes);
                self.see_peer(PeerSeen::Said { link, process: id, bytes: said });
                self.overhear_call(bytes);
                self.overhear_move(id, bytes);
                self.peer_writes(process, link, bytes);
            }
            Effect::SecurePeer { link, dialled, introduction } => {
                self.secure_peer(process, link, dialled, introduction);
            }
            Effect::KeepKey(known) => self.keep_key(process, known),
            Effect::BeginRelay { link, calls } => self.begin_relay(process, link, calls),
            Effect::FeedRelay { link, bytes } => self.relay_brings(id, link, bytes),
            Effect::EndRelay { link } => self.relay_ends(id, link),
            Effect::ClosePeer { link } => self.leave_peer(process, link, false),
            Effect::ResetPeer { link } => self.leave_peer(process, link, true),
            Effect::ScheduleTimeout { at } => {
                self.trace.add(self.now, Seen::ClientScheduled { process: id, at });
                process.generation += 1;
                let news = News::Tick { generation: process.generation };
                self.at(at.max(self.now), Happening::Client { process: id, news });
            }
            Effect::Exit(exit) => self.exit(process, exit),
        }
    }

    fn exit(&mut self, process: &mut Process, exit: Exit) {
        process.exited = true;
        self.show_all(process);
        self.note(process);
        self.trace.add(self.now, Seen::ClientExited { process: process.id, exit });
    }

    /// What a program leaves behind when it ends by itself: its links are closed once all has left.
    fn bury(&mut self, mut process: Process) {
        self.close_folder(&mut process, false);
        if let Some(link) = process.link {
            self.close_end(link, 0);
        }
        for link in core::mem::take(&mut process.peers) {
            if let Some(end) = self.own_end(link, process.id) {
                self.close_end(link, end);
            }
        }
    }

    /// The client at a seat is killed: what was about to be noted is not.
    pub(super) fn kill_client(&mut self, seat: usize, hard: bool) {
        let Some(mut process) = self.seats[seat].process.take() else { return };
        let queued = process.display.iter().filter(|item| item.is_noted()).count();
        let unnoted = process.unnoted + u32::try_from(queued).unwrap_or(0);
        self.trace.add(self.now, Seen::ClientKilled { process: process.id, unnoted });
        self.close_folder(&mut process, false);
        if let Some(link) = process.link {
            self.kill_end(link, 0, hard);
        }
        for link in core::mem::take(&mut process.peers) {
            if let Some(end) = self.own_end(link, process.id) {
                self.kill_end(link, end, hard);
            }
        }
    }

    fn soon(&mut self, process: ProcessId, news: News) {
        let micros = self.draw.below(300);
        self.after(micros, Happening::Client { process, news });
    }

    /// Brings news to a client; a frozen one gets them when it goes on.
    pub(super) fn bring(&mut self, id: ProcessId, news: News) {
        let Some(process) = self.process(id) else { return self.refuse(&news) };
        if process.frozen {
            process.held.push(news);
            return;
        }
        match news {
            News::Tick { generation } => {
                if generation == process.generation {
                    self.tell_client(id, Event::Tick);
                }
            }
            News::Dialled { dial } => self.connect(id, dial),
            News::PeerDialled { address } => self.connect_peer(id, address),
            News::PeerUnreached { address } => self.tell_client(id, Event::PeerUnreached { address }),
            News::Punch { address } => self.punch(id, address),
            News::Punched { link, address } => self.is_punched(id, link, address),
            News::PunchOver { address } => self.end_punch(id, address),
            News::PeerAccepted { link, from } => self.accept_peer(id, link, from),
            News::Unseal { link } => self.unseal(id, link),
            News::RelayLeaving { link, bytes } => {
                self.tell_client(id, Event::RelayLeaving { link, bytes: &bytes });
            }
            News::RelayCame { link, bytes } => self.relay_came(id, link, bytes),
            News::RelayOver { link } => self.relay_over(id, link),
            News::Crowd { left } => self.strangers_come(id, left),
            News::StateAsked { user } => self.open_folder(id, user),
            News::CookieSought { user } => self.find_cookie(id, user),
            News::Listening => self.listen(id),
            News::RouterSpeaks { attempt } => self.router_speaks(id, attempt),
            // What is in a log makes no difference to anything else.
            News::LookedUp { line } => {
                self.tell_client(id, Event::LookedUp { line, found: Some(Vec::new()) })
            }
            News::Display => self.display_queued(id),
            News::Noted => self.note_shown(id),
            News::Asked { ask } => self.answer_again(id, ask),
        }
    }

    fn close_state(&mut self, process: &mut Process) {
        self.show_all(process);
        self.note(process);
        self.close_folder(process, true);
    }

    fn look_up(&mut self, process: ProcessId, line: u64) {
        let micros = self.draw.below(300_000);
        self.after(micros, Happening::Client { process, news: News::LookedUp { line } });
    }

    fn about_user(&mut self, id: ProcessId, user: &str, news: impl FnOnce(Name) -> News) {
        if let Ok(user) = Name::new(user) {
            self.soon(id, news(user));
        }
    }

    fn connect(&mut self, id: ProcessId, dial: u32) {
        let Some(seat) = self.seat_of(id) else { return };
        if self.process(id).is_none_or(|process| process.dial != dial) {
            return;
        }
        if !self.host.is_up() || self.now < self.weather.refuse_dials_until {
            return self.tell_client(id, Event::Disconnected);
        }
        let place = self.seats[seat].process.as_ref().map_or(self.seats[seat].place, |process| process.place);
        let from = place.seen_by_server(id.0);
        let link = self.accept(Holder::Process(id), from);
        if let Some(process) = self.process(id) {
            process.link = Some(link);
        }
        self.tell_client(id, Event::Connected);
    }

    /// Nothing can be shown any more.
    pub(super) fn close_output(&mut self, seat: usize) {
        let Some(process) = self.seats[seat].process.as_mut() else { return };
        process.output_closed = true;
        let id = process.id;
        self.trace.add(self.now, Seen::OutputClosed { process: id });
        self.tell_client(id, Event::OutputClosed);
    }

    pub(super) fn client_receives(&mut self, process: ProcessId, link: LinkId, bytes: &[u8]) {
        let Some(running) = self.process(process) else { return };
        if running.link == Some(link) {
            self.tell_client(process, Event::Received { bytes });
            self.spring(process, bytes);
        } else if running.peers.contains(&link) {
            self.peer_receives(process, link, bytes);
        }
    }

    pub(super) fn client_loses(&mut self, process: ProcessId, link: LinkId) {
        let Some(running) = self.process(process) else { return };
        if running.link == Some(link) {
            running.link = None;
            self.disturb(process);
            self.see_peer(PeerSeen::CutOff { process });
            self.tell_client(process, Event::Disconnected);
        } else if running.peers.contains(&link) {
            running.peers.retain(|peer| *peer != link);
            running.seals.remove(&link);
            self.see_peer(PeerSeen::Left { link, process, closed: false });
            self.tell_client(process, Event::PeerClosed { link });
        }
    }

    pub(super) fn own_end(&self, link: LinkId, process: ProcessId) -> Option<usize> {
        let ends = &self.links.get(&link)?.ends;
        ends.iter().position(|end| end.holder == Holder::Process(process))
    }

    fn pump_own_end(&mut self, link: LinkId, process: ProcessId) {
        if let Some(end) = self.own_end(link, process) {
            self.pump(link, end);
        }
    }

    /// A client stops running and reading, or goes on.
    pub(super) fn freeze(&mut self, seat: usize, frozen: bool) {
        let Some(process) = self.seats[seat].process.as_mut() else { return };
        if process.frozen == frozen {
            return;
        }
        process.frozen = frozen;
        let id = process.id;
        let held = core::mem::take(&mut process.held);
        let links: Vec<LinkId> = process.peers.iter().copied().chain(process.link).collect();
        self.trace.add(self.now, Seen::Frozen { process: id, frozen });
        for news in held {
            self.after(0, Happening::Client { process: id, news });
        }
        for link in links {
            let Some(end) = self.own_end(link, id) else { continue };
            if let Some(link) = self.links.get_mut(&link) {
                link.ends[end].reading = !frozen;
            }
            self.after(0, Happening::Arrive { link, end });
        }
    }

    pub(super) fn thaw(&mut self, seat: usize) {
        self.freeze(seat, false);
    }
}

/// The key of the device at a home.
fn device_of(home: u8) -> DeviceKey {
    DeviceKey([home + 1; 32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seats_share_a_home() {
        let homes: Vec<u8> = (0..4).map(|number| Seat::new(number).home).collect();
        assert_eq!(homes, [0, 0, 1, 1]);
    }
}
