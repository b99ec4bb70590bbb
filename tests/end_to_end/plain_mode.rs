//! Plain mode on a pipe: the words that people know.

use std::process::Stdio;

use rustix::process::Signal;
use support::{Client, Server, password};

fn user(server: &Server, name: &str, options: &[&str]) -> Client {
    let mut client = server.plain(options);
    client.answer(name);
    client.answer(password(name));
    assert_eq!(client.line(), format!("Welcome, {name}!"));
    client
}

fn says(client: &mut Client, line: &str, answer: &str) {
    client.say(line);
    client.shows(answer);
}

#[test]
fn the_known_wording() {
    let server = Server::start(&[]);
    let mut hans = user(&server, "hans", &[]);
    let mut luke = user(&server, "luke", &[]);
    hans.shows("luke logged in");
    luke.say("message hans Hey Dude");
    hans.shows("luke: Hey Dude");
    says(&mut hans, "message yoda hi", "Your message to yoda has been stored");
    says(&mut hans, "message nobody hi", "Error. Invalid user");
    says(&mut hans, "message hans hi", "Error. Cannot message self");
    says(&mut hans, "block hans", "Error. Cannot block self");
    says(&mut hans, "dance", "Error. Invalid command");
    says(&mut hans, "unblock yoda", "Error. yoda was not blocked");
    says(&mut hans, "block luke", "luke is blocked");
    luke.say("message hans hi");
    luke.shows("Your message could not be delivered as the recipient has blocked you");
    luke.say("broadcast hi");
    luke.shows("Your message could not be delivered to some recipients");
    says(&mut hans, "unblock luke", "luke is unblocked");
    says(&mut hans, "whoelse", "luke");
    says(&mut hans, "private luke hi", "Error. Private messaging to luke not enabled");
    hans.say("startprivate luke");
    luke.shows("hans would like to private message, enter y or n: ");
    luke.say("accept hans");
    hans.shows("Start private messaging with luke");
    luke.shows("Start private messaging with hans");
    hans.say("private luke hey dude");
    luke.shows("hans(private): hey dude");
    luke.say("logout");
    hans.shows("luke logged out");
    assert_eq!(luke.end().0, 0);
    assert_eq!(hans.end().0, 0);
}

#[test]
fn refusals_in_words_and_no_prompts() {
    let server = Server::start(&[]);
    let mut hans = server.plain(&[]);
    for line in ["hans", "a", "b", "c"] {
        hans.answer(line);
    }
    assert_eq!(hans.line(), "Invalid Password. Please try again");
    assert_eq!(hans.line(), "Invalid Password. Please try again");
    assert_eq!(hans.line(), "Invalid Password. Your account has been blocked. Please try again later");
    assert_eq!(hans.end(), (4, vec![]));
    let mut hans = server.plain(&[]);
    hans.answer("hans");
    hans.answer(password("hans"));
    assert_eq!(hans.line(), "Your account is blocked due to multiple login failures. Please try again later");
    assert_eq!(hans.end(), (4, vec![]));
}

#[test]
fn nothing_shown_acts_on_a_terminal() {
    let server = Server::start(&[]);
    let (mut hans, mut luke) = (user(&server, "hans", &[]), server.user("luke"));
    luke.ok("message hans \u{1b}[2J\u{7}\u{202e}x");
    let line = hans.wait("the text", |line| line.as_str().is_some_and(|line| line.starts_with("luke: ")));
    let line = line.as_str().unwrap_or_default().to_owned();
    assert!(!line.chars().any(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
}

#[test]
fn signals_end_the_program_with_their_codes() {
    let server = Server::start(&[]);
    let mut yoda = server.user("yoda");
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut hans = server.user("hans");
        yoda.presence("hans", true);
        hans.signal(signal);
        assert_eq!(hans.ended(), code);
        assert_eq!(hans.wait_for("bye")["reason"], "logout");
        yoda.presence("hans", false);
        let asked = server.client(&[]);
        let mut asked = asked;
        asked.wait_for("prompt");
        asked.signal(signal);
        assert_eq!(asked.ended(), code, "at a prompt");
        assert_eq!(asked.count(|object| object["type"] == "bye"), 0);
    }
    yoda.ok("whoelse");
    assert_eq!(yoda.count(|object| object["user"] == "hans"), 6, "one notice each");
}

#[test]
fn a_closed_output_ends_the_program_with_1_and_keeps_the_mail() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    for number in 0..20 {
        luke.ok(&format!("message hans number {number}"));
    }
    let mut command = server.place.client_command();
    command
        .args(["--plaintext", "--json", &server.port.to_string(), "--state"])
        .arg(server.place.fresh_state());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program runs");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("its input");
    let _ =
        std::io::Write::write_all(&mut stdin, format!("hans\n{}\nwhoelse\n", password("hans")).as_bytes());
    assert_eq!(child.wait().expect("its end").code(), Some(1));
    let mut hans = server.user("hans");
    for number in 0..20 {
        assert_eq!(hans.wait_for("message")["text"], format!("number {number}"), "nothing counts as shown");
    }
}

#[test]
fn no_colour_where_no_terminal_is() {
    let server = Server::start(&[]);
    let mut hans = user(&server, "hans", &[]);
    hans.say("dance");
    assert_eq!(hans.line(), "Error. Invalid command");
    hans.say("help");
    assert!(!hans.line().contains('\u{1b}'));
}
