//! Floods of connections that say nothing.

use std::collections::VecDeque;
use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use support::{PATIENCE, Place, Server, Wire, free_port, password};

/// Connections that a flood keeps open.
const KEPT: usize = 400;
/// Connections that are refused a place before a test goes on: many times as many as there are places.
const FLOOD: usize = 1_000;

/// Files that a server has open.
fn files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

/// Logs in in a flood, or registers. Somebody whose line is not there when the server has no place for more may be
/// turned away, and tries again.
fn log_in(server: &Server, line: &str) -> Wire {
    loop {
        let mut wire = Wire::over(TcpStream::connect(("127.0.0.1", server.port)).expect("connected"));
        wire.try_send(format!("{line}\n").as_bytes());
        while let Some(said) = wire.try_line() {
            if said.starts_with("welcome ") {
                return wire;
            }
            assert!(!said.starts_with("refused "), "{said}");
        }
    }
}

/// Ends a flood when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A flood of connections to a port.
struct Flood {
    made: AtomicUsize,
    over: AtomicBool,
}

impl Flood {
    /// Makes connections, most of which are never closed by their client, while `meanwhile` runs.
    fn during<T>(port: u16, meanwhile: impl FnOnce(&Flood) -> T) -> T {
        let flood = Flood { made: AtomicUsize::new(0), over: AtomicBool::new(false) };
        thread::scope(|scope| {
            scope.spawn(|| flood.run(port));
            // Also when it panics: otherwise the test would wait for ever.
            let _over = Over(&flood.over);
            meanwhile(&flood)
        })
    }

    fn run(&self, port: u16) {
        let mut kept: VecDeque<TcpStream> = VecDeque::new();
        while !self.over.load(Ordering::Relaxed) {
            let address = ([127, 0, 0, 1], port).into();
            kept.extend(TcpStream::connect_timeout(&address, PATIENCE));
            // So many wait to be accepted at most: otherwise all others would wait behind thousands.
            if kept.len() > KEPT
                && let Some(mut oldest) = kept.pop_front()
            {
                let _greeting_or_end = oldest.read(&mut [0]);
            }
            self.made.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until so many connections were made; returns the most files that the server had open at a time.
    fn lasts_for(&self, count: usize, server: &Server) -> usize {
        let (until, mut most) = (self.made.load(Ordering::Relaxed) + count, 0);
        while self.made.load(Ordering::Relaxed) < until {
            most = most.max(files(server.id()));
            thread::yield_now();
        }
        most
    }
}

#[test]
fn a_flood_takes_no_more_files_than_its_bound_and_those_being_closed() {
    let server = Server::start(&["unauthenticated_max=40"]);
    let before = files(server.id());
    let most = Flood::during(server.port, |flood| {
        let most = flood.lasts_for(FLOOD, &server);
        let mut hans = log_in(&server, &format!("login hans {}", password("hans")));
        assert_eq!(hans.ask("message yoda hello"), "ok message yoda stored");
        most.max(flood.lasts_for(KEPT, &server))
    });
    assert!(most <= before + 1 + 40 + 64, "{before} files, then {most}");
}

#[test]
fn with_256_files_a_flood_keeps_nobody_out_and_the_store_goes_on() {
    let place = Place::samples().set("registration=open");
    let few = ["sh", "-c", "ulimit -n 256; exec \"$0\" \"$@\""].map(str::to_owned);
    let server = place.serve_on(free_port(), &few).expect("the server starts");
    server.logs("at most 192 connections, 96 of them not logged in", 1);
    let most = Flood::during(server.port, |flood| {
        let most = flood.lasts_for(FLOOD, &server);
        let mut hans = log_in(&server, &format!("login hans {}", password("hans")));
        assert_eq!(hans.ask("message yoda hello"), "ok message yoda stored");
        // Makes a file beside the credentials file.
        log_in(&server, "register leia alderaan");
        let most = most.max(flood.lasts_for(KEPT, &server));
        assert_eq!(hans.ask("message luke hello"), "ok message luke stored");
        most
    });
    assert!(most <= 256 - 16, "{most} files");
    assert!(!server.log().contains("no connection can be taken"), "{}", server.log());
    let mut yoda = server.user("yoda");
    yoda.message("hello");
}
