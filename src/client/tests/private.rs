//! Private links: asking, meeting.

use super::script::Script;
use super::talking::talking;
use crate::client::{AcceptPrivate, Event, Settings};
use alloc::format;
use alloc::string::String;
use alloc::vec;

pub(super) const ID: &str = "0f0e0d0c0b0a09080706050403020100";
pub(super) const OTHER_ID: &str = "ffffffffffffffffffffffffffffffff";

pub(super) fn introduction(user: &str, role: &str) -> String {
    format!("introduce {user} {role} {ID} 192.0.2.2:6000")
}

pub(super) fn call(id: &str, from: &str, to: &str) -> String {
    format!("call {id} {from} {to}")
}

pub(super) fn listening(script: &mut Script) -> &mut Script {
    script.happens(Event::Listening { addresses: vec!["10.0.0.1:5000".parse().unwrap()] })
}

/// Hans has asked for a link with Yoda and was introduced.
pub(super) fn requester() -> Script {
    let mut script = Script::session();
    listening(script.types("startprivate yoda"));
    script.server(&introduction("yoda", "requester")).server("ok #1 startprivate yoda");
    script.after_ms(10).and();
    script
}

/// Yoda has asked for a link with Hans, who has agreed and was introduced.
pub(super) fn accepter() -> Script {
    let mut script = Script::session();
    listening(script.server("request yoda").types("accept yoda"));
    script.server(&introduction("yoda", "accepter")).server("ok #1 accept yoda");
    script.after_ms(10).and();
    script
}

#[test]
fn the_requester_says_where_it_listens_and_gets_its_result_when_the_link_stands() {
    let mut script = Script::session();
    script.types("startprivate yoda").does("listen");
    listening(&mut script).does(
        "note 1 open
         send #1 startprivate yoda 10.0.0.1:5000",
    );
    script.server(&introduction("yoda", "requester")).server("ok #1 startprivate yoda");
    script.does("dial peer 192.0.2.2:6000");
    script.peer_dialled(1, "192.0.2.2:6000").does(&format!("send on 1: {}", call(ID, "hans", "yoda")));
    script.peer(1, "ready").does("send on 1: nominate");
    script.peer(1, "opened").does(
        "show opened yoda direct
         show result 1 startprivate: ok yoda direct
         note 1 settled
         stop listening",
    );
}

#[test]
fn the_accepter_waits_for_the_nomination() {
    let mut script = Script::session();
    script.server("request yoda").does("show request of yoda");
    script.types("accept yoda").does("listen");
    listening(&mut script).does("note 1 open\nsend #1 accept yoda 10.0.0.1:5000");
    script.server(&introduction("yoda", "accepter")).server("ok #1 accept yoda");
    script.does("dial peer 192.0.2.2:6000");
    script.peer_came(4).peer(4, &call(ID, "yoda", "hans")).does("send on 4: ready");
    script.peer_dialled(5, "192.0.2.2:6000").peer(5, "ready").and();
    script.peer(4, "nominate").does(
        "send on 4: opened
         show opened yoda direct
         close 5
         show result 1 accept: ok yoda
         note 1 settled
         stop listening",
    );
}

#[test]
fn an_address_that_stands_for_the_whole_machine_says_only_its_port() {
    let advertise = Settings { private_advertise: "198.51.100.1:7000".parse().ok(), ..Settings::default() };
    let mut script = Script::session_with(advertise);
    script.types("startprivate yoda");
    let addresses = vec!["0.0.0.0:5000".parse().unwrap(), "[2001:db8::1]:5000".parse().unwrap()];
    script.and().happens(Event::Listening { addresses }).does(
        "note 1 open
         send #1 startprivate yoda 5000 [2001:db8::1]:5000 198.51.100.1:7000",
    );
    script.types("startprivate luke").does(
        "note 2 open
         send #2 startprivate luke 5000 [2001:db8::1]:5000 198.51.100.1:7000",
    );
}

#[test]
fn without_an_address_the_link_is_asked_for_all_the_same() {
    let mut script = Script::session();
    script.types("startprivate yoda").and().happens(Event::Listening { addresses: vec![] }).does(
        "note 1 open
         send #1 startprivate yoda",
    );
}

#[test]
fn the_server_says_no() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and().server("error #1 declined startprivate").does(
        "show result 1 startprivate: declined (yoda)
         note 1 settled
         stop listening",
    );
}

