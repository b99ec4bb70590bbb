//! Limits of the server's core that take more than a transcript: nothing happens at the limit; one past it,
//! the user concerned hears of it, and nobody else is affected.

mod prices;
mod stage;

use hobnob::record::{Mail, RecordNumber, Recovery};
use hobnob::server::settings::OfflineDelivery;
use hobnob::server::{Event, Settings};
use hobnob::time::Time;
use hobnob::words::{LinkId, MessageId, Name};

use crate::stage::{HANS, Server, Store, YODA, unpriced, with_two};

/// With `hans` in so many groups of so many members: the `grouplist` of hans is as long as a test needs.
fn with_groups(groups: usize, members: usize) -> Server {
    let mut server = Server::new(unpriced(), members);
    server.log_in(HANS, "hans");
    let names: Vec<String> = (0..members).map(|n| format!("a-user-with-a-long-name-{n}")).collect();
    for group in 0..groups {
        server.say(HANS, &format!("create group crew{group} {}\n", names.join(" ")));
    }
    server.handle(Event::Flushed { link: HANS, upto: u64::MAX });
    server.said.clear();
    server
}

/// How far a link reads at a time.
#[derive(Clone, Copy, Debug)]
enum Reads {
    All,
    Some(u64),
}

/// Reads a link until no more is sent on it; returns all that was.
fn read(server: &mut Server, link: LinkId, reads: Reads) -> String {
    let (mut upto, mut came) = (0, String::new());
    while upto < server.sent[&link] && server.closed.is_empty() {
        upto = match reads {
            Reads::All => server.sent[&link],
            Reads::Some(bytes) => (upto + bytes).min(server.sent[&link]),
        };
        server.handle(Event::Flushed { link, upto });
        let more = server.heard(link);
        assert!(more.len() < 100_000, "{} bytes at once", more.len());
        came.push_str(&more);
    }
    came
}

const READING: [Reads; 4] = [Reads::All, Reads::Some(300), Reads::Some(1_000), Reads::Some(40_000)];

#[test]
fn lists_that_nobody_reads_wait_and_so_does_the_next_line() {
    // Of 1, 3, 7, 9, 13 and 110 kB: of some the last that waited fills what may be under way, of others
    // one before it.
    for (groups, members) in [(1, 30), (1, 100), (3, 85), (3, 110), (5, 100), (40, 100)] {
        for reads in READING {
            let mut server = with_groups(groups, members);
            server.say(HANS, &"grouplist\n".repeat(60));
            let mut heard = server.heard(HANS);
            assert!(heard.len() < 100_000, "{} bytes", heard.len());
            assert!(heard.matches("ok grouplist").count() < 60);
            // Once it reads, it gets the rest, and is obeyed.
            heard += &read(&mut server, HANS, reads);
            let lists = heard.matches("ok grouplist").count();
            assert_eq!(lists, 60, "{groups} of {members}, {reads:?}");
            server.say(HANS, "ping yoda\n");
            assert_eq!(server.heard(HANS), "ok ping yoda offline\n");
        }
    }
}

#[test]
fn a_logout_waits_for_the_lists_before_it() {
    for (groups, members, lists) in [(3, 85, 8), (3, 110, 7), (3, 110, 8), (40, 100, 1)] {
        for reads in READING {
            let mut server = with_groups(groups, members);
            server.log_in(YODA, "yoda");
            server.said.clear();
            server.say(HANS, &format!("{}logout\nping yoda\n", "grouplist\n".repeat(lists)));
            let mut heard = server.heard(HANS);
            let count = |heard: &str| heard.matches("ok grouplist").count();
            assert!(count(&heard) < lists, "the lists are too short for this test");
            assert_eq!((server.closed.len(), server.heard(YODA)), (0, String::new()));
            heard += &read(&mut server, HANS, reads);
            assert_eq!((count(&heard), server.closed.as_slice()), (lists, &[HANS][..]));
            assert!(heard.ends_with(&format!("ok grouplist {groups}\nok logout\nbye logout\n")));
            assert_eq!(server.heard(YODA), "offline hans\n");
        }
    }
}

