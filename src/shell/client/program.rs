//! What `hobnob watch` does with each message: it is printed, or handed to a program.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde_json::Value;

use super::news::News;
use super::screen::Sheet;
use crate::shell::visible::visible;

/// Which messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub(super) from: Option<String>,
    pub(super) group: Option<String>,
}

impl Wanted {
    fn wants(&self, object: &Value) -> bool {
        let is = |key: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| object.get(key).and_then(Value::as_str) == Some(wanted))
        };
        word(object, "type") == "message" && is("from", &self.from) && is("group", &self.group)
    }
}

/// What is done with them.
#[derive(Debug)]
pub(super) struct Program {
    wanted: Wanted,
    /// Printed without one.
    command: Option<String>,
    running: Running,
}

/// The program that runs now, if one does: the number of its process, and of its group.
#[derive(Debug, Clone, Default)]
pub(super) struct Running(Arc<Mutex<Option<Pid>>>);

impl Running {
    /// Ends it, and all it has started.
    pub(super) fn end(&self) {
        if let Some(group) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = kill_process_group(group, Signal::TERM);
        }
    }

    /// Waits until it has ended. Its number is nobody else's as long as it is known here.
    fn wait_for(&self, mut child: Child) -> io::Result<ExitStatus> {
        let id = Pid::from_child(&child);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        while let Err(rustix::io::Errno::INTR) =
            waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
        {}
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *running = None;
        child.wait()
    }
}

/// Why no more messages are taken.
enum Failure {
    Output(io::Error),
    Program(String),
}

impl Program {
    pub(super) fn new(wanted: Wanted, command: Option<String>) -> Program {
        Program { wanted, command, running: Running::default() }
    }

    pub(super) fn running(&self) -> Running {
        self.running.clone()
    }

    /// Starts the thread that takes sheets, each with one message at most, and reports each when it is done.
    pub(super) fn spawn(self, news: async_channel::Sender<News>) -> io::Result<Sender<Sheet>> {
        let (sheets, waiting) = mpsc::channel::<Sheet>();
        thread::Builder::new().name("program".into()).spawn(move || {
            while let Ok(sheet) = waiting.recv() {
                let (told, is_over) = match self.take(&sheet) {
                    Ok(()) => (News::Printed(sheet.printed()), false),
                    Err(Failure::Output(error)) => {
                        say(&format!("cannot write to standard output: {error}"));
                        (News::PrintFailed, true)
                    }
                    Err(Failure::Program(why)) => {
                        say(&why);
                        (News::ProgramFailed, true)
                    }
                };
                if news.send_blocking(told).is_err() || is_over {
                    return;
                }
            }
        })?;
        Ok(sheets)
    }

    fn take(&self, sheet: &Sheet) -> Result<(), Failure> {
        let _ = io::stderr().write_all(&sheet.diagnostics());
        for line in sheet.output().split_inclusive(|byte| *byte == b'\n') {
            let Ok(object) = serde_json::from_slice::<Value>(line) else { continue };
            if word(&object, "type") == "login" && object.get("ok") == Some(&Value::Bool(false)) {
                say(&format!("the login is refused: {}", word(&object, "error")));
            }
            if !self.wanted.wants(&object) {
                continue;
            }
            match &self.command {
                Some(command) => self.run(command, &object, line)?,
                None => {
                    let mut output = io::stdout().lock();
                    output.write_all(line).and_then(|()| output.flush()).map_err(Failure::Output)?;
                }
            }
        }
        Ok(())
    }

    fn run(&self, command: &str, object: &Value, line: &[u8]) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::Program(format!("cannot run the program: {error}"));
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::piped()).process_group(0);
        shell.env("HOBNOB_FROM", word(object, "from")).env("HOBNOB_KIND", word(object, "kind"));
        match object.get("group").and_then(Value::as_str) {
            Some(group) => shell.env("HOBNOB_GROUP", group),
            None => shell.env_remove("HOBNOB_GROUP"),
        };
        let mut child = shell.spawn().map_err(failed)?;
        if let Some(mut input) = child.stdin.take() {
            // It need not read it.
            let _ = input.write_all(line);
        }
        let status = self.running.wait_for(child).map_err(failed)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::Program(format!("the program has failed: {status}")))
        }
    }
}

fn word<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn say(words: &str) {
    let _ = writeln!(io::stderr(), "hobnob: {}", visible(words));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_wanted_is_taken() {
        let wanted = |from: Option<&str>, group: Option<&str>| Wanted {
            from: from.map(str::to_owned),
            group: group.map(str::to_owned),
        };
        let direct = json!({"type": "message", "kind": "direct", "from": "hans", "text": "hi"});
        let group =
            json!({"type": "message", "kind": "group", "from": "yoda", "group": "jedi", "text": "hi"});
        let notice = json!({"type": "notice", "text": "hi"});
        for (wanted, taken) in [
            (wanted(None, None), [true, true, false]),
            (wanted(Some("hans"), None), [true, false, false]),
            (wanted(None, Some("jedi")), [false, true, false]),
            (wanted(Some("hans"), Some("jedi")), [false, false, false]),
        ] {
            assert_eq!([&direct, &group, &notice].map(|object| wanted.wants(object)), taken, "{wanted:?}");
        }
    }
}
