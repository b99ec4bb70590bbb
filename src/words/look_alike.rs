//! New names: which are fit, and which look like another.
//!
//! By the tables of Unicode: UTS #39 (confusables, scripts), UAX #15 (normalization), general categories.

use alloc::string::String;

use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::{MixedScript, skeleton as confusable};

/// Marks that a base may carry.
const MARKS: usize = 2;

/// The skeleton of a name: two names with the same one are easily taken for each other. It is that of UTS #39, also
/// without regard to case, accents and width.
#[must_use]
pub fn skeleton(name: &str) -> String {
    // In its own case first: an upper-case I is drawn like an l. What it is drawn like may have another case, and that
    // may be drawn like something else.
    let bare: String = without_marks(name.nfkc()).collect();
    let drawn = without_case(confusable(&bare));
    // Not in the table, but so it is in many fonts.
    without_case(confusable(&drawn)).replace('w', "vv")
}

fn without_marks(name: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    name.nfd().filter(|c| !is_mark(*c))
}

fn without_case(name: impl Iterator<Item = char>) -> String {
    without_marks(without_marks(name).flat_map(char::to_lowercase)).collect()
}

/// Whether a name may be that of a new user or group: normalized (NFC), of one script beside what all scripts share,
/// and of letters, numbers, punctuation and symbols with at most two marks each.
#[must_use]
pub fn is_fit(name: &str) -> bool {
    let mut marks = MARKS + 1;
    let fit = name.chars().all(|c| match c.general_category_group() {
        GeneralCategoryGroup::Mark => {
            marks += 1;
            marks <= MARKS
        }
        GeneralCategoryGroup::Letter
        | GeneralCategoryGroup::Number
        | GeneralCategoryGroup::Punctuation
        | GeneralCategoryGroup::Symbol => {
            marks = 0;
            true
        }
        GeneralCategoryGroup::Separator | GeneralCategoryGroup::Other => false,
    });
    fit && is_nfc(name) && name.is_single_script()
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark
}

#[cfg(test)]
mod tests {
    use super::*;

    use alloc::vec::Vec;

    #[test]
    fn look_alikes_have_one_skeleton() {
        for (one, other) in [
            ("hans", "h\u{430}ns"),
            ("hans", "Hans"),
            ("hans", "HANS"),
            ("luke", "Iuke"),
            ("luke", "1uke"),
            ("luke", "|uke"),
            ("bill", "biIl"),
            ("root", "r\u{43e}\u{3bf}t"),
            ("B0B", "BOB"),
            ("modern", "rnodern"),
            ("vvest", "west"),
            ("renée", "renee"),
            ("renée", "rene\u{301}e"),
            ("yoda", "ｙｏｄａ"),
            ("yoda", "𝐲𝑜𝕕𝓪"),
            ("yoda", "уоԁа"),
            ("paypal", "\u{440}\u{430}\u{443}\u{440}\u{430}l"),
            ("łódź", "lodz"),
        ] {
            assert_eq!(skeleton(one), skeleton(other), "{one} {other}");
        }
    }

    #[test]
    fn different_names_stay_apart() {
        for (one, other) in
            [("luke", "duke"), ("r2d2", "r2d3"), ("anna", "ana"), ("a", "ä̈b"), ("иван", "ivan")]
        {
            assert_ne!(skeleton(one), skeleton(other), "{one} {other}");
        }
    }

    /// Every character that is drawn like a letter of these names, put in its place.
    #[test]
    fn no_single_character_of_unicode_makes_a_new_name_of_an_old_one() {
        let drawn = |c: char| confusable(c.encode_utf8(&mut [0; 4])).collect::<String>();
        let letters: Vec<(char, String)> = "hansyod".chars().map(|c| (c, drawn(c))).collect();
        let mut made = 0;
        for c in (0x80..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let looks = drawn(c);
            for (letter, _) in letters.iter().filter(|(_, own)| *own == looks) {
                for name in ["hans", "yoda"].into_iter().filter(|name| name.contains(*letter)) {
                    let new = name.replace(*letter, c.encode_utf8(&mut [0; 4]));
                    assert!(skeleton(&new) == skeleton(name) || !is_fit(&new), "{new} {:x}", u32::from(c));
                    made += 1;
                }
            }
        }
        assert!(made > 100, "{made}");
    }

    #[test]
    fn a_skeleton_is_its_own() {
        for name in ["hans", "Iuke", "rnodern", "уоԁа", "ǅ", "ﬀ", "Ω", "ß", "İ"] {
            let once = skeleton(name);
            assert_eq!(skeleton(&once), once, "{name}");
        }
    }

    #[test]
    fn fit_names_are_of_one_script_normalized_and_lightly_marked() {
        for name in ["hans", "r2-d2", "Łukasz", "иван", "王小明", "さくら王", "a+b", "o'neil", "नमस्ते", "🦀"]
        {
            assert!(is_fit(name), "{name}");
        }
        for name in
            ["h\u{430}ns", "rene\u{301}", "\u{301}a", "a\u{323}\u{324}\u{325}", "αbc", "\u{e000}", "a\u{378}"]
        {
            assert!(!is_fit(name), "{name}");
        }
    }
}
