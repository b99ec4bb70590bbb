//! Back in service with a hundred thousand messages waiting.

use std::thread;
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::wire::Wire;
use crate::{have_the_machine, report};

const SENDERS: usize = 10;
const RECEIVERS: usize = 20;
const MESSAGES: usize = 100_000;

/// Lines written before their answers are read.
const AHEAD: usize = 500;

fn fill(port: u16, sender: usize) {
    let mut wire = Wire::log_in(port, &format!("sender{sender}"));
    let mut left = MESSAGES / SENDERS;
    while left > 0 {
        let count = left.min(AHEAD);
        let text = "a message of some fifty bytes, as people write them";
        let line = |number| format!("message receiver{} {text}\n", number % RECEIVERS);
        wire.say(&(0..count).map(line).collect::<String>());
        for _ in 0..count {
            let answer = wire.answer();
            assert!(answer.starts_with("ok message ") && answer.ends_with(" stored"), "{answer}");
        }
        left -= count;
    }
}

#[test]
fn a_server_with_100_000_stored_messages_is_back_within_a_second() {
    let _machine = have_the_machine();
    let senders = (0..SENDERS).map(|number| format!("sender{number}"));
    let names: Vec<String> =
        senders.chain((0..RECEIVERS).map(|number| format!("receiver{number}"))).collect();
    let mut place = Place::new(&names);
    for quota in
        ["mailbox_messages", "mailbox_bytes", "mailbox_per_sender", "mailbox_total_bytes", "rate_per_s"]
    {
        place = place.set(&format!("{quota}=0"));
    }
    let server = place.serve();
    let port = server.port;
    let began = Instant::now();
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || fill(port, sender));
        }
    });
    let filled = began.elapsed();
    let mut best = Duration::MAX;
    let mut server = Some(server);
    // The best of some counts: other programs may hold the machine, and the log is long only once.
    for round in 1..=5 {
        drop(server.take());
        let began = Instant::now();
        let again = place.serve_on(port, &[]).expect("the server starts again");
        let welcome = Wire::connect(port).ask("login receiver7 falcon");
        let first_login = began.elapsed();
        assert!(
            welcome.starts_with(&format!("welcome receiver7 unread {}", MESSAGES / RECEIVERS)),
            "{welcome}"
        );
        report(&format!(
            "many: {MESSAGES} stored in {filled:?}; start {round}: serving after {:?}, first login after {first_login:?}",
            again.started_in
        ));
        best = best.min(first_login);
        server = Some(again);
        if best < Duration::from_secs(1) {
            break;
        }
    }
    assert!(best < Duration::from_secs(1), "{best:?}");
}
