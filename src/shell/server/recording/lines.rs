//! Lines of clients without their secrets.

use std::collections::HashSet;
use std::ops::Range;

use super::effects::TOKEN;
use super::recovered::Named;
use super::stand_ins::StandIns;
use crate::wire::{ClientLine, CommandKind, Misuse};
use crate::words::Token;

/// Names that are no passwords in the place of a name.
pub(super) type Known<'a> = &'a HashSet<String>;

/// Appends the line as it is recorded, of the same length.
pub(super) fn without_secrets(
    line: &[u8],
    parsed: Result<ClientLine<'_>, Misuse<'_>>,
    stand_ins: &mut StandIns,
    known: Known<'_>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    if let Err(misuse) = parsed {
        return without_words(line, misuse, stand_ins, out);
    }
    out.extend_from_slice(line);
    let made = &mut out[start..];
    match parsed {
        Ok(ClientLine::Login { name, password }) => {
            if !known.contains(name) {
                replace(made, place(line, name), stand_ins.name(name, known).as_bytes());
            }
            if let Some(password) = password {
                let stand_in = stand_ins.password(password.0);
                replace(made, place(line, password.0), stand_in.as_bytes());
            }
        }
        Ok(ClientLine::Register { name: _, password }) => {
            replace(made, place(line, password.0), stand_ins.password(password.0).as_bytes());
        }
        Ok(
            ClientLine::Resume { token, .. }
            | ClientLine::Device { cookie: token }
            | ClientLine::Invite { code: token },
        ) => {
            replace_token(made, &stand_ins.token(&token));
        }
        Ok(
            ClientLine::Hello { .. }
            | ClientLine::Takeover
            | ClientLine::Alive
            | ClientLine::Acknowledge { .. }
            | ClientLine::Active { .. }
            | ClientLine::Relay(_)
            | ClientLine::Request { .. }
            | ClientLine::Marked { .. },
        )
        | Err(_) => {}
    }
}

/// The token that a line shows to the server.
pub(super) fn shown_token(line: &[u8]) -> Option<Token> {
    // Most lines show none.
    let word = line.trim_ascii_start();
    if ![&b"resume"[..], b"device", b"invite"].iter().any(|begin| word.starts_with(begin)) {
        return None;
    }
    match ClientLine::parse(line) {
        Ok(
            ClientLine::Resume { token, .. }
            | ClientLine::Device { cookie: token }
            | ClientLine::Invite { code: token },
        ) => Some(token),
        Ok(_) | Err(_) => None,
    }
}

/// Puts names in the place of what stood for them before they had an account.
pub(super) fn restore_name(line: &mut [u8], named: &Named) {
    if named.is_empty() || !line.trim_ascii_start().starts_with(b"login") {
        return;
    }
    let Ok(ClientLine::Login { name, .. }) = ClientLine::parse(line) else { return };
    if let Some(own) = named.get(name) {
        let place = place(line, name);
        replace(line, place, own.as_bytes());
    }
}

/// Puts another token in the place of the one that the line shows.
pub(super) fn replace_token(line: &mut [u8], token: &Token) {
    let spaces = line.iter().rev().take_while(|byte| **byte == b' ').count();
    let end = line.len() - spaces;
    if let Some(start) = end.checked_sub(TOKEN) {
        replace(line, start..end, token.to_string().as_bytes());
    }
}

fn place(line: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - line.as_ptr().addr();
    start..start + part.len()
}

fn replace(line: &mut [u8], place: Range<usize>, stand_in: &[u8]) {
    if let Some(part) = line.get_mut(place).filter(|part| part.len() == stand_in.len()) {
        part.copy_from_slice(stand_in);
    }
}

/// What a client says before and beside commands.
const OTHERS: &[&str] = &[
    "ack", "active", "alive", "device", "given", "hello", "invite", "login", "random", "register", "relay",
    "resume", "takeover",
];

