//! The reference model: a server that decides by the texts alone.
//!
//! It is told what the real server is told, and nothing else: the bytes that users sent, the files of the
//! operator, what is durable, and the time. From these it decides by `PROTOCOL.md` and the rulings which lines
//! go to whom and which records to the store, and every line and record of the real server must be the one
//! that it expects, byte for byte. It has a reader, a grammar and a table of commands of its own.
//!
//! Drawn at random, and so not decided here, are tokens and digests: of those it asks that each is used as it
//! was first seen. What is left to chance in the world (which records a crash leaves, what the store refuses, how
//! long a hash takes) the world tells, and so there is one state and one line that may come, also after a crash.
//! Where the texts leave an order open (deadlines of one microsecond, users of one list) it is that of the real
//! server: users by their places, deadlines by their kind.

mod accounts;
mod announcements;
mod answers;
mod away;
mod broadcast;
mod couriers;
mod devices;
mod door;
mod expiry;
mod groups;
mod hashing;
mod idle;
mod invites;
mod lane;
mod learning;
mod links;
mod lockout;
mod login;
mod mailbox;
mod messages;
mod operators;
mod pages;
mod papers;
mod people;
mod places;
mod presence;
mod prices;
mod private;
mod probes;
mod questions;
mod reader;
mod recovery;
mod registrations;
mod relays;
mod renewals;
mod restarts;
mod sends;
mod sessions;
mod strangers;
pub(super) mod tally;
mod told;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use self::answers::Ledger;
use self::devices::Device;
use self::door::Link;
use self::groups::GroupMessage;
use self::hashing::{Hashing, KnownAddresses};
use self::lane::{Begun, Wish};
use self::lockout::Guesses;
use self::mailbox::Mailbox;
use self::messages::Queue;
use self::papers::{Kept, UnderWay};
use self::places::Places;
use self::private::Request;
use self::probes::Probe;
use self::registrations::Registrations;
use self::relays::Relays;
use self::sessions::Session;
use self::told::{Ask, Expected};
use super::store::Durable;
use crate::record::{Announcement, Digest, Invite, Outcome, RecordNumber, Restraint, WordsDigest};
use crate::server::settings::OfflineDelivery;
use crate::server::{Act, Settings};
use crate::time::Time;
use crate::words::{AddressRange, Credential, LinkId, Name, Ticket};

/// A user's place in the table of accounts.
pub(super) type User = usize;

/// A deadline. Those of the same time come in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Login(LinkId),
    Parting(LinkId),
    Idle(User, u64),
    Acknowledgement(User, u64),
    Grace(User, u64),
    Leaving(User, u64),
    Throttle(User, u64),
    ThrottleCourier(LinkId),
    Probe(User),
    Request(User, User, u64),
    Relay(User),
    Settle(User),
    Mailbox(User),
    History,
    Retry,
}

/// What is done before a call ends, after what caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Later {
    Read(LinkId),
    GoOnLeaving(User),
    Decide(LinkId),
    Purge,
}

/// What is known of an account.
#[derive(Debug)]
struct Account {
    name: Name,
    /// `None`: gone from the credentials file.
    credential: Option<Credential>,
    guesses: Guesses,
    devices: BTreeMap<Digest, Device>,
    /// Its couriers, in the order in which they came, and their tokens with the end of each (R57).
    couriers: Vec<LinkId>,
    passes: BTreeMap<Digest, Time>,
    /// Passwords of the account and of its devices that are being compared.
    comparing: u32,
    login: u64,
    token: Option<Digest>,
    ledger: Ledger,
    /// Messages of its couriers with ids (R61).
    sends: sends::Sends,
    /// What an operator keeps the user from, and until when (R63).
    restraints: BTreeMap<Restraint, Time>,
    /// The last kept announcement that the user has heard, and the same as it is written (R67).
    heard: u32,
    heard_written: u32,
    blocks: BTreeSet<User>,
    /// When the last session began, when the one that ended last did, and whether that is the last.
    began: Option<Time>,
    ended: Time,
    is_ended: bool,
    mailbox: Mailbox,
    /// Messages whose time was over, and that the user was not told of (R68).
    untold: u32,
    last_message: u64,
    /// What the user has caused and not paid off (R42).
    debt: prices::Debt,
    /// What they have had relayed (R60).
    relayed: prices::Debt,
    /// What was told of their coming and going (R46).
    presence: presence::Presence,
    /// Records of the user's messages that are on their way to the disk, or wait for those (R44).
    unsettled: u32,
    /// When the user began a request for a private link, and with whom (R33).
    begun_requests: Vec<(Time, Name)>,
    /// Messages whose outcome is not known: of this login, and in all.
    unanswered: (u32, u32),
    entering: Option<LinkId>,
    session: Option<Session>,
    /// Whether its session is there, asked for a new login (R52).
    probe: Option<Probe>,
}