#[test]
fn lists_after_a_change_come_when_it_is_durable() {
    let mut server = with_groups(3, 85);
    server.store = Store::Stalls;
    server.say(HANS, &format!("create group crew hans\n{}logout\n", "grouplist\n".repeat(20)));
    assert_eq!(server.heard(HANS), "");
    server.store = Store::Commits;
    server.handle(Event::Committed { upto: RecordNumber(1_000) });
    let heard = server.heard(HANS) + &read(&mut server, HANS, Reads::All);
    assert_eq!(heard.matches("ok grouplist 4\n").count(), 20);
    assert!(
        heard.starts_with("members crew hans\nok create group crew\n") && heard.ends_with("bye logout\n")
    );
}

#[test]
fn a_store_that_stalls_keeps_nothing_from_a_user_who_waits_for_it() {
    let mut server = with_two(unpriced());
    server.store = Store::Stalls;
    server.say(YODA, "create group crew yoda\n");
    let broadcast = format!("broadcast {}\n", "x".repeat(4_000));
    for count in 1..=400 {
        server.say(HANS, &broadcast);
        assert!(server.heard(YODA).ends_with("x\n"), "broadcast {count}");
        server.flush(YODA);
    }
    assert_eq!((server.closed.as_slice(), server.limits.len()), (&[][..], 0));
}

#[test]
fn input_that_waits_is_bounded() {
    let mut server = with_two(unpriced());
    server.store = Store::Stalls;
    let line = format!("message hans {}\n", "x".repeat(1_011));
    server.say(YODA, "create group crew yoda\n");
    for _ in 0..63 {
        server.say(YODA, &line);
    }
    assert_eq!(server.paused, [], "63 KiB are taken");
    server.say(YODA, &line.repeat(2));
    assert_eq!(server.paused, [YODA]);
    // What was on its way when the link was paused is taken as well, but there is an end to it.
    for _ in 0..900 {
        server.say(YODA, &line);
    }
    assert_eq!((server.heard(HANS).as_str(), server.closed.as_slice()), ("", &[][..]));
    for _ in 0..100 {
        server.say(YODA, &line);
    }
    assert_eq!((server.closed.as_slice(), server.limits.as_slice()), (&[YODA][..], &[INPUT][..]));
}

#[test]
fn a_paused_link_is_read_again_when_its_input_was_obeyed() {
    let mut server = with_two(unpriced());
    server.store = Store::Stalls;
    server.say(YODA, "create group crew yoda\n");
    let line = format!("message hans {}\n", "x".repeat(1_011));
    server.say(YODA, &line.repeat(65));
    assert_eq!((server.heard(HANS).as_str(), server.paused.as_slice()), ("", &[YODA][..]));
    server.store = Store::Commits;
    server.handle(Event::Committed { upto: RecordNumber(1_000) });
    let mut heard = server.heard(HANS);
    server.flush(HANS);
    heard += &server.heard(HANS);
    assert_eq!(heard.matches("message 1.").count(), 65);
    assert_eq!(server.paused, []);
}

/// The report when a client goes on although its link is paused: no setting allows more.
const INPUT: &str = "1 MiB of input that waits";

/// Logs `yoda` in, who takes none of the mail of hans; no further page may be asked for.
fn with_a_full_window(settings: Settings) -> Server {
    let mut server = Server::new(settings, 0);
    server.log_in(HANS, "hans");
    server.say(HANS, &"message yoda hi\n".repeat(300));
    server.log_in(YODA, "yoda");
    if server.loads.is_empty() {
        server.say(YODA, "offline\n");
    }
    for page in 0..6 {
        let ticket = server.loads.pop().expect("a page is asked for");
        let mail = (1..=48).map(|n| mail(page * 48 + n)).collect();
        server.handle(Event::MailLoaded { ticket, mail, more: true });
    }
    assert!(server.loads.is_empty(), "the window is not full");
    server.said.clear();
    server
}

fn mail(number: u64) -> Mail {
    let from = Name::new("hans").unwrap();
    let id = MessageId { boot: 1, number };
    Mail { id, from, group: None, origin: None, sent_at: Time(0), text: "hi".parse().expect("a text") }
}

