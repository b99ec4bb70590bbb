//! A session: how it begins, and the lines of the server in it.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::activity::Activity;
use super::connection::SERVER_LINE_BYTES;
use super::delivery::Arrival;
use super::effect::Exit;
use super::event::{Mark, Recall};
use super::groups::Groups;
use super::outstanding::{LISTS_BYTES, Outstanding, Parts};
use super::settings::Settings;
use super::standing::{Leaving, Lost, Opening, Standing};
use super::view::{Message, MessageKind, Notice, View};
use super::{ClientState, Phase};
use crate::time::Time;
use crate::wire::{Admission, ClientLine, Delivery, Farewell, Frame, Framer, Freshness, ServerLine, Words};
use crate::words::{LoginNumber, Name, Token};

/// Bytes from the server that are kept while the state folder is being opened.
const HELD_BYTES: usize = 1 << 20;

/// A session, from `welcome` to `bye`.
pub(super) struct Session {
    pub(super) user: Name,
    pub(super) login: LoginNumber,
    /// Resumes the session on another connection.
    pub(super) token: Option<Token>,
    pub(super) standing: Standing,
    pub(super) commands: Outstanding,
    pub(super) activity: Activity,
    pub(super) leaving: Option<Leaving>,
    /// `members` lines whose `changed` has not arrived yet.
    roster: Parts,
    pub(super) groups: Groups,
}

impl Session {
    pub(super) fn is_online(&self) -> bool {
        match self.standing {
            Standing::Online => true,
            Standing::Opening(_) | Standing::Lost(_) => false,
        }
    }

    pub(super) fn lost(&mut self) -> Option<&mut Lost> {
        match &mut self.standing {
            Standing::Lost(lost) => Some(lost),
            Standing::Opening(_) | Standing::Online => None,
        }
    }

    /// Whether reconnecting was given up, so that commands for the server fail.
    pub(super) fn is_cut_off(&self) -> bool {
        match &self.standing {
            Standing::Lost(lost) => lost.is_given_up(),
            Standing::Opening(_) | Standing::Online => false,
        }
    }

    /// Whether the connection is lost and being made again.
    pub(super) fn is_waiting(&self) -> bool {
        match &self.standing {
            Standing::Lost(lost) => !lost.is_given_up(),
            Standing::Opening(_) | Standing::Online => false,
        }
    }

    /// The next timeout.
    pub(super) fn due(&self, settings: &Settings) -> Option<Time> {
        let leaving = self.leaving.and_then(Leaving::due);
        match &self.standing {
            Standing::Opening(_) => None,
            Standing::Online => earlier(self.activity.due(), leaving),
            Standing::Lost(lost) => {
                let leaves = lost.is_given_up() || settings.outlasts_server();
                earlier(lost.due(settings.patience_secs()), leaving.filter(|_| leaves))
            }
        }
    }

    /// Bytes that further parts of lists may take.
    pub(super) fn room_for_lists(&self) -> usize {
        LISTS_BYTES.saturating_sub(self.commands.gathered() + self.roster.bytes())
    }

    /// Drops incomplete lists: they will arrive again as a whole.
    pub(super) fn forget_parts(&mut self) {
        self.roster = Parts::default();
        self.commands.forget_parts();
    }

    /// Whether an open command requests a private link with this user.
    pub(super) fn asks_for_private(&self, user: &str) -> bool {
        self.commands.iter().any(|asked| asked.command.asks_for_private(user))
    }

    /// Whether typed lines are taken as commands.
    pub(super) fn takes_commands(&self) -> bool {
        let open = !matches!(self.standing, Standing::Opening(_));
        open && self.leaving.is_none()
    }
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    [one, other].into_iter().flatten().min()
}

impl ClientState {
    pub(super) fn session(&mut self) -> Option<&mut Session> {
        match &mut self.phase {
            Phase::Session(session) => Some(session),
            Phase::Entry(_) | Phase::Over => None,
        }
    }

    fn opening(&mut self) -> Option<&mut Opening> {
        match &mut self.session()?.standing {
            Standing::Opening(opening) => Some(opening),
            Standing::Online | Standing::Lost(_) => None,
        }
    }

    /// Begins a session. Nothing is shown before the state folder has told what was shown already.
    pub(super) fn begin_session(&mut self, user: Name, admission: &Admission<'_>) {
        if let Some(session) = self.take_held() {
            return self.continue_session(session, admission);
        }
        self.settings.invite = None;
        self.forget_addresses();
        self.begin_attention();
        self.outbox.open_state(user.as_str());
        let opening = Opening { unread: admission.unread, held: Vec::new(), lost: false };
        self.phase = Phase::Session(Box::new(Session {
            user,
            login: admission.login,
            token: admission.token,
            standing: Standing::Opening(opening),
            commands: Outstanding::default(),
            activity: Activity::default(),
            leaving: None,
            roster: Parts::default(),
            groups: Groups::default(),
        }));
    }

