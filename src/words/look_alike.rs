//! Names that look like other names.
//!
//! The table is a small part of Unicode's confusables (UTS #39): Cyrillic and Greek letters drawn like Latin
//! ones, full-width forms, accents, and the digits and letters that many fonts draw alike.

use alloc::string::String;

/// The skeleton of a name. Two names with the same skeleton are easily taken for each other.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let mut looks = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            // Combining marks.
            '\u{300}'..='\u{36f}' => {}
            // Two strokes drawn as one letter.
            'm' | 'м' | 'ｍ' => looks.push_str("rn"),
            'w' | 'ѡ' | 'ｗ' => looks.push_str("vv"),
            'æ' => looks.push_str("ae"),
            'Æ' => looks.push_str("AE"),
            'œ' => looks.push_str("oe"),
            'Œ' => looks.push_str("OE"),
            _ => looks.push(drawn_alike(without_accent(ascii_form(c)))),
        }
    }
    looks
}

/// The ASCII character of a full-width one.
fn ascii_form(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// The letter under an accent, for the Latin letters of Western and Central Europe.
const fn without_accent(c: char) -> char {
    match c {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => 'A',
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => 'C',
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => 'c',
        'Ď' | 'Đ' | 'Ð' => 'D',
        'ď' | 'đ' => 'd',
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => 'E',
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => 'e',
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => 'G',
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => 'g',
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => 'I',
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => 'i',
        'Ł' | 'Ĺ' | 'Ļ' | 'Ľ' => 'L',
        'ł' | 'ĺ' | 'ļ' | 'ľ' => 'l',
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => 'N',
        'ñ' | 'ń' | 'ņ' | 'ň' => 'n',
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' => 'O',
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => 'o',
        'Ŕ' | 'Ŗ' | 'Ř' => 'R',
        'ŕ' | 'ŗ' | 'ř' => 'r',
        'Ś' | 'Ŝ' | 'Ş' | 'Š' => 'S',
        'ś' | 'ŝ' | 'ş' | 'š' => 's',
        'Ţ' | 'Ť' => 'T',
        'ţ' | 'ť' => 't',
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => 'U',
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => 'u',
        'Ý' | 'Ÿ' => 'Y',
        'ý' | 'ÿ' => 'y',
        'Ź' | 'Ż' | 'Ž' => 'Z',
        'ź' | 'ż' | 'ž' => 'z',
        _ => c,
    }
}

/// One character for all that are drawn like it.
const fn drawn_alike(c: char) -> char {
    match c {
        '0' | 'О' | 'Ο' => 'O',
        'о' | 'ο' => 'o',
        '1' | 'I' | '|' | 'І' | 'Ι' | 'Ӏ' | 'ӏ' => 'l',
        'А' | 'Α' => 'A',
        'а' | 'α' => 'a',
        'В' | 'Β' => 'B',
        'Ь' | 'ь' => 'b',
        'С' | 'Ϲ' => 'C',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'Е' | 'Ε' => 'E',
        'е' | 'ё' => 'e',
        'ɡ' => 'g',
        'Н' | 'Η' => 'H',
        'һ' => 'h',
        'і' | 'ι' | 'ї' => 'i',
        'Ј' => 'J',
        'ј' => 'j',
        'К' | 'Κ' => 'K',
        'к' | 'κ' => 'k',
        'М' | 'Μ' => 'M',
        'Ν' => 'N',
        'Р' | 'Ρ' => 'P',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'Ѕ' => 'S',
        'ѕ' => 's',
        'Т' | 'Τ' => 'T',
        'τ' | 'т' => 't',
        'υ' => 'u',
        'ν' | 'ѵ' => 'v',
        'Х' | 'Χ' => 'X',
        'х' | 'χ' => 'x',
        'У' | 'Υ' => 'Y',
        'у' | 'γ' => 'y',
        'Ζ' => 'Z',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_have_one_skeleton() {
        for (one, other) in [
            ("hans", "h\u{430}ns"),
            ("luke", "Iuke"),
            ("luke", "1uke"),
            ("bill", "biIl"),
            ("root", "r\u{43e}\u{3bf}t"),
            ("B0B", "BOB"),
            ("modern", "rnodern"),
            ("vvest", "west"),
            ("renée", "renee"),
            ("renée", "rene\u{301}e"),
            ("yoda", "ｙｏｄａ"),
            ("paypal", "\u{440}\u{430}\u{443}\u{440}\u{430}l"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
    }

    #[test]
    fn different_names_stay_apart() {
        for (one, other) in
            [("hans", "Hans"), ("luke", "duke"), ("r2d2", "r2d3"), ("anna", "ana"), ("a", "ä̈b")]
        {
            assert_ne!(skeleton(one), skeleton(other), "{one} {other}");
        }
    }
}