/// Acknowledges messages as they are shown, and answers that no mail is left; counts the questions.
fn drain(server: &mut Server) -> usize {
    server.say(YODA, "ack 1.288 -\n");
    let mut asked = 0;
    while let Some(ticket) = server.loads.pop() {
        asked += 1;
        server.handle(Event::MailLoaded { ticket, mail: Vec::new(), more: false });
    }
    asked
}

#[test]
fn mail_that_nobody_takes_is_asked_for_once() {
    let mut server = with_a_full_window(Settings { offline_delivery: OfflineDelivery::Manual, ..unpriced() });
    // One is being answered already, the next one waits, and will show all that any other could.
    server.say(YODA, "offline\n");
    assert_eq!(server.heard(YODA), "");
    server.say(YODA, &"offline\n".repeat(1_000));
    assert!(server.heard(YODA) == "ok offline 0\n".repeat(1_000), "others wait or are refused");
    // The link is read all the same: how else would it acknowledge?
    assert_eq!(drain(&mut server), 2);
    assert_eq!(server.heard(YODA), "ok offline 288\nok offline 0\n");
    server.say(YODA, "offline\n");
    assert_eq!((drain(&mut server), server.heard(YODA)), (1, "ok offline 0\n".into()));
}

#[test]
fn a_block_that_comes_and_goes_asks_for_held_mail_once() {
    let mut server = with_a_full_window(unpriced());
    server.say(YODA, &"block hans\nunblock hans\n".repeat(1_000));
    assert!(server.heard(YODA) == "ok block hans\nok unblock hans\n".repeat(1_000));
    // What the login still shows, and what was held back.
    assert_eq!(drain(&mut server), 2);
    // Nothing is stored of luke that could have been held back.
    server.say(YODA, "block luke\nunblock luke\n");
    assert_eq!(drain(&mut server), 0);
    server.say(YODA, "block hans\nunblock hans\n");
    assert_eq!(drain(&mut server), 1);
}

/// How many messages of `hans` have been sent to `yoda` since the last look.
fn messages_sent(server: &mut Server) -> usize {
    server.heard(YODA).lines().filter(|line| line.starts_with("message ")).count()
}

#[test]
fn of_many_messages_2_048_are_under_way_and_4_096_wait_in_memory() {
    let mut server = with_two(Settings { rate_burst: 0, ..Settings::default() });
    server.say(HANS, &"message yoda x\n".repeat(2_049));
    assert_eq!(messages_sent(&mut server), 2_048);
    let before = server.records;
    server.say(HANS, &"message yoda x\n".repeat(4_095));
    assert_eq!((messages_sent(&mut server), server.records - before), (0, 0));
    server.say(HANS, "message yoda x\n");
    assert_eq!(messages_sent(&mut server), 0);
    assert_ne!(server.records, before, "what waits is stored");
}

#[test]
fn of_long_messages_64_kib_are_under_way_and_256_kib_wait_in_memory() {
    let mut server = with_two(Settings { rate_burst: 0, ..Settings::default() });
    let line = format!("message yoda {}\n", "x".repeat(1_000));
    server.say(HANS, &line.repeat(67));
    let before = messages_sent(&mut server);
    // The connection takes no more than 64 KiB at once either.
    server.flush(YODA);
    assert_eq!(before + messages_sent(&mut server), 66);
    server.flush(YODA);
    let before = server.records;
    server.say(HANS, &line.repeat(261));
    assert_eq!((messages_sent(&mut server), server.records - before), (0, 0));
    server.say(HANS, &line);
    assert_ne!(server.records, before, "what waits is stored");
}

#[test]
fn a_line_at_the_limit_is_taken_and_one_past_it_is_not() {
    let mut server = with_two(unpriced());
    let room = 4_096 + 512 - "broadcast ".len();
    server.say(HANS, &format!("broadcast {}\n", "x".repeat(room)));
    assert_eq!(server.heard(HANS), "ok broadcast 1 complete\n");
    server.say(HANS, &format!("broadcast {}\nping yoda\n", "x".repeat(room + 1)));
    assert_eq!(server.heard(HANS), "error too_long\nok ping yoda online\n");
}

