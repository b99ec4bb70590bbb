//! What a step does, in words: the comment beside it in a scenario file.

use alloc::string::{String, ToString};

use super::scenario::{Kind, Step};

/// One step in words. Numbers are taken modulo what exists when the step is taken.
#[must_use]
pub(crate) fn reading(step: Step) -> String {
    let words = READINGS.iter().find(|(kind, _)| *kind == step.kind).map_or("", |(_, words)| words);
    words
        .replace("{actor}", &step.actor.to_string())
        .replace("{argument}", &step.argument.to_string())
        .replace("{salt}", &step.salt.to_string())
}

const READINGS: &[(Kind, &str)] = &[
    (Kind::Start, "client {actor} starts, for its own user or user {argument} ({salt} chooses)"),
    (Kind::Answer, "client {actor}: a prompt is answered, choice {argument}"),
    (Kind::Logout, "client {actor}: logout"),
    (Kind::EndInput, "the input of client {actor} ends"),
    (Kind::Interrupt, "client {actor} is sent signal {argument}"),
    (Kind::Kill, "client {actor} is killed"),
    (Kind::Freeze, "client {actor} freezes"),
    (Kind::Thaw, "client {actor} goes on"),
    (Kind::CloseOutput, "the output of client {actor} is closed"),
    (Kind::SlowDisplay, "the display of client {actor} becomes slow ({argument})"),
    (Kind::Message, "client {actor}: message to user {argument}"),
    (Kind::Burst, "client {actor}: several messages at once to user {argument}"),
    (Kind::Broadcast, "client {actor}: broadcast"),
    (Kind::Whoelse, "client {actor}: whoelse"),
    (Kind::Since, "client {actor}: whoelsesince or wholasthr, choice {argument}"),
    (Kind::Block, "client {actor}: block user {argument}"),
    (Kind::Unblock, "client {actor}: unblock user {argument}"),
    (Kind::Offline, "client {actor}: offline"),
    (Kind::Ping, "client {actor}: ping user {argument}"),
    (Kind::Seen, "client {actor}: seen user {argument}"),
    (Kind::Away, "client {actor}: away, text {salt}"),
    (Kind::Back, "client {actor}: back"),
    (Kind::CreateGroup, "client {actor}: create group {argument} with users of {salt}"),
    (Kind::GroupMessage, "client {actor}: message group {argument}"),
    (Kind::GroupList, "client {actor}: grouplist"),
    (Kind::AddToGroup, "client {actor}: add group {argument}, user of {salt}"),
    (Kind::RemoveFromGroup, "client {actor}: remove group {argument}, user of {salt}"),
    (Kind::LeaveGroup, "client {actor}: leave group {argument}"),
    (Kind::DeleteGroup, "client {actor}: delete group {argument}"),
    (Kind::StartPrivate, "client {actor}: startprivate user {argument}"),
    (Kind::Accept, "client {actor}: accept user {argument}"),
    (Kind::Decline, "client {actor}: decline user {argument}"),
    (Kind::Private, "client {actor}: private to user {argument}"),
    (Kind::StopPrivate, "client {actor}: stopprivate user {argument}"),
    (Kind::Help, "client {actor}: help"),
    (Kind::Nonsense, "client {actor}: a line that is no command, choice {argument}"),
    (Kind::RawOpen, "a person connects by hand from address {actor}"),
    (Kind::RawLogin, "hand {actor}: login as user {argument}"),
    (Kind::RawGuesses, "several connections guess the password of user {argument} at once"),
    (Kind::RawRegister, "hand {actor}: register user {argument}"),
    (Kind::RawCommand, "hand {actor}: a command about user {argument}"),
    (Kind::RawBytes, "hand {actor}: any bytes"),
    (Kind::RawClose, "hand {actor} hangs up"),
    (Kind::RawResume, "somebody resumes by hand with token {argument}, right or made up"),
    (Kind::Stranger, "a stranger speaks to the private port of client {actor}"),
    (Kind::RawAsk, "hand {actor}: any command ({salt} chooses) about user {argument}"),
    (Kind::Flood, "hand {actor}: very many messages at once to user {argument}"),
    (Kind::Limit, "limit {actor} takes its choice {argument}"),
    (Kind::Held, "by hand: mail for user {argument} is held back ({salt} chooses)"),
    (Kind::Press, "by hand: a limit of what one user may cause is reached ({salt} chooses)"),
    (Kind::OddName, "hand {actor} tries an odd name ({argument})"),
    (Kind::ClockJump, "the server's wall clock is set ({argument})"),
    (Kind::Setting, "setting {actor} takes its choice {argument}"),
    (Kind::Cut, "link {actor} breaks"),
    (Kind::Silence, "link {actor} falls silent, choice {argument}"),
    (Kind::Heal, "link {actor} speaks again"),
    (Kind::Latency, "links take longer or shorter, choice {argument}"),
    (Kind::RefuseDials, "the server refuses connections for a while ({argument})"),
    (Kind::Crash, "the server process dies (back after a time drawn from {argument})"),
    (Kind::Stop, "the server is asked to stop"),
    (Kind::Restart, "the server restarts"),
    (Kind::Reload, "the credentials file changes, choice {argument}, and is read again"),
    (Kind::StoreFull, "the disk is full or not, choice {argument}"),
    (Kind::StoreHold, "the store stops committing"),
    (Kind::StoreRelease, "the store commits again"),
    (Kind::SyncFails, "the next sync fails"),
    (Kind::HashSlow, "hashing becomes slow or fast, choice {argument}"),
    (Kind::HashBusy, "the hashing threads are too busy for a while"),
    (Kind::WaitMillis, "{argument} mod 1000 ms pass"),
    (Kind::WaitSeconds, "{argument} mod 60 s pass"),
    (Kind::WaitMinutes, "{argument} mod 60 min pass"),
    (Kind::WaitHours, "{argument} mod 24 h pass"),
    (Kind::StreamEnd, "hand {actor} asks for something about user {argument} and ends its stream"),
    (Kind::RawReuse, "hand {actor} uses a number twice, about user {argument}"),
    (Kind::Place, "the next client at seat {actor} runs at place {argument}"),
    (
        Kind::MeetByHand,
        "by hand: user {argument} and client {actor} agree on a private link ({salt} chooses)",
    ),
    (Kind::MadeUpNames, "the passwords of very many made-up names are guessed ({salt} says how many)"),
    (Kind::Crowd, "many users come and go, and user {argument} lists them ({salt} says how many)"),
    (Kind::Door, "by hand at the door, about user {argument} ({salt} chooses)"),
    (
        Kind::Relay,
        "a link is relayed falsely, or between users {actor} and {argument} by hand ({salt} chooses)",
    ),
    (Kind::Introduce, "clients {actor} and {actor} + 3 move, choice {argument}, and agree on a private link"),
    (Kind::Operator, "an operator acts, choice {argument}, about user {actor}"),
    (Kind::Order, "client {actor}: op, choice {salt}, about user {argument}"),
    (Kind::Invite, "an operator invites, or somebody comes with an invite, choice {salt}"),
    (Kind::Days, "by hand: mail waits for user {argument} for days ({salt} chooses)"),
    (Kind::LookUp, "client {actor}: history or search, choice {argument}"),
    (Kind::Scheme, "the next introductions are false, choice {salt}"),
    (Kind::Relaying, "the next relays are not with whom they should be, choice {salt}"),
    (Kind::Tamper, "a frame that is relayed soon becomes false, choice {salt}"),
    (Kind::Lie, "user {actor} hears a lie, choice {salt}"),
    (Kind::Unasked, "user {actor} is told of a link that they did not ask for, choice {salt}"),
    (Kind::Impostor, "the server calls client {actor}, as somebody of introduction {argument}"),
    (Kind::Replay, "recording {argument} is said again to client {actor}, choice {salt}"),
    (Kind::Strip, "the next who comes, comes back or asks is lied to, choice {salt}"),
    (Kind::Manner, "in the part of a client the server does {salt}"),
    (Kind::Repent, "the server is honest from now on"),
    (Kind::WaitDeadline, "time passes to a deadline or a tick beside it, choice {argument}"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_words() {
        for &kind in Kind::ALL {
            let words = reading(Step { kind, actor: 1, argument: 2, salt: 3 });
            assert!(!words.is_empty() && !words.contains('{'), "{kind}: {words}");
        }
    }
}
