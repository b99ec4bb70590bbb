//! Mailboxes that one sender fills, and broadcasts to a slow reader.

use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::SockRef;

use super::Row;
use crate::attacker::{Act, Attacker, Target, flood, tell};
use crate::stage::{Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{Talk, host, is_timeout};

pub(crate) const ACTS: &[(&str, Act)] = &[("fill", fill), ("broadcast", broadcast)];

/// Of the text of a message or a broadcast.
const TEXT_BYTES: usize = 4_000;
const MIB: u64 = 1_024 * 1_024;

pub(crate) const TOTAL: Row = Row {
    name: "mail-of-one",
    attack: "one account stores 4 KB messages for 200 users who are offline, as fast as it can",
    addresses: false,
    secs: 45,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('r', 200).chain(names('a', 1))))?;
        let length = Duration::from_secs(8);
        let attacker = Attacker::start("fill", stage.address, length, &["0", "200"])?;
        let facts = attacker.finish()?;
        let (stored, refused) = (facts["stored"], facts["refused"]);
        let mut outcome = Outcome::default();
        let bytes = stored * TEXT_BYTES as u64;
        outcome.check("MiB that it stored", bytes / MIB, "≤ 16", bytes <= 16 * MIB);
        outcome.check("messages refused", refused, "> 0", refused > 0);
        judge_honest(&stage, "r0000", &mut outcome)?;
        Ok(outcome)
    },
};

pub(crate) const THREE: Row = Row {
    name: "mail-of-three",
    attack: "three accounts store 4 KB messages for one user who is offline, as fast as they can",
    addresses: false,
    secs: 30,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('r', 1).chain(names('a', 3))))?;
        let start = |number| Attacker::start("fill", stage.address, Duration::from_secs(3), &[number, "1"]);
        let attackers = ["0", "1", "2"].map(start);
        let mut outcome = Outcome::default();
        for attacker in attackers {
            let facts = attacker?.finish()?;
            let bytes = facts["stored"] * TEXT_BYTES as u64;
            outcome.check("KiB that one stored", bytes / 1_024, "≤ 1024", bytes <= MIB);
            outcome.check("messages refused", facts["refused"], "> 0", facts["refused"] > 0);
        }
        judge_honest(&stage, "r0000", &mut outcome)?;
        Ok(outcome)
    },
};

/// Another sender still finds room.
fn judge_honest(stage: &Stage, receiver: &str, outcome: &mut Outcome) -> Result<()> {
    let (mut talk, _) = Talk::log_in(host(1, 1), stage.address, "h1")?;
    let wanted = format!("ok message {receiver} stored");
    let answer = talk.ask(&format!("message {receiver} {}", "x".repeat(TEXT_BYTES)))?;
    let holds = answer == wanted;
    outcome.check("an honest sender", answer, wanted, holds);
    Ok(())
}

fn fill(target: &Target) -> Result<()> {
    let (number, receivers): (u8, usize) = (target.word(0)?, target.word(1)?);
    let (mut talk, _) = Talk::log_in(host(100, 1 + number), target.address, &format!("a{number:04}"))?;
    talk.stream().set_read_timeout(Some(Duration::from_millis(500)))?;
    let text = "x".repeat(TEXT_BYTES);
    let end = target.begin();
    let (mut stored, mut refused) = (0, 0);
    let mut receivers = names('r', receivers).cycle();
    let mut open = 0;
    while Instant::now() < end {
        while open < 32 {
            let receiver = receivers.next().unwrap_or_default();
            talk.say(&format!("message {receiver} {text}"))?;
            open += 1;
        }
        match talk.until(&["ok message ", "error "]) {
            Ok(answer) if answer.ends_with(" stored") => stored += 1,
            Ok(_) => refused += 1,
            Err(error) if is_timeout(&error) => continue,
            Err(error) => return Err(error.into()),
        }
        open -= 1;
    }
    // Those under way may be stored too.
    tell("stored", stored);
    tell("refused", refused);
    Ok(())
}

pub(crate) const BROADCASTS: Row = Row {
    name: "broadcasts",
    attack: "2 users: broadcasts of 4 KB without pause to a reader that takes 1 MB/s",
    addresses: false,
    secs: 45,
    run: |suite| {
        let plan = Plan::of(names('r', 3).chain(names('a', 2)));
        let stage = Stage::open(&suite.folder, &plan)?;
        let (reader, _) = Talk::log_in(host(1, 1), stage.address, "r0000")?;
        let length = Duration::from_secs(if suite.quick { 4 } else { 10 });
        let attackers = ["0", "1"].map(|n| Attacker::start("broadcast", stage.address, length, &[n]));
        let attackers = attackers.into_iter().collect::<Result<Vec<Attacker>>>()?;
        let heard = thread::spawn(move || read_slowly(reader, length));
        for attacker in attackers {
            attacker.finish()?;
        }
        let heard = heard.join().map_err(|_| anyhow::anyhow!("the reader broke"))?;
        let mut outcome = Outcome::default();
        let link = if heard.is_open { "open" } else { "cut off" };
        outcome.check("the reader's link", link, "open", heard.is_open);
        outcome.check("broadcasts that it heard", heard.broadcasts, "> 0", heard.broadcasts > 0);
        outcome.check("broadcasts told as missed", heard.missed, "> 0", heard.missed > 0);
        Ok(outcome)
    },
};

fn broadcast(target: &Target) -> Result<()> {
    let number: u8 = target.word(0)?;
    let (talk, _) = Talk::log_in(host(100, 1 + number), target.address, &format!("a{number:04}"))?;
    flood(target, talk, &format!("broadcast {}\n", "x".repeat(TEXT_BYTES)), true)
}

#[derive(Debug, Default)]
struct Heard {
    is_open: bool,
    broadcasts: usize,
    missed: u64,
}

/// Reads 16 KiB each 16 ms while the attack goes on, and then the rest.
fn read_slowly(talk: Talk, length: Duration) -> Heard {
    let (mut scratch, mut text) = (vec![0; 16 * 1_024], Vec::new());
    let mut stream = talk.into_stream();
    let _ = SockRef::from(&stream).set_recv_buffer_size(64 * 1_024);
    let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
    let began = Instant::now();
    let mut is_open = true;
    while is_open && began.elapsed() < length + Duration::from_secs(3) {
        match stream.read(&mut scratch) {
            Ok(0) => is_open = false,
            Ok(count) => text.extend_from_slice(&scratch[..count]),
            Err(error) => is_open = is_timeout(&error),
        }
        if began.elapsed() < length {
            thread::sleep(Duration::from_millis(16));
        }
    }
    let text = String::from_utf8_lossy(&text);
    let missed = text.lines().filter_map(|line| line.strip_prefix("notice missed ")?.parse::<u64>().ok());
    let broadcasts = text.lines().filter(|line| line.starts_with("broadcast ")).count();
    Heard { is_open, broadcasts, missed: missed.sum() }
}
