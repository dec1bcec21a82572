//! Broker credentials in the clear: types that zeroise and do not print.

use portcullis_identity::InvalidValue;
use secrecy::{ExposeSecret, SecretString};

/// Brokers' keys are at most some sixty characters.
const LONGEST: usize = 256;
/// Of a shorter key the end would be too much of it.
const HINTED: usize = 12;

/// The long-lived key and secret of one account.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Names the application or the account at the broker.
    pub api_key: SecretString,
    /// Proves it.
    pub api_secret: SecretString,
}

impl Credentials {
    /// The pair of these two.
    pub fn new(api_key: BrokerToken, api_secret: BrokerToken) -> Self {
        Self { api_key: api_key.0, api_secret: api_secret.0 }
    }

    /// Reads what a person pasted; fails where one of the two is no [`BrokerToken`].
    pub fn parse(api_key: &SecretString, api_secret: &SecretString) -> Result<Self, InvalidValue> {
        Ok(Self::new(BrokerToken::parse(api_key)?, BrokerToken::parse(api_secret)?))
    }

    /// Enough of the key for its owner to recognise it by.
    pub(crate) fn hint(&self) -> String {
        let key = self.api_key.expose_secret();
        let end = key.len().checked_sub(4).filter(|_| key.len() >= HINTED);
        format!("…{}", end.and_then(|end| key.get(end..)).unwrap_or_default())
    }
}

/// What a broker's session of the day needs.
#[derive(Debug, Clone)]
pub struct SessionCredentials {
    /// Names the application.
    pub api_key: SecretString,
    /// Proves the session.
    pub access_token: SecretString,
}

/// A key, secret or token of a broker: visible ASCII, as all of theirs are. Nothing in it can end a header or a parameter
/// early.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "SecretString")]
pub struct BrokerToken(SecretString);

impl BrokerToken {
    /// Reads what a person pasted; space around it does not count.
    pub fn parse(typed: &SecretString) -> Result<Self, InvalidValue> {
        let text = typed.expose_secret().trim();
        if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidValue::new(format!("1 to {LONGEST} visible ASCII characters are needed")));
        }
        Ok(Self(text.into()))
    }

    /// The text, for the broker.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl TryFrom<SecretString> for BrokerToken {
    type Error = InvalidValue;

    fn try_from(typed: SecretString) -> Result<Self, InvalidValue> {
        Self::parse(&typed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(key: &str) -> Result<Credentials, InvalidValue> {
        Credentials::parse(&key.into(), &"secret-hunter2".into())
    }

    #[test]
    fn a_hint_is_the_end_of_a_key_that_is_long_enough() {
        assert_eq!(parsed(" abcdefgh12345678\n").unwrap().hint(), "…5678");
        assert_eq!(parsed("short").unwrap().hint(), "…");
    }

    #[test]
    fn what_could_break_out_of_a_header_is_refused_and_nothing_prints() {
        for typed in ["", " ", "a b", "a\r\nx: y", "ключ", &"k".repeat(257)] {
            assert!(parsed(typed).is_err(), "{typed:?}");
        }
        let shown = format!("{:?}", parsed("key-hunter2").unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
