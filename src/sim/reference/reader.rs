//! The reader of lines from clients, written from the grammar of `PROTOCOL.md`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::words::MessageId;

/// A command: its name, its arguments, and whether a repeat of it is answered from memory (R21).
pub(super) struct CommandRow {
    pub(super) name: &'static str,
    pub(super) arguments: &'static str,
    pub(super) once: bool,
}

const fn row(name: &'static str, arguments: &'static str, once: bool) -> CommandRow {
    CommandRow { name, arguments, once }
}

/// The commands, in the order of `help`.
pub(super) const COMMANDS: &[CommandRow] = &[
    row("message", " USER TEXT", true),
    row("broadcast", " TEXT", true),
    row("whoelse", "", false),
    row("whoelsesince", " SECONDS", false),
    row("wholasthr", "", false),
    row("block", " USER", true),
    row("unblock", " USER", true),
    row("offline", "", false),
    row("ping", " USER", false),
    row("seen", " USER", false),
    row("away", " TEXT", false),
    row("back", "", false),
    row("create group", " NAME USER...", true),
    row("message group", " NAME TEXT", true),
    row("grouplist", "", false),
    row("add group", " NAME USER", true),
    row("remove group", " NAME USER", true),
    row("leave group", " NAME", true),
    row("delete group", " NAME", true),
    row("startprivate", " USER ENDPOINT...", false),
    row("accept", " USER ENDPOINT...", false),
    row("decline", " USER", false),
    row("op", " ORDER", true),
    row("help", " [COMMAND]", false),
    row("logout", "", false),
];

/// A line of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Hello {
        version: u32,
        acknowledges: bool,
        resumes: bool,
        keeps_cookie: bool,
        says_alive: bool,
        courier: bool,
        reads_away: bool,
        relays: bool,
        reads_until: bool,
    },
    Relay(RelayLine),
    Device {
        cookie: String,
    },
    Takeover,
    Invite {
        code: String,
    },
    Alive,
    Login {
        name: String,
        password: Option<String>,
    },
    Register {
        name: String,
        password: String,
    },
    Resume {
        name: String,
        token: String,
    },
    Acknowledge {
        shown: Option<MessageId>,
        answered: Option<u64>,
    },
    Active {
        valid: bool,
    },
    Request {
        number: Option<u64>,
        command: Command,
    },
    /// A message of a courier with an id (R61).
    Marked {
        number: u64,
        word: &'static str,
        id: String,
        command: Command,
    },
    /// It cannot be obeyed; the answer names a command, or what was typed first.
    Misused {
        number: Option<u64>,
        code: &'static str,
        first: String,
    },
}

/// What a client says about relays (R60).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RelayLine {
    Open { user: String },
    Data { number: u64, base64: String, bytes: usize },
    Took { number: u64, count: u64 },
    Close { number: u64 },
}

/// A command and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) name: &'static str,
    /// Names and other single words.
    pub(super) words: Vec<String>,
    pub(super) text: String,
}

impl Command {
    /// The command as R21 compares it: without the spaces between its words.
    pub(super) fn canonical(&self) -> String {
        let mut all = String::from(self.name);
        for word in &self.words {
            all.push(' ');
            all.push_str(word);
        }
        all.push('\n');
        all.push_str(&self.text);
        all
    }

    pub(super) fn is_remembered(&self) -> bool {
        COMMANDS.iter().any(|row| row.name == self.name && row.once)
    }

    pub(super) fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }
}

/// What is left of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// The next word, after any number of spaces.
    fn first(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        let end = rest.find(' ').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        self.0 = after;
        (!word.is_empty()).then_some(word)
    }

    /// A text: all after exactly one space.
    fn text(&mut self) -> Option<String> {
        let text = self.0.strip_prefix(' ').filter(|text| !text.is_empty())?;
        self.0 = "";
        Some(text.to_string())
    }

    fn is_over(&self) -> bool {
        self.0.bytes().all(|byte| byte == b' ')
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let before = self.0;
        let found = self.first() == Some(keyword);
        if !found {
            self.0 = before;
        }
        found
    }
}

/// Reads a line, without its end.
pub(super) fn read(line: &[u8]) -> Line {
    let Ok(text) = core::str::from_utf8(line) else {
        let valid = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        return misused(valid.rsplit_once(' ').map_or("", |(words, _)| words), "usage");
    };
    let mut rest = Rest(text);
    let first = rest.first().unwrap_or("");
    let line = match first {
        "hello" => hello(&mut rest),
        "login" => login(&mut rest),
        "register" => register(&mut rest),
        "resume" => resume(&mut rest),
        "device" => token(&mut rest).map(|cookie| Line::Device { cookie }),
        "takeover" => Some(Line::Takeover),
        "invite" => token(&mut rest).map(|code| Line::Invite { code }),
        "alive" => Some(Line::Alive),
        "relay" => relay(&mut rest).map(Line::Relay),
        "ack" => acknowledge(&mut rest),
        "active" => Some(Line::Active { valid: !rest.keyword("invalid") }),
        _ => return request(text),
    };
    line.filter(|_| rest.is_over()).unwrap_or_else(|| misused(text, "usage"))
}

