//! The grammar of lines from a client: words apart by runs of spaces, a text behind exactly one.

use nom::Parser;
use nom::combinator::{map, map_opt, opt, recognize, success, verify};
use nom::multi::{many_m_n, many0_count};
use nom::sequence::preceded;

use super::{Capabilities, ClientLine, Command, Endpoint, MAX_ENDPOINTS, Words};
use crate::wire::parse::{
    Parsed, argument, but_for_spaces, command_number, decimal, message_id, one_line, or_dash,
    saturating_decimal, secret, small_decimal, spaces, text, token, word,
};
use crate::wire::{Code, Misuse};

/// Characters of a first word that are repeated to whoever typed it.
const NAMED_CHARS: usize = 32;

impl<'a> ClientLine<'a> {
    /// Reads one line (without its line feed).
    ///
    /// ```
    /// use hobnob::wire::{ClientLine, Code, Command};
    ///
    /// let Ok(ClientLine::Request { number, command: Command::Message { to, text } }) =
    ///     ClientLine::parse(b"#7 message yoda  hi ")
    /// else {
    ///     panic!("a message");
    /// };
    /// assert_eq!((number, to, text.as_str()), (Some(7), "yoda", " hi "));
    ///
    /// let misuse = ClientLine::parse(b"create group").unwrap_err();
    /// assert_eq!((misuse.command, misuse.code), ("create group", Code::Usage));
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] names the command that cannot be obeyed and why; it is [`Code::Usage`] with an empty
    /// command for a blank line, which callers may ignore.
    pub fn parse(line: &'a [u8]) -> Result<ClientLine<'a>, Misuse<'a>> {
        let Some(line) = one_line(line) else { return Err(Misuse::unreadable(line)) };
        client_line(line).map_err(|code| Misuse::of(line, code))
    }
}

impl<'a> Command<'a> {
    /// Reads a command as a person types it, without a number.
    ///
    /// # Errors
    /// [`Misuse`] names the command that cannot be obeyed and why.
    pub fn parse(line: &'a str) -> Result<Command<'a>, Misuse<'a>> {
        let Some(line) = one_line(line.as_bytes()) else { return Err(Misuse::unreadable(line.as_bytes())) };
        command(line).map_err(|code| Misuse { number: None, command: command_name(line), code })
    }
}

impl<'a> Misuse<'a> {
    /// What is wrong with a line that is no UTF-8: [`Code::Usage`], of the command that can be read in
    /// front of the bad bytes.
    #[must_use]
    pub fn unreadable(line: &'a [u8]) -> Misuse<'a> {
        let line = memchr::memchr(b'\n', line).map_or(line, |end| &line[..end]);
        let readable = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        // The last word may go on behind what can be read.
        let whole_words = readable.rfind(' ').map_or("", |end| &readable[..end]);
        Misuse::of(whole_words, Code::Usage)
    }

    fn of(line: &'a str, code: Code) -> Misuse<'a> {
        match numbered(line) {
            Ok((line, number)) => Misuse { number: Some(number), command: command_name(line), code },
            Err(_) => Misuse { number: None, command: command_name(line), code },
        }
    }
}

/// A whole line. The commonest come first.
fn client_line(line: &str) -> Result<ClientLine<'_>, Code> {
    if let Ok((rest, number)) = numbered(line) {
        return Ok(ClientLine::Request { number: Some(number), command: command(rest)? });
    }
    let (rest, first) = preceded(spaces, word).parse(line).map_err(|_| Code::Usage)?;
    let parsed = match first {
        "ack" => acknowledge(rest),
        "active" => active(rest),
        "hello" => hello(rest),
        "login" => login(rest),
        "register" => register(rest),
        "resume" => resume(rest),
        _ => return Ok(ClientLine::Request { number: None, command: command(line)? }),
    };
    but_for_spaces(parsed).ok_or(Code::Usage)
}

/// `#42` in front of a command.
fn numbered(line: &str) -> Parsed<'_, u64> {
    preceded(spaces, map_opt(word, command_number)).parse(line)
}

fn hello(rest: &str) -> Parsed<'_, ClientLine<'_>> {
    map((map_opt(argument, small_decimal), capabilities), |(version, capabilities)| ClientLine::Hello {
        version,
        capabilities,
    })
    .parse(rest)
}

/// Words of which the unknown ones are skipped, so that later versions can say more.
fn capabilities(rest: &str) -> Parsed<'_, Capabilities> {
    map(words, |words| Capabilities {
        acknowledge: words.iter().any(|word| word == "ack"),
        resume: words.iter().any(|word| word == "resume"),
    })
    .parse(rest)
}

fn login(rest: &str) -> Parsed<'_, ClientLine<'_>> {
    map((argument, opt(secret)), |(name, password)| ClientLine::Login { name, password }).parse(rest)
}

fn register(rest: &str) -> Parsed<'_, ClientLine<'_>> {
    map((argument, secret), |(name, password)| ClientLine::Register { name, password }).parse(rest)
}

fn resume(rest: &str) -> Parsed<'_, ClientLine<'_>> {
    map((argument, map_opt(argument, token)), |(name, token)| ClientLine::Resume { name, token }).parse(rest)
}

fn acknowledge(rest: &str) -> Parsed<'_, ClientLine<'_>> {
    let shown = map_opt(argument, or_dash(message_id));
    let answered = map_opt(argument, or_dash(decimal));
    map((shown, answered), |(shown, answered)| ClientLine::Acknowledge { shown, answered }).parse(rest)
}

