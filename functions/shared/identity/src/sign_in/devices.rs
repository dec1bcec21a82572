//! Known devices: a token of an earlier sign-in, kept by a browser in a cookie and by a program in its state. It grants
//! no access. Failed attempts of a known device are counted apart from those of strangers, and its sign-ins send no
//! notification of a new device.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use portcullis_store::AttemptSource;
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;
use crate::sha256::sha256;
use crate::{ClientContext, Identity};

const PREFIX: &str = "dv_";
/// Of an id, in hexadecimal digits.
const DIGITS: usize = 32;

impl Identity {
    /// Returns the source that attempts of this client at this name are counted under: a known device, or strangers.
    pub(crate) fn attempt_source(&self, name: &str, client: &ClientContext) -> AttemptSource {
        self.known_device(name, client).map_or(AttemptSource::Stranger, AttemptSource::Device)
    }

    /// Returns the token that makes this device a known one; a known device keeps its id. Fails without a key or
    /// randomness.
    pub(crate) fn device_token(&self, name: &str, client: &ClientContext) -> Result<SecretString, Error> {
        let id = if let Some(id) = self.known_device(name, client) {
            id
        } else {
            let mut random = [0; 16];
            self.entropy.fill(&mut random)?;
            format!("{:032x}", u128::from_be_bytes(random))
        };
        let key = self.keyring.device_macs.first().ok_or(Error::Internal("there is no key for devices"))?;
        let mac = BASE64URL.encode(hmac::sign(key, &signed(name, &id)));
        Ok(format!("{PREFIX}{id}.{mac}").into())
    }

    /// Returns the device id of the token in the request; `None` unless the token was issued by this service for this
    /// name.
    pub(crate) fn known_device(&self, name: &str, client: &ClientContext) -> Option<String> {
        let (id, mac) = client.device.as_ref()?.expose_secret().strip_prefix(PREFIX)?.split_once('.')?;
        let plain = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if id.len() != DIGITS || !id.bytes().all(plain) || mac.len() > 64 {
            return None;
        }
        let mac = BASE64URL.decode(mac).ok()?;
        let signed = signed(name, id);
        let is_ours = self.keyring.device_macs.iter().any(|key| hmac::verify(key, &signed, &mac).is_ok());
        is_ours.then(|| id.to_owned())
    }
}

/// The id has a fixed length, so that nothing of a name can pass for part of it.
fn signed(name: &str, id: &str) -> Vec<u8> {
    [id.as_bytes(), name.as_bytes()].concat()
}

/// Returns a digest of the address and user agent of a client, by which it is recognised without a device token.
pub(crate) fn looks(client: &ClientContext) -> Vec<u8> {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let look = format!("{}\n{}", text(&client.ip), text(&client.user_agent));
    sha256(&look).iter().take(16).copied().collect()
}
