//! Commands that the server has not answered yet, by number.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::verb::Verb;
use crate::planted::{self, Planted};
use crate::wire::{Answer, ClientLine, Code, Command, CommandKind, Words};

/// Commands of one login. Numbers rise by one from 1.
#[derive(Default)]
pub(super) struct Outstanding {
    open: BTreeMap<u64, Asked>,
    last: u64,
}

/// A command without its answer.
pub(super) struct Asked {
    pub(super) command: AskedBy,
    /// The whole line, to be repeated on the next link if this one is lost.
    pub(super) bytes: Box<[u8]>,
    pub(super) said: Said,
    /// Parts of the answer that have come.
    pub(super) parts: Parts,
    /// Whether the user of a requested private link was introduced on this connection to the server.
    introduced: bool,
}

/// How often a command was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Not yet.
    NotYet,
    /// Once: it may have been carried out.
    Once,
    /// On an earlier connection and again: the answer may not tell what the first one did.
    Again,
}

/// The data of a command that its result needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AskedBy {
    /// The line that was typed; `None` for a command that the client has sent by itself.
    pub(super) line: Option<u64>,
    /// Which command it is.
    pub(super) verb: Verb,
    /// The user it names.
    pub(super) user: Option<String>,
    /// The group it names.
    pub(super) group: Option<String>,
    /// Why the server has not done it, in its own words.
    pub(super) why: Option<String>,
}

/// Lists come in several lines before the answer that they belong to.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) users: Vec<String>,
    /// Users who are away, and what for.
    pub(super) away: Vec<(String, String)>,
    pub(super) groups: Vec<(String, Vec<String>)>,
    /// What an order came to.
    pub(super) lines: Vec<String>,
    bytes: usize,
}

/// Bytes of memory for all lists that are gathered, and for showing them: 250,000 names of eight letters.
pub(super) const LISTS_BYTES: usize = 24 << 20;

/// What a name in a list takes beside its bytes, in memory and when it is shown.
const NAME_BYTES: usize = 72;

