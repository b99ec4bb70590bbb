//! A value that one thread changes and another waits for.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::PATIENCE;

/// A value whose changes can be waited for.
#[derive(Debug, Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    /// With this value.
    pub fn new(value: T) -> Watched<T> {
        Watched { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// The value now, also after a panic of a thread that held it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value and wakes who waits.
    pub fn change(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `look` finds something; `None` if it does not within [`PATIENCE`].
    pub fn wait<R>(&self, mut look: impl FnMut(&T) -> Option<R>) -> Option<R> {
        let deadline = Instant::now() + PATIENCE;
        let mut value = self.lock();
        loop {
            if let Some(found) = look(&value) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            value = self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The text of a stream so far.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// Streams that are still open: a program that starts again says more in the same place.
    pub(crate) open: usize,
}

impl Said {
    /// The first whole line from `from` on that is `wanted`, and where the next one begins.
    pub(crate) fn line(&self, from: usize, wanted: impl Fn(&str) -> bool) -> Option<(String, usize)> {
        let mut next = from;
        for line in self.text[from..].split_inclusive('\n') {
            next += line.len();
            if let Some(line) = line.strip_suffix('\n')
                && wanted(line)
            {
                return Some((line.to_owned(), next));
            }
        }
        None
    }
}

/// Reads a stream to its end, line by line.
pub(crate) fn listen(stream: impl Read + Send + 'static, said: &Arc<Watched<Said>>) {
    said.change(|said| said.open += 1);
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            said.change(|said| said.text.push_str(&String::from_utf8_lossy(&line)));
            line.clear();
        }
        said.change(|said| said.open -= 1);
    });
}
