//! `hobnob-server`: command line to settings, then the server or a subcommand.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::slice;

use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use hobnob::shell::pages::{self, COLUMNS, Shell, TEMPLATE};
use hobnob::shell::server::commands::{self, CommandError, Printed};
use hobnob::shell::server::config::{ConfigError, Given, Sources};
use hobnob::shell::server::ctl::{CtlError, ctl};
use hobnob::shell::server::inviting::{Shown, invite};
use hobnob::shell::server::log::Log;
use hobnob::shell::server::top::{Top, top};
use hobnob::shell::server::{Failure, run, settings};
use hobnob::shell::wiping_allocator::WipingAllocator;
use hobnob::words::LINE_BREAK;
use tracing::level_filters::LevelFilter;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator::Secrets;

const EXAMPLES: &str = "\
Examples:
  hobnob-server                   127.0.0.1:4000, accounts in credentials.txt
  hobnob-server 5000 60 1800      port 5000, names locked for 60 s, logout after
                                  1800 s without a command
  hobnob-server passwd luke       adds luke, or changes the password
  hobnob-server --bind 0.0.0.0 --set registration=open";

/// The server of Hobnob, an instant messenger for people who live in a terminal.
#[derive(Debug, Parser)]
#[command(name = "hobnob-server", version, max_term_width = COLUMNS)]
#[command(help_template = TEMPLATE, before_help = EXAMPLES)]
#[command(subcommand_precedence_over_arg = true, disable_help_subcommand = true)]
struct CommandLine {
    /// Port to listen on; 0 picks a free one [default: 4000]
    #[arg(value_name = "PORT")]
    port: Option<String>,
    /// Seconds a name stays locked after three failures; 0: never [default: 60]
    #[arg(value_name = "BLOCK_DURATION")]
    block_duration: Option<String>,
    /// Seconds without a command until logout; 0: never [default: 1800]
    #[arg(value_name = "TIMEOUT")]
    timeout: Option<String>,
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "ADDR")]
    bind: Option<String>,
    /// File with the accounts [default: credentials.txt]
    #[arg(long, global = true, value_name = "FILE")]
    credentials: Option<String>,
    /// Folder where state lives [default: hobnob-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// Settings file, TOML; options and environment (HOBNOB_NAME) win over it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in the file; repeatable
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// No TLS; both sides must say it
    #[arg(long, global = true)]
    plaintext: bool,
    /// Keep nothing over a restart but the accounts
    #[arg(long, global = true)]
    ephemeral: bool,
    /// Record all that happens, texts too, in a new file; passwords and tokens
    /// are replaced
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Log logins, logouts and the like on stderr
    #[arg(short, global = true)]
    verbose: bool,
    /// Log more than that
    #[arg(short, global = true)]
    debug: bool,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Give an account a new password, or make it; asks twice, on a pipe once
    Passwd {
        /// Whose
        name: String,
    },
    /// Print the names of all accounts
    Users,
    /// Remove an account
    Remove {
        /// Whose
        name: String,
    },
    /// Replace plain passwords in the credentials file by hashes; their sessions can then not be resumed
    HashCredentials,
    /// Copy the store to a new file, also while a server runs
    Backup {
        /// The copy; must not exist
        file: PathBuf,
    },
    /// Print all that is kept about a user, one object a line; no hashes
    Export {
        /// About whom
        user: String,
    },
    /// Remove an account and all that is kept about its user, also what others
    /// were not shown yet; a running server restarts unnoticed
    Forget {
        /// Whom
        user: String,
    },
    /// Steer a running server through the socket in its data folder
    Ctl {
        /// One object a line
        #[arg(long, display_order = 0)]
        json: bool,
        #[command(subcommand)]
        order: Order,
    },
    /// Let somebody make an account: prints what they are to type
    #[command(override_usage = "hobnob-server invite [NAME] [OPTIONS]")]
    Invite {
        /// The only name that they may choose
        name: Option<String>,
        /// For so many accounts
        #[arg(long, value_name = "N", default_value_t = 1)]
        uses: u32,
        /// Good for so long: 30s, 10m, 2h, 7d
        #[arg(long, value_name = "FOR", default_value = "7d")]
        expires: String,
        /// Also as a QR code
        #[arg(long, conflicts_with = "json")]
        qr: bool,
        /// List the invites there are, without their codes
        #[arg(long, conflicts_with_all = ["name", "uses", "expires", "qr", "revoke"])]
        list: bool,
        /// End the invite of this number
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["name", "uses", "expires", "qr"])]
        revoke: Option<u32>,
        /// One object a line
        #[arg(long)]
        json: bool,
    },
    /// Show what a running server does, each second: rates, queues, who is there
    Top {
        /// Once, and end
        #[arg(long, display_order = 0)]
        once: bool,
        /// One object each time
        #[arg(long, display_order = 0)]
        json: bool,
    },
    /// Check settings, credentials and store, and say what is in them
    Check,
    /// Do again what the server did that made a recording (--record), and say
    /// whether it comes to the same
    Replay {
        /// The recording
        file: PathBuf,
        /// Print events from this one on
        #[arg(long, value_name = "N", default_value_t = 1)]
        from: u64,
        /// Print so many [default: all]
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// One object a line
        #[arg(long)]
        json: bool,
    },
    /// Print what completes these command lines in a shell
    Completions {
        /// Which
        shell: Shell,
    },
    /// Write the man pages into a folder, and print their names
    Man {
        /// Made if it is not there
        folder: PathBuf,
    },
}

