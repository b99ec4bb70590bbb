//! Where the password comes from, and how a script says which server and user it is for.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, value_parser};

use super::options::UsageError;
use crate::words::Password;
use crate::words::wiped::{WipedBytes, wipe};

/// Where the password comes from, beside `password_command`. It is never a word of the command line, which others can
/// read.
#[derive(Debug, Clone, Args)]
pub(super) struct PasswordSource {
    /// The first line of FILE is the password
    #[arg(long, value_name = "FILE", conflicts_with = "password_command")]
    password_file: Option<PathBuf>,
    /// The first line of the open file descriptor N is the password
    #[arg(long, value_name = "N", conflicts_with_all = ["password_file", "password_command"])]
    #[arg(value_parser = value_parser!(u32).range(3..))]
    password_fd: Option<u32>,
}

impl PasswordSource {
    /// Warns of a password that is kept in a file that others can read.
    pub(super) fn warning(&self) -> Option<String> {
        let file = self.password_file.as_deref()?;
        let data = fs::metadata(file).ok()?;
        let is_open = data.is_file() && data.permissions().mode() & 0o077 != 0;
        is_open.then(|| format!("{0} can be read by others: chmod 600 {0}", file.display()))
    }

    /// The password, if there is a source of it: a file, a file descriptor, or else this command.
    pub(super) fn read(&self, command: Option<&str>) -> Result<Option<Password>, UsageError> {
        let PasswordSource { password_file, password_fd } = self;
        let (place, bytes) = match (password_file, password_fd, command) {
            (Some(file), _, _) => (format!("in {}", file.display()), read_file(file)),
            (None, Some(number), _) => {
                let file = format!("/dev/fd/{number}");
                (format!("on file descriptor {number}"), read_file(Path::new(&file)))
            }
            (None, None, Some(command)) => ("of the password command".into(), read_command(command)),
            (None, None, None) => return Ok(None),
        };
        let failed = |reason: String| UsageError::Password { place: place.clone(), reason };
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        let first = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let first = first.strip_suffix(b"\r").unwrap_or(first);
        match str::from_utf8(first) {
            Ok("") => Err(failed("the first line is empty".into())),
            Ok(password) => Ok(Some(Password::new(password))),
            Err(_) => Err(failed("it is not UTF-8".into())),
        }
    }
}

fn read_file(file: &Path) -> io::Result<WipedBytes> {
    read_wiped(fs::File::open(file)?)
}

/// What a command prints. It has no input: that may be for the client.
fn read_command(command: &str) -> io::Result<WipedBytes> {
    let mut shell = Command::new("sh");
    let mut child = shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let read = child.stdout.take().map_or_else(|| Ok(WipedBytes::new()), read_wiped);
    let status = child.wait()?;
    if status.success() { read } else { Err(io::Error::other(format!("it has failed: {status}"))) }
}

/// Reads to the end, without a copy that is not overwritten.
fn read_wiped(mut from: impl Read) -> io::Result<WipedBytes> {
    let (mut bytes, mut chunk) = (WipedBytes::new(), [0; 4096]);
    let read = loop {
        match from.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    wipe(&mut chunk);
    read.map(|()| bytes)
}

/// Which server, in whose name, and what lets the user in: for `send` and `watch`.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// The server [default: as for a session]
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    /// In whose name [default: as for a session]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    password: PasswordSource,
    /// The first line that CMD prints is the password: sh -c CMD
    #[arg(long, value_name = "CMD")]
    password_command: Option<String>,
    /// Where marks and tokens are kept [default: $XDG_STATE_HOME/hobnob]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Trust only this key of the server
    #[arg(long, value_name = "SHA256:…")]
    fingerprint: Option<String>,
    /// Trust certificates of the authorities in FILE (PEM), for the server's name
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// No encryption to the server; both sides must say it
    #[arg(long)]
    plaintext: bool,
}

impl Access {
    /// The same as a command line of a session.
    pub(super) fn as_of_the_client(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["hobnob".into()];
        let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
        let PasswordSource { password_file, password_fd } = &self.password;
        let options = [
            ("--server", self.server.as_ref().map(OsString::from)),
            ("--user", self.user.as_ref().map(OsString::from)),
            ("--password-file", path(password_file)),
            ("--password-command", self.password_command.as_ref().map(OsString::from)),
            ("--password-fd", password_fd.map(|number| number.to_string().into())),
            ("--state", path(&self.state)),
            ("--ca", path(&self.ca)),
            ("--fingerprint", self.fingerprint.as_ref().map(OsString::from)),
        ];
        for (option, value) in options {
            words.extend(value.into_iter().map(|value| [OsStr::new(option), &value].join(OsStr::new("="))));
        }
        words.extend(self.plaintext.then(|| "--plaintext".into()));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn read(file: &Path) -> Result<Option<Password>, UsageError> {
        PasswordSource { password_file: Some(file.into()), password_fd: None }.read(Some("echo another"))
    }

    #[test]
    fn a_password_file_holds_it_in_its_first_line() -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(b" falcon \r\nrest")?;
        let password = read(file.path()).ok().flatten();
        assert_eq!(password.map(|password| password.reveal().to_owned()), Some(" falcon ".into()));
        for bad in [&b""[..], b"\nfalcon", b"\xff\n"] {
            fs::write(file.path(), bad)?;
            assert!(matches!(read(file.path()), Err(UsageError::Password { .. })));
        }
        assert!(read(Path::new("/nonexistent")).is_err());
        Ok(())
    }
}
