//! A restart that nobody notices (R58).

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;
use support::{Client, Server};

/// Waits until the clients are back so many times.
fn are_back(clients: &mut [&mut Client], times: usize) {
    for client in clients {
        let back = client.output().wait(|shown| {
            let back = shown.values.iter().filter(|object| object["state"] == "resumed").count();
            (back >= times).then_some(())
        });
        assert!(back.is_some(), "{:?}", client.shown("connection"));
    }
}

#[test]
fn nobody_is_told_of_a_restart_and_no_message_is_lost_or_doubled() {
    const ROUNDS: usize = 5;
    const TEXTS: usize = 40;
    let mut server = Server::start(&[]);
    let (mut luke, mut yoda) = (server.user("luke"), server.user("yoda"));
    let mut hans = server.user("hans");
    luke.presence("yoda", true);
    for client in [&mut luke, &mut yoda] {
        client.presence("hans", true);
    }
    for round in 0..ROUNDS {
        hans.say_all((0..TEXTS).map(|text| format!("message luke {round}.{text}")));
        server.start_anew();
        are_back(&mut [&mut hans, &mut luke, &mut yoda], round + 1);
    }
    for round in 0..ROUNDS {
        for text in 0..TEXTS {
            let shown = luke.wait_for("message");
            assert_eq!((&shown["text"], shown.get("again")), (&format!("{round}.{text}").into(), None));
        }
    }
    assert_eq!(yoda.users("whoelse"), ["hans", "luke"]);
    for client in [&mut hans, &mut luke, &mut yoda] {
        client.has_not("a notice of somebody who goes", |object| object["online"] == false);
    }
    assert_eq!((luke.shown("presence").len(), yoda.shown("presence").len()), (2, 1));
    [hans, luke, yoda].into_iter().for_each(Client::log_out);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn who_does_not_come_back_in_time_has_gone() {
    let mut server = Server::start(&["restart_grace_secs=1"]);
    let (mut luke, yoda) = (server.user("luke"), server.user("yoda"));
    luke.presence("yoda", true);
    yoda.signal(Signal::STOP);
    server.start_anew();
    are_back(&mut [&mut luke], 1);
    luke.presence("yoda", false);
    assert_eq!(luke.users("whoelse"), [""; 0]);
    yoda.kill();
}

#[test]
fn a_private_request_waits_for_who_is_not_back() {
    let mut server = Server::start(&["restart_grace_secs=60"]);
    let (mut luke, mut yoda) = (server.user("luke"), server.user("yoda"));
    yoda.signal(Signal::STOP);
    server.start_anew();
    are_back(&mut [&mut luke], 1);
    luke.say("startprivate yoda");
    assert_eq!(luke.ok("ping yoda")["status"], "online");
    yoda.signal(Signal::CONT);
    yoda.wait_for("private_request");
    yoda.ok("accept luke");
    luke.wait_for("private_opened");
}

#[test]
fn a_private_link_lives_through_a_restart() {
    let mut server = Server::start(&[]);
    let mut luke = server.user_with("luke", &["--accept-private", "auto"]);
    let mut hans = server.user("hans");
    hans.ok("startprivate luke");
    server.start_anew();
    assert_eq!(hans.ok("private luke still there")["status"], "delivered");
    luke.message("still there");
    are_back(&mut [&mut hans, &mut luke], 1);
}

/// R70
#[test]
fn a_relayed_conversation_goes_on_after_a_restart() {
    let mut server = Server::start(&[]);
    let mut luke = server.user_with("luke", &["--accept-private", "auto"]);
    let mut hans = server.user_with("hans", &["--path", "relay"]);
    assert_eq!(hans.ok("startprivate luke")["path"], "relayed");
    server.start_anew();
    for round in 0..3 {
        assert_eq!(hans.ok(&format!("private luke to {round}"))["status"], "delivered");
        luke.message(&format!("to {round}"));
        assert_eq!(luke.ok(&format!("private hans fro {round}"))["status"], "delivered");
        hans.message(&format!("fro {round}"));
    }
    for client in [&mut hans, &mut luke] {
        client.has_not("the end of a conversation", |object| object["type"] == "private_closed");
    }
}

#[test]
fn no_connection_is_refused_meanwhile() {
    let mut server = Server::start(&[]);
    let (stopped, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (address, end, count) = (server.address, Arc::clone(&stopped), Arc::clone(&made));
    let knocking = thread::spawn(move || {
        while !end.load(Ordering::Relaxed) {
            TcpStream::connect(address)?;
            count.fetch_add(1, Ordering::Relaxed);
        }
        Ok::<(), std::io::Error>(())
    });
    for _ in 0..5 {
        let before = made.load(Ordering::Relaxed);
        while made.load(Ordering::Relaxed) == before {
            thread::yield_now();
        }
        server.start_anew();
    }
    stopped.store(true, Ordering::Relaxed);
    knocking.join().expect("a thread").expect("nobody is refused");
}
