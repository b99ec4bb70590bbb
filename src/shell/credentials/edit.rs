//! Changes to the credentials file. Each rewrites the whole file and keeps all other lines.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use thiserror::Error;

use super::list::{BYTE_ORDER_MARK, entry};
use crate::server::Renewal;
use crate::shell::replace_file::{folder_of, replace_file};
use crate::words::{Credential, Name};

/// No account of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no such account")]
pub struct Missing;

/// Time a server waits for the lock. Everything durable waits with it, and anybody who can read the folder
/// can hold the lock.
const PATIENCE: Duration = Duration::from_millis(500);
/// Number of attempts in that time.
const LOOKS: u32 = 100;

/// Adds an account durably; creates the file if it is missing. An existing account is not changed: adding is
/// idempotent, and a line that the operator wrote meanwhile wins.
///
/// # Errors
/// An I/O error, or a timeout while other programs hold the lock; the file is unchanged then.
pub fn append(path: &Path, name: &Name, credential: &Credential) -> io::Result<()> {
    let turn = lock_folder_soon(path)?;
    rewrite_in_turn(&turn, path, |lines| {
        let there = lines.iter().any(|line| line.is_of(name));
        (!there).then(|| lines.push(Line::new(name, credential)))
    })
    .map(drop)
}

/// Sets the credential of an account, which is added if it is new. Returns whether it is.
///
/// # Errors
/// An I/O error; the file is unchanged then.
pub fn set(path: &Path, name: &Name, credential: &Credential) -> io::Result<bool> {
    let mut new = false;
    rewrite(path, |lines| {
        let fresh = Line::new(name, credential);
        match lines.iter_mut().find(|line| line.is_of(name)) {
            Some(line) => line.content = fresh.content,
            None => {
                new = true;
                lines.push(fresh);
            }
        }
        Some(())
    })?;
    Ok(new)
}

/// Removes an account.
///
/// # Errors
/// An I/O error; the file is unchanged then. The inner error: there is no such account.
pub fn remove(path: &Path, name: &Name) -> io::Result<Result<(), Missing>> {
    let removed = rewrite(path, |lines| {
        let before = lines.len();
        lines.retain(|line| !line.is_of(name));
        (lines.len() < before).then_some(())
    })?;
    Ok(removed.ok_or(Missing))
}

/// Replaces all plain passwords by hashes made with `hash`. Returns how many there were.
///
/// # Errors
/// An I/O error, or that of `hash`; the file is unchanged then.
pub fn hash_plain(path: &Path, mut hash: impl FnMut(&str) -> io::Result<Credential>) -> io::Result<usize> {
    // Hashing is slow, so it is done before the lock is taken.
    let mut hashed: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    let bytes = content(path)?;
    for line in split(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes)) {
        if let Ok(Some((name, password))) = entry(&line.content)
            && !password.is_hash()
        {
            let fresh = Line::new(&name, &hash(password.reveal())?);
            hashed.insert(line.content, fresh.content);
        }
    }
    let mut count = 0;
    rewrite(path, |lines| {
        // A line that was changed meanwhile is kept.
        for line in lines.iter_mut() {
            if let Some(fresh) = hashed.remove(&line.content) {
                line.content = fresh;
                count += 1;
            }
        }
        (count > 0).then_some(())
    })?;
    Ok(count)
}

/// Replaces hashes, each by the other of its pair. Returns the lines that were replaced: one that was changed meanwhile
/// is kept.
///
/// # Errors
/// An I/O error, or a timeout while other programs hold the lock; the file is unchanged then.
pub fn renew(path: &Path, renewals: &[(Credential, Credential)]) -> io::Result<Vec<Renewal>> {
    let renewals: HashMap<&str, &Credential> =
        renewals.iter().map(|(before, after)| (before.reveal(), after)).collect();
    let turn = lock_folder_soon(path)?;
    let renewed = rewrite_in_turn(&turn, path, |lines| {
        let mut renewed = Vec::new();
        for line in lines {
            if let Ok(Some((name, before))) = entry(&line.content)
                && let Some(after) = renewals.get(before.reveal()).map(|after| (*after).clone())
            {
                line.content = Line::new(&name, &after).content;
                renewed.push(Renewal { name, before, after });
            }
        }
        (!renewed.is_empty()).then_some(renewed)
    })?;
    Ok(renewed.unwrap_or_default())
}

/// A line of the file and its line end.
struct Line {
    content: Vec<u8>,
    ends_with: &'static [u8],
}

impl Line {
    fn new(name: &Name, credential: &Credential) -> Line {
        Line { content: format!("{name} {}", credential.reveal()).into_bytes(), ends_with: b"\n" }
    }