#[test]
fn one_link_with_each_and_none_with_oneself() {
    let mut script = requester();
    script.types("startprivate hans").types("startprivate yoda").does(
        "show result 2 startprivate: self (hans)
         send active
         show result 3 startprivate: already_private (yoda)",
    );
    let mut script = talking();
    script.types("startprivate yoda").does(
        "show result 2 startprivate: already_private (yoda)
         send active",
    );
    let mut script = Script::session();
    script.types("startprivate yoda").types("startprivate yoda").does(
        "listen
         show result 2 startprivate: already_private (yoda)
         send active",
    );
}

#[test]
fn clients_that_do_not_find_each_other_are_unreachable() {
    for mut script in [requester(), accepter()] {
        for round in [990, 3_000, 5_990] {
            script.happens(Event::PeerUnreached { address: "192.0.2.2:6000".parse().unwrap() });
            script.after_ms(round);
        }
        script.does("dial peer 192.0.2.2:6000\ndial peer 192.0.2.2:6000");
        script.after_ms(10);
        assert_eq!(script.count("show result 1"), 1);
        assert_eq!(script.count("note 1 settled"), 1);
        assert_eq!(script.count("stop listening"), 1);
        script.and().peer_came(9).does("reset 9");
    }
}

#[test]
fn a_called_side_that_says_nothing_is_left_after_five_seconds() {
    let mut script = requester();
    script.peer_dialled(1, "192.0.2.2:6000").and().after_ms(4_999).does("");
    script.after_ms(1).does("close 1");
}

#[test]
fn an_introduction_that_nobody_asked_for_makes_nobody_call() {
    let mut script = Script::session();
    script.server(&introduction("yoda", "requester")).does("");
    script.types("startprivate luke");
    listening(&mut script).and().server(&introduction("yoda", "requester")).does("");
}

#[test]
fn an_answer_without_introduction_is_unreachable() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and().server("ok #1 startprivate yoda").does(
        "show result 1 startprivate: unreachable (yoda)
         note 1 settled
         stop listening",
    );
}

#[test]
fn a_command_is_introduced_once_on_each_link_to_the_server() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    script.server(&introduction("yoda", "requester")).does("dial peer 192.0.2.2:6000");
    script.server(&format!("introduce yoda requester {OTHER_ID} 192.0.2.3:6000")).does("");
    script.happens(Event::Disconnected).after_ms(100).happens(Event::Connected);
    script.server("hobnob 1\nresumed hans unread 0 login 7").and();
    script.server(&format!("introduce yoda requester {OTHER_ID} 192.0.2.3:6000"));
    script.does("dial peer 192.0.2.3:6000");
}

#[test]
fn at_most_four_addresses_are_dialled_and_each_once() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    let addresses = [1, 1, 2, 3, 4, 5].map(|port| format!("192.0.2.2:600{port}")).join(" ");
    script.server(&format!("introduce yoda requester {ID} {addresses}")).does(
        "dial peer 192.0.2.2:6001
         dial peer 192.0.2.2:6002
         dial peer 192.0.2.2:6003
         dial peer 192.0.2.2:6004",
    );
}

/// R35
#[test]
fn no_service_of_a_system_and_no_address_without_a_meaning_is_dialled() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    let refused = [
        "192.0.2.2:0",
        "192.0.2.2:1023",
        "0.0.0.0:6000",
        "169.254.1.1:6000",
        "[::]:6000",
        "[fe80::1]:6000",
        "[::ffff:169.254.1.1]:6000",
    ];
    script.server(&format!("introduce yoda requester {ID} {} [fd00::1]:1024", refused.join(" ")));
    script.does("dial peer [fd00::1]:1024");
}

#[test]
fn a_stranger_gets_nothing_and_is_not_seen() {
    let calls = [
        call(OTHER_ID, "yoda", "hans"),
        call(ID, "vader", "hans"),
        call(ID, "yoda", "luke"),
        format!("hobnob-private 1 {ID} yoda hans"),
        "text 1 5 hello".into(),
        "nominate".into(),
        "\u{1b}[2J".into(),
        "x".repeat(5_000),
    ];
    for call in calls {
        let mut script = requester();
        script.peer_came(9).peer(9, &call).does("reset 9");
    }
    let mut script = Script::session();
    script.peer_came(9).does("reset 9");
}

#[test]
fn an_introduction_is_used_once() {
    let mut script = talking();
    script.peer_came(9).does("reset 9");
    listening(script.types("startprivate luke")).server(&introduction("luke", "requester")).and();
    script.peer_came(10).peer(10, &call(ID, "yoda", "hans")).does("reset 10");
}

#[test]
fn a_caller_before_the_introduction_waits_for_it() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    script.peer_came(4).peer(4, &call(ID, "yoda", "hans")).does("");
    script.server(&introduction("yoda", "requester")).does(
        "dial peer 192.0.2.2:6000
         send on 4: ready / nominate",
    );
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    script.peer_came(4).peer(4, &call(OTHER_ID, "yoda", "hans")).does("");
    script.server(&introduction("yoda", "requester")).does("dial peer 192.0.2.2:6000");
    script.after_ms(300).does("reset 4");
}

