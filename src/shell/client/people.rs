//! Views as text for people, one or more lines each.

mod texts;

use self::texts::{before, history, said, with_breaks};
use super::advice;
use super::json::rfc3339;
use super::rows::{Breaks, name, names, push_broken};
use super::stamps::Stamps;
use super::wording;
use crate::client::view::{Connection, Contact, GroupChange, Notice, Path, PrivateEnd, Success, View};
use crate::client::{Named, Verb, Way};
use crate::shell::visible::visible;
use crate::time::Time;
use crate::wire::{Code, CommandKind, PingStatus, Presence, Status};

/// The look of lines.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// Whether a text with line breaks goes on in lines of its own.
    pub(super) breaks_texts: bool,
    /// The width of the terminal; longer lines are broken. `None`: not a terminal, or one that does not say.
    pub(super) columns: Option<usize>,
    /// Whether to use colours.
    pub(super) colour: bool,
    /// What stands before a message in which the user's name or a chosen word was found. No name begins so, for spaces
    /// and brackets in names are escaped.
    pub(super) mark: &'static str,
    /// Times of messages, and lines around stored ones; at a terminal only.
    pub(super) stamps: Option<Stamps>,
}

/// Appends a view as text; prompts are left out.
pub(super) fn write(out: &mut String, view: &View, look: &mut Look) {
    let before = look.stamps.as_mut().and_then(|stamps| stamps.before(view));
    before.into_iter().flat_map(event).for_each(|line| line.write(out, look));
    let all = if look.stamps.is_some() { lines_at_terminal(view, look) } else { lines(view, look) };
    for mut line in all {
        if let (View::Message(message), Some(stamps)) = (view, &look.stamps) {
            line.time = stamps.of(message.sent_at);
        }
        line.write(out, look);
    }
    let after = look.stamps.as_mut().and_then(|stamps| stamps.after(view));
    after.into_iter().flat_map(event).for_each(|line| line.write(out, look));
}

/// Whether a view is about the program rather than the session: on a pipe, such lines go to standard error.
pub(super) const fn is_diagnostic(view: &View) -> bool {
    matches!(view, View::Connection(_))
}

/// A line without control characters but the breaks of its text.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// When it was said, with a space behind it, or nothing.
    time: String,
    text: String,
    tone: Tone,
}

/// Around what is marked in a text until it is broken into rows. They have no width, and no text shows them: its own
/// control characters are visible.
const MARKED: char = '\x01';
const UNMARKED: char = '\x02';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    /// A message; this many bytes name its sender.
    Said(usize),
    /// An event that nobody here has caused.
    Event,
    /// An answer.
    Answer,
    /// An error.
    Trouble,
}

impl Line {
    fn new(text: String, tone: Tone) -> Line {
        Line { time: String::new(), text, tone }
    }

    fn write(&self, out: &mut String, look: &Look) {
        let start = out.len();
        let breaks = look.columns.map(|columns| Breaks { columns, leaves_addresses: !self.time.is_empty() });
        push_broken(out, &format!("{}{}", self.time, self.text), breaks);
        if look.colour {
            self.paint(out, start);
        }
        let (on, off) = if look.colour { ("\x1b[1;33m", "\x1b[0m") } else { ("", "") };
        if self.text.contains(MARKED) {
            let painted = out.split_off(start).replace(MARKED, on).replace(UNMARKED, off);
            out.push_str(&painted);
        }
        out.push('\n');
    }

    /// Colours what was appended from `start` on.
    fn paint(&self, out: &mut String, start: usize) {
        let start = start + self.time.len();
        let (code, end) = match self.tone {
            Tone::Said(lead) => ("\x1b[1m", start + lead),
            Tone::Event => ("\x1b[2m", out.len()),
            Tone::Trouble => ("\x1b[31m", out.len()),
            Tone::Answer => return,
        };
        // A sender name so long that it is broken stays plain.
        if out.get(start..end).is_some_and(|lead| self.text.starts_with(lead) || end == out.len()) {
            out.insert_str(end, "\x1b[0m");
            out.insert_str(start, code);
        }
    }
}

fn event(text: String) -> Vec<Line> {
    vec![Line::new(text, Tone::Event)]
}

fn answer(text: String) -> Vec<Line> {
    vec![Line::new(text, Tone::Answer)]
}

fn trouble(text: &str) -> Vec<Line> {
    vec![Line::new(visible(text).to_string(), Tone::Trouble)]
}

