//! Conversations that have lost their link (R70).

use super::private::{ID, OTHER_ID, call, listening};
use super::relays::{LINK, introduced};
use super::script::Script;
use crate::client::{Event, Way};
use crate::words::LinkId;
use alloc::format;

const ADDRESS: &str = "192.0.2.2:6000";

/// The links that the server relays after the first.
const SECOND: u64 = LINK + 1;

/// Hans talks with Yoda on the direct link 1, has said one text that was shown and one that was not, and has read one.
fn talking(role: &str) -> Script {
    let mut script = introduced(Way::Auto, role, &format!(" {ADDRESS}"));
    script.peer_dialled(1, ADDRESS).peer(1, "ready");
    match role {
        "requester" => script.peer(1, "opened"),
        _ => script.peer(1, "nominate"),
    };
    script.types("private yoda one").types("private yoda two").peer(1, "ack 1");
    script.peer(1, "text 1 5 hey").shown().after_ms(1_000).and();
    script
}

#[test]
fn the_requester_goes_on_over_a_relay_and_says_again_what_was_not_shown() {
    let mut script = talking("requester");
    script.peer_gone(1).does("send relay open yoda");
    script.types("private yoda three").does("");
    script.server("relay opened 1 yoda");
    script.does(&format!("begin relay {LINK}, calls\nsend on {LINK}: {}", call(ID, "hans", "yoda")));
    script.peer(LINK, "ready").does(&format!("send on {LINK}: continue {ID} 1"));
    script
        .peer(LINK, "continued 1")
        .does(&format!("send on {LINK}: ack 1 / text 2 1020000000 two / text 3 1021000000 three / meet"));
    script.peer(LINK, "text 2 5 you").does("deliver private p7.2 yoda: you");
    script.types("path yoda");
    assert_eq!(script.count("show result 5 path: yoda auto relayed"), 1);
}

#[test]
fn the_accepter_follows_also_if_its_link_seems_to_be_there() {
    for is_gone in [true, false] {
        let mut script = talking("accepter");
        if is_gone {
            script.peer_gone(1).does("send relay open yoda");
        }
        script.server("relay opened 1 yoda").does(&format!("begin relay {LINK}, is called"));
        script.peer(LINK, &call(ID, "yoda", "hans")).does(&format!("send on {LINK}: ready"));
        script.peer(LINK, &format!("continue {ID} 2")).and();
        script.types("private yoda three").does(&format!("send on {LINK}: text 3 1021000000 three"));
        script.peer(LINK, "text 2 5 you").does("deliver private p7.2 yoda: you");
        script.peer_gone(1).does("");
    }
}

/// The conversation of an accepter goes on over a relay.
fn rejoined(role: &str) -> Script {
    let mut script = talking(role);
    script.peer_gone(1).server("relay opened 1 yoda");
    match role {
        "requester" => script.peer(LINK, "ready\ncontinued 1"),
        _ => script.peer(LINK, &format!("{}\ncontinue {ID} 1", call(ID, "yoda", "hans"))),
    };
    script.after_ms(10).and();
    script
}

#[test]
fn the_two_look_for_a_direct_link_and_move_there() {
    let mut script = rejoined("accepter");
    script.peer(LINK, "meet").does("listen");
    listening(&mut script);
    script.does("send #2 startprivate yoda 10.0.0.1:5000");
    script
        .server(&format!("introduce yoda requester {OTHER_ID} {ADDRESS}"))
        .server("ok #2 startprivate yoda");
    assert_eq!(script.count("show"), 0, "nobody is told");
    script.and().peer_dialled(2, ADDRESS).peer(2, "ready");
    assert_eq!(script.count(&format!("send on 2: continue {ID} 1")), 1);
    script.peer(2, "continued 2").and();
    script.types("path yoda");
    assert_eq!(script.count("show result 4 path: yoda auto direct"), 1);
}

