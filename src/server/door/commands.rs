//! Commands of those who are logged in: each is done once, and answered once.

use super::ServerState;
use super::accounts::UserId;
use super::effect::SessionEnd;
use super::ledger::Standing;
use super::outbox::Written;
use super::settings::OfflineDelivery;
use crate::planted::{self, Planted};
use crate::record::{Outcome, RecordNumber};
use crate::wire::{Answer, Code, Command, PingStatus, ServerLine, Status, Words};
use crate::words::{LinkId, LoginNumber, Origin, Text};

/// Who gave a command, and how the answer finds him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asker {
    pub(super) user: UserId,
    pub(super) login: LoginNumber,
    pub(super) link: LinkId,
    pub(super) number: Option<u64>,
    /// Whether a repeat is answered from the ledger.
    remembered: bool,
}

impl Asker {
    /// The command as its receivers will know it.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.number.map(|number| Origin { login: self.login, number })
    }

    /// Whether a repeat is answered from the ledger.
    pub(super) const fn is_remembered(&self) -> bool {
        self.remembered
    }
}

/// Whether a repeat must not be done again. What only asks is asked again.
const fn is_remembered(command: &Command<'_>) -> bool {
    match command {
        Command::Message { .. }
        | Command::Broadcast { .. }
        | Command::Block { .. }
        | Command::Unblock { .. }
        | Command::CreateGroup { .. }
        | Command::MessageGroup { .. }
        | Command::AddToGroup { .. }
        | Command::RemoveFromGroup { .. }
        | Command::LeaveGroup { .. }
        | Command::DeleteGroup { .. } => true,
        Command::Whoelse
        | Command::WhoelseSince { .. }
        | Command::Wholasthr
        | Command::Offline
        | Command::Ping { .. }
        | Command::GroupList
        | Command::StartPrivate { .. }
        | Command::Accept { .. }
        | Command::Decline { .. }
        | Command::Help { .. }
        | Command::Logout => false,
    }
}

impl ServerState {
    pub(super) fn obey_command(
        &mut self,
        link: LinkId,
        user: UserId,
        number: Option<u64>,
        command: Command<'_>,
    ) {
        self.note_activity(user, true);
        let login = self.accounts[user].login;
        let remembered = number.is_some() && is_remembered(&command);
        let asker = Asker { user, login, link, number, remembered };
        if let (Some(number), true) = (number, remembered && !planted::is(Planted::RepeatDoneAgain)) {
            match self.accounts[user].ledger.standing(number) {
                Standing::New => self.accounts[user].ledger.open(number),
                Standing::Open => return,
                Standing::Settled(outcome) => return self.answer_repeat(&asker, &command, outcome),
            }
        }
        self.carry_out(asker, command);
    }

    fn carry_out(&mut self, asker: Asker, command: Command<'_>) {
        match command {
            Command::Message { to, text } => self.message(asker, to, text),
            Command::Broadcast { text } => self.broadcast(asker, text),
            Command::Whoelse => self.whoelse(asker),
            Command::WhoelseSince { seconds } => {
                self.whoelse_since(asker, seconds, |count| Answer::WhoelseSince { count });
            }
            Command::Wholasthr => self.whoelse_since(asker, 3600, |count| Answer::Wholasthr { count }),
            Command::Block { user } => self.block(asker, user),
            Command::Unblock { user } => self.unblock(asker, user),
            Command::Offline => self.offline(asker),
            Command::Ping { user } => self.ping(asker, user),
            Command::CreateGroup { group, members } => self.create_group(asker, group, members),
            Command::MessageGroup { group, text } => self.message_group(asker, group, text),
            Command::GroupList => self.group_list(asker),
            Command::AddToGroup { group, user } => self.add_to_group(asker, group, user),
            Command::RemoveFromGroup { group, user } => self.remove_from_group(asker, group, user),
            Command::LeaveGroup { group } => self.leave_group(asker, group),
            Command::DeleteGroup { group } => self.delete_group(asker, group),
            Command::StartPrivate { user, endpoints } => self.start_private(asker, user, endpoints),
            Command::Accept { user, endpoints } => self.accept_private(asker, user, endpoints),
            Command::Decline { user } => self.decline_private(asker, user),
            Command::Help { about } => self.help(asker, about),
            Command::Logout => self.leave(asker),
        }
    }

