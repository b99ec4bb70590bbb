//! Any value of every line type, for property tests.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

pub mod lines;
pub mod near_grammar;
pub mod words;
