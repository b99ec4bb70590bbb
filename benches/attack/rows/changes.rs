//! Changes without pause: blocks, groups.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::Row;
use crate::attacker::{Act, Target, flood};
use crate::beside::{Attack, Beside};
use crate::crowd::Crowd;
use crate::stage::{Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{Talk, host};

pub(crate) const ACTS: &[(&str, Act)] = &[("block", block), ("groups", groups)];

pub(crate) const ONE_BLOCKS: Row = Row {
    name: "blocks",
    attack: "`block h1`, `unblock h1` without pause",
    addresses: false,
    secs: 60,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('a', 1)))?;
        judge_blocks(&Beside::run(suite, &stage, Attack { words: &["reads"], ..Attack::new("block") })?)
    },
};

pub(crate) const FOUR_BLOCK: Row = Row {
    name: "blocks-unread",
    attack: "4 users: `block h1`, `unblock h1` without pause, and read no answer",
    addresses: false,
    secs: 60,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('a', 4)))?;
        let attack = Attack { words: &["reads not"], attackers: 4, ..Attack::new("block") };
        judge_blocks(&Beside::run(suite, &stage, attack)?)
    },
};

fn judge_blocks(beside: &Beside) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    beside.judge_links(&mut outcome);
    beside.judge_median(&mut outcome);
    beside.judge_p99(&mut outcome);
    beside.judge_memory(&mut outcome, Some(2));
    beside.show_usage(&mut outcome);
    outcome.check("lines of the attackers", beside.fact("lines"), "shown", true);
    Ok(outcome)
}

fn block(target: &Target) -> Result<()> {
    let (number, reads) = (target.word::<u8>(0)?, target.word::<String>(1)? == "reads");
    let (talk, _) = Talk::log_in(host(100, 1 + number), target.address, &format!("a{number:04}"))?;
    flood(target, talk, &"block h1\nunblock h1\n".repeat(500), reads)
}

/// Members of the attacker's groups, and how many of them are online.
const MEMBERS: usize = 199;
const ONLINE: usize = 150;

pub(crate) const GROUPS: Row = Row {
    name: "groups",
    attack: "creates and deletes a group of 200 without pause, 150 of the members online",
    addresses: false,
    secs: 75,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('m', MEMBERS).chain(names('a', 1))))?;
        let crowd = Crowd::log_in(&stage, &names('m', ONLINE).collect::<Vec<_>>())?;
        let attack = Attack { logins: true, secs: 8, ..Attack::new("groups") };
        let beside = Beside::run(suite, &stage, attack)?;
        let mut outcome = Outcome::default();
        let cut = crowd.cut();
        outcome.check("members cut off", cut, 0, cut == 0);
        beside.judge_links(&mut outcome);
        beside.judge_p99(&mut outcome);
        beside.judge_logins(&mut outcome, 1.0, 1.0);
        beside.judge_memory(&mut outcome, Some(10));
        beside.show_usage(&mut outcome);
        outcome.check("lines of the attacker", beside.fact("lines"), "shown", true);
        outcome.check("bytes that members heard", crowd.bytes(), "shown", true);
        Ok(outcome)
    },
};

fn groups(target: &Target) -> Result<()> {
    let (talk, _) = Talk::log_in(host(100, 1), target.address, "a0000")?;
    let members: Vec<String> = names('m', MEMBERS).collect();
    let lines = format!("create group horde {}\ndelete group horde\n", members.join(" "));
    flood(target, talk, &lines.repeat(20), true)
}

pub(crate) const PLACES: Row = Row {
    name: "group-places",
    attack: "50 times: creates a group of 200 and leaves it",
    addresses: false,
    secs: 60,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('m', MEMBERS).chain(names('a', 1))))?;
        let (mut attacker, _) = Talk::log_in(host(100, 1), stage.address, "a0000")?;
        let members: Vec<String> = names('m', MEMBERS).collect();
        let began = Instant::now();
        for group in 0..50 {
            let made = attacker.ask(&format!("create group g{group} {}", members.join(" ")))?;
            ensure!(made.starts_with("ok ") || group > 0, "the first group: {made}");
            attacker.ask(&format!("leave group g{group}"))?;
        }
        let taken = began.elapsed();
        let more = attacker.ask("create group g50 m0000")?;
        let (mut member, _) = Talk::log_in(host(1, 5), stage.address, "m0000")?;
        let made = (0..50).filter_map(|n| member.ask(&format!("create group mine{n} m0001")).ok());
        let made = made.filter(|answer| answer.starts_with("ok ")).count();
        let mut outcome = Outcome::default();
        outcome.check("groups that a member can make", made, 50, made == 50);
        outcome.check("the attacker's 51st", &more, "error limit", more.starts_with("error limit"));
        outcome.check("time of the attack", format!("{:.2} s", taken.as_secs_f64()), "shown", true);
        Ok(outcome)
    },
};
