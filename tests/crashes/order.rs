//! No confirmation leaves the server before its disk has the record: shown by a trace of system calls.

use std::collections::HashMap;
use std::fs::File;

use support::{Place, Wire};

use crate::people::Person;
use crate::strace::{self, Strace};
use crate::{report, share_the_machine};

/// One line of a trace: a whole call, or one end of it.
struct Call<'t> {
    name: &'t str,
    /// The file or socket, as `-y` shows it.
    on: &'t str,
    text: &'t str,
}

/// Splits `PID name(FD<file>, …` and `PID <... name resumed>…`. The end of a call that was interrupted
/// by others in the trace is named with the file that its beginning had.
fn read(lines: &[String]) -> Vec<(Call<'_>, Moment)> {
    let mut open: HashMap<&str, (&str, &str, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for line in lines {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            if let Some((name, on, text)) = open.remove(pid) {
                calls.push((Call { name, on, text }, Moment::End));
            }
            continue;
        }
        let Some((name, arguments)) = rest.split_once('(') else { continue };
        let on = arguments.split_once('<').map_or("", |(_, file)| file.split('>').next().unwrap_or(""));
        if rest.ends_with("<unfinished ...>") {
            open.insert(pid, (name, on, rest));
            calls.push((Call { name, on, text: rest }, Moment::Begin));
        } else {
            calls.push((Call { name, on, text: rest }, Moment::Whole));
        }
    }
    calls
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    Whole,
    Begin,
    End,
}

fn is_sync(call: &Call<'_>) -> bool {
    matches!(call.name, "fsync" | "fdatasync") && call.on.ends_with("hobnob.db-wal")
}

fn is_log_write(call: &Call<'_>) -> bool {
    call.name.starts_with("pwrite") && call.on.ends_with("hobnob.db-wal")
}

fn is_file_of(call: &Call<'_>, place: &Place) -> bool {
    call.on.starts_with(&place.data().display().to_string())
}

fn watch(place: &Place, pid: u32) -> Strace {
    let trace = "trace=recvfrom,read,sendto,write,writev,sendmsg,pwrite64,fsync,fdatasync,ftruncate";
    let options = ["-y", "-s", "70000", "-e", trace].map(str::to_owned);
    Strace::attach(pid, &options, &place.path("trace")).expect("strace attaches")
}

/// For each marked command: it was read, then written to the log, then a sync began and returned, and
/// only then its confirmation left.
fn check_order(lines: &[String], mark: &str, confirmation: &str) {
    let calls = read(lines);
    let find = |from: usize, what: &str, wanted: &dyn Fn(&Call<'_>, Moment) -> bool| {
        let found = calls[from..].iter().position(|(call, moment)| wanted(call, *moment));
        from + found.unwrap_or_else(|| panic!("no {what} of {mark} in the trace"))
    };
    let is_socket = |call: &Call<'_>| call.on.starts_with("socket:") || call.on.starts_with("TCP");
    let heard = find(0, "command", &|call, moment| {
        moment != Moment::Begin
            && is_socket(call)
            && matches!(call.name, "recvfrom" | "read")
            && call.text.contains(mark)
    });
    let socket = calls[heard].0.on;
    let wrote = find(heard, "log write", &|call, _| is_log_write(call));
    let told = find(heard, "confirmation", &|call, _| {
        call.on == socket
            && matches!(call.name, "sendto" | "write" | "writev" | "sendmsg")
            && call.text.contains(confirmation)
    });
    assert!(wrote < told, "{confirmation:?} of {mark} left before the log was written");
    let last_write = (wrote..told).rev().find(|&at| is_log_write(&calls[at].0)).expect("a log write");
    // A sync that began before the last page was written does not cover it.
    let synced = (last_write..told).any(|at| {
        let (call, moment) = &calls[at];
        let began_after = *moment == Moment::Whole
            || (*moment == Moment::End
                && (last_write..at)
                    .any(|before| calls[before].1 == Moment::Begin && is_sync(&calls[before].0)));
        is_sync(call) && began_after
    });
    assert!(synced, "{confirmation:?} of {mark} left before the sync had returned");
}