    fn is_of(&self, name: &Name) -> bool {
        let content = self.content.strip_prefix(name.as_str().as_bytes());
        content.is_some_and(|rest| rest.first() == Some(&b' '))
    }
}

/// Applies `change` to the lines and writes them back if it returns something. Concurrent changes of several
/// programs are serialized by a lock.
fn rewrite<T>(path: &Path, change: impl FnOnce(&mut Vec<Line>) -> Option<T>) -> io::Result<Option<T>> {
    let turn = folder(path)?;
    // Not every file system has locks.
    let _ = rustix::fs::flock(&turn, FlockOperation::LockExclusive);
    rewrite_in_turn(&turn, path, change)
}

fn rewrite_in_turn<T>(
    _turn: &File,
    path: &Path,
    change: impl FnOnce(&mut Vec<Line>) -> Option<T>,
) -> io::Result<Option<T>> {
    let bytes = content(path)?;
    let (mark, text) = match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(text) => (BYTE_ORDER_MARK, text),
        None => (b"".as_slice(), bytes.as_slice()),
    };
    let mut lines = split(text);
    let Some(done) = change(&mut lines) else { return Ok(None) };
    let mut fresh = mark.to_vec();
    let count = lines.len();
    for (n, line) in lines.iter().enumerate() {
        fresh.extend_from_slice(&line.content);
        // A last line without a line end gets one if another follows it now.
        let open = line.ends_with.is_empty() && n + 1 < count;
        fresh.extend_from_slice(if open { b"\n" } else { line.ends_with });
    }
    replace_file(path, &fresh)?;
    Ok(Some(done))
}

fn split(text: &[u8]) -> Vec<Line> {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    let line = |line: &[u8]| {
        let (content, ends_with): (&[u8], &'static [u8]) = match line {
            [content @ .., b'\r', b'\n'] => (content, b"\r\n"),
            [content @ .., b'\n'] => (content, b"\n"),
            content => (content, b""),
        };
        Line { content: content.to_vec(), ends_with }
    };
    lines.map(line).collect()
}

/// The content of the file; empty if there is none.
fn content(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// The folder of the file. The lock is taken on it because the file itself is replaced.
fn folder(path: &Path) -> io::Result<File> {
    File::open(folder_of(&fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())))
}

