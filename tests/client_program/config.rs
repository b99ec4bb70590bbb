//! What is chosen in the environment and in `client.toml`, and `hobnob config`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use serde_json::Value;
use support::{Client, FakeServer, Place};

fn configure(place: &Place, text: &str) {
    let folder = place.folder().join("hobnob");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("client.toml"), text).expect("writes");
}

#[test]
fn the_file_names_server_and_user_and_the_environment_another_one() {
    let server = FakeServer::start();
    configure(&server.place, &format!("server = \"127.0.0.1:{}\"\nuser = \"hans\"\n", server.port));
    for (variable, user) in [(None, "hans"), (Some("luke"), "luke")] {
        let mut command = server.place.client_command();
        command.args(["--plaintext", "--json"]).envs(variable.map(|user| ("HOBNOB_USER", user)));
        let mut client = Client::spawn(command, true);
        let mut connection = server.accept();
        connection.expect(&format!("login {user}"));
        connection.say("ask password");
        client.answer("falcon");
        connection.expect(&format!("login {user} falcon"));
        connection.welcome(user);
        client.end_input();
        connection.expect_logout();
        assert_eq!(client.end().0, 0);
    }
}

#[test]
fn an_option_wins_and_send_uses_the_same_choices() {
    let server = FakeServer::start();
    configure(&server.place, "server = \"127.0.0.1:1\"\nuser = \"hans\"\n");
    let listening = format!("localhost:{}", server.port);
    let password = server.place.folder().join("password");
    fs::write(&password, "falcon\n").expect("writes");
    let mut command = server.place.client_command();
    command.args(["send", "--plaintext", "--server", &listening, "--password-file"]).arg(&password);
    command.args(["yoda", "hi"]);
    let _client = Client::spawn(command, false);
    let mut connection = server.accept_silently();
    connection.say("hobnob 1 ack resume courier");
    let mut said = Vec::new();
    while said.iter().all(|line: &String| !line.starts_with("login ")) {
        said.push(connection.hear().expect("a line"));
    }
    assert!(said.last().is_some_and(|line| line.starts_with("login hans")), "{said:?}");
}

#[test]
fn what_is_wrong_in_the_file_ends_the_program_with_its_line() {
    let place = Place::with("");
    for (text, reason) in [
        ("user = \"hans\"\nusr = \"luke\"\n", "client.toml:2: unknown key \"usr\""),
        ("\n\ntimestamps = \"sometimes\"\n", "client.toml:3: \"sometimes\" is no value for timestamps"),
        ("user = \n", "client.toml:1: "),
    ] {
        configure(&place, text);
        for words in [&["--plaintext", "1"][..], &["config"], &["send", "--user", "a", "b", "c"]] {
            let output = place.run_client(words);
            assert_eq!(output.status.code(), Some(2), "{words:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains(reason) && said.lines().count() == 1, "{said}");
        }
    }
}

#[test]
fn config_prints_what_holds_and_whence() {
    let place = Place::with("");
    configure(&place, "\nserver = \"example.org\"\naccept_private = \"never\"\n");
    let config = |words: &[&str]| {
        let mut command = place.client_command();
        let output = command.arg("config").args(words).env("HOBNOB_USER", "hans").output().expect("it runs");
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let people = config(&["--timestamps", "full"]);
    let rows: Vec<Vec<&str>> = people.lines().map(|row| row.split_whitespace().collect()).collect();
    let file = place.folder().join("hobnob/client.toml");
    let file = file.to_str().expect("UTF-8");
    for row in [
        &["server", "example.org:4000", &format!("{file}:2")][..],
        &["user", "hans", "environment", "variable", "HOBNOB_USER"],
        &["timestamps", "full", "--timestamps"],
        &["accept_private", "never", &format!("{file}:3")],
        &["private_bind", "-", "default"],
    ] {
        assert!(rows.iter().any(|found| found == row), "{row:?} in\n{people}");
    }
    let objects = config(&["--json", "5000"]);
    let objects: Vec<Value> = objects.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |key: &str| objects.iter().find(|object| object["key"] == key).expect("is there");
    assert_eq!((&of("server")["value"], &of("server")["from"]), (&"127.0.0.1:5000".into(), &"option".into()));
    assert_eq!((&of("accept_private")["file"], &of("accept_private")["line"]), (&file.into(), &3.into()));
    assert_eq!((&of("reconnect")["value"], &of("reconnect")["from"]), (&Value::Null, &"default".into()));
    assert_eq!(rows.len(), objects.len());
}

#[test]
fn a_server_has_variables_of_its_own() {
    let place = Place::with("");
    let output = place.server_command().arg("users").env("HOBNOB_USER", "hans").output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_password_command_of_the_file_lets_the_user_in_unless_a_file_is_named() {
    let server = FakeServer::start();
    let run = server.place.folder().join("run");
    let command = format!("echo run >> '{}'; echo falcon", run.display());
    let text = format!("user = \"hans\"\npassword_command = \"{command}\"\n");
    configure(&server.place, &text);
    let file = server.place.folder().join("password");
    fs::write(&file, "eagle\n").expect("writes");
    for (words, password) in [(vec![], "falcon"), (vec!["--password-file".into(), file], "eagle")] {
        let mut command = server.place.client_command();
        command.args(["--plaintext", "--json", &server.port.to_string()]).args(words);
        let mut client = Client::spawn(command, true);
        let mut connection = server.accept();
        connection.expect("login hans");
        connection.say("ask password");
        connection.expect(&format!("login hans {password}"));
        connection.welcome("hans");
        client.end_input();
        connection.expect_logout();
        assert_eq!(client.end().0, 0);
    }
    // Neither needs a password.
    for (words, code) in [(&["config"][..], 0), (&["trust", "127.0.0.1:1"], 3)] {
        assert_eq!(server.place.run_client(words).status.code(), Some(code), "{words:?}");
    }
    assert_eq!(fs::read_to_string(run).expect("was run"), "run\n");
    configure(&server.place, "user = \"hans\"\npassword_command = \"exit 3\"\n");
    let output = server.place.run_client(&["--plaintext", "1"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("of the password command"), "{said}");
}

#[test]
fn a_file_that_may_not_be_read_is_left_out_with_a_warning() {
    let place = Place::with("");
    configure(&place, "user = \"hans\"\n");
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("is set");
    let program = folder.path().join("hobnob");
    fs::copy(place.client_command().get_program(), &program).expect("is copied");
    let mut command = Command::new(program);
    command.arg("config").env("XDG_CONFIG_HOME", place.folder());
    fs::set_permissions(place.folder().join("hobnob"), fs::Permissions::from_mode(0o000)).expect("is set");
    if rustix::process::getuid().is_root() {
        // Nobody: root may read everything.
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("client.toml is left out: ") && said.lines().count() == 1, "{said}");
    assert_eq!(output.status.code(), Some(0));
    assert!(
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .any(|line| line.starts_with("user") && line.ends_with("default"))
    );
}
