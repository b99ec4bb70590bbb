//! Requests for private links: the same again after each resume, and many who ask one.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Row;
use crate::attacker::{Act, Attacker, Target, tell};
use crate::stage::{Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{HELLO, Talk, host, is_timeout, token};

pub(crate) const ACTS: &[(&str, Act)] = &[("ask", ask)];

pub(crate) const ASKS: Row = Row {
    name: "requests",
    attack: "`startprivate` to a victim and to 30 others again after each resume",
    addresses: false,
    secs: 45,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('m', 30).chain(names('a', 1))))?;
        let login = |(name, house): (String, u8)| Ok(Talk::log_in(host(1, house), stage.address, &name)?.0);
        let asked = names('m', 30).chain(["victim".to_owned()]).zip(1..=200).map(login);
        let mut asked = asked.collect::<Result<Vec<Talk>>>()?;
        let length = Duration::from_secs(if suite.quick { 3 } else { 8 });
        let facts = Attacker::start("ask", stage.address, length, &[])?.finish()?;
        let heard = asked.iter_mut().map(requests_heard).collect::<Result<Vec<usize>>>()?;
        let (victim, all) = (heard.last().copied().unwrap_or(0), heard.iter().sum::<usize>());
        let mut outcome = Outcome::default();
        outcome.check("requests that the victim heard", victim, "1 to 3", (1..=3).contains(&victim));
        outcome.check("requests that all heard", all, "≤ 20", all <= 20);
        outcome.check("resumes of the attacker", facts["resumes"], "shown", true);
        Ok(outcome)
    },
};

/// The requests that have come by now.
fn requests_heard(talk: &mut Talk) -> Result<usize> {
    talk.stream().set_read_timeout(Some(Duration::from_millis(50)))?;
    let mut count = 0;
    loop {
        match talk.until(&["request "]) {
            Ok(_) => count += 1,
            Err(error) if is_timeout(&error) => return Ok(count),
            Err(error) => return Err(error.into()),
        }
    }
}

fn ask(target: &Target) -> Result<()> {
    let (mut talk, welcome) = Talk::log_in(host(100, 1), target.address, "a0000")?;
    let token = token(&welcome)?.to_owned();
    let others = names('m', 30).map(|name| format!("startprivate {name} 5000\n"));
    let lines = format!("startprivate victim 5000\n{}ping victim", others.collect::<String>());
    let end = target.begin();
    let mut resumes = 0;
    while Instant::now() < end {
        talk.say(&lines)?;
        talk.until(&["ok ping", "error ping"])?;
        talk.reset()?;
        talk = Talk::open(host(100, 1), target.address)?;
        talk.say(&format!("{HELLO}\nresume a0000 {token}"))?;
        talk.until(&["resumed "])?;
        resumes += 1;
    }
    tell("resumes", resumes);
    Ok(())
}

pub(crate) const ASKERS: Row = Row {
    name: "askers",
    attack: "16 users: `startprivate` to a victim, and wait",
    addresses: false,
    secs: 30,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of(names('a', 16)))?;
        let log_in = |house, name: &str| Ok(Talk::log_in(host(1, house), stage.address, name)?.0);
        let (mut victim, mut friend) = (log_in(1, "victim")?, log_in(2, "h1")?);
        let askers = names('a', 16).zip(10..).map(|(name, house)| log_in(house, &name));
        let mut askers = askers.collect::<Result<Vec<Talk>>>()?;
        for asker in &mut askers {
            asker.say("startprivate victim 5000")?;
            victim.until(&["request a"])?;
        }
        let mut outcome = Outcome::default();
        let asked = asks(&mut victim, "victim", &mut friend, "h1")?;
        outcome.check("the victim asks a friend", &asked, "request", asked == "request");
        let (mut other, name) = (log_in(3, "h2")?, "h2");
        let asked = asks(&mut other, name, &mut victim, "victim")?;
        outcome.check("another asks the victim", &asked, "request", asked == "request");
        Ok(outcome)
    },
};

/// One asks another: `request`, or what the one who asks hears instead.
fn asks(one: &mut Talk, name: &str, other: &mut Talk, other_name: &str) -> Result<String> {
    one.say(&format!("startprivate {other_name} 5000\nping {other_name}"))?;
    let answer = one.until(&["ok ping", "error startprivate", "error rate_limited"])?;
    if answer.starts_with("error") {
        return Ok(answer);
    }
    other.until(&[&format!("request {name}")])?;
    Ok("request".to_owned())
}
