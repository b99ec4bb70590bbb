//! Reads the file, all of it or nothing.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;
use zeroize::Zeroizing;

use super::phc::{PhcFault, foreign_hash, parse_phc};
use crate::server::credentials_file::{CredentialsFile, Refusal};
use crate::shell::visible::visible;
use crate::words::look_alike::{self, is_fit};
use crate::words::{Credential, Name, is_hash};

/// UTF-8 byte order mark.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A valid credentials file, or the lack of one.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// The accounts, if there is a file.
    pub file: CredentialsFile,
    /// Warnings for the operator.
    pub warnings: Vec<Warning>,
    /// Identifies the state of the file that was read; `None` if there is none.
    pub stamp: Option<Stamp>,
}

/// A warning for the operator. The file is valid nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// There are passwords in clear text.
    #[error(
        "{count} plain password(s) in the credentials file; `hobnob-server hash-credentials` hashes them"
    )]
    PlainPasswords {
        /// How many.
        count: usize,
    },
    /// Others than the owner can read the file.
    #[error("others can read the credentials file (mode {mode:04o}); `chmod 600` it")]
    OthersCanRead {
        /// Its mode.
        mode: u32,
    },
    /// A name that no new account could have.
    #[error("line {line}: \"{}\" mixes scripts, is not normalized or has odd characters", visible(name.as_str()))]
    Unfit {
        /// Its line.
        line: usize,
        /// The name.
        name: Name,
    },
    /// Two names look alike.
    #[error("line {line}: \"{}\" looks like \"{}\" of line {other_line}", visible(name.as_str()), visible(other.as_str()))]
    LookAlike {
        /// Line of the second.
        line: usize,
        /// The second.
        name: Name,
        /// Line of the first.
        other_line: usize,
        /// The first.
        other: Name,
    },
}

/// An error that makes the credentials file unusable.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("{}: {why}", visible(&path.to_string_lossy()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        why: io::Error,
    },
    /// There is no file, and registration is closed.
    #[error("{}: there is no such file (make it with `hobnob-server passwd NAME`, or set registration=open)", visible(&path.to_string_lossy()))]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// There is no file, but the store keeps something for its accounts.
    #[error(
        "{}: the file is gone, but not what is stored for its accounts; put it back, or make an empty one to \
         remove them all",
        visible(&path.to_string_lossy())
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// A line is malformed.
    #[error("{}:{line}: {fault}", visible(&path.to_string_lossy()))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The file has no accounts, and registration is closed.
    #[error("{}: no accounts (add one with `hobnob-server passwd NAME`, or set registration=open)", visible(&path.to_string_lossy()))]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl CredentialsError {
    /// The error for a refusal of the core.
    #[must_use]
    pub fn refused(refusal: Refusal, path: &Path) -> CredentialsError {
        let path = path.to_path_buf();
        match refusal {
            Refusal::Missing => CredentialsError::Missing { path },
            Refusal::Gone => CredentialsError::Gone { path },
            Refusal::Empty => CredentialsError::Empty { path },
        }
    }
}

/// A fault of a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Bytes that are no text.
    #[error("not UTF-8")]
    NotText,
    /// It begins with a space.
    #[error("the line begins with a space; a name comes first")]
    NoName,
    /// The first word is no name.
    #[error("\"{}\" is no name (1 to 32 visible characters, no white space, not \"group\")", visible(word))]
    BadName {
        /// The word.
        word: String,
    },
    /// A name alone.
    #[error("no password (one space and the password follow the name)")]
    NoPassword,
    /// The name is in an earlier line as well.
    #[error("\"{}\" has an account already, in line {first}", visible(name.as_str()))]
    Duplicate {
        /// The name.
        name: Name,
        /// The earlier line.
        first: usize,
    },
    /// The password is a hash of another kind.
    #[error(
        "the password looks like a {kind} hash; only argon2id is supported; remove the line, then `hobnob-server passwd`"
    )]
    ForeignHash {
        /// Its kind.
        kind: &'static str,
    },
    /// It begins like an argon2 hash and is none that can be used.
    #[error("the password hash cannot be used: {0}")]
    Hash(#[from] PhcFault),
}

/// Which state of a file was read: changes whenever the file is replaced or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

/// The state a file is in now; `None` if there is none.
#[must_use]
pub fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Stamp {
        Stamp { inode: metadata.ino(), length: metadata.len(), modified: metadata.modified().ok() }
    }
}

