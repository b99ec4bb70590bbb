//! The client's state folder: one for each server and user, used by one client at a time.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::journal::{Journal, Sizes};
use super::known_keys::KnownKeys;
use super::log;
use crate::client::Recall;
use crate::shell::folder_lock::FolderLock;
use crate::shell::own_files::refuse_link;
use crate::shell::replace_file::replace_file;
use crate::words::Token;

/// The file of the cookie.
const COOKIE: &str = "device";

/// The file of the token of couriers.
const COURIER: &str = "courier";

/// The file of typed lines.
const HISTORY: &str = "history";

/// An open and locked state folder. The lock goes with it.
#[derive(Debug)]
pub(super) struct StateFolder {
    /// Notes about what was shown and which results are open.
    pub(super) journal: Journal,
    /// Of other users' devices.
    pub(super) keys: KnownKeys,
    path: PathBuf,
    _lock: FolderLock,
}

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Another client uses it.
    #[error("another client of this user is running (it holds {})", .0.display())]
    InUse(PathBuf),
    /// No folder is known for it.
    #[error("cannot keep state: {0}; choose a folder with --state")]
    Homeless(String),
    /// It cannot be created, read or written.
    #[error("cannot use the state folder {}: {cause}", .path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
}

impl StateFolder {
    /// Creates if need be, opens and locks the folder of a user at a server (`HOST:PORT`) under `root`.
    pub(super) fn open(root: &Path, server: &str, user: &str) -> Result<(StateFolder, Recall), Refusal> {
        let path = root.join(file_name(server)).join(file_name(user));
        match open(&path) {
            Ok(Some(opened)) => Ok(opened),
            Ok(None) => Err(Refusal::InUse(path)),
            Err(cause) => Err(Refusal::Unusable { path, cause }),
        }
    }