fn hello(rest: &mut Rest<'_>) -> Option<Line> {
    let version = u32::try_from(decimal(rest.first()?)?).ok()?;
    let words: Vec<&str> = core::iter::from_fn(|| rest.first()).collect();
    let [acknowledges, resumes, keeps_cookie, says_alive, courier, reads_away, relays, reads_until] =
        ["ack", "resume", "device", "alive", "courier", "away", "relay", "until"]
            .map(|word| words.contains(&word));
    Some(Line::Hello {
        version,
        acknowledges,
        resumes,
        keeps_cookie,
        says_alive,
        courier,
        reads_away,
        relays,
        reads_until,
    })
}

fn login(rest: &mut Rest<'_>) -> Option<Line> {
    let name = rest.first()?.to_string();
    Some(Line::Login { name, password: rest.text() })
}

fn register(rest: &mut Rest<'_>) -> Option<Line> {
    let name = rest.first()?.to_string();
    Some(Line::Register { name, password: rest.text()? })
}

fn resume(rest: &mut Rest<'_>) -> Option<Line> {
    Some(Line::Resume { name: rest.first()?.to_string(), token: token(rest)? })
}

fn token(rest: &mut Rest<'_>) -> Option<String> {
    let word = rest.first()?;
    let good = word.len() == 32 && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    good.then(|| word.to_string())
}

fn relay(rest: &mut Rest<'_>) -> Option<RelayLine> {
    Some(match rest.first()? {
        "open" => RelayLine::Open { user: rest.first()?.to_string() },
        "data" => {
            let (number, base64) = (decimal(rest.first()?)?, rest.first()?);
            RelayLine::Data { number, base64: base64.to_string(), bytes: base64_bytes(base64)? }
        }
        "took" => RelayLine::Took { number: decimal(rest.first()?)?, count: decimal(rest.first()?)? },
        "close" => RelayLine::Close { number: decimal(rest.first()?)? },
        _ => return None,
    })
}

/// How many bytes a word of base64 stands for: 1 to 3,072, and the bits that are left over are 0.
fn base64_bytes(word: &str) -> Option<usize> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let last = word.chars().map(|digit| DIGITS.find(digit)).collect::<Option<Vec<_>>>()?.pop()?;
    let bits = word.len() * 6;
    let (bytes, left) = (bits / 8, bits % 8);
    (left < 6 && last % (1 << left) == 0 && bytes <= 3_072).then_some(bytes)
}

fn acknowledge(rest: &mut Rest<'_>) -> Option<Line> {
    let (shown, answered) = (rest.first()?, rest.first()?);
    let shown = if shown == "-" { None } else { Some(message_id(shown)?) };
    let answered = if answered == "-" { None } else { Some(decimal(answered)?) };
    Some(Line::Acknowledge { shown, answered })
}

fn request(line: &str) -> Line {
    let (number, command) = numbered(line);
    let mut rest = Rest(command);
    for word in ["given", "random"] {
        if rest.keyword(word) {
            let marked = number.and_then(|number| marked(number, word, &mut rest));
            return marked.unwrap_or_else(|| misused(line, "usage"));
        }
    }
    match command_in(command) {
        Ok(command) => Line::Request { number, command },
        Err(code) => misused(line, code),
    }
}

fn marked(number: u64, word: &'static str, rest: &mut Rest<'_>) -> Option<Line> {
    let id = token(rest)?;
    let command = command_in(rest.0).ok().filter(|command| !command.text.is_empty())?;
    Some(Line::Marked { number, word, id, command })
}

/// A number before a command, and the rest of the line.
fn numbered(line: &str) -> (Option<u64>, &str) {
    let mut rest = Rest(line);
    match rest.first().and_then(|word| word.strip_prefix('#')).and_then(decimal) {
        Some(number) => (Some(number), rest.0),
        None => (None, line),
    }
}

fn misused(line: &str, code: &'static str) -> Line {
    let (number, command) = numbered(line);
    let mut rest = Rest(command);
    let typed = rest.first().unwrap_or("");
    let first = match begun_with(typed) {
        Some("message") if rest.keyword("group") => String::from("message group"),
        Some(name) => name.to_string(),
        None => typed.chars().take(32).collect(),
    };
    Line::Misused { number, code, first }
}

/// The first command that begins with a word.
fn begun_with(word: &str) -> Option<&'static str> {
    let word = if word == "wholasthtr" { "wholasthr" } else { word };
    COMMANDS.iter().map(|row| row.name).find(|name| name.split(' ').next() == Some(word))
}

fn command_in(line: &str) -> Result<Command, &'static str> {
    let mut rest = Rest(line);
    let first = rest.first().ok_or("usage")?;
    let name = begun_with(first).ok_or("unknown_command")?;
    let command = arguments(name, &mut rest).ok_or("usage")?;
    if rest.is_over() { Ok(command) } else { Err("usage") }
}

