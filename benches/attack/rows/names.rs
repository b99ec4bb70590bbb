//! Names: many from one address, and those that look like others.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use unicode_normalization::UnicodeNormalization as _;

use super::Row;
use crate::Suite;
use crate::attacker::{Act, Attacker, Target, tell};
use crate::stage::{Plan, Stage};
use crate::table::Outcome;
use crate::talk::{PASSWORD, Talk, host};

pub(crate) const ACTS: &[(&str, Act)] = &[("register", register)];

/// Accounts that one address may make in an hour.
const ALLOWED: u64 = 5;

pub(crate) const REGISTRATIONS: Row = Row {
    name: "registrations",
    attack: "`registration=open`: registers names from one address, and from one of the loopback, on 8 connections each",
    addresses: true,
    secs: 45,
    run: |suite| {
        let stage = Stage::open(&suite.folder, &Plan::of([]).set("registration=open"))?;
        let length = Duration::from_secs(if suite.quick { 3 } else { 8 });
        let facts = Attacker::start("register", stage.address, length, &[])?.finish()?;
        let mut outcome = Outcome::default();
        for kind in ["address", "loopback"] {
            let made = facts[kind];
            outcome.check(
                &format!("accounts made, {kind}"),
                made,
                format!("1 to {ALLOWED}"),
                (1..=ALLOWED).contains(&made),
            );
        }
        let answer = try_register(host(2, 1), stage.address, "somebody")?;
        outcome.check("another address", &answer, "welcome", answer.starts_with("welcome "));
        let began = Instant::now();
        Talk::log_in(host(100, 1), stage.address, "v1")?;
        let taken = began.elapsed().as_secs_f64();
        outcome.check("login from the same address", format!("{taken:.2} s"), "≤ 1 s", taken <= 1.0);
        Ok(outcome)
    },
};

fn register(target: &Target) -> Result<()> {
    let end = target.begin();
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, target.address.port()));
    let kinds = [("address", host(100, 1), target.address), ("loopback", Ipv4Addr::LOCALHOST, loopback)];
    thread::scope(|scope| {
        let threads: Vec<_> = kinds
            .into_iter()
            .flat_map(|kind| (0..8).map(move |thread| (kind, thread)))
            .map(|((kind, from, to), thread)| {
                let made = move || {
                    let (mut made, mut tried) = (0, 0);
                    while Instant::now() < end {
                        tried += 1;
                        let name = format!("{kind}{thread}n{tried}");
                        match try_register(from, to, &name) {
                            Ok(answer) if answer.starts_with("welcome ") => made += 1,
                            Ok(_) => thread::sleep(Duration::from_millis(20)),
                            Err(_) => {}
                        }
                    }
                    made
                };
                (kind, scope.spawn(made))
            })
            .collect();
        let mut all = [0, 0];
        for (kind, thread) in threads {
            all[usize::from(kind == "loopback")] += thread.join().unwrap_or(0);
        }
        tell("address", all[0]);
        tell("loopback", all[1]);
    });
    Ok(())
}

/// The answer to a registration.
fn try_register(from: Ipv4Addr, to: SocketAddr, name: &str) -> Result<String> {
    let mut talk = Talk::open(from, to)?;
    talk.say(&format!("register {name} {PASSWORD}"))?;
    Ok(talk.until(&["welcome ", "refused ", "bye ", "ask username", "error "])?)
}

pub(crate) const LOOK_ALIKES: Row = Row {
    name: "look-alikes",
    attack: "`registration=open`: registers names that look like `hans`, `yoda` and `jedi`, and makes groups that look like `jedi`",
    addresses: false,
    secs: 60,
    run: look_alikes,
};

fn look_alikes(suite: &Suite) -> Result<Outcome> {
    let plan = Plan::of(["hans", "yoda", "jedi"].map(str::to_owned)).set("registration=open");
    let plan = plan.set("registrations_per_address=0").set("rate_burst=0").set("groups_per_user=0");
    let stage = Stage::open(&suite.folder, &plan)?;
    let mut outcome = Outcome::default();
    for name in ["hans", "yoda", "jedi"] {
        let forms = forms_of(name);
        let made = registered(&stage, &forms)?;
        let seen = format!("{} of {} {}", made.len(), forms.len(), made.join(" "));
        outcome.check(&format!("look-alikes of {name} registered"), seen.trim(), 0, made.is_empty());
    }
    let (mut maker, _) = Talk::log_in(host(1, 1), stage.address, "h1")?;
    let answer = maker.ask("create group jedi h2")?;
    outcome.check("the group itself", &answer, "ok", answer.starts_with("ok "));
    let (mut other, _) = Talk::log_in(host(100, 1), stage.address, "v1")?;
    let forms = forms_of("jedi");
    let mut made = Vec::new();
    for form in &forms {
        if other.ask(&format!("create group {form} v2"))?.starts_with("ok ") {
            made.push(form.as_str());
        }
    }
    let seen = format!("{} of {} {}", made.len(), forms.len(), made.join(" "));
    outcome.check("look-alikes of group jedi made", seen.trim(), 0, made.is_empty());
    Ok(outcome)
}

/// Those that can be registered.
fn registered(stage: &Stage, forms: &BTreeSet<String>) -> Result<Vec<String>> {
    let mut made = Vec::new();
    let mut talk = Talk::open(host(100, 1), stage.address)?;
    for (form, count) in forms.iter().zip(1..) {
        // A connection has 30 s for its login.
        if count % 200 == 0 {
            talk = Talk::open(host(100, 1), stage.address)?;
        }
        talk.say(&format!("register {form} {PASSWORD}"))?;
        let answer = talk.until(&["welcome ", "refused ", "error ", "ask "])?;
        if answer.starts_with("welcome ") {
            made.push(form.clone());
            talk = Talk::open(host(100, 1), stage.address)?;
        }
    }
    Ok(made)
}

/// Names that look like one: each of its letters replaced by each character of Unicode that UTS #39 takes for it,
/// without regard to case, and with marks, in both normal forms; and all letters by Cyrillic ones, where there are such.
fn forms_of(name: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    let skeleton = |text: &str| unicode_security::skeleton(text).collect::<String>().to_lowercase();
    for (at, letter) in name.char_indices() {
        let wanted = skeleton(&letter.to_string());
        let alike = ('\u{80}'..=char::MAX)
            .filter(|c| skeleton(&c.to_string()) == wanted || c.to_string().nfkc().eq([letter]));
        let with = |middle: &str| format!("{}{middle}{}", &name[..at], &name[at + letter.len_utf8()..]);
        forms.extend(alike.map(|c| with(&c.to_string())));
        forms.insert(with(&letter.to_uppercase().to_string()));
        for mark in ['\u{301}', '\u{308}', '\u{323}', '\u{338}'] {
            let marked = with(&format!("{letter}{mark}"));
            forms.insert(marked.nfc().collect());
            forms.insert(marked);
        }
    }
    let cyrillic = name.chars().map(|c| match c {
        'a' => Some('а'),
        'd' => Some('ԁ'),
        'e' => Some('е'),
        'i' => Some('і'),
        'j' => Some('ј'),
        'o' => Some('о'),
        'y' => Some('у'),
        _ => None,
    });
    forms.extend(cyrillic.collect::<Option<String>>());
    forms.insert(name.to_uppercase());
    forms.insert(format!("{name}\u{200b}"));
    forms
}
