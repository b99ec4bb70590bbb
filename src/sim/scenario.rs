//! Scenarios: slices of eight-byte steps.
//!
//! Every step can be taken in every state of the world (indices are taken modulo what exists), so any
//! subsequence of a scenario is a scenario. Seeds, arbitrary bytes and text files all become one.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::draw::Draw;
use crate::wire::code::spelled;

/// One step: what happens, to whom, with which choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub kind: Kind,
    /// Which client, link or user acts.
    pub actor: u8,
    /// On whom, or how much.
    pub argument: u16,
    /// Every other choice the step makes is drawn from it.
    pub salt: u32,
}

spelled! {
    /// What a step does.
    Kind {
        /// Chooses a setting of the server; after the start it is a reload.
        Setting = "setting",
        /// A client program starts.
        Start = "start",
        /// A prompt is answered.
        Answer = "answer",
        /// `message`
        Message = "message",
        /// Several `message` lines at once.
        Burst = "burst",
        /// `broadcast`
        Broadcast = "broadcast",
        /// `whoelse`
        Whoelse = "whoelse",
        /// `whoelsesince`, `wholasthr`
        Since = "since",
        /// `block`
        Block = "block",
        /// `unblock`
        Unblock = "unblock",
        /// `offline`
        Offline = "offline",
        /// `ping`
        Ping = "ping",
        /// `seen`
        Seen = "seen",
        /// `away`
        Away = "away",
        /// `back`
        Back = "back",
        /// `create group`
        CreateGroup = "create-group",
        /// `message group`
        GroupMessage = "group-message",
        /// `grouplist`
        GroupList = "group-list",
        /// `add group`
        AddToGroup = "add-to-group",
        /// `remove group`
        RemoveFromGroup = "remove-from-group",
        /// `leave group`
        LeaveGroup = "leave-group",
        /// `delete group`
        DeleteGroup = "delete-group",
        /// `startprivate`
        StartPrivate = "start-private",
        /// `accept`
        Accept = "accept",
        /// `decline`
        Decline = "decline",
        /// `private`
        Private = "private",
        /// `stopprivate`
        StopPrivate = "stop-private",
        /// `help`
        Help = "help",
        /// `logout`
        Logout = "logout",
        /// A line that is no command: blank, overlong, not UTF-8, unknown, misused.
        Nonsense = "nonsense",
        /// The input of a client ends.
        EndInput = "end-input",
        /// A signal asks a client to end.
        Interrupt = "interrupt",
        /// A client is killed at once; its state folder stays.
        Kill = "kill",
        /// A client stops running and reading.
        Freeze = "freeze",
        /// A frozen client goes on.
        Thaw = "thaw",
        /// The output of a client is closed.
        CloseOutput = "close-output",
        /// The display of a client is slow for a while.
        SlowDisplay = "slow-display",
        /// A person connects by hand.
        RawOpen = "raw-open",
        /// A line `login NAME PASSWORD` by hand.
        RawLogin = "raw-login",
        /// Several connections guess one name's password at once.
        RawGuesses = "raw-guesses",
        /// A line `register NAME PASSWORD` by hand.
        RawRegister = "raw-register",
        /// A command by hand.
        RawCommand = "raw-command",
        /// Any bytes by hand.
        RawBytes = "raw-bytes",
        /// A connection made by hand is closed.
        RawClose = "raw-close",
        /// Somebody comes back by hand, by a token that was given to another connection.
        RawResume = "raw-resume",
        /// A stranger speaks to the private port of a client.
        Stranger = "stranger",
        /// A link breaks.
        Cut = "cut",
        /// A link falls silent in one direction or both.
        Silence = "silence",
        /// A silent link speaks again, if it is not dead yet.
        Heal = "heal",
        /// Links become slow, or fast again.
        Latency = "latency",
        /// The server cannot be reached for a while.
        RefuseDials = "refuse-dials",
        /// The server process dies, and starts again a while later.
        Crash = "crash",
        /// The server is asked to stop, and starts again a while later.
        Stop = "stop",
        /// Accounts are added, removed or given other passwords, and read again.
        Reload = "reload",
        /// The disk is full, or has room again.
        StoreFull = "store-full",
        /// The store stops committing.
        StoreHold = "store-hold",
        /// The store commits again.
        StoreRelease = "store-release",
        /// The next sync fails: the server process dies of it.
        SyncFails = "sync-fails",
        /// Hashing becomes slow, or fast again.
        HashSlow = "hash-slow",
        /// The hashing threads are too busy for a while.
        HashBusy = "hash-busy",
        /// Milliseconds pass.
        WaitMillis = "wait-millis",
        /// Seconds pass.
        WaitSeconds = "wait-seconds",
        /// Minutes pass.
        WaitMinutes = "wait-minutes",
        /// Hours pass.
        WaitHours = "wait-hours",
        /// The clock comes to the instant, or a tick beside it, of the next lock's end or deadline.
        WaitDeadline = "wait-deadline",
        /// Somebody with a raw connection asks for something, says no more, and reads on.
        StreamEnd = "stream-end",
        /// A number is used again by hand: for other words, or the same.
        RawReuse = "raw-reuse",
        /// Any command by hand.
        RawAsk = "raw-ask",
        /// Very many messages at once, by hand.
        Flood = "flood",
        /// Chooses a limit of the server's door; after the start it is a reload.
        Limit = "limit",
        /// The wall clock of the server is set, as its next start will find.
        ClockJump = "clock-jump",
        /// Somebody writes to another by hand, who then blocks them, goes and comes back.
        Held = "held",
        /// A name that is none, or looks like another's, is tried at the door.
        OddName = "odd-name",
        /// Somebody by hand reaches a limit on what one user may cause.
        Press = "press",
        /// A seat moves: the next client there has another address, or is behind a router or a firewall.
        Place = "place",
        /// Somebody by hand and a client agree on a private link.
        MeetByHand = "meet-by-hand",
        /// The passwords of very many names that nobody has are guessed.
        MadeUpNames = "made-up-names",
        /// Very many users come and go, and somebody asks for a list of them.
        Crowd = "crowd",
        /// Somebody by hand at the door: devices, guesses, floods, second logins, registrations.
        Door = "door",
        /// The server restarts: clients are told nothing and come back.
        Restart = "restart",
        /// The server relays falsely, or two people by hand have a link relayed.
        Relay = "relay",
        /// Two clients start anew at other places and agree on a private link.
        Introduce = "introduce",
        /// `history` or `search`, and the client may end before the answer.
        LookUp = "look-up",
        /// An operator does something.
        Operator = "operator",
        /// An operator invites, or somebody comes with an invite.
        Invite = "invite",
        /// `op`
        Order = "order",
        /// Mail waits for days, as long as it is kept or longer.
        Days = "days",
        /// An evil server tells something else in the next introductions. This and what follows is of its world alone.
        Scheme = "scheme",
        /// It relays to others than it should, or not at all.
        Relaying = "relaying",
        /// It relays something falsely, soon.
        Tamper = "tamper",
        /// It says something that is not so.
        Lie = "lie",
        /// It introduces or relays what nobody has asked for.
        Unasked = "unasked",
        /// It calls a client itself.
        Impostor = "impostor",
        /// It says again what was recorded.
        Replay = "replay",
        /// It lies to the next who come, come back or ask.
        Strip = "strip",
        /// What it does in the part of a client.
        Manner = "manner",
        /// It is honest from now on.
        Repent = "repent",
    }
}