/// At a terminal errors say more; scripts on pipes know the sentences as they are.
fn lines_at_terminal(view: &View, look: &Look) -> Vec<Line> {
    match view {
        View::Result { outcome: Ok(Success::Seen { user, presence }), .. } => {
            answer(seen(user, *presence, look.stamps.as_ref()))
        }
        View::Result {
            outcome: Ok(success @ Success::Message { to, until, away, words, .. }),
            command,
            ..
        } => {
            let away =
                away.iter().flat_map(|text| answer(format!("{} is away: {}", name(to), visible(text))));
            let sent = match until {
                Some(until) => stored_until(to, *until, words.as_deref(), look),
                None => done(command, success),
            };
            away.chain(sent).collect()
        }
        View::Result { outcome: Ok(Success::Whoelse { users, away }), .. } if !users.is_empty() => {
            users.iter().flat_map(|user| answer(online(user, away))).collect()
        }
        View::Result { outcome: Ok(Success::History { messages }), .. } => history(messages, look),
        View::Before { messages } => before(messages, look),
        View::Result { outcome: Err(failure), command, .. } => trouble(&advice::failure(command, failure)),
        View::LoginRefused(refused) => trouble(&advice::refused(*refused)),
        View::Notice(Notice::New) => event(ruled("new".into(), look)),
        View::Notice(Notice::Unseen { count }) => event(ruled(format!("{count} new"), look)),
        View::Result { outcome: Ok(_), .. }
        | View::Connection(_)
        | View::Prompt { .. }
        | View::Offline { .. }
        | View::Wire { .. }
        | View::Addressee { .. }
        | View::LoggedIn { .. }
        | View::Message(_)
        | View::Presence { .. }
        | View::PrivateRequest { .. }
        | View::RequestOver { .. }
        | View::PrivateOpened { .. }
        | View::PrivateClosed { .. }
        | View::Group { .. }
        | View::Announcement { .. }
        | View::Notice(_)
        | View::Bye(_) => lines(view, look),
    }
}

/// Words between two rules.
fn ruled(words: String, look: &Look) -> String {
    look.stamps.as_ref().map(|stamps| stamps.ruled(&words)).unwrap_or(words)
}

fn connection(contact: Contact) -> Vec<Line> {
    match (contact.state, contact.key) {
        (Connection::Connected, Some(key)) if key.first_use => event(format!(
            "First connection to this server. From now on it is known by its key: {}",
            key.fingerprint
        )),
        (Connection::Connected, _) => Vec::new(),
        (Connection::Reconnecting, _) => event("Connection lost. Reconnecting".into()),
        (Connection::Resumed, _) => event("Connected again".into()),
    }
}

fn lines(view: &View, look: &Look) -> Vec<Line> {
    match view {
        View::Prompt { .. } | View::Offline { .. } | View::Addressee { .. } => Vec::new(),
        View::Wire { sent, line } => event(format!("{} {}", if *sent { "->" } else { "<-" }, visible(line))),
        View::Connection(contact) => connection(*contact),
        View::LoggedIn { user, unread } => welcome(user, *unread),
        View::LoginRefused(refused) => trouble(&wording::refused(*refused)),
        View::Result { line, command, outcome } => match outcome {
            Ok(Success::History { messages }) => history(messages, look),
            Ok(success) => done(command, success),
            // The line number tells apart several commands that are alike.
            Err(failure) if failure.code == Code::OutcomeUnknown => {
                trouble(&format!("{} (line {line})", wording::failure(command, failure)))
            }
            Err(failure) => trouble(&wording::failure(command, failure)),
        },
        View::Before { messages } => before(messages, look),
        View::Message(message) => vec![said(message, look)],
        View::Presence { user, online } => {
            event(format!("{} logged {}", name(user), if *online { "in" } else { "out" }))
        }
        View::PrivateRequest { from } => {
            answer(format!("{} would like to private message, enter y or n: ", name(from)))
        }
        View::RequestOver { from } => {
            event(format!("The request of {} to private message has expired", name(from)))
        }
        View::PrivateOpened { user, path } => match path {
            Path::Direct => event(format!("Start private messaging with {}", name(user))),
            Path::Relayed => event(format!("Start private messaging with {} (relayed)", name(user))),
        },
        View::PrivateClosed { user, reason } => event(private_closed(user, *reason)),
        View::Group { group, by, members, change } => event(group_changed(group, by, members, change)),
        View::Announcement { text } => event(with_breaks("The operator says: ", text, look)),
        View::Notice(notice) => event(visible(&wording::notice(notice)).to_string()),
        View::Bye(bye) => wording::bye(*bye).map_or_else(Vec::new, |text| event(text.into())),
    }
}

