//! Known devices: a token of an earlier sign-in, kept by a browser in a cookie and by a program in its state. It grants
//! no access. Failed attempts of a known device are counted apart from those of strangers, and its sign-ins send no
//! notification of a new device.
//!
//! A token is for one account and one password: it ends when another password takes the place of the one it was issued
//! under, so that a device which was known to a thief is a stranger's after a reset. It also ends after a year.
//!
//! With `MFA_REMEMBER_DAYS` it also says when a code was given on the device. For so many days a right password signs in
//! there without another one; it is still the sign-in of a password alone (`aal1`), and no role that requires more, and nothing
//! that asks for a fresh proof, takes it for another. What is remembered ends with the factor, with a raised session epoch
//! ("sign out everywhere"), and with the token.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jiff::Timestamp;
use portcullis_store::{Account, KnownDevice};
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::sha256::sha256;
use crate::{ClientContext, Identity};

/// How long a device is known after a sign-in.
pub const DEVICE_TOKEN_TTL: Duration = Duration::from_hours(365 * 24);

const PREFIX: &str = "dv_";
/// Of an id, in hexadecimal digits.
const DIGITS: usize = 32;

impl Identity {
    /// Returns the token that makes this device a known one of an account, under its present password; a known device
    /// keeps its id. Fails without a key or randomness.
    pub(crate) fn device_token(
        &self,
        account: &Account,
        client: &ClientContext,
    ) -> Result<SecretString, Error> {
        let id = if let Some(device) = self.known_device(account, client) {
            device.id
        } else {
            let mut random = [0; 16];
            self.entropy.fill(&mut random)?;
            format!("{:032x}", u128::from_be_bytes(random))
        };
        let key = self.device_mac()?;
        let issued_at = self.clock.now().as_second();
        let mac = BASE64URL.encode(hmac::sign(key, &signed(account, &id, issued_at)));
        Ok(format!("{PREFIX}{id}.{issued_at}.{mac}").into())
    }

    /// Returns the same with when a code was given on the device; without, where nothing of it is remembered.
    pub(crate) fn remembering_device_token(
        &self,
        account: &Account,
        code_given_at: Option<Timestamp>,
        client: &ClientContext,
    ) -> Result<SecretString, Error> {
        let token = self.device_token(account, client)?;
        let Some(given_at) = code_given_at.filter(|_| self.settings.mfa_remember.is_some()) else {
            return Ok(token);
        };
        let given_at = given_at.as_second();
        let text = token.expose_secret();
        let mac = BASE64URL.encode(hmac::sign(self.device_mac()?, &remembered(account, text, given_at)));
        Ok(format!("{text}.{given_at}.{mac}").into())
    }

    fn device_mac(&self) -> Result<&hmac::Key, Error> {
        self.keyring.device_macs().next().ok_or(Error::Internal("there is no key for devices"))
    }

    /// Returns when a code was given on the device of the token in the request, if that is still to count: within
    /// `MFA_REMEMBER_DAYS`, of the present factor, password and session epoch.
    pub(crate) fn remembered_code(
        &self,
        account: &Account,
        client: &ClientContext,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let age = self.settings.mfa_remember?;
        self.known_device(account, client)?;
        let (token, mac) = client.device.as_ref()?.expose_secret().rsplit_once('.')?;
        let (token, given_at) = token.rsplit_once('.')?;
        let seconds: i64 = given_at.parse().ok()?;
        let mac = BASE64URL.decode(mac).ok()?;
        let signed = remembered(account, token, seconds);
        if !self.keyring.device_macs().any(|key| hmac::verify(key, &signed, &mac).is_ok()) {
            return None;
        }
        let given_at = Timestamp::from_second(seconds).ok()?;
        (given_at + age > now).then_some(given_at)
    }

    /// Returns the device of the token in the request; `None` unless the token was issued by this service for this
    /// account, under its present password, within the last year.
    pub(crate) fn known_device(&self, account: &Account, client: &ClientContext) -> Option<KnownDevice> {
        let token = client.device.as_ref()?.expose_secret().strip_prefix(PREFIX)?;
        let (id, rest) = token.split_once('.')?;
        let (issued_at, mac) = rest.split_once('.')?;
        // What is remembered of a code stands behind it.
        let mac = mac.split_once('.').map_or(mac, |(mac, _)| mac);
        let plain = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if id.len() != DIGITS || !id.bytes().all(plain) || mac.len() > 64 {
            return None;
        }
        let issued_at: i64 = issued_at.parse().ok()?;
        let mac = BASE64URL.decode(mac).ok()?;
        let signed = signed(account, id, issued_at);
        // What it says of itself is believed only behind the MAC.
        if !self.keyring.device_macs().any(|key| hmac::verify(key, &signed, &mac).is_ok()) {
            return None;
        }
        let ends_at = Timestamp::from_second(issued_at).ok()? + DEVICE_TOKEN_TTL;
        let device = KnownDevice { password_since: account.password_changed_at, id: id.to_owned() };
        (ends_at > self.clock.now()).then_some(device)
    }
}

/// Every part but the last has a fixed length, so that nothing of one can pass for part of another.
fn signed(account: &Account, id: &str, issued_at: i64) -> Vec<u8> {
    // As the table has it: a time that was just chosen is more precise than one that was read.
    let password_since = account.password_changed_at.as_millisecond();
    let owner = account.id.to_string();
    [id.as_bytes(), &issued_at.to_be_bytes(), &password_since.to_be_bytes(), owner.as_bytes()].concat()
}

/// What is signed about a code that was given: the token it was given with, when, and the factor and session epoch it was of.
/// It begins with a word, and so is never what a token itself is signed over.
fn remembered(account: &Account, token: &str, given_at: i64) -> Vec<u8> {
    let factor = account.mfa_enabled_at.map_or(0, Timestamp::as_millisecond);
    let numbers = [given_at.to_be_bytes(), factor.to_be_bytes(), account.session_epoch.to_be_bytes()];
    [b"code".as_slice(), &numbers.concat(), token.as_bytes()].concat()
}

/// Returns a digest of the address and user agent of a client, by which it is recognised without a device token.
pub(crate) fn looks(client: &ClientContext) -> Vec<u8> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let look = format!("{}\n{}", text(&client.ip), text(&client.user_agent));
    sha256(&look).iter().take(16).copied().collect()
}