    pub(super) fn log_out(&mut self, asker: Asker) {
        self.answer(&asker, None, Outcome::Done, Answer::Logout);
        self.end_session(asker.user, SessionEnd::Logout);
    }

    /// The link on which a command's answer leaves: the one it came on or, if it has a number, the
    /// one its client resumed on.
    pub(super) fn asker_link(&self, asker: &Asker) -> Option<LinkId> {
        let account = &self.accounts[asker.user];
        let link = account.session.as_ref()?.link?;
        let same = account.login == asker.login && (asker.number.is_some() || link == asker.link);
        same.then_some(link)
    }

    /// Answers a command that succeeded; at the place kept for it, if a record made it wait.
    pub(super) fn answer(
        &mut self,
        asker: &Asker,
        record: Option<RecordNumber>,
        outcome: Outcome,
        answer: Answer<'_>,
    ) {
        let written = self.outbox.write(|out| ServerLine::Done { number: asker.number, answer }.encode(out));
        self.answer_written(asker, record, outcome, written);
    }

    /// Answers a command with what was written already.
    pub(super) fn answer_written(
        &mut self,
        asker: &Asker,
        record: Option<RecordNumber>,
        outcome: Outcome,
        written: Written,
    ) {
        self.note_outcome(asker, outcome);
        self.send_answer(asker, record, written);
    }

    /// Answers a command that failed.
    pub(super) fn fail(&mut self, asker: &Asker, record: Option<RecordNumber>, code: Code, command: &str) {
        self.note_outcome(asker, Outcome::Failed(code));
        let line = ServerLine::Failed { number: asker.number, code, command };
        let written = self.outbox.write(|out| line.encode(out));
        self.send_answer(asker, record, written);
    }

    /// Sends an answer at the place that was kept for it, or behind everything.
    pub(super) fn send_answer(&mut self, asker: &Asker, record: Option<RecordNumber>, written: Written) {
        if let Some(record) = record
            && let Some(place) = self.journal.take_place(record)
            && self.fill_answer(place, record, written)
        {
            return;
        }
        if let Some(link) = self.asker_link(asker) {
            self.queue(link, RecordNumber(0), written);
            if planted::is(Planted::AnsweredTwice) {
                self.queue(link, RecordNumber(0), written);
            }
        }
    }

    pub(super) fn note_outcome(&mut self, asker: &Asker, outcome: Outcome) {
        let account = &mut self.accounts[asker.user];
        if let (Some(number), true) = (asker.number, asker.remembered)
            && account.login == asker.login
        {
            account.ledger.settle(number, outcome);
        }
    }

    /// The answer to a command that was done before; its words stand in the repeat itself.
    fn answer_repeat(&mut self, asker: &Asker, command: &Command<'_>, outcome: Outcome) {
        if let Outcome::Failed(code) = outcome {
            return self.fail(asker, None, code, command.name());
        }
        if let Command::CreateGroup { group, .. }
        | Command::AddToGroup { group, .. }
        | Command::RemoveFromGroup { group, .. } = command
        {
            self.send_members_of(asker, group);
        }
        if let Some(link) = self.asker_link(asker)
            && let Some(answer) = repeated_answer(command, outcome)
        {
            self.send(link, &ServerLine::Done { number: asker.number, answer });
        }
    }

    /// Sends names in as few lines as they fit in.
    pub(super) fn send_users(&mut self, asker: &Asker, names: &[&str]) {
        if let Some(link) = self.asker_link(asker) {
            for line in super::listing::word_lines(names) {
                if let Some(users) = Words::new(&line) {
                    self.send(link, &ServerLine::Users { number: asker.number, users });
                }
            }
        }
    }

    fn offline(&mut self, asker: Asker) {
        match self.settings.offline_delivery {
            OfflineDelivery::Manual => self.show_on_command(asker.user, asker),
            OfflineDelivery::Auto | OfflineDelivery::Off => {
                self.answer(&asker, None, Outcome::Done, Answer::Offline { messages: 0 });
            }
        }
    }