    /// Keeps bytes from the server while the state folder is being opened; false if it is not.
    pub(super) fn hold(&mut self, bytes: &[u8]) -> bool {
        let Some(opening) = self.opening() else { return false };
        if opening.held.len().saturating_add(bytes.len()) <= HELD_BYTES {
            opening.held.extend_from_slice(bytes);
        } else {
            // What does not fit arrives again after the session is resumed.
            opening.lost = true;
            self.hang_up();
        }
        true
    }

    /// Notes that the connection was lost while the state folder is being opened; false if it is not.
    pub(super) fn lose_link_early(&mut self) -> bool {
        self.opening().map(|opening| opening.lost = true).is_some()
    }

    pub(super) fn on_state_opened(&mut self, mut recall: Recall) {
        let Some(session) = self.session() else { return };
        let Standing::Opening(opening) = &mut session.standing else { return };
        let (held, lost) = (core::mem::take(&mut opening.held), opening.lost);
        let view = View::LoggedIn { user: session.user.to_string(), unread: opening.unread };
        session.standing = Standing::Online;
        self.outbox.show(view);
        self.show_before(core::mem::take(&mut recall.logged));
        if recall.unsettled > 0 {
            self.outbox.show(View::Notice(Notice::Unsettled { count: recall.unsettled }));
        }
        self.peers.recall_keys(core::mem::take(&mut recall.keys));
        self.delivery.begin(recall);
        match farewell(&held).filter(|_| lost) {
            // The server has ended the session.
            Some(farewell) => self.on_bye(farewell),
            // What matters arrives again once the session is resumed.
            None if lost => self.on_link_lost(),
            None => self.receive(&held),
        }
    }

    /// The state folder is not available: without it messages would be shown twice.
    pub(super) fn on_state_refused(&mut self) {
        if self.opening().is_some() {
            self.abandon(Exit::Failed);
        }
    }

    pub(super) fn on_session_line(&mut self, line: &ServerLine<'_>) {
        match line {
            ServerLine::Message(delivery) => self.on_message(delivery, None),
            ServerLine::GroupMessage { group, delivery } => self.on_message(delivery, Some(group)),
            ServerLine::Broadcast(delivery) => self.on_broadcast(delivery),
            ServerLine::Done { number: Some(number), answer } => self.on_answer(*number, *answer),
            ServerLine::Failed { number, code, .. } => self.on_failure(*number, *code),
            ServerLine::Users { number: Some(number), users } => {
                self.on_part(*number, |parts, room| parts.add_users(*users, room));
            }
            ServerLine::Away { number: Some(number), user, text } => {
                self.on_part(*number, |parts, room| parts.add_away(user, text.as_str(), room));
            }
            ServerLine::Order { number: Some(number), remark } => {
                self.on_part(*number, |parts, room| parts.add_line(remark.as_str(), room));
            }
            ServerLine::Members { number: Some(number), group, members } => {
                self.on_part(*number, |parts, room| parts.add_members(group, *members, room));
            }
            ServerLine::Members { number: None, group, members } => self.on_roster(group, *members),
            ServerLine::Changed { group, by } => self.on_changed(group, by),
            ServerLine::Online { user } => self.on_presence(user, true),
            ServerLine::Offline { user } => self.on_presence(user, false),
            ServerLine::Request { from } => self.on_private_request(from),
            ServerLine::Withdrawn { from } => self.on_withdrawn(from),
            ServerLine::EndPrivate { user } => self.end_private(user),
            ServerLine::Introduce { user, role, id, key, addresses } => {
                self.on_introduction(user, *role, *id, *key, addresses);
            }
            ServerLine::Notice(crate::wire::Notice::FailedLogins { count }) => {
                self.outbox.show(View::Notice(Notice::FailedLogins { count: *count }));
            }
            ServerLine::Notice(crate::wire::Notice::Expired { count }) => {
                self.outbox.show(View::Notice(Notice::Expired { count: *count }));
            }
            ServerLine::Notice(crate::wire::Notice::Missed { count }) => {
                self.outbox.show(View::Notice(Notice::Missed { count: *count }));
            }
            ServerLine::Notice(crate::wire::Notice::Idle { seconds }) => {
                self.outbox.show(View::Notice(Notice::Idle { seconds: *seconds }));
            }
            ServerLine::Notice(crate::wire::Notice::Operator { text }) => {
                self.outbox.show(View::Announcement { text: text.as_str().to_owned() });
            }
            ServerLine::Device { cookie } => self.outbox.keep_cookie(*cookie),
            ServerLine::Alive => self.outbox.send(&ClientLine::Alive),
            ServerLine::Relay(line) => self.on_relay_line(*line),
            ServerLine::Bye(farewell) => self.on_bye(*farewell),
            // Answers to nothing that was asked.
            ServerLine::Done { number: None, .. } => self.on_unnumbered_answer(),
            ServerLine::Users { number: None, .. }
            | ServerLine::Away { number: None, .. }
            | ServerLine::Order { number: None, .. }
            | ServerLine::Help(_)
            | ServerLine::Greeting { .. }
            | ServerLine::Ask(_)
            | ServerLine::Invited { .. }
            | ServerLine::Welcome(_)
            | ServerLine::Resumed(_)
            | ServerLine::Refused(_) => {}
        }
    }

