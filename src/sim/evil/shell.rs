//! What a shell does for a client: it carries out effects and brings events.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::processes::{Process, is_relayed};
use super::seal::{Opened, Own, Seal};
use super::trace::Seen;
use super::world::{End, News, World, end_of, peer_of};
use crate::client::view::{Path, View};
use crate::client::{Effect, Event, Introduction, Recall};
use crate::sim::link::Holder;
use crate::sim::trace::ProcessId;
use crate::words::{LinkId, Name};

impl World {
    /// Tells a client something and carries out what it wants.
    pub(super) fn tell(&mut self, id: ProcessId, event: Event<'_>) {
        let Some(seat) = self.seat_of(id) else { return };
        let Some(mut process) = self.seats[seat].process.take() else { return };
        let link = match &event {
            Event::PeerOpened { link, .. }
            | Event::PeerProved { link, .. }
            | Event::PeerReceived { link, .. }
            | Event::PeerClosed { link } => Some(*link),
            _ => None,
        };
        self.see(Seen::Told { process: id, link });
        let mut effects = 0;
        let now = self.now;
        if let Some(mut state) = process.state.take() {
            for effect in state.handle(event, now) {
                effects += 1;
                self.carry_out(&mut process, effect);
            }
            self.see(Seen::Keeps { process: id, sizes: state.sizes() });
            process.state = Some(state);
        }
        self.events += u64::from(effects > 0);
        let ends: Vec<End> = process.ends();
        if !process.exited {
            self.seats[seat].process = Some(process);
        }
        ends.into_iter().for_each(|(link, end)| self.pump(link, end));
    }

