//! The grammar of lines from a client: words are separated by runs of spaces, a text follows
//! exactly one.

use nom::Parser;
use nom::combinator::{map, map_opt, opt, recognize, success, verify};
use nom::multi::{many_m_n, many0_count};
use nom::sequence::preceded;

use super::misuse::{Misuse, command_name};
use super::{ClientLine, Command, Contact, Endpoint, MAX_ENDPOINTS};
use crate::wire::code::Code;
use crate::wire::command::CommandKind;
use crate::wire::parse::{
    Parsed, address, argument, but_for_spaces, command_number, decimal, device_key, keyword_group,
    message_id, one_line, or_dash, port_number, saturating_decimal, secret, small_decimal, spaces, text,
    token, word,
};
use crate::wire::parts::{Capabilities, IdKind, MessageMark, Words};
use crate::wire::relay_line::relay_line;

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

/// A whole line. The most common come first.
fn client_line(line: &str) -> Result<ClientLine<'_>, Code> {
    let (rest, first) = first_word(line)?;
    if let Some(number) = command_number(first) {
        let (rest, first) = first_word(rest)?;
        return match id_kind(first) {
            Some(kind) => marked(number, kind, rest).ok_or(Code::Usage),
            None => Ok(ClientLine::Request { number: Some(number), command: command_of(first, rest)? }),
        };
    }
    let parsed = match first {
        "ack" => acknowledge(rest),
        "active" => active(rest),
        "hello" => hello(rest),
        "login" => login(rest),
        "register" => register(rest),
        "resume" => resume(rest),
        "device" => map(map_opt(argument, token), |cookie| ClientLine::Device { cookie }).parse(rest),
        "invite" => map(map_opt(argument, token), |code| ClientLine::Invite { code }).parse(rest),
        "takeover" => success(ClientLine::Takeover).parse(rest),
        "relay" => relay_line(argument, rest).map(|(rest, line)| (rest, ClientLine::Relay(line))),
        "alive" => success(ClientLine::Alive).parse(rest),
        "given" | "random" => return Err(Code::Usage),
        _ => return Ok(ClientLine::Request { number: None, command: command_of(first, rest)? }),
    };
    but_for_spaces(parsed).ok_or(Code::Usage)
}

fn first_word(line: &str) -> Result<(&str, &str), Code> {
    preceded(spaces, word).parse(line).map_err(|_| Code::Usage)
}

fn hello(rest: &str) -> Parsed<'_, ClientLine<'_>> {
    map((map_opt(argument, small_decimal), capabilities), |(version, capabilities)| ClientLine::Hello {
        version,
        capabilities,
    })
    .parse(rest)
}

/// Unknown words are skipped, so that later versions can say more.
fn capabilities(rest: &str) -> Parsed<'_, Capabilities> {
    map(words, |words| Capabilities {
        acknowledge: words.iter().any(|word| word == "ack"),
        resume: words.iter().any(|word| word == "resume"),
        device: words.iter().any(|word| word == "device"),
        alive: words.iter().any(|word| word == "alive"),
        courier: words.iter().any(|word| word == "courier"),
        away: words.iter().any(|word| word == "away"),
        relay: words.iter().any(|word| word == "relay"),
        until: words.iter().any(|word| word == "until"),
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

fn id_kind(word: &str) -> Option<IdKind> {
    IdKind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

/// An id, and the message that it is of.
fn marked(number: u64, kind: IdKind, rest: &str) -> Option<ClientLine<'_>> {
    let (rest, id) = map_opt(argument, token).parse(rest).ok()?;
    let command = command(rest).ok()?;
    let is_message =
        matches!(command.kind(), CommandKind::Message | CommandKind::MessageGroup | CommandKind::Broadcast);
    is_message.then_some(ClientLine::Marked { number, mark: MessageMark { kind, id }, command })
}

/// A command and its arguments.
fn command(line: &str) -> Result<Command<'_>, Code> {
    let (rest, first) = first_word(line)?;
    command_of(first, rest)
}

/// A command by its first word, and what follows that. The most common come first.
fn command_of<'a>(first: &str, rest: &'a str) -> Result<Command<'a>, Code> {
    let kind = CommandKind::begun_with(first).ok_or(Code::UnknownCommand)?;
    but_for_spaces(arguments(kind, rest)).ok_or(Code::Usage)
}

