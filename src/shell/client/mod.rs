//! The client's shell.
mod journal;
mod json;
mod people;
mod rows;
#[cfg(test)]
mod samples;
mod state_folder;
mod wording;
