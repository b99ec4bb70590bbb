//! Plays server, terminal, state folder, other clients and clock to one client, and reads what it does.
//!
//! Effects read like stage directions: `send whoelse`, `show prompt username`, `hang up`. Timeouts
//! are kept by the script, which lets time pass and ticks when the client has asked for it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use blake2::{Blake2s256, Digest as _};

use crate::client::view::{Failure, LoginRefused, Message, MessageKind, Path, ServerKey, Success, View};
use crate::client::{ClientState, Effect, Event, Exit, Logged, Mark, PeerOpened, Recall, Settings, Signal};
use crate::time::Time;
use crate::words::{DeviceKey, LinkId, LoginNumber, Name, Origin, Token};

/// The token of a resumable session.
pub(super) const TOKEN: &str = "000102030405060708090a0b0c0d0e0f";

/// A client and what it has done since it was last asked.
pub(super) struct Script {
    /// Whether dials from the listening port are shown: they come with most others.
    punches: bool,
    client: ClientState,
    now: Time,
    line: u64,
    due: Option<Time>,
    delivered: u64,
    done: Vec<String>,
    /// What others prove to have on private links; nothing: they never do.
    pub(super) proves: Option<DeviceKey>,
    /// Whether they can move a conversation to another link.
    pub(super) others_can_move: bool,
    /// Whether this client asked for the link, by the ids of introductions.
    asked: BTreeMap<String, bool>,
    /// The nonces of this client's calls, by the ids of introductions.
    nonces: BTreeSet<(String, Token)>,
    /// Numbers the calls of others.
    calls: u8,
}

/// The key of this device, which is left out of what the client does, and that of all others.
pub(super) const OWN_KEY: DeviceKey = DeviceKey([0x0a; 32]);
pub(super) const KEY: DeviceKey = DeviceKey([0x0b; 32]);

impl Script {
    pub(super) fn new(settings: Settings) -> Script {
        let now = Time(1_000_000_000);
        Script {
            punches: false,
            client: ClientState::new(settings, 1),
            now,
            line: 0,
            due: None,
            delivered: 0,
            done: Vec::new(),
            proves: Some(KEY),
            others_can_move: true,
            asked: BTreeMap::new(),
            nonces: BTreeSet::new(),
            calls: 0,
        }
    }

    /// A client that has started and was greeted.
    pub(super) fn greeted(settings: Settings) -> Script {
        let mut script = Script::new(settings);
        script.happens(Event::Started);
        script.happens(Event::Connected);
        script.server("hobnob 1 ack resume");
        script
    }

    /// Hans, logged in, with nothing to remember.
    pub(super) fn session() -> Script {
        Script::session_with(Settings::default())
    }

    pub(super) fn session_with(settings: Settings) -> Script {
        let user = Some("hans".into());
        let password = Some(crate::words::Password::new("falcon"));
        let device_key = Some(OWN_KEY);
        let mut script = Script::greeted(Settings { user, password, device_key, ..settings });
        script.server("ask password");
        script.server(&format!("welcome hans unread 0 login 7 token {TOKEN}"));
        script.happens(Event::StateOpened(Recall::default()));
        script.done.clear();
        script
    }

    pub(super) fn happens(&mut self, event: Event<'_>) -> &mut Script {
        let mut secured = Vec::new();
        for effect in self.client.handle(event, self.now) {
            if let Effect::SecurePeer { link, dialled, introduction } = effect {
                let asked = self.asked.get(&introduction.id.to_string()).copied();
                let asks = introduction.requester == "hans";
                assert!(asked == Some(asks) && (asks || introduction.accepter == "hans"), "{dialled}");
                secured.push(link);
            }
            if self.punches || !matches!(effect, Effect::PunchPeer { .. }) {
                self.done.extend(read(effect, &mut self.due, &mut self.delivered));
            }
        }
        for done in &mut self.done {
            if let Some(call) = name_call(done, &self.asked) {
                assert!(self.nonces.insert(call), "each call has a nonce of its own: {done}");
            }
        }
        for link in secured {
            if let Some(key) = self.proves {
                let can_move = self.others_can_move;
                self.happens(Event::PeerProved { link, key, can_move });
            }
        }
        self
    }

