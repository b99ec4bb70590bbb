//! What the server can make a client dial (R35).

use super::private::{ID, listening};
use super::script::Script;
use crate::client::Event;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

fn address(host: usize, port: usize) -> String {
    format!("192.0.2.{host}:600{port}")
}

/// The server introduces a user whom the client has asked for a link, at four addresses.
fn introduce(script: &mut Script, number: usize, ports: &[usize]) {
    let user = format!("u{number}");
    listening(script.types(&format!("startprivate {user}")));
    let addresses: Vec<String> = ports.iter().map(|port| address(number, *port)).collect();
    script.server(&format!("introduce {user} requester {ID} {}", addresses.join(" ")));
}

fn unreached(script: &mut Script, address: &str) {
    script.happens(Event::PeerUnreached { address: address.parse().unwrap() });
}

#[test]
fn an_address_is_dialled_in_three_rounds() {
    let mut script = Script::session();
    introduce(&mut script, 1, &[1, 2]);
    script.and();
    unreached(&mut script, &address(1, 1));
    // The second one says nothing, and is still being dialled.
    script.after_ms(999).does("");
    script.after_ms(1).does("dial peer 192.0.2.1:6001");
    unreached(&mut script, &address(1, 1));
    unreached(&mut script, &address(1, 2));
    script.after_ms(2_999).does("");
    script.after_ms(1).does("dial peer 192.0.2.1:6001\ndial peer 192.0.2.1:6002");
    unreached(&mut script, &address(1, 1));
    unreached(&mut script, &address(1, 2));
    script.server("ok #1 startprivate u1").after_ms(10).and().after_ms(5_989).does("");
    script.after_ms(1);
    assert_eq!((script.count("dial"), script.count("stop listening")), (0, 1));
}

#[test]
fn a_call_that_was_refused_is_tried_again_and_one_that_waits_is_not() {
    let mut script = Script::session();
    introduce(&mut script, 1, &[1, 2]);
    script.peer_dialled(1, "192.0.2.1:6001").peer_dialled(2, "192.0.2.1:6002").peer_gone(1).and();
    script.after_ms(1_000).does("dial peer 192.0.2.1:6001");
}

#[test]
fn nobody_is_dialled_when_a_link_can_be_opened() {
    let mut script = Script::session();
    introduce(&mut script, 1, &[1, 2]);
    unreached(&mut script, &address(1, 2));
    script.peer_dialled(1, "192.0.2.1:6001").peer(1, "ready").and();
    script.after_ms(4_000).does("");
}

#[test]
fn sixteen_addresses_a_minute_are_dialled_and_further_ones_wait() {
    let mut script = Script::session();
    for number in 1..=4 {
        introduce(&mut script, number, &[1, 2, 3, 4]);
    }
    assert_eq!(script.count("dial peer"), 16);
    script.after_ms(55_000).and();
    introduce(&mut script, 5, &[1, 2]);
    assert_eq!(script.count("dial peer"), 0);
    script.after_ms(4_999);
    assert_eq!(script.count("dial peer"), 0);
    script.after_ms(1);
    assert_eq!(script.count("dial peer"), 2);
    unreached(&mut script, &address(5, 1));
    script.and().after_ms(1_000).does("dial peer 192.0.2.5:6001");
    unreached(&mut script, &address(5, 1));
    script.after_ms(3_000).does("dial peer 192.0.2.5:6001");
}

#[test]
fn a_wait_beyond_its_time_ends_as_unreachable() {
    let mut script = Script::session();
    for number in 1..=4 {
        introduce(&mut script, number, &[1, 2, 3, 4]);
    }
    script.after_ms(49_999).and();
    introduce(&mut script, 5, &[1]);
    script.server("ok #5 startprivate u5").and().after_ms(10_000);
    assert_eq!(script.count("dial peer"), 0);
    assert_eq!(script.count("show result 5 startprivate: unreachable (u5)"), 1);
}

#[test]
fn however_often_a_server_introduces_sixteen_addresses_a_minute_are_dialled() {
    let mut script = Script::session();
    for number in 0..256 {
        introduce(&mut script, number % 200 + 1, &[1, 2, 3, 4, 5]);
        script.server(&format!("ok #{} startprivate u{}", number + 1, number % 200 + 1)).after_ms(15);
    }
    script.after_ms(1);
    let mut dialled = script.all("dial peer");
    dialled.sort();
    dialled.dedup();
    assert_eq!(dialled.len(), 16);
}

#[test]
fn what_was_dialled_counts_in_the_next_session() {
    let settings = crate::client::Settings { retry_login: true, ..Default::default() };
    let mut script = Script::session_with(settings);
    for number in 1..=4 {
        introduce(&mut script, number, &[1, 2, 3, 4]);
    }
    script.server("bye timeout").types("hans").server("ask password").types("falcon");
    script.server("welcome hans unread 0 login 8").happens(Event::StateOpened(Default::default())).and();
    introduce(&mut script, 5, &[1]);
    assert_eq!(script.count("dial peer"), 0);
}

#[test]
fn each_call_has_a_nonce_of_its_own() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda"));
    script.server(&format!("introduce yoda requester {ID} {} {}", address(1, 1), address(1, 2))).and();
    // The script looks at the nonces.
    script.peer_dialled(1, &address(1, 1)).peer_dialled(2, &address(1, 2));
    let calls: Vec<String> = [1, 2].map(|link| format!("send on {link}: call {ID} hans yoda")).into();
    assert_eq!(script.all("send on "), calls);
}