/// Takes the lock, or fails after a short while.
fn lock_folder_soon(path: &Path) -> io::Result<File> {
    let turn = folder(path)?;
    let mut looks = 0;
    while rustix::fs::flock(&turn, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        if looks == LOOKS {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another program has locked its folder"));
        }
        looks += 1;
        thread::sleep(PATIENCE / LOOKS);
    }
    Ok(turn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        Name::new(name).expect("a name")
    }

    /// Applies a change to a file with this content and returns the new content.
    fn after(content: &str, change: impl FnOnce(&Path) -> io::Result<()>) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credentials.txt");
        fs::write(&path, content).expect("a file");
        change(&path).expect("a change");
        fs::read_to_string(&path).expect("text")
    }

    #[test]
    fn appending_twice_is_appending_once() {
        let add = |path: &Path| append(path, &name("luke"), &Credential::new("x y"));
        assert_eq!(after("hans falcon", add), "hans falcon\nluke x y\n");
        assert_eq!(after("# all\nhans falcon\r\n", add), "# all\nhans falcon\r\nluke x y\n");
        assert_eq!(
            after("", |path| {
                add(path)?;
                add(path)
            }),
            "luke x y\n"
        );
        assert_eq!(after("luke other\n", add), "luke other\n", "what the operator wrote stays");
    }

    #[test]
    fn a_line_is_renewed_where_it_still_is() {
        let [old, new, other] = ["old", "new", "other"].map(Credential::new);
        let pairs = [(old.clone(), new.clone()), (other, new.clone())];
        let file = after("# all\nhans old\r\nluke mine\n", |path| {
            let renewed = renew(path, &pairs)?;
            assert_eq!(renewed, [Renewal { name: name("hans"), before: old, after: new }]);
            Ok(())
        });
        assert_eq!(file, "# all\nhans new\r\nluke mine\n");
    }

    #[test]
    fn appending_makes_the_file() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("credentials.txt");
        append(&path, &name("luke"), &Credential::new("x"))?;
        assert_eq!(fs::read_to_string(&path)?, "luke x\n");
        Ok(())
    }

    #[test]
    fn setting_replaces_one_line_and_keeps_the_rest() {
        let change = |path: &Path| {
            assert!(!set(path, &name("hans"), &Credential::new("new"))?);
            assert!(set(path, &name("han"), &Credential::new("other"))?);
            Ok(())
        };
        let content = "\u{feff}# hans falcon\r\nhansi x\r\nhans falcon\r\n\r\nyoda y";
        let expected = "\u{feff}# hans falcon\r\nhansi x\r\nhans new\r\n\r\nyoda y\nhan other\n";
        assert_eq!(after(content, change), expected);
    }

    #[test]
    fn removing_takes_one_line_away() {
        let change = |path: &Path| {
            assert_eq!(remove(path, &name("hans"))?, Ok(()));
            assert_eq!(remove(path, &name("hans"))?, Err(Missing));
            Ok(())
        };
        assert_eq!(after("# c\nhans falcon\nyoda y\n", change), "# c\nyoda y\n");
    }

    #[test]
    fn hashing_keeps_comments_and_hashes() {
        let hashed =
            "luke $argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$2+JCoQtY/2x5F0VB9pEVP3xBNguWP1T25Ui0PtZuk8o\n";
        let change = |path: &Path| {
            let count = hash_plain(path, |password| Ok(Credential::new(&format!("<{password}>"))))?;
            assert_eq!(count, 2);
            Ok(())
        };
        let content = format!("# plain secrets\nhans falcon\n\n{hashed}r2d2 *&^$%#!");
        let expected = format!("# plain secrets\nhans <falcon>\n\n{hashed}r2d2 <*&^$%#!>");
        assert_eq!(after(&content, change), expected);
    }

    #[test]
    fn others_have_their_turn_while_hashes_are_made() {
        let change = |path: &Path| {
            let count = hash_plain(path, |_| {
                append(path, &name("luke"), &Credential::new("x"))?;
                set(path, &name("yoda"), &Credential::new("new"))?;
                Ok(Credential::new("<hash>"))
            })?;
            assert_eq!(count, 1);
            Ok(())
        };
        assert_eq!(after("hans falcon\nyoda y\n", change), "hans <hash>\nyoda new\nluke x\n");
    }

    #[test]
    fn a_server_does_not_wait_for_ever_for_its_turn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("credentials.txt");
        let other = File::open(folder.path()).expect("a folder");
        rustix::fs::flock(&other, FlockOperation::LockShared).expect("a lock");
        let add = || append(&path, &name("luke"), &Credential::new("x"));
        assert_eq!(add().map_err(|error| error.kind()), Err(io::ErrorKind::ResourceBusy));
        drop(other);
        assert!(add().is_ok());
    }

    /// The change of one program is made in the middle of the other's.
    #[test]
    fn a_registration_in_the_middle_of_another_change_is_refused_or_kept() {
        let change = |path: &Path| {
            rewrite(path, |lines| {
                let registered = append(path, &name("luke"), &Credential::new("x"));
                assert_eq!(registered.map_err(|error| error.kind()), Err(io::ErrorKind::ResourceBusy));
                lines.push(Line::new(&name("yoda"), &Credential::new("y")));
                Some(())
            })?;
            append(path, &name("luke"), &Credential::new("x"))
        };
        assert_eq!(after("hans falcon\n", change), "hans falcon\nyoda y\nluke x\n");
    }

    #[test]
    fn changes_of_many_at_once_are_all_in_the_file() {
        const EACH: usize = 8;
        type Change = fn(&Path, &str) -> io::Result<()>;
        let append: Change = |path, of| append(path, &name(of), &Credential::new("x"));
        let set: Change = |path, of| set(path, &name(of), &Credential::new("x")).map(drop);
        let remove: Change = |path, of| remove(path, &name(&format!("old-{of}"))).map(drop);
        let changes = [("a", append), ("b", append), ("c", set), ("d", set), ("e", remove)];
        let old: String = (0..EACH).map(|number| format!("old-e{number} x\n")).collect();
        let content = after(&old, |path| {
            thread::scope(|scope| {
                for (letter, change) in changes {
                    scope.spawn(move || {
                        // A registration that finds the lock taken for too long is refused, and tried again.
                        for number in 0..EACH {
                            while change(path, &format!("{letter}{number}")).is_err() {}
                        }
                    });
                }
            });
            Ok(())
        });
        let mut found: Vec<&str> = content.lines().collect();
        found.sort_unstable();
        let names = ["a", "b", "c", "d"].map(|letter| (0..EACH).map(move |n| format!("{letter}{n} x")));
        let expected: Vec<String> = names.into_iter().flatten().collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_failed_hash_changes_nothing() {
        let change = |path: &Path| {
            let outcome = hash_plain(path, |_| Err(io::ErrorKind::Other.into()));
            assert!(outcome.is_err());
            Ok(())
        };
        assert_eq!(after("hans falcon\n", change), "hans falcon\n");
    }
}
