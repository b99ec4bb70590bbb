//! New names: which are fit, and which look like another.
//!
//! By the tables of Unicode: UTS #39 (confusables, scripts), UAX #15 (normalization), general categories.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use unicode_normalization::{UnicodeNormalization, is_nfc};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::{MixedScript, skeleton as confusable};

use super::AddressRange;

/// Marks that a base may carry.
const MARKS: usize = 2;

/// What a name looks like: two names that have one of these in common are easily taken for each other. They are the
/// skeletons of UTS #39 of the name as it is written, and of the name without regard to case: an upper-case Greek nu is
/// drawn like an N, and a lower-case one like a v. Neither has regard to accents and width.
#[must_use]
pub fn looks(name: &str) -> Vec<String> {
    let bare: String = without_marks(name.nfkc()).collect();
    // Marks go last: the capital of a letter with an iota below has the iota beside it.
    let folded = without_case(name.nfkc().flat_map(char::to_uppercase));
    let mut looks = Vec::from([skeleton(&bare), skeleton(&folded)]);
    looks.dedup();
    looks
}

/// Whether two names are easily taken for each other.
#[must_use]
pub fn are_alike(one: &str, other: &str) -> bool {
    let other = looks(other);
    looks(one).iter().any(|look| other.contains(look))
}

fn skeleton(bare: &str) -> String {
    // In its own case first. What it is drawn like may have another case, and that may be drawn like something else.
    let drawn = without_case(confusable(bare));
    // An upper-case i is drawn like an l, so that both are one here. Nor is the last in the table, but so it is in
    // many fonts.
    without_case(confusable(&drawn)).replace('i', "l").replace('w', "vv")
}

/// How many names look so.
#[derive(Debug, Clone, Default)]
pub struct Looks(BTreeMap<String, u32>);

impl Looks {
    /// Whether a name is alike to one of these.
    #[must_use]
    pub fn have_alike(&self, name: &str) -> bool {
        looks(name).iter().any(|look| self.0.contains_key(look))
    }

    /// Counts a name.
    pub fn insert(&mut self, name: &str) {
        for look in looks(name) {
            *self.0.entry(look).or_default() += 1;
        }
    }

    /// Counts a name no more that was counted.
    pub fn remove(&mut self, name: &str) {
        for look in looks(name) {
            let Some(alike) = self.0.get_mut(&look) else { continue };
            *alike -= 1;
            if *alike == 0 {
                self.0.remove(&look);
            }
        }
    }
}

fn without_marks(name: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    name.nfd().filter(|c| !is_mark(*c))
}

fn without_case(name: impl Iterator<Item = char>) -> String {
    without_marks(name.flat_map(char::to_lowercase)).collect()
}

/// Whether a name may be that of a new user or group: normalized (NFC), of one script beside what all scripts share,
/// and of letters, numbers, punctuation and symbols with at most two marks each; and no address or network, which an
/// operator would mean by it.
#[must_use]
pub fn is_fit(name: &str) -> bool {
    if name.parse::<AddressRange>().is_ok() {
        return false;
    }
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

    /// One way and back: the dotless i of Turkish is a letter of its own, though its capital is an I.
    #[test]
    fn names_that_differ_by_case_are_alike() {
        let mut odd = Vec::new();
        for c in '\0'..=char::MAX {
            let own = String::from(c);
            let other: String =
                if c.is_lowercase() { c.to_uppercase().collect() } else { c.to_lowercase().collect() };
            if !are_alike(&own, &other) {
                odd.push((c, other));
            }
        }
        assert_eq!(odd, []);
    }

    #[test]
    fn look_alikes_are_alike() {
        for (one, other) in [
            ("hans", "h\u{430}ns"),
            ("hans", "Hans"),
            ("hans", "HANS"),
            ("jedi", "JEDI"),
            ("jedi", "jedI"),
            ("jedi", "jedl"),
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
            assert!(are_alike(one, other), "{one} {other}");
        }
    }

    #[test]
    fn different_names_stay_apart() {
        for (one, other) in
            [("luke", "duke"), ("r2d2", "r2d3"), ("anna", "ana"), ("a", "ä̈b"), ("иван", "ivan")]
        {
            assert!(!are_alike(one, other), "{one} {other}");
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
                    assert!(are_alike(&new, name) || !is_fit(&new), "{new} {:x}", u32::from(c));
                    made += 1;
                }
            }
        }
        assert!(made > 100, "{made}");
    }

    #[test]
    fn a_name_that_is_gone_leaves_its_look_to_others() {
        let mut looks = Looks::default();
        (0..2).for_each(|_| looks.insert("hans"));
        looks.remove("hans");
        assert!(looks.have_alike("HANS"));
        looks.remove("hans");
        assert!(!looks.have_alike("hans") && looks.0.is_empty());
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