#[test]
fn a_needless_accept_does_not_end_a_conversation_that_looks_for_a_direct_link() {
    let mut script = rejoined("accepter");
    script.peer(LINK, "meet");
    listening(&mut script);
    script.types("accept yoda");
    script.server("error #3 no_request accept").and();
    script.server(&format!("introduce yoda requester {OTHER_ID} {ADDRESS}"));
    script.server("ok #2 startprivate yoda").peer_dialled(2, ADDRESS).peer(2, "ready");
    assert_eq!(script.count(&format!("send on 2: continue {ID} 1")), 1);
    script.peer(2, "continued 2");
    assert_eq!(script.count("show closed yoda"), 0);
}

#[test]
fn one_who_looks_for_a_direct_link_asks_nobody_about_the_request() {
    let mut script = rejoined("requester");
    script.server("request yoda").does("listen");
    listening(&mut script);
    script.does("send #2 accept yoda 10.0.0.1:5000");
    script.server(&format!("introduce yoda accepter {OTHER_ID} {ADDRESS}")).server("ok #2 accept yoda");
    script.and().peer_came_from(2, "192.0.2.2").peer(2, &call(OTHER_ID, "yoda", "hans"));
    script.peer(2, &format!("continue {ID} 2"));
    assert_eq!(script.count("send on 2: continued 1"), 1);
    script.and().server("request yoda").does("show request of yoda");
}

#[test]
fn an_introduction_with_another_key_does_not_move_it() {
    let mut script = rejoined("requester");
    script.server("request yoda");
    listening(&mut script);
    let other = crate::words::DeviceKey([0x0c; 32]);
    script.server(&format!("introduce yoda accepter {OTHER_ID} {other} {ADDRESS}")).and();
    script.types("private yoda three");
    assert_eq!(script.count(&format!("send on {LINK}: text 3")), 1);
}

#[test]
fn a_request_of_somebody_else_is_asked_about_and_so_is_one_before_a_loss() {
    let mut script = rejoined("requester");
    script.server("request luke").does("show request of luke");
    let mut script = talking("requester");
    script.server("request yoda").does("show request of yoda");
}

#[test]
fn a_relay_that_fails_is_asked_for_again_and_every_call_has_a_later_nonce() {
    let mut script = talking("requester");
    script.peer_gone(1).server("relay refused yoda").and();
    script.after_ms(999).does("").after_ms(1).does("send relay open yoda");
    script.server("relay opened 1 yoda").and();
    script.server("relay closed 1").and();
    script.happens(Event::PeerClosed { link: LinkId(LINK) }).does("");
    script.after_ms(1_000).does("send relay open yoda");
    script.server("relay opened 2 yoda");
    script.does(&format!("begin relay {SECOND}, calls\nsend on {SECOND}: {}", call(ID, "hans", "yoda")));
    script.peer(SECOND, "ready").and();
    script.happens(Event::PeerClosed { link: LinkId(SECOND) }).does("");
    script.after_ms(1_000).does("send relay open yoda");
}

#[test]
fn a_call_that_was_said_before_is_not_taken() {
    let mut script = talking("accepter");
    script.peer_gone(1).server("relay opened 1 yoda");
    let first = script.with_proof(&call(ID, "yoda", "hans"));
    script.peer(LINK, &first).peer(LINK, &format!("continue {ID} 1"));
    script
        .happens(Event::PeerClosed { link: LinkId(LINK) })
        .server("relay closed 1")
        .server("relay opened 2 yoda")
        .and();
    script.peer(SECOND, &first);
    assert_eq!(script.count(&format!("close {SECOND}")), 1);
    assert_eq!(script.count(&format!("send on {SECOND}")), 0);
}

#[test]
fn a_conversation_is_over_when_the_server_has_not_introduced_the_two_or_time_is_over() {
    let over = "show closed yoda lost\nshow result 3 private: outcome_unknown (yoda)";
    let mut script = talking("requester");
    script.peer_gone(1).and().server("relay unknown yoda").does(over);
    let mut script = talking("requester");
    script.peer_gone(1).and();
    script.after_ms(14_999);
    assert_eq!(script.count("show"), 0);
    script.and().after_ms(1).does(over);
}