impl Kind {
    /// Those that only an evil server takes; they come last.
    const EVIL: usize = 10;

    /// Whether only an evil server takes it.
    #[must_use]
    pub const fn is_evil(self) -> bool {
        self as usize >= Kind::ALL.len() - Kind::EVIL
    }
}

/// Size of a step as bytes.
pub const STEP_BYTES: usize = 8;

impl Step {
    /// Any eight bytes are a step, of an evil server if that is asked for.
    #[must_use]
    pub fn from_bytes(bytes: [u8; STEP_BYTES], evil: bool) -> Step {
        let kinds = Kind::ALL.len() - if evil { 0 } else { Kind::EVIL };
        let [kind, actor, a, b, c, d, e, f] = bytes;
        Step {
            kind: Kind::ALL[usize::from(kind) % kinds],
            actor,
            argument: u16::from_le_bytes([a, b]),
            salt: u32::from_le_bytes([c, d, e, f]),
        }
    }

    /// The step as a line of a scenario file reads it: `KIND ACTOR ARGUMENT SALT`.
    fn parse(line: &str) -> Option<Step> {
        let mut words = line.split_whitespace();
        let step = Step {
            kind: Kind::from_word(words.next()?)?,
            actor: words.next()?.parse().ok()?,
            argument: words.next()?.parse().ok()?,
            salt: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(step)
    }
}

/// A scenario from arbitrary bytes, of an evil server if that is asked for; an unfinished step at the end is dropped.
#[must_use]
pub fn from_bytes(bytes: &[u8], evil: bool) -> Vec<Step> {
    let whole = bytes.chunks_exact(STEP_BYTES);
    whole.filter_map(|step| step.try_into().ok()).map(|step| Step::from_bytes(step, evil)).collect()
}

/// A line of a scenario file that is no step; lines count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine(pub usize);

/// Reads a scenario file: one step a line; what follows a `#` is a comment.
///
/// # Errors
/// [`BadLine`] names the first line that is neither a step nor a comment.
pub fn parse(file: &str) -> Result<Vec<Step>, BadLine> {
    let mut steps = Vec::new();
    for (index, line) in file.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            steps.push(Step::parse(line).ok_or(BadLine(index + 1))?);
        }
    }
    Ok(steps)
}

