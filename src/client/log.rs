//! The log: what was said, as it is kept on the client's own disk, and what a person asks of it.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::ClientState;
use super::outstanding::AskedBy;
use super::settings::Log;
use super::verb::Verb;
use super::view::{Message, MessageKind, Success, View};
use crate::planted::{self, Planted};
use crate::time::Time;
use crate::wire::{ClientLine, Code, Command};

/// Lines that are shown unless a number is given.
const USUAL_COUNT: usize = 20;
/// The most that may be asked for.
const MOST: usize = 1_000;
/// At the start: lines of a conversation, and conversations.
const LAST_LINES: usize = 3;
const LAST_CONVERSATIONS: usize = 4;

/// A message in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The kind.
    pub kind: MessageKind,
    /// The conversation: the other user or the group; empty for broadcasts.
    pub with: String,
    /// Who has said it.
    pub from: String,
    /// What.
    pub text: String,
    /// When it was sent.
    pub sent_at: Time,
}

/// What is asked of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    about: About,
    count: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum About {
    All,
    User(String),
    Group(String),
    /// In small letters.
    Words(Vec<String>),
}

impl Query {
    /// `[USER|group NAME] [COUNT]`
    pub(super) fn history(rest: &str) -> Option<Query> {
        let mut words: Vec<&str> = rest.split(' ').filter(|word| !word.is_empty()).collect();
        let number = words.last().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        let count = match number {
            Some(number) => number.parse().ok().filter(|count| (1..=MOST).contains(count))?,
            None => USUAL_COUNT,
        };
        if number.is_some() {
            words.pop();
        }
        let about = match *words {
            [] => About::All,
            ["group", group] => About::Group(group.to_owned()),
            [user] if user != "group" => About::User(user.to_owned()),
            _ => return None,
        };
        Some(Query { about, count })
    }

    /// `WORDS`
    pub(super) fn search(rest: &str) -> Option<Query> {
        let words: Vec<String> =
            rest.split(' ').filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
        (!words.is_empty()).then_some(Query { about: About::Words(words), count: USUAL_COUNT })
    }

    /// How many are wanted at most: the newest.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether a message is one of those.
    #[must_use]
    pub fn wants(&self, logged: &Logged) -> bool {
        match &self.about {
            About::All => true,
            About::User(user) => {
                matches!(logged.kind, MessageKind::Direct | MessageKind::Private) && logged.with == *user
            }
            About::Group(group) => logged.kind == MessageKind::Group && logged.with == *group,
            About::Words(words) => {
                let text = logged.text.to_lowercase();
                words.iter().all(|word| text.contains(word.as_str()))
            }
        }
    }
}

/// The last lines of the conversations that were held last, in the order in which they came.
fn last_of_each(logged: Vec<Logged>) -> Vec<Logged> {
    let mut lines: BTreeMap<(bool, String), usize> = BTreeMap::new();
    let mut last = Vec::new();
    for one in logged.into_iter().rev() {
        let conversation = (one.kind == MessageKind::Group, one.with.clone());
        if !lines.contains_key(&conversation) && lines.len() == LAST_CONVERSATIONS {
            continue;
        }
        let shown = lines.entry(conversation).or_default();
        if *shown < LAST_LINES {
            *shown += 1;
            last.push(one);
        }
    }
    last.reverse();
    last
}

/// What a command of this line says to whom.
fn said(line: &[u8]) -> Option<(MessageKind, String, String)> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let Ok(ClientLine::Request { command, .. }) = ClientLine::parse(line) else { return None };
    match command {
        Command::Message { to, text } => Some((MessageKind::Direct, to.into(), text.as_str().into())),
        Command::MessageGroup { group, text } => {
            Some((MessageKind::Group, group.into(), text.as_str().into()))
        }
        Command::Broadcast { text } => Some((MessageKind::Broadcast, String::new(), text.as_str().into())),
        Command::Whoelse
        | Command::WhoelseSince { .. }
        | Command::Wholasthr
        | Command::Block { .. }
        | Command::Unblock { .. }
        | Command::Offline
        | Command::Ping { .. }
        | Command::Seen { .. }
        | Command::Away { .. }
        | Command::Back
        | Command::CreateGroup { .. }
        | Command::GroupList
        | Command::AddToGroup { .. }
        | Command::RemoveFromGroup { .. }
        | Command::LeaveGroup { .. }
        | Command::DeleteGroup { .. }
        | Command::StartPrivate { .. }
        | Command::Accept { .. }
        | Command::Decline { .. }
        | Command::Op { .. }
        | Command::Help { .. }
        | Command::Logout => None,
    }
}

impl ClientState {
    /// A session begins at a terminal: what was said before it is shown.
    pub(super) fn show_before(&mut self, logged: Vec<Logged>) {
        let messages = if self.keeps(MessageKind::Direct) && self.settings.terminal {
            last_of_each(logged)
        } else {
            Vec::new()
        };
        if !messages.is_empty() {
            self.outbox.show(View::Before { messages });
        }
    }

