//! The command line of `hobnob watch`.

use std::ffi::OsString;

use clap::Parser;

use super::config::Sources;
use super::options::{Options, Task, UsageError};
use super::passwords::Access;
use super::program::{Program, Wanted};
use crate::client::{AcceptPrivate, Watch};
use crate::shell::pages::{COLUMNS, TEMPLATE};

const EXAMPLES: &str = "\
Examples:
  hobnob watch --user bot --password-file pw
  hobnob watch --user bot --password-file pw --group admins --exec 'jq -r .text >> log'
  hobnob watch --user bot --password-command 'pass bot' --from hans --exec ./do-it";

const NOTES: &str = "\
It holds the session of the user, and prints one JSON object for each message;
with --exec it runs sh -c CMD instead, one at a time, with the object on standard
input and HOBNOB_FROM, HOBNOB_KIND (direct, group, broadcast) and HOBNOB_GROUP.
A message counts as read when CMD has ended with 0: until then it comes again,
also if this program or CMD is killed (\"again\": true). Messages that --from and
--group leave out count as read.

With a password it comes back by itself after a timeout and when the server is
lost. Exit codes: 2 usage, 3 server not reached, 4 login refused, 5 logged out by
timeout, 6 not the trusted server, 7 CMD has failed, 143 SIGTERM.";

/// Hands each message to a script.
#[derive(Debug, Parser)]
#[command(name = "hobnob watch", version, max_term_width = COLUMNS)]
#[command(help_template = TEMPLATE, before_help = EXAMPLES, after_help = NOTES)]
#[command(override_usage = "hobnob watch [OPTIONS]")]
pub(super) struct WatchLine {
    /// Only what this user says
    #[arg(long, value_name = "USER")]
    from: Option<String>,
    /// Only messages to this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Runs CMD for each message
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    /// Ends a session of the user that stands in the way
    #[arg(long)]
    takeover: bool,
    /// JSON it is in any case
    #[arg(long, hide = true)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Parses a command line whose first word is the program, without the word `watch`.
pub(super) fn parse(
    line: impl IntoIterator<Item = OsString>,
    sources: &Sources,
) -> Result<Options, UsageError> {
    let WatchLine { from, group, exec, takeover, json: _, access } = WatchLine::try_parse_from(line)?;
    let mut options = Options::parse_with(access.as_of_the_client(), sources)?;
    if options.settings.user.is_none() {
        return Err(UsageError::NoUser);
    }
    if options.settings.password.is_none() {
        return Err(UsageError::NoPassword);
    }
    options.settings.watch = if exec.is_some() { Watch::Runs } else { Watch::Prints };
    options.settings.takeover = takeover;
    options.settings.accept_private = AcceptPrivate::Never;
    options.task = Task::Watch;
    options.program = Some(Program::new(Wanted { from, group }, exec));
    Ok(options)
}