/// Writes a scenario file, each step with its reading in words.
#[must_use]
pub fn print(steps: &[Step]) -> String {
    let mut file = String::new();
    for step in steps {
        let Step { kind, actor, argument, salt } = *step;
        let mut line = String::new();
        let _ = write!(line, "{kind} {actor} {argument} {salt}");
        let _ = writeln!(file, "{line:<40} # {}", super::reading::reading(*step));
    }
    file
}

/// How often each kind is drawn, before the swarm takes some out: `(kind, weight, may be missing)`.
const WEIGHTS: &[(Kind, u32, bool)] = &[
    (Kind::Start, 60, false),
    (Kind::Answer, 8, true),
    (Kind::Message, 140, false),
    (Kind::Burst, 12, true),
    (Kind::Broadcast, 14, true),
    (Kind::Whoelse, 8, true),
    (Kind::Since, 10, true),
    (Kind::Block, 22, true),
    (Kind::Unblock, 16, true),
    (Kind::Offline, 6, true),
    (Kind::Ping, 10, true),
    (Kind::Seen, 6, true),
    (Kind::Away, 8, true),
    (Kind::Back, 8, true),
    (Kind::CreateGroup, 10, true),
    (Kind::GroupMessage, 22, true),
    (Kind::GroupList, 4, true),
    (Kind::AddToGroup, 7, true),
    (Kind::RemoveFromGroup, 6, true),
    (Kind::LeaveGroup, 4, true),
    (Kind::DeleteGroup, 5, true),
    (Kind::StartPrivate, 14, true),
    (Kind::Accept, 10, true),
    (Kind::Decline, 4, true),
    (Kind::Private, 18, true),
    (Kind::StopPrivate, 5, true),
    (Kind::Help, 4, true),
    (Kind::Logout, 14, true),
    (Kind::Nonsense, 8, true),
    (Kind::EndInput, 5, true),
    (Kind::Interrupt, 4, true),
    (Kind::Kill, 10, true),
    (Kind::Freeze, 7, true),
    (Kind::Thaw, 7, true),
    (Kind::CloseOutput, 1, true),
    (Kind::SlowDisplay, 5, true),
    (Kind::RawOpen, 8, true),
    (Kind::RawLogin, 24, true),
    (Kind::RawGuesses, 5, true),
    (Kind::RawRegister, 5, true),
    (Kind::RawCommand, 20, true),
    (Kind::RawBytes, 4, true),
    (Kind::RawClose, 6, true),
    (Kind::RawResume, 6, true),
    (Kind::Stranger, 6, true),
    (Kind::Cut, 12, true),
    (Kind::Silence, 6, true),
    (Kind::Heal, 4, true),
    (Kind::Latency, 4, true),
    (Kind::RefuseDials, 3, true),
    (Kind::Crash, 6, true),
    (Kind::Stop, 2, true),
    (Kind::Restart, 3, true),
    (Kind::Reload, 3, true),
    (Kind::Setting, 3, true),
    (Kind::StoreFull, 4, true),
    (Kind::StoreHold, 6, true),
    (Kind::StoreRelease, 6, true),
    (Kind::SyncFails, 2, true),
    (Kind::HashSlow, 4, true),
    (Kind::HashBusy, 3, true),
    (Kind::WaitMillis, 60, false),
    (Kind::WaitSeconds, 40, false),
    (Kind::WaitMinutes, 6, true),
    (Kind::WaitHours, 1, true),
    (Kind::WaitDeadline, 10, true),
    (Kind::StreamEnd, 8, true),
    (Kind::RawReuse, 8, true),
    (Kind::RawAsk, 30, true),
    (Kind::Flood, 1, true),
    (Kind::Limit, 3, true),
    (Kind::ClockJump, 2, true),
    (Kind::Held, 3, true),
    (Kind::OddName, 4, true),
    (Kind::Press, 3, true),
    (Kind::Place, 3, true),
    (Kind::MeetByHand, 9, true),
    (Kind::MadeUpNames, 1, true),
    (Kind::Crowd, 1, true),
    (Kind::Door, 14, true),
    (Kind::Relay, 10, true),
    (Kind::Introduce, 4, true),
    (Kind::LookUp, 4, true),
    (Kind::Operator, 8, true),
    (Kind::Invite, 6, true),
    (Kind::Order, 10, true),
    (Kind::Days, 2, true),
];

