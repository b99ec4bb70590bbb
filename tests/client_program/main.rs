//! The client as a person or a script meets it: the real program against a server made of lines.

mod connection;
mod fake_server;
mod json_mode;
mod plain_mode;
mod private_links;
mod program;
mod screen;
mod terminal_mode;
mod usage;

use std::time::Duration;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `welcome` hands out.
const TOKEN: &str = "00112233445566778899aabbccddeeff";
