//! The settings by name: one table that reads them from the file, the environment and the command
//! line, and lists them for people.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::server::settings::{
    BlockNotice, BroadcastReport, DuplicateLogin, HeldOnBlock, HistoryMode, OfflineDelivery, Registration,
    Takeover,
};
use crate::shell::server::hashing::Cost;
use crate::shell::server::invitations::Advertised;
use crate::shell::server::log::{LogFormat, LogSettings};
use crate::words::Name;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `bind`: address to listen on.
    pub bind: IpAddr,
    /// `port`: 0 picks a free one.
    pub port: u16,
    /// `credentials`: the file with the accounts.
    pub credentials: PathBuf,
    /// `data`: the folder where state lives.
    pub data: PathBuf,
    /// `plaintext`: no TLS.
    pub plaintext: bool,
    /// `allow_plaintext`: no TLS even where others could listen.
    pub allow_plaintext: bool,
    /// How connections are encrypted.
    pub tls: TlsSettings,
    /// `ephemeral`: keep nothing.
    pub ephemeral: bool,
    /// `core_dumps`: core files may be left, and other programs may read this one's memory.
    pub core_dumps: bool,
    /// `advertise`: where others reach the server, if not where it listens.
    pub advertise: Option<Advertised>,
    /// `metrics`: where metrics are served, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// How and where the log is written.
    pub log: LogSettings,
    /// Limits of the shell.
    pub limits: Limits,
    /// Settings of the core.
    pub core: crate::server::Settings,
}

/// The key, its certificate, and tickets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// `tls_cert`: a certificate of the operator's own, with those of its issuers (PEM).
    pub cert: Option<PathBuf>,
    /// `tls_key`: its key (PEM).
    pub key: Option<PathBuf>,
    /// `ticket_secs`: how long a client may take up its TLS session again.
    pub ticket_secs: u64,
}

/// Limits that the shell itself enforces. 0: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `output_bytes`: bytes that may wait for one connection.
    pub output_bytes: usize,
    /// `output_stall_secs`: time without progress until a slow reader is disconnected.
    pub output_stall_secs: u64,
    /// `dead_link_secs`: silence until a connection counts as dead.
    pub dead_link_secs: u64,
    /// `handshakes_max`: TLS handshakes under way.
    pub handshakes_max: u32,
    /// `argon2_kib`, `argon2_passes`
    pub hash_cost: Cost,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            bind: Ipv4Addr::LOCALHOST.into(),
            port: 4000,
            credentials: "credentials.txt".into(),
            data: "hobnob-data".into(),
            plaintext: false,
            allow_plaintext: false,
            tls: TlsSettings { ticket_secs: 3_600, ..TlsSettings::default() },
            ephemeral: false,
            core_dumps: false,
            advertise: None,
            metrics: None,
            log: LogSettings::default(),
            limits: Limits {
                output_bytes: 262_144,
                output_stall_secs: 10,
                dead_link_secs: 15,
                handshakes_max: 64,
                hash_cost: Cost { kib: 19_456, passes: 2 },
            },
            core: crate::server::Settings {
                hashing_threads: crate::shell::server::hashing::threads(),
                ..crate::server::Settings::default()
            },
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in the file and for `--set`; in the environment `HOBNOB_` and the name in capitals.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// The kind of its value.
    pub takes: &'static str,
    read: fn(&mut Settings, &str) -> bool,
    show: fn(&Settings) -> String,
}

impl Setting {
    /// The setting of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Sets it; `false` if the value is not valid.
    #[must_use]
    pub fn read(&self, settings: &mut Settings, value: &str) -> bool {
        (self.read)(settings, value)
    }

    /// Its value as text.
    #[must_use]
    pub fn show(&self, settings: &Settings) -> String {
        (self.show)(settings)
    }
}

/// All settings with their defaults for `--help`, each on lines no wider than so many columns.
#[must_use]
pub fn list(columns: usize) -> String {
    const INDENT: &str = "      ";
    let defaults = Settings::default();
    let mut list = String::new();
    for setting in SETTINGS {
        // Writing to a string does not fail.
        let _ = write!(list, "  {}={}", setting.name, setting.show(&defaults));
        let mut column = columns;
        for word in format!("{} [{}]", setting.about, setting.takes).split(' ') {
            if column + 1 + word.chars().count() > columns {
                let _ = write!(list, "\n{INDENT}{word}");
                column = INDENT.len();
            } else {
                let _ = write!(list, " {word}");
                column += 1;
            }
            column += word.chars().count();
        }
        list.push('\n');
    }
    list
}

