//! API keys that were made elsewhere, such as by `openssl rand -hex 32`: which of them may become a key here, and the id
//! that each is found by.
//!
//! Such a text names no record, so its id is taken from a keyed digest of it. Whoever reads the table learns nothing of the
//! key from that, and whoever knows the key cannot compute the id.

use aws_lc_rs::hmac;
use portcullis_store::{ApiKeyId, Id};
use portcullis_verifier::api_key::{
    LONGEST, PREFIX, SHORTEST, UnverifiedApiKey, has_own_length, is_candidate,
};
use secrecy::{ExposeSecret, SecretString};

use crate::Identity;
use crate::error::Error;
use crate::invalid::{Field, InvalidField, InvalidValue};

/// What a key made elsewhere has to hold, in thousandths of a bit.
const LEAST: usize = 128_000;
/// What each character of a text holds at most, in thousandths of a bit, by the alphabet that it seems to be of.
const BITS: [(usize, usize); 7] =
    [(10, 3321), (16, 4000), (26, 4700), (36, 5169), (62, 5954), (64, 6000), (94, 6554)];
/// Words in front of a key that say what it is for.
const LABELS: [&str; 10] = ["sk", "pk", "rk", "key", "api", "live", "test", "prod", "secret", "token"];

/// A key that an operator brings along, in its own form or in ours.
#[derive(Debug)]
pub struct GivenApiKey(SecretString);

impl GivenApiKey {
    /// Returns the key. Fails unless it is a key of our own form or 22 to 256 visible ASCII characters that can hold 128
    /// random bits: a UUID holds 122, and a text of words, dates or repetitions fewer than its length promises.
    pub fn parse(text: SecretString) -> Result<Self, InvalidValue> {
        check(text.expose_secret())?;
        Ok(Self(text))
    }

    /// Returns the clear text.
    pub fn into_text(self) -> SecretString {
        self.0
    }
}

fn check(text: &str) -> Result<(), InvalidValue> {
    if text.starts_with(PREFIX) && has_own_length(text) {
        let misread = InvalidValue::new("has the form pk_<id>_<secret><checksum>, and another checksum");
        return UnverifiedApiKey::parse(text).map(drop).ok_or(misread);
    }
    if !is_candidate(text) {
        return Err(InvalidValue::new(format!(
            "must have the form pk_<id>_<secret><checksum>, or be {SHORTEST} to {LONGEST} visible ASCII characters"
        )));
    }
    if is_uuid(text) || most_bits(text) < LEAST || is_guessable(text) {
        return Err(InvalidValue::new(
            "must hold 128 random bits, as the output of `openssl rand -hex 32` does; a UUID or words do not",
        ));
    }
    Ok(())
}

/// Returns whether the text is a UUID with its hyphens, 122 bits of which may be random.
fn is_uuid(text: &str) -> bool {
    let hyphens: Vec<usize> = text.match_indices('-').map(|(place, _)| place).collect();
    text.len() == 36 && hyphens == [8, 13, 18, 23]
}

/// Returns how much the text can hold if nothing about it is known but its length and its alphabet, in thousandths of a
/// bit.
fn most_bits(text: &str) -> usize {
    let mut secret = text;
    while let Some((_, rest)) = secret.split_once('_').filter(|(label, _)| LABELS.contains(label)) {
        secret = rest;
    }
    let alphabet = alphabet(secret);
    let each = BITS.iter().find(|(size, _)| *size >= alphabet).map_or(0, |(_, bits)| *bits);
    secret.len().saturating_mul(each)
}

/// Returns the size of the smallest usual alphabet that a text of visible ASCII may be of.
fn alphabet(text: &str) -> usize {
    let has = |is: fn(&u8) -> bool| text.bytes().any(|byte| is(&byte));
    let only = |is: fn(&u8) -> bool| text.bytes().all(|byte| is(&byte));
    if only(u8::is_ascii_digit) {
        return 10;
    }
    if only(u8::is_ascii_hexdigit) {
        return 16;
    }
    if has(|byte| byte.is_ascii_punctuation() && !b"+/-_=.".contains(byte)) {
        return 94;
    }
    match (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase), has(u8::is_ascii_digit)) {
        (true, _) if has(|byte| !byte.is_ascii_alphanumeric()) => 64,
        (true, _) => 62,
        (false, true) => 36,
        (false, false) => 26,
    }
}

/// Fewer guesses than this find no random text of the shortest length; zxcvbn counts up to 1.8 × 10^19.
const GUESSES: u64 = 100_000_000_000_000_000;

/// Returns whether zxcvbn finds words, dates, sequences or repetitions of which a text is made.
fn is_guessable(text: &str) -> bool {
    zxcvbn::zxcvbn(text, &[]).guesses() < GUESSES
}

