//! Who comes to a server with TLS: other programs, strangers who waste its time, listeners on the way.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use support::{Cable, PATIENCE, Place, Server, password};

fn server(settings: &[&str]) -> Server {
    Server::start_in(Place::samples().encrypted(), settings)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// All that comes until the other side closes or resets.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    let end = stream.read_to_end(&mut heard).map_err(|error| error.kind());
    assert!(matches!(end, Ok(_) | Err(std::io::ErrorKind::ConnectionReset)), "{end:?}");
    heard
}

/// A `ClientHello` of TLS 1.2, without extensions.
fn tls_1_2() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0]].concat();
    let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[0x16, 3, 1, 0, message.len() as u8][..], &message].concat()
}

#[test]
fn what_is_no_tls_1_3_is_closed_and_hurts_nobody() {
    let server = server(&[]);
    let mut hans = server.user("hans");
    for said in [
        &b"login hans falcon\n"[..],
        b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 40],
        &[0xff; 20_000],
        // A record that says that it is longer than one may be, and an alert that nobody has asked for.
        &[0x16, 3, 1, 0xff, 0xff, 1],
        &[0x15, 3, 3, 0, 2, 2, 40],
    ] {
        let mut stream = connect(&server);
        // It may be closed before all of it is taken.
        let _ = stream.write_all(said);
        let heard = rest(&mut stream);
        assert!(!heard.windows(6).any(|part| part == b"hobnob"), "{said:?}: {heard:?}");
    }
    let mut stream = connect(&server);
    stream.write_all(&tls_1_2()).expect("written");
    assert_eq!(rest(&mut stream)[..6], [0x15, 3, 3, 0, 2, 2], "a fatal alert");
    assert_eq!(hans.ok("whoelse")["users"], serde_json::json!([]));
    hans.log_out();
}

#[test]
fn half_a_handshake_has_five_seconds() {
    let server = server(&[]);
    let mut silent = connect(&server);
    let mut half = connect(&server);
    half.write_all(&tls_1_2()[..30]).expect("written");
    let mut hans = server.user("hans");
    assert_eq!((rest(&mut silent), rest(&mut half)), (Vec::new(), Vec::new()));
    hans.ok("whoelse");
    hans.log_out();
}

/// Counted, not timed: of those who begin and go no further 8 stay, the oldest go, and each login gets in.
#[test]
fn floods_of_half_handshakes_push_out_themselves() {
    let server = server(&["handshakes_max=8", "unauthenticated_max=400"]);
    let (burst, bursts) = std::sync::mpsc::channel::<()>();
    let port = server.port;
    // So many at a time that they are not too many for those who are not logged in (R48).
    let flood = thread::spawn(move || {
        let hello = tls_1_2();
        let mut streams = std::collections::VecDeque::new();
        for () in bursts {
            for _ in 0..60 {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
                stream.write_all(&hello[..20]).expect("written");
                streams.push_front(stream);
                streams.truncate(40);
            }
        }
    });
    for _ in 0..20 {
        burst.send(()).expect("a flood");
        server.user("hans").log_out();
    }
    drop(burst);
    flood.join().expect("a flood");
    let mut first = connect(&server);
    first.write_all(&tls_1_2()[..20]).expect("written");
    let others: Vec<TcpStream> = (0..8)
        .map(|_| {
            let mut other = connect(&server);
            other.write_all(&tls_1_2()[..20]).expect("written");
            other
        })
        .collect();
    assert_eq!(rest(&mut first), b"", "the oldest gives up its place");
    drop(others);
}

#[test]
fn a_person_types_the_protocol_through_openssl() {
    let server = server(&[]);
    let mut command = Command::new("openssl");
    let address = format!("127.0.0.1:{}", server.port);
    command.args(["s_client", "-quiet", "-connect", &address, "-verify_return_error", "-CAfile"]);
    let certificate = server.place.data().join("server-certificate.pem");
    command.arg(&certificate).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut client) = command.spawn() else {
        eprintln!("skipped: typing through openssl: it is not installed");
        return;
    };
    let mut stdin = client.stdin.take().expect("its input");
    writeln!(stdin, "login hans {}\nwhoelse\nlogout", password("hans")).expect("typed");
    let mut shown = String::new();
    client.stdout.take().expect("its output").read_to_string(&mut shown).expect("text");
    assert!(client.wait().is_ok());
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], "hobnob 1 ack resume device alive courier away relay until");
    assert!(lines[1].starts_with("welcome hans unread 0 "), "{shown}");
    assert_eq!(lines[2..], ["ok whoelse 0", "ok logout", "bye logout"], "{shown}");
}

/// Passes bytes between the clients of a port and a server, and keeps them.
fn recorder(to: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
    let keeping = Arc::clone(&kept);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = TcpStream::connect(("127.0.0.1", to)).expect("connected");
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().expect("one"), to.try_clone().expect("one"));
                let kept = Arc::clone(&keeping);
                thread::spawn(move || {
                    let mut chunk = [0; 4_096];
                    while let Ok(count @ 1..) = from.read(&mut chunk) {
                        kept.lock().expect("not poisoned").extend(&chunk[..count]);
                        if to.write_all(&chunk[..count]).is_err() {
                            return;
                        }
                    }
                    let _ = to.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
    (port, kept)
}

/// A whole session of two: login, messages to one, to a group and to all, a private conversation that is relayed, a lost
/// connection and its return, logout. The relayed one is encrypted twice.
#[test]
fn whoever_listens_on_the_way_reads_no_name_no_password_and_no_text() {
    let server = server(&[]);
    let (port, kept) = recorder(server.port);
    let cable = Cable::to(port);
    let log_in = |port, name| {
        let mut client = support::Client::start(&server.place, port, &["--json", "--path", "relay"]);
        client.log_in(name, password(name));
        client
    };
    let (mut hans, mut yoda) = (log_in(cable.port, "hans"), log_in(port, "yoda"));
    hans.ok("message yoda a secret text for one");
    yoda.message("a secret text for one");
    yoda.ok("message hans a secret text back");
    hans.message("a secret text back");
    hans.ok("create group conspiracy yoda");
    hans.ok("message group conspiracy a secret text for some");
    yoda.ok("broadcast a secret text for all");
    yoda.ok("away a secret text why");
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    yoda.ok("accept hans");
    assert_eq!(hans.result_of(line)["path"], "relayed");
    hans.ok("private yoda a secret text that the server relays");
    yoda.message("a secret text that the server relays");
    hans.ok("stopprivate yoda");
    cable.cut();
    hans.wait("its return", |object| object["type"] == "connection" && object["state"] == "resumed");
    hans.ok("message yoda a secret text afterwards");
    yoda.message("a secret text afterwards");
    hans.log_out();
    yoda.log_out();
    let kept = kept.lock().expect("not poisoned");
    assert!(kept.len() > 4_000, "{}", kept.len());
    assert!(support::agrees_on_hybrid_keys(&kept), "the server has answered with X25519MLKEM768");
    let words =
        ["hans", "yoda", "secret text", "conspiracy", "message", "login", "welcome", "resume", "private"];
    for text in words.into_iter().chain(["hans", "yoda"].map(password)) {
        assert!(!kept.windows(text.len()).any(|part| part == text.as_bytes()), "{text}");
    }
}
