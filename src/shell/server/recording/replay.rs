//! Runs the same core to the same effects.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

use super::coded::Decoder;
use super::effects::{Effects, Summary};
use super::format::{Beginning, HEAD, Item};
use super::kinds::get_event;
use super::lines;
use super::recovered::{Named, named, restore};
use crate::server::{Act, Effect, Event, ServerState};
use crate::time::Time;
use crate::words::{LinkId, Name, Token};

/// Why a recording cannot be replayed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ReplayError {
    /// It is another kind of file.
    #[error("it is no recording of this format (its first line is not \"hobnob recording 1\")")]
    NoRecording,
    /// It was cut before the core's start was written.
    #[error("it ends before its first event")]
    Empty,
    /// It was changed.
    #[error("it is damaged at byte {at}")]
    Damaged {
        /// Where the item begins that cannot be read.
        at: usize,
    },
}

/// An event that was replayed.
#[derive(Debug, Clone)]
pub struct Step {
    /// Counted from 1.
    pub number: u64,
    /// When it happened.
    pub at: Time,
    /// What it was.
    pub event: String,
    /// What it led to.
    pub effects: Vec<String>,
    /// Whether that is what was recorded; `None` if nothing was.
    pub equal: Option<bool>,
}

/// The first event that led to something else.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The event, and what it leads to here.
    pub step: Step,
    /// How many effects it had when it was recorded.
    pub recorded_effects: u64,
}

/// How a recording ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As its last item says.
    Because(&'static str),
    /// Without a last item: the server was killed, or still runs.
    Cut,
    /// The core panicked at the last event, which has no effects in the recording either.
    Panicked,
}

/// What came of a replay.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The version of the program that made the recording.
    pub version: String,
    /// Events that were replayed.
    pub events: u64,
    /// Events without effects in the recording.
    pub unfinished: u64,
    /// The first event that led to something else.
    pub difference: Option<Difference>,
    /// How the recording ends.
    pub ended: Ended,
}

/// Items and where they begin, as far as they are whole.
fn items(recording: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = Decoder { rest: &recording[HEAD.len()..] };
    std::iter::from_fn(move || {
        let at = recording.len() - from.rest.len();
        from.block().map(|item| (at, item))
    })
}

/// Replays a recording. `look` is called after each event.
///
/// # Errors
/// It is no recording, or damaged.
pub fn replay(recording: &[u8], mut look: impl FnMut(&Step)) -> Result<Replayed, ReplayError> {
    if !recording.starts_with(HEAD) {
        let begun = HEAD.starts_with(recording);
        return Err(if begun { ReplayError::Empty } else { ReplayError::NoRecording });
    }
    let (mut core, version, mut play) = prepare(recording)?;
    let mut replayed = Replayed { version, events: 0, unfinished: 0, difference: None, ended: Ended::Cut };
    let (mut last, mut open): (_, Option<Step>) = (Time::ZERO, None);
    for (at, item) in items(recording) {
        let item = Item::get(item, &mut last).ok_or(ReplayError::Damaged { at })?;
        if let Item::Effects { summary, tokens } = item {
            let step = open.take().ok_or(ReplayError::Damaged { at })?;
            let step = play.compare(step, summary, &tokens);
            look(&step);
            if step.equal == Some(false) {
                replayed.difference = Some(Difference { step, recorded_effects: summary.count });
                return Ok(replayed);
            }
            continue;
        }
        if let Item::End(end) = item {
            replayed.ended = Ended::Because(end.words());
        }
        let Some((event, now)) = play.event(&item).ok_or(ReplayError::Damaged { at })? else { continue };
        leave_unfinished(open.take(), &mut replayed, &mut look);
        replayed.events += 1;
        let mut step = Step::new(replayed.events, now, &event);
        match catch_unwind(AssertUnwindSafe(|| play.tell(&mut core, event.as_event(), now))) {
            Ok(effects) => {
                step.effects = effects;
                open = Some(step);
            }
            Err(_) => {
                step.effects = vec!["the core panics".to_owned()];
                look(&step);
                replayed.ended = Ended::Panicked;
                return Ok(replayed);
            }
        }
    }
    leave_unfinished(open, &mut replayed, &mut look);
    Ok(replayed)
}

fn leave_unfinished(open: Option<Step>, replayed: &mut Replayed, look: &mut impl FnMut(&Step)) {
    if let Some(step) = open {
        replayed.unfinished += 1;
        look(&step);
    }
}

/// The bytes that came on each link.
type Streams = HashMap<LinkId, Stream>;

