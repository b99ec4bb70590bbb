//! The programs as people and scripts use them for a while: the scripts of `examples/`, the screens of
//! `docs/using.md`, and a day of twelve clients.

mod day;
mod page;
mod scripts;
