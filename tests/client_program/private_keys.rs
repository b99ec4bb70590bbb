//! What others see of a private link between two real clients, and whose keys are taken.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use hobnob::client::Introduction;
use hobnob::shell::platform::TcpConnection;
use hobnob::shell::tunnel::Received;
use hobnob::shell::tunnel::between_clients::{PROOF_BYTES, Side};
use hobnob::wire::CALL_BYTES;
use hobnob::words::Token;
use serde_json::json;
use support::{Client, Connection, FakeServer};

use super::private_links::contact;

const ID: &str = "0123456789abcdef0123456789abcdef";
const ANOTHER: &str = "ed25519:CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws";

/// Two clients that have asked each other, and what they have declared.
struct Meeting {
    hans: Client,
    luke: Client,
    of_hans: Connection,
    of_luke: Connection,
    key_of_hans: String,
    key_of_luke: String,
    port_of_luke: u16,
}

impl Meeting {
    fn arrange(server: &FakeServer) -> Meeting {
        let start = |user: &str| {
            let mut program = server.client(&["--json", "--user", user]);
            program.answer("falcon");
            let connection = server.log_in(user);
            assert_eq!(program.skip_to("login")["ok"], true);
            (program, connection)
        };
        let ((hans, of_hans), (luke, of_luke)) = (start("hans"), start("luke"));
        let (key_of_hans, key_of_luke, port_of_luke) = (String::new(), String::new(), 0);
        let mut meeting = Meeting { hans, luke, of_hans, of_luke, key_of_hans, key_of_luke, port_of_luke };
        meeting.ask(1);
        meeting
    }

    /// Hans asks and Luke agrees, each with the command of this number.
    fn ask(&mut self, number: u64) {
        self.hans.say("startprivate luke");
        let command = format!("#{number} startprivate luke ");
        self.key_of_hans = contact(&hear_until(&mut self.of_hans, &command), &command).0;
        self.of_luke.say("request hans");
        self.luke.skip_to("private_request");
        self.luke.say("accept hans");
        let command = format!("#{number} accept hans ");
        let accepted = hear_until(&mut self.of_luke, &command);
        (self.key_of_luke, self.port_of_luke) = contact(&accepted, &command);
    }

    /// The server introduces them: only Hans is told where the other listens.
    fn introduce(&mut self, number: u64, key_of_luke: &str, port: u16) {
        let key_of_hans = &self.key_of_hans;
        self.of_luke.say(&format!("introduce hans accepter {ID} {key_of_hans}\nok #{number} accept hans"));
        self.of_hans.say(&format!(
            "introduce luke requester {ID} {key_of_luke} 127.0.0.1:{port}\nok #{number} startprivate luke"
        ));
    }
}

/// Skips to a line with this beginning.
fn hear_until(connection: &mut Connection, beginning: &str) -> String {
    loop {
        let line = connection.hear_command().expect("a command");
        if line.starts_with(beginning) {
            return line;
        }
    }
}

/// What was said on a connection: by the caller, and by the called side.
type Heard = [Arc<Mutex<Vec<u8>>>; 2];