    /// Keeps what tells this device from others at the server.
    ///
    /// # Errors
    /// An I/O error.
    pub(super) fn keep_cookie(&self, cookie: &Token) -> io::Result<()> {
        let path = self.path.join(COOKIE);
        refuse_link(&path)?;
        replace_file(&path, format!("{cookie}\n").as_bytes())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of typed lines.
    pub(super) fn history(&self) -> PathBuf {
        self.path.join(HISTORY)
    }
}

/// The cookie of this device at a server (`HOST:PORT`), if there is one. Whoever has the lock may be writing it:
/// the file is whole at any time.
pub(super) fn cookie(root: &Path, server: &str, user: &str) -> Option<Token> {
    let path = root.join(file_name(server)).join(file_name(user)).join(COOKIE);
    refuse_link(&path).ok()?;
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// The folder of a user at a server (`HOST:PORT`), whether or not it is there.
pub(super) fn path(root: &Path, server: &str, user: &str) -> PathBuf {
    root.join(file_name(server)).join(file_name(user))
}

/// The same, made if need be, for its owner only.
pub(super) fn make(root: &Path, server: &str, user: &str) -> io::Result<PathBuf> {
    let path = path(root, server, user);
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    for folder in path.ancestors().take(2) {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    Ok(path)
}

/// The token of couriers of a user, if there is one. Several may run at a time, beside the one who has the lock: the
/// file is whole at any time.
pub(super) fn courier(root: &Path, server: &str, user: &str) -> Option<Token> {
    let path = path(root, server, user).join(COURIER);
    refuse_link(&path).ok()?;
    fs::read_to_string(path).ok()?.trim_end().parse().ok()
}

/// Keeps a token for couriers, or keeps none any more.
pub(super) fn keep_courier(root: &Path, server: &str, user: &str, token: Option<&Token>) -> io::Result<()> {
    let path = make(root, server, user)?.join(COURIER);
    refuse_link(&path)?;
    match token {
        Some(token) => replace_file(&path, format!("{token}\n").as_bytes()),
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        },
    }
}

/// `None`: another client holds the lock.
fn open(path: &Path) -> io::Result<Option<(StateFolder, Recall)>> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    for folder in path.ancestors().take(2) {
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    }
    let Some(lock) = FolderLock::take(path)? else { return Ok(None) };
    // The line editor opens it.
    refuse_link(&path.join(HISTORY))?;
    let (journal, mut recall) = Journal::open(&path.join("journal"), Sizes::USUAL)?;
    let (keys, known) = KnownKeys::open(path)?;
    recall.keys = known;
    recall.logged = log::tail(path);
    Ok(Some((StateFolder { journal, keys, path: path.into(), _lock: lock }, recall)))
}

/// A file name for any word, a different one for each, also where case does not count: small
/// letters, digits, `-` and all beyond ASCII stay, `:` between host and port becomes `_`, and the
/// rest is written `%XX`. A dot stays except at the front.
pub(super) fn file_name(word: &str) -> String {
    let mut name = String::with_capacity(word.len());
    for (at, c) in word.char_indices() {
        match c {
            'a'..='z' | '0'..='9' | '-' => name.push(c),
            '.' if at > 0 => name.push(c),
            ':' => name.push('_'),
            '\0'..='\x7f' => name.push_str(&format!("%{:02x}", u32::from(c))),
            _ => name.push(c),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("is there").permissions().mode() & 0o777
    }

    #[test]
    fn a_folder_serves_one_client_at_a_time_and_each_user_has_one() {
        let root = tempfile::tempdir().expect("a folder");
        let state = root.path().join("state");
        let open = |server: &str, user: &str| StateFolder::open(&state, server, user);
        let (held, _) = open("127.0.0.1:4000", "hans").expect("opens");
        assert!(matches!(open("127.0.0.1:4000", "hans"), Err(Refusal::InUse(_))));
        assert!(open("127.0.0.1:4000", "Hans").is_ok());
        assert!(open("127.0.0.1:4001", "hans").is_ok());
        drop(held);
        assert!(open("127.0.0.1:4000", "hans").is_ok());
    }

    #[test]
    fn nobody_else_can_read_it() {
        let root = tempfile::tempdir().expect("a folder");
        let state = root.path().join("state");
        let _held = StateFolder::open(&state, "example.org:4000", "hans").expect("opens");
        let folder = state.join("example.org_4000/hans");
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(folder.parent().expect("has one")), 0o700);
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("journal")), 0o600);
        assert_eq!(mode(&folder.join("lock")), 0o600);
    }

    #[test]
    fn unusable_options_are_refused_with_a_reason() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("file");
        fs::write(&file, "").expect("writes");
        let refusal = StateFolder::open(&file, "h:1", "hans").expect_err("a file is no folder");
        assert!(refusal.to_string().starts_with("cannot use the state folder"), "{refusal}");
    }

    #[test]
    fn links_in_it_are_refused_with_their_name() {
        for name in ["lock", "journal", "history"] {
            let root = tempfile::tempdir().expect("a folder");
            let folder = root.path().join("h_1/hans");
            fs::create_dir_all(&folder).expect("a folder");
            let target = root.path().join("elsewhere");
            fs::write(&target, "").expect("writes");
            std::os::unix::fs::symlink(&target, folder.join(name)).expect("a link");
            let refusal = StateFolder::open(root.path(), "h:1", "hans").expect_err("a link");
            let words = refusal.to_string();
            assert!(words.contains(&format!("{name} is a symbolic link")), "{words}");
            assert_eq!(fs::read(&target).expect("is there"), b"");
        }
    }

    #[test]
    fn file_names_are_safe_and_different() {
        for (word, name) in [
            ("hans", "hans"),
            ("..", "%2e."),
            (".", "%2e"),
            ("a/b", "a%2fb"),
            ("Hans", "%48ans"),
            ("[::1]:4000", "%5b__1%5d_4000"),
            ("a_b", "a%5fb"),
            ("a%5fb", "a%255fb"),
            ("名前", "名前"),
        ] {
            assert_eq!(file_name(word), name);
        }
    }
}
