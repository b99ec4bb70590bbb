//! How two clients that were introduced connect to each other.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;
use core::time::Duration;

use super::super::Phase;
use super::super::effect::Introduction;
use super::super::event::PeerOpened;
use super::super::outstanding::AskedBy;
use super::super::verb::Verb;
use super::super::view::{Path, Success};
use super::ClientState;
use super::dials;
use super::link::{Origin, PeerLink, Stage};
use super::opening::Doubt;
use super::proof::Call;
use super::rejoining::Purpose;
use super::relays::{self, Wish};
use crate::client::settings::Way;
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{Code, CommandKind, Framer, PeerLine, Role};
use crate::words::{DeviceKey, LinkId, Token};

/// How long two clients try to reach each other; an introduction lives three times as long at the server.
pub(super) const MEETING_PATIENCE: Duration = Duration::from_secs(10);

/// How long a called client may take to answer.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Links of one introduction whose caller has proved that it knows the id.
const READY_LINKS: usize = 16;

/// What an introduction leaves to the conversation that began with it: by this the two know each other again.
#[derive(Clone, Copy)]
pub(super) struct Met {
    pub(super) id: Token,
    pub(super) role: Role,
    pub(super) key: DeviceKey,
    /// Calls of this client.
    pub(super) calls: u128,
    /// The last nonce of the other's calls.
    pub(super) last_nonce: Option<Token>,
}

/// An introduction under way.
pub(super) struct Meeting {
    pub(super) role: Role,
    pub(super) id: Token,
    /// The key that the other has to prove.
    pub(super) key: DeviceKey,
    /// How long the two call each other.
    pub(super) until: Time,
    /// Calls of this client, each with another nonce.
    pub(super) calls: u128,
    /// The nonces of the other's calls: one that is said again is not the other's.
    pub(super) nonces: Vec<Token>,
    /// Only later nonces than this one are taken.
    pub(super) last_nonce: Option<Token>,
    /// The addresses of the other.
    pub(super) ways: Vec<dials::Way>,
    /// How the link is to run, and whether the server relays it.
    pub(super) way: Way,
    pub(super) relay: Wish,
    /// The conversation that moves to the link that is made, by the introduction that it began with; `None`: one begins.
    pub(super) moves: Option<Token>,
    /// The link that the requester has chosen, and whether the other side may have opened one before.
    pub(super) nominated: Option<LinkId>,
    pub(super) doubt: Option<Doubt>,
    /// The answered commands whose result this decides: one, if the server follows the protocol.
    pub(super) asked: Vec<(u64, AskedBy)>,
}

impl Meeting {
    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn ways(&self) -> &[dials::Way] {
        &self.ways
    }

    pub(super) fn ways_mut(&mut self) -> &mut [dials::Way] {
        &mut self.ways
    }

    /// What the other has to prove if it calls.
    fn expected_call<'a>(&self, user: &'a str, own: &'a str) -> Call<'a> {
        Call { id: self.id, role: self.role.other(), from: user, to: own }
    }

    /// Whether a caller knows the introduction; each nonce is good once.
    pub(super) fn is_called(&mut self, user: &str, own: &str, nonce: Token, proof: Token) -> bool {
        let expected = self.expected_call(user, own);
        let swapped = Call { from: own, to: user, ..expected };
        let is_proved = expected.is_proved(nonce, proof)
            || planted::is(Planted::ClientTakesAnyId)
            || planted::is(Planted::ClientTakesAnyName) && swapped.is_proved(nonce, proof);
        let is_old = self.last_nonce.is_some_and(|last| nonce <= last)
            && !planted::is(Planted::RejoinTakesOldNonce)
            || self.nonces.contains(&nonce);
        let is_said_again = is_old && !planted::is(Planted::ClientTakesNonceTwice);
        if !is_proved || is_said_again || self.nonces.len() >= READY_LINKS {
            return false;
        }
        self.nonces.push(nonce);
        true
    }

