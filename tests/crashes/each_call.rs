//! The server killed, or failed, at each storage call of a scripted session.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::{Ended, Place, Server, free_port};

use crate::audit::audit;
use crate::database;
use crate::people::{Life, Person};
use crate::strace::{self, KILL, Moment, STORING, Strace};
use crate::{report, share_the_machine};

const SYNCS: &str = "fsync,fdatasync";

/// Which calls are tried of those that a session makes.
pub(crate) enum Sample {
    All,
    Spread(usize),
}

impl Sample {
    pub(crate) fn chosen(default: usize) -> Sample {
        match std::env::var("HOBNOB_CALLS").ok().as_deref() {
            Some("all") => Sample::All,
            given => Sample::Spread(given.and_then(|given| given.parse().ok()).unwrap_or(default)),
        }
    }

    /// The same of each kind of call.
    pub(crate) fn of_each_kind(&self, moments: &[Moment]) -> Vec<Moment> {
        let of_kind = |name: &str| -> Vec<Moment> {
            let moments: Vec<Moment> = moments.iter().filter(|moment| moment.name == name).cloned().collect();
            self.of(&moments)
        };
        kinds(moments).into_keys().flat_map(of_kind).collect()
    }

    /// Where all are too many: so many of them.
    pub(crate) fn at_most(self, count: usize) -> Sample {
        match self {
            Sample::All => Sample::Spread(count),
            Sample::Spread(sampled) => Sample::Spread(sampled.min(count)),
        }
    }

    /// Where the last is not known: how far apart.
    pub(crate) fn stride(&self, sampled: usize) -> usize {
        match self {
            Sample::All => 1,
            Sample::Spread(_) => sampled,
        }
    }

    /// Of all, in order, the first and the last among them.
    pub(crate) fn of<T: Clone>(&self, all: &[T]) -> Vec<T> {
        match *self {
            Sample::Spread(count) if count < all.len() => {
                let last = all.len() - 1;
                (0..count).map(|step| all[step * last / (count - 1).max(1)].clone()).collect()
            }
            Sample::All | Sample::Spread(_) => all.to_vec(),
        }
    }
}

/// A session of three users and their lives at its end.
struct Script<'p> {
    place: &'p Place,
    port: u16,
    lives: Vec<Life>,
}