fn active(rest: &str) -> Parsed<'_, ClientLine<'_>> {
    let invalid = opt(verify(argument, |word: &str| word == "invalid"));
    map(invalid, |invalid| ClientLine::Active { valid: invalid.is_none() }).parse(rest)
}

/// A command and its arguments. The commonest come first.
fn command(line: &str) -> Result<Command<'_>, Code> {
    let (rest, first) = preceded(spaces, word).parse(line).map_err(|_| Code::Usage)?;
    let parsed = match first {
        "message" => message(rest),
        "broadcast" => map(text, |text| Command::Broadcast { text }).parse(rest),
        "whoelse" => success(Command::Whoelse).parse(rest),
        "whoelsesince" => {
            map(map_opt(argument, saturating_decimal), |seconds| Command::WhoelseSince { seconds })
                .parse(rest)
        }
        "wholasthr" | "wholasthtr" => success(Command::Wholasthr).parse(rest),
        "block" => map(argument, |user| Command::Block { user }).parse(rest),
        "unblock" => map(argument, |user| Command::Unblock { user }).parse(rest),
        "offline" => success(Command::Offline).parse(rest),
        "ping" => map(argument, |user| Command::Ping { user }).parse(rest),
        "create" | "add" | "remove" | "leave" | "delete" => group_command(first, rest),
        "grouplist" => success(Command::GroupList).parse(rest),
        "startprivate" => {
            map((argument, endpoints), |(user, endpoints)| Command::StartPrivate { user, endpoints })
                .parse(rest)
        }
        "accept" => {
            map((argument, endpoints), |(user, endpoints)| Command::Accept { user, endpoints }).parse(rest)
        }
        "decline" => map(argument, |user| Command::Decline { user }).parse(rest),
        "help" => map(opt(help_topic), |about| Command::Help { about }).parse(rest),
        "logout" => success(Command::Logout).parse(rest),
        _ => return Err(Code::UnknownCommand),
    };
    but_for_spaces(parsed).ok_or(Code::Usage)
}

/// `group` is no user: behind it comes the name of one.
fn message(rest: &str) -> Parsed<'_, Command<'_>> {
    let (rest, to) = argument(rest)?;
    if to == "group" {
        map((argument, text), |(group, text)| Command::MessageGroup { group, text }).parse(rest)
    } else {
        map(text, |text| Command::Message { to, text }).parse(rest)
    }
}

fn group_command<'a>(verb: &str, rest: &'a str) -> Parsed<'a, Command<'a>> {
    let (rest, group) = preceded(keyword_group, argument).parse(rest)?;
    match verb {
        "create" => map(verify(words, |words: &Words<'_>| words.iter().next().is_some()), |members| {
            Command::CreateGroup { group, members }
        })
        .parse(rest),
        "add" => map(argument, |user| Command::AddToGroup { group, user }).parse(rest),
        "remove" => map(argument, |user| Command::RemoveFromGroup { group, user }).parse(rest),
        "leave" => success(Command::LeaveGroup { group }).parse(rest),
        "delete" => success(Command::DeleteGroup { group }).parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}

fn keyword_group(rest: &str) -> Parsed<'_, &str> {
    verify(argument, |word: &str| word == "group").parse(rest)
}

/// The rest of the line as words.
fn words(rest: &str) -> Parsed<'_, Words<'_>> {
    map_opt(recognize((many0_count(argument), spaces)), Words::new).parse(rest)
}

fn endpoints(rest: &str) -> Parsed<'_, alloc::vec::Vec<Endpoint>> {
    many_m_n(0, MAX_ENDPOINTS, map_opt(argument, endpoint)).parse(rest)
}

/// `5123`, `10.0.0.2:5123` or `[::1]:5123`.
fn endpoint(word: &str) -> Option<Endpoint> {
    match decimal(word) {
        Some(port) => u16::try_from(port).ok().map(Endpoint::Port),
        None => word.parse().ok().map(Endpoint::Address),
    }
}

/// The name of a command, of one word or two.
fn help_topic(rest: &str) -> Parsed<'_, &str> {
    let (behind_first, first) = argument(rest)?;
    match (two_words(first), keyword_group(behind_first)) {
        (Some(topic), Ok((rest, _))) => Ok((rest, topic)),
        _ => Ok((behind_first, first)),
    }
}

/// The name of the command that a line begins with, however wrong its arguments are; else its first
/// word, shortened.
fn command_name(line: &str) -> &str {
    let Ok((rest, first)) = preceded(spaces, word).parse(line) else { return "" };
    match (first, two_words(first)) {
        ("wholasthtr", _) => "wholasthr",
        ("message", Some(name)) if keyword_group(rest).is_ok() => name,
        ("message", _) | (_, None) => shortened(first),
        (_, Some(name)) => name,
    }
}

/// The name of the command of two words that begins with this one.
fn two_words(first: &str) -> Option<&'static str> {
    match first {
        "message" => Some("message group"),
        "create" => Some("create group"),
        "add" => Some("add group"),
        "remove" => Some("remove group"),
        "leave" => Some("leave group"),
        "delete" => Some("delete group"),
        _ => None,
    }
}

fn shortened(word: &str) -> &str {
    word.char_indices().nth(NAMED_CHARS).map_or(word, |(end, _)| &word[..end])
}