/// The rest of a command after its first word.
fn arguments(kind: CommandKind, rest: &str) -> Parsed<'_, Command<'_>> {
    match kind {
        CommandKind::Message => message(rest),
        CommandKind::Broadcast => map(text, |text| Command::Broadcast { text }).parse(rest),
        CommandKind::Whoelse => success(Command::Whoelse).parse(rest),
        CommandKind::WhoelseSince => {
            map(map_opt(argument, saturating_decimal), |seconds| Command::WhoelseSince { seconds })
                .parse(rest)
        }
        CommandKind::Wholasthr => success(Command::Wholasthr).parse(rest),
        CommandKind::Block => map(argument, |user| Command::Block { user }).parse(rest),
        CommandKind::Unblock => map(argument, |user| Command::Unblock { user }).parse(rest),
        CommandKind::Offline => success(Command::Offline).parse(rest),
        CommandKind::Ping => map(argument, |user| Command::Ping { user }).parse(rest),
        CommandKind::Seen => map(argument, |user| Command::Seen { user }).parse(rest),
        CommandKind::Away => map(text, |text| Command::Away { text }).parse(rest),
        CommandKind::Back => success(Command::Back).parse(rest),
        CommandKind::CreateGroup => {
            map((of_group, members), |(group, members)| Command::CreateGroup { group, members }).parse(rest)
        }
        CommandKind::MessageGroup => {
            map((of_group, text), |(group, text)| Command::MessageGroup { group, text }).parse(rest)
        }
        CommandKind::GroupList => success(Command::GroupList).parse(rest),
        CommandKind::AddToGroup => {
            map((of_group, argument), |(group, user)| Command::AddToGroup { group, user }).parse(rest)
        }
        CommandKind::RemoveFromGroup => {
            map((of_group, argument), |(group, user)| Command::RemoveFromGroup { group, user }).parse(rest)
        }
        CommandKind::LeaveGroup => map(of_group, |group| Command::LeaveGroup { group }).parse(rest),
        CommandKind::DeleteGroup => map(of_group, |group| Command::DeleteGroup { group }).parse(rest),
        CommandKind::StartPrivate => {
            map((argument, contact), |(user, contact)| Command::StartPrivate { user, contact }).parse(rest)
        }
        CommandKind::Accept => {
            map((argument, contact), |(user, contact)| Command::Accept { user, contact }).parse(rest)
        }
        CommandKind::Decline => map(argument, |user| Command::Decline { user }).parse(rest),
        CommandKind::Op => map(text, |order| Command::Op { order }).parse(rest),
        CommandKind::Help => map(opt(help_topic), |about| Command::Help { about }).parse(rest),
        CommandKind::Logout => success(Command::Logout).parse(rest),
    }
}

/// `group` is not a user: the name of a group follows it.
fn message(rest: &str) -> Parsed<'_, Command<'_>> {
    let (after_user, to) = argument(rest)?;
    if to == "group" {
        arguments(CommandKind::MessageGroup, rest)
    } else {
        map(text, |text| Command::Message { to, text }).parse(after_user)
    }
}

/// The word `group` and the name of one.
fn of_group(rest: &str) -> Parsed<'_, &str> {
    preceded(keyword_group, argument).parse(rest)
}

/// At least one.
fn members(rest: &str) -> Parsed<'_, Words<'_>> {
    verify(words, |words: &Words<'_>| words.iter().next().is_some()).parse(rest)
}

/// The rest of the line as words.
fn words(rest: &str) -> Parsed<'_, Words<'_>> {
    map_opt(recognize((many0_count(argument), spaces)), Words::new).parse(rest)
}

fn contact(rest: &str) -> Parsed<'_, Contact> {
    let key = opt(map_opt(argument, device_key));
    let endpoints = many_m_n(0, MAX_ENDPOINTS, map_opt(argument, endpoint));
    map((key, endpoints), |(key, endpoints)| Contact { key, endpoints }).parse(rest)
}

/// `5123`, `10.0.0.2:5123` or `[::1]:5123`.
fn endpoint(word: &str) -> Option<Endpoint> {
    port_number(word).map(Endpoint::Port).or_else(|| address(word).map(Endpoint::Address))
}

