//! What lines of both directions are made of.

use crate::words::Token;

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
    /// It reads until when a message is stored (`until`).
    pub until: bool,
}

/// What a courier says before a message, so that it may say it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageMark {
    /// Who chose the id, and so for how long it is kept.
    pub kind: IdKind,
    /// The id.
    pub id: Token,
}

/// Who chose an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdKind {
    /// A person or a script (`given`): it is kept on the disk.
    Given,
    /// The program, at random (`random`): it is kept in memory.
    Random,
}

impl IdKind {
    /// Both.
    pub const ALL: [IdKind; 2] = [IdKind::Given, IdKind::Random];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            IdKind::Given => "given",
            IdKind::Random => "random",
        }
    }
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
