//! What systemd gives the server and is told by it.

use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::Signal;
use support::{Client, PATIENCE, Place, free_port};

/// Where a service manager listens.
struct Manager {
    socket: UnixDatagram,
    variable: String,
}

impl Manager {
    fn of(place: &Place) -> Manager {
        let path = place.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit");
        Manager { socket, variable: format!("NOTIFY_SOCKET={}", path.display()) }
    }

    fn hears(&self) -> String {
        let mut news = [0; 4096];
        let length = self.socket.recv(&mut news).expect("news");
        String::from_utf8_lossy(&news[..length]).into_owned()
    }
}

#[test]
fn it_says_when_it_serves_reads_its_settings_again_and_stops() {
    let place = Place::of(&["hans"]);
    let manager = Manager::of(&place);
    let wrapper = ["env".to_owned(), manager.variable.clone()];
    let mut server = place.serve_on(free_port(), &wrapper).expect("a server");
    assert_eq!(manager.hears(), "READY=1\n");
    for credentials in [place.read("credentials.txt"), "no password\n\n\nhans\n".to_owned()] {
        place.write("credentials.txt", credentials);
        server.signal(Signal::HUP);
        let news = manager.hears();
        assert!(news.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{news}");
        assert_eq!(manager.hears(), "READY=1\n");
    }
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(manager.hears(), "STOPPING=1\n");
}

#[test]
fn it_says_that_it_runs_as_often_as_the_watchdog_wants_while_nobody_is_there() {
    let place = Place::of(&["hans"]);
    let manager = Manager::of(&place);
    let wrapper = ["env".to_owned(), manager.variable.clone(), "WATCHDOG_USEC=100000".to_owned()];
    let _server = place.serve_on(free_port(), &wrapper).expect("a server");
    let mut news: Vec<String> = (0..5).map(|_| manager.hears()).collect();
    news.sort();
    assert_eq!(news, ["READY=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n", "WATCHDOG=1\n"]);
}

/// A wrapper that hands on a socket as systemd does.
fn handing_on(socket: &TcpListener) -> Vec<String> {
    fcntl_setfd(socket, FdFlags::empty()).expect("a socket that is inherited");
    let script = format!("exec 3<&{}; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"", socket.as_raw_fd());
    ["bash", "-c", &script, "bash"].map(str::to_owned).to_vec()
}

#[test]
fn it_serves_on_the_socket_that_it_is_given() {
    let place = Place::of(&["hans"]);
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a socket");
    let address = socket.local_addr().expect("an address");
    let mut server = place.serve_on(free_port(), &handing_on(&socket)).expect("a server");
    assert_eq!(server.address, address, "whatever the settings say");
    let mut hans = server.wire();
    hans.log_in("hans", support::PASSWORD);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn for_a_restart_it_leaves_the_socket_to_the_service_manager() {
    let place = Place::of(&["hans", "luke"]);
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a socket");
    let (wrapper, port) = (handing_on(&socket), socket.local_addr().expect("an address").port());
    let mut server = place.serve_on(free_port(), &wrapper).expect("a server");
    let mut hans = Client::start(&place, port, &["--json"]);
    hans.log_in("hans", support::PASSWORD);
    server.signal(Signal::USR1);
    assert_eq!(server.ended().code, Some(0));
    hans.wait("the loss of the connection", |object| object["state"] == "reconnecting");
    let _server = place.serve_on(free_port(), &wrapper).expect("the next server");
    hans.wait("the next server", |object| object["state"] == "resumed");
    hans.log_out();
}

/// The service manager knows nothing of it, and would start the next server when somebody connects.
#[test]
fn a_restart_by_ctl_needs_no_service_manager_and_one_by_signal_still_leaves_it_the_socket() {
    let place = Place::of(&["hans"]);
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a socket");
    let (wrapper, port) = (handing_on(&socket), socket.local_addr().expect("an address").port());
    let mut server = place.serve_on(free_port(), &wrapper).expect("a server");
    let data = place.data();
    let ctl = |word| place.run_server(&["ctl", "--data", data.to_str().expect("UTF-8"), word]);
    for _ in 0..2 {
        assert!(ctl("restart").status.success());
        server.listens_again();
        let mut hans = Client::start(&place, port, &["--json"]);
        hans.log_in("hans", support::PASSWORD);
        hans.log_out();
        assert!(ctl("status").status.success());
    }
    server.signal(Signal::USR1);
    assert_eq!(server.ended().code, Some(0));
}

/// The server starts again by itself; the socket is still the service manager's.
#[test]
fn forget_is_done_where_the_service_manager_has_the_socket() {
    let place = Place::of(&["hanssolo", "luke"]);
    let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a socket");
    let (wrapper, port) = (handing_on(&socket), socket.local_addr().expect("an address").port());
    let mut server = place.serve_on(free_port(), &wrapper).expect("a server");
    let mut hans = Client::start(&place, port, &["--json"]);
    hans.log_in("hanssolo", support::PASSWORD);
    hans.ok("message luke nobody reads this");
    hans.log_out();
    let data = place.data();
    let output = place.run_server(&["forget", "hanssolo", "--data", data.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{output:?}");
    server.listens_again();
    let database = std::fs::read(place.data().join("hobnob.db")).expect("the database");
    for word in [&b"hanssolo"[..], b"nobody reads this"] {
        assert!(!database.windows(word.len()).any(|window| window == word));
    }
    let mut luke = Client::start(&place, port, &["--json"]);
    luke.log_in("luke", support::PASSWORD);
    assert_eq!(luke.fails("message hanssolo hello"), "unknown_user");
    luke.log_out();
    server.signal(Signal::USR1);
    assert_eq!(server.ended().code, Some(0));
}

#[test]
fn plaintext_on_a_socket_for_others_is_refused() {
    let place = Place::of(&["hans"]);
    let socket = TcpListener::bind(("0.0.0.0", 0)).expect("a socket");
    let ended = place.serve_on(free_port(), &handing_on(&socket)).expect_err("it does not serve");
    assert_eq!(ended.code, Some(2), "{}", ended.log);
    assert!(ended.log.contains("plaintext on 0.0.0.0"), "{}", ended.log);
}
