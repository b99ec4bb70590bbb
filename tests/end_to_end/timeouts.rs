//! The timeout: what is activity, what is not.

use std::time::{Duration, Instant};

use support::{Client, Server};

fn timed_out(client: &mut Client) {
    assert_eq!(client.wait_for("bye")["reason"], "timeout");
}

#[test]
fn an_idle_user_is_logged_out_and_the_program_ends() {
    let server = Server::start(&["timeout=1"]);
    let began = Instant::now();
    let mut hans = server.user("hans");
    timed_out(&mut hans);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(hans.ended(), 5);
    let mut luke = server.client(&["--retry-login"]);
    luke.log_in("luke", support::password("luke"));
    timed_out(&mut luke);
    assert_eq!(luke.wait_for("prompt")["ask"], "username");
    luke.log_in("luke", support::password("luke"));
    luke.log_out();
}

/// Repeats an action for twice the timeout; says whether the user was logged out meanwhile.
fn is_idle(mut client: Client, timeout: Duration, mut does: impl FnMut(&mut Client)) -> bool {
    let began = Instant::now();
    while began.elapsed() < timeout * 2 {
        does(&mut client);
        std::thread::sleep(timeout / 8);
        client.write(b"");
        if client.is_over() {
            return true;
        }
    }
    false
}

const TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn receiving_is_no_activity() {
    let server = Server::start(&["timeout=2"]);
    let (hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    assert!(is_idle(hans, TIMEOUT, |_| {
        yoda.ask("message hans hello");
    }));
}

#[test]
fn commands_are_activity() {
    let server = Server::start(&["timeout=2"]);
    assert!(!is_idle(server.user("hans"), TIMEOUT, |hans| {
        hans.ok("whoelse");
    }));
}

#[test]
fn help_is_activity() {
    let server = Server::start(&["timeout=2"]);
    assert!(!is_idle(server.user("hans"), TIMEOUT, |hans| {
        hans.ok("help");
    }));
}

#[test]
fn invalid_commands_and_blank_lines_are_none() {
    let server = Server::start(&["timeout=2"]);
    assert!(is_idle(server.user("hans"), TIMEOUT, |hans| {
        hans.say("nonsense");
        hans.say("message");
        hans.answer("");
    }));
}

#[test]
fn invalid_commands_may_count() {
    let server = Server::start(&["timeout=2", "invalid_counts_as_activity=true"]);
    assert!(!is_idle(server.user("hans"), TIMEOUT, |hans| {
        hans.fails("nonsense");
    }));
}

#[test]
fn private_texts_are_activity_of_the_sender() {
    let server = Server::start(&["timeout=2"]);
    let mut hans = server.user("hans");
    let mut yoda = server.user_with("yoda", &["--accept-private", "auto"]);
    hans.ok("startprivate yoda");
    let began = Instant::now();
    // Yoda only receives, so yoda times out first; hans types private texts only.
    while !yoda.is_over() {
        hans.ask("private yoda hi");
        assert!(began.elapsed() < TIMEOUT * 10, "receiving private texts is no activity");
        std::thread::sleep(TIMEOUT / 10);
    }
    assert!(began.elapsed() >= TIMEOUT / 2);
    hans.ok("message luke still here");
    hans.log_out();
}

#[test]
fn a_timeout_of_nothing_never_comes() {
    let server = Server::start(&["timeout=0"]);
    let mut hans = server.user("hans");
    hans.ok("whoelse");
    hans.log_out();
}

#[test]
fn a_logout_by_time_is_told_to_others_once() {
    let server = Server::start(&["timeout=2"]);
    let mut hans = server.user("hans");
    let mut yoda = server.user("yoda");
    hans.ok("whoelse");
    while !yoda.is_over() {
        hans.ok("whoelse");
        std::thread::sleep(TIMEOUT / 10);
    }
    hans.presence("yoda", false);
    hans.ok("whoelse");
    assert_eq!(hans.count(|object| object["user"] == "yoda" && object["online"] == false), 1);
}