impl Outstanding {
    /// Numbers a command and keeps it until it is answered.
    pub(super) fn add(&mut self, line: Option<u64>, command: Command<'_>) -> u64 {
        self.last += 1;
        let asked_by = AskedBy::new(line, &command);
        let mut bytes = Vec::new();
        ClientLine::Request { number: Some(self.last), command }.encode(&mut bytes);
        let asked = Asked {
            command: asked_by,
            bytes: bytes.into(),
            said: Said::NotYet,
            parts: Parts::default(),
            introduced: false,
        };
        self.open.insert(self.last, asked);
        self.last
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Asked> {
        self.open.get_mut(&number)
    }

    /// Removes a command that is answered.
    pub(super) fn settle(&mut self, number: u64) -> Option<Asked> {
        self.open.remove(&number)
    }

    /// Removes the oldest command.
    pub(super) fn settle_oldest(&mut self) -> Option<(u64, Asked)> {
        self.open.pop_first()
    }

    /// Notes that a user was introduced; returns whether a command had requested that and not got it yet.
    pub(super) fn introduce(&mut self, user: &str) -> bool {
        let mut open = self.open.values_mut();
        let asked = open.find(|asked| !asked.introduced && asked.command.asks_for_private(user));
        asked.map(|asked| asked.introduced = true).is_some()
    }

    /// Whether a command has requested a private link and nobody was introduced for it.
    pub(super) fn await_introduction(&self) -> bool {
        self.open.values().any(|asked| !asked.introduced && asked.command.is_private())
    }

    /// Removes the oldest command that requests a private link with this user.
    pub(super) fn settle_private(&mut self, user: &str) -> Option<(u64, AskedBy)> {
        let mut open = self.open.iter();
        let number =
            open.find(|(_, asked)| asked.command.asks_for_private(user)).map(|(number, _)| *number)?;
        self.open.remove(&number).map(|asked| (number, asked.command))
    }

    /// All commands up to and including this number are answered.
    pub(super) fn answered(&self) -> u64 {
        self.open.first_key_value().map_or(self.last, |(first, _)| first - 1)
    }

    /// How many numbers were used from the oldest open command on: the server has to remember this many in
    /// order not to carry out one of them twice. Requests that wait for a person do not count: a repeat only
    /// asks again.
    pub(super) fn span(&self) -> u64 {
        let oldest = self.open.iter().find(|(_, asked)| !asked.command.is_private());
        oldest.map_or(0, |(oldest, _)| self.last + 1 - oldest)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Bytes of all lists that are being gathered.
    pub(super) fn gathered(&self) -> usize {
        self.open.values().map(|asked| asked.parts.bytes()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Asked> {
        self.open.values()
    }

    /// Drops all lists.
    pub(super) fn forget_parts(&mut self) {
        self.open.values_mut().for_each(|asked| asked.parts = Parts::default());
    }

    /// All commands, oldest first, to be repeated on a new connection, where their answers begin again.
    pub(super) fn begin_again(&mut self) -> Vec<u64> {
        if planted::is(Planted::ClientRepeatsNothing) {
            return Vec::new();
        }
        self.forget_parts();
        for asked in self.open.values_mut() {
            asked.introduced = false;
            if asked.said == Said::Once {
                asked.said = Said::Again;
            }
        }
        self.open.keys().copied().collect()
    }

    /// The numbers of another login begin at 1.
    pub(super) fn number_anew(&mut self) -> Vec<u64> {
        let unsent = core::mem::take(self).open.into_values();
        for mut asked in unsent {
            self.last += 1;
            let line = asked.bytes.iter().position(|byte| *byte == b' ').and_then(|at| asked.bytes.get(at..));
            let line = line.unwrap_or_default();
            asked.bytes = [format!("#{}", self.last).as_bytes(), line].concat().into();
            self.open.insert(self.last, asked);
        }
        self.open.keys().copied().collect()
    }

    /// Removes the oldest command that was sent, or has no result to show.
    pub(super) fn settle_oldest_sent(&mut self) -> Option<(u64, Asked)> {
        let number = self.open.iter().find(|(_, asked)| !asked.waits()).map(|(number, _)| *number)?;
        self.open.remove(&number).map(|asked| (number, asked))
    }

    /// The logout, if one is open.
    pub(super) fn logout(&self) -> Option<u64> {
        self.open.iter().find(|(_, asked)| asked.command.is_logout()).map(|(number, _)| *number)
    }

    /// The command that was too long for the server to read even its number. It is among those sent, and if one
    /// of them is too long, the longest is.
    pub(super) fn longest_sent(&self) -> Option<u64> {
        let sent = self.open.iter().filter(|(_, asked)| asked.said != Said::NotYet);
        sent.max_by_key(|(_, asked)| asked.bytes.len()).map(|(number, _)| *number)
    }
}

impl Asked {
    /// Whether it was typed and never sent.
    pub(super) fn waits(&self) -> bool {
        self.said == Said::NotYet && self.command.line.is_some()
    }

    /// It is sent now.
    pub(super) fn say(&mut self) {
        if self.said == Said::NotYet {
            self.said = Said::Once;
        }
    }

    /// The error to show. A message that was sent on an earlier connection may have been delivered then, by a
    /// server that has restarted since and does not know.
    pub(super) fn honest_code(&self, code: Code) -> Code {
        let message =
            matches!(self.command.verb, Verb::Server(CommandKind::Message | CommandKind::MessageGroup));
        if self.said == Said::Again && message { Code::OutcomeUnknown } else { code }
    }

    /// The answer to show: a group message may have reached a member when it was first sent, even if the answer
    /// to its repeat says that it did not.
    pub(super) fn honest<'a>(&self, answer: Answer<'a>) -> Result<Answer<'a>, Code> {
        let missed =
            matches!(answer, Answer::MessageGroup { refused, withheld, .. } if refused > 0 || withheld);
        let believed = self.said != Said::Again || planted::is(Planted::GroupRepeatBelieved);
        if missed && !believed { Err(Code::OutcomeUnknown) } else { Ok(answer) }
    }
}

impl AskedBy {
    pub(super) fn new(line: Option<u64>, command: &Command<'_>) -> AskedBy {
        let (user, group) = subjects(command);
        AskedBy {
            line,
            verb: Verb::Server(command.kind()),
            user: user.map(ToOwned::to_owned),
            group: group.map(ToOwned::to_owned),
            why: None,
        }
    }

    /// A command that stays with the client.
    pub(super) fn local(line: u64, verb: Verb, user: Option<&str>) -> AskedBy {
        AskedBy { line: Some(line), verb, user: user.map(ToOwned::to_owned), group: None, why: None }
    }

    /// Whether its result waits until a private link is open.
    pub(super) fn is_private(&self) -> bool {
        matches!(self.verb, Verb::Server(CommandKind::StartPrivate | CommandKind::Accept))
    }

    pub(super) fn is_logout(&self) -> bool {
        self.verb == Verb::Server(CommandKind::Logout)
    }

    /// Whether it requests a private link with this user.
    pub(super) fn asks_for_private(&self, user: &str) -> bool {
        self.is_private() && self.user.as_deref() == Some(user)
    }

    /// The user or group that an error is about, or why it came.
    pub(super) fn subject(self, code: Code) -> Option<String> {
        let of_group = matches!(
            code,
            Code::UnknownGroup | Code::GroupExists | Code::BadName | Code::NotOwner | Code::Limit
        );
        if code == Code::NotDone {
            self.why
        } else if of_group {
            self.group.or(self.user)
        } else {
            self.user.or(self.group)
        }
    }
}

/// The user and the group that a command names.
fn subjects<'a>(command: &Command<'a>) -> (Option<&'a str>, Option<&'a str>) {
    match *command {
        Command::Message { to: user, .. }
        | Command::Block { user }
        | Command::Unblock { user }
        | Command::Ping { user }
        | Command::Seen { user }
        | Command::StartPrivate { user, .. }
        | Command::Accept { user, .. }
        | Command::Decline { user } => (Some(user), None),
        Command::CreateGroup { group, .. }
        | Command::MessageGroup { group, .. }
        | Command::LeaveGroup { group }
        | Command::DeleteGroup { group } => (None, Some(group)),
        Command::AddToGroup { group, user } | Command::RemoveFromGroup { group, user } => {
            (Some(user), Some(group))
        }
        Command::Broadcast { .. }
        | Command::Whoelse
        | Command::WhoelseSince { .. }
        | Command::Wholasthr
        | Command::Offline
        | Command::Away { .. }
        | Command::Back
        | Command::GroupList
        | Command::Op { .. }
        | Command::Help { .. }
        | Command::Logout => (None, None),
    }
}

impl Parts {
    /// Bytes of memory that they take, and that showing them takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds names to the list of users; false, and nothing is added, if they take more bytes than there is room for.
    pub(super) fn add_users(&mut self, users: Words<'_>, room: usize) -> bool {
        let bytes = cost(users);
        if bytes > room {
            return false;
        }
        self.bytes += bytes;
        self.users.extend(users.iter().map(ToOwned::to_owned));
        true
    }

