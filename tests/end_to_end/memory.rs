//! What a server keeps in memory.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use crate::harness::{Place, Wire};

/// Memory of one hash, in KiB: more than the allocator would hide.
const HASH_KIB: u64 = 4096;

/// A server of its own settings; those of the others hash in next to nothing.
struct Hashing {
    child: Child,
    port: u16,
    _place: Place,
}

impl Hashing {
    fn start() -> Hashing {
        let place = Place::new();
        let mut command = place.server_command();
        command.args(["0", "--plaintext", "--ephemeral", "--set", "argon2_passes=1"]);
        command.arg("--set").arg(format!("argon2_kib={HASH_KIB}"));
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        Hashing { child, port, _place: place }
    }

    /// Has passwords hashed one after the other, each for a name of its own, so that none is locked.
    fn refuse(&self, names: std::ops::Range<u64>) {
        for name in names {
            let mut stranger = Wire::connect(self.port);
            stranger.say(&format!("login nobody{name} guess"));
            stranger.skip_to("refused ");
        }
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a status");
        let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
        size.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Hashing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn logins_one_after_the_other_take_the_memory_of_one_hash() {
    let server = Hashing::start();
    // Each hashing thread has its own; let all of them have had a turn.
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    server.refuse(0..2 * threads);
    let before = server.resident_kib();
    server.refuse(2 * threads..2 * threads + 16);
    let after = server.resident_kib();
    assert!(after < before + 2 * HASH_KIB, "{before} KiB, then {after} KiB");
}
