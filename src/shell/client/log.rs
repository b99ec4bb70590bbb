//! The log of what was said: JSON Lines in the state folder, written and read by a thread of its own.
//!
//! Nothing depends on it. A log that cannot be written is said once; lines that are damaged are skipped.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::mem;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::json;
use super::news::News;
use crate::client::view::MessageKind;
use crate::client::{Logged, Query};
use crate::shell::own_files::open_own;
use crate::shell::replace_file::replace_file;
use crate::time::Time;
use crate::words::{LINE_BREAK, Name, Text};

/// In the state folder.
const FILE: &str = "log";
/// What is kept of a log that has become too large, and when it has.
const KEPT_BYTES: u64 = 8 << 20;
const MOST_BYTES: u64 = 16 << 20;
/// A line that is longer is none of ours.
const LINE_BYTES: usize = 64 * 1024;
/// What is read at a time.
const BLOCK_BYTES: u64 = 64 * 1024;
/// What is read at the start.
const TAIL_BYTES: u64 = 64 * 1024;
/// Messages that may wait for a slow disk; more are not kept.
const WAITING_JOBS: usize = 1_024;
/// How long the program waits at its end for what is to be written.
const END: Duration = Duration::from_secs(1);

/// What the thread is to do, in order.
enum Job {
    /// Write to the log in this folder from now on; lines sent before this time go.
    Open(PathBuf, Option<Time>),
    Keep(Logged),
    LookUp(u64, Query),
}

/// The thread that has the log. It ends with this.
#[derive(Debug)]
pub(super) struct Log {
    jobs: SyncSender<Job>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    /// How long lines are kept; 0: for ever.
    days: u64,
}

impl Log {
    pub(super) fn spawn(days: u64, news: async_channel::Sender<News>) -> io::Result<Log> {
        let (jobs, waiting) = mpsc::sync_channel(WAITING_JOBS);
        let (over, ended) = mpsc::channel();
        thread::Builder::new().name("log".into()).spawn(move || {
            serve(&waiting, &news);
            drop(over);
        })?;
        Ok(Log { jobs, ended, days })
    }

    /// A session begins.
    pub(super) fn open(&self, folder: &Path, now: Time) {
        let oldest = (self.days > 0).then(|| now.minus_seconds(self.days.saturating_mul(86_400)));
        self.tell(Job::Open(folder.into(), oldest));
    }

    pub(super) fn keep(&self, logged: &Logged) {
        self.tell(Job::Keep(logged.clone()));
    }

    /// Whether there will be an answer.
    pub(super) fn look_up(&self, line: u64, query: &Query) -> bool {
        self.tell(Job::LookUp(line, query.clone()))
    }

