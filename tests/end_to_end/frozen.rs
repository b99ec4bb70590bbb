//! A server that is suspended for longer than its deadlines, as with a laptop whose lid is closed.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use support::Server;

const TIMEOUT: Duration = Duration::from_secs(4);

/// Suspends the server for longer than the timeout, and does `meanwhile` each second.
fn freeze(server: &Server, mut meanwhile: impl FnMut()) {
    server.signal(Signal::STOP);
    for _ in 0..=TIMEOUT.as_secs() {
        meanwhile();
        thread::sleep(Duration::from_secs(1));
    }
    server.signal(Signal::CONT);
}

#[test]
fn users_who_typed_while_the_server_stood_still_stay_and_silent_ones_go() {
    let server = Server::start(&["timeout=4"]);
    let mut typing = ["hans", "yoda", "luke"].map(|name| server.wire_user(name));
    let mut silent = server.wire_user("vader");
    freeze(&server, || typing.iter_mut().for_each(|user| user.say("ping vader")));
    for user in &mut typing {
        for _ in 0..=TIMEOUT.as_secs() {
            let answer = user.skip_to("ok ping vader ");
            assert!(answer.ends_with(" online") || answer.ends_with(" offline"), "{answer}");
        }
        user.say("whoelse");
        user.skip_to("ok whoelse ");
    }
    silent.skip_to("bye timeout");
}
