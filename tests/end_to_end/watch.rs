//! `hobnob watch` and the sources of passwords, the real program against the real server.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use support::{Server, password};

/// A watcher of luke's messages.
struct Watcher {
    child: Child,
    lines: BufReader<ChildStdout>,
}

fn command(server: &Server, words: &[&str]) -> std::process::Command {
    let mut command = server.place.client_command();
    command.args(words).arg("--plaintext");
    command.args(["--server", &format!("127.0.0.1:{}", server.port), "--user", "luke"]);
    command.args(["--state", &server.place.path("watch-state").to_string_lossy()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Watcher {
    fn start(server: &Server, words: &[&str]) -> Watcher {
        server.place.write("luke-password", format!("{}\n", password("luke")));
        let file = server.place.path("luke-password").to_string_lossy().into_owned();
        let mut command = command(server, &["watch", "--password-file", &file]);
        let mut child = command.args(words).spawn().expect("the program runs");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Watcher { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim_end().into()
    }

    fn object(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"))
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    fn end(self) -> Output {
        self.child.wait_with_output().expect("it ends")
    }
}

#[test]
fn each_message_is_an_object_and_a_killed_server_is_waited_for() {
    let mut server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.ok("message luke before");
    let mut watcher = Watcher::start(&server, &[]);
    let first = watcher.object();
    assert_eq!(
        (&first["text"], &first["type"], &first["stored"]),
        (&"before".into(), &"message".into(), &true.into())
    );
    assert_eq!(hans.ok("message luke now")["status"], "delivered");
    assert_eq!(watcher.object()["text"], "now");
    hans.log_out();
    server.kill();
    server.start_again();
    let mut yoda = server.user("yoda");
    yoda.ok("message luke after");
    assert_eq!(watcher.object()["text"], "after");
    watcher.kill();
}

#[test]
fn a_timeout_ends_nothing() {
    let server = Server::start(&["timeout=2"]);
    let mut watcher = Watcher::start(&server, &[]);
    let mut yoda = server.user("yoda");
    yoda.ok("message luke one");
    assert_eq!(watcher.object()["text"], "one");
    let told =
        |online: bool| move |object: &Value| object["type"] == "presence" && object["online"] == online;
    // Yoda is not idle.
    while yoda.count(told(false)) == 0 || yoda.count(told(true)) == 0 {
        thread::sleep(Duration::from_millis(20));
        yoda.ok("whoelse");
    }
    yoda.ok("message luke two");
    assert_eq!(watcher.object()["text"], "two");
    watcher.kill();
}

#[test]
fn a_message_is_acknowledged_when_its_program_has_ended_well() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.ok("create group crew luke yoda");
    let tell =
        r#"cat > object; echo "$HOBNOB_FROM $HOBNOB_KIND $HOBNOB_GROUP"; test "$(grep -c bad object)" = 0"#;
    let mut watcher = Watcher::start(&server, &["--exec", tell]);
    hans.wait("luke", |object| object["type"] == "presence" && object["user"] == "luke");
    assert_eq!(hans.ok("message luke good")["status"], "delivered");
    assert_eq!(watcher.line(), "hans direct");
    hans.ok("message group crew all");
    assert_eq!(watcher.line(), "hans group crew");
    hans.say("message luke bad");
    hans.say("message luke behind it");
    assert_eq!(watcher.line(), "hans direct");
    let output = watcher.end();
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    // Neither was shown, so both come again.
    let mut watcher = Watcher::start(&server, &[]);
    for text in ["bad", "behind it"] {
        let object = watcher.object();
        assert_eq!((object["text"].as_str(), object["stored"].as_bool()), (Some(text), Some(true)));
    }
    watcher.kill();
}

#[test]
fn what_a_killed_watcher_had_begun_comes_again_and_a_signal_ends_its_program() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    let mut watcher = Watcher::start(&server, &["--exec", "echo $$; exec sleep 1000"]);
    hans.wait("luke", |object| object["type"] == "presence");
    hans.say("message luke one");
    let program: i32 = watcher.line().parse().expect("its process");
    watcher.kill();
    end_process(program, "-KILL");
    let mut watcher = Watcher::start(&server, &["--exec", "cat; echo $$; exec sleep 1000"]);
    let object = watcher.object();
    assert_eq!((&object["text"], &object["again"]), (&"one".into(), &true.into()));
    let program: i32 = watcher.line().parse().expect("its process");
    end_process(i32::try_from(watcher.child.id()).expect("a process"), "-TERM");
    // Its output ends when both have.
    assert_eq!(watcher.line(), "");
    assert_eq!(watcher.end().status.code(), Some(143));
    assert!(fs::metadata(format!("/proc/{program}/exe")).is_err() || is_zombie(program));
}

fn is_zombie(process: i32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

fn end_process(process: i32, signal: &str) {
    let done = std::process::Command::new("kill").args([signal, &process.to_string()]).status();
    assert!(done.expect("kill runs").success());
}

#[test]
fn only_what_is_wanted_is_printed() {
    let server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.ok("create group crew luke yoda");
    let mut watcher = Watcher::start(&server, &["--from", "yoda", "--group", "crew"]);
    hans.ok("message group crew one");
    yoda.ok("message luke two");
    yoda.ok("message group crew three");
    assert_eq!(watcher.object()["text"], "three");
    watcher.kill();
}

#[test]
fn a_password_comes_from_a_command_or_a_file_descriptor() {
    let server = Server::start(&[]);
    let right = format!("echo {}; echo other", password("luke"));
    let send = |words: &[&str]| {
        let mut command = command(&server, &[&["send"], words].concat());
        let child = command.args(["yoda", "hi"]).spawn().expect("the program runs");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = send(&["--password-command", "echo wrong >&2; exit 3"]);
    assert!(code == Some(2) && said.contains("of the password command"), "{said}");
    assert_eq!(send(&["--password-command", "true"]).0, Some(2), "its first line is empty");
    assert_eq!(send(&["--password-fd", "77"]).0, Some(2), "it is not open");
    assert_eq!(send(&["--password-fd", "0"]).0, Some(2), "that is the input");
    assert_eq!(send(&["--password-fd", "5", "--password-command", "true"]).0, Some(2));
    assert_eq!(send(&["--password-command", &right]), (Some(0), String::new()));
    let command = server.place.client_command();
    let program = command.get_program().to_string_lossy().into_owned();
    let through = format!(
        "printf '{}\\n' | {{ exec 5<&0 0</dev/null; '{program}' send --plaintext --password-fd 5 \
         --server 127.0.0.1:{} --user luke --state '{}' yoda hi; }}",
        password("luke"),
        server.port,
        server.place.path("other-state").to_string_lossy(),
    );
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &through]).output().expect("sh runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
