//! A person with `nc`: the protocol typed by hand.

use rustix::process::Signal;
use support::{Server, Wire, password};

#[test]
fn a_session_can_be_typed_and_read() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    luke.ok("message hans patience you must have");
    let mut nc = server.wire();
    assert_eq!(nc.asks("login hans"), "ask password");
    let welcome = nc.log_in("hans", password("hans"));
    assert!(welcome.starts_with("welcome hans unread 1 login "), "{welcome}");
    assert!(!welcome.contains("token"), "{welcome}");
    let message = nc.line();
    assert!(message.contains(" luke ") && message.ends_with(" stored patience you must have"), "{message}");
    nc.say("whoelse");
    nc.expect("users luke");
    nc.expect("ok whoelse 1");
    nc.say("message yoda hi");
    nc.expect("ok message yoda stored");
    nc.say("message luke hello");
    nc.expect("ok message luke delivered");
    luke.message("hello");
    nc.say("message nobody hi");
    nc.expect("error unknown_user message");
    nc.say("shout hello");
    nc.expect("error unknown_command shout");
    nc.say("#7 ping luke");
    nc.expect("ok #7 ping luke online");
    nc.say("create group crew luke");
    nc.expect("members crew hans luke");
    nc.expect("ok create group crew");
    nc.say("message group crew dinner");
    nc.expect("ok message group crew 1 0 0 complete");
    nc.say("broadcast all of you");
    nc.expect("ok broadcast 1 complete");
    luke.ok("message hans for the man with nc");
    let message = nc.line();
    assert!(message.ends_with(" live for the man with nc"), "{message}");
    nc.say("help message");
    assert!(nc.line().starts_with("help "));
    nc.skip_to("ok help");
    nc.say("\r\n   \nlogout\r");
    nc.expect("ok logout");
    nc.expect("bye logout");
    assert_eq!(nc.rest(), "");
    luke.presence("hans", false);
}

#[test]
fn before_login_nothing_but_login_is_obeyed() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    let mut stranger = server.wire();
    for line in [
        "message luke hi",
        "broadcast hi",
        "whoelse",
        "block luke",
        "create group g luke",
        "logout",
        "offline",
        "ack - 1",
    ] {
        stranger.say(line);
    }
    stranger.say("login hans wrong");
    let answer = stranger.skip_to("refused ");
    assert_eq!(answer, "refused invalid_credentials 2");
    luke.has_not("anything of a stranger", |object| {
        object["type"] == "message" || object["type"] == "presence" || object["type"] == "group"
    });
    assert!(luke.users("whoelse").is_empty());
}

#[test]
fn a_session_cut_anywhere_ends_once() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    for last in ["", "whoelse", "message luke half a li", "message luke hi\nmess", "#1"] {
        let mut nc = server.wire_user("hans");
        nc.send(last.as_bytes());
        luke.presence("hans", true);
        drop(nc);
        luke.presence("hans", false);
    }
    luke.has_not("half a line", |object| object["text"] == "half a li");
}

#[test]
fn lines_may_come_in_any_pieces() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    let mut nc = server.wire();
    nc.stream().set_nodelay(true).expect("an option");
    for byte in format!("login hans {}\nmessage luke wörter 日本\n", password("hans")).bytes() {
        nc.send(&[byte]);
    }
    luke.message("wörter 日本");
    nc.skip_to("ok message luke delivered");
}

#[test]
fn nobody_speaks_as_another() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    let mut hans = server.wire_user("hans");
    for line in [
        "message 1.1 yoda 0 - live forged",
        "login yoda wrong",
        "welcome yoda unread 0 login 1",
        "resume yoda AAAAAAAAAAAAAAAAAAAAAA",
        "message luke \u{0}\u{1b} hi",
    ] {
        hans.say(line);
    }
    hans.skip_to("ok message luke delivered");
    let message = luke.wait_for("message");
    assert_eq!(message["from"], "hans");
    luke.has_not("a forged message", |object| object["from"] == "yoda" || object["user"] == "yoda");
}