    /// Adds a user who is away; false, and nothing is added, if that takes more bytes than there is room for.
    pub(super) fn add_away(&mut self, user: &str, text: &str, room: usize) -> bool {
        let bytes = name_cost(user) + name_cost(text);
        if bytes > room {
            return false;
        }
        self.bytes += bytes;
        self.away.push((user.to_owned(), text.to_owned()));
        true
    }

    /// Adds a line of what an order came to; false, and nothing is added, if that takes more bytes than there is room for.
    pub(super) fn add_line(&mut self, text: &str, room: usize) -> bool {
        let bytes = name_cost(text);
        if bytes > room {
            return false;
        }
        self.bytes += bytes;
        self.lines.push(text.to_owned());
        true
    }

    /// Adds names to the members of a group; false, and nothing is added, if they take more bytes than there is room
    /// for.
    pub(super) fn add_members(&mut self, group: &str, members: Words<'_>, room: usize) -> bool {
        let bytes = cost(members) + name_cost(group);
        if bytes > room {
            return false;
        }
        self.bytes += bytes;
        let members = members.iter().map(ToOwned::to_owned);
        match self.groups.last_mut() {
            Some((last, list)) if last == group => list.extend(members),
            Some(_) | None => self.groups.push((group.to_owned(), members.collect())),
        }
        true
    }

