//! Makes characters visible that would move the cursor, reorder a line, or be hidden in it.
//!
//! Everything untrusted passes through here on its way to a terminal, a log or an error.

use std::{fmt, io};

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{Formatter, Serializer};
use unicode_width::UnicodeWidthChar;

use crate::words::is_invisible;

/// Most combining marks on one character; more would cover other lines.
const MARKS_A_CHARACTER: usize = 4;

/// A text with every character visible: `^[` for ESC, `^?` for DEL, `<U+202E>` for characters that are
/// invisible, reorder the text, or pile up. The result has no line breaks.
#[must_use]
pub fn visible(text: &str) -> Visible<'_> {
    Visible(text)
}

/// Returned by [`visible`].
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a>(&'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = None;
        let mut marks = 0;
        for c in self.0.chars() {
            let joins = joins_symbols(c) && before.is_some_and(is_symbol);
            let mark = !joins && !c.is_control() && c.width() == Some(0);
            marks = if mark { marks + 1 } else { 0 };
            match c {
                _ if joins => write!(f, "{c}")?,
                '\0'..='\x1f' => write!(f, "^{}", char::from(c as u8 ^ 0x40))?,
                '\x7f' => f.write_str("^?")?,
                _ if c.is_control() || is_invisible(c) => write!(f, "<U+{:04X}>", u32::from(c))?,
                _ if mark && (before.is_none() || marks > MARKS_A_CHARACTER) => {
                    write!(f, "<U+{:04X}>", u32::from(c))?;
                }
                _ => write!(f, "{c}")?,
            }
            before = Some(c);
        }
        Ok(())
    }
}

/// The variation selector and the joiner that emoji are built with.
const fn joins_symbols(c: char) -> bool {
    matches!(c, '\u{fe0f}' | '\u{200d}')
}

/// Whether a joiner may follow: symbols and emoji, and the selector itself within a sequence.
const fn is_symbol(c: char) -> bool {
    matches!(c, '\u{203c}'..='\u{3299}' | '\u{1f000}'..='\u{1faff}' | '\u{fe0f}') && !is_invisible_symbol(c)
}

const fn is_invisible_symbol(c: char) -> bool {
    matches!(c, '\u{2060}'..='\u{206f}' | '\u{2800}')
}

/// Escapes in strings what steers a terminal or cannot be seen: DEL, C1, bidirectional controls, invisible characters.
/// JSON itself escapes C0.
#[derive(Debug, Clone, Copy)]
pub struct Visibly;

impl Formatter for Visibly {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| c.is_control() || is_invisible(*c)) {
            out.write_all(fragment.get(plain..at).unwrap_or_default().as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        out.write_all(fragment.get(plain..).unwrap_or_default().as_bytes())
    }
}

/// A value as one line of JSON, in which every character can be seen and steers nothing.
#[must_use]
pub fn json_line(value: &Value) -> String {
    let mut line = Vec::new();
    // Into memory, and a value has no keys but strings: neither can fail.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut line, Visibly));
    String::from_utf8(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        for (text, shown) in [
            ("plain text", "plain text"),
            ("\x1b[2J", "^[[2J"),
            ("a\tb\rc\nd\0", "a^Ib^Mc^Jd^@"),
            ("\x7f", "^?"),
            ("\u{9b}31m", "<U+009B>31m"),
            ("\u{202e}abc", "<U+202E>abc"),
            ("a\u{200b}b\u{feff}", "a<U+200B>b<U+FEFF>"),
            ("\u{e0041}", "<U+E0041>"),
            ("größe 名前 \u{1f600}", "größe 名前 \u{1f600}"),
        ] {
            assert_eq!(visible(text).to_string(), shown);
        }
    }

    #[test]
    fn emoji_keep_their_joiners_and_nothing_else_does() {
        let family = "\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(visible(family).to_string(), family);
        assert_eq!(visible("\u{2764}\u{fe0f}").to_string(), "\u{2764}\u{fe0f}");
        assert_eq!(visible("a\u{200d}b").to_string(), "a<U+200D>b");
        assert_eq!(visible("\u{200d}").to_string(), "<U+200D>");
    }

    #[test]
    fn a_line_of_json_steers_no_terminal() {
        let value = serde_json::json!({ "text": "a\u{9b}31m\u{202e}b\u{7f}\u{1b}" });
        let line = json_line(&value);
        assert_eq!(line, r#"{"text":"a\u009b31m\u202eb\u007f\u001b"}"#);
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }

    #[test]
    fn marks_do_not_pile_up() {
        let marks = "\u{301}".repeat(6);
        let shown = visible(&format!("e{marks}x")).to_string();
        assert_eq!(shown, format!("e{}<U+0301><U+0301>x", "\u{301}".repeat(4)));
        assert_eq!(visible("\u{301}").to_string(), "<U+0301>", "it would sit on what stands before");
    }
}
