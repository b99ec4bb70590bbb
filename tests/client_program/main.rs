//! The client as a person or a script meets it: the real program against a server made of lines.

mod config;
mod connection;
mod evil_relay;
mod evil_server;
mod hostile;
mod json_mode;
mod log;
mod looks;
mod manners;
mod notice;
mod plain_mode;
mod private_keys;
mod private_links;
mod staying;
mod terminal_mode;
mod usage;

use support::{Connection, FakeServer, Terminal};

/// A terminal in which hans is logged in.
fn logged_in(server: &FakeServer) -> (Terminal, Connection) {
    let mut terminal = server.terminal(&[]);
    let mut connection = server.accept();
    terminal.shows(&["Username:"]);
    terminal.types("hans\r");
    connection.expect("login hans");
    connection.say("ask password");
    terminal.shows(&["Username: hans", "Password:"]);
    terminal.types("falcon\r");
    connection.expect("login hans falcon");
    connection.welcome("hans");
    // What was said before may stand between the two.
    terminal.sees("Welcome, hans!");
    terminal.sees_last(">");
    (terminal, connection)
}
