//! Private links: whose keys are taken.

use super::private::{ID, OTHER_ID, call, introduction, listening};
use super::script::{KEY, OWN_KEY, Script, said_call};
use super::talking::talking;
use crate::client::{Effect, Event, KnownKey, Recall, Settings};
use crate::time::Time;
use crate::words::{DeviceKey, LinkId, Token};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

const ANOTHER: DeviceKey = DeviceKey([0x0c; 32]);

/// Hans has asked for a link with Yoda, whose key he knows.
fn knowing() -> Script {
    let mut script = Script::greeted(Settings {
        user: Some("hans".into()),
        password: Some(crate::words::Password::new("falcon")),
        device_key: Some(OWN_KEY),
        ..Settings::default()
    });
    script.server("ask password").server("welcome hans unread 0 login 7");
    let known = KnownKey { user: "yoda".into(), key: KEY, is_verified: false };
    script.happens(Event::StateOpened(Recall { keys: vec![known], ..Recall::default() }));
    listening(script.types("startprivate yoda")).and();
    script
}

fn introduced_with(key: DeviceKey) -> String {
    format!("introduce yoda requester {ID} {key} 192.0.2.2:6000")
}

#[test]
fn the_key_of_this_device_is_declared_and_the_first_of_another_is_kept() {
    let mut script = Script::session();
    script.types("startprivate yoda");
    let addresses = vec!["10.0.0.1:5000".parse().unwrap()];
    let effects = script.client().handle(Event::Listening { addresses }, Time(1_000_000_001));
    let sent = |effect| if let Effect::Send { bytes } = effect { bytes.to_vec() } else { vec![] };
    let said: Vec<u8> = effects.flat_map(sent).collect();
    assert_eq!(String::from_utf8_lossy(&said), format!("#1 startprivate yoda {OWN_KEY} 10.0.0.1:5000\n"));
}

#[test]
fn another_key_of_a_known_user_stops_the_link_until_it_is_trusted() {
    let mut script = knowing();
    script.server(&introduced_with(ANOTHER)).server("ok #1 startprivate yoda").does(
        "show result 1 startprivate: key_changed (yoda)
         note 1 settled
         stop listening",
    );
    script.types("trust luke").types("trust yoda").types("trust yoda").does(&format!(
        "show result 2 trust: no_request (luke)
         send active
         keep {ANOTHER} of yoda
         show result 3 trust: ok yoda
         show result 4 trust: no_request (yoda)"
    ));
    listening(script.types("startprivate yoda")).and().server(&introduced_with(ANOTHER));
    script.does("dial peer 192.0.2.2:6000");
}

#[test]
fn who_shows_no_key_is_unreachable() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).and();
    script.server(&format!("introduce yoda requester {ID} nokey 192.0.2.2:6000"));
    script.server("ok #1 startprivate yoda").does(
        "show result 1 startprivate: unreachable (yoda)
         note 1 settled
         stop listening",
    );
}

#[test]
fn a_link_whose_key_is_not_that_of_the_introduction_is_closed() {
    for dialled in [true, false] {
        let mut script = knowing();
        script.proves = Some(ANOTHER);
        script.server(&introduced_with(KEY)).server("ok #1 startprivate yoda").and();
        if dialled {
            script
                .peer_dialled(3, "192.0.2.2:6000")
                .does(&format!("send on 3: {}\nclose 3", call(ID, "hans", "yoda")));
        } else {
            script.peer_came(3).peer(3, &call(ID, "yoda", "hans")).does("close 3");
        }
    }
}

#[test]
fn nothing_is_taken_before_the_key_is_proved() {
    let mut script = knowing();
    script.proves = None;
    script.server(&introduced_with(KEY)).server("ok #1 startprivate yoda").and();
    script.peer_dialled(3, "192.0.2.2:6000").and().peer(3, "ready").does("close 3");
    script.peer_came(4).peer(4, &call(ID, "yoda", "hans")).after_ms(4_999).and();
    script.after_ms(1).does("close 4");
    // Told of a link that is not being encrypted, it does nothing.
    script.happens(Event::PeerProved { link: LinkId(9), key: KEY, can_move: true }).does("");
}

#[test]
fn a_call_is_good_once() {
    let mut script = knowing();
    script.server(&introduced_with(KEY)).server("ok #1 startprivate yoda").and();
    let said = said_call(ID, Token([7; 16]), false, "yoda", "hans");
    script.peer_came(3).peer(3, &said).does("send on 3: ready / nominate");
    script.peer_came(4).peer(4, &said).does("reset 4");
    let other = said_call(OTHER_ID, Token([8; 16]), false, "yoda", "hans");
    script.peer_came(5).peer(5, &other).does("reset 5");
}

#[test]
fn a_code_is_shown_while_a_link_is_open_and_what_the_person_says_of_it_is_kept() {
    let mut script = Script::session();
    script.types("verify yoda").does("show result 1 verify: not_private (yoda)\nsend active");
    let mut script = talking();
    script.types("verify yoda");
    let code = script.all("show result 2 verify: code of yoda ").concat();
    assert_eq!(code.len(), "show result 2 verify: code of yoda ".len() + 47, "{code}");
    script.and().types("verify yoda yes");
    let shown = code.replace("result 2", "result 3");
    script.does(&format!("keep {KEY} of yoda verified\n{shown} verified"));
    script.types("verify yoda yes").does(&format!("{} verified", code.replace("result 2", "result 4")));
}

#[test]
fn an_introduction_by_the_server_alone_teaches_no_key() {
    let mut script = Script::session();
    listening(script.types("startprivate yoda")).server(&introduction("yoda", "requester")).and();
    script.server("ok #1 startprivate yoda").after_ms(10_000).and();
    listening(script.types("startprivate yoda")).and().server(&introduced_with(ANOTHER));
    script.does("dial peer 192.0.2.2:6000");
}
