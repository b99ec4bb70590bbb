//! The grammar of lines from the server: exactly one space between words, one spelling each.

use alloc::string::ToString;
use core::net::SocketAddr;

use nom::Parser;
use nom::branch::alt;
use nom::combinator::{map, map_opt, opt, rest, success, verify};
use nom::multi::many0;
use nom::sequence::{pair, preceded};

use super::{Admission, Answer, Delivery, Notice, Presence, Remark, ServerLine};
use crate::time::Time;
use crate::wire::code::{Code, Farewell, Freshness, PingStatus, Prompt, Refusal, Role, Status};
use crate::wire::parse::{
    Garbled, Parsed, address, answered_number, decimal, device_key, field, fields, message_id, one_line,
    or_dash, origin, small_decimal, space, text, time, to_the_end, token, word,
};
use crate::wire::parts::Capabilities;
use crate::wire::relay_line::relayed;
use crate::words::{LoginNumber, MessageId};

impl<'a> ServerLine<'a> {
    /// Reads one line (without its line feed).
    ///
    /// ```
    /// use hobnob::wire::{Answer, ServerLine, Status};
    ///
    /// let line = ServerLine::parse(b"ok #7 message yoda delivered");
    /// let answer = Answer::Message { to: "yoda", status: Status::Delivered };
    /// assert_eq!(line, Ok(ServerLine::Done { number: Some(7), answer }));
    /// ```
    ///
    /// # Errors
    /// [`Garbled`] if it is none that this version knows.
    pub fn parse(line: &'a [u8]) -> Result<ServerLine<'a>, Garbled> {
        let line = one_line(line).ok_or(Garbled)?;
        to_the_end(server_line(line)).ok_or(Garbled)
    }
}

/// A whole line. The most common come first.
fn server_line(line: &str) -> Parsed<'_, ServerLine<'_>> {
    let (rest, first) = word(line)?;
    match first {
        "message" => map(delivery, ServerLine::Message).parse(rest),
        "ok" => map(pair(answered_number, answer), |(number, answer)| ServerLine::Done { number, answer })
            .parse(rest),
        "group-message" => group_message(rest),
        "broadcast" => {
            let live = verify(delivery, |delivery: &Delivery<'_>| delivery.freshness == Freshness::Live);
            map(live, ServerLine::Broadcast).parse(rest)
        }
        "error" => failed(rest),
        "online" => map(field, |user| ServerLine::Online { user }).parse(rest),
        "offline" => map(field, |user| ServerLine::Offline { user }).parse(rest),
        "users" => map(pair(answered_number, fields), |(number, users)| ServerLine::Users { number, users })
            .parse(rest),
        "members" => map((answered_number, field, fields), |(number, group, members)| ServerLine::Members {
            number,
            group,
            members,
        })
        .parse(rest),
        "away" => map((answered_number, field, text), |(number, user, text)| ServerLine::Away {
            number,
            user,
            text,
        })
        .parse(rest),
        "order" => {
            let remark = map_opt(text, Remark::new);
            map((answered_number, remark), |(number, remark)| ServerLine::Order { number, remark })
                .parse(rest)
        }
        "changed" => map(pair(field, field), |(group, by)| ServerLine::Changed { group, by }).parse(rest),
        "request" => map(field, |from| ServerLine::Request { from }).parse(rest),
        "withdrawn" => map(field, |from| ServerLine::Withdrawn { from }).parse(rest),
        "endprivate" => map(field, |user| ServerLine::EndPrivate { user }).parse(rest),
        "introduce" => introduce(rest),
        "relay" => relayed(field, rest).map(|(rest, line)| (rest, ServerLine::Relay(line))),
        "help" => map(text, ServerLine::Help).parse(rest),
        _ => session_line(first, rest),
    }
}

/// Lines that are rare in a session.
fn session_line<'a>(first: &str, rest: &'a str) -> Parsed<'a, ServerLine<'a>> {
    match first {
        "hobnob" => map(pair(map_opt(field, small_decimal), capabilities), |(version, capabilities)| {
            ServerLine::Greeting { version, capabilities }
        })
        .parse(rest),
        "ask" => map(map_opt(field, Prompt::from_word), ServerLine::Ask).parse(rest),
        "device" => map(map_opt(field, token), |cookie| ServerLine::Device { cookie }).parse(rest),
        "invited" => map(opt(field), |name| ServerLine::Invited { name }).parse(rest),
        "alive" => success(ServerLine::Alive).parse(rest),
        "welcome" => map(admission, ServerLine::Welcome).parse(rest),
        "resumed" => map(admission, ServerLine::Resumed).parse(rest),
        "refused" => map(refusal, ServerLine::Refused).parse(rest),
        "notice" => map(notice, ServerLine::Notice).parse(rest),
        "bye" => map(map_opt(field, Farewell::from_word), ServerLine::Bye).parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}

/// Unknown words are skipped, so that later servers can say more.
fn capabilities(rest: &str) -> Parsed<'_, Capabilities> {
    map(fields, |words| Capabilities {
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

fn admission(rest: &str) -> Parsed<'_, Admission<'_>> {
    let unread = preceded(keyword("unread"), map_opt(field, decimal));
    let login = preceded(keyword("login"), map_opt(field, decimal)).map(LoginNumber);
    let token = opt(preceded(keyword("token"), map_opt(field, token)));
    map((field, unread, login, token), |(user, unread, login, token)| Admission {
        user,
        unread,
        login,
        token,
    })
    .parse(rest)
}

fn refusal(rest: &str) -> Parsed<'_, Refusal> {
    let (rest, reason) = field(rest)?;
    match reason {
        "invalid_credentials" => {
            map(map_opt(field, small_decimal), |attempts_left| Refusal::InvalidCredentials { attempts_left })
                .parse(rest)
        }
        "locked_out" => {
            map(map_opt(field, decimal), |retry_after_secs| Refusal::LockedOut { retry_after_secs })
                .parse(rest)
        }
        "already_online" => success(Refusal::AlreadyOnline).parse(rest),
        "bad_name" => success(Refusal::BadName).parse(rest),
        "busy" => success(Refusal::Busy).parse(rest),
        "name_taken" => success(Refusal::NameTaken).parse(rest),
        "stale" => success(Refusal::Stale).parse(rest),
        "invalid_invite" => success(Refusal::InvalidInvite).parse(rest),
        _ => Err(nom::Err::Error(())),
    }
}

fn failed(line: &str) -> Parsed<'_, ServerLine<'_>> {
    let (line, (number, code)) = pair(answered_number, map_opt(field, Code::from_word)).parse(line)?;
    // Without a word in the line there is no command to name.
    let named = preceded(space, verify(rest, |command: &str| !command.is_empty()));
    let (line, command) = opt(named).parse(line)?;
    Ok((line, ServerLine::Failed { number, code, command: command.unwrap_or_default() }))
}

fn delivery(rest: &str) -> Parsed<'_, Delivery<'_>> {
    let (rest, id) = map_opt(field, message_id).parse(rest)?;
    delivery_after_id(id, rest)
}

fn group_message(rest: &str) -> Parsed<'_, ServerLine<'_>> {
    let (rest, (id, group)) = pair(map_opt(field, message_id), field).parse(rest)?;
    let (rest, delivery) = delivery_after_id(id, rest)?;
    Ok((rest, ServerLine::GroupMessage { group, delivery }))
}

fn delivery_after_id(id: MessageId, rest: &str) -> Parsed<'_, Delivery<'_>> {
    let (rest, from) = field(rest)?;
    let (rest, sent_at) = map_opt(field, time).parse(rest)?;
    let (rest, origin) = map_opt(field, or_dash(origin)).parse(rest)?;
    let (rest, freshness) = map_opt(field, Freshness::from_word).parse(rest)?;
    let (rest, text) = text(rest)?;
    Ok((rest, Delivery { id, from, sent_at, origin, freshness, text }))
}

fn introduce(rest: &str) -> Parsed<'_, ServerLine<'_>> {
    let role = map_opt(field, Role::from_word);
    let addresses = many0(map_opt(field, one_spelling));
    let key = opt(map_opt(field, device_key));
    map((field, role, map_opt(field, token), key, addresses), |(user, role, id, key, addresses)| {
        ServerLine::Introduce { user, role, id, key, addresses }
    })
    .parse(rest)
}

/// An address in its canonical spelling: IPv6 as in RFC 5952.
fn one_spelling(word: &str) -> Option<SocketAddr> {
    address(word).filter(|address| address.to_string() == word)
}

fn notice(rest: &str) -> Parsed<'_, Notice<'_>> {
    let count = |word: &'static str| preceded(keyword(word), map_opt(field, small_decimal));
    let failed = map(count("failed_logins"), |count| Notice::FailedLogins { count });
    let expired = map(count("expired"), |count| Notice::Expired { count });
    let missed = map(count("missed"), |count| Notice::Missed { count });
    let idle = map(count("idle"), |seconds| Notice::Idle { seconds });
    let operator = map(preceded(keyword("operator"), text), |text| Notice::Operator { text });
    alt((failed, expired, missed, idle, operator)).parse(rest)
}

/// The outcome of a command, which its name begins.
fn answer(rest: &str) -> Parsed<'_, Answer<'_>> {
    let (rest, first) = field(rest)?;
    let count = |rest| map_opt(field, decimal).parse(rest);
    match first {
        "message" => message_answer(rest),
        "broadcast" => {
            map(pair(count, withheld), |(recipients, withheld)| Answer::Broadcast { recipients, withheld })
                .parse(rest)
        }
        "whoelse" => map(count, |count| Answer::Whoelse { count }).parse(rest),
        "whoelsesince" => map(count, |count| Answer::WhoelseSince { count }).parse(rest),
        "wholasthr" => map(count, |count| Answer::Wholasthr { count }).parse(rest),
        "block" => map(field, |user| Answer::Block { user }).parse(rest),
        "unblock" => map(field, |user| Answer::Unblock { user }).parse(rest),
        "offline" => map(count, |messages| Answer::Offline { messages }).parse(rest),
        "ping" => map(pair(field, map_opt(field, PingStatus::from_word)), |(user, status)| Answer::Ping {
            user,
            status,
        })
        .parse(rest),
        "seen" => map(pair(field, presence), |(user, presence)| Answer::Seen { user, presence }).parse(rest),
        "away" => success(Answer::Away).parse(rest),
        "back" => success(Answer::Back).parse(rest),
        "op" => success(Answer::Op).parse(rest),
        "grouplist" => map(count, |count| Answer::GroupList { count }).parse(rest),
        "startprivate" => map(field, |user| Answer::StartPrivate { user }).parse(rest),
        "accept" => map(field, |user| Answer::Accept { user }).parse(rest),
        "decline" => map(field, |user| Answer::Decline { user }).parse(rest),
        "help" => success(Answer::Help).parse(rest),
        "logout" => success(Answer::Logout).parse(rest),
        _ => group_answer(first, rest),
    }
}

/// Whoever is online has no time yet.
fn presence(rest: &str) -> Parsed<'_, Presence> {
    map_opt(pair(field, map_opt(field, or_dash(decimal))), |(word, until)| match (word, until) {
        ("online", None) => Some(Presence::Now),
        ("offline", Some(until)) => Some(Presence::Until(Time(until))),
        ("offline", None) => Some(Presence::Never),
        _ => None,
    })
    .parse(rest)
}

/// `group` is not a user: the name of a group follows it.
fn message_answer(rest: &str) -> Parsed<'_, Answer<'_>> {
    let (rest, to) = field(rest)?;
    if to != "group" {
        let (rest, status) = map_opt(field, Status::from_word).parse(rest)?;
        let (rest, until) = opt(map_opt(field, time)).parse(rest)?;
        return match (status, until) {
            (status, None) => Ok((rest, Answer::Message { to, status })),
            (Status::Stored, Some(until)) => Ok((rest, Answer::StoredUntil { to, until })),
            (Status::Delivered, Some(_)) => Err(nom::Err::Error(())),
        };
    }
    let count = |rest| map_opt(field, decimal).parse(rest);
    map((field, count, count, count, withheld), |(group, delivered, stored, refused, withheld)| {
        Answer::MessageGroup { group, delivered, stored, refused, withheld }
    })
    .parse(rest)
}

fn group_answer<'a>(verb: &str, rest: &'a str) -> Parsed<'a, Answer<'a>> {
    let (rest, group) = preceded(keyword("group"), field).parse(rest)?;
    match verb {
        "create" => Ok((rest, Answer::CreateGroup { group })),
        "add" => Ok((rest, Answer::AddToGroup { group })),
        "remove" => Ok((rest, Answer::RemoveFromGroup { group })),
        "leave" => Ok((rest, Answer::LeaveGroup { group })),
        "delete" => Ok((rest, Answer::DeleteGroup { group })),
        _ => Err(nom::Err::Error(())),
    }
}

/// `complete` or `withheld`
fn withheld(rest: &str) -> Parsed<'_, bool> {
    map_opt(field, |word| match word {
        "complete" => Some(false),
        "withheld" => Some(true),
        _ => None,
    })
    .parse(rest)
}

/// This word and no other.
fn keyword<'a>(expected: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = ()> {
    verify(field, move |word: &str| word == expected)
}

#[cfg(test)]
mod tests;