    /// Shows dials from the listening port, too.
    pub(super) fn with_punches(&mut self) -> &mut Script {
        self.punches = true;
        self
    }

    /// The server says these lines.
    pub(super) fn server(&mut self, lines: &str) -> &mut Script {
        for line in lines.lines() {
            let line = self.with_key(line.trim_start());
            self.happens(Event::Received { bytes: format!("{line}\n").as_bytes() });
        }
        self
    }

    /// An introduction names the other's key, unless it says so.
    fn with_key(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let ["introduce", user, role, id, addresses @ ..] = words.as_slice() else { return line.into() };
        self.asked.insert((*id).into(), *role == "requester");
        match addresses {
            ["nokey", addresses @ ..] => format!("introduce {user} {role} {id} {}", addresses.join(" ")),
            [key, ..] if key.starts_with("ed25519:") => line.into(),
            addresses => format!("introduce {user} {role} {id} {KEY} {}", addresses.join(" ")),
        }
        .trim_end()
        .into()
    }

    /// `call ID FROM TO` is said as a call is.
    fn with_proof(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let ["call", id, from, to] = words.as_slice() else { return line.into() };
        self.calls += 1;
        // A caller who comes before the introduction calls one who has asked.
        let asks = self.asked.get(*id) == Some(&false);
        said_call(id, Token([self.calls; 16]), asks, from, to)
    }

    /// Another client says these lines on a link.
    pub(super) fn peer(&mut self, link: u64, lines: &str) -> &mut Script {
        for line in lines.lines() {
            let bytes = format!("{}\n", self.with_proof(line.trim_start()));
            self.happens(Event::PeerReceived { link: LinkId(link), bytes: bytes.as_bytes() });
        }
        self
    }

    pub(super) fn peer_dialled(&mut self, link: u64, address: &str) -> &mut Script {
        let opened = PeerOpened::Dialled(address.parse().unwrap());
        self.happens(Event::PeerOpened { link: LinkId(link), opened })
    }

    /// Somebody connects from an address that no introduction names.
    pub(super) fn peer_came(&mut self, link: u64) -> &mut Script {
        self.peer_came_from(link, "192.0.2.9")
    }

    pub(super) fn peer_came_from(&mut self, link: u64, ip: &str) -> &mut Script {
        let opened = PeerOpened::Accepted(SocketAddr::new(ip.parse().unwrap(), 40_000));
        self.happens(Event::PeerOpened { link: LinkId(link), opened })
    }

    pub(super) fn peer_gone(&mut self, link: u64) -> &mut Script {
        self.happens(Event::PeerClosed { link: LinkId(link) })
    }

    /// The person types a line.
    pub(super) fn types(&mut self, text: &str) -> &mut Script {
        self.types_bytes(text.as_bytes())
    }

    pub(super) fn types_bytes(&mut self, text: &[u8]) -> &mut Script {
        self.line += 1;
        let line = self.line;
        self.happens(Event::Typed { line, text })
    }

    /// All deliveries so far are carried out.
    pub(super) fn shown(&mut self) -> &mut Script {
        let upto = self.delivered;
        self.happens(Event::Delivered { upto })
    }

