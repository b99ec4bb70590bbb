//! What holds whatever the server, the other clients and the person do.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::collection::vec as many;
use proptest::prelude::*;
use proptest::sample::select;

use super::script::{KEY, OWN_KEY, TOKEN, said_call};
use crate::client::view::View;
use crate::client::{ClientState, Effect, Event, PeerOpened, Recall, Settings, Signal};
use crate::time::Time;
use crate::words::{LinkId, Password, Token};

const ID: &str = "0f0e0d0c0b0a09080706050403020100";

/// Lines that a server may say, at fitting and unfitting moments.
fn server_line() -> impl Strategy<Value = Vec<u8>> {
    let fixed = select(vec![
        "hobnob 1 ack resume",
        "ask password",
        "ask new_password",
        "refused invalid_credentials 2",
        "refused busy",
        "refused already_online",
        "device 00112233445566778899aabbccddeeff",
        "alive",
        "hobnob 1 ack resume device alive away",
        "refused stale",
        "message 1.1 yoda 5 2.1 live hi",
        "message 1.2 yoda 5 2.2 stored hi",
        "group-message 1.3 rebels yoda 5 2.3 live hi",
        "broadcast 1.1 yoda 5 2.4 live hi",
        "online yoda",
        "members rebels yoda",
        "changed rebels yoda",
        "request yoda",
        "request luke",
        "withdrawn luke",
        "introduce yoda requester 0f0e0d0c0b0a09080706050403020100 ed25519:CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws 192.0.2.2:6000",
        "introduce luke accepter 0f0e0d0c0b0a09080706050403020100 ed25519:CwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCwsLCws 192.0.2.3:6000",
        "error too_long",
        "notice failed_logins 3",
        "notice missed 2",
        "bye timeout",
        "nonsense",
    ]);
    let admission = select(vec!["welcome", "resumed"])
        .prop_map(|word| format!("{word} hans unread 1 login 7 token {TOKEN}").into_bytes());
    let answer = (
        1..8_u64,
        select(vec![
            "ok #N ping yoda online",
            "ok #N whoelse 0",
            "users #N yoda luke",
            "members #N rebels yoda",
            "ok #N startprivate yoda",
            "ok #N accept yoda",
            "error #N offline x",
            "ok #N logout",
        ]),
    )
        .prop_map(|(number, line)| line.replace('N', &format!("{number}")).into_bytes());
    prop_oneof![
        4 => fixed.prop_map(|line| line.as_bytes().to_vec()),
        1 => admission,
        4 => answer,
        1 => many(any::<u8>(), 0..40),
    ]
}

fn peer_line() -> impl Strategy<Value = Vec<u8>> {
    select(vec![
        "ready".into(),
        "nominate".into(),
        "opened".into(),
        said_call(ID, Token([1; 16]), false, "yoda", "hans"),
        said_call(ID, Token([2; 16]), true, "luke", "hans"),
        format!("hobnob-private 1 {ID} yoda hans"),
        "text 1 5 hi".into(),
        "text 2 5 hi".into(),
        "ack 1".into(),
        "close stopped".into(),
        "nonsense".into(),
    ])
    .prop_map(String::into_bytes)
}

fn typed() -> impl Strategy<Value = Vec<u8>> {
    let lines = select(vec![
        "hans",
        "falcon",
        "whoelse",
        "ping yoda",
        "message yoda hi",
        "dance",
        "",
        "startprivate yoda",
        "startprivate luke",
        "accept yoda",
        "y",
        "n",
        "private yoda hi",
        "stopprivate yoda",
        "help",
    ]);
    prop_oneof![8 => lines.prop_map(|line| line.as_bytes().to_vec()), 1 => many(any::<u8>(), 0..20)]
}

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    Server(Vec<u8>),
    Peer(u64, Vec<u8>),
    Typed(Vec<u8>),
    Connected,
    Disconnected,
    StateOpened,
    Listening,
    Dialled(u64),
    Punched(u64),
    Came(u64),
    PeerProved(u64),
    PeerGone(u64),
    Shown,
    Wait(u64),
    EndOfInput,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => server_line().prop_map(Step::Server),
        3 => (0..4_u64, peer_line()).prop_map(|(link, line)| Step::Peer(link, line)),
        6 => typed().prop_map(Step::Typed),
        2 => Just(Step::Connected),
        1 => Just(Step::Disconnected),
        2 => Just(Step::StateOpened),
        1 => Just(Step::Listening),
        1 => (0..4_u64).prop_map(Step::Dialled),
        1 => (0..4_u64).prop_map(Step::Punched),
        1 => (0..4_u64).prop_map(Step::Came),
        2 => (0..4_u64).prop_map(Step::PeerProved),
        1 => (0..4_u64).prop_map(Step::PeerGone),
        2 => Just(Step::Shown),
        2 => (0..20_000_u64).prop_map(Step::Wait),
        1 => Just(Step::EndOfInput),
    ]
}

