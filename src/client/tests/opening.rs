//! Conversations whose `opened` was lost (R37).

use alloc::format;

use super::private::{ID, call};
use super::relays::{LINK, introduced};
use super::script::Script;
use crate::client::{Event, Way};
use crate::words::LinkId;

const ADDRESS: &str = "192.0.2.2:6000";

/// The link that the server relays after the first.
const SECOND: u64 = LINK + 1;

fn ends(script: &mut Script, link: u64) -> &mut Script {
    script.server(&format!("relay closed {}", link - LINK + 1));
    script.happens(Event::PeerClosed { link: LinkId(link) })
}

/// Hans has opened a conversation on a relay, and Yoda has not said anything in it.
fn opened(way: Way, addresses: &str) -> Script {
    let mut script = introduced(way, "accepter", addresses);
    script.server("relay opened 1 yoda").peer(LINK, &call(ID, "yoda", "hans")).peer(LINK, "nominate");
    script.after_ms(10);
    assert_eq!(script.count("show opened yoda relayed"), 1);
    script.and();
    script
}

/// Hans has chosen a relay, and Yoda has not answered.
fn nominated(way: Way) -> Script {
    let mut script = introduced(way, "requester", "");
    script.server("relay opened 1 yoda").peer(LINK, "ready");
    assert_eq!(script.count(&format!("send on {LINK}: nominate")), 1);
    script.and();
    script
}

#[test]
fn the_accepter_opens_again_and_says_all_texts_again() {
    for is_gone in [true, false] {
        let mut script = opened(Way::Relay, "");
        script.types("private yoda one");
        if is_gone {
            ends(&mut script, LINK);
        }
        script.server("relay opened 2 yoda").peer(SECOND, &call(ID, "yoda", "hans")).and();
        script.peer(SECOND, "nominate");
        assert_eq!(
            script.all(&format!("send on {SECOND}")),
            [format!("send on {SECOND}: opened / text 1 1020010000 one")]
        );
        assert_eq!(script.count("show opened"), 0, "it is open already");
        script.and().peer(SECOND, "ack 1");
        assert_eq!(script.count("show result 2 private: to yoda delivered"), 1);
        script.peer(SECOND, "text 1 5 hey");
        assert_eq!(script.count("deliver private p7.1 yoda: hey"), 1);
    }
}

#[test]
fn the_accepter_opens_again_on_a_direct_link_of_the_introduction() {
    let mut script = opened(Way::Auto, &format!(" {ADDRESS}"));
    script.peer_came_from(2, "192.0.2.2").peer(2, &call(ID, "yoda", "hans")).and();
    script.peer(2, "nominate");
    assert_eq!(script.count("send on 2: opened"), 1);
    assert_eq!(script.count(&format!("close {LINK}")), 1);
    script.types("path yoda");
    assert_eq!(script.count("show result 2 path: yoda auto direct"), 1);
}

#[test]
fn whoever_has_said_something_has_opened_it_and_chooses_no_other_link() {
    for said in ["text 1 5 hey", "ack 1"] {
        let mut script = opened(Way::Relay, "");
        script.types("private yoda one").peer(LINK, said);
        ends(&mut script, LINK);
        script.server("relay opened 2 yoda").peer(SECOND, &call(ID, "yoda", "hans")).and();
        script.peer(SECOND, "nominate");
        assert_eq!(script.count(&format!("send on {SECOND}")), 0);
        assert_eq!(script.count(&format!("close {SECOND}")), 1);
    }
}

#[test]
fn the_requester_asks_for_another_relay_and_chooses_again() {
    for way in [Way::Relay, Way::Auto] {
        let mut script = nominated(way);
        ends(&mut script, LINK);
        assert_eq!(script.all("send relay"), ["send relay open yoda"], "{way:?}");
        assert_eq!(script.count("show"), 0, "{way:?}");
        script.and().server("relay refused yoda").after_ms(999);
        assert_eq!(script.count("send relay"), 0, "{way:?}");
        script.after_ms(1);
        assert_eq!(script.all("send relay"), ["send relay open yoda"], "{way:?}");
        script.server("relay opened 2 yoda").and();
        script.peer(SECOND, "ready").does(&format!("send on {SECOND}: nominate"));
        script.peer(SECOND, "opened\ntext 1 5 hey");
        assert_eq!(script.count("show opened yoda relayed"), 1, "{way:?}");
        assert_eq!(script.count("show result 1 startprivate: ok yoda relayed"), 1, "{way:?}");
        assert_eq!(script.count("deliver private p7.1 yoda: hey"), 1, "{way:?}");
    }
}

#[test]
fn the_requester_asks_when_its_session_goes_on() {
    let mut script = nominated(Way::Relay);
    script.happens(Event::Disconnected).happens(Event::PeerClosed { link: LinkId(LINK) }).after_ms(5_000);
    assert_eq!(script.count("show result"), 0);
    script.happens(Event::Connected).server("hobnob 1 ack resume device alive courier relay").and();
    script.server("resumed hans unread 0 login 7");
    assert!(script.all("send").concat().contains("relay open yoda"));
}

#[test]
fn the_requester_gives_up_after_fifteen_seconds_or_when_there_will_be_no_relay() {
    let unreachable = "show result 1 startprivate: unreachable (yoda)";
    for way in [Way::Relay, Way::Auto] {
        let mut script = nominated(way);
        ends(&mut script, LINK).after_ms(14_999);
        assert_eq!(script.count("show"), 0, "{way:?}");
        assert_eq!(script.after_ms(1).count(unreachable), 1, "{way:?}");
    }
    let mut script = nominated(Way::Relay);
    assert_eq!(ends(&mut script, LINK).server("relay unknown yoda").count(unreachable), 1);
    // One who is reached otherwise goes on for the time of the introduction.
    let mut script = nominated(Way::Auto);
    ends(&mut script, LINK).server("relay unknown yoda").after_ms(9_989);
    assert_eq!(script.count("show"), 0);
    assert_eq!(script.after_ms(11).count(unreachable), 1);
}

#[test]
fn the_requester_gives_up_after_three_relays_in_vain() {
    let mut script = nominated(Way::Relay);
    ends(&mut script, LINK);
    for number in 2..=4 {
        assert_eq!(script.count("show result"), 0, "{number}");
        script.server(&format!("relay opened {number} yoda"));
        ends(&mut script, LINK + number - 1).after_ms(1_000);
    }
    assert_eq!(script.count("show result 1 startprivate: unreachable (yoda)"), 1);
    script.and().after_ms(20_000).does("");
}

#[test]
fn one_who_cannot_move_a_conversation_does_not_look_for_it() {
    let mut script = introduced(Way::Relay, "requester", "");
    script.others_can_move = false;
    script.server("relay opened 1 yoda").peer(LINK, "ready").and();
    ends(&mut script, LINK);
    assert_eq!(script.count("show result 1 startprivate: unreachable (yoda)"), 1);
}

#[test]
fn no_address_is_dialled_when_the_introduction_is_over() {
    let mut script = introduced(Way::Auto, "requester", &format!(" {ADDRESS}"));
    script.after_ms(300).server("relay opened 1 yoda").peer(LINK, "ready").after_ms(9_000).and();
    ends(&mut script, LINK).after_ms(3_000);
    assert_eq!(script.count("dial peer"), 0);
    script.server("relay opened 2 yoda").peer(SECOND, "ready\nopened").and().after_ms(10);
    script.types("path yoda");
    assert_eq!(script.count("show result 2 path: yoda auto relayed"), 1);
}