/// A kind of value that a setting can have.
trait Kind {
    type Value;
    const TAKES: &'static str;
    fn read(text: &str) -> Option<Self::Value>;
    fn show(value: &Self::Value) -> String;
}

macro_rules! numbers {
    ($($kind:ident: $number:ty, $takes:literal, $range:expr;)+) => { $(
        enum $kind {}

        impl Kind for $kind {
            type Value = $number;
            const TAKES: &'static str = $takes;
            fn read(text: &str) -> Option<$number> {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = digits.then(|| text.parse().ok()).flatten();
                number.filter(|number| ($range).contains(number))
            }
            fn show(value: &$number) -> String {
                value.to_string()
            }
        }
    )+ };
}

numbers! {
    Port: u16, "0 to 65535", 0..=u16::MAX;
    Count: u32, "number", 0..=u32::MAX;
    Size: usize, "number", 0..=usize::MAX;
    Bytes: u64, "number", 0..=u64::MAX;
    Seconds: u64, "seconds", 0..=u64::MAX;
    Days: u32, "days, up to 36500", 0..=36_500;
    HashKib: u32, "8 to 1048576", 8..=1_048_576;
    HashPasses: u32, "1 to 100", 1..=100;
}

macro_rules! words {
    ($($kind:ty { $first:literal = $default:expr, $($word:literal = $value:expr,)* })+) => { $(
        impl Kind for $kind {
            type Value = $kind;
            const TAKES: &'static str = concat!($first, $("|", $word),*);
            fn read(text: &str) -> Option<$kind> {
                match text { $first => Some($default), $($word => Some($value),)* _ => None }
            }
            fn show(value: &$kind) -> String {
                let all: &[(&str, $kind)] = &[($first, $default), $(($word, $value)),*];
                all.iter().find(|(_, one)| one == value).map_or("", |(word, _)| word).to_string()
            }
        }
    )+ };
}

words! {
    bool { "true" = true, "false" = false, }
    Registration { "closed" = Registration::Closed, "open" = Registration::Open, }
    Takeover { "allow" = Takeover::Allow, "deny" = Takeover::Deny, }
    DuplicateLogin { "deny" = DuplicateLogin::Deny, "replace" = DuplicateLogin::Replace, }
    BlockNotice { "tell" = BlockNotice::Tell, "silent" = BlockNotice::Silent, }
    OfflineDelivery {
        "auto" = OfflineDelivery::Auto, "manual" = OfflineDelivery::Manual, "off" = OfflineDelivery::Off,
    }
    HeldOnBlock { "hold" = HeldOnBlock::Hold, "deliver" = HeldOnBlock::Deliver, "drop" = HeldOnBlock::Drop, }
    BroadcastReport {
        "generic" = BroadcastReport::Generic, "names" = BroadcastReport::Names, "none" = BroadcastReport::None,
    }
    LogFormat { "text" = LogFormat::Text, "json" = LogFormat::Json, "journald" = LogFormat::Journald, }
    HistoryMode { "overlap" = HistoryMode::Overlap, "login" = HistoryMode::Login, }
}

impl Kind for IpAddr {
    type Value = IpAddr;
    const TAKES: &'static str = "IP address";
    fn read(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }
    fn show(value: &IpAddr) -> String {
        value.to_string()
    }
}

