//! What the state loop has noted becomes a recording: secrets are replaced.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use super::coded::{Coded, Decoder, Encoder};
use super::effects::Summary;
use super::format::{Beginning, End, HEAD, Item};
use super::kinds::{get_event, put_event};
use super::lines;
use super::recovered::{Shown, Unshown, replace_digests, users};
use super::stand_ins::StandIns;
use crate::record::Recovery;
use crate::server::{Act, Event, Renewal, Settings};
use crate::time::Time;
use crate::wire::ClientLine;
use crate::words::wiped::WipedBytes;
use crate::words::{Credential, LinkId, Name, Token};

/// What the state loop notes, one after the other.
pub(super) const EVENT: u8 = 1;
/// The effects of the event before.
pub(super) const EFFECTS: u8 = 2;
/// It had none.
pub(super) const NO_EFFECTS: u8 = 3;

/// A line that is longer is not kept while it comes.
const LONGEST_LINE: usize = 1 << 20;

/// Digits of a command's number that is taken for one at a glance: each such number is one.
const GLANCED: usize = 18;

/// Whether a line is a message to somebody, which is most of what comes, at a glance. Such a line parses.
fn is_message(line: &[u8]) -> bool {
    let Some(rest) = without_number(line).strip_prefix(b"message ") else { return false };
    let Some(end) = memchr::memchr(b' ', rest) else { return false };
    let (name, text) = rest.split_at(end);
    !name.is_empty() && name != b"group" && text.len() > 1 && std::str::from_utf8(rest).is_ok()
}

/// A line without the command's number and the space that it begins with.
fn without_number(line: &[u8]) -> &[u8] {
    let [b'#', b'1'..=b'9', rest @ ..] = line else { return line };
    let digits = rest.iter().take(GLANCED).take_while(|byte| byte.is_ascii_digit()).count();
    match &rest[digits..] {
        [b' ', command @ ..] if digits < GLANCED => command,
        _ => line,
    }
}

/// By number, which no client chooses.
type Links<T> = HashMap<LinkId, T, FixedState>;

/// Makes a recording of what the state loop notes.
pub struct Scribe {
    stand_ins: StandIns,
    unshown: Unshown,
    /// Names that are no passwords.
    names: HashSet<String>,
    accounts: HashMap<Name, Credential>,
    /// Lines that have no end yet.
    begun: Links<Begun>,
    cookies: Links<Token>,
    last: Time,
    out: Encoder,
    /// Kept for lines.
    lines: Vec<u8>,
}

/// What came of a line.
#[derive(Default)]
struct Begun {
    bytes: WipedBytes,
    /// How many more there were, which were not kept.
    skipped: usize,
}

impl Scribe {
    /// Begins a recording of a core that starts from these. The key is random and told nobody.
    #[must_use]
    pub fn begin(
        key: [u8; 32],
        settings: &Settings,
        accounts: &[(Name, Credential)],
        recovery: &Recovery,
        now: Time,
    ) -> Scribe {
        let mut scribe = Scribe {
            stand_ins: StandIns::new(key),
            unshown: Unshown::of(recovery),
            names: users(recovery).map(|name| name.as_str().to_owned()).collect(),
            accounts: HashMap::new(),
            begun: Links::default(),
            cookies: Links::default(),
            last: now,
            out: Encoder { bytes: HEAD.to_vec(), ..Encoder::default() },
            lines: Vec::new(),
        };
        settings.operators.iter().for_each(|name| scribe.learn_name(name.as_str()));
        let accounts = scribe.learn(accounts);
        let mut recovery = recovery.clone();
        for record in &mut recovery.records {
            let stand_ins = &scribe.stand_ins;
            replace_digests(record, &mut |own| *own = stand_ins.digest(own), &mut |own| {
                *own = stand_ins.words(*own)
            });
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let beginning = Beginning { version, at: now, settings: settings.clone(), accounts, recovery };
        scribe.write(&Item::Beginning(Box::new(beginning)));
        scribe
    }

    /// What there is to be written to the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.out.bytes
    }

    /// It was written.
    pub fn clear(&mut self) {
        self.out.bytes.clear();
    }

