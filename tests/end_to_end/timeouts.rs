//! The timeout: what is activity, what is not.

use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Client, PATIENCE, Server, Shown};

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

const TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT_OF_2: &str = "timeout=2";

/// How often a test is played again because the machine was too busy to prove anything.
const TRIES: usize = 10;

/// A user who types often enough, if the machine permits.
pub(crate) struct Typist {
    pub(crate) client: Client,
    /// Just before the line before the last answer was typed, or the login.
    last: Instant,
    /// By how much the server's word of what was typed may be older.
    lag: Duration,
    results: usize,
}

impl Typist {
    pub(crate) fn enter(server: &Server, name: &str, options: &[&str]) -> Typist {
        let last = Instant::now();
        Typist { client: server.user_with(name, options), last, lag: Duration::ZERO, results: 0 }
    }

    /// Types a line and waits for its result. `None`: so much time passed that the user may be logged out.
    ///
    /// # Panics
    /// The user was logged out before.
    pub(crate) fn types(&mut self, line: &str) -> Option<()> {
        let typed_at = Instant::now();
        self.results += 1;
        let results = self.results;
        let typed = self.client.try_write(format!("{line}\n").as_bytes());
        let answered = typed && {
            let answer = |shown: &Shown| (shown.results >= results || shown.ended).then_some(shown.ended);
            !self.client.output().wait(answer).expect("a result, or the end")
        };
        let is_in = answered && !self.client.is_over();
        if self.last.elapsed() + self.lag >= TIMEOUT {
            return None;
        }
        assert!(is_in, "logged out though {line:?} was typed in time");
        self.last = typed_at;
        std::thread::sleep(TIMEOUT / 10);
        Some(())
    }
}

/// Plays a test on a fresh server until the machine was fast enough for it.
pub(crate) fn play(settings: &[&str], test: impl Fn(&Server) -> Option<()>) {
    let proven = (0..TRIES).any(|_| test(&Server::start(settings)).is_some());
    assert!(proven, "the machine was too busy {TRIES} times");
}

/// Hans stays for as long as it takes Yoda, who does nothing, to be logged out, and as long again.
fn stays(settings: &[&str], line: &str) {
    play(settings, |server| {
        let mut hans = Typist::enter(server, "hans", &[]);
        for idle in ["yoda", "luke"] {
            let mut idle = server.user(idle);
            while !idle.is_over() {
                hans.types(line)?;
            }
        }
        Some(())
    });
}

/// Repeats an action until the user is logged out.
fn is_logged_out(client: &mut Client, mut does: impl FnMut(&mut Client)) {
    let began = Instant::now();
    while !client.is_over() {
        does(client);
        assert!(began.elapsed() < PATIENCE, "that is no activity");
        std::thread::sleep(TIMEOUT / 10);
    }
    timed_out(client);
}

#[test]
fn receiving_is_no_activity() {
    let server = Server::start(&[TIMEOUT_OF_2]);
    let (mut hans, mut yoda) = (server.user("hans"), server.wire_user("yoda"));
    is_logged_out(&mut hans, |_| {
        // Yoda may be logged out as well, on a busy machine.
        yoda.try_send(b"message hans hello\n");
    });
}

#[test]
fn commands_are_activity() {
    stays(&[TIMEOUT_OF_2], "whoelse");
}

#[test]
fn help_is_activity() {
    stays(&[TIMEOUT_OF_2], "help");
}

#[test]
fn invalid_commands_and_blank_lines_are_none() {
    let server = Server::start(&[TIMEOUT_OF_2]);
    is_logged_out(&mut server.user("hans"), |hans| {
        hans.try_write(b"nonsense\nmessage\n\n");
    });
}

#[test]
fn invalid_commands_may_count() {
    stays(&[TIMEOUT_OF_2, "invalid_counts_as_activity=true"], "nonsense");
}

#[test]
fn private_texts_are_activity_of_the_sender() {
    play(&[TIMEOUT_OF_2], |server| {
        let mut hans = Typist::enter(server, "hans", &[]);
        let mut yoda = server.user_with("yoda", &["--accept-private", "auto"]);
        hans.types("startprivate yoda")?;
        // The server hears of private texts once a second at most.
        hans.lag = Duration::from_secs(1);
        // Yoda only receives, so yoda times out; hans types private texts only.
        while !yoda.is_over() {
            hans.types("private yoda hi")?;
        }
        hans.types("message luke still here")
    });
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
    play(&[TIMEOUT_OF_2], |server| {
        let mut hans = Typist::enter(server, "hans", &[]);
        let mut yoda = server.user("yoda");
        while !yoda.is_over() {
            hans.types("whoelse")?;
        }
        hans.client.presence("yoda", false);
        hans.types("whoelse")?;
        let told = |object: &Value| object["user"] == "yoda" && object["online"] == false;
        assert_eq!(hans.client.count(told), 1);
        Some(())
    });
}

#[test]
fn the_timeout_is_announced_when_half_of_a_short_one_is_left() {
    let server = Server::start(&["timeout=4"]);
    let began = Instant::now();
    let mut hans = server.user("hans");
    let text = "You will be logged out in 2 seconds unless you enter a command";
    assert_eq!(hans.wait_for("notice")["text"], text);
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    timed_out(&mut hans);
    assert_eq!(hans.ended(), 5);
}
