//! Disks that are full, read-only or damaged.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::{Place, Wire, free_port};

use crate::audit::audit;
use crate::database;
use crate::disk::Disk;
use crate::people::{Life, Person};
use crate::{report, share_the_machine};

#[test]
fn a_full_disk_refuses_what_needs_it_and_nothing_else() {
    let _machine = share_the_machine();
    let Some(disk) = Disk::mount("full disk") else { return };
    let place = Place::of(&["ann", "bob", "cid"]).keep_in(&disk.path().join("data"));
    let mut server = place.serve();
    let mut ann = Person::enter(&place, server.port, "ann");
    let mut bob = Person::enter(&place, server.port, "bob");
    let line = ann.message("cid", "before");
    assert_eq!(ann.result(line)["status"], "stored");
    disk.fill();
    let (mut refused, mut in_a_row) = (0, 0);
    // Pages of the log can be overwritten, so some messages are still taken.
    for number in 0.. {
        let line = ann.message("cid", &format!("while it is full {number}"));
        let result = ann.result(line);
        let is_refused = result["error"] == "storage_unavailable";
        assert!(is_refused || result["ok"] == true, "{result}");
        refused += usize::from(is_refused);
        in_a_row = if is_refused { in_a_row + 1 } else { 0 };
        if in_a_row == 5 {
            break;
        }
        assert!(number < 2_000, "the disk does not fill up");
        disk.fill();
    }
    let small = ["block cid", "create group crew bob"].map(|line| {
        let result = ann.ask(line);
        assert!(result["ok"] == true || result["error"] == "storage_unavailable", "{result}");
        (line, result["ok"] == true)
    });
    let line = bob.message("ann", "live while it is full");
    assert_eq!(bob.result(line)["status"], "delivered");
    assert_eq!(ann.ask("whoelse")["users"].as_array().map(Vec::len), Some(1));
    let mut lives = vec![bob.leave()];
    let mut bob = Person::enter(&place, server.port, "bob");
    let line = bob.message("ann", "back while it is full");
    assert_eq!(bob.result(line)["status"], "delivered");
    disk.make_room();
    for text in ["after", "and after"] {
        let line = ann.message("cid", text);
        assert_eq!(ann.result(line)["status"], "stored", "there is room again");
    }
    for (line, taken) in small {
        assert_eq!(ann.ask(line)["ok"], !taken, "{line}: what was refused is not there, what was taken is");
    }
    assert_eq!(ann.ask("unblock cid")["ok"], true);
    lives.extend([ann.leave(), bob.leave()]);
    let port = server.port;
    server.kill();
    let server = place.serve_on(port, &[]).expect("the server starts again");
    let cid = Person::enter(&place, server.port, "cid");
    cid.sees("and after");
    database::wait_for_empty_mailboxes(&place);
    lives.push(cid.leave());
    let findings = audit(&lives);
    findings.assert_clean();
    report(&format!("full disk: {refused} refused; {findings}"));
}

/// As much as one sender may store by default.
const OF_ONE_SENDER: usize = 1_000;

#[test]
fn mail_that_a_full_disk_could_not_forget_is_shown_once_all_the_same() {
    let _machine = share_the_machine();
    let Some(disk) = Disk::of("4m", "removals on a full disk") else { return };
    let place = Place::of(&["ann", "bob"]).keep_in(&disk.path().join("data"));
    let mut server = place.serve();
    let port = server.port;
    let mut ann = Person::enter(&place, port, "ann");
    for number in 0..OF_ONE_SENDER {
        ann.message("bob", &format!("waiting {number}"));
    }
    assert!(ann.settle(0));
    disk.fill();
    let bob = Person::enter(&place, port, "bob");
    bob.sees(&format!("waiting {}", OF_ONE_SENDER - 1));
    server.kill();
    let first = bob.kill();
    let kept = database::stored_texts(&place).len();
    disk.make_room();
    let server = place.serve_on(port, &[]).expect("the server starts again");
    let bob = Person::enter_at_last(&place, port, "bob");
    database::wait_for_empty_mailboxes(&place);
    let findings = audit(&[ann.leave(), first, bob.leave()]);
    report(&format!("removals on a full disk: {kept} stored after they were shown; {findings}"));
    findings.assert_clean();
    drop(server);
}

/// Pages of a log that the first page of its index knows.
const INDEXED: u64 = 4_062;
/// Bytes of a page in the log.
const FRAME: u64 = 2_072;

