//! The operator's log: how its lines are written, and where.
//!
//! A line holds what happened in words. In JSON it has the parts as well: `event`, `user`, `from` and the like.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::Access;
use serde_json::{Map, Value};
use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt as lines};

use crate::shell::own_files::open_own;
use crate::shell::visible::visible;

/// Lines that are written at any level: the start and the end of a server.
pub(super) const ALWAYS: &str = "hobnob::life";

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Time, level, words.
    #[default]
    Text,
    /// One object a line.
    Json,
    /// Words after `<N>`, the priority as journald and syslog number it; the journal has the time.
    Journald,
}

/// `log_format` and `log_file`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// How.
    pub format: LogFormat,
    /// Where; `None`: standard error.
    pub file: Option<PathBuf>,
}

/// The log file cannot be opened.
#[derive(Debug, Error)]
#[error("log_file {}: {why}", visible(&file.to_string_lossy()))]
pub struct LogError {
    /// Which.
    file: PathBuf,
    /// The I/O error.
    why: io::Error,
}

/// Where lines go, and how they are written. Each clone is the same log.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<RwLock<Sink>>);

/// An open log file, or standard error, and a format.
#[derive(Debug, Clone, Default)]
pub struct Sink {
    format: LogFormat,
    file: Option<Arc<File>>,
}

impl Sink {
    /// Opens the file of the settings, and makes it, for its owner only, if it is not there.
    ///
    /// # Errors
    /// It is a link, no regular file, or cannot be opened.
    pub fn open(settings: &LogSettings) -> Result<Sink, LogError> {
        let LogSettings { format, file } = settings;
        let open = |file: &PathBuf| -> io::Result<Arc<File>> {
            // The open of a pipe would wait for its reader.
            if std::fs::symlink_metadata(file).is_ok_and(|found| !found.is_file() && !found.is_symlink()) {
                return Err(io::Error::other("this is no regular file"));
            }
            open_own(OpenOptions::new().append(true).create(true).mode(0o600), file).map(Arc::new)
        };
        let named = |file: &PathBuf| open(file).map_err(|why| LogError { file: file.clone(), why });
        Ok(Sink { format: *format, file: file.as_ref().map(named).transpose()? })
    }
}

impl Sink {
    /// Whether [`open`](Self::open) would find a file, or could make it. Makes nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn examine(settings: &LogSettings) -> Result<(), LogError> {
        let Some(file) = &settings.file else { return Ok(()) };
        if std::fs::symlink_metadata(file).is_ok() {
            return Sink::open(settings).map(drop);
        }
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        };
        let found = rustix::fs::access(folder, Access::EXISTS | Access::WRITE_OK | Access::EXEC_OK);
        let usable =
            found.map_err(io::Error::from).and_then(|()| match std::fs::metadata(folder)?.is_dir() {
                true => Ok(()),
                false => Err(io::ErrorKind::NotADirectory.into()),
            });
        usable.map_err(|why| LogError { file: file.clone(), why })
    }
}

impl Log {
    /// Starts the log of this process: text on standard error. A line that cannot be written (the disk is full, the
    /// reader has gone) is dropped; the server goes on.
    #[must_use]
    pub fn start(level: LevelFilter) -> Log {
        let log = Log::default();
        let layer = lines::layer()
            .with_writer(log.clone())
            // The subscriber would say that it could not write by a panic.
            .log_internal_errors(false)
            .event_format(log.clone())
            .with_filter(
                Targets::new().with_default(level).with_target(ALWAYS, level.max(LevelFilter::INFO)),
            );
        tracing_subscriber::registry().with(layer).init();
        log
    }

    /// Lines go there from now on.
    pub fn take_up(&self, sink: Sink) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sink;
    }

    /// Whether lines go to a file, and not to standard error.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.sink().file.is_some()
    }

    fn sink(&self) -> Sink {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Writes a line to the file or to standard error.
#[derive(Debug)]
pub struct LineWriter(Option<Arc<File>>);

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(file) => file.as_ref().write(bytes),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = LineWriter;

    fn make_writer(&'a self) -> LineWriter {
        LineWriter(self.sink().file)
    }
}

