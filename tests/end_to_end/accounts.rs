//! The credentials file and registration.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;
use support::{Place, Server, password};

#[test]
fn the_file_is_read_as_people_write_it() {
    let content = "\u{feff}# sample\r\nhans falcon\r\n\r\nyoda  two spaces \nLuke x y\n   \nluke #no comment";
    let server = Server::start_in(Place::with(content), &[]);
    for (name, password) in
        [("hans", "falcon"), ("yoda", " two spaces "), ("Luke", "x y"), ("luke", "#no comment")]
    {
        let mut client = server.client(&[]);
        client.log_in(name, password);
        client.log_out();
    }
}

#[test]
fn a_new_user_makes_an_account() {
    let mut server = Server::start(&["registration=open"]);
    let mut leia = server.client(&[]);
    leia.answer("leia");
    leia.wait("the question", |object| object["ask"] == "new_password");
    leia.answer("");
    leia.answer("alderaan");
    assert_eq!(leia.wait_for("login")["user"], "leia");
    let line = server.place.read("credentials.txt");
    assert!(line.contains("\nleia $argon2id$") && !line.contains("alderaan"), "{line}");
    let mut hans = server.user("hans");
    hans.ok("message leia welcome");
    leia.message("welcome");
    leia.log_out();
    let mut wrong = server.client(&[]);
    wrong.answer("leia");
    wrong.wait("the question", |object| object["ask"] == "password");
    wrong.answer("wrong");
    assert_eq!(wrong.wait_for("login")["error"], "invalid_credentials");
    server.restart();
    let mut leia = server.client(&[]);
    leia.log_in("leia", "alderaan");
    leia.log_out();
}

#[test]
fn a_registration_with_options_and_over_a_bare_connection() {
    let place = Place::samples();
    place.write("pw", "alderaan\n");
    let file = place.path("pw").to_str().expect("UTF-8").to_owned();
    let server = Server::start_in(place, &["registration=open"]);
    let mut leia = server.client(&["--user", "leia", "--password-file", &file]);
    assert_eq!(leia.wait_for("login")["user"], "leia");
    assert_eq!(leia.count(|object| object["type"] == "prompt"), 0);
    let mut wire = server.wire();
    assert_eq!(wire.asks("login ben"), "ask new_password");
    assert!(wire.asks("register ben kenobi").starts_with("welcome ben unread 0 login "));
    leia.presence("ben", true);
    let mut taken = server.wire();
    let refused = taken.asks("register hans mine");
    assert!(!refused.starts_with("welcome"), "{refused}");
    server.user("hans").log_out();
}

#[test]
fn two_at_once_for_one_name_make_one_account() {
    let server = Server::start(&["registration=open"]);
    let mut wires: Vec<_> = (0..8).map(|_| server.wire()).collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        wire.say(&format!("register leia password{number}"));
    }
    let answers: Vec<String> = wires.iter_mut().map(support::Wire::line).collect();
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("welcome ")).count(), 1, "{answers:?}");
    assert_eq!(server.place.read("credentials.txt").matches("leia ").count(), 1);
    assert!(!server.log().contains("password0"));
}

#[test]
fn with_registration_closed_nobody_makes_an_account() {
    let server = Server::start(&[]);
    let mut wire = server.wire();
    assert_eq!(wire.asks("login leia"), "ask password");
    let refused = wire.asks("register leia alderaan");
    assert!(refused.starts_with("refused ") || refused.starts_with("error "), "{refused}");
    assert!(!server.place.read("credentials.txt").contains("leia"));
}

#[test]
fn names_that_are_none_are_not_registered() {
    let server = Server::start(&["registration=open"]);
    let mut client = server.client(&[]);
    for name in ["group", "#x", "a b", &"n".repeat(33)] {
        client.answer(name);
        assert_eq!(client.wait_for("login")["error"], "bad_name", "{name}");
    }
    let content = server.place.read("credentials.txt");
    assert_eq!(content.lines().count(), 5, "{content}");
}

#[test]
fn passwords_become_hashes_and_still_work() {
    let place = Place::samples();
    let cheap = ["--set", "argon2_kib=64", "--set", "argon2_passes=1"];
    let output = place.run_server(&[&["hash-credentials"], &cheap[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let content = place.read("credentials.txt");
    assert_eq!(content.matches("$argon2id$").count(), 5, "{content}");
    assert!(!content.contains("falcon"));
    let server = Server::start_in(place, &[]);
    for name in ["hans", "yoda", "r2d2"] {
        server.user(name).log_out();
    }
    assert!(!server.log().contains("plain"), "nothing to warn of");
}

#[test]
fn a_file_that_others_can_read_is_warned_of() {
    let place = Place::samples();
    let path = place.path("credentials.txt");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("a mode");
    let server = Server::start_in(place, &[]);
    server.logs("others can read the credentials file", 1);
    assert!(!server.log().contains(password("hans")));
}

#[test]
fn a_file_that_is_gone_takes_no_account_and_no_mail_with_it() {
    let mut server = Server::start(&["registration=open"]);
    let mut hans = server.user("hans");
    hans.ok("message luke kept");
    hans.log_out();
    let [file, away] = ["credentials.txt", "away.txt"].map(|name| server.place.path(name));
    fs::rename(&file, &away).expect("renamed");
    server.signal(Signal::HUP);
    server.logs("nothing was changed", 1);
    assert!(server.log().contains("credentials.txt: the file is gone"), "{}", server.log());
    server.stop();
    let mut command = server.place.server_command();
    command.args(["0", "--plaintext", "--set", "registration=open"]);
    let mut refused = command.stdout(Stdio::piped()).spawn().expect("the program runs");
    let mut line = String::new();
    BufReader::new(refused.stdout.take().expect("its output")).read_line(&mut line).expect("text");
    // One that starts would serve for ever.
    let _ = if line.is_empty() { Ok(()) } else { refused.kill() };
    assert_eq!((&*line, refused.wait().expect("its end").code()), ("", Some(2)));
    fs::rename(&away, &file).expect("renamed");
    server.start_again();
    let mut luke = server.user("luke");
    luke.message("kept");
    luke.log_out();
}

#[test]
fn a_file_that_was_never_there_may_be_read_again() {
    let place = Place::samples();
    fs::remove_file(place.path("credentials.txt")).expect("removed");
    let server = Server::start_in(place, &["registration=open"]);
    server.signal(Signal::HUP);
    server.logs("accounts and settings are read again", 1);
}

#[test]
fn registrations_passwd_and_reloads_at_once_lose_no_account() {
    const EACH: usize = 8;
    let mut server = Server::start(&["registration=open", "registrations_per_address=0"]);
    let of = |who: &str| (0..EACH).map(|number| format!("{who}{number}")).collect::<Vec<_>>();
    let (registered, added) = (of("user"), of("added"));
    thread::scope(|scope| {
        scope.spawn(|| {
            for name in &registered {
                let line = format!("register {name} falcon");
                // Refused as long as another program has the file.
                let tried = (0..100).find(|_| server.wire().ask(&line).starts_with("welcome "));
                assert!(tried.is_some(), "{name} is never admitted");
            }
        });
        for name in &added {
            let words = ["passwd", name, "--set", "argon2_kib=8", "--set", "argon2_passes=1"];
            assert!(server.place.run_server_with_input(&words, "falcon\n").status.success());
            server.signal(Signal::HUP);
        }
    });
    for name in &registered {
        server.wire().log_in(name, "falcon");
    }
    server.restart();
    for name in registered.iter().chain(&added) {
        server.wire().log_in(name, "falcon");
    }
}
