//! `hobnob send`, the real program against the real server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Client, Place, Server, password};

/// Where sends keep their token, and how they reach the server.
struct Sender {
    place: Place,
    port: u16,
}

impl Sender {
    /// Of hans.
    fn of(server: &Server) -> Sender {
        server.place.write("hans-password", format!("{}\n", password("hans")));
        Sender { place: server.place.clone(), port: server.port }
    }

    fn state(&self) -> String {
        self.place.path("send-state").to_string_lossy().into_owned()
    }

    fn send_with(&self, password: &[&str], words: &[&str], input: &str) -> Output {
        let mut command = self.place.client_command();
        command.arg("send").arg("--plaintext");
        command.args(["--server", &format!("127.0.0.1:{}", self.port), "--user", "hans"]);
        command.args(["--state", &self.state()]).args(password).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program runs");
        let mut stdin = child.stdin.take().expect("its input");
        // It may be over before it has read anything.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("its output")
    }

    fn send(&self, words: &[&str], input: &str) -> (i32, String) {
        let file = self.place.path("hans-password").to_string_lossy().into_owned();
        let output = self.send_with(&["--password-file", &file], words, input);
        (output.status.code().expect("a code"), text(&output.stdout))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_text_is_sent_beside_a_session_and_its_outcome_is_said_and_returned() {
    let server = Server::start(&[]);
    let (hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let sender = Sender::of(&server);
    assert_eq!(sender.send(&["yoda", "the", "disk is", "full"], ""), (0, "yoda: delivered\n".into()));
    assert_eq!(yoda.message("the disk is full")["from"], "hans");
    assert_eq!(sender.send(&["luke", "later"], ""), (0, "luke: stored\n".into()));
    assert_eq!(sender.send(&["--wait", "delivered", "luke", "later"], ""), (8, "luke: stored\n".into()));
    assert_eq!(sender.send(&["nobody", "hi"], ""), (7, "nobody: unknown_user\n".into()));
    assert_eq!(sender.send(&["--all", "hear"], ""), (0, "all: 1 reached\n".into()));
    assert_eq!(yoda.message("hear")["kind"], "broadcast");
    yoda.ok("create group jedi hans luke");
    let group = (0, "group jedi: 1 delivered, 1 stored, 0 refused\n".to_owned());
    assert_eq!(sender.send(&["--group", "jedi", "patience"], ""), group);
    assert_eq!(sender.send(&["--group", "sith", "x"], ""), (7, "group sith: unknown_group\n".into()));
    yoda.ok("block hans");
    assert_eq!(sender.send(&["yoda", "hi"], ""), (7, "yoda: blocked\n".into()));
    hans.log_out();
}

#[test]
fn standard_input_is_one_text_or_one_each_line() {
    let server = Server::start(&[]);
    let mut yoda = server.user("yoda");
    let sender = Sender::of(&server);
    assert_eq!(sender.send(&["yoda", "-"], "one\r\ntwo\n").0, 0);
    assert_eq!(sender.send(&["yoda"], "three\n").0, 0);
    assert_eq!(sender.send(&["--lines", "yoda"], "four\n\nfive\n").1, "yoda: delivered\nyoda: delivered\n");
    for text in ["one\ntwo", "three", "four", "five"] {
        yoda.message(text);
    }
    assert_eq!(sender.send(&["yoda"], "\n").0, 2);
    let long = "x".repeat(5_000);
    assert_eq!(sender.send(&["yoda", &long], ""), (7, "yoda: too_long\n".into()));
    let (code, objects) = sender.send(&["--json", "--lines", "yoda"], "six\nseven\n");
    let objects: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let delivered = |line| json!({"type": "result", "line": line, "command": "message", "ok": true, "to": "yoda", "status": "delivered"});
    assert_eq!((code, objects), (0, vec![delivered(1), delivered(2)]));
}

#[test]
fn a_token_spares_the_password_and_a_refused_password_is_tried_once() {
    let server = Server::start(&[]);
    let sender = Sender::of(&server);
    assert_eq!(sender.send_with(&[], &["yoda", "hi"], "").status.code(), Some(4), "there is neither");
    server.place.write("wrong", "sparrow\n");
    let wrong = server.place.path("wrong").to_string_lossy().into_owned();
    for _ in 0..5 {
        assert_eq!(
            sender.send_with(&["--password-file", &wrong], &["yoda", "hi"], "").status.code(),
            Some(4)
        );
    }
    // Five would have locked the name.
    assert_eq!(sender.send(&["yoda", "hi"], "").0, 0);
    let token = format!("send-state/127.0.0.1_{}/hans/courier", server.port);
    let mode = std::fs::metadata(server.place.path(&token)).expect("is kept").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(sender.send_with(&[], &["yoda", "hi"], "").status.code(), Some(0), "the token lets it in");
    server.place.write("credentials.txt", "hans other\nyoda x\n");
    server.reload();
    assert_eq!(
        sender.send_with(&[], &["yoda", "hi"], "").status.code(),
        Some(4),
        "it has gone with the password"
    );
    server.place.write("hans-password", "other\n");
    assert_eq!(sender.send(&["yoda", "hi"], "").0, 0);
}

#[test]
fn what_has_an_id_is_sent_once_however_often_it_is_repeated() {
    let mut server = Server::start(&[]);
    let mut yoda = server.user("yoda");
    let sender = Sender::of(&server);
    for _ in 0..3 {
        let words = ["--id", "backup-2026-11-23", "yoda", "the backup has failed"];
        assert_eq!(sender.send(&words, ""), (0, "yoda: delivered\n".into()));
    }
    yoda.message("the backup has failed");
    let other = ["--id", "backup-2026-11-23", "yoda", "the backup is late"];
    assert_eq!(sender.send(&other, ""), (7, "yoda: usage\n".into()));
    for input in ["one\ntwo\n", "one\ntwo\nthree\n"] {
        assert_eq!(sender.send(&["--id", "report", "--lines", "luke"], input).0, 0);
    }
    // A refusal is remembered as well, and so is all over a kill of the server.
    assert_eq!(sender.send(&["--id", "typo", "lukas", "hi"], "").0, 7);
    server.kill();
    server.start_again();
    assert_eq!(sender.send(&["--id", "backup-2026-11-23", "yoda", "the backup has failed"], "").0, 0);
    assert_eq!(sender.send(&["--id", "report", "--lines", "luke"], "one\ntwo\n").0, 0);
    let mut luke = server.user("luke");
    for text in ["one", "two", "three"] {
        luke.message(text);
    }
    assert_eq!(sender.send(&["luke", "last"], "").0, 0);
    luke.message("last");
    assert_eq!(all_of(&luke), ["one", "two", "three", "last"]);
    assert_eq!(sender.send(&["yoda", "last"], "").0, 0);
    yoda.message("last");
    assert_eq!(all_of(&yoda), ["the backup has failed", "last"]);
}

#[test]
fn a_server_that_is_not_there_is_3_and_what_makes_no_sense_is_2() {
    let mut server = Server::start(&[]);
    let sender = Sender::of(&server);
    for words in
        [&["yoda"][..], &["group", "x"], &["--group", "a", "--all", "x"], &["--wait", "x", "yoda", "x"]]
    {
        assert_eq!(sender.send(words, "").0, 2, "{words:?}");
    }
    server.stop();
    assert_eq!(sender.send(&["yoda", "hi"], "").0, 3);
}

/// How many texts each of 20 loops sends, and how often the server is killed meanwhile.
fn size_of_the_storm() -> (usize, usize) {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    (
        number("HOBNOB_SENDS").map_or(4, |sends: usize| sends.div_ceil(20)),
        number("HOBNOB_SEND_KILLS").unwrap_or(2),
    )
}

/// Sends a text; one with an id again and again until it is known what became of it, as cron does.
fn send_once(sender: &Sender, text: &str, with_id: bool) -> i32 {
    if !with_id {
        return sender.send(&["--timeout", "20", "yoda", text], "").0;
    }
    loop {
        let code = sender.send(&["--id", text, "--timeout", "20", "yoda", text], "").0;
        if ![3, 8].contains(&code) {
            return code;
        }
    }
}

#[test]
fn every_exit_code_is_true_while_the_server_is_killed() {
    let (sends, kills) = size_of_the_storm();
    let mut server = Server::start(&["courier_max=32", "timeout=0"]);
    let _standing = server.user("hans");
    let yoda = server.user("yoda");
    let sender = Arc::new(Sender::of(&server));
    assert_eq!(sender.send(&["luke", "a token for all"], "").0, 0);
    let codes: Arc<Mutex<BTreeMap<String, i32>>> = Arc::default();
    let loops: Vec<_> = (0..20)
        .map(|at| {
            let (sender, codes) = (Arc::clone(&sender), Arc::clone(&codes));
            thread::spawn(move || {
                for number in 0..sends {
                    let text = format!("{at}-{number}");
                    let code = send_once(&sender, &text, number % 2 == 1);
                    codes.lock().expect("codes").insert(text, code);
                }
            })
        })
        .collect();
    for round in 1..=kills {
        let enough = 20 * sends * round / (kills + 1);
        while codes.lock().expect("codes").len() < enough {
            thread::sleep(Duration::from_millis(1));
        }
        server.kill();
        server.start_again();
    }
    loops.into_iter().for_each(|one| one.join().expect("a loop ends"));
    let codes = codes.lock().expect("codes");
    let promised: BTreeSet<&str> = of_code(&codes, 0).collect();
    let shown = yoda.output().wait(|shown| {
        let all: Vec<String> = texts(&shown.values);
        promised.iter().all(|text| all.iter().any(|shown| shown == text)).then_some(all)
    });
    let shown = shown.expect("all that was promised is shown");
    let once: BTreeSet<&String> = shown.iter().collect();
    assert_eq!(once.len(), shown.len(), "a text was shown twice");
    for unsent in of_code(&codes, 3).chain(of_code(&codes, 7)) {
        assert!(!shown.iter().any(|text| text == unsent), "{unsent} was not sent, and was shown");
    }
    assert!(codes.values().all(|code| [0, 3, 8].contains(code)), "{codes:?}");
    assert!(!promised.is_empty() && codes.len() == 20 * sends);
    eprintln!(
        "{} sent, {} not sent, {} not known",
        promised.len(),
        of_code(&codes, 3).count(),
        of_code(&codes, 8).count()
    );
}

fn of_code(codes: &BTreeMap<String, i32>, code: i32) -> impl Iterator<Item = &str> {
    codes.iter().filter(move |(_, of)| **of == code).map(|(text, _)| text.as_str())
}

/// All texts that a client has shown.
fn all_of(client: &Client) -> Vec<String> {
    client.output().wait(|shown| Some(texts(&shown.values))).expect("its output")
}

fn texts(objects: &[Value]) -> Vec<String> {
    let messages = objects.iter().filter(|object| object["type"] == "message");
    messages.filter_map(|message| message["text"].as_str().map(str::to_owned)).collect()
}
