//! What people see: one result a line, each message once and in order, nothing after the farewell.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};

use super::texts::Kind;
use super::{Check, Verdict, number_of, rule};
use crate::client::view::{Bye, Failure, Message, MessageKind, Notice, Success, View};
use crate::record::Outcome;
use crate::sim::trace::ProcessId;
use crate::wire::{Code, Status};
use crate::words::LinkId;

/// Commands that a client takes before one of them has its result.
const OPEN_COMMANDS: usize = 256;

const IN_TURN: &str = "private links open and close in turn";

/// All client programs that ever ran, and the state folders they used.
#[derive(Debug, Default)]
pub(in crate::sim) struct Clients {
    pub(super) running: BTreeMap<ProcessId, Running>,
    /// Where each program that ever ran has its state folders.
    homes: BTreeMap<ProcessId, u8>,
    callers: BTreeMap<LinkId, ProcessId>,
    folders: BTreeMap<(u8, String), FolderSeen>,
    /// Where a client was killed that may have shown what it had not noted, for nobody knows whom.
    doubtful_homes: BTreeSet<u8>,
    somebody: bool,
}

/// A client program.
#[derive(Debug, Default)]
pub(super) struct Running {
    home: u8,
    /// It is at a terminal, and not told to end with its server.
    pub(super) outlasts_server: bool,
    /// A command that fails shows in its exit code.
    pub(super) strict: bool,
    /// One has failed.
    pub(super) refused: bool,
    pub(super) user: Option<String>,
    /// Somebody was logged in.
    pub(super) was_in: bool,
    /// The server has ended the session, and it logs in again: what is typed may answer a prompt.
    logs_in_again: bool,
    /// Lines typed during the session whose results are not known.
    pub(super) open: BTreeSet<u64>,
    /// Lines typed behind more of them than a client takes, or behind a look into its log, which it waits for: at a
    /// prompt they answer that instead.
    ahead: BTreeSet<u64>,
    /// Lines that look into its log.
    look_ups: BTreeSet<u64>,
    /// All lines that may have a result.
    typed: BTreeMap<u64, Option<u32>>,
    /// Shown and not noted.
    unnoted: BTreeSet<u32>,
    /// Whose messages these are.
    reader: Option<String>,
    /// It has its state folder.
    has_folder: bool,
    leaving: bool,
    /// Lines that may end a session, this one or, typed ahead, a later one.
    logouts: BTreeSet<u64>,
    bye: bool,
    /// Why its last session ended, if nothing was asked since.
    pub(super) last_bye: Option<Bye>,
    pub(super) output_closed: bool,
    private: BTreeSet<String>,
    broadcasts: BTreeSet<(u32, usize)>,
    /// The last text shown of each sender, program and kind.
    last: BTreeMap<(String, u64, Lane), u32>,
}

impl Running {
    /// It takes lines as long as it may.
    fn take_lines(&mut self) {
        while self.open.len() < OPEN_COMMANDS
            && self.open.is_disjoint(&self.look_ups)
            && let Some(line) = self.ahead.pop_first()
        {
            self.open.insert(line);
        }
    }

    fn log_in(&mut self, user: &str) {
        self.user = Some(user.into());
        self.was_in = true;
        self.logs_in_again = false;
        self.leaving = !self.logouts.is_empty();
        self.bye = false;
        self.last_bye = None;
        self.last.clear();
    }
}

/// Messages whose order is kept among each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Mail,
    Live,
    Broadcast,
    Private,
}

/// What was shown of a state folder.
#[derive(Debug, Default)]
struct FolderSeen {
    texts: BTreeSet<(u32, usize)>,
    noted: BTreeSet<u32>,
    /// Messages of killed clients that may have been shown.
    doubts: u64,
}

impl Clients {
    pub(super) fn started(&mut self, process: ProcessId, home: u8, (outlasts_server, strict): (bool, bool)) {
        self.somebody = true;
        self.homes.insert(process, home);
        self.running.insert(process, Running { home, outlasts_server, strict, ..Running::default() });
    }

    pub(super) fn called(&mut self, link: LinkId, process: ProcessId) {
        self.callers.insert(link, process);
    }

    /// The program at the other end of a link of the server.
    pub(super) fn process_on(&self, link: LinkId) -> Option<ProcessId> {
        self.callers.get(&link).copied()
    }

    /// Whether a program, or one before it with the same state folder, has shown a text and noted that.
    pub(super) fn has_noted(&self, process: ProcessId, user: &str, number: u32) -> bool {
        let home = self.homes.get(&process).copied().unwrap_or_default();
        self.folders.get(&(home, user.to_string())).is_some_and(|folder| folder.noted.contains(&number))
    }

