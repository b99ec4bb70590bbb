//! Views as a person sees them at a terminal, for tests and fuzzers of what others say.

use jiff::tz::TimeZone;

use super::people::Look;
use super::screen::write_for_people;
use super::stamps::{Stamps, Timestamps};
use crate::client::view::View;

/// What is written to a terminal of so many columns, in colour, each line with its line feed.
#[must_use]
pub fn at_terminal(view: &View, columns: usize) -> String {
    let mut look = Look {
        breaks_texts: true,
        columns: Some(columns),
        colour: true,
        mark: "* ",
        stamps: Some(Stamps::new(Timestamps::Time, TimeZone::UTC, false)),
    };
    let mut text = String::new();
    write_for_people(&mut text, view, &mut look);
    text
}
