//! What a server keeps in memory.

use std::fs;

use support::{HASH, Place};

/// Resident memory of a process, in KiB.
fn resident_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn logins_one_after_the_other_take_the_memory_of_one_hash() {
    let place = Place::with(&format!("hans {HASH}\n"));
    // The threads hash in 4 MiB each.
    let server = place.serve_with(&["--ephemeral", "--set", "argon2_kib=4096", "--set", "argon2_passes=1"]);
    // A name of its own for each, so that none is locked.
    let guess = |n: u32| {
        let mut client = server.wire();
        client.say(&format!("login nobody{n} guess"));
        client.skip_to("refused ");
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    (0..2 * threads).for_each(guess);
    let before = resident_kib(server.id());
    (2 * threads..2 * threads + 16).for_each(guess);
    let after = resident_kib(server.id());
    assert!(after < before + 2 * 4096, "{before} KiB, then {after} KiB");
}