fn arguments(name: &'static str, rest: &mut Rest<'_>) -> Option<Command> {
    let mut command = Command { name, words: Vec::new(), text: String::new() };
    if name == "message" && rest.keyword("group") {
        command.name = "message group";
    } else if name.ends_with(" group") && !rest.keyword("group") {
        return None;
    }
    let words = match command.name {
        "message" | "message group" | "block" | "unblock" | "ping" | "seen" | "decline" | "whoelsesince"
        | "startprivate" | "accept" | "leave group" | "delete group" => 1,
        "add group" | "remove group" | "create group" => 2,
        _ => 0,
    };
    for _ in 0..words {
        command.words.push(rest.first()?.to_string());
    }
    match command.name {
        "message" | "message group" | "broadcast" | "away" | "op" => command.text = rest.text()?,
        "whoelsesince" if !command.word(0).bytes().all(|byte| byte.is_ascii_digit()) => return None,
        "create group" => command.words.extend(core::iter::from_fn(|| rest.first()).map(String::from)),
        "startprivate" | "accept" => {
            let mut most = 9;
            while command.words.len() < most
                && let Some(word) = rest.first()
            {
                if command.words.len() == 1 && is_device_key(word) {
                    most += 1;
                } else {
                    endpoint(word)?;
                }
                command.words.push(word.to_string());
            }
        }
        "help" => command.words.extend(topic(rest)),
        _ => {}
    }
    Some(command)
}

fn topic(rest: &mut Rest<'_>) -> Option<String> {
    let first = rest.first()?;
    let of_two = ["create", "message", "add", "remove", "leave", "delete"].contains(&first);
    if of_two && rest.keyword("group") {
        Some(alloc::format!("{first} group"))
    } else {
        Some(first.to_string())
    }
}

/// Digits without a leading zero, below 2^64.
pub(super) fn decimal(word: &str) -> Option<u64> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (word == "0" || !word.starts_with('0')) { word.parse().ok() } else { None }
}

fn message_id(word: &str) -> Option<MessageId> {
    let (boot, number) = word.split_once('.')?;
    Some(MessageId { boot: u32::try_from(decimal(boot)?).ok()?, number: decimal(number)? })
}

/// `ed25519:` and the base64 of 32 bytes, without padding: 43 digits, of which the last holds four bits.
pub(super) fn is_device_key(word: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let is_last = |byte: &u8| b"AEIMQUYcgkosw048".contains(byte);
    word.strip_prefix("ed25519:").map(str::as_bytes).is_some_and(|digits| {
        digits.len() == 43 && digits.iter().all(|byte| digit(*byte)) && digits.last().is_some_and(is_last)
    })
}

/// Where a client says that it listens: a port, or an address and a port.
pub(super) fn endpoint(word: &str) -> Option<(Option<IpAddr>, u16)> {
    let port = |digits: &str| decimal(digits).and_then(|port| u16::try_from(port).ok());
    if let Some(port) = port(word) {
        return Some((None, port));
    }
    let (ip, digits) = word.rsplit_once(':')?;
    let ip = match ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(ip) => IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?),
        None => IpAddr::V4(ip.parse::<Ipv4Addr>().ok()?),
    };
    Some((Some(ip), port(digits)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        match read(line.as_bytes()) {
            Line::Request { command, .. } => command,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn misuse(line: &[u8]) -> (Option<u64>, &'static str, String) {
        match read(line) {
            Line::Misused { number, code, first } => (number, code, first),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_begins_after_one_space_and_goes_to_the_end() {
        assert_eq!(command("  message   yoda  hi ").text, " hi ");
        assert_eq!(command("broadcast  ").text, " ");
        assert_eq!(command("message group crew dinner").name, "message group");
        assert_eq!(misuse(b"message yoda"), (None, "usage", "message".into()));
        assert_eq!(misuse(b"message yoda "), (None, "usage", "message".into()));
    }

    #[test]
    fn a_number_is_digits_without_a_leading_zero() {
        assert!(matches!(read(b"#7 whoelse"), Line::Request { number: Some(7), .. }));
        assert_eq!(misuse(b"#07 whoelse"), (None, "unknown_command", "#07".into()));
        assert_eq!(misuse(b"#7 shout"), (Some(7), "unknown_command", "shout".into()));
        assert_eq!(command("whoelsesince 0099").word(0), "0099");
    }

    #[test]
    fn a_misuse_names_the_command_that_can_be_read() {
        assert_eq!(misuse(b"create grupo x"), (None, "usage", "create group".into()));
        assert_eq!(misuse(b"message group crew"), (None, "usage", "message group".into()));
        assert_eq!(misuse(b"message yoda \xff\xfe"), (None, "usage", "message".into()));
        assert_eq!(misuse("é".repeat(40).as_bytes()), (None, "unknown_command", "é".repeat(32)));
    }

    #[test]
    fn endpoints_are_those_of_the_grammar() {
        assert!(
            endpoint("5000").is_some()
                && endpoint("10.0.0.2:5000").is_some()
                && endpoint("[::1]:5000").is_some()
        );
        assert!(
            ["05000", "65536", "10.0.0.2:05000", "[::1%1]:5000", "::1:5000x", ""]
                .iter()
                .all(|word| endpoint(word).is_none())
        );
    }
}