#[derive(Debug, Clone, Subcommand)]
#[command(disable_help_subcommand = true)]
enum Order {
    /// Say how it stands: sessions, connections, accounts, queues
    Status,
    /// List who is muted, banned and disabled, and which addresses are banned
    Restraints,
    /// List who is logged in, from where, since when, and how long idle
    Sessions,
    /// Read settings, accounts and certificate again; says what has changed, or why nothing has
    Reload,
    /// Stop it, and wait until it has
    Stop,
    /// Restart it without anybody noticing, also into a new version
    Restart,
    /// Say something to everybody who is online
    Announce {
        /// Also to those who are away, when they come back within 30 days
        #[arg(long)]
        keep: bool,
        /// What
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// List what is kept for those who are away
    Announcements,
    /// Keep an announcement no longer
    Withdraw {
        /// Its number
        number: u32,
    },
    /// End the session of a user, who may log in again
    Kick {
        /// Whose
        user: String,
        /// What they are told before
        reason: Vec<String>,
    },
    /// Do not let a user say anything to others
    Mute {
        /// Whom
        user: String,
        /// For so long: 30s, 10m, 2h, 7d [default: until unmute]
        #[arg(value_name = "FOR")]
        lasts: Option<String>,
    },
    /// End that
    Unmute {
        /// Whom
        user: String,
    },
    /// Log a user out, or whoever is there from an address, and do not let them in
    Ban {
        /// Whom; or an address, or a network (192.0.2.0/24)
        user: String,
        /// For so long: 30s, 10m, 2h, 7d [default: until unban]
        #[arg(value_name = "FOR")]
        lasts: Option<String>,
    },
    /// End that
    Unban {
        /// Whom, or which
        user: String,
    },
    /// Log a user out, and do not let them in until they are enabled
    Disable {
        /// Whom
        user: String,
    },
    /// End that
    Enable {
        /// Whom
        user: String,
    },
    /// Forget the wrong passwords of a name and of its devices, and their locks
    Unlock {
        /// Which
        name: String,
    },
}

impl Order {
    /// The line that the server reads.
    fn line(&self) -> String {
        let (word, words) = match self {
            Order::Status => ("status", Vec::new()),
            Order::Sessions => ("sessions", Vec::new()),
            Order::Restraints => ("restraints", Vec::new()),
            Order::Reload => ("reload", Vec::new()),
            Order::Stop => ("stop", Vec::new()),
            Order::Restart => ("restart", Vec::new()),
            Order::Announce { keep: false, text } => ("announce", text.clone()),
            Order::Announce { keep: true, text } => {
                ("announce", [&["--keep".to_owned()], text.as_slice()].concat())
            }
            Order::Announcements => ("announcements", Vec::new()),
            Order::Withdraw { number } => ("withdraw", vec![number.to_string()]),
            Order::Kick { user, reason } => ("kick", [slice::from_ref(user), reason].concat()),
            Order::Mute { user, lasts } => ("mute", [slice::from_ref(user), lasts.as_slice()].concat()),
            Order::Unmute { user } => ("unmute", vec![user.clone()]),
            Order::Ban { user, lasts } => ("ban", [slice::from_ref(user), lasts.as_slice()].concat()),
            Order::Unban { user } => ("unban", vec![user.clone()]),
            Order::Disable { user } => ("disable", vec![user.clone()]),
            Order::Enable { user } => ("enable", vec![user.clone()]),
            Order::Unlock { name } => ("unlock", vec![name.clone()]),
        };
        let line = [&[word.to_owned()], words.as_slice()].concat().join(" ");
        // Of what is said to users; anywhere else the server does not take it.
        line.trim_end_matches('\n').replace('\n', LINE_BREAK.encode_utf8(&mut [0; 4]))
    }
}

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `eprintln!` would panic if nobody takes the line, and the exit code would be lost.
            let _ = writeln!(io::stderr(), "hobnob-server: {error}");
            ExitCode::from(exit_code(&error))
        }
    }
}

