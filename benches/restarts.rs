//! Restarts of the real server under load: so many sessions that write to each other all the while.
//!
//! ```text
//! cargo bench --bench restarts                                     500 sessions, 20 restarts
//! cargo bench --bench restarts -- 100 5                            others
//! cargo bench --bench restarts -- 500 20 /path/to/hobnob-server    in turns into this build and back
//! ```
//!
//! Each session writes to the next, one message at a time, and goes on after a restart as a client does: it comes back
//! by its token, says again what was not answered, and knows a repeat by its ORIGIN. It prints the longest time from
//! a message to its answer, what was lost or came twice, and how many heard anything of anybody's coming or going.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_net::TcpStream;
use futures_lite::io::BufReader as Reader;
use futures_lite::{AsyncBufReadExt as _, AsyncWriteExt as _};
use rustix::process::{Pid, Signal, kill_process};
use smol::{LocalExecutor, Timer};

/// Each session waits so long from an answer to its next message.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two restarts, and before the end.
const BETWEEN: Duration = Duration::from_secs(2);
/// Who finds the server gone comes again after this time.
const AGAIN: Duration = Duration::from_millis(20);
/// Sessions that begin at a time: their passwords are hashed.
const AT_ONCE: usize = 16;

/// What all sessions have seen.
#[derive(Default)]
struct Seen {
    sent: u64,
    answered: u64,
    /// Sender and number of each message that was shown.
    shown: BTreeSet<(String, u64)>,
    /// Messages that came again under their ORIGIN, which a client does not show.
    repeats: u64,
    twice: u64,
    notices: u64,
    refused: u64,
    longest: Duration,
    resumed: u64,
    in_session: usize,
    over: bool,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |at: usize, otherwise: usize| words.get(at).map_or(Ok(otherwise), |word| word.parse());
    let (sessions, restarts) = (number(0, 500)?, number(1, 20)?);
    let own = PathBuf::from(env!("CARGO_BIN_EXE_hobnob-server"));
    let other = words.get(2).map_or_else(|| own.clone(), PathBuf::from);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let installed = folder.path().join("hobnob-server");
    let (mut server, address) = start(folder.path(), &installed, &own, sessions)?;
    let seen = Rc::new(RefCell::new(Seen::default()));
    let executor = Rc::new(LocalExecutor::new());
    for at in 0..sessions {
        executor.spawn(session(at, sessions, address, Rc::clone(&seen))).detach();
    }
    let conducting = async {
        until(|| seen.borrow().in_session == sessions).await;
        Timer::after(BETWEEN).await;
        // That all have come is told to all.
        (seen.borrow_mut().notices, seen.borrow_mut().longest) = (0, Duration::ZERO);
        for turn in 0..restarts {
            install(if turn % 2 == 0 { &other } else { &own }, &installed)?;
            kill_process(Pid::from_child(&server), Signal::USR1)?;
            Timer::after(BETWEEN).await;
        }
        seen.borrow_mut().over = true;
        until(|| seen.borrow().answered == seen.borrow().sent).await;
        Timer::after(Duration::from_millis(500)).await;
        anyhow::Ok(())
    };
    smol::block_on(executor.run(conducting))?;
    server.kill()?;
    server.wait()?;
    report(&seen.borrow(), sessions, restarts)
}

fn report(seen: &Seen, sessions: usize, restarts: usize) -> Result<()> {
    let Seen { sent, answered, shown, repeats, twice, notices, refused, longest, resumed, .. } = seen;
    let lost = sent - shown.len() as u64;
    println!(
        "{sessions} sessions, {restarts} restarts: {sent} messages, {answered} answered, {lost} lost, {twice} doubled,"
    );
    println!(
        "{repeats} said again and known, {refused} refused, {notices} notices, {resumed} sessions resumed,"
    );
    println!("longest time from a message to its answer {:.3} s", longest.as_secs_f64());
    let good =
        lost == 0 && *twice == 0 && *notices == 0 && *refused == 0 && *longest <= Duration::from_secs(1);
    ensure!(good && *resumed >= (sessions * restarts) as u64, "that is not as it must be");
    Ok(())
}

/// Replaces the program as a package does: by another file of its name.
fn install(program: &Path, installed: &Path) -> Result<()> {
    let fresh = installed.with_extension("new");
    fs::copy(program, &fresh)?;
    Ok(fs::rename(fresh, installed)?)
}

fn start(folder: &Path, installed: &Path, program: &Path, accounts: usize) -> Result<(Child, SocketAddr)> {
    install(program, installed)?;
    let mut lines = String::new();
    for at in 0..accounts {
        writeln!(lines, "{} falcon", name(at))?;
    }
    let credentials = folder.join("credentials.txt");
    fs::write(&credentials, lines)?;
    fs::set_permissions(&credentials, fs::Permissions::from_mode(0o600))?;
    let settings = ["unauthenticated_max=0", "hash_queue=0", "argon2_kib=8", "argon2_passes=1", "port=0"];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let mut command = Command::new(installed);
    command
        .current_dir(folder)
        .args(settings)
        .arg("--plaintext")
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut first = String::new();
    let mut output = BufReader::new(child.stdout.take().context("its output")?);
    output.read_line(&mut first)?;
    // What it says after each restart is to be taken.
    std::thread::spawn(move || output.lines().for_each(drop));
    let address = first.strip_prefix("listening on ").context("an address")?.trim_end().parse()?;
    Ok((child, address))
}

