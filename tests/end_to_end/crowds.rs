//! Many connections: silent ones, idle ones, all at once.

use std::io::Read as _;
use std::net::TcpStream;

use support::{Server, Wire};

#[test]
fn silent_connections_keep_nobody_out() {
    let server = Server::start(&[]);
    let silent: Vec<TcpStream> =
        (0..400).filter_map(|_| TcpStream::connect(("127.0.0.1", server.port)).ok()).collect();
    assert_eq!(silent.len(), 400);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.ok("message yoda through the crowd");
    yoda.message("through the crowd");
    // The oldest ones made way.
    let mut first = &silent[0];
    let mut said = String::new();
    let _ = first.read_to_string(&mut said);
    hans.log_out();
}

#[test]
fn half_logins_are_bounded_and_the_server_goes_on() {
    let server = Server::start(&["unauthenticated_max=4"]);
    let mut wires: Vec<Wire> = Vec::new();
    for _ in 0..12 {
        wires.push(server.wire());
    }
    server.user("hans").log_out();
    assert_eq!(wires[0].rest(), "", "closed without a word, or with none after the greeting");
}

#[test]
fn everybody_talks_at_once() {
    const USERS: usize = 20;
    const EACH: usize = 20;
    let accounts: String = (0..USERS).map(|number| format!("user{number} pw{number}\n")).collect();
    let server = Server::start_in(support::Place::with(&accounts), &[]);
    let mut wires: Vec<Wire> = (0..USERS)
        .map(|number| {
            let mut wire = server.wire();
            wire.log_in(&format!("user{number}"), &format!("pw{number}"));
            wire
        })
        .collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        let to = (number + 1) % USERS;
        let lines: String = (0..EACH).map(|text| format!("message user{to} text {text}\n")).collect();
        wire.send(lines.as_bytes());
    }
    for wire in &mut wires {
        for text in 0..EACH {
            let line = wire.skip_to("message ");
            assert!(line.ends_with(&format!(" live text {text}")), "{line}");
        }
    }
}

#[test]
fn idle_clients_and_an_idle_server_burn_no_time() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let wires: Vec<Wire> = ["yoda", "luke", "vader"].map(|name| server.wire_user(name)).into();
    hans.ok("whoelse");
    let before = (ticks(server.id()), ticks(hans.id()));
    // Nothing but time must pass here: the rule is about an idle machine.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let after = (ticks(server.id()), ticks(hans.id()));
    assert!(after.0 - before.0 <= 5 && after.1 - before.1 <= 5, "{before:?} {after:?}");
    drop(wires);
}

/// Hundredths of a second that a process has computed.
fn ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a process");
    let behind_name = stat.rsplit_once(") ").expect("a name").1;
    let fields: Vec<&str> = behind_name.split(' ').collect();
    fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum()
}