impl Kind for PathBuf {
    type Value = PathBuf;
    const TAKES: &'static str = "path";
    fn read(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| text.into())
    }
    fn show(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// Nothing, or lines of text, which the core has with the line break of a text between them.
impl Kind for Option<Box<str>> {
    type Value = Option<Box<str>>;
    const TAKES: &'static str = "up to 2000 bytes";
    fn read(text: &str) -> Option<Option<Box<str>>> {
        let text = text.trim_end().replace("\r\n", "\n").replace('\n', "\u{2028}");
        (text.len() <= 2_000).then(|| (!text.is_empty()).then(|| text.into()))
    }
    fn show(value: &Option<Box<str>>) -> String {
        value.as_deref().unwrap_or_default().to_owned()
    }
}

/// Names, with spaces between them; in the file also an array.
impl Kind for Box<[Name]> {
    type Value = Box<[Name]>;
    const TAKES: &'static str = "names";
    fn read(text: &str) -> Option<Box<[Name]>> {
        text.split_whitespace().map(|word| Name::new(word).ok()).collect()
    }
    fn show(value: &Box<[Name]>) -> String {
        value.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// No file, or one.
impl Kind for Option<PathBuf> {
    type Value = Option<PathBuf>;
    const TAKES: &'static str = "path";
    fn read(text: &str) -> Option<Option<PathBuf>> {
        Some((!text.is_empty()).then(|| text.into()))
    }
    fn show(value: &Option<PathBuf>) -> String {
        value.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }
}

/// Nowhere, or an address with a port.
impl Kind for Option<SocketAddr> {
    type Value = Option<SocketAddr>;
    const TAKES: &'static str = "address:port";
    fn read(text: &str) -> Option<Option<SocketAddr>> {
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }
    fn show(value: &Option<SocketAddr>) -> String {
        value.map_or_else(String::new, |address| address.to_string())
    }
}

/// Nowhere, or a host with or without a port.
impl Kind for Option<Advertised> {
    type Value = Option<Advertised>;
    const TAKES: &'static str = "HOST or HOST:PORT";
    fn read(text: &str) -> Option<Option<Advertised>> {
        if text.is_empty() { Some(None) } else { Advertised::read(text).map(Some) }
    }
    fn show(value: &Option<Advertised>) -> String {
        value.as_ref().map_or_else(String::new, ToString::to_string)
    }
}

macro_rules! table {
    ($($name:ident: $kind:ty = $($field:ident).+, $about:literal;)+) => {
        /// The table.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            name: stringify!($name),
            about: $about,
            takes: <$kind as Kind>::TAKES,
            read: |settings, text| {
                let value = <$kind as Kind>::read(text);
                value.map(|value| settings.$($field).+ = value).is_some()
            },
            show: |settings| <$kind as Kind>::show(&settings.$($field).+),
        },)+];
    };
}

