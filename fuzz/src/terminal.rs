//! What others say changes nothing on a terminal but the cells of its own lines: judged on an emulator.

use std::num::NonZero;

use hobnob::client::view::{
    Failure, GroupChange, Message, MessageKind, Notice, Path, PrivateEnd, Success, View,
};
use hobnob::client::{Logged, Named, Way};
use hobnob::shell::client::shown::at_terminal;
use hobnob::time::Time;
use hobnob::wire::{Code, CommandKind, PingStatus, Presence, Status};
use vt100::{Callbacks, Color, MouseProtocolMode, Parser, Screen};

/// Narrower ones take more rows for the same check.
const NARROWEST: usize = 16;
/// So wide that no line is broken.
const WIDE: usize = 10_000;

/// A text of others in each place where a client shows one. The first byte chooses the width of the terminal.
pub(crate) fn everywhere(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    let columns = NARROWEST + usize::from(choice) % 90;
    for (view, plain) in views(&text).into_iter().zip(views("x")) {
        let harmless = at_terminal(&plain, WIDE);
        // Most errors have none of it.
        if at_terminal(&view, WIDE) != harmless {
            judge(&at_terminal(&view, columns), &harmless, columns);
        }
    }
}

/// What a terminal is asked for beside characters, line feeds and attributes of characters.
#[derive(Debug, Default)]
struct Asked {
    bells: usize,
    other: Vec<String>,
}

impl Asked {
    fn note(&mut self, what: impl std::fmt::Debug) {
        self.other.push(format!("{what:?}"));
    }
}

impl Callbacks for Asked {
    fn audible_bell(&mut self, _: &mut Screen) {
        self.bells += 1;
    }
    fn visual_bell(&mut self, _: &mut Screen) {
        self.note("a visual bell");
    }
    fn resize(&mut self, _: &mut Screen, size: (u16, u16)) {
        self.note(size);
    }
    fn set_window_icon_name(&mut self, _: &mut Screen, name: &[u8]) {
        self.note(name);
    }
    fn set_window_title(&mut self, _: &mut Screen, title: &[u8]) {
        self.note(title);
    }
    fn copy_to_clipboard(&mut self, _: &mut Screen, kind: &[u8], bytes: &[u8]) {
        self.note((kind, bytes));
    }
    fn paste_from_clipboard(&mut self, _: &mut Screen, kind: &[u8]) {
        self.note(kind);
    }
    fn unhandled_char(&mut self, _: &mut Screen, c: char) {
        // The emulator takes it for a byte that it could not read.
        if c != char::REPLACEMENT_CHARACTER {
            self.note(c);
        }
    }
    fn unhandled_control(&mut self, _: &mut Screen, byte: u8) {
        self.note(byte);
    }
    fn unhandled_escape(&mut self, _: &mut Screen, one: Option<u8>, two: Option<u8>, byte: u8) {
        self.note((one, two, byte));
    }
    fn unhandled_csi(
        &mut self,
        _: &mut Screen,
        one: Option<u8>,
        two: Option<u8>,
        parameters: &[&[u16]],
        c: char,
    ) {
        self.note((one, two, parameters, c));
    }
    fn unhandled_osc(&mut self, _: &mut Screen, parameters: &[&[u8]]) {
        self.note(parameters);
    }
}

/// Shows something between two lines. `harmless` is the same with other words.
fn judge(shown: &str, harmless: &str, columns: usize) {
    assert!(steers_nothing(shown), "{shown:?}");
    let rings = usize::from(shown.starts_with('\x07'));
    assert_eq!(rings, usize::from(harmless.starts_with('\x07')));

    let height = 8 + shown.matches('\n').count() + shown.len() / (columns - 1);
    let size = |size: usize| NonZero::new(u16::try_from(size).expect("small")).expect("not zero");
    let mut parser = Parser::new_with_callbacks(size(height), size(columns), 0, Asked::default());
    parser.process(b"above\r\n");
    parser.process(shown.replace('\n', "\r\n").as_bytes());
    let (below, column) = parser.screen().cursor_position();
    assert_eq!(column, 0, "the cursor is at the beginning of a line: {shown:?}");
    parser.process(b"below");

    let Asked { bells, other } = parser.callbacks();
    assert_eq!((*bells, other.as_slice()), (rings, &[][..]), "{shown:?}");
    let screen = parser.screen();
    let width = screen.size().1.get();
    let rows: Vec<String> = screen.rows(0, width).map(|row| row.trim_end().to_owned()).collect();
    let below = usize::from(below);
    assert_eq!((rows[0].as_str(), rows[below].as_str()), ("above", "below"), "{rows:#?}");
    assert!(rows[below + 1..].iter().all(String::is_empty), "{rows:#?}");
    let lines = harmless.matches('\n').count();
    let begun = rows[1..below].iter().filter(|row| !goes_on(row)).count();
    assert!(begun <= lines, "{begun} lines that look like new ones, not {lines}: {rows:#?}");
    assert!(is_as_found(screen, below), "{shown:?}");
}

/// Only line feeds, a bell in front, and sequences for attributes of characters.
fn steers_nothing(shown: &str) -> bool {
    let mut rest = shown.strip_prefix('\x07').unwrap_or(shown);
    while let Some(at) = rest.find(|c: char| c.is_control() && c != '\n') {
        let Some(sequence) = rest[at..].strip_prefix("\x1b[") else { return false };
        let end = sequence.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(0);
        let Some(behind) = sequence[end..].strip_prefix('m') else { return false };
        rest = behind;
    }
    true
}

/// Whether a row goes on with the line before: it is indented, or a part of an address, which holds no space.
fn goes_on(row: &str) -> bool {
    row.is_empty() || row.starts_with("    ") || !row.contains(' ')
}

