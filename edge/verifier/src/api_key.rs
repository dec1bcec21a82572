//! The shape of an API key: `pk_<id>_<secret><checksum>`.
//!
//! - id: 128 bits, 22 digits of base62. It names the record and is no secret.
//! - secret: 256 bits, two halves of 22 digits of base62 each.
//! - checksum: the CRC-32 (ISO 3309) of everything before it, six digits of base62.
//!
//! Digits are `0-9A-Za-z`, the most significant first, padded with `0`. The prefix and the checksum let scanners find
//! leaked keys without false alarms, and let the edge turn a slip of the keyboard away without asking anybody; they
//! prove nothing. Whether a key is good is decided by the hash of the whole text.

use alloc::string::String;
use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

const PREFIX: &str = "pk_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62²² is just above 2¹²⁸.
const NUMBER_DIGITS: usize = 22;
/// 62⁶ is just above 2³².
const CHECKSUM_DIGITS: usize = 6;

/// The length of every key.
pub const API_KEY_BYTES: usize = PREFIX.len() + NUMBER_DIGITS + 1 + 2 * NUMBER_DIGITS + CHECKSUM_DIGITS;

/// A well-formed key. Whether anybody issued it is another question. It does not print its secret.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ApiKey {
    text: String,
    #[zeroize(skip)]
    id: u128,
}

/// The text is no API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API key is malformed")]
pub struct MalformedApiKey;

impl ApiKey {
    /// A new key of this id with this secret, which must come from a cryptographic source.
    pub fn assemble(id: u128, secret: &[u8; 32]) -> Self {
        let mut text = String::with_capacity(API_KEY_BYTES);
        text.push_str(PREFIX);
        push_digits(&mut text, id, NUMBER_DIGITS);
        text.push('_');
        let (first, second) = secret.split_at(16);
        for half in [first, second] {
            let number = half.iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
            push_digits(&mut text, number, NUMBER_DIGITS);
        }
        let checksum = crc32fast::hash(text.as_bytes());
        push_digits(&mut text, checksum.into(), CHECKSUM_DIGITS);
        Self { text, id }
    }

    /// Reads a key that was presented.
    pub fn parse(text: &str) -> Result<Self, MalformedApiKey> {
        Self::read(text).ok_or(MalformedApiKey)
    }

    fn read(text: &str) -> Option<Self> {
        if text.len() != API_KEY_BYTES {
            return None;
        }
        let (body, checksum) = text.split_at_checked(API_KEY_BYTES - CHECKSUM_DIGITS)?;
        let (id, secret) = body.strip_prefix(PREFIX)?.split_at_checked(NUMBER_DIGITS)?;
        let (first, second) = secret.strip_prefix('_')?.split_at_checked(NUMBER_DIGITS)?;
        number(first)?;
        number(second)?;
        (number(checksum)? == u128::from(crc32fast::hash(body.as_bytes())))
            .then_some(Self { text: text.into(), id: number(id)? })
    }

    /// The number that names its record.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// What may be shown of it: everything up to the secret.
    pub fn visible_part(&self) -> &str {
        self.text.get(..PREFIX.len() + NUMBER_DIGITS).unwrap_or_default()
    }

    /// The whole key, to show once or to hash.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}…)", self.visible_part())
    }
}

fn push_digits(text: &mut String, mut number: u128, count: usize) {
    let mut digits = [b'0'; NUMBER_DIGITS];
    for digit in digits.iter_mut().take(count).rev() {
        let value = usize::try_from(number % 62).unwrap_or_default();
        *digit = DIGITS.get(value).copied().unwrap_or(b'0');
        number /= 62;
    }
    text.extend(digits.iter().take(count).copied().map(char::from));
    digits.zeroize();
}

/// The number of these digits, unless there are others among them or it has more than 128 bits.
fn number(digits: &str) -> Option<u128> {
    digits.bytes().try_fold(0_u128, |number, byte| {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(value.into())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: u128 = 0x01a1_fe9b_4d91_711f_9291_64e9_5d06_acb8;

    #[test]
    fn a_key_looks_like_this() {
        let key = ApiKey::assemble(ID, &[7; 32]);
        insta::assert_snapshot!(key.expose(), @"pk_0351UQy10BVfKNOel8A6Lw_0DG9mkOv2l6AkSp3WsPxY70DG9mkOv2l6AkSp3WsPxY70iNenu");
        insta::assert_snapshot!(format!("{key:?}"), @"ApiKey(pk_0351UQy10BVfKNOel8A6Lw…)");
        assert_eq!(key.expose().len(), API_KEY_BYTES);
    }

    #[test]
    fn what_is_no_key() {
        let key = ApiKey::assemble(ID, &[7; 32]);
        let text = key.expose();
        for other in [
            "",
            "pk_",
            &text[1..],
            &format!("{text}0"),
            &format!(" {}", &text[1..]),
            &text.replace("pk_", "sk_"),
            &text.replace("pk_", "PK_"),
            &text.to_lowercase(),
            &text.replacen('_', "-", 2),
            &format!("{}é", &text[..text.len() - 2]),
            &"é".repeat(API_KEY_BYTES / 2),
        ] {
            assert_eq!(ApiKey::parse(other), Err(MalformedApiKey), "{other}");
        }
        // More than 128 bits, with a checksum that fits.
        let body = format!("pk_{}_{}", "z".repeat(22), "0".repeat(44));
        let mut large = body.clone();
        push_digits(&mut large, crc32fast::hash(body.as_bytes()).into(), CHECKSUM_DIGITS);
        assert_eq!(ApiKey::parse(&large), Err(MalformedApiKey));
    }

    #[test]
    fn every_slip_of_one_character_is_noticed() {
        let key = ApiKey::assemble(ID, &[7; 32]);
        for at in 0..API_KEY_BYTES {
            for byte in *b"0Zz_ " {
                let mut other = key.expose().to_owned().into_bytes();
                if std::mem::replace(&mut other[at], byte) != byte {
                    assert!(ApiKey::parse(std::str::from_utf8(&other).unwrap()).is_err(), "{at}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_assembled_reads_back(id: u128, secret: [u8; 32]) {
            let key = ApiKey::assemble(id, &secret);
            let read = ApiKey::parse(key.expose());
            prop_assert_eq!(read.as_ref().map(ApiKey::id), Ok(id));
            prop_assert_eq!(read, Ok(key));
        }

        #[test]
        fn no_text_panics(text in ".{0,90}", tail in "[0-9A-Za-z_]{73}") {
            let _ = ApiKey::parse(&text);
            let _ = ApiKey::parse(&format!("pk_{tail}"));
        }
    }
}
