//! The items of a recording.

use super::coded::{Coded, Decoder, Encoder};
use super::effects::Summary;
use super::recovered::Shown;
use crate::record::Recovery;
use crate::server::Settings;
use crate::time::Time;
use crate::words::{Credential, LinkId, Name, Token};

/// What a recording begins with; the number is the version of the format.
pub(super) const HEAD: &[u8] = b"hobnob recording 1\n";

/// The kind of effects.
const EFFECTS: u8 = 3;

/// One thing in a recording. Times are written as their difference to that of the event before.
pub(super) enum Item<'a> {
    /// What the core was started from. The first item, and the only one of its kind.
    Beginning(Box<Beginning>),
    /// Any event but bytes that came.
    Event { now: Time, before: Time, event: &'a [u8] },
    /// So many bytes came on a link. The lines that ended in them, with their line feeds; what a line began with in
    /// earlier events is not written there.
    Received { now: Time, before: Time, link: LinkId, count: usize, lines: &'a [u8] },
    /// What the event before led to, and what stands for tokens that a client was told for the first time.
    Effects { summary: Summary, tokens: Vec<Token> },
    /// Which record of an earlier start the next line refers to.
    Shown(Shown),
    /// The last item, if the server could write it.
    End(End),
}

/// What a core was started from.
pub(super) struct Beginning {
    /// Of the program.
    pub(super) version: String,
    pub(super) at: Time,
    pub(super) settings: Settings,
    pub(super) accounts: Vec<(Name, Credential)>,
    pub(super) recovery: Recovery,
}

/// Why a recording ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// So did the server.
    Stopped,
    /// It was as long as it may be.
    Full,
    /// The disk was slower than the server.
    Behind,
}

impl End {
    const ALL: [End; 3] = [End::Stopped, End::Full, End::Behind];

    pub(super) const fn words(self) -> &'static str {
        match self {
            End::Stopped => "the server stopped",
            End::Full => "the recording was full",
            End::Behind => "the disk was too slow for the recording",
        }
    }
}

impl Coded for End {
    fn put(&self, out: &mut Encoder) {
        out.bytes.push(*self as u8);
    }

    fn get(from: &mut Decoder<'_>) -> Option<End> {
        let number = from.byte()?;
        End::ALL.into_iter().find(|end| *end as u8 == number)
    }
}

impl Coded for Summary {
    fn put(&self, out: &mut Encoder) {
        self.count.put(out);
        if self.count > 0 {
            self.digest.to_le_bytes().put(out);
        }
    }

    fn get(from: &mut Decoder<'_>) -> Option<Summary> {
        let count = Coded::get(from)?;
        let digest = if count == 0 { 0 } else { u64::from_le_bytes(from.array()?) };
        Some(Summary { count, digest })
    }
}

impl Coded for Beginning {
    fn put(&self, out: &mut Encoder) {
        let Beginning { version, at, settings, accounts, recovery } = self;
        version.put(out);
        at.put(out);
        settings.put(out);
        accounts.put(out);
        recovery.put(out);
    }

    fn get(from: &mut Decoder<'_>) -> Option<Beginning> {
        Some(Beginning {
            version: Coded::get(from)?,
            at: Coded::get(from)?,
            settings: Coded::get(from)?,
            accounts: Coded::get(from)?,
            recovery: Coded::get(from)?,
        })
    }
}

impl<'a> Item<'a> {
    /// Appends the item: its length, its kind, and what it holds.
    pub(super) fn put(&self, out: &mut Encoder) {
        let start = out.bytes.len();
        // Most are short, and have their length in one byte.
        out.bytes.push(0);
        match self {
            Item::Beginning(beginning) => {
                out.bytes.push(0);
                beginning.put(out);
            }
            Item::Event { now, before, event } => {
                out.bytes.push(1);
                out.difference(now.0, before.0);
                out.bytes.extend_from_slice(event);
            }
            Item::Received { now, before, link, count, lines } => {
                out.bytes.push(2);
                out.difference(now.0, before.0);
                link.put(out);
                count.put(out);
                out.bytes.extend_from_slice(lines);
            }
            Item::Effects { summary, tokens } => {
                out.bytes.push(EFFECTS);
                summary.put(out);
                tokens.put(out);
            }
            Item::Shown(shown) => {
                out.bytes.push(4);
                shown.put(out);
            }
            Item::End(end) => {
                out.bytes.push(5);
                end.put(out);
            }
        }
        out.put_length(start);
    }

    /// Reads an item, without its length. `last` is the time of the event before.
    pub(super) fn get(bytes: &'a [u8], last: &mut Time) -> Option<Item<'a>> {
        let mut from = Decoder { rest: bytes };
        let before = *last;
        let item = match from.byte()? {
            0 => {
                let beginning = Beginning::get(&mut from)?;
                *last = beginning.at;
                Item::Beginning(Box::new(beginning))
            }
            1 => {
                *last = Time(from.difference(before.0)?);
                Item::Event { now: *last, before, event: std::mem::take(&mut from.rest) }
            }
            2 => {
                *last = Time(from.difference(before.0)?);
                let (link, count) = Coded::get(&mut from)?;
                Item::Received { now: *last, before, link, count, lines: std::mem::take(&mut from.rest) }
            }
            EFFECTS => Item::Effects { summary: Coded::get(&mut from)?, tokens: Coded::get(&mut from)? },
            4 => Item::Shown(Coded::get(&mut from)?),
            5 => Item::End(Coded::get(&mut from)?),
            _ => return None,
        };
        from.rest.is_empty().then_some(item)
    }
}

/// How many of these bytes are whole items up to the effects of an event, and no more than there is room for.
pub(super) fn whole_events(made: &[u8], room: usize) -> usize {
    let head = if made.starts_with(HEAD) { HEAD.len() } else { 0 };
    let mut from = Decoder { rest: &made[head..] };
    let mut whole = 0;
    while let Some(item) = from.block() {
        let end = made.len() - from.rest.len();
        if end > room {
            break;
        }
        if matches!(item, [EFFECTS, ..]) {
            whole = end;
        }
    }
    whole
}
