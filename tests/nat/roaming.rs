//! A laptop whose address changes in the middle of a conversation, and one whose address only seems to.

use std::time::{Duration, Instant};

use support::{Client, Place, Server};

use crate::network::{self, Kind};
use crate::{PORT, in_space, log_in};

/// For so long the two look for a direct way, and longer.
const SEARCH: Duration = Duration::from_secs(60);

/// How often an address goes and comes back.
const RENEWALS: u32 = 5;

/// Both say something and read what the other says, each text once, and are told that it was shown.
fn talk(hans: &mut Client, yoda: &mut Client, number: u32) {
    let lines =
        [hans.say(&format!("private yoda to {number}")), yoda.say(&format!("private hans fro {number}"))];
    yoda.message(&format!("to {number}"));
    hans.message(&format!("fro {number}"));
    for (client, line) in [hans, yoda].into_iter().zip(lines) {
        assert_eq!(client.result_of(line)["status"], "delivered", "{}", client.history());
    }
}

/// A server, and two in the middle of a conversation.
fn meet() -> (Server, Client, Client) {
    network::make(&[Kind::Open4, Kind::Open4]);
    let names = ["hans", "yoda"].map(str::to_owned);
    let place = Place::of(&names).encrypted().set("bind=0.0.0.0");
    let server = place.serve_on(PORT, &in_space("s")).expect("the server starts");
    let [mut hans, mut yoda] = [0, 1].map(|number| log_in(&place, number, Kind::Open4, &names[number]));
    assert_eq!(hans.ok("startprivate yoda")["path"], "direct");
    talk(&mut hans, &mut yoda, 0);
    (server, hans, yoda)
}

/// How a client's connection to the server was.
fn states(client: &Client) -> Vec<serde_json::Value> {
    client.shown("connection").iter().map(|seen| seen["state"].clone()).collect()
}

pub(crate) fn renews() {
    let (server, mut hans, mut yoda) = meet();
    for said in 1..=RENEWALS {
        network::renew_address();
        talk(&mut hans, &mut yoda, said);
        assert_eq!(hans.ok("ping yoda")["status"], "online");
    }
    assert_eq!(states(&hans), ["connected"]);
    for (client, other) in [(&mut hans, "yoda"), (&mut yoda, "hans")] {
        assert_eq!(client.ok(&format!("path {other}"))["path"], "direct");
        let told = |kind: &str| client.shown(kind).len();
        assert!(told("private_closed") == 0 && told("private_opened") == 1);
    }
    network::remove_address();
    assert_eq!(hans.wait_for("connection")["state"], "reconnecting");
    drop(server);
}

pub(crate) fn moves() {
    let (server, mut hans, mut yoda) = meet();
    network::change_network();
    let began = Instant::now();
    let mut said = 1;
    talk(&mut hans, &mut yoda, said);
    println!("the first text after the change: {} ms", began.elapsed().as_millis());
    while hans.ok("path yoda")["path"] != "direct" || yoda.ok("path hans")["path"] != "direct" {
        assert!(began.elapsed() < SEARCH, "relayed after {said} texts\n{}", hans.history());
        said += 1;
        talk(&mut hans, &mut yoda, said);
    }
    println!("direct again: {} ms, {said} texts each", began.elapsed().as_millis());
    talk(&mut hans, &mut yoda, said + 1);
    drop(server);
    assert_eq!(states(&hans), ["connected", "reconnecting", "resumed"]);
    for client in [&hans, &yoda] {
        assert_eq!(client.shown("message").len(), said as usize + 2, "each text once");
        let told = |kind: &str| client.shown(kind).len();
        let of_yoda_only = client.shown("presence").iter().all(|seen| seen["online"] == true);
        assert!(of_yoda_only && told("private_closed") == 0 && told("private_opened") == 1);
    }
}
