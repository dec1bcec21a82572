//! Backup codes: for the day the phone is gone. Ten, each good for one sign-in.
//!
//! A code has 50 random bits, few enough to be typed. So that a dump of the table gives none away, what is kept is a
//! MAC under a key derived from the factor's own secret, which is sealed.

use aws_lc_rs::hmac;
use portcullis_platform::Entropy;
use portcullis_store::Digest;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::totp::TotpSecret;
use crate::error::Error;
use crate::tokens::key_derivation::derive;

const COUNT: usize = 10;
const LETTERS: usize = 10;
/// Base32 (RFC 4648) in lower case: no 0, 1, 8 or 9 to be taken for a letter.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// New codes: in clear text for their owner, once, and as digests for the table.
#[derive(Debug)]
pub(crate) struct BackupCodes {
    pub(crate) shown: Vec<SecretString>,
    pub(crate) kept: Vec<Digest>,
}

impl BackupCodes {
    pub(crate) fn generate(secret: &TotpSecret, entropy: &dyn Entropy) -> Result<Self, Error> {
        let (mut shown, mut kept) = (Vec::with_capacity(COUNT), Vec::with_capacity(COUNT));
        for _ in 0..COUNT {
            let mut random = Zeroizing::new([0; LETTERS]);
            entropy.fill(random.as_mut())?;
            let letters = random.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
            let code: Zeroizing<String> =
                Zeroizing::new(letters.map(|character| char::from(*character)).collect());
            kept.push(digest(secret, &code)?);
            let (left, right) = code.split_at(LETTERS / 2);
            shown.push(format!("{left}-{right}").into());
        }
        Ok(Self { shown, kept })
    }
}

/// Returns the canonical form of a backup code typed in capitals, with other hyphens, or with spaces; `None` if it has
/// another form.
pub(crate) fn canonical(typed: &SecretString) -> Option<SecretString> {
    let text = typed.expose_secret();
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    letters.extend(text.chars().filter(|character| !character.is_whitespace() && *character != '-'));
    letters.make_ascii_lowercase();
    let is_code = letters.len() == LETTERS && letters.bytes().all(|byte| ALPHABET.contains(&byte));
    is_code.then(|| SecretString::from(letters.as_str()))
}

/// Returns the digest that is stored in place of a code in its canonical form; fails if its key cannot be derived.
pub(crate) fn digest(secret: &TotpSecret, code: &str) -> Result<Digest, Error> {
    let key = derive(secret.bytes().expose_secret(), "authenticate a backup code")
        .ok_or(Error::Internal("a key for backup codes could not be derived"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_ref());
    let mut digest = [0; 32];
    digest.copy_from_slice(hmac::sign(&key, code.as_bytes()).as_ref());
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use portcullis_platform::SystemEntropy;

    use super::*;

    #[test]
    fn ten_different_codes_are_recognised_however_they_are_typed() {
        let secret = TotpSecret::generate(&SystemEntropy).unwrap();
        let codes = BackupCodes::generate(&secret, &SystemEntropy).unwrap();
        assert_eq!(codes.kept.iter().collect::<HashSet<_>>().len(), 10);
        for (shown, kept) in codes.shown.iter().zip(&codes.kept) {
            let text = shown.expose_secret();
            for typed in [text.to_owned(), text.to_uppercase(), text.replace('-', " "), text.replace('-', "")]
            {
                let read = canonical(&typed.into()).unwrap();
                assert_eq!(digest(&secret, read.expose_secret()).unwrap(), *kept);
            }
        }
        let other = TotpSecret::generate(&SystemEntropy).unwrap();
        let first = canonical(&codes.shown[0]).unwrap();
        assert_ne!(
            digest(&other, first.expose_secret()).unwrap(),
            codes.kept[0],
            "another factor, another key"
        );
    }

    #[test]
    fn what_is_no_backup_code_is_none() {
        for typed in ["", "123456", "abcde-fghi", "abcde-fghijk", "abcde-fghi1", "abcde_fghij", "äbcde-fghij"]
        {
            assert!(canonical(&typed.into()).is_none(), "{typed}");
        }
    }
}
