//! The private port of a client, and those who come to it uninvited.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use support::{Client, PATIENCE, Server};

/// Where strangers come from: an address that no introduction names.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// Connections that a flood keeps open.
const KEPT: usize = 200;

#[test]
fn the_port_is_open_while_somebody_is_expected() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    assert_eq!((ports(&hans), ports(&yoda)), (vec![], vec![]));
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    assert_eq!((ports(&hans).len(), ports(&yoda).len()), (1, 0));
    yoda.ok("decline hans");
    hans.result_of(line);
    closes(&hans);
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    yoda.ok("accept hans");
    assert_eq!(hans.result_of(line)["ok"], true);
    closes(&hans);
    closes(&yoda);
    hans.ok("private yoda hi");
    yoda.message("hi");
}

#[test]
fn a_stranger_on_the_port_achieves_nothing() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    let [port] = ports(&hans)[..] else { panic!("one port") };
    for text in [
        "",
        "hobnob-private 1 00112233445566778899aabbccddeeff hans yoda\nnominate\ntext 1 1700000000000000 false\n",
        "hobnob-private 1 00112233445566778899aabbccddeeff yoda hans\nnominate\ntext 1 1700000000000000 false\n",
        "text 1 1700000000000000 false\n",
        "\u{0}\u{0}GET / HTTP/1.0\r\n\r\n",
    ] {
        let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the port is open");
        let _ = stranger.write_all(text.as_bytes());
        let mut answer = Vec::new();
        let end = stranger.read_to_end(&mut answer).map_err(|error| error.kind());
        assert_eq!((answer, end), (vec![], Err(ErrorKind::ConnectionReset)), "{text:?}");
    }
    yoda.ok("accept hans");
    assert_eq!(hans.result_of(line)["ok"], true);
    hans.ok("private yoda undisturbed");
    yoda.message("undisturbed");
    yoda.has_not("a stranger's text", |object| object["text"] == "false");
    hans.has_not("a stranger's text", |object| object["text"] == "false");
}

#[test]
fn a_flood_on_the_port_keeps_nobody_from_messages_and_links() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    let files = open_files(&hans);
    for round in 0..3 {
        let line = hans.say("startprivate yoda");
        yoda.wait_for("private_request");
        let [port] = ports(&hans)[..] else { panic!("one port") };
        let flood = Flood::start(port);
        flood.wait_for(500);
        // Each message is shown while strangers come and go.
        for number in 0..100 {
            let text = format!("message {round} {number}");
            assert_eq!(luke.ok(&format!("message hans {text}"))["status"], "delivered");
            hans.message(&text);
            // Beside what it had: the port, four places, those told next and a link.
            let now = open_files(&hans);
            assert!(now <= files + 40, "{now} files, {files} before");
        }
        let before = flood.count();
        flood.wait_for(before + 200);
        yoda.ok("accept hans");
        assert_eq!(hans.result_of(line)["ok"], true);
        hans.ok("private yoda through the crowd");
        yoda.message("through the crowd");
        closes(&hans);
        flood.stop();
        hans.ok("stopprivate yoda");
        yoda.wait_for("private_closed");
    }
}

/// Somebody who connects to a port again and again and says nothing.
struct Flood {
    come: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Flood {
    fn start(port: u16) -> Flood {
        let (come, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&come), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut kept = VecDeque::new();
            while !end.load(Ordering::Relaxed) {
                kept.extend(stranger(port));
                count.fetch_add(1, Ordering::Relaxed);
                if kept.len() > KEPT {
                    kept.pop_front();
                }
            }
        });
        Flood { come, is_over, thread }
    }

    /// How many have come.
    fn count(&self) -> usize {
        self.come.load(Ordering::Relaxed)
    }

    fn wait_for(&self, count: usize) {
        let begun = Instant::now();
        while self.count() < count {
            assert!(begun.elapsed() < PATIENCE, "{} of {count} strangers", self.count());
            thread::yield_now();
        }
    }

    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the flood ends");
    }
}

fn stranger(port: u16) -> Option<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((ELSEWHERE, 0)).into()).ok()?;
    socket
        .connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into(), Duration::from_millis(100))
        .ok()?;
    Some(socket)
}

/// Waits until a client listens nowhere.
fn closes(client: &Client) {
    let begun = Instant::now();
    while !ports(client).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "the port stays open");
        thread::yield_now();
    }
}

fn open_files(client: &Client) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", client.id())).expect("its files").count()
}

/// The TCP ports that a process listens on.
fn ports(client: &Client) -> Vec<u16> {
    let id = client.id();
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{id}/fd"))
        .expect("its files")
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of connections");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "0A" && sockets.iter().any(|socket| socket == row[9]))
        .filter_map(|row| u16::from_str_radix(row[1].rsplit_once(':')?.1, 16).ok())
        .collect()
}
