//! Ports that the router passes on (R33).

use super::private::{introduction, listening};
use super::script::Script;
use crate::client::{Event, MapPort, Mapped, Recall, Settings, Way};
use crate::words::{DeviceKey, Password};
use alloc::format;
use core::time::Duration;

fn mapping() -> Settings {
    Settings { map_port: MapPort::Auto, ..Settings::default() }
}

fn session() -> Script {
    Script::session_with(mapping())
}

fn maps<'a>(script: &'a mut Script, attempt: u64, outside: &str, lease_secs: u64) -> &'a mut Script {
    let mapped = Some(Mapped { outside: outside.parse().unwrap(), lease_secs });
    script.happens(Event::PortMapped { attempt, mapped })
}

/// What Hans declares when he asks Yoda for a link; Yoda declines.
fn declares(script: &mut Script, number: u64) -> alloc::string::String {
    listening(script.and().types("startprivate yoda"));
    let said = script.all(&format!("send #{number} startprivate yoda")).concat();
    script.server(&format!("error #{number} declined startprivate")).and();
    said.replace(&format!("send #{number} startprivate yoda "), "")
}

#[test]
fn a_session_asks_its_router_before_anybody_is_to_be_met() {
    let (user, password) = (Some("hans".into()), Some(Password::new("falcon")));
    let mut script =
        Script::greeted(Settings { user, password, device_key: Some(DeviceKey([7; 32])), ..mapping() });
    script.server("ask password").server("welcome hans unread 0 login 7");
    assert_eq!(script.count("map port"), 0);
    script.happens(Event::StateOpened(Recall::default()));
    assert_eq!(script.count("map port 1"), 1);
}

#[test]
fn what_the_router_passes_on_is_declared_by_its_port() {
    let mut script = session();
    maps(&mut script, 1, "198.51.100.7:7000", 1_200).does("");
    assert_eq!(declares(&mut script, 1), "10.0.0.1:5000 7000");
}

#[test]
fn nothing_waits_for_a_router() {
    let mut script = session();
    assert_eq!(declares(&mut script, 1), "10.0.0.1:5000");
    script.happens(Event::PortMapped { attempt: 1, mapped: None }).does("");
    assert_eq!(declares(&mut script, 2), "10.0.0.1:5000");
    // It is not asked again and again.
    script.after(Duration::from_secs(3_600));
    assert_eq!(script.count("map port"), 0);
}

#[test]
fn an_answer_that_comes_late_is_for_the_next_link() {
    let mut script = session();
    listening(script.types("startprivate yoda")).and();
    maps(&mut script, 1, "198.51.100.7:7000", 1_200).does("");
    script.server("error #1 declined startprivate").and();
    assert_eq!(declares(&mut script, 2), "10.0.0.1:5000 7000");
}

#[test]
fn a_client_that_cannot_listen_declares_no_mapping() {
    let mut script = session();
    maps(&mut script, 1, "198.51.100.7:7000", 1_200);
    script.types("startprivate yoda").happens(Event::Listening { addresses: alloc::vec![] });
    assert_eq!(script.count("send #1 startprivate yoda 7000"), 0);
    assert_eq!(script.count("send #1 startprivate yoda"), 1);
}

#[test]
fn a_mapping_that_leads_no_further_is_given_back() {
    for outside in ["192.168.0.9:7000", "100.64.3.4:7000", "198.51.100.7:80", "[2001:db8::1]:7000"] {
        let mut script = session();
        maps(&mut script, 1, outside, 1_200).does("unmap port");
        assert_eq!(declares(&mut script, 1), "10.0.0.1:5000", "{outside}");
    }
}

#[test]
fn nobody_asks_a_router_who_has_no_use_for_it() {
    let advertise = Some("198.51.100.7:7000".parse().unwrap());
    for settings in [
        Settings { map_port: MapPort::Off, ..mapping() },
        Settings { path: Way::Relay, ..mapping() },
        Settings { private_advertise: advertise, ..mapping() },
    ] {
        let mut script = Script::session_with(settings);
        script.happens(Event::Disconnected).after_ms(100).happens(Event::Connected);
        script.server("hobnob 1 ack resume\nresumed hans unread 0 login 7");
        assert_eq!((script.count("map port"), script.count("unmap")), (0, 0));
    }
}

#[test]
fn a_mapping_is_renewed_at_half_of_its_lease() {
    let mut script = session();
    maps(&mut script, 1, "198.51.100.7:7000", 1_200);
    script.after(Duration::from_secs(599)).does("");
    script.after(Duration::from_secs(1)).does("map port 2");
    // It is good meanwhile, and the port may be another one from then on.
    assert_eq!(declares(&mut script, 1), "10.0.0.1:5000 7000");
    maps(&mut script, 2, "198.51.100.7:7001", 0);
    assert_eq!(declares(&mut script, 2), "10.0.0.1:5000 7001");
    script.after(Duration::from_secs(60));
    assert_eq!(script.count("map port 3"), 1);
    script.and();
    script.happens(Event::PortMapped { attempt: 3, mapped: None }).does("");
    assert_eq!(declares(&mut script, 3), "10.0.0.1:5000");
    let mut script = session();
    maps(&mut script, 1, "198.51.100.7:7000", u64::MAX);
    script.after(Duration::from_secs(3_600)).does("map port 2");
}

/// The connection to the server is made again.
fn resumes(script: &mut Script) -> &mut Script {
    script.after_ms(100).happens(Event::Connected).server("hobnob 1 ack resume");
    script.server("resumed hans unread 0 login 7")
}

#[test]
fn the_next_connection_has_its_own_mapping() {
    let mut script = session();
    maps(&mut script, 1, "198.51.100.7:7000", 1_200);
    script.happens(Event::Disconnected).does("show connection reconnecting\nunmap port");
    resumes(&mut script);
    assert_eq!(script.count("map port 2"), 1);
    // The first attempt may have been asked twice.
    maps(script.and(), 1, "198.51.100.7:7000", 1_200);
    assert_eq!(declares(&mut script, 1), "10.0.0.1:5000");
    maps(&mut script, 2, "198.51.100.7:7002", 1_200);
    assert_eq!(declares(&mut script, 2), "10.0.0.1:5000 7002");
}

#[test]
fn a_mapping_by_which_a_link_may_have_come_is_left_to_its_end() {
    let mut script = session();
    maps(&mut script, 1, "198.51.100.7:7000", 1_200);
    listening(script.types("startprivate yoda"));
    script.server(&introduction("yoda", "requester")).server("ok #1 startprivate yoda");
    script.peer_dialled(1, "192.0.2.2:6000").peer(1, "ready").peer(1, "opened").and();
    script.happens(Event::Disconnected);
    assert_eq!(script.count("unmap port"), 0);
    resumes(&mut script);
    assert_eq!(script.count("map port 2"), 1);
}

#[test]
fn the_end_of_a_session_gives_its_mapping_back() {
    let mut script = Script::session_with(Settings { retry_login: true, terminal: true, ..mapping() });
    script.happens(Event::Tick);
    maps(&mut script, 1, "198.51.100.7:7000", 1_200);
    script.types("logout").server("ok #1 logout\nbye logout");
    assert_eq!((script.count("unmap port"), script.count("exit")), (1, 0));
}
