//! Bounds on open connections: each is a file, and the store needs files too.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures_lite::future::or;

use super::bell::Bell;
use super::connection::Connection;
use crate::shell::platform::{Platform, System};
use crate::shell::server::setup::settings::Settings;

/// Files that connections leave to the store, the credentials file, the log, and the system's own.
const RESERVE: usize = 64;
/// Connections that the core does not count: they wait for it, or it has closed them.
const UNCOUNTED: usize = 64;
/// How long the last output of closed connections may keep others from being accepted.
const UNSAID: Duration = Duration::from_millis(300);
/// How long to wait when the system is out of files or memory and none of this process becomes free. Connections wait
/// in the backlog meanwhile.
const SHORT: Duration = Duration::from_secs(1);
/// Closed connections that are ended at once when there are too many.
const ENDED_AT_ONCE: usize = 16;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// In all.
    open: usize,
    /// Not logged in.
    strangers: usize,
    /// Waiting for the core, or closed by it.
    uncounted: usize,
}

impl Bounds {
    /// For a process that may have so many files open. Half of the connections are left to those who have logged in
    /// or are being closed.
    pub(crate) fn of(files: usize) -> Bounds {
        let open = (files - RESERVE.min(files / 2)).max(4);
        Bounds { open, strangers: open / 2, uncounted: UNCOUNTED.min(open / 4) }
    }

    /// Lowers `unauthenticated_max` to what there are files for; returns whether that was necessary.
    pub(crate) fn lower(&self, settings: &mut Settings) -> bool {
        let strangers = u32::try_from(self.strangers).unwrap_or(u32::MAX);
        let wanted = &mut settings.core.unauthenticated_max;
        let too_many = *wanted == 0 || *wanted > strangers;
        let warns = *wanted > strangers;
        if too_many {
            *wanted = strangers;
        }
        warns
    }

    /// Connections in all.
    pub(crate) const fn open(&self) -> usize {
        self.open
    }
}

/// The connections that are open, and those of them that the core does not count.
pub(crate) struct Files<P: Platform = System> {
    bounds: Bounds,
    open: Cell<usize>,
    /// Accepted, and on their way to the state task.
    arriving: Cell<usize>,
    /// Closed by the core, the oldest first, by the order of closing.
    closing: RefCell<BTreeMap<u64, Weak<Connection<P>>>>,
    closed: Cell<u64>,
    /// Closed by the core and not gone, also those that are ended.
    still_open: Cell<usize>,
    /// Rings when a file is free.
    freed: Bell,
    /// The system was out of files or memory at the last attempt.
    short: Cell<bool>,
    /// That was logged, and no connection was taken on since.
    told: Cell<bool>,
}

impl<P: Platform> Files<P> {
    pub(crate) fn new(bounds: Bounds) -> Files<P> {
        Files {
            bounds,
            open: Cell::new(0),
            arriving: Cell::new(0),
            closing: RefCell::default(),
            closed: Cell::new(0),
            still_open: Cell::new(0),
            freed: Bell::default(),
            short: Cell::new(false),
            told: Cell::new(false),
        }
    }

    pub(crate) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Waits until another connection may be accepted.
    pub(super) async fn room(&self, platform: &P) {
        if self.short.take() {
            or(self.one_freed(platform), platform.after(SHORT)).await;
        }
        while self.is_full() {
            self.one_freed(platform).await;
        }
    }

    /// Waits until a connection has ended, after seeing to it that some of those do that the core has closed: those
    /// whose output was written; if there are none for a while, those whose output does not leave.
    async fn one_freed(&self, platform: &P) {
        let patience = async {
            platform.after(UNSAID).await;
            self.end_oldest(|_| true);
        };
        if self.end_oldest(|connection| connection.backlog() == 0) {
            return self.freed.heard().await;
        }
        or(self.freed.heard(), patience).await;
    }

    fn is_full(&self) -> bool {
        let arriving = self.arriving.get();
        self.open.get() + arriving >= self.bounds.open
            || self.still_open.get() + arriving >= self.bounds.uncounted
    }

    /// Ends some of these connections that the core has closed, the oldest first; returns whether there are any.
    fn end_oldest(&self, these: impl Fn(&Connection<P>) -> bool) -> bool {
        let ended: Vec<Rc<Connection<P>>> = {
            let closing = self.closing.borrow();
            let connections = closing.values().filter_map(Weak::upgrade);
            connections.filter(|connection| these(connection)).take(ENDED_AT_ONCE).collect()
        };
        for connection in &ended {
            self.closing.borrow_mut().remove(&connection.closing_number());
            connection.end_now();
        }
        !ended.is_empty()
    }

    /// A connection was accepted.
    pub(crate) fn accepted(&self) {
        self.arriving.set(self.arriving.get() + 1);
    }

    /// A connection could not be accepted or taken on: the system is out of files or memory.
    pub(crate) fn ran_short(&self, error: &io::Error) {
        self.short.set(true);
        if !self.told.replace(true) {
            tracing::error!("no connection can be taken for now: {error}");
        }
    }

    /// An accepted connection has reached the state task.
    pub(crate) fn arrived(&self) {
        self.arriving.set(self.arriving.get().saturating_sub(1));
        self.freed.ring();
    }

    /// Connections that were accepted and have not reached the state task.
    #[cfg(test)]
    pub(crate) const fn arriving(&self) -> usize {
        self.arriving.get()
    }

    /// Whether accepting is to wait.
    #[cfg(test)]
    pub(crate) const fn is_short(&self) -> bool {
        self.short.get()
    }

    pub(super) fn opened(&self) {
        self.told.set(false);
        self.open.set(self.open.get() + 1);
    }

    /// The core has closed a connection; returns its number in that order.
    pub(super) fn closing(&self, connection: &Rc<Connection<P>>) -> u64 {
        let number = self.closed.get() + 1;
        self.closed.set(number);
        self.still_open.set(self.still_open.get() + 1);
        self.closing.borrow_mut().insert(number, Rc::downgrade(connection));
        number
    }

    /// A connection is gone; with its number if the core had closed it.
    pub(super) fn gone(&self, closing: Option<u64>) {
        self.open.set(self.open.get() - 1);
        if let Some(number) = closing {
            self.still_open.set(self.still_open.get() - 1);
            self.closing.borrow_mut().remove(&number);
        }
        self.freed.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_has_files_left_and_those_logged_in_have_places() {
        for files in [0, 8, 64, 128, 256, 1_024, 1 << 20] {
            let Bounds { open, strangers, uncounted } = Bounds::of(files);
            assert!(strangers + uncounted < open, "{files}");
            assert!(strangers > 0 && uncounted > 0, "{files}");
            assert!(files < 16 || files - open >= RESERVE.min(files / 2), "{files}");
        }
        assert_eq!(Bounds::of(256), Bounds { open: 192, strangers: 96, uncounted: 48 });
        assert_eq!(Bounds::of(1 << 20).uncounted, 64);
    }

    #[test]
    fn strangers_are_bounded_by_files_also_where_the_setting_has_no_bound() {
        for (setting, files, bound, warns) in
            [(128, 1 << 20, 128, false), (128, 256, 96, true), (0, 256, 96, false), (40, 256, 40, false)]
        {
            let mut settings = Settings::default();
            settings.core.unauthenticated_max = setting;
            assert_eq!(Bounds::of(files).lower(&mut settings), warns);
            assert_eq!(settings.core.unauthenticated_max, bound, "{setting} {files}");
        }
    }
}
