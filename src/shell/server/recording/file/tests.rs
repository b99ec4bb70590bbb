use super::*;
use crate::server::ServerState;
use crate::shell::server::recording::{Ended, Replayed, replay};
use crate::words::LinkId;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

const FROM: &str = "192.0.2.1:40000";

/// A core and its recorder.
struct Recorded {
    core: ServerState,
    recorder: Recorder,
    links: u64,
    over: bool,
}

impl Recorded {
    fn in_file(file: File, bounds: Bounds) -> Recorded {
        let (settings, recovery) = (Settings::default(), Recovery::default());
        let scribe = Scribe::begin([1; 32], &settings, &[], &recovery, Time::ZERO);
        let core = ServerState::new(settings, Vec::new(), recovery, 1, Time::ZERO);
        let recorder = Recorder::write_to(file, "recording".into(), scribe, bounds).expect("a thread");
        Recorded { core, recorder, links: 0, over: false }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.recorder.event(&event, Time::ZERO);
        for effect in self.core.handle(event, Time::ZERO) {
            self.recorder.effect(&effect);
        }
        self.recorder.done();
    }

    /// A client that comes, asks, and goes.
    fn visit(&mut self) {
        self.links += 1;
        let link = LinkId(self.links);
        self.tell(Event::LinkOpened { link, from: FROM.parse().expect("an address"), nonce: [2; 32] });
        self.tell(Event::Received { link, bytes: b"login hans falcon\nwhoelse\n" });
        self.tell(Event::LinkClosed { link });
        self.over = !self.recorder.hand_over();
    }
}

fn replayed(path: &Path) -> Replayed {
    let replayed = replay(&std::fs::read(path).expect("a file"), |_| ()).expect("a recording");
    assert!(replayed.difference.is_none(), "{:?}", replayed.difference);
    replayed
}

#[test]
fn a_full_recording_ends_and_says_so_and_the_server_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("full");
    let bounds = Bounds { file: 200_000, ..BOUNDS };
    let mut recorded = Recorded::in_file(File::create(&path).expect("a file"), bounds);
    while !recorded.over {
        recorded.visit();
    }
    recorded.visit();
    drop(recorded);
    // It ends with the last event that there is room for, and a word.
    let length = std::fs::metadata(&path).expect("its size").len();
    assert!((bounds.file - 1000..=bounds.file + 32).contains(&length), "{length}");
    let replayed = replayed(&path);
    assert_eq!(replayed.ended, Ended::Because("the recording was full"));
    assert!(replayed.events > 100, "{replayed:?}");
}

/// The pipe is full, and nobody reads it: nothing here waits for that.
#[test]
fn a_disk_that_stalls_ends_the_recording_and_delays_nobody() {
    let (reader, pipe) = std::io::pipe().expect("a pipe");
    let bounds = Bounds { waiting: 100_000, ..BOUNDS };
    let mut recorded = Recorded::in_file(File::from(std::os::fd::OwnedFd::from(pipe)), bounds);
    while !recorded.over {
        recorded.visit();
    }
    recorded.visit();
    let read = thread::spawn(move || {
        let (mut reader, mut all) = (reader, Vec::new());
        reader.read_to_end(&mut all).expect("all");
        all
    });
    drop(recorded);
    let replayed = replay(&read.join().expect("an end"), |_| ()).expect("a recording");
    assert!(replayed.difference.is_none());
    assert_eq!(replayed.ended, Ended::Because("the disk was too slow for the recording"));
}

#[test]
fn a_full_disk_ends_the_recording() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a device");
    let mut recorded = Recorded::in_file(full, BOUNDS);
    while !recorded.over {
        recorded.visit();
    }
}

/// The event that the core does not survive is in the recording, without effects, and without an end.
#[test]
fn what_a_core_dies_of_is_the_last_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("died");
    let file = File::create(&path).expect("a file");
    let died = thread::spawn(move || {
        let mut recorded = Recorded::in_file(file, BOUNDS);
        recorded.visit();
        recorded.recorder.event(&Event::Stop, Time::ZERO);
        panic!("on purpose");
    });
    assert!(died.join().is_err());
    let replayed = replayed(&path);
    assert_eq!((replayed.events, replayed.unfinished), (4, 1));
    assert_eq!(replayed.ended, Ended::Cut);
}

#[test]
fn a_recording_is_a_new_file_of_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording");
    let (_, made) = create(&path, false).expect("a file");
    assert_eq!(made, path);
    assert_eq!(std::fs::metadata(&path).expect("its mode").permissions().mode() & 0o777, 0o600);
    let refused = create(&path, false).expect_err("it exists").to_string();
    assert!(refused.contains("exists already"), "{refused}");
    assert_eq!(create(&path, true).expect("another").1, folder.path().join("recording.2"));
    symlink(folder.path().join("nowhere"), folder.path().join("link")).expect("a link");
    assert!(create(&folder.path().join("link"), false).is_err());
    assert!(!folder.path().join("nowhere").exists());
}