impl Account {
    fn new(name: Name, credential: Credential) -> Account {
        Account {
            name,
            credential: Some(credential),
            guesses: Guesses::default(),
            devices: BTreeMap::new(),
            couriers: Vec::new(),
            passes: BTreeMap::new(),
            comparing: 0,
            login: 0,
            token: None,
            ledger: Ledger::default(),
            sends: sends::Sends::default(),
            restraints: BTreeMap::new(),
            heard: 0,
            heard_written: 0,
            blocks: BTreeSet::new(),
            began: None,
            ended: Time::ZERO,
            is_ended: false,
            mailbox: Mailbox::default(),
            untold: 0,
            last_message: 0,
            debt: prices::Debt::default(),
            relayed: prices::Debt::default(),
            presence: presence::Presence::default(),
            unsettled: 0,
            begun_requests: Vec::new(),
            unanswered: (0, 0),
            entering: None,
            session: None,
            probe: None,
        }
    }

    const fn is_gone(&self) -> bool {
        self.credential.is_none()
    }

    fn link(&self) -> Option<LinkId> {
        self.session.as_ref().and_then(|session| session.link)
    }
}

/// A running server, as the texts have it.
#[derive(Debug)]
struct Server {
    now: Time,
    boot: u32,
    settings: Settings,
    stopping: bool,
    /// By place. The place of an account that is gone is given again, the last one first.
    users: Vec<Option<Account>>,
    names: BTreeMap<Name, User>,
    spare: Vec<User>,
    /// No message or login of an account that comes again has a number up to these.
    message_floor: u64,
    login_floor: u64,
    /// Users with a session.
    roster: Vec<User>,
    links: BTreeMap<LinkId, Link>,
    /// Links whose turn is over (R43).
    turns: VecDeque<LinkId>,
    /// What the user of the line that is obeyed was charged meanwhile.
    charged: Option<(User, u64)>,
    /// Names without an account.
    made_up: BTreeMap<String, Guesses>,
    places: Places,
    hashing: Hashing,
    known: KnownAddresses,
    registrations: Registrations,
    /// By their codes, those that are over too; and the highest number of one.
    invites: BTreeMap<String, Invite>,
    last_invite: u32,
    /// Addresses from which nobody is let in, and until when.
    ranges: BTreeMap<AddressRange, Time>,
    announcements: BTreeMap<u32, Announcement>,
    last_announcement: u32,
    /// The sum of R48.
    early_drops: u64,
    /// Failures of an address, and since when.
    addresses: BTreeMap<IpAddr, (u32, Time)>,
    groups: BTreeMap<Name, Vec<User>>,
    /// Whom they count for, and when those left (R54).
    makers: BTreeMap<Name, (User, Option<Time>)>,
    requests: BTreeMap<(User, User), Request>,
    relays: Relays,
    /// Names whose passwords are being hashed, or whose accounts are on their way to the disk.
    registering: BTreeSet<Name>,
    wishes: BTreeMap<u64, Wish>,
    /// Wishes whose turn has not come, those about groups last; and those that are with the store.
    waiting_wishes: BTreeSet<(bool, u64)>,
    begun: BTreeMap<u64, Begun>,
    /// Names whose purge is not durable, with the line of those that have come back.
    purges: BTreeMap<Name, Option<Credential>>,
    /// The last record handed out, and the last whose fate is known.
    last_record: RecordNumber,
    settled: RecordNumber,
    under_way: VecDeque<UnderWay>,
    /// Facts that the store refused.
    kept: Kept,
    retry_is_set: bool,
    /// Links whose next word waits for a record.
    waiting_words: BTreeMap<RecordNumber, Vec<LinkId>>,
    /// What others have been asked to do.
    asked: BTreeMap<Ticket, Ask>,
    timers: BTreeSet<(Time, Timer)>,
    /// The last number given to a session, a wish or a question.
    serial: u64,
    later: VecDeque<Later>,
    /// Live messages that wait for stored ones, by receiver and sender.
    queues: BTreeMap<(User, User), Queue>,
    group_messages: BTreeMap<u64, GroupMessage>,
    /// Mailboxes that are to be looked at, and whether one is (R68).
    expiry: expiry::Expiry,
    /// When the next session is forgotten, and before when none is (R68).
    forgets_at: Option<Time>,
    forgets_after: Time,
    broadcasts: u64,
    expected: Expected,
    news: Vec<News>,
    learnt: Learnt,
}

