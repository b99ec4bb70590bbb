//! The server as its operator meets it: the real program, its lines, its exit codes.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use rustix::process::Signal;
use support::{Ended, HASH, Place, Wire};

/// Asserts that a program failed with one line on stderr that names all of this.
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(words.iter().all(|word| stderr.contains(word)), "{words:?} in {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn it_says_where_it_listens_and_nothing_else_on_stdout() {
    let place = Place::with("hans falcon\n");
    let mut server = place.serve_with(&[]);
    assert_eq!(server.address.ip().to_string(), "127.0.0.1");
    let warning = server.log_line("plain password");
    assert!(warning.contains("hash-credentials") && !warning.contains("falcon"), "{warning}");
    let _client = server.wire();
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn an_interrupt_stops_it_too() {
    let place = Place::with(&format!("hans {HASH}\n"));
    let mut server = place.serve_with(&["--ephemeral"]);
    server.signal(Signal::INT);
    let Ended { code, log, .. } = server.ended();
    assert_eq!(code, Some(0));
    let told: Vec<&str> = log.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert!(told.is_empty() && log.lines().count() == 2, "there is nothing to warn of: {log}");
}

#[test]
fn the_data_folder_is_private() {
    let place = Place::with(&format!("hans {HASH}\n"));
    let _server = place.serve_with(&["--data", "state/here"]);
    let mode = fs::metadata(place.path("state/here")).expect("a folder").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_client_is_greeted() {
    let place = Place::with("hans falcon\n");
    let server = place.serve_with(&["--ephemeral"]);
    // It takes the greeting.
    drop(server.wire());
}

#[test]
fn a_client_logs_in_and_is_told_when_the_server_stops() {
    let place = Place::with("hans falcon\n");
    let mut server = place.serve_with(&["--ephemeral", "--set", "argon2_kib=8", "--set", "argon2_passes=1"]);
    let mut client = server.wire();
    client.log_in("hans", "falcon");
    let Ended { code, .. } = server.stop();
    let rest = client.rest();
    assert!(rest.ends_with("bye server_shutdown\n"), "{rest:?}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_taken_port_is_one_line_and_exit_1() {
    let place = Place::with("hans falcon\n");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    // The warning of plain passwords would be a second line.
    place.write("credentials.txt", format!("hans {HASH}\n"));
    assert_fails(&place.run_server(&[&port, "--plaintext"]), 1, &["cannot listen on 127.0.0.1:", &port]);
}

#[test]
fn a_taken_port_for_metrics_is_one_line_and_exit_1_before_anything_is_made() {
    let place = Place::with(&format!("hans {HASH}\n"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let output = place.run_server(&["0", "--plaintext", "--set", &format!("metrics={address}")]);
    assert_fails(&output, 1, &["cannot listen on", &address]);
    assert!(!place.data().exists());
}

#[test]
fn usage_errors_are_exit_2() {
    let place = Place::with("hans falcon\n");
    for arguments in
        [&["--no-such-option"][..], &["1", "2", "3", "4"], &["passwd"], &["--set"], &["users", "x"]]
    {
        let output = place.run_server(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn bad_settings_are_named_and_exit_2() {
    let place = Place::with("hans falcon\n");
    place.write("bad.toml", "colour = \"red\"\n");
    place.write("broken.toml", "timeout =\n");
    for (arguments, words) in [
        (&["--plaintext", "--set", "colour=red"][..], &["--set", "colour"][..]),
        (&["--plaintext", "--set", "timeout=soon"], &["timeout", "soon"]),
        (&["--plaintext", "--set", "timeout"], &["timeout", "KEY=VALUE"]),
        (&["--plaintext", "--set", "metrics=9464"], &["metrics", "9464", "address:port"]),
        (&["--plaintext", "70000"], &["PORT", "70000"]),
        (&["--plaintext", "0", "x"], &["BLOCK_DURATION", "\"x\""]),
        (&["--plaintext", "0", "1", "-1"], &["-1"]),
        (&["--plaintext", "--bind", "here"], &["--bind", "here"]),
        (&["--plaintext", "--config", "bad.toml"], &["bad.toml", "colour"]),
        (&["--plaintext", "--config", "broken.toml"], &["broken.toml:1"]),
        (&["--plaintext", "--config", "missing.toml"], &["missing.toml"]),
    ] {
        let output = place.run_server(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(words.iter().all(|word| stderr.contains(word)), "{arguments:?}: {stderr}");
    }
    let output =
        place.server_command().arg("--plaintext").env("HOBNOB_COLOUR", "red").output().expect("a run");
    assert_fails(&output, 2, &["HOBNOB_COLOUR"]);
}

#[test]
fn plaintext_stays_on_this_machine_unless_allowed() {
    let place = Place::with(&format!("hans {HASH}\n"));
    let beyond = &["0", "--plaintext", "--bind", "0.0.0.0"];
    assert_fails(&place.run_server(beyond), 2, &["0.0.0.0", "allow_plaintext=true"]);
    let mut server = place.serve_with(&["--bind", "0.0.0.0", "--set", "allow_plaintext=true", "--ephemeral"]);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn bad_credentials_are_named_and_exit_2() {
    for (content, words) in [
        ("hans falcon\nyoda\n", &["credentials.txt:2:", "no password"][..]),
        ("hans falcon\nhans x\n", &["credentials.txt:2:", "line 1"]),
        ("# nobody\n", &["credentials.txt", "no accounts"]),
        ("\nhans $argon2id$v=19$m=8\n", &["credentials.txt:2:", "hash"]),
    ] {
        let place = Place::with(content);
        assert_fails(&place.run_server(&["0", "--plaintext"]), 2, words);
    }
    let place = Place::with("");
    fs::remove_file(place.path("credentials.txt")).expect("removed");
    assert_fails(&place.run_server(&["0", "--plaintext"]), 2, &["credentials.txt"]);
    let mut server = place.serve_with(&["--set", "registration=open", "--ephemeral"]);
    assert_eq!(server.stop().code, Some(0), "with open registration nobody is needed");
}

#[test]
fn a_bad_file_at_sighup_changes_nothing_and_says_why() {
    let place = Place::with(&format!("hans {HASH}\n"));
    place.write("hobnob.toml", "timeout = 60\n");
    let mut server = place.serve_with(&["--config", "hobnob.toml", "--ephemeral", "-v"]);
    place.write("credentials.txt", format!("hans {HASH}\nyoda\n"));
    server.signal(Signal::HUP);
    assert!(server.log_line("nothing was changed").contains("credentials.txt:2: no password"));
    place.write("credentials.txt", format!("hans {HASH}\n"));
    place.write("hobnob.toml", "timeout = soon\n");
    server.signal(Signal::HUP);
    assert!(server.log_line("nothing was changed").contains("hobnob.toml:1:"));
    place.write("hobnob.toml", "port = 1\ndata = \"elsewhere\"\n");
    server.signal(Signal::HUP);
    assert!(server.log_line("restart").contains("data"), "the port is an option, which wins");
    let _client = server.wire();
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn passwd_adds_and_changes_accounts() {
    let place = Place::with("# all of us\nhans falcon\n");
    let cheap = &["--set", "argon2_kib=8", "--set", "argon2_passes=1"];
    let passwd = |name: &str, input: &str| {
        place.run_server_with_input(&[&["passwd", name], &cheap[..]].concat(), input)
    };
    assert!(passwd("luke", "light==saber\n").status.success());
    let content = place.read("credentials.txt");
    let added = content.strip_prefix("# all of us\nhans falcon\nluke ").expect("a new line");
    assert!(added.starts_with("$argon2id$v=19$m=8,t=1,p=1$") && added.ends_with('\n'), "{content}");
    assert!(passwd("hans", "new").status.success());
    assert!(place.read("credentials.txt").starts_with("# all of us\nhans $argon2id$"));
    assert_fails(&passwd("yoda", "\n"), 1, &["password"]);
    assert_fails(&passwd("yo da", "x\n"), 2, &["yo da", "no name"]);
    assert!(place.read("credentials.txt").lines().all(|line| !line.starts_with("yo")));
}

#[test]
fn users_are_listed_and_removed() {
    let place = Place::with("yoda a\nHans b\n# c\nhans d\n");
    let users = || String::from_utf8(place.run_server(&["users"]).stdout).expect("text");
    assert_eq!(users(), "Hans\nhans\nyoda\n");
    assert!(place.run_server(&["remove", "hans"]).status.success());
    assert_eq!(users(), "Hans\nyoda\n");
    assert_eq!(place.read("credentials.txt"), "yoda a\nHans b\n# c\n");
    assert_fails(&place.run_server(&["remove", "hans"]), 1, &["hans", "no account"]);
    let elsewhere = place.run_server(&["--credentials", "missing.txt", "remove", "yoda"]);
    assert_fails(&elsewhere, 1, &["yoda", "no account"]);
}

#[test]
fn plain_passwords_are_hashed_in_place() {
    let place = Place::with(&format!("# c\r\nhans falcon\r\nyoda {HASH}"));
    let cheap = &["--set", "argon2_kib=8", "--set", "argon2_passes=1"];
    let hash = || place.run_server(&[&["hash-credentials"], &cheap[..]].concat());
    assert!(hash().status.success());
    let content = place.read("credentials.txt");
    assert!(content.starts_with("# c\r\nhans $argon2id$v=19$m=8,t=1,p=1$"), "{content}");
    assert!(content.ends_with(&format!("\r\nyoda {HASH}")), "{content}");
    assert!(!content.contains("falcon"));
    let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("a file"));
    let before = inode(&place.path("credentials.txt"));
    assert!(hash().status.success());
    assert_eq!(inode(&place.path("credentials.txt")), before, "nothing to do, nothing done");
}

#[test]
fn a_backup_is_made_beside_a_running_server_and_overwrites_nothing() {
    let place = Place::with(&format!("hans {HASH}\n"));
    let mut server = place.serve_with(&[]);
    let output = place.run_server(&["backup", "copy.db"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::metadata(place.path("copy.db")).is_ok_and(|copy| copy.len() > 0));
    assert_fails(&place.run_server(&["backup", "copy.db"]), 1, &["copy.db"]);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_backup_that_was_killed_leaves_nothing_of_its_name() {
    let place = Place::with(&format!("hans {HASH}\n"));
    assert_eq!(place.serve_with(&[]).stop().code, Some(0));
    let store = rusqlite::Connection::open(place.path("hobnob-data/hobnob.db")).expect("a database");
    store.execute_batch("CREATE TABLE notes AS SELECT zeroblob(300000)").expect("a large database");
    drop(store);
    // No file may grow to the length of the database: the system kills who tries.
    let shell = ["sh", "-c", "ulimit -f 64; exec \"$0\" backup copy.db"].map(str::to_owned);
    let mut limited = place.server_command_behind(&shell);
    assert_eq!(limited.stderr(Stdio::null()).status().expect("a run").code(), None, "it was killed");
    assert!(!place.path("copy.db").exists());
    let output = place.run_server(&["backup", "copy.db"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn check_looks_at_settings_credentials_and_store() {
    let place = Place::with(&format!("hans {HASH}\n"));
    let output = place.run_server(&["check"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("store           none: there is no data folder hobnob-data; a start makes it"),
        "{said}"
    );
    assert!(!place.data().exists(), "it makes nothing");
    assert_eq!(place.serve_with(&[]).stop().code, Some(0));
    let output = place.run_server(&["check", "--set", "timeout=7"]);
    let found = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for words in ["timeout=7\n", "accounts        1\n", "\nsound\n"] {
        assert!(found.contains(words), "{words:?} in {found}");
    }
    place.write("hobnob-data/hobnob.db", "this is no database, however long it may be");
    assert_eq!(place.run_server(&["check"]).status.code(), Some(1));
    place.write("credentials.txt", "hans\n");
    assert_eq!(place.run_server(&["check"]).status.code(), Some(2));
}

#[test]
fn a_data_folder_serves_one_server() {
    let place = Place::with(&format!("hans {HASH}\n"));
    let mut server = place.serve_with(&[]);
    assert_fails(&place.run_server(&["0", "--plaintext"]), 1, &["hobnob-data", "in use"]);
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(place.serve_with(&[]).stop().code, Some(0), "the lock goes with the server");
}

#[test]
fn help_shows_examples_first_and_every_setting() {
    let place = Place::with("");
    let output = place.run_server(&["--help"]);
    let help = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && help.starts_with("Examples:\n"), "{help}");
    for words in ["hash-credentials", "--set <KEY=VALUE>", "registration=closed", "dead_link_secs=15"] {
        assert!(help.contains(words), "{words}");
    }
    let output = place.run_server(&["--version"]);
    let version = String::from_utf8(output.stdout).expect("text");
    assert_eq!(version, format!("hobnob-server {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_new_account_is_in_the_file_when_it_is_confirmed() {
    let place = Place::with("");
    let open = &["--set", "registration=open", "--set", "argon2_kib=8", "--set", "argon2_passes=1"];
    let server = place.serve_with(open);
    let welcome = server.wire().asks("register luke light==saber");
    assert!(welcome.starts_with("welcome luke "), "{welcome}");
    assert!(place.read("credentials.txt").starts_with("luke $argon2id$v=19$m=8,t=1,p=1$"));
}

/// Two logs that take no line: on a full disk, and without a reader.
fn dead_logs() -> [Stdio; 2] {
    let full = fs::File::options().write(true).open("/dev/full").expect("a full device");
    let (_, unread) = std::io::pipe().expect("a pipe");
    [full.into(), unread.into()]
}

#[test]
fn a_log_that_cannot_be_written_stops_no_server() {
    for log in dead_logs() {
        // Warned of at the start, and again at each SIGHUP.
        let place = Place::with("hans falcon\n");
        let mut server = place.serve_with_log(&["--ephemeral", "-d"], log);
        server.signal(Signal::HUP);
        drop(Wire::connect(server.port));
        assert_eq!(server.stop().code, Some(0));
    }
}

#[test]
fn without_a_log_the_exit_codes_are_the_same() {
    let place = Place::with("hans\n");
    for arguments in [&["0", "--plaintext"][..], &["--no-such-option"], &["check"]] {
        for log in dead_logs() {
            let status = place.server_command().args(arguments).stdout(Stdio::null()).stderr(log).status();
            assert_eq!(status.expect("a run").code(), Some(2), "{arguments:?}");
        }
    }
}

#[test]
fn secrets_are_in_no_log() {
    let place = Place::with("hans falcon\n");
    let mut server = place.serve_with(&["--ephemeral", "-d"]);
    let mut client = server.wire();
    client.say("login hans falcon\nlogin hans wrongsecret\nmessage hans topsecret");
    let Ended { code, log, .. } = server.stop();
    assert_eq!(code, Some(0));
    for secret in ["falcon", "wrongsecret", "topsecret"] {
        assert!(!log.contains(secret), "{log}");
    }
}
