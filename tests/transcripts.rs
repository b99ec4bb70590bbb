//! Plays the transcripts in `tests/transcripts/`: one file a rule, readable as documentation.
//!
//! A transcript runs the server's core with a virtual clock, a store that answers at once and
//! passwords that are compared in plain. Every line that the server says must be in the transcript.
//!
//! ```text
//! set KEY=VALUE          a setting, before anything else
//! login NAME             opens a link called NAME, logs in with the password `pw`, drops what all are told
//! open LINK [IP]         opens a link, from 192.0.2.1 or IP
//! LINK> TEXT             the client says TEXT; `$NAME` stands for a word kept before
//! LINK< TEXT             the server says TEXT; `*` stands for one word, `$NAME` for one that is kept
//! LINK~                  drops what the server has said to LINK
//! close LINK             the client hangs up
//! LINK closed            the server has closed LINK
//! wait SECONDS           time passes
//! store holds|commits|refuses      records wait | become durable | are refused from now on
//! mail holds|answers     stored mail waits to be loaded | is loaded
//! hashing holds|answers  passwords wait to be compared or hashed | are
//! file NAME[=PASSWORD]…  what the credentials file holds from now on
//! reload [KEY=VALUE]…    the operator has it read again, and the settings, which are these from now on
//! acks                   clients acknowledge every message at once (they do not, at first)
//! stop                   the operator stops the server
//! restart                the server crashes and starts again with what is durable
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::Duration;

use hobnob::record::{Change, Fact, Mail, MailSummary, Record, RecordNumber, Recovery, Suspect};
use hobnob::server::settings::{
    BlockNotice, BroadcastReport, DuplicateLogin, HeldOnBlock, HistoryMode, OfflineDelivery, Registration,
};
use hobnob::server::{Effect, Event, ServerState, Settings, Verdict};
use hobnob::time::Time;
use hobnob::words::{Credential, LinkId, MessageId, Name, Ticket};

const USERS: [&str; 5] = ["hans", "yoda", "luke", "vader", "r2d2"];
const PASSWORD: &str = "pw";
/// Where links come from unless a transcript says otherwise.
const HERE: &str = "192.0.2.1";

/// Events that come as the answer to an effect.
enum Owed {
    Verified(Ticket, Verdict),
    Hashed(Ticket, Credential),
    Committed(RecordNumber),
    Refused(RecordNumber),
    Loaded(Ticket, Vec<Mail>, bool),
}

#[derive(Clone, Copy, PartialEq)]
enum StoreMood {
    Holds,
    Commits,
    Refuses,
}

struct Client {
    id: LinkId,
    said: VecDeque<String>,
    closed: bool,
}

struct Stage {
    server: ServerState,
    settings: Settings,
    /// What the credentials file holds.
    accounts: Vec<(Name, Credential)>,
    now: Time,
    timeout: Option<Time>,
    clients: BTreeMap<String, Client>,
    next_link: u64,
    mood: StoreMood,
    hashing: bool,
    loading: bool,
    acks: bool,
    pending: Vec<(RecordNumber, u64, Record)>,
    durable: Vec<Record>,
    epoch: u64,
    boot: u32,
    owed: VecDeque<Owed>,
    kept: BTreeMap<String, String>,
}

fn accounts() -> Vec<(Name, Credential)> {
    USERS.iter().map(|user| (Name::new(user).unwrap(), Credential::new(PASSWORD))).collect()
}