#[test]
fn what_an_index_that_cannot_grow_leaves_in_the_log_is_not_refused() {
    let _machine = share_the_machine();
    let Some(disk) = Disk::of("32m", "an index that cannot grow") else { return };
    let place = Place::of(&["ann", "bob"]).keep_in(&disk.path().join("data"));
    let place = place.set("mailbox_per_sender=0").set("mailbox_bytes=0");
    let mut server = place.serve();
    let port = server.port;
    let mut ann = Person::enter(&place, port, "ann");
    let log = place.data().join("hobnob.db-wal");
    let frames = || fs::metadata(&log).map_or(0, |log| log.len()) / FRAME;
    // A reader keeps the log from being restarted.
    let reader = database::look(&place);
    reader.execute_batch("BEGIN; SELECT count(*) FROM mail").expect("a transaction");
    let filling = "x".repeat(4_000);
    while frames() + 16 < INDEXED {
        let line = ann.message("bob", &format!("long {} {filling}", frames()));
        assert_eq!(ann.result(line)["status"], "stored");
    }
    let mut refused = 0;
    let unanswered = loop {
        assert!(frames() < INDEXED + 16, "the index grows");
        // Room for the transaction, and none for the index.
        disk.leave(16_384);
        let line = ann.message("bob", &format!("near {}", frames()));
        let Some(result) = ann.result_or_loss(line) else { break line };
        // A transaction that changes more pages than usual may not fit, and nothing of it is in the log.
        let is_refused = result["error"] == "storage_unavailable";
        assert!(is_refused || result["status"] == "stored", "it is in the log: {result}");
        refused += usize::from(is_refused);
    };
    drop(reader);
    assert_eq!(server.ended().code, Some(1));
    disk.make_room();
    let server = place.serve_on(port, &[]).expect("the server starts again");
    assert_eq!(ann.result(unanswered)["status"], "stored");
    let stored = database::stored_texts(&place);
    let distinct: std::collections::BTreeSet<_> = stored.iter().collect();
    let taken = unanswered - refused;
    assert_eq!((stored.len(), distinct.len()), (taken, taken), "each once");
    drop(server);
}

#[cfg(target_os = "linux")]
#[test]
fn a_limit_of_file_lengths_is_a_full_disk() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let _machine = share_the_machine();
    let place = Place::of(&["ann", "cid"]);
    let mut server = place.serve();
    let pid = Pid::from_raw(server.id().cast_signed());
    let limit = |current| prlimit(pid, Resource::Fsize, Rlimit { current, maximum: None }).expect("a limit");
    let mut ann = Person::enter(&place, server.port, "ann");
    let mut taken = Vec::new();
    // At the end of the valid log, and within a page of it. A refused page may remain after that end,
    // and is written over by the next.
    for room in [0, 100] {
        let log = fs::metadata(place.data().join("hobnob.db-wal")).map_or(0, |log| log.len());
        limit(Some(log + room));
        let refused = (0..20).find_map(|number| {
            let text = format!("{number} with room for {room}");
            let line = ann.message("cid", &text);
            let result = ann.result(line);
            if result["status"] == "stored" {
                taken.push(text);
            }
            result.get("error").cloned()
        });
        assert_eq!(refused, Some("storage_unavailable".into()));
        // The first refusal makes the store empty its log. The next answer comes after that: if the limit
        // were lifted meanwhile, a write would have failed for no reason.
        let text = format!("next with room for {room}");
        let line = ann.message("cid", &text);
        if ann.result(line)["status"] == "stored" {
            taken.push(text);
        }
        limit(None);
        taken.push(format!("after room for {room}"));
        let line = ann.message("cid", &taken[taken.len() - 1]);
        assert_eq!(ann.result(line)["status"], "stored");
    }
    server.kill();
    assert_eq!(database::stored_texts(&place), taken);
}

