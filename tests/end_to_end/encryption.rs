//! Whom the client trusts: first use, a changed key, plain answers, authorities, `trust`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread::{self, JoinHandle};

use serde_json::Value;
use support::{Cable, Client, Place, Server, password};

fn server() -> Server {
    Server::start_in(Place::samples().encrypted(), &[])
}

/// A client that comes by this port, with this state folder.
fn client(place: &Place, port: u16, state: &Path, options: &[&str]) -> Client {
    let state = state.to_str().expect("UTF-8");
    Client::start(place, port, &[&["--json", "--state", state], options].concat())
}

/// The `connection` object of a client that logs in as hans and out again.
fn visit(place: &Place, port: u16, state: &Path, options: &[&str]) -> Value {
    let mut hans = client(place, port, state, options);
    let connection = hans.skip_to("connection");
    hans.log_in("hans", password("hans"));
    hans.log_out();
    connection
}

/// What a client says that ends before there is any session, and its exit code.
fn turned_away(place: &Place, port: u16, state: &Path, options: &[&str]) -> (i32, String) {
    let mut client = client(place, port, state, options);
    let code = client.ended();
    let asked = client.count(|object| object["type"] != "connection");
    assert_eq!(asked, 0, "nobody is asked for anything");
    (code, client.diagnostic())
}

/// The exit code of a program without any output, and what it said.
fn told(output: &Output) -> (i32, String) {
    assert!(output.stdout.is_empty(), "{output:?}");
    (output.status.code().expect("a code"), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn trust(place: &Place, port: u16, state: &Path, options: &[&str]) -> Output {
    let server = format!("127.0.0.1:{port}");
    let state = state.to_str().expect("UTF-8");
    place.run_client(&[&["trust", &server, "--state", state], options].concat())
}

/// Forgets the key of a server, which makes another one.
fn change_key(server: &mut Server) {
    assert_eq!(server.stop().code, Some(0));
    fs::remove_file(server.place.data().join("server-key.pem")).expect("a key");
    let before = server.fingerprint.clone();
    server.start_again();
    assert_ne!(server.fingerprint, before);
}

/// Answers the next who connects with these bytes, and takes what they say.
fn answering(bytes: &'static [u8]) -> (u16, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let answering = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        stream.write_all(bytes).expect("written");
        let mut heard = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut heard);
        heard
    });
    (port, answering)
}

/// Puts the pin of a server where that of another port is looked for.
fn pin_for(state: &Path, from: u16, to: u16) {
    let pin = |port: u16| state.join("pins").join(format!("127.0.0.1_{port}"));
    fs::copy(pin(from), pin(to)).expect("a pin");
}

#[test]
fn the_first_key_is_pinned_and_shown_once() {
    let server = server();
    let state = server.place.fresh_state();
    let first = visit(&server.place, server.port, &state, &[]);
    assert_eq!(
        (&first["fingerprint"], &first["first_use"]),
        (&server.fingerprint.clone().into(), &true.into())
    );
    let pin = state.join("pins").join(format!("127.0.0.1_{}", server.port));
    assert_eq!(fs::read_to_string(&pin).expect("a pin"), format!("{}\n", server.fingerprint));
    assert_eq!(fs::metadata(&pin).expect("a pin").permissions().mode() & 0o777, 0o600);
    let second = visit(&server.place, server.port, &state, &[]);
    assert_eq!(second["fingerprint"], server.fingerprint.as_str());
    assert!(second.get("first_use").is_none(), "{second}");
}