impl<S, N> FormatEvent<S, N> for Log
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let level = *event.metadata().level();
        let format = self.sink().format;
        match format {
            LogFormat::Text => {
                SystemTime.format_time(&mut writer)?;
                writeln!(writer, " {level:>5} {}", visible(&parts.words))
            }
            LogFormat::Journald => writeln!(writer, "<{}>{}", priority(level), visible(&parts.words)),
            LogFormat::Json => {
                let mut time = String::new();
                SystemTime.format_time(&mut Writer::new(&mut time))?;
                writeln!(writer, "{}", parts.object(&time, level))
            }
        }
    }
}

/// As syslog numbers it.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// What a line says.
#[derive(Debug, Default)]
struct Parts {
    words: String,
    fields: Map<String, Value>,
}

impl Parts {
    /// An object with time, level and words first.
    fn object(mut self, time: &str, level: Level) -> String {
        let level = level.as_str().to_ascii_lowercase();
        let mut line = String::from("{");
        for (name, value) in [("time", time), ("level", &level), ("message", &self.words)] {
            let comma = if line.len() > 1 { "," } else { "" };
            // Writing to a string does not fail.
            let _ = write!(line, "{comma}\"{name}\":{}", Value::from(visible(value).to_string()));
        }
        for name in ["time", "level", "message"] {
            self.fields.remove(name);
        }
        for (name, value) in &self.fields {
            let _ = write!(line, ",\"{name}\":{value}");
        }
        line.push('}');
        line
    }
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string does not fail.
            let _ = write!(self.words, "{value:?}");
        } else {
            let shown = visible(&format!("{value:?}")).to_string();
            self.fields.insert(field.name().to_owned(), shown.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().to_owned(), visible(value).to_string().into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written of one event with these settings.
    fn written(format: LogFormat, say: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log");
        let log = Log::default();
        log.take_up(Sink::open(&LogSettings { format, file: Some(file.clone()) }).expect("a file"));
        let layer = lines::layer().with_writer(log.clone()).event_format(log);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        std::fs::read_to_string(file).expect("a line")
    }

    fn say() {
        tracing::warn!(event = "lock", user = "hans", failures = 3_u64, from = %"10.0.0.7", "locked\u{1b}[2J\nfor ever");
    }

    #[test]
    fn each_format_says_the_same_and_nothing_steers_a_terminal() {
        assert_eq!(written(LogFormat::Journald, say), "<4>locked^[[2J^Jfor ever\n");
        let text = written(LogFormat::Text, say);
        assert!(text.ends_with("Z  WARN locked^[[2J^Jfor ever\n"), "{text}");
        let json = written(LogFormat::Json, say);
        assert!(json.starts_with("{\"time\":\"2") && json.ends_with("}\n"), "{json}");
        let object: Value = serde_json::from_str(&json).expect("an object");
        for (name, value) in [
            ("level", Value::from("warn")),
            ("message", "locked^[[2J^Jfor ever".into()),
            ("event", "lock".into()),
            ("user", "hans".into()),
            ("failures", 3.into()),
            ("from", "10.0.0.7".into()),
        ] {
            assert_eq!(object[name], value, "{name}");
        }
    }

    #[test]
    fn a_log_file_is_appended_to_and_only_its_owner_reads_it() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("log");
        let open = |file: &PathBuf| {
            let settings = LogSettings { file: Some(file.clone()), ..LogSettings::default() };
            Sink::open(&settings).map(|sink| sink.file.expect("a file"))
        };
        for line in [b"one\n", b"two\n"] {
            open(&file).expect("it opens").as_ref().write_all(line).expect("a line");
        }
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), "one\ntwo\n");
        let other = folder.path().join("other");
        for path in [&file, &other] {
            let settings = LogSettings { file: Some(path.clone()), ..LogSettings::default() };
            Sink::examine(&settings).expect("good");
        }
        assert!(!other.exists(), "it makes nothing");
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let link = folder.path().join("link");
        symlink(&file, &link).expect("a link");
        for (path, why) in [
            (link, "link is a symbolic link"),
            (folder.path().to_path_buf(), "no regular file"),
            (folder.path().join("none/log"), "none/log: No such file"),
        ] {
            let settings = LogSettings { file: Some(path.clone()), ..LogSettings::default() };
            assert!(Sink::examine(&settings).is_err(), "{}", path.display());
            let error = open(&path).expect_err("an error").to_string();
            assert!(error.starts_with("log_file ") && error.contains(why), "{error}");
        }
    }
}
