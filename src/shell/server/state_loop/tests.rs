use super::*;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use super::super::alarm::Alarm;
use super::super::connections::{Links, Shared};
use super::super::hashing::Pool;
use super::super::inbox::{forward, inbox};
use super::super::nonces::Nonces;
use super::super::setup::settings::Settings;
use crate::record::{Change, Record, RecordNumber};
use crate::shell::store;
use crate::shell::wall_clock::WallClock;
use crate::words::{Credential, Name};

const ACCOUNT: RecordNumber = RecordNumber(1);

/// A server on a store in memory, where each new account comes to this.
fn server(added: fn() -> io::Result<()>) -> (Server, async_channel::Receiver<Answer>) {
    let clock = WallClock::starting_after(Time::ZERO);
    let (answers, answered) = async_channel::unbounded();
    let options = store::Options {
        data: None,
        credentials: PathBuf::from("credentials.txt"),
        answers,
        started: clock.now(),
        add_account: Box::new(move |_, _| added()),
    };
    let (store, recovery) = store::open(options).expect("a store");
    let settings = Settings::default();
    let (sender, inbox) = inbox();
    let hands = Hands {
        clock,
        store,
        hashing: Pool::start(|_| ()).expect("threads"),
        executor: Rc::default(),
        shared: Shared::new(settings.limits),
        accepting: None,
        reload: Rc::new(|| ()),
        sender,
        links: Links::default(),
        nonces: Nonces::new(),
        alarm: Alarm::new(clock),
        dirty: Vec::new(),
        queued: 0,
        flushed: Vec::new(),
        follow_ups: VecDeque::new(),
        stored: false,
        stopping: Stopping::No,
        settings,
    };
    let core = ServerState::new(hands.settings.core.clone(), Vec::new(), recovery, 1, clock.now());
    (Server { core, hands, inbox }, answered)
}

fn add_account(server: &mut Server) {
    let name = Name::new("anna").expect("a name");
    let credential = Credential::new("falcon");
    server.hands.store.persist(ACCOUNT, 0, Record::Change(Change::AccountAdded { name, credential }));
    server.hands.store.wake(Time(1));
}

fn broken_disk() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(5))
}

#[test]
fn a_server_whose_store_wrote_everything_has_stopped() {
    let (mut server, answered) = server(|| Ok(()));
    add_account(&mut server);
    assert_eq!(server.close(), Outcome::Stopped);
    assert_eq!(answered.try_recv(), Ok(Answer::Committed { upto: ACCOUNT }));
}

#[test]
fn a_store_that_fails_as_it_is_closed_is_told() {
    let (mut server, _answered) = server(broken_disk);
    add_account(&mut server);
    assert!(matches!(server.close(), Outcome::StoreFailed(line) if line.contains("credentials.txt")));
}

#[test]
fn a_failure_that_waits_for_room_in_the_inbox_is_told() {
    let (mut server, answered) = server(broken_disk);
    let executor = Rc::clone(&server.hands.executor);
    executor.spawn(forward(answered.clone(), server.hands.sender.clone())).detach();
    while server.hands.sender.try_send(Item::Ended { link: LinkId(1) }).is_ok() {}
    add_account(&mut server);
    // The channel closes with the store's thread.
    let is_on_its_way = || answered.is_closed() && answered.is_empty();
    async_io::block_on(executor.run(async {
        while !is_on_its_way() {
            yield_now().await;
        }
    }));
    assert!(matches!(server.close(), Outcome::StoreFailed(line) if line.contains("credentials.txt")));
}

/// Connections of which each has sent a line that the server has not been told of.
fn unread_lines(server: &mut Server, count: usize) -> (Vec<std::net::TcpStream>, Vec<LinkId>) {
    use std::io::Write;
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let (mut clients, mut links) = (Vec::new(), Vec::new());
    for _ in 0..count {
        clients.push(std::net::TcpStream::connect(address).expect("connected"));
        let (socket, _) = listener.accept().expect("accepted");
        let socket = async_net::TcpStream::try_from(socket).expect("a socket");
        links.push(server.hands.open(socket).expect("a place"));
    }
    // The tasks of the connections wait for something to read.
    let executor = Rc::clone(&server.hands.executor);
    while executor.try_tick() {}
    for client in &mut clients {
        client.write_all(b"whoelse\n").expect("written");
    }
    (clients, links)
}

#[test]
fn all_that_could_be_read_is_read_before_a_deadline_is_met() {
    let (mut server, _answered) = server(|| Ok(()));
    // More than the inbox holds.
    let (_clients, links) = unread_lines(&mut server, 400);
    // The system may deliver them a little later.
    for link in &links {
        while !server.hands.links.get(*link).expect("it is open").connection.has_unread() {
            std::thread::yield_now();
        }
    }
    let executor = Rc::clone(&server.hands.executor);
    async_io::block_on(executor.run(server.catch_up(2 * LATE))).expect("a store");
    assert!(server.inbox.is_empty());
    for link in links {
        let link = server.hands.links.get(link).expect("it is open");
        assert!(!link.connection.has_unread());
    }
}