/// What a call did with a text, for those who judge what people see.
#[derive(Debug)]
pub(super) enum News {
    /// A command that sends it was read.
    Heard { link: LinkId, user: Name, command: &'static str, to: String, text: String, marked: bool },
    /// A numbered command that sends it was answered.
    Came { text: String, outcome: Outcome },
    /// Somebody has got it, as far as their end of the link says.
    Got { link: LinkId, user: Name, text: String },
}

/// What outlives a server, beside what the store has.
#[derive(Debug, Default)]
struct Learnt {
    /// Tokens by their digests, with the line of the credentials file at that login.
    tokens: BTreeMap<Digest, (String, Credential)>,
    /// Cookies by their digests, with the line of the credentials file at the login that gave them.
    cookies: BTreeMap<Digest, (String, Credential)>,
    /// Whose cookie is said on a link in this call.
    cookies_told: BTreeMap<LinkId, Name>,
    /// Couriers' tokens by their digests, with the line of the credentials file at that login.
    passes: BTreeMap<Digest, (String, Credential)>,
    /// Which of them is said on a link in this call.
    passes_told: BTreeMap<LinkId, Digest>,
    /// Of each user's last login that gave one.
    last_cookies: BTreeMap<Name, Digest>,
    /// Of each user's last login with one.
    last_tokens: BTreeMap<Name, Digest>,
    /// Digests of made-up names.
    names: BTreeMap<String, Digest>,
    digests: BTreeMap<Digest, String>,
    /// Codes of invites, by their digests.
    invites: BTreeMap<Digest, String>,
    /// The words of numbered commands, by their digests.
    words: BTreeMap<WordsDigest, String>,
    /// Names that were taken out of the credentials file.
    removed: BTreeSet<Name>,
}

impl Learnt {
    fn name_of(&self, digest: &Digest) -> Option<String> {
        self.digests.get(digest).cloned()
    }
}

/// The model of the server, over all its lives.
#[derive(Debug, Default)]
pub(super) struct Reference {
    server: Option<Server>,
    /// What is durable: of the records that it decided itself, those that the world says have survived.
    disk: Durable,
    /// While no server runs.
    learnt: Learnt,
    /// The last record that the store said it has synced.
    synced: RecordNumber,
    /// By how many microseconds the server's clock is ahead.
    ahead: i64,
    /// When the server wants to be called.
    scheduled: Option<Time>,
    /// What an operator is about to want done.
    wanted: Option<Act>,
    /// What the shell is about to say of an order.
    order_over: Option<(bool, Vec<Box<str>>)>,
    pub(super) tally: tally::Tally,
    /// Stored mail has waited while live messages were shown, at some time: for `offline`, or for another setting.
    shows_late: bool,
}

impl Reference {
    /// What has become of texts in the call that is over.
    pub(super) fn take_news(&mut self) -> Vec<News> {
        self.server.as_mut().map(|server| core::mem::take(&mut server.news)).unwrap_or_default()
    }