#[test]
fn only_one_link_is_nominated_and_another_if_it_breaks() {
    let mut script = requester();
    script.peer_dialled(1, "192.0.2.2:6000").peer(1, "ready").and();
    script.peer_came(2).peer(2, &call(ID, "yoda", "hans")).does("send on 2: ready");
    script.peer_gone(1).does("send on 2: nominate");
    script.peer(2, "opened");
    assert_eq!(script.count("show opened yoda direct"), 1);
}

#[test]
fn the_requester_does_not_take_a_nomination() {
    let mut script = requester();
    script.peer_came(2).peer(2, &call(ID, "yoda", "hans")).and();
    script.peer(2, "nominate").does("close 2");
}

#[test]
fn requests_are_answered_as_the_settings_say() {
    let auto = Settings { accept_private: AcceptPrivate::Auto, ..Settings::default() };
    let mut script = Script::session_with(auto);
    listening(script.server("request yoda")).does(
        "listen
         send #1 accept yoda 10.0.0.1:5000",
    );
    script.server(&introduction("yoda", "accepter")).server("ok #1 accept yoda").and();
    script.peer_came(4).peer(4, &call(ID, "yoda", "hans")).peer(4, "nominate").does(
        "send on 4: ready
         send on 4: opened
         show opened yoda direct
         stop listening",
    );
    let auto = Settings { accept_private: AcceptPrivate::Auto, ..Settings::default() };
    let mut script = Script::session_with(auto);
    listening(script.server("request yoda")).server(&introduction("yoda", "accepter"));
    script.server("ok #1 accept yoda").and();
    // No line waits for the link.
    script.happens(Event::EndOfInput).does("send ack - 1 / #2 logout");
    let never = Settings { accept_private: AcceptPrivate::Never, ..Settings::default() };
    let mut script = Script::session_with(never);
    script.server("request yoda\nok #1 decline yoda").does("send #1 decline yoda");
}

#[test]
fn y_and_n_answer_the_oldest_request() {
    let mut script = Script::session_with(Settings { terminal: true, ..Settings::default() });
    script.types("y").does(
        "show result 1 y: no_request
         send active invalid",
    );
    script.server("request yoda\nrequest luke\nrequest yoda").does("show request of yoda");
    script.types("n").does(
        "note 1 open
         send #1 decline yoda
         show request of luke",
    );
    script.server("withdrawn luke").does("show request of luke is over").types("n");
    assert_eq!(script.count("show result 3 n: no_request"), 1);
    script.server("request yoda\nrequest luke").and();
    // Nobody was asked about it.
    script.server("withdrawn luke").does("");
}

#[test]
fn a_request_after_the_server_was_lost_is_another_and_comes_first() {
    let mut script = Script::session_with(Settings { terminal: true, ..Settings::default() });
    script.server("request luke\nrequest yoda").happens(Event::Disconnected).after_ms(100);
    script.happens(Event::Connected).server("hobnob 1\nresumed hans unread 0 login 7").and();
    // The server withdrew both when it lost this client, and could not say so.
    script.server("request yoda\nrequest yoda").does("show request of yoda");
    script.types("n").types("n").types("n").does(
        "note 1 open
         send #1 decline yoda
         note 2 open
         send #2 decline luke
         show result 3 n: no_request [n]
         send active invalid",
    );
}

#[test]
fn accepting_what_is_not_open_is_left_to_the_server() {
    let mut script = Script::session();
    script.server("request yoda\nwithdrawn yoda").and();
    // It may be on its way.
    script.types("accept yoda").does("listen");
    listening(&mut script).does(
        "note 1 open
         send #1 accept yoda 10.0.0.1:5000",
    );
    script.server("error #1 no_request accept").does(
        "show result 1 accept: no_request (yoda)
         note 1 settled
         stop listening",
    );
}

#[test]
fn crossing_requests_are_consent() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    // The other's request is no question any more.
    script.server("request yoda").does("");
    script.server(&introduction("yoda", "accepter")).server("ok #1 startprivate yoda").and();
    script.peer_came(4).peer(4, &call(ID, "yoda", "hans")).peer(4, "nominate").does(
        "send on 4: ready
         send on 4: opened
         show opened yoda direct
         show result 1 startprivate: ok yoda direct
         note 1 settled
         stop listening",
    );
}

