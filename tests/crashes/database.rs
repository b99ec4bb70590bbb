//! The database of a server, as it is beside it or after its end.

use std::path::PathBuf;
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use support::{PATIENCE, Place};

pub(crate) fn path(place: &Place) -> PathBuf {
    place.data().join("hobnob.db")
}

/// Looks into the database beside the server.
pub(crate) fn look(place: &Place) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(path(place), flags).expect("a database");
    connection.busy_timeout(Duration::from_secs(10)).expect("a timeout");
    connection
}

/// Waits until no mail is in the database, which tells nobody of a change.
pub(crate) fn wait_for_empty_mailboxes(place: &Place) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let count = "SELECT count(*) FROM mail";
        let waiting: i64 = look(place).query_row(count, [], |row| row.get(0)).expect("a count");
        if waiting == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{waiting} messages are not taken");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The texts of all stored mail, in order of ids.
pub(crate) fn stored_texts(place: &Place) -> Vec<String> {
    let database = look(place);
    let mut statement = database.prepare("SELECT text FROM mail ORDER BY boot, number").expect("a query");
    let texts = statement.query_map([], |row| row.get(0)).expect("rows");
    texts.map(|text| text.expect("a text")).collect()
}

/// `hobnob-server check` on the data.
pub(crate) fn check(place: &Place) -> Output {
    place.server_command().arg("check").arg("--data").arg(place.data()).output().expect("the program runs")
}
