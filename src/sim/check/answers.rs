//! Answers: each command gets one, it is what the reference says, and it is true when it leaves.

use alloc::collections::btree_map::Entry;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::allowed::Allowed;
use super::links::LinkSeen;
use super::wishes::{Line, command_of, is_change};
use super::{Check, Verdict, rule, words};
use crate::sim::known::Asked;
use crate::sim::model::User;
use crate::time::Time;
use crate::wire::{Answer, ClientLine, Code, Command, Status};
use crate::words::LinkId;

/// An answer that is owed.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Expected {
    pub(super) number: Option<u64>,
    command: &'static str,
    /// The command, encoded.
    line: Vec<u8>,
    /// Its place among the lines of all users.
    pub(super) order: u64,
    /// The text it sends, if it sends one.
    pub(super) text: Option<u32>,
    pub(super) at: Time,
    number_is: Number,
    /// It was not obeyed when it came.
    waited: bool,
    /// What was allowed when it came, if it was obeyed at once and is answered later.
    allowed: Option<Allowed>,
}

/// What the number of a command is used for already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// For nothing, or there is none.
    Fresh,
    /// For the same words: it is answered as the first time.
    Again,
    /// For other words: it is misused.
    Misused,
    /// For other words, of which it is not known whether they were obeyed.
    PerhapsMisused,
}

/// What is answered: success, or an error and the name of the command.
type Said<'a> = Result<&'a Answer<'a>, (Code, &'a str)>;

impl Expected {
    /// Whether `usage`, or anything else, may be its answer.
    fn may_be(&self, misused: bool) -> bool {
        match self.number_is {
            Number::Fresh | Number::Again => !misused,
            Number::Misused => misused,
            Number::PerhapsMisused => true,
        }
    }

    /// Whether it is answered as soon as it is obeyed, or its record is known.
    pub(super) fn is_answered_soon(&self) -> bool {
        let later = ["message", "message group", "startprivate", "accept", "offline", "logout"];
        self.number_is == Number::Fresh && !later.contains(&self.command)
    }
}

impl LinkSeen {
    /// The command that an answer is of: by its number, else the first of its name.
    fn take_expected(&mut self, number: Option<u64>, said: &Said<'_>) -> Option<Expected> {
        let misused = matches!(said, Err((Code::Usage, _)));
        // A line that is no command may bear the number of one.
        let is_other = |expected: &Expected| match said {
            Err((Code::UnknownCommand, name)) => *name != expected.command,
            _ => false,
        };
        let fits = |expected: &Expected| match number {
            Some(_) => expected.number == number && expected.may_be(misused) && !is_other(expected),
            None => expected.number.is_none() && is_said_of(said, expected),
        };
        let place = self.expected.iter().position(fits);
        let place = place.or_else(|| {
            let same = |expected: &Expected| expected.number == number && !is_other(expected);
            self.expected.iter().position(same).filter(|_| number.is_some() && !misused)
        });
        let taken = self.expected.remove(place?);
        // One answer may be that of the repeats as well that came meanwhile.
        self.expected.retain(|expected| {
            number.is_none() || expected.number != number || expected.number_is != Number::Again
        });
        taken
    }
}

impl Check {
    /// A command reaches the server. `certain`: it is obeyed, and now unless its user waits. Says whether what
    /// follows in the same chunk is.
    pub(super) fn requested(
        &mut self,
        link: LinkId,
        number: Option<u64>,
        command: &Command<'_>,
        certain: bool,
    ) -> bool {
        let line = encoded(command);
        let Some(seen) = self.links.seen.get_mut(&link) else { return false };
        let Some(user) = seen.user.filter(|_| seen.welcomed) else {
            seen.ahead.push_back(with_number(number, &line));
            return certain;
        };
        if seen.leaving.is_some() || seen.over.is_some() {
            return false;
        }
        let login = seen.login;
        let order = self.wishes.next_line();
        let at_once = certain && self.is_obeyed_at_once(link) && !self.waits_for_mail(user, command);
        let number_is =
            number.map_or(Number::Fresh, |number| self.number_is((user, login), number, link, &line, order));
        let told = number.is_some();
        let text = self.text_requested(link, command, at_once, told, order);
        let judged = at_once && number_is == Number::Fresh && is_answered_later(command);
        let allowed = judged.then(|| self.allowed(user, command));
        if is_change(command) {
            self.wishes.ask(&Line { user, words: &line, login, link, number, order });
        }
        let (at, name) = (self.now, command.name());
        // The answer to a repeat may be that of the first time.
        let asked = number.and_then(|number| self.model.asked_mut(user, login, number));
        let order = asked.filter(|_| number_is == Number::Again).map_or(order, |asked| asked.order);
        let expected =
            Expected { number, command: name, line, order, text, at, number_is, waited: !at_once, allowed };
        if let Some(seen) = self.links.seen.get_mut(&link) {
            seen.expected.push_back(expected);
        }
        if matches!(command, Command::Logout)
            && let Some(session) = self.model.session_mut(user)
        {
            session.logout_asked = true;
            self.logout_asked(link);
        }
        certain && !matches!(command, Command::Offline | Command::Logout)
    }

