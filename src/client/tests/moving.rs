//! Conversations that move from a relay to a direct link (R69).

use super::private::{ID, OTHER_ID, call};
use super::relays::{LINK, introduced};
use super::script::{KEY, Script};
use crate::client::{Event, Way};
use crate::words::LinkId;
use alloc::format;

const ADDRESS: &str = "192.0.2.2:6000";

/// Hans talks with Yoda through the server, and has said one text that was shown and one that was not.
fn talking(role: &str, others_can_move: bool) -> Script {
    let mut script = introduced(Way::Auto, role, &format!(" {ADDRESS}"));
    script.others_can_move = others_can_move;
    script.after_ms(300).server("relay opened 1 yoda");
    match role {
        "requester" => script.peer(LINK, "ready\nopened"),
        _ => script.peer(LINK, &call(ID, "yoda", "hans")).peer(LINK, "nominate"),
    };
    script.types("private yoda one").types("private yoda two").peer(LINK, "ack 1");
    script.peer(LINK, "text 1 5 hey").shown().after_ms(1_000).and();
    script
}

/// Yoda has called on link 2.
fn called(script: &mut Script) -> &mut Script {
    script.peer_came_from(2, "192.0.2.2").peer(2, &call(ID, "yoda", "hans"))
}

#[test]
fn the_requester_moves_to_the_first_direct_link_and_says_again_what_was_not_shown() {
    let mut script = talking("requester", true);
    script.peer_dialled(1, ADDRESS).does(&format!("send on 1: {}", call(ID, "hans", "yoda")));
    script.peer(1, "ready").does(&format!("send on 1: continue {ID} 1\nstop listening"));
    script.types("private yoda three").does(&format!("send on {LINK}: text 3 1021300000 three"));
    script.peer(1, "continued 2").does(&format!(
        "send on 1: ack 1 / text 3 1021300000 three
         close {LINK}"
    ));
    script.peer(1, "ack 3").does(
        "show result 3 private: to yoda delivered
         show result 4 private: to yoda delivered",
    );
    script.types("path yoda").does("show result 5 path: yoda auto direct");
    script.peer_gone(1).does("send relay open yoda");
}

#[test]
fn the_accepter_follows_and_shows_nothing_twice() {
    let mut script = talking("accepter", true);
    called(&mut script).does("send on 2: ready");
    script.peer(LINK, "text 2 5 you").does("deliver private p7.2 yoda: you");
    script.peer(2, &format!("continue {ID} 1")).does(&format!(
        "send on 2: continued 2 / ack 1 / text 2 1020300000 two
         close {LINK}
         stop listening"
    ));
    script.shown().does("send on 2: ack 2");
    script.peer(2, "text 3 5 there").does("deliver private p7.3 yoda: there");
}

#[test]
fn what_is_said_again_and_has_arrived_is_not_shown() {
    let mut script = talking("requester", true);
    script.peer_dialled(1, ADDRESS).peer(1, "ready").and();
    script.peer(LINK, "text 2 5 you").shown().and();
    script.peer(1, "continued 1\ntext 2 5 you").and();
    script.peer(1, "text 3 5 there").does("deliver private p7.3 yoda: there");
}

#[test]
fn what_was_acknowledged_while_a_conversation_moved_is_not_said_again() {
    let mut script = talking("accepter", true);
    called(&mut script).and();
    script.peer(LINK, "ack 2").and().peer(2, &format!("continue {ID} 1"));
    assert_eq!(script.count("send on 2: continued 1 / ack 1"), 1);
    script.and().types("private yoda three");
    assert_eq!(script.count("send on 2: text 3"), 1);
    let mut script = talking("requester", true);
    script.peer_dialled(1, ADDRESS).peer(1, "ready").and();
    script.peer(LINK, "text 2 5 you\ntext 3 5 and you").shown().and();
    script.peer(1, "continued 2\ntext 3 5 and you").shown().and();
    script.peer(1, "text 4 5 there").does("deliver private p7.4 yoda: there");
    for gap in ["text 1 5 hey", "text 5 5 you"] {
        let mut script = talking("requester", true);
        script.peer_dialled(1, ADDRESS).peer(1, "ready").peer(1, "continued 2").and().peer(1, gap);
        assert_eq!(script.count("show closed yoda lost"), 1, "{gap}");
    }
}

