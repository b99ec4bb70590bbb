//! How two clients that were introduced connect to each other.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::super::event::PeerOpened;
use super::super::outstanding::AskedBy;
use super::super::verb::Verb;
use super::super::view::{Path, Success};
use super::ClientState;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{Code, CommandKind, Frame, Framer, PeerLine, Role, VERSION};
use crate::words::{LinkId, Token};

/// How long two clients try to reach each other; an introduction lives twice as long at the server.
const MEETING_PATIENCE: Duration = Duration::from_secs(15);

/// The lowest port that is dialled.
const LOWEST_PORT: u16 = 1_024;

/// How long a new link may take to identify itself.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(5);

/// Links that have not identified themselves; a further one displaces the oldest.
const STRANGERS: usize = 4;

/// Addresses dialled for one introduction.
const DIALS: usize = 4;

/// Identified links of one introduction.
const READY_LINKS: usize = 16;

/// How much longer than a typed line a line between clients may be.
const PEER_LINE_ROOM: usize = 512;

/// An introduction under way.
pub(super) struct Meeting {
    role: Role,
    id: Token,
    until: Time,
    /// Addresses that are being dialled.
    dials: Vec<SocketAddr>,
    /// The link that the requester has chosen.
    nominated: Option<LinkId>,
    /// The answered commands whose result this decides: one, if the server follows the protocol.
    asked: Vec<(u64, AskedBy)>,
}

impl Meeting {
    pub(super) fn until(&self) -> Time {
        self.until
    }

    pub(super) fn awaits_result(&self) -> bool {
        self.asked.iter().any(|(_, command)| command.line.is_some())
    }
}

/// A connection with another client.
pub(super) struct PeerLink {
    framer: Framer,
    stage: Stage,
}

enum Stage {
    /// Somebody has connected and is not identified. They may have come before their introduction, which is
    /// then on its way.
    Stranger { until: Time, early: Option<(Token, String)> },
    /// This client has connected and identified itself.
    Calling { user: String, until: Time },
    /// Both sides know the introduction.
    Ready { user: String },
    /// The requester has chosen this link and waits for `opened`.
    Nominated { user: String },
    /// Texts may flow.
    Standing { user: String },
}

impl PeerLink {
    /// When it must have been identified.
    pub(super) fn due(&self) -> Option<Time> {
        match &self.stage {
            Stage::Stranger { until, .. } | Stage::Calling { until, .. } => Some(*until),
            Stage::Ready { .. } | Stage::Nominated { .. } | Stage::Standing { .. } => None,
        }
    }

    /// The user with whom the link is being made.
    fn meets(&self) -> Option<&str> {
        match &self.stage {
            Stage::Calling { user, .. } | Stage::Ready { user } | Stage::Nominated { user } => Some(user),
            Stage::Stranger { .. } | Stage::Standing { .. } => None,
        }
    }

    fn is_stranger(&self) -> bool {
        matches!(self.stage, Stage::Stranger { .. })
    }

    fn is_ready_for(&self, name: &str) -> bool {
        matches!(&self.stage, Stage::Ready { user } if user == name)
    }
}

/// Whether a client may listen there. The server chooses the addresses, so they must not lead to the services of
/// a system, which have the ports below, nor to a neighbour that only this machine knows.
fn may_be_dialled(address: &SocketAddr) -> bool {
    let reachable = match address.ip().to_canonical() {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
    };
    reachable && address.port() >= LOWEST_PORT
}

impl ClientState {
    /// The server introduces a user with whom this client has requested or accepted a link. It cannot make this
    /// client call anybody else.
    pub(in super::super) fn on_introduction(
        &mut self,
        user: &str,
        role: Role,
        id: Token,
        addresses: &[SocketAddr],
    ) {
        // Once for each command, so that the server cannot make the client dial many addresses with many
        // introductions.
        if !self.session().is_some_and(|session| session.commands.introduce(user)) {
            return;
        }
        self.forget_request(user);
        self.abandon_meeting(user);
        let mut dials: Vec<SocketAddr> = Vec::new();
        for address in addresses.iter().filter(|address| may_be_dialled(address)) {
            let most = if planted::is(Planted::ClientDialsFirstOnly) { 1 } else { DIALS };
            if dials.len() < most && !dials.contains(address) {
                self.outbox.dial_peer(*address);
                *self.peers.dialling.entry(*address).or_default() += 1;
                dials.push(*address);
            }
        }
        let patience = MEETING_PATIENCE * if planted::is(Planted::ClientGivesUpLate) { 4 } else { 1 };
        let until = self.now + patience;
        let meeting = Meeting { role, id, until, dials, nominated: None, asked: Vec::new() };
        self.peers.meetings.insert(user.to_owned(), meeting);
        self.admit_early(user);
    }