#[test]
fn without_the_server_it_waits_and_asks_when_the_session_goes_on() {
    let mut script = talking("requester");
    script.happens(Event::Disconnected).and();
    script.peer_gone(1).does("");
    script.after_ms(5_000);
    script.happens(Event::Connected).server("hobnob 1 ack resume device alive courier relay").and();
    script.server("resumed hans unread 0 login 7");
    assert_eq!(script.count("send relay open yoda"), 1);
}

#[test]
fn where_nothing_may_be_relayed_a_lost_link_is_the_end() {
    let mut script = talking("requester");
    script.types("path yoda direct").and();
    script.peer_gone(1);
    assert_eq!(script.count("show closed yoda lost"), 1);
}

#[test]
fn whoever_stops_a_conversation_without_a_link_is_done_with_it() {
    let mut script = talking("requester");
    script.peer_gone(1).types("stopprivate yoda");
    assert_eq!(script.count("show closed yoda stopped"), 1);
    script.and().server("relay opened 1 yoda").does("send relay close 1");
}

#[test]
fn a_search_is_over_after_ten_seconds_and_with_the_first_request() {
    let mut script = rejoined("requester");
    script.after_ms(9_990).and().server("request yoda").does("show request of yoda");
    // What was asked for before the relay was lost is accepted, once, and leads to nothing.
    let mut script = rejoined("requester");
    script.server("relay closed 1").happens(Event::PeerClosed { link: LinkId(LINK) }).and();
    script.server("request yoda");
    listening(&mut script);
    assert_eq!(script.count("show request of yoda"), 0);
    script.and().server(&format!("introduce yoda accepter {OTHER_ID} {ADDRESS}"));
    script.server("ok #2 accept yoda").does("stop listening");
    assert_eq!(script.count("show closed yoda"), 0);
    script.and().server("request yoda").does("show request of yoda");
    let mut script = rejoined("requester");
    script.types("path yoda relay").and().server("request yoda").does("show request of yoda");
}

#[test]
fn what_was_stopped_does_not_open_again() {
    let mut script = rejoined("accepter");
    script.peer(LINK, "meet");
    listening(&mut script);
    script.types("stopprivate yoda").and();
    script.server(&format!("introduce yoda requester {OTHER_ID} {ADDRESS}"));
    script.server("ok #2 startprivate yoda").does("stop listening");
    script.peer_dialled(2, ADDRESS).does("close 2");
    let mut script = rejoined("requester");
    script.server("request yoda");
    listening(&mut script);
    script.peer(LINK, "close stopped").and();
    script.server(&format!("introduce yoda accepter {OTHER_ID} {ADDRESS}")).server("ok #2 accept yoda");
    script.does("stop listening");
    script.peer_came_from(2, "192.0.2.2").does("reset 2");
    // A person who asks again gets a new one.
    script.types("startprivate yoda");
    listening(&mut script);
    script.server(&format!("introduce yoda requester {OTHER_ID} {ADDRESS}"));
    script.and().peer_dialled(3, ADDRESS).peer(3, "ready\nopened");
    assert_eq!(script.count("show opened yoda direct"), 1);
}

#[test]
fn one_who_wants_direct_links_only_ends_a_conversation_without_a_link() {
    let mut script = talking("requester");
    script.peer_gone(1).types("path yoda direct");
    assert_eq!(script.count("show closed yoda lost"), 1);
    script.and().server("relay opened 1 yoda").does("send relay close 1");
    let mut script = talking("accepter");
    script.types("path yoda direct").and().server("relay opened 1 yoda").does("send relay close 1");
}

#[test]
fn a_side_that_does_not_go_on_is_left_after_five_seconds() {
    let mut script = talking("requester");
    script.peer_gone(1).server("relay opened 1 yoda").peer(LINK, "ready").and();
    script.after_ms(4_999).does("").after_ms(1).does(&format!("close {LINK}"));
    script.types("path yoda");
    assert_eq!(script.count("show result 4 path: yoda auto closed"), 1);
    script.and().after_ms(10_000);
    assert_eq!(script.count("show closed yoda lost"), 1);
}