/// Seats that are moved before the start, in some scenarios.
const PLACED: u8 = 6;
/// Settings chosen before the start, at most.
const SETTINGS_DRAWN: u64 = 8;

/// The scenario of a seed in the world of an evil server.
#[must_use]
pub fn of_evil(seed: u64, length: usize) -> Vec<Step> {
    super::evil::from_seed(seed, length)
}

/// The scenario of a seed: a subset of the kinds (a swarm) with drawn weights, `length` steps after
/// the steps that choose settings and start clients.
#[must_use]
pub fn from_seed(seed: u64, length: usize) -> Vec<Step> {
    let mut draw = Draw::new(seed ^ 0x5eed_5eed);
    let mut steps = Vec::with_capacity(length);
    for _ in 0..draw.below(SETTINGS_DRAWN + 1) {
        let kind = if draw.chance(300) { Kind::Limit } else { Kind::Setting };
        steps.push(drawn(kind, &mut draw));
    }
    if draw.chance(600) {
        for seat in 0..PLACED {
            steps.push(Step { actor: seat, ..drawn(Kind::Place, &mut draw) });
        }
    }
    let mut bounds = Vec::with_capacity(WEIGHTS.len());
    let mut total = 0;
    let missing = draw.between(100, 700);
    for &(kind, weight, may_miss) in WEIGHTS {
        let factor = [1, 1, 2, 6][usize::try_from(draw.below(4)).unwrap_or(0)];
        if !(may_miss && draw.chance(missing)) {
            total += u64::from(weight) * factor;
            bounds.push((total, kind));
        }
    }
    for seat in 0..draw.between(2, 6) {
        let mut start = drawn(Kind::Start, &mut draw);
        start.actor = u8::try_from(seat).unwrap_or(0);
        steps.push(start);
    }
    fill(&mut steps, length, &bounds, Kind::Message, &mut draw);
    steps
}

/// Fills a scenario up with steps. A kind is drawn if a number is below its bound and below none before it, `other` if
/// there is none.
pub(super) fn fill(
    steps: &mut Vec<Step>,
    length: usize,
    bounds: &[(u64, Kind)],
    other: Kind,
    draw: &mut Draw,
) {
    let total = bounds.last().map_or(0, |(bound, _)| *bound);
    while steps.len() < length {
        let at = draw.below(total);
        let kind = bounds.iter().find(|(bound, _)| at < *bound).map_or(other, |(_, kind)| *kind);
        steps.push(drawn(kind, draw));
    }
}

pub(super) fn drawn(kind: Kind, draw: &mut Draw) -> Step {
    let choices = draw.number().to_le_bytes();
    Step {
        kind,
        actor: choices[0],
        argument: u16::from_le_bytes([choices[1], choices[2]]),
        salt: u32::from_le_bytes([choices[3], choices[4], choices[5], choices[6]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_reads_back_from_its_file() {
        let steps = from_seed(42, 500);
        assert_eq!(parse(&print(&steps)).as_ref(), Ok(&steps));
        assert_eq!(parse("message 1 2 3\n\n# words\nmessage 1 2"), Err(BadLine(4)));
    }

    #[test]
    fn seeds_draw_different_scenarios_of_the_length_asked_for() {
        assert_eq!(from_seed(1, 100), from_seed(1, 100));
        assert_ne!(from_seed(1, 100), from_seed(2, 100));
        assert_eq!(from_seed(3, 100).len(), 100);
    }

    #[test]
    fn every_kind_can_be_drawn_and_any_bytes_are_steps() {
        for kind in Kind::ALL.iter().filter(|kind| !kind.is_evil()) {
            assert!(WEIGHTS.iter().any(|(drawn, ..)| drawn == kind), "{kind}");
        }
        assert_eq!(from_bytes(&[255; 20], false).len(), 2);
    }
}