#[test]
fn no_confirmation_leaves_before_the_sync_that_covers_it() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("confirmation after sync, by system calls") {
        return;
    }
    let place = Place::of(&["ann", "bob", "cid"]);
    let server = place.serve();
    let mut ann = Wire::user(server.port, "ann");
    let trace = watch(&place, server.id());
    let mut asked = Vec::new();
    for number in 0..20 {
        let mark = format!("mark-{number}-end");
        let stored = ann.ask(&format!("#{} message bob {mark}", number + 1));
        assert_eq!(stored, format!("ok #{} message bob stored", number + 1));
        asked.push((mark, format!("ok #{} message", number + 1)));
    }
    for (number, command) in [(21, "block cid"), (22, "create group crew bob cid"), (23, "unblock cid")] {
        let answer = ann.ask(&format!("#{number} {command}"));
        assert!(answer.starts_with(&format!("ok #{number} ")), "{answer}");
        asked.push((format!("#{number} {command}"), format!("ok #{number} ")));
    }
    let lines = trace.lines();
    for (mark, confirmation) in &asked {
        check_order(&lines, mark, confirmation);
    }
    report(&format!("trace: {} confirmations, each after its sync", asked.len()));
}

/// For each message that was confirmed: its text was written to the log, then a sync began and returned,
/// and only then its confirmation left. Messages that others store meanwhile make no difference: the log is
/// synced only after whole transactions.
fn check_each(lines: &[String], messages: &[(String, String)]) -> usize {
    let calls = read(lines);
    let is_output = |call: &Call<'_>| {
        matches!(call.name, "sendto" | "write" | "writev" | "sendmsg") && !is_log_write(call)
    };
    let mut syncs = 0;
    for (text, confirmation) in messages {
        let at = |what: &str, is_meant: &dyn Fn(&Call<'_>) -> bool| {
            let found = calls.iter().position(|(call, _)| is_meant(call));
            found.unwrap_or_else(|| panic!("no {what} of {text} in the trace"))
        };
        let wrote = at("log write", &|call| is_log_write(call) && call.text.contains(text));
        let told = at("confirmation", &|call| is_output(call) && call.text.contains(confirmation));
        assert!(wrote < told, "{confirmation:?} left before {text:?} was written");
        assert!(has_synced(&calls[wrote..told]), "{confirmation:?} left before {text:?} was on the disk");
        syncs += 1;
    }
    syncs
}

