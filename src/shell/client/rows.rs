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

/// Appends a line broken into rows no wider than `columns`, without a line feed at the end. No row
/// touches the last column, where terminals differ.
pub(super) fn push_wrapped(out: &mut String, line: &str, columns: usize) {
    let columns = columns.saturating_sub(1).max(INDENT.len() + 4);
    let mut at = 0;
    for c in line.chars() {
        let width = widest(c);
        // A combining mark stays with its character.
        if at + width > columns && c.width() != Some(0) {
            out.push('\n');
            out.push_str(INDENT);
            at = INDENT.len();
        }
        at += width;
        out.push(c);
    }
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

    #[test]
    fn long_lines_go_on_indented() {
        let mut out = String::new();
        push_wrapped(&mut out, "hans: 0123456789abcdef", 13);
        assert_eq!(out, "hans: 012345\n    6789abcd\n    ef");
    }

    #[test]
    fn wide_characters_and_marks_stay_whole() {
        let mut out = String::new();
        push_wrapped(&mut out, "名名名名名e\u{301}e\u{301}", 11);
        assert_eq!(out, "名名名名名\n    e\u{301}e\u{301}");
    }
}
