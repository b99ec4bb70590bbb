//! Clients that come back by token, as after a lost link: each on a new connection.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::connection::{Connection, Poller, scratch};
use super::members::{HELLO, Member, Members};
use super::pairs::Run;
use super::program::Program;

/// Clients that come back at the same time.
const AT_ONCE: usize = 64;

/// Lets the members come back one after the other, again and again, for a time.
pub(crate) fn run(server: &Program, members: usize, length: Duration) -> Result<Run> {
    let mut members = Members::log_in(server, 0..members)?.list;
    let mut scratch = scratch();
    let mut poller = Poller::new()?;
    let mut coming: Vec<Option<Connection>> = members.iter().map(|_| None).collect();
    let mut turn = 0;
    for _ in 0..AT_ONCE {
        come_back(server, &members, &mut turn, &mut coming, &poller)?;
    }
    let (began, cpu) = (Instant::now(), server.cpu_time()?);
    let mut resumed: u64 = 0;
    while began.elapsed() < length {
        let tokens: Vec<u64> = poller.wait(Some(Duration::from_secs(1)))?.collect();
        ensure!(!tokens.is_empty(), "a client that came back got no answer");
        for token in tokens {
            let at = usize::try_from(token)?;
            let Some(connection) = coming.get_mut(at).and_then(Option::as_mut) else { continue };
            if is_resumed(connection.read(&mut scratch)?)? {
                // The old connection goes with this, and leaves the poller.
                let connection = coming[at].take().context("a connection")?;
                poller.remove(&connection)?;
                members[at].connection = connection;
                resumed += 1;
                come_back(server, &members, &mut turn, &mut coming, &poller)?;
            }
        }
    }
    let secs = began.elapsed().as_secs_f64();
    let cpu_secs = (server.cpu_time()? - cpu).as_secs_f64();
    Ok(Run { deliveries: resumed, secs, cpu_secs })
}

/// The next member connects again.
fn come_back(
    server: &Program,
    members: &[Member],
    turn: &mut usize,
    coming: &mut [Option<Connection>],
    poller: &Poller,
) -> Result<()> {
    let Member { name, token, .. } = &members[*turn];
    let token = token.context("a token")?;
    let mut connection = Connection::open(server)?;
    connection.send(format!("{HELLO}resume {name} {token}\n").as_bytes())?;
    poller.add(&connection, *turn as u64)?;
    coming[*turn] = Some(connection);
    *turn = (*turn + 1) % members.len();
    Ok(())
}

fn is_resumed(lines: &[u8]) -> Result<bool> {
    let has = |word: &[u8]| lines.split(|&byte| byte == b'\n').any(|line| line.starts_with(word));
    ensure!(!has(b"refused"), "a token was refused: {}", String::from_utf8_lossy(lines));
    Ok(has(b"resumed "))
}