/// Whether a sync began and returned in this part of a trace.
fn has_synced(calls: &[(Call<'_>, Moment)]) -> bool {
    let mut began = false;
    calls.iter().filter(|(call, _)| is_sync(call)).any(|(_, moment)| match moment {
        Moment::Whole => true,
        Moment::Begin => {
            began = true;
            false
        }
        Moment::End => began,
    })
}

#[test]
fn under_load_each_confirmation_waits_for_its_own_sync() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("confirmation after sync under load, by system calls") {
        return;
    }
    let senders: Vec<String> = (0..6).map(|number| format!("sender{number}")).collect();
    let names: Vec<&str> = senders.iter().map(String::as_str).chain(["bob"]).collect();
    let place = Place::of(&names);
    let server = place.serve();
    let mut wires: Vec<Wire> = senders.iter().map(|name| Wire::user(server.port, name)).collect();
    let trace = watch(&place, server.id());
    let mut messages = Vec::new();
    // All have two under way at any time, so transactions overlap with what leaves.
    for round in 0..12 {
        for (sender, wire) in wires.iter_mut().enumerate() {
            let number = 100_000 + sender * 1_000 + round;
            let text = format!("mark-{number}-end");
            wire.say(&format!("#{number} message bob {text}"));
            messages.push((text, format!("ok #{number} message bob stored")));
            if round > 0 {
                assert_eq!(wire.answer(), format!("ok #{} message bob stored", number - 1));
            }
        }
    }
    wires.iter_mut().for_each(|wire| assert!(wire.answer().ends_with(" stored")));
    let checked = check_each(&trace.lines(), &messages);
    report(&format!("trace under load: {checked} confirmations, each after its own sync"));
}

/// Before this call of a trace, a credentials file was written and synced, then renamed to its place, and then
/// its folder was synced.
fn check_replaced(calls: &[(Call<'_>, Moment)], folder: &str, what: &str) {
    let fresh = format!("{folder}/.credentials.txt.");
    let last = |of: &str, is_meant: &dyn Fn(&Call<'_>) -> bool| {
        let found = calls.iter().rposition(|(call, moment)| *moment != Moment::Begin && is_meant(call));
        found.unwrap_or_else(|| panic!("no {of} in the trace before {what}"))
    };
    let is_sync = |call: &Call<'_>| matches!(call.name, "fsync" | "fdatasync");
    let wrote = last("write of the file", &|call| call.name == "write" && call.on.starts_with(&fresh));
    let synced = last("sync of the file", &|call| is_sync(call) && call.on.starts_with(&fresh));
    let renamed = last("rename", &|call| call.name.starts_with("rename") && call.text.contains(&fresh));
    let kept = last("sync of the folder", &|call| is_sync(call) && call.on == folder);
    assert!(wrote < synced, "{what}: the file was not synced after it was written");
    assert!(synced < renamed, "{what}: the file was in its place before it was synced");
    assert!(renamed < kept, "{what}: its folder was not synced after it was renamed");
}

const REPLACING: &str = "write,fsync,fdatasync,rename,renameat,renameat2,sendto,writev,sendmsg";

#[test]
fn an_account_is_confirmed_once_its_file_and_its_folder_are_synced() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("accounts after sync, by system calls") {
        return;
    }
    let place = Place::of(&["ann"]).set("registration=open");
    let folder = place.folder().canonicalize().expect("a folder").display().to_string();
    let server = place.serve();
    let options = ["-y", "-s", "200", "-e", &format!("trace={REPLACING}")].map(str::to_owned);
    let trace = Strace::attach(server.id(), &options, &place.path("trace")).expect("strace attaches");
    let names = ["bob", "cid", "dan"];
    for name in names {
        let welcome = Wire::connect(server.port).ask(&format!("register {name} falcon"));
        assert!(welcome.starts_with(&format!("welcome {name} ")), "{welcome}");
    }
    let lines = trace.lines();
    let calls = read(&lines);
    let mut from = 0;
    for name in names {
        let welcome = format!("welcome {name} ");
        let told = calls[from..].iter().position(|(call, _)| call.text.contains(&welcome));
        let told = from + told.unwrap_or_else(|| panic!("no {welcome:?} in the trace"));
        check_replaced(&calls[from..told], &folder, &welcome);
        from = told + 1;
    }
    // And by the programs beside it, before they end.
    for words in [&["passwd", "eve"][..], &["remove", "bob"]] {
        let output = place.path("trace-of-a-program");
        let wrapper = strace::watching(&["-y".to_owned()], REPLACING, &output);
        let mut command = place.server_command_behind(&wrapper);
        command.args(words).args(["--set", "argon2_kib=8"]).stdin(password_of(&place));
        assert!(command.status().expect("a run").success());
        check_replaced(&read(&strace::read(&output)), &folder, words[0]);
    }
    report("trace: accounts are confirmed after the sync of their file and of its folder");
}

fn password_of(place: &Place) -> File {
    File::open(place.path("password")).expect("a file")
}

#[test]
fn live_chat_writes_nothing_to_the_disk() {
    let _machine = share_the_machine();
    if !strace::is_at_hand("no disk in live chat, by system calls") {
        return;
    }
    let place = Place::of(&["ann", "bob", "cid"]);
    let server = place.serve();
    let mut ann = Person::enter(&place, server.port, "ann");
    let mut bob = Person::enter(&place, server.port, "bob");
    // After this answer, everything of the logins is on the disk.
    let line = ann.message("cid", "later");
    assert_eq!(ann.result(line)["status"], "stored");
    let trace = watch(&place, server.id());
    for number in 0..50 {
        let (from, to) = if number % 2 == 0 { (&mut ann, "bob") } else { (&mut bob, "ann") };
        let line = from.message(to, &format!("live {number}"));
        assert_eq!(from.result(line)["status"], "delivered");
    }
    ann.ask("whoelse");
    let lines = trace.lines();
    let calls = read(&lines);
    let sent = calls.iter().filter(|(call, _)| call.name == "sendto" && call.text.contains("live ")).count();
    assert!(sent >= 50, "{sent} messages in the trace");
    let stored: Vec<&str> =
        calls.iter().filter(|(call, _)| is_file_of(call, &place)).map(|(call, _)| call.text).collect();
    assert!(stored.is_empty(), "{stored:#?}");
    report(&format!("trace: 50 live messages, {} calls, none of them on the data", calls.len()));
}