#[test]
fn an_endless_line_ends_its_link_and_no_other() {
    let mut server = with_two(unpriced());
    server.say(HANS, &"x".repeat(64 * 1024));
    assert_eq!(server.closed, []);
    server.say(HANS, "x");
    assert_eq!((server.closed.as_slice(), server.limits.as_slice()), (&[HANS][..], &["line_bytes"][..]));
    assert_eq!(server.heard(YODA), "offline hans\n");
}

#[test]
fn a_large_limit_leaves_as_much_room_before_a_line_is_endless() {
    let limit = 100_000 + 512;
    let line = |length: usize| format!("broadcast {}\n", "x".repeat(length - "broadcast ".len()));
    let with_limit = || with_two(Settings { line_bytes: 100_000, ..unpriced() });
    let mut server = with_limit();
    server.say(HANS, &line(limit));
    server.say(HANS, &line(limit + 1));
    server.say(HANS, &line(2 * limit));
    assert_eq!(server.heard(HANS), "ok broadcast 1 complete\nerror too_long\nerror too_long\n");
    server.say(HANS, &line(2 * limit + 1));
    assert_eq!((server.closed.as_slice(), server.limits.as_slice()), (&[HANS][..], &["line_bytes"][..]));
    // The same if the end of the line has not come.
    let mut server = with_limit();
    server.say(HANS, &"x".repeat(2 * limit));
    assert_eq!(server.closed, []);
    server.say(HANS, "x");
    assert_eq!(server.closed, [HANS]);
}

#[test]
fn requests_for_private_links_are_limited_for_each_user() {
    let mut server = Server::new(Settings { unauthenticated_max: 0, ..unpriced() }, 17);
    for n in 0..17 {
        server.log_in(LinkId(100 + n), &format!("a-user-with-a-long-name-{n}"));
    }
    server.log_in(HANS, "hans");
    server.said.clear();
    for n in 0..16 {
        server.say(HANS, &format!("startprivate a-user-with-a-long-name-{n} 5000\n"));
    }
    assert_eq!(server.heard(HANS), "");
    server.say(HANS, "startprivate a-user-with-a-long-name-16 5000\n");
    assert_eq!(server.heard(HANS), "error rate_limited startprivate\n");
    assert_eq!(server.heard(LinkId(116)), "");
    // The places belong to those who ask: hans may be asked, and may answer.
    server.say(LinkId(116), "startprivate hans 5000\n");
    assert_eq!(server.heard(HANS), "request a-user-with-a-long-name-16\n");
}

#[test]
fn debug_output_holds_nothing_that_was_typed() {
    let mut server = Server::new(unpriced(), 0);
    server.handle(Event::LinkOpened { link: HANS, from: ([127, 0, 0, 1], 4_000).into(), nonce: [77; 32] });
    server.say(HANS, "login hans falc");
    let recovery = Recovery { secret: [77; 32], ..Recovery::default() };
    let opened = Event::LinkOpened { link: HANS, from: ([127, 0, 0, 1], 4_000).into(), nonce: [77; 32] };
    let shown = format!("{:?} {recovery:?} {opened:?}", server.core);
    let typed = format!("{:?}", Event::Received { link: HANS, bytes: b"login hans falcon" });
    assert!(!shown.contains("77") && !shown.contains("102") && !shown.contains("falc"), "{shown}");
    assert_eq!(typed, "Received(LinkId(1), 17 bytes)");
}

#[test]
fn coming_and_going_while_the_store_stalls_fills_nothing() {
    let mut server = Server::new(unpriced(), 0);
    server.store = Store::Stalls;
    for link in 1..=1_000 {
        server.log_in(LinkId(link), "hans");
        server.handle(Event::LinkClosed { link: LinkId(link) });
    }
    assert!(server.records < 100, "{} records wait for the store", server.records);
    // Once the store has caught up they are in.
    server.store = Store::Commits;
    server.handle(Event::Committed { upto: RecordNumber(1_000_000) });
    server.log_in(LinkId(2_000), "hans");
    assert!(server.heard(LinkId(2_000)).contains("welcome hans"));
}