fn welcome(user: &str, unread: u64) -> Vec<Line> {
    let mut lines = answer(format!("Welcome, {}!", name(user)));
    if unread > 0 {
        lines.extend(answer(format!("{unread} stored {}", noun(unread, "message"))));
    }
    lines
}

fn private_closed(user: &str, reason: PrivateEnd) -> String {
    let user = name(user);
    match reason {
        PrivateEnd::Stopped => format!("Private messaging with {user} stopped"),
        PrivateEnd::LoggedOut => format!("Private messaging with {user} ended by logout"),
        PrivateEnd::TimedOut => format!("Private messaging with {user} ended by timeout"),
        PrivateEnd::Lost => format!("Private messaging with {user} lost"),
    }
}

fn group_changed(group: &str, by: &str, members: &[String], change: &GroupChange) -> String {
    let (by, group) = (name(by), name(group));
    match change {
        GroupChange::Deleted => format!("{by} deleted group {group}"),
        GroupChange::Left => format!("{by} left group {group}"),
        GroupChange::Added(added) if !added.is_empty() => {
            format!("{by} added {} to group {group}", names(added))
        }
        GroupChange::Removed(removed) => format!("{by} removed {} from group {group}", names(removed)),
        GroupChange::RemovedYou => format!("{by} removed you from group {group}"),
        GroupChange::Some | GroupChange::Added(_) => {
            format!("{by} changed group {group}: {}", names(members))
        }
    }
}

/// A success that is visible by itself needs no line.
fn done(command: &Named, success: &Success) -> Vec<Line> {
    match success {
        Success::Message { status: Status::Delivered, words: None, .. } => Vec::new(),
        Success::Message { to, status, words, until: _, away: _ } => {
            answer(format!("Your message to {} has been {status}{}", name(to), called(words.as_deref())))
        }
        Success::Broadcast { recipients: _, withheld, withheld_users } => {
            withheld_from(*withheld, withheld_users)
        }
        Success::Whoelse { users, .. } | Success::Users { users } if users.is_empty() => {
            answer("Nobody else".into())
        }
        Success::Whoelse { users, .. } | Success::Users { users } => {
            users.iter().flat_map(|user| answer(name(user).to_string())).collect()
        }
        Success::User { user } => user_done(command, user),
        Success::Verification { user, code, is_verified } => verification(user, code, *is_verified),
        Success::Path { user, way, path } => answer(path_of(user, *way, *path)),
        Success::Offline { messages: 0 } => answer("No stored messages".into()),
        Success::Offline { messages: _ } | Success::Private { .. } | Success::Logout => Vec::new(),
        Success::Ping { user, status } => answer(match status {
            PingStatus::Online => format!("{} is online", name(user)),
            PingStatus::Offline => format!("{} is offline", name(user)),
            PingStatus::Blocked => format!("{} has blocked you", name(user)),
        }),
        Success::Seen { user, presence } => answer(seen(user, *presence, None)),
        Success::History { .. } => Vec::new(),
        Success::Done => changed_presence(command),
        Success::Ordered { lines } if lines.is_empty() => answer("Done".into()),
        Success::Ordered { lines } => {
            lines.iter().flat_map(|line| answer(visible(line).to_string())).collect()
        }
        Success::Group { group, members } => answer(group_done(command, group, members)),
        Success::GroupMessage { group, delivered: _, stored, refused, withheld, words } => {
            group_message_done(group, [*stored, *refused], *withheld, words.as_deref())
        }
        Success::Groups { groups } if groups.is_empty() => answer("No groups".into()),
        Success::Groups { groups } => groups
            .iter()
            .flat_map(|(group, members)| answer(format!("{}: {}", name(group), names(members))))
            .collect(),
        Success::Help { text } => text.lines().flat_map(|line| answer(visible(line).to_string())).collect(),
    }
}

/// A user who is online, and what they are away for.
fn online(user: &str, away: &[(String, String)]) -> String {
    match away.iter().find(|(who, _)| who == user) {
        Some((_, text)) => format!("{} is away: {}", name(user), visible(text)),
        None => name(user).to_string(),
    }
}

/// `away` and `back`.
fn changed_presence(command: &Named) -> Vec<Line> {
    match command {
        Named::Command(Verb::Server(CommandKind::Away)) => answer("You are away, until you say: back".into()),
        Named::Command(_) | Named::Word(_) => answer("You are back".into()),
    }
}