#[test]
fn a_search_does_not_end_a_relay_that_is_being_made() {
    let mut script = rejoined("accepter");
    script.peer(LINK, "meet");
    listening(&mut script);
    script.server("relay closed 1").happens(Event::PeerClosed { link: LinkId(LINK) });
    script.server("relay opened 2 yoda").peer(SECOND, &call(ID, "yoda", "hans")).and();
    script
        .server(&format!("introduce yoda requester {OTHER_ID} {ADDRESS}"))
        .server("ok #2 startprivate yoda");
    script.and().peer(SECOND, &format!("continue {ID} 1"));
    assert_eq!(script.count(&format!("send on {SECOND}: continued 1")), 1);
}

#[test]
fn relays_that_end_again_and_again_end_the_conversation() {
    let mut script = talking("requester");
    script.peer_gone(1);
    for number in 1..=3 {
        script.and().server(&format!("relay opened {number} yoda")).server(&format!("relay closed {number}"));
        script.happens(Event::PeerClosed { link: LinkId(LINK + number - 1) }).after_ms(1_000);
        assert_eq!(script.count("show closed yoda lost"), usize::from(number == 3), "{number}");
    }
}

#[test]
fn a_relay_is_asked_for_again_while_nothing_comes() {
    let mut script = talking("requester");
    script.peer_gone(1).does("send relay open yoda");
    script.after_ms(1_000).does("send relay open yoda").after_ms(1_000).does("send relay open yoda");
}

/// Yoda ends the link again and again, so many times, and Hans goes on each time; how often.
fn goes_on(script: &mut Script, times: u64, pause_ms: u64) -> u64 {
    for number in 1..=times {
        let link = LINK + number - 1;
        script.and().server(&format!("relay opened {number} yoda"));
        if script.count("begin relay") == 0 {
            return number - 1;
        }
        script.peer(link, "ready\ncontinued 1").after_ms(pause_ms);
        script.server(&format!("relay closed {number}")).happens(Event::PeerClosed { link: LinkId(link) });
    }
    times
}

#[test]
fn one_who_ends_the_link_again_and_again_loses_the_conversation() {
    let mut script = talking("requester");
    script.peer_gone(1);
    assert_eq!(goes_on(&mut script, 100, 0), 16, "relays at once");
    script.does(
        "send relay close 17
         show closed yoda lost
         show result 3 private: outcome_unknown (yoda)",
    );
    script.server("relay opened 18 yoda").does("send relay close 18");
    script.after_ms(60_000).does("");
    // One more a second.
    let mut script = talking("requester");
    script.peer_gone(1);
    assert_eq!(goes_on(&mut script, 100, 500), 31);
}

#[test]
fn a_machine_that_moves_every_two_seconds_for_an_hour_keeps_its_conversation() {
    let mut script = talking("requester");
    script.peer_gone(1);
    assert_eq!(goes_on(&mut script, 1_800, 2_000), 1_800);
    assert_eq!(script.count("show closed"), 0);
}

#[test]
fn relays_beside_a_link_that_is_there_are_counted_and_do_not_end_it() {
    let mut script = talking("accepter");
    let mut taken = 0;
    for number in 1..=100 {
        script.and().server(&format!("relay opened {number} yoda"));
        taken += script.count("begin relay");
        let ends = format!("relay closed {number}");
        script.server(&ends).happens(Event::PeerClosed { link: LinkId(LINK + number - 1) });
    }
    assert_eq!(taken, 16);
    script.types("private yoda three");
    assert_eq!(script.count("send on 1: text 3"), 1, "the link is there");
    script.and().after_ms(1_000).and();
    script.server("relay opened 101 yoda");
    assert_eq!(script.count("begin relay"), 1, "one was paid off");
}
