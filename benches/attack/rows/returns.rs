//! A server that restarts, and whose users come back at once, each from another address.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use super::Row;
use crate::Suite;
use crate::stage::{Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{Door, HELLO, Talk, host, token};

const USERS: usize = 1_500;
/// Clients that connect at the same time.
const AT_ONCE: usize = 64;
/// The first street in which they live, and the houses of each.
const STREET: u8 = 120;
const HOUSES: usize = 200;
/// What the server waits for them by default.
const GRACE: Duration = Duration::from_secs(15);
/// Until a client tries again.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) const RETURNS: Row = Row {
    name: "returns",
    attack: "nobody attacks: the server restarts, and 1,500 users come back at once, each from another address; all speak TLS",
    addresses: true,
    secs: 120,
    run,
};

/// Someone whose session goes on after the restart, if they come back in time.
struct User {
    name: String,
    home: Ipv4Addr,
    token: String,
}

fn run(suite: &Suite) -> Result<Outcome> {
    let stage = Stage::open(&suite.folder, &Plan::of(names('m', USERS)).with_tls())?;
    let door = stage.door()?;
    let came = each(names('m', USERS).enumerate().collect(), |users| log_in(&door, users))?;
    let process = i32::try_from(stage.process()).ok().and_then(Pid::from_raw).context("a process")?;
    let (talks, users): (Vec<Talk>, Vec<User>) = came.into_iter().unzip();
    kill_process(process, Signal::USR1)?;
    let began = Instant::now();
    let back = each(users, |users| Ok(come_back(&door, users, began)))?;
    drop(talks);
    let (count, last) = (back.len(), back.iter().max().copied().unwrap_or_default());
    let mut outcome = Outcome::default();
    outcome.check("users whose session went on", count, format!("{USERS}"), count == USERS);
    let seconds = format!("{:.1} s", last.as_secs_f64());
    outcome.check("the last of them after", seconds, "≤ 15 s", last <= GRACE);
    Ok(outcome)
}

/// Lets some threads share the work.
fn each<T: Send, R: Send>(work: Vec<T>, act: impl Fn(Vec<T>) -> Result<Vec<R>> + Sync) -> Result<Vec<R>> {
    let mut shares: Vec<Vec<T>> = (0..AT_ONCE).map(|_| Vec::new()).collect();
    for (share, item) in (0..AT_ONCE).cycle().zip(work) {
        shares[share].push(item);
    }
    let act = &act;
    thread::scope(|scope| {
        let threads: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || act(share))).collect();
        let mut done = Vec::new();
        for thread in threads {
            done.extend(thread.join().map_err(|_| anyhow!("a client broke"))??);
        }
        Ok(done)
    })
}

fn log_in(door: &Door, users: Vec<(usize, String)>) -> Result<Vec<(Talk, User)>> {
    let log_in = |(number, name): (usize, String)| {
        let street = STREET + u8::try_from(number / HOUSES)?;
        let home = host(street, 1 + u8::try_from(number % HOUSES)?);
        let (talk, welcome) = Talk::log_in(home, door.fresh()?, &name)?;
        Ok((talk, User { token: token(&welcome)?.to_owned(), name, home }))
    };
    users.into_iter().map(log_in).collect()
}

/// How long after the restart each was back, of those who were.
fn come_back(door: &Door, mut users: Vec<User>, began: Instant) -> Vec<Duration> {
    let mut back = Vec::new();
    // Those who are in stay.
    let mut talks = Vec::new();
    while !users.is_empty() && began.elapsed() < GRACE {
        users.retain(|user| match resume(door, user) {
            Ok(talk) => {
                back.push(began.elapsed());
                talks.push(talk);
                false
            }
            Err(_) => true,
        });
        if !users.is_empty() {
            thread::sleep(PAUSE);
        }
    }
    back
}

fn resume(door: &Door, user: &User) -> Result<Talk> {
    let mut talk = Talk::open(user.home, door.fresh()?)?;
    talk.say(&format!("{HELLO}\nresume {} {}", user.name, user.token))?;
    let answer = talk.until(&["resumed ", "refused "])?;
    if answer.starts_with("resumed ") { Ok(talk) } else { Err(anyhow!("{} heard: {answer}", user.name)) }
}
