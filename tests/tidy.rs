//! Rules about the source: which place may import which, how long files may be, words that are banned, what is kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The house, top to bottom: a place may import what is listed beside it (`ARCHITECTURE.md` says why).
const LAYERS: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("words", &[]),
    ("planted", &[]),
    ("wire", &["time", "words", "planted"]),
    ("record", &["time", "words", "wire"]),
    ("server", &["time", "words", "wire", "record", "planted"]),
    ("client", &["time", "words", "wire", "planted"]),
    ("sim", &["time", "words", "wire", "record", "server", "client", "planted"]),
    ("shell", &["time", "words", "wire", "record", "server", "client"]),
    ("bin", &["shell", "time", "words", "wire", "server", "client", "sim", "planted"]),
];

/// The rooms of the server: each may use those before it, and what stands beside `mod.rs` (the hall).
const ROOMS: &[&str] = &["out", "papers", "people", "post", "door"];

const FILE_LINES: usize = 500;

/// The largest file that is kept.
const KEPT_BYTES: usize = 256 * 1024;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The code of a file without its comments and its tests, with line numbers.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).expect("UTF-8");
    // The checkout itself may be below a folder of that name.
    let inside = path.strip_prefix(root()).unwrap_or(path);
    if inside.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs") {
        return Vec::new();
    }
    let lines = text.lines().enumerate().take_while(|(_, line)| !line.starts_with("#[cfg(test)]"));
    lines
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line.to_owned()))
        .collect()
}

