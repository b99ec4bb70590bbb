use super::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use async_io::Timer;
use smol::{LocalExecutor, Task};

use crate::shell::platform::{TcpConnection, WallClock};
use crate::shell::server::inbox::{Receiver, inbox};
use crate::shell::server::setup::settings::Settings;
use crate::time::Time;

/// More than the socket buffers of both sides hold.
const FLOOD: usize = 32 << 20;

struct Fixture {
    connection: Rc<Connection>,
    client: TcpStream,
    inbox: Receiver,
    executor: LocalExecutor<'static>,
    _task: Task<()>,
}

impl Fixture {
    fn new(limits: Limits) -> Fixture {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let (socket, _) = listener.accept().expect("accepted");
        let (sender, inbox) = inbox();
        let socket = TcpConnection::try_from(socket).expect("a socket");
        let system = System::new(WallClock::starting_after(Time::ZERO));
        let connection =
            Rc::new(Connection::new(LinkId(1), socket, Tunnel::plain(), Shared::new(system, limits)));
        let executor = LocalExecutor::new();
        let task = executor.spawn(Rc::clone(&connection).serve(sender));
        Fixture { connection, client, inbox, executor, _task: task }
    }

    fn standard() -> Fixture {
        Fixture::new(Settings::default().limits)
    }

    /// Runs the task until it has something to say.
    fn next(&self) -> Item {
        async_io::block_on(self.executor.run(self.inbox.recv())).expect("an item")
    }

    /// The bytes that come until the stream ends.
    fn received(&self) -> Vec<u8> {
        let mut received = Vec::new();
        let mut item = self.next();
        while let Item::Chunk { bytes, .. } = item {
            received.extend_from_slice(&bytes);
            item = self.next();
        }
        assert!(matches!(item, Item::StreamEnded { link: LinkId(1) }));
        received
    }

    /// Whether the task says nothing and does next to nothing, however often the reactor looks for it. A task
    /// that spins has a turn after each look; one at rest has a timer of a second.
    fn is_at_rest(&self) -> bool {
        const LOOKS: usize = 100;
        let resting = async {
            let mut turns = 0;
            for _ in 0..LOOKS {
                while turns < LOOKS && self.executor.try_tick() {
                    turns += 1;
                }
                Timer::after(Duration::from_millis(1)).await;
            }
            turns < LOOKS / 2 && self.inbox.is_empty()
        };
        async_io::block_on(resting)
    }

    /// Resets the connection from the client's side.
    fn reset(&mut self) {
        socket2::SockRef::from(&self.client).set_linger(Some(Duration::ZERO)).expect("linger");
        let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        self.client = TcpStream::connect(elsewhere.local_addr().expect("an address")).expect("connected");
    }

    fn stream_ends(&self) -> bool {
        matches!(self.next(), Item::StreamEnded { link: LinkId(1) })
    }

    fn has_ended(&self) -> bool {
        matches!(self.next(), Item::Ended { link: LinkId(1) })
    }
}

#[test]
fn what_is_sent_arrives_and_then_the_end() {
    let mut fixture = Fixture::standard();
    let sent: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut client = fixture.client.try_clone().expect("a clone");
    let copy = sent.clone();
    let writer = std::thread::spawn(move || client.write_all(&copy));
    let mut received = Vec::new();
    while received.len() < sent.len() {
        let Item::Chunk { bytes, .. } = fixture.next() else { panic!("no chunk") };
        assert!((1..=READ_BYTES).contains(&bytes.len()));
        received.extend_from_slice(&bytes);
    }
    assert!(received == sent);
    assert!(writer.join().is_ok_and(|written| written.is_ok()));
    fixture.client.write_all(b"last").expect("written");
    fixture.client.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(fixture.received(), b"last");
}

#[test]
fn a_paused_connection_reads_nothing_until_it_resumes() {
    let mut fixture = Fixture::standard();
    fixture.connection.pause();
    fixture.client.write_all(b"early").expect("written");
    let paused = async {
        Timer::after(Duration::from_millis(50)).await;
        fixture.inbox.is_empty()
    };
    assert!(async_io::block_on(fixture.executor.run(paused)));
    fixture.connection.resume();
    fixture.client.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(fixture.received(), b"early");
}

#[test]
fn the_end_of_the_stream_is_told_once_and_the_connection_stays() {
    let mut fixture = Fixture::standard();
    fixture.client.write_all(b"a line\n").expect("written");
    fixture.client.shutdown(Shutdown::Write).expect("shut down");
    assert_eq!(fixture.received(), b"a line\n");
    assert!(fixture.is_at_rest(), "a socket at its end reads as ready for ever");
    fixture.connection.queue(b"an answer\n");
    assert_eq!(fixture.connection.write(), Written::All { upto: 10 });
    fixture.connection.queue(b"and one that comes with the close\n");
    fixture.connection.close();
    assert!(fixture.has_ended());
    let mut client = fixture.client.try_clone().expect("a clone");
    // What was not written by now is lost.
    drop(fixture);
    let mut received = Vec::new();
    client.read_to_end(&mut received).expect("bytes, then the end");
    assert_eq!(received, b"an answer\nand one that comes with the close\n");
}

