//! The client as a person or a script meets it: the real program against a server made of lines.

mod connection;
mod evil_server;
mod json_mode;
mod looks;
mod manners;
mod plain_mode;
mod private_links;
mod staying;
mod terminal_mode;
mod usage;
