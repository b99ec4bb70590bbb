//! Recordings and their replays, for the core as the simulator's world tells it: whatever can happen to a server can be
//! recorded and comes to the same again.
#![cfg(all(feature = "sim", feature = "shell"))]

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs, mem};

use hobnob::record::Recovery;
use hobnob::server::{Effect, Event, Settings};
use hobnob::shell::server::recording::{Notes, Scribe, replay};
use hobnob::sim::run::{Plan, Viewer, show};
use hobnob::sim::scenario::{self, Step};
use hobnob::time::Time;
use hobnob::words::{Credential, Name};

/// The run that the recording of the past shows.
const GOLDEN: u64 = 3;

/// Records what each server of a run is told.
#[derive(Default)]
struct Camera {
    notes: Notes,
    scribe: Option<Scribe>,
    /// Those of earlier servers.
    recordings: Vec<Vec<u8>>,
    /// Credentials and tokens.
    secrets: BTreeSet<String>,
}

impl Camera {
    fn look_at(steps: &[Step], plan: Plan) -> Vec<Vec<u8>> {
        let mut camera = Camera::default();
        show(steps, plan, &mut camera);
        camera.keep();
        camera.recordings
    }

    fn keep(&mut self) {
        if let Some(mut scribe) = self.scribe.take() {
            let notes = mem::take(&mut self.notes);
            // Piece by piece, as the thread of a server does.
            let mut rest = notes.bytes();
            while !rest.is_empty() {
                rest = scribe.take_down(rest, 4_096).expect("notes are read");
            }
            let recording = scribe.bytes().to_vec();
            let secrets = self.secrets.iter().filter(|secret| secret.len() > 8);
            for secret in secrets {
                let found = memchr::memmem::find(&recording, secret.as_bytes());
                assert!(found.is_none(), "{secret}");
            }
            self.recordings.push(recording);
        }
    }
}

impl Viewer for Camera {
    fn begins(
        &mut self,
        settings: &Settings,
        accounts: &[(Name, Credential)],
        recovery: &Recovery,
        at: Time,
    ) {
        self.keep();
        self.secrets.extend(accounts.iter().map(|(_, credential)| credential.reveal().to_owned()));
        self.scribe = Some(Scribe::begin([7; 32], settings, accounts, recovery, at));
    }

    fn told(&mut self, event: &Event<'_>, now: Time) {
        self.notes.event(event, now);
    }

    fn wants(&mut self, effect: &Effect<'_>) {
        if let Effect::Send { bytes, .. } = effect {
            let lines = std::str::from_utf8(bytes).expect("UTF-8").lines();
            for line in lines {
                let words: Vec<&str> = line.split(' ').collect();
                let token = match words.first() {
                    Some(&"welcome" | &"resumed") => words.get(7),
                    Some(&"device") => words.get(1),
                    Some(&"introduce") => words.get(3),
                    Some(_) | None => None,
                };
                self.secrets.extend(token.map(|token| (*token).to_owned()));
            }
        }
        self.notes.effect(effect);
    }

    fn done(&mut self) {
        self.notes.done();
    }
}

/// A recording as it was made once: a core that does otherwise, and a format that is read otherwise, show. With
/// `HOBNOB_WRITE` set it is made anew.
#[test]
fn a_recording_of_the_past_comes_to_the_same_still() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/world.rec");
    if env::var_os("HOBNOB_WRITE").is_some() {
        let lives = Camera::look_at(&scenario::from_seed(GOLDEN, 400), Plan::default());
        let longest = lives.into_iter().max_by_key(Vec::len).expect("a server");
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, longest).expect("written");
    }
    let recording = fs::read(&path).expect("a recording; HOBNOB_WRITE=1 makes it");
    assert!(assert_replays("the recording of the past", &recording) > 100);
}

/// The number of its events.
fn assert_replays(what: &str, recording: &[u8]) -> u64 {
    let mut last = Vec::new();
    let replayed = replay(recording, |step| {
        last.push(format!("{step:?}"));
        if last.len() > 30 {
            last.remove(0);
        }
    });
    let replayed = replayed.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(replayed.difference.is_none(), "{what}: {:?}\n{}", replayed.difference, last.join("\n"));
    assert_eq!(replayed.unfinished, 0, "{what}");
    replayed.events
}

#[test]
fn what_happens_to_servers_is_recorded_and_comes_to_the_same_again() {
    const SEEDS: u64 = 40;
    let seeds = env::var("HOBNOB_RECORDED_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("a number"));
    let (mut events, mut lives) = (0, 0);
    for seed in 0..seeds {
        let plan = Plan { server_only: seed % 2 == 0, ..Plan::default() };
        for (life, recording) in Camera::look_at(&scenario::from_seed(seed, 400), plan).iter().enumerate() {
            events += assert_replays(&format!("seed {seed}, life {life}"), recording);
            lives += 1;
        }
    }
    assert!(events > 100 * seeds && lives > seeds, "{events} events of {lives} servers");
}
