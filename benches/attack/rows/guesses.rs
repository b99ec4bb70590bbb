//! Wrong passwords: on many connections, on a victim's name, and to tell names with an account from others.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Row;
use crate::Suite;
use crate::attacker::{Act, Attacker, Target, tell};
use crate::beside::judge_rest;
use crate::client::Client;
use crate::gauge::resident_kib;
use crate::honest::{Visited, Visitor, cookie, device_login};
use crate::stage::{Cost, Plan, Stage, names};
use crate::table::Outcome;
use crate::talk::{Talk, has_addresses, host};

pub(crate) const ACTS: &[(&str, Act)] = &[("guess", guess), ("lock", lock)];

/// Connections that guess at the same time.
const CONNECTIONS: u32 = 120;
/// Accounts whose names are guessed at.
const KNOWN: usize = 60;

pub(crate) const KNOWN_NAMES: Row = Row {
    name: "guesses-known",
    attack: "wrong passwords for 60 accounts on 120 connections, each from other addresses",
    addresses: true,
    secs: 75,
    run: |suite| guesses(suite, "known"),
};

pub(crate) const MADE_UP: Row = Row {
    name: "guesses-made-up",
    attack: "wrong passwords for made-up names on 120 connections, each from other addresses",
    addresses: true,
    secs: 75,
    run: |suite| guesses(suite, "made-up"),
};

pub(crate) const LOOPBACK: Row = Row {
    name: "guesses-loopback",
    attack: "wrong passwords for made-up names on 120 connections from 127.0.0.0/8",
    addresses: true,
    secs: 75,
    run: |suite| guesses(suite, "loopback"),
};

/// Those who log in meanwhile.
struct People {
    known: Visitor,
    device: Visitor,
    token: Visitor,
    new: Visitor,
}

impl People {
    fn start(stage: &Stage, after: Duration) -> Result<People> {
        let times = (after, Duration::from_millis(300));
        Ok(People {
            known: Visitor::by_password(stage, "v1", times, |_| host(1, 4))?,
            device: Visitor::by_device(stage, "v3", times)?,
            token: Visitor::by_token(stage, "t1", times, |_| host(1, 3))?,
            new: Visitor::by_password(stage, "v2", times, |n| host(2, n))?,
        })
    }

    fn finish(self) -> Result<[Visited; 4]> {
        Ok([self.known.finish()?, self.device.finish()?, self.token.finish()?, self.new.finish()?])
    }
}

fn guesses(suite: &Suite, kind: &str) -> Result<Outcome> {
    let stage = Stage::open(&suite.folder, &Plan::of(names('g', KNOWN)).with_real_hashing())?;
    let (control, length) = suite.lengths(12);
    let people = People::start(&stage, Duration::ZERO)?;
    thread::sleep(control);
    let controls = people.finish()?;
    let before = resident_kib(stage.process())?;
    // Before they come, the queues fill.
    let people = People::start(&stage, Duration::from_secs(1))?;
    let length = length.max(Duration::from_secs(6));
    let facts = Attacker::start("guess", stage.address, length, &[kind])?.finish()?;
    let seen = people.finish()?;
    thread::sleep(suite.rest());
    let after = resident_kib(stage.process())?;
    let mut outcome = Outcome::default();
    let kinds = [
        ("by password from an address that was in before", 1.0, 0.95),
        ("by password from a device that was in before", 1.0, 0.95),
        ("by token", 1.0, 0.95),
        ("by password from another address", 5.0, 1.0),
    ];
    for (((what, secs, share), control), seen) in kinds.into_iter().zip(controls).zip(seen) {
        let limit = format!("{:.0} % ≤ {secs} s", 100.0 * share);
        outcome.beside(what, control.show(secs), seen.show(secs), limit, seen.holds(secs, share));
    }
    judge_rest(&mut outcome, "RSS", before, after);
    for answer in ["refused", "busy", "locked", "closed"] {
        outcome.check(&format!("guesses: {answer}"), facts[answer], "shown", true);
    }
    Ok(outcome)
}

#[derive(Default)]
struct Answers {
    refused: AtomicU64,
    busy: AtomicU64,
    locked: AtomicU64,
    closed: AtomicU64,
}

