//! `replay`: runs the same core to the same effects, as a recording has them.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;
use thiserror::Error;

use crate::shell::server::recording::{Ended, Replayed, Step, replay as run};
use crate::shell::visible::visible;
use crate::time::Time;

/// What is printed of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Printed {
    /// The first event, counted from 1.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// One object a line.
    pub json: bool,
}

/// Why a replay fails.
#[derive(Debug, Error)]
pub enum ReplayFailure {
    /// The file cannot be read.
    #[error("cannot read {}: {why}", visible(&file.to_string_lossy()))]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// The I/O error.
        why: io::Error,
    },
    /// It is no recording.
    #[error("cannot replay {}: {why}", visible(&file.to_string_lossy()))]
    NoRecording {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: crate::shell::server::recording::ReplayError,
    },
    /// An event led to something else.
    #[error("{0}")]
    Differs(String),
}

/// `replay FILE`: prints the events of a recording and what they lead to, and then what came of it.
///
/// # Errors
/// [`ReplayFailure`]; the first event that leads to other effects than it had.
pub fn replay(file: &Path, printed: Printed) -> Result<(), ReplayFailure> {
    let recording = fs::read(file).map_err(|why| ReplayFailure::Unreadable { file: file.to_owned(), why })?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    let last = printed.from.saturating_add(printed.count);
    let look = |step: &Step| {
        if (printed.from..last).contains(&step.number) {
            // Whoever reads may stop; that is no error.
            let _ = writeln!(stdout, "{}", if printed.json { object(step) } else { line(step) });
        }
    };
    let replayed =
        run(&recording, look).map_err(|why| ReplayFailure::NoRecording { file: file.to_owned(), why })?;
    let summary = summary(&replayed, printed.json);
    let _ = writeln!(stdout, "{summary}").and_then(|()| stdout.flush());
    failure(&replayed).map_or(Ok(()), |words| Err(ReplayFailure::Differs(words)))
}

fn time(at: Time) -> String {
    let at = i64::try_from(at.0).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    at.map_or_else(|| "-".to_owned(), |at| format!("{at:.6}"))
}

fn line(step: &Step) -> String {
    let Step { number, at, event, effects, equal } = step;
    let mark = match equal {
        Some(true) => "",
        Some(false) => " DIFFERS",
        None => " (effects not recorded)",
    };
    let effects = if effects.is_empty() { "nothing".to_owned() } else { effects.join("; ") };
    format!("{number} {} {event} => {effects}{mark}", time(*at))
}

fn object(step: &Step) -> String {
    let Step { number, at, event, effects, equal } = step;
    json!({ "event": number, "time": time(*at), "what": event, "effects": effects, "equal": equal })
        .to_string()
}

fn summary(replayed: &Replayed, json: bool) -> String {
    let Replayed { version, events, unfinished, difference, ended } = replayed;
    let ended = match ended {
        Ended::Because(words) => (*words).to_owned(),
        Ended::Cut => "it was cut: the server was killed, or still runs".to_owned(),
        Ended::Panicked => "the core panics".to_owned(),
    };
    let differs = difference.as_ref().map(|difference| difference.step.number);
    if json {
        let equal = differs.is_none();
        return json!({
            "events": events, "equal": equal, "differs": differs, "unfinished": unfinished, "end": ended,
            "version": version,
        })
        .to_string();
    }
    let own = env!("CARGO_PKG_VERSION");
    let of =
        if version == own { String::new() } else { format!(", recorded by {version}, replayed by {own}") };
    let left =
        if *unfinished > 0 { format!(", {unfinished} without recorded effects") } else { String::new() };
    match differs {
        Some(number) => format!("{events} events replayed{of}; the effects of event {number} differ"),
        None => format!("{events} events replayed, with equal effects{left}{of}; the end: {ended}"),
    }
}

fn failure(replayed: &Replayed) -> Option<String> {
    if let Some(difference) = &replayed.difference {
        let (number, effects) = (difference.step.number, difference.step.effects.len());
        let recorded = difference.recorded_effects;
        return Some(format!(
            "event {number} led to other effects: {recorded} were recorded, {effects} came of it here"
        ));
    }
    (replayed.ended == Ended::Panicked).then(|| format!("the core panics at event {}", replayed.events))
}