    fn carry_out(&mut self, process: &mut Process, effect: Effect<'_>) {
        let id = process.id;
        match effect {
            Effect::Dial => {
                process.dial += 1;
                let micros = self.draw.below(self.latency_micros * 2 + 1);
                self.news(id, micros, News::Dialled { dial: process.dial });
            }
            Effect::Send { bytes } => {
                self.see(Seen::Wrote { process: id, bytes: bytes.to_vec() });
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
            Effect::Show(view) => self.show(process, view),
            Effect::Deliver { sequence, view, .. } => {
                self.show(process, view);
                process.last_sequence = sequence;
                if !core::mem::replace(&mut process.showing_is_due, true) {
                    let micros = self.draw.below(600);
                    self.news(id, micros, News::Shown);
                }
            }
            Effect::OpenState { user } => {
                if let Ok(user) = Name::new(user) {
                    self.soon(id, News::StateAsked { user });
                }
            }
            Effect::FindCookie { .. } => self.soon(id, News::CookieSought),
            Effect::LookUp { line, .. } => self.soon(id, News::LookedUp { line }),
            Effect::Listen => self.soon(id, News::Listening),
            Effect::StopListening => {
                process.listening.clear();
                process.punching.clear();
            }
            Effect::KeepKey(known) => {
                if let Some(seat) = self.seats.iter_mut().find(|seat| seat.user == process.user) {
                    seat.keys.push(known.clone());
                }
            }
            Effect::ScheduleTimeout { at } => {
                process.generation += 1;
                let generation = process.generation;
                let at = at.0.saturating_sub(self.now.0);
                self.news(id, at, News::Tick { generation });
            }
            Effect::Exit(exit) => {
                process.exited = true;
                self.bury(process, Some(exit), false);
            }
            Effect::NoteOpen { .. }
            | Effect::NoteSettled { .. }
            | Effect::KeepCookie { .. }
            | Effect::CloseState
            | Effect::Log(_) => {}
            effect => self.carry_out_for_peer(process, effect),
        }
    }

    fn carry_out_for_peer(&mut self, process: &mut Process, effect: Effect<'_>) {
        let id = process.id;
        match effect {
            Effect::DialPeer { address } => {
                self.see(Seen::Dialled { process: id, address, punches: false });
                let micros = self.draw.below(self.latency_micros * 2 + 1);
                self.news(id, micros, News::PeerDialled { address });
            }
            Effect::PunchPeer { address } => {
                self.see(Seen::Dialled { process: id, address, punches: true });
                let micros = self.draw.below(self.latency_micros * 2 + 1);
                self.news(id, micros, News::Punch { address });
            }
            Effect::SendPeer { link, bytes } => {
                self.see(Seen::Said { process: id, link, bytes: bytes.to_vec() });
                let sealed = process.seals.get_mut(&link).map(|seal| seal.wrap(bytes));
                self.seal_writes(id, link, &sealed.unwrap_or_default());
                if bytes.starts_with(b"continue") && !is_relayed(link) {
                    self.meddle(process.user, link);
                }
            }
            Effect::SecurePeer { link, dialled, introduction } => {
                self.secure(process, link, dialled, introduction);
            }
            Effect::BeginRelay { link, calls } => {
                self.see(Seen::Relayed { process: id });
                process.seals.insert(link, Seal::new(calls));
            }
            Effect::FeedRelay { link, bytes } => {
                self.news(id, 0, News::RelayCame { link, bytes: bytes.to_vec() });
            }
            Effect::EndRelay { link } => self.news(id, 0, News::RelayOver { link }),
            Effect::ClosePeer { link } => self.leave(process, link, false),
            Effect::ResetPeer { link } => self.leave(process, link, true),
            _ => {}
        }
    }

    fn soon(&mut self, id: ProcessId, news: News) {
        let micros = self.draw.below(300);
        self.news(id, micros, news);
    }

    fn secure(&mut self, process: &mut Process, link: LinkId, calls: bool, with: &Introduction) {
        let Some(seat) = self.seats.iter().find(|seat| seat.user == process.user) else { return };
        let (key, can_move) = (seat.key, process.can_move);
        let own = Own { key, signs: true, can_move, fresh: self.fresh() };
        let Some(seal) = process.seals.get_mut(&link) else { return };
        seal.secure(calls, own, with.clone());
        let says = seal.take_says();
        self.seal_writes(process.id, link, &says);
        self.news(process.id, 0, News::Unseal { link });
    }

    /// What is written on a link of a client, as it is.
    fn seal_writes(&mut self, id: ProcessId, link: LinkId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if is_relayed(link) {
            return self.news(id, 0, News::RelayLeaving { link, bytes: bytes.to_vec() });
        }
        let (link, end) = end_of(link);
        self.record(link, end, bytes);
        self.write(link, end, bytes);
    }

    fn leave(&mut self, process: &mut Process, link: LinkId, resets: bool) {
        let was_open = process.seals.remove(&link).is_some();
        self.see(Seen::Left { process: process.id, link });
        if is_relayed(link) {
            if was_open {
                self.news(process.id, 0, News::RelayLeaving { link, bytes: Vec::new() });
            }
            return;
        }
        let (link, end) = end_of(link);
        if resets { self.kill_end(link, end, true) } else { self.close_end(link, end) }
    }

    fn show(&mut self, process: &mut Process, view: &View) {
        match view {
            View::LoggedIn { .. } => process.is_in = true,
            View::Bye(_) | View::Prompt { .. } => process.is_in = false,
            View::PrivateRequest { from } => process.asked_by.push(from.clone()),
            View::PrivateOpened { user, path } => {
                process.talks_with.push(user.to_string());
                if *path == Path::Relayed {
                    self.spring(process.user);
                }
            }
            View::PrivateClosed { user, .. } => process.talks_with.retain(|other| other != user),
            _ => {}
        }
        self.see(Seen::Showed { process: process.id, view: Box::new(view.clone()) });
    }

    /// Brings news to a client; a frozen one gets them when it goes on.
    pub(super) fn bring(&mut self, id: ProcessId, news: News) {
        let Some(process) = self.process(id) else { return self.refuse(&news) };
        if process.frozen {
            return process.held.push(news);
        }
        match news {
            News::Tick { generation } if generation == process.generation => self.tell(id, Event::Tick),
            News::Tick { .. } => {}
            News::Dialled { dial } if dial == process.dial => self.connect(id),
            News::Dialled { .. } => {}
            News::PeerDialled { address } => self.connect_peer(id, address),
            News::PeerUnreached { address } => self.tell(id, Event::PeerUnreached { address }),
            News::Punch { address } => self.punch(id, address),
            News::Punched { link, address } => self.is_punched(id, link, address),
            News::PunchOver { address } => self.end_punch(id, address),
            News::PeerAccepted { link, from } => self.accept_peer(id, link, from),
            News::Unseal { link } => self.unseal(id, link),
            News::RelayLeaving { link, bytes } => self.tell(id, Event::RelayLeaving { link, bytes: &bytes }),
            News::RelayCame { link, bytes } => {
                self.tell(id, Event::RelayTaken { link, count: bytes.len() });
                self.peer_reads(id, link, &bytes);
            }
            News::RelayOver { link } => self.relay_over(id, link),
            News::StateAsked { user } => self.open_state(id, &user),
            News::CookieSought => self.tell(id, Event::CookieFound { cookie: None }),
            News::Listening => self.listen(id),
            News::LookedUp { line } => self.tell(id, Event::LookedUp { line, found: Some(Vec::new()) }),
            News::Shown => {
                process.showing_is_due = false;
                let upto = process.last_sequence;
                self.tell(id, Event::Delivered { upto });
            }
        }
    }

    fn open_state(&mut self, id: ProcessId, user: &Name) {
        let Some(seat) = self.seat_of(id) else { return };
        // A server that gives somebody another name gets another folder.
        let is_own = self.seats[seat].user == user.as_str();
        let keys = if is_own { self.seats[seat].keys.clone() } else { Vec::new() };
        self.tell(id, Event::StateOpened(Recall { keys, ..Recall::default() }));
    }

    fn connect(&mut self, id: ProcessId) {
        let Some(seat) = self.seat_of(id) else { return };
        let link = self.new_link(Holder::Process(id), Holder::Server);
        let user = self.seats[seat].user;
        if let Some(process) = self.process(id) {
            process.link = Some(link);
        }
        self.tell(id, Event::Connected);
        self.greet(link, user);
    }

    pub(super) fn client_reads(&mut self, id: ProcessId, (link, end): End, bytes: &[u8]) {
        let Some(process) = self.process(id) else { return };
        if process.link == Some(link) {
            self.see(Seen::Read { process: id, bytes: bytes.to_vec() });
            self.tell(id, Event::Received { bytes });
        } else {
            self.peer_reads(id, peer_of((link, end)), bytes);
        }
    }

    pub(super) fn client_loses(&mut self, id: ProcessId, (link, end): End) {
        let Some(process) = self.process(id) else { return };
        let peer = peer_of((link, end));
        if process.link == Some(link) {
            process.link = None;
            self.tell(id, Event::Disconnected);
        } else if process.seals.remove(&peer).is_some() {
            self.see(Seen::Left { process: id, link: peer });
            self.tell(id, Event::PeerClosed { link: peer });
        }
    }

    /// The server brings no more of a relay, or what it has brought is false.
    fn relay_over(&mut self, id: ProcessId, link: LinkId) {
        let Some(process) = self.process(id) else { return };
        if process.seals.remove(&link).is_some() {
            self.see(Seen::Left { process: id, link });
            self.news(id, 0, News::RelayLeaving { link, bytes: Vec::new() });
            self.tell(id, Event::PeerClosed { link });
        }
    }

    /// Bytes have arrived on a link with another client.
    fn peer_reads(&mut self, id: ProcessId, link: LinkId, bytes: &[u8]) {
        let Some(seal) = self.process(id).and_then(|process| process.seals.get_mut(&link)) else { return };
        seal.receive(bytes);
        self.unseal(id, link);
    }

    /// Goes through what has arrived.
    fn unseal(&mut self, id: ProcessId, link: LinkId) {
        loop {
            let Some(seal) = self.process(id).and_then(|process| process.seals.get_mut(&link)) else {
                return;
            };
            let opened = seal.next();
            let says = seal.take_says();
            self.seal_writes(id, link, &says);
            if !is_relayed(link) {
                let (link, end) = end_of(link);
                self.pump(link, end);
            }
            match opened {
                Opened::Nothing => return,
                Opened::Bytes(bytes) => {
                    self.see(Seen::Heard { process: id, link, bytes: bytes.clone() });
                    self.tell(id, Event::PeerReceived { link, bytes: &bytes });
                }
                Opened::Key { key, can_move } => {
                    self.see(Seen::Proved { process: id, link, key });
                    self.tell(id, Event::PeerProved { link, key, can_move });
                }
                Opened::Broken if is_relayed(link) => return self.relay_over(id, link),
                Opened::Broken => {
                    let (known, end) = end_of(link);
                    self.kill_end(known, end, true);
                    if self.process(id).and_then(|process| process.seals.remove(&link)).is_some() {
                        self.see(Seen::Left { process: id, link });
                        self.tell(id, Event::PeerClosed { link });
                    }
                    return;
                }
            }
        }
    }
}
