//! A client killed at each of its calls: while it is shown what waited, while it is shown what comes,
//! while it says something itself.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{PATIENCE, Place};

use crate::audit::audit;
use crate::database;
use crate::each_call::Sample;
use crate::people::Person;
use crate::strace::{self, KILL, Moment};
use crate::{report, share_the_machine};

/// The file or socket whose calls are counted. Each is used by one thread, and strace counts for each thread,
/// so each has a round.
#[derive(Debug, Clone, Copy)]
enum Target {
    Journal,
    Output,
    Network,
}

/// Messages that wait for bob, and as many that come while bob is online.
const MESSAGES: usize = 4;

/// The fate of a client that was to be killed at its call of this number.
struct Outcome {
    was_killed: bool,
    /// Messages that it had shown by then.
    shown: usize,
    /// Messages that its next life was shown as shown again.
    again: usize,
}

fn play(target: Target, when: usize) -> Outcome {
    let place = Place::of(&["ann", "bob"]);
    let server = place.serve();
    let mut ann = Person::enter(&place, server.port, "ann");
    for number in 0..MESSAGES {
        let line = ann.message("bob", &format!("waiting {number}"));
        assert_eq!(ann.result(line)["status"], "stored");
    }
    let output = place.path("output");
    let journal = journal_of_bob(&place, server.port);
    let (options, call) = match target {
        Target::Journal => (strace::only(&journal), "write"),
        Target::Output => (strace::only(&output), "write"),
        Target::Network => (Vec::new(), "sendto"),
    };
    let killing = strace::breaking(&options, &Moment::new(call, when), KILL);
    let mut bob = Person::start_behind(&killing, &output, &place, server.port, "bob");
    for number in 1..=MESSAGES {
        // One at a time, so that each takes separate calls. A dead client is not waited for.
        ann.message("bob", &format!("coming {number}"));
        bob.message("ann", &format!("of bob {number}"));
        bob.until("a message and a result, or its death", |printed| {
            let is_done = shown(&printed.values) == MESSAGES + number && printed.results == number;
            (is_done || printed.ended).then_some(())
        });
    }
    bob.stutter("message ann torn", "torn");
    let was_killed = bob.has_ended();
    let first = bob.kill();
    ann.settle(0);
    let bob = Person::enter_at_last(&place, server.port, "bob");
    database::wait_for_empty_mailboxes(&place);
    let second = bob.leave();
    let again = second.objects.iter().filter(|object| object["again"] == true).count();
    let outcome = Outcome { was_killed, shown: shown(&first.objects), again };
    let findings = audit(&[ann.leave(), first, second]);
    assert!(
        findings.faults().is_empty(),
        "killed at call {when} on {target:?}: {findings}\n{:#?}",
        findings.faults()
    );
    outcome
}

fn journal_of_bob(place: &Place, port: u16) -> PathBuf {
    place.state_of("bob").join(format!("127.0.0.1_{port}/bob/journal"))
}

fn shown(objects: &[Value]) -> usize {
    objects.iter().filter(|object| object["type"] == "message").count()
}

#[test]
fn a_client_killed_at_any_call_loses_nothing_and_marks_what_comes_again() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("clients killed at each call") {
        return;
    }
    let stride = Sample::chosen(1).stride(3);
    for target in [Target::Journal, Target::Output, Target::Network] {
        let (mut killed, mut amid, mut again) = (0, 0, 0);
        for when in (1..).step_by(stride) {
            let outcome = play(target, when);
            if !outcome.was_killed {
                break;
            }
            killed += 1;
            amid += usize::from((1..2 * MESSAGES).contains(&outcome.shown));
            again += outcome.again;
        }
        report(&format!(
            "clients: killed at {killed} calls on {target:?}, {amid} times in the middle of their messages; \
             {again} marked as shown again"
        ));
        assert!(killed > 1 && amid > 0, "{target:?}: {killed} {amid}");
    }
}

/// More than a pipe holds.
const UNREAD: usize = 24;

#[test]
fn what_a_killed_client_could_not_print_comes_to_the_next_one() {
    let _machine = share_the_machine();
    let place = Place::of(&["ann", "bob"]);
    let server = place.serve();
    let mut ann = Person::enter(&place, server.port, "ann");
    for number in 1..=UNREAD {
        let line = ann.message("bob", &format!("{number} {}", "x".repeat(4_000)));
        assert_eq!(ann.result(line)["status"], "stored");
    }
    let (bob, reading) = Person::start_unread(&place, server.port, "bob");
    let deadline = Instant::now() + PATIENCE;
    let journal = journal_of_bob(&place, server.port);
    while fs::read_to_string(&journal).unwrap_or_default().matches("showing ").count() < UNREAD {
        assert!(Instant::now() < deadline, "the messages do not come");
        std::thread::sleep(Duration::from_millis(5));
    }
    // Whoever acknowledges too early has done so by now.
    std::thread::sleep(Duration::from_millis(100));
    let first = bob.kill_before(reading);
    let bob = Person::enter_at_last(&place, server.port, "bob");
    database::wait_for_empty_mailboxes(&place);
    let second = bob.leave();
    let (before, after) = (shown(&first.objects), shown(&second.objects));
    assert!(before < UNREAD && after > 0, "{before} and {after}");
    report(&format!("clients: killed with {before} of {UNREAD} messages printed, {after} in the next life"));
    audit(&[ann.leave(), first, second]).assert_clean();
}
