//! What lines of both directions are made of.

/// What a program can do beyond reading lines; said in `hobnob` and `hello`, before login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// It acknowledges messages after showing them (`ack`).
    pub acknowledge: bool,
    /// It keeps a token and can resume its session (`resume`).
    pub resume: bool,
    /// It keeps a cookie for each of its users (`device`).
    pub device: bool,
    /// It answers when it is asked whether it is still there (`alive`).
    pub alive: bool,
    /// It carries messages and holds no session (`courier`).
    pub courier: bool,
    /// It reads who is away (`away`).
    pub away: bool,
    /// It relays private links, or has them relayed (`relay`).
    pub relay: bool,
}

/// Words separated by runs of spaces; possibly none.
#[derive(Debug, Clone, Copy, Eq)]
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Takes a part of a line; `None` if it holds a line feed.
    #[must_use]
    pub fn new(line: &'a str) -> Option<Words<'a>> {
        memchr::memchr(b'\n', line.as_bytes()).is_none().then_some(Words(line))
    }

    /// The words in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.0.split(' ').filter(|word| !word.is_empty())
    }
}

impl PartialEq for Words<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
