//! Options, usage errors, a server that is not there.

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use support::Place;

fn run(words: &[&str]) -> Output {
    Place::with("").run_client(words)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn usage_errors_exit_with_2_and_say_why_in_one_line() {
    for (words, reason) in [
        (&["--plaintext", "a:b"][..], "is no server"),
        (&["--plaintext", "0"], "is no server"),
        (&["--plaintext", "--fingerprint", "SHA256:x"], "--plaintext"),
        (&["--fingerprint", "SHA256:x"], "43 characters"),
        (&["--plaintext", "--ca", "x.pem"], "--plaintext"),
        (&["--ca", "x.pem"], "x.pem"),
        (&["trust", "example.org:4000", "--plaintext"], "--plaintext"),
        (&["trust"], "is no server"),
        (&["a", "--server", "b"], "--server"),
        (&["--json", "send", "yoda", "hi"], "send comes first"),
        (&["send", "yoda", "hi"], "in whose name"),
        (&["--plaintext", "--password-file", "/nonexistent"], "/nonexistent"),
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with("hobnob: ") && said.contains(reason), "{words:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(output.stdout.is_empty());
    }
    for words in [
        &["--nonsense"][..],
        &["a", "b", "c"],
        &["--reconnect", "x"],
        &["--accept-private", "maybe"],
        &["--path", "sideways"],
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}

#[test]
fn help_shows_examples_first_and_every_option() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    assert!(help.starts_with("Examples:"), "{help}");
    for page in [
        &["--help"][..],
        &["send", "--help"],
        &["trust", "--help"],
        &["config", "--help"],
        &["completions", "--help"],
        &["man", "--help"],
    ] {
        let help = text(&run(page).stdout);
        assert!(help.starts_with("Examples:"), "{help}");
        let long = help.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None, "{page:?}");
    }
    let trust = text(&run(&["trust", "--help"]).stdout);
    assert!(trust.contains("--fingerprint") && !trust.contains("--json"), "{trust}");
    for option in [
        "--json",
        "--user",
        "--password-file",
        "--state",
        "--fingerprint",
        "--accept-private",
        "--private-bind",
        "--retry-login",
        "--plaintext",
        "--reconnect",
        "--ca",
        "--private-advertise",
        "--path",
        "--strict",
        "--server",
        "--timestamps",
        "  send ",
        "  trust ",
        "  config ",
    ] {
        assert!(help.contains(option), "{option}");
    }
    let send = text(&run(&["send", "--help"]).stdout);
    for option in
        ["--group", "--all", "--lines", "--wait", "--timeout", "--json", "--server", "--user", "Exit codes"]
    {
        assert!(send.contains(option), "{option}");
    }
    let version = run(&["--version"]);
    assert_eq!(text(&version.stdout), concat!("hobnob ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_server_that_is_not_there_is_exit_3_and_one_line() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    drop(listener);
    for words in [&["--plaintext", &port][..], &["--json", &port]] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(text(&output.stdout), "");
        let said = text(&output.stderr);
        assert!(said.starts_with(&format!("hobnob: cannot reach 127.0.0.1:{port}: ")), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
}

#[test]
fn diagnostics_that_cannot_be_written_change_no_exit_code() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    drop(listener);
    let place = Place::with("");
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let missing = ["--plaintext", "--password-file", "/nonexistent"];
    for (words, code) in
        [(&["--plaintext", &port][..], 3), (&[&port], 3), (&["--nonsense"], 2), (&missing, 2)]
    {
        let mut command = place.client_command();
        let command = command.args(words).stdout(Stdio::null()).stderr(full());
        assert_eq!(command.status().expect("the program runs").code(), Some(code), "{words:?}");
    }
}

#[test]
fn shells_complete_the_command_lines_of_both_programs() {
    let place = Place::with("");
    for shell in ["bash", "zsh", "fish"] {
        let client = text(&place.run_client(&["completions", shell]).stdout);
        for word in ["send", "trust", "config", "fingerprint", "timestamps", "full", "wait", "delivered"] {
            assert!(client.contains(word), "{shell}: {word}");
        }
        let server = text(&place.run_server(&["completions", shell]).stdout);
        for word in ["passwd", "hash-credentials", "credentials", "ephemeral"] {
            assert!(server.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(place.run_client(&["completions", "csh"]).status.code(), Some(2));
    for (typed, completed) in
        [("hobnob --times", "--timestamps"), ("hobnob send --wait de", "delivered"), ("hobnob con", "config")]
    {
        let words: Vec<&str> = typed.split(' ').collect();
        let last = words.len() - 1;
        let script = format!(
            "source <(\"$1\" completions bash); COMP_WORDS=({typed}); COMP_CWORD={last}; \
             _hobnob hobnob {} {}; echo \"${{COMPREPLY[*]}}\"",
            words[last],
            words[last - 1]
        );
        let program = place.client_command().get_program().to_owned();
        let bash =
            Command::new("bash").args(["-c", &script, "bash"]).arg(program).output().expect("bash runs");
        assert_eq!(text(&bash.stdout).trim(), completed, "{typed}: {}", text(&bash.stderr));
    }
}

#[test]
fn man_pages_say_what_help_says() {
    let place = Place::with("");
    let folder = place.folder().join("man");
    let folder = folder.to_str().expect("UTF-8");
    let written = [place.run_client(&["man", folder]), place.run_server(&["man", folder])];
    let pages: String = written.iter().map(|output| text(&output.stdout)).collect();
    for (page, parts) in [
        (
            "hobnob.1",
            &[".SH EXAMPLES", "hobnob example.org", "timestamps", "hobnob\\-send(1)", "Exit codes"][..],
        ),
        ("hobnob-send.1", &[".SH EXAMPLES", "df \\-h | hobnob send", "wait"]),
        ("hobnob-trust.1", &["fingerprint"]),
        ("hobnob-server.1", &[".SH EXAMPLES", "block_duration=60", "hobnob\\-server\\-passwd(1)"]),
        ("hobnob-server-passwd.1", &["credentials"]),
    ] {
        assert!(pages.lines().any(|line| line == format!("{folder}/{page}")), "{page} in {pages}");
        let roff = std::fs::read_to_string(format!("{folder}/{page}")).expect("a page");
        for part in parts {
            assert!(roff.contains(part), "{part} in {page}:\n{roff}");
        }
    }
    let output = place.run_client(&["man", "/proc/nothing"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("hobnob: /proc/nothing: "));
}