    /// The server has answered the command: its result is that of the meeting.
    pub(in super::super) fn on_introduced(&mut self, number: u64, command: AskedBy) {
        let user = command.user.clone().unwrap_or_default();
        if let Some(meeting) = self.peers.meetings.get_mut(&user) {
            meeting.asked.push((number, command));
        } else if self.peers.talks_with(&user) {
            self.meeting_result(number, command);
        } else {
            self.settled(number, command, Err(Code::Unreachable));
        }
        self.tell_answered();
    }

    fn meeting_result(&mut self, number: u64, command: AskedBy) {
        let user = command.user.clone().unwrap_or_default();
        let success = if command.verb == Verb::Server(CommandKind::StartPrivate) {
            Success::Private { user, path: Path::Direct }
        } else {
            Success::User { user }
        };
        self.settled(number, command, Ok(success));
    }

    /// The two have not connected in time, or one of them has given up.
    pub(super) fn abandon_meeting(&mut self, user: &str) {
        if let Some(meeting) = self.peers.meetings.remove(user) {
            self.drop_links_meeting(user);
            self.fail_meeting(meeting);
        }
    }

    pub(super) fn fail_meeting(&mut self, meeting: Meeting) {
        for (number, command) in meeting.asked {
            self.settled(number, command, Err(Code::Unreachable));
        }
    }

