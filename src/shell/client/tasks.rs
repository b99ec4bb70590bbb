//! The commands of the program beside a session: what help lists of them, and those that only print something.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory as _, value_parser};
use serde_json::json;

use super::config::{Chosen, Origin, Sources};
use super::config_keys::KEYS;
use super::errand_options::SendLine;
use super::options::{self, UsageError};
use super::watch_options::WatchLine;
use crate::shell::pages::{self, COLUMNS, Shell, TEMPLATE};
use crate::shell::visible::visible;

/// The whole command line.
pub(super) fn all() -> Command {
    options::command_line().subcommands([
        join(),
        trust(),
        SendLine::command().name("send"),
        WatchLine::command().name("watch"),
        config(),
        completions(),
        man(),
    ])
}

/// Whether a word is a command of the program.
pub(super) fn is_one(word: &str) -> bool {
    all().get_subcommands().any(|task| task.get_name() == word)
}

/// The help of a session lists the commands as well. They are not looked for on its command line, where each value
/// of an option could be taken for one.
pub(super) fn listed(error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::DisplayHelp {
        return error;
    }
    all().try_get_matches_from(["hobnob", "--help"]).err().unwrap_or(error)
}

/// `hobnob trust`: the options of a session that are about keys.
pub(super) fn trust() -> Command {
    const OWN: [&str; 4] = ["words", "server", "state", "fingerprint"];
    const EXAMPLES: &str = "\
Examples:
  hobnob trust example.org
  hobnob trust example.org:5000 --fingerprint SHA256:URMorzQcFscEHX…";
    let line = options::command_line().mut_args(|arg| {
        let hidden = !OWN.contains(&arg.get_id().as_str());
        arg.hide(hidden)
    });
    let usage = "hobnob trust HOST | PORT | HOST PORT | HOST:PORT";
    let line = line.mut_arg("words", |words| words.help("The server"));
    let line = line.name("trust").about("Accepts the key that a server has now").override_usage(usage);
    line.before_help(EXAMPLES).after_help(Resettable::Reset)
}

/// `hobnob join`: a session, but for what the invite says.
pub(super) fn join() -> Command {
    const SAID: [&str; 3] = ["server", "fingerprint", "ca"];
    const EXAMPLES: &str = "\
Examples:
  hobnob join example.org:4000/4bf1…#SHA256:URMorzQcFscEHX…
  hobnob join example.org:4000/4bf1…#SHA256:URMorzQcFscEHX… --user rey
  hobnob join -      the invite is the first line of the input";
    let line = options::command_line().mut_args(|arg| {
        let hidden = SAID.contains(&arg.get_id().as_str());
        arg.hide(hidden)
    });
    let usage = "hobnob join HOST:PORT/CODE#SHA256:… | - [OPTIONS]";
    let line = line.mut_arg("words", |words| {
        words
            .value_name("INVITE")
            .help("As the operator has sent it; with - it is the first line of the input")
    });
    let line = line.name("join").about("Makes an account by an invite, and logs in").override_usage(usage);
    line.before_help(EXAMPLES).after_help(Resettable::Reset)
}

/// `hobnob config`
fn config() -> Command {
    const EXAMPLES: &str = "\
Examples:
  hobnob config
  hobnob config --json
  hobnob config example.org --timestamps off   what would hold then";
    let words = Arg::new("words").value_name("SERVER").num_args(0..=2).help("The server");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("One JSON object for each key");
    printer("config", EXAMPLES)
        .about("Prints what is set, and where")
        .override_usage("hobnob config [--json] [SERVER] [OPTIONS]")
        .args([words, json])
        .args(super::config::args())
}

/// `hobnob completions`
fn completions() -> Command {
    const EXAMPLES: &str = "\
Examples:
  source <(hobnob completions bash)
  hobnob completions zsh > ~/.zfunc/_hobnob      with ~/.zfunc in fpath
  hobnob completions fish > ~/.config/fish/completions/hobnob.fish";
    let shell = Arg::new("shell").value_name("SHELL").required(true).value_parser(value_parser!(Shell));
    printer("completions", EXAMPLES).about("Prints what completes these command lines in a shell").arg(shell)
}