#[test]
fn a_reset_shows_after_the_end_of_the_stream() {
    let mut fixture = Fixture::standard();
    fixture.client.shutdown(Shutdown::Write).expect("shut down");
    assert!(fixture.stream_ends());
    fixture.reset();
    assert!(fixture.has_ended());
}

#[test]
fn the_end_of_the_stream_shows_while_paused() {
    let mut fixture = Fixture::standard();
    fixture.connection.pause();
    fixture.client.shutdown(Shutdown::Write).expect("shut down");
    assert!(fixture.stream_ends());
    fixture.connection.resume();
    assert!(fixture.is_at_rest(), "it is told once");
    fixture.reset();
    assert!(fixture.has_ended());
}

#[test]
fn a_reset_shows_while_paused_even_behind_unread_bytes() {
    let mut fixture = Fixture::standard();
    fixture.connection.pause();
    fixture.client.write_all(b"unread").expect("written");
    assert!(fixture.is_at_rest());
    fixture.reset();
    assert!(fixture.has_ended());
}

#[test]
fn what_the_socket_does_not_take_follows_when_it_does() {
    let fixture = Fixture::new(Limits { output_bytes: 0, ..Settings::default().limits });
    fixture.connection.queue(&vec![7; FLOOD]);
    assert!(matches!(fixture.connection.write(), Written::Part { upto: Some(1..) }));
    fixture.connection.queue(b"end");
    let own_task = Written::Part { upto: None };
    assert_eq!(fixture.connection.write(), own_task, "its own task writes now");
    let mut client = fixture.client.try_clone().expect("a clone");
    let reader = std::thread::spawn(move || {
        let mut received = vec![0; FLOOD + 3];
        client.read_exact(&mut received).map(|()| received)
    });
    let mut flushed = 0;
    while flushed < FLOOD as u64 + 3 {
        let Item::Flushed { upto, .. } = fixture.next() else { panic!("not flushed") };
        assert!(upto > flushed, "counts rise");
        flushed = upto;
    }
    let received = reader.join().expect("a thread").expect("bytes");
    assert!(received.iter().take(FLOOD).all(|&byte| byte == 7) && received.ends_with(b"end"));
    fixture.connection.queue(b"more");
    assert_eq!(fixture.connection.write(), Written::All { upto: FLOOD as u64 + 7 });
}

#[test]
fn a_reader_that_takes_nothing_is_cut() {
    let fixture = Fixture::new(Limits { output_stall_secs: 1, ..Settings::default().limits });
    fixture.connection.queue(&vec![7; FLOOD]);
    assert!(matches!(fixture.connection.write(), Written::Part { upto: Some(1..) }));
    while !fixture.has_ended() {}
}

#[test]
fn the_last_words_arrive_before_the_end_also_to_one_who_said_all() {
    let mut fixture = Fixture::standard();
    fixture.client.write_all(b"thrown away").expect("written");
    fixture.client.shutdown(Shutdown::Write).expect("shut down");
    fixture.connection.queue(&vec![7; FLOOD]);
    fixture.connection.queue(b"bye");
    fixture.connection.close();
    assert!(matches!(fixture.connection.write(), Written::Part { upto: Some(1..) }));
    let mut client = fixture.client.try_clone().expect("a clone");
    let reader = std::thread::spawn(move || {
        let mut received = Vec::new();
        client.read_to_end(&mut received).map(|_| received)
    });
    while !fixture.has_ended() {}
    // What was not written by now is lost.
    drop(fixture);
    let received = reader.join().expect("a thread").expect("bytes, then the end");
    assert!(received.len() == FLOOD + 3 && received.ends_with(b"bye"));
}

#[test]
fn a_connection_that_waits_owns_no_buffer() {
    let fixture = Fixture::standard();
    fixture.connection.queue(b"a line\n");
    assert!(fixture.connection.waiting.borrow().capacity() > 0);
    assert_eq!(fixture.connection.write(), Written::All { upto: 7 });
    assert_eq!(fixture.connection.waiting.borrow().capacity(), 0);
    assert_eq!(fixture.connection.shared.spare.borrow().len(), 1);
    fixture.connection.abandon();
    assert_eq!(fixture.connection.queue(b"late\n"), 0, "a lost connection takes nothing");
}

#[test]
fn a_first_line_on_its_way_destroys_nothing_that_was_said_before_the_close() {
    let mut fixture = Fixture::standard();
    fixture.connection.queue(b"hobnob 1\nbye server_shutdown\n");
    fixture.connection.close();
    while fixture.executor.try_tick() {}
    assert!(fixture.inbox.is_empty(), "it waits for the client to close as well");
    fixture.client.write_all(b"login hans falcon\n").expect("the server still takes it");
    let mut heard = Vec::new();
    fixture.client.read_to_end(&mut heard).expect("no reset");
    assert_eq!(heard, b"hobnob 1\nbye server_shutdown\n");
    fixture.client.shutdown(Shutdown::Both).expect("shut down");
    assert!(fixture.has_ended());
}
