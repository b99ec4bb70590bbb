//! Private links between clients behind routers and firewalls, on network namespaces of Linux with nftables: which
//! way they have, and how long the first text takes.
//!
//! ```text
//! cargo test --test nat                          each kind of network with another of its kind
//! HOBNOB_NAT=docs/nat.md cargo test --test nat   all pairs; writes the table
//! ```

mod network;
mod roaming;
mod router;

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::{Client, PASSWORD, Place};

use network::{Kind, client, kinds};
use router::Router;

const PORT: u16 = 5_222;

/// What becomes of two clients that have no direct way.
const WITHOUT_DIRECT_WAY: Way = Way::Relayed;

/// For so long two clients try to reach each other, and longer.
const INTRODUCTION: Duration = Duration::from_secs(12);

/// How two clients reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Direct,
    Relayed,
    Unreachable,
}

/// What came of a pair: the way, and the time from asking for the link to the first text on the other screen.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    way: Way,
    took: Duration,
}

/// Whether a client takes connections of any other.
fn is_open(kind: Kind) -> bool {
    matches!(kind, Kind::Open4 | Kind::Open6 | Kind::Cone | Kind::Forwarded) || kind.takes_requests()
}

/// Whether others know where a client calls from, so that it can be met halfway.
fn is_met(kind: Kind) -> bool {
    kind != Kind::Symmetric
}

/// The way that two clients must have.
fn expected(one: Kind, other: Kind) -> Way {
    let meet = is_met(one) && is_met(other);
    let direct = one.is_six() == other.is_six() && (is_open(one) || is_open(other) || meet);
    if direct { Way::Direct } else { WITHOUT_DIRECT_WAY }
}

#[test]
fn every_pair_has_the_way_that_its_networks_allow() {
    match std::env::var_os("HOBNOB_NAT_INSIDE") {
        Some(_) => inside(),
        None => enter("every_pair_has_the_way_that_its_networks_allow"),
    }
}

/// R70
#[test]
fn a_machine_that_changes_its_network_keeps_its_conversations() {
    match std::env::var_os("HOBNOB_NAT_INSIDE") {
        Some(_) => roaming::moves(),
        None => enter("a_machine_that_changes_its_network_keeps_its_conversations"),
    }
}

#[test]
fn an_address_that_is_removed_and_put_back_ends_no_connection() {
    match std::env::var_os("HOBNOB_NAT_INSIDE") {
        Some(_) => roaming::renews(),
        None => enter("an_address_that_is_removed_and_put_back_ends_no_connection"),
    }
}

/// Runs a test of this file in namespaces of its own.
fn enter(test: &str) {
    let script = "mount -t tmpfs tmpfs /run && ip netns add t && ip netns exec t nft list ruleset && \
                  ip netns del t && exec \"$0\" \"$@\"";
    let spaces = [&["unshare", "-nm"][..], &["unshare", "-Urnm"]];
    let enter = |way: &[&str], words: &[&str], program: &std::ffi::OsStr| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["sh", "-c", script]).arg(program).args(words);
        command
    };
    let can = |way: &&&[&str]| {
        let mut command = enter(way, &[], "true".as_ref());
        let tried = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    let Some(way) = spaces.iter().find(can) else {
        // Not by a macro, whose output the test runner keeps.
        let _ = io::stdout().write_all(b"skipped: NATs: no network namespaces with nft\n");
        return;
    };
    let program = std::env::current_exe().expect("this test");
    let words = ["--exact", test, "--nocapture"];
    let mut command = enter(way, &words, program.as_os_str());
    assert!(command.env("HOBNOB_NAT_INSIDE", "yes").status().expect("it runs").success());
}

fn inside() {
    let table = std::env::var_os("HOBNOB_NAT");
    let began = Instant::now();
    let kinds = kinds();
    if !kinds.contains(&Kind::Upnp) {
        let _ = io::stdout().write_all(b"skipped: NATs: routers that are asked for ports: no miniupnpd\n");
    }
    let count = kinds.len();
    let both = [kinds.clone(), kinds.clone()].concat();
    network::make(&both);
    let routers: Vec<Option<Router>> =
        both.iter().enumerate().map(|(number, kind)| Router::of(number, *kind)).collect();
    routers.iter().flatten().for_each(Router::wait);
    let names: Vec<String> = (0..both.len()).map(|number| format!("user{number}")).collect();
    // A client may ask for so many links as there are networks.
    let place = Place::of(&names).encrypted().set("bind=::").set("relay_links_per_user=0");
    let server = place.serve_on(PORT, &in_space("s")).expect("the server starts");
    let log_in = |(number, name): (usize, &String)| log_in(&place, number, both[number], name);
    let mut askers: Vec<Client> = names.iter().enumerate().map(log_in).collect();
    let mut others = askers.split_off(count);
    routers.iter().flatten().for_each(Router::wait_for_mapping);
    let mut outcomes = vec![vec![None; count]; count];
    // In each round everybody is in one pair.
    let rounds = if table.is_some() { count } else { 1 };
    for round in 0..rounds {
        others.rotate_left(usize::from(round > 0));
        let met: Vec<Outcome> = thread::scope(|scope| {
            let pairs = askers.iter_mut().zip(&mut others).enumerate();
            let meet = |(number, (asker, other)): (usize, (_, _))| {
                let partner = (number + round) % count;
                let networks = (kinds[number], kinds[partner]);
                scope.spawn(move || meet(asker, number, other, count + partner, networks))
            };
            let meetings: Vec<_> = pairs.map(meet).collect();
            meetings.into_iter().map(|meeting| meeting.join().expect("a meeting")).collect()
        });
        for (number, outcome) in met.into_iter().enumerate() {
            outcomes[number][(number + round) % count] = Some(outcome);
        }
    }
    let shown = rows(&kinds, &outcomes);
    println!("{shown}\nin {} s", began.elapsed().as_secs());
    // What was mapped is given back.
    askers.into_iter().chain(others).for_each(Client::log_out);
    routers.iter().flatten().for_each(Router::wait_for_end_of_mapping);
    drop((server, routers));
    judge(&kinds, &outcomes);
    if let Some(path) = table {
        write_table(path.as_ref(), &shown);
    }
}

