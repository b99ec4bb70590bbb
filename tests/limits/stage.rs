//! A server's core with a store that commits when it is told to, and links that are read when it is told to.

use std::collections::BTreeMap;

use hobnob::record::Recovery;
use hobnob::server::{Effect, Event, Report, ServerState, Settings, Verdict};
use hobnob::time::Time;
use hobnob::words::{Credential, LinkId, Name, Ticket};

pub(crate) const HANS: LinkId = LinkId(1);
pub(crate) const YODA: LinkId = LinkId(2);

/// A server and its output. Its store commits when it is told to, and not before.
pub(crate) struct Server {
    pub(crate) core: ServerState,
    pub(crate) now: Time,
    pub(crate) said: BTreeMap<LinkId, Vec<u8>>,
    /// Bytes sent on each link in all.
    pub(crate) sent: BTreeMap<LinkId, u64>,
    pub(crate) closed: Vec<LinkId>,
    pub(crate) limits: Vec<&'static str>,
    /// Pages of mail asked of the store and not answered.
    pub(crate) loads: Vec<Ticket>,
    pub(crate) paused: Vec<LinkId>,
    pub(crate) store: Store,
    /// Records handed out so far.
    pub(crate) records: u64,
    /// Whether links that wait for their turn have it at once.
    pub(crate) takes_turns: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Store {
    Commits,
    Stalls,
}

impl Server {
    /// With `hans`, `yoda`, `luke` and so many others.
    pub(crate) fn new(settings: Settings, others: usize) -> Server {
        let names = ["hans".into(), "yoda".into(), "luke".into()].into_iter();
        let names = names.chain((0..others).map(|n| format!("a-user-with-a-long-name-{n}")));
        let accounts = names.map(|name| (Name::new(&name).unwrap(), Credential::new("pw"))).collect();
        let recovery = Recovery { boot: 1, ..Recovery::default() };
        let mut server = Server {
            core: ServerState::new(settings, accounts, recovery, 7, Time(0)),
            now: Time(0),
            said: BTreeMap::new(),
            sent: BTreeMap::new(),
            closed: Vec::new(),
            limits: Vec::new(),
            loads: Vec::new(),
            paused: Vec::new(),
            store: Store::Commits,
            records: 0,
            takes_turns: true,
        };
        server.handle(Event::Tick);
        server
    }

    pub(crate) fn handle(&mut self, event: Event<'_>) {
        self.tell(event);
        while self.takes_turns && self.core.has_turns() {
            self.tell(Event::Turn);
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        let (mut verify, mut commit) = (Vec::new(), None);
        for effect in self.core.handle(event, self.now) {
            match effect {
                Effect::Send { link, bytes } => {
                    self.said.entry(link).or_default().extend(bytes);
                    *self.sent.entry(link).or_default() += bytes.len() as u64;
                }
                Effect::Close { link } => self.closed.push(link),
                Effect::Pause { link } => self.paused.push(link),
                Effect::Resume { link } => self.paused.retain(|&paused| paused != link),
                Effect::Verify { ticket, .. } => verify.push(ticket),
                Effect::Persist { number, .. } => {
                    commit = Some(number);
                    self.records = number.0;
                }
                Effect::Report(Report::LimitReached { limit, .. }) => self.limits.push(limit),
                Effect::LoadMail { ticket, .. } => self.loads.push(ticket),
                Effect::Report(_)
                | Effect::Acted { .. }
                | Effect::Order { .. }
                | Effect::ScheduleTimeout { .. } => {}
                Effect::Hash { .. } => unreachable!("not in here: {effect:?}"),
            }
        }
        for ticket in verify {
            self.tell(Event::Verified { ticket, verdict: Verdict::Right });
        }
        if let (Some(upto), Store::Commits) = (commit, self.store) {
            self.tell(Event::Committed { upto });
        }
    }

    /// All that was sent on a link leaves for the network.
    pub(crate) fn flush(&mut self, link: LinkId) {
        let upto = self.sent.get(&link).copied().unwrap_or_default();
        self.handle(Event::Flushed { link, upto });
    }

    pub(crate) fn log_in(&mut self, link: LinkId, name: &str) {
        let from = ([127, 0, 0, 1], 40_000).into();
        self.handle(Event::LinkOpened { link, from, nonce: [0; 32] });
        self.say(link, &format!("hello 1 ack\nlogin {name} pw\n"));
    }

    pub(crate) fn say(&mut self, link: LinkId, lines: &str) {
        self.handle(Event::Received { link, bytes: lines.as_bytes() });
    }

    pub(crate) fn heard(&mut self, link: LinkId) -> String {
        String::from_utf8(self.said.remove(&link).unwrap_or_default()).unwrap()
    }
}

/// Settings without prices: what a test looks at is another limit.
pub(crate) fn unpriced() -> Settings {
    Settings { rate_burst: 0, unsettled_max: 0, ..Settings::default() }
}

pub(crate) fn with_two(settings: Settings) -> Server {
    let mut server = Server::new(settings, 0);
    server.log_in(HANS, "hans");
    server.log_in(YODA, "yoda");
    server.said.clear();
    server
}
