//! System calls of the server, watched and broken by strace.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use support::Place;

use crate::report;

/// Calls that change what is on a disk.
pub(crate) const STORING: &str =
    "pwrite64,write,writev,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2";

/// How long strace may take to detach from a server.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Whether strace is installed and permitted; reports why not.
pub(crate) fn is_at_hand(needed_by: &str) -> bool {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    match REASON.get_or_init(why_not) {
        None => true,
        Some(reason) => {
            report(&format!("skipped: {needed_by}: {reason}"));
            false
        }
    }
}

fn why_not() -> Option<String> {
    let inject =
        ["-qq", "-D", "-f", "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=9", "-o", "/dev/null"];
    let started = Command::new("strace").args(inject).arg("true").output();
    match started {
        Err(_) => return Some("no strace".to_owned()),
        Ok(output) if !output.status.success() => return Some("strace is not permitted".to_owned()),
        Ok(_) => {}
    }
    let mut sleeper = Command::new("sleep").arg("60").spawn().ok()?;
    let folder = tempfile::tempdir().ok()?;
    let attached = Strace::attach(sleeper.id(), &[], &folder.path().join("trace"));
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    attached.is_none().then(|| "strace cannot attach to a running program".to_owned())
}

/// Options that trace only the files of a server.
pub(crate) fn files_of(place: &Place) -> Vec<String> {
    let data = place.data();
    let names = ["hobnob.db", "hobnob.db-wal", "hobnob.db-journal", "hobnob.db.new", "hobnob.db.new-journal"];
    let files = names.iter().map(|name| data.join(name)).chain([data.to_path_buf()]);
    files.flat_map(|file| ["-P".to_owned(), file.display().to_string()]).collect()
}

/// A call as strace counts them: for each name and each thread by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) name: String,
    /// The first is 1.
    pub(crate) number: usize,
}

impl Moment {
    pub(crate) fn new(name: &str, number: usize) -> Moment {
        Moment { name: name.to_owned(), number }
    }

    /// Options that inject a fault at this call.
    fn broken(&self, fault: &str) -> [String; 4] {
        let Moment { name, number } = self;
        let inject = format!("inject={name}:{fault}:when={number}");
        ["-e".into(), format!("trace={name}"), "-e".into(), inject]
    }
}

/// The program is killed before the call is made.
pub(crate) const KILL: &str = "signal=KILL";

/// All moments of a trace, in order; those that two threads have in common once.
pub(crate) fn moments(lines: &[String]) -> Vec<Moment> {
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    let mut moments = Vec::new();
    for line in lines {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((name, _)) = rest.trim_start().split_once('(') else { continue };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let number = counts.entry((pid, name)).or_default();
        *number += 1;
        let moment = Moment::new(name, *number);
        if !moments.contains(&moment) {
            moments.push(moment);
        }
    }
    moments
}

/// A wrapper that watches a program, its child.
pub(crate) fn watching(options: &[String], calls: &str, output: &Path) -> Vec<String> {
    let mut words = wrapper(output);
    words.extend_from_slice(options);
    words.extend(["-e".to_owned(), format!("trace={calls}")]);
    words
}

/// A wrapper that breaks a call of a program, its child.
pub(crate) fn breaking(options: &[String], moment: &Moment, fault: &str) -> Vec<String> {
    let mut words = wrapper(Path::new("/dev/null"));
    words.extend_from_slice(options);
    words.extend(moment.broken(fault));
    words
}

fn wrapper(output: &Path) -> Vec<String> {
    let output = output.display().to_string();
    ["strace", "-qq", "-D", "-f", "-o", &output].map(str::to_owned).into()
}

/// The lines of a trace.
pub(crate) fn read(output: &Path) -> Vec<String> {
    let trace = fs::read(output).expect("a trace");
    String::from_utf8_lossy(&trace).lines().map(str::to_owned).collect()
}

/// Options that trace only this file.
pub(crate) fn only(file: &Path) -> Vec<String> {
    vec!["-P".into(), file.display().to_string()]
}

/// strace on a running server.
pub(crate) struct Strace {
    child: Child,
    output: PathBuf,
}

impl Strace {
    /// Returns once all threads are held, or nothing if they cannot be.
    pub(crate) fn attach(pid: u32, options: &[String], output: &Path) -> Option<Strace> {
        let mut command = Command::new("strace");
        command.arg("-f").args(options).arg("-o").arg(output).arg("-p").arg(pid.to_string());
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().ok()?;
        let mut stderr = BufReader::new(child.stderr.take()?);
        let mut said = String::new();
        let attached = stderr.read_line(&mut said).is_ok() && said.contains("attached");
        // It reports threads that come and go, and must not block on that.
        std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        let strace = Strace { child, output: output.to_path_buf() };
        attached.then_some(strace)
    }

    /// Breaks a call of a running server.
    pub(crate) fn inject(options: &[String], pid: u32, moment: &Moment, fault: &str) -> Strace {
        let options = [options, &moment.broken(fault)].concat();
        Strace::attach(pid, &options, Path::new("/dev/null")).expect("strace attaches")
    }

    /// Detaches, or waits for the end if the server is gone; returns the lines of the trace.
    pub(crate) fn lines(mut self) -> Vec<String> {
        self.let_go();
        read(&self.output)
    }

    /// On SIGINT strace detaches from all threads. If the server is dying just then, the two can wait for each
    /// other for ever, so after a while strace is killed, which detaches as well.
    fn let_go(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let deadline = Instant::now() + LETTING_GO;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_for_each_call_and_thread() {
        let trace = [
            "7  pwrite64(3, \"a\", 1, 0) = 1",
            "7  fdatasync(3 <unfinished ...>",
            "8  pwrite64(3, \"(b\", 1, 0) = 1",
            "7  <... fdatasync resumed>) = 0",
            "7  pwrite64(3, \"c\", 1, 0) = 1",
            "7  --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER} ---",
            "7  fdatasync(3) = 0",
            "7  +++ exited with 0 +++",
        ];
        let found = moments(&trace.map(str::to_owned));
        let expected = [("pwrite64", 1), ("fdatasync", 1), ("pwrite64", 2), ("fdatasync", 2)];
        assert_eq!(found, expected.map(|(name, number)| Moment::new(name, number)));
    }
}