/// What runs a program in a namespace.
fn in_space(space: &str) -> [String; 4] {
    ["ip", "netns", "exec", space].map(str::to_owned)
}

/// A client in a network.
fn log_in(place: &Place, number: usize, kind: Kind, name: &str) -> Client {
    let mut command = place.client_command_behind(&in_space(&client(number)));
    command.args([kind.server(), &PORT.to_string(), "--json", "--accept-private", "auto", "--state"]);
    command.arg(place.state_of(name)).args(network::options(number, kind));
    let mut client = Client::spawn(command, true);
    client.log_in(name, PASSWORD);
    client
}

/// Two meet. A client may hear of a port after its router passes it on: then the port is for the next link.
fn meet(
    asker: &mut Client,
    number: usize,
    other: &mut Client,
    partner: usize,
    (one, two): (Kind, Kind),
) -> Outcome {
    let expected = expected(one, two);
    let outcome = meet_once(asker, number, other, partner, expected);
    if outcome.way == expected || !one.takes_requests() && !two.takes_requests() {
        return outcome;
    }
    meet_once(asker, number, other, partner, expected)
}

/// One asks the other for a link, says a text, and ends the link.
fn meet_once(
    asker: &mut Client,
    number: usize,
    other: &mut Client,
    partner: usize,
    expected: Way,
) -> Outcome {
    let began = Instant::now();
    let result = asker.ask(&format!("startprivate user{partner}"));
    if result["ok"] != true {
        assert_eq!(result["error"], "unreachable", "{result}");
        return Outcome { way: Way::Unreachable, took: began.elapsed() };
    }
    let text = format!("text {number} {partner}");
    asker.ok(&format!("private user{partner} {text}"));
    other.message(&text);
    let took = began.elapsed();
    let way = way_in_the_end(asker, partner, expected);
    asker.ok(&format!("stopprivate user{partner}"));
    other.wait("the end of the link", |object| object["type"] == "private_closed");
    Outcome { way, took }
}

/// How the conversation runs. On a busy machine the relay may have been faster than the direct way that it moves to.
fn way_in_the_end(asker: &mut Client, partner: usize, expected: Way) -> Way {
    let began = Instant::now();
    loop {
        let result = asker.ok(&format!("path user{partner}"));
        let way = if result["path"].as_str() == Some("direct") { Way::Direct } else { Way::Relayed };
        if way == expected || began.elapsed() > INTRODUCTION {
            return way;
        }
    }
}

fn judge(kinds: &[Kind], outcomes: &[Vec<Option<Outcome>>]) {
    let mut wrong = Vec::new();
    for (one, row) in kinds.iter().zip(outcomes) {
        for (other, outcome) in kinds.iter().zip(row) {
            let Some(outcome) = outcome else { continue };
            if outcome.way != expected(*one, *other) {
                wrong.push(format!("{one:?} to {other:?}: {outcome:?}, not {:?}", expected(*one, *other)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table in Markdown.
fn rows(kinds: &[Kind], outcomes: &[Vec<Option<Outcome>>]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut text = format!("| from \\ to | {} |\n|---{}|\n", names.join(" | "), "|---".repeat(kinds.len()));
    for (name, row) in names.iter().zip(outcomes) {
        let cell = |outcome: &Option<Outcome>| match outcome {
            None => String::new(),
            Some(Outcome { way: Way::Unreachable, .. }) => "unreachable".to_owned(),
            Some(Outcome { way: Way::Direct, took }) => format!("direct, {} ms", took.as_millis()),
            Some(Outcome { way: Way::Relayed, took }) => format!("relayed, {} ms", took.as_millis()),
        };
        text += &format!("| {name} | {} |\n", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    text
}

/// Puts the table between its marks in a file.
fn write_table(path: &std::path::Path, rows: &str) {
    const MARKS: [&str; 2] = ["<!-- table -->\n", "<!-- end -->\n"];
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let page = fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(MARKS[0]).expect("where the table begins");
    let (_, after) = rest.split_once(MARKS[1]).expect("where it ends");
    fs::write(&path, [before, MARKS[0], rows, MARKS[1], after].concat()).expect("written");
}
