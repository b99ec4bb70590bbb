//! Much mail: back in service with a hundred thousand messages waiting, and a mailbox larger than the
//! memory that is to be had for it.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use support::{PASSWORD, Place, Wire};

use crate::{have_the_machine, report, share_the_machine};

const SENDERS: usize = 10;
const RECEIVERS: usize = 20;
const MESSAGES: usize = 100_000;

/// Bytes of the texts in one mailbox.
const LARGE_MAILBOX: usize = 64 << 20;

/// How often the server is started on what the kill has left.
const STARTS: usize = 5;

/// How often a start may read all that a folder holds.
const MOST_READS: u64 = 2;

/// Lines written before their answers are read.
const AHEAD: usize = 500;

/// Sends `text` so many times, to receivers in turn.
fn fill(port: u16, sender: usize, count: usize, receivers: usize, text: &str) {
    let mut wire = Wire::user(port, &format!("sender{sender}"));
    let mut left = count;
    while left > 0 {
        let count = left.min(AHEAD);
        let line = |number| format!("message receiver{} {text}\n", number % receivers);
        wire.send((0..count).map(line).collect::<String>().as_bytes());
        for _ in 0..count {
            let answer = wire.answer();
            assert!(answer.starts_with("ok message ") && answer.ends_with(" stored"), "{answer}");
        }
        left -= count;
    }
}

/// A place of so many users, with no quotas.
fn spacious(receivers: usize) -> Place {
    let senders = (0..SENDERS).map(|number| format!("sender{number}"));
    let names: Vec<String> =
        senders.chain((0..receivers).map(|number| format!("receiver{number}"))).collect();
    let quotas =
        ["mailbox_messages", "mailbox_bytes", "mailbox_per_sender", "mailbox_total_bytes", "rate_per_s"];
    quotas.iter().fold(Place::of(&names), |place, quota| place.set(&format!("{quota}=0")))
}

#[test]
fn a_mailbox_is_never_wholly_in_memory() {
    let _machine = share_the_machine();
    let place = spacious(1);
    let mut server = place.serve();
    let text = "x".repeat(4_000);
    // The program itself, of which tests have the larger build.
    let empty = server.memory();
    fill(server.port, 0, LARGE_MAILBOX / text.len(), 1, &text);
    let filled = server.most_memory() - empty;
    server.kill();
    let server = place.serve();
    let mut receiver = Wire::user(server.port, "receiver0");
    for number in 0..LARGE_MAILBOX / text.len() {
        let line = receiver.line();
        assert!(line.starts_with("message ") && line.ends_with(&text), "{number}: {line}");
    }
    let read = server.most_memory() - empty;
    report(&format!(
        "large mailbox: {LARGE_MAILBOX} bytes; at most {filled} in memory when it was filled, {read} when it was read"
    ));
    assert!(filled.max(read) < LARGE_MAILBOX as u64 * 3 / 8, "{filled} {read}");
}

#[test]
fn a_server_with_100_000_stored_messages_reads_them_once_to_be_back() {
    let _machine = have_the_machine();
    let place = spacious(RECEIVERS);
    let mut server = place.serve();
    let port = server.port;
    let began = Instant::now();
    let text = "a message of some fifty bytes, as people write them";
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            scope.spawn(move || fill(port, sender, MESSAGES / SENDERS, RECEIVERS, text));
        }
    });
    let filled = began.elapsed();
    server.kill();
    let left = Copy::of(&place.data());
    let log = fs::metadata(place.data().join("hobnob.db-wal")).map_or(0, |file| file.len());
    let (mut starts, mut most_read) = (Vec::new(), 0);
    for _ in 0..STARTS {
        left.put_back(&place.data());
        let (took, read) = back_in_service(&place);
        most_read = most_read.max(read);
        starts.push(took);
    }
    let (best, worst) = (starts.iter().min().expect("starts"), starts.iter().max().expect("starts"));
    report(&format!(
        "many: {MESSAGES} stored in {filled:?}; {STARTS} starts on a log of {log} bytes: \
         first login after {best:?} to {worst:?}, {most_read} of {} bytes read",
        left.bytes()
    ));
    // How long a start takes depends on the machine, what it reads does not.
    assert!(most_read < MOST_READS * left.bytes(), "{most_read} of {} bytes", left.bytes());
}

/// From the start of the process to the answer to a login that knows of the mail: how long it takes, and how
/// much is read.
fn back_in_service(place: &Place) -> (Duration, u64) {
    let began = Instant::now();
    let server = place.serve();
    let welcome = Wire::connect(server.port).ask(&format!("login receiver7 {PASSWORD}"));
    let took = began.elapsed();
    let unread = format!("welcome receiver7 unread {} ", MESSAGES / RECEIVERS);
    assert!(welcome.starts_with(&unread), "{welcome}");
    (took, server.bytes_read())
}

/// The files of a data folder, as a kill has left them.
struct Copy(Vec<(OsString, Vec<u8>)>);

impl Copy {
    fn of(folder: &Path) -> Copy {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        // What operators speak through is no file.
        let files = entries.filter(|entry| entry.file_type().expect("a type").is_file());
        let files = files.map(|entry| (entry.file_name(), fs::read(entry.path()).expect("a file")));
        Copy(files.collect())
    }

    fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, content)| content.len() as u64).sum()
    }

    fn put_back(&self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            fs::remove_file(entry.expect("an entry").path()).expect("removed");
        }
        for (name, content) in &self.0 {
            fs::write(folder.join(name), content).expect("written");
        }
    }
}
