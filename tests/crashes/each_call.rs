//! The server killed, or failed, at each storage call of a scripted session.

use std::thread;
use std::time::Duration;

use crate::audit::audit;
use crate::people::{Life, Person};
use crate::place::{Ended, Place, Server, free_port};
use crate::strace::{self, STORING, Strace};
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

    /// Where the last is not known: how far apart.
    pub(crate) fn stride(&self, sampled: usize) -> usize {
        match self {
            Sample::All => 1,
            Sample::Spread(_) => sampled,
        }
    }

    /// Of 1 to `last`, in order, both among them.
    fn of(&self, last: usize) -> Vec<usize> {
        match *self {
            Sample::All => (1..=last).collect(),
            Sample::Spread(count) if count >= last => (1..=last).collect(),
            Sample::Spread(count) => {
                (0..count).map(|step| 1 + step * (last - 1) / (count - 1).max(1)).collect()
            }
        }
    }
}

/// A session of three users, and what they have printed at its end.
struct Script<'p> {
    place: &'p Place,
    port: u16,
    lives: Vec<Life>,
}

impl Script<'_> {
    fn enter(&self, user: &str) -> Person {
        Person::enter_at_last(self.place, self.port, user)
    }

    /// Each step waits for its results, so the calls come in the same order each time.
    fn play(&mut self) {
        let mut ann = self.enter("ann");
        for number in 1..=3 {
            let line = ann.message("bob", &format!("stored {number}"));
            ann.result(line);
        }
        ann.ask("block cid");
        ann.ask("create group crew bob cid");
        let line = ann.message("cid", "held back");
        ann.result(line);
        let mut bob = self.enter("bob");
        bob.sees("stored 3");
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

    /// What was confirmed is there: groups, no block, and all mail for whoever comes.
    fn prove(&mut self) {
        let mut everybody = ["ann", "bob", "cid"].map(|user| (user, self.enter(user)));
        for (user, person) in &mut everybody {
            let groups = person.ask("grouplist");
            let count = groups["groups"].as_array().map_or(0, Vec::len);
            // The answer to a command that the crash has cut off may be lost, never the group of an `ok`.
            let promised = self.promised_groups(user);
            assert_eq!(count, promised, "{user}: {groups}");
            if *user == "ann" {
                assert_eq!(person.ask("unblock cid")["error"], "not_blocked");
            }
        }
        self.place.wait_for_empty_mailboxes();
        self.lives.extend(everybody.map(|(_, person)| person.leave()));
        audit(&self.lives).assert_clean();
    }

    fn promised_groups(&self, user: &str) -> usize {
        let groups = [("crew", ["ann", "bob", "cid"].as_slice()), ("pair", &["ann", "bob"])];
        let is_made = |group: &str| {
            let mut objects = self.lives.iter().flat_map(|life| &life.objects);
            objects.any(|object| object["command"] == "create group" && object["group"] == group)
        };
        groups.iter().filter(|(group, members)| is_made(group) && members.contains(&user)).count()
    }
}

fn place() -> Place {
    Place::new(&["ann", "bob", "cid"])
}

/// Plays the script against a server that breaks, and is started again whole when it has ended.
/// Returns how it ended, if it did.
fn play_through(place: &Place, mut server: Server, strace: Option<Strace>) -> Option<Ended> {
    let port = server.port;
    let mut script = Script { place, port, lives: Vec::new() };
    let (mut ended, server) = thread::scope(|scope| {
        let playing = scope.spawn(|| {
            script.play();
            script.prove();
        });
        let mut ended = None;
        while !playing.is_finished() {
            if ended.is_none() && !server.is_running() {
                ended = Some(server.end());
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
    let check = place.check();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    ended
}

/// How many storage calls a session makes, counted where the most are made.
fn count_calls(calls: &str) -> usize {
    let place = place();
    let server = place.serve();
    let mut options = strace::files_of(&place);
    options.extend(["-e".into(), format!("trace={calls}")]);
    let strace = Strace::attach(server.pid(), &options, &place.path("trace")).expect("strace attaches");
    let mut script = Script { place: &place, port: server.port, lives: Vec::new() };
    script.play();
    let lines = strace.lines();
    lines.iter().filter(|line| line.contains('(') && !line.contains("+++")).count()
}

#[test]
fn a_kill_at_any_storage_call_of_a_session_loses_nothing() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill at each storage call") {
        return;
    }
    let last = count_calls(STORING);
    let sample = Sample::chosen(12).of(last);
    let mut killed = 0;
    for &when in &sample {
        let place = place();
        let server = place.serve();
        let strace = Strace::inject(&place, server.pid(), STORING, &format!("signal=KILL:when={when}"));
        let ended = play_through(&place, server, Some(strace));
        if let Some(ended) = ended {
            assert_eq!(ended.signal, Some(9), "call {when}: {}", ended.log);
            killed += 1;
        }
    }
    report(&format!("session: {last} storage calls, killed at {killed} of {} of them", sample.len()));
    // The last few differ from run to run, as records share a transaction or not.
    assert!(killed * 4 >= sample.len() * 3, "{killed} of {}", sample.len());
}

#[test]
fn a_kill_at_any_storage_call_of_the_start_leaves_a_folder_that_starts() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill at each storage call of the start") {
        return;
    }
    let mut killed = 0;
    let mut step = 1;
    let stride = Sample::chosen(1).stride(5);
    loop {
        let place = place();
        let wrapper = strace::wrapper(&place, STORING, &format!("signal=KILL:when={step}"));
        match place.serve_on(free_port(), &wrapper) {
            Ok(mut server) => {
                assert!(server.is_running());
                break;
            }
            Err(ended) => assert_eq!(ended.signal, Some(9), "call {step}: {}", ended.log),
        }
        killed += 1;
        let mut script = Script { place: &place, port: 0, lives: Vec::new() };
        let server = place.serve();
        script.port = server.port;
        script.play();
        script.prove();
        step += stride;
    }
    report(&format!("start: killed at {killed} storage calls, up to the {step}th"));
    assert!(killed > 0);
}

#[test]
fn a_failed_sync_ends_the_server_and_nothing_was_confirmed_that_is_not_there() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("failed syncs") {
        return;
    }
    let last = count_calls(SYNCS);
    let mut failed = 0;
    for when in Sample::chosen(4).of(last) {
        let place = place();
        let server = place.serve();
        let strace = Strace::inject(&place, server.pid(), SYNCS, &format!("error=EIO:when={when}"));
        if let Some(ended) = play_through(&place, server, Some(strace)) {
            assert_eq!(ended.code, Some(1), "sync {when}: {}", ended.log);
            assert!(ended.log.contains("hobnob.db failed and has stopped"), "{}", ended.log);
            failed += 1;
        }
    }
    report(&format!("session: {last} syncs, the server ended in good order at {failed} failed ones"));
    assert!(failed > 0);
}
