//! A malicious server against the real client.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use socket2::SockRef;

use super::Row;
use crate::Suite;
use crate::attacker::{Act, Attacker, Target, tell};
use crate::beside::show_kib;
use crate::client::Client;
use crate::gauge::{Gauge, resident_kib};
use crate::table::Outcome;
use crate::talk::{has_addresses, host};

pub(crate) const ACTS: &[(&str, Act)] = &[("introduce", introduce), ("pour", pour)];

/// Of the users whom it introduces.
const KEY: &str = "ed25519:CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws";

/// Where the malicious server listens.
const PORT: u16 = 7_700;

fn evil() -> SocketAddr {
    (host(0, 1), PORT).into()
}

pub(crate) const DIALS: Row = Row {
    name: "evil-introductions",
    attack: "a malicious server: 256 introductions in 4 s to a client with `--accept-private auto`, to ports and addresses of its choice",
    addresses: true,
    secs: 40,
    run: |suite| {
        let dialled = Dialled::listen()?;
        let attacker = Attacker::start("introduce", evil(), Duration::from_secs(10), &[])?;
        let state = suite.folder.join("evil-state");
        let options = ["--accept-private", "auto", "--reconnect", "0"];
        let client = Client::start(evil(), "hans", &state, &options)?.logged_in()?;
        let facts = attacker.finish()?;
        drop(client);
        let addresses = dialled.addresses.lock().map_or(0, |addresses| addresses.len());
        let mut outcome = Outcome::default();
        outcome.check("addresses dialled", addresses, "1 to 16", (1..=16).contains(&addresses));
        for (what, dials) in [
            ("dials of port 22", &dialled.low),
            ("dials of a link-local address", &dialled.link_local),
            ("dials of the unspecified address", &dialled.unspecified),
        ] {
            let dials = dials.load(Ordering::Relaxed);
            outcome.check(what, dials, 0, dials == 0);
        }
        outcome.check("introductions", facts["introductions"], "256", facts["introductions"] == 256);
        Ok(outcome)
    },
};

/// Ports of the introductions.
const HIGH: u16 = 7_001;
const UNSPECIFIED: u16 = 7_002;

/// The dials that were seen.
struct Dialled {
    addresses: Arc<Mutex<BTreeSet<SocketAddr>>>,
    low: Arc<AtomicUsize>,
    link_local: Arc<AtomicUsize>,
    unspecified: Arc<AtomicUsize>,
}

impl Dialled {
    fn listen() -> Result<Dialled> {
        let addresses: Arc<Mutex<BTreeSet<SocketAddr>>> = Arc::default();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, HIGH))?;
        let found = Arc::clone(&addresses);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if let (Ok(address), Ok(mut found)) = (stream.local_addr(), found.lock()) {
                    found.insert(address);
                }
            }
        });
        Ok(Dialled {
            addresses,
            low: counted(TcpListener::bind((host(90, 1), 22))?),
            link_local: counted(TcpListener::bind(("169.254.77.1", 7_003))?),
            unspecified: counted(TcpListener::bind((Ipv4Addr::LOCALHOST, UNSPECIFIED))?),
        })
    }
}

/// Counts the connections.
fn counted(listener: TcpListener) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    thread::spawn(move || {
        for _ in listener.incoming().map_while(Result::ok) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    count
}

/// Listens, and says everything up to the welcome to the first client.
fn welcome(target: &Target) -> Result<(Instant, TcpStream, BufReader<TcpStream>)> {
    let listener = TcpListener::bind(target.address)?;
    let end = target.begin();
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    writeln!(stream, "hobnob 1 ack resume")?;
    let (mut line, mut user) = (String::new(), String::new());
    loop {
        line.clear();
        lines.read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["hello", ..] => {}
            ["login", name] => {
                user = (*name).to_owned();
                writeln!(stream, "ask password")?;
            }
            _ => break,
        }
    }
    writeln!(stream, "welcome {user} unread 0 login 1 token 00112233445566778899aabbccddeeff")?;
    Ok((end, stream, lines))
}

