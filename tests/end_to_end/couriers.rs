//! Couriers: connections of scripts that hold no session, against the real server.

use support::{Server, Wire, password};

/// A courier of a user that has come by this line; what it was told.
fn courier(server: &Server, line: &str) -> (Wire, String) {
    let mut wire = server.wire();
    wire.say("hello 1 courier");
    let told = wire.asks(line);
    (wire, told)
}

/// The token in a `welcome`.
fn token_in(welcome: &str) -> &str {
    let rest = welcome.strip_prefix("welcome hans unread 0 login 0 token ");
    rest.unwrap_or_else(|| panic!("{welcome}"))
}

#[test]
fn a_courier_speaks_beside_a_session_and_its_token_survives_a_kill_but_no_new_password() {
    let mut server = Server::start(&[]);
    let (mut hans, mut yoda) = (server.user("hans"), server.user("yoda"));
    let login = format!("login hans {}", password("hans"));
    let (mut wire, welcome) = courier(&server, &login);
    let token = token_in(&welcome).to_owned();
    assert_eq!(wire.asks("#1 message yoda from a script"), "ok #1 message yoda delivered");
    assert_eq!(yoda.message("from a script")["from"], "hans");
    assert_eq!(wire.asks("whoelse"), "error unknown_command whoelse");
    assert_eq!(yoda.ok("whoelse")["users"], serde_json::json!(["hans"]));
    hans.ok("message yoda by hand");
    yoda.has_not("presence", |object| object["type"] == "presence");
    wire.say("logout");
    wire.expect("ok logout");
    wire.expect("bye logout");
    server.kill();
    server.start_again();
    let resume = format!("resume hans {token}");
    let (mut wire, told) = courier(&server, &resume);
    assert_eq!(told, "resumed hans unread 0 login 0");
    assert_eq!(wire.asks("message luke still here"), "ok message luke stored");
    server.place.write("credentials.txt", "hans another one\nluke x\nyoda y\n");
    server.reload();
    wire.expect("bye replaced");
    assert_eq!(courier(&server, &resume).1, "refused stale");
}

#[test]
fn a_user_has_four_couriers_at_a_time() {
    let server = Server::start(&[]);
    let login = format!("login hans {}", password("hans"));
    let (_first, welcome) = courier(&server, &login);
    let resume = format!("resume hans {}", token_in(&welcome));
    let mut couriers: Vec<(Wire, String)> = (0..3).map(|_| courier(&server, &resume)).collect();
    assert!(couriers.iter().all(|(_, told)| told == "resumed hans unread 0 login 0"), "{couriers:?}");
    assert_eq!(courier(&server, &resume).1, "refused busy");
    let (mut gone, _) = couriers.pop().expect("one of them");
    assert_eq!(gone.asks("logout"), "ok logout");
    gone.expect("bye logout");
    assert_eq!(courier(&server, &resume).1, "resumed hans unread 0 login 0");
}
