//! An echo bot: answers each direct message with the same text. It drives a `ClientState` with nothing but
//! std, one socket and one thread: the core numbers, repeats and acknowledges; the bot does as it is told.
//!
//!     cargo run --example bot -- 127.0.0.1:4000 NAME PASSWORD

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hobnob::client::view::{Message, MessageKind, View};
use hobnob::client::{AcceptPrivate, ClientState, Effect, Event, Exit, Recall, Settings};
use hobnob::time::Time;
use hobnob::words::Password;

fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("usage: bot ADDRESS:PORT NAME PASSWORD");
    std::process::exit(run(&word(), &word(), &word()).code().into());
}

/// Answers until the server ends the session for good.
pub(crate) fn run(server: &str, user: &str, password: &str) -> Exit {
    let (user, password) = (Some(user.to_owned()), Some(Password::new(password)));
    let settings = Settings { user, password, accept_private: AcceptPrivate::Never, ..Settings::default() };
    let mut core = ClientState::new(settings, now().0);
    let mut bot = Bot { server, stream: None, timeout: Time::MAX, answers: VecDeque::new(), exit: None };
    bot.tell(&mut core, Event::Started);
    for line in 1.. {
        while bot.exit.is_none() && (bot.answers.is_empty() || !core.wants_input()) {
            bot.wait(&mut core);
        }
        let Some(text) = bot.answers.pop_front() else { break };
        bot.tell(&mut core, Event::Typed { line, text: text.as_bytes() });
    }
    bot.exit.unwrap_or(Exit::Done)
}

fn now() -> Time {
    Time::ZERO + SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

struct Bot<'a> {
    server: &'a str,
    stream: Option<TcpStream>,
    timeout: Time,
    answers: VecDeque<String>,
    exit: Option<Exit>,
}

impl Bot<'_> {
    /// Waits for bytes, the end of them, or the timeout.
    fn wait(&mut self, core: &mut ClientState) {
        let left = self.timeout.since(now()).clamp(Duration::from_millis(1), Duration::from_secs(3_600));
        let mut chunk = [0; 4_096];
        match self.stream.as_mut().map(|s| s.set_read_timeout(Some(left)).and_then(|()| s.read(&mut chunk))) {
            Some(Ok(count @ 1..)) => return self.tell(core, Event::Received { bytes: &chunk[..count] }),
            Some(Err(e)) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&e.kind()) => {}
            Some(Ok(0) | Err(_)) => {
                self.stream = None;
                return self.tell(core, Event::Disconnected);
            }
            None => std::thread::sleep(left),
        }
        self.timeout = Time::MAX;
        self.tell(core, Event::Tick);
    }

    /// Hands the core an event, then the events that answer its effects.
    fn tell(&mut self, core: &mut ClientState, event: Event<'_>) {
        let mut due = Vec::new();
        for effect in core.handle(event, now()) {
            match effect {
                Effect::Dial => {
                    self.stream = TcpStream::connect(self.server).ok();
                    due.push(if self.stream.is_some() { Event::Connected } else { Event::Disconnected });
                }
                // A connection that does not take it is at its end for the next read, too.
                Effect::Send { bytes } => drop(self.stream.as_mut().map(|stream| stream.write_all(bytes))),
                Effect::HangUp => self.stream = None,
                Effect::Deliver { sequence, view, mark: _ } => {
                    if let View::Message(Message { kind: MessageKind::Direct, from, text, .. }) = view {
                        self.answers.push_back(format!("message {from} {text}"));
                    }
                    due.push(Event::Delivered { upto: sequence });
                }
                // It keeps no state: a bot that is started again remembers nothing.
                Effect::OpenState { .. } => due.push(Event::StateOpened(Recall::default())),
                Effect::FindCookie { .. } => due.push(Event::CookieFound { cookie: None }),
                Effect::Listen => due.push(Event::Listening { addresses: Vec::new() }),
                Effect::MapPort { attempt } => due.push(Event::PortMapped { attempt, mapped: None }),
                Effect::DialPeer { address } => due.push(Event::PeerUnreached { address }),
                Effect::PunchPeer { address } => due.push(Event::PeerUnpunched { address }),
                Effect::ScheduleTimeout { at } => self.timeout = at,
                Effect::Exit(exit) => self.exit = Some(exit),
                Effect::Show(_) | Effect::NoteOpen { .. } | Effect::NoteSettled { .. } => {}
                Effect::KeepCookie { .. } | Effect::CloseState | Effect::StopListening => {}
                Effect::UnmapPort | Effect::Log(_) | Effect::LookUp { .. } => {}
                Effect::SendPeer { .. } | Effect::SecurePeer { .. } | Effect::KeepKey(_) => {}
                Effect::ClosePeer { .. } | Effect::ResetPeer { .. } => {}
                Effect::BeginRelay { .. } | Effect::FeedRelay { .. } | Effect::EndRelay { .. } => {}
            }
        }
        due.into_iter().for_each(|event| self.tell(core, event));
    }
}
