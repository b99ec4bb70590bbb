//! The command line of the client.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _, Parser};
use etcetera::BaseStrategy as _;

use super::config::{self, Chosen, ConfigError, Given, Sources};
use super::config_keys::{Config, Switch};
use super::errand_options::ErrandOptions;
use super::join_options;
use super::passwords::PasswordSource;
use super::program::Program;
use super::reach::Security;
use super::server_address::ServerAddress;
use super::stamps::Timestamps;
use super::tasks;
use super::watch_options;
use crate::client::Settings;
use crate::client::trust::Demand;
use crate::shell::pages::{COLUMNS, TEMPLATE};
use crate::shell::tunnel::dialler::Dialler;
use crate::words::BadFingerprint;

const EXAMPLES: &str = "\
Examples:
  hobnob                               to this machine, port 4000
  hobnob example.org                   to another one; or example.org:5000
  hobnob --user hans 5000              as hans, to port 5000 of this machine
  hobnob --json < lines > objects      for a script: lines in, objects out
  hobnob join example.org:4000/CODE#…  makes an account by an operator's invite
  hobnob trust example.org             accepts a key that the server has changed
  hobnob send yoda 'the disk is full'  sends one message
  hobnob config                        what is set, and where";

const NOTES: &str = "\
What the options from --server on say may stand in $XDG_CONFIG_HOME/hobnob/
client.toml as well (accept_private = \"never\"), or in the environment
(HOBNOB_ACCEPT_PRIVATE). Options win over the environment, and that over the
file.

Exit codes: 0 logout or end of input, 1 other failure, 2 usage, 3 server not
reached or lost, 4 login refused, 5 logged out by timeout, 6 not the trusted
server, 7 refused (--strict), 130 Ctrl-C.";

/// The client of Hobnob, an instant messenger for people who live in a terminal.
#[derive(Debug, Parser)]
#[command(name = "hobnob", version, help_template = TEMPLATE, before_help = EXAMPLES, after_help = NOTES)]
#[command(override_usage = "hobnob [HOST | PORT | HOST PORT | HOST:PORT] [OPTIONS]\n       hobnob COMMAND")]
#[command(disable_help_subcommand = true)]
struct CommandLine {
    /// The server [default: 127.0.0.1 4000]; a word of digits is a port, one of the commands is that
    #[arg(value_name = "SERVER")]
    words: Vec<String>,
    /// One JSON object a line on standard output, no prompts
    #[arg(long)]
    json: bool,
    /// At a terminal: lines only, no colours, no cursor movement; so also with TERM=dumb
    #[arg(long)]
    plain: bool,
    #[command(flatten)]
    password: PasswordSource,
    /// Where marks and history are kept [default: $XDG_STATE_HOME/hobnob]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Trust only this key of the server
    #[arg(long, value_name = "SHA256:…")]
    fingerprint: Option<String>,
    /// Trust certificates of the authorities in FILE (PEM), for the server's name
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Back to the prompt after a lockout, logout or timeout
    #[arg(long)]
    retry_login: bool,
    /// Ends a session of the user that stands in the way, without asking
    #[arg(long)]
    takeover: bool,
    /// On a pipe: exit code 7 if the result of any line was not ok
    #[arg(long)]
    strict: bool,
    /// No encryption to the server; both sides must say it
    #[arg(long)]
    plaintext: bool,
}

/// The command line of a session, with an option for each key.
pub(super) fn command_line() -> Command {
    CommandLine::command().args(config::args()).max_term_width(COLUMNS)
}

/// The settings that the options make.
#[derive(Debug)]
pub struct Options {
    pub(super) json: bool,
    pub(super) plain: bool,
    pub(super) timestamps: Timestamps,
    pub(super) logs: Logs,
    /// What is to be said at the start.
    pub(super) warnings: Vec<String>,
    pub(super) settings: Settings,
    pub(super) places: Places,
    pub(super) task: Task,
    /// With [`Task::Send`].
    pub(super) errand: Option<Box<ErrandOptions>>,
    /// With [`Task::Watch`].
    pub(super) program: Option<Program>,
    /// Lines of the input that were read for the options.
    pub(super) lines_read: u64,
}

/// What is kept of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Logs {
    /// `None`: at a terminal only.
    pub(super) on: Option<bool>,
    /// Also what was said on private links.
    pub(super) private: bool,
    /// For how long; 0: for ever.
    pub(super) days: u64,
}

