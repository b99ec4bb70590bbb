//! What a server keeps in memory.

use support::{Place, Server};

/// Memory of one hash: more than the allocator would hide.
const HASH_BYTES: u64 = 4 << 20;

/// Has passwords hashed one after the other, each for a name of its own, so that none is locked.
fn refuse(server: &Server, names: std::ops::Range<u64>) {
    for name in names {
        let mut stranger = server.wire();
        stranger.say(&format!("login nobody{name} guess"));
        stranger.skip_to("refused ");
    }
}

#[test]
fn logins_one_after_the_other_take_the_memory_of_one_hash() {
    let cost = format!("argon2_kib={}", HASH_BYTES / 1024);
    let server = Place::samples().serve_with(&["--ephemeral", "--set", &cost, "--set", "argon2_passes=1"]);
    // Each hashing thread has its own; let all of them have had a turn.
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    refuse(&server, 0..2 * threads);
    let before = server.memory();
    refuse(&server, 2 * threads..2 * threads + 16);
    let after = server.memory();
    assert!(before > HASH_BYTES && after < before + 2 * HASH_BYTES, "{before} bytes, then {after}");
}
