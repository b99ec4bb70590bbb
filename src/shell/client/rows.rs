//! Lays out texts of others so that none looks like a line of somebody else: names are escaped, and a line too
//! long for the terminal continues indented.

use std::fmt::{self, Write as _};

use unicode_width::UnicodeWidthChar as _;

use crate::shell::visible::visible;

/// The indent of continued lines.
const INDENT: &str = "    ";

/// A name as it is shown in a line. Characters that surround names there (`hans(private): …`) are escaped where
/// they are part of a name.
pub(super) fn name(name: &str) -> ShownName<'_> {
    ShownName(name)
}

/// The result of [`name`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownName<'a>(&'a str);

impl fmt::Display for ShownName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['(', ')', ':', ',', ' ']) {
            write!(f, "{}", visible(&rest[..at]))?;
            write!(f, "<U+{:04X}>", rest.as_bytes()[at])?;
            rest = &rest[at + 1..];
        }
        write!(f, "{}", visible(rest))
    }
}

/// Names of a list, in one line.
pub(super) fn names(names: &[String]) -> String {
    let mut out = String::new();
    for (at, one) in names.iter().enumerate() {
        let _ = write!(out, "{}{}", if at == 0 { "" } else { ", " }, name(one));
    }
    out
}

/// How lines are broken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Breaks {
    /// The width of the terminal.
    pub(super) columns: usize,
    /// Whether a long address is left to the terminal, so that it can be clicked and copied. Its rows begin at the left
    /// and hold no space, so they look like no line that begins with a time.
    pub(super) leaves_addresses: bool,
}

/// Appends a line, and the lines that its text goes on in behind the indent, without a line feed at the end; if the
/// terminal says how wide it is, each broken at words.
pub(super) fn push_broken(out: &mut String, line: &str, breaks: Option<Breaks>) {
    for (at, part) in line.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
            out.push_str(INDENT);
        }
        match breaks {
            Some(breaks) => push_wrapped(out, part, if at > 0 { INDENT.len() } else { 0 }, breaks),
            None => out.push_str(part),
        }
    }
}

/// Appends a line that begins in some column, broken at words into rows no wider than the terminal, without a line feed at the end. A word that is
/// longer than a row is cut. No row touches the last column, where terminals differ.
fn push_wrapped(out: &mut String, line: &str, from: usize, breaks: Breaks) {
    let columns = breaks.columns.saturating_sub(1).max(INDENT.len() + 4);
    let mut rows = Rows { out, columns, at: from, fresh: true };
    let mut rest = line;
    while !rest.is_empty() {
        let after_gap = rest.trim_start_matches(' ');
        let gap = rest.len() - after_gap.len();
        let (word, after) = after_gap.split_at(after_gap.find(' ').unwrap_or(after_gap.len()));
        rest = after;
        let width = word.chars().map(widest).sum();
        if rows.at + gap + width <= columns {
            rows.push(gap, word, width);
        } else if word.is_empty() {
            rows.push(columns.saturating_sub(rows.at), "", 0);
        } else if width + INDENT.len() <= columns {
            rows.begin();
            rows.push(0, word, width);
        } else if breaks.leaves_addresses && is_address(word) {
            rows.begin();
            rows.push(0, word, columns);
        } else {
            rows.cut(gap, word);
        }
    }
}

/// The rows of a line.
struct Rows<'a> {
    out: &'a mut String,
    columns: usize,
    /// The next column.
    at: usize,
    /// Whether nothing but the indent is in this row.
    fresh: bool,
}

impl Rows<'_> {
    fn begin(&mut self) {
        if !self.fresh {
            self.out.push('\n');
            self.out.push_str(INDENT);
            (self.at, self.fresh) = (INDENT.len(), true);
        }
    }

    fn push(&mut self, gap: usize, word: &str, width: usize) {
        self.out.extend(core::iter::repeat_n(' ', gap));
        self.out.push_str(word);
        self.at += gap + width;
        self.fresh &= gap + width == 0;
    }

    /// Breaks a word wherever a row ends.
    fn cut(&mut self, gap: usize, word: &str) {
        if self.at + gap + 2 <= self.columns {
            self.push(gap, "", 0);
        } else {
            self.begin();
        }
        for c in word.chars() {
            let width = widest(c);
            // A combining mark stays with its character.
            if self.at + width > self.columns && c.width() != Some(0) {
                self.fresh = false;
                self.begin();
            }
            self.at += width;
            self.fresh = false;
            self.out.push(c);
        }
    }
}

