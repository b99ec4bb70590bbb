//! Prices, turns, records under way, and what a connection misses (R42 to R45).

use std::time::Duration;

use hobnob::record::RecordNumber;
use hobnob::server::{Event, Settings};
use hobnob::words::LinkId;

use crate::stage::{HANS, Server, Store, YODA, unpriced, with_two};

const LUKE: LinkId = LinkId(3);

#[test]
fn a_connection_that_floods_has_its_turn_and_then_others_have_theirs() {
    let mut server = with_two(unpriced());
    server.takes_turns = false;
    server.say(HANS, &"ping yoda\n".repeat(1_000));
    // The two lines of the login count.
    assert_eq!(server.heard(HANS).lines().count(), 62);
    // What hans acknowledges holds meanwhile.
    server.say(YODA, "message hans hi\n");
    assert!(server.heard(HANS).starts_with("message 1.1 yoda"));
    server.say(HANS, "ack 1.1 -\n");
    assert_eq!(server.heard(YODA), "ok message hans delivered\n");
    // A turn for each, one after the other.
    server.say(YODA, &"ping hans\n".repeat(100));
    assert_eq!(server.heard(YODA).lines().count(), 60, "a login and a message count");
    for turn in 0..4 {
        server.handle(Event::Turn);
        let (hans, yoda) = (server.heard(HANS).lines().count(), server.heard(YODA).lines().count());
        let expected = [(64, 0), (0, 40), (64, 0), (64, 0)][turn];
        assert_eq!((hans, yoda), expected, "turn {turn}");
    }
    server.takes_turns = true;
    server.handle(Event::Turn);
    assert_eq!(server.heard(HANS).lines().count(), 1_000 - 62 - 3 * 64);
    assert!(!server.core.has_turns());
}

#[test]
fn a_command_that_reaches_many_is_a_turn() {
    let mut server = Server::new(Settings { unauthenticated_max: 0, ..unpriced() }, 70);
    for n in 0..70 {
        server.log_in(LinkId(100 + n), &format!("a-user-with-a-long-name-{n}"));
    }
    server.log_in(HANS, "hans");
    server.said.clear();
    server.takes_turns = false;
    server.say(HANS, "broadcast one\nbroadcast two\n");
    assert_eq!(server.heard(HANS), "ok broadcast 70 complete\n");
    server.handle(Event::Turn);
    assert_eq!(server.heard(HANS), "ok broadcast 70 complete\n");
}

/// What `hans` owes after some lines, in units: they pay off one a second.
fn owed(settings: Settings, lines: &str) -> u64 {
    let mut server = Server::new(Settings { rate_burst: 1, rate_per_s: 1, timeout_secs: 0, ..settings }, 3);
    // A message is delivered to yoda when it has left.
    server.handle(Event::LinkOpened { link: YODA, from: ([127, 0, 0, 1], 40_000).into(), nonce: [0; 32] });
    server.say(YODA, "login yoda pw\n");
    server.log_in(HANS, "hans");
    server.said.clear();
    for (line, after) in lines.lines().zip([100_000, 200_000, 300_000]) {
        server.now = hobnob::time::Time(0) + Duration::from_secs(after);
        server.handle(Event::Tick);
        server.said.clear();
        server.say(HANS, &format!("{line}\n"));
        server.flush(YODA);
        server.said.remove(&HANS);
    }
    let begun = server.now;
    server.say(HANS, "ping yoda\n");
    (0..10_000)
        .find(|seconds| {
            // One microsecond later less than a unit is owed.
            server.now = begun + Duration::from_secs(*seconds) + Duration::from_micros(1);
            server.handle(Event::Tick);
            !server.heard(HANS).is_empty()
        })
        .expect("it is paid off")
        + 1
}

#[test]
fn each_command_has_its_price() {
    let text = |bytes: usize| "x".repeat(bytes);
    let other = "a-user-with-a-long-name-";
    let prices = [
        ("ping yoda".into(), 1),
        ("what".into(), 1),
        (format!("message yoda {}", text(1)), 1 + 1),
        (format!("message yoda {}", text(256)), 1 + 1),
        (format!("message yoda {}", text(257)), 1 + 2),
        (format!("message luke {}", text(257)), 1 + 2 + 4),
        ("message nobody x".into(), 1),
        ("broadcast x".into(), 1 + 1),
        ("whoelse".into(), 1 + 1),
        ("block yoda".into(), 1 + 20),
        ("block nobody".into(), 1),
        // Two members lines of less than 256 bytes: for hans, and for yoda.
        ("create group g yoda luke".into(), 1 + 20 + 2 * 20 + 1 + 1),
        ("create group g yoda\ngrouplist".into(), 1 + 2),
        ("create group g yoda\ndelete group g".into(), 1 + 20 + 1),
        ("create group g yoda luke\nmessage group g x".into(), 1 + 1 + 1 + 4),
        (format!("create group g yoda\nadd group g {other}0"), 1 + 20 + 20 + 1 + 1),
        ("startprivate yoda 5000".into(), 1 + 20),
        ("startprivate luke 5000".into(), 1),
    ];
    for (lines, price) in prices {
        assert_eq!(owed(Settings::default(), &lines), price, "{}", &lines[..lines.len().min(60)]);
    }
}

