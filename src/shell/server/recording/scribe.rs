//! What the state loop has noted becomes a recording: secrets are replaced.

use std::collections::{HashMap, HashSet};

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

/// Whether a line is a message to somebody, which is most of what comes, at a glance.
fn is_message(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"message ") else { return false };
    let Some(end) = memchr::memchr(b' ', rest) else { return false };
    let (name, text) = rest.split_at(end);
    !name.is_empty() && name != b"group" && text.len() > 1 && std::str::from_utf8(rest).is_ok()
}

/// Makes a recording of what the state loop notes.
pub struct Scribe {
    stand_ins: StandIns,
    unshown: Unshown,
    /// Names that are no passwords.
    names: HashSet<String>,
    accounts: HashMap<Name, Credential>,
    links: HashMap<LinkId, Link>,
    last: Time,
    out: Encoder,
    /// Kept for items and events.
    scratch: [Encoder; 2],
}

/// What came from a client.
#[derive(Default)]
struct Link {
    /// Of a line that has no end yet.
    begun: WipedBytes,
    /// Bytes of it that were not kept.
    skipped: usize,
    cookie: Option<Token>,
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
            links: HashMap::new(),
            last: now,
            out: Encoder { bytes: HEAD.to_vec(), ..Encoder::default() },
            scratch: Default::default(),
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

    /// Takes notice of what was noted, which is whole events and effects. `None` if it cannot be read.
    #[must_use]
    pub fn take_down(&mut self, noted: &[u8]) -> Option<()> {
        let mut from = Decoder { rest: noted };
        while let Some(kind) = from.byte() {
            match kind {
                EVENT => {
                    let now = Time::get(&mut from)?;
                    let event = get_event(&mut from)?;
                    self.event(event, now);
                }
                EFFECTS => {
                    let summary = Summary::get(&mut from)?;
                    let tokens = Vec::<Token>::get(&mut from)?;
                    let tokens = tokens.iter().map(|token| self.stand_ins.token(token)).collect();
                    for link in Vec::<LinkId>::get(&mut from)? {
                        self.links.remove(&link);
                    }
                    self.write(&Item::Effects { summary, tokens });
                }
                NO_EFFECTS => self.write(&Item::Effects { summary: Summary::NOTHING, tokens: Vec::new() }),
                _ => return None,
            }
        }
        Some(())
    }

    fn event(&mut self, event: Event<'_>, now: Time) {
        let before = std::mem::replace(&mut self.last, now);
        if let Event::Received { link, bytes } = event {
            let lines = self.received(link, bytes);
            return self.write(&Item::Received { now, before, link, count: bytes.len(), lines: &lines });
        }
        let event = self.without_secrets(event);
        let [scratch, encoded] = &mut self.scratch;
        encoded.bytes.clear();
        put_event(&event, encoded);
        Item::Event { now, before, event: &encoded.bytes }.put(scratch, &mut self.out);
    }

    fn write(&mut self, item: &Item<'_>) {
        let [scratch, _] = &mut self.scratch;
        item.put(scratch, &mut self.out);
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

    fn without_secrets<'a>(&mut self, event: Event<'a>) -> Event<'a> {
        match event {
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
                self.links.remove(&link);
                event
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
            | Event::Tick => event,
        }
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

    /// The lines that have their end in these bytes, without secrets.
    fn received(&mut self, id: LinkId, bytes: &[u8]) -> Vec<u8> {
        let mut link = std::mem::take(self.links.entry(id).or_default());
        let mut made = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (last, later) = rest.split_at(end);
            rest = &later[1..];
            if link.skipped > 0 {
                made.resize(made.len() + link.skipped + last.len(), b'x');
                link.skipped = 0;
            } else if link.begun.is_empty() {
                self.line(&mut link, last, &mut made);
            } else {
                let mut line = std::mem::take(&mut link.begun);
                line.extend_from_slice(last);
                self.line(&mut link, &line, &mut made);
            }
            made.push(b'\n');
        }
        if link.skipped > 0 || link.begun.len() + rest.len() > LONGEST_LINE {
            link.skipped += link.begun.len() + rest.len();
            link.begun = WipedBytes::new();
        } else if !rest.is_empty() {
            link.begun.extend_from_slice(rest);
        }
        self.links.insert(id, link);
        made
    }

    fn line(&mut self, link: &mut Link, line: &[u8], made: &mut Vec<u8>) {
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
    fn look_at(&mut self, link: &mut Link, bytes: &[u8], line: &ClientLine<'_>) {
        let mut shown = Vec::new();
        match line {
            ClientLine::Register { name, .. } => {
                self.learn_name(name);
                shown = self.try_to_log_in(link, name);
            }
            ClientLine::Device { cookie } => link.cookie = Some(*cookie),
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

    fn try_to_log_in(&mut self, link: &Link, name: &str) -> Vec<Shown> {
        let mut shown = link.cookie.map_or_else(Vec::new, |cookie| self.pass(name, &cookie));
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
