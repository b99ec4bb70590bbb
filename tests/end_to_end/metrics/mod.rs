//! Metrics: what a program that watches the server reads of it.

mod openmetrics;
mod papers;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use self::openmetrics::Samples;
use support::{PATIENCE, Place, Server, USERS, free_port};

/// A server with these settings, and where its metrics are.
fn watched(settings: &[&str]) -> (Server, SocketAddr) {
    let mut server = Server::start(&[&["metrics=127.0.0.1:0"], settings].concat());
    let line = server.log_line("metrics are served on ");
    let address = line.rsplit(' ').next().and_then(|address| address.parse().ok()).expect("an address");
    (server, address)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// An answer over HTTP.
struct Answer {
    status: String,
    fields: BTreeMap<String, String>,
    body: String,
}

/// What is answered to a request, until the server ends the connection.
fn ask(to: SocketAddr, request: &str) -> Answer {
    let mut stream = connect(to);
    stream.write_all(request.as_bytes()).expect("written");
    rest(&mut stream)
}

fn rest(stream: &mut TcpStream) -> Answer {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and its end");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status").to_owned();
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a field");
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Answer { status, fields: lines.map(field).collect(), body: body.to_owned() }
}

const GET: &str = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n";

/// The page.
fn page(to: SocketAddr) -> String {
    let Answer { status, fields, body } = ask(to, GET);
    assert_eq!(status, "200 OK");
    assert_eq!(fields["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(fields["content-length"], body.len().to_string());
    assert_eq!(fields["connection"], "close");
    body
}

fn scrape(to: SocketAddr) -> Samples {
    openmetrics::read(&page(to))
}

/// The values of these samples are these.
fn assert_has(samples: &Samples, expected: &[(&str, f64)]) {
    for (name, value) in expected {
        assert_eq!(samples.get(*name), Some(value), "{name} of {samples:#?}");
    }
}

#[test]
fn the_page_says_what_has_happened_and_what_is_there() {
    let (server, metrics) = watched(&[]);
    let mut hans = server.user("hans");
    let mut luke = server.user("luke");
    assert_eq!(hans.ok("message luke hello")["status"], "delivered");
    assert_eq!(hans.ok("message yoda hello")["status"], "stored");
    hans.ok("create group jedi luke yoda");
    hans.ok("message group jedi hello");
    luke.ok("broadcast hello");
    assert_eq!(luke.fails("message nobody hello"), "unknown_user");
    let mut stranger = server.client(&[]);
    stranger.answer("yoda");
    stranger.answer("wrong");
    stranger.wait_for("login");
    let page = page(metrics);
    let samples = openmetrics::read(&page);
    let expected = [
        ("hobnob_sessions", 2.0),
        ("hobnob_links", 3.0),
        ("hobnob_locked_names", 0.0),
        ("hobnob_logins_total{result=\"ok\"}", 2.0),
        ("hobnob_logins_total{result=\"invalid_credentials\"}", 1.0),
        ("hobnob_logins_total{result=\"resumed\"}", 0.0),
        ("hobnob_messages_total{way=\"delivered\"}", 2.0),
        ("hobnob_messages_total{way=\"stored\"}", 2.0),
        ("hobnob_messages_total{way=\"refused\"}", 0.0),
        ("hobnob_group_messages_total", 1.0),
        ("hobnob_broadcasts_total", 1.0),
        ("hobnob_commands_failed_total{error=\"unknown_user\"}", 1.0),
        ("hobnob_confirmation_seconds_count{way=\"delivered\"}", 1.0),
        ("hobnob_confirmation_seconds_count{way=\"stored\"}", 1.0),
        ("hobnob_confirmation_seconds_count{way=\"group\"}", 1.0),
        ("hobnob_mailbox_bytes", 10.0),
        ("hobnob_store_queue", 0.0),
        ("hobnob_store_records_total{result=\"refused\"}", 0.0),
        ("hobnob_hashing", 0.0),
        ("hobnob_hashing_waiting", 0.0),
        ("hobnob_waits_total{reason=\"rate\"}", 0.0),
    ];
    assert_has(&samples, &expected);
    let version = concat!("hobnob_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert_has(&samples, &[(version, 1.0)]);
    for (name, least) in [
        ("hobnob_accounts", 3.0),
        ("hobnob_work_units_total", 10.0),
        ("hobnob_store_records_total{result=\"committed\"}", 4.0),
        ("hobnob_store_batch_seconds_count", 1.0),
        ("hobnob_database_bytes", 4096.0),
        ("hobnob_database_log_bytes", 1.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 8.0),
        ("process_max_fds", 64.0),
    ] {
        assert!(samples[name] >= least, "{name} of {samples:#?}");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64();
    let started = samples["process_start_time_seconds"] + samples["hobnob_uptime_seconds"];
    assert!((now - started).abs() < 60.0, "{started} is not {now}");
    for (user, password) in USERS {
        assert!(!page.contains(user) && !page.contains(password), "{user} in {page}");
    }
    assert!(!page.contains("jedi"), "{page}");
}

#[test]
fn locks_and_the_ends_of_sessions_are_counted() {
    let (server, metrics) = watched(&["failures_per_address=0"]);
    server.user("hans").log_out();
    let mut stranger = server.client(&[]);
    stranger.answer("yoda");
    for _ in 0..3 {
        stranger.answer("wrong");
        stranger.wait_for("login");
    }
    let samples = scrape(metrics);
    assert_has(&samples, &[("hobnob_locked_names", 1.0), ("hobnob_locks_total", 1.0)]);
    let refused = ["invalid_credentials", "locked_out"]
        .map(|result| samples[&format!("hobnob_logins_total{{result={result:?}}}")]);
    assert_eq!(refused.iter().sum::<f64>(), 3.0, "{refused:?}");
    assert_has(
        &samples,
        &[("hobnob_sessions", 0.0), ("hobnob_sessions_ended_total{reason=\"logout\"}", 1.0)],
    );
}

#[test]
fn who_causes_more_than_their_rate_is_seen_to_wait() {
    let (server, metrics) = watched(&["rate_burst=4", "rate_per_s=1000"]);
    let mut hans = server.user("hans");
    let lines: Vec<u64> = (0..20).map(|_| hans.say("message luke hello")).collect();
    for line in lines {
        hans.result_of(line);
    }
    let samples = scrape(metrics);
    assert!(samples["hobnob_waits_total{reason=\"rate\"}"] >= 1.0, "{samples:#?}");
}

#[test]
fn only_the_page_is_there_and_only_to_be_read() {
    let (_server, metrics) = watched(&[]);
    let head = ask(metrics, &GET.replace("GET", "HEAD"));
    assert_eq!((head.status.as_str(), head.body.as_str()), ("200 OK", ""));
    let length: usize = head.fields["content-length"].parse().expect("a length");
    assert!(length > 1_000 && head.fields["content-type"].starts_with("application/openmetrics-text;"));
    let older = ask(metrics, &GET.replace("application/openmetrics-text", "text/plain"));
    assert_eq!(older.fields["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(older.body.contains("# TYPE hobnob_logins_total counter\n"), "{}", older.body);
    let long = format!("GET /metrics HTTP/1.1\r\nCookie: {}\r\n\r\n", "a".repeat(9_000));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET /metrics/hans HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "405 Method Not Allowed"),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("login hans falcon\n\n", "400 Bad Request"),
        (&long, "431 Request Header Fields Too Large"),
    ] {
        let answer = ask(metrics, request);
        assert_eq!(answer.status, status, "{request:?}");
        assert_eq!(answer.body, format!("{status}\n"));
        assert_eq!(
            answer.fields.get("allow").map(String::as_str),
            status.starts_with("405").then_some("GET, HEAD")
        );
    }
    // In pieces it is the same request.
    let mut stream = connect(metrics);
    for piece in GET.split_inclusive(' ') {
        stream.write_all(piece.as_bytes()).expect("written");
    }
    assert_eq!(rest(&mut stream).status, "200 OK");
}

/// Further connections end the oldest, and nobody waits for one that says nothing or reads nothing.
#[test]
fn those_who_say_nothing_keep_nobody_waiting() {
    let (server, metrics) = watched(&[]);
    let mut hans = server.user("hans");
    let mut silent: Vec<TcpStream> = (0..12).map(|_| connect(metrics)).collect();
    for stream in &mut silent[4..8] {
        stream.write_all(b"GET /metrics HT").expect("written");
    }
    for stream in &mut silent[8..] {
        stream.write_all(GET.as_bytes()).expect("written");
    }
    scrape(metrics);
    silent.extend((0..12).map(|_| connect(metrics)));
    scrape(metrics);
    hans.ok("whoelse");
    let mut rest = Vec::new();
    // The first has ended; it may have been reset.
    let _ = silent[0].read_to_end(&mut rest);
    assert!(rest.is_empty());
    // As many at once as there may be connections share an answer.
    let scrapers: Vec<_> = (0..12).map(|_| thread::spawn(move || scrape(metrics))).collect();
    for scraper in scrapers {
        assert_has(&scraper.join().expect("a page"), &[("hobnob_sessions", 1.0)]);
    }
}

#[test]
fn metrics_begin_again_with_a_restart() {
    let port = format!("127.0.0.1:{}", free_port());
    let metrics: SocketAddr = port.parse().expect("an address");
    let mut server = Server::start(&[&format!("metrics={port}")]);
    let mut hans = server.user("hans");
    hans.ok("message yoda hello");
    let _open = connect(metrics);
    assert_has(&scrape(metrics), &[("hobnob_messages_total{way=\"stored\"}", 1.0)]);
    server.start_anew();
    hans.ok("whoelse");
    let samples = scrape(metrics);
    let expected = [
        ("hobnob_messages_total{way=\"stored\"}", 0.0),
        ("hobnob_logins_total{result=\"resumed\"}", 1.0),
        ("hobnob_sessions", 1.0),
        ("hobnob_mailbox_bytes", 5.0),
    ];
    assert_has(&samples, &expected);
}

#[test]
fn without_the_setting_nothing_is_served_and_a_change_takes_a_restart() {
    let place = Place::samples();
    place.write("hobnob.toml", "");
    let config = place.path("hobnob.toml");
    let server = Server::start_with(place, &["--config", config.to_str().expect("UTF-8")]);
    server.place.write("hobnob.toml", "metrics = \"127.0.0.1:9464\"\n");
    server.reload();
    server.logs("metrics has changed; that takes a restart", 1);
    assert!(!server.log().contains("metrics are served"), "{}", server.log());
}
