//! The server killed at the calls of moments that a session seldom meets: its stop, the move of a long log
//! into the database, a registration, a start on what a kill has left.

use support::{Ended, Place, Server, Wire};

use crate::audit::audit;
use crate::database;
use crate::each_call::{Sample, kinds};
use crate::people::Person;
use crate::strace::{self, KILL, Moment, STORING, Strace};
use crate::{report, share_the_machine};

/// How SQLite syncs what it has written.
const SYNC: &str = "fdatasync";

/// Messages stored before something happens.
const STORED: usize = 5;

/// Messages of two pages or three: several times what the log holds before it is moved.
const LONG_LOG: usize = 4_000;

/// Messages written before their answers are read.
const AHEAD: usize = 500;

/// Pages that are moved in all, or nearly.
const MOVED_PAGES: usize = 7_000;

/// Ann has stored some messages for bob, and is still there.
fn store_some(place: &Place) -> (Server, Person) {
    let server = place.serve();
    let mut ann = Person::enter(place, server.port, "ann");
    for number in 1..=STORED {
        let line = ann.message("bob", &format!("stored {number}"));
        assert_eq!(ann.result(line)["status"], "stored");
    }
    (server, ann)
}

/// The server starts where ann looks for it, and bob is shown all there is.
fn assert_all_is_there(place: &Place, port: u16, ann: Person) {
    let mut server = place.serve_on(port, &[]).expect("the server starts");
    let bob = Person::enter(place, server.port, "bob");
    bob.sees(&format!("stored {STORED}"));
    database::wait_for_empty_mailboxes(place);
    let findings = audit(&[ann.leave(), bob.leave()]);
    findings.assert_clean();
    assert_eq!(findings.confirmed, STORED);
    assert_eq!(server.stop().code, Some(0));
    assert!(database::check(place).status.success());
}

#[test]
fn a_kill_at_any_storage_call_of_the_stop_loses_nothing() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill at each storage call of the stop") {
        return;
    }
    let calls = {
        let place = Place::of(&["ann", "bob"]);
        let (mut server, _ann) = store_some(&place);
        let mut options = strace::files_of(&place);
        options.extend(["-e".into(), format!("trace={STORING}")]);
        let strace = Strace::attach(server.id(), &options, &place.path("trace")).expect("strace attaches");
        server.stop();
        strace::moments(&strace.lines())
    };
    let mut killed = Vec::new();
    for moment in Sample::chosen(3).of_each_kind(&calls) {
        let place = Place::of(&["ann", "bob"]);
        let (mut server, ann) = store_some(&place);
        let port = server.port;
        let strace = Strace::inject(&strace::files_of(&place), server.id(), &moment, KILL);
        let ended = server.stop();
        drop(strace);
        assert_all_is_there(&place, port, ann);
        if ended.code != Some(0) {
            assert_eq!(ended.signal, Some(9), "{moment:?}: {}", ended.log);
            killed.push(moment);
        }
    }
    report(&format!("stop: storage calls {:?}; killed at {:?}", kinds(&calls), kinds(&killed)));
    assert_eq!(kinds(&killed).len(), kinds(&calls).len(), "{killed:?}");
}

#[test]
fn a_sync_that_fails_in_the_stop_is_told() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("failed syncs of the stop") {
        return;
    }
    let place = Place::of(&["ann", "bob"]);
    let (mut server, ann) = store_some(&place);
    let port = server.port;
    let moment = Moment::new(SYNC, 1);
    let strace = Strace::inject(&strace::files_of(&place), server.id(), &moment, "error=EIO");
    let ended = server.stop();
    drop(strace);
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert!(ended.log.contains("hobnob.db failed and has stopped"), "{}", ended.log);
    assert_all_is_there(&place, port, ann);
}

#[test]
fn a_kill_at_any_storage_call_of_a_start_after_a_kill_loses_nothing() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill at each storage call of a start after a kill") {
        return;
    }
    let place = Place::of(&["ann", "bob"]);
    let (mut server, ann) = store_some(&place);
    let port = server.port;
    server.kill();
    let wrapper = strace::watching(&strace::files_of(&place), STORING, &place.path("trace"));
    place.serve_on(port, &wrapper).expect("the server starts").kill();
    let calls = strace::moments(&strace::read(&place.path("trace")));
    let mut killed = Vec::new();
    for moment in Sample::chosen(3).of_each_kind(&calls) {
        // Each start goes on with what the one before has left.
        let wrapper = strace::breaking(&strace::files_of(&place), &moment, KILL);
        match place.serve_on(port, &wrapper) {
            Ok(mut server) => drop(server.kill()),
            Err(Ended { signal, log, .. }) => {
                assert_eq!(signal, Some(9), "{moment:?}: {log}");
                killed.push(moment);
            }
        }
    }
    assert_all_is_there(&place, port, ann);
    report(&format!("start after a kill: storage calls {:?}; killed at {:?}", kinds(&calls), kinds(&killed)));
    assert_eq!(kinds(&killed).len(), kinds(&calls).len(), "{killed:?}");
}

