//! The server's core on a stage: a virtual clock, links with what was said on them, a model store.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hobnob::record::{Mail, RecordNumber, Recovery};
use hobnob::server::{Effect, Event, Reached, ServerState, Settings, Verdict};
use hobnob::time::Time;
use hobnob::words::{Credential, LinkId, Name, Ticket};

use crate::store::{self, Store};

const USERS: [&str; 5] = ["hans", "yoda", "luke", "vader", "r2d2"];
pub(crate) const PASSWORD: &str = "pw";

/// Events that answer effects and have not been handed in.
enum Owed {
    Verified(Ticket, Verdict),
    Hashed(Ticket, Credential),
    Committed(RecordNumber),
    Refused(RecordNumber),
    Loaded(Ticket, Vec<Mail>, bool),
}

pub(crate) struct Client {
    pub(crate) id: LinkId,
    pub(crate) said: VecDeque<String>,
    pub(crate) closed: bool,
    /// Lines to be sent in one write with the next one.
    unsent: String,
}

pub(crate) struct Stage {
    pub(crate) server: ServerState,
    pub(crate) settings: Settings,
    /// The content of the credentials file.
    pub(crate) accounts: Vec<(Name, Credential)>,
    pub(crate) now: Time,
    timeout: Option<Time>,
    pub(crate) clients: BTreeMap<String, Client>,
    next_link: u64,
    pub(crate) store: Store,
    pub(crate) hashing: bool,
    pub(crate) loading: bool,
    pub(crate) acks: bool,
    /// What the last act of an operator has come to.
    pub(crate) acted: Option<Reached>,
    /// What users have ordered, and the shell has not obeyed: the name, and the order.
    pub(crate) orders: VecDeque<(Ticket, String)>,
    boot: u32,
    owed: VecDeque<Owed>,
    kept: BTreeMap<String, String>,
}

fn accounts() -> Vec<(Name, Credential)> {
    USERS.iter().map(|user| (Name::new(user).unwrap(), Credential::new(PASSWORD))).collect()
}

impl Stage {
    pub(crate) fn new(settings: Settings) -> Stage {
        let now = Time(0);
        let recovery = Recovery { boot: 1, ..Recovery::default() };
        let server = ServerState::new(settings.clone(), accounts(), recovery, 7, now);
        let mut stage = Stage {
            server,
            settings,
            accounts: accounts(),
            now,
            timeout: None,
            clients: BTreeMap::new(),
            next_link: 1,
            store: Store::new(),
            hashing: true,
            loading: true,
            acks: false,
            acted: None,
            orders: VecDeque::new(),
            boot: 1,
            owed: VecDeque::new(),
            kept: BTreeMap::new(),
        };
        stage.handle(Event::Tick);
        stage
    }

    pub(crate) fn handle(&mut self, event: Event<'_>) {
        let (mut has_records, mut loads) = (false, Vec::new());
        for effect in self.server.handle(event, self.now) {
            match effect {
                Effect::Send { link, bytes } => {
                    let client =
                        self.clients.values_mut().find(|client| client.id == link).expect("a known link");
                    assert!(!client.closed, "output to a closed link");
                    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
                    client
                        .said
                        .extend(text.strip_suffix('\n').expect("whole lines").split('\n').map(String::from));
                }
                Effect::Close { link } => {
                    if let Some(client) = self.clients.values_mut().find(|client| client.id == link) {
                        client.closed = true;
                    }
                }
                Effect::Verify { ticket, credential, password } => {
                    let right = credential.is_some_and(|credential| credential.reveal() == password.reveal());
                    self.owed.push_back(Owed::Verified(
                        ticket,
                        if right { Verdict::Right } else { Verdict::Wrong },
                    ));
                }
                Effect::Hash { ticket, password } => {
                    self.owed.push_back(Owed::Hashed(ticket, Credential::new(password.reveal())));
                }
                Effect::Persist { number, epoch, record } => {
                    self.store.take(number, epoch, record);
                    has_records = true;
                }
                Effect::LoadMail { ticket, user, from, after, limit } => {
                    loads.push((ticket, user.clone(), from.cloned(), after, limit as usize));
                }
                Effect::ScheduleTimeout { at } => {
                    assert!(at > self.now, "a timeout that is not later than now");
                    self.timeout = Some(at);
                }
                Effect::Acted { outcome, .. } => self.acted = Some(outcome),
                Effect::Order { ticket, user, words } => {
                    self.orders.push_back((ticket, format!("{user} {words}")));
                }
                Effect::Pause { .. } | Effect::Resume { .. } | Effect::Report(_) => {}
            }
        }
        if has_records {
            self.let_the_store_work();
        }
        for (ticket, user, from, after, limit) in loads {
            let mut mail = self.store.mail_of(&user, from.as_ref(), after);
            let more = mail.len() > limit;
            mail.truncate(limit);
            self.owed.push_back(Owed::Loaded(ticket, mail, more));
        }
    }

