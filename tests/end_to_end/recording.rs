//! `--record FILE` and `hobnob-server replay FILE`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::{Place, Server, Wire, password};

const MISTYPED: &str = "Hx7-mistyped-Qw3";
const IN_PLACE_OF_NAME: &str = "Zt9-instead-Lp2";
const OF_GUEST: &str = "Vb4-of-a-guest-Rm8";

fn place() -> Place {
    let place = Place::samples();
    let cheap = ["hash-credentials", "--set", "argon2_kib=8", "--set", "argon2_passes=1"];
    assert!(place.run_server(&cheap).status.success());
    place
}

fn recorded(place: &Place) -> Server {
    let file = place.path("case.rec");
    let file = file.to_str().expect("UTF-8").to_owned();
    Server::start_with(place.clone(), &["--record", &file, "--set", "resume_grace_secs=60"])
}

fn replay(place: &Place, file: &str, words: &[&str]) -> Output {
    let file = place.path(file);
    place.run_server(&[&["replay", file.to_str().expect("UTF-8")], words].concat())
}

/// The events that come to the same again, and the summary.
fn assert_equal(place: &Place, file: &str) -> (Vec<Value>, Value) {
    let output = replay(place, file, &["--json"]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let mut objects: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let summary = objects.pop().expect("a summary");
    assert_eq!(output.status.code(), Some(0), "{stderr}{summary} {:?}", objects.last());
    assert_eq!((&summary["equal"], stderr.as_ref()), (&true.into(), ""));
    (objects, summary)
}

fn assert_holds_none(file: &Path, secrets: &[String]) {
    let recording = fs::read(file).expect("a recording");
    let holds = |bytes: &[u8]| recording.windows(bytes.len()).any(|window| window == bytes);
    for secret in secrets {
        assert!(!holds(secret.as_bytes()), "{secret} in {}", file.display());
        // The bytes that the digits of a token stand for.
        let digits = secret
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        if let Some(bytes) = digits.collect::<Option<Vec<u8>>>() {
            assert!(!holds(&bytes), "the bytes of {secret} in {}", file.display());
        }
    }
}

/// The token and the cookie that a bare client is given.
fn log_in(wire: &mut Wire, name: &str) -> [String; 2] {
    wire.say("hello 1 ack resume device");
    let welcome = wire.log_in(name, password(name));
    let token = welcome.rsplit(' ').next().expect("a word").to_owned();
    let cookie = wire.skip_to("device ").replacen("device ", "", 1);
    assert!(token.len() == 32 && cookie.len() == 32);
    [token, cookie]
}

/// Passwords that are wrong, mistyped, and typed in the wrong place.
fn err(server: &Server) {
    let mut wire = server.wire();
    wire.ask(&format!("lgoin hans {MISTYPED}"));
    wire.ask(MISTYPED);
    wire.ask(&format!("login hans {MISTYPED}"));
    wire.ask(&format!("login {IN_PLACE_OF_NAME} hans"));
    // In pieces: what is secret in the first only the last can tell.
    wire.send(format!("login hans {}", &MISTYPED[..6]).as_bytes());
    let mut other = server.wire();
    assert_eq!(other.asks("whoelse"), "ask username");
    wire.send(format!("{}\n", &MISTYPED[6..]).as_bytes());
    wire.answer();
    // A line that never ends.
    other.send(format!("login hans {MISTYPED}").as_bytes());
}

fn code_of_invite(server: &Server) -> String {
    let output = server.place.run_server(&["invite", "rey"]);
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let (_, code) = said.split_once('/').expect("a code");
    code.chars().take(32).collect()
}

#[test]
fn a_recording_comes_to_the_same_again_and_holds_no_secret() {
    let place = place();
    let mut server = recorded(&place);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.ok("create group crew yoda");
    yoda.ok("message group crew hello you");
    hans.ok("message luke for later");
    hans.ok("broadcast to all");
    err(&server);
    let mut luke = server.wire();
    let mut secrets = log_in(&mut luke, "luke").to_vec();
    luke.skip_to("message");
    drop(luke);
    let mut luke = server.wire();
    luke.say("hello 1 ack resume device");
    assert!(luke.asks(&format!("resume luke {}", secrets[0])).starts_with("resumed luke "));
    let code = code_of_invite(&server);
    let mut rey = server.wire();
    rey.ask(&format!("invite {code}"));
    assert!(rey.ask(&format!("register rey {OF_GUEST}")).starts_with("welcome rey"));
    // Tokens, cookies and the code of before are shown to the next start, which has a recording of its own.
    server.start_anew();
    hans.wait("the server", |object| object["state"] == "resumed");
    let mut luke = server.wire();
    luke.say("hello 1 ack resume device");
    assert!(luke.asks(&format!("resume luke {}", secrets[0])).starts_with("resumed luke "));
    let mut vader = server.wire();
    vader.say(&format!("device {}", secrets[1]));
    vader.ask("login luke wrong");
    hans.ok("message yoda again");
    yoda.message("again");
    assert_eq!(server.stop().code, Some(0));
    secrets.extend([code, MISTYPED.into(), IN_PLACE_OF_NAME.into(), OF_GUEST.into()]);
    secrets.extend(["hans", "yoda", "luke"].map(|user| password(user).to_owned()));
    let credentials = place.read("credentials.txt");
    let hashes = credentials.lines().filter_map(|line| line.split_once("$argon2id"));
    secrets
        .extend(hashes.flat_map(|(_, hash)| hash.rsplit('$').take(2).map(str::to_owned).collect::<Vec<_>>()));
    for (name, texts) in [("case.rec", &["hello you", "for later"][..]), ("case.rec.2", &["again"])] {
        let (events, summary) = assert_equal(&place, name);
        assert!(events.len() > 10 && summary["end"] == "the server stopped", "{summary}");
        let file = place.path(name);
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_holds_none(&file, &secrets);
        let shown = format!("{events:?}");
        assert!(texts.iter().all(|text| shown.contains(text)), "texts are in it, and the manual says so");
        assert!(shown.contains("resumed luke"), "the token resumes in the replay, too");
    }
}

#[test]
fn a_killed_server_leaves_a_recording_up_to_its_end() {
    let place = place();
    let mut server = recorded(&place);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    for number in 0..200 {
        hans.say(&format!("message yoda number {number}"));
    }
    yoda.message("number 150");
    // Written by a thread of its own, a little later.
    let holds = |text: &str| {
        let recording = fs::read(place.path("case.rec")).expect("a recording");
        recording.windows(text.len()).any(|window| window == text.as_bytes())
    };
    while !holds("number 100") {
        std::thread::yield_now();
    }
    server.kill();
    let (events, summary) = assert_equal(&place, "case.rec");
    assert_eq!(summary["end"], "it was cut: the server was killed, or still runs");
    assert!(format!("{events:?}").contains("number 100"));
    let whole = fs::read(place.path("case.rec")).expect("a recording");
    place.write("case.cut", &whole[..whole.len() - 5]);
    assert_equal(&place, "case.cut");
    let said = String::from_utf8(replay(&place, "case.rec", &["--from", "3", "--count", "2"]).stdout);
    let said = said.expect("UTF-8");
    let numbers: Vec<&str> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(numbers[..2], ["3", "4"], "{said}");
    assert_eq!(numbers.len(), 3, "{said}");
}

#[test]
fn the_first_event_that_differs_is_named() {
    let place = place();
    let mut server = recorded(&place);
    let mut hans = server.user("hans");
    hans.ok("message luke something");
    hans.log_out();
    server.stop();
    let mut recording = fs::read(place.path("case.rec")).expect("a recording");
    let at = recording.windows(9).position(|window| window == b"something").expect("the text");
    recording[at..at + 9].copy_from_slice(b"otherwise");
    place.write("changed.rec", &recording);
    let output = replay(&place, "changed.rec", &["--count", "0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("led to other effects"), "{said}");
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_said() {
    let place = place();
    place.write("taken.rec", "kept");
    symlink(place.path("elsewhere"), place.path("link.rec")).expect("a link");
    for (name, why) in
        [("taken.rec", "exists already"), ("link.rec", "link.rec"), ("no/such/folder.rec", "No such file")]
    {
        let file = place.path(name);
        let file = file.to_str().expect("UTF-8");
        let output = place.run_server(&["0", "--plaintext", "--record", file]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("cannot record to") && said.contains(name) && said.contains(why), "{said}");
    }
    assert_eq!(place.read("taken.rec"), "kept");
    assert!(!place.path("elsewhere").exists());
    for (name, why) in [("taken.rec", "no recording"), ("missing.rec", "No such file")] {
        let output = replay(&place, name, &[]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(why) && said.contains(name), "{said}");
    }
}
