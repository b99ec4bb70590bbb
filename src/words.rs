//! The words of the field: names, texts, secrets and ids, valid by construction.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]
#![forbid(unsafe_code)]

mod address_range;
mod credential;
mod device_key;
mod fingerprint;
pub mod look_alike;
pub mod wiped;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;

use zeroize::Zeroizing;

pub use self::address_range::AddressRange;
pub use self::credential::{Credential, is_hash};
pub use device_key::{BadDeviceKey, DeviceKey};
pub use fingerprint::{BadFingerprint, Fingerprint};

/// Longest name, in characters.
pub const NAME_CHARS: usize = 32;

/// The name of a user or a group: 1 to 32 characters, none of them white space, control or invisible, the first
/// not `#`, and not the word `group`. Case matters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A string that is no [`Name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadName;

impl Name {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`BadName`] if the string breaks one of the rules of [`Name`].
    pub fn new(name: &str) -> Result<Name, BadName> {
        let length = name.chars().take(NAME_CHARS + 1).count();
        let good = (1..=NAME_CHARS).contains(&length)
            && !name.starts_with('#')
            && name != "group"
            && name.chars().all(is_visible);
        if good { Ok(Name(name.into())) } else { Err(BadName) }
    }

    /// The name as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Whether a character shows by itself: it is not white space, not control, and not invisible.
#[must_use]
pub fn is_visible(c: char) -> bool {
    !(c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// Whether a character is default-ignorable, filling, joining or bidirectional (Unicode 16,
/// `DerivedCoreProperties`).
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The line break of a text, on the wire and in the store: a line feed would end a line of the protocol.
pub const LINE_BREAK: char = '\u{2028}';

/// The text of a message, borrowed: at least one byte of UTF-8 without a line feed, kept byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// Takes a text; `None` if it is empty or holds a line feed.
    #[must_use]
    pub fn new(text: &'a str) -> Option<Text<'a>> {
        let good = !text.is_empty() && memchr::memchr(b'\n', text.as_bytes()).is_none();
        good.then_some(Text(text))
    }

    /// What stands at the end of a line: `None` if there is nothing.
    pub(crate) fn of_line(text: &'a str) -> Option<Text<'a>> {
        debug_assert!(!text.contains('\n'), "{text:?} is more than one line");
        (!text.is_empty()).then_some(Text(text))
    }

    /// The text as a string.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

/// The same, shared. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedText(Arc<str>);

impl SharedText {
    /// The text, borrowed.
    #[must_use]
    pub fn as_text(&self) -> Text<'_> {
        Text(&self.0)
    }

    /// The text as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many bytes it has: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Text<'_>> for SharedText {
    fn from(text: Text<'_>) -> SharedText {
        SharedText(text.0.into())
    }
}

impl FromStr for SharedText {
    type Err = NoText;

    fn from_str(text: &str) -> Result<SharedText, NoText> {
        Text::new(text).map(SharedText::from).ok_or(NoText)
    }
}

/// Words that are no [`Text`]: none at all, or with a line feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoText;

impl fmt::Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedText({} bytes)", self.0.len())
    }
}

/// A password as it was parsed, borrowed. `Debug` never prints it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<'a>(pub &'a str);

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A password as it was typed. It is overwritten when it is dropped. `Debug` never prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<Box<str>>);

impl Password {
    /// Takes a password.
    #[must_use]
    pub fn new(password: &str) -> Password {
        Password(Zeroizing::new(password.into()))
    }

    /// The password, for whatever hashes or encodes it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(password: String) -> Password {
        Password::new(&Zeroizing::new(password))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A connection, as the driver names it to a state machine. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A request of the core for slow work (hashing, loading). The answer brings it back. Never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A login of a user: its millisecond, or one more than the number before if that is larger. It rises with every
/// login, also over restarts, and stays the same over resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LoginNumber(pub u64);

/// The id of a message, unique for its receiver. Later messages have larger ids. Written `BOOT.NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId {
    /// Rises with every start of the server.
    pub boot: u32,
    /// Counts the messages to this receiver since that start, from 1.
    pub number: u64,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.boot, self.number)
    }
}

impl FromStr for MessageId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<MessageId, BadId> {
        let (boot, number) = text.split_once('.').ok_or(BadId)?;
        Ok(MessageId { boot: canonical(boot)?, number: canonical(number)? })
    }
}

/// The command that a message came from. A command that is sent again, after a lost link or a restart, has the
/// same origin: the receiver knows it by that. Written `LOGIN.NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The sender's login.
    pub login: LoginNumber,
    /// The number of the command within that login.
    pub number: u64,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.login.0, self.number)
    }
}

impl FromStr for Origin {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Origin, BadId> {
        let (login, number) = text.split_once('.').ok_or(BadId)?;
        Ok(Origin { login: LoginNumber(canonical(login)?), number: canonical(number)? })
    }
}

/// A string that is no id of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId;

/// Reads a number that is spelled as its encoder spells it: digits, no sign, no leading zero.
fn canonical<N: FromStr>(digits: &str) -> Result<N, BadId> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().map_err(|_| BadId) } else { Err(BadId) }
}

/// A secret of 16 random bytes, written as 32 hexadecimal digits: it resumes a session, or proves that a client
/// was introduced. `Debug` never prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 16]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Writes the digits; only the wire does so.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Token {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Token, BadId> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(BadId);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return Err(BadId) };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Token(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, BadId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(BadId),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    #[test]
    fn names_are_visible_and_short() {
        for good in ["hans", "r2d2", "Ωmega", "a", "x#y", "名前", &"n".repeat(32)] {
            assert_eq!(Name::new(good).as_ref().map(Name::as_str), Ok(good));
        }
        for bad in
            ["", " ", "a b", "#a", "group", "a\u{200b}", "\u{202e}a", "a\u{7}", "a\u{a0}b", &"n".repeat(33)]
        {
            assert_eq!(Name::new(bad), Err(BadName), "{bad:?}");
        }
    }

    #[test]
    fn ids_read_back_what_they_write() {
        let id = MessageId { boot: 3, number: 42 };
        assert_eq!(id.to_string().parse(), Ok(id));
        let origin = Origin { login: LoginNumber(7), number: 1 };
        assert_eq!(origin.to_string().parse(), Ok(origin));
        let token = Token([0xa7; 16]);
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in ["", "1", "1.", ".1", "01.1", "1.+1", "1.1.1", "-1.1"] {
            assert_eq!(bad.parse::<MessageId>(), Err(BadId), "{bad}");
        }
    }

    #[test]
    fn secrets_do_not_print() {
        let shown = format!(
            "{:?} {:?} {:?} {:?}",
            Password::new("falcon"),
            Secret("falcon"),
            Credential::new("falcon"),
            Token([0x61; 16])
        );
        assert!(!shown.contains("falcon") && !shown.contains("61"), "{shown}");
    }

    #[test]
    fn a_text_is_one_line_and_not_empty() {
        assert!(Text::new("  ").is_some());
        assert!(Text::new("").is_none());
        assert!(Text::new("a\nb").is_none());
    }
}
