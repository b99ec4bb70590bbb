//! The server's core on the real store: after any commands, refusals and removals, the memory is what a restart
//! would read.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::server::{Effect, Event, ServerState, Settings, Verdict};
use crate::words::{Credential, LinkId};

const USERS: [&str; 4] = ["hans", "yoda", "luke", "vader"];

/// A step: what is done, by whom, and to whom.
type Step = (u8, usize, usize);

struct Stage {
    folder: tempfile::TempDir,
    core: ServerState,
    rig: Option<Rig>,
    now: Time,
    /// The link of each user, if they are connected.
    links: BTreeMap<usize, LinkId>,
    /// The last message that each link was sent.
    shown: BTreeMap<LinkId, String>,
    last_link: u64,
    /// Records and pages that the store has not answered.
    handed_out: RecordNumber,
    settled: RecordNumber,
    pages: usize,
    /// Bytes sent on each link.
    sent: BTreeMap<LinkId, u64>,
    verify: Vec<(Ticket, Verdict)>,
}

fn accounts(without: Option<usize>) -> Vec<(Name, Credential)> {
    let users = USERS.iter().enumerate().filter(|(user, _)| Some(*user) != without);
    users.map(|(_, user)| (name(user), Credential::new("pw"))).collect()
}

impl Stage {
    fn new() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::open(folder.path());
        let core = ServerState::new(Settings::default(), accounts(None), rig.recovery.clone(), 7, START);
        let none = RecordNumber(0);
        let mut stage = Stage {
            folder,
            core,
            rig: Some(rig),
            now: START,
            links: BTreeMap::new(),
            shown: BTreeMap::new(),
            last_link: 0,
            handed_out: none,
            settled: none,
            pages: 0,
            sent: BTreeMap::new(),
            verify: Vec::new(),
        };
        stage.handle(Event::Tick);
        stage
    }

    fn rig(&mut self) -> &mut Rig {
        self.rig.as_mut().unwrap()
    }

    fn handle(&mut self, event: Event<'_>) {
        for effect in self.core.handle(event, self.now) {
            let rig = self.rig.as_mut().unwrap();
            match effect {
                Effect::Persist { number, epoch, record } => {
                    rig.handle.persist(number, epoch, record.clone());
                    self.handed_out = number;
                }
                Effect::LoadMail { ticket, user, from, after, limit } => {
                    rig.handle.load(ticket, user.clone(), from.cloned(), after, limit);
                    self.pages += 1;
                }
                Effect::Send { link, bytes } => {
                    *self.sent.entry(link).or_default() += bytes.len() as u64;
                    let lines = std::str::from_utf8(bytes).unwrap().lines();
                    let messages = lines.filter(|line| line.contains("message ") && !line.starts_with("ok "));
                    if let Some(id) = messages.filter_map(|line| line.split(' ').nth(1)).next_back() {
                        self.shown.insert(link, id.to_owned());
                    }
                }
                Effect::Verify { ticket, credential, .. } => {
                    let right = credential.is_some();
                    self.verify.push((ticket, if right { Verdict::Right } else { Verdict::Wrong }));
                }
                Effect::Close { .. }
                | Effect::Pause { .. }
                | Effect::Resume { .. }
                | Effect::Hash { .. }
                | Effect::ScheduleTimeout { .. }
                | Effect::Acted { .. }
                | Effect::Order { .. }
                | Effect::Report(_) => {}
            }
        }
    }

    /// Lets hashing and the store answer all that they were asked; all that was sent leaves.
    fn settle(&mut self) {
        for (link, upto) in self.sent.clone() {
            self.handle(Event::Flushed { link, upto });
        }
        loop {
            if let Some((ticket, verdict)) = self.verify.pop() {
                self.handle(Event::Verified { ticket, verdict });
            } else if self.settled < self.handed_out || self.pages > 0 {
                self.rig().handle.wake(START);
                let answer = self.rig().next();
                self.take(answer);
            } else if self.core.has_turns() {
                self.handle(Event::Turn);
            } else {
                return;
            }
        }
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Committed { upto } => {
                self.settled = upto;
                self.handle(Event::Committed { upto });
            }
            Answer::Refused { from } => {
                self.settled = self.handed_out;
                self.handle(Event::StoreRefused { from });
            }
            Answer::Mail { ticket, mail, more } => {
                self.pages -= 1;
                self.handle(Event::MailLoaded { ticket, mail, more });
            }
            Answer::Failed(reason) => panic!("{reason}"),
        }
    }

    fn step(&mut self, (kind, who, whom): Step) {
        self.now = self.now + Duration::from_millis(1);
        match (kind, self.links.get(&who).copied()) {
            (0 | 1, None) => self.log_in(who),
            (0, Some(link)) => {
                self.links.remove(&who);
                self.handle(Event::LinkClosed { link });
            }
            (2, _) => {
                let settings = Box::new(Settings::default());
                self.handle(Event::Reloaded { accounts: accounts(Some(whom)), settings });
            }
            (3, _) => {
                let settings = Box::new(Settings::default());
                self.handle(Event::Reloaded { accounts: accounts(None), settings });
            }
            (4, _) => self.open_store(i64::try_from(8 + whom).unwrap()),
            (5, _) => {
                self.now = self.now + Duration::from_secs(3);
                self.handle(Event::Tick);
            }
            (6, Some(link)) => {
                if let Some(id) = self.shown.remove(&link) {
                    self.handle(Event::Received { link, bytes: format!("ack {id} -\n").as_bytes() });
                }
            }
            (_, Some(link)) => {
                let other = USERS[whom];
                let number = self.now.0;
                let line = match kind {
                    7 => format!("#{number} block {other}\n"),
                    8 => format!("#{number} unblock {other}\n"),
                    9 => format!("#{number} create group g{whom} {other}\n"),
                    10 => format!("#{number} add group g{who} {other}\n"),
                    11 => format!("#{number} leave group g{whom}\n"),
                    12 => format!("#{number} message group g{whom} {}\n", "x".repeat(700)),
                    _ => format!("#{number} message {other} {}\n", "x".repeat(700)),
                };
                self.handle(Event::Received { link, bytes: line.as_bytes() });
            }
            (_, None) => {}
        }
        self.settle();
    }

    fn log_in(&mut self, who: usize) {
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let from = ([127, 0, 0, 1], 40_000).into();
        self.handle(Event::LinkOpened { link, from, nonce: [self.last_link as u8; 32] });
        let bytes = format!("hello 1 ack resume\nlogin {} pw\n", USERS[who]);
        self.handle(Event::Received { link, bytes: bytes.as_bytes() });
        self.links.insert(who, link);
    }

    /// Closes the store and opens it again, with room for so many pages more, and compares.
    fn open_store(&mut self, room: i64) {
        self.settle();
        let rig = self.rig.take().unwrap();
        rig.handle.close().unwrap();
        let limit = |db: &rusqlite::Connection| {
            let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
            db.pragma_update_and_check(None, "max_page_count", pages + room, |_| Ok(()))
        };
        let rig = Rig::with(options(Some(self.folder.path())), limit).unwrap();
        let differs = self.core.differs_from(rig.recovery.clone());
        self.rig = Some(rig);
        assert_eq!(differs, None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_memory_is_what_a_restart_would_read(
        steps in proptest::collection::vec((0_u8..18, 0_usize..4, 0_usize..4), 1..120),
    ) {
        let mut stage = Stage::new();
        for step in steps {
            stage.step(step);
        }
        // With room for everything that was refused.
        stage.open_store(1_000_000);
        for _ in 0..3 {
            stage.step((5, 0, 0));
        }
        stage.open_store(1_000_000);
    }
}