    /// A direct or group message: shown unless it was shown before.
    fn on_message(&mut self, delivery: &Delivery<'_>, group: Option<&str>) {
        let Some(mark) = mark(delivery) else { return };
        match self.delivery.arrive(&mark) {
            Arrival::New { sequence, again } => {
                let kind = if group.is_some() { MessageKind::Group } else { MessageKind::Direct };
                let id = delivery.id.to_string();
                let message =
                    Message { group: group.map(ToOwned::to_owned), again, ..message(delivery, kind, id) };
                self.note_sender(kind, delivery.from, group);
                self.log_message(&message);
                let message = self.noticed(message);
                self.outbox.deliver(sequence, Some(mark), View::Message(message));
            }
            Arrival::Known => self.delivery.gather(self.now),
            Arrival::TooMany => {
                self.hang_up();
                self.on_link_lost();
            }
        }
        self.acknowledge_when_due();
    }

    fn on_broadcast(&mut self, delivery: &Delivery<'_>) {
        let Some(mark) = mark(delivery) else { return };
        if self.delivery.arrive_broadcast(&mark) {
            let view = message(delivery, MessageKind::Broadcast, format!("b{}", delivery.id));
            self.note_sender(MessageKind::Broadcast, delivery.from, None);
            self.log_message(&view);
            let view = self.noticed(view);
            self.outbox.show(View::Message(view));
        }
    }

    fn on_presence(&mut self, user: &str, online: bool) {
        if online {
            self.peers.welcome_back(user);
        }
        self.outbox.show(View::Presence { user: user.to_owned(), online });
    }

    /// A part of a group's members; `changed` follows the last.
    fn on_roster(&mut self, group: &str, members: Words<'_>) {
        let Some(session) = self.session() else { return };
        if session.roster.groups.last().is_some_and(|(last, _)| last != group) {
            session.roster = Parts::default();
        }
        let room = session.room_for_lists();
        if !session.roster.add_members(group, members, room) {
            self.refuse_excess();
        }
    }

    /// The server says more than this client keeps. What it said is dropped, and so is the connection.
    pub(super) fn refuse_excess(&mut self) {
        self.outbox.show(View::Notice(Notice::Excess));
        self.hang_up();
        self.on_link_lost();
    }

    fn on_changed(&mut self, group: &str, by: &str) {
        let Some(session) = self.session() else { return };
        let members = core::mem::take(&mut session.roster).members_of(group);
        let change = session.groups.change(session.user.as_str(), group, by, &members);
        self.outbox.show(View::Group { group: group.to_owned(), by: by.to_owned(), members, change });
    }
}

/// The reason of a `bye` among these lines.
fn farewell(mut bytes: &[u8]) -> Option<Farewell> {
    let mut framer = Framer::default();
    while let Some(frame) = framer.next(&mut bytes, SERVER_LINE_BYTES) {
        if let Frame::Line(line) = frame
            && let Ok(ServerLine::Bye(farewell)) = ServerLine::parse(line)
        {
            return Some(farewell);
        }
    }
    None
}

/// The mark of a message; `None` if its sender is no valid name.
fn mark(delivery: &Delivery<'_>) -> Option<Mark> {
    let from = Name::new(delivery.from).ok()?;
    Some(Mark { from, id: delivery.id, origin: delivery.origin })
}

fn message(delivery: &Delivery<'_>, kind: MessageKind, id: String) -> Message {
    Message {
        kind,
        group: None,
        from: delivery.from.to_owned(),
        text: delivery.text.as_str().to_owned(),
        sent_at: delivery.sent_at,
        stored: delivery.freshness == Freshness::Stored,
        again: false,
        mentions: Vec::new(),
        rings: false,
        id,
    }
}
