//! Sessions on the real server: many logins at once, and idle ones that only listen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hobnob::wire::ServerLine;
use hobnob::words::Token;

use super::connection::{Connection, Poller, scratch};
use super::program::{PASSWORD, Program, user};

/// Logins under way at a time; by default the server allows 128 connections that are not logged in. The more
/// at once, the fewer writes carry their notices.
const AT_ONCE: usize = 120;
/// A login that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long without a line, and nothing is under way any more.
const QUIET: Duration = Duration::from_millis(100);

/// The first line of a client, before `login` or `resume`.
pub(crate) const HELLO: &str = "hello 1 ack resume\n";

/// A session, logged in.
pub(crate) struct Member {
    pub(crate) connection: Connection,
    pub(crate) name: String,
    pub(crate) token: Option<Token>,
}

/// Sessions that are open at the same time.
pub(crate) struct Members {
    pub(crate) list: Vec<Member>,
    poller: Poller,
    scratch: Box<[u8]>,
}

impl Members {
    /// Logs in the users with these numbers, and waits until all notices have come.
    pub(crate) fn log_in(server: &Program, numbers: std::ops::Range<usize>) -> Result<Members> {
        let list = Vec::with_capacity(numbers.len());
        let mut members = Members { list, poller: Poller::new()?, scratch: scratch() };
        let names: Vec<String> = numbers.map(user).collect();
        for names in names.chunks(AT_ONCE) {
            let first = members.list.len();
            for name in names {
                let mut connection = Connection::open(server)?;
                connection.send(format!("{HELLO}login {name} {PASSWORD}\n").as_bytes())?;
                members.poller.add(&connection, members.list.len() as u64)?;
                members.list.push(Member { connection, name: name.clone(), token: None });
            }
            members.await_welcomes(first)?;
        }
        members.settle()?;
        Ok(members)
    }

    fn await_welcomes(&mut self, first: usize) -> Result<()> {
        let started = Instant::now();
        let mut missing = self.list.len() - first;
        while missing > 0 {
            if started.elapsed() > PATIENCE {
                bail!("{missing} logins got no answer");
            }
            for token in self.poller.wait(Some(Duration::from_secs(1)))? {
                let at = usize::try_from(token)?;
                let member = self.list.get_mut(at).context("a token of ours")?;
                let lines = member.connection.read(&mut self.scratch)?;
                if at >= first && member.token.is_none() {
                    member.token = welcome(lines, "welcome")?;
                    missing -= usize::from(member.token.is_some());
                }
            }
        }
        Ok(())
    }

    /// Reads until nothing more comes.
    pub(crate) fn settle(&mut self) -> Result<()> {
        loop {
            let mut quiet = true;
            for token in self.poller.wait(Some(QUIET))? {
                quiet = false;
                let member = self.list.get_mut(usize::try_from(token)?).context("a token of ours")?;
                member.connection.read(&mut self.scratch)?;
            }
            if quiet {
                return Ok(());
            }
        }
    }
}

/// The token that a session was handed in one of these lines; an error if it was refused.
pub(crate) fn welcome(lines: &[u8], word: &str) -> Result<Option<Token>> {
    for line in lines.split(|&byte| byte == b'\n') {
        if line.starts_with(b"refused") || line.starts_with(b"bye") {
            bail!("a login failed: {}", String::from_utf8_lossy(line));
        }
        if line.starts_with(word.as_bytes()) {
            return match ServerLine::parse(line) {
                Ok(ServerLine::Welcome(admission)) => Ok(admission.token),
                Ok(_) | Err(_) => bail!("not understood: {}", String::from_utf8_lossy(line)),
            };
        }
    }
    Ok(None)
}
