//! The server under attack: the real program in a temporary folder.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::talk::{Door, PASSWORD, host};

/// The server's program: the one that was built with this, or the one that `ATTACKED_SERVER` names.
pub(crate) fn server_program() -> OsString {
    std::env::var_os("ATTACKED_SERVER").unwrap_or_else(|| env!("CARGO_BIN_EXE_hobnob-server").into())
}

/// The cost of a password hash, in KiB and passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) kib: u32,
    pub(crate) passes: u32,
}

impl Cost {
    /// Next to nothing, where hashing is not what is attacked.
    pub(crate) const CHEAP: Cost = Cost { kib: 8, passes: 1 };
    /// That of the default settings.
    pub(crate) const REAL: Cost = Cost { kib: 19_456, passes: 2 };

    fn settings(self) -> [String; 2] {
        [format!("argon2_kib={}", self.kib), format!("argon2_passes={}", self.passes)]
    }
}

/// How a server is set up.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Beside those of honest users.
    pub(crate) accounts: Vec<String>,
    /// Beside the costs of hashing. Those that the server does not know are left out.
    pub(crate) settings: Vec<String>,
    /// Of the hashes in the file.
    pub(crate) file: Cost,
    /// Of the settings.
    pub(crate) cost: Cost,
    /// The most files that the server may open.
    pub(crate) files: Option<u32>,
    /// The password of a further account, `secret`.
    pub(crate) secret: Option<String>,
    /// Whether the server and honest users speak TLS.
    pub(crate) encrypted: bool,
}

impl Plan {
    /// With these accounts and cheap hashing.
    pub(crate) fn of(accounts: impl IntoIterator<Item = String>) -> Plan {
        let accounts = accounts.into_iter().collect();
        Plan {
            accounts,
            settings: Vec::new(),
            file: Cost::CHEAP,
            cost: Cost::CHEAP,
            files: None,
            secret: None,
            encrypted: false,
        }
    }

    /// With hashing as it costs by default.
    pub(crate) fn with_real_hashing(self) -> Plan {
        Plan { file: Cost::REAL, cost: Cost::REAL, ..self }
    }

    /// With TLS.
    pub(crate) fn with_tls(self) -> Plan {
        Plan { encrypted: true, ..self }
    }

    pub(crate) fn set(mut self, setting: &str) -> Plan {
        self.settings.push(setting.to_owned());
        self
    }
}

/// Names with a number, such as `m0007`.
pub(crate) fn names(letter: char, count: usize) -> impl Iterator<Item = String> + Clone {
    (0..count).map(move |n| format!("{letter}{n:04}"))
}

/// Those who are no attackers: a pair that talks, and those who log in by password and by token.
const HONEST: [&str; 10] = ["h1", "h2", "v1", "v2", "v3", "v4", "v5", "v6", "t1", "victim"];

/// A running server; ends when dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    child: Child,
    pub(crate) address: SocketAddr,
    encrypted: bool,
    folder: TempDir,
}

impl Stage {
    pub(crate) fn open(parent: &Path, plan: &Plan) -> Result<Stage> {
        let folder = tempfile::Builder::new().prefix("attack").tempdir_in(parent)?;
        let credentials = folder.path().join("credentials.txt");
        let hash = self::hash(folder.path(), plan.file, PASSWORD)?;
        let names = HONEST.iter().copied().chain(plan.accounts.iter().map(String::as_str));
        let mut lines = String::new();
        for name in names {
            writeln!(lines, "{name} {hash}")?;
        }
        if let Some(password) = &plan.secret {
            writeln!(lines, "secret {}", self::hash(folder.path(), plan.file, password)?)?;
        }
        write_private(&credentials, &lines)?;
        let mut command = match plan.files {
            Some(files) => {
                let mut limited = Command::new("prlimit");
                limited.arg(format!("--nofile={files}:{files}")).arg(server_program());
                limited
            }
            None => Command::new(server_program()),
        };
        // Nothing of the tester's own settings.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["0", "--bind", "0.0.0.0", "--credentials"]).arg(&credentials);
        command.arg("--data").arg(folder.path().join("data"));
        let known = known_settings()?;
        if !plan.encrypted {
            command.arg("--plaintext");
        }
        let plain = ["allow_plaintext=true".to_owned()].into_iter().filter(|_| !plan.encrypted);
        let common = plain.chain(plan.cost.settings());
        for setting in common.chain(plan.settings.iter().cloned()) {
            let name = setting.split('=').next().unwrap_or_default();
            if known.contains(&format!(" {name}=")) {
                command.args(["--set", &setting]);
            }
        }
        Stage::start(command, folder, plan.encrypted)
    }

    fn start(mut command: Command, folder: TempDir, encrypted: bool) -> Result<Stage> {
        let log = tempfile::tempfile()?;
        command.stderr(log.try_clone()?).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the server's program does not run")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("listening on ") else {
            let mut said = String::new();
            (&log).rewind()?;
            (&log).read_to_string(&mut said)?;
            let _ = child.kill();
            bail!("the server did not start: {said}");
        };
        let port = address.parse::<SocketAddr>()?.port();
        Ok(Stage { child, address: (host(0, 1), port).into(), encrypted, folder })
    }

    /// As a client finds it that has just started.
    pub(crate) fn door(&self) -> io::Result<Door> {
        if self.encrypted { Door::encrypted(self.address) } else { Ok(self.address.into()) }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

/// A hash of a password, made by the server's program.
fn hash(folder: &Path, cost: Cost, password: &str) -> Result<String> {
    let file = folder.join("one.txt");
    write_private(&file, &format!("one {password}\n"))?;
    let mut command = Command::new(server_program());
    command.args(["hash-credentials", "--credentials"]).arg(&file);
    command.args(cost.settings().iter().flat_map(|setting| ["--set", setting]));
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = fs::read_to_string(&file)?;
    let hash = line.trim().strip_prefix("one ").context("not a line of credentials")?;
    Ok(hash.to_owned())
}

/// The names of the settings that this server has, as its help shows them.
fn known_settings() -> Result<String> {
    Ok(String::from_utf8(Command::new(server_program()).arg("--help").output()?.stdout)?)
}