fn place_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).expect("below src");
    let first = inside.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// Names of top-level modules that a line reaches for: `crate::NAME` or `hobnob::NAME`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for root in ["crate::", "hobnob::"] {
        for (at, _) in line.match_indices(root) {
            let rest = &line[at + root.len()..];
            let names = match rest.strip_prefix('{') {
                Some(group) => group.split('}').next().unwrap_or("").to_owned(),
                None => rest.to_owned(),
            };
            for name in names.split(", ") {
                found.push(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    found
}

#[test]
fn imports_point_down_the_house() {
    let mut bad = Vec::new();
    for path in sources(&root().join("src")) {
        let place = place_of(&path);
        if place == "lib" {
            continue;
        }
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| *name == place)
            .unwrap_or_else(|| panic!("{place} has no place in the house"));
        for (number, line) in code(&path) {
            for import in imports(&line) {
                let known = LAYERS.iter().any(|(name, _)| *name == import);
                if known && import != place && !allowed.contains(&import.as_str()) {
                    bad.push(format!("{}:{number}: {place} reaches for {import}", path.display()));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// The room of the server that a path leads to, as a file in another room writes it.
fn room_of(import: &str) -> Option<usize> {
    let inside = import.strip_prefix("crate::server::")?;
    let first = inside.trim_start_matches('{').split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    ROOMS.iter().position(|room| *room == first)
}

#[test]
fn rooms_of_the_server_use_only_those_before_them() {
    let mut bad = Vec::new();
    for (place, room) in ROOMS.iter().enumerate() {
        for path in sources(&root().join("src/server").join(room)) {
            for (number, line) in code(&path) {
                for (at, _) in line.match_indices("crate::server::") {
                    if room_of(&line[at..]).is_some_and(|other| other > place) {
                        bad.push(format!("{}:{number}: {}", path.display(), line.trim()));
                    }
                }
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert_eq!(room_of("crate::server::post::Delivery;"), Some(3));
    assert_eq!(room_of("crate::server::{post, wishes}"), Some(3));
    assert_eq!(room_of("crate::server::accounts::UserId"), None);
}

/// The methods of a type of the server, over all its files.
#[test]
fn no_type_of_the_server_has_more_methods_than_one_can_know() {
    let mut methods: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for path in sources(&root().join("src/server")) {
        let mut of = None;
        for (_, line) in code(&path) {
            if let Some(head) = line.strip_prefix("impl") {
                let subject = head.rsplit(" for ").next().unwrap_or(head);
                of = subject
                    .split_whitespace()
                    .find(|word| word.starts_with(char::is_uppercase))
                    .map(str::to_owned);
            } else if line.starts_with('}') {
                of = None;
            } else if let Some(of) = &of
                && line.starts_with("    ")
                && line.trim_start().split(['(', '<']).next().is_some_and(|head| head.contains("fn "))
                && !line.starts_with("     ")
            {
                *methods.entry(of.clone()).or_default() += 1;
            }
        }
    }
    assert!(methods.get("ServerState").is_some_and(|count| *count > 5), "{methods:?}");
    let bad: Vec<_> = methods.iter().filter(|(_, count)| **count > 80).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn the_import_check_sees_what_it_must() {
    assert_eq!(imports("use crate::server::Event;"), ["server"]);
    assert_eq!(imports("use crate::{time::Time, client::View};"), ["time", "client"]);
    assert_eq!(imports("let x = crate::shell::now();"), ["shell"]);
}

#[test]
fn the_core_reaches_for_nothing_of_the_machine() {
    let banned =
        ["std::", "SystemTime", "Instant::", "println!", "thread_local", "static mut", "OnceLock", "rand::"];
    let mut bad = Vec::new();
    for path in sources(&root().join("src")) {
        let place = place_of(&path);
        if ["shell", "bin", "lib", "planted"].contains(&place.as_str()) {
            continue;
        }
        for (number, line) in code(&path) {
            if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                bad.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn clock_timers_and_sockets_of_the_shell_are_those_of_its_platform() {
    let banned = ["Instant::", "SystemTime::now", "Timer::", "async_net", "TcpStream", "TcpListener"];
    let shell = root().join("src/shell");
    let mut bad = Vec::new();
    for path in sources(&shell).into_iter().filter(|path| !path.starts_with(shell.join("platform"))) {
        for (number, line) in code(&path) {
            if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                bad.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn no_file_is_two_files() {
    let mut bad = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        let folder = root().join(folder);
        for path in if folder.is_dir() { sources(&folder) } else { Vec::new() } {
            let lines = fs::read_to_string(&path).expect("UTF-8").lines().count();
            if lines > FILE_LINES {
                bad.push(format!("{}: {lines} lines", path.display()));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn nothing_unfinished_and_no_unwrap() {
    let banned = ["todo!", "unimplemented!", "dbg!", "FIXME", "XXX", ".unwrap()"];
    let mut bad = Vec::new();
    for path in sources(&root().join("src")) {
        for (number, line) in code(&path) {
            if let Some(word) = banned.iter().find(|word| line.contains(**word)) {
                bad.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn unsafe_stays_in_the_shell() {
    for path in sources(&root().join("src")) {
        if place_of(&path) == "shell" {
            continue;
        }
        for (number, line) in code(&path) {
            assert!(!line.contains("unsafe "), "{}:{number}", path.display());
        }
    }
}

/// Whatever a tool leaves beside the source is easily added with it: no file is large, and none but inputs of fuzzers and
/// recordings is anything but text.
#[test]
fn what_is_kept_is_text_and_small() {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    // A copy of the source without its history has nothing that is kept.
    let Ok(listed) = listed.map(|output| output.stdout) else { return };
    for name in String::from_utf8(listed).expect("UTF-8").split_terminator('\0') {
        // One that was removed, and not yet from what is kept.
        let Ok(bytes) = fs::read(root().join(name)) else { continue };
        assert!(bytes.len() <= KEPT_BYTES, "{name} has {} bytes", bytes.len());
        let is_text = std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0'));
        let may_be_binary = ["fuzz/corpus/", "tests/recordings/"].iter().any(|place| name.starts_with(place));
        assert!(is_text || may_be_binary, "{name} is not text");
    }
}

#[test]
fn the_papers_are_there_and_short() {
    for paper in [
        "README.md",
        "ARCHITECTURE.md",
        "PROTOCOL.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ] {
        assert!(root().join(paper).is_file(), "{paper} is missing");
    }
    let lines = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("UTF-8").lines().count();
    assert!(lines <= 150, "ARCHITECTURE.md has {lines} lines");
}