/// A file where the folder should be stops root as well.
#[test]
fn without_a_place_for_its_key_a_server_is_told_nothing() {
    let server = server();
    let state = server.place.fresh_state();
    fs::create_dir_all(server.place.states()).expect("a folder");
    fs::write(&state, "").expect("a file");
    let pins = state.join("pins").display().to_string();
    server.place.write("password", "falcon\n");
    let password = server.place.path("password").display().to_string();
    let send = ["send", "--user", "hans", "--password-file", &password, "--state"];
    let address = format!("127.0.0.1:{}", server.port);
    let sent = server.place.run_client(
        &[&send[..], &[state.to_str().expect("UTF-8"), "--server", &address, "yoda", "hi"]].concat(),
    );
    for (code, said) in [
        turned_away(&server.place, server.port, &state, &[]),
        turned_away(&server.place, server.port, &state, &["--reconnect", "60"]),
        told(&trust(&server.place, server.port, &state, &[])),
        told(&sent),
    ] {
        assert_eq!(code, 1, "{said}");
        let why = format!("{address}: its key cannot be kept: {pins}");
        assert!(said.contains(&why) && said.contains("--state"), "{said}");
        assert!(!said.contains("cannot reach"), "it was reached: {said}");
    }
    fs::remove_file(&state).expect("removed");
    assert_eq!(visit(&server.place, server.port, &state, &[])["first_use"], true);
}

#[test]
fn a_pin_that_cannot_be_read_is_no_server_that_cannot_be_reached() {
    let server = server();
    let state = server.place.fresh_state();
    visit(&server.place, server.port, &state, &[]);
    let pin = state.join("pins").join(format!("127.0.0.1_{}", server.port));
    fs::write(&pin, "SHA256:nothing\n").expect("damaged");
    let (code, said) = turned_away(&server.place, server.port, &state, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains(&format!("the key that it is known by cannot be read: {}", pin.display())),
        "{said}"
    );
}

#[test]
fn people_see_the_first_key_on_standard_error() {
    let server = server();
    let mut hans = server.plain(&[]);
    hans.answer("hans");
    hans.answer(password("hans"));
    hans.shows("Welcome, hans!");
    let said = hans.diagnostic();
    assert!(said.contains(&server.fingerprint), "{said}");
    assert_eq!(hans.end().0, 0);
}

#[test]
fn the_key_stays_over_a_restart_and_a_changed_one_is_a_hard_stop() {
    let mut server = server();
    let state = server.place.fresh_state();
    visit(&server.place, server.port, &state, &[]);
    let before = server.fingerprint.clone();
    server.restart();
    assert_eq!(server.fingerprint, before);
    visit(&server.place, server.port, &state, &[]);
    change_key(&mut server);
    let (code, said) = turned_away(&server.place, server.port, &state, &[]);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains(&before) && said.contains(&server.fingerprint), "{said}");
    assert!(said.contains("hobnob trust 127.0.0.1:"), "{said}");
    // Nothing has changed by that, and one word does.
    assert_eq!(turned_away(&server.place, server.port, &state, &[]).0, 6);
    let trusted = trust(&server.place, server.port, &state, &[]);
    assert_eq!(trusted.status.code(), Some(0));
    let line = format!("127.0.0.1:{} {}\n", server.port, server.fingerprint);
    assert_eq!(String::from_utf8_lossy(&trusted.stdout), line);
    assert!(String::from_utf8_lossy(&trusted.stderr).contains(&before));
    assert!(visit(&server.place, server.port, &state, &[]).get("first_use").is_none());
}

#[test]
fn a_key_that_changes_under_a_session_ends_it() {
    let mut server = server();
    let state = server.place.fresh_state();
    let mut hans = client(&server.place, server.port, &state, &[]);
    hans.log_in("hans", password("hans"));
    assert_eq!(server.kill().code, None);
    fs::remove_file(server.place.data().join("server-key.pem")).expect("a key");
    let before = server.fingerprint.clone();
    server.start_again();
    assert_eq!(hans.skip_to("bye")["reason"], "connection_lost");
    let (code, said) = (hans.ended(), hans.diagnostic());
    assert_eq!(code, 6, "{said}");
    assert!(said.contains(&before) && said.contains(&server.fingerprint), "{said}");
}