/// Modes are those of a new terminal, and what is written next looks plain.
fn is_as_found(screen: &Screen, row: usize) -> bool {
    let row = u16::try_from(row).expect("small");
    let plain = (0..5).filter_map(|column| screen.cell(row, column)).all(|cell| {
        (cell.fgcolor(), cell.bgcolor()) == (Color::Default, Color::Default)
            && !(cell.bold() || cell.dim() || cell.italic() || cell.underline() || cell.inverse())
    });
    plain
        && screen.mouse_protocol_mode() == MouseProtocolMode::None
        && ![
            screen.alternate_screen(),
            screen.application_keypad(),
            screen.application_cursor(),
            screen.hide_cursor(),
            screen.bracketed_paste(),
        ]
        .contains(&true)
}

/// All that a client shows of what others have said or chosen, with this as each text and each name.
fn views(text: &str) -> Vec<View> {
    [messages(text), people(text), results(text), failures(text)].concat()
}

const KINDS: [MessageKind; 4] =
    [MessageKind::Direct, MessageKind::Broadcast, MessageKind::Group, MessageKind::Private];

fn messages(text: &str) -> Vec<View> {
    let own = || text.to_owned();
    let message = |kind, rings| Message {
        kind,
        group: (kind == MessageKind::Group).then(own),
        from: own(),
        text: own(),
        sent_at: Time(1_700_000_000_123_999),
        stored: false,
        again: rings,
        mentions: rings.then_some(0..text.len()).into_iter().collect(),
        rings,
        id: "3.7".to_owned(),
    };
    let logged = |kind| Logged { kind, with: own(), from: own(), text: own(), sent_at: Time(7) };
    let log = || KINDS.map(logged).to_vec();
    let mut views: Vec<View> = KINDS
        .iter()
        .flat_map(|kind| [message(*kind, false), message(*kind, true)].map(View::Message))
        .collect();
    views.extend([
        View::Announcement { text: own() },
        View::Before { messages: log() },
        done("history", Success::History { messages: log() }),
        View::Wire { sent: false, line: own() },
        View::Wire { sent: true, line: own() },
    ]);
    views
}

fn people(text: &str) -> Vec<View> {
    let own = || text.to_owned();
    let changes = [
        GroupChange::Some,
        GroupChange::Deleted,
        GroupChange::Left,
        GroupChange::Added(vec![own()]),
        GroupChange::Removed(vec![own()]),
        GroupChange::RemovedYou,
    ];
    let group = |change| View::Group { group: own(), by: own(), members: vec![own(), own()], change };
    let mut views: Vec<View> = changes.map(group).to_vec();
    views.extend([true, false].map(|online| View::Presence { user: own(), online }));
    views.extend([Path::Direct, Path::Relayed].map(|path| View::PrivateOpened { user: own(), path }));
    views.extend(
        [PrivateEnd::Stopped, PrivateEnd::LoggedOut, PrivateEnd::TimedOut, PrivateEnd::Lost]
            .map(|reason| View::PrivateClosed { user: own(), reason }),
    );
    views.extend([
        View::LoggedIn { user: own(), unread: 2 },
        View::PrivateRequest { from: own() },
        View::RequestOver { from: own() },
        View::Notice(Notice::InvitedAs { user: own() }),
    ]);
    views
}

fn done(command: &str, success: Success) -> View {
    View::Result { line: 1, command: command.into(), outcome: Ok(success) }
}

fn results(text: &str) -> Vec<View> {
    let own = || text.to_owned();
    let some = || Some(text.to_owned());
    let sent = |status, until| Success::Message { to: own(), status, until, away: some(), words: some() };
    let mut views = vec![
        done("message", sent(Status::Delivered, None)),
        done("message", sent(Status::Stored, Some(Time(7)))),
        done(
            "broadcast",
            Success::Broadcast { recipients: 3, withheld: true, withheld_users: vec![own(), own()] },
        ),
        done("whoelse", Success::Whoelse { users: vec![own(), own()], away: vec![(own(), own())] }),
        done("wholasthr", Success::Users { users: vec![own(), own()] }),
        done("verify", Success::Verification { user: own(), code: "12345".to_owned(), is_verified: false }),
        done("path", Success::Path { user: own(), way: Way::Auto, path: Some(Path::Relayed) }),
        done("ping", Success::Ping { user: own(), status: PingStatus::Blocked }),
        done("seen", Success::Seen { user: own(), presence: Presence::Never }),
        done("grouplist", Success::Groups { groups: vec![(own(), vec![own(), own()]), (own(), vec![])] }),
        done("op", Success::Ordered { lines: vec![own(), own()] }),
    ];
    for command in ["block", "unblock", "decline", "trust"] {
        views.push(done(command, Success::User { user: own() }));
    }
    for command in ["create group", "leave group", "add group"] {
        views.push(done(command, Success::Group { group: own(), members: vec![own(), own()] }));
    }
    for stored in [0, 1] {
        let (group, words) = (own(), some());
        let success =
            Success::GroupMessage { group, delivered: 1, stored, refused: 2, withheld: true, words };
        views.push(done("message group", success));
    }
    views
}

/// Errors name users, groups, and what was typed.
fn failures(text: &str) -> Vec<View> {
    let commands =
        [Named::Word(text.to_owned()), Named::Command(hobnob::client::Verb::Server(CommandKind::Message))];
    let failure = |code: Code, command: &Named| {
        let some = Some(text.to_owned());
        let failure = Failure { code, subject: some.clone(), typed: some };
        View::Result { line: 1, command: command.clone(), outcome: Err(failure) }
    };
    Code::ALL.iter().flat_map(|code| commands.iter().map(|command| failure(*code, command))).collect()
}