/// Passes a connection on, and keeps what was said on it in both directions.
fn wiretap(port: u16) -> (u16, Heard) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let own = listener.local_addr().expect("an address").port();
    let heard = Heard::default();
    let kept = heard.clone();
    thread::spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            for (kept, (from, to)) in kept.iter().zip([(&near, &far), (&far, &near)]) {
                let (mut from, mut to) =
                    (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                let kept = Arc::clone(kept);
                thread::spawn(move || {
                    let mut chunk = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut chunk) {
                        kept.lock().expect("nobody panics").extend_from_slice(&chunk[..count]);
                        if to.write_all(&chunk[..count]).is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    (own, heard)
}

fn has(heard: &[u8], word: &str) -> bool {
    heard.windows(word.len()).any(|window| window == word.as_bytes())
}

/// R36, R37
#[test]
fn who_listens_on_the_way_reads_no_text_name_or_id() {
    let server = FakeServer::start();
    let mut meeting = Meeting::arrange(&server);
    let (port, heard) = wiretap(meeting.port_of_luke);
    let key = meeting.key_of_luke.clone();
    meeting.introduce(1, &key, port);
    meeting.hans.skip_to("private_opened");
    meeting.luke.skip_to("private_opened");
    meeting.hans.say("private luke kumquat");
    assert_eq!(meeting.luke.skip_to("message")["text"], "kumquat");
    meeting.luke.say("private hans persimmon");
    assert_eq!(meeting.hans.skip_to("message")["text"], "persimmon");
    // Both read the same code.
    meeting.hans.say("verify luke");
    meeting.luke.say("verify hans yes");
    let of_hans = meeting.hans.wait("a code", |object| object["command"] == "verify");
    let of_luke = meeting.luke.wait("a code", |object| object["command"] == "verify");
    assert_eq!((&of_hans["code"], &of_hans["verified"]), (&of_luke["code"], &json!(false)));
    assert_eq!(
        (of_luke["verified"].clone(), of_hans["code"].as_str().map(str::len)),
        (json!(true), Some(47))
    );
    let heard = heard.map(|side| side.lock().expect("nobody panics").clone()).concat();
    assert!(has(&heard, "hobnob-private 2 "), "the call");
    assert!(support::agrees_on_hybrid_keys(&heard), "the called side has answered with X25519MLKEM768");
    for word in ["kumquat", "persimmon", "hans", "luke", ID, "ready", "nominate", "opened", "text 1"] {
        assert!(!has(&heard, word), "{word} was said in the clear");
    }
}

/// Takes a call as somebody who does not know the introduction, and returns all that the caller says after it.
fn take_call(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().expect("a call");
    stream.read_exact(&mut [0; CALL_BYTES]).expect("its first line");
    let socket = TcpConnection::try_from(stream).expect("a socket");
    let guess = Introduction { id: Token([0; 16]), requester: "hans".into(), accepter: "luke".into() };
    let (_, mut tunnel) = Side::begin(false, guess).expect("a side");
    let (mut heard, mut chunk, mut has_answered) = (Vec::new(), [0; 4096], false);
    loop {
        let answer = if tunnel.is_open() && !has_answered { &[7; PROOF_BYTES][..] } else { &[] };
        has_answered |= tunnel.is_open();
        let said = tunnel.write(answer, &socket).map(drop);
        match said.and_then(|()| tunnel.read(&socket, &mut chunk)) {
            Ok(Received::Bytes(bytes)) => heard.extend_from_slice(&bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
            Ok(Received::End | Received::Cut) | Err(_) => break,
        }
    }
    assert!(has_answered, "the handshake was done");
    heard
}

/// R36: who has not proved to know the introduction learns no key.
#[test]
fn whoever_listens_at_a_dialled_address_learns_nothing() {
    let server = FakeServer::start();
    let mut meeting = Meeting::arrange(&server);
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let (key, port) = (meeting.key_of_luke.clone(), listener.local_addr().expect("an address").port());
    meeting.introduce(1, &key, port);
    assert_eq!(take_call(&listener), b"", "what the caller says");
}

/// R36: the server has told another key than the one that the other side has.
#[test]
fn a_key_that_the_server_has_swapped_opens_nothing() {
    let server = FakeServer::start();
    let mut meeting = Meeting::arrange(&server);
    let port = meeting.port_of_luke;
    meeting.introduce(1, ANOTHER, port);
    let result = meeting.hans.wait("a result", |object| object["command"] == "startprivate");
    assert_eq!((&result["ok"], &result["error"]), (&json!(false), &json!("unreachable")));
    let result = meeting.luke.wait("a result", |object| object["command"] == "accept");
    assert_eq!((&result["ok"], &result["error"]), (&json!(false), &json!("unreachable")));
}

/// Says the bytes to a port; returns what is answered.
fn replay(bytes: &[u8], port: u16) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    // It may be reset before all is said.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// R36, R37: with the recorded bytes of a conversation a stranger gets nothing shown, and not one byte.
#[test]
fn recorded_bytes_and_an_old_introduction_open_nothing() {
    let server = FakeServer::start();
    let mut meeting = Meeting::arrange(&server);
    let (port, heard) = wiretap(meeting.port_of_luke);
    let key = meeting.key_of_luke.clone();
    meeting.introduce(1, &key, port);
    meeting.hans.skip_to("private_opened");
    meeting.luke.skip_to("private_opened");
    meeting.hans.say("private luke kumquat");
    assert_eq!(meeting.luke.skip_to("message")["text"], "kumquat");
    let recorded = heard[0].lock().expect("nobody panics").clone();
    meeting.hans.say("stopprivate luke");
    meeting.luke.skip_to("private_closed");
    meeting.hans.skip_to("private_closed");

    // They ask each other again, so that a port is open; the server introduces them by another id, and then falsely by
    // the one of before.
    for (number, id, text) in [(2, ID.replace('0', "f"), "persimmon"), (3, ID.to_owned(), "tamarind")] {
        meeting.ask(number);
        let (key_of_hans, key_of_luke) = (&meeting.key_of_hans, &meeting.key_of_luke);
        let port = meeting.port_of_luke;
        meeting.of_luke.say(&format!("introduce hans accepter {id} {key_of_hans}\nok #{number} accept hans"));
        for bytes in [&recorded[..CALL_BYTES], &recorded] {
            let answer = replay(bytes, port);
            assert!(answer.is_empty() || id == ID, "a stranger hears {answer:?}");
        }
        let command = format!("ok #{number} startprivate luke");
        meeting
            .of_hans
            .say(&format!("introduce luke requester {id} {key_of_luke} 127.0.0.1:{port}\n{command}"));
        meeting.luke.skip_to("private_opened");
        meeting.hans.skip_to("private_opened");
        meeting.hans.say(&format!("private luke {text}"));
        assert_eq!(meeting.luke.skip_to("message")["text"], text, "the recorded text was not shown again");
        meeting.hans.say("stopprivate luke");
        meeting.luke.skip_to("private_closed");
        meeting.hans.skip_to("private_closed");
    }
    let shown = |kind| (meeting.luke.shown(kind).len(), meeting.hans.shown(kind).len());
    assert_eq!((shown("message"), shown("private_opened")), ((3, 0), (3, 3)));
}

/// R36
#[test]
fn another_key_of_a_known_user_is_taken_only_when_it_is_trusted() {
    let server = FakeServer::start();
    let mut meeting = Meeting::arrange(&server);
    let (key, port) = (meeting.key_of_luke.clone(), meeting.port_of_luke);
    meeting.introduce(1, &key, port);
    meeting.hans.skip_to("private_opened");
    meeting.luke.skip_to("private_opened");
    meeting.hans.say("stopprivate luke");
    meeting.luke.skip_to("private_closed");
    meeting.hans.say("startprivate luke");
    while !meeting.of_hans.hear_command().expect("a command").starts_with("#2 startprivate luke ed25519:") {}
    let introduction =
        format!("introduce luke requester {} {ANOTHER} 127.0.0.1:{port}", ID.replace('0', "f"));
    meeting.of_hans.say(&format!("{introduction}\nok #2 startprivate luke"));
    let result = meeting.hans.wait("a result", |object| object["error"] == "key_changed");
    assert_eq!((&result["command"], &result["ok"]), (&json!("startprivate"), &json!(false)));
    meeting.hans.say("trust luke");
    let result = meeting.hans.wait("a result", |object| object["command"] == "trust");
    assert_eq!((&result["ok"], &result["user"]), (&json!(true), &json!("luke")));
}