/// How the link with a user runs, and how links with them are to run.
fn path_of(user: &str, way: Way, path: Option<Path>) -> String {
    let user = name(user);
    let chosen = match way {
        Way::Direct => "direct only",
        Way::Auto => "direct, else relayed",
        Way::Relay => "relayed only",
    };
    match path {
        Some(Path::Direct) => format!("The private link with {user} is direct (chosen: {chosen})"),
        Some(Path::Relayed) => format!("The private link with {user} is relayed (chosen: {chosen})"),
        None => format!("No private link with {user} (chosen: {chosen})"),
    }
}

/// A message that is removed if it was not shown by then.
fn stored_until(to: &str, until: Time, words: Option<&str>, look: &Look) -> Vec<Line> {
    let until = look.stamps.as_ref().map_or_else(|| rfc3339(until), |stamps| stamps.moment(until));
    answer(format!("Your message to {} has been stored until {until}{}", name(to), called(words)))
}

/// When a user was last here: in local time at a terminal, elsewhere as in JSON.
fn seen(user: &str, presence: Presence, stamps: Option<&Stamps>) -> String {
    let user = name(user);
    match (presence, stamps) {
        (Presence::Now, _) => format!("{user} is online"),
        (Presence::Never, _) => format!("{user} has not been seen"),
        (Presence::Until(at), Some(stamps)) => format!("{user} was last here on {}", stamps.moment(at)),
        (Presence::Until(at), None) => format!("{user} was last here at {}", rfc3339(at)),
    }
}

fn withheld_from(withheld: bool, users: &[String]) -> Vec<Line> {
    const WITHHELD: &str = "Your message could not be delivered to some recipients";
    match (withheld, users.is_empty()) {
        (false, _) => Vec::new(),
        (true, true) => answer(WITHHELD.into()),
        (true, false) => answer(format!("{WITHHELD}: {}", names(users))),
    }
}

fn user_done(command: &Named, user: &str) -> Vec<Line> {
    let user = name(user);
    match command {
        Named::Command(Verb::Server(CommandKind::Block)) => answer(format!("{user} is blocked")),
        Named::Command(Verb::Server(CommandKind::Unblock)) => answer(format!("{user} is unblocked")),
        Named::Command(Verb::Server(CommandKind::Decline)) => {
            answer(format!("Private messaging with {user} declined"))
        }
        Named::Command(Verb::Trust) => {
            answer(format!("The key of {user} is accepted: startprivate {user} again"))
        }
        Named::Command(_) | Named::Word(_) => Vec::new(),
    }
}

fn verification(user: &str, code: &str, is_verified: bool) -> Vec<Line> {
    let user = name(user);
    if is_verified {
        return answer(format!("{user} is verified: {code}"));
    }
    let mut lines = answer(format!("The code of {user} and you: {code}"));
    lines.extend(answer(format!("Read it out to each other. If it is the same: verify {user} yes")));
    lines
}

fn group_done(command: &Named, group: &str, members: &[String]) -> String {
    let (group, members) = (name(group), names(members));
    match command {
        Named::Command(Verb::Server(CommandKind::CreateGroup)) => format!("Group {group} created: {members}"),
        Named::Command(Verb::Server(CommandKind::LeaveGroup)) => format!("Group {group} left"),
        Named::Command(Verb::Server(CommandKind::DeleteGroup)) => format!("Group {group} deleted"),
        Named::Command(_) | Named::Word(_) => format!("Group {group} changed: {members}"),
    }
}

/// The first words of the text that a result is about, where they are told.
fn called(words: Option<&str>) -> String {
    words.map(|words| format!(": {}", visible(words))).unwrap_or_default()
}

fn group_message_done(
    group: &str,
    [stored, refused]: [u64; 2],
    withheld: bool,
    words: Option<&str>,
) -> Vec<Line> {
    let group = name(group);
    let mut lines = Vec::new();
    let done = match (stored, words) {
        (0, None) => None,
        (0, Some(_)) => Some("delivered".into()),
        (stored, _) => Some(format!("stored for {stored} {}", noun(stored, "member"))),
    };
    if let Some(done) = done {
        lines.extend(answer(format!("Your message to group {group} has been {done}{}", called(words))));
    }
    if refused > 0 {
        let mailboxes = if refused == 1 { "mailbox is" } else { "mailboxes are" };
        let text = format!("Your message to group {group} was refused: {refused} {mailboxes} full");
        lines.push(Line::new(text, Tone::Trouble));
    }
    lines.extend(withheld_from(withheld, &[]));
    lines
}

/// One of something, or several.
fn noun(count: u64, singular: &str) -> String {
    format!("{singular}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