#[test]
fn a_conversation_outlives_its_relay_while_it_moves() {
    let mut script = talking("requester", true);
    script.peer_dialled(1, ADDRESS).peer(1, "ready").and();
    script.happens(Event::PeerClosed { link: LinkId(LINK) }).types("private yoda three").does("");
    script.peer(1, "continued 1");
    script.does("send on 1: ack 1 / text 2 1020300000 two / text 3 1021300000 three");
    let mut script = talking("requester", true);
    script.peer_dialled(1, ADDRESS).peer(1, "ready").and();
    script.peer_gone(1).does("").peer(LINK, "text 2 5 you").and();
    script.happens(Event::PeerClosed { link: LinkId(LINK) });
    script.does("send relay open yoda");
}

#[test]
fn a_conversation_without_its_relay_takes_the_link_that_is_named_and_closes_the_others() {
    let mut script = talking("accepter", true);
    called(&mut script).peer_dialled(3, ADDRESS).and();
    script.happens(Event::PeerClosed { link: LinkId(LINK) }).peer(2, &format!("continue {ID} 1"));
    script.does(
        "send on 2: continued 1 / ack 1 / text 2 1020300000 two
         close 3
         stop listening",
    );
}

#[test]
fn whoever_closes_says_so_on_both_links() {
    let mut script = talking("requester", true);
    script.peer_dialled(1, ADDRESS).peer(1, "ready").and().types("stopprivate yoda");
    assert_eq!(script.count("send on 1: close stopped"), 1);
    assert_eq!(script.count(&format!("send on {LINK}: close stopped")), 1);
}

#[test]
fn one_who_cannot_move_stays() {
    for role in ["requester", "accepter"] {
        let mut script = talking(role, false);
        script.peer_dialled(1, ADDRESS).does("close 1");
        called(&mut script).types("path yoda");
        assert_eq!(script.count("show result 4 path: yoda auto relayed"), 1, "{role}");
        assert_eq!(script.count("send on"), 0, "{role}");
    }
}

#[test]
fn one_who_hides_from_now_on_stays() {
    let mut script = talking("requester", true);
    script.types("path yoda relay").and();
    script.peer_dialled(1, ADDRESS).does("close 1");
}

#[test]
fn a_move_that_is_not_this_one_breaks_the_link_and_nothing_else() {
    let wrong = [format!("continue {OTHER_ID} 1"), format!("continue {ID} 3")];
    let wrong = wrong.iter().map(alloc::string::String::as_str);
    for line in wrong.chain(["nominate", "continued 1", "text 2 5 you", "close stopped"]) {
        let mut script = talking("accepter", true);
        called(&mut script).and().peer(2, line).does("close 2");
        script.peer(LINK, "text 2 5 you").does("deliver private p7.2 yoda: you");
    }
    let mut script = talking("requester", true);
    called(&mut script).and();
    script.peer(2, &format!("continue {ID} 1"));
    assert_eq!(script.count("close 2"), 1, "the requester moves");
}

#[test]
fn the_relay_is_no_place_to_move_to() {
    let mut script = talking("accepter", true);
    script.peer(LINK, &format!("continue {ID} 1"));
    assert_eq!(script.count("show closed yoda lost"), 1);
}

#[test]
fn nobody_calls_any_more_when_the_introduction_is_over() {
    let mut script = talking("requester", true);
    script.after_ms(8_700).and().peer_dialled(1, ADDRESS).does("close 1");
    assert_eq!(script.types("private yoda three").count(&format!("send on {LINK}: text 3")), 1);
    assert_eq!(script.proves, Some(KEY));
}
