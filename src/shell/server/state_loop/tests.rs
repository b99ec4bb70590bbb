use super::*;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use super::super::alarm::Alarm;
use super::super::connections::{Handshakes, Links, Newcomers, Shared};
use super::super::hashing::{Cost, Hashing, Pool};
use super::super::inbox::{forward, inbox};
use super::super::metrics::Counts;
use super::super::nonces::Nonces;
use super::super::renewals::Renewals;
use super::super::setup::reload::Reload;
use super::super::setup::settings::{Limits, Settings};
use crate::record::{Change, Record, RecordNumber, Recovery};
use crate::server::Effect;
use crate::shell::credentials;
use crate::shell::heap::Heap;
use crate::shell::platform::{TcpConnection, WallClock};
use crate::shell::server::log::{Log, Sink};
use crate::shell::server::rates::Rates;
use crate::shell::server::shortages::Shortages;
use crate::shell::store;
use crate::shell::tunnel::Tunnel;
use crate::words::{Credential, Name, Password, Ticket};
use smol::LocalExecutor;

const ACCOUNT: RecordNumber = RecordNumber(1);

/// A server on a store in memory, where each new account comes to this.
fn server(added: fn() -> io::Result<()>) -> (Server, async_channel::Receiver<Answer>) {
    let platform = System::new(WallClock::starting_after(Time::ZERO));
    let (answers, answered) = async_channel::unbounded();
    let options = store::Options {
        data: None,
        credentials: PathBuf::from("credentials.txt"),
        answers,
        started: platform.now(),
        add_account: Box::new(move |_, _| added()),
    };
    let (store, recovery) = store::open(options).expect("a store");
    let settings = Settings::default();
    let (sender, inbox) = inbox();
    let hands = Hands {
        address: ([127, 0, 0, 1], 4_000).into(),
        acceptor: Acceptor::Plain,
        handshakes: Handshakes::default(),
        newcomers: Newcomers::default(),
        renew_certificate: Rc::new(|_| ()),
        platform,
        store,
        hashing: Pool::start(|_| ()).expect("threads"),
        heap: Heap::keep_small(&platform, &LocalExecutor::new()),
        executor: Rc::default(),
        shared: Shared::new(platform, settings.limits),
        accepting: None,
        reload: Rc::new(|_| ()),
        sender,
        links: Links::default(),
        nonces: Nonces::new(),
        renewals: Renewals::default(),
        started: platform.now(),
        counts: Counts::default(),
        rates: Rates::default(),
        shortages: Shortages::default(),
        recorder: None,
        log: Log::default(),
        alarm: Alarm::new(platform),
        dirty: Vec::new(),
        queued: 0,
        flushed: Vec::new(),
        follow_ups: VecDeque::new(),
        acts: super::super::hands::Acts::default(),
        answers: super::super::hands::Answers::default(),
        stored: false,
        stopping: Stopping::No,
        successor: Successor::Itself,
        settings,
    };
    let core = ServerState::new(hands.settings.core.clone(), Vec::new(), recovery, 1, platform.now());
    (Server { core, hands, inbox, written: (Time::ZERO, Duration::ZERO) }, answered)
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
        let (socket, from) = listener.accept().expect("accepted");
        let socket = TcpConnection::try_from(socket).expect("a socket");
        links.push(server.hands.open(socket, Tunnel::plain(), from).expect("a place"));
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

/// Settings and accounts as they are read at SIGHUP, with these limits changed; the file is in `folder`.
fn read_again(folder: &tempfile::TempDir, change: impl FnOnce(&mut Limits)) -> Reload {
    let path = folder.path().join("credentials.txt");
    std::fs::write(&path, "anna falcon\n").expect("written");
    let accounts = credentials::read(&path).expect("accounts");
    let mut settings = Settings { credentials: path, ..Settings::default() };
    change(&mut settings.limits);
    Reload { settings, accounts, acceptor: Acceptor::Plain, log: Sink::default() }
}

fn reload(server: &mut Server, change: impl FnOnce(&mut Limits)) {
    let folder = tempfile::tempdir().expect("a folder");
    let reload = Box::new(read_again(&folder, change));
    server.take(Item::Reloaded(Ok(reload), None), server.hands.platform.now()).expect("a store");
}

#[test]
fn a_reload_changes_the_cost_of_a_new_hash() {
    let (mut server, _answered) = server(|| Ok(()));
    let (answers, hashed) = std::sync::mpsc::channel();
    let answer = move |answer| drop(answers.send(answer));
    server.hands.hashing = Pool::start(answer).expect("threads");
    reload(&mut server, |limits| limits.hash_cost = Cost { kib: 16, passes: 3 });
    let password = Password::new("falcon");
    server.hands.carry_out(Effect::Hash { ticket: Ticket(1), password: &password });
    let Ok(Hashing::Hashed(_, Some(made))) = hashed.recv() else { panic!("no hash") };
    assert!(made.reveal().starts_with("$argon2id$v=19$m=16,t=3,p=1$"), "{}", made.reveal());
}

/// More than the socket buffers of both sides hold.
const FLOOD: usize = 32 << 20;

/// A connection whose client reads nothing, with more to write than it takes.
fn flooded(server: &mut Server) -> (Vec<std::net::TcpStream>, LinkId) {
    let (clients, links) = unread_lines(server, 1);
    server.hands.carry_out(Effect::Send { link: links[0], bytes: &vec![b'x'; FLOOD] });
    server.hands.write_dirty();
    (clients, links[0])
}

#[test]
fn what_a_full_socket_has_taken_is_told_at_once() {
    let (mut server, _answered) = server(|| Ok(()));
    reload(&mut server, |limits| limits.output_bytes = 0);
    let (_clients, link) = flooded(&mut server);
    assert!(
        matches!(server.hands.flushed[..], [(of, upto)] if of == link && (1..FLOOD as u64).contains(&upto))
    );
}

#[test]
fn a_reload_changes_how_much_may_wait_for_a_slow_reader() {
    let (mut server, _answered) = server(|| Ok(()));
    reload(&mut server, |limits| limits.output_bytes = 0);
    let (_clients, link) = flooded(&mut server);
    assert!(server.hands.follow_ups.is_empty(), "there is no limit");
    reload(&mut server, |limits| limits.output_bytes = 1_024);
    server.hands.carry_out(Effect::Send { link, bytes: b"more\n" });
    let ended = server.hands.follow_ups.pop_front();
    assert!(matches!(ended, Some(Item::Ended { link: of }) if of == link));
}

#[test]
fn a_reload_changes_how_long_a_slow_reader_may_take_nothing() {
    let (mut server, _answered) = server(|| Ok(()));
    // Until the reload, for ever.
    let without = Limits { output_stall_secs: 0, ..server.hands.shared.limits.get() };
    server.hands.shared.limits.set(without);
    reload(&mut server, |limits| *limits = Limits { output_stall_secs: 1, output_bytes: 0, ..*limits });
    let (_clients, _) = flooded(&mut server);
    let executor = Rc::clone(&server.hands.executor);
    let ends = async {
        while let Ok(item) = server.inbox.recv().await {
            if matches!(item, Item::Ended { .. }) {
                return true;
            }
        }
        false
    };
    let for_ever = async {
        async_io::Timer::after(Duration::from_secs(60)).await;
        false
    };
    assert!(async_io::block_on(executor.run(or(ends, for_ever))), "the reader is waited for");
}

#[test]
fn accounts_that_were_read_before_the_file_changed_are_read_again() {
    let (mut server, _answered) = server(|| Ok(()));
    let again = Rc::new(std::cell::Cell::new(0));
    let count = Rc::clone(&again);
    server.hands.reload = Rc::new(move |_| count.set(count.get() + 1));
    let folder = tempfile::tempdir().expect("a folder");
    let early = read_again(&folder, |limits| limits.dead_link_secs = 7);
    // A registration is written meanwhile.
    let luke = Name::new("luke").expect("a name");
    credentials::append(&early.settings.credentials, &luke, &Credential::new("x")).expect("written");
    server.take(Item::Reloaded(Ok(Box::new(early)), None), server.hands.platform.now()).expect("a store");
    assert_eq!(again.get(), 1);
    assert_ne!(server.hands.settings.limits.dead_link_secs, 7, "nothing of the early one is taken");
}

/// A connection that comes; taking it on fails.
struct Arriving(Rc<Cell<bool>>);

impl Arrival for Arriving {
    type Socket = TcpConnection;

    fn take_on(self) -> io::Result<TcpConnection> {
        Err(io::ErrorKind::OutOfMemory.into())
    }

    fn turn_away(self) {
        self.0.set(true);
    }
}

/// It is accepted and reaches the state task; whether it was turned away.
fn come(server: &mut Server, from: SocketAddr) -> bool {
    let is_turned_away = Rc::new(Cell::new(false));
    server.hands.shared.files.accepted();
    server.open(Arriving(Rc::clone(&is_turned_away)), from, Time::ZERO);
    assert_eq!(server.hands.links.len(), 0);
    assert_eq!(server.hands.shared.files.arriving(), 0);
    is_turned_away.get()
}

#[test]
fn a_connection_that_cannot_be_taken_on_makes_others_wait() {
    let (mut server, _answered) = server(|| Ok(()));
    assert!(!come(&mut server, ([192, 0, 2, 1], 40_000).into()));
    assert_eq!(server.core.link_count(), 0);
    assert!(server.hands.shared.files.is_short());
}

#[test]
fn who_is_turned_away_is_reset_and_not_told_to_the_core() {
    let (mut server, _answered) = server(|| Ok(()));
    let settings = crate::server::Settings { unauthenticated_max: 1, ..Default::default() };
    server.core = ServerState::new(settings, Vec::new(), Recovery::default(), 1, Time::ZERO);
    let from = ([192, 0, 2, 1], 40_000).into();
    server.tell(Event::LinkOpened { link: LinkId(u64::MAX), from, nonce: [0; 32] }, Time::ZERO);
    while server.hands.newcomers.take_on(host(from), Time::ZERO) {}
    assert!(come(&mut server, from));
    assert_eq!(server.core.link_count(), 1, "the one before");
    assert!(!server.hands.shared.files.is_short());
}
