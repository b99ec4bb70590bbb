use super::acceptor::Acceptor;
use super::between_clients::Side as PeerSide;
use super::dialler::Dialler;
use super::*;
use crate::client::Introduction;
use crate::shell::platform::Socket;
use crate::words::Token;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// One direction of a line: its bytes, whether it is over, and how many it takes before they are read.
#[derive(Default)]
struct Direction {
    bytes: VecDeque<u8>,
    over: bool,
    room: usize,
    /// All that was ever written.
    log: Vec<u8>,
}

/// A socket whose bytes are moved in pieces of any size.
struct End {
    out: Rc<RefCell<Direction>>,
    into: Rc<RefCell<Direction>>,
    piece: usize,
}

/// Two ends, whose reads and writes take at most so many bytes at a time.
fn line(room: usize, piece: usize) -> (End, End) {
    let direction = || Rc::new(RefCell::new(Direction { room, ..Direction::default() }));
    let (there, back) = (direction(), direction());
    let near = End { out: Rc::clone(&there), into: Rc::clone(&back), piece };
    (near, End { out: back, into: there, piece })
}

impl Socket for End {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut from = self.into.borrow_mut();
        let count = from.bytes.len().min(bytes.len()).min(self.piece);
        if count == 0 {
            return if from.over { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        for (to, byte) in bytes.iter_mut().zip(from.bytes.drain(..count)) {
            *to = byte;
        }
        Ok(count)
    }
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut to = self.out.borrow_mut();
        let count = (to.room - to.bytes.len()).min(bytes.len()).min(self.piece);
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        to.bytes.extend(&bytes[..count]);
        to.log.extend(&bytes[..count]);
        Ok(count)
    }
    fn peek(&self) -> io::Result<bool> {
        Ok(!self.into.borrow().bytes.is_empty())
    }
    fn reset_when_dropped(&self) -> io::Result<()> {
        Ok(())
    }
    fn shut_down_write(&self) -> io::Result<()> {
        self.out.borrow_mut().over = true;
        Ok(())
    }
    fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 1).into())
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }
}

fn acceptor(key: &KeyPair) -> Acceptor {
    let certificate = CertificateParams::new(["localhost".to_owned()]).expect("names").self_signed(key);
    Acceptor::tls(vec![certificate.expect("a certificate").der().clone()], der(key), 3_600).expect("fits")
}