fn guess(target: &Target) -> Result<()> {
    let kind: String = target.word(0)?;
    let (counter, answers) = (AtomicU32::new(0), Answers::default());
    let end = target.begin();
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (kind, counter, answers) = (kind.as_str(), &counter, &answers);
            scope.spawn(move || {
                while Instant::now() < end {
                    if guess_on_one(target, kind, connection, counter, answers, end).is_err() {
                        answers.closed.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        }
    });
    tell("refused", answers.refused.into_inner());
    tell("busy", answers.busy.into_inner());
    tell("locked", answers.locked.into_inner());
    tell("closed", answers.closed.into_inner());
    Ok(())
}

/// Nine guesses, so many as an address has, on a new connection.
fn guess_on_one(
    target: &Target,
    kind: &str,
    connection: u32,
    counter: &AtomicU32,
    answers: &Answers,
    end: Instant,
) -> Result<()> {
    let turn = counter.fetch_add(1, Ordering::Relaxed);
    let [.., street, house] = (turn % 35_000).to_be_bytes();
    let (from, to) = if kind == "loopback" {
        (
            std::net::Ipv4Addr::new(127, 99, street, house.max(1)),
            (std::net::Ipv4Addr::LOCALHOST, target.address.port()).into(),
        )
    } else {
        (host(100 + street, house), target.address)
    };
    let mut talk = Talk::open(from, to)?;
    talk.stream().set_read_timeout(Some(Duration::from_secs(2)))?;
    for try_number in 0..9 {
        let name = match kind {
            "known" => format!("g{:04}", (connection + try_number) as usize % KNOWN),
            "locks" => format!("nobody{turn}x{}", try_number / 3),
            _ => format!("nobody{turn}x{try_number}"),
        };
        if Instant::now() >= end {
            return Ok(());
        }
        talk.say(&format!("login {name} wrong"))?;
        let answer = talk.until(&["refused ", "bye "])?;
        let count = match answer.split(' ').nth(1) {
            Some("busy") => &answers.busy,
            Some("locked_out") => &answers.locked,
            Some(_) | None => &answers.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

pub(crate) const LOCKOUT: Row = Row {
    name: "lockout",
    attack: "locks a victim whose device was in before with three wrong passwords, again and again",
    addresses: false,
    secs: 45,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of([]))?;
        let mut outcome = Outcome::default();
        let device = stage.folder().join("device");
        let cookie = cookie(Talk::open(host(1, 1), stage.address)?, "victim")?;
        let first = login_of_device(&stage, &device)?;
        ensure!(first == "in", "before the attack: {first}");
        let attacker = Attacker::start("lock", stage.address, Duration::from_secs(6), &[])?;
        thread::sleep(Duration::from_secs(1));
        let unknown = login_of_device(&stage, &stage.folder().join("another"))?;
        let known = login_of_device(&stage, &device)?;
        let again = login_of_device(&stage, &device)?;
        let by_hand = match device_login(host(4, 1), stage.address, "victim", cookie.as_deref()) {
            Ok(_) => "in".to_owned(),
            Err(error) => error.to_string(),
        };
        let facts = attacker.finish()?;
        outcome.check("a device that was not in before", &unknown, "locked_out", unknown == "locked_out");
        outcome.check("the device that was in before", &known, "in", known == "in");
        outcome.check("the same in a new process", &again, "in", again == "in");
        outcome.check("a device from another address, by hand", &by_hand, "in", by_hand == "in");
        outcome.check("wrong passwords", facts["wrong"], "shown", true);
        Ok(outcome)
    },
};

/// The real client with this state folder: `in`, or the error of its login.
fn login_of_device(stage: &Stage, state: &std::path::Path) -> Result<String> {
    let mut client = Client::start(stage.address, "victim", state, &[])?;
    let login = client.wait("login")?;
    if login["ok"] == true {
        client.say("logout")?;
        client.wait("bye")?;
        return Ok("in".to_owned());
    }
    Ok(login["error"].as_str().unwrap_or_default().to_owned())
}

fn lock(target: &Target) -> Result<()> {
    let mut wrong = 0;
    for house in 1..=3 {
        let mut talk = Talk::open(host(100, house), target.address)?;
        talk.say("login victim wrong")?;
        talk.until(&["refused "])?;
        wrong += 1;
    }
    let end = target.begin();
    for house in (4..=200).cycle() {
        if Instant::now() >= end {
            break;
        }
        if let Ok(mut talk) = Talk::open(host(100, house), target.address) {
            talk.say("login victim wrong")?;
            let _ = talk.until(&["refused "]);
            wrong += 1;
        }
        thread::sleep(Duration::from_millis(300));
    }
    tell("wrong", wrong);
    Ok(())
}

/// The cost of the hashes in the file, and that of the setting.
const OLD: Cost = Cost { kib: 2_048, passes: 1 };
const NEW: Cost = Cost { kib: 6_144, passes: 1 };

pub(crate) const TIMING: Row = Row {
    name: "hash-cost",
    attack: "times wrong passwords for accounts and for made-up names; file hashed at a third of the setting's cost",
    addresses: false,
    secs: 45,
    run: |suite| {
        let tries = if suite.quick { 200 } else { 1_000 };
        let plan = Plan { file: OLD, cost: NEW, ..Plan::of(names('g', tries)) };
        let stage = Stage::open(&suite.folder, &plan.set("failures_per_address=0"))?;
        let began = Instant::now();
        let (mut known, mut made_up) = (Vec::new(), Vec::new());
        let mut talk = Talk::open(host(100, 1), stage.address)?;
        for (one, other) in names('g', tries).zip(names('x', tries)) {
            if began.elapsed() > Duration::from_secs(30) {
                break;
            }
            // A connection has 30 s for its login.
            if known.len() % 100 == 99 {
                talk = Talk::open(host(100, 1), stage.address)?;
            }
            known.push(time_of_guess(&mut talk, &one)?);
            made_up.push(time_of_guess(&mut talk, &other)?);
        }
        let area = area_under_curve(&known, &made_up);
        let mut outcome = Outcome::default();
        let slack = if suite.quick { 0.1 } else { 0.05 };
        let holds = (area - 0.5).abs() <= slack;
        outcome.check("AUC", format!("{area:.3}"), format!("0.5 ± {slack}"), holds);
        let show = |times: &[f64]| format!("{:.2} ms", 1_000.0 * times[times.len() / 2]);
        outcome.check("median for accounts", show(&sorted(&known)), "shown", true);
        outcome.check("median for made-up names", show(&sorted(&made_up)), "shown", true);
        outcome.check("tries of each", known.len(), "shown", true);
        Ok(outcome)
    },
};

fn time_of_guess(talk: &mut Talk, name: &str) -> Result<f64> {
    let began = Instant::now();
    talk.say(&format!("login {name} wrong"))?;
    let answer = talk.until(&["refused ", "bye "])?;
    ensure!(answer.starts_with("refused invalid_credentials"), "{answer}");
    Ok(began.elapsed().as_secs_f64())
}

fn sorted(times: &[f64]) -> Vec<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times
}

/// How often one of the first is longer than one of the others; halves for ties.
#[expect(clippy::cast_precision_loss, reason = "few")]
fn area_under_curve(some: &[f64], others: &[f64]) -> f64 {
    let others = sorted(others);
    let below = some.iter().map(|time| {
        let less = others.partition_point(|other| other < time);
        let not_more = others.partition_point(|other| other <= time);
        (less + not_more) as f64 / 2.0
    });
    below.sum::<f64>() / (some.len() * others.len()) as f64
}

pub(crate) const NAMES_BUSY: Row = Row {
    name: "names-busy",
    attack: "locks an account and a made-up name, then logins for made-up names faster than they are hashed",
    addresses: true,
    secs: 45,
    run: |suite| pressure(suite, &Plan::of(names('g', 3)).with_real_hashing(), "made-up"),
};

pub(crate) const NAMES_COMPARED: Row = Row {
    name: "names-compared",
    attack: "locks an account and a made-up name, then logins for made-up names that are hashed at once",
    addresses: true,
    secs: 45,
    run: |suite| pressure(suite, &Plan::of(names('g', 3)), "made-up"),
};

pub(crate) const NAMES_LOCKED: Row = Row {
    name: "names-locked",
    attack: "locks an account and a made-up name, then locks made-up names from 137 networks, hashed at once",
    addresses: true,
    secs: 45,
    run: |suite| pressure(suite, &Plan::of(names('g', 3)), "locks"),
};

/// Compares what is said of accounts and of made-up names, after 0 to 3 failures and many other names.
fn pressure(suite: &Suite, plan: &Plan, kind: &str) -> Result<Outcome> {
    let stage = Stage::open(&suite.folder, &plan.clone().set("block_duration=600"))?;
    for failures in 0..=3 {
        for _ in 0..failures {
            for name in pair_of_names(failures) {
                refusal(&stage, &name)?;
            }
        }
    }
    let length = Duration::from_secs(if suite.quick { 6 } else { 15 });
    let facts = Attacker::start("guess", stage.address, length, &[kind])?.finish()?;
    let mut outcome = Outcome::default();
    for failures in 0..=3 {
        let [account, made_up] = pair_of_names(failures);
        let (one, other) = (refusal(&stage, &account)?, refusal(&stage, &made_up)?);
        let what = format!("after {failures} failures, account and made-up name");
        outcome.check(&what, format!("{one} / {other}"), "equal", alike(&one, &other));
    }
    let logins = facts["refused"] + facts["busy"] + facts["locked"];
    outcome.check("logins for made-up names", logins, "shown", true);
    outcome.check("of these compared", facts["refused"], "shown", true);
    outcome.check("of these locked", facts["locked"], "shown", true);
    Ok(outcome)
}

fn pair_of_names(failures: usize) -> [String; 2] {
    let account = if failures == 3 { "victim".to_owned() } else { format!("g{failures:04}") };
    [account, format!("ghost{failures}")]
}

/// The answer to a wrong password for a name, from an address without failures.
fn refusal(stage: &Stage, name: &str) -> Result<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [.., house] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let from = if has_addresses() { host(3, house.max(1)) } else { host(3, 1) };
    let mut talk = Talk::open(from, stage.address)?;
    for _ in 0..10 {
        talk.say(&format!("login {name} wrong"))?;
        let answer = talk.until(&["refused ", "bye "])?;
        if answer != "refused busy" {
            return Ok(answer);
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok("refused busy".to_owned())
}

/// Equal, but for a second that may have passed between the two.
fn alike(one: &str, other: &str) -> bool {
    let seconds =
        |line: &str| line.strip_prefix("refused locked_out ").and_then(|secs| secs.parse::<u64>().ok());
    match (seconds(one), seconds(other)) {
        (Some(one), Some(other)) => one.abs_diff(other) <= 1,
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => one == other,
    }
}
