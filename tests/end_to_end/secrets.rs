//! Passwords in the memory of both programs, and private texts in that of the server.
//!
//! The pieces of a planted password are searched in `/proc/PID/mem`. A client and a server with `core_dumps=false` are
//! readable for root only; elsewhere the tests say so and check nothing.

use std::fs;

use support::{Place, Server, pieces_in_memory};

/// No two pieces of 12 bytes are alike, and none is a word of the programs.
const PLANTED: &str = "vq7Zt1mWx9Ke-Yd3Hs6Rb0Pn-Jf8Lc2Ug5Ta-Oi4Mz7Xe1Dk";

/// A server with two accounts that have the password, hashed.
fn server() -> Server {
    server_in(Place::with(""))
}

fn server_in(place: Place) -> Server {
    place.write("credentials.txt", format!("hans {PLANTED}\nyoda {PLANTED}\n"));
    let hashed =
        place.run_server(&["hash-credentials", "--set", "argon2_kib=64", "--set", "argon2_passes=1"]);
    assert!(hashed.status.success(), "{hashed:?}");
    Server::start_in(place, &["core_dumps=true", "registration=open"])
}

fn holds_no_piece(program: &str, id: u32) {
    match pieces_in_memory(id, PLANTED) {
        Some(found) => assert!(found.is_empty(), "{program}: {}", found.join("\n")),
        None => eprintln!("skipped: the memory of the {program} cannot be read by this user"),
    }
}

/// A plain password in the file is in memory by design.
#[test]
fn the_search_finds_what_is_there() {
    let server = Server::start_in(Place::with(&format!("hans {PLANTED}\n")), &["core_dumps=true"]);
    match pieces_in_memory(server.id(), PLANTED) {
        Some(found) => assert!(found.len() >= PLANTED.len() / 12, "{found:?}"),
        None => eprintln!("skipped: the memory of the server cannot be read by this user"),
    }
}

#[test]
fn neither_program_leaves_a_core_file() {
    let server = Server::start(&[]);
    let client = server.user("hans");
    for id in [server.id(), client.id()] {
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).expect("its limits");
        let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size"));
        let words: Vec<&str> = core.expect("a limit").split_whitespace().collect();
        assert_eq!(words[..2], ["0", "0"]);
    }
}

#[test]
fn a_server_holds_no_password_that_somebody_sent() {
    let server = server();
    let mut typed = server.client(&[]);
    typed.log_in("hans", PLANTED);
    // A line in pieces, with others between them, and one that waits while the line before is hashed.
    let mut wire = server.wire();
    let mut other = server.wire();
    other.asks("whoelse");
    wire.send(b"login yoda no");
    let line = format!("\nlogin yoda {PLANTED}\n");
    for piece in line.as_bytes().chunks(9) {
        wire.send(piece);
        other.asks("whoelse");
    }
    wire.skip_to("welcome");
    other.say(&format!("register leia {PLANTED}"));
    other.skip_to("welcome");
    let mut guess = server.wire();
    guess.say(&format!("login hans {PLANTED}!"));
    guess.skip_to("refused");
    guess.say(&format!("login {PLANTED}"));
    guess.say(&format!("logins hans {PLANTED}"));
    guess.say(&format!("hans {PLANTED}"));
    guess.say(&format!("login hans {}{PLANTED}", "x".repeat(5_000)));
    guess.skip_to("error too_long");
    // An unfinished line is lost with its connection.
    guess.send(format!("login hans {PLANTED}").as_bytes());
    drop(guess);
    typed.ok("whoelse");
    wire.ask("whoelse");
    other.ask("whoelse");
    holds_no_piece("server", server.id());
}

#[test]
fn nothing_that_was_decrypted_stays() {
    let server = server_in(Place::with("").encrypted());
    let mut hans = server.client(&[]);
    hans.log_in("hans", PLANTED);
    let mut guess = server.client(&[]);
    guess.answer("yoda");
    guess.answer(&format!("{PLANTED}!"));
    assert_eq!(guess.skip_to("login")["ok"], false);
    let mut gone = server.client(&[]);
    gone.log_in("yoda", PLANTED);
    gone.kill();
    hans.ok("whoelse");
    holds_no_piece("server", server.id());
    holds_no_piece("client", hans.id());
}

/// What is relayed is ciphertext to the server (R60). A text that it keeps for its user, and reads, shows that it would be
/// found.
#[test]
fn a_server_holds_nothing_of_a_private_text_that_it_relays() {
    const KEPT: &str = "Hq2Vn8Xc5Ls-Bw9Tk4Mz7Rd-Pf6Jy3Ga1Ue-So0Ci8Nb2Kv";
    let server = Server::start_in(Place::samples().encrypted(), &["core_dumps=true"]);
    let [mut hans, mut yoda] = ["hans", "yoda"].map(|name| server.user_with(name, &["--path", "relay"]));
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    yoda.ok("accept hans");
    assert_eq!(hans.result_of(line)["path"], "relayed");
    yoda.ok(&format!("away {KEPT}"));
    for number in 0..50 {
        let text = format!("{PLANTED} {number}");
        hans.ok(&format!("private yoda {text}"));
        yoda.message(&text);
        yoda.ok(&format!("private hans {text}"));
        hans.message(&text);
    }
    match pieces_in_memory(server.id(), KEPT) {
        Some(found) => assert!(!found.is_empty(), "what the server reads is found"),
        None => eprintln!("skipped: the memory of the server cannot be read by this user"),
    }
    holds_no_piece("server", server.id());
}

#[test]
fn a_client_on_a_pipe_holds_no_password() {
    let server = server();
    let mut typed = server.client(&[]);
    typed.log_in("hans", PLANTED);
    typed.ok("whoelse");
    holds_no_piece("client that was told", typed.id());
    server.place.write("password", format!("{PLANTED}\n"));
    let file = server.place.path("password");
    let mut told = server.client(&["--user", "yoda", "--password-file", file.to_str().expect("UTF-8")]);
    told.wait("a login", |object| object["type"] == "login" && object["ok"] == true);
    told.ok("whoelse");
    holds_no_piece("client with a file", told.id());
}

#[test]
fn a_client_at_a_terminal_holds_no_password() {
    let server = server();
    let mut terminal = server.terminal(&[]);
    terminal.sees("Username:");
    terminal.types("hans\r");
    terminal.sees("Password:");
    // Pasted.
    terminal.types(&format!("\x1b[200~{PLANTED}\x1b[201~\r"));
    terminal.sees("Welcome, hans!");
    // The line editor reads what is typed into one buffer, always to its beginning: what is pasted is there until as
    // much is typed at once.
    terminal.types(&format!("{}\r", "ping yoda ".repeat(10)));
    terminal.types("ping yoda\r");
    terminal.sees("yoda is offline");
    holds_no_piece("client at a terminal", terminal.id());
}
