//! The location of a database.

use std::io;
use std::path::{Path, PathBuf};

use super::failure::{OpenError, Trouble};

/// Name of the database file in its folder.
pub(crate) const DATABASE: &str = "hobnob.db";

/// The location of a database, for messages.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Memory,
    Folder(PathBuf),
}

impl Place {
    /// The data folder, if there is one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Place::Memory => None,
            Place::Folder(folder) => Some(folder),
        }
    }

    /// The database file.
    pub(crate) fn file(&self) -> PathBuf {
        match self {
            Place::Memory => PathBuf::from(":memory:"),
            Place::Folder(folder) => folder.join(DATABASE),
        }
    }

    /// The error of opening this database.
    pub(crate) fn trouble(&self, trouble: Trouble) -> OpenError {
        let damage = trouble.is_damage();
        match trouble {
            Trouble::NoRandomness(why) => OpenError::System(io::Error::other(why)),
            Trouble::Sqlite(source) if !damage => OpenError::Database { file: self.file(), source },
            Trouble::Sqlite(_) | Trouble::Unreadable(_) => {
                OpenError::Damaged { file: self.file(), why: trouble.to_string() }
            }
        }
    }
}
