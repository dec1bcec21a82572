//! Decrypted broker credentials: types that zeroise their memory and do not print their content.

use portcullis_identity::InvalidValue;
use secrecy::{ExposeSecret, SecretString};

/// Brokers' keys are at most some sixty characters.
const LONGEST: usize = 256;
const LONGEST_CODE: usize = 2_048;
/// The shortest key whose last four characters are shown; of a shorter one they would reveal too much.
const HINTED: usize = 12;

/// The long-lived key and secret of one account.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Names the application or the account at the broker.
    pub api_key: SecretString,
    /// The secret that belongs to the key.
    pub api_secret: SecretString,
}

impl Credentials {
    /// Returns the credentials made of these two.
    pub fn new(api_key: BrokerToken, api_secret: BrokerToken) -> Self {
        Self { api_key: api_key.0, api_secret: api_secret.0 }
    }

    /// Returns the credentials as they were entered; fails where one of the two is no [`BrokerToken`].
    pub fn parse(api_key: &SecretString, api_secret: &SecretString) -> Result<Self, InvalidValue> {
        Ok(Self::new(BrokerToken::parse(api_key)?, BrokerToken::parse(api_secret)?))
    }

    /// Returns the last four characters of the key, by which its owner recognises it; only `…` for a short key.
    pub(crate) fn hint(&self) -> String {
        let key = self.api_key.expose_secret();
        let end = key.len().checked_sub(4).filter(|_| key.len() >= HINTED);
        format!("…{}", end.and_then(|end| key.get(end..)).unwrap_or_default())
    }
}

/// The key and the token of a session at a broker.
#[derive(Debug, Clone)]
pub struct SessionCredentials {
    /// Names the application.
    pub api_key: SecretString,
    /// The session's access token.
    pub access_token: SecretString,
}

/// A key, secret or token of a broker: visible ASCII, as all of theirs are. Nothing in it can end a header or a parameter
/// early.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "SecretString")]
pub struct BrokerToken(SecretString);

impl BrokerToken {
    /// Returns the token without the space around it; fails when it is not 1 to 256 visible ASCII characters.
    pub fn parse(typed: &SecretString) -> Result<Self, InvalidValue> {
        visible(typed, LONGEST).map(Self)
    }
}

/// What a login at a broker leads back with, a request token or a code: some are JWTs, and longer than keys are.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(try_from = "SecretString")]
pub struct LoginCode(SecretString);

impl LoginCode {
    /// Returns the code without the space around it; fails when it is not 1 to 2048 visible ASCII characters.
    pub fn parse(typed: &SecretString) -> Result<Self, InvalidValue> {
        visible(typed, LONGEST_CODE).map(Self)
    }

    /// Returns the text, for requests to the broker.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl TryFrom<SecretString> for LoginCode {
    type Error = InvalidValue;

    fn try_from(typed: SecretString) -> Result<Self, InvalidValue> {
        Self::parse(&typed)
    }
}

/// Returns the text without the space around it; fails when it is not 1 to so many visible ASCII characters.
fn visible(typed: &SecretString, longest: usize) -> Result<SecretString, InvalidValue> {
    let text = typed.expose_secret().trim();
    if text.is_empty() || text.len() > longest || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidValue::new(format!("1 to {longest} visible ASCII characters are needed")));
    }
    Ok(text.into())
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