    /// Time passes.
    pub(super) fn after(&mut self, pause: Duration) -> &mut Script {
        let end = self.now + pause;
        while let Some(due) = self.due.filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.due = None;
            self.happens(Event::Tick);
        }
        self.now = end;
        self
    }

    pub(super) fn after_ms(&mut self, millis: u64) -> &mut Script {
        self.after(Duration::from_millis(millis))
    }

    /// What the client has done since it was last asked, but for spaces at the ends of lines.
    #[track_caller]
    pub(super) fn does(&mut self, expected: &str) -> &mut Script {
        let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let done: Vec<String> = self.done.drain(..).map(|done| done.trim_end().into()).collect();
        assert!(
            done == expected,
            "the client did\n  {}\nnot\n  {}",
            done.join("\n  "),
            expected.join("\n  ")
        );
        self
    }

    /// Forgets what the client has done.
    pub(super) fn and(&mut self) -> &mut Script {
        self.done.clear();
        self
    }

    /// The lines of the protocol that were shown since it was last asked.
    pub(super) fn wires(&mut self) -> Vec<String> {
        self.done.drain(..).filter(|done| done.starts_with("show wire")).collect()
    }

    /// For what the script does not show.
    pub(super) fn client(&mut self) -> &mut ClientState {
        &mut self.client
    }

    pub(super) fn wants_input(&self) -> bool {
        self.client.wants_input()
    }

    /// The effects since the last question that begin so.
    pub(super) fn all(&self, beginning: &str) -> Vec<String> {
        self.done.iter().filter(|done| done.starts_with(beginning)).cloned().collect()
    }

    /// How many of the effects since the last question begin so.
    pub(super) fn count(&self, beginning: &str) -> usize {
        self.done.iter().filter(|done| done.starts_with(beginning)).count()
    }
}

/// The line of a caller (R36).
pub(super) fn said_call(id: &str, nonce: Token, asks: bool, from: &str, to: &str) -> String {
    let id: Token = id.parse().expect("an id");
    let part = if asks { "requester" } else { "accepter" };
    let digest = Blake2s256::new().chain_update(id.0).chain_update(format!("{nonce} {part} {from} {to}"));
    let mut proof = Token([0; 16]);
    proof.0.copy_from_slice(&digest.finalize()[..16]);
    format!("hobnob-private 2 {nonce} {proof}")
}

/// Reads a call of this client by its proof: it becomes `call ID FROM TO`. Its id and its nonce.
fn name_call(done: &mut String, asked: &BTreeMap<String, bool>) -> Option<(String, Token)> {
    let (before, call) = done.split_once("hobnob-private 2 ")?;
    let nonce: Token = call.split(' ').next().expect("a word").parse().expect("a nonce");
    for (id, asks) in asked {
        for to in ["yoda", "luke"] {
            if done.ends_with(&said_call(id, nonce, *asks, "hans", to)) {
                *done = format!("{before}call {id} hans {to}");
                return Some((id.clone(), nonce));
            }
        }
    }
    None
}

/// One direction; none for timeouts, which are kept, and for what the script does.
fn read(effect: Effect<'_>, due: &mut Option<Time>, delivered: &mut u64) -> Option<String> {
    Some(match effect {
        Effect::Dial => "dial".into(),
        Effect::Send { bytes } => format!("send {}", lines(bytes)),
        Effect::HangUp => "hang up".into(),
        Effect::Show(view) => format!("show {}", shown(view)),
        Effect::Deliver { sequence, mark, view } => {
            assert_eq!(sequence, *delivered + 1, "deliveries are numbered without a gap");
            *delivered = sequence;
            let View::Message(message) = view else { panic!("only messages are delivered") };
            assert!(mark.is_none_or(|mark| mark.from.as_str() == message.from));
            assert_eq!(mark.is_none(), message.kind == MessageKind::Private);
            format!("deliver {}", shown(view))
        }
        Effect::NoteOpen { number } => format!("note {number} open"),
        Effect::NoteSettled { number } => format!("note {number} settled"),
        Effect::OpenState { user } => format!("open state of {user}"),
        Effect::FindCookie { user } => format!("find cookie of {user}"),
        Effect::KeepCookie { cookie } => format!("keep cookie {cookie}"),
        Effect::Log(logged) => format!("log {}", said_before(logged)),
        Effect::LookUp { line, query } => format!("look up {line}: {query:?}"),
        Effect::CloseState => "close state".into(),
        Effect::Listen => "listen".into(),
        Effect::StopListening => "stop listening".into(),
        Effect::MapPort { attempt } => format!("map port {attempt}"),
        Effect::UnmapPort => "unmap port".into(),
        Effect::DialPeer { address } => format!("dial peer {address}"),
        Effect::PunchPeer { address } => format!("punch peer {address}"),
        Effect::SecurePeer { .. } => return None,
        Effect::KeepKey(known) if known.key == KEY && !known.is_verified => return None,
        Effect::KeepKey(known) => {
            format!(
                "keep {} of {}{}",
                known.key,
                known.user,
                if known.is_verified { " verified" } else { "" }
            )
        }
        Effect::SendPeer { link, bytes } => format!("send on {}: {}", link.0, lines(bytes)),
        Effect::BeginRelay { link, calls } => {
            format!("begin relay {}, {}", link.0, if calls { "calls" } else { "is called" })
        }
        Effect::FeedRelay { link, bytes } => format!("feed {} with {} bytes", link.0, bytes.len()),
        Effect::EndRelay { link } => format!("end relay {}", link.0),
        Effect::ClosePeer { link } => format!("close {}", link.0),
        Effect::ResetPeer { link } => format!("reset {}", link.0),
        Effect::ScheduleTimeout { at } => {
            *due = Some(at);
            return None;
        }
        Effect::Exit(exit) => format!("exit {}", exit_word(exit)),
    })
}