#[test]
fn who_has_too_much_on_its_way_to_the_disk_waits_and_nobody_else() {
    let mut server = with_two(Settings::default());
    server.store = Store::Stalls;
    server.say(HANS, &"message luke hi\n".repeat(64));
    server.say(HANS, "ping yoda\n");
    assert_eq!((server.heard(HANS), server.records), (String::new(), 64 + 2));
    server.say(YODA, "message hans still here\nping hans\n");
    assert_eq!(server.heard(YODA), "ok ping hans online\n");
    server.say(HANS, "ack 1.1 -\n");
    assert_eq!(server.heard(YODA), "ok message hans delivered\n");
    assert!(server.heard(HANS).starts_with("message 1.1 yoda"));
    // One less is enough.
    server.handle(Event::Committed { upto: RecordNumber(3) });
    assert_eq!(server.heard(HANS), "ok message luke stored\nok ping yoda online\n");
}

#[test]
fn what_others_cause_fills_no_connection() {
    let mut server = with_two(unpriced());
    let broadcast = format!("broadcast {}\n", "x".repeat(4_000));
    for _ in 0..17 {
        server.say(HANS, &broadcast);
    }
    let sent = server.sent[&YODA];
    assert!((65_536..70_000).contains(&sent), "{sent}");
    assert_eq!(server.heard(HANS).matches("ok broadcast 1 complete").count(), 17);
    server.heard(YODA);
    // Beyond the window nothing comes but answers.
    server.say(HANS, &broadcast);
    assert_eq!(server.heard(HANS), "ok broadcast 0 complete\n");
    server.say(HANS, "create group g yoda\n");
    server.log_in(LUKE, "luke");
    server.say(HANS, "message yoda hi\n");
    server.say(YODA, "ping luke\n");
    assert_eq!(server.heard(YODA), "ok ping luke online\n");
    // Half of it has left: not enough for notices, but the message goes.
    let flushed = server.sent[&YODA] - 40_000;
    server.handle(Event::Flushed { link: YODA, upto: flushed });
    assert!(server.heard(YODA).starts_with("message 1.1 hans"));
    server.say(HANS, &broadcast);
    assert_eq!(server.heard(YODA), "");
    server.flush(YODA);
    assert_eq!(server.heard(YODA), "notice missed 4\n");
    server.say(HANS, "broadcast hi\n");
    assert!(server.heard(YODA).starts_with("broadcast "));
}

#[test]
fn a_message_that_waits_for_the_connection_is_stored_in_the_end() {
    let mut server = with_two(unpriced());
    let broadcast = format!("broadcast {}\n", "x".repeat(4_000));
    for _ in 0..17 {
        server.say(HANS, &broadcast);
    }
    server.said.clear();
    server.say(HANS, "message yoda hi\n");
    assert_eq!((server.heard(HANS), server.heard(YODA)), (String::new(), String::new()));
    server.now = server.now + Duration::from_secs(2);
    server.handle(Event::Tick);
    assert_eq!(server.heard(HANS), "ok message yoda stored\n");
}

#[test]
fn one_sender_fills_a_share_of_a_mailbox() {
    let mut server = with_two(unpriced());
    let line = format!("message luke {}\n", "x".repeat(4_096));
    // An eighth of 8 MiB.
    for _ in 0..256 {
        server.say(HANS, &line);
    }
    assert_eq!(server.heard(HANS), "ok message luke stored\n".repeat(256));
    server.say(HANS, "message luke x\n");
    assert_eq!(server.heard(HANS), "error mailbox_full message\n");
    server.say(YODA, &line);
    assert_eq!(server.heard(YODA), "ok message luke stored\n");
}

#[test]
fn one_sender_fills_a_share_of_all_mailboxes() {
    let settings = Settings { mailbox_total_bytes: 3 << 20, mailbox_per_sender: 0, ..unpriced() };
    let mut server = Server::new(settings, 2);
    server.log_in(HANS, "hans");
    server.log_in(YODA, "yoda");
    server.said.clear();
    // A sixteenth of 3 MiB is less than 1 MiB: that much it may be in any case.
    for n in 0..256 {
        server.say(HANS, &format!("message a-user-with-a-long-name-{} {}\n", n % 2, "x".repeat(4_096)));
    }
    assert_eq!(server.heard(HANS).matches("stored").count(), 256);
    server.say(HANS, "message luke x\n");
    assert_eq!(server.heard(HANS), "error mailbox_full message\n");
    server.say(YODA, "message luke x\n");
    assert_eq!(server.heard(YODA), "ok message luke stored\n");
}

#[test]
fn requests_for_private_links_are_counted_by_the_minute() {
    let mut server = with_two(unpriced());
    for _ in 0..3 {
        server.say(HANS, "startprivate yoda 5000\n");
        server.say(YODA, "decline hans\n");
    }
    assert_eq!(server.heard(HANS), "error declined startprivate\n".repeat(3));
    assert_eq!(server.heard(YODA), "request hans\nok decline hans\n".repeat(3));
    server.say(HANS, "startprivate yoda 5000\n");
    assert_eq!(server.heard(HANS), "error rate_limited startprivate\n");
    // Also after a new login, and for as long as a minute.
    server.handle(Event::LinkClosed { link: HANS });
    server.log_in(LUKE, "hans");
    server.said.clear();
    server.now = server.now + Duration::from_micros(59_999_999);
    server.say(LUKE, "startprivate yoda 5000\n");
    assert_eq!(server.heard(LUKE), "error rate_limited startprivate\n");
    // The other's requests are their own, and one that meets another is consent.
    server.say(YODA, "startprivate hans 5000\n");
    assert_eq!(server.heard(LUKE), "request yoda\n");
    server.say(LUKE, "startprivate yoda 5000\n");
    assert!(server.heard(LUKE).contains("introduce yoda accepter"));
    server.now = server.now + Duration::from_micros(1);
    server.say(LUKE, "startprivate yoda 5000\n");
    assert!(server.heard(YODA).ends_with("request hans\n"));
}
