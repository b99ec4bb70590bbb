//! The end of a server whose disk is slow, or hangs.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::io::Errno;

use support::{PATIENCE, Server};

/// Waits until somebody opens a FIFO to read it, and keeps them waiting for the first byte.
fn writer_of_nothing(fifo: &Path) -> File {
    let began = Instant::now();
    loop {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        match File::options().write(true).custom_flags(flags).open(fifo) {
            Ok(writer) => return writer,
            Err(error) => assert_eq!(error.raw_os_error(), Some(Errno::NXIO.raw_os_error())),
        }
        assert!(began.elapsed() < PATIENCE, "nobody reads it");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_store_that_hangs_does_not_keep_the_server_from_its_end() {
    let mut server = Server::start(&["registration=open"]);
    let mut hans = server.wire_user("hans");
    let credentials = server.place.path("credentials.txt");
    fs::remove_file(&credentials).expect("removed");
    assert!(Command::new("mkfifo").arg(&credentials).status().expect("a run").success());
    let mut anna = server.wire();
    anna.say("register anna secret");
    let _writer = writer_of_nothing(&credentials);
    let ended = server.stop();
    assert_eq!(ended.code, Some(1));
    let line = "hobnob-server: the store did not finish in time: what had been confirmed is on the disk";
    assert_eq!(ended.log.matches(line).count(), 1, "{}", ended.log);
    assert_eq!(hans.rest(), "bye server_shutdown\n");
}

#[test]
fn a_reader_of_the_store_does_not_keep_the_server_from_its_end() {
    let mut server = Server::start(&[]);
    let file = server.place.data().join("hobnob.db");
    let reader = rusqlite::Connection::open(&file).expect("a database");
    // While somebody reads, the log cannot be emptied.
    reader.execute_batch("BEGIN; SELECT count(*) FROM sessions").expect("a transaction");
    let _hans = server.wire_user("hans");
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "everything is written");
    drop(reader);
    let sessions: i64 = rusqlite::Connection::open(&file)
        .and_then(|db| db.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)))
        .expect("a count");
    assert_eq!(sessions, 1);
}