    /// By what the two know each other again.
    pub(super) fn met(&self) -> Met {
        let last_nonce = self.nonces.iter().copied().chain(self.last_nonce).max();
        Met { id: self.id, role: self.role, key: self.key, calls: self.calls, last_nonce }
    }

    /// What both sides know, given the name of this client's user.
    fn introduction(&self, user: &str, own: &str) -> Introduction {
        let (requester, accepter) = match self.role {
            Role::Requester => (own, user),
            Role::Accepter => (user, own),
        };
        Introduction { id: self.id, requester: requester.to_owned(), accepter: accepter.to_owned() }
    }

    pub(super) fn awaits_result(&self) -> bool {
        self.asked.iter().any(|(_, command)| command.line.is_some())
    }
}

impl ClientState {
    /// The server introduces a user with whom this client has requested or accepted a link. It cannot make this
    /// client call anybody else.
    pub(in super::super) fn on_introduction(
        &mut self,
        user: &str,
        role: Role,
        id: Token,
        key: Option<DeviceKey>,
        addresses: &[SocketAddr],
    ) {
        // Once for each command, so that the server cannot make the client dial many addresses with many
        // introductions.
        let is_asked = self.session().is_some_and(|session| session.commands.introduce(user));
        if !is_asked && !planted::is(Planted::ClientTakesUnasked) {
            return;
        }
        self.abandon_meetings_that_are_over();
        let moves = match self.purpose(user, key) {
            Purpose::Begins => None,
            Purpose::Moves(id) => Some(id),
            Purpose::Over => return,
        };
        self.forget_request(user);
        self.abandon_meeting(user);
        let Ok(key) = self.peers.keys.judge(user, key) else { return };
        if moves.is_none() && self.peers.is_lost(user) {
            // The other does not look for that conversation.
            self.lose_conversation(user);
        }
        let patience = MEETING_PATIENCE * if planted::is(Planted::ClientGivesUpLate) { 4 } else { 1 };
        let until = self.now + patience;
        let way = self.way_to(user);
        let has_relays = self.has_relays();
        if way == Way::Relay && !has_relays {
            return;
        }
        let ways = if way == Way::Relay { Vec::new() } else { dials::ways(addresses) };
        let relay = if has_relays && moves.is_none() {
            Meeting::first_wish(way, ways.len(), self.now)
        } else {
            Wish::No
        };
        let (nonces, last_nonce, asked, nominated) = (Vec::new(), None, Vec::new(), None);
        let meeting = Meeting {
            role,
            id,
            key,
            until,
            calls: 0,
            nonces,
            last_nonce,
            ways,
            way,
            relay,
            moves,
            nominated,
            doubt: None,
            asked,
        };
        self.peers.meetings.insert(user.to_owned(), meeting);
        self.dial_when_due();
        self.admit_early(user);
        self.open_relays_when_due();
    }

    /// The server has answered the command: its result is that of the meeting.
    pub(in super::super) fn on_introduced(&mut self, number: u64, command: AskedBy) {
        let user = command.user.clone().unwrap_or_default();
        let begins = |meeting: &&mut Meeting| meeting.moves.is_none();
        if let Some(meeting) = self.peers.meetings.get_mut(&user).filter(begins) {
            meeting.asked.push((number, command));
        } else if self.peers.talks_with(&user) {
            self.meeting_result(number, command);
        } else {
            self.settled(number, command, Err(self.peers.keys.refusal(&user)));
        }
        self.tell_answered();
    }

    fn meeting_result(&mut self, number: u64, command: AskedBy) {
        let user = command.user.clone().unwrap_or_default();
        let success = if command.verb == Verb::Server(CommandKind::StartPrivate) {
            let path = self.peers.path_of(&user).unwrap_or(Path::Direct);
            Success::Private { user, path }
        } else {
            Success::User { user }
        };
        self.settled(number, command, Ok(success));
    }