/// Sends all at once, ends the stream and reads to the end, as `nc -N` does.
fn piped(server: &Server, input: &str) -> String {
    let mut nc = server.wire();
    nc.send(input.as_bytes());
    nc.end();
    nc.rest()
}

#[test]
fn commands_that_are_piped_with_their_end_are_answered() {
    let server = Server::start(&[]);
    let mut luke = server.user("luke");
    let login = format!("login hans {}\n", password("hans"));
    for repeat in 1..=5 {
        let said =
            piped(&server, &format!("{login}message yoda {repeat}\nmessage luke {repeat}\nping luke\n"));
        assert!(said.starts_with("welcome hans "), "{said}");
        for answer in ["ok message yoda stored", "ok message luke delivered", "ok ping luke online"] {
            assert_eq!(said.lines().filter(|line| *line == answer).count(), 1, "{answer}: {said}");
        }
        luke.message(&repeat.to_string());
    }
    let mut yoda = server.user("yoda");
    for repeat in 1..=5 {
        yoda.message(&repeat.to_string());
    }
    // Without a command the session ends just as well.
    assert!(piped(&server, &login).starts_with("welcome hans "));
    assert_eq!(piped(&server, ""), "");
    luke.presence("hans", false);
    luke.log_out();
}

#[test]
fn what_was_answered_arrives_though_more_was_said_after_the_logout() {
    let server = Server::start(&[]);
    let mut nc = server.wire_user("hans");
    let unread = "ping luke\n".repeat(5_000);
    nc.say(&format!("whoelse\nlogout\n{unread}"));
    let said = nc.rest();
    assert!(said.starts_with("ok whoelse 0\nok logout\nbye logout\n"), "{said}");
}

/// The same, while the server stands still: it reads the end together with the last commands. The server has
/// read everything that was said on the connection before.
fn piped_at_once(server: &Server, mut nc: Wire, input: &str) -> String {
    server.signal(Signal::STOP);
    nc.send(input.as_bytes());
    nc.end();
    server.signal(Signal::CONT);
    nc.rest()
}

#[test]
fn commands_that_are_read_together_with_their_end_are_answered() {
    let server = Server::start(&[]);
    let luke = server.user("luke");
    let login = format!("login hans {}\n", password("hans"));
    let many = 2_000;
    let commands = [
        ("whoelse\n".to_owned(), "ok whoelse 1".to_owned(), 1),
        ("ping luke\n".repeat(many), "ok ping luke online".to_owned(), many),
        // Stored, which takes the disk.
        ("message yoda kept\n".repeat(50), "ok message yoda stored".to_owned(), 50),
        ("block yoda\nunblock yoda\n".repeat(20), "ok unblock yoda".to_owned(), 20),
        ("ping luke\nlogout\n".to_owned(), "bye logout".to_owned(), 1),
    ];
    for (input, answer, times) in &commands {
        // Logged in by the same input, and before.
        for said in [
            piped_at_once(&server, server.wire(), &format!("{login}{input}")),
            piped_at_once(&server, server.wire_user("hans"), input),
        ] {
            let found = said.lines().filter(|line| line == answer).count();
            assert_eq!(found, *times, "{answer}: {}", said.chars().take(2_000).collect::<String>());
        }
    }
    luke.log_out();
}

#[test]
fn answers_arrive_at_one_who_has_ended_and_reads_late() {
    let server = Server::start(&["output_bytes=0"]);
    let mut nc = server.wire_user("hans");
    // More than the socket buffers of both sides hold; nothing is read before the server has heard all.
    let (help, marks) = ("help\n".repeat(2_500), 10);
    for mark in 0..marks {
        nc.send(format!("{help}ping nobody{mark}\n").as_bytes());
    }
    nc.send(b"logout\n");
    nc.end();
    let said = nc.rest();
    let answered = said.lines().filter(|line| line.starts_with("error unknown_user ping")).count();
    assert_eq!(answered, marks);
    assert!(said.ends_with("ok logout\nbye logout\n"), "{}", &said[said.len() - 200..]);
}