    /// A line that came before its link was let in is obeyed now.
    pub(super) fn obey_ahead(&mut self, link: LinkId, line: &[u8]) {
        if let Ok(ClientLine::Request { number, command }) = ClientLine::parse(line) {
            self.requested(link, number, &command, false);
        }
    }

    /// What a number is used for; it is used from now on.
    fn number_is(
        &mut self,
        asker: (User, u64),
        number: u64,
        link: LinkId,
        line: &[u8],
        order: u64,
    ) -> Number {
        let (user, login) = asker;
        let known = &mut self.model.users[user];
        let remembered = known.answered.0 != login || number > known.answered.1;
        let asked = match known.numbers.entry((login, number)) {
            Entry::Vacant(entry) => {
                let words = line.to_vec();
                entry.insert(Asked { waits: 1, words, link: Some(link), order, answered: false });
                // It was said to be answered before it came.
                return if remembered { Number::Fresh } else { Number::PerhapsMisused };
            }
            Entry::Occupied(entry) => entry.into_mut(),
        };
        let used = asked.answered || asked.link == Some(link);
        let only_asks = command_of(&asked.words).is_none_or(|command| !is_remembered(&command));
        if !remembered {
            asked.waits += 1;
            Number::PerhapsMisused
        } else if asked.words == line {
            asked.waits += 1;
            Number::Again
        } else if used && !only_asks {
            Number::Misused
        } else {
            asked.waits += 1;
            Number::PerhapsMisused
        }
    }

    /// A client says that it has all answers up to a number.
    pub(super) fn answers_acknowledged(&mut self, link: LinkId, answered: Option<u64>) {
        let seen = self.links.seen.get(&link).filter(|seen| seen.welcomed);
        let Some((user, login)) = seen.and_then(|seen| Some((seen.user?, seen.login))) else { return };
        let known = &mut self.model.users[user];
        known.answered = known.answered.max((login, answered.unwrap_or(0)));
        // What was said again before that, and waits, may be misused by now.
        let expected = self.links.seen.get_mut(&link).map(|seen| seen.expected.iter_mut());
        for expected in expected.into_iter().flatten().filter(|expected| expected.number <= answered) {
            if expected.number_is != Number::Fresh {
                expected.number_is = Number::PerhapsMisused;
            }
        }
    }

    /// An answer goes out: it is owed, and it is one that is allowed.
    pub(super) fn answered(&mut self, link: LinkId, number: Option<u64>, said: Said<'_>) -> Verdict {
        let seen = self.links.seen.get_mut(&link);
        let (list, members) = seen.map_or_else(Default::default, |seen| {
            (core::mem::take(&mut seen.list), core::mem::take(&mut seen.members))
        });
        self.logout_moved(link);
        let expected = self.links.seen.get_mut(&link).and_then(|seen| seen.take_expected(number, &said));
        let Some(expected) = expected else { return self.answers_nothing(link, number, &said) };
        if expected.number_is != Number::Misused {
            self.count_off(link, number);
        }
        let Some(user) = self.links.seen.get(&link).and_then(|seen| seen.user) else { return Ok(()) };
        let login = self.links.seen.get(&link).map_or(0, |seen| seen.login);
        let line = Line { user, words: &expected.line, login, link, number, order: expected.order };
        if let Some(record) = self.wishes.record_of(&line) {
            self.is_settled(record);
        }
        if expected.waited || self.wishes.is_for(&line) {
            // Whoever waits is not idle, and a line that has waited counts when it is obeyed.
            self.perhaps_activity(link);
        }
        self.line_has_its_turn(&line)?;
        self.notices_come_first(user, expected.order)?;
        match expected.number_is {
            Number::Misused => {
                let misused = matches!(said, Err((Code::Usage, _)));
                let line = words(&expected.line);
                rule!(self, misused, "a number is used for one command", "#{number:?} {line}: {said:?}");
            }
            Number::Fresh
                if number.is_some() || !(is_late(expected.command) || is_list(expected.command)) =>
            {
                self.answer_fits(user, &expected, &said, &list, &members)?;
                let unasked = said.is_ok() && self.wishes.record_of(&line).is_none();
                self.success_has_a_record(user, &expected, unasked)?;
            }
            Number::Fresh | Number::Again | Number::PerhapsMisused => {}
        }
        self.wishes.answered(&line);
        let said = said.map_err(|(code, _)| code);
        self.same_answer(link, &expected, said)?;
        self.text_answered(&expected, said)
    }