#[test]
fn a_link_that_stands_before_the_answer_is_the_answer() {
    for (beginning, command, role, result) in [
        ("", "startprivate yoda", "requester", "startprivate: ok yoda direct"),
        ("request yoda", "accept yoda", "accepter", "accept: ok yoda"),
    ] {
        let mut script = Script::session();
        listening(script.server(beginning).types(command));
        script.server(&introduction("yoda", role)).happens(Event::Disconnected);
        script.peer_dialled(1, "192.0.2.2:6000").peer(1, "ready").and();
        script.peer(1, if role == "requester" { "opened" } else { "nominate" });
        assert_eq!(script.count(&format!("show result 1 {result}")), 1);
        script.after_ms(100).happens(Event::Connected).server("hobnob 1").and();
        // Asked again by a server that has restarted, the other would have said no.
        script.server("resumed hans unread 0 login 7\nerror #1 declined startprivate");
        assert_eq!((script.count("send #1"), script.count("show result")), (0, 0));
    }
}

#[test]
fn a_block_ends_a_link_that_is_being_made() {
    let mut script = requester();
    script.peer_dialled(1, "192.0.2.2:6000").peer(1, "ready").and();
    script.server("endprivate yoda").does(
        "close 1
         show result 1 startprivate: unreachable (yoda)
         note 1 settled
         stop listening",
    );
    script.peer(1, "opened").does("");
    let mut script = accepter();
    script.peer_came(4).peer(4, &call(ID, "yoda", "hans")).and();
    script.server("endprivate yoda").and().peer(4, "nominate").does("");
    // One that stands, and another that is to take its place.
    let mut script = talking();
    script.server("request yoda").types("accept yoda").server(&format!("introduce yoda accepter {OTHER_ID}"));
    script.peer_came(4).peer(4, &call(OTHER_ID, "yoda", "hans")).and();
    script.server("endprivate yoda").and().peer(4, "nominate").does("");
}

#[test]
fn a_server_that_answers_two_commands_with_one_introduction_leaves_none_open() {
    let mut script = Script::session();
    listening(script.server("request yoda").types("startprivate yoda")).types("accept yoda");
    script.server(&introduction("yoda", "requester"));
    script.server("ok #1 startprivate yoda\nok #2 accept yoda").and().after_ms(10_000);
    assert_eq!(script.count("show result 1 startprivate: unreachable (yoda)"), 1);
    assert_eq!(script.count("show result 2 accept: unreachable (yoda)"), 1);
}

#[test]
fn a_dial_of_a_meeting_that_is_over_does_not_spoil_the_next() {
    let mut script = accepter();
    script.server("request yoda").types("accept yoda");
    script.server(&format!("introduce yoda accepter {OTHER_ID} 192.0.2.2:6000\nok #2 accept yoda")).and();
    script.happens(Event::PeerUnreached { address: "192.0.2.2:6000".parse().unwrap() });
    script.peer_dialled(7, "192.0.2.2:6000").does(&format!("send on 7: {}", call(OTHER_ID, "hans", "yoda")));
}

#[test]
fn the_end_of_input_waits_for_the_link() {
    let mut script = requester();
    script.happens(Event::EndOfInput).does("");
    script.after_ms(10_000).does(
        "show result 1 startprivate: unreachable (yoda)
         note 1 settled
         send #2 logout
         stop listening",
    );
}

#[test]
fn a_new_link_takes_the_place_of_one_that_seemed_to_stand() {
    let mut script = talking();
    listening(script.server("request yoda").types("accept yoda"));
    script.server(&format!("introduce yoda accepter {OTHER_ID}\nok #2 accept yoda")).and();
    script.peer_came(4).peer(4, &call(OTHER_ID, "yoda", "hans")).peer(4, "nominate").does(
        "send on 4: ready
         send on 4: opened
         close 1
         show closed yoda lost
         show opened yoda direct
         show result 2 accept: ok yoda
         note 2 settled
         stop listening",
    );
    script.types("private yoda hi");
    assert_eq!(script.count("send on 4: text 1"), 1);
}

#[test]
fn sixty_four_requests_may_be_open() {
    let mut script = Script::session();
    for number in 0..64 {
        script.server(&format!("request u{number}"));
    }
    script.and().server("request yoda").does("send #1 decline yoda");
}

#[test]
fn a_new_request_gives_up_the_meeting_before() {
    let mut script = accepter();
    script.server("request yoda").does("show request of yoda");
    script.types("accept yoda").does(
        "note 2 open
         send #2 accept yoda 10.0.0.1:5000",
    );
    script.server(&format!("introduce yoda accepter {OTHER_ID}\nok #2 accept yoda")).does(
        "show result 1 accept: unreachable (yoda)
         note 1 settled",
    );
}
