//! `ctl`: what steers a running server, through the socket in its data folder.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::commands::print;
use super::control::SOCKET;
use super::setup::config::{ConfigError, Sources};
use crate::shell::platform::OperatorCaller;
use crate::shell::visible::{json_line, visible};

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub enum CtlError {
    /// The settings, which say where the data folder is.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nobody answers.
    #[error("no server runs on {}", visible(&folder.to_string_lossy()))]
    NoServer {
        /// The data folder.
        folder: PathBuf,
    },
    /// The socket cannot be used.
    #[error("the server is not reached: {0}")]
    Unreached(io::Error),
    /// The server said something else than this version understands.
    #[error("the server gave no answer")]
    NoAnswer,
    /// The server did not do it.
    #[error("{}", visible(.0))]
    Refused(String),
}

/// Has a command carried out, and prints the answer: for people, or as one line of JSON.
///
/// # Errors
/// [`CtlError`]; with `json` a refusal is printed as well.
pub fn ctl(sources: &Sources, command: &str, json: bool) -> Result<(), CtlError> {
    have_done(sources, command, |answer| {
        if json {
            print([json_line(answer)]);
        } else if answer["ok"] == true {
            print(for_people(answer));
        }
    })
}

/// Has a command carried out. The answer is shown.
///
/// # Errors
/// [`CtlError`]
pub(super) fn have_done(sources: &Sources, command: &str, show: impl FnOnce(&Value)) -> Result<(), CtlError> {
    if command.contains('\n') {
        return Err(CtlError::Refused("a line break cannot be said here".to_owned()));
    }
    let (line, mut caller) = ask(&sources.load()?.data, command)?;
    let answer = read(&line)?;
    show(&answer);
    accept(answer)?;
    // After `stop` and `restart` the connection ends when the server has.
    match caller.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(CtlError::Unreached(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Says a command to the server of a data folder, and waits for the answer: its line, and the connection.
pub(super) fn ask(folder: &Path, command: &str) -> Result<(String, BufReader<OperatorCaller>), CtlError> {
    ask_within(folder, command, None)
}

/// The same, if the answer comes in time, and so what follows it.
pub(super) fn ask_within(
    folder: &Path,
    command: &str,
    limit: Option<Duration>,
) -> Result<(String, BufReader<OperatorCaller>), CtlError> {
    let mut caller = match OperatorCaller::connect(&folder.join(SOCKET)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Err(CtlError::NoServer { folder: folder.to_path_buf() });
        }
        reached => BufReader::new(reached.map_err(CtlError::Unreached)?),
    };
    if let Some(limit) = limit {
        caller.get_ref().wait_at_most(limit).map_err(CtlError::Unreached)?;
    }
    match caller.get_mut().write_all(format!("{command}\n").as_bytes()) {
        // The server hears no more operators, and has said so.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        said => said.map_err(CtlError::Unreached)?,
    }
    let mut line = String::new();
    match caller.read_line(&mut line) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(CtlError::NoAnswer),
        Err(error) => Err(CtlError::Unreached(error)),
        Ok(_) => Ok((line, caller)),
    }
}

/// The answer in a line, unless it is a refusal.
pub(super) fn accepted(line: &str) -> Result<Value, CtlError> {
    read(line).and_then(accept)
}

fn read(line: &str) -> Result<Value, CtlError> {
    serde_json::from_str(line).map_err(|_| CtlError::NoAnswer)
}

fn accept(answer: Value) -> Result<Value, CtlError> {
    if answer["ok"] == true {
        Ok(answer)
    } else {
        Err(CtlError::Refused(answer["error"].as_str().unwrap_or_default().to_owned()))
    }
}

/// An answer in lines: a table of the sessions; else a name and its value each. Names come from users.
pub(super) fn for_people(answer: &Value) -> Vec<String> {
    if let Some(sessions) = answer["sessions"].as_array() {
        return table(sessions);
    }
    if let Some(restraints) = answer["restraints"].as_array() {
        return restraints.iter().map(restraint).collect();
    }
    if let Some(invites) = answer["invites"].as_array() {
        return invites.iter().map(invite).collect();
    }
    if let Some(announcements) = answer["announcements"].as_array() {
        return announcements.iter().map(announcement).collect();
    }
    let fields = answer.as_object().into_iter().flatten().filter(|(name, _)| *name != "ok");
    let mut lines = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Array(items) => {
                lines.extend(items.iter().map(|item| format!("{name:<14} {}", word(item))))
            }
            Value::Object(parts) => {
                let parts: Vec<String> =
                    parts.iter().map(|(part, value)| format!("{part} {}", word(value))).collect();
                lines.push(format!("{name:<14} {}", parts.join(", ")));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                lines.push(format!("{name:<14} {}", word(value)));
            }
        }
    }
    lines
}

fn table(sessions: &[Value]) -> Vec<String> {
    let row = |session: &Value| {
        let [user, from, since, idle] =
            ["user", "from", "since", "idle_secs"].map(|field| word(&session[field]));
        format!("{user:<20} {from:<24} {since:<22} {idle} s")
    };
    sessions.iter().map(row).collect()
}

fn restraint(restraint: &Value) -> String {
    let [how, until] = ["how", "until"].map(|field| word(&restraint[field]));
    let whom = if restraint["user"].is_null() { &restraint["addresses"] } else { &restraint["user"] };
    format!("{how:<9} until {until:<22} {}", word(whom))
}

fn announcement(said: &Value) -> String {
    let [number, at, text] = ["announcement", "at", "text"].map(|field| word(&said[field]));
    format!("{number:<6} {at:<22} {text}")
}

fn invite(invite: &Value) -> String {
    let [number, left, until, name] = ["invite", "left", "until", "name"].map(|field| word(&invite[field]));
    let good = if invite["good"] == true { "good" } else { "over" };
    format!("{number:<6} {good}  {left:>4} left  until {until:<22} {name}")
}

pub(super) fn word(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text).to_string(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_are_lines_for_people() {
        let status = json!({ "ok": true, "sessions": 2, "version": "0.1.0" });
        assert_eq!(for_people(&status), ["sessions       2", "version        0.1.0"]);
        let reload = json!({ "ok": true, "changed": ["timeout: 1800 -> 60", "port: 1 -> 2"] });
        let lines = ["changed        timeout: 1800 -> 60", "changed        port: 1 -> 2"];
        assert_eq!(for_people(&reload), lines);
        let seat = json!({ "user": "hans\u{1b}", "from": "[::1]:4", "since": null, "idle_secs": 7 });
        let [line] = &for_people(&json!({ "ok": true, "sessions": [seat] }))[..] else { panic!("one line") };
        assert!(line.starts_with("hans") && line.ends_with(" 7 s") && !line.contains('\u{1b}'), "{line}");
    }
}
