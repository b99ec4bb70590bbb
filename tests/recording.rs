//! Recordings and their replays, for the core as the simulator's world tells it: whatever can happen to a server can be
//! recorded and comes to the same again.
#![cfg(feature = "sim")]

use std::path::Path;
use std::{env, fs, mem};

use hobnob::record::Recovery;
use hobnob::server::{Effect, Event, Settings};
use hobnob::shell::server::recording::{Notes, Scribe, replay};
use hobnob::sim::run::{Plan, Viewer, show};
use hobnob::sim::scenario::{self, Step};
use hobnob::time::Time;
use hobnob::words::{Credential, Name};

/// Records what each server of a run is told.
#[derive(Default)]
struct Camera {
    notes: Notes,
    scribe: Option<Scribe>,
    /// Those of earlier servers.
    recordings: Vec<Vec<u8>>,
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
            scribe.take_down(notes.bytes()).expect("notes are read");
            self.recordings.push(scribe.take());
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
        self.scribe = Some(Scribe::begin([7; 32], settings, accounts, recovery, at));
    }

    fn told(&mut self, event: &Event<'_>, now: Time) {
        self.notes.event(event, now);
    }

    fn wants(&mut self, effect: &Effect<'_>) {
        self.notes.effect(effect);
    }

    fn done(&mut self) {
        self.notes.done();
    }
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
