//! The shell scripts of `examples/` against the real server.

use std::path::Path;
use std::process::{Command, Output};

use support::{Place, Server};

fn run(server: &Server, script: &str, words: &[&str], environment: &[(&str, &str)]) -> Output {
    let place = &server.place;
    let client = place.client_command();
    let password = place.folder().join("cron-password");
    std::fs::write(&password, "falcon\n").expect("writes");
    // They are for encrypted servers; here a wrapper says that this one is not.
    let wrapper = place.folder().join("hobnob");
    let program = Path::new(client.get_program()).display().to_string();
    let text = format!("#!/bin/sh\ntask=$1; shift; exec {program} $task --plaintext \"$@\"\n");
    std::fs::write(&wrapper, text).expect("writes");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&wrapper, mode).expect("may be run");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(script);
    let mut command = Command::new(script);
    command.args(words).envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("HOBNOB", wrapper).env("PASSWORD_FILE", password);
    command.env("HOBNOB_SERVER", format!("127.0.0.1:{}", server.port)).env("HOBNOB_USER", "cron");
    command.envs(environment.iter().copied()).output().expect("it runs")
}

#[test]
fn the_alarm_of_cron_is_silent_until_the_disk_is_full() {
    let server = Server::start_in(Place::of(&["cron", "luke"]), &[]);
    let quiet = run(&server, "cron-alarm.sh", &[], &[("PERCENT", "100"), ("WHOM", "luke")]);
    assert_eq!((quiet.status.code(), quiet.stdout.len(), quiet.stderr.len()), (Some(0), 0, 0), "{quiet:?}");
    let told = run(&server, "cron-alarm.sh", &[], &[("PERCENT", "-1"), ("WHOM", "luke")]);
    assert_eq!((told.status.code(), told.stdout.len()), (Some(0), 0), "{told:?}");
    let nobody = run(&server, "cron-alarm.sh", &[], &[("PERCENT", "-1"), ("WHOM", "nobody")]);
    assert_eq!(nobody.status.code(), Some(7), "{nobody:?}");
    let mut luke = server.client(&[]);
    luke.log_in("luke", "falcon");
    let alarm = luke.wait_for("message");
    assert_eq!((&alarm["from"], &alarm["stored"]), (&"cron".into(), &true.into()));
    assert!(alarm["text"].as_str().is_some_and(|text| text.contains(": / is ")), "{alarm}");
    luke.log_out();
}

#[test]
fn the_notifier_keeps_the_exit_code_and_tells_the_group() {
    let server = Server::start_in(Place::of(&["cron", "luke"]), &[]);
    let mut luke = server.client(&[]);
    luke.log_in("luke", "falcon");
    luke.ok("create group builders cron");
    let group = [("GROUP", "builders")];
    let failed = run(&server, "ci-notify.sh", &["sh", "-c", "echo one; echo two >&2; exit 3"], &group);
    assert_eq!(failed.status.code(), Some(3), "{failed:?}");
    assert_eq!(String::from_utf8_lossy(&failed.stdout), "one\ntwo\n");
    let told = luke.wait_for("message");
    let text = told["text"].as_str().expect("a text");
    assert!(text.starts_with("FAILED (3): sh -c") && text.ends_with("\none\ntwo"), "{told}");
    let passed = run(&server, "ci-notify.sh", &["true"], &group);
    assert_eq!(passed.status.code(), Some(0), "{passed:?}");
    assert_eq!(luke.wait_for("message")["text"], "passed: true");
    let untold = run(&server, "ci-notify.sh", &["false"], &[("GROUP", "nobody")]);
    assert_eq!(untold.status.code(), Some(1), "{untold:?}");
    assert!(String::from_utf8_lossy(&untold.stderr).contains("was not sent"), "{untold:?}");
    luke.log_out();
}
