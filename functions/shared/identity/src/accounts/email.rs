//! E-mail addresses in their one canonical form.

use crate::invalid::{InvalidValue, read_by_parsing};

/// RFC 5321, section 4.5.3.1.
const LONGEST_LOCAL_PART: usize = 64;
const LONGEST: usize = 254;
/// What an unquoted local part may hold beside letters and digits (RFC 5322, section 3.2.3), but for `%` and `!`: they
/// name another host to some servers (RFC 1123, section 5.2.16), which then deliver to a domain that is not the one shown.
const LOCAL_PUNCTUATION: &str = "#$&'*+-/=?^_`{|}~.";
/// How an encoded word begins (RFC 2047, section 2). What stands in a mail header is decoded by some programs wherever it
/// looks like one, and then the address is another, or several.
const ENCODED_WORD: &str = "=?";

/// An address: ASCII local part, domain as A-labels, all lower case. Two people never share one, and letters that only
/// look alike never lead from one to another, because a local part outside ASCII is refused rather than folded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Email(String);

impl Email {
    /// Returns the canonical form of what a person typed; fails if that is no address, or only looks like one.
    pub fn parse(typed: &str) -> Result<Self, InvalidValue> {
        canonical(typed.trim()).map(Self).map_err(InvalidValue::new)
    }

    /// Returns the canonical form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

read_by_parsing!(Email);

fn canonical(typed: &str) -> Result<String, &'static str> {
    let (local, domain) = typed.rsplit_once('@').ok_or("an address has the form name@example.com")?;
    if !local.is_ascii() {
        return Err("the part before the @ may only have unaccented Latin letters, digits and punctuation");
    }
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || LOCAL_PUNCTUATION.contains(character);
    if local.is_empty() || local.len() > LONGEST_LOCAL_PART || !local.chars().all(allowed) {
        return Err("the part before the @ is empty, too long or has a character that does not belong there");
    }
    if local.contains(ENCODED_WORD) {
        return Err("the part before the @ looks like an encoded word of a mail header");
    }
    if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
        return Err("the part before the @ has a dot where none may be");
    }
    let address = format!("{}@{}", local.to_ascii_lowercase(), ascii_domain(domain)?);
    if address.len() > LONGEST { Err("the address is too long") } else { Ok(address) }
}

/// The domain as A-labels (RFC 5890). A domain that is only *mapped* to a valid one (full-width letters, the Kelvin
/// sign) is refused: such letters are pasted, or chosen to deceive.
fn ascii_domain(domain: &str) -> Result<String, &'static str> {
    const UNUSABLE: &str = "the part after the @ is not a domain name";
    let ascii = idna::domain_to_ascii_strict(domain).map_err(|_| UNUSABLE)?;
    let (shown, valid) = idna::domain_to_unicode(&ascii);
    let typed = domain.to_ascii_lowercase();
    if valid.is_err() || (typed != ascii && typed != shown) {
        return Err(UNUSABLE);
    }
    let top_level = ascii.rsplit_once('.').map(|(_, label)| label).ok_or(UNUSABLE)?;
    if top_level.is_empty() || top_level.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UNUSABLE);
    }
    Ok(ascii)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_address_meet() {
        for typed in ["alice@example.com", " Alice@EXAMPLE.com\n", "ALICE@example.COM"] {
            assert_eq!(Email::parse(typed).unwrap().as_str(), "alice@example.com");
        }
        for typed in ["a@bücher.example", "a@BüCHER.example", "a@xn--bcher-kva.example"] {
            assert_eq!(Email::parse(typed).unwrap().as_str(), "a@xn--bcher-kva.example", "{typed}");
        }
        assert_eq!(Email::parse("o'brien+kite@a-b.example").unwrap().as_str(), "o'brien+kite@a-b.example");
    }

    #[test]
    fn look_alikes_reach_nobody() {
        // Kelvin sign, dotless i, long s, full-width letters, a ligature, Cyrillic, zero-width space.
        for typed in [
            "\u{212A}ate@example.com",
            "m\u{131}ke@example.com",
            "ali\u{17F}@example.com",
            "\u{FF21}lice@example.com",
            "\u{FB01}@example.com",
            "\u{430}lice@example.com",
            "al\u{200B}ice@example.com",
            "kate@\u{212A}ite.com",
            "kate@\u{FF4B}ite.com",
            "kate@ki\u{200B}te.com",
        ] {
            assert!(Email::parse(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn an_address_says_one_thing_to_every_mail_server() {
        for typed in [
            "=?utf-8?q?alice?=@example.com",
            "=?UTF-8?B?YWxpY2U=?=@example.com",
            "=?utf-7?q?&AGE-?=@example.com",
            "alice=?x?q?=40evil.example=3e=00?=@example.com",
            "=?iso-8859-1*en?q?a@example.com",
            "alice%evil.example@example.com",
            "evil.example!alice@example.com",
        ] {
            assert!(Email::parse(typed).is_err(), "{typed}");
        }
        assert!(Email::parse("a=b?c@example.com").is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for typed in [
            "",
            "@",
            "alice",
            "alice@",
            "@example.com",
            "a@b",
            "a@@b.example",
            "a b@example.com",
            "a,b@example.com",
            "\"a\"@example.com",
            ".a@example.com",
            "a.@example.com",
            "a..b@example.com",
            "a@127.0.0.1",
            "a@[::1]",
            "a@exa mple.com",
            "a@example..com",
            "a@-x.example",
            "a@x.example\r\nBcc: b@x.example",
            "a@x.example.",
            "a\0@x.example",
            "a@x.example%00",
        ] {
            assert!(Email::parse(typed).is_err(), "{typed:?}");
        }
        assert!(Email::parse(&format!("{}@example.com", "a".repeat(65))).is_err());
        assert!(Email::parse(&format!("a@{}example.com", "abcdefgh.".repeat(40))).is_err());
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_stable_and_ascii(typed in "\\PC{0,20}@\\PC{0,20}") {
            if let Ok(email) = Email::parse(&typed) {
                prop_assert!(email.as_str().is_ascii());
                prop_assert_eq!(&Email::parse(email.as_str()).unwrap(), &email);
            }
        }
    }
}