fn introduce(target: &Target) -> Result<()> {
    let (end, mut stream, mut lines) = welcome(target)?;
    lines.get_ref().set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut introductions = 0;
    let mut line = String::new();
    for n in 0..256_u32 {
        writeln!(stream, "request x{n}")?;
        // The answer names the command.
        let number = loop {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                anyhow::bail!("the client went");
            }
            if line.contains(" accept ") {
                break line.split(' ').next().context("a number")?.to_owned();
            }
        };
        let [.., house] = n.to_be_bytes();
        let addresses = match n % 4 {
            0 => format!("{}:22 {}:{HIGH}", host(90, 1), host(91, house)),
            1 => format!("169.254.77.1:7003 {}:{HIGH}", host(91, house)),
            2 => format!("0.0.0.0:{UNSPECIFIED} {}:{HIGH}", host(91, house)),
            _ => {
                (92..96).map(|street| format!("{}:{HIGH}", host(street, house))).collect::<Vec<_>>().join(" ")
            }
        };
        writeln!(stream, "introduce x{n} accepter {n:032x} {KEY} {addresses}\nok {number} accept x{n}")?;
        introductions += 1;
        thread::sleep(Duration::from_millis(15));
    }
    thread::sleep(end.saturating_duration_since(Instant::now()));
    tell("introductions", introductions);
    Ok(())
}

/// The memory that all lines of a server may take in the client.
const MOST_KIB: u64 = 64 * 1_024;

pub(crate) const LISTS: Row = Row {
    name: "evil-lists",
    attack: "a malicious server: lists, group members, presence and lines without an end",
    addresses: false,
    secs: 60,
    run: endless,
};

fn endless(suite: &Suite) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let length = Duration::from_secs(if suite.quick { 2 } else { 5 });
    for (kind, port) in [("users", 1), ("members", 2), ("online", 3), ("line", 4), ("message", 5)] {
        let address =
            if has_addresses() { (host(0, 1), PORT + port) } else { (Ipv4Addr::LOCALHOST, PORT + port) };
        let attacker = Attacker::start("pour", address.into(), length, &[kind])?;
        let state = suite.folder.join(format!("evil-{kind}"));
        let mut client = Client::start(address.into(), "hans", &state, &["--reconnect", "0"])?.logged_in()?;
        let before = resident_kib(client.process())?;
        let gauge = Gauge::start(client.process())?;
        client.say(if kind == "members" { "grouplist" } else { "whoelse" })?;
        let began = Instant::now();
        let (mut peak, mut alive) = (before, true);
        while began.elapsed() < length && alive {
            client.skip();
            thread::sleep(Duration::from_millis(5));
            // It may end because of what it hears, and that is well.
            match crate::gauge::status(client.process(), "VmHWM:") {
                Ok(kib) => peak = kib,
                Err(_) => alive = false,
            }
        }
        drop(gauge);
        drop(client);
        let facts = attacker.finish()?;
        let said = facts.get("mib").copied().unwrap_or(0);
        let what = format!("client's memory, {kind} ({said} MiB said)");
        outcome.beside(&what, show_kib(before), show_kib(peak), "+ 64 MiB", peak <= before + MOST_KIB);
    }
    Ok(outcome)
}

/// Says lines of one kind to its end.
fn pour(target: &Target) -> Result<()> {
    let kind: String = target.word(0)?;
    let (end, mut stream, _lines) = welcome(target)?;
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    // The command is numbered 1.
    thread::sleep(Duration::from_millis(200));
    let (mut said, mut turn) = (0_u64, 0_u64);
    while Instant::now() < end {
        let chunk: String = (0..64)
            .map(|n| {
                let name = |m: u64| format!("u{turn}x{n}x{m}");
                let names = || (0..200).map(name).collect::<Vec<_>>().join(" ");
                match kind.as_str() {
                    "users" => format!("users #1 {}\n", names()),
                    "members" => format!("members #1 g{turn}x{n} {}\n", names()),
                    "online" => (0..100).map(|m| format!("online {}\n", name(m))).collect(),
                    "line" => "x".repeat(4_096),
                    _ => format!("message 1.{} {} {} - live hello\n", turn * 64 + n + 1, name(0), turn),
                }
            })
            .collect();
        turn += 1;
        match stream.write(chunk.as_bytes()) {
            // The rest of a chunk that was cut short would be no line.
            Ok(count) if count == chunk.len() => said += count as u64,
            Ok(count) => {
                said += count as u64;
                if stream.write_all(&chunk.as_bytes()[count..]).is_err() {
                    break;
                }
            }
            Err(error) if crate::talk::is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    tell("mib", said / (1_024 * 1_024));
    Ok(())
}
