//! The tables: writes records as rows, and reads rows as records at start.

mod after_end;
mod commands;
mod index;
mod known;
mod names;
pub(crate) mod outcome;
pub(crate) mod pages;
pub(crate) mod recovery;
mod rows;

pub(crate) use known::Known;
pub(crate) use rows::Rows;
