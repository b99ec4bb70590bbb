//! Connections that do not log in.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::{Domain, Socket, Type};

use super::Row;
use crate::Suite;
use crate::attacker::{Act, Attacker, Target, tell};
use crate::beside::{Attack, Beside};
use crate::stage::{Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{PASSWORD, Talk, host};

pub(crate) const ACTS: &[(&str, Act)] = &[("trickle", trickle), ("connect", connect), ("linger", linger)];

/// Connections that may be not logged in, by default.
const UNAUTHENTICATED: usize = 128;
/// Files beyond these that a server may have open.
const RESERVE: usize = 64;

pub(crate) const TRICKLE: Row = Row {
    name: "one-byte",
    attack: "one byte on 60 new connections a second, each from another address, while people type passwords",
    addresses: true,
    secs: 45,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('p', 10)))?;
        let attacker = Attacker::start("trickle", stage.address, Duration::from_secs(13), &[])?;
        // 128 connections are there after 2.2 s.
        thread::sleep(Duration::from_secs(3));
        let people = names('p', 10).zip(1..).map(|(name, house)| {
            let to = stage.address;
            thread::sleep(Duration::from_millis(300));
            thread::spawn(move || type_slowly(to, &name, house))
        });
        let people: Vec<_> = people.collect();
        let ends = people.into_iter().map(|person| {
            person.join().map_or_else(
                |_| "broke".to_owned(),
                |end| end.map_or_else(|why| why.to_string(), |()| "in".to_owned()),
            )
        });
        let ends: Vec<String> = ends.collect();
        let facts = attacker.finish()?;
        let inside = ends.iter().filter(|end| *end == "in").count();
        let mut outcome = Outcome::default();
        outcome.check("people who got in", format!("{inside} of 10"), "10 of 10", inside == 10);
        if let Some(why) = ends.iter().find(|end| *end != "in") {
            outcome.check("one who did not", why, "none", false);
        }
        outcome.check("connections of the attacker", facts["connections"], "shown", true);
        Ok(outcome)
    },
};

/// Begins a login at once, and takes four seconds for the password.
fn type_slowly(to: SocketAddr, name: &str, house: u8) -> Result<()> {
    let mut talk = Talk::open(host(2, house), to)?;
    talk.say(&format!("login {name}"))?;
    talk.until(&["ask password"])?;
    thread::sleep(Duration::from_secs(4));
    talk.say(&format!("login {name} {PASSWORD}"))?;
    talk.until(&["welcome "])?;
    Ok(())
}

/// An address of the attacker; there are 25,000.
fn street(turn: u32) -> (u8, u8) {
    let [.., street, house] = (turn % 25_600).to_be_bytes();
    (100 + street, house.clamp(1, 250))
}

/// A connection whose outcome nobody waits for.
pub(super) fn begin(turn: u32, to: SocketAddr) -> Result<TcpStream> {
    let (street, house) = street(turn);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((host(street, house), 0)).into())?;
    match socket.connect(&to.into()) {
        // EINPROGRESS.
        Err(error) if error.kind() != ErrorKind::WouldBlock && error.raw_os_error() != Some(115) => {
            Err(error.into())
        }
        Ok(()) | Err(_) => Ok(socket.into()),
    }
}

fn trickle(target: &Target) -> Result<()> {
    let end = target.begin();
    let mut open = VecDeque::new();
    let mut connections = 0;
    while Instant::now() < end {
        if let Ok(mut stream) = begin(connections, target.address) {
            let _ = stream.write(b"l");
            open.push_back(stream);
            connections += 1;
        }
        thread::sleep(Duration::from_millis(16));
    }
    tell("connections", connections.into());
    Ok(())
}

pub(crate) const FLOOD: Row = Row {
    name: "connections",
    attack: "idle connections from many addresses, as fast as one core opens them",
    addresses: true,
    secs: 75,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of([]))?;
        let attack = Attack { logins: true, fills_core: true, ..Attack::new("connect") };
        let beside = Beside::run(suite, &stage, attack)?;
        let mut outcome = Outcome::default();
        beside.judge_links(&mut outcome);
        beside.judge_p99(&mut outcome);
        beside.judge_logins(&mut outcome, 1.0, 1.0);
        judge_files(&beside, &mut outcome);
        beside.judge_memory(&mut outcome, None);
        beside.show_usage(&mut outcome);
        outcome.check(
            "connections a second",
            beside.fact("connections") / beside.fact("seconds").max(1),
            "shown",
            true,
        );
        Ok(outcome)
    },
};

/// Those that are not logged in, a reserve, and what was open before.
fn judge_files(beside: &Beside, outcome: &mut Outcome) {
    let limit = UNAUTHENTICATED + RESERVE + beside.control_files;
    let seen = beside.usage.files;
    outcome.beside("files", beside.control_files, seen, format!("≤ {limit}"), seen <= limit);
}

fn connect(target: &Target) -> Result<()> {
    let end = target.begin();
    let began = Instant::now();
    let mut open = VecDeque::new();
    let mut connections: u32 = 0;
    while Instant::now() < end {
        if let Ok(stream) = begin(connections, target.address) {
            open.push_back(stream);
            connections += 1;
        }
        if open.len() > 4_000 {
            open.pop_front();
        }
    }
    tell("connections", connections.into());
    tell("seconds", began.elapsed().as_secs());
    Ok(())
}

pub(crate) const CLOSING: Row = Row {
    name: "closing",
    attack: "connections that the server closes and that then stay open at the attacker's end",
    addresses: true,
    secs: 60,
    run: |suite| lingering(suite, &Plan::of([])),
};

pub(crate) const FEW_FILES: Row = Row {
    name: "files-256",
    attack: "the same at a server that may open 256 files",
    addresses: true,
    secs: 60,
    run: |suite| lingering(suite, &Plan { files: Some(256), ..Plan::of([]) }),
};

fn lingering(suite: &Suite, plan: &Plan) -> Result<Outcome> {
    let stage = Stage::open(&suite.folder, plan)?;
    let beside = Beside::run(suite, &stage, Attack { logins: true, ..Attack::new("linger") })?;
    let mut outcome = Outcome::default();
    beside.judge_links(&mut outcome);
    beside.judge_logins(&mut outcome, 1.0, 1.0);
    if plan.files.is_none() {
        judge_files(&beside, &mut outcome);
    }
    beside.judge_memory(&mut outcome, None);
    beside.show_usage(&mut outcome);
    outcome.check("connections", beside.fact("connections"), "shown", true);
    Ok(outcome)
}

fn linger(target: &Target) -> Result<()> {
    let end = target.begin();
    let mut open = VecDeque::new();
    let mut connections: u32 = 0;
    while Instant::now() < end {
        if let Ok(mut stream) = begin(connections, target.address) {
            // A version that the server does not speak.
            let _ = stream.write(b"hello 99\n");
            open.push_back(stream);
            connections += 1;
        }
        if open.len() > 10_000
            && let Some(mut oldest) = open.pop_front()
        {
            let _ = oldest.read(&mut [0; 64]);
        }
        thread::sleep(Duration::from_micros(100));
    }
    tell("connections", connections.into());
    Ok(())
}
