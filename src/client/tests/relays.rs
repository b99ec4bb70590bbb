//! Private links that the server relays (R60).

use super::private::{ID, call, listening};
use super::script::Script;
use crate::client::{Event, Settings, Way};
use crate::wire::relay_line::seal;
use crate::words::LinkId;
use alloc::format;
use alloc::string::ToString;

/// The first link that is relayed, and the next.
pub(super) const LINK: u64 = (1 << 62) + 1;

/// Hans, at a server that relays.
fn session(path: Way) -> Script {
    let mut script = Script::session_with(Settings { path, ..Settings::default() });
    script.happens(Event::Disconnected).after_ms(20_000);
    script.happens(Event::Connected).server("hobnob 1 ack resume device alive courier relay");
    script.server("resumed hans unread 0 login 7").and();
    script
}

pub(super) fn introduced(path: Way, role: &str, addresses: &str) -> Script {
    let mut script = session(path);
    script.types("startprivate yoda");
    if path != Way::Relay {
        listening(&mut script);
    }
    script.server(&format!("introduce yoda {role} {ID}{addresses}")).server("ok #1 startprivate yoda");
    script
}

fn leaving<'a>(script: &'a mut Script, bytes: &[u8]) -> &'a mut Script {
    script.happens(Event::RelayLeaving { link: LinkId(LINK), bytes })
}

#[test]
fn one_who_hides_shows_no_address_and_asks_for_a_relay_at_once() {
    let mut script = introduced(Way::Relay, "requester", " 192.0.2.2:6000");
    script.does("note 1 open\nsend #1 startprivate yoda\nsend relay open yoda");
    script.server("relay opened 1 yoda");
    script.does(&format!("begin relay {LINK}, calls\nsend on {LINK}: {}", call(ID, "hans", "yoda")));
    script.peer(LINK, "ready").does(&format!("send on {LINK}: nominate"));
    script.peer(LINK, "opened").does(
        "show opened yoda relayed
         show result 1 startprivate: ok yoda relayed
         note 1 settled",
    );
    script.happens(Event::PeerClosed { link: LinkId(LINK) }).does("send relay open yoda");
    script.server("relay unknown yoda").does("show closed yoda lost");
}

#[test]
fn where_nobody_answers_soon_a_relay_is_asked_for() {
    let mut script = introduced(Way::Auto, "accepter", " 192.0.2.2:6000");
    script.after_ms(10).and().after_ms(289).does("");
    assert_eq!(script.after_ms(1).count("send relay open yoda"), 1);
    script.and().server("relay opened 1 yoda").does(&format!("begin relay {LINK}, is called"));
    script.peer(LINK, &call(ID, "yoda", "hans")).does(&format!("send on {LINK}: ready"));
    script.peer(LINK, "nominate").and();
    script.types("path yoda").does("show result 2 path: yoda auto relayed\nsend active");
}

#[test]
fn one_who_wants_direct_links_only_takes_no_relay() {
    let mut script = introduced(Way::Direct, "requester", "");
    script.after_ms(10).and().after_ms(1_990).does("");
    script.server("relay opened 1 yoda").does("send relay close 1");
    assert_eq!(script.after_ms(8_000).count("show result 1 startprivate: unreachable (yoda)"), 1);
}

#[test]
fn without_a_relay_one_who_hides_gives_up() {
    for ends in ["relay refused yoda", "relay opened 1 yoda"] {
        let mut script = introduced(Way::Relay, "requester", "");
        script.and().server(ends);
        if ends.starts_with("relay opened") {
            script.happens(Event::PeerClosed { link: LinkId(LINK) });
        }
        assert_eq!(script.count("show result 1 startprivate: unreachable (yoda)"), 1, "{ends}");
    }
}

#[test]
fn no_more_leaves_than_the_other_takes_and_the_end_comes_last() {
    let mut script = introduced(Way::Relay, "requester", "");
    script.server("relay opened 1 yoda").and();
    leaving(&mut script, &[7; 20_000]);
    let sent = |script: &Script| script.all("send").concat().matches("relay data 1 ").count();
    assert_eq!(sent(&script), 6, "five whole frames, and what is left of 16,384");
    leaving(&mut script, &[]);
    script.and().server("relay took 1 3616");
    let (whole, rest) = (seal(&[7; 3_072]), seal(&[7; 544]));
    script.does(&format!(
        "send relay data 1 {whole} / relay data 1 {rest} / relay close 1
         end relay {LINK}"
    ));
    script.server("relay took 1 1").does("");
}

#[test]
fn a_server_that_brings_too_much_loses_the_relay() {
    let mut script = introduced(Way::Relay, "requester", "");
    script.server("relay opened 1 yoda").and();
    let frame = seal(&[7; 3_072]);
    for _ in 0..5 {
        script.server(&format!("relay data 1 {frame}"));
    }
    assert_eq!(script.count("feed"), 5);
    script.and().server(&format!("relay data 1 {frame}"));
    script.does(&format!("send relay close 1\nend relay {LINK}"));
    let mut script = introduced(Way::Relay, "requester", "");
    script.server("relay opened 1 yoda").and();
    for _ in 0..50 {
        script.server(&format!("relay data 1 {frame}"));
        script.happens(Event::RelayTaken { link: LinkId(LINK), count: 3_072 });
    }
    assert_eq!((script.count("feed"), script.count("end relay")), (50, 0), "what was taken makes room");
    let mut script = introduced(Way::Relay, "requester", "");
    script.server("relay opened 1 yoda").server(&format!("relay data 1 {frame}")).and();
    script.happens(Event::RelayTaken { link: LinkId(LINK), count: 3_072 }).does("send relay took 1 3072");
    script.server("relay took 1 1").does(&format!("send relay close 1\nend relay {LINK}"));
    script.server("relay closed 1").does("");
}

#[test]
fn a_relay_ends_with_the_connection_to_the_server() {
    let mut script = introduced(Way::Relay, "requester", "");
    script.server("relay opened 1 yoda").and();
    script.happens(Event::Disconnected);
    assert_eq!(script.count(&format!("end relay {LINK}")), 1);
    assert_eq!(script.count("show connection reconnecting").to_string(), "1");
}
