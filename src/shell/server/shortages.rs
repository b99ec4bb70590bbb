//! What runs short: room for stored mail, and on the disk. Told before anything is refused for it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;

use super::inbox::{Item, Sender};
use super::setup::settings::Settings;
use crate::shell::platform::Platform;
use crate::shell::visible::visible;
use crate::time::Time;

/// Percent of `mailbox_total_bytes` from which on mail is short of room.
const MAIL_PERCENT: u128 = 80;
/// The part of a disk that is to be free, but never less and never more than so many bytes.
const DISK_PART: u64 = 20;
const DISK_LEAST: u64 = 64 * MIB;
const DISK_MOST: u64 = 1024 * MIB;
const MIB: u64 = 1 << 20;

/// Between two looks at the disk.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two lines of the log about the same shortage.
const TELL_EVERY: Duration = Duration::from_secs(3_600);

/// How much room a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    /// Bytes that the server may still write.
    free: u64,
    /// Bytes in all.
    size: u64,
}

impl Disk {
    /// Looks at the disk of a folder. May take as long as a file system takes.
    pub(super) fn of(folder: &Path) -> io::Result<Disk> {
        let found = statvfs(folder)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Disk { free: bytes(found.f_bavail), size: bytes(found.f_blocks) })
    }

    const fn is_short(self) -> bool {
        let part = self.size / DISK_PART;
        let wanted = if part > DISK_MOST { DISK_MOST } else { part };
        self.free < if wanted < DISK_LEAST { DISK_LEAST } else { wanted }
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB free of {} MiB", self.free / MIB, self.size / MIB)
    }
}

/// Something that runs short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shortage {
    /// Room for stored mail.
    Mail {
        /// Bytes of it.
        stored: u64,
        /// `mailbox_total_bytes`
        most: u64,
    },
    /// The disk of the data folder.
    Disk {
        /// The data folder.
        folder: PathBuf,
        /// Its disk.
        disk: Disk,
    },
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shortage::Mail { stored, most } => {
                let percent = u128::from(*stored) * 100 / u128::from(*most).max(1);
                write!(
                    f,
                    "stored mail takes {percent} % of mailbox_total_bytes ({stored} of {most}): \
                     beyond it messages for users who are offline are refused"
                )
            }
            Shortage::Disk { folder, disk } => {
                let folder = folder.to_string_lossy();
                write!(
                    f,
                    "the disk of {} has {disk}: when it is full, stored messages, changes and \
                     registrations are refused",
                    visible(&folder)
                )
            }
        }
    }
}

/// What runs short with these settings, so much stored mail and such a disk.
pub(super) fn find(settings: &Settings, stored: u64, disk: Option<Disk>) -> [Option<Shortage>; 2] {
    let most = settings.core.mailbox_total_bytes;
    let full = most > 0 && u128::from(stored) * 100 >= u128::from(most) * MAIL_PERCENT;
    let mail = full.then_some(Shortage::Mail { stored, most });
    let folder = || settings.data.clone();
    let disk = disk.filter(|disk| disk.is_short()).map(|disk| Shortage::Disk { folder: folder(), disk });
    [mail, disk]
}

/// What is known of shortages, and when they were told.
#[derive(Debug, Default)]
pub(super) struct Shortages {
    disk: Option<Disk>,
    told: [Option<Time>; 2],
}

impl Shortages {
    /// What runs short now.
    pub(super) fn found(&self, settings: &Settings, stored: u64) -> impl Iterator<Item = Shortage> {
        find(settings, stored, self.disk).into_iter().flatten()
    }

    /// The disk was looked at. Says what runs short, if it was not said of late.
    pub(super) fn look(&mut self, disk: Option<Disk>, settings: &Settings, stored: u64, now: Time) {
        self.disk = disk;
        for shortage in self.not_told(settings, stored, now) {
            tracing::warn!(event = "shortage", "{shortage}");
        }
    }

    fn not_told(&mut self, settings: &Settings, stored: u64, now: Time) -> Vec<Shortage> {
        let mut untold = Vec::new();
        for (shortage, told) in find(settings, stored, self.disk).into_iter().zip(&mut self.told) {
            if let Some(shortage) = shortage
                && told.is_none_or(|told| now.since(told) >= TELL_EVERY)
            {
                *told = Some(now);
                untold.push(shortage);
            }
        }
        untold
    }
}

/// Has the disk of the data folder, if there is one, looked at each minute, on another thread.
pub(super) async fn watch<P: Platform>(data: Option<PathBuf>, platform: P, inbox: Sender<P>) {
    loop {
        let folder = data.clone();
        let disk = smol::unblock(move || folder.and_then(|folder| Disk::of(&folder).ok())).await;
        if inbox.send(Item::DiskSeen(disk)).await.is_err() {
            return;
        }
        platform.after(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mailbox_total_bytes: u64) -> Settings {
        let mut settings = Settings { data: "d\u{1b}".into(), ..Settings::default() };
        settings.core.mailbox_total_bytes = mailbox_total_bytes;
        settings
    }

    #[test]
    fn mail_is_short_of_room_from_four_fifths_on() {
        for (stored, most, short) in [
            (79, 100, false),
            (80, 100, true),
            (0, 0, false),
            (u64::MAX, 0, false),
            (u64::MAX, u64::MAX, true),
        ] {
            let [mail, disk] = find(&settings(most), stored, None);
            assert_eq!((mail.is_some(), disk.is_none()), (short, true), "{stored} of {most}");
        }
        let [mail, _] = find(&settings(100), 83, None);
        let said = mail.expect("a shortage").to_string();
        assert!(said.starts_with("stored mail takes 83 % of mailbox_total_bytes (83 of 100)"), "{said}");
    }

    #[test]
    fn a_twentieth_of_the_disk_is_to_be_free_but_64_mib_and_no_more_than_a_gib() {
        for (free, size, short) in [
            (63 * MIB, 100 * MIB, true),
            (64 * MIB, 100 * MIB, false),
            (499 * MIB, 10_000 * MIB, true),
            (500 * MIB, 10_000 * MIB, false),
            (1_023 * MIB, 10_000_000 * MIB, true),
            (1_024 * MIB, 10_000_000 * MIB, false),
        ] {
            let [_, disk] = find(&settings(0), 0, Some(Disk { free, size }));
            assert_eq!(disk.is_some(), short, "{free} of {size}");
        }
        let [_, disk] = find(&settings(0), 0, Some(Disk { free: MIB, size: 100 * MIB }));
        let said = disk.expect("a shortage").to_string();
        assert!(said.starts_with("the disk of d^[ has 1 MiB free of 100 MiB: "), "{said}");
    }

    #[test]
    fn each_is_told_once_an_hour() {
        let mut shortages = Shortages { disk: Some(Disk { free: 0, size: MIB }), ..Shortages::default() };
        let at = |secs: u64| Time(secs * 1_000_000);
        let mut told = |stored, secs| shortages.not_told(&settings(100), stored, at(secs)).len();
        assert_eq!(told(0, 0), 1);
        assert_eq!(told(90, 60), 1);
        assert_eq!(told(90, 3_599), 0);
        assert_eq!(told(90, 3_600), 1);
        assert_eq!(told(90, 3_660), 1);
        assert!(Disk::of(Path::new("/")).is_ok_and(|disk| disk.free <= disk.size && disk.size > 0));
    }
}
