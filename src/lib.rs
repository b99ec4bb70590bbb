//! Hobnob, an instant messenger for people who live in a terminal: its core, for whoever wants to build on
//! it, and the shell around it.
//!
//! The core is two state machines. [`ServerState`](server::ServerState) is the server: accounts, sessions,
//! mailboxes, blocks, groups. [`ClientState`](client::ClientState) is the client: login, outstanding
//! commands, reconnection, private links. Events go in, effects come out.
//!
//! The core has **no** sockets, **no** clock, **no** threads, **no** async runtime, **no** files, **no**
//! terminal, **no** randomness and **no** password hashing, and needs no std. It does not encrypt, and it
//! does not decide how often it is called. All of that is the driver's: with default features this crate
//! brings one (`shell`) and two programs made of it; with `default-features = false` it is the core alone.
//! With the feature `sim` the core is driven by a simulated world.
//!
//! # A session without a socket
//!
//! ```
//! use std::collections::VecDeque;
//!
//! use hobnob::record::Recovery;
//! use hobnob::server::{Effect, Event, ServerState, Settings, Verdict};
//! use hobnob::time::Time;
//! use hobnob::words::{Credential, LinkId, Name};
//!
//! /// Tells the server what has happened, answers each effect at once, and returns what the server says.
//! fn tell(server: &mut ServerState, event: Event<'static>) -> String {
//!     let mut said = String::new();
//!     let mut due = VecDeque::from([event]);
//!     while let Some(event) = due.pop_front() {
//!         for effect in server.handle(event, Time(1_000_000)) {
//!             match effect {
//!                 Effect::Send { link: _, bytes } => said += core::str::from_utf8(bytes).unwrap(),
//!                 Effect::Verify { ticket, credential, password } => {
//!                     let is_right = credential.is_some_and(|c| c.reveal() == password.reveal());
//!                     let verdict = if is_right { Verdict::Right } else { Verdict::Wrong };
//!                     due.push_back(Event::Verified { ticket, verdict });
//!                 }
//!                 Effect::Persist { number, .. } => due.push_back(Event::Committed { upto: number }),
//!                 _ => {}
//!             }
//!         }
//!     }
//!     said
//! }
//!
//! let account = |name| (Name::new(name).unwrap(), Credential::new("falcon"));
//! let accounts = vec![account("hans"), account("yoda")];
//! let mut server = ServerState::new(Settings::default(), accounts, Recovery::default(), 7, Time(0));
//! tell(&mut server, Event::Tick);
//!
//! let link = LinkId(1);
//! let from = ([192, 0, 2, 1], 50_000).into();
//! assert_eq!(tell(&mut server, Event::LinkOpened { link, from, nonce: [9; 32] }), "hobnob 1 ack resume device alive courier away relay until\n");
//! let said = tell(&mut server, Event::Received { link, bytes: b"login hans falcon\n" });
//! assert!(said.starts_with("welcome hans unread 0 login "));
//! // How bytes are cut into chunks means nothing.
//! assert_eq!(tell(&mut server, Event::Received { link, bytes: b"message yo" }), "");
//! assert_eq!(tell(&mut server, Event::Received { link, bytes: b"da hi\n" }), "ok message yoda stored\n");
//! ```
//!
//! # The contract of a driver
//!
//! What a driver owes the core, the server's and the client's alike:
//!
//! 1. **One event at a time.** Call `handle` with an event and the time, and take *all* effects before the
//!    next call. The effects borrow the state, so the compiler sees to the order; an iterator that is
//!    dropped early trips an assertion at the next call.
//! 2. **In order.** Carry out effects in the order in which they come: `Send`s of a link in order, `Persist`s
//!    of all links in one order. To carry out is to hand on: nothing has to be waited for.
//! 3. **Nothing has to be held back.** The core says nothing that promises what is not durable yet. What is
//!    in a `Send` may leave at once, and what waits for a record comes in a `Send` after `Committed`.
//! 4. **Durable means synced.** `Committed` says that every record up to that number survives a loss of power.
//!    If the store could not write, `StoreRefused` says from which record on, and none of these may appear
//!    later. Records of one call may share a batch. A record for a new account counts once the credentials
//!    file is durable too.
//! 5. **Who answers what.** Each effect below is answered once, by the event beside it, whenever that comes to
//!    be; all others are not answered.
//!
//!    | server's effect | event |
//!    |---|---|
//!    | `Send` | `Flushed`, with the count of bytes that have left on this link in all; several may share one. Without it the core takes the link for one that is not read |
//!    | `Verify`, `Hash`, `LoadMail` | `Verified`, `Hashed`, `MailLoaded`, with the same ticket |
//!    | `Persist` | `Committed` or `StoreRefused`; several may share one |
//!    | `ScheduleTimeout` | `Tick`, at that time or as soon as can be after it |
//!
//!    | client's effect | event |
//!    |---|---|
//!    | `Dial` | `Connected` or `Disconnected`; `Distrusted`, `Unpinned` |
//!    | `Deliver` | `Delivered`, once it is shown and noted; several may share one |
//!    | `OpenState`, `Listen` | `StateOpened` or `StateRefused`, `Listening` |
//!    | `DialPeer` | `PeerOpened` or `PeerUnreached` |
//!    | `PunchPeer` | `PeerOpened` or `PeerUnpunched` |
//!    | `MapPort` | `PortMapped`, also if nobody has answered |
//!    | `ScheduleTimeout` | `Tick`, as above |
//!
//! 6. **Late is harmless.** An event for a link, ticket or dial that is gone is ignored. Ids are never used
//!    again. After `Close` a link is gone: what still comes from it may be handed in or not, and no
//!    `LinkClosed` is owed.
//! 7. **Two ends of a link.** `StreamEnded` says that the client sends no more and may still read; it comes
//!    after everything received, and the core answers with `Close` when all is answered. `LinkClosed` says that
//!    the link is lost both ways: no effect is owed for it.
//! 8. **Deadlines are met at ticks only.** `ScheduleTimeout` replaces the time asked for before. A `Tick` at any
//!    other time is harmless. After waking, read every ready socket once before the tick, so that nobody is
//!    timed out whose bytes have arrived.
//! 9. **Turns.** A link whose lines have cost enough waits, so that others have theirs. As long as `has_turns`, hand in
//!    a `Turn` after everything that is ready to be read: each gives one link its turn.
//! 10. **Time does not go back.** A `Time` is wall time, taken once, and monotonic time since. The core goes by
//!     the latest that it has seen.
//! 11. **Bounds.** After `Pause` read no more of the link until `Resume`; what was read already may be handed
//!     in. Type into the client only while `wants_input`. A client that takes no output for too long is the
//!     driver's to close, with `LinkClosed`: the core keeps its mail.
//! 12. **The beginning and the end.** The first event of a server is `Tick`, that of a client `Started`. A
//!     server told to `Stop` is done when `link_count` is 0; a client ends with the effect `Exit`.
//!
//! # The whole loop
//!
//! A server with real sockets, one thread for each client and one that owns the state. It keeps mail in
//! memory and compares passwords in plain: this is the form of a driver, not one to be used.
//!
//! ```no_run
//! use std::collections::HashMap;
//! use std::io::{self, Read, Write};
//! use std::net::{SocketAddr, TcpListener, TcpStream};
//! use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
//! use std::thread;
//! use std::time::{Duration, SystemTime, UNIX_EPOCH};
//!
//! use hobnob::record::{Fact, Mail, Record, Recovery};
//! use hobnob::server::{Effect, Event, ServerState, Settings, Verdict};
//! use hobnob::time::Time;
//! use hobnob::words::{Credential, LinkId, Name};
//!
//! /// What threads tell the one that owns the state.
//! enum News {
//!     Opened(LinkId, SocketAddr, TcpStream),
//!     Received(LinkId, Vec<u8>),
//!     Ended(LinkId),
//!     Lost(LinkId),
//! }
//!
//! fn listen(listener: TcpListener, news: Sender<News>) -> io::Result<()> {
//!     for (number, stream) in (1..).zip(listener.incoming()) {
//!         let (link, stream) = (LinkId(number), stream?);
//!         let (reading, from) = (stream.try_clone()?, stream.peer_addr()?);
//!         if news.send(News::Opened(link, from, stream)).is_err() {
//!             break;
//!         }
//!         let news = news.clone();
//!         thread::spawn(move || read(link, reading, &news));
//!     }
//!     Ok(())
//! }
//!
//! fn read(link: LinkId, mut stream: TcpStream, news: &Sender<News>) {
//!     let mut chunk = [0; 4_096];
//!     loop {
//!         let (next, is_last) = match stream.read(&mut chunk) {
//!             Ok(0) => (News::Ended(link), true),
//!             Ok(count) => (News::Received(link, chunk[..count].to_vec()), false),
//!             Err(_) => (News::Lost(link), true),
//!         };
//!         if news.send(next).is_err() || is_last {
//!             return;
//!         }
//!     }
//! }
//!
//! struct Driver {
//!     links: HashMap<LinkId, (TcpStream, u64)>,
//!     mail: Vec<(Name, Mail)>,
//!     timeout: Time,
//! }
//!
//! impl Driver {
//!     /// Hands in an event, carries out the effects, then hands in the events that answer them.
//!     fn tell(&mut self, server: &mut ServerState, event: Event<'_>) {
//!         let mut due = Vec::new();
//!         if let Event::LinkClosed { link } = &event {
//!             self.links.remove(link);
//!         }
//!         for effect in server.handle(event, now()) {
//!             match effect {
//!                 Effect::Send { link, bytes } => {
//!                     let Some((stream, sent)) = self.links.get_mut(&link) else { continue };
//!                     // Waits for a slow client; a driver with more of them would queue.
//!                     due.push(if stream.write_all(bytes).is_ok() {
//!                         *sent += bytes.len() as u64;
//!                         Event::Flushed { link, upto: *sent }
//!                     } else {
//!                         Event::LinkClosed { link }
//!                     });
//!                 }
//!                 Effect::Close { link } => {
//!                     if let Some((stream, _)) = self.links.remove(&link) {
//!                         let _ = stream.shutdown(std::net::Shutdown::Both);
//!                     }
//!                 }
//!                 Effect::Verify { ticket, credential, password } => {
//!                     let is_right = credential.is_some_and(|c| c.reveal() == password.reveal());
//!                     let verdict = if is_right { Verdict::Right } else { Verdict::Wrong };
//!                     due.push(Event::Verified { ticket, verdict });
//!                 }
//!                 Effect::Hash { ticket, .. } => due.push(Event::Hashed { ticket, credential: None }),
//!                 Effect::Persist { number, record, .. } => {
//!                     match record {
//!                         Record::MailStored { to, mail } => self.mail.push((to.clone(), mail.clone())),
//!                         Record::Fact(Fact::MailRemoved { user, ids }) => {
//!                             self.mail.retain(|(to, mail)| to != user || !ids.contains(&mail.id));
//!                         }
//!                         _ => {}
//!                     }
//!                     due.push(Event::Committed { upto: number });
//!                 }
//!                 Effect::LoadMail { ticket, user, from, after, limit } => {
//!                     let is_wanted = |to: &Name, mail: &Mail| {
//!                         to == user && mail.id > after && from.is_none_or(|from| *from == mail.from)
//!                     };
//!                     let mut found = self.mail.iter().filter(|(to, mail)| is_wanted(to, mail));
//!                     let mail = found.by_ref().take(limit as usize).map(|(_, mail)| mail.clone()).collect();
//!                     due.push(Event::MailLoaded { ticket, mail, more: found.next().is_some() });
//!                 }
//!                 Effect::ScheduleTimeout { at } => self.timeout = at,
//!                 Effect::Report(report) => eprintln!("{report:?}"),
//!                 // The channel between the threads holds what is read too early.
//!                 Effect::Pause { .. } | Effect::Resume { .. } => {}
//!                 // What became of an operator's `Event::Operator`; nobody says one here.
//!                 // Nobody is an operator here.
//!                 Effect::Acted { .. } | Effect::Order { .. } => {}
//!             }
//!         }
//!         due.into_iter().for_each(|event| self.tell(server, event));
//!     }
//!
//!     fn take(&mut self, server: &mut ServerState, news: News) {
//!         match news {
//!             News::Opened(link, from, stream) => {
//!                 self.links.insert(link, (stream, 0));
//!                 // Of a source of random bytes; tokens are made of it.
//!                 let nonce = [0; 32];
//!                 self.tell(server, Event::LinkOpened { link, from, nonce });
//!             }
//!             News::Received(link, bytes) => self.tell(server, Event::Received { link, bytes: &bytes }),
//!             News::Ended(link) => self.tell(server, Event::StreamEnded { link }),
//!             News::Lost(link) => self.tell(server, Event::LinkClosed { link }),
//!         }
//!     }
//! }
//!
//! fn now() -> Time {
//!     Time::ZERO + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
//! }
//!
//! let (news, inbox) = channel();
//! let listener = TcpListener::bind("127.0.0.1:4000")?;
//! thread::spawn(move || listen(listener, news));
//! let accounts = vec![(Name::new("hans").unwrap(), Credential::new("falcon"))];
//! // A driver with a store hands in what that has kept.
//! let mut server = ServerState::new(Settings::default(), accounts, Recovery::default(), 7, now());
//! let mut driver = Driver { links: HashMap::new(), mail: Vec::new(), timeout: Time::MAX };
//! driver.tell(&mut server, Event::Tick);
//! loop {
//!     let patience = driver.timeout.since(now()).min(Duration::from_secs(3_600));
//!     match inbox.recv_timeout(if server.has_turns() { Duration::ZERO } else { patience }) {
//!         Ok(news) => driver.take(&mut server, news),
//!         Err(RecvTimeoutError::Disconnected) => break,
//!         Err(RecvTimeoutError::Timeout) => {}
//!     }
//!     // All that has come, and only then the tick.
//!     while let Ok(news) = inbox.try_recv() {
//!         driver.take(&mut server, news);
//!     }
//!     if now() >= driver.timeout {
//!         driver.timeout = Time::MAX;
//!         driver.tell(&mut server, Event::Tick);
//!     }
//!     driver.tell(&mut server, Event::Turn);
//! }
//! # Ok::<(), io::Error>(())
//! ```
//!
//! `examples/bot.rs` is the same for a [`ClientState`](client::ClientState): an echo bot with one socket and
//! one thread. `ARCHITECTURE.md` shows how the crate is laid out and what it promises, `PROTOCOL.md` has the
//! lines that are sent.
#![cfg_attr(not(feature = "shell"), no_std)]

extern crate alloc;

pub mod client;
#[doc(hidden)]
pub mod planted;
pub mod record;
pub mod server;
#[cfg(feature = "shell")]
#[doc(hidden)]
pub mod shell;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
pub mod wire;
pub mod words;
