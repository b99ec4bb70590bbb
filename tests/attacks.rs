//! The attacks of `benches/attack` that are judged by counts and orders, on the real server.

use std::fs;
use std::time::Duration;

use support::{Place, Server, Wire};

/// Names with a number.
fn names(letter: char, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{letter}{n}")).collect()
}

/// A server with two who talk, the victim, and others.
fn server(others: &[String], settings: &[&str]) -> Server {
    let honest = ["hans", "yoda", "victim"].map(str::to_owned);
    Server::start_in(Place::of(&[&honest[..], others].concat()), settings)
}

/// One after the other, and each is delivered.
fn talk(sender: &mut Wire, receiver: &mut Wire, messages: usize) {
    for n in 0..messages {
        let text = format!("good day {n}");
        sender.say(&format!("message yoda {text}"));
        assert!(receiver.skip_to("message ").ends_with(&text));
        assert_eq!(sender.answer(), "ok message yoda delivered");
    }
}

#[test]
fn blocks_without_pause_whose_answers_nobody_reads_hold_no_message_up() {
    let attackers = names('a', 4);
    let server = server(&attackers, &[]);
    let (mut hans, mut yoda) = (Wire::user(server.port, "hans"), Wire::user(server.port, "yoda"));
    let flood = "block hans\nunblock hans\n".repeat(2_000);
    let mut wires: Vec<Wire> = attackers.iter().map(|name| Wire::user(server.port, name)).collect();
    for wire in &mut wires {
        wire.send(flood.as_bytes());
    }
    talk(&mut hans, &mut yoda, 100);
    // All of it is obeyed in the end, in order.
    for wire in &mut wires {
        for _ in 0..50 {
            assert_eq!(wire.answer(), "ok block hans");
            assert_eq!(wire.answer(), "ok unblock hans");
        }
    }
}

#[test]
fn groups_made_and_deleted_without_pause_cut_no_member_off() {
    let members = names('m', 40);
    let server = server(&[&members[..], &["a".to_owned()]].concat(), &[]);
    let (mut hans, mut yoda) = (Wire::user(server.port, "hans"), Wire::user(server.port, "yoda"));
    let mut wires: Vec<Wire> = members.iter().map(|name| Wire::user(server.port, name)).collect();
    let mut attacker = Wire::user(server.port, "a");
    attacker.send(
        format!("create group horde {}\ndelete group horde\n", members.join(" ")).repeat(100).as_bytes(),
    );
    talk(&mut hans, &mut yoda, 50);
    // Nobody has read anything up to now.
    for wire in &mut wires {
        wire.say("ping hans");
        assert_eq!(wire.skip_to("ok ping"), "ok ping hans online");
    }
}

#[test]
fn resumes_in_a_loop_are_told_no_more_often_than_the_burst_allows() {
    let server = server(&[], &["presence_burst=4", "presence_settle_secs=3600"]);
    let mut hans = Wire::user(server.port, "hans");
    let mut victim = Wire::connect(server.port);
    let welcome = victim.asks("hello 1 ack resume\nlogin victim falcon");
    let token = welcome.rsplit(' ').next().expect("a token").to_owned();
    for _ in 0..50 {
        drop(victim);
        victim = Wire::connect(server.port);
        // A session that has not ended is taken up again, and nobody is told.
        let resumed = victim.ask(&format!("hello 1 ack resume\nresume victim {token}"));
        assert!(resumed.starts_with("resumed victim "), "{resumed}");
    }
    hans.say("ping victim");
    let mut told = 0;
    loop {
        match hans.line().as_str() {
            "online victim" | "offline victim" => told += 1,
            "ok ping victim online" => break,
            other => panic!("{other}"),
        }
    }
    assert!((1..=4).contains(&told), "{told}");
}