fn serve() -> anyhow::Result<()> {
    let matches = command_line().get_matches();
    let line = CommandLine::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let log = start_log(&line);
    let sources = sources(&line)?;
    match &line.task {
        None => run(sources, &log, line.record.as_deref())?,
        Some(Task::Passwd { name }) => commands::passwd(&sources, name)?,
        Some(Task::Users) => commands::users(&sources)?,
        Some(Task::Remove { name }) => commands::remove(&sources, name)?,
        Some(Task::HashCredentials) => commands::hash_credentials(&sources)?,
        Some(Task::Backup { file }) => commands::backup(&sources, file)?,
        Some(Task::Export { user }) => commands::export(&sources, user)?,
        Some(Task::Forget { user }) => commands::forget(&sources, user)?,
        Some(Task::Ctl { json, order }) => ctl(&sources, &order.line(), *json)?,
        Some(Task::Invite { name, uses, expires, qr, list, revoke, json }) => match (list, revoke) {
            (true, _) => ctl(&sources, "invites", *json)?,
            (false, Some(number)) => ctl(&sources, &format!("revoke {number}"), *json)?,
            (false, None) => invite(&sources, name.as_deref(), *uses, expires, Shown::of(*json, *qr))?,
        },
        Some(Task::Top { once, json }) => top(&sources, Top { once: *once, json: *json })?,
        Some(Task::Check) => commands::check(&sources)?,
        Some(Task::Replay { file, from, count, json }) => {
            let printed = Printed { from: *from, count: count.unwrap_or(u64::MAX), json: *json };
            commands::replay(file, printed)?;
        }
        Some(Task::Completions { shell }) => commands::print([pages::completions(command_line(), *shell)]),
        Some(Task::Man { folder }) => {
            commands::print(pages::write_manual(command_line(), folder)?.iter().map(|page| page.display()));
        }
    }
    Ok(())
}