    /// A message is shown.
    pub(super) fn log_message(&mut self, message: &Message) {
        if self.keeps(message.kind) {
            let with = match (message.kind, &message.group) {
                (MessageKind::Broadcast, _) => String::new(),
                (MessageKind::Group, Some(group)) => group.clone(),
                (MessageKind::Direct | MessageKind::Private | MessageKind::Group, _) => message.from.clone(),
            };
            let Message { kind, from, text, sent_at, .. } = message;
            let (from, text) = (from.clone(), text.clone());
            self.outbox.log(Logged { kind: *kind, with, from, text, sent_at: *sent_at });
        }
    }

    /// The server has taken a command: what it said is kept.
    pub(super) fn log_sent(&mut self, line: &[u8]) {
        if let Some((kind, with, text)) = said(line).filter(|_| self.keeps(MessageKind::Direct)) {
            self.log_own(kind, with, text);
        }
    }

    pub(super) fn log_own_private(&mut self, with: &str, text: &str) {
        if self.keeps(MessageKind::Private) {
            self.log_own(MessageKind::Private, with.to_owned(), text.to_owned());
        }
    }

    fn log_own(&mut self, kind: MessageKind, with: String, text: String) {
        let sent_at = self.now;
        let Some(from) = self.session().map(|session| session.user.as_str().to_owned()) else { return };
        self.outbox.log(Logged { kind, with, from, text, sent_at });
    }

    fn keeps(&self, kind: MessageKind) -> bool {
        match self.settings.log {
            Log::Off => false,
            Log::AllButPrivate => kind != MessageKind::Private,
            Log::All => true,
        }
    }

    /// `history` or `search`: nothing else is taken up before its result.
    pub(super) fn look_up(&mut self, line: u64, verb: Verb, query: Query) {
        if self.settings.log == Log::Off {
            return self.local_result(line, verb, None, Err(Code::NoLog));
        }
        self.looking_up = Some((line, verb));
        self.outbox.look_up(line, query);
    }

    /// What was looked up, oldest first; `None` if the log cannot be read.
    pub(super) fn on_looked_up(&mut self, line: u64, found: Option<Vec<Logged>>) {
        if let Some((_, verb)) = self.looking_up.take_if(|(asked, _)| *asked == line) {
            let outcome = found.map(|messages| Success::History { messages }).ok_or(Code::NoLog);
            self.result(AskedBy::local(line, verb, None), outcome);
        }
    }

    /// The session ends: a question that is open has its result.
    pub(super) fn end_look_up(&mut self) {
        if let Some((line, verb)) = self.looking_up.take()
            && !planted::is(Planted::ClientLosesQuestion)
        {
            self.result(AskedBy::local(line, verb, None), Err(Code::NotConnected));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(kind: MessageKind, with: &str, text: &str) -> Logged {
        Logged { kind, with: with.into(), from: "hans".into(), text: text.into(), sent_at: Time(1) }
    }

    #[test]
    fn a_history_is_of_all_of_a_user_or_of_a_group() {
        let user = |count| Query { about: About::User("luke".into()), count };
        for (rest, query) in [
            ("", Some(Query { about: About::All, count: 20 })),
            (" 7", Some(Query { about: About::All, count: 7 })),
            (" luke", Some(user(20))),
            ("  luke  1000 ", Some(user(1_000))),
            (" group jedi 3", Some(Query { about: About::Group("jedi".into()), count: 3 })),
            (" luke 0", None),
            (" luke 1001", None),
            (" group", None),
            (" luke yoda", None),
            (" group jedi yoda", None),
        ] {
            assert_eq!(Query::history(rest), query, "{rest:?}");
        }
    }

    #[test]
    fn each_finds_its_own() {
        let direct = logged(MessageKind::Direct, "luke", "See the Stars");
        let group = logged(MessageKind::Group, "luke", "no stars");
        let private = logged(MessageKind::Private, "luke", "psst");
        let wanted = |query: Option<Query>| {
            let query = query.unwrap();
            [&direct, &group, &private].map(|one| query.wants(one))
        };
        assert_eq!(wanted(Query::history("luke")), [true, false, true]);
        assert_eq!(wanted(Query::history("group luke")), [false, true, false]);
        assert_eq!(wanted(Query::history("")), [true; 3]);
        assert_eq!(wanted(Query::search(" STARS the")), [true, false, false]);
        assert_eq!(Query::search("   "), None);
    }

    #[test]
    fn the_start_shows_a_few_lines_of_a_few_conversations() {
        let mut all = Vec::new();
        for with in ["a", "b", "c", "d", "e"] {
            for text in ["1", "2", "3", "4"] {
                all.push(logged(MessageKind::Direct, with, text));
            }
        }
        let last = last_of_each(all);
        let shown: Vec<(&str, &str)> = last.iter().map(|one| (&*one.with, &*one.text)).collect();
        assert_eq!(shown.len(), 12);
        assert_eq!(shown[..3], [("b", "2"), ("b", "3"), ("b", "4")]);
    }
}