    pub(super) const fn is_anybody_here(&self) -> bool {
        self.somebody
    }

    pub(super) fn noted(&mut self, process: ProcessId) {
        let Some(running) = self.running.get_mut(&process) else { return };
        let unnoted = core::mem::take(&mut running.unnoted);
        if let (Some(user), false) = (running.reader.clone(), running.output_closed) {
            self.folders.entry((running.home, user)).or_default().noted.extend(unnoted);
        }
    }

    pub(super) fn folder(&mut self, process: ProcessId, open: bool) {
        if let Some(running) = self.running.get_mut(&process) {
            running.has_folder = open;
        }
    }

    pub(super) fn killed(&mut self, process: ProcessId, unnoted: u32) {
        let Some(running) = self.running.remove(&process) else { return };
        match running.user {
            Some(user) => {
                self.folders.entry((running.home, user)).or_default().doubts += u64::from(unnoted);
            }
            // Not even the login was shown.
            None if unnoted > 0 => drop(self.doubtful_homes.insert(running.home)),
            None => {}
        }
    }

    pub(super) fn output_closed(&mut self, process: ProcessId) {
        if let Some(running) = self.running.get_mut(&process) {
            running.output_closed = true;
            match running.user.clone() {
                Some(user) => self.folders.entry((running.home, user)).or_default().doubts += 1,
                None => drop(self.doubtful_homes.insert(running.home)),
            }
        }
    }
}

impl Check {
    /// A line is typed.
    pub(super) fn typed(&mut self, process: ProcessId, line: u64, text: &[u8]) {
        let Some(running) = self.clients.running.get_mut(&process) else { return };
        let blank = text.iter().all(|byte| *byte == b' ');
        if blank {
            return;
        }
        let number = core::str::from_utf8(text).ok().and_then(text_typed);
        running.typed.insert(line, number.as_ref().map(|(number, ..)| *number));
        if running.user.is_some() && !running.leaving && !running.bye && !running.logs_in_again {
            if text.starts_with(b"history") || text.starts_with(b"search") {
                running.look_ups.insert(line);
            }
            running.ahead.insert(line);
            running.take_lines();
        }
        if text.starts_with(b"logout") {
            running.leaving = true;
            running.logouts.insert(line);
        }
        if let Some((number, kind, to, whole)) = number {
            let sender = running.user.clone().filter(|_| kind == Kind::Private);
            let text = self.texts.sent.entry(number).or_default();
            text.typed_by = u64::from(process.0);
            (text.kind, text.to, text.whole) = (kind, to, whole);
            text.sender = sender;
        }
    }

    /// Something is shown.
    pub(super) fn showed(&mut self, process: ProcessId, view: &View, delivered: bool) -> Verdict {
        let Some(running) = self.clients.running.get_mut(&process) else { return Ok(()) };
        match view {
            View::LoggedIn { user, .. } => {
                running.log_in(user);
                Ok(())
            }
            View::Bye(reason) => {
                running.last_bye = Some(*reason);
                let open = core::mem::take(&mut running.open);
                let twice = core::mem::replace(&mut running.bye, true);
                running.user = None;
                running.logs_in_again = false;
                running.leaving = false;
                running.private.clear();
                running.ahead.clear();
                rule!(self, !twice, "the farewell comes once", "{process:?}: {reason}");
                rule!(
                    self,
                    open.is_empty(),
                    "every line has one result",
                    "{process:?}: {open:?} at {reason}"
                );
                Ok(())
            }
            View::Result { line, outcome, command } => {
                let bye = running.bye;
                running.refused |= outcome.is_err();
                rule!(self, !bye, "nothing follows the farewell", "{process:?}: result of {line}");
                self.result(process, *line, outcome.as_ref(), command.as_str())
            }
            View::Message(message) => self.message_shown(process, message, delivered),
            View::PrivateOpened { user, .. } => {
                let fresh = running.private.insert(user.clone());
                rule!(self, fresh, IN_TURN, "{process:?}: {user} opened again");
                Ok(())
            }
            View::PrivateClosed { user, .. } => {
                let stood = running.private.remove(user);
                rule!(self, stood, IN_TURN, "{process:?}: {user} closed again");
                Ok(())
            }
            View::Presence { user, .. } => {
                let outside = running.user.is_none();
                rule!(self, !outside, "nothing follows the farewell", "{process:?}: presence of {user}");
                Ok(())
            }
            View::Prompt { .. } => {
                running.bye = false;
                running.last_bye = None;
                Ok(())
            }
            View::Notice(Notice::LogInAgain) => {
                running.logs_in_again = true;
                Ok(())
            }
            View::Connection(_)
            | View::Offline { .. }
            | View::Wire { .. }
            | View::Addressee { .. }
            | View::Before { .. }
            | View::LoginRefused(_)
            | View::PrivateRequest { .. }
            | View::RequestOver { .. }
            | View::Group { .. }
            | View::Announcement { .. }
            | View::Notice(_) => Ok(()),
        }
    }

