//! The operator's commands, beside a running server and without one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

use rustix::process::Signal;
use support::{Place, Server};

const CHEAP: [&str; 4] = ["--set", "argon2_kib=64", "--set", "argon2_passes=1"];

fn passwd(place: &Place, name: &str, password: &str) -> Output {
    let mut command = place.server_command();
    command.args(["passwd", name]).args(CHEAP);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a run");
    let mut stdin = child.stdin.take().expect("its input");
    // One that refuses the name does not read.
    let _ = stdin.write_all(format!("{password}\n").as_bytes());
    drop(stdin);
    child.wait_with_output().expect("its end")
}

#[test]
fn accounts_are_made_changed_and_removed_beside_a_running_server() {
    let server = Server::start(&[]);
    let output = passwd(&server.place, "leia", "alderaan");
    assert!(output.status.success(), "{output:?}");
    assert!(!server.place.read("credentials.txt").contains("alderaan"));
    server.reload();
    let mut leia = server.client(&[]);
    leia.log_in("leia", "alderaan");
    leia.log_out();
    assert!(passwd(&server.place, "leia", "hoth").status.success());
    server.reload();
    let mut leia = server.client(&[]);
    leia.log_in("leia", "hoth");
    leia.log_out();
    let users = server.place.run_server(&["users"]);
    assert_eq!(String::from_utf8_lossy(&users.stdout), "hans\nleia\nluke\nr2d2\nvader\nyoda\n");
    assert!(server.place.run_server(&["remove", "leia"]).status.success());
    server.reload();
    let mut leia = server.client(&[]);
    leia.answer("leia");
    leia.answer("hoth");
    assert_eq!(leia.wait_for("login")["error"], "invalid_credentials");
    assert_eq!(server.place.run_server(&["remove", "leia"]).status.code(), Some(1));
    assert_eq!(passwd(&server.place, "#x", "pw").status.code(), Some(2));
    assert_eq!(passwd(&server.place, "ok", "").status.code(), Some(1));
}

#[test]
fn passwd_names_a_file_that_others_can_read() {
    let place = Place::samples();
    let output = passwd(&place, "hans", "alderaan");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("can read"), "{output:?}");
    fs::set_permissions(place.path("credentials.txt"), fs::Permissions::from_mode(0o644)).expect("a mode");
    let output = passwd(&place, "hans", "alderaan");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("credentials.txt: others can read") && said.contains("chmod 600"), "{said}");
}

/// As a plain password such a line would admit whoever has read the file.
#[test]
fn hashes_of_other_programs_are_refused_by_line_at_start_reload_and_check() {
    let foreign = "hans x\nyoda $2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW\n";
    let place = Place::with(foreign);
    for words in [&["0", "--plaintext"][..], &["check"], &["hash-credentials"], &["users"]] {
        let output = place.run_server(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {said}");
        assert!(
            said.contains("credentials.txt:2: the password looks like a bcrypt hash"),
            "{words:?}: {said}"
        );
        assert!(!said.contains("R9h/"), "{words:?}: {said}");
    }
    let server = Server::start(&[]);
    server.place.write("credentials.txt", foreign);
    server.signal(Signal::HUP);
    server.logs("nothing was changed", 1);
    server.logs("credentials.txt:2: the password looks like a bcrypt hash", 1);
    server.user("hans").log_out();
}

#[test]
fn a_backup_is_a_store_to_start_from() {
    let server = Server::start(&[]);
    let mut hans = server.user("hans");
    hans.ok("message yoda in the backup");
    hans.ok("block luke");
    let output = server.place.run_server(&["backup", "copy.db"]);
    assert!(output.status.success(), "{output:?}");
    hans.ok("message yoda after the backup");
    let again = server.place.run_server(&["backup", "copy.db"]);
    assert_eq!(again.status.code(), Some(1), "it overwrites nothing");
    let place = Place::samples();
    std::fs::create_dir(place.path("hobnob-data")).expect("a folder");
    std::fs::copy(server.place.path("copy.db"), place.path("hobnob-data/hobnob.db")).expect("a copy");
    let restored = Server::start_in(place, &[]);
    let mut yoda = restored.user("yoda");
    yoda.message("in the backup");
    yoda.has_not("what came later", |object| object["text"] == "after the backup");
    assert_eq!(restored.user("hans").fails("block luke"), "already_blocked");
}

#[test]
fn check_tells_of_a_sound_and_of_a_damaged_store() {
    let mut server = Server::start(&[]);
    server.user("hans").ok("message yoda hi");
    let output = server.place.run_server(&["check"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.stop().code, Some(0));
    server.place.write("hobnob-data/hobnob.db", "no database at all, but long enough to look like one");
    let output = server.place.run_server(&["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let output = server.place.run_server(&["0", "--plaintext"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("hobnob.db") || stderr.contains("hobnob-data"), "{stderr}");
}
