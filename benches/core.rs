//! The server's core alone: messages through `ServerState::handle`, each parsed, addressed, delivered,
//! acknowledged and answered, with a thousand accounts and with a million; and the wire's own cost.
//!
//! ```text
//! cargo bench --bench core
//! cargo bench --bench core -- only 1000000 200000 1   ACCOUNTS MESSAGES LINES-AN-EVENT, once, to count instructions
//! ```

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hobnob::record::{RecordNumber, Recovery};
use hobnob::server::{Effect, Event, ServerState, Settings, Verdict};
use hobnob::time::Time;
use hobnob::wire::{Answer, ClientLine, Delivery, Freshness, ServerLine, Status};
use hobnob::words::{Credential, LinkId, LoginNumber, MessageId, Name, Origin, Text, Ticket};

const TEXT: &str = "tttttttttttttttttttttttttttttttttttttttttttttttt";
/// Users online; they are spread over all accounts.
const ONLINE: usize = 1_000;
/// A receiver acknowledges so many at once, or those of so many microseconds.
const ACKNOWLEDGE_AFTER: u64 = 64;
const ACKNOWLEDGE_WITHIN: u64 = 10_000;
/// Messages prepared before the clock runs.
const PREPARED: usize = 8_192;
/// Measurements of each kind, in turns; the middle one counts.
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(300);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [only, accounts, messages, lines] = arguments.as_slice()
        && only == "only"
        && let (Ok(accounts), Ok(messages), Ok(lines)) =
            (accounts.parse(), messages.parse::<usize>(), lines.parse())
    {
        // Instructions are counted under tools that know no such clock.
        let mut town = Town::new(accounts, || Duration::ZERO);
        for _ in 0..messages.div_ceil(PREPARED) {
            town.exchange(lines);
        }
        return;
    }
    handle();
    wire();
}

fn handle() {
    let mut small = Town::new(1_000, cpu_time);
    let mut large = Town::new(1_000_000, cpu_time);
    println!(
        "handle: messages a second of CPU time, {ONLINE} online, receivers at random (middle of {ROUNDS} rounds)"
    );
    println!(
        "| {:<18} | {:>14} | {:>18} | {:>15} |",
        "lines an event", "1,000 accounts", "1,000,000 accounts", "time, large/small"
    );
    for batch in [1, 64] {
        let (mut smalls, mut larges) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            smalls.push(small.messages_a_second(batch));
            larges.push(large.messages_a_second(batch));
        }
        let (small, large) = (median(smalls), median(larges));
        println!("| {batch:<18} | {small:>14.0} | {large:>18.0} | {:>17.2} |", small / large);
    }
    println!("must: ≥ 1,000,000 at 1,000,000 accounts, time within a factor 2; aim: ≥ 2,000,000\n");
}

/// A server with accounts, of which some are online and write to each other.
struct Town {
    server: ServerState,
    now: Time,
    users: Vec<User>,
    /// Acknowledgements that are due: when, whose, and from which message on.
    due: VecDeque<(Time, usize, u64)>,
    random: u64,
    clock: fn() -> Duration,
}

struct User {
    link: LinkId,
    name: String,
    /// Messages that were prepared, and those of them that were sent.
    prepared: u64,
    sent: u64,
    answered: u64,
    received: u64,
    acknowledged: u64,
    /// Bytes sent to the user, and how many the core knows to have left.
    bytes: u64,
    flushed: u64,
}

/// So many bytes are said to have left at once.
const FLUSHED_AFTER: u64 = 16 * 1024;

/// The next event that the core waits for.
enum Owed {
    Verified(Ticket),
    Committed(RecordNumber),
}

impl Town {
    fn new(accounts: usize, clock: fn() -> Duration) -> Town {
        let name = |n: usize| format!("u{n:07}");
        let all = (0..accounts).map(|n| {
            let name = Name::new(&name(n)).unwrap_or_else(|_| unreachable!("a good name"));
            (name, Credential::new("pw"))
        });
        let settings =
            Settings { timeout_secs: 0, rate_burst: 0, unauthenticated_max: 0, ..Settings::default() };
        let recovery = Recovery { boot: 1, ..Recovery::default() };
        let now = Time(1_000_000_000_000_000);
        let server = ServerState::new(settings, all.collect(), recovery, 7, now);
        let mut town = Town { server, now, users: Vec::new(), due: VecDeque::new(), random: 7, clock };
        town.tell(Event::Tick);
        for n in 0..ONLINE {
            town.log_in(n, name(n * (accounts / ONLINE)));
        }
        town
    }

