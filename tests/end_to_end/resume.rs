//! Connections that are lost and come back; clients and servers that die.

use rustix::process::Signal;
use support::{Cable, Client, Place, Server, password};

#[test]
fn a_session_goes_on_over_a_restart() {
    let mut server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    yoda.ok("block luke");
    server.kill();
    hans.wait("the loss", |object| object["state"] == "reconnecting");
    yoda.wait("the loss", |object| object["state"] == "reconnecting");
    // Typed while there is no connection; sent on the next one.
    let line = hans.say("message yoda over the gap");
    server.start_again();
    hans.wait("the server", |object| object["state"] == "resumed");
    assert_eq!(hans.result_of(line)["ok"], true);
    yoda.message("over the gap");
    assert_eq!(yoda.count(|object| object["text"] == "over the gap"), 1);
    assert_eq!(hans.count(|object| object["type"] == "login"), 1, "no second login");
    hans.log_out();
    yoda.log_out();
}

#[test]
fn everything_sent_before_during_and_after_a_crash_arrives_once_and_in_order() {
    const COUNT: usize = 300;
    let mut server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    hans.say_all((0..COUNT).map(|number| format!("message yoda number {number}")));
    yoda.message("number 20");
    server.kill();
    hans.say_all((COUNT..2 * COUNT).map(|number| format!("message yoda number {number}")));
    server.start_again();
    let (code, rest) = hans.end();
    assert_eq!(code, 0);
    let good = rest.iter().filter(|object| object["type"] == "result" && object["ok"] == true).count();
    assert_eq!(good, 2 * COUNT);
    yoda.message(&format!("number {}", 2 * COUNT - 1));
    let all = yoda.shown("message");
    let texts: Vec<&str> = all.iter().filter_map(|object| object["text"].as_str()).collect();
    let wanted: Vec<String> = (0..2 * COUNT).map(|number| format!("number {number}")).collect();
    assert_eq!(texts, wanted);
}

#[test]
fn without_reconnecting_a_lost_server_is_3() {
    let mut server = Server::start(&[]);
    let mut hans = server.user_with("hans", &["--reconnect", "0"]);
    server.kill();
    assert_eq!(hans.wait_for("bye")["reason"], "connection_lost");
    assert_eq!(hans.ended(), 3);
    server.start_again();
    let mut yoda = server.user_with("yoda", &["--reconnect", "1"]);
    server.kill();
    let line = yoda.say("message hans nobody hears");
    assert_eq!(yoda.wait_for("bye")["reason"], "connection_lost");
    assert_eq!(yoda.ended(), 3);
    let result = yoda.result_of(line);
    assert_eq!(result["ok"], false);
    assert!(["not_connected", "outcome_unknown"].contains(&result["error"].as_str().unwrap_or_default()));
}

#[test]
fn an_announced_stop_is_3() {
    let mut server = Server::start(&[]);
    let mut hans = server.user("hans");
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(hans.wait_for("bye")["reason"], "server_shutdown");
    assert_eq!(hans.ended(), 3);
    server.start_again();
    server.signal(Signal::INT);
    assert_eq!(server.ended().code, Some(0));
}

#[test]
fn a_killed_client_is_gone_at_once_and_can_come_back() {
    let server = Server::start(&["presence_burst=0"]);
    let mut luke = server.user("luke");
    for _ in 0..5 {
        server.user("hans").kill();
        luke.presence("hans", true);
        luke.presence("hans", false);
    }
    assert!(luke.users("whoelse").is_empty());
    luke.ok("message hans while you were away");
    let mut hans = server.user("hans");
    hans.message("while you were away");
    hans.log_out();
}

#[test]
fn a_frozen_client_loses_nothing_and_harms_nobody() {
    const COUNT: usize = 3_000;
    let server = Server::start(&[]);
    let (mut hans, yoda, mut luke) = (server.user("hans"), server.user("yoda"), server.user("luke"));
    yoda.signal(Signal::STOP);
    let filling = "x".repeat(200);
    hans.say_all((0..500).map(|number| format!("message yoda {number} {filling}")));
    hans.say_all((0..COUNT).map(|number| format!("message luke number {number}")));
    for number in 0..COUNT {
        assert_eq!(luke.wait_for("message")["text"], format!("number {number}"));
    }
    assert_eq!(luke.ok("message hans are you served")["status"], "delivered");
    yoda.signal(Signal::CONT);
    let mut yoda = yoda;
    yoda.message(&format!("499 {filling}"));
    assert_eq!(yoda.count(|object| object["type"] == "message"), 500);
    let (code, rest) = hans.end();
    assert_eq!(code, 0);
    assert_eq!(
        rest.iter().filter(|object| object["type"] == "result" && object["ok"] == true).count(),
        3_500
    );
}

#[test]
fn a_reader_who_never_reads_harms_nobody() {
    let server = Server::start(&["output_bytes=65536", "output_stall_secs=1"]);
    let (mut hans, mut luke) = (server.user("hans"), server.user("luke"));
    let deaf = server.wire_user("yoda");
    rustix::net::sockopt::set_socket_recv_buffer_size(deaf.stream(), 4_096).expect("a small buffer");
    let filling = "x".repeat(3_000);
    for round in 0..20 {
        hans.say_all((0..100).map(|_| format!("message yoda {filling}")));
        hans.ok(&format!("message luke {round}"));
        luke.message(&round.to_string());
    }
    drop(deaf);
    luke.ok("whoelse");
    hans.log_out();
}

