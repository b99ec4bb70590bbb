//! What may follow the end of a session, as a number in the database.

use crate::record::AfterEnd;

/// Earlier versions take all but 0 for 1.
pub(super) const fn number(after: AfterEnd) -> u8 {
    match after {
        AfterEnd::Nothing => 0,
        AfterEnd::Resume => 1,
        AfterEnd::Held => 2,
    }
}

/// `None`: nothing has this number.
pub(super) const fn parse(number: u8) -> Option<AfterEnd> {
    match number {
        0 => Some(AfterEnd::Nothing),
        1 => Some(AfterEnd::Resume),
        2 => Some(AfterEnd::Held),
        _ => None,
    }
}
