//! Strangers at the private port (R36).

use super::private::{ID, OTHER_ID, accepter, call, listening, requester};
use super::script::{Script, TOKEN};
use super::talking::talking;
use crate::client::{Event, Recall, Settings, Signal};
use crate::words::LinkId;
use alloc::format;

/// An address that the introduction names.
const MEANT: &str = "192.0.2.2";

#[test]
fn two_strangers_have_a_place_and_two_who_are_meant() {
    for mut script in [requester(), accepter()] {
        script.peer_came(11).peer_came(12).does("");
        script.peer_came(13).does("reset 13");
        script.peer_came_from(14, MEANT).peer_came_from(15, "::ffff:192.0.2.2").does("");
        script.peer_came_from(16, MEANT).does("reset 16");
        script.peer_came(17).does("reset 17");
        script.peer(15, &call(ID, "yoda", "hans"));
        assert_eq!(script.count("send on 15: ready"), 1);
    }
}

#[test]
fn those_who_are_meant_may_have_all_places() {
    let mut script = requester();
    for link in 11..=14 {
        script.peer_came_from(link, MEANT);
    }
    script.does("");
    script.peer_came_from(15, MEANT).peer_came(16).does("reset 15\nreset 16");
    script.peer_gone(12).peer_came_from(17, MEANT).does("");
}

#[test]
fn a_place_is_free_again_when_its_stranger_goes_is_reset_or_proves_the_id() {
    let mut script = requester();
    script.peer_came(11).peer_came(12).peer_gone(11).peer_came(13).does("");
    script.peer(13, "GET / HTTP/1.0").peer_came(14).does("reset 13");
    script.peer(14, &call(ID, "yoda", "hans")).and();
    script.peer_came(15).does("");
    script.peer_came(16).does("reset 16");
}

#[test]
fn a_stranger_who_does_not_say_the_id_in_time_is_reset() {
    let mut script = requester();
    script.peer_came(11).after_ms(100).peer_came(12);
    script.happens(Event::PeerReceived { link: LinkId(12), bytes: b"hobnob-private 1 " });
    script.after_ms(199).does("");
    script.after_ms(1).does("reset 11");
    script.after_ms(99).does("");
    script.after_ms(1).does("reset 12");
    script.peer(12, &call(ID, "yoda", "hans")).does("");
}

#[test]
fn a_caller_before_the_introduction_waits_no_longer_than_others() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    script.peer_came(4).peer(4, &call(ID, "yoda", "hans")).after_ms(299).does("");
    script.after_ms(1).does("reset 4");
}

#[test]
fn the_port_is_open_from_the_request_until_it_is_answered() {
    let mut script = Script::session();
    script.types("startprivate yoda").does("listen");
    listening(&mut script).and();
    script.after_ms(60_000).peer_came(1).after_ms(300).does("reset 1");
    script.server("error #1 no_answer startprivate").and().peer_came(2).does("reset 2");
    // The next request has a port of its own.
    script.types("startprivate yoda").does("listen");
}

#[test]
fn the_port_is_open_while_anybody_is_expected() {
    let mut script = requester();
    script.types("startprivate luke").and();
    script.peer_dialled(1, "192.0.2.2:6000").peer(1, "ready\nopened");
    assert_eq!((script.count("show opened yoda"), script.count("stop listening")), (1, 0));
    script.and().peer_came(2).does("");
    script.server("error #2 declined startprivate");
    assert_eq!((script.count("stop listening"), script.count("reset 2")), (1, 1));
}

#[test]
fn strangers_are_reset_with_the_port_and_other_links_are_not() {
    let mut script = requester();
    script.peer_dialled(1, "192.0.2.2:6000").peer(1, "ready").peer_came(2).and();
    script.peer(1, "opened").does(
        "show opened yoda direct
         show result 1 startprivate: ok yoda direct
         note 1 settled
         stop listening
         reset 2",
    );
    script.types("private yoda hi");
    assert_eq!(script.count("send on 1: text 1"), 1);
}

#[test]
fn a_request_that_waits_for_the_server_keeps_the_port() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    script.happens(Event::Disconnected).after_ms(100);
    assert_eq!(script.count("stop listening"), 0);
    script.happens(Event::Connected).server("hobnob 1").and();
    script.server(&format!("resumed hans unread 0 login 7 token {TOKEN}")).does(
        "show connection resumed
         send #1 startprivate yoda 10.0.0.1:5000",
    );
}

#[test]
fn the_end_of_a_session_closes_the_port() {
    let mut script = Script::session_with(Settings { retry_login: true, ..Settings::default() });
    listening(script.types("startprivate yoda")).peer_came(3).and();
    script.server("bye timeout");
    assert_eq!((script.count("stop listening"), script.count("reset 3")), (1, 1));
    let mut script = requester();
    script.peer_came(3).happens(Event::Interrupted(Signal::Terminate));
    assert_eq!(script.count("reset 3"), 1);
    let mut script = Script::session();
    script.types("startprivate yoda").server("bye timeout").happens(Event::StateOpened(Recall::default()));
}

#[test]
fn nobody_who_has_a_link_is_bothered_by_strangers() {
    let mut script = talking();
    for link in 10..20 {
        script.peer_came(link);
    }
    assert_eq!(script.count("reset"), 10);
    script.and().peer(1, "text 1 5 hey").does("deliver private p7.1 yoda: hey");
}

#[test]
fn those_of_an_earlier_introduction_are_strangers() {
    let mut script = requester();
    script.happens(Event::PeerUnreached { address: "192.0.2.2:6000".parse().unwrap() }).after_ms(10_000);
    listening(script.types("startprivate luke"));
    script.server(&format!("introduce luke requester {OTHER_ID} 192.0.2.7:6000")).and();
    script.peer_came_from(1, MEANT).peer_came_from(2, MEANT).peer_came_from(3, MEANT).does("reset 3");
    script.peer_came_from(4, "192.0.2.7").does("");
}