    /// The members of a group, sorted.
    pub(super) fn members_of(&mut self, group: &str) -> Vec<String> {
        let place = self.groups.iter().position(|(name, _)| name == group);
        let mut members = place.map(|place| self.groups.swap_remove(place).1).unwrap_or_default();
        members.sort_unstable();
        members
    }
}

fn cost(words: Words<'_>) -> usize {
    words.iter().map(name_cost).sum()
}

/// A byte of a name is kept once and shown in another form, in which an invisible one takes six.
fn name_cost(name: &str) -> usize {
    let escaped = name.bytes().filter(|byte| !byte.is_ascii_graphic()).count();
    NAME_BYTES + 3 * name.len() + 6 * escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(outstanding: &mut Outstanding, line: &str) -> u64 {
        outstanding.add(Some(1), Command::parse(line).unwrap())
    }

    #[test]
    fn everything_below_the_oldest_open_command_is_answered() {
        let mut outstanding = Outstanding::default();
        assert_eq!(outstanding.answered(), 0);
        for number in 1..=3 {
            assert_eq!(add(&mut outstanding, "whoelse"), number);
        }
        assert!(outstanding.settle(2).is_some() && outstanding.settle(2).is_none());
        assert_eq!(outstanding.answered(), 0);
        assert!(outstanding.settle(1).is_some());
        assert_eq!(outstanding.answered(), 2);
        assert!(outstanding.settle(3).is_some());
        assert_eq!(outstanding.answered(), 3);
    }

    #[test]
    fn a_repeat_has_the_same_bytes_and_starts_its_lists_again() {
        let mut outstanding = Outstanding::default();
        let number = add(&mut outstanding, "whoelsesince  060");
        let users = Words::new("hans yoda").unwrap();
        assert!(outstanding.get_mut(number).unwrap().parts.add_users(users, 1_000));
        assert_eq!(outstanding.begin_again(), [number]);
        let asked = outstanding.get_mut(number).unwrap();
        assert_eq!(&*asked.bytes, b"#1 whoelsesince 60\n");
        assert!(asked.parts.users.is_empty());
    }

    #[test]
    fn what_has_no_room_is_not_added() {
        let mut outstanding = Outstanding::default();
        let number = add(&mut outstanding, "whoelse");
        let parts = &mut outstanding.get_mut(number).unwrap().parts;
        let (hans, bytes) = (Words::new("hans").unwrap(), NAME_BYTES + 12);
        assert!(!parts.add_users(hans, bytes - 1) && parts.add_users(hans, bytes));
        assert!(
            !parts.add_members("jedi", hans, 2 * bytes - 1) && parts.add_members("jedi", hans, 2 * bytes)
        );
        assert_eq!((parts.users.len(), parts.groups.len(), outstanding.gathered()), (1, 1, 3 * bytes));
        assert_eq!(name_cost("\u{1}\u{2}"), NAME_BYTES + 18, "what showing an invisible name takes");
    }

    #[test]
    fn a_message_refused_at_its_repetition_may_have_been_shown_before() {
        let mut outstanding = Outstanding::default();
        let message = add(&mut outstanding, "message luke hi");
        let block = add(&mut outstanding, "block luke");
        let unsent = add(&mut outstanding, "message luke later");
        let failure = |outstanding: &mut Outstanding, number, code| {
            outstanding.get_mut(number).unwrap().honest_code(code)
        };
        outstanding.get_mut(message).unwrap().say();
        outstanding.get_mut(block).unwrap().say();
        assert_eq!(failure(&mut outstanding, message, Code::Blocked), Code::Blocked);
        outstanding.begin_again();
        assert_eq!(failure(&mut outstanding, message, Code::Blocked), Code::OutcomeUnknown);
        assert_eq!(failure(&mut outstanding, block, Code::StorageUnavailable), Code::StorageUnavailable);
        assert_eq!(failure(&mut outstanding, unsent, Code::Blocked), Code::Blocked);
    }

    #[test]
    fn a_repeated_group_message_may_have_reached_before_those_it_misses() {
        let mut outstanding = Outstanding::default();
        let number = add(&mut outstanding, "message group rebels hi");
        let asked = outstanding.get_mut(number).unwrap();
        asked.say();
        let answer = |refused, withheld| Answer::MessageGroup {
            group: "rebels",
            delivered: 1,
            stored: 1,
            refused,
            withheld,
        };
        for answer in [answer(0, false), answer(1, false), answer(0, true)] {
            assert_eq!(asked.honest(answer), Ok(answer));
        }
        outstanding.begin_again();
        let asked = outstanding.get_mut(number).unwrap();
        assert_eq!(asked.honest(answer(0, false)), Ok(answer(0, false)), "nobody was missed");
        assert_eq!(asked.honest(answer(1, false)), Err(Code::OutcomeUnknown));
        assert_eq!(asked.honest(answer(0, true)), Err(Code::OutcomeUnknown));
    }

    #[test]
    fn errors_name_the_group_or_the_user_as_their_code_means() {
        let command = Command::parse("add group rebels luke").unwrap();
        let asked = AskedBy::new(Some(1), &command);
        assert_eq!(asked.clone().subject(Code::UnknownGroup).as_deref(), Some("rebels"));
        assert_eq!(asked.subject(Code::UnknownUser).as_deref(), Some("luke"));
    }

    #[test]
    fn the_longest_line_that_has_left_is_the_one_too_long() {
        let mut outstanding = Outstanding::default();
        for line in ["message hans hello", "ping hans", "message hans hello there"] {
            let number = add(&mut outstanding, line);
            if number < 3 {
                outstanding.get_mut(number).unwrap().say();
            }
        }
        assert_eq!(outstanding.longest_sent(), Some(1));
    }
}