    fn result(
        &mut self,
        process: ProcessId,
        line: u64,
        outcome: Result<&Success, &Failure>,
        command: &str,
    ) -> Verdict {
        let Some(running) = self.clients.running.get_mut(&process) else { return Ok(()) };
        let typed = running.typed.remove(&line);
        running.ahead.remove(&line);
        running.logouts.remove(&line);
        // A session that ends settles what is open and takes no more.
        let last = [Code::OutcomeUnknown, Code::NotConnected];
        let ends = outcome.is_err_and(|failure| last.contains(&failure.code));
        if running.open.remove(&line) && !ends {
            running.take_lines();
        }
        rule!(self, typed.is_some(), "every line has one result", "{process:?}: line {line} ({command})");
        if let Ok(Success::Private { user, .. }) = outcome {
            let is_open = self.clients.running.get(&process).is_some_and(|one| one.private.contains(user));
            rule!(self, is_open, "a link is shown as open before its result", "{process:?}: {user}");
        }
        let Some(number) = typed.flatten() else { return Ok(()) };
        self.result_was_said(number, outcome)?;
        match outcome {
            Err(failure) if failure.code == Code::OutcomeUnknown => Ok(()),
            Err(_) => self.text_refused(number),
            Ok(Success::Message { status: Status::Delivered, .. }) => {
                let Some(text) = self.texts.sent.get(&number) else { return Ok(()) };
                let shown = text.to.as_ref().is_none_or(|to| text.reached(to));
                rule!(self, shown, "delivered means shown", "t{number}");
                Ok(())
            }
            Ok(Success::GroupMessage { delivered, stored, refused, withheld, .. })
                if *refused > 0 || *withheld =>
            {
                self.group_refused(number, delivered + stored)
            }
            Ok(_) => Ok(()),
        }
    }

    /// The result of a message is one that the server has said.
    fn result_was_said(&self, number: u32, outcome: Result<&Success, &Failure>) -> Verdict {
        let Some(text) = self.texts.sent.get(&number).filter(|text| text.kind != Kind::Private) else {
            return Ok(());
        };
        let said = text.outcomes.iter().any(|said| match (said, outcome) {
            (Outcome::Message(said), Ok(Success::Message { status, until: None, .. })) => said == status,
            (Outcome::StoredUntil(said), Ok(Success::Message { status: Status::Stored, until, .. })) => {
                *until == Some(*said)
            }
            (
                Outcome::Broadcast { recipients: said, withheld: cut },
                Ok(Success::Broadcast { recipients, withheld, .. }),
            ) => (u64::from(*said), cut) == (*recipients, withheld),
            (
                Outcome::Group { delivered: d, stored: s, refused: r, withheld: cut },
                Ok(Success::GroupMessage { delivered, stored, refused, withheld, .. }),
            ) => [*d, *s, *r].map(u64::from) == [*delivered, *stored, *refused] && cut == withheld,
            (Outcome::Failed(said), Err(failure)) => *said == failure.code,
            _ => false,
        });
        let of_client = outcome.is_err_and(|failure| {
            matches!(
                failure.code,
                Code::OutcomeUnknown
                    | Code::NotConnected
                    | Code::TooLong
                    | Code::Usage
                    | Code::UnknownCommand
            )
        });
        rule!(
            self,
            said || of_client,
            "a result is what the server said",
            "t{number}: {outcome:?}; {:?}",
            text.outcomes
        );
        Ok(())
    }

