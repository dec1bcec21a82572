//! Which text can be shown as a name, by what Unicode says of each character: one name that looks like another, or like
//! none, is how people are deceived about who and what they see.

use icu_properties::props::{
    DefaultIgnorableCodePoint, EmojiModifier, ExtendedPictographic, GeneralCategory, GeneralCategoryGroup,
    Script, VariationSelector,
};
use icu_properties::{CodePointMapData, CodePointSetData};

use crate::invalid::InvalidValue;

/// U+200C and U+200D: they shape letters of some scripts and build emoji.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];
/// A symbol without a dot.
const BLANK_BRAILLE: char = '\u{2800}';
/// Scripts whose letters look the same with a joiner or a variation selector between them.
const UNJOINED: [Script; 3] = [Script::Latin, Script::Greek, Script::Cyrillic];

/// Returns the text without the space around it; fails unless that is 1 to `most` characters that can be shown, one of
/// which can be seen.
pub fn printable(typed: &str, most: usize) -> Result<String, InvalidValue> {
    let text = typed.trim();
    let is_short = text.chars().count() <= most;
    if is_short && is_printable(text) && text.chars().any(is_seen) {
        return Ok(text.to_owned());
    }
    Err(InvalidValue::new(format!("1 to {most} printable characters are needed")))
}

/// Returns whether every character can be shown: none is a control or format character, a line separator, unassigned or
/// for private use. A joiner is one that is between two letters or emoji.
pub fn is_printable(text: &str) -> bool {
    judged(text).all(|(_, is_shown)| is_shown)
}

/// Returns the characters of a text that can be shown, without the others.
pub fn without_unprintable(text: &str) -> impl Iterator<Item = char> {
    judged(text).filter(|(_, is_shown)| *is_shown).map(|(letter, _)| letter)
}

/// Returns a text with U+FFFD in place of every character that cannot be shown.
pub fn marking_unprintable(text: &str) -> String {
    judged(text)
        .map(|(letter, is_shown)| if is_shown { letter } else { char::REPLACEMENT_CHARACTER })
        .collect()
}

/// Returns each character and whether it can be shown where it is.
fn judged(text: &str) -> impl Iterator<Item = (char, bool)> {
    let before = std::iter::once(None).chain(text.chars().map(Some));
    let after = text.chars().skip(1).map(Some).chain(std::iter::once(None));
    let around = before.zip(after);
    text.chars().zip(around).map(|(letter, (before, after))| (letter, is_shown(before, letter, after)))
}

fn is_shown(before: Option<char>, letter: char, after: Option<char>) -> bool {
    if JOINERS.contains(&letter) {
        return before.is_some_and(|before| is_joined(before) || is_selector(before))
            && after.is_some_and(is_joined);
    }
    if is_selector(letter) {
        return before.is_some_and(|before| is_seen(before) && !is_of_unjoined_script(before));
    }
    !is_unseen(letter)
}

/// A variant of the character before it: the emoji of a sign, the form of an ideograph in a name.
fn is_selector(letter: char) -> bool {
    CodePointSetData::new::<VariationSelector>().contains(letter)
}

fn is_joined(letter: char) -> bool {
    let is_emoji = CodePointSetData::new::<ExtendedPictographic>().contains(letter)
        || CodePointSetData::new::<EmojiModifier>().contains(letter);
    let category = category(letter);
    let is_letter = GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark).contains(category);
    is_emoji || (is_letter && !is_of_unjoined_script(letter))
}

fn is_of_unjoined_script(letter: char) -> bool {
    UNJOINED.contains(&CodePointMapData::<Script>::new().get(letter))
}

fn is_unseen(letter: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, Surrogate, Unassigned,
    };
    // Some letters are never drawn, such as the fillers of Hangul.
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
        || matches!(
            category(letter),
            Control | Format | LineSeparator | ParagraphSeparator | PrivateUse | Surrogate | Unassigned
        )
}

/// A mark is seen on a character, and is nothing without one.
fn is_seen(letter: char) -> bool {
    !letter.is_whitespace()
        && !is_unseen(letter)
        && letter != BLANK_BRAILLE
        && !GeneralCategoryGroup::Mark.contains(category(letter))
}

fn category(letter: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_people_and_things_all_over_the_world_are_printable() {
        for name in [
            "Asha Rao",
            "Zoë O’Brien-Łukasz",
            "山田\u{3000}太郎",
            // A Persian word and a Malayalam name with their joiners, an ideograph with its variant.
            "می\u{200c}خواهم",
            "നന്ദന\u{d4d}\u{200d}",
            "葛\u{e0100}城",
            "Straße № 5 (Büro), «Ω»",
            "👩🏽\u{200d}🚀 desk",
            "1\u{fe0f}\u{20e3}",
            "❤\u{fe0f}\u{200d}🔥",
            "e\u{301}",
        ] {
            let fits = printable(name, 100);
            // A joiner at the end of a word has nothing to join.
            assert_eq!(fits.is_ok(), !name.ends_with('\u{200d}'), "{name:?}");
        }
        assert_eq!(printable("  Asha Rao\n", 8).unwrap(), "Asha Rao");
        assert!(printable("Asha Rao", 7).is_err());
    }

    #[test]
    fn what_is_not_seen_is_no_part_of_a_name() {
        for unseen in [
            '\0',
            '\n',
            '\t',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{3164}',
            '\u{e000}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{378}',
            '\u{ffff}',
            '\u{1bca0}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{10fffd}',
        ] {
            assert!(printable(&unseen.to_string(), 100).is_err(), "{unseen:?} alone");
            assert!(printable(&format!("al{unseen}ice"), 100).is_err(), "{unseen:?} within");
            assert_eq!(marking_unprintable(&format!("{unseen} a")), "\u{fffd} a", "{unseen:?}");
            assert_eq!(without_unprintable(&format!("{unseen} a")).collect::<String>(), " a", "{unseen:?}");
        }
    }

    #[test]
    fn something_of_a_name_can_be_seen() {
        for blank in ["", " ", "\u{a0}\u{3000}", "\u{2800}", "\u{301}", "\u{fe0f}", " \u{20dd} "] {
            assert!(printable(blank, 100).is_err(), "{blank:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_of_a_text_has_nothing_that_controls(text in any::<String>()) {
            let shown: String = without_unprintable(&text).collect();
            let controls = |letter: char| letter.is_control() || letter == '\u{202e}';
            prop_assert!(!shown.contains(controls), "{}", shown.escape_unicode());
            prop_assert_eq!(is_printable(&text), shown == text);
            prop_assert_eq!(marking_unprintable(&text).chars().count(), text.chars().count());
        }
    }
}