#[test]
fn a_session_is_resumed_over_tls() {
    let server = server();
    let cable = Cable::to(server.port);
    let state = server.place.fresh_state();
    let mut hans = client(&server.place, cable.port, &state, &[]);
    hans.log_in("hans", password("hans"));
    let mut yoda = server.user("yoda");
    for round in 0..3 {
        cable.cut();
        let resumed = loop {
            let connection = hans.skip_to("connection");
            if connection["state"] == "resumed" {
                break connection;
            }
            assert!(connection.get("fingerprint").is_none(), "{connection}");
        };
        assert_eq!(resumed["fingerprint"], server.fingerprint.as_str());
        yoda.ok(&format!("message hans {round}"));
        hans.message(&round.to_string());
    }
    hans.log_out();
}

#[test]
fn whoever_is_known_by_a_key_is_not_spoken_to_without() {
    let server = server();
    let state = server.place.fresh_state();
    visit(&server.place, server.port, &state, &[]);
    // By the user's own word.
    let (code, said) = turned_away(&server.place, server.port, &state, &["--plaintext"]);
    assert!(code == 6 && said.contains(&server.fingerprint), "{code} {said}");
    // By the answer of somebody else, in plain, in TLS 1.2, or in nothing that is known.
    for bytes in
        [&b"hobnob 1 ack resume device alive away\n"[..], &TLS_1_2, b"HTTP/1.1 400 Bad Request\r\n\r\n"]
    {
        let (port, heard) = answering(bytes);
        pin_for(&state, server.port, port);
        let (code, said) = turned_away(&server.place, port, &state, &[]);
        assert!(code == 6 && said.contains(&server.fingerprint), "{code} {said}");
        let heard = heard.join().expect("an end");
        assert!(heard.starts_with(&[0x16, 3]), "it was spoken to in TLS only");
        // Of one that was never known nothing is known.
        let (port, _) = answering(bytes);
        let (code, said) = turned_away(&server.place, port, &server.place.fresh_state(), &[]);
        assert!(code == 3 && said.contains("TLS 1.3") && said.contains("--plaintext"), "{code} {said}");
    }
}

/// A `ServerHello` of TLS 1.2: its head, a random number, no session, a suite of TLS 1.2, no compression.
const TLS_1_2: [u8; 47] = {
    let mut hello = [7; 47];
    let head = [0x16, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3];
    let mut at = 0;
    while at < head.len() {
        hello[at] = head[at];
        at += 1;
    }
    (hello[43], hello[44], hello[45], hello[46]) = (0, 0xc0, 0x2f, 0);
    hello
};

#[test]
fn a_plain_client_hears_that_the_server_wants_tls_and_a_server_without_that_it_has_none() {
    let encrypted = server();
    let (code, said) =
        turned_away(&encrypted.place, encrypted.port, &encrypted.place.fresh_state(), &["--plaintext"]);
    assert!(code == 3 && said.contains("TLS"), "{code} {said}");
    let plain = Server::start(&[]);
    // A place with TLS, whose clients are not told `--plaintext`.
    let (code, said) = turned_away(&encrypted.place, plain.port, &encrypted.place.fresh_state(), &[]);
    assert!(code == 3 && said.contains("--plaintext"), "{code} {said}");
}

#[test]
fn a_fingerprint_that_is_given_is_the_only_one() {
    let server = server();
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let right = server.fingerprint.clone();
    let state = server.place.fresh_state();
    let connection = visit(&server.place, server.port, &state, &["--fingerprint", &right]);
    assert!(connection.get("first_use").is_none(), "it was not used to find out: {connection}");
    let (code, said) = turned_away(&server.place, server.port, &state, &["--fingerprint", other]);
    assert!(code == 6 && said.contains(other) && said.contains(&right), "{code} {said}");
    assert_eq!(trust(&server.place, server.port, &state, &["--fingerprint", other]).status.code(), Some(6));
    assert_eq!(trust(&server.place, server.port, &state, &["--fingerprint", &right]).status.code(), Some(0));
    assert!(visit(&server.place, server.port, &state, &[]).get("first_use").is_none());
    let unreachable = trust(&server.place, support::free_port(), &state, &[]);
    assert_eq!(unreachable.status.code(), Some(3));
}