#[test]
fn a_client_that_cannot_note_what_it_shows_shows_nothing_more_and_loses_nothing() {
    let _machine = share_the_machine();
    let Some(disk) = Disk::mount("full disk of a client") else { return };
    let place = Place::of(&["ann", "bob", "cid"]).keep_state_in(disk.path());
    let server = place.serve();
    let mut ann = Person::enter(&place, server.port, "ann");
    let bob = Person::enter(&place, server.port, "bob");
    let line = ann.message("bob", "noted");
    assert_eq!(ann.result(line)["status"], "delivered");
    disk.fill();
    // The file of bob's notes has room to the end of its last page. Ann's is as full, so a bare connection
    // sends.
    let mut wire = Wire::user(server.port, "cid");
    let mut told = 0;
    while !bob.has_ended() {
        let answer = wire.ask("message bob too much");
        assert!(answer == "ok message bob delivered" || answer == "ok message bob stored", "{answer}");
        told += 1;
        assert!(told < 5_000, "the disk does not fill up");
    }
    let (code, first) = bob.end();
    assert_eq!(code, 1);
    disk.make_room();
    let bob = Person::enter_at_last(&place, server.port, "bob");
    database::wait_for_empty_mailboxes(&place);
    let second = bob.leave();
    let shown = |life: &Life| -> BTreeMap<String, bool> {
        let is_meant = |object: &&Value| object["text"] == "too much";
        let id_and_again = |object: &Value| (object["id"].to_string(), object["again"] == true);
        life.objects.iter().filter(is_meant).map(id_and_again).collect()
    };
    let (before, after) = (shown(&first), shown(&second));
    assert!(after.iter().all(|(id, again)| *again || !before.contains_key(id)), "{before:?} {after:?}");
    assert_eq!(before.len() + after.keys().filter(|id| !before.contains_key(*id)).count(), told);
    report(&format!("full disk of a client: {} shown, {} in its next life", before.len(), after.len()));
    drop(ann);
}

/// The server ends at once with one line that names what is wrong.
fn assert_refuses(place: &Place, words: &[&str]) {
    let ended = place.serve_on(free_port(), &[]).expect_err("no server starts on that");
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    assert_eq!(ended.log.lines().count(), 1, "{}", ended.log);
    assert!(words.iter().all(|word| ended.log.contains(word)), "{words:?} in {}", ended.log);
}

/// A folder in which a server was killed with one stored message in its log.
fn left_behind() -> Place {
    let place = Place::of(&["ann", "bob"]);
    let mut server = place.serve();
    let mut ann = Person::enter(&place, server.port, "ann");
    let line = ann.message("bob", "kept");
    assert_eq!(ann.result(line)["status"], "stored");
    server.kill();
    place
}

#[test]
fn a_torn_tail_of_the_log_is_cut_off() {
    let _machine = share_the_machine();
    let place = left_behind();
    let log = place.data().join("hobnob.db-wal");
    let mut file = fs::File::options().append(true).open(&log).expect("the log");
    file.write_all(&[0x5a; 1_500]).expect("written");
    drop(file);
    let server = place.serve();
    let bob = Person::enter(&place, server.port, "bob");
    bob.sees("kept");
}

#[test]
fn a_damaged_file_is_named() {
    let _machine = share_the_machine();
    let place = left_behind();
    fs::remove_file(place.data().join("hobnob.db-wal")).expect("removed");
    let mut bytes = fs::read(database::path(&place)).expect("the database");
    for byte in bytes.iter_mut().skip(100) {
        *byte ^= 0x5a;
    }
    fs::write(database::path(&place), bytes).expect("written");
    assert_refuses(&place, &["hobnob.db", "damaged"]);
    fs::write(database::path(&place), "").expect("written");
    assert_refuses(&place, &["hobnob.db", "empty"]);
    fs::write(
        database::path(&place),
        "something else, and long enough to be read as a header of a database ".repeat(9),
    )
    .expect("written");
    assert_refuses(&place, &["hobnob.db"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let _machine = share_the_machine();
    if rustix::process::geteuid().is_root() {
        // Root writes where it may not; a file in the place of the folder stops it too.
        let place = Place::of(&["ann"]);
        fs::write(place.data(), "").expect("written");
        assert_refuses(&place, &["data"]);
        read_only_disk();
        return;
    }
    let place = left_behind();
    fs::set_permissions(place.data(), fs::Permissions::from_mode(0o500)).expect("a mode");
    for name in ["hobnob.db", "hobnob.db-wal", "hobnob.db-shm", "lock"] {
        let _ = fs::set_permissions(place.data().join(name), fs::Permissions::from_mode(0o400));
    }
    assert_refuses(&place, &["data"]);
    fs::set_permissions(place.data(), fs::Permissions::from_mode(0o700)).expect("a mode");
}

fn read_only_disk() {
    let Some(disk) = Disk::mount("read-only disk") else { return };
    let place = Place::of(&["ann"]).keep_in(&disk.path().join("data"));
    drop(place.serve());
    let remounted = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status();
    assert!(remounted.expect("mount runs").success());
    assert_refuses(&place, &["data"]);
}
