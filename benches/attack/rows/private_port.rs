//! A flood on the port on which a client waits for private links.

use std::collections::VecDeque;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Row;
use super::strangers;
use crate::Suite;
use crate::attacker::{Act, Attacker, Target, tell};
use crate::beside::{judge_p99, judge_rest, show_kib};
use crate::client::Client;
use crate::gauge::{Gauge, Usage, resident_kib};
use crate::honest::{Latencies, Pair};
use crate::stage::{Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{Talk, host};

pub(crate) const ACTS: &[(&str, Act)] = &[("knock", knock)];

/// Meetings with the victim in each run.
const MEETINGS: usize = 5;
/// A meeting takes no longer.
const MEET_SECS: f64 = 3.0;
/// From one meeting to the next.
const MEET_EVERY: Duration = Duration::from_millis(800);

pub(crate) const FLOOD: Row = Row {
    name: "private-port",
    attack: "connections to whatever port a client listens on, as fast as one core opens them; five users meet the client, one is awaited and does not come",
    addresses: true,
    secs: 90,
    run: flood,
};

/// The figures of one run.
struct Run {
    latencies: Latencies,
    /// How long each meeting took, in seconds; none if it failed.
    met: Vec<Option<f64>>,
    usage: Usage,
}

fn flood(suite: &Suite) -> Result<Outcome> {
    // Each meets it once: three requests a minute to one user are allowed.
    let runs = 1 + suite.rounds();
    let stage = Stage::open(&suite.folder, &Plan::of(names('p', runs * MEETINGS)))?;
    let client = |name: &str| {
        let options = ["--accept-private", "auto"];
        Client::start(stage.address, name, &stage.folder().join(name), &options)?.logged_in()
    };
    let victim = client("victim")?;
    let friends = names('p', runs * MEETINGS).map(|name| client(&name));
    let mut friends = friends.collect::<Result<Vec<Client>>>()?;
    let mut friends = friends.chunks_mut(MEETINGS);
    let mut pair = Pair::to_client(&stage, "victim")?;
    pair.run(Duration::from_secs(1))?;
    let logins = ["v1", "v2", "v3", "v4"].into_iter().zip(10..);
    let logins = logins.map(|(name, house)| Ok(Talk::log_in(host(1, house), stage.address, name)?.0));
    let mut absent = logins.collect::<Result<Vec<Talk>>>()?.into_iter();
    let mut next = || absent.next().context("enough who do not come");
    let control = run(&mut pair, friends.next().context("friends")?, victim.process(), &mut next()?)?;
    // Its first links have brought the code of TLS into memory, which no attack does.
    let before = resident_kib(victim.process())?;
    let mut attacked = Vec::new();
    let mut knocks = 0;
    for friends in friends {
        let length = MEET_EVERY * u32::try_from(MEETINGS)? + Duration::from_secs(2);
        let words = [stage.address.port().to_string(), victim.process().to_string()];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let attacker = Attacker::start("knock", stage.address, length, &words)?;
        attacked.push(run(&mut pair, friends, victim.process(), &mut next()?)?);
        knocks += attacker.finish()?.get("knocks").copied().unwrap_or(0);
    }
    thread::sleep(suite.rest());
    let after = resident_kib(victim.process())?;
    let mut outcome = Outcome::default();
    judge(&mut outcome, &control, &attacked, before, after);
    outcome.check("connections to it", knocks, "> 0", knocks > 0);
    Ok(outcome)
}

fn judge(outcome: &mut Outcome, control: &Run, attacked: &[Run], before: u64, after: u64) {
    let meetings = |runs: &[Run]| {
        let met: Vec<Option<f64>> = runs.iter().flat_map(|run| run.met.iter().copied()).collect();
        let in_time = met.iter().filter(|secs| secs.is_some_and(|secs| secs <= MEET_SECS)).count();
        let worst = met.iter().flatten().copied().fold(0.0, f64::max);
        (
            format!("{in_time} of {} in {MEET_SECS} s, the longest {worst:.2} s", met.len()),
            in_time == met.len(),
        )
    };
    let ((without, _), (under, holds)) = (meetings(std::slice::from_ref(control)), meetings(attacked));
    outcome.beside("meetings", without, under, "all", holds);
    let latencies: Vec<Latencies> = attacked.iter().map(|run| run.latencies.clone()).collect();
    judge_p99(outcome, std::slice::from_ref(&control.latencies), &latencies);
    if let Some(cut) = latencies.iter().find_map(|latencies| latencies.cut.as_deref()) {
        outcome.check("messages of the server", cut, "come", false);
    }
    let peak = attacked.iter().map(|run| run.usage.peak_kib).max().unwrap_or(u64::MAX);
    let limit = before + 5 * 1_024;
    outcome.beside("RSS of the client, peak", show_kib(before), show_kib(peak), "+ 5 MiB", peak <= limit);
    judge_rest(outcome, "RSS of the client", before, after);
    let files = attacked.iter().map(|run| run.usage.files).max().unwrap_or(0);
    outcome.beside("open files of the client", control.usage.files, files, "shown", true);
}

/// Messages from the server to the victim's client, while each friend meets it once. Somebody else was accepted and
/// does not come: the client waits for them and its port is open meanwhile.
fn run(pair: &mut Pair, friends: &mut [Client], victim: u32, absent: &mut Talk) -> Result<Run> {
    absent.say("startprivate victim ed25519:CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws 5000")?;
    absent.until(&["introduce ", "error "])?;
    let gauge = Gauge::start(victim)?;
    let length = MEET_EVERY * u32::try_from(friends.len())? + Duration::from_secs(1);
    let (latencies, met) = thread::scope(|scope| {
        let meetings = scope.spawn(|| friends.iter_mut().map(meet).collect::<Result<Vec<Option<f64>>>>());
        let latencies = pair.run(length);
        (latencies, meetings.join())
    });
    let met = met.ok().context("the meetings broke")??;
    Ok(Run { latencies: latencies?, met, usage: gauge.finish()? })
}

/// A private link from a friend to the victim, which is closed again; how long it took to open.
fn meet(friend: &mut Client) -> Result<Option<f64>> {
    thread::sleep(MEET_EVERY);
    let began = Instant::now();
    // A client that does not say so in 10 s has not met.
    let Ok(result) = friend.ask("startprivate victim") else { return Ok(None) };
    let taken = began.elapsed().as_secs_f64();
    if result["ok"] != true {
        return Ok(None);
    }
    friend.ask("stopprivate victim")?;
    Ok(Some(taken))
}

fn knock(target: &Target) -> Result<()> {
    let (server, process): (u16, u32) = (target.word(0)?, target.word(1)?);
    let end = target.begin();
    let mut open = VecDeque::new();
    let (mut knocks, mut ports, mut turn) = (0_u64, Vec::new(), 0_u32);
    let mut looked = Instant::now() - Duration::from_secs(1);
    while Instant::now() < end {
        if looked.elapsed() > Duration::from_millis(50) {
            ports = listeners(process)?.into_iter().filter(|at| at.port() != server).collect();
            looked = Instant::now();
        }
        if ports.is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        for &address in &ports {
            turn += 1;
            if let Ok(stream) = strangers::begin(turn, address) {
                open.push_back(stream);
                knocks += 1;
            }
            if open.len() > 12_000 {
                open.pop_front();
            }
        }
    }
    tell("knocks", knocks);
    Ok(())
}

/// Where a process listens, over IPv4.
fn listeners(process: u32) -> Result<Vec<SocketAddr>> {
    let own: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()?.into_os_string().into_string().ok())
        .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp"))?;
    let listening = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // 0A: listening.
        let [_, local, _, "0A", ..] = words.as_slice() else { return None };
        let (address, port) = local.split_once(':')?;
        let address = Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.swap_bytes());
        let address = if address.is_unspecified() { Ipv4Addr::LOCALHOST } else { address };
        let inode = words.get(9)?;
        own.iter().any(|own| own == inode).then_some(())?;
        Some(SocketAddr::from((address, u16::from_str_radix(port, 16).ok()?)))
    });
    Ok(listening.collect())
}