impl<'p> Script<'p> {
    fn new(place: &'p Place, port: u16) -> Script<'p> {
        Script { place, port, lives: Vec::new() }
    }

    fn enter(&self, user: &str) -> Person {
        Person::enter_at_last(self.place, self.port, user)
    }

    /// Each step waits for its results, so the calls come in the same order each time.
    fn play(&mut self) {
        let mut ann = self.enter("ann");
        let mut stored = Value::Null;
        for number in 1..=3 {
            let line = ann.message("bob", &format!("stored {number}"));
            stored = ann.result(line);
        }
        ann.ask("block cid");
        ann.ask("create group crew bob cid");
        let line = ann.message("cid", "held back");
        ann.result(line);
        let mut bob = self.enter("bob");
        if stored["ok"] == true {
            bob.sees("stored 3");
        }
        let line = ann.message("bob", "live");
        ann.result(line);
        let line = bob.message("ann", "an answer");
        bob.result(line);
        bob.ask("create group pair ann");
        ann.ask("unblock cid");
        self.lives.push(bob.leave());
        let line = ann.message("bob", "after he left");
        ann.result(line);
        self.lives.push(ann.leave());
    }

    /// Checks that all is there that was confirmed: groups, the block or none, all mail.
    fn prove(&mut self) {
        let mut everybody = ["ann", "bob", "cid"].map(|user| (user, self.enter(user)));
        for (user, person) in &mut everybody {
            let groups = person.ask("grouplist");
            let count = groups["groups"].as_array().map_or(0, Vec::len);
            // The answer to a command that the crash has cut off may be lost, never the group of an `ok`.
            let promised = self.promised_groups(user);
            assert_eq!(count, promised, "{user}: {groups}");
            if *user == "ann" {
                let blocked = self.is_done("block") && !self.is_done("unblock");
                assert_eq!(person.ask("unblock cid")["ok"], blocked);
            }
        }
        database::wait_for_empty_mailboxes(self.place);
        self.lives.extend(everybody.map(|(_, person)| person.leave()));
        audit(&self.lives).assert_clean();
    }

    fn is_done(&self, command: &str) -> bool {
        let mut objects = self.lives.iter().flat_map(|life| &life.objects);
        objects.any(|object| object["command"] == command && object["ok"] == true)
    }

    fn promised_groups(&self, user: &str) -> usize {
        let groups = [("crew", ["ann", "bob", "cid"].as_slice()), ("pair", &["ann", "bob"])];
        let is_made = |group: &str| {
            let mut objects = self.lives.iter().flat_map(|life| &life.objects);
            objects.any(|object| {
                object["command"] == "create group" && object["ok"] == true && object["group"] == group
            })
        };
        groups.iter().filter(|(group, members)| is_made(group) && members.contains(&user)).count()
    }
}

fn place() -> Place {
    Place::of(&["ann", "bob", "cid"])
}

/// Plays the script against a server that breaks, and is started again whole when it has ended.
/// Returns how it ended, if it did.
fn play_through(place: &Place, mut server: Server, strace: Option<Strace>) -> Option<Ended> {
    let port = server.port;
    let mut script = Script::new(place, port);
    let (mut ended, mut server) = thread::scope(|scope| {
        let playing = scope.spawn(|| {
            script.play();
            script.prove();
        });
        let mut ended = None;
        while !playing.is_finished() {
            if ended.is_none() && !server.is_running() {
                ended = Some(server.ended());
                server = place.serve_on(port, &[]).expect("the server starts again");
            }
            thread::sleep(Duration::from_millis(2));
        }
        playing.join().expect("the script is played");
        (ended, server)
    });
    drop(strace);
    let stopped = server.stop();
    if ended.is_none() && stopped.code != Some(0) {
        // It was hit after the last line of the script.
        ended = Some(stopped);
    } else {
        assert_eq!(stopped.code, Some(0), "{}", stopped.log);
    }
    let check = database::check(place);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    ended
}

/// The calls that a whole session makes, in order.
fn calls_of_a_session(calls: &str) -> Vec<Moment> {
    let place = place();
    let server = place.serve();
    let mut options = strace::files_of(&place);
    options.extend(["-e".into(), format!("trace={calls}")]);
    let strace = Strace::attach(server.id(), &options, &place.path("trace")).expect("strace attaches");
    let mut script = Script::new(&place, server.port);
    script.play();
    script.prove();
    strace::moments(&strace.lines())
}

/// How often each kind of call is among these.
pub(crate) fn kinds<'m>(moments: impl IntoIterator<Item = &'m Moment>) -> BTreeMap<&'m str, usize> {
    let mut kinds = BTreeMap::new();
    moments.into_iter().for_each(|moment| *kinds.entry(&*moment.name).or_default() += 1);
    kinds
}

#[test]
fn a_kill_at_any_storage_call_of_a_session_loses_nothing() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill at each storage call") {
        return;
    }
    let calls = calls_of_a_session(STORING);
    let sample = Sample::chosen(7).of_each_kind(&calls);
    let mut killed = Vec::new();
    for moment in &sample {
        let place = place();
        let server = place.serve();
        let strace = Strace::inject(&strace::files_of(&place), server.id(), moment, KILL);
        if let Some(ended) = play_through(&place, server, Some(strace)) {
            assert_eq!(ended.signal, Some(9), "{moment:?}: {}", ended.log);
            killed.push(moment.clone());
        }
    }
    report(&format!(
        "session: storage calls {:?}; tried {}, killed at {:?}",
        kinds(&calls),
        sample.len(),
        kinds(&killed)
    ));
    // The last few differ from run to run, as records share a transaction or not.
    assert!(killed.len() * 4 >= sample.len() * 3, "{} of {}", killed.len(), sample.len());
    assert_eq!(kinds(&killed).len(), kinds(&calls).len(), "{killed:?}");
}