#[test]
fn a_kill_at_any_call_of_a_registration_leaves_a_whole_file() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill at each call of a registration") {
        return;
    }
    // The new file, its sync, its place, the sync of that.
    let moments = [("openat", 1), ("write", 1), ("write", 2), ("fsync", 1), ("rename", 1), ("fsync", 2)];
    let mut killed = Vec::new();
    for moment in moments.map(|(name, number)| Moment::new(name, number)) {
        let place = Place::of(&["ann"]).set("registration=open");
        let mut server = place.serve();
        let strace = Strace::inject(&[], server.id(), &moment, KILL);
        let answer = Wire::try_ask(server.port, "register newcomer falcon");
        let is_confirmed = answer.as_ref().is_some_and(|answer| answer.starts_with("welcome newcomer "));
        server.kill();
        drop(strace);
        let server = place.serve();
        drop(Wire::user(server.port, "ann"));
        // What was not confirmed may be there or not, but whole.
        let accounts = place.read("credentials.txt");
        assert!(accounts.ends_with('\n') && accounts.lines().count() <= 2, "{moment:?}: {accounts}");
        if is_confirmed || accounts.contains("newcomer ") {
            drop(Wire::user(server.port, "newcomer"));
        }
        killed.extend(answer.is_none().then_some(moment));
    }
    report(&format!("registration: killed at {:?}", kinds(&killed)));
    assert!(["fsync", "rename"].iter().all(|name| kinds(&killed).contains_key(name)), "{killed:?}");
}

/// Sends long messages in batches and counts the answers until the server is gone.
fn send_until_the_end(port: u16, text: &str) -> usize {
    let mut wire = Wire::user(port, "ann");
    let mut confirmed = 0;
    for first in (1..=LONG_LOG).step_by(AHEAD) {
        let line = |number: usize| format!("message bob {number} {text}\n");
        if !wire.try_send((first..first + AHEAD).map(line).collect::<String>().as_bytes()) {
            break;
        }
        for _ in 0..AHEAD {
            match wire.try_line() {
                Some(line) => assert_eq!(line, "ok message bob stored"),
                None => return confirmed,
            }
            confirmed += 1;
        }
    }
    confirmed
}

#[test]
fn a_kill_while_the_log_is_moved_into_the_database_loses_nothing() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("kill while the log is moved into the database") {
        return;
    }
    let text = "x".repeat(4_000);
    // Writes of the move, about one a page, and its sync.
    let writes: Vec<usize> = (1..=MOVED_PAGES).collect();
    let writes = Sample::chosen(2).at_most(30).of(&writes);
    let moments = writes.into_iter().map(|number| Moment::new("pwrite64", number));
    let mut killed = Vec::new();
    let syncs = [1, 3].map(|number| Moment::new(SYNC, number));
    for moment in moments.chain(syncs) {
        let quotas = ["mailbox_messages=0", "mailbox_bytes=0", "mailbox_per_sender=0"];
        let place = quotas.iter().fold(Place::of(&["ann", "bob"]), |place, quota| place.set(quota));
        let mut server = place.serve();
        let strace = Strace::inject(&strace::only(&database::path(&place)), server.id(), &moment, KILL);
        let confirmed = send_until_the_end(server.port, &text);
        let was_killed = confirmed < LONG_LOG;
        server.kill();
        drop(strace);
        drop(place.serve());
        let stored = database::stored_texts(&place);
        assert!(stored.len() >= confirmed, "{moment:?}: {} of {confirmed} confirmed", stored.len());
        for (number, stored) in (1..).zip(&stored) {
            assert_eq!(*stored, format!("{number} {text}"), "{moment:?}");
        }
        assert!(database::check(&place).status.success());
        killed.extend(was_killed.then_some(moment));
    }
    report(&format!("move of the log: killed at {:?}", kinds(&killed)));
    assert_eq!(kinds(&killed).len(), 2, "writes and the sync: {:?}", kinds(&killed));
}