    pub(crate) fn let_the_store_work(&mut self) {
        let verdict = self.store.work();
        self.owe(verdict);
    }

    /// Makes the records durable that the store has now, and no later ones.
    pub(crate) fn sync(&mut self) {
        let verdict = self.store.sync();
        self.owe(verdict);
        self.settle();
    }

    fn owe(&mut self, verdict: Option<store::Verdict>) {
        self.owed.extend(verdict.map(|verdict| match verdict {
            store::Verdict::Committed(upto) => Owed::Committed(upto),
            store::Verdict::Refused(from) => Owed::Refused(from),
        }));
    }

    fn is_free(&self, owed: &Owed) -> bool {
        match owed {
            Owed::Verified(..) | Owed::Hashed(..) => self.hashing,
            Owed::Loaded(..) => self.loading,
            Owed::Committed(_) | Owed::Refused(_) => true,
        }
    }

    /// A hashing thread answers.
    pub(crate) fn hash_one(&mut self) {
        let hashing = |owed: &Owed| matches!(owed, Owed::Verified(..) | Owed::Hashed(..));
        let at = self.owed.iter().position(hashing).expect("a thread at work");
        let answer = self.owed.remove(at).expect("found");
        self.answer(answer);
    }

    /// Hands in events until none is owed or due.
    pub(crate) fn settle(&mut self) {
        loop {
            if let Some(at) = self.owed.iter().position(|owed| self.is_free(owed)) {
                let owed = self.owed.remove(at).expect("found");
                self.answer(owed);
            } else if self.timeout.is_some_and(|at| at <= self.now) {
                self.timeout = None;
                self.handle(Event::Tick);
            } else if self.server.has_turns() {
                self.handle(Event::Turn);
            } else {
                return;
            }
        }
    }

    fn answer(&mut self, owed: Owed) {
        match owed {
            Owed::Verified(ticket, verdict) => self.handle(Event::Verified { ticket, verdict }),
            Owed::Hashed(ticket, credential) => {
                self.handle(Event::Hashed { ticket, credential: Some(credential) });
            }
            Owed::Committed(upto) => self.handle(Event::Committed { upto }),
            Owed::Refused(from) => self.handle(Event::StoreRefused { from }),
            Owed::Loaded(ticket, mail, more) => self.handle(Event::MailLoaded { ticket, mail, more }),
        }
    }

    pub(crate) fn open(&mut self, name: &str, from: IpAddr) {
        self.try_to_open(name, from);
        assert_eq!(
            self.clients[name].said.front().map(String::as_str),
            Some("hobnob 1 ack resume device alive courier away relay until")
        );
    }

