//! The network namespace that the suite runs in.

use std::process::{Command, ExitCode, Stdio};

/// Gives the loopback interface addresses that do not count as loopback, one of them link-local, and runs the rest.
const SCRIPT: &str = "ip link set lo up && ip addr add 10.77.0.1/16 dev lo && \
                      ip addr add 169.254.77.1/32 dev lo && exec \"$0\" \"$@\"";

/// Runs this program with these words in such a namespace; where none can be made, without one.
pub(crate) fn enter(words: &[String]) -> ExitCode {
    let Ok(program) = std::env::current_exe() else { return ExitCode::FAILURE };
    let way = [&["unshare", "-n"][..], &["unshare", "-Urn"]].into_iter().find(|way| can(way));
    let mut command = match way {
        Some(way) => {
            let mut command = Command::new(way[0]);
            command.args(&way[1..]).args(["sh", "-c", SCRIPT]).arg(program);
            command
        }
        None => {
            println!("No network namespace can be made: attacks that need addresses are skipped.");
            Command::new(program)
        }
    };
    match command.arg("--inside").args(words).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

fn can(way: &[&str]) -> bool {
    let mut command = Command::new(way[0]);
    command.args(&way[1..]).args(["sh", "-c", SCRIPT, "true"]);
    let tried = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}
