//! Passwords that many people chose before, and that every attacker tries first.
//!
//! The list is searched offline, so that no outside service learns a password. `common-passwords/README.md` says what
//! is in it and how it is made.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::sha256::sha256;

/// Bytes of each digest.
const LENGTH: usize = 6;
const DIGESTS: &[u8] = include_bytes!("../../common-passwords/digests.bin");

/// Returns whether a password is on the list, in upper or lower case.
pub(crate) fn is_common(password: &str) -> bool {
    let lowered: Zeroizing<String> = Zeroizing::new(password.nfc().collect::<String>().to_lowercase());
    let digest = sha256(&lowered);
    let (digests, _) = DIGESTS.as_chunks::<LENGTH>();
    digest.first_chunk().is_some_and(|wanted| digests.binary_search(wanted).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_holds_enough_and_is_sorted() {
        let (digests, rest) = DIGESTS.as_chunks::<LENGTH>();
        assert!(digests.len() >= 10_000 && rest.is_empty());
        assert!(digests.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn capitals_do_not_hide_a_common_password() {
        for common in ["123qweasdzxc", "1qaz2wsx3edc", "QwertyQwerty", "LeaveMeAlone", "sonyericsson"] {
            assert!(is_common(common), "{common}");
        }
        for rare in ["copper lantern drifts upstream", "mk7#Vq2!xLp9", "leavemealone!"] {
            assert!(!is_common(rare), "{rare}");
        }
    }
}