    /// An answer that no command on this link waits for.
    fn answers_nothing(&mut self, link: LinkId, number: Option<u64>, said: &Said<'_>) -> Verdict {
        // A line that cannot be read is no command, though it may bear the number of one.
        if matches!(said, Err((Code::Usage | Code::UnknownCommand | Code::TooLong, _))) {
            return Ok(());
        }
        let asked = number.is_none() || self.count_off(link, number);
        rule!(self, asked, "every command has one answer", "{link:?} #{number:?}: {said:?}");
        Ok(())
    }

    /// Whether a command of this number has come, here or on an earlier link, and waits for its answer.
    fn count_off(&mut self, link: LinkId, number: Option<u64>) -> bool {
        let (Some(seen), Some(number)) = (self.links.seen.get(&link), number) else { return false };
        let (Some(user), login) = (seen.user, seen.login) else { return false };
        let Some(asked) = self.model.asked_mut(user, login, number) else { return false };
        asked.answered = true;
        let waited = asked.waits > 0;
        asked.waits = asked.waits.saturating_sub(1);
        waited
    }

    /// An answer is what the reference says, by how things stand now.
    fn answer_fits(
        &mut self,
        user: User,
        expected: &Expected,
        said: &Said<'_>,
        list: &[User],
        members: &[User],
    ) -> Verdict {
        let Some(command) = command_of(&expected.line) else { return Ok(()) };
        // Of an account that is to be purged only what it has done is judged.
        if self.model.users[user].is_odd() && !(said.is_ok() && is_change(&command)) {
            return Ok(());
        }
        // Settings that change meanwhile decide as well.
        if is_late(expected.command) && self.settled_at >= expected.at {
            return Ok(());
        }
        let refused = self.refused_at >= expected.at;
        let fits = match said {
            Err((Code::StorageUnavailable, _)) => refused,
            Err((Code::OutcomeUnknown, _)) => is_late(expected.command),
            Err((code, _)) => self.at_some_point(|check| {
                check.fits(&check.allowed_now(user, expected, &command), Err(*code), list)
            }),
            Ok(answer) if is_change(&command) => self.at_some_point(|check| {
                check.change_is_true(user, &command, answer) && check.members_are_true(answer, members)
            }),
            Ok(answer) => self.at_some_point(|check| {
                check.fits(&check.allowed_now(user, expected, &command), Ok(answer), list)
            }),
        };
        let allowed = self.allowed_now(user, expected, &command);
        rule!(
            self,
            fits,
            "answers are those of the reference",
            "{} #{:?}: {said:?} {list:?} {members:?}, should be {allowed:?} (users {:?})",
            expected.command,
            expected.number,
            self.model.users.iter().map(|known| known.name.to_string()).collect::<Vec<_>>()
        );
        Ok(())
    }

    /// What an answer may be now; of what is answered later, what it might be when it came.
    fn allowed_now(&self, user: User, expected: &Expected, command: &Command<'_>) -> Allowed {
        match &expected.allowed {
            Some(allowed) => allowed.clone(),
            None if is_answered_later(command) => self.allowed_later(user, command, expected.at),
            None => self.allowed(user, command),
        }
    }

    /// A change that is said to be made was made, unless it was so already and that is no error.
    fn success_has_a_record(&self, user: User, expected: &Expected, unasked: bool) -> Verdict {
        let Some(command) = command_of(&expected.line).filter(is_change) else { return Ok(()) };
        let already = match command {
            Command::Block { .. } | Command::Unblock { .. } => !self.model.settings.strict_block,
            Command::AddToGroup { .. } => true,
            _ => false,
        };
        let fine = !unasked || already || self.model.users[user].is_odd();
        rule!(self, fine, "what is confirmed was stored", "{}", words(&expected.line));
        Ok(())
    }

    /// A repeat of a command that changes something gets the same answer.
    fn same_answer(&mut self, link: LinkId, expected: &Expected, said: Result<&Answer<'_>, Code>) -> Verdict {
        let seen = self.links.seen.get(&link);
        let asker = seen.and_then(|seen| Some((seen.user?, seen.login)));
        let (Some((user, login)), Some(number)) = (asker, expected.number) else { return Ok(()) };
        let remembered = command_of(&expected.line).is_some_and(|command| is_remembered(&command));
        let known = &mut self.model.users[user];
        if !remembered || login != known.login || expected.number_is == Number::Misused {
            return Ok(());
        }
        let short = said.map(accepted);
        let before = known.answers.insert((login, number), short);
        let same =
            before.is_none_or(|before| before == short) || expected.number_is == Number::PerhapsMisused;
        rule!(self, same, "a repeat gets the same answer", "#{number}: {short:?} after {before:?}");
        Ok(())
    }

