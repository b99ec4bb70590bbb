//! The attacker: this program again, in a separate process on one core.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use socket2::Socket;

use super::talk::{Talk, is_timeout};
use super::{machine, rows};

/// How an attack is done.
pub(crate) type Act = fn(&Target) -> Result<()>;

/// Files that an attacker opens.
const FILES: u64 = 19_000;
/// The attacker yields to honest users on the core that they share: elsewhere it would have a separate machine.
const NICE: i32 = 10;
/// How much longer than its time an attacker may take to end.
const GRACE: Duration = Duration::from_secs(3);

/// The arguments of an attacker.
#[derive(Debug)]
pub(crate) struct Target {
    /// The server, or whatever is attacked.
    pub(crate) address: SocketAddr,
    length: Duration,
    words: Vec<String>,
}

impl Target {
    /// Says that the attack begins; returns when it has to end.
    pub(crate) fn begin(&self) -> Instant {
        println!("begin");
        let _ = std::io::stdout().flush();
        Instant::now() + self.length
    }

    /// One of the words that the row has given.
    pub(crate) fn word<T: FromStr>(&self, at: usize) -> Result<T> {
        let word = self.words.get(at).with_context(|| format!("no word {at}"))?;
        word.parse().ok().with_context(|| format!("not understood: {word}"))
    }
}

/// Says a figure of the attack.
pub(crate) fn tell(name: &str, figure: u64) {
    println!("{name} {figure}");
}

/// The figures of an attacker, by name.
pub(crate) type Facts = HashMap<String, u64>;

/// An attacker that runs.
#[derive(Debug)]
pub(crate) struct Attacker {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    end: Instant,
}

impl Attacker {
    /// Starts one, and waits until its attack begins.
    pub(crate) fn start(
        name: &str,
        address: SocketAddr,
        length: Duration,
        words: &[&str],
    ) -> Result<Attacker> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--attacker", name, &address.to_string(), &length.as_millis().to_string()]).args(words);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut attacker = Attacker { child, lines, end: Instant::now() + length + GRACE };
        match attacker.lines.next() {
            Some(Ok(line)) if line == "begin" => {}
            Some(_) | None => bail!("the attacker {name} did not begin"),
        }
        attacker.end = Instant::now() + length + GRACE;
        Ok(attacker)
    }

    /// Waits for its end, and kills it if that does not come.
    pub(crate) fn finish(mut self) -> Result<Facts> {
        while self.child.try_wait()?.is_none() {
            if Instant::now() > self.end {
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let mut facts = Facts::new();
        for line in self.lines.by_ref() {
            let line = line?;
            let (name, figure) = line.split_once(' ').context("a figure")?;
            facts.insert(name.to_owned(), figure.parse()?);
        }
        Ok(facts)
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of a flood that wait in the attacker's kernel: what is left there outlives the attack.
const SEND_BYTES: usize = 64 * 1024;

/// Begins the attack: says these lines again and again until it ends; with `reads` takes the answers too.
pub(crate) fn flood(target: &Target, talk: Talk, lines: &str, reads: bool) -> Result<()> {
    let socket = Socket::from(talk.into_stream());
    socket.set_send_buffer_size(SEND_BYTES)?;
    // At its end nothing of it is obeyed any more.
    socket.set_linger(Some(Duration::ZERO))?;
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    let end = target.begin();
    if reads {
        let mut answers = stream.try_clone()?;
        thread::spawn(move || {
            let mut scratch = vec![0; 64 * 1024];
            while answers.read(&mut scratch).is_ok_and(|count| count > 0) {}
        });
    }
    let (mut sent, mut at) = (0, 0);
    while Instant::now() < end {
        // A write that was cut short goes on where it was.
        match stream.write(&lines.as_bytes()[at..]) {
            Ok(count) => {
                sent += lines.as_bytes()[at..at + count].iter().filter(|&&byte| byte == b'\n').count();
                at = (at + count) % lines.len();
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    tell("lines", sent as u64);
    Ok(())
}

/// The attacker's own process.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [name, address, length, words @ ..] = arguments else { bail!("an attack, an address and a time") };
    machine::stay_on(machine::Cores::pick()?.load)?;
    let _ = rustix::process::nice(NICE);
    let _ = machine::raise_file_limit(FILES);
    let (_, act) = rows::acts().find(|(known, _)| known == name).with_context(|| format!("no {name}"))?;
    act(&Target {
        address: address.parse()?,
        length: Duration::from_millis(length.parse()?),
        words: words.to_vec(),
    })
}