/// What the client did, without timeouts and however its lines were gathered.
#[derive(Debug, Default, PartialEq)]
struct Trace {
    sent: Vec<u8>,
    others: Vec<String>,
    results: Vec<u64>,
    prompts: usize,
    exits: usize,
}

impl Trace {
    fn take(&mut self, effect: Effect<'_>) {
        assert_eq!(self.exits, 0, "nothing follows an exit");
        match effect {
            Effect::Send { bytes } => self.sent.extend_from_slice(bytes),
            Effect::ScheduleTimeout { .. } => {}
            Effect::Exit(_) => self.exits += 1,
            Effect::Show(View::Result { line, .. }) => self.results.push(*line),
            Effect::Show(View::Prompt { .. }) => self.prompts += 1,
            other @ (Effect::Dial
            | Effect::HangUp
            | Effect::Show(_)
            | Effect::Deliver { .. }
            | Effect::NoteOpen { .. }
            | Effect::NoteSettled { .. }
            | Effect::OpenState { .. }
            | Effect::FindCookie { .. }
            | Effect::KeepCookie { .. }
            | Effect::Log(_)
            | Effect::LookUp { .. }
            | Effect::CloseState
            | Effect::Listen
            | Effect::StopListening
            | Effect::MapPort { .. }
            | Effect::UnmapPort
            | Effect::DialPeer { .. }
            | Effect::PunchPeer { .. }
            | Effect::SendPeer { .. }
            | Effect::SecurePeer { .. }
            | Effect::KeepKey(_)
            | Effect::ClosePeer { .. }
            | Effect::BeginRelay { .. }
            | Effect::FeedRelay { .. }
            | Effect::EndRelay { .. }
            | Effect::ResetPeer { .. }) => self.others.push(format!("{other:?}")),
        }
    }
}

struct Run {
    client: ClientState,
    now: Time,
    line: u64,
    ended: bool,
    shown: u64,
    trace: Trace,
}

impl Run {
    fn new(settings: Settings) -> Run {
        let client = ClientState::new(settings, 3);
        Run { client, now: Time(1), line: 0, ended: false, shown: 0, trace: Trace::default() }
    }

    fn happens(&mut self, event: Event<'_>) {
        for effect in self.client.handle(event, self.now) {
            if let Effect::Deliver { sequence, .. } = effect {
                self.shown = sequence;
            }
            if let Effect::ScheduleTimeout { at } = effect {
                assert!(at > self.now, "a timeout is later than now");
            }
            self.trace.take(effect);
        }
    }