#[test]
fn a_kill_at_any_storage_call_of_the_start_leaves_a_folder_that_starts() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill at each storage call of the start") {
        return;
    }
    let calls = {
        let place = place();
        let wrapper = strace::watching(&strace::files_of(&place), STORING, &place.path("trace"));
        let mut server = place.serve_on(free_port(), &wrapper).expect("the server starts");
        server.stop();
        strace::moments(&strace::read(&place.path("trace")))
    };
    let mut killed = Vec::new();
    for moment in Sample::chosen(3).of_each_kind(&calls) {
        let place = place();
        let wrapper = strace::breaking(&strace::files_of(&place), &moment, KILL);
        match place.serve_on(free_port(), &wrapper) {
            // It belongs to the stop.
            Ok(server) => drop(server),
            Err(ended) => {
                assert_eq!(ended.signal, Some(9), "{moment:?}: {}", ended.log);
                killed.push(moment);
            }
        }
        let server = place.serve();
        let mut script = Script::new(&place, server.port);
        script.play();
        script.prove();
    }
    report(&format!("start: storage calls {:?}; killed at {:?}", kinds(&calls), kinds(&killed)));
    assert!(
        ["fsync", "pwrite64", "rename"].iter().all(|name| kinds(&killed).contains_key(name)),
        "{killed:?}"
    );
}

#[test]
fn a_failed_sync_ends_the_server_and_nothing_was_confirmed_that_is_not_there() {
    assert_failure_ends("failed syncs", SYNCS, "error=EIO", 4);
}

#[test]
fn a_failed_write_ends_the_server_and_nothing_was_confirmed_that_is_not_there() {
    assert_failure_ends("failed writes", "pwrite64", "error=EIO", 5);
}

/// At each of these calls that fails, the server ends in good order.
fn assert_failure_ends(what: &str, calls: &str, fault: &str, sampled: usize) {
    let _machine = share_the_machine();
    if !strace::is_at_hand(what) {
        return;
    }
    let calls = calls_of_a_session(calls);
    let mut failed = Vec::new();
    for moment in Sample::chosen(sampled).of(&calls) {
        let place = place();
        let server = place.serve();
        let strace = Strace::inject(&strace::files_of(&place), server.id(), &moment, fault);
        if let Some(ended) = play_through(&place, server, Some(strace)) {
            assert_eq!(ended.code, Some(1), "{moment:?}: {}", ended.log);
            assert!(ended.log.contains("hobnob.db failed and has stopped"), "{}", ended.log);
            failed.push(moment);
        }
    }
    report(&format!("{what}: the server ended in good order at {:?} of {:?}", kinds(&failed), kinds(&calls)));
    assert!(!failed.is_empty());
}

#[test]
fn a_write_without_room_is_refused_and_the_server_goes_on() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("writes without room") {
        return;
    }
    let calls = calls_of_a_session("pwrite64");
    let (mut tried, mut refused) = (0, 0);
    for moment in Sample::chosen(5).of(&calls) {
        let place = place();
        let mut server = place.serve();
        let strace = Strace::inject(&strace::files_of(&place), server.id(), &moment, "error=ENOSPC");
        let mut script = Script::new(&place, server.port);
        script.play();
        script.prove();
        drop(strace);
        let stopped = server.stop();
        assert_eq!(stopped.code, Some(0), "{moment:?}: {}", stopped.log);
        assert!(database::check(&place).status.success());
        tried += 1;
        refused += usize::from(stopped.log.contains("cannot store: "));
    }
    report(&format!("no room: {tried} writes tried, {refused} refusals, the server went on"));
    assert!(refused > 0);
}