impl Stage {
    fn new(settings: Settings) -> Stage {
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
            mood: StoreMood::Commits,
            hashing: true,
            loading: true,
            acks: false,
            pending: Vec::new(),
            durable: Vec::new(),
            epoch: 0,
            boot: 1,
            owed: VecDeque::new(),
            kept: BTreeMap::new(),
        };
        stage.handle(Event::Tick);
        stage
    }

    fn handle(&mut self, event: Event<'_>) {
        let (mut batch, mut loads) = (None, Vec::new());
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
                    self.pending.push((number, epoch, record.clone()));
                    batch = Some(number);
                }
                Effect::LoadMail { ticket, user, from, after, limit } => {
                    loads.push((ticket, user.clone(), from.cloned(), after, limit as usize));
                }
                Effect::ScheduleTimeout { at } => {
                    assert!(at > self.now, "a timeout that is not later than now");
                    self.timeout = Some(at);
                }
                Effect::Pause { .. } | Effect::Resume { .. } | Effect::Report(_) => {}
            }
        }
        if batch.is_some() {
            self.store();
        }
        for (ticket, user, from, after, limit) in loads {
            let mut mail = self.mail_of(&user, from.as_ref(), after);
            let more = mail.len() > limit;
            mail.truncate(limit);
            self.owed.push_back(Owed::Loaded(ticket, mail, more));
        }
    }

    fn store(&mut self) {
        self.pending.retain(|(_, epoch, _)| *epoch >= self.epoch);
        match (self.mood, self.pending.first().map(|(number, _, _)| *number)) {
            (StoreMood::Holds, _) | (_, None) => {}
            (StoreMood::Commits, Some(_)) => {
                let upto = self.pending.last().expect("not empty").0;
                self.durable.extend(self.pending.drain(..).map(|(_, _, record)| record));
                self.owed.push_back(Owed::Committed(upto));
            }
            (StoreMood::Refuses, Some(from)) => {
                self.epoch = self.pending.last().expect("not empty").1 + 1;
                self.pending.clear();
                self.owed.push_back(Owed::Refused(from));
            }
        }
    }

    fn mail_of(&self, user: &Name, from: Option<&Name>, after: MessageId) -> Vec<Mail> {
        let mut mail: Vec<Mail> = Vec::new();
        for record in self.durable.iter().chain(self.pending.iter().map(|(_, _, record)| record)) {
            if matches!(record, Record::Change(Change::AccountRemoved { name }) if name == user) {
                mail.clear();
            }
            if let Record::MailStored { to, mail: stored } = record
                && to == user
            {
                mail.push(stored.clone());
            }
            if let Record::Fact(Fact::MailRemoved { user: owner, ids }) = record
                && owner == user
            {
                mail.retain(|m| !ids.contains(&m.id));
            }
        }
        mail.retain(|m| m.id > after && from.is_none_or(|from| *from == m.from));
        mail.sort_by_key(|m| m.id);
        mail
    }

    fn is_free(&self, owed: &Owed) -> bool {
        match owed {
            Owed::Verified(..) | Owed::Hashed(..) => self.hashing,
            Owed::Loaded(..) => self.loading,
            Owed::Committed(_) | Owed::Refused(_) => true,
        }
    }

    /// Answers everything that is owed, and acknowledges, until nothing moves any more.
    fn settle(&mut self) {
        loop {
            if let Some(at) = self.owed.iter().position(|owed| self.is_free(owed)) {
                match self.owed.remove(at).expect("found") {
                    Owed::Verified(ticket, verdict) => self.handle(Event::Verified { ticket, verdict }),
                    Owed::Hashed(ticket, credential) => {
                        self.handle(Event::Hashed { ticket, credential: Some(credential) });
                    }
                    Owed::Committed(upto) => self.handle(Event::Committed { upto }),
                    Owed::Refused(from) => self.handle(Event::StoreRefused { from }),
                    Owed::Loaded(ticket, mail, more) => self.handle(Event::MailLoaded { ticket, mail, more }),
                }
            } else if self.timeout.is_some_and(|at| at <= self.now) {
                self.timeout = None;
                self.handle(Event::Tick);
            } else {
                return;
            }
        }
    }

    fn open(&mut self, name: &str, from: std::net::IpAddr) {
        let id = LinkId(self.next_link);
        self.next_link += 1;
        self.clients.insert(name.into(), Client { id, said: VecDeque::new(), closed: false });
        let from = std::net::SocketAddr::new(from, 40_000);
        self.handle(Event::LinkOpened { link: id, from, nonce: [id.0 as u8; 32] });
        assert_eq!(self.clients[name].said.front().map(String::as_str), Some("hobnob 1 ack resume"));
    }

    fn say(&mut self, name: &str, text: &str) {
        let words: Vec<&str> = text
            .split(' ')
            .map(|word| {
                word.strip_prefix('$').and_then(|kept| self.kept.get(kept)).map_or(word, String::as_str)
            })
            .collect();
        let text = words.join(" ");
        let id = self.clients[name].id;
        self.handle(Event::Received { link: id, bytes: format!("{text}\n").as_bytes() });
        self.settle();
        if self.acks {
            self.acknowledge();
        }
    }

    fn acknowledge(&mut self) {
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

    fn wait(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.timeout.filter(|at| *at <= end) {
            self.now = at;
            self.timeout = None;
            self.handle(Event::Tick);
            self.settle();
        }
        self.now = end;
    }

    fn restart(&mut self) {
        self.boot += 1;
        self.pending.clear();
        self.owed.clear();
        self.epoch = 0;
        self.timeout = None;
        let records = remembered(&self.durable);
        let mut mail = Vec::new();
        for (to, _) in &self.accounts {
            let mut senders: BTreeMap<Name, (u32, u64)> = BTreeMap::new();
            for stored in self.mail_of(to, None, MessageId::default()) {
                let entry = senders.entry(stored.from.clone()).or_default();
                entry.0 += 1;
                entry.1 += stored.text.len() as u64;
            }
            for (from, (count, bytes)) in senders {
                mail.push(MailSummary { to: to.clone(), from, count, bytes });
            }
        }
        let recovery = Recovery { boot: self.boot, secret: [0; 32], last_written: self.now, records, mail };
        self.clients.clear();
        self.server = ServerState::new(self.settings.clone(), self.accounts.clone(), recovery, 7, self.now);
        self.handle(Event::Tick);
        self.settle();
    }

    fn expect(&mut self, name: &str, pattern: &str) {
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

    fn nothing_unsaid(&self) {
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

fn set(settings: &mut Settings, key: &str, value: &str) {
    let number = || value.parse().expect("a number");
    match key {
        "block_duration" => settings.block_duration_secs = number(),
        "timeout" => settings.timeout_secs = number(),
        "lock_extend" => settings.lock_extend = value == "true",
        "resume_grace_secs" => settings.resume_grace_secs = number(),
        "mailbox_messages" => settings.mailbox_messages = number() as u32,
        "registration" => settings.registration = Registration::Open,
        "duplicate_login" => settings.duplicate_login = DuplicateLogin::Replace,
        "block_notice" => settings.block_notice = BlockNotice::Silent,
        "offline_delivery" if value == "off" => settings.offline_delivery = OfflineDelivery::Off,
        "offline_delivery" => settings.offline_delivery = OfflineDelivery::Manual,
        "held_on_block" if value == "drop" => settings.held_on_block = HeldOnBlock::Drop,
        "held_on_block" => settings.held_on_block = HeldOnBlock::Deliver,
        "broadcast_report" if value == "names" => settings.broadcast_report = BroadcastReport::Names,
        "broadcast_report" => settings.broadcast_report = BroadcastReport::None,
        "history_mode" => settings.history_mode = HistoryMode::Login,
        "strict_block" => settings.strict_block = value == "true",
        "block_mutual" => settings.block_mutual = value == "true",
        "ping_reveals_block" => settings.ping_reveals_block = value == "true",
        "invalid_counts_as_activity" => settings.invalid_counts_as_activity = value == "true",
        "whoelse_include_self" => settings.whoelse_include_self = value == "true",
        "rate_burst" => settings.rate_burst = number() as u32,
        "unauthenticated_max" => settings.unauthenticated_max = number() as u32,
        "unauthenticated_per_address" => settings.unauthenticated_per_address = number() as u32,
        "failures_per_address" => settings.failures_per_address = number() as u32,
        "groups_per_user" => settings.groups_per_user = number() as u32,
        "members_per_group" => settings.members_per_group = number() as u32,
        "mailbox_per_sender" => settings.mailbox_per_sender = number() as u32,
        "mailbox_bytes" => settings.mailbox_bytes = number(),
        "mailbox_total_bytes" => settings.mailbox_total_bytes = number(),
        "block_ends_private" => settings.block_ends_private = value == "true",
        "rate_per_s" => settings.rate_per_s = number() as u32,
        _ => panic!("the transcripts know no setting {key}"),
    }
}

fn perform(stage: &mut Stage, line: &str) {
    if let Some((name, text)) = line.split_once("< ").filter(|(name, _)| !name.contains(' ')) {
        return stage.expect(name, text);
    }
    if let Some(name) = line.strip_suffix('~') {
        return stage.clients.get_mut(name).expect("a known link").said.clear();
    }
    if let Some(name) = line.strip_suffix(" closed") {
        return assert!(stage.clients[name].closed, "{name} is still open");
    }
    stage.nothing_unsaid();
    if let Some((name, text)) = line.split_once("> ").filter(|(name, _)| !name.contains(' ')) {
        return stage.say(name, text);
    }
    match line.split_once(' ').unwrap_or((line, "")) {
        ("open", place) => {
            let (name, from) = place.split_once(' ').unwrap_or((place, HERE));
            stage.open(name, from.parse().expect("an address"));
            stage.clients.get_mut(name).expect("just opened").said.clear();
        }
        ("login", name) => {
            stage.open(name, HERE.parse().expect("an address"));
            stage.say(name, "hello 1 ack resume");
            stage.say(name, &format!("login {name} {PASSWORD}"));
            stage.clients.values_mut().for_each(|client| client.said.clear());
        }
        ("close", name) => {
            let id = stage.clients.remove(name).expect("a known link").id;
            stage.handle(Event::LinkClosed { link: id });
            stage.settle();
        }
        ("wait", seconds) => stage.wait(seconds.parse().expect("seconds")),
        ("acks", _) => {
            stage.acks = true;
            stage.acknowledge();
        }
        _ => direct_the_machine(stage, line),
    }
}

/// Stage directions about what is around the server.
fn direct_the_machine(stage: &mut Stage, line: &str) {
    match line.split_once(' ').unwrap_or((line, "")) {
        ("store", mood) => {
            stage.mood = match mood {
                "holds" => StoreMood::Holds,
                "commits" => StoreMood::Commits,
                "refuses" => StoreMood::Refuses,
                other => panic!("store {other}"),
            };
            stage.store();
            stage.settle();
        }
        ("mail", mood) => {
            stage.loading = mood == "answers";
            stage.settle();
        }
        ("hashing", mood) => {
            stage.hashing = mood == "answers";
            stage.settle();
        }
        ("stop", _) => {
            stage.handle(Event::Stop);
            stage.settle();
        }
        ("restart", _) => stage.restart(),
        ("file", lines) => {
            let account = |line: &str| {
                let (name, password) = line.split_once('=').unwrap_or((line, PASSWORD));
                (Name::new(name).expect("a name"), Credential::new(password))
            };
            stage.accounts = lines.split(' ').map(account).collect();
        }
        ("reload", changed) => {
            for (key, value) in changed.split(' ').filter_map(|setting| setting.split_once('=')) {
                set(&mut stage.settings, key, value);
            }
            let (accounts, settings) = (stage.accounts.clone(), Box::new(stage.settings.clone()));
            stage.handle(Event::Reloaded { accounts, settings });
            stage.settle();
        }
        other => panic!("no such stage direction: {other:?}"),
    }
}

/// What a store gives back of the records it was given, but for mail.
fn remembered(durable: &[Record]) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for record in durable {
        if let Record::Change(Change::AccountRemoved { name }) = record {
            records.retain(|record| !goes_with(record, name));
        } else if !matches!(record, Record::MailStored { .. } | Record::Fact(Fact::MailRemoved { .. })) {
            records.push(record.clone());
        }
    }
    records
}

/// Whether a record is forgotten with an account.
fn goes_with(record: &Record, gone: &Name) -> bool {
    let suspect = Suspect::Account(gone.clone());
    matches!(record, Record::Fact(Fact::Failures { suspect: of, .. }) if *of == suspect)
        || matches!(record, Record::Fact(Fact::SessionBegan { user, .. }) | Record::Fact(Fact::SessionEnded { user, .. }) if user == gone)
        || matches!(record, Record::Change(Change::Blocked { by, user }) | Record::Change(Change::Unblocked { by, user }) if by == gone || user == gone)
}

fn play(path: &Path) {
    let text = std::fs::read_to_string(path).expect("readable");
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (settings_lines, acts): (Vec<_>, Vec<_>) = lines.partition(|(_, line)| line.starts_with("set "));
    let mut settings = Settings::default();
    for (_, line) in settings_lines {
        let (key, value) = line["set ".len()..].split_once('=').expect("KEY=VALUE");
        set(&mut settings, key, value);
    }
    let mut stage = Stage::new(settings);
    for (number, line) in acts {
        let performed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| perform(&mut stage, line)));
        if let Err(cause) = performed {
            eprintln!("{}:{}: {line}", path.display(), number + 1);
            std::panic::resume_unwind(cause);
        }
    }
    stage.nothing_unsaid();
}

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(paths.len() >= 20, "only {} transcripts", paths.len());
    let failed: Vec<_> = paths
        .into_iter()
        .filter(|path| std::panic::catch_unwind(|| play(path)).is_err())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