    fn take(&mut self, step: &Step, chunk: usize) {
        match step {
            Step::Server(line) => {
                let line = [line.as_slice(), b"\n"].concat();
                line.chunks(chunk).for_each(|bytes| self.happens(Event::Received { bytes }));
            }
            Step::Peer(link, line) => {
                let line = [line.as_slice(), b"\n"].concat();
                let link = LinkId(*link);
                line.chunks(chunk).for_each(|bytes| self.happens(Event::PeerReceived { link, bytes }));
            }
            // Nothing is typed after the end.
            Step::Typed(_) if self.ended => {}
            Step::Typed(text) => {
                self.line += 1;
                self.happens(Event::Typed { line: self.line, text });
            }
            Step::Connected => self.happens(Event::Connected),
            Step::Disconnected => self.happens(Event::Disconnected),
            Step::StateOpened => self.happens(Event::StateOpened(Recall::default())),
            Step::Listening => {
                self.happens(Event::Listening { addresses: vec!["10.0.0.1:5000".parse().unwrap()] });
            }
            Step::Dialled(link) => {
                let opened = PeerOpened::Dialled("192.0.2.2:6000".parse().unwrap());
                self.happens(Event::PeerOpened { link: LinkId(*link), opened });
            }
            Step::Punched(link) => {
                let opened = PeerOpened::Punched("192.0.2.2:6000".parse().unwrap());
                self.happens(Event::PeerOpened { link: LinkId(*link), opened });
            }
            Step::Came(link) => {
                let opened = PeerOpened::Accepted("192.0.2.2:40000".parse().unwrap());
                self.happens(Event::PeerOpened { link: LinkId(*link), opened });
            }
            Step::PeerProved(link) => {
                self.happens(Event::PeerProved { link: LinkId(*link), key: KEY, can_move: true });
            }
            Step::PeerGone(link) => self.happens(Event::PeerClosed { link: LinkId(*link) }),
            Step::Shown => self.happens(Event::Delivered { upto: self.shown }),
            Step::Wait(millis) => {
                self.now = Time(self.now.0 + millis * 1_000);
                self.happens(Event::Tick);
            }
            Step::EndOfInput => {
                self.ended = true;
                self.happens(Event::EndOfInput);
            }
        }
    }
}

fn in_session() -> Run {
    let (user, password) = (Some("hans".into()), Some(Password::new("falcon")));
    let device_key = Some(OWN_KEY);
    let mut run = Run::new(Settings { user, password, device_key, ..Settings::default() });
    run.happens(Event::Started);
    run.happens(Event::Connected);
    let bytes = format!("hobnob 1 ack resume\nask password\nwelcome hans unread 0 login 7 token {TOKEN}\n");
    run.happens(Event::Received { bytes: bytes.as_bytes() });
    run.happens(Event::StateOpened(Recall::default()));
    run
}

proptest! {
    #[test]
    fn nothing_that_happens_makes_it_panic(steps in many(step(), 0..60), retry_login: bool) {
        let mut run = Run::new(Settings { retry_login, ..Settings::default() });
        run.happens(Event::Started);
        steps.iter().for_each(|step| run.take(step, usize::MAX));
    }

    #[test]
    fn every_line_of_a_session_gets_one_result(steps in many(step(), 0..60)) {
        let mut run = in_session();
        let mut typed = Vec::new();
        for step in &steps {
            let reads = run.trace.exits == 0 && !run.ended;
            run.take(step, usize::MAX);
            if let Step::Typed(text) = step
                && reads
                && !text.trim_ascii().is_empty()
            {
                typed.push(run.line);
            }
        }
        run.happens(Event::Interrupted(Signal::Terminate));
        run.trace.results.sort_unstable();
        prop_assert_eq!(run.trace.results, typed);
        prop_assert_eq!(run.trace.exits, 1);
    }

    #[test]
    fn the_same_bytes_in_other_chunks_have_the_same_effects(
        steps in many(step(), 0..60),
        chunk in 1..9_usize,
    ) {
        let (mut whole, mut cut) = (in_session(), in_session());
        for step in &steps {
            whole.take(step, usize::MAX);
            cut.take(step, chunk);
        }
        prop_assert_eq!(whole.trace, cut.trace);
    }

    #[test]
    fn many_lines_at_once_are_many_lines_one_by_one(lines in many(server_line(), 0..30)) {
        let (mut one_by_one, mut at_once) = (in_session(), in_session());
        for run in [&mut one_by_one, &mut at_once] {
            for line in ["ping yoda", "startprivate yoda", "whoelse", "dance"] {
                run.take(&Step::Typed(line.into()), usize::MAX);
            }
            run.take(&Step::Listening, usize::MAX);
        }
        let mut all = Vec::new();
        for line in &lines {
            one_by_one.take(&Step::Server(line.clone()), usize::MAX);
            all.extend_from_slice(line);
            all.push(b'\n');
        }
        at_once.happens(Event::Received { bytes: &all });
        prop_assert_eq!(one_by_one.trace, at_once.trace);
    }
}
