//! Runs every input of the fuzz corpora through its target, without a fuzzer.

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests and the fuzzer")]
mod targets;

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 10, "{} inputs in {}", inputs.len(), corpus.display());
    for input in inputs {
        // Shown if the check fails.
        println!("{}", input.display());
        check(&fs::read(&input).unwrap());
    }
}

#[test]
fn framing() {
    replay("framing", targets::framing);
}

#[test]
fn client_line() {
    replay("client_line", targets::client_line);
}

#[test]
fn server_line() {
    replay("server_line", targets::server_line);
}

#[test]
fn peer_line() {
    replay("peer_line", targets::peer_line);
}

#[cfg(feature = "shell")]
#[test]
fn terminal() {
    replay("terminal", targets::terminal);
}

#[cfg(feature = "sim")]
#[test]
fn server_core() {
    replay("server_core", hobnob::sim::targets::server_core);
}

#[cfg(feature = "sim")]
#[test]
fn whole_world() {
    replay("whole_world", hobnob::sim::targets::whole_world);
}

#[cfg(feature = "sim")]
#[test]
fn client_core() {
    replay("client_core", hobnob::sim::targets::client_core);
}

#[cfg(feature = "sim")]
#[test]
fn evil_server() {
    replay("evil_server", hobnob::sim::targets::evil_server);
}