/// `hobnob man`
fn man() -> Command {
    const EXAMPLES: &str = "\
Examples:
  hobnob man ~/.local/share/man/man1";
    let folder = Arg::new("folder").value_name("DIR").required(true).value_parser(value_parser!(PathBuf));
    let folder = folder.help("Made if it is not there");
    printer("man", EXAMPLES).about("Writes the man pages into a folder, and prints their names").arg(folder)
}

fn printer(name: &'static str, examples: &'static str) -> Command {
    let command = Command::new(name).max_term_width(COLUMNS).version(env!("CARGO_PKG_VERSION"));
    command.help_template(TEMPLATE).before_help(examples)
}

/// What a command line prints that does nothing else; `None` if it is another one.
///
/// # Errors
/// [`UsageError`], for exit code 2.
#[must_use]
pub fn print(line: impl IntoIterator<Item = OsString>) -> Option<Result<String, UsageError>> {
    let mut words: Vec<OsString> = line.into_iter().collect();
    let command = words.get(1).and_then(|word| word.to_str()).map(str::to_owned)?;
    let printing = match command.as_str() {
        "config" => print_config,
        "completions" => print_completions,
        "man" => write_man,
        _ => return None,
    };
    words.remove(1);
    Some(printing(words))
}

fn print_config(words: Vec<OsString>) -> Result<String, UsageError> {
    let matches = config().try_get_matches_from(words)?;
    let chosen = options::choices(&matches, &Sources::of_process())?;
    for warning in &chosen.warnings {
        let _ = writeln!(io::stderr(), "hobnob: warning: {}", visible(warning));
    }
    Ok(if matches.get_flag("json") { objects(&chosen) } else { table(&chosen) })
}

fn print_completions(words: Vec<OsString>) -> Result<String, UsageError> {
    let matches = completions().try_get_matches_from(words)?;
    let shell = matches.get_one::<Shell>("shell").copied().unwrap_or(Shell::Bash);
    Ok(pages::completions(all(), shell))
}

fn write_man(words: Vec<OsString>) -> Result<String, UsageError> {
    let matches = man().try_get_matches_from(words)?;
    let folder = matches.get_one::<PathBuf>("folder").cloned().unwrap_or_default();
    let pages = pages::write_manual(all(), &folder).map_err(|why| UsageError::Unwritable { folder, why })?;
    Ok(pages.iter().map(|page| format!("{}\n", page.display())).collect())
}

/// For people: a line for each key.
fn table(chosen: &Chosen) -> String {
    let widest = KEYS.iter().map(|key| key.name.len()).max().unwrap_or_default();
    let value = |key: &super::config_keys::Key| match key.show(&chosen.config) {
        value if value.is_empty() => "-".to_owned(),
        value => visible(&value).to_string(),
    };
    let broadest = KEYS.iter().map(|key| value(key).chars().count()).max().unwrap_or_default().min(32);
    KEYS.iter().fold(String::new(), |mut out, key| {
        let (value, origin) = (value(key), chosen.origin(key));
        // Writing to a string does not fail.
        let _ = writeln!(out, "{:widest$}  {value:broadest$}  {origin}", key.name);
        out
    })
}

/// For scripts.
fn objects(chosen: &Chosen) -> String {
    KEYS.iter().fold(String::new(), |mut out, key| {
        let value = Some(key.show(&chosen.config)).filter(|value| !value.is_empty());
        let origin = chosen.origin(key);
        let mut object = json!({"type": "setting", "key": key.name, "value": value, "from": origin.kind()});
        match &origin {
            Origin::Default => {}
            Origin::File(path, line) => {
                object["file"] = path.to_string_lossy().into();
                object["line"] = (*line).into();
            }
            Origin::Environment(variable) => object["variable"] = variable.as_str().into(),
            Origin::Option(option) => object["option"] = option.as_str().into(),
        }
        let _ = writeln!(out, "{object}");
        out
    })
}