    fn drop_links_meeting(&mut self, user: &str) {
        let links = self.peers.links.iter().filter(|(_, link)| link.meets() == Some(user));
        let links: Vec<_> = links.map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.drop_link(link));
    }

    /// Closes a link that is not open.
    pub(super) fn drop_link(&mut self, link: LinkId) {
        if self.peers.links.remove(&link).is_some() {
            self.outbox.close_peer(link);
        }
    }

    pub(in super::super) fn on_peer_opened(&mut self, link: LinkId, opened: PeerOpened) {
        let until = self.now + HANDSHAKE_PATIENCE;
        let stage = match opened {
            PeerOpened::Dialled(address) => {
                self.end_dial(address);
                self.call(link, address).map(|user| Stage::Calling { user, until })
            }
            PeerOpened::Accepted(_) => {
                self.lets_strangers_in().then_some(Stage::Stranger { until, early: None })
            }
        };
        match stage {
            Some(stage) => {
                self.peers.links.insert(link, PeerLink { framer: Framer::default(), stage });
            }
            None => self.outbox.close_peer(link),
        }
    }

    /// Identifies this client on a new link; `None` if nobody is to be called there any more.
    fn call(&mut self, link: LinkId, address: SocketAddr) -> Option<String> {
        let from = self.session()?.user.clone();
        let (user, meeting) =
            self.peers.meetings.iter_mut().find(|(_, meeting)| meeting.dials.contains(&address))?;
        meeting.dials.retain(|dialled| *dialled != address);
        let call = PeerLine::Call { version: VERSION, id: meeting.id, from: from.as_str(), to: user };
        self.outbox.send_peer(link, &call);
        Some(user.clone())
    }

    /// Whether incoming links are expected at all. Callers speak immediately, so the one that has been silent
    /// longest makes room.
    fn lets_strangers_in(&mut self) -> bool {
        let expected = !self.peers.meetings.is_empty()
            || self
                .session()
                .is_some_and(|session| session.commands.iter().any(|asked| asked.command.is_private()));
        let strangers: Vec<_> =
            self.peers.links.iter().filter(|(_, link)| link.is_stranger()).map(|(link, _)| *link).collect();
        if expected
            && strangers.len() >= STRANGERS
            && let Some(longest) = strangers.first()
        {
            self.drop_link(*longest);
        }
        expected
    }

    /// A dial of an address has ended; returns whether it was the last one.
    fn end_dial(&mut self, address: SocketAddr) -> bool {
        let Some(left) = self.peers.dialling.get_mut(&address) else { return true };
        *left -= 1;
        let last = *left == 0;
        if last {
            self.peers.dialling.remove(&address);
        }
        last
    }

    /// A dial for an introduction that is over says nothing about a current one.
    pub(in super::super) fn on_peer_unreached(&mut self, address: SocketAddr) {
        if !self.end_dial(address) {
            return;
        }
        for meeting in self.peers.meetings.values_mut() {
            meeting.dials.retain(|dialled| *dialled != address);
        }
    }

    pub(in super::super) fn on_peer_closed(&mut self, link: LinkId) {
        let Some(PeerLink { stage, .. }) = self.peers.links.remove(&link) else { return };
        match stage {
            Stage::Standing { user } => self.lose_conversation(&user),
            Stage::Nominated { user } => self.nominate_another(&user),
            Stage::Stranger { .. } | Stage::Calling { .. } | Stage::Ready { .. } => {}
        }
    }

    /// Takes bytes in any chunking; after a line that closes the link the rest is dropped.
    pub(in super::super) fn receive_from_peer(&mut self, link: LinkId, bytes: &[u8]) {
        let limit = self.settings.line_bytes.saturating_add(PEER_LINE_ROOM);
        let Some(known) = self.peers.links.get_mut(&link) else { return };
        let mut framer = mem::take(&mut known.framer);
        let mut rest = bytes;
        while self.peers.links.contains_key(&link)
            && let Some(frame) = framer.next(&mut rest, limit)
        {
            let line = match frame {
                Frame::Line(line) => PeerLine::parse(line).ok(),
                Frame::TooLong { .. } => None,
            };
            match line {
                Some(line) => self.on_peer_line(link, &line),
                None => self.break_link(link),
            }
            self.proceed();
        }
        let overlong = framer.skipped() > 0;
        match self.peers.links.get_mut(&link) {
            Some(_) if overlong => self.break_link(link),
            Some(known) => known.framer = framer,
            None => {}
        }
    }

    fn on_peer_line(&mut self, link: LinkId, line: &PeerLine<'_>) {
        let Some(known) = self.peers.links.get(&link) else { return };
        match (&known.stage, line) {
            (Stage::Stranger { early: None, .. }, PeerLine::Call { version, id, from, to }) => {
                let ours = self.session().is_some_and(|session| session.user.as_str() == *to);
                let ours = ours || planted::is(Planted::ClientTakesAnyName);
                self.on_call(link, *id, from, *version == VERSION && ours);
            }
            (Stage::Calling { user, .. }, PeerLine::Ready) => {
                let user = user.clone();
                self.make_ready(link, user);
            }
            (Stage::Ready { user }, PeerLine::Nominate) if self.takes_nomination(user) => {
                let user = user.clone();
                self.outbox.send_peer(link, &PeerLine::Opened);
                self.stand(link, user);
            }
            (Stage::Nominated { user }, PeerLine::Opened) => {
                let user = user.clone();
                self.stand(link, user);
            }
            (Stage::Standing { user }, _) => {
                let user = user.clone();
                self.on_conversation_line(link, &user, line);
            }
            // No client that follows the protocol sends this here.
            (
                Stage::Stranger { .. }
                | Stage::Calling { .. }
                | Stage::Ready { .. }
                | Stage::Nominated { .. },
                _,
            ) => {
                self.break_link(link);
            }
        }
    }

    fn takes_nomination(&self, user: &str) -> bool {
        let role = self.peers.meetings.get(user).map(|meeting| meeting.role);
        role == Some(Role::Accepter) || role.is_some() && planted::is(Planted::RequesterTakesNomination)
    }

    /// A caller identifies itself. Only a client that the server has introduced knows the id; all others learn
    /// nothing.
    fn on_call(&mut self, link: LinkId, id: Token, from: &str, for_us: bool) {
        let any = planted::is(Planted::ClientTakesAnyId);
        let introduced = self.peers.meetings.get(from).map(|meeting| meeting.id == id || any);
        match introduced {
            Some(true) if for_us => self.admit(link, from),
            None if for_us && self.expects(from) => self.wait_for_introduction(link, id, from),
            Some(_) | None => self.drop_link(link),
        }
    }

    /// The other client was introduced first.
    fn wait_for_introduction(&mut self, link: LinkId, id: Token, from: &str) {
        if let Some(PeerLink { stage: Stage::Stranger { early, .. }, .. }) = self.peers.links.get_mut(&link) {
            *early = Some((id, from.to_owned()));
        }
    }

    /// Answers callers that came before their introduction.
    fn admit_early(&mut self, user: &str) {
        let Some(id) = self.peers.meetings.get(user).map(|meeting| meeting.id) else { return };
        let early = |link: &PeerLink| match &link.stage {
            Stage::Stranger { early: Some((token, from)), .. } if from == user => Some(*token == id),
            Stage::Stranger { .. }
            | Stage::Calling { .. }
            | Stage::Ready { .. }
            | Stage::Nominated { .. }
            | Stage::Standing { .. } => None,
        };
        let callers: Vec<_> =
            self.peers.links.iter().filter_map(|(link, known)| Some((*link, early(known)?))).collect();
        for (link, right) in callers {
            if right { self.admit(link, user) } else { self.drop_link(link) }
        }
    }

    /// The called side knows the introduction.
    fn admit(&mut self, link: LinkId, user: &str) {
        let ready = self.peers.links.values().filter(|link| link.is_ready_for(user)).count();
        if ready >= READY_LINKS {
            return self.drop_link(link);
        }
        self.outbox.send_peer(link, &PeerLine::Ready);
        self.make_ready(link, user.to_owned());
    }

    fn make_ready(&mut self, link: LinkId, user: String) {
        let all = planted::is(Planted::RequesterNominatesAll);
        let chooses =
            self.peers.meetings.get(&user).is_some_and(|meeting| {
                meeting.role == Role::Requester && (meeting.nominated.is_none() || all)
            });
        self.turn(link, Stage::Ready { user: user.clone() });
        if chooses {
            self.nominate(link, user);
        }
    }

    fn nominate(&mut self, link: LinkId, user: String) {
        if let Some(meeting) = self.peers.meetings.get_mut(&user) {
            meeting.nominated = Some(link);
            self.outbox.send_peer(link, &PeerLine::Nominate);
            self.turn(link, Stage::Nominated { user });
        }
    }

    /// The chosen link broke before the other side had agreed to it.
    fn nominate_another(&mut self, user: &str) {
        if let Some(meeting) = self.peers.meetings.get_mut(user) {
            meeting.nominated = None;
            let mut ready = self.peers.links.iter().filter(|(_, link)| link.is_ready_for(user));
            if let Some(link) = ready.next().map(|(link, _)| *link) {
                self.nominate(link, user.to_owned());
            }
        }
    }

    fn turn(&mut self, link: LinkId, stage: Stage) {
        if let Some(known) = self.peers.links.get_mut(&link) {
            known.stage = stage;
        }
    }

    /// The link is open: the introduction is used up, all its other links are closed.
    fn stand(&mut self, link: LinkId, user: String) {
        if planted::is(Planted::ClientOpensTwice) {
            self.turn(link, Stage::Standing { user: user.clone() });
            return self.begin_conversation(link, user);
        }
        let meeting = self.peers.meetings.remove(&user);
        self.turn(link, Stage::Standing { user: user.clone() });
        self.drop_links_meeting(&user);
        self.begin_conversation(link, user.clone());
        let mut asked = meeting.map(|meeting| meeting.asked).unwrap_or_default();
        if asked.is_empty() {
            asked.extend(self.unanswered(&user));
        }
        for (number, command) in asked {
            self.meeting_result(number, command);
        }
    }

    /// The command that requested the link and has no answer, because the server was lost after its
    /// introduction. It is not repeated: the server would ask the other user again.
    fn unanswered(&mut self, user: &str) -> Option<(u64, AskedBy)> {
        self.session()?.commands.settle_private(user)
    }

    /// Closes a link whose other side violates the protocol.
    pub(super) fn break_link(&mut self, link: LinkId) {
        if self.peers.links.contains_key(&link) {
            self.outbox.close_peer(link);
        }
        self.on_peer_closed(link);
    }
}