/// Reads the file, if there is one. Whether a server can work with it is not decided here.
///
/// # Errors
/// [`CredentialsError`] names the file, the line and the reason.
pub fn read(path: &Path) -> Result<Accounts, CredentialsError> {
    let unreadable = |why| CredentialsError::Unreadable { path: path.to_path_buf(), why };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Accounts { file: CredentialsFile::Missing, warnings: Vec::new(), stamp: None });
        }
        Err(error) => return Err(unreadable(error)),
    };
    let bytes = Zeroizing::new(fs::read(path).map_err(unreadable)?);
    let malformed = |(line, fault)| CredentialsError::Malformed { path: path.to_path_buf(), line, fault };
    let (list, mut warnings) = parse(&bytes).map_err(malformed)?;
    if metadata.mode() & 0o044 != 0 {
        warnings.insert(0, Warning::OthersCanRead { mode: metadata.mode() & 0o7777 });
    }
    Ok(Accounts { file: CredentialsFile::Read(list), warnings, stamp: Some(Stamp::of(&metadata)) })
}

type Parsed = (Vec<(Name, Credential)>, Vec<Warning>);

/// Reads the content of a file. The error is the first line with a fault.
fn parse(bytes: &[u8]) -> Result<Parsed, (usize, Fault)> {
    let mut list = Vec::new();
    let mut warnings = Vec::new();
    let mut lines_of: HashMap<Name, usize> = HashMap::new();
    let mut looks: HashMap<String, (usize, Name)> = HashMap::new();
    let mut plain = 0;
    for (line, content) in lines(bytes) {
        let Some((name, credential)) = entry(content).map_err(|fault| (line, fault))? else { continue };
        if let Some(&first) = lines_of.get(&name) {
            return Err((line, Fault::Duplicate { name, first }));
        }
        lines_of.insert(name.clone(), line);
        plain += usize::from(!credential.is_hash());
        if !is_fit(name.as_str()) {
            warnings.push(Warning::Unfit { line, name: name.clone() });
        }
        let own = look_alike::looks(name.as_str());
        match own.iter().find_map(|look| looks.get(look)) {
            Some((other_line, other)) => warnings.push(Warning::LookAlike {
                line,
                name: name.clone(),
                other_line: *other_line,
                other: other.clone(),
            }),
            None => {
                looks.extend(own.into_iter().map(|look| (look, (line, name.clone()))));
            }
        }
        list.push((name, credential));
    }
    if plain > 0 {
        warnings.push(Warning::PlainPasswords { count: plain });
    }
    Ok((list, warnings))
}

/// The lines with their numbers from 1, without byte order mark and line ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let lines = bytes.split(|&byte| byte == b'\n');
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).enumerate().map(|(n, line)| (n + 1, line))
}

