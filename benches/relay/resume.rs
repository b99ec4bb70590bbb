//! Clients that come back by token, as after a lost link: each on a new connection.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::connection::{Connection, Poller, scratch};
use super::members::{HELLO, Member, Members};
use super::pairs::Run;
use super::program::{Program, user};

/// Clients that come back at the same time.
const AT_ONCE: usize = 64;

/// Lets members of the server come back one after the other, again and again, for a time.
pub(crate) fn run(server: &Program, members: usize, length: Duration) -> Result<Run> {
    let members = Members::log_in(server, 0..members)?.list;
    let comers = members.into_iter().map(|Member { connection, name, token, .. }| {
        let line = format!("{HELLO}resume {name} {}\n", token.context("a token")?);
        Ok(Comer { line, last: Some(connection) })
    });
    come_and_go(server, comers.collect::<Result<_>>()?, b"resumed ", length)
}

/// The same at a yardstick that says what it hears.
pub(crate) fn run_yardstick(yardstick: &Program, members: usize, length: Duration) -> Result<Run> {
    let line = |n| format!("resume {} {}\n", user(n), "0".repeat(32));
    let comers = (0..members).map(|n| Comer { line: line(n), last: None }).collect();
    come_and_go(yardstick, comers, b"resume ", length)
}

/// Somebody who comes back: what they say, and the connection that they have.
struct Comer {
    line: String,
    last: Option<Connection>,
}

fn come_and_go(server: &Program, mut comers: Vec<Comer>, answer: &[u8], length: Duration) -> Result<Run> {
    let mut scratch = scratch();
    let mut poller = Poller::new()?;
    let mut coming: Vec<Option<Connection>> = comers.iter().map(|_| None).collect();
    let mut turn = 0;
    for _ in 0..AT_ONCE {
        come_back(server, &comers, &mut turn, &mut coming, &poller)?;
    }
    let (began, cpu) = (Instant::now(), server.cpu_time()?);
    let mut resumed: u64 = 0;
    while began.elapsed() < length {
        let tokens: Vec<u64> = poller.wait(Some(Duration::from_secs(1)))?.collect();
        ensure!(!tokens.is_empty(), "a client that came back got no answer");
        for token in tokens {
            let at = usize::try_from(token)?;
            let Some(connection) = coming.get_mut(at).and_then(Option::as_mut) else { continue };
            if is_answered(connection.go_on(&mut scratch)?, answer)? {
                // The old connection goes with this, and leaves the poller.
                let connection = coming[at].take().context("a connection")?;
                poller.remove(&connection)?;
                comers[at].last = Some(connection);
                resumed += 1;
                come_back(server, &comers, &mut turn, &mut coming, &poller)?;
            }
        }
    }
    let secs = began.elapsed().as_secs_f64();
    let cpu_secs = (server.cpu_time()? - cpu).as_secs_f64();
    Ok(Run { deliveries: resumed, secs, cpu_secs })
}

/// The next one connects again.
fn come_back(
    server: &Program,
    comers: &[Comer],
    turn: &mut usize,
    coming: &mut [Option<Connection>],
    poller: &Poller,
) -> Result<()> {
    let connection = Connection::begin(server, comers[*turn].line.as_bytes())?;
    poller.add(&connection, *turn as u64)?;
    coming[*turn] = Some(connection);
    *turn = (*turn + 1) % comers.len();
    Ok(())
}

fn is_answered(lines: &[u8], answer: &[u8]) -> Result<bool> {
    let has = |word: &[u8]| lines.split(|&byte| byte == b'\n').any(|line| line.starts_with(word));
    ensure!(!has(b"refused"), "a token was refused: {}", String::from_utf8_lossy(lines));
    Ok(has(answer))
}