    fn ping(&mut self, asker: Asker, user: &str) {
        let other = match self.another(&asker, user) {
            Ok(other) => other,
            Err(code) => return self.fail(&asker, None, code, "ping"),
        };
        let own = self.settings.block_mutual && self.block_of(asker.user, other).is_shut();
        let barred = self.reach(asker.user, other).is_shut() && !planted::is(Planted::BlockSkippedInPing);
        let status = if !barred {
            self.presence_of(other)
        } else if self.settings.ping_reveals_block || own {
            PingStatus::Blocked
        } else {
            PingStatus::Offline
        };
        let name = self.accounts.name(other).clone();
        self.answer(&asker, None, Outcome::Done, Answer::Ping { user: name.as_str(), status });
    }

    fn presence_of(&self, user: UserId) -> PingStatus {
        if self.accounts[user].session.is_some() { PingStatus::Online } else { PingStatus::Offline }
    }

    /// The account of that name, if it is not the asker's own.
    pub(super) fn another(&self, asker: &Asker, name: &str) -> Result<UserId, Code> {
        match self.accounts.find(name) {
            None => Err(Code::UnknownUser),
            Some(user) if user == asker.user => Err(Code::Oneself),
            Some(user) => Ok(user),
        }
    }

    fn help(&mut self, asker: Asker, about: Option<&str>) {
        let Some(link) = self.asker_link(&asker) else { return };
        let is_about = |line: &&str| match about {
            Some(about) => {
                line.strip_prefix(about).is_some_and(|rest| matches!(rest.as_bytes(), [] | [b' ', ..]))
            }
            None => true,
        };
        if !HELP.lines().any(|line| is_about(&line)) {
            return self.fail(&asker, None, Code::UnknownCommand, "help");
        }
        for line in HELP.lines().filter(is_about) {
            if let Some(text) = Text::new(line) {
                self.send(link, &ServerLine::Help(text));
            }
        }
        self.answer(&asker, None, Outcome::Done, Answer::Help);
    }
}

/// For those who speak the protocol by hand; our own client has its own help.
const HELP: &str = "\
message USER TEXT
broadcast TEXT
whoelse
whoelsesince SECONDS
wholasthr
block USER
unblock USER
offline
ping USER
create group NAME USER...
message group NAME TEXT
grouplist
add group NAME USER
remove group NAME USER
leave group NAME
delete group NAME
startprivate USER ENDPOINT...
accept USER ENDPOINT...
decline USER
help [COMMAND]
logout";

fn repeated_answer<'a>(command: &Command<'a>, outcome: Outcome) -> Option<Answer<'a>> {
    Some(match (command, outcome) {
        (Command::Message { to, .. }, Outcome::Message(status)) => Answer::Message { to, status },
        // The ledger of a message that the store took says `stored` from the record on.
        (Command::Message { to, .. }, _) => Answer::Message { to, status: Status::Stored },
        (Command::Broadcast { .. }, Outcome::Broadcast { recipients, withheld }) => {
            Answer::Broadcast { recipients: u64::from(recipients), withheld }
        }
        (Command::MessageGroup { group, .. }, Outcome::Group { delivered, stored, refused, withheld }) => {
            Answer::MessageGroup {
                group,
                delivered: u64::from(delivered),
                stored: u64::from(stored),
                refused: u64::from(refused),
                withheld,
            }
        }
        (Command::Block { user }, _) => Answer::Block { user },
        (Command::Unblock { user }, _) => Answer::Unblock { user },
        (Command::CreateGroup { group, .. }, _) => Answer::CreateGroup { group },
        (Command::AddToGroup { group, .. }, _) => Answer::AddToGroup { group },
        (Command::RemoveFromGroup { group, .. }, _) => Answer::RemoveFromGroup { group },
        (Command::LeaveGroup { group }, _) => Answer::LeaveGroup { group },
        (Command::DeleteGroup { group }, _) => Answer::DeleteGroup { group },
        (
            Command::Broadcast { .. }
            | Command::MessageGroup { .. }
            | Command::Whoelse
            | Command::WhoelseSince { .. }
            | Command::Wholasthr
            | Command::Offline
            | Command::Ping { .. }
            | Command::GroupList
            | Command::StartPrivate { .. }
            | Command::Accept { .. }
            | Command::Decline { .. }
            | Command::Help { .. }
            | Command::Logout,
            _,
        ) => return None,
    })
}
