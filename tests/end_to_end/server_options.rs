//! Where the server's settings come from, and what it does with bad ones.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use support::{Place, Server, password};

/// The seconds for which a name is locked.
fn lock_seconds(server: &Server) -> u64 {
    let mut hans = server.client(&[]);
    for line in ["hans", "a", "b", "c"] {
        hans.answer(line);
    }
    let locked = hans.wait("a lock", |object| object["error"] == "locked_out");
    locked["retry_after"].as_u64().expect("seconds")
}

#[test]
fn positional_arguments_are_port_lock_and_timeout() {
    let server = Server::start_with(Place::samples(), &["0", "7", "1"]);
    let seconds = lock_seconds(&server);
    assert!((1..=7).contains(&seconds), "{seconds}");
    let mut luke = server.client(&[]);
    luke.log_in("luke", password("luke"));
    assert_eq!(luke.wait_for("bye")["reason"], "timeout");
    assert_eq!(luke.ended(), 5);
}

#[test]
fn options_win_over_the_environment_that_over_the_file_that_over_the_default() {
    let place = Place::samples();
    place
        .write("hobnob.toml", "block_duration = 1000\ntimeout = 1111\nlock_attempts = 4\nplaintext = true\n");
    let mut command = place.server_command();
    command.args(["check", "--config", "hobnob.toml", "--set", "timeout=3333"]);
    command.env("HOBNOB_TIMEOUT", "2222").env("HOBNOB_BLOCK_DURATION", "2000");
    let output = command.output().expect("a run");
    let found = String::from_utf8_lossy(&output.stdout);
    for line in ["timeout=3333", "block_duration=2000", "lock_attempts=4", "mailbox_messages=10000"] {
        assert!(found.lines().any(|found| found == line), "{line} in {found}");
    }
    let mut heading = "";
    let marked = found.lines().filter_map(|line| {
        heading = if line.starts_with('#') { line } else { heading };
        (line != heading).then_some((line, heading))
    });
    let marked: Vec<(&str, &str)> = marked.collect();
    for (line, heading) in [
        ("timeout=3333", "# set by an option"),
        ("block_duration=2000", "# set by the environment"),
        ("lock_attempts=4", "# set by hobnob.toml"),
        ("plaintext=true", "# set by hobnob.toml"),
        ("mailbox_messages=10000", "# default"),
    ] {
        assert!(marked.contains(&(line, heading)), "{line} below {heading:?} in {found}");
    }
}

/// Of the options for everybody, each command lists those that it obeys.
#[test]
fn help_has_examples_first_fits_a_terminal_and_lists_what_a_command_obeys() {
    let place = Place::samples();
    let all = ["--bind", "--credentials", "--data", "--config", "--set", "--plaintext", "--ephemeral"];
    let accounts = &["--credentials", "--config", "--set"][..];
    let store = &["--data", "--config", "--set"][..];
    for (command, obeyed) in [
        ("passwd", accounts),
        ("users", accounts),
        ("remove", accounts),
        ("hash-credentials", accounts),
        ("backup", store),
        ("export", &["--credentials", "--data", "--config", "--set"]),
        ("forget", &["--credentials", "--data", "--config", "--set"]),
        ("ctl", store),
        ("invite", store),
        ("top", store),
        ("check", &all),
        ("completions", &[]),
        ("man", &[]),
    ] {
        let output = place.run_server(&[command, "--help"]);
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            help.starts_with("Examples:\n  ") && help.contains(&format!("hobnob-server {command}")),
            "{help}"
        );
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        for option in all {
            let listed = help
                .lines()
                .any(|line| line.trim_start().starts_with(&format!("{option} ")) || line.trim() == option);
            assert_eq!(listed, obeyed.contains(&option), "{option} of {command}:\n{help}");
        }
        assert!(!help.contains("\n  -v "), "{command}");
    }
}

