//! Dials from the listening port, and connections that both sides open (R35, R36).

use super::private::{ID, OTHER_ID, call, listening};
use super::script::Script;
use crate::client::{Event, PeerOpened};
use crate::words::LinkId;
use alloc::format;

const ADDRESS: &str = "192.0.2.2:6000";

/// The server introduces Yoda, who asks or is asked.
fn introduced(role: &str) -> Script {
    let mut script = Script::session();
    script.with_punches();
    if role == "accepter" {
        listening(script.server("request yoda").types("accept yoda"));
    } else {
        listening(script.types("startprivate yoda"));
    }
    let number = format!("ok #1 {} yoda", if role == "accepter" { "accept" } else { "startprivate" });
    script.server(&format!("introduce yoda {role} {ID} {ADDRESS}")).server(&number).after_ms(10).and();
    script
}

fn punched(script: &mut Script, link: u64) -> &mut Script {
    let opened = PeerOpened::Punched(ADDRESS.parse().unwrap());
    script.happens(Event::PeerOpened { link: LinkId(link), opened })
}

#[test]
fn an_address_is_dialled_from_the_listening_port_a_little_later() {
    let mut script = introduced("requester");
    script.after_ms(189).does("");
    script.after_ms(1).does("punch peer 192.0.2.2:6000");
    // The first dial says nothing, and so does this one.
    script.after_ms(1_000).does("");
    script.happens(Event::PeerUnpunched { address: ADDRESS.parse().unwrap() }).and();
    script.after_ms(3_000).does("punch peer 192.0.2.2:6000");
    script.happens(Event::PeerUnpunched { address: ADDRESS.parse().unwrap() }).and();
    script.after_ms(5_000).does("");
}

#[test]
fn nobody_is_dialled_from_there_who_was_called_or_can_be_told_to_open() {
    let mut script = introduced("requester");
    script.peer_dialled(1, ADDRESS).and();
    script.after_ms(190).does("");
}

#[test]
fn the_requester_calls_and_the_accepter_is_called() {
    let mut script = introduced("requester");
    script.after_ms(190).and();
    punched(&mut script, 1).does(&format!("send on 1: {}", call(ID, "hans", "yoda")));
    script.peer(1, "ready").does("send on 1: nominate");
    let mut script = introduced("accepter");
    script.after_ms(190).and();
    punched(&mut script, 1).does("");
    script.peer(1, &call(ID, "yoda", "hans")).does("send on 1: ready");
}

#[test]
fn who_is_not_called_in_five_seconds_closes_the_connection() {
    let mut script = introduced("accepter");
    script.after_ms(190).and();
    punched(&mut script, 1).does("");
    script.after_ms(4_000).and();
    script.after_ms(999).does("").after_ms(1).does("close 1");
}

#[test]
fn who_calls_wrongly_there_gets_nothing() {
    let mut script = introduced("accepter");
    script.after_ms(190).and();
    punched(&mut script, 1).does("");
    script.peer(1, &call(OTHER_ID, "yoda", "hans")).does("close 1");
}

#[test]
fn a_connection_for_an_introduction_that_is_over_is_closed() {
    let mut script = introduced("requester");
    script.after_ms(10_000).and();
    punched(&mut script, 1).does("close 1");
}