    /// The two have not connected in time, or one of them has given up.
    pub(super) fn abandon_meeting(&mut self, user: &str) {
        if let Some(meeting) = self.end_meeting(user) {
            self.drop_links_meeting(user);
            self.fail_meeting(meeting);
            self.lose_conversation_without_link(user);
        }
    }

    pub(super) fn fail_meeting(&mut self, meeting: Meeting) {
        for (number, command) in meeting.asked {
            self.settled(number, command, Err(Code::Unreachable));
        }
    }

    pub(super) fn drop_links_meeting(&mut self, user: &str) {
        let links = self.peers.links.iter().filter(|(_, link)| link.meets() == Some(user));
        let links: Vec<_> = links.map(|(link, _)| *link).collect();
        links.into_iter().for_each(|link| self.drop_link(link));
    }

    /// Closes a link that is not open. A stranger is reset: closing takes time, and they may be many.
    pub(super) fn drop_link(&mut self, link: LinkId) {
        let Some(known) = self.peers.links.remove(&link) else { return };
        if known.stranger().is_some() {
            self.outbox.reset_peer(link)
        } else {
            self.outbox.close_peer(link)
        }
        if let Some(user) = known.meets() {
            if relays::is_relayed(link) {
                self.ask_for_relay_again(user);
                self.relay_was_in_vain(user);
            }
            self.lose_conversation_without_link(user);
        }
    }

    pub(in super::super) fn on_peer_opened(&mut self, link: LinkId, opened: PeerOpened) {
        self.abandon_meetings_that_are_over();
        match opened {
            PeerOpened::Dialled(address) => match self.end_dial_of_meeting(address) {
                Some(user) => self.call(link, &user, Origin::Dialled(address)),
                None => self.outbox.close_peer(link),
            },
            PeerOpened::Punched(address) => self.on_punched(link, address),
            PeerOpened::Accepted(from) => self.on_caller(link, from),
        }
    }

    /// Identifies this client on a new link, unless nobody is to be called there any more.
    pub(super) fn call(&mut self, link: LinkId, user: &str, origin: Origin) {
        let until = self.now + ANSWER_PATIENCE;
        let Phase::Session(session) = &self.phase else { return self.outbox.close_peer(link) };
        let Some(meeting) = self.peers.meetings.get_mut(user) else { return self.outbox.close_peer(link) };
        let own = session.user.as_str();
        meeting.calls += 1;
        let nonce = Token(meeting.calls.to_be_bytes());
        let proof = Call { id: meeting.id, role: meeting.role, from: own, to: user }.proof(nonce);
        self.outbox.send_peer(link, &PeerLine::Call { nonce, proof });
        self.outbox.secure_peer(link, true, meeting.introduction(user, own));
        self.add_link(link, Stage::Securing { user: user.to_owned(), origin, until });
    }

    /// A caller has proved that it knows the introduction.
    pub(super) fn secure(&mut self, link: LinkId, user: &str) {
        let until = self.now + ANSWER_PATIENCE;
        let Phase::Session(session) = &self.phase else { return self.drop_link(link) };
        let Some(meeting) = self.peers.meetings.get(user) else { return self.drop_link(link) };
        self.outbox.secure_peer(link, false, meeting.introduction(user, session.user.as_str()));
        self.turn(link, Stage::Securing { user: user.to_owned(), origin: Origin::Caller, until });
    }

    /// The link is encrypted, and the other side has proved a key: it has to be the one that the server has told.
    pub(in super::super) fn on_peer_proved(&mut self, link: LinkId, key: DeviceKey, can_move: bool) {
        self.abandon_meetings_that_are_over();
        let Some(Stage::Securing { user, origin, until }) =
            self.peers.links.get(&link).map(|link| &link.stage)
        else {
            return;
        };
        let (user, origin, until) = (user.clone(), *origin, *until);
        self.peers.links.entry(link).and_modify(|known| known.can_move = can_move);
        let expected = self.peers.meetings.get(&user).map(|meeting| meeting.key);
        let is_unchecked = planted::is(Planted::ClientTakesAnyKey)
            || planted::is(Planted::KeyUncheckedOnRelay) && relays::is_relayed(link)
            || planted::is(Planted::KeyUncheckedOnMove) && self.peers.talks_with(&user);
        if expected != Some(key) && !is_unchecked {
            return self.drop_link(link);
        }
        match origin {
            Origin::Dialled(_) | Origin::Relay => self.turn(link, Stage::Calling { user, origin, until }),
            Origin::Caller => self.admit(link, user),
        }
    }