/// A line that does not parse: anything in it may be a password that was typed in the wrong place, but for its number
/// and the name of a command. It does not parse either, for the same reason.
fn without_words(line: &[u8], misuse: Misuse<'_>, stand_ins: &StandIns, made: &mut Vec<u8>) {
    let (mut may_number, mut may_command, mut may_group) = (true, true, false);
    for (at, word) in line.split(|byte| *byte == b' ').enumerate() {
        if at > 0 {
            made.push(b' ');
        }
        if word.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(word).unwrap_or_default();
        let is_number = may_number && misuse.number.is_some() && text.starts_with('#');
        let begins = may_command && is_command(text);
        let is_kept = is_number || begins || may_group && text == "group";
        may_group = begins;
        may_command = may_command && is_number;
        may_number = false;
        if is_kept {
            made.extend_from_slice(word);
        } else {
            extend(made, word, stand_ins);
        }
    }
}

fn is_command(word: &str) -> bool {
    let verb = |kind: &CommandKind| kind.name().split(' ').next() == Some(word);
    OTHERS.contains(&word) || word == "wholasthtr" || CommandKind::ALL.iter().any(verb)
}

/// Appends what stands for a word. What is not UTF-8 remains so.
fn extend(made: &mut Vec<u8>, word: &[u8], stand_ins: &StandIns) {
    for chunk in word.utf8_chunks() {
        made.extend_from_slice(stand_ins.text(chunk.valid()).as_bytes());
        made.extend(chunk.invalid().iter().map(|_| 0xff));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_of(line: &[u8]) -> Vec<u8> {
        let mut made = Vec::new();
        let known = HashSet::from(["hans".to_owned()]);
        without_secrets(line, ClientLine::parse(line), &mut StandIns::new([1; 32]), &known, &mut made);
        made
    }

    fn recorded(line: &str) -> String {
        let made = made_of(line.as_bytes());
        assert_eq!(made.len(), line.len(), "{line}");
        String::from_utf8(made).expect("UTF-8")
    }

    #[test]
    fn secrets_are_replaced_and_the_rest_is_kept() {
        let token = "0f".repeat(16);
        for (line, kept, secret) in [
            ("login hans falcon".to_owned(), "login hans ", "falcon"),
            ("login  hans  two words ".to_owned(), "login  hans ", "two words"),
            ("login falcon hans".to_owned(), "login ", "falcon"),
            ("register luke falcon".to_owned(), "register luke ", "falcon"),
            (format!("resume hans {token}  "), "resume hans ", &token),
            (format!(" device {token}"), " device ", &token),
            (format!("invite {token}"), "invite ", &token),
            ("lgoin hans falcon".to_owned(), "", "falcon"),
            ("falcon".to_owned(), "", "falcon"),
            ("#7 falcon and more".to_owned(), "#7 ", "falcon"),
            ("#7 create group falcon".to_owned(), "#7 create group ", "falcon"),
            ("resume hans falcon".to_owned(), "resume ", "falcon"),
            ("whoelse falcon".to_owned(), "whoelse ", "falcon"),
        ] {
            let made = recorded(&line);
            assert!(made.starts_with(kept) && !made.contains(secret), "{line}: {made}");
        }
        for line in ["message hans falcon", "#7 broadcast hi", "ack 3.17 5", "hello 1 ack", "", "   "] {
            assert_eq!(recorded(line), line);
        }
    }

    #[test]
    fn what_does_not_parse_does_not_parse_for_the_same_reason() {
        let lines: [&[u8]; 17] = [
            b"hello one",
            b"login",
            b"register hans ",
            b"ack 3.17 5 6",
            b"active sometimes",
            b"message group",
            b"message group crew ",
            b"whoelsesince -1",
            b"create crew yoda",
            b"help a b",
            b"# 5",
            b"#x whoelse",
            b"startprivate yoda 65536",
            b"log\xffin hans",
            b"message hans \xff\xfe x",
            b"#5",
            b"#99999999999999999999999 a",
        ];
        for line in lines {
            let before = ClientLine::parse(line).expect_err("a misuse");
            let stand_in = made_of(line);
            let after = ClientLine::parse(&stand_in).expect_err("a misuse");
            assert_eq!((before.number, before.code), (after.number, after.code), "{}", line.escape_ascii());
            assert_eq!(before.command.len(), after.command.len(), "{}", line.escape_ascii());
        }
    }
}
