//! Which accounts there are, by what was found where the credentials file is expected.

use alloc::vec::Vec;

use super::settings::Registration;
use crate::words::{Credential, Name};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialsFile {
    /// There is no file.
    Missing,
    /// A good one, with these accounts in its order.
    Read(Vec<(Name, Credential)>),
}

/// Why a server does not work with what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no file, and nobody could make an account.
    Missing,
    /// There is no file, and something is kept for those who were in it. To take it for a list without accounts
    /// would remove all of that, for a mistyped path.
    Gone,
    /// The file has no accounts, and nobody could make one.
    Empty,
}

impl CredentialsFile {
    /// The accounts to serve. `remembered`: something is kept for somebody who had an account.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn accept(
        self,
        registration: Registration,
        remembered: bool,
    ) -> Result<Vec<(Name, Credential)>, Refusal> {
        match self.refusal(registration, remembered) {
            Some(refusal) => Err(refusal),
            None => Ok(self.into_accounts()),
        }
    }

    /// Why [`accept`](Self::accept) would fail. What is refused with nothing remembered is refused in any case.
    #[must_use]
    pub fn refusal(&self, registration: Registration, remembered: bool) -> Option<Refusal> {
        match (self, registration) {
            (CredentialsFile::Missing, Registration::Closed) => Some(Refusal::Missing),
            (CredentialsFile::Missing, Registration::Open) => remembered.then_some(Refusal::Gone),
            (CredentialsFile::Read(accounts), Registration::Closed) => {
                accounts.is_empty().then_some(Refusal::Empty)
            }
            (CredentialsFile::Read(_), Registration::Open) => None,
        }
    }

    /// The accounts in it, whether or not a server could work with them.
    #[must_use]
    pub fn into_accounts(self) -> Vec<(Name, Credential)> {
        match self {
            CredentialsFile::Missing => Vec::new(),
            CredentialsFile::Read(accounts) => accounts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn read(names: &[&str]) -> CredentialsFile {
        let account = |name: &&str| (Name::new(name).expect("a name"), Credential::new("x"));
        CredentialsFile::Read(names.iter().map(account).collect())
    }

    #[test]
    fn a_missing_file_is_a_first_start_or_a_mistake() {
        use Registration::{Closed, Open};
        for (registration, remembered, accepted) in [
            (Closed, false, Err(Refusal::Missing)),
            (Closed, true, Err(Refusal::Missing)),
            (Open, false, Ok(vec![])),
            (Open, true, Err(Refusal::Gone)),
        ] {
            assert_eq!(CredentialsFile::Missing.accept(registration, remembered), accepted);
        }
    }

    #[test]
    fn a_file_says_who_has_an_account() {
        for remembered in [false, true] {
            assert_eq!(read(&[]).accept(Registration::Closed, remembered), Err(Refusal::Empty));
            assert_eq!(read(&[]).accept(Registration::Open, remembered), Ok(vec![]), "all are removed");
            for registration in [Registration::Closed, Registration::Open] {
                let accounts = read(&["hans", "yoda"]).into_accounts();
                assert_eq!(read(&["hans", "yoda"]).accept(registration, remembered), Ok(accounts));
            }
        }
    }
}