#[test]
fn every_setting_has_its_default() {
    let output = Place::samples().run_server(&["check"]);
    let found = String::from_utf8_lossy(&output.stdout);
    for line in "resume_grace_secs=0 mailbox_messages=10000 mailbox_bytes=8388608 mailbox_per_sender=1000 \
         mailbox_total_bytes=268435456 unauthenticated_max=128 unauthenticated_per_address=16 login_secs=30 \
         hash_queue=32 line_bytes=4096 output_bytes=262144 output_stall_secs=10 rate_burst=4096 rate_per_s=20000 \
         mailbox_share=8 total_share=16 unsettled_max=64 presence_burst=4 presence_settle_secs=15 core_dumps=false groups_per_user=50 members_per_group=200 failures_per_address=9 private_request_secs=60 argon2_kib=19456 \
         argon2_passes=2 allow_plaintext=false port=4000 bind=127.0.0.1 block_duration=60 timeout=1800 \
         dead_link_secs=15 lock_attempts=3 lock_extend=false registration=closed duplicate_login=deny \
         invalid_counts_as_activity=false block_notice=tell offline_delivery=auto held_on_block=hold \
         broadcast_report=generic hide_blockers_in_whoelse=true whoelse_include_self=false \
         hide_blockers_in_history=true history_mode=overlap strict_block=true block_mutual=false \
         block_ends_private=false ping_reveals_block=true"
        .split_whitespace()
    {
        assert!(found.lines().any(|found| found == line), "{line} in {found}");
    }
}

#[test]
fn bad_words_are_2_and_named() {
    let place = Place::samples();
    for (words, named) in [
        (&["0", "--plaintext", "--set", "colour=red"][..], "colour"),
        (&["0", "--plaintext", "--set", "registration=maybe"], "maybe"),
        (&["port", "--plaintext"], "port"),
        (&["0", "x", "--plaintext"], "x"),
        (&["0", "--nonsense"], "--nonsense"),
        (&["0", "--plaintext", "--credentials", "missing.txt"], "missing.txt"),
    ] {
        let output = place.run_server(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        assert!(stderr.contains(named) && output.stdout.is_empty(), "{words:?}: {stderr}");
    }
}

#[test]
fn a_port_and_a_folder_serve_one_server() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let output = Place::samples().run_server(&[&port, "--plaintext"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&port) && !stderr.contains("panicked"), "{stderr}");
    let mut server = Server::start(&[]);
    let output = server.place.run_server(&["0", "--plaintext"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("in use"), "{output:?}");
    server.user("hans").log_out();
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn bad_usage_of_the_client_is_2() {
    let place = Place::samples();
    for words in [
        &["--plaintext", "host:"][..],
        &["--plaintext", "1", "2", "3"],
        &["--nonsense"],
        &["--plaintext", "--accept-private", "maybe"],
        &["--plaintext", "--password-file", "missing"],
        &["--plaintext", "--fingerprint", "SHA256:x"],
        &["--plaintext", "70000"],
        &["--plaintext", "--reconnect", "soon"],
    ] {
        let output = place.run_client(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{words:?}");
    }
    let help = place.run_client(&["--help"]);
    assert!(help.status.success() && help.stdout.starts_with(b"Examples"), "{help:?}");
    let version = place.run_client(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("hobnob {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_server_is_named_in_each_way() {
    let server = Server::start(&[]);
    let port = server.port.to_string();
    for words in
        [vec![port.clone()], vec!["localhost".into(), port.clone()], vec![format!("127.0.0.1:{port}")]]
    {
        let mut command = server.place.client_command();
        command.args(["--plaintext", "--json", "--user", "hans"]).args(&words);
        command.arg("--state").arg(server.place.fresh_state());
        let mut client = support::Client::spawn(command, true);
        client.answer(password("hans"));
        assert_eq!(client.wait_for("login")["ok"], true, "{words:?}");
        client.ok("logout");
        assert_eq!(client.end().0, 0);
    }
}

/// Whoever could put one there would choose the file that is written.
#[test]
fn a_link_in_the_data_folder_keeps_the_server_from_starting() {
    for name in ["lock", "hobnob.db", "hobnob.db-wal"] {
        let place = Place::samples();
        fs::create_dir(place.path("hobnob-data")).expect("a folder");
        place.write("elsewhere", "");
        symlink(place.path("elsewhere"), place.path("hobnob-data").join(name)).expect("a link");
        let output = place.run_server(&["0", "--plaintext"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains(&format!("{name} is a symbolic link")), "{said}");
        assert_eq!(place.read("elsewhere"), "");
    }
}