/// Whether a word is the address of something: `scheme://` and more, in printable ASCII.
fn is_address(word: &str) -> bool {
    let is_scheme = |scheme: &str| {
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(rest)
    };
    // What marks a part of a text stands in words, and is not shown.
    word.bytes().all(|byte| byte.is_ascii_graphic() || matches!(byte, 1 | 2))
        && word.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// The columns that any terminal may give to a character: a selector can widen the one before.
fn widest(c: char) -> usize {
    if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_look_like_more_than_names() {
        for (raw, shown) in [
            ("hans", "hans"),
            ("hans(private):", "hans<U+0028>private<U+0029><U+003A>"),
            ("hans logged out", "hans<U+0020>logged<U+0020>out"),
            ("\u{202e}x\u{1b}", "<U+202E>x^["),
            ("名前", "名前"),
        ] {
            assert_eq!(name(raw).to_string(), shown);
        }
        assert_eq!(names(&["a,b".into(), "c".into()]), "a<U+002C>b, c");
        assert_eq!(names(&[]), "");
    }

    fn wrapped(line: &str, columns: usize) -> String {
        let mut out = String::new();
        push_broken(&mut out, line, Some(Breaks { columns, leaves_addresses: true }));
        out
    }

    #[test]
    fn lines_are_broken_at_words_and_go_on_indented() {
        assert_eq!(wrapped("hans: see you at noon", 13), "hans: see\n    you at\n    noon");
        assert_eq!(wrapped("hans:  two   gaps", 80), "hans:  two   gaps");
        assert_eq!(wrapped("hans: gone  ", 11), "hans: gone");
        assert_eq!(wrapped("hans: falcon", 11), "hans:\n    falcon");
    }

    #[test]
    fn each_line_of_a_text_is_indented_and_broken_by_itself() {
        assert_eq!(wrapped("hans: one\ntwo", 80), "hans: one\n    two");
        assert_eq!(wrapped("hans: \n\nyoda: see you", 13), "hans: \n    \n    yoda:\n    see you");
        let mut out = String::new();
        push_broken(&mut out, "hans: one\nyoda: two", None);
        assert_eq!(out, "hans: one\n    yoda: two");
    }

    #[test]
    fn a_word_longer_than_a_row_is_cut() {
        assert_eq!(wrapped("hans: 0123456789abcdef", 13), "hans: 012345\n    6789abcd\n    ef");
        assert_eq!(
            wrapped("hans: a 0123456789abcdef", 10),
            "hans: a\n    01234\n    56789\n    abcde\n    f"
        );
    }

    #[test]
    fn wide_characters_and_marks_stay_whole() {
        assert_eq!(wrapped("名名名名名e\u{301}e\u{301}", 11), "名名名名名\n    e\u{301}e\u{301}");
    }

    #[test]
    fn an_address_longer_than_a_row_is_left_to_the_terminal() {
        let address = "https://example.org/0123456789";
        assert_eq!(
            wrapped(&format!("hans: see {address} there"), 20),
            format!("hans: see\n    {address}\n    there")
        );
        assert_eq!(wrapped(&format!("hans: {address}"), 60), format!("hans: {address}"));
        for not in [
            "https://example.org/名名名名名",
            "://0123456789012345",
            "1a://01234567890123",
            "a:b//0123456789012345",
        ] {
            assert!(wrapped(not, 12).contains('\n'), "{not}");
        }
        let mut out = String::new();
        push_broken(&mut out, address, Some(Breaks { columns: 20, leaves_addresses: false }));
        assert!(out.contains('\n'));
    }
}