fn lines(bytes: &[u8]) -> String {
    let text = core::str::from_utf8(bytes).expect("lines are text");
    let text = text.strip_suffix('\n').expect("whole lines").replace('\n', " / ");
    text.replace(&format!(" {OWN_KEY}"), "")
}

fn exit_word(exit: Exit) -> String {
    if exit == Exit::Signalled(Signal::Interrupt) { "interrupted".into() } else { format!("{exit:?}") }
}

fn shown(view: &View) -> String {
    match view {
        View::Connection(contact) => {
            let first = |key: &ServerKey| if key.first_use { " first" } else { "" };
            let by = contact.key.map(|key| format!(" by {}{}", key.fingerprint, first(&key)));
            format!("connection {}{}", contact.state, by.unwrap_or_default())
        }
        View::Prompt { ask, again } => format!("prompt {ask}{}", if *again { " again" } else { "" }),
        View::Addressee { to } => format!("addressee {}", to.as_deref().unwrap_or("none")),
        View::Wire { sent, line } => format!("wire {} {line}", if *sent { "->" } else { "<-" }),
        View::Offline { queued } => format!("offline, {queued} queued"),
        View::LoggedIn { user, unread } => format!("login {user} unread {unread}"),
        View::LoginRefused(refused) => format!("refused {}", refusal(*refused)),
        View::Result { line, command, outcome } => format!("result {line} {command}: {}", result(outcome)),
        View::Before { messages } => format!("before: {}", logs(messages)),
        View::Message(message) => said(message),
        View::Presence { user, online } => format!("{user} {}", if *online { "came" } else { "went" }),
        View::PrivateRequest { from } => format!("request of {from}"),
        View::RequestOver { from } => format!("request of {from} is over"),
        View::PrivateOpened { user, path } => format!("opened {user} {path}"),
        View::PrivateClosed { user, reason } => format!("closed {user} {reason}"),
        View::Group { group, by, members, .. } => format!("group {group} by {by}: {}", members.join(" ")),
        View::Announcement { text } => format!("the operator: {text}"),
        View::Notice(notice) => format!("notice {notice:?}"),
        View::Bye(bye) => format!("bye {bye}"),
    }
}

fn refusal(refused: LoginRefused) -> String {
    match refused {
        LoginRefused::InvalidCredentials { attempts_left } => format!("invalid {attempts_left}"),
        LoginRefused::UnusablePassword { attempts_left } => format!("unusable {attempts_left}"),
        LoginRefused::TooManyAccounts { retry_after_secs } => format!("too many {retry_after_secs}"),
        LoginRefused::LockedOut { retry_after_secs, just_now: true } => {
            format!("locked {retry_after_secs} just now")
        }
        LoginRefused::LockedOut { retry_after_secs, just_now: false } => format!("locked {retry_after_secs}"),
        LoginRefused::AlreadyOnline => "already online".into(),
        LoginRefused::BadName => "bad name".into(),
        LoginRefused::Busy => "busy".into(),
        LoginRefused::NameTaken => "name taken".into(),
        LoginRefused::InvalidInvite => "invalid invite".into(),
        LoginRefused::NoInvites => "no invites".into(),
    }
}

