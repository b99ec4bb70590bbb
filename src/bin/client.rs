//! `hobnob`: turns the command line into settings and runs the client.

use std::error::Error;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use hobnob::shell::client::{self, Options, UsageError, run};
use hobnob::shell::wiping_allocator::WipingAllocator;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator::Always;

fn main() -> ExitCode {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        say(&format!("a defect{place}; please report it"));
    }));
    match client::print(std::env::args_os()) {
        Some(Ok(page)) => return show(&page),
        Some(Err(error)) => return refuse(&error),
        None => {}
    }
    let options = match Options::parse(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => return refuse(&error),
    };
    match panic::catch_unwind(AssertUnwindSafe(|| run(options))) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => complain(&error, 1),
        Err(_) => ExitCode::FAILURE,
    }
}

/// A reader who has seen enough is no failure.
fn show(page: &str) -> ExitCode {
    let mut output = io::stdout().lock();
    match output.write_all(page.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => complain(&error, 1),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

fn refuse(error: &UsageError) -> ExitCode {
    if let UsageError::Options(error) = error {
        error.exit();
    }
    complain(error, 2)
}

fn complain(error: &dyn Error, code: u8) -> ExitCode {
    say(&error.to_string());
    ExitCode::from(code)
}

/// `eprintln!` would panic if standard error is closed, and the exit code would be lost.
fn say(words: &str) {
    let _ = writeln!(io::stderr(), "hobnob: {words}");
}
