//! The shape of an API key: what can be said of one without asking any record.
//!
//! `pk_<id>_<secret><checksum>`: 32 hexadecimal digits that name the key, 43 base62 characters that are secret (256
//! random bits), and a CRC-32 of all that comes before it as 6 base62 digits, as GitHub's tokens carry one. A typing
//! error or a made-up key is told from a real one by anybody, a secret scanner included; that a key is *ours* only its
//! record can say.

use alloc::string::String;
use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// What every key begins with.
pub const PREFIX: &str = "pk_";
/// Digits of the id: a UUID without hyphens.
pub const ID_LENGTH: usize = 32;
/// Characters of the secret: the fewest in base62 that hold 256 bits.
pub const SECRET_LENGTH: usize = 43;
/// The digits of base62, in the order of their values.
pub const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Length of a whole key.
const LENGTH: usize = PREFIX.len() + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH;

/// The fewest characters of a key that was made elsewhere: those that hold 128 bits in base64.
pub const SHORTEST: usize = 22;
/// The most characters of such a key.
pub const LONGEST: usize = 256;

/// Whether a text is as long as the keys made here. One that begins like them too is one of them, or is mistyped.
pub fn has_own_length(text: &str) -> bool {
    text.len() == LENGTH
}

/// Whether a text may be a key, made here or elsewhere, so that a look at the records is worth while.
pub fn is_candidate(text: &str) -> bool {
    if text.starts_with(PREFIX) && has_own_length(text) {
        return UnverifiedApiKey::parse(text).is_some();
    }
    (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Without its tables, which would be a sixth of the edge worker: keys are short and looked at rarely.
const CRC_32: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// Enough base62 digits for 32 bits.
const CHECKSUM_LENGTH: usize = 6;

/// A key of the right shape. Nobody has said yet that it is a real one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UnverifiedApiKey<'a> {
    id: &'a str,
    secret: &'a str,
}

impl fmt::Debug for UnverifiedApiKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnverifiedApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<'a> UnverifiedApiKey<'a> {
    /// Reads a key; `None` for everything that cannot be one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (checked, checksum) = text.split_at_checked(text.len().checked_sub(CHECKSUM_LENGTH)?)?;
        let (id, secret) = checked.strip_prefix(PREFIX)?.split_once('_')?;
        let is_id = id.len() == ID_LENGTH && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_secret = secret.len() == SECRET_LENGTH && secret.bytes().all(|byte| ALPHABET.contains(&byte));
        (is_id && is_secret && checksum == self::checksum(checked)).then_some(Self { id, secret })
    }

    /// The digits that name the key's record.
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// What only its owner knows.
    pub fn secret(&self) -> &'a str {
        self.secret
    }
}

/// A whole key of an id and a secret, which must be of the shapes above.
pub fn compose(id: &str, secret: &str) -> String {
    let mut text = [PREFIX, id, "_", secret].concat();
    let checksum = checksum(&text);
    text.push_str(&checksum);
    text
}

fn checksum(checked: &str) -> String {
    let mut left = CRC_32.checksum(checked.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        // The remainder of a division by the alphabet's length is an index into it.
        *digit = ALPHABET.get((left % 62) as usize).copied().unwrap_or(b'0');
        left /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0199f3c2a6e47d0c8f21b7e5d4a39c10";
    const SECRET: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456";

    #[test]
    fn the_checksum_is_the_crc_32_of_zip_and_ethernet_in_six_digits() {
        // The check value every catalogue of CRCs lists for CRC-32: cbf43926 of "123456789", here in base62.
        assert_eq!(checksum("123456789"), "3jZRME");
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn a_key_that_was_composed_is_read() {
        let text = compose(ID, SECRET);
        assert_eq!(text.len(), 85);
        let key = UnverifiedApiKey::parse(&text).unwrap();
        assert_eq!((key.id(), key.secret()), (ID, SECRET));
        assert!(!format!("{key:?}").contains(SECRET));
    }

    #[test]
    fn what_cannot_be_a_key_is_refused() {
        let good = compose(ID, SECRET);
        for text in [
            "",
            "pk_",
            "pk__",
            "é",
            "ééé",
            &good[1..],
            &good[..84],
            &format!("{good}0"),
            &format!(" {good}"),
            &format!("{good}\n"),
            &good.replace("pk_", "sk_"),
            &compose(&ID.to_uppercase(), SECRET),
            &compose(&ID[1..], SECRET),
            &compose(ID, &SECRET[1..]),
            &compose(ID, &SECRET.replace('a', "-")),
            &compose(&format!("{}_", &ID[1..]), SECRET),
        ] {
            assert_eq!(UnverifiedApiKey::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_key_made_elsewhere_is_looked_for() {
        let good = compose(ID, SECRET);
        for text in
            [good.as_str(), &"a".repeat(22), &"a".repeat(256), "pk_live_0199f3c2a6e47d0c8f21b7e5d4a39c10"]
        {
            assert!(is_candidate(text), "{text}");
        }
        let mistyped = good.replace('a', "b");
        for text in ["", &mistyped, &"a".repeat(21), &"a".repeat(257), &"a ".repeat(20), &"é".repeat(20)] {
            assert!(!is_candidate(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn one_changed_character_is_always_noticed(place in 0_usize..85, with in "[0-9A-Za-z_]") {
            let good = compose(ID, SECRET);
            let mut typo = good.clone();
            typo.replace_range(place..=place, &with);
            prop_assert_eq!(UnverifiedApiKey::parse(&typo).is_some(), typo == good);
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,100}") {
            let _ = UnverifiedApiKey::parse(&text);
        }
    }
}
