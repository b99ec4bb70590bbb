//! Those who come and go, and those who ask who is there, with many online.

use std::time::Instant;

use anyhow::Result;

use super::Row;
use crate::attacker::{Act, Target, flood, tell};
use crate::beside::{Attack, Beside};
use crate::crowd::Crowd;
use crate::stage::{Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{HELLO, Talk, host, token};

pub(crate) const ACTS: &[(&str, Act)] = &[("resume", resume), ("lists", lists)];

pub(crate) const RESUMES: Row = Row {
    name: "resumes",
    attack: "resumes by token and resets the connection in a loop, 1,000 online",
    addresses: false,
    secs: 75,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('m', 1_000).chain(names('a', 1))))?;
        let crowd = Crowd::log_in(&stage, &names('m', 1_000).collect::<Vec<_>>())?;
        let beside = Beside::run(suite, &stage, Attack::new("resume"))?;
        let mut outcome = Outcome::default();
        beside.judge_links(&mut outcome);
        beside.judge_median(&mut outcome);
        beside.judge_p99(&mut outcome);
        beside.judge_memory(&mut outcome, None);
        beside.show_usage(&mut outcome);
        outcome.check("resumes", beside.fact("resumes"), "shown", true);
        outcome.check("bytes that the crowd heard", crowd.bytes(), "shown", true);
        Ok(outcome)
    },
};

fn resume(target: &Target) -> Result<()> {
    let number: u8 = target.word(0)?;
    let name = format!("a{number:04}");
    let (first, welcome) = Talk::log_in(host(100, 1 + number), target.address, &name)?;
    let token = token(&welcome)?.to_owned();
    first.reset()?;
    let end = target.begin();
    let mut resumes = 0;
    for house in (1..=200).cycle() {
        if Instant::now() >= end {
            break;
        }
        let Ok(mut talk) = Talk::open(host(101 + number, house), target.address) else { continue };
        talk.say(&format!("{HELLO}\nresume {name} {token}"))?;
        if talk.until(&["resumed ", "refused "]).is_ok_and(|answer| answer.starts_with("resumed ")) {
            resumes += 1;
        }
        talk.reset()?;
    }
    tell("resumes", resumes);
    Ok(())
}

pub(crate) const LISTS: Row = Row {
    name: "lists",
    attack: "2 users: `whoelse` without pause, 2,000 online",
    addresses: false,
    secs: 75,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('m', 2_000).chain(names('a', 2))))?;
        let crowd = Crowd::log_in(&stage, &names('m', 2_000).collect::<Vec<_>>())?;
        let beside = Beside::run(suite, &stage, Attack { attackers: 2, ..Attack::new("lists") })?;
        let mut outcome = Outcome::default();
        beside.judge_links(&mut outcome);
        beside.judge_median(&mut outcome);
        beside.judge_p99(&mut outcome);
        beside.judge_memory(&mut outcome, None);
        beside.show_usage(&mut outcome);
        let cut = crowd.cut();
        outcome.check("others cut off", cut, 0, cut == 0);
        Ok(outcome)
    },
};

fn lists(target: &Target) -> Result<()> {
    let number: u8 = target.word(0)?;
    let (talk, _) = Talk::log_in(host(100, 1 + number), target.address, &format!("a{number:04}"))?;
    flood(target, talk, &"whoelse\n".repeat(1_000), true)
}