    /// A line that nothing holds up is obeyed, and answered if its answer is known then.
    pub(super) fn whoever_waits_for_nothing_is_answered(&self) -> Verdict {
        for (link, seen) in self.links.seen.iter().filter(|(_, seen)| !seen.expected.is_empty()) {
            let odd = seen.user.is_none_or(|user| self.model.users[user].is_odd());
            let free = !odd && self.is_at_rest() && self.is_obeyed_at_once(*link) && self.is_flushed(*link);
            let waiting = seen.expected.iter().find(|expected| free && expected.is_answered_soon());
            let line = waiting.map(|expected| words(&expected.line));
            rule!(self, line.is_none(), "what waits for nothing is done at once", "{link:?}: {line:?}");
        }
        Ok(())
    }

    /// At the end nothing is owed any more.
    pub(super) fn everything_is_answered(&self) -> Verdict {
        for (link, seen) in &self.links.seen {
            let owed = seen.expected.front();
            rule!(self, owed.is_none(), "every command has one answer", "{link:?} waits for {owed:?}");
        }
        Ok(())
    }
}

/// A command as it is kept: encoded, without the end of its line.
fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    ClientLine::Request { number: None, command: command.clone() }.encode(&mut line);
    line.pop();
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line
}

fn with_number(number: Option<u64>, line: &[u8]) -> Vec<u8> {
    let mut whole = number.map_or_else(Vec::new, |number| alloc::format!("#{number} ").into_bytes());
    whole.extend_from_slice(line);
    whole
}

/// Whether what is said without a number may be said of a command.
fn is_said_of(said: &Said<'_>, expected: &Expected) -> bool {
    let answer = match said {
        Ok(answer) => answer,
        Err((Code::Usage | Code::TooLong, _)) => return false,
        Err((_, command)) => return *command == expected.command,
    };
    let about = |command: Command<'_>| match (command, answer) {
        (Command::Message { to, .. }, Answer::Message { to: told, .. }) => to == *told,
        (Command::MessageGroup { group, .. }, Answer::MessageGroup { group: told, .. }) => group == *told,
        _ => true,
    };
    name_of(answer) == expected.command && command_of(&expected.line).is_some_and(about)
}

/// The command that an answer is of.
const fn name_of(answer: &Answer<'_>) -> &'static str {
    match answer {
        Answer::Message { .. } => "message",
        Answer::Broadcast { .. } => "broadcast",
        Answer::Whoelse { .. } => "whoelse",
        Answer::WhoelseSince { .. } => "whoelsesince",
        Answer::Wholasthr { .. } => "wholasthr",
        Answer::Block { .. } => "block",
        Answer::Unblock { .. } => "unblock",
        Answer::Offline { .. } => "offline",
        Answer::Ping { .. } => "ping",
        Answer::CreateGroup { .. } => "create group",
        Answer::MessageGroup { .. } => "message group",
        Answer::GroupList { .. } => "grouplist",
        Answer::AddToGroup { .. } => "add group",
        Answer::RemoveFromGroup { .. } => "remove group",
        Answer::LeaveGroup { .. } => "leave group",
        Answer::DeleteGroup { .. } => "delete group",
        Answer::StartPrivate { .. } => "startprivate",
        Answer::Accept { .. } => "accept",
        Answer::Decline { .. } => "decline",
        Answer::Help => "help",
        Answer::Logout => "logout",
    }
}

/// Whether a command is answered when something else has happened.
const fn is_answered_later(command: &Command<'_>) -> bool {
    matches!(command, Command::Message { .. } | Command::MessageGroup { .. } | Command::StartPrivate { .. })
}

/// The same, by its name.
fn is_late(command: &str) -> bool {
    matches!(command, "message" | "message group" | "startprivate")
}

/// Whether an answer may leave later than it was made: as the reader takes what is before it.
fn is_list(command: &str) -> bool {
    matches!(command, "whoelse" | "whoelsesince" | "wholasthr")
}

/// Whether a repeat is not done again.
const fn is_remembered(command: &Command<'_>) -> bool {
    is_change(command)
        || matches!(
            command,
            Command::Message { .. } | Command::Broadcast { .. } | Command::MessageGroup { .. }
        )
}

/// Whether an answer says that a message arrived somewhere.
pub(super) const fn accepted(answer: &Answer<'_>) -> Option<Status> {
    if let Answer::Message { status, .. } = answer { Some(*status) } else { None }
}
