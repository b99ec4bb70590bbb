//! A private conversation that begins on a relay and moves to a direct link (R69).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use support::{Client, PATIENCE, Server, Watched};

/// Copies one way until the source ends.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let mut chunk = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut chunk) {
            if to.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
        // The other side may have gone already.
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn both_ways(one: TcpStream, other: TcpStream) {
    pass(one.try_clone().expect("a stream"), other.try_clone().expect("a stream"));
    pass(other, one);
}

/// The only address at which hans is told that yoda is: whoever connects waits there until the way is free.
struct Detour {
    address: SocketAddr,
    /// Where yoda listens.
    to: Arc<OnceLock<SocketAddr>>,
    is_free: Arc<Watched<bool>>,
}

impl Detour {
    fn new() -> Detour {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (to, is_free) = (Arc::new(OnceLock::new()), Arc::new(Watched::new(false)));
        let detour = Detour { address, to: Arc::clone(&to), is_free: Arc::clone(&is_free) };
        thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let (to, is_free) = (Arc::clone(&to), Arc::clone(&is_free));
                thread::spawn(move || {
                    is_free.wait(|free| free.then_some(()));
                    let there = to.get().and_then(|to| TcpStream::connect(to).ok());
                    if let Some(there) = there {
                        both_ways(caller, there);
                    }
                });
            }
        });
        detour
    }

    fn opens(&self) {
        self.is_free.change(|free| *free = true);
    }
}

/// A server that tells hans of yoda at the detour only, and yoda of nowhere.
fn behind(server: &Server, detour: &Detour) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (server, to, address) = (server.port, Arc::clone(&detour.to), detour.address);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(upstream) = TcpStream::connect(("127.0.0.1", server)) else { return };
            pass(client.try_clone().expect("a stream"), upstream.try_clone().expect("a stream"));
            let to = Arc::clone(&to);
            thread::spawn(move || {
                for line in BufReader::new(upstream).lines().map_while(Result::ok) {
                    let said = led_astray(&line, &to, address).unwrap_or(line);
                    if (&client).write_all(format!("{said}\n").as_bytes()).is_err() {
                        return;
                    }
                }
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}

fn led_astray(line: &str, to: &OnceLock<SocketAddr>, detour: SocketAddr) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let ["introduce", user, role, id, key, addresses @ ..] = words.as_slice() else { return None };
    let addresses: Vec<SocketAddr> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
    if *role == "accepter" {
        return Some(format!("introduce {user} {role} {id} {key}"));
    }
    let _ = to.set(*addresses.first().expect("an address"));
    Some(format!("introduce {user} {role} {id} {key} {detour}"))
}

fn log_in(server: &Server, port: u16, user: &str) -> Client {
    let mut client = Client::start(&server.place, port, &["--json"]);
    client.log_in(user, support::password(user));
    client
}

#[test]
fn a_conversation_leaves_the_relay_loses_nothing_and_outlives_the_server() {
    let mut server = Server::start(&[]);
    let detour = Detour::new();
    let port = behind(&server, &detour);
    let mut hans = log_in(&server, port, "hans");
    let mut yoda = log_in(&server, port, "yoda");
    let line = hans.say("startprivate yoda");
    assert_eq!(yoda.wait_for("private_request")["from"], "hans");
    yoda.ok("accept hans");
    assert_eq!(hans.result_of(line)["path"], "relayed");
    assert_eq!(yoda.wait_for("private_opened")["path"], "relayed");
    assert_eq!(hans.ok("private yoda first")["status"], "delivered");
    yoda.message("first");
    detour.opens();
    let (mut said, deadline) = (0, Instant::now() + PATIENCE);
    loop {
        let results =
            [hans.say(&format!("private yoda to {said}")), yoda.say(&format!("private hans fro {said}"))];
        yoda.message(&format!("to {said}"));
        hans.message(&format!("fro {said}"));
        for (client, line) in [&mut hans, &mut yoda].into_iter().zip(results) {
            assert_eq!(client.result_of(line)["status"], "delivered");
        }
        said += 1;
        assert!(Instant::now() < deadline, "still relayed after {said} texts\n{}", hans.history());
        if hans.ok("path yoda")["path"] == "direct" && yoda.ok("path hans")["path"] == "direct" {
            break;
        }
    }
    server.kill();
    assert_eq!(hans.ok("private yoda without the server")["status"], "delivered");
    yoda.message("without the server");
    yoda.ok("stopprivate hans");
    assert_eq!(hans.wait_for("private_closed")["reason"], "stopped");
    let shown = |client: &Client| client.shown("message").len();
    assert_eq!((shown(&yoda), shown(&hans)), (said + 2, said), "nothing is shown twice");
}