    /// Whether stored mail waits while live messages are shown, or has at some time: with
    /// `offline_delivery=manual` (R28), and with `off`, which shows nothing that is stored.
    pub(super) const fn shows_late(&self) -> bool {
        self.shows_late
    }

    /// Whether a name was taken out of the credentials file at some time. While its session went on it was shown
    /// live messages only, and stored ones that a crash brought back came after them.
    pub(super) fn was_removed(&self, name: &str) -> bool {
        let learnt = self.server.as_ref().map_or(&self.learnt, |server| &server.learnt);
        learnt.removed.iter().any(|removed| removed.as_str() == name)
    }

    /// How many accounts of a name are gone: the next one is another user.
    pub(super) fn gone_of(&self, name: &str) -> u32 {
        self.disk.gone(name)
    }

    /// Something that is under way, if anything is.
    pub(super) fn open(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        let waits = server.everybody().into_iter().find(|user| server.at(*user).unanswered.1 > 0);
        if let Some(user) = waits {
            return Some(alloc::format!("messages of {}", server.name(user)));
        }
        let wish = server.wishes.values().next().map(|wish| alloc::format!("{wish:?}"));
        // A name that is gone is purged when its session has ended.
        let rests =
            |name: &&Name| server.find(name.as_str()).is_none_or(|user| server.session(user).is_none());
        wish.or_else(|| server.purges.keys().find(rests).map(|name| alloc::format!("the purge of {name}")))
    }

    /// Mail that is still in a mailbox although it should have been shown.
    pub(super) fn left_in_mailboxes(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        if server.settings.offline_delivery == OfflineDelivery::Off {
            return None;
        }
        // One whose account is to be purged is shown nothing that is stored, and nobody can lift a block of one
        // (R41).
        let waits = |user: &User| {
            let stays = |from: &&Name| {
                server.is_held(*user, from)
                    && server.find(from.as_str()).is_some_and(|from| server.at(from).is_gone())
            };
            !server.at(*user).is_gone() && server.at(*user).mailbox.senders().any(|from| !stays(&from))
        };
        let full = server.everybody().into_iter().find(waits)?;
        Some(alloc::format!("mail of {}", server.name(full)))
    }
}

impl Server {
    #[track_caller]
    fn at(&self, user: User) -> &Account {
        match self.users.get(user) {
            Some(Some(account)) => account,
            _ => unreachable!("users come from the table of names"),
        }
    }

    #[track_caller]
    fn at_mut(&mut self, user: User) -> &mut Account {
        match self.users.get_mut(user) {
            Some(Some(account)) => account,
            _ => unreachable!("users come from the table of names"),
        }
    }

    fn name(&self, user: User) -> &Name {
        &self.at(user).name
    }

    fn find(&self, name: &str) -> Option<User> {
        self.names.get(name).copied()
    }

    /// The account of a name that is in the credentials file.
    fn find_open(&self, name: &str) -> Option<User> {
        self.find(name).filter(|user| !self.at(*user).is_gone())
    }

    /// All accounts, in order of their places.
    fn everybody(&self) -> Vec<User> {
        (0..self.users.len()).filter(|user| matches!(self.users.get(*user), Some(Some(_)))).collect()
    }

    fn session(&self, user: User) -> Option<&Session> {
        self.at(user).session.as_ref()
    }

    fn session_mut(&mut self, user: User) -> Option<&mut Session> {
        self.at_mut(user).session.as_mut()
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn set(&mut self, at: Time, timer: Timer) {
        self.timers.insert((at, timer));
    }
}

/// A time so many seconds later.
const fn later(time: Time, seconds: u64) -> Time {
    Time(time.0.saturating_add(seconds.saturating_mul(1_000_000)))
}
