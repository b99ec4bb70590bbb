//! Typed lines in a session, and the one result that each of them gets.

use alloc::string::String;

use super::input::Typed;
use super::intent::{self, Intent, Misread};
use super::outstanding::{Asked, AskedBy, Parts, Said};
use super::standing::Standing;
use super::verb::Verb;
use super::view::{Failure, Success, View};
use super::{ClientState, Phase, answers, help};
use crate::wire::{Answer, ClientLine, Code, Command, CommandKind, Status};

/// Commands without a result at a time; further typed lines wait.
const WINDOW: usize = 256;
/// Distance between the oldest and the newest open command. The server and each receiver remember this many
/// commands, so that both recognise a repeat of the oldest.
const SPAN: u64 = 512;

impl ClientState {
    pub(super) fn has_room_for_commands(&self) -> bool {
        match &self.phase {
            Phase::Session(session) => {
                let open = session.commands.len() + self.peers.results_that_hold();
                open < WINDOW && session.commands.span() < SPAN
            }
            Phase::Entry(_) | Phase::Over => false,
        }
    }

    pub(super) fn take_command(&mut self, typed: &Typed) {
        if typed.is_blank() {
            return;
        }
        self.remember(typed);
        let addressed = if self.settings.terminal {
            let Some(command) = self.command_for(typed) else { return };
            Some(command)
        } else {
            None
        };
        let text = addressed.as_ref().map_or(&*typed.text, |command| command.as_bytes());
        match intent::read(text, &self.settings) {
            Ok(intent) => {
                self.unanswered.note_text(typed.line, &intent);
                self.carry_out(typed.line, intent);
            }
            Err(misread) => {
                self.misread(typed.line, misread);
                self.note_activity(false);
            }
        }
    }

    fn misread(&mut self, line: u64, misread: Misread) {
        let outcome = Err(self.failure(line, misread.code, None));
        self.outbox.show(View::Result { line, command: misread.command, outcome });
    }

    /// At a terminal a line is kept until it has its result.
    fn remember(&mut self, typed: &Typed) {
        if self.settings.terminal {
            let text = String::from_utf8_lossy(typed.text.trim_ascii()).into_owned();
            self.unanswered.add(typed.line, text, self.now);
        }
    }

    /// The error to show for a line. It is named if its outcome is not known, if it was never sent, or if others have
    /// no result yet either.
    pub(super) fn failure(&mut self, line: u64, code: Code, subject: Option<String>) -> Failure {
        let doubtful = matches!(code, Code::OutcomeUnknown | Code::NotConnected);
        let several = self.unanswered.len() > 1;
        let typed = self.unanswered.remove(line).filter(|_| doubtful || several);
        Failure { code, subject, typed }
    }

    fn carry_out(&mut self, line: u64, intent: Intent<'_>) {
        match intent {
            Intent::Request(command) => return self.request(Some(line), command),
            Intent::Logout => return self.leave(Some(line)),
            Intent::StartPrivate { user } => return self.ask_private(line, user),
            Intent::Accept { user } => return self.reply(Some(line), user, true),
            Intent::Decline { user } => return self.reply(Some(line), user, false),
            Intent::Reply(yes) => return self.reply_to_oldest(line, yes),
            Intent::Private { to, text } => self.send_private(line, to, text),
            Intent::StopPrivate { user } => self.stop_private(line, user),
            Intent::Verify { user, is_right } => self.verify(line, user, is_right),
            Intent::Trust { user } => self.trust(line, user),
            Intent::Path { user, way } => self.choose_path(line, user, way),
            Intent::History(query) => self.look_up(line, Verb::History, query),
            Intent::Search(query) => self.look_up(line, Verb::Search, query),
            Intent::Help { about } => self.explain(line, about),
        }
        self.note_activity(true);
    }

    /// Numbers a command for the server and sends it, or keeps it until it can be sent.
    pub(super) fn request(&mut self, line: Option<u64>, command: Command<'_>) {
        let Some(session) = self.session() else { return };
        let number = session.commands.add(line, command);
        match &session.standing {
            Standing::Online => self.send_command(number),
            Standing::Lost(lost) if lost.is_given_up() => {
                if let Some(asked) = session.commands.settle(number) {
                    self.result(asked.command, Err(Code::NotConnected));
                }
            }
            Standing::Lost(_) | Standing::Opening(_) => {}
        }
    }

    /// Sends a command for the first time, or again on a new connection.
    pub(super) fn send_command(&mut self, number: u64) {
        let Phase::Session(session) = &mut self.phase else { return };
        let Some(asked) = session.commands.get_mut(number) else { return };
        if asked.command.line.is_some() && asked.said == Said::NotYet {
            self.outbox.note_open(number);
        }
        asked.say();
        self.outbox.send_encoded(&asked.bytes);
    }

    /// Part of a list that belongs to the answer of a command. If it does not fit, the command is not repeated: its
    /// list would not fit again.
    pub(super) fn on_part(&mut self, number: u64, add: impl FnOnce(&mut Parts, usize) -> bool) {
        let Some(session) = self.session() else { return };
        let room = session.room_for_lists();
        let fits = session.commands.get_mut(number).is_none_or(|asked| add(&mut asked.parts, room));
        if !fits && let Some(asked) = session.commands.settle(number) {
            self.settled(number, asked.command, Err(Code::OutcomeUnknown));
            self.refuse_excess();
        }
    }