fn result(outcome: &Result<Success, Failure>) -> String {
    match outcome {
        Ok(success) => succeeded(success),
        Err(Failure { code, subject, typed }) => {
            let subject = subject.as_ref().map(|subject| format!(" ({subject})")).unwrap_or_default();
            let typed = typed.as_ref().map(|typed| format!(" [{typed}]")).unwrap_or_default();
            format!("{code}{subject}{typed}")
        }
    }
}

fn succeeded(success: &Success) -> String {
    match success {
        Success::Message { to, status, until, away, words } => {
            let words = words.as_ref().map(|words| format!(" [{words}]")).unwrap_or_default();
            let away = away.as_ref().map(|away| format!(" away {away}")).unwrap_or_default();
            let until = until.map(|until| format!(" until {}", until.0)).unwrap_or_default();
            format!("to {to} {status}{until}{away}{words}")
        }
        Success::Whoelse { users, away } => {
            let away: String = away.iter().map(|(user, text)| format!(", {user} away {text}")).collect();
            format!("users {}{away}", users.join(" "))
        }
        Success::Ordered { lines } => format!("ordered: {}", lines.join(" / ")),
        Success::User { user } => format!("ok {user}"),
        Success::Users { users } => format!("users {}", users.join(" ")),
        Success::Group { group, members } => format!("group {group}: {}", members.join(" ")),
        Success::Groups { groups } => {
            let groups: Vec<String> =
                groups.iter().map(|(name, members)| format!("{name}: {}", members.join(" "))).collect();
            format!("groups {}", groups.join(", "))
        }
        Success::Verification { user, code, is_verified } => {
            format!("code of {user} {code}{}", if *is_verified { " verified" } else { "" })
        }
        Success::Path { user, way, path } => {
            format!("{user} {way} {}", path.map_or("closed", Path::as_str))
        }
        Success::Private { user, path } => format!("ok {user} {path}"),
        Success::Help { text } => format!("help of {} lines", text.lines().count()),
        Success::History { messages } => format!("messages {}", logs(messages)),
        Success::Done | Success::Logout => "ok".into(),
        other @ (Success::Broadcast { .. }
        | Success::Offline { .. }
        | Success::Ping { .. }
        | Success::Seen { .. }
        | Success::GroupMessage { .. }) => format!("{other:?}"),
    }
}

fn logs(messages: &[Logged]) -> String {
    messages.iter().map(said_before).collect::<Vec<_>>().join(", ")
}

fn said_before(logged: &Logged) -> String {
    let Logged { kind, with, from, text, .. } = logged;
    format!("{kind} {with} {from}: {text}")
}

fn said(message: &Message) -> String {
    let Message { kind, group, from, text, stored, again, id, mentions, rings, .. } = message;
    let group = group.as_ref().map(|group| format!(" {group}")).unwrap_or_default();
    let flags = format!("{}{}", if *stored { " stored" } else { "" }, if *again { " again" } else { "" });
    let marks: String = mentions.iter().map(|mention| format!(" [{}]", &text[mention.clone()])).collect();
    let rings = if *rings { " rings" } else { "" };
    format!("{kind}{group} {id} {from}{flags}{rings}{marks}: {text}")
}

/// What a message from `from` is recognised by.
pub(super) fn mark(from: &str, id: &str, origin: Option<(u64, u64)>) -> Mark {
    let origin = origin.map(|(login, number)| Origin { login: LoginNumber(login), number });
    Mark { from: Name::new(from).unwrap(), id: id.parse().unwrap(), origin }
}
