//! One user of the storm: types, leaves, comes back, is killed; and remembers what the server said.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use support::{PATIENCE, Place};

use crate::people::{Life, Person, Typed};
use crate::random::Random;

/// Lines without a result that a user has at most.
const WINDOW: usize = 6;

/// Everything that all users of a storm share.
pub(crate) struct Weather {
    pub(crate) place: Place,
    pub(crate) port: u16,
    pub(crate) names: Vec<String>,
    pub(crate) stop: AtomicBool,
    /// Results seen so far, by which the killer knows that work goes on.
    pub(crate) results: AtomicU64,
    /// Clients that gave the server up and ended.
    pub(crate) cut_off: AtomicU64,
    serving: Mutex<bool>,
    changed: Condvar,
}

impl Weather {
    pub(crate) fn new(place: Place, port: u16, names: Vec<String>) -> Weather {
        Weather {
            place,
            port,
            names,
            stop: AtomicBool::new(false),
            results: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
            serving: Mutex::new(true),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_serving(&self, serving: bool) {
        *self.lock() = serving;
        self.changed.notify_all();
    }

    fn wait_for_server(&self) {
        let waiting = self.changed.wait_timeout_while(self.lock(), PATIENCE, |serving| !*serving);
        assert!(*waiting.unwrap_or_else(PoisonError::into_inner).0, "the server does not come back");
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A fact about the server, as far as the user was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Yes,
    No,
    /// A change was under way when the one who asked for it died.
    Unknown,
}

/// A user's lives and knowledge after the storm.
pub(crate) struct Story {
    pub(crate) lives: Vec<Life>,
    /// Whom the user blocks.
    pub(crate) victim: String,
    pub(crate) blocks: Known,
    /// The user's own group, of which nothing else than its being there ever changes.
    pub(crate) group: String,
    pub(crate) has_group: Known,
    /// Answers that deny what was confirmed before.
    pub(crate) contradictions: Vec<String>,
}

/// A user at work.
pub(crate) struct User<'w> {
    weather: &'w Weather,
    name: String,
    random: Random,
    person: Option<Person>,
    next: usize,
    /// Changes under way, by line: of the block or of the group, and to what.
    pending: BTreeMap<usize, (Fact, Known)>,
    counted: usize,
    looked_at: usize,
    others: [String; 2],
    story: Story,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Block,
    Group,
}

impl<'w> User<'w> {
    pub(crate) fn new(weather: &'w Weather, index: usize, seed: u64) -> User<'w> {
        let name = |offset: usize| weather.names[(index + offset) % weather.names.len()].clone();
        let story = Story {
            lives: Vec::new(),
            victim: name(1),
            blocks: Known::No,
            group: format!("crew-{index}"),
            has_group: Known::No,
            contradictions: Vec::new(),
        };
        User {
            weather,
            name: name(0),
            random: Random::new(seed ^ (index as u64) << 32),
            person: None,
            next: 0,
            pending: BTreeMap::new(),
            counted: 0,
            looked_at: 0,
            others: [name(2), name(3)],
            story,
        }
    }

    /// Until the storm is over; then waits for open results.
    pub(crate) fn live(mut self) -> Story {
        while !self.weather.is_over() {
            let Some(person) = &self.person else {
                self.come();
                continue;
            };
            if person.has_ended() {
                self.note_end();
            } else {
                self.act();
            }
        }
        if let Some(person) = self.person.take() {
            person.settle(0);
            self.bury(person.leave());
        }
        self.story
    }

    /// Tries again while the server is down or still has the last connection.
    fn come(&mut self) {
        self.weather.wait_for_server();
        let person = Person::start(&self.weather.place, self.weather.port, &self.name);
        if person.is_in() {
            self.person = Some(person);
        } else {
            let life = person.kill();
            self.bury(life);
            // Most often the server has died meanwhile.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn note_end(&mut self) {
        if let Some(person) = self.person.take() {
            let life = person.leave();
            if life.objects.last().is_some_and(|object| object["reason"] == "connection_lost") {
                self.weather.cut_off.fetch_add(1, Ordering::Relaxed);
            }
            self.bury(life);
        }
    }

    fn act(&mut self) {
        match self.random.below(100) {
            0..=71 => self.write_to_one(),
            72..=77 => self.write_to_group(),
            78..=79 => self.write_to_all(),
            80..=85 => self.toggle(Fact::Block),
            86..=91 => self.toggle(Fact::Group),
            92..=93 => self.go_and_return(),
            94 => self.die(),
            _ => self.ask_around(),
        }
        self.settle();
    }

    fn text(&mut self) -> String {
        self.next += 1;
        let ends = [
            "",
            " ",
            " ä\u{1f600}",
            "  \"quoted\" \\ ",
            " a longer text, so that pages fill and lines differ",
        ];
        let end = ends[self.random.below(ends.len() as u64) as usize];
        format!("{} {}{end}", self.name, self.next)
    }

    fn write_to_one(&mut self) {
        let mut to = self.weather.names[self.random.below(self.weather.names.len() as u64) as usize].clone();
        if to == self.name {
            to.clone_from(&self.story.victim);
        }
        // Often several without a pause.
        for _ in 0..=self.random.below(3) {
            let text = self.text();
            let Some(person) = &mut self.person else { return };
            person.message(&to, &text);
        }
    }

    /// Only while the group exists for sure: a message that was refused for want of it, and is repeated because
    /// the refusal was lost, may be accepted after later messages (R28).
    fn write_to_group(&mut self) {
        if self.story.has_group != Known::Yes || self.pending.values().any(|(fact, _)| *fact == Fact::Group) {
            return;
        }
        let text = self.text();
        let line = format!("message group {} {text}", self.story.group);
        let typed = Typed::Group { others: self.others.len(), text };
        if let Some(person) = &mut self.person {
            person.say(&line, typed);
        }
    }

    fn write_to_all(&mut self) {
        let text = self.text();
        if let Some(person) = &mut self.person {
            person.say(&format!("broadcast {text}"), Typed::Broadcast { text });
        }
    }

    fn ask_around(&mut self) {
        if let Some(person) = &mut self.person {
            person.command("whoelse");
        }
    }

    /// Changes a fact to its opposite; the answer tells whether the server had it as it was confirmed.
    fn toggle(&mut self, fact: Fact) {
        if self.pending.values().any(|(pending, _)| *pending == fact) {
            return;
        }
        let (victim, group, [one, two]) = (&self.story.victim, &self.story.group, &self.others);
        let (line, to) = match (fact, self.known(fact)) {
            (Fact::Block, Known::No | Known::Unknown) => (format!("block {victim}"), Known::Yes),
            (Fact::Block, Known::Yes) => (format!("unblock {victim}"), Known::No),
            (Fact::Group, Known::No | Known::Unknown) => {
                (format!("create group {group} {one} {two}"), Known::Yes)
            }
            (Fact::Group, Known::Yes) => (format!("delete group {group}"), Known::No),
        };
        if let Some(person) = &mut self.person {
            self.pending.insert(person.command(&line), (fact, to));
        }
    }

    fn known(&self, fact: Fact) -> Known {
        match fact {
            Fact::Block => self.story.blocks,
            Fact::Group => self.story.has_group,
        }
    }

    fn set(&mut self, fact: Fact, known: Known) {
        match fact {
            Fact::Block => self.story.blocks = known,
            Fact::Group => self.story.has_group = known,
        }
    }

    /// Logs out and is away for a while, as long as others take for a few results.
    fn go_and_return(&mut self) {
        let Some(person) = self.person.take() else { return };
        let life = person.leave();
        self.bury(life);
        let enough = self.weather.results.load(Ordering::Relaxed) + self.random.below(150);
        while self.weather.results.load(Ordering::Relaxed) < enough && !self.weather.is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Is killed, sometimes in the middle of a line.
    fn die(&mut self) {
        if self.random.chance(50) {
            let text = self.text();
            let part = format!("message {} {text}", self.story.victim);
            if let Some(person) = &mut self.person {
                person.stutter(&part, &text);
            }
        }
        if let Some(person) = self.person.take() {
            let life = person.kill();
            self.bury(life);
        }
    }

    /// Waits for results, and learns from them.
    fn settle(&mut self) {
        let Some(person) = &self.person else { return };
        person.settle(WINDOW);
        let (results, answers) = person.until("a look", |printed| {
            // Results come nearly in the order of the lines, so the fresh ones are near the end.
            let is_wanted = |object: &&Value| {
                let line = object["line"].as_u64().map(|line| line as usize);
                object["type"] == "result" && line.is_some_and(|line| self.pending.contains_key(&line))
            };
            let fresh = printed.values.get(self.looked_at..).unwrap_or_default();
            let answers = fresh.iter().filter(is_wanted).cloned().collect::<Vec<_>>();
            self.looked_at = printed.values.len();
            Some((printed.results, answers))
        });
        let fresh = results.saturating_sub(std::mem::replace(&mut self.counted, results));
        self.weather.results.fetch_add(fresh as u64, Ordering::Relaxed);
        for answer in answers {
            self.learn(&answer);
        }
    }

    fn learn(&mut self, result: &Value) {
        let line = result["line"].as_u64().unwrap_or(0) as usize;
        let Some((fact, to)) = self.pending.remove(&line) else { return };
        let before = self.known(fact);
        let error = result["error"].as_str().unwrap_or("");
        let now = match (to, before, error) {
            (_, _, "") => to,
            (Known::Yes, Known::Unknown, "already_blocked" | "group_exists") => Known::Yes,
            (_, _, "outcome_unknown") => Known::Unknown,
            // One of the members blocks the maker of the group.
            (Known::Yes, _, "blocked") if fact == Fact::Group => before,
            _ => {
                self.story.contradictions.push(format!("{}: {before:?}, then {result}", self.name));
                Known::Unknown
            }
        };
        self.set(fact, now);
    }

    /// Keeps a life that has ended; changes without a result become unknown.
    fn bury(&mut self, life: Life) {
        for line in self.pending.keys().copied().collect::<Vec<_>>() {
            let is_answer = |object: &&Value| object["type"] == "result" && object["line"] == line;
            if let Some(result) = life.objects.iter().find(is_answer).cloned() {
                self.learn(&result);
            }
        }
        for (fact, _) in std::mem::take(&mut self.pending).into_values() {
            self.set(fact, Known::Unknown);
        }
        self.counted = 0;
        self.looked_at = 0;
        self.story.lives.push(life);
    }
}