    fn log_in(&mut self, n: usize, name: String) {
        let link = LinkId(n as u64);
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 5000));
        self.tell(Event::LinkOpened { link, from, nonce: [n as u8; 32] });
        let bytes = format!("hello 1 ack resume\nlogin {name} pw\n");
        self.tell(Event::Received { link, bytes: bytes.as_bytes() });
        self.users.push(User {
            link,
            name,
            prepared: 0,
            sent: 0,
            answered: 0,
            received: 0,
            acknowledged: 0,
            bytes: 0,
            flushed: 0,
        });
    }

    /// Tells the core something and gives it what it asks for, but for the store's page of mail,
    /// which nobody here has.
    fn tell(&mut self, event: Event<'_>) {
        let mut owed = self.handle(event);
        while let Some(next) = owed.pop() {
            owed.extend(match next {
                Owed::Verified(ticket) => self.handle(Event::Verified { ticket, verdict: Verdict::Right }),
                Owed::Committed(upto) => self.handle(Event::Committed { upto }),
            });
        }
    }

    fn handle(&mut self, event: Event<'_>) -> Vec<Owed> {
        let mut owed = Vec::new();
        for effect in self.server.handle(event, self.now) {
            match effect {
                Effect::Verify { ticket, .. } => owed.push(Owed::Verified(ticket)),
                Effect::Persist { number, .. } => owed.push(Owed::Committed(number)),
                Effect::Send { .. }
                | Effect::Close { .. }
                | Effect::Pause { .. }
                | Effect::Resume { .. }
                | Effect::Hash { .. }
                | Effect::LoadMail { .. }
                | Effect::ScheduleTimeout { .. }
                | Effect::Acted { .. }
                | Effect::Order { .. }
                | Effect::Report(_) => {}
            }
        }
        owed
    }

    fn messages_a_second(&mut self, batch: usize) -> f64 {
        let (mut messages, mut time) = (0, Duration::ZERO);
        while time < ROUND {
            time += self.exchange(batch);
            messages += PREPARED;
        }
        messages as f64 / time.as_secs_f64()
    }

    /// Some thousand messages, so many lines an event, with acknowledgements and answers; the time
    /// the core took, and whoever drives it.
    fn exchange(&mut self, batch: usize) -> Duration {
        let mut bytes = String::new();
        let mut events = Vec::new();
        for _ in 0..PREPARED / batch {
            let sender = self.draw();
            let start = bytes.len();
            let mut receivers = Vec::with_capacity(batch);
            for _ in 0..batch {
                let receiver = (sender + 1 + self.draw() % (ONLINE - 1)) % ONLINE;
                receivers.push(receiver);
                self.users[sender].prepared += 1;
                let (number, name) = (self.users[sender].prepared, &self.users[receiver].name);
                let _ = writeln!(bytes, "#{number} message {name} {TEXT}");
            }
            events.push((sender, start..bytes.len(), receivers));
        }
        let mut line = Vec::new();
        let mut delivered = 0;
        let began = (self.clock)();
        for (sender, range, receivers) in &events {
            self.users[*sender].sent += batch as u64;
            delivered += self.say(*sender, batch as u64, bytes[range.clone()].as_bytes());
            while self.server.has_turns() {
                delivered += self.take_turn();
            }
            for &receiver in receivers {
                self.show(receiver, &mut line);
            }
            self.take_answers(*sender, &mut line);
        }
        let time = (self.clock)() - began;
        assert!(delivered == PREPARED, "{delivered} of {PREPARED} messages were sent on");
        time
    }

    /// Bytes of a user come in, after so many microseconds; how many lines leave.
    fn say(&mut self, user: usize, micros: u64, bytes: &[u8]) -> usize {
        self.now.0 += micros;
        self.count(Event::Received { link: self.users[user].link, bytes })
    }

    fn take_turn(&mut self) -> usize {
        self.count(Event::Turn)
    }

    /// How many lines leave at an event.
    fn count(&mut self, event: Event<'_>) -> usize {
        let mut messages = 0;
        for effect in self.server.handle(event, self.now) {
            match effect {
                Effect::Send { link, bytes } => {
                    self.users[link.0 as usize].bytes += bytes.len() as u64;
                    messages += memchr::memchr_iter(b'\n', black_box(bytes)).count();
                }
                Effect::ScheduleTimeout { .. } => {}
                Effect::Close { .. }
                | Effect::Pause { .. }
                | Effect::Resume { .. }
                | Effect::Verify { .. }
                | Effect::Hash { .. }
                | Effect::Persist { .. }
                | Effect::LoadMail { .. }
                | Effect::Acted { .. }
                | Effect::Order { .. }
                | Effect::Report(_) => unreachable!("live messages cause nothing else: {effect:?}"),
            }
        }
        messages
    }

    /// What was sent to a user has left for the network.
    fn flush(&mut self, user: usize) {
        let User { link, bytes, flushed, .. } = &mut self.users[user];
        if *bytes - *flushed >= FLUSHED_AFTER {
            *flushed = *bytes;
            let (link, upto) = (*link, *bytes);
            self.tell(Event::Flushed { link, upto });
        }
    }

    /// Takes a message that was sent to a user.
    fn show(&mut self, user: usize, line: &mut Vec<u8>) {
        self.flush(user);
        let receiver = &mut self.users[user];
        if receiver.received == receiver.acknowledged {
            self.due.push_back((Time(self.now.0 + ACKNOWLEDGE_WITHIN), user, receiver.received));
        }
        receiver.received += 1;
        if receiver.received - receiver.acknowledged >= ACKNOWLEDGE_AFTER {
            self.acknowledge(user, line);
        }
        while let Some(&(due, user, since)) = self.due.front()
            && due <= self.now
        {
            self.due.pop_front();
            if self.users[user].acknowledged == since {
                self.acknowledge(user, line);
            }
        }
    }

    fn acknowledge(&mut self, user: usize, line: &mut Vec<u8>) {
        let receiver = &mut self.users[user];
        let shown = receiver.received - receiver.acknowledged;
        receiver.acknowledged = receiver.received;
        line.clear();
        let _ = writeln!(line, "ack 1.{} -", receiver.received);
        let answers = self.say(user, 0, line);
        assert!(answers as u64 == shown, "{answers} of {shown} senders have heard of it");
    }

    /// Acknowledges answers now and then, as a sender does.
    fn take_answers(&mut self, user: usize, line: &mut Vec<u8>) {
        self.flush(user);
        let sender = &mut self.users[user];
        if sender.sent - sender.answered >= 2 * ACKNOWLEDGE_AFTER {
            sender.answered = sender.sent - ACKNOWLEDGE_AFTER;
            line.clear();
            let _ = writeln!(line, "ack - {}", sender.answered);
            self.say(user, 0, line);
        }
    }

    /// A user at random, the same in every run.
    fn draw(&mut self) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % ONLINE
    }
}