table! {
    bind: IpAddr = bind, "address to listen on";
    port: Port = port, "port to listen on; 0 picks a free one";
    credentials: PathBuf = credentials, "file with the accounts";
    data: PathBuf = data, "folder where state lives";
    ephemeral: bool = ephemeral, "keep nothing over a restart but the accounts";
    core_dumps: bool = core_dumps, "leave core files, which hold passwords and texts; takes a restart";
    advertise: Option<Advertised> = advertise, "where others reach the server, for invites; empty: where it listens";
    metrics: Option<SocketAddr> = metrics, "where OpenMetrics are served over HTTP (/metrics), to whoever reaches it; takes a restart";
    log_format: LogFormat = log.format, "how the log is written; journald: with priorities and without times";
    log_file: Option<PathBuf> = log.file, "where the log is written instead of stderr; opened again at SIGHUP";
    plaintext: bool = plaintext, "no TLS; both sides must say it";
    tls_cert: Option<PathBuf> = tls.cert, "a certificate and its issuers' (PEM), instead of one made here; read again at SIGHUP";
    tls_key: Option<PathBuf> = tls.key, "its key (PEM)";
    ticket_secs: Seconds = tls.ticket_secs, "how long a client may take up its TLS session again";
    handshakes_max: Count = limits.handshakes_max, "TLS handshakes under way";
    allow_plaintext: bool = allow_plaintext, "let plaintext leave this machine (any address but loopback)";
    block_duration: Seconds = core.block_duration_secs, "how long a name stays locked; 0: never locked";
    timeout: Seconds = core.timeout_secs, "time without a command until logout; 0: never";
    registration: Registration = core.registration, "whether a new name makes an account";
    duplicate_login: DuplicateLogin = core.duplicate_login, "a second login of an online user";
    lock_attempts: Count = core.lock_attempts, "failures in a row that lock a name";
    lock_extend: bool = core.lock_extend, "attempts during a lock start it again";
    invalid_counts_as_activity: bool = core.invalid_counts_as_activity, "wrong commands keep a session alive";
    resume_grace_secs: Seconds = core.resume_grace_secs, "how long a session outlives its link";
    restart_grace_secs: Seconds = core.restart_grace_secs, "how long sessions wait for their clients after a restart; 0: they end";
    block_notice: BlockNotice = core.block_notice,
        "whether a sender hears that they are blocked; silent: `stored`, given away where offline users are refused";
    strict_block: bool = core.strict_block, "blocking twice is an error";
    block_mutual: bool = core.block_mutual, "the blocker cannot reach the blocked either";
    block_ends_private: bool = core.block_ends_private, "a block closes a private link";
    held_on_block: HeldOnBlock = core.held_on_block, "mail accepted before its sender was blocked";
    offline_delivery: OfflineDelivery = core.offline_delivery, "when stored messages are shown";
    broadcast_report: BroadcastReport = core.broadcast_report, "what the sender learns of online blockers";
    hide_blockers_in_whoelse: bool = core.hide_blockers_in_whoelse, "whoelse leaves out who has blocked the asker";
    whoelse_include_self: bool = core.whoelse_include_self, "whoelse names the asker too";
    hide_blockers_in_history: bool = core.hide_blockers_in_history, "the same for whoelsesince";
    history_mode: HistoryMode = core.history_mode, "whom whoelsesince names";
    ping_reveals_block: bool = core.ping_reveals_block, "ping tells that one is blocked";
    mailbox_messages: Count = core.mailbox_messages, "stored messages a user";
    mailbox_bytes: Bytes = core.mailbox_bytes, "stored bytes of text a user";
    mailbox_per_sender: Count = core.mailbox_per_sender, "stored messages of one sender a user";
    mailbox_total_bytes: Bytes = core.mailbox_total_bytes, "stored bytes of text in all";
    mailbox_days: Days = core.mailbox_days, "how long a stored message waits to be shown before it is removed; 0: for ever";
    history_days: Days = core.history_days, "how long it is remembered when somebody was here last; 0: for ever";
    groups_per_user: Count = core.groups_per_user, "groups a user";
    members_per_group: Count = core.members_per_group, "members a group";
    private_request_secs: Seconds = core.private_request_secs, "how long a private request waits";
    motd: Option<Box<str>> = core.motd, "message of the day: what everybody reads who logs in; empty: none";
    operators: Box<[Name]> = core.operators, "users who may say `op ORDER`; names without an account cannot be registered";
    unauthenticated_max: Count = core.unauthenticated_max, "connections not logged in";
    unauthenticated_per_address: Count = core.unauthenticated_per_address, "the same of one address";
    hash_queue: Count = core.hash_queue, "passwords that may wait to be hashed, beside one an address";
    courier_max: Count = core.courier_max, "couriers (hobnob send) of a user at a time";
    relay_bytes_per_s: Count = core.relay_bytes_per_s, "bytes a second of a user's private links that are relayed";
    relay_links_per_user: Count = core.relay_links_per_user, "relayed private links of a user at a time";
    registrations_per_address: Count = core.registrations_per_address, "accounts made from one address in an hour";
    takeover: Takeover = core.takeover, "whether a second login may end the first session";
    failures_per_address: Count = core.failures_per_address, "wrong passwords of one address a block_duration";
    login_secs: Seconds = core.login_secs, "time to log in";
    line_bytes: Size = core.line_bytes, "longest line";
    mailbox_share: Count = core.mailbox_share, "a sender may fill a mailbox to one part in so many";
    total_share: Count = core.total_share, "a sender may fill all mailboxes together to one part in so many";
    rate_burst: Count = core.rate_burst, "units of work a user may cause at once";
    rate_per_s: Count = core.rate_per_s, "units of work a second a user may cause";
    presence_burst: Count = core.presence_burst, "comings and goings of a user that are told at once";
    presence_settle_secs: Seconds = core.presence_settle_secs, "how long one stands before it is told beyond that";
    unsettled_max: Count = core.unsettled_max, "records of a user that may be on their way to the disk";
    store_queue_bytes: Bytes = core.store_queue_bytes, "bytes on their way to the disk; beyond it one record a user";
    output_bytes: Size = limits.output_bytes, "bytes that may wait for a slow reader";
    output_stall_secs: Seconds = limits.output_stall_secs, "time a slow reader may take none of them";
    dead_link_secs: Seconds = limits.dead_link_secs, "silence until a connection counts as dead";
    argon2_kib: HashKib = limits.hash_cost.kib, "memory of a new password hash, in KiB";
    argon2_passes: HashPasses = limits.hash_cost.passes, "passes of a new password hash";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and defaults that operators rely on.
    const PROMISED: &str = "resume_grace_secs=0 mailbox_messages=10000 mailbox_bytes=8388608 \
        mailbox_per_sender=1000 mailbox_total_bytes=268435456 mailbox_days=0 history_days=0 unauthenticated_max=128 \
        unauthenticated_per_address=16 login_secs=30 hash_queue=32 line_bytes=4096 output_bytes=262144 \
        output_stall_secs=10 mailbox_share=8 total_share=16 presence_burst=4 presence_settle_secs=15 unsettled_max=64 store_queue_bytes=67108864 registrations_per_address=5 courier_max=4 relay_bytes_per_s=65536 relay_links_per_user=4 takeover=allow rate_burst=4096 rate_per_s=20000 groups_per_user=50 members_per_group=200 \
        failures_per_address=9 private_request_secs=60 motd= operators= argon2_kib=19456 argon2_passes=2 \
        allow_plaintext=false port=4000 bind=127.0.0.1 block_duration=60 timeout=1800 dead_link_secs=15 \
        lock_attempts=3 lock_extend=false registration=closed duplicate_login=deny \
        invalid_counts_as_activity=false block_notice=tell offline_delivery=auto held_on_block=hold \
        broadcast_report=generic hide_blockers_in_whoelse=true whoelse_include_self=false \
        hide_blockers_in_history=true history_mode=overlap strict_block=true block_mutual=false \
        block_ends_private=false ping_reveals_block=true credentials=credentials.txt data=hobnob-data \
        restart_grace_secs=15 plaintext=false tls_cert= tls_key= ticket_secs=3600 handshakes_max=64 ephemeral=false core_dumps=false metrics= advertise= log_format=text log_file=";

    #[test]
    fn names_and_defaults_are_the_promised_ones() {
        let defaults = Settings::default();
        let mut promised: Vec<&str> = PROMISED.split_whitespace().collect();
        let mut found: Vec<String> =
            SETTINGS.iter().map(|setting| format!("{}={}", setting.name, setting.show(&defaults))).collect();
        promised.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, promised);
    }

    #[test]
    fn every_setting_reads_what_it_shows_and_changes_its_own_field() {
        for setting in SETTINGS {
            let choices: Vec<&str> = match setting.takes {
                "path" => vec!["elsewhere"],
                "up to 2000 bytes" => vec!["be nice"],
                "names" => vec!["hans", "hans luke"],
                "IP address" => vec!["::1"],
                "HOST or HOST:PORT" => vec!["chat.example.org", "[::1]:5000"],
                "address:port" => vec!["127.0.0.1:9464", "[::1]:0"],
                "number" | "seconds" | "days, up to 36500" | "0 to 65535" => vec!["7", "0"],
                "8 to 1048576" | "1 to 100" => vec!["9"],
                words => words.split('|').collect(),
            };
            let defaults = Settings::default();
            let mut changed = 0;
            for choice in choices {
                let mut settings = defaults.clone();
                assert!(setting.read(&mut settings, choice), "{}={choice}", setting.name);
                assert_eq!(setting.show(&settings), choice, "{}", setting.name);
                let others = SETTINGS.iter().filter(|other| other.name != setting.name);
                for other in others {
                    assert_eq!(other.show(&settings), other.show(&defaults), "{}", setting.name);
                }
                changed += usize::from(settings != defaults);
            }
            assert!(changed > 0, "{} changes nothing", setting.name);
        }
    }

    #[test]
    fn bad_values_are_refused() {
        for (name, values) in [
            ("port", &["65536", "-1", "+1", "", " 1", "x"][..]),
            ("timeout", &["1.5", "18446744073709551616", "10s"]),
            ("bind", &["localhost", "1.2.3", ""]),
            ("lock_extend", &["True", "yes", "1", ""]),
            ("registration", &["Open", ""]),
            ("argon2_kib", &["7", "1048577"]),
            ("argon2_passes", &["0", "101"]),
            ("data", &[""]),
            ("operators", &["#1", "hans #1"]),
            ("mailbox_days", &["36501", "-1", "30d", "1.5", ""]),
            ("metrics", &["9464", "127.0.0.1", "localhost:9464", ":9464", "127.0.0.1:65536"]),
        ] {
            let setting = Setting::named(name).expect("a setting");
            for value in values {
                let mut settings = Settings::default();
                assert!(!setting.read(&mut settings, value), "{name}={value}");
                assert_eq!(settings, Settings::default());
            }
        }
        assert!(Setting::named("ports").is_none());
    }

    #[test]
    fn the_list_names_every_setting() {
        for setting in SETTINGS {
            assert!(list(80).contains(&format!("  {}=", setting.name)), "{}", setting.name);
        }
    }
}