#[test]
fn within_the_grace_a_resume_makes_no_notice() {
    let server = Server::start(&["resume_grace_secs=30"]);
    let mut luke = server.user("luke");
    let hans = server.user("hans");
    luke.presence("hans", true);
    hans.kill();
    assert_eq!(luke.users("whoelse"), ["hans"], "the session outlives its link");
    assert_eq!(luke.ok("message hans in the grace")["status"], "stored");
    let mut again = server.client(&[]);
    again.answer("hans");
    again.answer(password("hans"));
    let login = again.wait_for("login");
    assert_eq!(login["ok"], true, "nobody is shut out by a session without a link: {login}");
    again.message("in the grace");
}

#[test]
fn a_password_that_is_hashed_ends_the_right_to_resume_as_a_new_one_does() {
    let place = Place::samples();
    let plain = place.read("credentials.txt");
    let cheap = ["--set", "argon2_kib=64", "--set", "argon2_passes=1"];
    let hash = |place: &Place| {
        let output = place.run_server(&[&["hash-credentials"], &cheap[..]].concat());
        assert!(output.status.success(), "{output:?}");
    };
    hash(&place);
    // Yoda's is a hash already; hash-credentials leaves it as it is.
    let with_hans_plain: String = std::iter::zip(plain.lines(), place.read("credentials.txt").lines())
        .map(|(plain, hashed)| format!("{}\n", if plain.starts_with("hans ") { plain } else { hashed }))
        .collect();
    place.write("credentials.txt", with_hans_plain);
    let mut server = Server::start_in(place, &[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    server.kill();
    hash(&server.place);
    server.start_again();
    yoda.wait("the server", |object| object["state"] == "resumed");
    assert_eq!(hans.wait_for("bye")["reason"], "connection_lost");
    assert_eq!(hans.ended(), 3);
    server.user("hans").log_out();
    yoda.log_out();
}

#[test]
fn a_hash_that_costs_too_little_is_renewed_at_a_login_and_the_right_to_resume_stays() {
    let place = Place::with("# the crew\nhans falcon\r\nyoda wise old one\n");
    let cheap = ["hash-credentials", "--set", "argon2_kib=64", "--set", "argon2_passes=1"];
    let output = place.run_server(&cheap);
    assert!(output.status.success(), "{output:?}");
    let before = place.read("credentials.txt");
    let mut server = Server::start_in(place, &["argon2_kib=128", "argon2_passes=1"]);
    let mut hans = server.client(&[]);
    hans.log_in("hans", "falcon");
    server.log_line("hashes of passwords renewed: 1");
    let after = server.place.read("credentials.txt");
    let lines = |text: &str| text.split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (before, renewed) = (lines(&before), lines(&after));
    assert_eq!((&before[0], &before[2]), (&renewed[0], &renewed[2]), "nobody else's line changes");
    assert!(renewed[1].starts_with("hans $argon2id$v=19$m=128,t=1,p=1,keyid="), "{}", renewed[1]);
    assert!(renewed[1].ends_with("\r\n"));
    server.kill();
    server.start_again();
    hans.wait("the server", |object| object["state"] == "resumed");
    hans.log_out();
    let mut again = server.client(&[]);
    again.log_in("hans", "falcon");
    again.log_out();
    let mut yoda = server.client(&[]);
    yoda.log_in("yoda", "wise old one");
    server.log_line("hashes of passwords renewed: 1");
    assert_eq!(lines(&server.place.read("credentials.txt"))[..2], renewed[..2], "once is enough");
}

#[test]
fn a_group_message_that_waits_for_one_member_is_shown_once_whatever_follows_it() {
    let server = Server::start(&[]);
    let (mut yoda, luke) = (server.user("yoda"), server.user("luke"));
    let cable = Cable::to(server.port);
    let mut hans = Client::start(&server.place, cable.port, &["--json"]);
    hans.log_in("hans", password("hans"));
    hans.ok("create group rebels yoda luke");
    luke.signal(Signal::STOP);
    let line = hans.say("message group rebels only once");
    hans.say_all((0..600).map(|number| format!("message yoda number {number}")));
    yoda.message("number 599");
    // The group message has no result yet, unless this machine is slow: it is said again.
    cable.cut();
    hans.wait("the server", |object| object["state"] == "resumed");
    assert_eq!(hans.result_of(line)["ok"], true);
    hans.ok("message yoda the last");
    yoda.message("the last");
    assert_eq!(yoda.count(|object| object["text"] == "only once"), 1);
    luke.signal(Signal::CONT);
}

#[test]
fn who_asks_for_a_private_link_again_after_a_cut_is_heard() {
    let server = Server::start(&[]);
    let (mut hans, cable) = (server.user("hans"), Cable::to(server.port));
    let mut yoda = Client::start(&server.place, cable.port, &["--json"]);
    yoda.log_in("yoda", password("yoda"));
    hans.presence("yoda", true);
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    cable.cut();
    assert_eq!(hans.result_of(line)["error"], "offline");
    yoda.wait("the server", |object| object["state"] == "resumed");
    let line = hans.say("startprivate yoda");
    yoda.wait_for("private_request");
    yoda.ok("accept hans");
    assert_eq!(hans.result_of(line)["ok"], true);
}