    fn message_shown(&mut self, process: ProcessId, message: &Message, delivered: bool) -> Verdict {
        let Some(running) = self.clients.running.get(&process) else { return Ok(()) };
        let Some(user) = running.user.clone() else {
            rule!(self, false, "messages belong to a session", "{process:?}: {}", message.text);
            return Ok(());
        };
        if message.kind == MessageKind::Private {
            let stands = running.private.contains(&message.from);
            rule!(self, stands, "private texts come over private links", "{process:?}: {}", message.from);
        }
        let by_hand = self.reference.shows_late();
        let was_removed = self.reference.was_removed(&user);
        let Some(number) = number_of(&message.text) else { return Ok(()) };
        let Some(text) = self.texts.sent.get_mut(&number) else {
            rule!(self, false, "every text has an origin", "{user} is shown {:?}", message.text);
            return Ok(());
        };
        let kind = match message.kind {
            MessageKind::Direct => Kind::Direct,
            MessageKind::Broadcast => Kind::Broadcast,
            MessageKind::Group => Kind::Group,
            MessageKind::Private => Kind::Private,
        };
        text.shown_to.push(user.clone());
        let fits = text.whole == message.text
            && text.kind == kind
            && text.sender.as_ref().is_none_or(|from| *from == message.from)
            && text.to.as_ref().is_none_or(|to| *to == user);
        let refused = text.refused;
        // Who knew it already, by hand or in another state folder, gets it again when it comes; and what was
        // for many, and is repeated, reaches those who have come since.
        let again = text.shown_to.iter().filter(|shown| **shown == user).count() > 1;
        text.late |= again
            || was_removed
            || text.by_hand.contains(&user)
            || (matches!(kind, Kind::Broadcast | Kind::Group) && text.is_repeated())
            // What was to wait in the mailbox, and was lost there before anybody was told, comes as live.
            || (by_hand && text.is_repeated());
        rule!(self, fits, "every text has an origin", "{user} is shown {message:?}, sent was {text:?}");
        rule!(self, !refused, "what was refused never appears", "{user} is shown t{number}");
        self.not_more_than_told(number)?;
        self.once_and_in_order(process, &user, message, number, delivered)
    }

    fn once_and_in_order(
        &mut self,
        process: ProcessId,
        user: &str,
        message: &Message,
        number: u32,
        delivered: bool,
    ) -> Verdict {
        let by_hand = self.reference.shows_late();
        let lane = match message.kind {
            MessageKind::Broadcast => Lane::Broadcast,
            MessageKind::Private => Lane::Private,
            MessageKind::Direct | MessageKind::Group if by_hand && !message.stored => Lane::Live,
            MessageKind::Direct | MessageKind::Group => Lane::Mail,
        };
        let Some(running) = self.clients.running.get_mut(&process) else { return Ok(()) };
        let folder = self.clients.folders.entry((running.home, user.to_string())).or_default();
        // Broadcasts are not noted: a program knows those that it has shown itself.
        let texts = if lane == Lane::Broadcast { &mut running.broadcasts } else { &mut folder.texts };
        let text = self.texts.sent.entry(number).or_default();
        let fresh = text.note_shown(number, texts);
        let doubts = folder.doubts + u64::from(self.clients.doubtful_homes.contains(&running.home));
        if delivered {
            running.unnoted.insert(number);
            running.reader = Some(user.to_string());
        }
        let has_folder = running.has_folder || !delivered;
        let (typed_by, late) = (text.typed_by, text.late);
        let key = (message.from.clone(), typed_by, lane);
        let last = running.last.get(&key).copied().unwrap_or(0);
        if !message.again {
            running.last.insert(key, number.max(last));
        }
        rule!(self, has_folder, "what is shown is noted", "{user} is shown t{number}, the folder is closed");
        rule!(
            self,
            fresh || (message.again && doubts > 0),
            "each message is shown once",
            "{user} is shown t{number} of {} again (marked: {})",
            message.from,
            message.again
        );
        rule!(self, !message.again || doubts > 0, "again is said with reason", "t{number} to {user}");
        rule!(
            self,
            message.again || number > last || late,
            "messages keep their order",
            "{user} is shown t{number} of {} behind t{last}",
            message.from
        );
        Ok(())
    }
}

/// The number, kind, recipient and text of a typed line that sends one.
fn text_typed(line: &str) -> Option<(u32, Kind, Option<String>, String)> {
    let line = line.trim_start_matches(' ');
    let (command, rest) = line.split_once(' ')?;
    let rest = rest.trim_start_matches(' ');
    let (kind, to, whole) = match command {
        "broadcast" => (Kind::Broadcast, None, line.split_once(' ')?.1),
        "message" if rest.starts_with("group ") => {
            let rest = rest.strip_prefix("group ")?.trim_start_matches(' ');
            (Kind::Group, None, rest.split_once(' ')?.1)
        }
        "message" | "private" => {
            let (to, whole) = rest.split_once(' ')?;
            let kind = if command == "message" { Kind::Direct } else { Kind::Private };
            (kind, Some(to.to_string()), whole)
        }
        _ => return None,
    };
    Some((number_of(whole)?, kind, to, whole.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_texts_are_recognised_with_their_spaces() {
        let (number, kind, to, whole) = text_typed("  message  yoda  t17 x ").expect("a text");
        assert_eq!((number, kind, to.as_deref()), (17, Kind::Direct, Some("yoda")));
        assert_eq!(whole, " t17 x ");
        assert!(text_typed("message yoda hello").is_none());
    }
}
