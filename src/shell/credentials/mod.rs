//! The list of accounts: a text file with one `name password` a line.
//!
//! The password is the rest of the line after the first space, or an argon2id PHC string. Lines end with LF
//! or CRLF, the last line end is optional, a byte order mark is skipped, and so are blank lines and lines
//! that begin with `#`. Anything else is a fault, and a file with a fault is rejected as a whole: nobody must
//! be let in by a line that was misread.

mod edit;
mod list;
mod phc;

pub use edit::{Missing, append, hash_plain, remove, renew, set};
pub use list::{Accounts, CredentialsError, Fault, Stamp, Warning, read, stamp};
pub use phc::PhcFault;
pub(crate) use phc::parse_phc;
