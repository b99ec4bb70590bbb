//! No private link is asked for or accepted that its user does not want (R33, R70).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::introduced::Stage;
use super::private::Private;
use super::{Check, Verdict, rule};
use crate::client::{AcceptPrivate, Way};
use crate::sim::trace::ProcessId;
use crate::time::Time;

/// How long one who has said or heard `meet` expects to be asked for a link, or may ask for one: 10 s, and some for
/// what is on its way.
const MEETING_MICROS: u64 = 12_000_000;

/// What the user of a client wants of private links.
#[derive(Debug)]
pub(super) struct Consent {
    /// What is done about requests that nobody has answered.
    accepts: AcceptPrivate,
    /// Lines that were typed and have no result yet.
    typed: BTreeMap<u64, String>,
    /// Users whose requests were shown.
    asked_by: BTreeSet<String>,
    /// Until when a direct link is looked for, and with which verb, by the user that one talks with over a relay (R70).
    searches: BTreeMap<String, (Time, &'static str)>,
    /// What the numbered commands of this session were for: one that is said again, because its answer was lost, is for the
    /// same.
    numbered: BTreeMap<u64, Reason>,
}

/// What a link is asked for or accepted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// A conversation that begins.
    Anew,
    /// One that runs over a relay, or has just lost it.
    Search,
}

impl Consent {
    pub(super) const fn new(accepts: AcceptPrivate) -> Consent {
        Consent {
            accepts,
            typed: BTreeMap::new(),
            asked_by: BTreeSet::new(),
            searches: BTreeMap::new(),
            numbered: BTreeMap::new(),
        }
    }

    /// A line was typed, at a client that has open links with these users: it asks them for no other.
    pub(super) fn is_typed(&mut self, line: u64, text: &str, linked: &[String]) {
        let text = text.trim().trim_start_matches('/');
        if !linked.iter().any(|user| is_about(text, user, &["startprivate"])) {
            self.typed.insert(line, text.to_string());
        }
    }

    /// The next session counts from one.
    pub(super) fn begins_session(&mut self) {
        self.numbered.clear();
    }

    pub(super) fn has_result(&mut self, line: u64) {
        self.typed.remove(&line);
    }

    pub(super) fn is_asked_by(&mut self, user: &str) {
        self.asked_by.insert(user.to_string());
    }

    /// `meet` was said or heard in the conversation with a user: who heard it asks for a link, and who said it accepts. The
    /// conversation was there all the time, perhaps without a link: whatever was typed before asks for no other, also if a slow
    /// display has not shown that yet.
    pub(super) fn searches(&mut self, user: &str, verb: &'static str, now: Time) {
        self.typed.retain(|_, text| !is_about(text, user, &["startprivate", "accept"]));
        self.searches.insert(user.to_string(), (Time(now.0 + MEETING_MICROS), verb));
    }

    /// A way to a user is chosen. Whoever does not take what works looks for no direct link any more.
    pub(super) fn chooses(&mut self, user: &str, way: &str) {
        if Way::from_word(way).is_some_and(|way| way != Way::Auto) {
            self.searches.remove(user);
        }
    }

    /// Why a line with this verb about this user is what its user wants, if it is. A search leads to one such line, which
    /// may have waited for a connection to the server.
    fn reason(&mut self, verb: &str, user: &str, now: Time, is_calm: bool) -> Option<Reason> {
        let says_yes = |text: &str| text.split(' ').find(|word| !word.is_empty()) == Some("y");
        let is_typed = self.typed.values().any(|text| {
            is_about(text, user, &[verb])
                || verb == "accept" && self.asked_by.contains(user) && says_yes(text)
        });
        let by_setting = verb == "accept" && self.accepts == AcceptPrivate::Auto;
        let searches = self.searches.get(user);
        let searches = searches.is_some_and(|(until, of)| *of == verb && (now <= *until || !is_calm));
        match (is_typed, searches, by_setting) {
            (true, ..) => Some(Reason::Anew),
            (false, true, _) => {
                self.searches.remove(user);
                Some(Reason::Search)
            }
            (false, false, true) => Some(Reason::Anew),
            (false, false, false) => None,
        }
    }
}

/// Whether a line has one of these verbs, and is about a user.
fn is_about(text: &str, user: &str, verbs: &[&str]) -> bool {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    words.next().is_some_and(|first| verbs.contains(&first)) && words.next() == Some(user)
}

impl Private {
    /// The users with whom a client has open links.
    pub(super) fn linked(&self, process: ProcessId) -> Vec<String> {
        let open = self.ends.iter().filter(|((_, of), end)| *of == process && end.stage == Stage::Open);
        let sides = open.filter_map(|(_, end)| self.introductions.get(&end.id)?.side(process));
        sides.map(|side| side.user.clone()).collect()
    }
}

impl Check {
    /// A client asks for a link, or accepts one.
    pub(super) fn is_wanted(
        &mut self,
        process: ProcessId,
        number: Option<u64>,
        verb: &str,
        user: &str,
    ) -> Verdict {
        let is_calm = self.private.is_calm(process, self.now);
        let Some(client) = self.private.clients.get_mut(&process) else { return Ok(()) };
        let before = number.and_then(|number| client.consent.numbered.get(&number).copied());
        let reason = before.or_else(|| client.consent.reason(verb, user, self.now, is_calm));
        client.consent.numbered.extend(number.zip(reason));
        // They are answered.
        client.consent.asked_by.remove(user);
        let wanted = reason.is_some() || !is_calm;
        rule!(self, wanted, "a client asks for links that its user wants", "{process:?}: {verb} {user}");
        // What comes of a request that is on its way is for what that was made for.
        let asks_already = client.asked.values().filter(|of| *of == user).count() > 1;
        if let Some(reason) = reason.filter(|reason| *reason == Reason::Search || !asks_already) {
            let sides = self.private.introductions.values_mut().filter_map(|both| both.side_mut(process));
            let sides = sides.filter(|side| side.user == user);
            sides.for_each(|side| {
                side.talk.searches = reason == Reason::Search && side.opened && !side.talk.is_over
            });
        }
        Ok(())
    }
}
