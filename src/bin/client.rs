//! `hobnob`: command line to settings, then the client.

use std::process::ExitCode;

use hobnob::shell::client::{Options, UsageError, run};

fn main() -> ExitCode {
    match Options::parse(std::env::args_os()).map(run) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => complain(&error, 1),
        Err(UsageError::Options(error)) => error.exit(),
        Err(error) => complain(&error, 2),
    }
}

fn complain(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("hobnob: {error}");
    ExitCode::from(code)
}
