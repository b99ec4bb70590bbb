//! System calls of the server, watched and broken by strace.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use crate::place::Place;
use crate::report;

/// Calls that change what is on a disk.
pub(crate) const STORING: &str =
    "pwrite64,write,writev,fsync,fdatasync,ftruncate,unlink,unlinkat,rename,renameat,renameat2";

/// Whether strace is here and may do its work; says so if not.
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

/// Options that keep to the files of a server.
pub(crate) fn files_of(place: &Place) -> Vec<String> {
    let data = place.data();
    let names = ["hobnob.db", "hobnob.db-wal", "hobnob.db-journal", "hobnob.db.new", "hobnob.db.new-journal"];
    let files = names.iter().map(|name| data.join(name)).chain([data.to_path_buf()]);
    files.flat_map(|file| ["-P".to_owned(), file.display().to_string()]).collect()
}

/// A wrapper that starts a server and breaks its storage calls as told, the server being the child.
pub(crate) fn wrapper(place: &Place, calls: &str, fault: &str) -> Vec<String> {
    let mut words: Vec<String> = ["strace", "-qq", "-D", "-f", "-o", "/dev/null"].map(str::to_owned).into();
    words.extend(files_of(place));
    words.extend([
        "-e".to_owned(),
        format!("trace={calls}"),
        "-e".to_owned(),
        format!("inject={calls}:{fault}"),
    ]);
    words
}

/// A wrapper that kills a program, its child, at such a call, on this file only if one is given.
pub(crate) fn killing(calls: &str, when: usize, on: Option<&Path>) -> Vec<String> {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:signal=KILL:when={when}"));
    let words = ["strace", "-qq", "-D", "-f", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let file = on.into_iter().flat_map(|file| ["-P".to_owned(), file.display().to_string()]);
    words.map(str::to_owned).into_iter().chain(file).collect()
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
        // It says more when threads come and go; nobody may make it wait.
        std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        let strace = Strace { child, output: output.to_path_buf() };
        attached.then_some(strace)
    }

    /// Breaks storage calls of a running server as told.
    pub(crate) fn inject(place: &Place, pid: u32, calls: &str, fault: &str) -> Strace {
        let mut options = files_of(place);
        options.extend([
            "-e".into(),
            format!("trace={calls}"),
            "-e".into(),
            format!("inject={calls}:{fault}"),
        ]);
        Strace::attach(pid, &options, Path::new("/dev/null")).expect("strace attaches")
    }

    /// Lets go of the server, or waits for the end if that is gone; the lines of the trace.
    pub(crate) fn lines(mut self) -> Vec<String> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.child.wait();
        let trace = fs::read(&self.output).expect("a trace");
        String::from_utf8_lossy(&trace).lines().map(str::to_owned).collect()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.child.wait();
    }
}
