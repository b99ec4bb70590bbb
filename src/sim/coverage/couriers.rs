//! Rare states of couriers.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::{Coverage, Rare};
use crate::server::Settings;
use crate::sim::trace::{Seen, Told, Trace};
use crate::wire::{Admission, ClientLine, Code, Farewell, Frame, Framer, Refusal, ServerLine};
use crate::words::{LinkId, Token};

/// A connection, as far as its lines tell.
#[derive(Debug, Default)]
struct Link {
    framer: Framer,
    /// It has announced that it is a courier.
    courier: bool,
    /// Whom it has tried to come in as.
    tried: String,
    /// Whose courier it is, or whose session it has.
    carries: Option<String>,
    member: Option<String>,
    /// It has said goodbye.
    leaves: bool,
    unanswered: u32,
}

/// What is remembered of them.
#[derive(Debug, Default)]
pub(super) struct Couriers {
    settings: Settings,
    links: BTreeMap<LinkId, Link>,
    /// Ids of messages, with their users; and those said to this server.
    ids: BTreeSet<(String, Token)>,
    new_ids: BTreeSet<(String, Token)>,
}

impl Couriers {
    pub(super) fn see(&mut self, seen: &Seen, trace: &Trace, coverage: &mut Coverage) {
        match seen {
            Seen::ServerStarted { settings, .. } => {
                self.settings = (**settings).clone();
                self.links.clear();
                self.new_ids.clear();
            }
            Seen::FilesChanged { settings, .. } => self.settings = (**settings).clone(),
            Seen::Told(Told::LinkOpened { link, .. }) => drop(self.links.insert(*link, Link::default())),
            Seen::Told(Told::Received { link, bytes }) => self.received(*link, trace.bytes(*bytes), coverage),
            Seen::Told(Told::LinkClosed { link }) | Seen::Closed { link } => drop(self.links.remove(link)),
            Seen::Sent { link, bytes } => {
                for line in crate::sim::check::lines(trace.bytes(*bytes)) {
                    if let Ok(line) = ServerLine::parse(line.strip_suffix(b"\r").unwrap_or(line)) {
                        self.said(*link, &line, coverage);
                    }
                }
            }
            _ => {}
        }
    }

    fn received(&mut self, id: LinkId, mut bytes: &[u8], coverage: &mut Coverage) {
        let Some(link) = self.links.get_mut(&id) else { return };
        while let Some(frame) = link.framer.next(&mut bytes, 1 << 16) {
            let Frame::Line(line) = frame else { continue };
            match ClientLine::parse(line) {
                Ok(ClientLine::Hello { capabilities, .. }) => link.courier |= capabilities.courier,
                Ok(ClientLine::Login { name, .. } | ClientLine::Resume { name, .. }) => {
                    link.tried = String::from(name);
                }
                Ok(ClientLine::Marked { mark, .. }) if link.carries.is_some() => {
                    link.unanswered += 1;
                    let said = (link.carries.clone().unwrap_or_default(), mark.id);
                    if !self.ids.insert(said.clone()) {
                        let here = !self.new_ids.insert(said);
                        coverage.saw(if here { Rare::IdSaidAgain } else { Rare::IdSaidAfterRestart });
                    } else {
                        self.new_ids.insert(said);
                    }
                }
                Ok(ClientLine::Request { command, .. }) if link.carries.is_some() => {
                    link.leaves |= command == crate::wire::Command::Logout;
                    link.unanswered += 1;
                }
                _ => {}
            }
        }
    }

    fn said(&mut self, id: LinkId, line: &ServerLine<'_>, coverage: &mut Coverage) {
        let members: BTreeSet<&String> =
            self.links.values().filter_map(|link| link.member.as_ref()).collect();
        let is_member = |user: &str| members.iter().any(|member| member.as_str() == user);
        let Some(link) = self.links.get(&id) else { return };
        let mut rare: Vec<Rare> = Vec::new();
        let (mut member, mut carries, mut answered) = (None, None, false);
        match line {
            ServerLine::Welcome(Admission { user, .. }) | ServerLine::Resumed(Admission { user, .. })
                if link.courier =>
            {
                carries = Some(String::from(*user));
                rare.extend(is_member(user).then_some(Rare::CourierBesideSession));
                let by_token = matches!(line, ServerLine::Resumed(_));
                rare.extend(by_token.then_some(Rare::CourierByToken));
            }
            ServerLine::Welcome(Admission { user, .. }) | ServerLine::Resumed(Admission { user, .. }) => {
                member = Some(String::from(*user));
            }
            ServerLine::Refused(Refusal::Busy) if link.courier => {
                let same = self.links.values().filter(|other| other.carries.as_ref() == Some(&link.tried));
                let most = self.settings.courier_max as usize;
                rare.extend((most > 0 && same.count() >= most).then_some(Rare::CourierTooMany));
            }
            ServerLine::Bye(Farewell::Timeout) if link.carries.is_some() => rare.push(Rare::CourierIdle),
            ServerLine::Bye(Farewell::Replaced) if link.carries.is_some() => rare.push(Rare::CourierReplaced),
            ServerLine::Done { .. } | ServerLine::Failed { .. } => {
                let usage = matches!(line, ServerLine::Failed { code: Code::Usage, command, .. } if command.starts_with("message"));
                rare.extend((usage && link.carries.is_some()).then_some(Rare::IdOfOtherWords));
                answered = true;
                let waited = link.leaves && link.unanswered > 1;
                rare.extend(waited.then_some(Rare::CourierLeftBehindAnswers));
            }
            _ => {}
        }
        rare.into_iter().for_each(|rare| coverage.saw(rare));
        if let Some(link) = self.links.get_mut(&id) {
            link.member = member.or(link.member.take());
            link.carries = carries.or(link.carries.take());
            link.unanswered -= u32::from(answered && link.unanswered > 0);
        }
    }
}