    /// The last words of a recording.
    pub(super) fn end(&mut self, end: End) {
        self.write(&Item::End(end));
    }

    /// Takes notice of what was noted, which is whole events and effects, until there is so much to be written, the effects
    /// of its last event included; returns what is left. `None` if it cannot be read.
    #[must_use]
    pub fn take_down<'n>(&mut self, noted: &'n [u8], enough: usize) -> Option<&'n [u8]> {
        let mut from = Decoder { rest: noted };
        while let Some(kind) = from.byte() {
            match kind {
                EVENT => {
                    let now = Time(u64::from_le_bytes(from.array()?));
                    let rest = from.rest;
                    let event = get_event(&mut from)?;
                    self.event(event, &rest[..rest.len() - from.rest.len()], now);
                    continue;
                }
                EFFECTS => {
                    let summary = Summary::get(&mut from)?;
                    // Most tell no tokens and end no links.
                    let mut tokens = Vec::new();
                    if let [0, 0, rest @ ..] = from.rest {
                        from.rest = rest;
                    } else {
                        let told = Vec::<Token>::get(&mut from)?;
                        tokens = told.iter().map(|token| self.stand_ins.token(token)).collect();
                        for link in Vec::<LinkId>::get(&mut from)? {
                            self.forget(link);
                        }
                    }
                    self.write(&Item::Effects { summary, tokens });
                }
                NO_EFFECTS => self.write(&Item::Effects { summary: Summary::NOTHING, tokens: Vec::new() }),
                _ => return None,
            }
            if self.out.bytes.len() >= enough {
                break;
            }
        }
        Some(from.rest)
    }

    /// `noted` is the event as it was noted.
    fn event(&mut self, event: Event<'_>, noted: &[u8], now: Time) {
        let before = std::mem::replace(&mut self.last, now);
        if let Event::Received { link, bytes } = event {
            let mut lines = std::mem::take(&mut self.lines);
            lines.clear();
            self.received(link, bytes, &mut lines);
            self.write(&Item::Received { now, before, link, count: bytes.len(), lines: &lines });
            self.lines = lines;
            return;
        }
        let changed = self.without_secrets(event);
        let mut own = Encoder::default();
        let event = match changed {
            Some(event) => {
                put_event(&event, &mut own);
                &own.bytes
            }
            None => noted,
        };
        self.write(&Item::Event { now, before, event });
    }

    /// The link is gone.
    fn forget(&mut self, link: LinkId) {
        self.begun.remove(&link);
        self.cookies.remove(&link);
    }

    fn write(&mut self, item: &Item<'_>) {
        item.put(&mut self.out);
    }

    /// A name is no password: it has an account, or may have one.
    fn learn_name(&mut self, name: &str) {
        if self.names.contains(name) {
            return;
        }
        self.names.insert(name.to_owned());
        if let Some(stand_in) = self.stand_ins.stand_in_of(name) {
            self.write(&Item::Shown(Shown::Named { stand_in, name: name.to_owned() }));
        }
    }

    /// What stands for a name, if it may be a password.
    fn hide_name(&mut self, name: &str) -> String {
        if self.names.contains(name) {
            return name.to_owned();
        }
        self.stand_ins.name(name, &self.names)
    }

    /// Takes notice of accounts, and returns them with what stands for their credentials.
    fn learn(&mut self, accounts: &[(Name, Credential)]) -> Vec<(Name, Credential)> {
        accounts.iter().for_each(|(name, _)| self.learn_name(name.as_str()));
        self.accounts = accounts.iter().cloned().collect();
        let stand_in =
            |(name, credential): &(Name, Credential)| (name.clone(), self.stand_ins.credential(credential));
        accounts.iter().map(stand_in).collect()
    }

    /// The event with what stands for its secrets; `None`: it has none.
    fn without_secrets<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        Some(match event {
            Event::Hashed { ticket, credential } => {
                let credential = credential.map(|credential| self.stand_ins.credential(&credential));
                Event::Hashed { ticket, credential }
            }
            Event::Reloaded { accounts, settings } => {
                settings.operators.iter().for_each(|name| self.learn_name(name.as_str()));
                Event::Reloaded { accounts: self.learn(&accounts), settings }
            }
            Event::HashesRenewed { renewals } => Event::HashesRenewed {
                renewals: renewals.into_iter().map(|each| self.renewal(each)).collect(),
            },
            Event::Operator { ticket, mut act } => {
                match &mut *act {
                    Act::Invite { code, invite } => {
                        *code = self.stand_ins.token(code);
                        invite.name.iter().for_each(|name| self.learn_name(name.as_str()));
                    }
                    Act::Unlock(name) => {
                        let shown = self.name_without_account(name.as_str());
                        shown.into_iter().for_each(|shown| self.write(&Item::Shown(shown)));
                        let hidden = Name::new(&self.hide_name(name.as_str()));
                        *name = hidden.unwrap_or_else(|_| name.clone());
                    }
                    Act::Kick { user, .. } | Act::Restrain { user, .. } => self.learn_name(user.as_str()),
                    Act::Announce(_)
                    | Act::BanRange { .. }
                    | Act::AnnounceKept(_)
                    | Act::Withdraw(_)
                    | Act::Revoke(_) => {}
                }
                Event::Operator { ticket, act }
            }
            Event::Obeyed { ticket, done, lines } => {
                let lines = lines.iter().map(|line| self.without_codes(line)).collect();
                Event::Obeyed { ticket, done, lines }
            }
            Event::LinkClosed { link } => {
                self.forget(link);
                return None;
            }
            Event::LinkOpened { .. }
            | Event::Received { .. }
            | Event::Flushed { .. }
            | Event::StreamEnded { .. }
            | Event::Verified { .. }
            | Event::Committed { .. }
            | Event::StoreRefused { .. }
            | Event::MailLoaded { .. }
            | Event::Turn
            | Event::Stop
            | Event::Restart
            | Event::Tick => return None,
        })
    }

    /// A line for an operator, who may have been told the code of an invite.
    fn without_codes(&self, line: &str) -> Box<str> {
        let is_hex = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
        let mut made = String::with_capacity(line.len());
        for run in line.split_inclusive(|c| !is_hex(c)) {
            let word = run.trim_end_matches(|c| !is_hex(c));
            match word.parse::<Token>() {
                Ok(code) => made.push_str(&self.stand_ins.token(&code).to_string()),
                Err(_) => made.push_str(word),
            }
            made.push_str(&run[word.len()..]);
        }
        made.into()
    }

    fn renewal(&mut self, renewal: Renewal) -> Renewal {
        let Renewal { name, before, after } = renewal;
        let stand_ins = &mut self.stand_ins;
        let made = Renewal {
            name: name.clone(),
            before: stand_ins.credential(&before),
            after: stand_ins.credential(&after),
        };
        if let Some(own) = self.accounts.get_mut(&name).filter(|own| **own == before) {
            *own = after;
        }
        made
    }

    /// Appends the lines that have their end in these bytes, without secrets.
    fn received(&mut self, link: LinkId, bytes: &[u8], made: &mut Vec<u8>) {
        let mut begun = self.begun.remove(&link).unwrap_or_default();
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (last, later) = rest.split_at(end);
            rest = &later[1..];
            if begun.skipped > 0 {
                made.resize(made.len() + begun.skipped + last.len(), b'x');
                begun.skipped = 0;
            } else if begun.bytes.is_empty() {
                self.line(link, last, made);
            } else {
                let mut line = std::mem::take(&mut begun.bytes);
                line.extend_from_slice(last);
                self.line(link, &line, made);
            }
            made.push(b'\n');
        }
        if begun.skipped > 0 || begun.bytes.len() + rest.len() > LONGEST_LINE {
            begun.skipped += begun.bytes.len() + rest.len();
            begun.bytes = WipedBytes::new();
        } else {
            begun.bytes.extend_from_slice(rest);
        }
        if begun.skipped > 0 || !begun.bytes.is_empty() {
            self.begun.insert(link, begun);
        }
    }

    fn line(&mut self, link: LinkId, line: &[u8], made: &mut Vec<u8>) {
        let line_end = if line.ends_with(b"\r") { &b"\r"[..] } else { b"" };
        let line = &line[..line.len() - line_end.len()];
        if self.unshown.has_no_words() && is_message(line) {
            made.extend_from_slice(line);
            return made.extend_from_slice(line_end);
        }
        let parsed = ClientLine::parse(line);
        if let Ok(parsed) = &parsed {
            self.look_at(link, line, parsed);
        }
        lines::without_secrets(line, parsed, &mut self.stand_ins, &self.names, made);
        made.extend_from_slice(line_end);
    }

    /// Learns names, and notes which records of earlier starts a line refers to.
    fn look_at(&mut self, link: LinkId, bytes: &[u8], line: &ClientLine<'_>) {
        let mut shown = Vec::new();
        match line {
            ClientLine::Register { name, .. } => {
                self.learn_name(name);
                shown = self.try_to_log_in(link, name);
            }
            ClientLine::Device { cookie } => {
                self.cookies.insert(link, *cookie);
            }
            ClientLine::Invite { code } => shown.extend(self.unshown.invite(code, &self.stand_ins)),
            ClientLine::Login { name, password: Some(_) } => shown = self.try_to_log_in(link, name),
            ClientLine::Resume { name, token } => shown = self.pass(name, token),
            ClientLine::Request { .. } | ClientLine::Marked { .. } => {
                shown.extend(self.unshown.command(bytes, &self.stand_ins));
            }
            ClientLine::Login { password: None, .. }
            | ClientLine::Hello { .. }
            | ClientLine::Takeover
            | ClientLine::Alive
            | ClientLine::Acknowledge { .. }
            | ClientLine::Active { .. }
            | ClientLine::Relay(_) => {}
        }
        for shown in shown {
            self.write(&Item::Shown(shown));
        }
    }

    fn try_to_log_in(&mut self, link: LinkId, name: &str) -> Vec<Shown> {
        let cookie = self.cookies.get(&link).copied();
        let mut shown = cookie.map_or_else(Vec::new, |cookie| self.pass(name, &cookie));
        shown.extend(self.name_without_account(name));
        shown
    }

    /// Wrong passwords may have been counted for it before the start.
    fn name_without_account(&mut self, name: &str) -> Option<Shown> {
        let hidden = self.hide_name(name);
        let digest = self.unshown.name(name, &self.stand_ins)?;
        Some(Shown::Name { digest, name: hidden })
    }

    fn pass(&mut self, name: &str, token: &Token) -> Vec<Shown> {
        let Some(credential) = self.accounts.get(name).cloned() else { return Vec::new() };
        self.unshown.pass(token, &credential, &mut self.stand_ins)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_message_at_a_glance_parses_as_one() {
        let mut glanced = 0;
        let numbers = ["", "#1 ", "#17 ", "#0 ", "#01 ", "#x ", "#1x ", "#1  ", "# ", "##1 ", " #1 ", " "];
        let long = [
            format!("#{} ", "9".repeat(18)),
            format!("#{} ", "9".repeat(19)),
            format!("#{} ", "9".repeat(30)),
        ];
        let numbers = numbers.into_iter().map(str::to_owned).chain(long);
        for number in numbers {
            for rest in [
                "message yoda hi",
                "message yoda",
                "message yoda ",
                "message  yoda hi",
                "message yoda  hi",
                "message group crew hi",
                "message group",
                "message groupie hi",
                "message",
                "message ",
                "messages yoda hi",
                "message yo\tda \u{202e}",
                "message #1 hi",
                "id message yoda hi",
                "falcon",
                "",
            ] {
                let line = format!("{number}{rest}");
                let is_one = matches!(
                    ClientLine::parse(line.as_bytes()),
                    Ok(ClientLine::Request { command: crate::wire::Command::Message { .. }, .. })
                );
                assert!(is_one || !is_message(line.as_bytes()), "{line}");
                glanced += usize::from(is_message(line.as_bytes()));
            }
        }
        assert!(!is_message(b"#1 message yoda \xff"));
        // Five of each number that a client writes.
        assert_eq!(glanced, 20);
    }
}