/// Reads all of a recording, and starts the core.
fn prepare(recording: &[u8]) -> Result<(ServerState, String, Play), ReplayError> {
    let (mut beginning, mut shown, mut streams, mut last) = (None, Vec::new(), Streams::new(), Time::ZERO);
    for (at, item) in items(recording) {
        let item = Item::get(item, &mut last).ok_or(ReplayError::Damaged { at })?;
        match item {
            Item::Beginning(found) if beginning.is_none() => beginning = Some(*found),
            Item::Beginning(_) => return Err(ReplayError::Damaged { at }),
            _ if beginning.is_none() => return Err(ReplayError::Damaged { at }),
            Item::Received { link, lines, .. } => {
                streams.entry(link).or_default().lines.extend_from_slice(lines);
            }
            Item::Shown(found) => shown.push(found),
            Item::Event { .. } | Item::Effects { .. } | Item::End(_) => {}
        }
    }
    let Beginning { version, at, settings, accounts, mut recovery } = beginning.ok_or(ReplayError::Empty)?;
    let named = named(&shown);
    restore(&mut recovery, &shown, &named);
    let play = Play { streams, effects: Effects::default(), own: HashMap::new(), named };
    Ok((ServerState::new(settings, accounts, recovery, 1, at), version, play))
}

/// What comes on a link, and how much of it came.
#[derive(Default)]
struct Stream {
    lines: Vec<u8>,
    came: usize,
}

struct Play {
    streams: Streams,
    effects: Effects,
    /// The tokens of this core, by what stands for them in the recording.
    own: HashMap<Token, Token>,
    named: Named,
}

/// An event with its bytes.
enum Owned<'a> {
    Received(LinkId, Vec<u8>),
    Other(Event<'a>),
}

impl Owned<'_> {
    fn as_event(&self) -> Event<'_> {
        match self {
            Owned::Received(link, bytes) => Event::Received { link: *link, bytes },
            Owned::Other(event) => event.clone(),
        }
    }
}

impl Play {
    /// The event of an item, `Some(None)` if it is none; `None` if it cannot be read.
    #[expect(clippy::option_option, reason = "an item without an event is not one that cannot be read")]
    fn event<'a>(&mut self, item: &Item<'a>) -> Option<Option<(Owned<'a>, Time)>> {
        Some(match item {
            Item::Event { now, event, .. } => {
                let mut from = Decoder { rest: event };
                let mut event = get_event(&mut from).filter(|_| from.rest.is_empty())?;
                if let Event::Operator { act, .. } = &mut event
                    && let Act::Unlock(name) = &mut **act
                    && let Some(own) = self.named.get(name.as_str())
                {
                    *name = Name::new(own).ok()?;
                }
                Some((Owned::Other(event), *now))
            }
            Item::Received { now, link, count, .. } => {
                let bytes = self.streams.entry(*link).or_default().take(*count, &self.own, &self.named);
                Some((Owned::Received(*link, bytes), *now))
            }
            Item::Beginning(_) | Item::Effects { .. } | Item::Shown(_) | Item::End(_) => None,
        })
    }

    /// What came of an event, in words.
    fn tell(&mut self, core: &mut ServerState, event: Event<'_>, now: Time) -> Vec<String> {
        self.effects.begin();
        let effects = core.handle(event, now).map(|effect| {
            self.effects.add(&effect);
            in_words(&effect)
        });
        effects.collect()
    }

    fn compare(&mut self, mut step: Step, recorded: Summary, tokens: &[Token]) -> Step {
        let own = &self.effects.new.tokens;
        let as_many = tokens.len() == own.len();
        self.own.extend(tokens.iter().copied().zip(own.iter().copied()));
        step.equal = Some(as_many && self.effects.sum() == recorded);
        step
    }
}

impl Stream {
    /// The next bytes, with the tokens of this core. What a line began with that never ended is not known.
    fn take(&mut self, count: usize, own: &HashMap<Token, Token>, named: &Named) -> Vec<u8> {
        let from = self.came.min(self.lines.len());
        let upto = (self.came + count).min(self.lines.len());
        let mut at = memchr::memrchr(b'\n', &self.lines[..from]).map_or(0, |end| end + 1);
        while at < upto {
            let length = memchr::memchr(b'\n', &self.lines[at..]).unwrap_or(self.lines.len() - at);
            let line = &mut self.lines[at..at + length];
            let line_end = usize::from(line.ends_with(b"\r"));
            let line = &mut line[..length - line_end];
            if let Some(token) = lines::shown_token(line).and_then(|token| own.get(&token)) {
                lines::replace_token(line, token);
            }
            lines::restore_name(line, named);
            at += length + 1;
        }
        let mut bytes = self.lines[from..upto].to_vec();
        bytes.resize(count, b'x');
        self.came += count;
        bytes
    }
}

/// Lines are shown: nothing in them is secret.
fn in_words(effect: &Effect<'_>) -> String {
    if let Effect::Send { link, bytes } = effect {
        return format!("Send({link:?}, {:?})", String::from_utf8_lossy(bytes));
    }
    format!("{effect:?}")
}

impl Step {
    fn new(number: u64, at: Time, event: &Owned<'_>) -> Step {
        let event = match event {
            Owned::Received(link, bytes) => {
                format!("Received({link:?}, {:?})", String::from_utf8_lossy(bytes))
            }
            Owned::Other(event) => format!("{event:?}"),
        };
        Step { number, at, event, effects: Vec::new(), equal: None }
    }
}