impl Identity {
    /// Returns the id of a key that an operator brings along; fails with [`Error::Invalid`] if it may not become a key
    /// ([`GivenApiKey::parse`]) or is one already. Nothing is written.
    pub async fn id_of_given_key(&self, text: &SecretString) -> Result<ApiKeyId, Error> {
        check(text.expose_secret()).map_err(|invalid| invalid.of(Field::ApiKey))?;
        let ids = self.ids_of_key(text);
        for id in &ids {
            if self.store.api_key_owner(*id).await?.is_some() {
                return Err(is_taken());
            }
        }
        ids.first().copied().ok_or(Error::Internal("there is no key for API keys"))
    }

    /// Returns the ids that the record of a presented key may have, none for what cannot be a key: the one in its text, or
    /// one for each secret that keys are digested under.
    pub(crate) fn ids_of_key(&self, text: &SecretString) -> Vec<ApiKeyId> {
        let shown = text.expose_secret();
        if let Some(shape) = UnverifiedApiKey::parse(shown) {
            return format!("key_{}", shape.id()).parse().into_iter().collect();
        }
        if !is_candidate(shown) {
            return Vec::new();
        }
        self.keyring.api_key_macs().map(|mac| derived_id(mac, shown)).collect()
    }
}

/// Returns the error for a key that is some account's already.
pub(crate) fn is_taken() -> Error {
    Error::Invalid(InvalidField::new(Field::ApiKey, "is somebody's key already"))
}

/// Returns the id of a key that names none. The first part, which no key can begin with, keeps it apart from the digest
/// that the key is verified by.
fn derived_id(mac: &hmac::Key, text: &str) -> ApiKeyId {
    let mut context = hmac::Context::with_key(mac);
    context.update(b"\0id of an API key\0");
    context.update(text.as_bytes());
    let mut bytes = [0; 16];
    let tag = context.sign();
    bytes.iter_mut().zip(tag.as_ref()).for_each(|(byte, random)| *byte = *random);
    Id::derived(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA512, digest};
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    /// The same bytes for one number whenever the test runs, as good as random to whoever does not know it.
    fn noise(number: u64, length: usize) -> Vec<u8> {
        let block = |place: u64| digest(&SHA512, &[number.to_be_bytes(), place.to_be_bytes()].concat());
        (0..3).flat_map(|place| block(place).as_ref().to_vec()).take(length).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        hex::encode(bytes)
    }

    #[test]
    fn what_usual_generators_print_is_taken() {
        for number in 0..500 {
            for text in [
                hex(&noise(number, 16)),
                hex(&noise(number, 32)),
                hex(&noise(number, 32)).to_uppercase(),
                STANDARD.encode(noise(number, 16)),
                STANDARD.encode(noise(number, 48)),
                URL_SAFE_NO_PAD.encode(noise(number, 16)),
                URL_SAFE_NO_PAD.encode(noise(number, 32)),
                format!("sk_live_{}", hex(&noise(number, 16))),
            ] {
                assert_eq!(check(&text), Ok(()), "{text}");
            }
        }
    }

    #[test]
    fn what_holds_less_is_refused() {
        let repeated = "0123456789abcdef".repeat(4);
        for text in [
            "",
            "hunter2",
            "pk_live",
            &hex(&noise(1, 15)),
            &URL_SAFE_NO_PAD.encode(noise(1, 15)),
            &format!("sk_live_{}", hex(&noise(1, 12))),
            "123e4567-e89b-42d3-a456-426614174000",
            &"a".repeat(64),
            &"ab12".repeat(16),
            &repeated,
            "passwordpasswordpassword1234567890",
            "qwertyuiopasdfghjklzxcvbnmqwertyuiop",
            "20261128T000000-20261128T000000-2026",
            &hex(&noise(1, 129)),
            &format!("{} ", hex(&noise(1, 16))),
            &format!("é{}", hex(&noise(1, 16))),
            &format!("{}\n", hex(&noise(1, 16))),
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_of_ours_needs_its_checksum() {
        let ours = portcullis_verifier::api_key::compose(&hex(&noise(1, 16)), &"0aZ".repeat(15)[..43]);
        assert_eq!(check(&ours), Ok(()));
        let typo = ours.replace("0aZ0aZ", "0aZ0aY");
        assert!(check(&typo).is_err());
    }

    #[test]
    fn an_id_is_of_the_key_and_of_the_secret() {
        let [one, other] =
            ["one", "other"].map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
        let id = derived_id(&one, "a");
        assert_eq!(id, derived_id(&one, "a"));
        assert!(id != derived_id(&one, "b") && id != derived_id(&other, "a") && id.is_derived());
    }
}
