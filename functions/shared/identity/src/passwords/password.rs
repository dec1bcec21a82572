//! Passwords in clear text, and the rules for new ones.

use secrecy::{ExposeSecret, SecretString};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::passwords::common_passwords::is_common;

/// Length limits in Unicode characters.
const SHORTEST: usize = 12;
const LONGEST: usize = 256;

/// What an attacker of a trading platform tries first; no password is strong for holding one.
const CONTEXT: &[&str] = &[
    "portcullis",
    "trading",
    "trader",
    "platform",
    "portfolio",
    "ticker",
    "broker",
    "kite",
    "zerodha",
    "alpaca",
    "nifty",
    "sensex",
    "nasdaq",
];

/// A password in Unicode normalization form C, so that the same keys give the same bytes on every keyboard.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(from = "SecretString")]
pub struct Password(SecretString);

impl Password {
    /// Returns the normalized password. Any text may be tried; [`Password::check_strength`] decides what may be chosen.
    pub fn new(typed: &SecretString) -> Self {
        let normalized: Zeroizing<String> = Zeroizing::new(typed.expose_secret().nfc().collect());
        Self(SecretString::from(normalized.as_str()))
    }

    /// Returns whether two passwords are the same, in constant time.
    pub fn is_same_as(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.bytes(), &other.bytes()).is_ok()
    }

    pub(crate) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.expose_secret().as_bytes().to_vec())
    }

    /// Returns [`Error::WeakPassword`] with advice unless a person with this name and address may choose the password:
    /// long enough, not on the list of common passwords, and hard to guess by zxcvbn. There are no rules on classes of
    /// characters (NIST SP 800-63B-4, section 3.1.1.2).
    pub(crate) fn check_strength(&self, known: &[&str], min_score: u8) -> Result<(), Error> {
        let password = self.0.expose_secret();
        let length = password.chars().count();
        if length < SHORTEST {
            return Err(Error::WeakPassword(format!(
                "Use at least {SHORTEST} characters. A few unrelated words are easy to remember and hard to guess."
            )));
        }
        if length > LONGEST {
            return Err(Error::WeakPassword(format!("Use at most {LONGEST} characters.")));
        }
        if is_common(password) {
            let advice = "Many people chose this password before, so it is among the first that are tried.";
            return Err(Error::WeakPassword(advice.to_owned()));
        }
        let known: Vec<&str> = known.iter().chain(CONTEXT).copied().collect();
        let judged = zxcvbn::zxcvbn(password, &known);
        if u8::from(judged.score()) >= min_score {
            return Ok(());
        }
        let mut advice = String::from("This password is too easy to guess.");
        if let Some(feedback) = judged.feedback() {
            let sentences = feedback.warning().map(|warning| warning.to_string()).into_iter();
            for sentence in sentences.chain(feedback.suggestions().iter().map(ToString::to_string)) {
                advice.push(' ');
                advice.push_str(&sentence);
            }
        }
        Err(Error::WeakPassword(advice))
    }
}

impl From<SecretString> for Password {
    fn from(typed: SecretString) -> Self {
        Self::new(&typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str) -> Result<(), Error> {
        Password::new(&SecretString::from(typed)).check_strength(&["Asha Rao", "asha@example.com", "asha"], 3)
    }

    #[test]
    fn long_and_unguessable_passwords_of_any_script_pass() {
        for typed in [
            "copper lantern drifts upstream",
            "правильная лошадь батарея",
            "mk7#Vq2!xLp9",
            "🦀🦞🐙🐚🐬🐳🦑🐡🐠🦈🐟🐋",
        ] {
            assert!(check(typed).is_ok(), "{typed}");
        }
    }

    #[test]
    fn words_of_the_context_carry_no_password() {
        for typed in ["portcullisnifty", "zerodhasensex", "alpacaportcullis"] {
            let stranger = zxcvbn::zxcvbn(typed, &[]);
            assert!(u8::from(stranger.score()) >= 3, "{typed} would pass elsewhere");
            assert!(check(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn what_many_people_chose_is_refused_however_well_it_scores() {
        for typed in ["ghjatccbjyfk", "badiman28200", "LockingServi", "josephphone7", "blacksonblon"] {
            let score = zxcvbn::zxcvbn(typed, &[]).score();
            assert!(u8::from(score) >= 3, "{typed} would pass without the list");
            assert!(check(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn weak_passwords_are_refused_with_advice() {
        for typed in [
            "short",
            "passwordpassword",
            "123456789012",
            "asharaoasharao",
            "ghjcnjgfhjkm",
            "MailCreated5240",
            "asha@example.com",
            "aaaaaaaaaaaaaaaa",
        ] {
            let Err(Error::WeakPassword(advice)) = check(typed) else { panic!("{typed} passed") };
            assert!(advice.len() > 20 && !advice.contains(typed), "{advice}");
        }
        assert!(matches!(check(&"aé7".repeat(86)), Err(Error::WeakPassword(_))));
    }

    #[test]
    fn composed_and_decomposed_letters_are_the_same_password() {
        let bytes = |typed: &str| Password::new(&SecretString::from(typed)).bytes();
        assert_eq!(bytes("caf\u{e9}"), bytes("cafe\u{301}"));
        assert_ne!(bytes("cafe"), bytes("caf\u{e9}"));
    }

    #[test]
    fn a_password_does_not_print() {
        assert!(!format!("{:?}", Password::new(&SecretString::from("hunter2"))).contains("hunter2"));
    }
}