/// The name of a command, of one word or two.
fn help_topic(rest: &str) -> Parsed<'_, &str> {
    let (after_first, first) = argument(rest)?;
    let of_two = CommandKind::ALL.iter().find(|kind| kind.is_of_groups() && kind.verb() == first);
    match (of_two, keyword_group(after_first)) {
        (Some(kind), Ok((rest, _))) => Ok((rest, kind.name())),
        _ => Ok((after_first, first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::DeviceKey;
    use crate::words::{MessageId, Secret, Text, Token};
    use alloc::format;
    use alloc::vec;
    use core::net::SocketAddr;

    fn text(text: &str) -> Text<'_> {
        Text::new(text).unwrap()
    }

    fn names(names: &str) -> Words<'_> {
        Words::new(names).unwrap()
    }

    fn request(number: impl Into<Option<u64>>, command: Command<'_>) -> ClientLine<'_> {
        ClientLine::Request { number: number.into(), command }
    }

    #[test]
    fn lines_around_commands() {
        let both = Capabilities { acknowledge: true, resume: true, ..Capabilities::default() };
        let token = Token([0xab; 16]);
        let hex = format!("resume hans {}", "ab".repeat(16));
        let shown = Some(MessageId { boot: 3, number: 17 });
        for (line, expected) in [
            ("hello 1", ClientLine::Hello { version: 1, capabilities: Capabilities::default() }),
            ("hello 1 ack resume", ClientLine::Hello { version: 1, capabilities: both }),
            (" hello  1  resume zip acknowledge ack ", ClientLine::Hello { version: 1, capabilities: both }),
            ("login hans", ClientLine::Login { name: "hans", password: None }),
            ("login hans ", ClientLine::Login { name: "hans", password: None }),
            ("login hans falcon", ClientLine::Login { name: "hans", password: Some(Secret("falcon")) }),
            ("login  hans  a b ", ClientLine::Login { name: "hans", password: Some(Secret(" a b ")) }),
            ("login #1 group", ClientLine::Login { name: "#1", password: Some(Secret("group")) }),
            ("register hans a b", ClientLine::Register { name: "hans", password: Secret("a b") }),
            (&hex, ClientLine::Resume { name: "hans", token }),
            ("ack 3.17 5", ClientLine::Acknowledge { shown, answered: Some(5) }),
            ("ack - 5", ClientLine::Acknowledge { shown: None, answered: Some(5) }),
            (" ack  3.17  - ", ClientLine::Acknowledge { shown, answered: None }),
            ("active", ClientLine::Active { valid: true }),
            ("active invalid", ClientLine::Active { valid: false }),
        ] {
            assert_eq!(ClientLine::parse(line.as_bytes()), Ok(expected), "{line:?}");
        }
    }

    /// R7
    #[test]
    fn texts_begin_after_one_space_and_stay_as_they_are() {
        for (line, to, said) in [
            ("message yoda hi", "yoda", "hi"),
            ("   message   yoda hi there ", "yoda", "hi there "),
            ("message yoda  hi", "yoda", " hi"),
            ("message yoda    ", "yoda", "   "),
            ("message yoda group", "yoda", "group"),
            ("message groupie hi", "groupie", "hi"),
            ("message yoda \t\0\u{202e}\r", "yoda", "\t\0\u{202e}\r"),
            ("message yo\tda #1", "yo\tda", "#1"),
        ] {
            let command = Command::Message { to, text: text(said) };
            assert_eq!(ClientLine::parse(line.as_bytes()), Ok(request(None, command)), "{line:?}");
        }
        let broadcast = Command::Broadcast { text: text(" hi all") };
        assert_eq!(ClientLine::parse(b"broadcast  hi all"), Ok(request(None, broadcast)));
        let grouped = Command::MessageGroup { group: "crew", text: text("hi  you") };
        assert_eq!(ClientLine::parse(b"message  group  crew hi  you"), Ok(request(None, grouped)));
    }

    /// R61
    #[test]
    fn ids_stand_before_messages() {
        let id = Token([0x0b; 16]);
        let hex = "0b".repeat(16);
        for (word, kind) in [("given", IdKind::Given), ("random", IdKind::Random)] {
            let command = Command::Message { to: "yoda", text: text(" hi") };
            let expected = ClientLine::Marked { number: 7, mark: MessageMark { kind, id }, command };
            let line = format!(" #7  {word}  {hex} message yoda  hi");
            assert_eq!(ClientLine::parse(line.as_bytes()), Ok(expected), "{line:?}");
            for wrong in ["ping yoda", "message yoda", "", "#8 message yoda hi"] {
                let line = format!("#7 {word} {hex} {wrong}");
                let misuse = ClientLine::parse(line.as_bytes()).unwrap_err();
                assert_eq!(
                    (misuse.number, misuse.command, misuse.code),
                    (Some(7), word, Code::Usage),
                    "{line}"
                );
            }
            let line = format!("{word} {hex} message yoda hi");
            let misuse = ClientLine::parse(line.as_bytes()).unwrap_err();
            assert_eq!((misuse.number, misuse.command, misuse.code), (None, word, Code::Usage));
        }
    }

    #[test]
    fn commands() {
        let here: SocketAddr = "[::1]:80".parse().unwrap();
        for (line, expected) in [
            ("whoelse", Command::Whoelse),
            ("  whoelse  ", Command::Whoelse),
            ("whoelsesince 0", Command::WhoelseSince { seconds: 0 }),
            ("whoelsesince 00060", Command::WhoelseSince { seconds: 60 }),
            ("whoelsesince 99999999999999999999999999", Command::WhoelseSince { seconds: u64::MAX }),
            ("wholasthr", Command::Wholasthr),
            ("wholasthtr", Command::Wholasthr),
            ("block yoda", Command::Block { user: "yoda" }),
            ("unblock  yoda ", Command::Unblock { user: "yoda" }),
            ("offline", Command::Offline),
            ("ping yoda", Command::Ping { user: "yoda" }),
            ("seen yoda", Command::Seen { user: "yoda" }),
            ("away  at lunch ", Command::Away { text: text(" at lunch ") }),
            ("op mute luke 10m", Command::Op { order: text("mute luke 10m") }),
            ("  back ", Command::Back),
            ("create group crew yoda", Command::CreateGroup { group: "crew", members: names("yoda") }),
            (
                " create  group  crew  yoda   luke ",
                Command::CreateGroup { group: "crew", members: names("yoda luke") },
            ),
            ("grouplist", Command::GroupList),
            ("add group crew yoda", Command::AddToGroup { group: "crew", user: "yoda" }),
            ("remove group crew yoda", Command::RemoveFromGroup { group: "crew", user: "yoda" }),
            ("leave group crew", Command::LeaveGroup { group: "crew" }),
            ("delete group crew", Command::DeleteGroup { group: "crew" }),
            ("startprivate yoda", Command::StartPrivate { user: "yoda", contact: Contact::default() }),
            (
                "accept yoda 5123  [::1]:80",
                Command::Accept {
                    user: "yoda",
                    contact: Contact {
                        key: None,
                        endpoints: vec![Endpoint::Port(5123), Endpoint::Address(here)],
                    },
                },
            ),
            (
                "startprivate yoda 1 2 3 4 5 6 7 8",
                Command::StartPrivate {
                    user: "yoda",
                    contact: Contact { key: None, endpoints: (1..=8).map(Endpoint::Port).collect() },
                },
            ),
            (
                "startprivate yoda ed25519:CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws 5123",
                Command::StartPrivate {
                    user: "yoda",
                    contact: Contact {
                        key: Some(DeviceKey([0x0b; 32])),
                        endpoints: vec![Endpoint::Port(5123)],
                    },
                },
            ),
            ("decline yoda", Command::Decline { user: "yoda" }),
            ("help", Command::Help { about: None }),
            ("help whoelse", Command::Help { about: Some("whoelse") }),
            ("help message", Command::Help { about: Some("message") }),
            ("help  create   group", Command::Help { about: Some("create group") }),
            ("logout", Command::Logout),
        ] {
            assert_eq!(Command::parse(line), Ok(expected.clone()), "{line:?}");
            let numbered = format!(" #18446744073709551615  {line}");
            let expected = request(u64::MAX, expected);
            assert_eq!(ClientLine::parse(numbered.as_bytes()), Ok(expected), "{numbered:?}");
        }
    }
}
