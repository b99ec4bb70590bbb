//! Lines from the server, read and written.

use super::*;
use crate::wire::parts::Words;
use crate::words::DeviceKey;
use crate::words::{Origin, Text, Token};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

fn names(names: &str) -> Words<'_> {
    Words::new(names).unwrap()
}

fn delivered() -> Delivery<'static> {
    Delivery {
        id: MessageId { boot: 3, number: 17 },
        from: "yoda",
        sent_at: Time(1_793_520_000_000_000),
        origin: Some(Origin { login: LoginNumber(4), number: 12 }),
        freshness: Freshness::Live,
        text: Text::new(" hi ").unwrap(),
    }
}

/// Read and written.
fn both_ways(table: &[(&str, ServerLine<'_>)]) {
    for (line, expected) in table {
        assert_eq!(ServerLine::parse(line.as_bytes()).as_ref(), Ok(expected), "{line:?}");
        let mut out = Vec::new();
        expected.encode(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), alloc::format!("{line}\n"));
    }
}

#[test]
fn lines_of_a_session() {
    let admission = Admission { user: "hans", unread: 2, login: LoginNumber(7), token: None };
    let resumed = Admission { token: Some(Token([0x0f; 16])), ..admission };
    let both = Capabilities { acknowledge: true, resume: true, ..Capabilities::default() };
    both_ways(&[
        ("hobnob 1 ack resume", ServerLine::Greeting { version: 1, capabilities: both }),
        ("hobnob 2", ServerLine::Greeting { version: 2, capabilities: Capabilities::default() }),
        ("ask new_password", ServerLine::Ask(Prompt::NewPassword)),
        ("welcome hans unread 2 login 7", ServerLine::Welcome(admission)),
        (
            "resumed hans unread 2 login 7 token 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
            ServerLine::Resumed(resumed),
        ),
        (
            "refused invalid_credentials 2",
            ServerLine::Refused(Refusal::InvalidCredentials { attempts_left: 2 }),
        ),
        ("refused locked_out 60", ServerLine::Refused(Refusal::LockedOut { retry_after_secs: 60 })),
        ("refused stale", ServerLine::Refused(Refusal::Stale)),
        ("notice failed_logins 3", ServerLine::Notice(Notice::FailedLogins { count: 3 })),
        ("notice expired 2", ServerLine::Notice(Notice::Expired { count: 2 })),
        ("notice missed 12", ServerLine::Notice(Notice::Missed { count: 12 })),
        ("notice idle 60", ServerLine::Notice(Notice::Idle { seconds: 60 })),
        (
            "notice operator back at 5",
            ServerLine::Notice(Notice::Operator { text: Text::new("back at 5").unwrap() }),
        ),
        ("bye kicked", ServerLine::Bye(Farewell::Kicked)),
        ("bye server_shutdown", ServerLine::Bye(Farewell::ServerShutdown)),
    ]);
    let later = ServerLine::parse(b"hobnob 1 ack compress resume");
    assert_eq!(later, Ok(ServerLine::Greeting { version: 1, capabilities: both }));
}

#[test]
fn messages_and_presence() {
    let stored = Delivery { origin: None, freshness: Freshness::Stored, ..delivered() };
    let addresses = vec!["10.0.0.2:5123".parse().unwrap(), "[::1]:5123".parse().unwrap()];
    let id = Token([0xab; 16]);
    both_ways(&[
        ("message 3.17 yoda 1793520000000000 4.12 live  hi ", ServerLine::Message(delivered())),
        ("broadcast 3.17 yoda 1793520000000000 4.12 live  hi ", ServerLine::Broadcast(delivered())),
        (
            "group-message 3.17 crew yoda 1793520000000000 - stored  hi ",
            ServerLine::GroupMessage { group: "crew", delivery: stored },
        ),
        ("online yoda", ServerLine::Online { user: "yoda" }),
        ("offline yoda", ServerLine::Offline { user: "yoda" }),
        ("users luke yoda", ServerLine::Users { number: None, users: names("luke yoda") }),
        ("users #7", ServerLine::Users { number: Some(7), users: names("") }),
        (
            "members #7 crew hans yoda",
            ServerLine::Members { number: Some(7), group: "crew", members: names("hans yoda") },
        ),
        ("changed crew hans", ServerLine::Changed { group: "crew", by: "hans" }),
        ("request yoda", ServerLine::Request { from: "yoda" }),
        ("withdrawn yoda", ServerLine::Withdrawn { from: "yoda" }),
        (
            "introduce yoda accepter abababababababababababababababab 10.0.0.2:5123 [::1]:5123",
            ServerLine::Introduce { user: "yoda", role: Role::Accepter, id, key: None, addresses },
        ),
        (
            "introduce yoda accepter abababababababababababababababab \
             ed25519:CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws",
            ServerLine::Introduce {
                user: "yoda",
                role: Role::Accepter,
                id,
                key: Some(DeviceKey([0x0b; 32])),
                addresses: vec![],
            },
        ),
        ("help  message USER TEXT", ServerLine::Help(Text::new(" message USER TEXT").unwrap())),
    ]);
}

#[test]
fn answers() {
    let done = |number, answer| ServerLine::Done { number, answer };
    let failed = |number, code, command| ServerLine::Failed { number, code, command };
    let grouped = Answer::MessageGroup { group: "crew", delivered: 2, stored: 1, refused: 0, withheld: true };
    both_ways(&[
        ("ok message yoda stored", done(None, Answer::Message { to: "yoda", status: Status::Stored })),
        (
            "ok message yoda stored 1793520000000000",
            done(None, Answer::StoredUntil { to: "yoda", until: Time(1_793_520_000_000_000) }),
        ),
        ("ok #0 message group crew 2 1 0 withheld", done(Some(0), grouped)),
        ("ok broadcast 3 complete", done(None, Answer::Broadcast { recipients: 3, withheld: false })),
        ("ok whoelse 2", done(None, Answer::Whoelse { count: 2 })),
        ("ok offline 0", done(None, Answer::Offline { messages: 0 })),
        ("ok seen yoda online -", done(None, Answer::Seen { user: "yoda", presence: Presence::Now })),
        (
            "ok seen yoda offline 1793520000000000",
            done(None, Answer::Seen { user: "yoda", presence: Presence::Until(Time(1_793_520_000_000_000)) }),
        ),
        ("ok seen yoda offline -", done(None, Answer::Seen { user: "yoda", presence: Presence::Never })),
        ("ok away", done(None, Answer::Away)),
        ("ok #4 op", done(Some(4), Answer::Op)),
        ("ok ping yoda blocked", done(None, Answer::Ping { user: "yoda", status: PingStatus::Blocked })),
        ("ok #7 create group crew", done(Some(7), Answer::CreateGroup { group: "crew" })),
        ("ok delete group crew", done(None, Answer::DeleteGroup { group: "crew" })),
        ("ok logout", done(None, Answer::Logout)),
        ("error #7 self message", failed(Some(7), Code::Oneself, "message")),
        ("error unknown_command #07", failed(None, Code::UnknownCommand, "#07")),
        ("error usage create group", failed(None, Code::Usage, "create group")),
        ("error too_long", failed(None, Code::TooLong, "")),
    ]);
}

/// R8
#[test]
fn other_spellings_are_garbled() {
    for line in [
        "",
        " ",
        "shout",
        " online yoda",
        "online  yoda",
        "online yoda ",
        "online",
        "Online yoda",
        "hobnob",
        "hobnob 01 ack",
        "hobnob 1  ack",
        "ask name",
        "welcome hans unread 2",
        "welcome hans unread -2 login 7",
        "welcome hans unread 2 login 7 token abc",
        "welcome hans unread 2 login 7 token ABABABABABABABABABABABABABABABAB",
        "refused",
        "refused busy 1",
        "refused invalid_credentials",
        "refused invalid_credentials 4294967296",
        "ok",
        "ok shout",
        "ok #07 logout",
        "ok # logout",
        "ok logout now",
        "ok message group stored",
        "ok message group crew 2 1 0",
        "ok message yoda lost",
        "ok message yoda stored 01",
        "ok message yoda stored 1 2",
        "ok message yoda delivered 1",
        "ok create crew",
        "ok whoelse two",
        "ok whoelse 18446744073709551616",
        "error shout",
        "error usage ",
        "message 3.17 yoda 1793520000000000 4.12 live",
        "message 3.17 yoda 1793520000000000 4.12 live ",
        "message 3.17 yoda 1793520000000000 4.12 early hi",
        "message 3 yoda 1793520000000000 4.12 live hi",
        "message 03.17 yoda 1793520000000000 4.12 live hi",
        "message 3.17 yoda 1793520000000000 live hi",
        "broadcast 3.17 yoda 1793520000000000 4.12 stored hi",
        "users  yoda",
        "users yoda ",
        "introduce yoda friend abababababababababababababababab",
        "introduce yoda accepter abababababababababababababababab 10.0.0.2",
        "introduce yoda accepter abababababababababababababababab 10.0.0.2:05123",
        "introduce yoda accepter abababababababababababababababab [::1]:05123",
        "introduce yoda accepter abababababababababababababababab [::1%1]:5123",
        "introduce yoda accepter abababababababababababababababab [0:0::1]:5123",
        "introduce yoda accepter abababababababababababababababab [::AB]:5123",
        "order # 9",
        "order #9",
        "order #7 #9",
        "online yo\nda",
    ] {
        assert_eq!(ServerLine::parse(line.as_bytes()), Err(Garbled), "{line:?}");
    }
    assert_eq!(ServerLine::parse(b"online yod\xe4"), Err(Garbled));
}