impl Logs {
    fn of(config: &Config) -> Logs {
        Logs {
            on: config.log.map(|log| log == Switch::On),
            private: config.log_private == Switch::On,
            days: u64::from(config.log_days),
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// A session at the server.
    Chat,
    /// Accept the server's key.
    Trust,
    /// Send texts, and end.
    Send,
    /// Hand messages to a script.
    Watch,
    /// Make an account by an invite, and begin a session.
    Join,
}

/// An error in a command line.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The options themselves; also `--help` and `--version`.
    #[error(transparent)]
    Options(#[from] clap::Error),
    /// The words do not name a server.
    #[error("{0} is no server; say HOST, PORT, HOST PORT or HOST:PORT")]
    NoServer(String),
    /// Something of the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A command that is not the first word.
    #[error("{0} comes first, and then its options: hobnob {0} …")]
    NotFirst(String),
    /// `hobnob send` without a user.
    #[error("say in whose name: --user NAME, HOBNOB_USER, or user in client.toml")]
    NoUser,
    /// `hobnob watch` without a password.
    #[error(
        "say what lets the user in: --password-file, --password-fd, --password-command, or password_command in client.toml"
    )]
    NoPassword,
    /// Two that contradict each other.
    #[error("{0} does not go with {1}")]
    Contradiction(&'static str, &'static str),
    /// The argument of `--fingerprint` is none.
    #[error("--fingerprint {0}: {1}")]
    Fingerprint(String, BadFingerprint),
    /// The file of `--ca` cannot be used.
    #[error("--ca {}: {reason}", .file.display())]
    Authorities {
        /// Where.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// `hobnob join` without an invite.
    #[error("{}", no_invite(.0.as_deref()))]
    NoInvite(Option<String>),
    /// `hobnob send` without a recipient.
    #[error("say whom it is for: USER, --group NAME or --all")]
    NobodyNamed,
    /// A word that is no name.
    #[error("{0} is no name")]
    NoName(String),
    /// No id can be made.
    #[error("the system has no random numbers: {0}")]
    NoRandomness(String),
    /// An empty text.
    #[error("there is no text to send")]
    NothingToSend,
    /// The text cannot be read.
    #[error("cannot read the text: {0}")]
    Text(String),
    /// The input, which should begin with an invite, cannot be read.
    #[error("cannot read the invite: {0}")]
    Unread(io::Error),
    /// Man pages cannot be written.
    #[error("{}: {why}", .folder.display())]
    Unwritable {
        /// Where.
        folder: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// TLS cannot be set up.
    #[error("no TLS: {0}")]
    NoTls(String),
    /// There is no password where one should be.
    #[error("cannot read the password {place}: {reason}")]
    Password {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
}

fn no_invite(word: Option<&str>) -> String {
    let like = "HOST:PORT/CODE#SHA256:…, as the operator's hobnob-server invite prints it";
    match word {
        Some(word) => format!("{word} is no invite: {like}"),
        None => format!("say the invite: {like}"),
    }
}

impl Options {
    /// Parses a command line, whose first word is the program.
    ///
    /// # Errors
    /// [`UsageError`], for exit code 2.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Options, UsageError> {
        Options::parse_with(line, &Sources::of_process())
    }

    /// The same, with choices made elsewhere.
    pub(super) fn parse_with(
        line: impl IntoIterator<Item = OsString>,
        sources: &Sources,
    ) -> Result<Options, UsageError> {
        let mut words: Vec<OsString> = line.into_iter().collect();
        match words.get(1).and_then(|word| word.to_str()) {
            Some("send") => {
                words.remove(1);
                ErrandOptions::parse(words, sources).map(Options::of_errand)
            }
            Some("watch") => {
                words.remove(1);
                watch_options::parse(words, sources)
            }
            Some("join") => {
                words.remove(1);
                join_options::parse(words, sources)
            }
            Some("trust") => {
                words.remove(1);
                let matches = tasks::trust().try_get_matches_from(words)?;
                Options::new(&matches, sources, Task::Trust)
            }
            Some(_) | None => {
                let matches = command_line().try_get_matches_from(words).map_err(tasks::listed)?;
                let first = matches.get_many::<String>("words").and_then(|mut words| words.next());
                match first.filter(|first| tasks::is_one(first)) {
                    Some(task) => Err(UsageError::NotFirst(task.clone())),
                    None => Options::new(&matches, sources, Task::Chat),
                }
            }
        }
    }

    pub(super) fn new(matches: &ArgMatches, sources: &Sources, task: Task) -> Result<Options, UsageError> {
        let line = CommandLine::from_arg_matches(matches)?;
        let chosen = choices(matches, sources)?;
        if task == Task::Trust && !chosen.names("server") {
            return Err(UsageError::NoServer("nothing after trust".into()));
        }
        let config = chosen.config;
        let security = line.security(task, &config.server.host)?;
        let mut warnings = chosen.warnings;
        warnings.extend(line.password.warning());
        let password = match task {
            Task::Trust => None,
            Task::Chat | Task::Send | Task::Watch | Task::Join => {
                line.password.read(config.password_command.as_deref())?
            }
        };
        let logs = Logs::of(&config);
        let Config {
            server,
            user,
            timestamps,
            accept_private,
            private_bind,
            private_port,
            private_advertise,
            ..
        } = config;
        let settings = Settings {
            user,
            password,
            accept_private,
            reconnect_secs: config.reconnect,
            retry_login: line.retry_login,
            takeover: line.takeover,
            strict: line.strict,
            private_advertise,
            map_port: config.map_port,
            bell: config.bell,
            highlight: config.highlight.0,
            new_after_secs: config.new_after,
            path: config.path,
            ..Settings::default()
        };
        let state = line.state.map_or_else(default_state, Ok);
        let places = Places { server, state, private_bind, private_port, security };
        let CommandLine { json, plain, .. } = line;
        Ok(Options {
            json,
            plain,
            timestamps,
            logs,
            warnings,
            settings,
            places,
            task,
            errand: None,
            program: None,
            lines_read: 0,
        })
    }

    /// `hobnob send`: there is no session to set up.
    fn of_errand(errand: ErrandOptions) -> Options {
        Options {
            json: errand.json,
            plain: false,
            timestamps: Timestamps::Off,
            logs: Logs { on: Some(false), private: false, days: 0 },
            warnings: Vec::new(),
            settings: Settings::default(),
            places: errand.places.clone(),
            task: Task::Send,
            errand: Some(Box::new(errand)),
            program: None,
            lines_read: 0,
        }
    }
}

/// What was chosen, on this command line and elsewhere.
pub(super) fn choices(matches: &ArgMatches, sources: &Sources) -> Result<Chosen, UsageError> {
    let mut sources = sources.clone();
    sources.given.extend(config::given(matches));
    let words: Vec<&str> =
        matches.get_many::<String>("words").into_iter().flatten().map(String::as_str).collect();
    if !words.is_empty() {
        if sources.given.iter().any(|given| given.key == "server") {
            return Err(UsageError::Contradiction("--server", "a word that names one"));
        }
        let server = ServerAddress::read(&words).ok_or_else(|| UsageError::NoServer(words.join(" ")))?;
        sources.given.push(Given { option: words.join(" "), key: "server", value: server.to_string() });
    }
    Ok(sources.load()?)
}

impl CommandLine {
    /// How the server is to be spoken to.
    fn security(&self, task: Task, host: &str) -> Result<Security, UsageError> {
        if self.plaintext {
            let about_keys = [
                ("trust", task == Task::Trust),
                ("--fingerprint", self.fingerprint.is_some()),
                ("--ca", self.ca.is_some()),
            ];
            return match about_keys.iter().find(|(_, asked)| *asked) {
                Some((option, _)) => Err(UsageError::Contradiction(option, "--plaintext")),
                None => Ok(Security::PLAINTEXT),
            };
        }
        let read = |word: &String| word.parse().map_err(|error| UsageError::Fingerprint(word.clone(), error));
        let key = self.fingerprint.as_ref().map(read).transpose()?;
        let Some(file) = &self.ca else {
            let demand = match (task, key) {
                (Task::Trust, key) => Demand::Accept(key),
                (Task::Join, Some(key)) => Demand::First(key),
                (Task::Chat | Task::Send | Task::Watch, Some(key)) => Demand::Key(key),
                (Task::Chat | Task::Send | Task::Watch | Task::Join, None) => Demand::Pin,
            };
            let dialler = Dialler::to_any_key(host).map_err(|error| UsageError::NoTls(error.to_string()))?;
            return Ok(Security { demand, dialler });
        };
        if task == Task::Trust {
            return Err(UsageError::Contradiction("trust", "--ca"));
        }
        let failed = |reason: String| UsageError::Authorities { file: file.clone(), reason };
        let authorities = fs::read(file).map_err(|error| failed(error.to_string()))?;
        let dialler = Dialler::to_certified(host, &authorities).map_err(|error| failed(error.to_string()))?;
        Ok(Security { demand: Demand::Certificate(key), dialler })
    }
}

/// Addresses and folders.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The server.
    pub(super) server: ServerAddress,
    /// The folder of all state folders, or why there is none.
    pub(super) state: Result<PathBuf, String>,
    /// Address to listen on for private links; `None`: the one that the server is reached from.
    pub(super) private_bind: Option<IpAddr>,
    /// Port to listen on for private links; `None`: that of the connection to the server.
    pub(super) private_port: Option<u16>,
    /// How the server is to be spoken to.
    pub(super) security: Security,
}

/// `$XDG_STATE_HOME/hobnob`, by default `~/.local/state/hobnob`.
fn default_state() -> Result<PathBuf, String> {
    let base = etcetera::base_strategy::Xdg::new().map_err(|error| error.to_string())?;
    base.state_dir().map(|state| state.join("hobnob")).ok_or_else(|| "there is no folder for state".into())
}

#[cfg(test)]
mod tests;