    pub(super) fn on_answer(&mut self, number: u64, answer: Answer<'_>) {
        let Some(session) = self.session() else { return };
        let Some(asked) = session.commands.settle(number) else { return };
        let answer = asked.honest(answer);
        let Asked { command, parts, bytes, .. } = asked;
        if answer.is_ok() && command.line.is_some() {
            self.log_sent(&bytes);
        }
        if command.is_private() {
            self.on_introduced(number, command);
        } else {
            self.settled(number, command, answer.map(|answer| answers::success(answer, parts)));
        }
    }

    pub(super) fn on_failure(&mut self, number: Option<u64>, code: Code) {
        if number.is_none() {
            self.on_unnumbered_answer();
        }
        let Some(session) = self.session() else { return };
        let unread = (code == Code::TooLong).then(|| session.commands.longest_sent());
        let Some(number) = number.or(unread.flatten()) else { return };
        if let Some(asked) = session.commands.settle(number) {
            let is_logout = asked.command.is_logout();
            let code = asked.honest_code(code);
            let Asked { mut command, parts, .. } = asked;
            command.why = (!parts.lines.is_empty()).then(|| parts.lines.join("; "));
            self.settled(number, command, Err(code));
            if is_logout {
                self.on_logout_refused();
            }
        }
    }

    /// Shows the result of a command that was sent to the server.
    pub(super) fn settled(&mut self, number: u64, command: AskedBy, outcome: Result<Success, Code>) {
        let noted = command.line.is_some();
        self.result(command, outcome);
        if noted {
            self.outbox.note_settled(number);
        }
        self.tell_answered();
    }

    pub(super) fn result(&mut self, command: AskedBy, outcome: Result<Success, Code>) {
        let Some(line) = command.line else { return };
        let verb = command.verb.into();
        let outcome = match outcome {
            Ok(mut success) => {
                self.name_text(line, &mut success);
                if let Some(session) = self.session() {
                    session.groups.learn(&success);
                }
                Ok(success)
            }
            Err(code) => Err(self.failure(line, code, command.subject(code))),
        };
        self.outbox.show(View::Result { line, command: verb, outcome });
    }

    /// At a terminal a text that was stored, or not delivered at once, is named when that is known.
    fn name_text(&mut self, line: u64, success: &mut Success) {
        let (stored, named) = match success {
            Success::Message { status, words, .. } => (*status == Status::Stored, Some(words)),
            Success::GroupMessage { stored, words, .. } => (*stored > 0, Some(words)),
            Success::Broadcast { .. }
            | Success::Whoelse { .. }
            | Success::Users { .. }
            | Success::User { .. }
            | Success::Offline { .. }
            | Success::Ping { .. }
            | Success::Seen { .. }
            | Success::Group { .. }
            | Success::Groups { .. }
            | Success::Private { .. }
            | Success::Verification { .. }
            | Success::Path { .. }
            | Success::Ordered { .. }
            | Success::Help { .. }
            | Success::History { .. }
            | Success::Done
            | Success::Logout => (false, None),
        };
        let words = self.unanswered.settle(line, stored, self.now);
        if let Some(named) = named {
            *named = words;
        }
    }

    /// Shows the result of a command that the server does not see.
    pub(super) fn local_result(
        &mut self,
        line: u64,
        verb: Verb,
        user: Option<&str>,
        outcome: Result<Success, Code>,
    ) {
        self.result(AskedBy::local(line, verb, user), outcome);
    }

    /// Fails all waiting lines.
    pub(super) fn refuse_waiting_lines(&mut self) {
        while let Some(typed) = self.input.pop() {
            if typed.is_blank() {
                continue;
            }
            self.remember(&typed);
            match intent::read(&typed.text, &self.settings) {
                Ok(intent) => {
                    self.local_result(typed.line, intent.verb(), None, Err(Code::NotConnected));
                }
                Err(misread) => self.misread(typed.line, misread),
            }
        }
    }

    fn explain(&mut self, line: u64, about: Option<&str>) {
        let outcome = help::text(about).map(|text| Success::Help { text }).ok_or(Code::UnknownCommand);
        self.local_result(line, Verb::Server(CommandKind::Help), about, outcome);
    }

    pub(super) fn is_oneself(&mut self, user: &str) -> bool {
        self.session().is_some_and(|session| session.user.as_str() == user)
    }

    /// Notes that a line was typed that the server does not see.
    pub(super) fn note_activity(&mut self, valid: bool) {
        if let Some(session) = self.session() {
            session.activity.note(valid);
            self.tell_activity();
        }
    }

    /// Tells the server about such lines, if it is time.
    pub(super) fn tell_activity(&mut self) {
        let now = self.now;
        let Some(session) = self.session() else { return };
        if session.is_online()
            && let Some(valid) = session.activity.take(now)
        {
            self.outbox.send(&ClientLine::Active { valid });
        }
    }

    pub(super) fn tell_answered(&mut self) {
        let now = self.now;
        if let Some(answered) = self.session().map(|session| session.commands.answered()) {
            self.delivery.answered(answered, now);
            self.acknowledge_when_due();
        }
    }

    /// Sends an acknowledgement if it is due.
    pub(super) fn acknowledge_when_due(&mut self) {
        if self.delivery.due().is_some_and(|due| due <= self.now) {
            self.acknowledge();
        }
    }

    pub(super) fn acknowledge(&mut self) {
        let online = self.session().is_some_and(|session| session.is_online());
        if online
            && self.link.is_greeted()
            && let Some(ack) = self.delivery.take()
        {
            self.outbox.send(&ClientLine::Acknowledge { shown: ack.shown, answered: ack.answered });
        }
    }
}