    pub(super) fn add_link(&mut self, link: LinkId, stage: Stage) {
        self.peers.links.insert(link, PeerLink { framer: Framer::default(), stage, can_move: false });
    }

    pub(in super::super) fn on_peer_closed(&mut self, link: LinkId) {
        let Some(PeerLink { stage, can_move, .. }) = self.peers.links.remove(&link) else { return };
        match stage {
            Stage::Standing { user } => self.lose_link(&user),
            Stage::Continuing { user, .. } => self.stay(&user),
            Stage::Nominated { user } => self.lose_nominated(link, &user, can_move),
            Stage::Securing { user, .. }
            | Stage::Calling { user, .. }
            | Stage::Relayed { user, .. }
            | Stage::Ready { user } => {
                self.note_unmade(link, &user);
                self.lose_conversation_without_link(&user);
            }
            Stage::Stranger { .. } | Stage::Punched { .. } => {}
        }
    }

    /// A link that was being made is closed.
    pub(super) fn note_unmade(&mut self, link: LinkId, user: &str) {
        if relays::is_relayed(link) {
            self.relay_failed(user);
            self.relay_was_in_vain(user);
        }
    }

    /// The caller is the one who was introduced.
    fn admit(&mut self, link: LinkId, user: String) {
        self.outbox.send_peer(link, &PeerLine::Ready);
        self.make_ready(link, user);
    }

    pub(super) fn make_ready(&mut self, link: LinkId, user: String) {
        let all = planted::is(Planted::RequesterNominatesAll);
        let Some(meeting) = self.peers.meetings.get(&user) else { return self.drop_link(link) };
        let requests = meeting.role == Role::Requester;
        let chooses = meeting.moves.is_none() && requests && (meeting.nominated.is_none() || all);
        self.turn(link, Stage::Ready { user: user.clone() });
        if chooses {
            self.nominate(link, user);
        } else {
            self.move_when_possible(&user);
        }
    }

    pub(super) fn turn(&mut self, link: LinkId, stage: Stage) {
        if let Some(known) = self.peers.links.get_mut(&link) {
            known.stage = stage;
        }
    }

    /// The link is open: the introduction is used up, and all its other links are closed, unless the conversation may
    /// move to one of them.
    pub(super) fn stand(&mut self, link: LinkId, user: String) {
        if planted::is(Planted::ClientOpensTwice) {
            self.turn(link, Stage::Standing { user: user.clone() });
            let Some(met) = self.peers.meetings.get(&user).map(Meeting::met) else { return };
            return self.begin_conversation(link, met, user);
        }
        let Some(mut meeting) = self.peers.meetings.remove(&user) else { return self.drop_link(link) };
        self.turn(link, Stage::Standing { user: user.clone() });
        let mut asked = mem::take(&mut meeting.asked);
        self.begin_conversation(link, meeting.met(), user.clone());
        self.go_on_meeting(link, &user, meeting);
        if asked.is_empty() {
            asked.extend(self.unanswered(&user));
        }
        for (number, command) in asked {
            self.meeting_result(number, command);
        }
        self.move_when_possible(&user);
    }

    /// The command that requested the link and has no answer, because the server was lost after its
    /// introduction. It is not repeated: the server would ask the other user again.
    fn unanswered(&mut self, user: &str) -> Option<(u64, AskedBy)> {
        self.session()?.commands.settle_private(user)
    }
}