    /// Whether the thread will do it: too much may wait for a disk that hangs.
    fn tell(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    /// Waits until all is written; not for ever, for the disk may hang.
    pub(super) fn end(self) {
        let Log { jobs, ended, days: _ } = self;
        drop(jobs);
        match ended.recv_timeout(END) {
            Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
}

fn serve(jobs: &Receiver<Job>, news: &async_channel::Sender<News>) {
    let mut book = None;
    let mut has_failed = false;
    while let Ok(job) = jobs.recv() {
        let done = match job {
            Job::Open(folder, oldest) => Book::open(&folder, oldest).map(|opened| book = Some(opened)),
            Job::Keep(logged) => book.as_mut().map_or(Ok(()), |book| book.keep(&logged)),
            Job::LookUp(line, query) => {
                let found = book.as_ref().and_then(|book| newest(&book.path, &query).ok());
                if news.send_blocking(News::LookedUp { line, found }).is_err() {
                    return;
                }
                Ok(())
            }
        };
        if let Err(error) = done
            && !mem::replace(&mut has_failed, true)
        {
            let _ = news.send_blocking(News::LogFailed(error));
        }
    }
}

/// An open log.
struct Book {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Book {
    fn open(folder: &Path, oldest: Option<Time>) -> io::Result<Book> {
        let path = folder.join(FILE);
        let mut book = Book { file: append_to(&path)?, path, size: 0 };
        book.size = book.file.metadata()?.len();
        if book.size > KEPT_BYTES || oldest.is_some_and(|oldest| book.begins_before(oldest)) {
            book.shorten(oldest.unwrap_or(Time::ZERO))?;
        }
        Ok(book)
    }

    /// Whether the first whole line is older.
    fn begins_before(&self, oldest: Time) -> bool {
        let mut start = Vec::new();
        let read = open_own(File::options().read(true), &self.path)
            .and_then(|file| file.take(BLOCK_BYTES).read_to_end(&mut start));
        let first = start.split(|byte| *byte == b'\n').find_map(parse);
        read.is_ok() && first.is_some_and(|first| first.sent_at < oldest)
    }

    fn keep(&mut self, logged: &Logged) -> io::Result<()> {
        let mut line = Vec::new();
        json::write_logged(&mut line, logged);
        self.file.write_all(&line)?;
        self.size += line.len() as u64;
        if self.size > MOST_BYTES { self.shorten(Time::ZERO) } else { Ok(()) }
    }

    /// Replaces the log with the newest of its lines.
    fn shorten(&mut self, oldest: Time) -> io::Result<()> {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        backwards(&self.path, KEPT_BYTES, |line| {
            if parse(line).is_some_and(|logged| logged.sent_at >= oldest) {
                kept.push([line, b"\n"].concat());
            }
            true
        })?;
        kept.reverse();
        let all = kept.concat();
        replace_file(&self.path, &all)?;
        (self.file, self.size) = (append_to(&self.path)?, all.len() as u64);
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    let file = open_own(File::options().append(true).create(true).mode(0o600), path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("the log is no file"));
    }
    if data.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// The end of the log in a folder, oldest first; nothing if it cannot be read.
pub(super) fn tail(folder: &Path) -> Vec<Logged> {
    let mut found = Vec::new();
    let _ = backwards(&folder.join(FILE), TAIL_BYTES, |line| {
        found.extend(parse(line));
        true
    });
    found.reverse();
    found
}

/// The newest messages that a query wants, oldest first.
fn newest(path: &Path, query: &Query) -> io::Result<Vec<Logged>> {
    let mut found = Vec::new();
    backwards(path, MOST_BYTES, |line| {
        found.extend(parse(line).filter(|logged| query.wants(logged)));
        found.len() < query.count()
    })?;
    found.reverse();
    Ok(found)
}

/// Reads lines from the end of a file, in blocks, until it is told to stop or has read so many bytes.
fn backwards(path: &Path, most: u64, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut file = open_own(File::options().read(true), path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("the log is no file"));
    }
    let mut at = file.seek(SeekFrom::End(0))?;
    let stop = at.saturating_sub(most);
    // The end of a line whose beginning has not been read.
    let mut rest: Vec<u8> = Vec::new();
    while at > stop {
        let from = at.saturating_sub(BLOCK_BYTES).max(stop);
        file.seek(SeekFrom::Start(from))?;
        let mut block = Vec::new();
        (&mut file).take(at - from).read_to_end(&mut block)?;
        block.append(&mut rest);
        let first =
            if from == 0 { 0 } else { memchr::memchr(b'\n', &block).map_or(block.len(), |end| end + 1) };
        let (partial, whole) = block.split_at(first);
        for line in whole.rsplit(|byte| *byte == b'\n') {
            if !line.is_empty() && line.len() <= LINE_BYTES && !take(line) {
                return Ok(());
            }
        }
        // What is longer stays too long, and is skipped as a whole.
        rest = partial[..partial.len().min(LINE_BYTES + 1)].to_vec();
        at = from;
    }
    Ok(())
}

/// A line of the log; `None` if it is damaged.
fn parse(line: &[u8]) -> Option<Logged> {
    let object: Value = serde_json::from_slice(line).ok()?;
    let word = |field: &str| object.get(field).and_then(Value::as_str);
    let kind = match word("kind")? {
        "direct" => MessageKind::Direct,
        "broadcast" => MessageKind::Broadcast,
        "group" => MessageKind::Group,
        "private" => MessageKind::Private,
        _ => return None,
    };
    let with = if kind == MessageKind::Broadcast { "" } else { word("with")? };
    let from = Name::new(word("from")?).ok()?;
    if kind != MessageKind::Broadcast && Name::new(with).is_err() {
        return None;
    }
    let text = word("text")?.replace('\n', LINE_BREAK.encode_utf8(&mut [0; 4]));
    let sent_at = Time(object.get("at")?.as_u64()?);
    Text::new(&text)?;
    Some(Logged { kind, with: with.into(), from: from.as_str().into(), text, sent_at })
}
