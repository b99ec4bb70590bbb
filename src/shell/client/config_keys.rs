//! The keys of the client's configuration: one table makes the file, the variables, the options, `hobnob config` and
//! what completion offers.

use std::net::{IpAddr, SocketAddr};

use super::server_address::ServerAddress;
use super::stamps::Timestamps;
use crate::client::{AcceptPrivate, Bell, MapPort, Way};

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    Off,
    On,
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Key {
    /// In the file; in the environment `HOBNOB_` and the name in capitals, as an option with dashes.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) about: &'static str,
    /// What help calls its value.
    pub(super) value_name: &'static str,
    /// The kind of its value, as a message says it.
    pub(super) takes: &'static str,
    /// All values, if they are few.
    pub(super) words: &'static [&'static str],
    read: fn(&mut Config, &str) -> bool,
    show: fn(&Config) -> String,
}

impl Key {
    /// The key of this name.
    pub(super) fn named(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Its option, without the dashes before it.
    pub(super) fn option(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Its variable.
    pub(super) fn variable(&self) -> String {
        format!("HOBNOB_{}", self.name.to_ascii_uppercase())
    }

    /// Sets it; `false` if the value is none.
    #[must_use]
    pub(super) fn read(&self, config: &mut Config, value: &str) -> bool {
        (self.read)(config, value)
    }

    /// Its value; empty if nothing is chosen.
    pub(super) fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }
}

/// Whether a variable of the environment is one of the client.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    KEYS.iter().any(|key| key.variable() == name)
}

/// A kind of value.
trait Kind: Sized {
    const TAKES: &'static str;
    const WORDS: &'static [&'static str] = &[];
    fn read(text: &str) -> Option<Self>;
    fn show(&self) -> String;
}

/// Nothing, until it is chosen.
impl<K: Kind> Kind for Option<K> {
    const TAKES: &'static str = K::TAKES;
    const WORDS: &'static [&'static str] = K::WORDS;
    fn read(text: &str) -> Option<Option<K>> {
        K::read(text).map(Some)
    }
    fn show(&self) -> String {
        self.as_ref().map_or_else(String::new, K::show)
    }
}

macro_rules! words {
    ($($kind:ty { $first:literal = $one:expr, $($word:literal = $value:expr,)* })+) => { $(
        impl Kind for $kind {
            const TAKES: &'static str = concat!($first, $(", ", $word),*);
            const WORDS: &'static [&'static str] = &[$first, $($word),*];
            fn read(text: &str) -> Option<$kind> {
                match text { $first => Some($one), $($word => Some($value),)* _ => None }
            }
            fn show(&self) -> String {
                let all: &[(&str, $kind)] = &[($first, $one), $(($word, $value)),*];
                all.iter().find(|(_, one)| one == self).map_or("", |(word, _)| word).to_owned()
            }
        }
    )+ };
}

words! {
    Timestamps { "off" = Timestamps::Off, "time" = Timestamps::Time, "full" = Timestamps::Full, }
    AcceptPrivate {
        "ask" = AcceptPrivate::Ask, "auto" = AcceptPrivate::Auto, "never" = AcceptPrivate::Never,
    }
    Bell { "never" = Bell::Never, "mention" = Bell::Mention, "message" = Bell::Message, }
    MapPort { "off" = MapPort::Off, "auto" = MapPort::Auto, }
    Switch { "off" = Switch::Off, "on" = Switch::On, }
    Way { "direct" = Way::Direct, "auto" = Way::Auto, "relay" = Way::Relay, }
}