    /// A client connects, and may be turned away.
    pub(crate) fn try_to_open(&mut self, name: &str, from: IpAddr) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.clients
            .insert(name.into(), Client { id, said: VecDeque::new(), closed: false, unsent: String::new() });
        let from = SocketAddr::new(from, 40_000);
        self.handle(Event::LinkOpened { link: id, from, nonce: [id.0 as u8; 32] });
    }

    /// Sends a line, in one write with those kept for it.
    pub(crate) fn say(&mut self, name: &str, text: &str) {
        self.say_later(name, text);
        let client = self.clients.get_mut(name).expect("a known link");
        let (id, text) = (client.id, std::mem::take(&mut client.unsent));
        self.handle(Event::Received { link: id, bytes: text.as_bytes() });
        self.settle();
        if self.acks {
            self.acknowledge();
        }
    }

    /// Keeps a line for the next write.
    pub(crate) fn say_later(&mut self, name: &str, text: &str) {
        let words: Vec<&str> = text
            .split(' ')
            .map(|word| {
                word.strip_prefix('$').and_then(|kept| self.kept.get(kept)).map_or(word, String::as_str)
            })
            .collect();
        let client = self.clients.get_mut(name).expect("a known link");
        client.unsent.push_str(&words.join(" "));
        client.unsent.push('\n');
    }

    pub(crate) fn acknowledge(&mut self) {
        loop {
            let mut acks = Vec::new();
            for client in self.clients.values_mut() {
                let last =
                    client.said.iter_mut().rev().find(|line| is_message(line) && !line.ends_with('\u{1}'));
                if let Some(line) = last {
                    let id = line.split(' ').nth(1).expect("an id").to_owned();
                    client
                        .said
                        .iter_mut()
                        .filter(|line| is_message(line) && !line.ends_with('\u{1}'))
                        .for_each(|line| line.push('\u{1}'));
                    acks.push((client.id, id));
                }
            }
            if acks.is_empty() {
                return;
            }
            for (link, id) in acks {
                self.handle(Event::Received { link, bytes: format!("ack {id} -\n").as_bytes() });
                self.settle();
            }
        }
    }

    pub(crate) fn wait(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.timeout.filter(|at| *at <= end) {
            self.now = at;
            self.timeout = None;
            self.handle(Event::Tick);
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn restart(&mut self) {
        self.boot += 1;
        self.store.crash();
        self.owed.clear();
        self.timeout = None;
        let records = self.store.remembered();
        let mail = self.accounts.iter().flat_map(|(to, _)| self.store.mail_summary(to)).collect();
        let recovery = Recovery { boot: self.boot, secret: [0; 32], last_written: self.now, records, mail };
        self.clients.clear();
        self.server = ServerState::new(self.settings.clone(), self.accounts.clone(), recovery, 7, self.now);
        self.handle(Event::Tick);
        self.settle();
    }

    pub(crate) fn expect(&mut self, name: &str, pattern: &str) {
        let line = self.clients.get_mut(name).and_then(|client| client.said.pop_front());
        let line = line.map(|line| line.trim_end_matches('\u{1}').to_owned());
        for (word, want) in line.iter().flat_map(|line| line.split(' ')).zip(pattern.split(' ')) {
            if let Some(name) = want.strip_prefix('$') {
                self.kept.insert(name.into(), word.into());
            }
        }
        assert!(
            line.as_deref().is_some_and(|line| matches_pattern(line, pattern)),
            "to {name}: expected «{pattern}», the server said {line:?}"
        );
    }

    pub(crate) fn nothing_unsaid(&self) {
        for (name, client) in &self.clients {
            assert!(client.said.is_empty(), "the server also said to {name}: {:?}", client.said);
        }
    }
}

fn is_message(line: &str) -> bool {
    line.starts_with("message ") || line.starts_with("group-message ")
}

fn matches_pattern(line: &str, pattern: &str) -> bool {
    let (line, pattern): (Vec<&str>, Vec<&str>) = (line.split(' ').collect(), pattern.split(' ').collect());
    line.len() == pattern.len()
        && line.iter().zip(&pattern).all(|(word, want)| *want == "*" || want.starts_with('$') || word == want)
}