fn wire() {
    println!("wire: ns a line (middle of {ROUNDS} rounds)");
    let command = format!("#123456 message u0000500 {TEXT}");
    let show = |name: &str, nanos: f64| println!("| {name:<34} | {nanos:>6.0} |");
    show(
        "parse `#N message USER TEXT`",
        nanos_each(|| black_box(ClientLine::parse(black_box(command.as_bytes()))).is_ok()),
    );
    show(
        "parse `ack BOOT.N -`",
        nanos_each(|| black_box(ClientLine::parse(black_box(b"ack 1.123456 -"))).is_ok()),
    );
    let Some(text) = Text::new(TEXT) else { return };
    let mut out = Vec::with_capacity(4096);
    let message = ServerLine::Message(Delivery {
        id: MessageId { boot: 1, number: 123_456 },
        from: "u0000500",
        sent_at: Time(1_780_000_000_000_000),
        origin: Some(Origin { login: LoginNumber(3), number: 123_456 }),
        freshness: Freshness::Live,
        text,
    });
    let answer = Answer::Message { to: "u0000500", status: Status::Delivered };
    let answer = ServerLine::Done { number: Some(123_456), answer };
    for (name, line) in [("message …", message), ("ok #N message USER delivered", answer)] {
        show(
            &format!("encode `{name}`"),
            nanos_each(|| {
                out.clear();
                black_box(&line).encode(&mut out);
                !black_box(&out).is_empty()
            }),
        );
        let line = out.strip_suffix(b"\n").unwrap_or(&out).to_vec();
        show(
            &format!("parse `{name}`"),
            nanos_each(|| black_box(ServerLine::parse(black_box(&line))).is_ok()),
        );
    }
}

fn nanos_each(mut work: impl FnMut() -> bool) -> f64 {
    const TIMES: u32 = 200_000;
    let rounds = (0..ROUNDS).map(|_| {
        let began = cpu_time();
        for _ in 0..TIMES {
            assert!(work(), "it must succeed to count");
        }
        (cpu_time() - began).as_nanos() as f64 / f64::from(TIMES)
    });
    median(rounds.collect())
}

/// CPU time of this thread, on which other programs have less influence.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
