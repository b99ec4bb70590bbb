//! What runs short is told before anything is refused for it.

use std::process::Command;

use serde_json::Value;
use support::{Place, Server};

fn warnings(place: &Place) -> Vec<String> {
    let data = place.data();
    let data = data.to_str().expect("UTF-8");
    let output = place.run_server(&["ctl", "--json", "--data", data, "status"]);
    let status: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let warnings = status["warnings"].as_array().expect("a list");
    warnings.iter().map(|warning| warning.as_str().expect("text").to_owned()).collect()
}

#[test]
fn mail_that_takes_four_fifths_of_its_room_is_told_by_log_status_and_check() {
    let settings = ["mailbox_total_bytes=100", "total_share=1", "mailbox_share=1"];
    let mut server = Server::start(&settings);
    let mut hans = server.user("hans");
    hans.ok(&format!("message yoda {}", "x".repeat(79)));
    assert!(warnings(&server.place).is_empty());
    hans.ok("message yoda y");
    let said = "stored mail takes 80 % of mailbox_total_bytes (80 of 100)";
    let [warning] = &warnings(&server.place)[..] else { panic!("one warning") };
    assert!(warning.starts_with(said), "{warning}");
    let output = server.place.run_server(&["ctl", "status"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("\nwarnings       {said}")));
    let output = server.place.run_server(&["top", "--once"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("\n! {said}")));
    let output = server.place.run_server(&["check", "--set", settings[0]]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("\nWARNING         {said}")));
    assert!(!server.log().contains(said), "it was not looked at again yet");
    server.restart();
    server.logs(said, 1);
}

#[test]
fn a_disk_with_little_room_is_told_by_log_status_and_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=16m,mode=700", "hobnob-test"]).arg(folder.path());
    if !mount.output().is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: a small file system cannot be mounted");
    }
    let mounted = Mounted(&folder);
    let mut server = Server::start_in(Place::samples().keep_in(&folder.path().join("data")), &[]);
    server.logs("WARN the disk of ", 1);
    let [warning] = &warnings(&server.place)[..] else { panic!("one warning") };
    assert!(warning.contains(" MiB free of 16 MiB: "), "{warning}");
    let data = server.place.data();
    let output = server.place.run_server(&["check", "--data", data.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("\nWARNING         the disk of ") && output.status.success(), "{said}");
    server.stop();
    drop(mounted);
}

/// Unmounts when it is dropped.
struct Mounted<'a>(&'a tempfile::TempDir);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