#[test]
fn a_victim_whom_sixteen_ask_can_ask_and_be_asked() {
    let askers = names('a', 16);
    let server = server(&askers, &["unauthenticated_max=0"]);
    let [mut victim, mut hans, mut yoda] =
        ["victim", "hans", "yoda"].map(|name| Wire::user(server.port, name));
    let mut wires: Vec<Wire> = askers.iter().map(|name| Wire::user(server.port, name)).collect();
    for (wire, name) in wires.iter_mut().zip(&askers) {
        wire.say("startprivate victim 5000");
        assert_eq!(victim.skip_to("request "), format!("request {name}"));
    }
    victim.say("startprivate hans 5000");
    assert_eq!(hans.skip_to("request "), "request victim");
    yoda.say("startprivate victim 5000");
    assert_eq!(victim.skip_to("request "), "request yoda");
}

#[test]
fn a_victim_hears_three_requests_however_often_the_asker_resumes() {
    let server = server(&["a".to_owned()], &[]);
    let mut victim = Wire::user(server.port, "victim");
    let mut attacker = Wire::connect(server.port);
    let welcome = attacker.asks("hello 1 ack resume\nlogin a falcon");
    let token = welcome.rsplit(' ').next().expect("a token").to_owned();
    for _ in 0..20 {
        attacker.say("startprivate victim 5000\nping victim");
        attacker.skip_to("ok ping");
        drop(attacker);
        attacker = Wire::connect(server.port);
        attacker.say(&format!("hello 1 ack resume\nresume a {token}"));
        attacker.skip_to("resumed ");
    }
    victim.say("ping hans");
    let mut requests = 0;
    loop {
        match victim.line() {
            line if line == "request a" => requests += 1,
            line if line.starts_with("ok ping") => break,
            _ => {}
        }
    }
    assert_eq!(requests, 3);
}

#[test]
fn three_who_fill_a_mailbox_leave_room_for_others() {
    let attackers = names('a', 3);
    let server = server(&attackers, &["mailbox_bytes=4194304"]);
    let line = format!("message victim {}", "x".repeat(4_000));
    for name in &attackers {
        let mut wire = Wire::user(server.port, name);
        let answers: Vec<String> = (0..140).map(|_| wire.ask(&line)).collect();
        // An eighth, 512 KiB.
        let stored = answers.iter().filter(|answer| *answer == "ok message victim stored").count();
        assert_eq!(stored, 512 * 1_024 / 4_000, "{:?}", answers.last());
        assert!(answers[stored..].iter().all(|answer| answer == "error mailbox_full message"));
    }
    assert_eq!(Wire::user(server.port, "hans").ask(&line), "ok message victim stored");
}

#[test]
fn neither_program_may_leave_a_core_file() {
    let server = server(&[], &[]);
    let mut client = server.client(&[]);
    client.log_in("hans", support::PASSWORD);
    for process in [server.id(), client.id()] {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).expect("its limits");
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{line}");
    }
}

#[test]
fn a_reader_who_does_not_read_loses_broadcasts_and_not_the_link() {
    let server = server(&["a".to_owned()], &["output_stall_secs=0"]);
    let mut reader = Wire::user(server.port, "victim");
    let mut attacker = Wire::user(server.port, "a");
    let line = format!("broadcast {}", "x".repeat(4_000));
    let mut sent = 0;
    // The kernel takes some first.
    let dropped = (0..10_000).find(|_| match attacker.ask(&line).as_str() {
        "ok broadcast 1 complete" => {
            sent += 1;
            false
        }
        answer => answer == "ok broadcast 0 complete",
    });
    assert!(dropped.is_some(), "{sent} broadcasts were all taken");
    reader.stream().set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let mut heard = 0;
    loop {
        match reader.line() {
            line if line.starts_with("broadcast ") => heard += 1,
            line if line.starts_with("notice missed ") => break,
            line if line.starts_with("online ") => {}
            line => panic!("{line}"),
        }
    }
    assert_eq!(heard, sent);
}