/// An authority, and a certificate of it for a name, in files of the place.
fn certificate(place: &Place, name: &str) -> (PathBuf, rcgen::CertifiedIssuer<'static, rcgen::KeyPair>) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = rcgen::KeyPair::generate().expect("a key");
    let authority = rcgen::CertifiedIssuer::self_signed(params, authority).expect("an authority");
    place.write("ca.pem", authority.pem());
    sign(place, name, &authority);
    (place.path("ca.pem"), authority)
}

fn sign(place: &Place, name: &str, authority: &rcgen::CertifiedIssuer<'static, rcgen::KeyPair>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new([name.to_owned()]).expect("a name");
    place.write("cert.pem", params.signed_by(&key, authority).expect("a certificate").pem());
    place.write("key.pem", key.serialize_pem());
}

#[test]
fn the_operators_own_certificate_is_shown_and_read_again() {
    let place = Place::samples().encrypted();
    let (ca, authority) = certificate(&place, "127.0.0.1");
    let settings = ["tls_cert=cert.pem", "tls_key=key.pem"];
    let server = Server::start_in(place, &settings);
    assert!(!server.place.data().join("server-key.pem").exists(), "none is made");
    let ca = ca.to_str().expect("UTF-8");
    let state = server.place.fresh_state();
    let first = visit(&server.place, server.port, &state, &["--ca", ca]);
    assert_eq!(first["fingerprint"], server.fingerprint.as_str());
    assert!(first.get("first_use").is_none(), "nothing is pinned: {first}");
    // Another certificate of the same authority, on a new key.
    sign(&server.place, "127.0.0.1", &authority);
    server.reload();
    let second = visit(&server.place, server.port, &state, &["--ca", ca]);
    assert_ne!(second["fingerprint"], first["fingerprint"]);
    server.logs("the key of this server is another one now", 1);
    // One for another name is not good, nor is one that does not fit its key; that one changes nothing.
    sign(&server.place, "192.0.2.1", &authority);
    server.reload();
    let (code, said) = turned_away(&server.place, server.port, &state, &["--ca", ca]);
    assert!(code == 6 && said.contains("certificate"), "{code} {said}");
    let shown = visit(&server.place, server.port, &server.place.fresh_state(), &[]);
    server.place.write("key.pem", rcgen::KeyPair::generate().expect("a key").serialize_pem());
    server.signal(rustix::process::Signal::HUP);
    server.logs("nothing was changed: ", 1);
    let again = visit(&server.place, server.port, &server.place.fresh_state(), &[]);
    assert_eq!(again["fingerprint"], shown["fingerprint"]);
}

#[test]
fn a_certificate_that_cannot_be_used_keeps_the_server_from_starting() {
    let place = Place::samples();
    certificate(&place, "127.0.0.1");
    place.write("other.pem", rcgen::KeyPair::generate().expect("a key").serialize_pem());
    for (settings, named) in [
        (&["tls_cert=cert.pem"][..], "tls_key"),
        (&["tls_cert=cert.pem", "tls_key=missing.pem"], "missing.pem"),
        (&["tls_cert=key.pem", "tls_key=key.pem"], "key.pem"),
        (&["tls_cert=cert.pem", "tls_key=other.pem"], "cert.pem"),
    ] {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let words: Vec<&str> = ["0"].into_iter().chain(set).collect();
        let output = place.run_server(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(named) && output.stdout.is_empty(), "{words:?}: {said}");
    }
    fs::create_dir(place.data()).expect("a folder");
    place.write("hobnob-data/server-key.pem", "no key");
    let output = place.run_server(&["0"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("server-key.pem"), "{said}");
}
