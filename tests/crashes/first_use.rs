//! The disk of a client that meets a server for the first time is full or read-only.

use std::fs;
use std::process::Command;

use support::{Client, Place, Server, password};

use crate::disk::Disk;
use crate::share_the_machine;

const HINT: &str = "--state";

/// What a client says that is turned away by its own disk.
fn turned_away(server: &Server, state: &str) -> String {
    let mut client = Client::start(&server.place, server.port, &["--json", "--state", state]);
    let code = client.ended();
    assert_eq!(client.count(|object| object["type"] != "connection"), 0, "nobody is asked for anything");
    let said = client.diagnostic();
    assert_eq!(code, 1, "{said}");
    said
}

/// Whether a client that logs in knows the server from before.
fn is_known(server: &Server, state: &str) -> bool {
    let mut hans = Client::start(&server.place, server.port, &["--json", "--state", state]);
    let connection = hans.skip_to("connection");
    hans.log_in("hans", password("hans"));
    hans.log_out();
    connection["first_use"] != true
}

fn remount(disk: &Disk, how: &str) {
    let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(disk.path()).status();
    assert!(done.expect("mount runs").success());
}

#[test]
fn a_client_that_cannot_keep_the_key_of_a_server_tells_it_nothing() {
    let _shared = share_the_machine();
    let Some(disk) = Disk::mount("pins on a full and on a read-only disk") else { return };
    let server = Server::start_in(Place::samples().encrypted(), &[]);
    let folder = disk.path().join("state");
    let state = folder.to_str().expect("UTF-8");
    remount(&disk, "ro");
    let said = turned_away(&server, state);
    assert!(said.contains("its key cannot be kept") && said.contains("Read-only"), "{said}");
    assert!(said.contains(HINT), "{said}");
    remount(&disk, "rw");
    // The folders are made while there is room, so that it is the file that does not fit.
    fs::create_dir_all(folder.join("pins")).expect("folders");
    disk.fill();
    let said = turned_away(&server, state);
    assert!(said.contains("its key cannot be kept") && said.contains("No space left"), "{said}");
    assert_eq!(fs::read_dir(folder.join("pins")).expect("the folder").count(), 0, "nothing is left behind");
    disk.make_room();
    assert!(!is_known(&server, state));
    assert!(is_known(&server, state));
    remount(&disk, "ro");
    let mut known = Client::start(&server.place, server.port, &["--json", "--state", state]);
    known.answer("hans");
    known.answer(password("hans"));
    assert_eq!(known.ended(), 1, "mail that is shown could not be noted");
    assert!(known.diagnostic().contains(state), "{}", known.diagnostics());
}
