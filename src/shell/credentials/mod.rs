//! The list of accounts: a text file with one `name password` a line.
//!
//! The password is the rest of the line after the first space; an argon2id PHC string may stand in
//! its place. LF or CRLF, the last line end optional, a byte order mark tolerated; blank lines and
//! lines that begin with `#` are skipped. Anything else is a fault, and a file with a fault is no
//! file: nobody gets in because of a line that was read as something it is not.

mod edit;
mod list;
mod phc;

pub use edit::{Missing, append, hash_plain, remove, set};
pub use list::{Accounts, CredentialsError, Fault, Stamp, Warning, read, stamp};
pub use phc::PhcFault;
pub(crate) use phc::{is_phc, parse_phc};
