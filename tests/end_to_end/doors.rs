//! Who gets in while others are in the way: guesses, connections, a client that is frozen.

use rustix::process::Signal;
use support::{Server, Wire, password};

/// Three wrong passwords lock a name.
fn lock(server: &Server, name: &str) {
    let mut wire = server.wire();
    for _ in 0..2 {
        assert!(wire.asks(&format!("login {name} guess")).starts_with("refused invalid_credentials"));
    }
    assert!(wire.asks(&format!("login {name} guess")).starts_with("refused locked_out"));
}

#[test]
fn a_device_that_was_in_before_gets_in_while_guesses_lock_its_name() {
    let server = Server::start(&[]);
    let state = server.place.state_of("home").into_os_string().into_string().expect("UTF-8");
    server.user_with("hans", &["--state", &state]).log_out();
    lock(&server, "hans");
    let mut elsewhere = server.client(&[]);
    elsewhere.answer("hans");
    elsewhere.answer(password("hans"));
    assert_eq!(elsewhere.wait_for("login")["error"], "locked_out");
    assert_eq!(elsewhere.ended(), 4);
    // A new process, which has nothing but the state folder.
    let home = server.user_with("hans", &["--state", &state]);
    home.log_out();
}

#[test]
fn a_frozen_client_keeps_its_user_out_no_longer() {
    let server = Server::start(&[]);
    let mut frozen = server.user("hans");
    let mut luke = server.user("luke");
    frozen.signal(Signal::STOP);
    let mut second = server.user("hans");
    luke.ok("message hans are you there");
    second.message("are you there");
    frozen.signal(Signal::CONT);
    assert_eq!(frozen.wait_for("bye")["reason"], "replaced");
    assert_eq!(frozen.ended(), 1);
}

#[test]
fn a_pipe_takes_a_session_over_if_it_was_told_to() {
    let server = Server::start(&[]);
    let mut first = server.user("hans");
    let mut second = server.user_with("hans", &["--takeover"]);
    assert_eq!(first.wait_for("bye")["reason"], "replaced");
    assert_eq!(first.ended(), 1);
    second.ok("ping yoda");
}

#[test]
fn whoever_is_asked_for_a_password_is_not_thrown_out_by_others_who_connect() {
    let server = Server::start(&["unauthenticated_max=16"]);
    let mut slow = server.wire();
    assert_eq!(slow.asks("login hans"), "ask password");
    let mut crowd: Vec<Wire> = Vec::new();
    for _ in 0..100 {
        let mut wire = server.wire();
        wire.say("whoelse");
        crowd.push(wire);
    }
    // All of them were let in or turned away by now.
    let mut last = server.wire();
    assert_eq!(last.asks("login luke"), "ask password");
    assert!(slow.asks(&format!("login hans {}", password("hans"))).starts_with("welcome hans "));
}

#[test]
fn one_address_registers_five_accounts_an_hour() {
    let server = Server::start(&["registration=open"]);
    let mut accounts: Vec<Wire> = Vec::new();
    for number in 0..5 {
        let mut wire = server.wire();
        let answer = wire.asks(&format!("register recruit{number} a long password"));
        assert!(answer.starts_with("welcome recruit"), "{answer}");
        accounts.push(wire);
    }
    let mut sixth = server.client(&[]);
    sixth.answer("late");
    sixth.answer("a long password");
    let login = sixth.wait_for("login");
    assert_eq!(login["error"], "locked_out");
    assert!(
        login["retry_after"].as_u64().is_some_and(|seconds| (3_500..=3_600).contains(&seconds)),
        "{login}"
    );
    assert!(!server.place.read("credentials.txt").contains("late "));
    server.user("hans").log_out();
}