fn der(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// One side with its socket.
struct Side {
    tunnel: Tunnel,
    socket: End,
    received: Vec<u8>,
    end: Option<Received>,
    /// Not all of what the tunnel has to say was taken.
    left: usize,
}

impl Side {
    fn new(tunnel: Tunnel, socket: End) -> Side {
        Side { tunnel, socket, received: Vec::new(), end: None, left: 0 }
    }

    /// Says what it can of these bytes; returns how many were taken.
    fn say(&mut self, bytes: &[u8]) -> usize {
        let written = self.tunnel.write(bytes, &self.socket).expect("a socket");
        self.left += written.left;
        written.taken
    }

    fn hear(&mut self) -> io::Result<()> {
        let mut buffer = [0; READ];
        loop {
            match self.tunnel.read(&self.socket, &mut buffer) {
                Ok(Received::Bytes(bytes)) => self.received.extend_from_slice(&bytes),
                Ok(end) => {
                    self.end = Some(end);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

const READ: usize = 5_000;

/// Both do what they can until both are open.
fn open(client: &mut Side, server: &mut Side) -> io::Result<()> {
    for _ in 0..100_000 {
        if client.tunnel.is_open() && server.tunnel.is_open() {
            return Ok(());
        }
        client.say(&[]);
        server.hear()?;
        server.say(&[]);
        client.hear()?;
    }
    panic!("the handshake does not end")
}

fn pair(dialler: &Dialler, acceptor: &Acceptor, room: usize, piece: usize) -> (Side, Side) {
    let (near, far) = line(room, piece);
    (
        Side::new(dialler.tunnel().expect("a tunnel"), near),
        Side::new(acceptor.tunnel().expect("a tunnel"), far),
    )
}

fn texts(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn bytes_pass_in_both_directions_in_whatever_pieces() {
    let acceptor = acceptor(&key());
    for dialler in [Dialler::to_any_key("localhost").expect("a dialler"), Dialler::Plain] {
        let acceptor = if matches!(dialler, Dialler::Plain) { &Acceptor::Plain } else { &acceptor };
        for (room, piece, length) in [(1 << 20, 1 << 20, 300_000), (700, 90, 40_000), (1, 1, 300)] {
            let (mut client, mut server) = pair(&dialler, acceptor, room, piece);
            open(&mut client, &mut server).expect("a handshake");
            let (there, back) = (texts(length), texts(length / 2));
            let (mut said, mut answered) = (0, 0);
            while server.received.len() < there.len() || client.received.len() < back.len() {
                said += client.say(&there[said..]);
                server.hear().expect("bytes");
                answered += server.say(&back[answered..]);
                client.hear().expect("bytes");
            }
            assert!(server.received == there && client.received == back);
            client.say(&[]);
            assert_eq!(client.left, there.len(), "all has left in the end");
            assert_eq!(client.tunnel.pending(), 0);
        }
    }
}

#[test]
fn what_left_is_counted_when_all_of_its_record_has() {
    let (dialler, acceptor) = (Dialler::to_any_key("localhost").expect("a dialler"), acceptor(&key()));
    let (mut client, mut server) = pair(&dialler, &acceptor, 20_000, 20_000);
    open(&mut client, &mut server).expect("a handshake");
    client.hear().expect("tickets");
    let text = texts(RECORD * 2);
    assert_eq!((client.say(&text), client.left), (2 * RECORD, RECORD), "the second waits, sealed");
    assert!(client.tunnel.pending() > 0);
    let before = client.left;
    client.say(&[]);
    assert_eq!(client.left, before, "the socket is full");
    server.hear().expect("bytes");
    client.say(&[]);
    assert_eq!((client.left, client.tunnel.pending()), (2 * RECORD, 0));
}

#[test]
fn an_end_is_said_and_a_cut_is_none() {
    let (dialler, acceptor) = (Dialler::to_any_key("localhost").expect("a dialler"), acceptor(&key()));
    for says_so in [true, false] {
        let (mut client, mut server) = pair(&dialler, &acceptor, 1 << 20, 1 << 20);
        open(&mut client, &mut server).expect("a handshake");
        client.say(b"logout\n");
        if says_so {
            client.tunnel.end();
            client.say(&[]);
        }
        client.socket.shut_down_write().expect("an end");
        server.hear().expect("bytes");
        assert_eq!(server.received, b"logout\n");
        assert_eq!(Some(server.tunnel.at_end()), server.end);
        assert_eq!(server.end, Some(if says_so { Received::End } else { Received::Cut }));
        // The other direction goes on.
        server.say(b"bye logout\n");
        client.hear().expect("bytes");
        assert_eq!(client.received, b"bye logout\n");
    }
}

#[test]
fn nothing_that_is_said_or_proved_can_be_read_on_the_way() {
    let (key, dialler) = (key(), Dialler::to_any_key("hidden-host").expect("a dialler"));
    let acceptor = acceptor(&key);
    let (mut client, mut server) = pair(&dialler, &acceptor, 1 << 20, 1 << 20);
    open(&mut client, &mut server).expect("a handshake");
    client.say(b"login hans falcon\n");
    server.hear().expect("bytes");
    server.say(b"welcome hans\n");
    client.hear().expect("bytes");
    assert_eq!((&*server.received, &*client.received), (&b"login hans falcon\n"[..], &b"welcome hans\n"[..]));
    let there = client.socket.out.borrow().log.clone();
    let back = server.socket.out.borrow().log.clone();
    for text in [&b"hans"[..], b"falcon", b"login", b"welcome"] {
        assert!(![&there, &back].iter().any(|log| log.windows(text.len()).any(|part| part == text)));
    }
}

#[test]
fn the_key_that_is_proved_is_the_one_of_the_server_also_when_a_session_is_taken_up_again() {
    let dialler = Dialler::to_any_key("localhost").expect("a dialler");
    let first = acceptor(&key());
    let renewed = {
        let key = key();
        (acceptor(&key), acceptor(&key))
    };
    let mut kinds = Vec::new();
    for acceptor in
        [&first, &first, &renewed.0, &renewed.1.clone().after(&renewed.0), &renewed.1.clone().after(&first)]
    {
        let (mut client, mut server) = pair(&dialler, acceptor, 1 << 20, 1 << 20);
        open(&mut client, &mut server).expect("a handshake");
        assert_eq!(client.tunnel.peer_key(), acceptor.fingerprint());
        server.say(b"hello\n");
        client.hear().expect("a ticket");
        kinds.push(client.tunnel.0.as_ref().and_then(|tls| tls.session.handshake_kind()));
    }
    let resumed = |at: usize| kinds[at] == Some(rustls::HandshakeKind::Resumed);
    assert!(!resumed(0) && resumed(1), "{kinds:?}");
    assert!(!resumed(2) && resumed(3), "the same key, renewed: {kinds:?}");
    assert!(!resumed(4), "tickets of another key are none: {kinds:?}");
}

/// R56: the exchange that stays secret if quantum computers come, with a server, also when a session is taken up again,
/// and between two clients.
#[test]
fn two_of_ours_agree_on_the_hybrid_group() {
    let (dialler, acceptor) = (Dialler::to_any_key("localhost").expect("a dialler"), acceptor(&key()));
    let introduction = Introduction { id: Token([7; 16]), requester: "hans".into(), accepter: "luke".into() };
    let peer = |dialled| PeerSide::begin(dialled, introduction.clone()).expect("a side").1;
    let server = || (dialler.tunnel().expect("a tunnel"), acceptor.tunnel().expect("a tunnel"));
    for (client, server) in [server(), server(), (peer(true), peer(false))] {
        let (near, far) = line(1 << 20, 1 << 20);
        let (mut client, mut server) = (Side::new(client, near), Side::new(server, far));
        open(&mut client, &mut server).expect("a handshake");
        client.hear().expect("a ticket");
        for side in [&client, &server] {
            let session = &side.tunnel.0.as_ref().expect("TLS").session;
            let group = session.negotiated_key_exchange_group().map(|group| group.name());
            assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
        }
    }
}

#[test]
fn whoever_shows_a_certificate_must_have_its_key() {
    let (mine, theirs) = (key(), key());
    let stolen = CertificateParams::new(["localhost".to_owned()]).expect("names").self_signed(&theirs);
    let chain = vec![stolen.expect("a certificate").der().clone()];
    assert!(Acceptor::tls(chain.clone(), der(&mine), 0).is_err(), "the operator has mixed them up");
    // Somebody who does it on purpose.
    let signing = ::rustls::crypto::aws_lc_rs::sign::any_supported_type(&der(&mine)).expect("a key");
    let thief = Arc::new(rustls::sign::CertifiedKey::new(chain, signing));
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from((*thief).clone())));
    let (near, far) = line(1 << 20, 1 << 20);
    let dialler = Dialler::to_any_key("localhost").expect("a dialler");
    let session = rustls::ServerConnection::new(Arc::new(config)).expect("a session");
    let mut server = Side::new(Tunnel::tls(session.into()), far);
    let mut client = Side::new(dialler.tunnel().expect("a tunnel"), near);
    let refused = open(&mut client, &mut server).expect_err("no proof");
    assert!(is_fault(&refused), "{refused}");
    assert!(!client.tunnel.is_open());
}

#[test]
fn certificates_of_an_authority_are_for_their_names() {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let own = key();
    let names = ["chat.example".to_owned()];
    let certificate = CertificateParams::new(names).expect("names").signed_by(&own, &authority).expect("one");
    let signed = Acceptor::tls(vec![certificate.der().clone()], der(&own), 0).expect("fits");
    let pem = authority.pem();
    for (host, acceptor, good) in [
        ("chat.example", &signed, true),
        ("other.example", &signed, false),
        ("chat.example", &acceptor(&key()), false),
    ] {
        let dialler = Dialler::to_certified(host, pem.as_bytes()).expect("a dialler");
        let (mut client, mut server) = pair(&dialler, acceptor, 1 << 20, 1 << 20);
        let opened = open(&mut client, &mut server);
        assert_eq!(opened.is_ok() && client.tunnel.is_open(), good, "{host}");
    }
    assert!(Dialler::to_certified("chat.example", b"").is_err(), "no authority");
    assert!(Dialler::to_certified("not a name", pem.as_bytes()).is_err());
    assert!(Dialler::to_any_key("not a name").is_ok(), "a key needs no name");
}

#[test]
fn what_is_no_tls_is_a_fault_and_too_much_of_it_is_not_read() {
    let acceptor = acceptor(&key());
    for said in [
        &b"login hans falcon\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x16, 3, 1, 0, 4, 9, 9, 9, 9],
        &[0xff; 200],
    ] {
        let (near, far) = line(1 << 20, 1 << 20);
        let mut server = Side::new(acceptor.tunnel().expect("a tunnel"), far);
        near.write(said).expect("written");
        let fault = server.hear().expect_err("no TLS");
        assert!(is_fault(&fault), "{fault}");
    }
    // A handshake that does not end: its message says that it is long, and comes slowly.
    let (near, far) = line(1 << 20, 1 << 20);
    let mut server = Side::new(acceptor.tunnel().expect("a tunnel"), far);
    let mut buffer = [0; READ];
    let mut read = 0;
    let stopped = loop {
        let record = [&[0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &vec![0; 0x4000 - 4]].concat();
        near.write(&record).expect("written");
        let gathered = server.tunnel.gather(&server.socket, &mut buffer);
        read += STEP;
        match gathered.and_then(|_| server.tunnel.shake()) {
            Ok(()) => assert!(read <= HANDSHAKE_BYTES + STEP, "{read}"),
            Err(error) => break error,
        }
    };
    assert_eq!(stopped.kind(), ErrorKind::InvalidData);
    assert!(!server.tunnel.is_open());
}

/// Looks for a word in the buffer that it is to read into.
struct Looker<'a> {
    word: &'a [u8],
    found: bool,
}

impl io::Read for Looker<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.found |= buffer.windows(self.word.len()).any(|bytes| bytes == self.word);
        Err(ErrorKind::WouldBlock.into())
    }
}

#[test]
fn what_was_read_is_not_left_in_the_buffer_it_was_opened_in() {
    let word = b"falcon";
    let dialler = Dialler::to_any_key("localhost").expect("a dialler");
    let key = key();
    let acceptor = acceptor(&key);
    // Pieces that end within records, at their ends, and beyond the bytes that are read at a time.
    for (piece, length) in [(1 << 20, 9), (1 << 20, 4_000), (1_000, 9_000), (7, 300), (1 << 20, 40_000)] {
        let (mut client, mut server) = pair(&dialler, &acceptor, 1 << 20, piece);
        open(&mut client, &mut server).expect("a handshake");
        server.received.extend_from_slice(&server.tunnel.first_bytes().expect("no fault"));
        let text: Vec<u8> = word.iter().copied().cycle().take(length).collect();
        for round in 1..=20 {
            let mut taken = 0;
            while taken < length {
                taken += client.say(&text[taken..]);
            }
            let mut buffer = [0; READ];
            while let Ok(received) = server.tunnel.read(&server.socket, &mut buffer) {
                let Received::Bytes(bytes) = received else { panic!("{received:?}") };
                server.received.extend_from_slice(&bytes);
                let mut looker = Looker { word, found: false };
                let tls = server.tunnel.0.as_mut().expect("TLS");
                assert!(tls.session.read_tls(&mut looker).is_err(), "nothing is read");
                assert!(!looker.found, "round {round}, pieces of {piece}");
            }
        }
        assert_eq!(server.received.len(), 20 * length);
    }
}

#[test]
fn records_end_where_their_headers_say_in_whatever_pieces() {
    let mut stream = Vec::new();
    let mut ends = vec![0];
    for length in [0_u16, 1, 300, 16_401, 5, 0] {
        stream.extend([23, 3, 3]);
        stream.extend(length.to_be_bytes());
        stream.extend(vec![1; length.into()]);
        ends.push(stream.len());
    }
    for piece in [1, 2, 3, 5, 7, 1_000, stream.len()] {
        let mut records = Records::default();
        let mut at = 0;
        for bytes in stream.chunks(piece) {
            records.follow(bytes);
            at += bytes.len();
            let end = ends.iter().rfind(|end| **end <= at).expect("the beginning");
            assert_eq!(records.unfinished(), at - end, "pieces of {piece}, at {at}");
        }
    }
}