fn name(at: usize) -> String {
    format!("u{at:05}")
}

async fn until(done: impl Fn() -> bool) {
    while !done() {
        Timer::after(Duration::from_millis(5)).await;
    }
}

/// One user, from their login to the end of the run.
struct User {
    name: String,
    to: String,
    token: Option<String>,
    /// Its last message, and when it was first said; `None`: it is answered.
    open: Option<(u64, Instant)>,
    number: u64,
    answered_at: Instant,
    /// ORIGINs that were shown.
    known: BTreeSet<String>,
    seen: Rc<RefCell<Seen>>,
}

async fn session(at: usize, sessions: usize, address: SocketAddr, seen: Rc<RefCell<Seen>>) {
    // Not all at once.
    until(|| seen.borrow().in_session + AT_ONCE > at).await;
    let (known, answered_at) = (BTreeSet::new(), Instant::now());
    let (name, to) = (name(at), name((at + 1) % sessions));
    let mut user = User { name, to, token: None, open: None, number: 0, answered_at, known, seen };
    loop {
        if let Ok(stream) = TcpStream::connect(address).await {
            let _ = stream.set_nodelay(true);
            // It ends with the connection.
            let _ = user.talk(stream).await;
        }
        Timer::after(AGAIN).await;
    }
}

impl User {
    async fn talk(&mut self, stream: TcpStream) -> std::io::Result<()> {
        let mut writer = stream.clone();
        let mut lines = Reader::new(stream).lines();
        let login = match &self.token {
            Some(token) => format!("resume {} {token}", self.name),
            None => format!("login {} falcon", self.name),
        };
        writer.write_all(format!("hello 1 ack resume\n{login}\n").as_bytes()).await?;
        let mut inside = false;
        loop {
            let line = async { Some(futures_lite::StreamExt::next(&mut lines).await) };
            let due = self.answered_at + PAUSE;
            let pause = async {
                if !inside || self.open.is_some() || self.seen.borrow().over {
                    std::future::pending::<()>().await;
                }
                Timer::at(due).await;
                None
            };
            match futures_lite::future::or(line, pause).await {
                Some(Some(line)) => self.read(&line?, &mut inside, &mut writer).await?,
                Some(None) => return Ok(()),
                None => self.say_next(&mut writer).await?,
            }
        }
    }

    async fn say_next(&mut self, writer: &mut TcpStream) -> std::io::Result<()> {
        // The end of the run may have come while it waited.
        if self.seen.borrow().over {
            return Ok(());
        }
        self.number += 1;
        self.open = Some((self.number, Instant::now()));
        self.seen.borrow_mut().sent += 1;
        self.say(writer).await
    }

    /// Says the open message, perhaps again.
    async fn say(&self, writer: &mut TcpStream) -> std::io::Result<()> {
        let Some((number, _)) = self.open else { return Ok(()) };
        writer.write_all(format!("#{number} message {} text {number}\n", self.to).as_bytes()).await
    }

    async fn read(&mut self, line: &str, inside: &mut bool, writer: &mut TcpStream) -> std::io::Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["welcome" | "resumed", ..] => {
                if words[0] == "welcome" {
                    self.seen.borrow_mut().in_session += 1;
                } else {
                    self.seen.borrow_mut().resumed += 1;
                }
                *inside = true;
                let token = words.iter().position(|word| *word == "token").and_then(|at| words.get(at + 1));
                self.token = token.map(|token| (*token).to_owned()).or(self.token.take());
                self.say(writer).await?;
            }
            ["message", id, from, _, origin, _, "text", number] => {
                self.is_shown(from, origin, number);
                writer.write_all(format!("ack {id} -\n").as_bytes()).await?;
            }
            ["ok", number, "message", ..] => self.is_answered(number),
            ["online" | "offline", _] => self.seen.borrow_mut().notices += 1,
            ["error", ..] => self.seen.borrow_mut().refused += 1,
            // They come again.
            ["refused", ..] if self.token.is_none() => self.seen.borrow_mut().refused += 1,
            _ => {}
        }
        Ok(())
    }

    fn is_shown(&mut self, from: &str, origin: &str, number: &str) {
        let mut seen = self.seen.borrow_mut();
        if self.known.insert(format!("{from} {origin}")) {
            let new = seen.shown.insert((from.to_owned(), number.parse().unwrap_or_default()));
            seen.twice += u64::from(!new);
        } else {
            seen.repeats += 1;
        }
    }

    fn is_answered(&mut self, number: &str) {
        let Some((_, said_at)) = self.open.filter(|(open, _)| number == format!("#{open}")) else {
            return;
        };
        self.open = None;
        self.answered_at = Instant::now();
        let mut seen = self.seen.borrow_mut();
        seen.answered += 1;
        seen.longest = seen.longest.max(self.answered_at - said_at);
    }
}