macro_rules! parsed {
    ($($kind:ty: $takes:literal if $is_one:expr;)+) => { $(
        impl Kind for $kind {
            const TAKES: &'static str = $takes;
            fn read(text: &str) -> Option<$kind> {
                let is_one: fn(&str) -> bool = $is_one;
                text.parse().ok().filter(|_| is_one(text))
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+ };
}

parsed! {
    String: "some text" if |text| !text.is_empty();
    u64: "a number of seconds" if |text| text.bytes().all(|byte| byte.is_ascii_digit());
    u16: "a port" if |text| text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0";
    u32: "a number of days" if |text| text.bytes().all(|byte| byte.is_ascii_digit());
    IpAddr: "an IP address" if |_| true;
    SocketAddr: "an IP address and a port, ADDR:PORT" if |_| true;
}

impl Kind for ServerAddress {
    const TAKES: &'static str = "HOST, HOST:PORT or PORT";
    fn read(text: &str) -> Option<ServerAddress> {
        ServerAddress::read(&[text])
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// Words to mark in texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Words(pub(super) Vec<String>);

impl Kind for Words {
    const TAKES: &'static str = "up to 50 words with commas between them, each at most 64 characters long";
    fn read(text: &str) -> Option<Words> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let words: Vec<String> = words.map(str::to_owned).collect();
        let fits = words.len() <= 50 && words.iter().all(|word| word.chars().count() <= 64);
        fits.then_some(Words(words))
    }
    fn show(&self) -> String {
        self.0.join(",")
    }
}

macro_rules! keys {
    ($($name:ident: $kind:ty = $default:expr, $value_name:literal, $about:literal;)+) => {
        /// What is chosen, or the default.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(super) struct Config {
            $(pub(super) $name: $kind,)+
        }

        impl Default for Config {
            fn default() -> Config {
                Config { $($name: $default,)+ }
            }
        }

        /// The table.
        pub(super) const KEYS: &[Key] = &[$(Key {
            name: stringify!($name),
            about: $about,
            value_name: $value_name,
            takes: <$kind as Kind>::TAKES,
            words: <$kind as Kind>::WORDS,
            read: |config, text| {
                let value = <$kind as Kind>::read(text);
                value.map(|value| config.$name = value).is_some()
            },
            show: |config| config.$name.show(),
        },)+];
    };
}

keys! {
    server: ServerAddress = ServerAddress::default(), "HOST:PORT", "The server, where no word names it";
    user: Option<String> = None, "NAME", "Skips the username prompt";
    password_command: Option<String> = None, "CMD",
        "The first line that CMD prints is the password: sh -c CMD; --password-file and --password-fd win over it";
    timestamps: Timestamps = Timestamps::Time, "FORM", "At a terminal: the local time before each message";
    bell: Bell = Bell::Mention, "WHEN", "At a terminal: which messages ring; a direct one counts as a mention";
    highlight: Words = Words::default(), "WORDS",
        "At a terminal: words to mark beside your name, as deploy*,pager";
    new_after: u64 = 300, "SECONDS", "At a terminal: what comes after so long without a key is marked as new; 0: never";
    accept_private: AcceptPrivate = AcceptPrivate::Ask, "ANSWER", "Answer to others' startprivate";
    private_bind: Option<IpAddr> = None, "ADDR",
        "Address for incoming private links [default: where the server is reached from]";
    private_port: Option<u16> = None, "PORT",
        "Port for incoming private links, for a router that passes it on [default: that of the connection to the server]";
    private_advertise: Option<SocketAddr> = None, "ADDR:PORT", "Another address where private links reach this client";
    map_port: MapPort = MapPort::Auto, "WHEN",
        "Whether the router is asked to let others in (PCP, NAT-PMP, UPnP), so that private links are direct";
    path: Way = Way::Auto, "PATH", "How private links run: relay hides your address";
    reconnect: Option<u64> = None, "SECONDS",
        "How long to try again after a lost connection; 0: not at all [default: for ever at a terminal, else 60]";
    log: Option<Switch> = None, "SWITCH",
        "Keeps what is said, for history and search [default: on at a terminal, else off]";
    log_private: Switch = Switch::Off, "SWITCH", "Keeps what is said on private links too";
    log_days: u32 = 365, "DAYS", "How long it is kept; 0: for ever";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_what_it_shows_and_changes_its_own_field() {
        for key in KEYS {
            let value = key.words.iter().copied().find(|word| *word != key.show(&Config::default()));
            let value = value.unwrap_or(match key.takes {
                "a number of seconds" | "a number of days" => "7",
                Words::TAKES => "deploy*,pager",
                "a port" => "7000",
                "an IP address" => "::1",
                "an IP address and a port, ADDR:PORT" => "1.2.3.4:5",
                "HOST, HOST:PORT or PORT" => "h:1",
                _ => "word",
            });
            let mut config = Config::default();
            assert!(key.read(&mut config, value), "{}={value}", key.name);
            assert_eq!(key.show(&config), value, "{}", key.name);
            for other in KEYS.iter().filter(|other| other.name != key.name) {
                assert_eq!(other.show(&config), other.show(&Config::default()), "{}", key.name);
            }
            assert!(is_variable(&key.variable()) && !is_variable(key.name));
        }
    }

    #[test]
    fn what_is_no_value_changes_nothing() {
        for (name, value) in [
            ("server", ":1"),
            ("user", ""),
            ("timestamps", "Time"),
            ("accept_private", "maybe"),
            ("private_bind", "localhost"),
            ("private_port", "0"),
            ("private_port", "65536"),
            ("private_advertise", "1.2.3.4"),
            ("map_port", "on"),
            ("path", ""),
            ("bell", "always"),
            ("new_after", "soon"),
            ("highlight", &"x".repeat(65)),
            ("highlight", &"x,".repeat(51)),
            ("reconnect", "-1"),
            ("reconnect", "+1"),
        ] {
            let mut config = Config::default();
            let key = Key::named(name).expect("a key");
            assert!(!key.read(&mut config, value), "{name}={value}");
            assert_eq!(config, Config::default());
        }
    }
}