/// The options for everybody that a command obeys, and how it is used.
const COMMANDS: &[(&str, &[&str], &str)] = &[
    (
        "passwd",
        &["credentials", "config", "set"],
        "  hobnob-server passwd luke              asks for the password twice
  pass show luke | hobnob-server passwd luke",
    ),
    ("users", &["credentials", "config", "set"], "  hobnob-server users | wc -l"),
    ("remove", &["credentials", "config", "set"], "  hobnob-server remove luke && hobnob-server ctl reload"),
    (
        "hash-credentials",
        &["credentials", "config", "set"],
        "  hobnob-server hash-credentials --set argon2_passes=3",
    ),
    ("backup", &["data", "config", "set"], "  hobnob-server backup \"/backup/hobnob-$(date +%F).db\""),
    ("export", &["credentials", "data", "config", "set"], "  hobnob-server export luke > luke.jsonl"),
    (
        "forget",
        &["credentials", "data", "config", "set"],
        "  hobnob-server export luke > luke.jsonl && hobnob-server forget luke",
    ),
    (
        "ctl",
        &["data", "config", "set"],
        "  hobnob-server ctl status
  hobnob-server ctl mute luke 10m
  hobnob-server ctl --json sessions",
    ),
    (
        "invite",
        &["data", "config", "set"],
        "  hobnob-server invite
  hobnob-server invite --uses 30 --expires 1d
  hobnob-server invite --revoke 3",
    ),
    (
        "top",
        &["data", "config", "set"],
        "  hobnob-server top              each second, until q
  hobnob-server top --once       one table
  hobnob-server top --json | jq .status.rates",
    ),
    (
        "check",
        &["bind", "credentials", "data", "config", "set", "plaintext", "ephemeral"],
        "  hobnob-server check
  hobnob-server check --config /etc/hobnob/hobnob.toml",
    ),
    (
        "replay",
        &[],
        "  hobnob-server --record case.rec          until the server stops
  hobnob-server replay case.rec | less
  hobnob-server replay case.rec --from 1200 --count 20 --json",
    ),
    (
        "completions",
        &[],
        "  hobnob-server completions bash > ~/.local/share/bash-completion/completions/hobnob-server",
    ),
    ("man", &[], "  hobnob-server man /usr/local/share/man/man1"),
];

/// The command line. Commands show the options that they obey.
fn command_line() -> Command {
    let settings = format!("Settings (NAME=DEFAULT, 0 = no limit):\n{}", settings::list(COLUMNS));
    let command = CommandLine::command();
    let global: Vec<Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let fit = |task: Command| {
        let found = COMMANDS.iter().find(|(name, ..)| *name == task.get_name());
        let (obeyed, examples) = found.map_or((&[][..], ""), |(_, obeyed, examples)| (obeyed, examples));
        let hidden = global.iter().filter(|arg| !obeyed.contains(&arg.get_id().as_str()));
        let task = task.args(hidden.map(|arg| arg.clone().hide(true)).collect::<Vec<Arg>>());
        task.help_template(TEMPLATE).before_help(format!("Examples:\n{examples}"))
    };
    command.clone().after_help(settings).mut_subcommands(fit)
}

/// The exit code of an error: 2 for usage, settings and credentials, else 1.
fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() {
        return 2;
    }
    if let Some(CtlError::Config(_)) = error.downcast_ref() {
        return 2;
    }
    let of_command = error.downcast_ref().map(CommandError::exit_code);
    error.downcast_ref().map(Failure::exit_code).or(of_command).unwrap_or(1)
}

/// What the command line sets, `--set` first: an option of its own is the plainer word.
fn sources(line: &CommandLine) -> Result<Sources, ConfigError> {
    let mut options = Vec::new();
    for pair in &line.set {
        options.push(Given::pair(pair)?);
    }
    let switch = |on: bool| on.then(|| "true".to_string());
    for (option, name, value) in [
        ("PORT", "port", line.port.clone()),
        ("BLOCK_DURATION", "block_duration", line.block_duration.clone()),
        ("TIMEOUT", "timeout", line.timeout.clone()),
        ("--bind", "bind", line.bind.clone()),
        ("--credentials", "credentials", line.credentials.clone()),
        ("--data", "data", line.data.clone()),
        ("--plaintext", "plaintext", switch(line.plaintext)),
        ("--ephemeral", "ephemeral", switch(line.ephemeral)),
    ] {
        options.extend(value.map(|value| Given { option, name: name.to_string(), value }));
    }
    Ok(Sources { options, environment: std::env::vars_os().collect(), config: line.config.clone() })
}

/// Everything but the one line on standard output goes to standard error, or to the log file. A panic is a line too.
fn start_log(line: &CommandLine) -> Log {
    let level = match (line.debug, line.verbose) {
        (true, _) => LevelFilter::DEBUG,
        (false, true) => LevelFilter::INFO,
        (false, false) => LevelFilter::WARN,
    };
    let log = Log::start(level);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        tracing::error!("a defect{place}; please report it");
    }));
    log
}