/// What a line says; `None` for a comment or a blank line.
pub(super) fn entry(line: &[u8]) -> Result<Option<(Name, Credential)>, Fault> {
    let line = std::str::from_utf8(line).map_err(|_| Fault::NotText)?;
    if line.starts_with('#') || line.trim().is_empty() {
        return Ok(None);
    }
    let (word, password) = line.split_once(' ').unwrap_or((line, ""));
    if word.is_empty() {
        return Err(Fault::NoName);
    }
    let name = Name::new(word).map_err(|_| Fault::BadName { word: word.to_string() })?;
    if password.is_empty() {
        return Err(Fault::NoPassword);
    }
    if is_hash(password) {
        parse_phc(password)?;
    }
    if let Some(kind) = foreign_hash(password) {
        return Err(Fault::ForeignHash { kind });
    }
    Ok(Some((name, Credential::new(password))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$2+JCoQtY/2x5F0VB9pEVP3xBNguWP1T25Ui0PtZuk8o";

    fn names(bytes: &[u8]) -> Vec<(String, String)> {
        let (list, _) = parse(bytes).expect("a good file");
        list.iter().map(|(name, c)| (name.to_string(), c.reveal().to_string())).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, password)| ((*name).to_string(), (*password).to_string())).collect()
    }

    #[test]
    fn good_files_are_read_to_the_letter() {
        for (content, accounts) in [
            ("hans falcon\nyoda wise@!man\n", vec![("hans", "falcon"), ("yoda", "wise@!man")]),
            ("hans falcon\r\nyoda wise@!man", vec![("hans", "falcon"), ("yoda", "wise@!man")]),
            ("\u{feff}hans falcon", vec![("hans", "falcon")]),
            ("# comment\n\n  \t \n#hans x\nhans falcon\n\n", vec![("hans", "falcon")]),
            ("hans  two spaces \n", vec![("hans", " two spaces ")]),
            ("hans $money\nHans #x\n", vec![("hans", "$money"), ("Hans", "#x")]),
            ("hans $2 bills\nyoda $2\n", vec![("hans", "$2 bills"), ("yoda", "$2")]),
            (&format!("hans {HASH}\n"), vec![("hans", HASH)]),
            ("", vec![]),
        ] {
            assert_eq!(names(content.as_bytes()), owned(&accounts), "{content:?}");
        }
    }

    #[test]
    fn malformed_files_are_refused_with_line_and_reason() {
        for (content, line, reason) in [
            (b"hans falcon\nyoda\n".as_slice(), 2, "no password"),
            (b"hans \n", 1, "no password"),
            (b"hans\tfalcon\n", 1, "is no name"),
            (b" hans falcon\n", 1, "begins with a space"),
            (b"#ok\n\ngroup x\n", 3, "is no name"),
            (b"hans\x1b[2J falcon\n", 1, "\"hans^[[2J\" is no name"),
            (b"h\xff falcon\n", 1, "not UTF-8"),
            (b"hans falcon\nyoda x\nhans other\n", 3, "already, in line 1"),
            ("a\u{202e}b x\n".as_bytes(), 1, "<U+202E>"),
            (b"abcdefghijklmnopqrstuvwxyz1234567 x\n", 1, "is no name"),
            (b"hans $argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ\n", 1, "hash cannot be used"),
            (b"hans $argon2id\n", 1, "hash cannot be used"),
            (b"hans $argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$2+JCoQtY/2x5F0VB9pEVPw\n", 1, "argon2id"),
            (
                b"hans x\nyoda $2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW\n",
                2,
                "a bcrypt hash",
            ),
            (b"hans $6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO\n", 1, "a sha-crypt hash"),
            (b"hans $5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8\n", 1, "a sha-crypt hash"),
            (
                b"hans $scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4Cb\n",
                1,
                "a scrypt hash",
            ),
            (b"hans $y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC\n", 1, "a yescrypt hash"),
            (b"hans falcon\r\r\nyoda\r\n", 2, "no password"),
            (b"\xef\xbb\xbf\xef\xbb\xbfhans falcon\n", 1, "is no name"),
        ] {
            let (found, fault) = parse(content).expect_err("a malformed file");
            assert_eq!(found, line, "{content:?}");
            assert!(fault.to_string().contains(reason), "{content:?}: {fault}");
        }
    }

    #[test]
    fn faults_do_not_show_passwords() {
        for content in ["hans\tfalcon\n", "hans x\nhans falcon\n", "hans $argon2id$falcon\n"] {
            let (_, fault) = parse(content.as_bytes()).expect_err("a malformed file");
            let shown = format!("{fault} {fault:?}");
            assert!(content.contains('\t') || !shown.contains("falcon"), "{shown}");
        }
    }

    #[test]
    fn plain_passwords_and_look_alikes_are_warned_of() {
        let content = format!("hans falcon\nluke {HASH}\n1uke {HASH}\nd\u{435}r {HASH}\n");
        let (_, warnings) = parse(content.as_bytes()).expect("a good file");
        let shown: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 3, "{shown:?}");
        assert!(shown[0].contains("line 3: \"1uke\" looks like \"luke\" of line 2"), "{shown:?}");
        assert!(shown[1].starts_with("line 4: \"d\u{435}r\" mixes scripts"), "{shown:?}");
        assert!(shown[2].starts_with("1 plain password"), "{shown:?}");
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_of() -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("credentials.txt");
        fs::write(&path, format!("hans {HASH}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        let accounts = read(&path).expect("a good file");
        assert_eq!(accounts.warnings, [Warning::OthersCanRead { mode: 0o644 }]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        assert_eq!(read(&path).expect("a good file").warnings, []);
        Ok(())
    }

    #[test]
    fn a_missing_file_is_told_from_an_empty_one() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("credentials.txt");
        assert_eq!(read(&path).expect("none yet").file, CredentialsFile::Missing);
        fs::write(&path, "# nobody\n")?;
        assert_eq!(read(&path).expect("nobody yet").file, CredentialsFile::Read(Vec::new()));
        assert!(matches!(read(&path.join("x")), Err(CredentialsError::Unreadable { .. })));
        Ok(())
    }
}
